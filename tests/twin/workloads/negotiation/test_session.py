"""A session of a program outside, kept and replayed."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.store import states
from twin.store.importers import import_file
from twin.workloads.negotiation import hint, keys, notices
from twin.workloads.negotiation.bus import Bus
from twin.workloads.negotiation.outside import SCHEMA, checked
from twin.workloads.negotiation.session import Recording, Replay, beyond, replay
from twin.workloads.negotiation.store import Store
from twin.workloads.negotiation.tenants import Tenants

Few = Callable[..., Tenants]
DEPLOYMENT, VM = 1, 2


@pytest.fixture
def session() -> Recording:
    """Four hints and two answers of a program that renders."""
    said = Recording()
    said.hint(5.0, "deployment", "part-1", "preemptibility_share", 0.5)
    said.hint(5.0, "deployment", "part-1", "stateless", "partial")
    said.hint(60.0, "vm", "vm-3", "want_boost", True)
    said.answer(61.5, "vm", "vm-3", "eviction", "declined")
    said.hint(70.0, "vm", "vm-3", "want_boost", None)
    said.answer(90.0, "workload", "work-0", 17, "accepted")
    return said


def test_a_session_is_said_again_at_its_times(few: Few, session: Recording) -> None:
    again = Replay(session.frame(), few())
    first, answers = again.until(60.0)
    assert (first.t_s.tolist(), first.of.tolist(), first.value.tolist()) == ([5.0, 5.0, 60.0], [1, 1, 3], [0.5, 1.0, 1.0])
    assert first.scope.tolist() == [DEPLOYMENT, DEPLOYMENT, VM]
    assert [keys.KEYS[key].name for key in first.key] == ["preemptibility_share", "stateless", "want_boost"]
    assert (first.sayer == hint.OUTSIDE).all()
    assert len(answers) == 0
    last, answers = again.until(3600.0)
    assert np.isnan(last.value).tolist() == [True]
    assert (answers.t_s.tolist(), answers.of.tolist(), answers.scope.tolist()) == ([61.5, 90.0], [3, 0], [VM, 0])
    assert answers.notice.tolist() == [notices.INDEX["eviction"], -1]
    assert answers.message.tolist() == [-1, 17]
    assert answers.answer.tolist() == [notices.DECLINED, notices.ACCEPTED]
    assert [len(part) for part in again.until(7200.0)] == [0, 0]


def test_an_imported_session_says_the_same(few: Few, session: Recording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path))
    session.write(tmp_path / "monday.parquet")
    session.write(tmp_path / "again.parquet")
    assert (tmp_path / "monday.parquet").read_bytes() == (tmp_path / "again.parquet").read_bytes()
    report = import_file("hints-log", tmp_path / "monday.parquet", "monday", tmp_path)
    assert (report.rows, report.span_s) == (6, 85.0)
    assert report.notes == ("4 hints (1 taken back) and 2 answers of 3 VMs, deployments and workloads",)
    direct, kept = Replay(session.frame(), few()).until(1e9), replay("import:monday", few()).until(1e9)
    for one, two in zip(direct, kept, strict=True):
        assert all(np.array_equal(getattr(one, name), getattr(two, name), equal_nan=True) for name in one.__slots__)


def test_without_a_log_nothing_is_said(few: Few) -> None:
    assert [len(part) for part in replay("", few()).until(1e9)] == [0, 0]


@settings(max_examples=25, deadline=None)
@given(
    said=st.lists(st.tuples(st.integers(0, 40_000), st.integers(0, 6), st.sampled_from((0, 4, 7, 10, 14)), st.integers(1, 2)), max_size=60),
    edges=st.lists(st.integers(0, 40_000), max_size=5),
)
def test_a_replayed_session_leaves_the_store_as_the_session_did(few: Few, said: list[tuple[int, int, int, int]], edges: list[int]) -> None:
    tenants, recording = few(), Recording()
    live, live_bus = Store(tenants), Bus(tenants, 1)
    told = [(tick / 10.0, of, key, min(value, int(keys.KEYS[key].high))) for tick, of, key, value in sorted(said)]
    for t_s, of, key, value in told:
        recording.hint(t_s, "vm", f"vm-{of}", keys.KEYS[key].name, value)
        one = (np.array([column]) for column in (t_s, VM, of, key, float(value), hint.OUTSIDE))
        live_bus.send(hint.Hints(*one))
    live.put(live_bus.due(np.inf)[0])
    again, store, bus = Replay(recording.frame(), tenants), Store(tenants), Bus(tenants, 1)
    for until_s in [*sorted(edge / 10.0 for edge in edges), 1e6]:
        bus.send(again.until(until_s)[0])
        store.put(bus.due(until_s)[0])
    assert np.array_equal(store.in_force(), live.in_force())
    assert [store.said_of(VM, of) for of in range(7)] == [live.said_of(VM, of) for of in range(7)]


def test_a_replay_goes_on_from_a_snapshot(few: Few, session: Recording) -> None:
    first, second = Replay(session.frame(), few()), Replay(session.frame(), few())
    second.restore(states.unpack(states.pack(second.snapshot())))
    assert len(second.until(5.0)[0]) == 2
    first.until(60.0)
    second.restore(states.unpack(states.pack(first.snapshot())))
    assert second.until(1e9)[0].t_s.tolist() == [70.0]


@pytest.mark.parametrize(
    ("scope", "of_id", "said"),
    [
        ("vm", "vm-33", "row 1, column of_id: no vm is called 'vm-33'; did you mean vm-3"),
        ("workload", "rendering", "row 1, column of_id: no workload is called 'rendering'; there are: work-0, work-1$"),
        ("deployment", "vm-3", "no deployment is called 'vm-3'; there are: part-0"),
    ],
)
def test_a_log_of_another_site_is_refused_by_name(few: Few, scope: keys.Scope, of_id: str, said: str) -> None:
    log = Recording()
    log.hint(1.0, scope, of_id, "stateless", "full")
    with pytest.raises(ValueError, match=said):
        Replay(log.frame(), few(), "hints-log monday")


def test_a_recording_refuses_what_no_log_may_hold(session: Recording) -> None:
    for wrong, said in (
        (lambda: session.hint(1.0, "vm", "vm-1", "steteless", "full"), "hint 'steteless' is unknown; did you mean stateless"),
        (lambda: session.hint(1.0, "vm", "vm-1", "availability_nines", 9), "availability_nines: '9' is not a number from 1 to 6"),
        (lambda: session.hint(-1.0, "vm", "vm-1", "stateless", "full"), "session: row 1, column t_s: the value is '-1.0'"),
        (lambda: session.hint(1.0, "vm", "", "stateless", "full"), "column of_id: the value is missing"),
        (
            lambda: session.answer(1.0, "vm", "vm-1", "evictions", "accepted"),
            "column notice: the value is 'evictions'; write a",
        ),
        (lambda: session.answer(1.0, "vm", "vm-1", "eviction", "maybe"), "column answer: the value is 'maybe'"),  # type: ignore[arg-type]
    ):
        with pytest.raises(ValueError, match=said):
            wrong()
    assert len(session) == 6


def test_rows_are_brought_into_the_order_of_time_and_keep_it_within_one() -> None:
    row = {"what": "hint", "scope": "vm", "of_id": "vm-1", "key": "vm_priority"}
    frame = pl.DataFrame([{"t_s": t_s, **row, "value": value} for t_s, value in ((9, 1), (3, 2), (9, 3), (3, 4))])
    assert checked(frame, "log")["value"].to_list() == [2.0, 4.0, 1.0, 3.0]
    assert checked(frame, "log").schema == pl.Schema(SCHEMA)
    assert checked(checked(frame, "log"), "log").equals(checked(frame, "log"))


def test_times_and_values_come_back_to_the_last_bit(few: Few) -> None:
    t_s = np.sort(np.random.default_rng(2).uniform(0.0, 86_400.0, 500))
    frame = pl.DataFrame({"t_s": t_s, "value": t_s / 86_400.0}).with_columns(
        what=pl.lit("hint"), scope=pl.lit("vm"), of_id=pl.lit("vm-1"), key=pl.lit("load_forecast_share")
    )
    said, _ = Replay(frame, few()).until(1e9)
    assert np.array_equal(said.t_s, t_s)
    assert np.array_equal(said.value, t_s / 86_400.0)


def test_rows_that_come_when_the_run_has_ended_are_counted(session: Recording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path))
    session.write(tmp_path / "monday.parquet")
    import_file("hints-log", tmp_path / "monday.parquet", "monday", tmp_path)
    times_s = session.frame()["t_s"].to_list()
    last_s = max(times_s)
    assert beyond("import:monday", last_s + 1.0) == (0, len(times_s))
    assert beyond("import:monday", last_s) == (times_s.count(last_s), len(times_s)), "a run ends before its last moment"
    assert beyond("", last_s) == (0, 0)
