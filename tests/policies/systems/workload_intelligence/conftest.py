"""VMs as a holder of offers sees them: on four hosts of two rows and on servers, nothing short; change what the test is about."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from policies.system import Surroundings
from policies.systems.workload_intelligence.knobs import WorkloadIntelligenceKnobs
from policies.systems.workload_intelligence.policy import WorkloadIntelligence
from twin.workloads.levers import OffersAction, OffersObservation, Spare
from twin.workloads.negotiation import keys

HOSTS, VCPUS, GIB = 4, 64, 1 << 30
WILLING = {
    "stateless": 2.0,
    "scale_out_in": 1.0,
    "scale_up_down": 1.0,
    "deploy_time_s": 600.0,
    "availability_nines": 2.0,
    "preemptibility_share": 1.0,
    "preemptible": 1.0,
    "delay_tolerance_s": 3600.0,
    "region_independence": 2.0,
}


def _seen(count: int = 8, hints: dict[str, Any] | None = None, spare: dict[str, Any] | None = None, **changes: Any) -> OffersObservation:
    said = {key.name: np.full(count, key.default) for key in keys.KEYS}
    for name, value in (hints or {}).items():
        said[name] = np.broadcast_to(np.asarray(value, dtype=np.float64), (count,)).copy()
    none = np.zeros(count, dtype=np.int64)
    place = np.arange(count) % HOSTS
    calm = {
        "t_s": 0.0,
        "tick_s": 60.0,
        "workload_ids": ("one",),
        "vm": np.arange(count),
        "workload": none,
        "deployment": none,
        "pool": none,
        "place": place,
        "row": place // 2,
        "cores": np.full(count, 8),
        "memory_bytes": np.full(count, 32 * GIB),
        "arrive_s": np.arange(count, dtype=np.float64),
        "hints": said,
        "granted": none,
        "size_share": np.ones(count),
        "clock_share": np.ones(count),
        "running": np.ones(count, dtype=np.bool_),
        "moved": np.zeros(count, dtype=np.bool_),
        "noticed": np.zeros(count, dtype=np.bool_),
        "declined": np.zeros(count, dtype=np.bool_),
        "busy_share": np.full(count, 0.3),
        "peak_share": np.full(count, 0.4),
        "power_w": np.full(count, 40.0),
        "changed": np.ones(count, dtype=np.bool_),
        "surplus_unlimited": False,
    }
    seen = {**calm, **changes}
    seen.setdefault("deployment_vms", np.bincount(seen["deployment"]))
    left = {
        "total_cores": np.array([HOSTS * VCPUS, 0.0]),
        "reserve_cores": np.zeros(2),
        "coming_cores": np.zeros(2),
        "host_free_vcpus": np.full(HOSTS, float(VCPUS)) - np.bincount(place, weights=np.full(count, 8.0), minlength=HOSTS),
        "host_idle_vcpus": np.zeros(HOSTS),
        "host_free_memory_bytes": np.full(HOSTS, 256.0 * GIB),
        "row_power_w": np.full(2, 1_000.0),
        "row_budget_w": np.full(2, 4_000.0),
        "carbon_kg_per_kwh": 0.3,
    }
    return OffersObservation(**seen, spare=Spare(**{**left, **(spare or {})}))


@pytest.fixture(scope="session")
def seen() -> Callable[..., OffersObservation]:
    """What a holder of offers sees; ``hints`` and ``spare`` change some of those."""
    return _seen


@pytest.fixture(scope="session")
def willing() -> dict[str, float]:
    """Hints of a VM that lets everything be done with it."""
    return dict(WILLING)


@pytest.fixture(scope="session")
def holder(around: Surroundings) -> Callable[..., WorkloadIntelligence]:
    """Make a holder with some knobs."""
    return lambda **knobs: WorkloadIntelligence(WorkloadIntelligenceKnobs(**knobs), around)


@pytest.fixture(scope="session")
def after() -> Callable[..., OffersObservation]:
    """What is seen a tick after an action: everything that was asked for has been done."""

    def make(seen: OffersObservation, action: OffersAction, seconds: float = 60.0, **changes: Any) -> OffersObservation:
        done = {
            "t_s": seen.t_s + seconds,
            "granted": action.granted,
            "size_share": action.size_share,
            "clock_share": action.clock_share,
            "running": action.take == 0,
            "power_w": np.where(action.take == 0, np.maximum(seen.power_w, 40.0), 0.0),
        }
        return replace(seen, **{**done, **changes})

    return make
