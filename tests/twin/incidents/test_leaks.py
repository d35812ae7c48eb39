"""Memory of instances: leaks fill it in the stated time, collections cost, killed instances start anew."""

import numpy as np
import pytest

from twin.incidents.callgraph import graph
from twin.incidents.leaks import Memory, collecting, pauses
from twin.incidents.settings import Settings

HOSTS = ("host-1", "host-2")


def _memory(seed: int = 1) -> Memory:
    held = Settings(services=({"id": "web", "hosts": HOSTS}, {"id": "api", "hosts": HOSTS[:1]}))  # type: ignore[arg-type]
    return Memory(graph(held, HOSTS, (), ()), HOSTS, seed)


def test_collections_cost_as_live_over_free_memory() -> None:
    assert collecting(np.array([0.5]))[0] == pytest.approx(0.02)
    cost = collecting(np.linspace(0.0, 1.2, 50))
    assert (np.diff(cost) >= 0.0).all()
    assert np.isfinite(cost).all()


def test_pauses_begin_where_collections_are_of_all_memory() -> None:
    """At nine tenths of 4 GiB an eighth of the time is spent in pauses of 0.9 s: 60 ms on average."""
    held = np.array([0.4, 0.6, 0.9])
    first, second = pauses(held, np.full(3, float(4 << 30)))
    assert first[:2].tolist() == [0.0, 0.0]
    full = 0.18 - 0.03
    assert first[2] == pytest.approx(full / (1 + full) * 0.9 / 2)
    assert second[2] == pytest.approx(full / (1 + full) * 0.9**2 / 3)


def test_a_leak_fills_an_instance_in_about_its_time() -> None:
    memory, none = _memory(), np.zeros(3)
    first = memory.held_share.copy()
    killed_at = np.full(3, np.inf)
    for minute in range(1, 121):
        kept = memory.keep(60.0, np.array([1 / 3600.0, 0.0]), none, none)
        killed_at = np.where(kept.killed & np.isinf(killed_at), minute * 60.0, killed_at)
    assert np.isinf(killed_at[2])
    assert killed_at[:2] == pytest.approx((1.0 - first[:2]) * 3600.0, rel=0.25)


def test_who_was_killed_is_down_and_begins_with_what_it_held_first() -> None:
    memory, none = _memory(), np.zeros(3)
    first = memory.held_share.copy()
    memory.keep(60.0, np.array([1 / 60.0, 0.0]), none, none)
    assert memory.up_share(60.0).tolist() == [0.25, 0.25, 1.0]
    assert memory.keep(60.0, np.zeros(2), none, none).held_share == pytest.approx(first)
    assert memory.up_share(60.0).tolist() == [1.0, 1.0, 1.0]


def test_waiting_requests_hold_memory() -> None:
    memory, none = _memory(), np.zeros(3)
    empty = memory.keep(60.0, np.zeros(2), none, none).held_share
    full = memory.keep(60.0, np.zeros(2), none, np.array([65_536.0, 0.0, 0.0])).held_share
    assert full - empty == pytest.approx([65_536 * 8192 / (4 << 30), 0.0, 0.0])
