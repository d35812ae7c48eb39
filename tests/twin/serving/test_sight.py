"""What a holder is shown at the end of a window."""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from twin.serving.demand import Synthetic
from twin.serving.latency import (
    DECODE_PER_CONTEXT_TOKEN_S,
    DECODE_PER_REQUEST_S,
    DECODE_S,
    FLOOR_S,
    OVERHEAD_S,
    PREFILL_PER_SQUARED_TOKEN_S,
    PREFILL_PER_TOKEN_S,
    PREFILL_S,
)
from twin.serving.layout import Endpoint
from twin.serving.levers import PlantAtInstances

CHAT = Endpoint(id="chat", model="8b", tp=2, demand=Synthetic(rate_per_s=6.0))
CODE = Endpoint(id="code", model="70b", tp=8, demand=Synthetic(rate_per_s=1.0, lengths="code"))
BOTH = {"chat": (0, 4), "code": (1, 5)}


def plant(count: int, rows: int = 2) -> PlantAtInstances:
    ones = np.ones(count)
    return PlantAtInstances(
        30.0, ones, 700 * ones, 60 * ones, 61 * ones, 85 * ones, 300 * ones, 24 * ones, np.ones(rows), np.ones(rows), 0.6 * ones
    )


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


@pytest.mark.parametrize("of", [CHAT, CODE])
def test_what_iterations_did_in_a_window_says_what_they_took(start: Callable[..., Any], of: Endpoint) -> None:
    """Time is linear in the counts, so that a holder can hold an instance against its profile."""
    run = start((of,), {of.id: (0, 4)}, 600.0).to(300.0)
    seen = run.model.observe(plant(len(run.model.instance_ids)))
    c, busy = seen.latency, seen.decode_iterations > 200
    decode_s = (c[:, DECODE_S] + c[:, OVERHEAD_S]) * seen.decode_iterations + c[:, DECODE_PER_REQUEST_S] * seen.decoded_tokens
    decode_s += c[:, DECODE_PER_CONTEXT_TOKEN_S] * seen.decoded_context_tokens
    assert busy.any()
    # Iterations that a window's edge cuts count where they end.
    np.testing.assert_allclose(seen.decode_share[busy] * 60, decode_s[busy], atol=2 * 0.06)
    prefill_s = (c[:, PREFILL_S] + c[:, OVERHEAD_S]) * seen.prefill_iterations + c[:, PREFILL_PER_TOKEN_S] * seen.prompt_tokens
    prefill_s += c[:, PREFILL_PER_SQUARED_TOKEN_S] * seen.squared_prompt_tokens
    floor_s = c[:, FLOOR_S] * seen.prefill_iterations
    assert (seen.prefill_share * 60 + 0.5 >= prefill_s).all()
    assert (seen.prefill_share * 60 <= prefill_s + floor_s + 0.5).all()
    assert not seen.endpoint_decodes_beside.any()


def test_a_lone_request_is_counted_token_by_token(start: Callable[..., Any]) -> None:
    quiet = CHAT.model_copy(update={"demand": Synthetic(rate_per_s=1e-6)})
    run = start((quiet,), {"chat": (0,)}, 600.0)
    run.model.inject("chat", np.array([1.0]), np.array([700]), np.array([5]))
    seen = run.to(60.0).model.observe(plant(4))
    assert (seen.prefill_iterations.sum(), seen.prompt_tokens.sum(), seen.squared_prompt_tokens.sum()) == (1, 700, 700**2)
    assert (seen.decode_iterations.sum(), seen.decoded_tokens.sum()) == (4, 4)
    assert seen.decoded_context_tokens.sum() == 701 + 702 + 703 + 704


def test_it_is_said_where_batches_decode_beside_a_prefill(start: Callable[..., Any]) -> None:
    run = start((CHAT, CODE.model_copy(update={"scheduler": "chunked"})), BOTH, 60.0)
    assert run.model.observe(plant(10)).endpoint_decodes_beside.tolist() == [False, True]
