"""The ten optimisations a VM can be granted, and what each takes off."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from twin.sources import calibration

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Slot = Literal["tier", "size", "clock", "count", "place", "deploy"]


@dataclass(frozen=True, slots=True)
class Treatment:
    """One optimisation: a VM has at most one of each slot. ``surplus``: it lives on capacity that nobody else wants now.

    ``priority`` orders who gives way when capacity is short: the lowest first.
    """

    name: str
    title: str
    slot: Slot
    priority: int
    surplus: bool = False


# In the order of application, by which price cuts are attributed. Numbered by position; a grant is a sum of powers of two.
TREATMENTS: Final = (
    Treatment("harvest", "Harvest VMs", "tier", 0, surplus=True),
    Treatment("spot", "Spot VMs", "tier", 1, surplus=True),
    Treatment("multi_availability", "Multi-availability", "tier", 3),
    Treatment("rightsizing", "Rightsizing", "size", 6),
    Treatment("oversubscription", "Oversubscription", "size", 5),
    Treatment("region_agnostic", "Region-agnostic", "place", 6),
    Treatment("autoscaling", "Auto-scaling", "count", 4),
    Treatment("overclocking", "Overclocking", "clock", 2),
    Treatment("underclocking", "Underclocking", "clock", 6),
    Treatment("non_preprovisioning", "No pre-provisioning", "deploy", 6),
)
INDEX: Final[Mapping[str, int]] = {each.name: index for index, each in enumerate(TREATMENTS)}
SLOTS: Final[tuple[Slot, ...]] = ("tier", "size", "clock", "count", "place", "deploy")
HARVEST, SPOT, MA, RIGHTSIZED, OVERSUBSCRIBED, REGION, AUTOSCALED, OVERCLOCKED, UNDERCLOCKED, UNPROVISIONED = (
    1 << index for index in range(len(TREATMENTS))
)
SURPLUS: Final = HARVEST | SPOT


@cache
def discounts() -> Mapping[str, float]:
    """Return the share that each treatment takes off the price of a VM that has it."""
    entries = calibration("negotiation")["discount"]
    return {each.name: float(entries[each.name]["value"]) for each in TREATMENTS}


def price_share(granted: Ints, taken_off: Mapping[str, float]) -> Floats:
    """Return the price of VMs with such grants over the regular price, any shape; treatments of different slots multiply.

    >>> price_share(np.array([0, SPOT, MA | RIGHTSIZED]), discounts()).round(3).tolist()
    [1.0, 0.15, 0.3]
    """
    share = np.ones(np.shape(granted))
    for index, each in enumerate(TREATMENTS):
        share = np.where(granted & (1 << index), share * (1.0 - taken_off[each.name]), share)
    return share


def clashes(granted: Ints) -> NDArray[np.bool_]:
    """Return which grants have two treatments of one slot, or one of another slot beside surplus capacity, whose price is net already."""
    bad = ((granted & SURPLUS) != 0) & ((granted & ~SURPLUS) != 0)
    for slot in SLOTS:
        held = sum(((granted >> index) & 1) for index, each in enumerate(TREATMENTS) if each.slot == slot)
        bad |= np.asarray(held > 1)
    return np.asarray(bad)
