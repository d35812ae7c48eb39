"""Rows of an hour: bills by workload and VM, and who got which offer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twin.tables import Sink
from twin.workloads.levers import REASONS
from twin.workloads.negotiation.keys import KEYS
from twin.workloads.negotiation.savings import saved_shares
from twin.workloads.negotiation.tables import BILLS, OFFERS, VM_BILLS
from twin.workloads.negotiation.tenants import Tenants
from twin.workloads.negotiation.treatments import TREATMENTS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Columns = dict[str, NDArray[np.generic]]
GRANTED, BETTER, MISSING, SHORT, FORBIDDEN = range(len(REASONS))
# A reason is an index of REASONS plus 8 times one more than the index of a hint key; so many there can be.
_STATES: Final = 8
_CODES: Final = _STATES * (len(KEYS) + 1)
_UNSAID: Final = -1


@dataclass(frozen=True, slots=True)
class Hour:
    """Stretches of VMs under one treatment within an hour that ends at ``t_s``, shape M; a VM may have several.

    ``hours`` are those in which it had a place, ``ran`` those of them in which it was not away. ``why`` (M, T) is -1 where the
    holder says nothing, ``broken`` True where a requirement of the VM was violated in the hour.
    """

    t_s: float
    vm: Ints
    granted: Ints
    hours: Floats
    ran: Floats
    why: Ints
    broken: Bools


def columns(hour: Hour, tenants: Tenants, taken_off: Mapping[str, float], carbon_kg: Floats) -> dict[str, Columns]:
    """Return the hour's rows of each table, with numbers in the place of names. ``carbon_kg`` (2, W): as it was, as opaque VMs."""
    regular_usd = tenants.usd_per_h[hour.vm] * hour.ran
    saved_usd = saved_shares(hour.granted, taken_off) * np.where(hour.broken, 0.0, regular_usd)
    billed_usd = regular_usd - saved_usd.sum(axis=0)
    bills = _bills(hour, tenants, regular_usd, billed_usd)
    chosen = bills["workload_id"].astype(np.int64)
    bills |= {"carbon_kg": carbon_kg[0, chosen], "regular_carbon_kg": carbon_kg[1, chosen]}
    return {
        BILLS.name: bills,
        VM_BILLS.name: _vm_bills(hour, tenants, regular_usd, billed_usd),
        OFFERS.name: _offers(hour, tenants, saved_usd),
    }


def _bills(hour: Hour, tenants: Tenants, regular_usd: Floats, billed_usd: Floats) -> Columns:
    whose, count = tenants.workload[hour.vm], len(tenants.workload_ids)
    counted = {
        "vm_hours": hour.hours,
        "core_hours": hour.ran * tenants.cores[hour.vm],
        "regular_usd": regular_usd,
        "billed_usd": billed_usd,
        "away_vm_hours": hour.hours - hour.ran,
        "broken_vm_hours": hour.hours * hour.broken,
    }
    sums = {name: np.bincount(whose, weights=each, minlength=count) for name, each in counted.items()}
    stood = np.flatnonzero(sums["vm_hours"])
    return {"t_s": np.full(len(stood), hour.t_s), "workload_id": stood, **{name: each[stood] for name, each in sums.items()}}


def _vm_bills(hour: Hour, tenants: Tenants, regular_usd: Floats, billed_usd: Floats) -> Columns:
    count = len(tenants)
    hours, regular, billed = (np.bincount(hour.vm, weights=each, minlength=count) for each in (hour.hours, regular_usd, billed_usd))
    last = np.zeros(count, dtype=np.int64)
    # Stretches come in the order of time: the last one stays.
    last[hour.vm] = hour.granted
    vm = np.flatnonzero(hours)
    return {
        "t_s": np.full(len(vm), hour.t_s),
        "vm_id": vm,
        "workload_id": tenants.workload[vm],
        "vm_hours": hours[vm],
        "regular_usd": regular[vm],
        "billed_usd": billed[vm],
        "granted": last[vm],
    }


def _offers(hour: Hour, tenants: Tenants, saved_usd: Floats) -> Columns:
    """Return rows by workload, treatment and reason. What is in force is granted, whatever a holder says of it."""
    whose, count = tenants.workload[hour.vm], len(tenants.workload_ids)
    parts: list[Columns] = []
    for index in range(len(TREATMENTS)):
        code = hour.why[:, index]
        has = (hour.granted & (1 << index)) != 0
        # A treatment that its holder grants and that is not in force was refused by the re-check of hints.
        code = np.where(has, GRANTED, np.where((code >= 0) & (code % _STATES == GRANTED), FORBIDDEN, code))
        said = code != _UNSAID
        cell = whose[said] * _CODES + code[said]
        hours, saved = (np.bincount(cell, weights=each[said], minlength=count * _CODES) for each in (hour.hours, saved_usd[index]))
        cells = np.flatnonzero(hours)
        code = cells % _CODES
        parts.append(
            {
                "workload_id": cells // _CODES,
                "optimisation": np.full(len(cells), index),
                "state": code % _STATES,
                "key": code // _STATES,
                "vm_hours": hours[cells],
                "saved_usd": saved[cells],
            }
        )
    rows: Columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return {"t_s": np.full(len(rows["state"]), hour.t_s), **rows}


_TABLES: Final = {table.name: table for table in (BILLS, VM_BILLS, OFFERS)}
_WORDS: Final = {
    "optimisation": np.array([each.name for each in TREATMENTS], dtype=object),
    "state": np.array(REASONS, dtype=object),
    "key": np.array(["", *(key.name for key in KEYS)], dtype=object),
}


def write(sink: Sink, table: str, rows: Columns) -> None:
    """Write rows with names in the place of numbers."""
    if len(rows["t_s"]):
        sink.append(_TABLES[table], {name: _WORDS[name][values] if name in _WORDS else values for name, values in rows.items()})
