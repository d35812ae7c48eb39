"""The metrics of the negotiation, read off its tables."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import polars as pl
import pytest

from twin.clock import Clock, Window
from twin.metrics import METRICS, Asked, Scope
from twin.workloads.negotiation.tables import BILLS, NOTICES
from twin.workloads.negotiation.treatments import MA, SPOT
from twin.workloads.readings import READINGS

HOUR_S = 3600.0
DAY_S = 86400.0
CLOCK = Clock.of(datetime.fromisoformat("2025-07-01"), "UTC")
Tables = dict[str, pl.DataFrame]
Make = Callable[..., Any]


def _read(name: str, tables: Tables, span_s: float = DAY_S, scope: tuple[Scope, ...] = (), window: Window | None = None) -> float | None:
    asked = Asked({key: frame.lazy() for key, frame in tables.items()}, CLOCK, span_s, scope, window)
    return READINGS[f"workloads.{name}"](asked)


def _bill(t_s: float, workload: str, regular: float = 10.0, billed: float = 10.0, broken: float = 0.0) -> dict[str, Any]:
    plain = {"vm_hours": 4.0, "core_hours": 16.0, "carbon_kg": 1.0, "regular_carbon_kg": 1.0, "away_vm_hours": 0.0}
    return {"t_s": t_s, "workload_id": workload, "regular_usd": regular, "billed_usd": billed, "broken_vm_hours": broken, **plain}


def _notice(t_s: float, workload: str = "web", kind: str = "eviction", outcome: str = "done", honoured: bool = True) -> dict[str, Any]:
    times = {"sent_s": t_s - 40.0, "reached_s": t_s - 39.9, "due_s": t_s, "lead_s": 30.0, "answered_s": float("nan"), "message_id": 1}
    event_s = t_s if outcome == "done" else float("nan")
    words = {"vm_id": "vm-1", "cause": "capacity", "answer": "ignored"}
    return {
        "t_s": t_s,
        "event_s": event_s,
        "workload_id": workload,
        "kind": kind,
        "outcome": outcome,
        "honoured": honoured,
        **times,
        **words,
    }


def _tables(bills: list[dict[str, Any]], notices: list[dict[str, Any]] | None = None) -> Tables:
    tables = {"bills": pl.DataFrame(bills, schema=BILLS.schema())}
    return tables if notices is None else {**tables, "notices": pl.DataFrame(notices, schema=NOTICES.schema())}


def _workload(name: str) -> tuple[Scope, ...]:
    return (Scope("workload", name),)


def test_every_metric_of_the_vocabulary_is_read() -> None:
    assert set(READINGS) == {name for name in METRICS if name.startswith("workloads.")}


def test_a_run_without_a_negotiation_holds_no_evidence() -> None:
    assert all(_read(name.removeprefix("workloads."), {}) is None for name in READINGS)


def test_the_price_cut_is_weighted_by_what_is_sold() -> None:
    tables = _tables([_bill(HOUR_S, "web", 90.0, 90.0), _bill(HOUR_S, "batch", 10.0, 1.0)])
    assert _read("price_cut_share", tables) == pytest.approx(0.09)
    assert _read("price_cut_share", tables, scope=_workload("batch")) == pytest.approx(0.9)
    assert _read("price_cut_share", tables, scope=(*_workload("batch"), *_workload("web"))) == pytest.approx(0.09)


def test_opaque_vms_cut_no_price_at_all() -> None:
    assert _read("price_cut_share", _tables([_bill(hour * HOUR_S, "web", 0.1 * hour, 0.1 * hour) for hour in range(1, 25)])) == 0.0


def test_a_workload_without_vms_and_a_scope_of_another_kind_hold_no_evidence() -> None:
    tables = _tables([_bill(HOUR_S, "web")], [_notice(100.0)])
    for name in READINGS:
        assert _read(name.removeprefix("workloads."), tables, scope=_workload("nobody")) is None
        assert _read(name.removeprefix("workloads."), tables, scope=(Scope("row", "row-1"),)) is None


def test_a_window_takes_the_part_of_each_hour_that_lies_in_it() -> None:
    tables = _tables([_bill(HOUR_S, "web", 10.0, 10.0), _bill(2 * HOUR_S, "web", 10.0, 5.0), _bill(3 * HOUR_S, "web", 10.0, 0.0)])
    assert _read("price_cut_share", tables, window=Window.of("01:00", "02:00")) == pytest.approx(0.5)
    assert _read("price_cut_share", tables, window=Window.of("01:30", "03:00")) == pytest.approx((2.5 + 10.0) / 15.0)
    assert _read("price_cut_share", tables, window=Window.of("00:10", "00:20")) == 0.0
    assert _read("price_cut_share", tables, window=Window.of("05:00", "06:00")) is None


def test_a_last_part_of_an_hour_is_in_the_window_of_its_own_time() -> None:
    tables = _tables([_bill(HOUR_S, "web"), _bill(1.5 * HOUR_S, "web", 5.0, 1.0)])
    assert _read("price_cut_share", tables, window=Window.of("01:00", "01:30")) == pytest.approx(0.8)
    assert _read("price_cut_share", tables, window=Window.of("01:30", "02:00")) is None


def test_evictions_are_counted_per_day_where_they_were_carried_out() -> None:
    notices = [
        _notice(100.0),
        _notice(200.0, "batch"),
        _notice(300.0, outcome="withdrawn"),
        _notice(400.0, kind="power_emergency"),
        _notice(5000.0),
    ]
    tables = _tables([_bill(HOUR_S, "web"), _bill(HOUR_S, "batch"), _bill(2 * HOUR_S, "web")], notices)
    assert _read("evictions", tables) == 3.0
    assert _read("evictions", tables, span_s=2 * HOUR_S) == 36.0
    assert _read("evictions", tables, scope=_workload("batch")) == 1.0
    assert _read("evictions", tables, window=Window.of("01:00", "02:00")) == 1.0


def test_a_negotiation_without_notices_has_no_evictions_and_honours_none() -> None:
    tables = _tables([_bill(HOUR_S, "web")])
    assert _read("evictions", tables) == 0.0
    assert _read("notices_honoured_share", tables) is None


def test_broken_vm_hours_are_counted_per_day() -> None:
    tables = _tables([_bill(HOUR_S, "web", broken=1.0), _bill(2 * HOUR_S, "web", broken=2.5), _bill(2 * HOUR_S, "batch")])
    assert _read("broken_requirements", tables, span_s=2 * HOUR_S) == pytest.approx(42.0)
    assert _read("broken_requirements", tables) == pytest.approx(3.5)
    assert _read("broken_requirements", tables, scope=_workload("batch")) == 0.0
    assert _read("broken_requirements", tables, window=Window.of("00:00", "01:00")) == pytest.approx(1.0)


def test_notices_are_honoured_by_the_lead_before_their_event_and_withdrawn_ones_say_nothing() -> None:
    notices = [
        _notice(100.0),
        _notice(200.0, honoured=False),
        _notice(300.0, outcome="withdrawn"),
        _notice(4000.0),
        _notice(4100.0, "batch"),
    ]
    tables = _tables([_bill(HOUR_S, "web"), _bill(2 * HOUR_S, "web"), _bill(2 * HOUR_S, "batch")], notices)
    assert _read("notices_honoured_share", tables) == pytest.approx(0.75)
    assert _read("notices_honoured_share", tables, scope=_workload("web")) == pytest.approx(2 / 3)
    assert _read("notices_honoured_share", tables, window=Window.of("01:00", "02:00")) == 1.0


def test_metrics_are_read_off_what_bills_write(till: Make, tenants_of: Make) -> None:
    tenants = tenants_of(6)
    shop = till(tenants, broken=(1,)).go(2 * HOUR_S, granted=[MA, SPOT, 0, 0, 0, 0])
    tables = shop.tables()
    usd = tenants.usd_per_h
    assert _read("price_cut_share", tables, 2 * HOUR_S) == pytest.approx(0.4 * usd[0] / usd.sum())
    assert _read("price_cut_share", tables, 2 * HOUR_S, _workload("web")) == pytest.approx(0.4 * usd[0] / (usd[0] + usd[3]))
    assert _read("broken_requirements", tables, 2 * HOUR_S) == pytest.approx(24.0)
    assert _read("broken_requirements", tables, 2 * HOUR_S, _workload("web")) == 0.0
