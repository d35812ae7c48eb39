"""The plain holder of VM placement: best fit on GPUs, blind to heat."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from policies.system import Knobs, Surroundings, System
from twin.workloads.levers import PlacementObservation, VmAsked


class BestFit:
    """Puts a VM where the fewest GPUs stay free, so that whole servers stay whole; says nothing about heat or power."""

    def __init__(self, knobs: Knobs, surroundings: Surroundings) -> None:
        del knobs, surroundings

    def rank(self, seen: PlacementObservation, asked: VmAsked) -> NDArray[np.float64]:
        """Return the rank of each server, shape S: best where the fewest GPUs would stay free."""
        return -(seen.gpus_free - asked.gpus).astype(np.float64)


BASELINES: Final = (
    System(
        id="best_fit",
        name="best fit",
        question="What if a VM goes where it leaves the fewest GPUs free, whatever that does to heat and power?",
        levers={"vm_placement": "holder"},
        serves=(),
        costs=(),
        knobs=Knobs,
        build=BestFit,
    ),
)
