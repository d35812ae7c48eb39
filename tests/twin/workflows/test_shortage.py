"""Plans are made anew when tasks wait for surplus that is gone."""

from typing import Any

import numpy as np

from twin.workflows.levers import Plan, PlanAction
from twin.workflows.settings import Workflow
from twin.workflows.shortage import HOLD_S, PATIENCE_S
from twin.workflows.site import Surplus

TICK_S, UNTIL_S = 10.0, 1500.0
ON_SURPLUS, OWN = True, False


def planned(lab: Any, gone_s: float, back_s: float, *then: bool, resumed_s: float = -1.0) -> tuple[list[float], int]:
    """Return when plans were due while GPUs and cores on surplus were gone from one time to another, and how many jobs got done.

    The first plan stands on surplus; ``then`` says of each later one whether it does.
    """
    ones = (np.ones(2), np.ones(3))
    there = Surplus(np.array([8, 8]), np.array([64, 64, 64]), *ones)
    gone = Surplus(np.zeros(2, dtype=np.int64), np.zeros(3, dtype=np.int64), *ones)
    stages = lab.code_plan("code-8b").stages
    plans = {
        spot: Plan({name: lab.choose(each.executor, 0, each.instances, each.batch, spot=spot) for name, each in stages.items()})
        for spot in (ON_SURPLUS, OWN)
    }
    workflow = Workflow(id="code", job="code-generation", items=4, at_s=tuple(np.arange(5.0, UNTIL_S - 300.0, 60.0).tolist()))
    model, due, choices = lab.built(workflow), [], iter([ON_SURPLUS, *then])
    sink = lab.sink_of(model)
    while model.t_s < UNTIL_S:
        if model.t_s == resumed_s:
            state, model = model.snapshot(), lab.built(workflow)
            model.restore(state)
        surplus = gone if gone_s <= model.t_s < back_s else there
        model.meet(surplus)
        if model.opens_epoch:
            due.append(model.t_s)
            model.plan(PlanAction({"code": plans[next(choices)]}))
        model.advance(model.t_s + TICK_S, surplus)
        model.record(sink)
    model.close(sink)
    return due, int((sink.frames()["jobs"]["outcome"] == "done").sum())


def test_where_surplus_stays_plans_hold_for_their_epoch(lab: Any) -> None:
    assert planned(lab, UNTIL_S, UNTIL_S) == ([0.0], 20)


def test_tasks_that_wait_for_surplus_that_is_gone_have_plans_made_anew_and_get_done(lab: Any) -> None:
    due, done = planned(lab, 600.0, UNTIL_S, OWN)
    # Noticed at the end of the tick in which tasks found none.
    assert len(due) == 2
    assert 600.0 + PATIENCE_S <= due[1] <= 600.0 + PATIENCE_S + 60.0 + TICK_S
    assert done == 20


def test_surplus_that_is_back_within_a_minute_changes_no_plan(lab: Any) -> None:
    due, done = planned(lab, 600.0, 640.0)
    assert due == [0.0]
    assert done == 20


def test_a_planner_that_stays_on_surplus_is_asked_again_every_five_minutes_at_most(lab: Any) -> None:
    due, done = planned(lab, 600.0, UNTIL_S, *[ON_SURPLUS] * 5)
    assert len(due) >= 3
    assert min(np.diff(due[1:])) >= HOLD_S
    assert done < 20


def test_how_long_tasks_have_waited_is_part_of_a_snapshot(lab: Any) -> None:
    straight = planned(lab, 600.0, UNTIL_S, *[ON_SURPLUS] * 5)
    assert planned(lab, 600.0, UNTIL_S, *[ON_SURPLUS] * 5, resumed_s=630.0) == straight
