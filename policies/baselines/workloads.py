"""The plain holder of VM placement: best fit on GPUs, blind to heat."""

from typing import Annotated, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from policies.system import Knobs, Surroundings, System
from twin.workloads.levers import PlacementObservation, VmAsked


class BestFitKnobs(Knobs):
    """Whether VMs are packed, as an allocator does by default, or spread."""

    spread: Annotated[bool, Field(description="put a VM where the most GPUs stay free instead of the fewest")] = False


class BestFit:
    """Puts a VM where the fewest GPUs stay free, so that whole servers stay whole; says nothing about heat or power."""

    def __init__(self, knobs: BestFitKnobs, surroundings: Surroundings) -> None:
        del surroundings
        self._sign = 1.0 if knobs.spread else -1.0

    def rank(self, seen: PlacementObservation, asked: VmAsked) -> NDArray[np.float64]:
        """Return the rank of each server, shape S: best where the fewest (spread: the most) GPUs would stay free."""
        return self._sign * (seen.gpus_free - asked.gpus).astype(np.float64)


BASELINES: Final = (
    System(
        id="best_fit",
        name="best fit",
        question="What if a VM goes where it leaves the fewest GPUs free, whatever that does to heat and power?",
        levers={"vm_placement": "holder"},
        serves=(),
        costs=(),
        knobs=BestFitKnobs,
        build=BestFit,
    ),
)
