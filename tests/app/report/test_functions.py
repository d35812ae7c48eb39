"""A change board reads where the time of a call goes, what each function takes, and what the hosts bear for it."""

from datetime import UTC, datetime

import polars as pl
import pytest

from app.report.functions import section
from app.report.negotiation import Part
from app.report.tabled import TabledSection
from app.shelf import Brief, StoredRun
from twin.clock import Clock
from twin.functions.readings import TABLES

CLOCK = Clock(datetime(2026, 7, 14, tzinfo=UTC))


def _frame(name: str, rows: list[tuple]) -> pl.LazyFrame:  # type: ignore[type-arg]
    columns = next(each for each in TABLES if each.name == name).columns
    return pl.DataFrame(rows, schema={column.name: column.dtype for column in columns}, orient="row").lazy()


def _run(hop_s: float, polling: float, calls: int = 3000) -> StoredRun:
    """Return a run of two windows: in the second one three times the calls of the first, each three times as long in its gateway."""
    parts = ((300.0, calls // 4, hop_s), (600.0, calls - calls // 4, 3 * hop_s))
    tables = {
        "functions": [(t, 300.0, "aes", n, n, 0, n // 100, 8e-4, 2e-3, 9e-4, 2.0, 1e-4) for t, n, _ in parts],
        "function_path": [
            (t, 300.0, "aes", name, *means) for t, _, s in parts for name, means in (("gateway", (s, 10 * s)), ("run", (6e-4, 7e-4)))
        ],
        "function_latency": [(t, 300.0, "aes", 6e-4 + s, n) for t, n, s in parts],
        "function_hosts": [(t, 300.0, "host-1", 0.5, polling, 4.0, 8000.0, 2e8) for t, _, _ in parts],
    }
    metrics = {"functions.latency_p50_s": 6e-4 + 3 * hop_s, "functions.latency_p99_s": 6e-4 + 3 * hop_s}
    metrics["functions.throughput_max_per_s"] = 8000.0
    brief = Brief("a", "site", "", 1, "p", True, CLOCK, 0.0, 600.0, True, "w")
    return StoredRun("a", brief, {}, metrics, {name: _frame(name, rows) for name, rows in tables.items()})


@pytest.fixture(scope="module")
def told() -> TabledSection:
    found = section({"today": _run(2e-4, 0.0), "candidate": _run(1e-4, 1.0)})
    assert found is not None
    return found


def part(told: TabledSection, beginning: str) -> Part:
    return next(each for each in told.parts if each.title.startswith(beginning))


def test_the_title_says_how_late_calls_are_and_what_changed(told: TabledSection) -> None:
    assert told.title.startswith("functions answer the median call in 900\u00a0µs (25.0\u00a0% lower than today)")
    assert told.why == "One function answered 3\u00a0000 calls."


def test_segments_are_weighted_by_the_calls_of_their_windows(told: TabledSection) -> None:
    path = part(told, "Where the time of a call goes")
    rows = {row[0]: row[1:] for row in path.rows}
    # A quarter of the calls at one hop and three quarters at three of them: 2.5 hops.
    assert rows["Gateway"] == ("500\u00a0µs", "250\u00a0µs", "5.00\u00a0ms", "2.50\u00a0ms")
    assert rows["All of it"][:2] == ("1.10\u00a0ms", "850\u00a0µs")
    assert list(rows) == ["Gateway", "The function itself", "All of it"]


def test_cores_that_spin_are_told_apart_from_those_that_work(told: TabledSection) -> None:
    rows = {row[0]: row[1:] for row in part(told, "What the hosts bear").rows}
    assert rows["Today"][:3] == ("0.50", "0.00", "4")
    assert rows["Candidate"][:3] == ("0.50", "1.00", "4")
    assert rows["Candidate"][-1] == "8\u00a0000"


def test_few_calls_are_said_to_be_few() -> None:
    found = section({"today": _run(1e-4, 0.0, 400)})
    assert found is not None
    assert "of aes fewer than 1\u00a0000, too few for the 99th percentile" in found.why
    assert "(" not in found.title


def test_a_run_without_functions_has_no_section() -> None:
    bare = _run(1e-4, 0.0)
    assert section({"today": StoredRun("a", bare.brief, {}, {}, {})}) is None
    assert section({}) is None
