"""How many kinds of VMs a provider has to list, before and after hints."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from twin.workloads.negotiation.treatments import TREATMENTS, clashes


@dataclass(frozen=True, slots=True)
class Offering:
    """A price list: VM types, and the decorations that each type comes with (a plain VM is one)."""

    types: int
    decorations: int

    @property
    def listed(self) -> int:
        """Return the lines of the price list."""
        return self.types * self.decorations


@dataclass(frozen=True, slots=True)
class Simplification:
    """What one list of plain VMs, treated by their hints, replaces.

    ``used`` lists every combination of treatments that VMs of a run had, ``possible`` every one that a VM may have.
    """

    used: Offering
    possible: Offering
    after: Offering


def combinations() -> int:
    """Return how many combinations of treatments a VM may have, none included.

    >>> combinations()
    146
    """
    return int(np.count_nonzero(~clashes(np.arange(1 << len(TREATMENTS)))))


def simplification(tables: Mapping[str, pl.LazyFrame]) -> Simplification | None:
    """Return the offering that a run shows: types are distinct sizes of VMs that negotiate, decorations the treatments they had.

    The same VMs with the same treatments would need such a list if nobody could hint. None where nobody negotiates.
    """
    if "vm_bills" not in tables or "vms" not in tables:
        return None
    bills = tables["vm_bills"].select(pl.col("vm_id").cast(pl.String), "granted")
    decorations = len({0, *bills.select(pl.col("granted").unique()).collect()["granted"].to_list()})
    size = ("gpus", "vcpus", "memory_bytes")
    sizes = tables["vms"].join(bills.select("vm_id").unique(), on="vm_id", how="semi").select(size).unique().collect()
    types = sizes.height
    return Simplification(Offering(types, decorations), Offering(types, combinations()), Offering(types, 1))
