"""Metrics read off small tables whose answers are plain to see."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest

from twin.clock import Clock, Window
from twin.metrics import METRICS, Asked, Scope
from twin.serving.readings import READINGS, TABLES
from twin.units import suffix_of

CLOCK = Clock.of(datetime(2026, 7, 14, tzinfo=UTC), "America/Phoenix")


def requests() -> pl.DataFrame:
    hours = np.arange(100) * 0.24
    return pl.DataFrame(
        {
            "arrive_s": hours * 3600,
            "endpoint_id": ["chat" if i % 2 else "code" for i in range(100)],
            "images": [1 if i == 7 else 0 for i in range(100)],
            "ttft_s": np.arange(100) / 100.0,
            "atgt_s": np.where(np.arange(100) == 3, np.nan, 0.05),
            "e2e_s": np.arange(100) / 10.0,
            "status": np.zeros(100, dtype=np.uint8),
            "slo": np.where(np.arange(100) < 80, 1, np.where(np.arange(100) < 90, 0, -1)).astype(np.int8),
        }
    )


def endpoints() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "t_s": [0.0, 0.0, 60.0, 60.0],
            "endpoint_id": ["chat", "code", "chat", "code"],
            "window_s": [60.0, 60.0, 60.0, 60.0],
            "finished": [120, 0, 240, 60],
            "gpus_on": [8.0, 16.0, 4.0, 16.0],
            "usd_per_h": [36.0, 72.0, 18.0, 72.0],
            "prompt_tokens_per_s": [1000.0, 0.0, 2000.0, 500.0],
            "output_tokens_per_s": [100.0, 0.0, 200.0, 200.0],
            "quality_share": [0.8, 1.0, 0.8, 1.0],
        }
    )


def asked(**narrowed: Any) -> Asked:
    gaps = pl.DataFrame(
        {
            "hour": [0, 0, 13],
            "endpoint_id": ["chat"] * 3,
            "gap_s": [0.010, 0.020, 0.5],
            "gap_to_s": [0.0103, 0.0206, 0.515],
            "tokens": [97, 1, 2],
        }
    )
    return Asked({"requests": requests().lazy(), "endpoints": endpoints().lazy(), "token_gaps": gaps.lazy()}, CLOCK, 86_400.0, **narrowed)


def test_every_serving_metric_is_read() -> None:
    assert set(READINGS) == {name for name in METRICS if name.startswith("serving.")}


def test_percentiles_of_a_ramp_are_its_places() -> None:
    assert READINGS["serving.ttft_p50_s"](asked()) == pytest.approx(0.495)
    assert READINGS["serving.ttft_p99_s"](asked()) == pytest.approx(0.9801)
    assert READINGS["serving.e2e_p99_s"](asked()) == pytest.approx(9.801)
    assert READINGS["serving.atgt_p99_s"](asked()) == pytest.approx(0.05)


def test_an_endpoint_that_stopped_serving_does_not_look_as_it_did_before() -> None:
    served, waiting = 50, 50
    frame = pl.DataFrame(
        {
            "arrive_s": np.linspace(0.0, 100.0, served + waiting),
            "endpoint_id": ["chat"] * (served + waiting),
            "images": [0] * (served + waiting),
            "ttft_s": [0.2] * served + [np.nan] * waiting,
            "atgt_s": [0.05] * served + [np.nan] * waiting,
            "e2e_s": [2.0] * served + [np.nan] * waiting,
            "status": np.array([0] * served + [2] * waiting, dtype=np.uint8),
        }
    )
    stopped = Asked({"requests": frame.lazy(), "endpoints": endpoints().lazy()}, CLOCK, 120.0)
    # The last window ends at 120 s, so the first of those that wait has waited for more than a minute.
    for name in ("ttft_p99_s", "e2e_p99_s"):
        value = READINGS[f"serving.{name}"](stopped)
        assert value is not None
        assert 60.0 < value < 120.0
    assert READINGS["serving.atgt_p99_s"](stopped) == pytest.approx(0.05)
    in_flight = frame.with_columns(status=pl.when(pl.col("arrive_s") > 99.0).then(2).otherwise(0).cast(pl.UInt8), ttft_s=30.0, e2e_s=40.0)
    assert READINGS["serving.ttft_p99_s"](Asked({"requests": in_flight.lazy(), "endpoints": endpoints().lazy()}, CLOCK, 120.0)) == 30.0


def test_scope_and_window_narrow_by_arrival() -> None:
    chat = asked(scope=(Scope("endpoint", "chat"),))
    assert READINGS["serving.ttft_p50_s"](chat) == pytest.approx(0.50)
    afternoon = asked(window=Window.of("12:00", "18:00"))
    assert READINGS["serving.ttft_p50_s"](afternoon) == pytest.approx((0.50 + 0.74) / 2)
    assert READINGS["serving.ttft_p50_s"](asked(scope=(Scope("endpoint", "absent"),))) is None


def test_image_requests_are_read_apart_and_are_none_without_images() -> None:
    assert READINGS["serving.image_ttft_p99_s"](asked()) == pytest.approx(0.07)
    assert READINGS["serving.image_ttft_p99_s"](asked(scope=(Scope("endpoint", "code"),))) is None


def test_open_requests_do_not_count_for_the_objectives() -> None:
    assert READINGS["serving.slo_attainment_share"](asked()) == pytest.approx(80 / 90)


def test_gpus_and_money_are_added_over_endpoints_and_averaged_over_time() -> None:
    assert READINGS["serving.gpus_mean"](asked()) == pytest.approx(22.0)
    assert READINGS["serving.cost_usd_per_h"](asked()) == pytest.approx(99.0)
    assert READINGS["serving.gpus_mean"](asked(scope=(Scope("endpoint", "chat"),))) == pytest.approx(6.0)
    assert READINGS["serving.throughput_per_s"](asked()) == pytest.approx(3.5)
    # 99 USD/h over two minutes for 240,000 tokens.
    assert READINGS["serving.cost_usd_per_million_tokens"](asked()) == pytest.approx(99 * 120 / 3600 / 0.24)
    assert READINGS["serving.quality_mean_share"](asked()) == pytest.approx((360 * 0.8 + 60) / 420)


def test_token_gaps_are_read_inside_their_bin_and_by_hour() -> None:
    assert READINGS["serving.tbt_p99_s"](asked()) == pytest.approx(0.5 * 1.03**0.5)
    assert READINGS["serving.tbt_p99_s"](asked(window=Window.of("00:00", "06:00"))) == pytest.approx(0.02 * 1.03**0.02, rel=1e-3)
    assert READINGS["serving.tbt_p99_s"](asked(window=Window.of("20:00", "21:00"))) is None


def test_a_run_without_serving_has_no_evidence() -> None:
    empty = Asked({}, CLOCK, 86_400.0)
    assert all(reading(empty) is None for reading in READINGS.values())


def test_columns_say_what_they_are_and_their_unit() -> None:
    shares_and_counts = {"instance", "images", "status", "slo", "arrivals", "finished", "queue_mean", "queue_max", "queue", "batch_mean"}
    plain = shares_and_counts | {"gpus_on", "hour", "tokens", "usd_per_h", "role", "preemptions", "feasible", "reason"}
    for table in TABLES:
        for column in table.columns:
            assert column.meaning
            assert column.name.endswith("_id") or suffix_of(column.name) or column.name in plain
