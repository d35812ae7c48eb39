"""A workload that hints far beyond what the managers hear."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
import pytest

from twin.faults import Fault
from twin.workloads.negotiation import hint
from twin.workloads.negotiation.bus import Bus
from twin.workloads.negotiation.flooding import TIMES_LIMIT, Floods

Make = Callable[..., Any]


def _flood(target: str = "batch", severity: float = 1.0, until_s: float | None = 900.0) -> Fault:
    return Fault(kind="hint_flood", target=target, from_s=600.0, until_s=until_s, severity=severity)


def test_a_flood_says_thirty_times_what_is_heard(tenants_of: Make) -> None:
    tenants = tenants_of(6)
    said = Floods((_flood(),), tenants).between(0.0, 3600.0)
    # One hint a second and ten at once are heard: data/calibration/negotiation.toml, [hints].
    assert len(said) == 300 * TIMES_LIMIT
    assert Bus(tenants, 1).send(said).sum() == pytest.approx(300 + 10, abs=1)
    assert set(said.of.tolist()) == {1}
    assert len(Floods((_flood(severity=0.1),), tenants).between(0.0, 3600.0)) == 30 * TIMES_LIMIT


@pytest.mark.parametrize("tick_s", [1.0, 7.3, 15.0, 60.0])
def test_a_flood_does_not_mind_the_ticks(tenants_of: Make, tick_s: float) -> None:
    floods = Floods((_flood(), _flood("web", 0.05)), tenants_of(6))
    whole = floods.between(0.0, 1200.0)
    edges = [*np.arange(0.0, 1200.0, tick_s).tolist(), 1200.0]
    parts = hint.together([floods.between(begin, end) for begin, end in pairwise(edges)])
    assert sorted(parts.t_s.tolist()) == pytest.approx(whole.t_s.tolist())
    assert (parts.value.sum(), len(parts)) == (whole.value.sum(), len(whole))


def test_who_does_not_negotiate_cannot_flood(tenants_of: Make) -> None:
    with pytest.raises(ValueError, match=r"hint_flood: 'nobody' does not negotiate; it is one of web, batch, chat"):
        Floods((_flood("nobody"),), tenants_of(6))


def test_a_flood_in_the_world_is_refused_and_counted_and_nobody_else_is_heard_less(negotiated: Callable[..., Any]) -> None:
    fault = {"kind": "hint_flood", "target": "analytics", "from_s": 300.0, "until_s": 900.0}
    refused, others = [], []
    for faults in ([], [fault]):
        tables = {name: frame.collect() for name, frame in negotiated("intelligent", faults=faults).tables.items()}
        limited = tables["hint_conflicts"].filter(pl.col("kind") == "limited") if "hint_conflicts" in tables else pl.DataFrame()
        refused.append(dict(limited.group_by("workload_id").agg(pl.col("hints").sum()).iter_rows()) if limited.height else {})
        others.append(tables["hints"].filter(pl.col("workload_id").cast(pl.String) != "analytics"))
    assert refused[0].get("analytics", 0) == 0
    assert refused[1] == {**refused[0], "analytics": pytest.approx(600 * (TIMES_LIMIT - 1), rel=0.01)}
    assert others[0].equals(others[1])
