"""A change board reads what jobs take, who does each stage and why, and which limit refused the others."""

import runpy
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from app.report.negotiation import Part
from app.report.tabled import TabledSection
from app.report.workflows import section
from app.shelf import Brief, StoredRun
from twin.clock import Clock

MADE = runpy.run_path(str(Path(__file__).resolve().parents[2] / "worked.py"))
frames: Callable[[bool], dict[str, pl.DataFrame]] = MADE["frames"]
CLOCK = Clock(datetime(2026, 7, 14, tzinfo=UTC))


def _run(today: bool, **metrics: float) -> StoredRun:
    brief = Brief("a", "site", "", 1, "p", today, CLOCK, 0.0, 86_400.0, True, "w")
    named = {f"workflows.{name}": value for name, value in metrics.items()}
    return StoredRun("a", brief, {}, named, {name: frame.lazy() for name, frame in frames(today).items()})


@pytest.fixture(scope="module")
def told() -> TabledSection:
    today = _run(True, makespan_p50_s=110.0, energy_j_per_job=500e3, cost_usd_per_job=4.0)
    found = section({"today": today, "candidate": _run(False, makespan_p50_s=55.0, energy_j_per_job=125e3, cost_usd_per_job=1.0)})
    assert found is not None
    return found


def part(told: TabledSection, beginning: str) -> Part:
    return next(each for each in told.parts if each.title.startswith(beginning))


def test_the_title_is_what_a_job_takes_and_how_much_less_that_is(told: TabledSection) -> None:
    assert told.title.startswith("a job takes 55.0\u00a0s (50.0\u00a0% lower than today), 125\u00a0kJ (75.0\u00a0% lower than today)")
    assert told.why == "Of three jobs of two workflows: 3 done."


def test_jobs_are_told_by_workflow_beside_todays(told: TabledSection) -> None:
    jobs = part(told, "What a job takes")
    video = dict(zip(jobs.heads, next(row for row in jobs.rows if row[0] == "video"), strict=True))
    assert (video["Done, today"], video["Done, candidate"]) == ("1", "2")
    assert (video["Makespan p50, today"], video["Makespan p50, candidate"]) == ("1.83\u00a0min", "55.0\u00a0s")
    assert (video["Energy, today"], video["Cost, candidate"]) == ("500\u00a0kJ", "1.05\u00a0USD")


def test_each_stage_names_who_does_it_on_what_and_the_planner_says_why(told: TabledSection) -> None:
    stages = {row[1]: row[2:] for row in part(told, "Who does each stage").rows}
    today, candidate = stages["transcript"]
    assert today == "whisper (a100, one instance, 1 GPUs in all, batch 1)"
    assert candidate == "whisper (cpu, four instances, 16 cores in all, batch 1)"
    assert {row[2] for row in part(told, "Why these").rows} == {"as it was written", "cheapest within 60 s"}


def test_a_refused_job_is_told_with_the_limit_that_binds(told: TabledSection) -> None:
    (row,) = part(told, "What was refused").rows
    assert row == ("video", "Today", "gpus: stage summary needs 8 a100 and more for its load, 0 are left", "1")


def test_the_same_run_gives_the_same_section_and_one_without_jobs_none(told: TabledSection) -> None:
    bare = _run(True)
    assert section({"today": bare}) == section({"today": _run(True)})
    assert section({"today": StoredRun("a", bare.brief, {}, {}, {})}) is None
