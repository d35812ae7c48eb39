"""What an operator can set on junctiond, with bounds."""

from typing import Annotated

from pydantic import Field

from policies.baselines.functions import MetadataCache
from policies.system import Knobs

_AS_FITTED = "1 is as calibrated"


class JunctiondKnobs(Knobs):
    """Which of its parts are in place, what they cost beside what was fitted, and how many cores spin.

    Costs were fitted to the paper's ratios or proposed; the factors show what comes of it where they are off.
    """

    metadata_cache: MetadataCache = "scenario"
    bypass: Annotated[bool, Field(description="messages pass by the kernel's stack; without it they cost what containerd's do")] = True
    fast_start: Annotated[bool, Field(description="instances start as Junction's do; without it as containers do")] = True
    polling_cores: Annotated[
        float | None, Field(ge=0, le=16, description="cores that spin on each host for the scheduler; empty is as published, one")
    ] = None
    polling_cores_each: Annotated[
        float | None,
        Field(ge=0, le=1, description="cores that spin for each warm instance: 1 as plain DPDK, empty as Junction, none"),
    ] = None
    hop_factor: Annotated[float, Field(ge=0.1, le=10, description=f"time of a message on its stack; {_AS_FITTED}")] = 1.0
    interference_factor: Annotated[float, Field(ge=0, le=10, description=f"share of messages that are held up; {_AS_FITTED}")] = 1.0
    cpu_factor: Annotated[float, Field(ge=0.1, le=10, description=f"core time of a message; {_AS_FITTED}")] = 1.0
    start_factor: Annotated[float, Field(ge=0.1, le=100, description=f"time in which an instance starts; {_AS_FITTED}")] = 1.0
