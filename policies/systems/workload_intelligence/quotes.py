"""What a workload of such hints would be billed, what would lower it."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from policies.systems.workload_intelligence.conditions import FITS, Clause, codes, eligible_by_code, missing
from policies.systems.workload_intelligence.grants import Choice
from policies.systems.workload_intelligence.tariff import number
from twin.workloads.negotiation import keys
from twin.workloads.negotiation.classes import Levels, WorkloadClass
from twin.workloads.negotiation.hint import joined
from twin.workloads.negotiation.savings import saved_shares
from twin.workloads.negotiation.saying import Saying
from twin.workloads.negotiation.settings import Hints, Settings, Tenant
from twin.workloads.negotiation.store import Store
from twin.workloads.negotiation.tenants import Tenants
from twin.workloads.negotiation.treatments import TREATMENTS, discounts

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_MARKS: Final = 4
_COVERED, _UNCOVERED = 0.0, 0.999999
_NEVER_S: Final = 1e12


@dataclass(frozen=True, slots=True)
class Quote:
    """The price of a workload over the regular one, with unlimited surplus.

    ``saved_share`` is what each treatment takes off, in the order of application: together 1 less the price. ``covered_share`` is
    the part of the VMs that has it. ``missing`` names what all of its VMs lack for it, empty where some have it or could.
    """

    price_share: float
    saved_share: Mapping[str, float]
    covered_share: Mapping[str, float]
    missing: Mapping[str, tuple[Clause, ...]]


def quote(
    levels: Levels | Mapping[str, int],
    hints: Mapping[str, Any] | None = None,
    *,
    partial_share: float | None = None,
    taken_off: Mapping[str, float] | None = None,
    fitting_share: float = 0.5,
) -> Quote:
    """Return what a workload of such levels pays, with the hints that its scenario writes over those of its class.

    Its VMs are told apart by what partial hints cover, and by whether half of their cores is enough (``fitting_share`` of them);
    each kind is treated by the very conditions of a run. Raises ValueError, one line, for a hint that is none.

    >>> quote({"preemption": 2, "availability": 2}).price_share.__round__(6)
    0.15
    >>> quote({}).price_share
    1.0
    """
    asked = levels if isinstance(levels, Levels) else Levels(**levels)
    part = number("hints", "partial_share") if partial_share is None else partial_share
    off = {**discounts(), **(taken_off or {})}
    weight, fits, values = _kinds(asked, dict(hints or {}), part, fitting_share)
    granted = Choice(off).best[eligible_by_code()[codes(values, fits)]]
    saved = saved_shares(granted, off) @ weight
    has = [float(weight @ ((granted >> index) & 1)) for index in range(len(TREATMENTS))]
    return Quote(
        price_share=float(1.0 - saved.sum()),
        saved_share={each.name: float(saved[index]) for index, each in enumerate(TREATMENTS)},
        covered_share={each.name: has[index] for index, each in enumerate(TREATMENTS)},
        missing={each.name: _lacking(values, each.name) for each in TREATMENTS},
    )


def _kinds(levels: Levels, hints: dict[str, Any], part: float, fitting: float) -> tuple[Floats, NDArray[np.bool_], dict[str, Floats]]:
    """Return how many VMs are of each kind (shares), which of them fit, and the hints in force of each."""
    covered = np.array(list(product((True, False), repeat=_MARKS)))
    fits = np.repeat([True, False], len(covered))
    marks = np.where(np.tile(covered, (2, 1)), _COVERED, _UNCOVERED)
    weight = np.tile(np.where(covered, part, 1.0 - part).prod(axis=1), 2) * np.where(fits, fitting, 1.0 - fitting)
    workload = WorkloadClass(id="asked", title="asked", share=1.0, levels=levels)
    tenant = Tenant(id="asked", workload_class="asked", deployments=1, hints=Hints(**hints))
    tenants = _tenants(marks)
    # Marks tell the covered from the others at any share in between.
    saying = Saying(tenants, Settings(tenants=(tenant,), partial_share=min(max(part, 1e-9), 0.999)), {"asked": workload}, 0.0, 0)
    store = Store(tenants)
    store.put(joined([saying.templates(), saying.born(np.arange(len(marks)), 0.0)]))
    return weight, fits, dict(zip(keys.INDEX, store.in_force(), strict=True))


def _tenants(marks: Floats) -> Tenants:
    """Return one deployment of VMs with such marks."""
    count = len(marks)
    none, one = np.zeros(count, dtype=np.int64), np.ones(count, dtype=np.int64)
    return Tenants(
        workload_ids=("asked",),
        deployment_ids=("asked-1",),
        class_id=("asked",),
        agent=("silent",),
        vm_ids=lambda: tuple(f"vm-{number}" for number in range(count)),
        outer=np.arange(count),
        pool=none,
        workload=none,
        deployment=none,
        deployment_workload=np.zeros(1, dtype=np.int64),
        cores=one,
        memory_bytes=one,
        arrive_s=np.zeros(count),
        end_s=np.full(count, _NEVER_S),
        mean_share=np.zeros(count),
        peak_share=np.zeros(count),
        usd_per_h=np.ones(count),
        marks=np.pad(marks, ((0, 0), (0, 8 - _MARKS))),
    )


def _lacking(values: Mapping[str, Floats], treatment: str) -> tuple[Clause, ...]:
    """Return what no kind of VM has of an optimisation's conditions; the shortest list over kinds."""
    count = len(next(iter(values.values())))
    kinds = (missing({name: float(each[kind]) for name, each in values.items()}, treatment) for kind in range(count))
    return min((tuple(clause for clause in kind if clause.key != FITS) for kind in kinds), key=len)
