"""What a window says of requests: against numpy, and against counting by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.serving import batching as b
from twin.serving import latency
from twin.serving.demand import Requests
from twin.serving.layout import Endpoint
from twin.serving.pipeline import Links, Pipeline
from twin.serving.stages import Slots
from twin.serving.windows import _quantiles, endpoint_row

SECOND = b.TICKS_PER_S


@given(st.lists(st.floats(0.0, 1e4), min_size=1, max_size=40))
def test_quantiles_are_numpys_to_the_last_digit(values: list[float]) -> None:
    assert _quantiles(np.array(values), (0.5, 0.99)) == np.quantile(np.array(values), (0.5, 0.99)).tolist()


def _served(spec: Endpoint, finish_s: list[float], first_s: list[float], asked: Requests) -> Pipeline:
    table = np.array([[latency.profile("h100", "vllm", "8b", 1).coefficients]])
    slots = Slots(table, np.zeros((1, 1, 2)), np.zeros((1, b.DONE_COLUMNS), dtype=np.int64), np.zeros(1, dtype=np.int64))
    pipeline = Pipeline(spec, slots, asked, 16_384, Links(0.005, 0.001, 0.0, 0.001), 1)
    engine = pipeline.stages.text
    engine.requests[:, b.FIRST] = np.array(first_s) * SECOND
    engine.requests[:, b.FINISH] = np.array(finish_s) * SECOND
    engine.requests[:, b.PLACE] = 0
    engine.cursor[b.NEXT_ARRIVAL] = len(asked)
    return pipeline


def test_a_window_counts_what_was_over_in_it() -> None:
    # One within both objectives, one late at first, one slow after it, one rejected, one over before, one still running.
    tokens = np.array([11, 11, 11, 11, 11, 11])
    asked = Requests(np.arange(6.0), np.full(6, 10), tokens, np.zeros(6, dtype=np.int64))
    spec = Endpoint(id="chat", ttft_slo_s=1.0, atgt_slo_s=0.1)
    pipeline = _served(spec, [61.0, 62.0, 63.0, 64.0, 59.0, 120.0], [60.5, 61.5, 60.0, 64.0, 58.0, 61.0], asked)
    pipeline.requests[:, b.ARRIVE] = np.array([60.0, 60.0, 59.5, 64.0, 57.0, 60.0]) * SECOND
    pipeline.requests[3, [b.PLACE, b.FIRST]] = b.REJECTED, b.FOREVER
    over = np.zeros(2, dtype=np.int64)
    row = endpoint_row(pipeline, spec, over, (60 * SECOND, 120 * SECOND))
    assert (row["finished"], row["rejected"]) == (3.0, 1.0)
    assert row["slo_share"] == pytest.approx(1 / 4)
    assert row["ttft_p50_s"] == pytest.approx(np.median([0.5, 1.5, 0.5, 1.0]))
    # The one that still runs is the first that the next window has to look at.
    assert over.tolist() == [5, 6]
    assert endpoint_row(pipeline, spec, over, (120 * SECOND, 180 * SECOND))["finished"] == 1.0


def test_an_empty_window_has_no_latency() -> None:
    none = np.zeros(0, dtype=np.int64)
    asked = Requests(np.zeros(0), none, none, none)
    over = np.zeros(2, dtype=np.int64)
    row = endpoint_row(_served(Endpoint(id="chat"), [], [], asked), Endpoint(id="chat"), over, (0, 60 * SECOND))
    assert math.isnan(row["ttft_p99_s"])
    assert math.isnan(row["slo_share"])
    assert row["finished"] == 0.0
