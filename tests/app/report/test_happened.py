"""A change board reads which feeds tripped, who waited, and how many servers stand there."""

from datetime import UTC, datetime
from typing import Any

import polars as pl

from app.report.happened import happened
from app.shelf import Brief, StoredRun
from twin.clock import Clock

CLOCK = Clock(datetime(2026, 7, 14, 12, tzinfo=UTC))
LOST = [(3600.0, "plant", "ups_loss", "ups", "ups-1", 1.0), (7200.0, "plant", "ups_loss", "ups", "ups-1", 0.0)]


def _run(events: list[tuple[Any, ...]], waits: list[tuple[float, str]] | None = None, extra: int = 0) -> StoredRun:
    columns = ["t_s", "domain", "kind", "entity_kind", "entity_id", "value"]
    tables = {"events": pl.DataFrame(events, schema=columns, orient="row").lazy()} if events else {}
    if waits is not None:
        tables["vm_waits"] = pl.DataFrame(waits, schema={"waited_s": pl.Float64, "outcome": pl.String}, orient="row").lazy()
    manifest = {"tick_s": 10.0, "extra_servers": {"row-1": extra}, "entities": {"server": [f"s-{i}" for i in range(40 + extra)]}}
    return StoredRun("a", Brief("a", "site", "", 1, "p", True, CLOCK, 0.0, 14_400.0, True, "w"), manifest, {}, tables)


def test_faults_trips_waits_and_servers_are_told_for_both_sides() -> None:
    trip = (3610.0, "plant", "ups_trip", "ups", "ups-2", 1.4)
    today = _run(LOST, [(10.0, "placed"), (0.0, "placed")])
    candidate = _run([*LOST, trip, (3610.0, "plant", "row_dark", "row", "row-2", 1.0)], [(1800.0, "placed"), (600.0, "gave up")], extra=8)
    found = {line.what: line for line in happened({"today": today, "candidate": candidate})}
    assert found["UPS lost (UPS 1)"].cells == ("13:00 to 14:00", "13:00 to 14:00")
    assert found["UPS units that tripped on overload"].cells == ("none", "once, UPS 2 at 13:00")
    assert found["UPS units that tripped on overload"].bad
    assert found["Rows that lost all power"].cells[1] == "once, row 2 at 13:00"
    assert found["VMs that waited for a place"].cells == ("none", "2 of 2, up to 30.0\u00a0min")
    assert found["VMs that found no place"].cells == ("none", "1 gave up")
    assert found["Servers beyond what budgets were made for"].cells == ("none", "8, 20.0\u00a0% of those built")
    assert "Rows that braked on power" not in found


def test_a_run_in_which_nothing_happened_or_that_has_no_such_tables_has_no_such_section() -> None:
    assert happened({"today": _run([])}) == []
    assert happened({"today": _run([], [(0.0, "placed")])}) == []
