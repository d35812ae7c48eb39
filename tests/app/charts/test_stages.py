import polars as pl
import pytest

from app.charts import stages
from app.charts.pipeline import pipeline_svg, waits_svg
from app.charts.tokens import LIGHT

ENDPOINTS = pl.DataFrame(
    {
        "t_s": [0.0, 60.0],
        "endpoint_id": ["chat-70b"] * 2,
        "window_s": [60.0, 60.0],
        "arrivals": [600, 600],
        "prompt_tokens_per_s": [1000.0, 3000.0],
        "output_tokens_per_s": [500.0, 500.0],
        "gpus_on": [16.0, 32.0],
        "usd_per_h": [40.0, 80.0],
        "queue": [2.0, 4.0],
    }
)
INSTANCES = pl.DataFrame(
    {
        "t_s": [0.0, 0.0],
        "instance_id": ["chat-70b/1", "chat-70b/2"],
        "on_share": [1.0, 0.5],
        "prefill_share": [0.6, 0.3],
        "decode_share": [0.3, 0.1],
        "batch_mean": [8.0, 4.0],
        "kv_share": [0.2, 0.4],
    }
)
REQUESTS = pl.DataFrame(
    {
        "arrive_s": [1.0, 2.0, 3.0],
        "endpoint_id": ["chat-70b"] * 3,
        "ttft_s": [0.5, 0.7, float("nan")],
        "atgt_s": [0.02, 0.02, float("nan")],
        "e2e_s": [2.5, 2.7, float("nan")],
    }
)


def test_waiting_is_the_queue_over_the_arrival_rate() -> None:
    # Little's law: 3 wait on average, 10 arrive a second, so each waits 0.3 s.
    waited = stages.waits(ENDPOINTS, stages.latency_bins(REQUESTS.lazy()), 0.0, 300.0)
    row = waited.row(0, named=True)
    assert row["waiting_s"] == pytest.approx(0.3)
    assert row["running_s"] == pytest.approx(0.3)
    assert row["decode_s"] == pytest.approx(2.0)


def test_an_endpoint_without_requests_is_left_out() -> None:
    assert stages.waits(ENDPOINTS, stages.latency_bins(REQUESTS.lazy()), 600.0, 900.0).is_empty()


def test_stages_say_what_runs_out_first_in_each() -> None:
    waited = stages.waits(ENDPOINTS, stages.latency_bins(REQUESTS.lazy()), 0.0, 300.0)
    prefill, decode = stages.stages(ENDPOINTS, INSTANCES, waited, 0.0, 300.0).iter_rows(named=True)
    assert (prefill["stage"], decode["stage"]) == ("prefill", "decode")
    assert prefill["use_share"] == pytest.approx(0.6)
    assert decode["use_share"] == pytest.approx(0.3)
    assert prefill["tokens_per_s"] == pytest.approx(2000.0)
    assert prefill["requests_per_s"] == pytest.approx(10.0)
    assert decode["batch"] == pytest.approx(7.0)
    assert prefill["ttft_waiting_share"] == pytest.approx(0.5)
    assert prefill["e2e_share"] + decode["e2e_share"] == pytest.approx(1.0)


def test_the_pipeline_turns_amber_past_its_target_only() -> None:
    waited = stages.waits(ENDPOINTS, stages.latency_bins(REQUESTS.lazy()), 0.0, 300.0)
    frame = stages.stages(ENDPOINTS, INSTANCES, waited, 0.0, 300.0)
    assert LIGHT.risk_text not in pipeline_svg(frame, LIGHT)
    assert LIGHT.risk_text in pipeline_svg(frame, LIGHT, target_share=0.5)
    assert "3 wait, 50 % of TTFT" in pipeline_svg(frame, LIGHT)


def test_today_is_the_thin_bar_above() -> None:
    waited = stages.waits(ENDPOINTS, stages.latency_bins(REQUESTS.lazy()), 0.0, 300.0)
    both = pl.concat([waited.with_columns(pl.lit(run).alias("run")) for run in ("today", "candidate")])
    assert "thin: today" in waits_svg(both, LIGHT)
    assert "thin: today" not in waits_svg(both.filter(pl.col("run") == "today"), LIGHT)


def test_counts_and_cost_are_read_off_the_windows() -> None:
    assert stages.counts(ENDPOINTS, {"chat-70b": 8})["chat-70b"]["count"].to_list() == [2.0, 4.0]
    assert stages.cost(ENDPOINTS)["usd_per_h"].to_list() == [40.0, 80.0]
    assert stages.spent(ENDPOINTS, 0.0, 120.0).row(0) == ("chat-70b", 24.0, 60.0)


def test_quantiles_are_of_the_endpoint_that_is_asked() -> None:
    tables = stages.quantiles(REQUESTS.lazy(), "chat-70b")
    assert set(tables) == set(stages.LATENCIES)
    assert stages.quantiles(REQUESTS.lazy(), "code-70b")["ttft_s"].is_empty()
