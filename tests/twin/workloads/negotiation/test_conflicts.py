"""Hints that were not taken."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from twin.tables import Sink
from twin.workloads.negotiation.conflicts import Conflicts
from twin.workloads.negotiation.hint import Hints
from twin.workloads.negotiation.keys import INDEX

Make = Callable[..., Any]
WORKLOAD, DEPLOYMENT, VM = 0, 1, 2


def _hints(said: Sequence[tuple[int, int, str]]) -> Hints:
    scope, of = (np.array([each[index] for each in said], dtype=np.int64) for index in (0, 1))
    key = np.array([INDEX[each[2]] for each in said])
    return Hints(np.zeros(len(said)), scope, of, key, np.ones(len(said)), np.ones(len(said), dtype=np.int64))


def _written(tenants: Any, *books: Conflicts) -> list[tuple[Any, ...]]:
    sink = Sink({"tenant": tenants.workload_ids})
    for book in books:
        book.write(sink)
    frames = sink.frames()
    return frames["hint_conflicts"].rows() if frames else []


def test_trouble_is_counted_by_workload_key_and_kind_and_the_first_is_named(tenants_of: Make) -> None:
    tenants = tenants_of(6)
    book = Conflicts(tenants)
    # VM 4 is of the second workload, and so are the deployment 2 and the workload 1.
    book.note("stale", _hints([(VM, 4, "preemptible"), (WORKLOAD, 1, "preemptible"), (VM, 0, "preemptible")]))
    book.note("stale", _hints([(DEPLOYMENT, 2, "preemptible"), (VM, 4, "want_boost")]))
    book.note("limited", _hints([(VM, 4, "want_boost")] * 5))
    book.advance(299.0)
    assert _written(tenants, book) == []
    book.advance(301.0)
    assert sorted(_written(tenants, book), key=str) == sorted(
        [
            (300.0, "web", "preemptible", "stale", 1, "vm-0"),
            (300.0, "batch", "preemptible", "stale", 3, "vm-4"),
            (300.0, "batch", "want_boost", "stale", 1, "vm-4"),
            (300.0, "batch", "want_boost", "limited", 5, "vm-4"),
        ],
        key=str,
    )


def test_every_five_minutes_begin_anew(tenants_of: Make) -> None:
    tenants = tenants_of(6)
    book = Conflicts(tenants)
    for t_s, deployment in ((300.0, 3), (600.0, 2)):
        book.note("flapping", _hints([(DEPLOYMENT, deployment, "stateless")]))
        book.advance(t_s)
    assert [row[::5] for row in _written(tenants, book)] == [(300.0, "batch/2"), (600.0, "batch/1")]


def test_no_trouble_leaves_no_rows(tenants_of: Make) -> None:
    tenants = tenants_of(3)
    book = Conflicts(tenants)
    book.note("stale", _hints([]))
    book.advance(900.0)
    book.close(1000.0)
    assert _written(tenants, book) == []


def test_what_is_counted_survives_a_snapshot(tenants_of: Make) -> None:
    tenants = tenants_of(6)
    whole = Conflicts(tenants)
    whole.note("stale", _hints([(VM, 1, "preemptible")]))
    whole.advance(300.0)
    whole.note("limited", _hints([(VM, 5, "want_boost")]))
    resumed = Conflicts(tenants)
    resumed.restore(whole.snapshot())
    for book in (whole, resumed):
        book.note("limited", _hints([(VM, 2, "want_boost")]))
        book.close(400.0)
    rows = _written(tenants, resumed)
    assert rows == _written(tenants, whole)
    assert [row[4:] for row in rows] == [(1, "vm-1"), (2, "vm-5")]
