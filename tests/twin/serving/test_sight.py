"""What a holder is shown at the end of a window."""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from twin.serving.demand import Synthetic
from twin.serving.layout import Endpoint
from twin.serving.levers import PlantAtInstances

CHAT = Endpoint(id="chat", model="8b", tp=2, demand=Synthetic(rate_per_s=6.0))
CODE = Endpoint(id="code", model="70b", tp=8, demand=Synthetic(rate_per_s=1.0, lengths="code"))
BOTH = {"chat": (0, 4), "code": (1, 5)}


def plant(count: int, rows: int = 2) -> PlantAtInstances:
    ones = np.ones(count)
    return PlantAtInstances(30.0, ones, 700 * ones, 60 * ones, 61 * ones, 85 * ones, 300 * ones, 24 * ones, np.ones(rows), np.ones(rows))


def test_observations_carry_the_last_window_and_cannot_be_written(start: Callable[..., Any]) -> None:
    run = start((CHAT, CODE), BOTH, 600.0).to(300.0)
    seen = run.model.observe(plant(10))
    asked = run.model.pipelines[0].book.arrive_s
    assert seen.endpoint_arrivals_per_s[0] == pytest.approx(((asked >= 240) & (asked < 300)).sum() / 60)
    assert seen.t_s == 300.0
    assert seen.hour == pytest.approx(300 / 3600)
    assert seen.instance_usd_per_h.shape == seen.state.shape == seen.kv_share.shape == (10,)
    assert (seen.prefill_share + seen.decode_share <= 1).all()
    with pytest.raises(ValueError, match="read-only"):
        seen.clock_share[0] = 0.5
    # Also right after requests that are over were written and forgotten.
    over = seen.finished()
    last = run.tables()["endpoints"].filter(pl.col("t_s") == 240.0)
    assert np.bincount(over.endpoint).tolist() == last["finished"].to_list()
    assert over.endpoint.any()
