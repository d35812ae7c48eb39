"""A change board reads who pays what, who was told what how early, what was kept, and what prices rest on."""

import runpy
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from app.report.negotiation import NegotiationSection, Part, section
from app.shelf import Brief, StoredRun
from twin.clock import Clock

MADE = runpy.run_path(str(Path(__file__).resolve().parents[2] / "negotiated.py"))
WORKLOADS: tuple[str, ...] = MADE["WORKLOADS"]
frames: Callable[[], dict[str, pl.DataFrame]] = MADE["frames"]
CLOCK = Clock(datetime(2026, 7, 14, tzinfo=UTC))
SAID = {"tenants": [{"id": name, "class": "search"} for name in WORKLOADS], "discounts": {"spot": 0.7}}


def _run(tables: dict[str, pl.DataFrame], said: dict[str, Any] = SAID, **metrics: float) -> StoredRun:
    manifest = {"scenario": {"workloads": {"negotiation": said}}}
    named = {f"workloads.{name}": value for name, value in metrics.items()}
    brief = Brief("a", "site", "", 1, "p", True, CLOCK, 0.0, 86_400.0, True, "w")
    return StoredRun("a", brief, manifest, named, {name: frame.lazy() for name, frame in tables.items()})


@pytest.fixture(scope="module")
def told() -> NegotiationSection:
    today = frames()
    today["bills"] = today["bills"].with_columns(billed_usd=pl.col("regular_usd"))
    now = _run(frames(), evictions=6.0, notices_honoured_share=1.0)
    found = section({"today": _run({"bills": today["bills"], "requirements": today["requirements"]}), "candidate": now})
    assert found is not None
    return found


def part(told: NegotiationSection, beginning: str) -> Part:
    return next(each for each in told.parts if each.title.startswith(beginning))


def test_the_title_is_what_customers_pay_less_and_whether_requirements_were_kept(told: NegotiationSection) -> None:
    assert told.title == "customers pay 66.2\u00a0% less, no requirement is broken"
    assert told.why.startswith("Six workloads with 5\u00a0760 VM-hours negotiate; 6")


def test_each_workload_has_its_class_and_its_cut_beside_todays(told: NegotiationSection) -> None:
    prices = part(told, "What each workload pays")
    assert prices.heads[4:6] == ("Cut, today", "Cut, candidate")
    rows = {row[0]: row for row in prices.rows}
    assert rows["search"][1] == "Web search and index serving"
    assert rows["search"][4:6] == ("0\u00a0%", "60.6\u00a0%")
    assert rows["dev-test"][-1] == "4.8"
    assert list(rows) == [*WORKLOADS, "all"]


def test_optimisations_are_told_by_workload_with_the_hints_that_would_open_more(told: NegotiationSection) -> None:
    granted = part(told, "Who gets which optimisation")
    harvest = dict(zip(granted.heads, granted.rows[0], strict=True))
    assert (harvest["Optimisation"], harvest["dev-test"], harvest["search"]) == ("Harvest VMs", "100\u00a0%", "–")
    missing = dict(part(told, "Which hints would open more").rows)
    assert missing["databases"].startswith("Harvest VMs lacks preemptible (100\u00a0%); Spot VMs is forbidden by availability_nines")
    assert "dev-test" not in missing


def test_notices_have_their_answers_and_the_shortest_lead(told: NegotiationSection) -> None:
    rows = {row[0]: row for row in part(told, "What VMs were told").rows}
    assert rows["Power emergency"][1:6] == ("15", "2", "4", "9", "11")
    assert rows["Scale-down request"][6:] == ("30.0\u00a0s", "13.0\u00a0s", "0")


def test_a_requirement_that_was_broken_is_named_with_whose_it_was() -> None:
    tables = frames()
    whose = (pl.col("workload_id") == "search") & (pl.col("t_s") == 3600.0)
    broken = pl.when(whose).then(2.5).otherwise(pl.col("broken_vm_hours"))
    tables["requirements"] = tables["requirements"].with_columns(broken_vm_hours=broken)
    found = section({"candidate": _run(tables)})
    assert found is not None
    kept = part(found, "Requirements that hints state: some are broken")
    assert kept.rows[0][:2] == ("Availability", "search")
    assert kept.rows[0][-1] == "2.5"


def test_the_longest_chain_is_told_from_cause_to_effect(told: NegotiationSection) -> None:
    assert told.chain_title.startswith("From cause to effect")
    assert len(told.chain) == 5
    assert told.chain[0] == "13:43:20 Power emergency: row 4 forecast 291 kW"
    assert told.chain[-1].startswith("13:47:10 10.0")


def test_what_prices_rest_on_is_said_with_its_strength(told: NegotiationSection) -> None:
    words = "\n".join(told.unknown)
    assert "Discounts that are set by the scenario: Spot VMs 70.0\u00a0%." in words
    assert "recalled and not checked against a source: Multi-availability" in words
    assert "fitted, not published" in words
    logged = section({"today": _run(frames(), {**SAID, "messages": "import:a", "surplus": "unlimited"})})
    assert logged is not None
    assert "as programs outside said it, by a log" in logged.unknown[-2]
    assert "nobody is ever evicted for want of room" in logged.unknown[-1]


def test_without_a_negotiation_there_is_no_section_and_with_bills_alone_there_is_a_short_one() -> None:
    assert section({}) is None
    assert section({"today": _run({}, {})}) is None
    short = section({"today": _run({"bills": frames()["bills"]}, {"tenants": SAID["tenants"]})})
    assert short is not None
    assert [each.title for each in short.parts] == ["What each workload pays"]
    assert short.chain == ()


def test_a_table_of_classes_that_is_gone_leaves_the_name_of_the_class() -> None:
    gone = section({"today": _run(frames(), {**SAID, "classes": "import:nothing-like-that"})})
    assert gone is not None
    assert gone.parts[0].rows[0][1] == "search"
