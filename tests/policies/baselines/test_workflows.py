"""Workflows as they are written: the best of each, one step at a time, on machines for the busiest time."""

from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest

from policies.baselines.instances import busy, needed
from policies.baselines.workflows import Sequential, best
from policies.system import Knobs, Surroundings
from twin.clock import Clock
from twin.workflows.library import library
from twin.workflows.model import Model
from twin.workflows.settings import Settings, Workflow
from twin.workflows.site import Site

CLOCK = Clock.of(datetime(2026, 6, 1), "UTC")  # noqa: DTZ001  (the zone is attached by Clock.of)
SITE = Site(np.array([8] * 8), ("h100",) * 6 + ("a100",) * 2, np.array([64]))
HOLDER = Sequential(Knobs(), Surroundings((), (), (), (), (), (), 0, 0.0))


def seen(*workflows: Workflow):
    return Model(Settings(workflows=workflows), SITE, CLOCK, 86_400.0, 1).observe()


def test_each_stage_is_done_by_the_best_there_is():
    plan = HOLDER.plan(seen(Workflow(id="code", job="code-generation"))).plans["code"]
    assert plan.stages["code"].executor == "code-70b"
    assert plan.one_by_one
    assert plan.dedicated
    assert plan.hold


def test_machines_are_for_the_busiest_time_and_stay_the_same():
    # 3.4 requests a second of 14 GPU seconds on eight GPUs, 60 % full: ten instances (facts of the second paper's fit).
    observed = seen(Workflow(id="code", job="code-generation", items=1, rate_per_h=7200.0, swing_share=0.7, peak_hour=11.0))
    assert HOLDER.plan(observed).plans["code"].stages["code"].instances == 10
    profile = next(each for each in library("packaged") if each.id == "code-70b").profiles[0]
    assert needed(busy(profile, 8, 1.0, 7200.0 * 1.7), 0.6) == 10


def test_what_nobody_can_do_is_refused():
    observed = seen(Workflow(id="math", job="math-qa"))
    stage = observed.demanded[0].graph.stages[0]
    assert best(stage, ()) is None
    refused = HOLDER.plan(replace(observed, library=())).refused
    assert refused["math"] == "no executor does stage solution"


@pytest.mark.parametrize(("load", "full", "count"), [(0.0, 0.6, 1), (0.6, 0.6, 1), (0.61, 0.6, 2), (8.2, 0.82, 10)])
def test_instances_are_no_fuller_than_planned(load, full, count):
    assert needed(load, full) == count
