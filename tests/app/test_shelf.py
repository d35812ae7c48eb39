"""Which stored runs can stand beside each other."""

from dataclasses import replace
from datetime import UTC, datetime

from app.shelf import Brief
from twin.clock import Clock

BRIEF = Brief("a", "site", "", 1, "p", True, Clock(datetime(2026, 7, 14, tzinfo=UTC)), 0.0, 3600.0, True, "world")


def test_runs_stand_beside_each_other_where_they_met_the_same_world_at_the_same_time() -> None:
    assert BRIEF.alike(replace(BRIEF, run_id="b", policy_id="q"))
    assert not BRIEF.alike(replace(BRIEF, world="another"))
    assert not BRIEF.alike(replace(BRIEF, end_s=1800.0))


def test_a_larger_site_that_is_asked_for_more_stands_beside_the_one_that_was_built() -> None:
    built = replace(BRIEF, question="tapas")
    larger = replace(built, run_id="b", world="more demand", extra_servers=32)
    assert larger.alike(built)
    assert not replace(larger, question="").alike(replace(built, question=""))
    assert not replace(larger, extra_servers=0).alike(built)
