"""The plain holders of VMs: best fit on GPUs, blind to heat; opaque."""

from typing import Annotated, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from policies.system import Knobs, Surroundings, System
from twin.workloads.levers import OffersAction, OffersObservation, PlacementObservation, VmAsked


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


class Opaque:
    """Asks nobody and offers nothing: every VM keeps its size, its clock and its price, whatever it hints."""

    def __init__(self, knobs: Knobs, surroundings: Surroundings) -> None:
        del knobs, surroundings

    def offer(self, seen: OffersObservation) -> OffersAction:
        """Return that every VM is left alone."""
        count = len(seen.vm)
        one, none = np.ones(count), np.zeros(count, dtype=np.int64)
        return OffersAction(granted=none, size_share=one, clock_share=one.copy(), take=none.copy(), cause=none.copy())


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
    System(
        id="opaque",
        name="opaque VMs",
        question="What if the platform knows nothing of its VMs and tells them nothing?",
        levers={"offers": "holder"},
        serves=(),
        costs=(),
        knobs=Knobs,
        build=Opaque,
    ),
)
