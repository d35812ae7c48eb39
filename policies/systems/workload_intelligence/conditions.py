"""Which hints each optimisation needs of a VM, as data."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from twin.workloads.levers import REASONS
from twin.workloads.negotiation import keys
from twin.workloads.negotiation.treatments import TREATMENTS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
GRANTED, BETTER, MISSING, SHORT, FORBIDDEN = range(len(REASONS))
# What a clause without a key asks of the VM itself, not of its hints.
FITS: Final = ""


@dataclass(frozen=True, slots=True)
class Clause:
    """One thing that must hold of a VM, on the hint in force; ``key`` is empty where no hint can bring it about.

    ``forbids`` marks a hint that stands against an optimisation whose other hints are given.
    """

    key: str
    op: Literal[">=", ">", "<=", "<"]
    bound: float
    words: str
    forbids: bool = False

    def holds(self, value: Floats) -> Bools:
        """Return where the values in force, any shape, meet it."""
        compare = {">=": np.greater_equal, ">": np.greater, "<=": np.less_equal, "<": np.less}[self.op]
        return np.asarray(compare(value, self.bound), dtype=np.bool_)

    @property
    def reason(self) -> int:
        """Return why a VM that does not meet it goes without: an index of REASONS plus 8 times one more than the key's index."""
        if self.key == FITS:
            return SHORT
        return (FORBIDDEN if self.forbids else MISSING) + 8 * (keys.INDEX[self.key] + 1)


STATELESS: Final = Clause("stateless", ">=", keys.FULL, "it keeps no state")
SCALES_OUT: Final = Clause("scale_out_in", ">=", 1, "more or fewer VMs can do its work")
SCALES_UP: Final = Clause("scale_up_down", ">=", 1, "it can have more or fewer cores")
MAY_WAIT_TO_START: Final = Clause("deploy_time_s", ">", keys.RELAXED_DEPLOY_S, "a new VM may take more than five minutes")
THREE_NINES: Final = Clause("availability_nines", "<=", 3, "it needs three nines or less")
BELOW_FOUR_NINES: Final = Clause("availability_nines", "<", 4, "it needs less than four nines", forbids=True)
PREEMPTIBLE: Final = Clause("preemptible", ">=", 1, "it may be evicted")
TOLERATES_DELAY: Final = Clause("delay_tolerance_s", ">", 0, "its work may be done later")
ANY_REGION: Final = Clause("region_independence", ">=", keys.FULL, "it may run in another region")
NO_RESIDENCY: Final = Clause("data_residency", "<", 1, "its data may leave the region", forbids=True)
HALF_IS_ENOUGH: Final = Clause(FITS, ">=", 1, "its peak needs no more than half of its cores")

# All clauses of an optimisation must hold; the first that does not is the one that is told.
CONDITIONS: Final[Mapping[str, tuple[Clause, ...]]] = {
    "harvest": (PREEMPTIBLE, BELOW_FOUR_NINES, SCALES_UP, TOLERATES_DELAY),
    "spot": (PREEMPTIBLE, BELOW_FOUR_NINES),
    "multi_availability": (THREE_NINES,),
    "rightsizing": (STATELESS, SCALES_UP, HALF_IS_ENOUGH),
    "oversubscription": (TOLERATES_DELAY,),
    "region_agnostic": (ANY_REGION, NO_RESIDENCY),
    "autoscaling": (STATELESS, SCALES_OUT, MAY_WAIT_TO_START),
    "overclocking": (STATELESS, SCALES_OUT),
    "underclocking": (TOLERATES_DELAY,),
    "non_preprovisioning": (MAY_WAIT_TO_START,),
}
CLAUSES: Final = tuple(dict.fromkeys(clause for each in TREATMENTS for clause in CONDITIONS[each.name]))


def codes(hints: Mapping[str, Floats], fits: Bools) -> Ints:
    """Return which clauses hold of each VM, shape N, as a sum of powers of two in the order of CLAUSES.

    ``hints`` are the values in force (N) by key, ``fits`` says where half of the cores would be enough.
    """
    found = np.zeros(len(fits), dtype=np.uint16)
    for index, clause in enumerate(CLAUSES):
        met = fits if clause.key == FITS else clause.holds(hints[clause.key])
        found |= met * np.uint16(1 << index)
    return found.astype(np.int64)


@cache
def eligible_by_code() -> Ints:
    """Return the optimisations, a sum of powers of two, whose clauses all hold, for every code."""
    code = np.arange(1 << len(CLAUSES))
    found = np.zeros(len(code), dtype=np.int64)
    for index, each in enumerate(TREATMENTS):
        needs = sum(1 << CLAUSES.index(clause) for clause in CONDITIONS[each.name])
        found |= ((code & needs) == needs).astype(np.int64) << index
    return found


@cache
def reason_by_code() -> Ints:
    """Return why each optimisation is not open to a VM, shape (codes, T), by its first clause that does not hold; 0 where it is open."""
    code = np.arange(1 << len(CLAUSES))
    found = np.zeros((len(code), len(TREATMENTS)), dtype=np.int64)
    for index, each in enumerate(TREATMENTS):
        for clause in reversed(CONDITIONS[each.name]):
            found[(code >> CLAUSES.index(clause)) & 1 == 0, index] = clause.reason
    return found


def missing(hints: Mapping[str, float], treatment: str, fits: bool = True) -> tuple[Clause, ...]:
    """Return what does not hold for an optimisation; a key that is not said has its conservative default.

    >>> [clause.key for clause in missing({"preemptible": 1.0, "availability_nines": 2.0}, "harvest")]
    ['scale_up_down', 'delay_tolerance_s']
    """

    def met(clause: Clause) -> bool:
        if clause.key == FITS:
            return fits
        said = hints.get(clause.key, keys.KEYS[keys.INDEX[clause.key]].default)
        return bool(clause.holds(np.asarray(said)))

    return tuple(clause for clause in CONDITIONS[treatment] if not met(clause))
