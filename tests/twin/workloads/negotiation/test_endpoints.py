"""A serving endpoint's agent: it speaks and answers by its objectives."""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from twin.workloads.levers import CAUSES, MOVE
from twin.workloads.negotiation import keys

REGION = CAUSES.index("region")


def _said(stand: Any, key: str) -> list[tuple[float, float]]:
    mine = stand.said.key == keys.INDEX[key]
    return sorted(set(zip(stand.said.t_s[mine].tolist(), stand.said.value[mine].tolist(), strict=True)))


def _objective(met: bool) -> np.ndarray:
    return np.full(3, met)


def test_work_may_wait_once_objectives_have_held_for_ten_minutes_and_no_longer_at_the_first_miss(floor: Callable[..., Any]) -> None:
    stand = floor(agents=("endpoint",) * 3, tick_s=60.0)
    told = []
    for met in [True] * 14 + [False] + [True] * 12:
        stand.tick(objective_met=_objective(met))
        told += _said(stand, "delay_tolerance_s")
    assert told == [(600.0, 1.0), (900.0, 0.0), (1500.0, 1.0)]


def test_objectives_that_come_and_go_let_an_endpoint_speak_no_more_than_is_allowed(floor: Callable[..., Any]) -> None:
    stand, told = floor(agents=("endpoint",) * 3, tick_s=60.0), 0
    for tick in range(60):
        stand.tick(objective_met=_objective(tick % 11 != 10))
        told += len(_said(stand, "delay_tolerance_s"))
    assert 0 < told <= 12


def test_an_endpoint_goes_on_from_a_snapshot_as_if_nothing_had_been(floor: Callable[..., Any]) -> None:
    one, other = (floor(agents=("endpoint",) * 3, tick_s=60.0) for _ in range(2))
    one.ticks(7, objective_met=_objective(True))
    other.platform.restore(one.platform.snapshot())
    other.t_s = one.t_s
    for stand in (one, other):
        stand.ticks(3, objective_met=_objective(True))
    assert _said(one, "delay_tolerance_s") == _said(other, "delay_tolerance_s") == [(600.0, 1.0)]


@pytest.mark.parametrize(("asked_s", "again"), [(21_000.0, False), (22_000.0, True)])
def test_who_declined_another_region_is_asked_again_after_six_lead_times(floor: Callable[..., Any], asked_s: float, again: bool) -> None:
    """Six hours, as the lead time is one."""
    stand = floor(agents=("endpoint",) * 3, tick_s=60.0)
    stand.hints |= {"region_independence": 2, "data_residency": 0}
    stand.ticks(2, take=MOVE, cause=REGION, objective_met=_objective(False))
    assert stand.platform.stays(stand.t_s).all()
    stand.t_s = asked_s
    stand.ticks(2, take=MOVE, cause=REGION, objective_met=_objective(False))
    ended = stand.tables()["notices"].filter(pl.col("kind") == "region_move_offer")
    assert ended.height == (12 if again else 6)
    assert set(ended["outcome"]) == {"declined"}
