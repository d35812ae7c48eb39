"""The plain holders of memory: no pool, and the least loaded device."""

from typing import Any, Final

import numpy as np

from policies.system import Knobs, Surroundings, System
from twin.memory.levers import PoolAction, PoolObservation, TopologyAction, TopologyObservation


class NoPool:
    """Builds no pod: all memory is local."""

    def __init__(self, knobs: Knobs, surroundings: Surroundings) -> None:
        del knobs, surroundings

    def design(self, seen: TopologyObservation) -> TopologyAction:
        """Return that there is no pod."""
        del seen
        return TopologyAction(None)


class LeastLoaded:
    """Takes the device with the fewest slices in use, and moves none later."""

    def __init__(self, knobs: Knobs, surroundings: Surroundings) -> None:
        del knobs, surroundings

    @property
    def pick(self) -> Any:
        """Return the compiled rule."""
        # Imported here: the module compiles its rules when it is loaded.
        from policies.baselines import pickers

        return pickers.least_loaded

    def refresh(self, seen: PoolObservation) -> PoolAction:
        """Return that nothing is scored and nothing is moved."""
        return PoolAction(np.zeros(len(seen.device_ids)), migrate=False)


BASELINES: Final = (
    System(
        id="none",
        name="no pool",
        question="What if every host keeps its memory to itself?",
        levers={"pod_topology": "holder"},
        serves=(),
        costs=(),
        knobs=Knobs,
        build=NoPool,
    ),
    System(
        id="least_loaded",
        name="least loaded device",
        question="What if every slice goes to the device with the fewest in use and stays there?",
        levers={"pool_allocation": "holder"},
        serves=(),
        costs=(),
        knobs=Knobs,
        build=LeastLoaded,
    ),
)
