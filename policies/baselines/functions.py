"""The plain holder of functions: containers on the kernel's network stack."""

from dataclasses import replace
from typing import Annotated, Final, Literal

from pydantic import Field

from policies.system import Knobs, Surroundings, System
from twin.functions.levers import Runtime, RuntimeAction, RuntimeObservation
from twin.functions.runtimes import named
from twin.sources import calibration

# The same for every runtime, so that none is set against another with a cache that the other lacks.
MetadataCache = Annotated[
    Literal["scenario", "on", "off"],
    Field(description="whether the provider keeps what it looked up of a function; scenario does as the scenario says for all runtimes"),
]
Version = Literal["version-1", "version-2"]


class ContainerdKnobs(Knobs):
    """The kernel's cost and the provider's cache. Costs of a message are fitted to the paper's ratios, none was measured."""

    metadata_cache: MetadataCache = "scenario"
    kernel: Annotated[
        Version,
        Field(description="core time of a message in the kernel, fitted to junctiond's first version (5x throughput) or second (10x)"),
    ] = "version-1"


class Containerd:
    """Runs every function in a container behind a gateway and a provider; every message crosses the kernel's stack."""

    def __init__(self, knobs: ContainerdKnobs, surroundings: Surroundings) -> None:
        del surroundings
        self._knobs = knobs

    def choose(self, seen: RuntimeObservation) -> RuntimeAction:
        """Return containerd."""
        return RuntimeAction(containers(self._knobs.kernel, cached=keeps(self._knobs.metadata_cache, seen)))


def containers(kernel: Version, *, cached: bool = True) -> Runtime:
    """Return containerd with the kernel's core time of either version of the paper."""
    plain = named("containerd", cached=cached)
    if kernel == "version-1":
        return plain
    return replace(plain, hop=replace(plain.hop, cpu_s=float(calibration("functions")["version_2"]["containerd_cpu_s"]["value"])))


def keeps(cache: str, seen: RuntimeObservation) -> bool:
    """Return whether look-ups are kept, by the knob or by the scenario."""
    return seen.settings.cached if cache == "scenario" else cache == "on"


BASELINES: Final = (
    System(
        id="containerd",
        name="containerd",
        question="What if functions run in containers and every message crosses the kernel's network stack?",
        levers={"function_runtime": "holder"},
        serves=(),
        costs=(),
        knobs=ContainerdKnobs,
        build=Containerd,
    ),
)
