"""A site of 30 hosts and what stood on it for two days: VMs that come and go, some hosts busier than others."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from twin.memory.demand import HostEvents, HostVms, PastDemand
from twin.memory.levers import TopologyObservation
from twin.memory.settings import Settings

GIB = 1 << 30
SPAN_S = 172_800.0


def _past(hosts: int, seed: int = 3, hours: float = 6.0, vms: int = 60) -> PastDemand:
    """Return VMs of 2 to 16 GiB on so many hosts, ``vms`` a host over two days, each for up to twice ``hours``."""
    rng = np.random.default_rng(seed)
    count = vms * hosts
    begin_s = rng.uniform(0.0, SPAN_S, count).round()
    end_s = begin_s + rng.uniform(600.0, 7200.0 * hours, count).round()
    host, gib = rng.integers(0, hosts, count), rng.choice([2, 4, 8, 16], count)
    t_s, vm, begins = np.concatenate([begin_s, end_s]), np.tile(np.arange(count), 2), np.repeat([True, False], count)
    order = np.lexsort([vm, begins, t_s])
    order = order[t_s[order] <= SPAN_S]
    events = HostEvents(t_s[order], vm[order], host[vm[order]], begins[order])
    return PastDemand(hosts, HostVms(gib * GIB, np.ones(count, dtype=np.int64), np.zeros(count)), events, SPAN_S)


@pytest.fixture(scope="session")
def past_of() -> Callable[..., PastDemand]:
    """What stood on so many hosts."""
    return _past


@pytest.fixture(scope="session")
def seen() -> Callable[..., TopologyObservation]:
    """What a holder of topology sees; change the settings, the hosts or what stood on them."""

    def make(past: PastDemand | None = None, **settings: Any) -> TopologyObservation:
        stood = _past(30) if past is None else past
        ids = tuple(f"host-{number}" for number in range(1, stood.hosts + 1))
        return TopologyObservation(ids, np.arange(stood.hosts) // 16, Settings(**settings), lambda: stood)

    return make
