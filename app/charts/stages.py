"""Serving tables to what its figures draw: stages, waits, counts, cost."""

from collections.abc import Mapping
from typing import Final

import polars as pl

from app.charts.distribution import quantile_table

BIN_S: Final = 300.0
LATENCIES: Final = ("ttft_s", "atgt_s", "e2e_s")


def latency_bins(requests: pl.LazyFrame) -> pl.DataFrame:
    """Return per endpoint and 5 minutes of arrival: ``bin_s``, ``requests``, and sums and counts of TTFT and end to end."""
    return (
        requests.select(
            "endpoint_id",
            (pl.col("arrive_s") // BIN_S * BIN_S).alias("bin_s"),
            *(pl.col(name).fill_nan(None) for name in ("ttft_s", "e2e_s")),
        )
        .group_by("endpoint_id", "bin_s")
        .agg(
            pl.len().alias("requests"),
            *(pl.col(name).cast(pl.Float64).sum().alias(f"{name.removesuffix('_s')}_sum_s") for name in ("ttft_s", "e2e_s")),
            *(pl.col(name).count().alias(f"{name.removesuffix('_s')}_count") for name in ("ttft_s", "e2e_s")),
        )
        .with_columns(pl.col("endpoint_id").cast(pl.String))
        .sort("endpoint_id", "bin_s")
        .collect()
    )


def quantiles(requests: pl.LazyFrame, endpoint: str) -> dict[str, pl.DataFrame]:
    """Return the quantile tables of one endpoint's latencies (``ttft_s``, ``atgt_s``, ``e2e_s``)."""
    asked = requests.filter(pl.col("endpoint_id") == endpoint).select(LATENCIES).collect()
    return {name: quantile_table(asked[name]) for name in LATENCIES}


def waits(endpoints: pl.DataFrame, bins: pl.DataFrame, from_s: float, to_s: float) -> pl.DataFrame:
    """Return mean times of the requests of an interval: ``endpoint_id``, ``waiting_s``, ``running_s``, ``decode_s``.

    Waiting is the mean queue over the arrival rate (Little 1961); prefill is the rest of the mean time to first token, decode
    what follows it. Endpoints without a request in the interval are left out.
    """
    queues = (
        _inside(endpoints, "t_s", from_s, to_s)
        .group_by("endpoint_id")
        .agg((pl.col("queue").cast(pl.Float64) * pl.col("window_s")).sum().alias("queue_s"), pl.col("arrivals").cast(pl.Int64).sum())
        .with_columns(pl.col("endpoint_id").cast(pl.String))
    )
    means = (
        _inside(bins, "bin_s", from_s, to_s)
        .group_by("endpoint_id")
        .agg(
            (pl.col("ttft_sum_s").sum() / pl.col("ttft_count").sum()).alias("ttft_mean_s"),
            (pl.col("e2e_sum_s").sum() / pl.col("e2e_count").sum()).alias("e2e_mean_s"),
        )
    )
    joined = means.join(queues, on="endpoint_id").filter((pl.col("arrivals") > 0) & pl.col("ttft_mean_s").is_finite())
    waiting = pl.min_horizontal(pl.col("queue_s") / pl.col("arrivals"), "ttft_mean_s")
    return joined.select(
        "endpoint_id",
        waiting.alias("waiting_s"),
        (pl.col("ttft_mean_s") - waiting).alias("running_s"),
        (pl.col("e2e_mean_s") - pl.col("ttft_mean_s")).fill_nan(0.0).clip(0.0).alias("decode_s"),
    ).sort("endpoint_id")


def stages(endpoints: pl.DataFrame, instances: pl.DataFrame, waited: pl.DataFrame, from_s: float, to_s: float) -> pl.DataFrame:
    """Return what the pipeline draws over an interval: a row per endpoint and stage (prefill, decode).

    ``use_share`` is what runs out first in the stage: the instances' time in prefill, their KV cache in decode, where batches grow
    before time does; ``time_share`` is the time spent in either.
    """
    flows = (
        _inside(endpoints, "t_s", from_s, to_s)
        .with_columns(pl.col("endpoint_id").cast(pl.String))
        .group_by("endpoint_id")
        .agg(
            (pl.col("arrivals").sum() / pl.col("window_s").cast(pl.Float64).sum()).alias("requests_per_s"),
            pl.col("prompt_tokens_per_s").mean(),
            pl.col("output_tokens_per_s").mean(),
            pl.col("gpus_on").mean(),
            pl.col("queue").mean(),
        )
    )
    use = _use(_inside(instances, "t_s", from_s - BIN_S + 1.0, to_s))
    both = flows.join(use, on="endpoint_id", how="left").join(waited, on="endpoint_id", how="left").sort("endpoint_id").fill_null(0.0)
    total = pl.col("waiting_s") + pl.col("running_s") + pl.col("decode_s")
    shared = ("endpoint_id", pl.col("on").alias("instances"), pl.col("gpus_on").alias("gpus"), "requests_per_s")
    first = pl.col("waiting_s") + pl.col("running_s")
    prefill = both.select(
        *shared,
        pl.lit("prefill").alias("stage"),
        pl.col("prompt_tokens_per_s").alias("tokens_per_s"),
        pl.col("prefill_busy").alias("use_share"),
        pl.col("prefill_busy").alias("time_share"),
        pl.col("queue"),
        pl.lit(None, pl.Float64).alias("batch"),
        (pl.col("waiting_s") / first).fill_nan(0.0).alias("ttft_waiting_share"),
        (first / total).fill_nan(0.0).alias("e2e_share"),
    )
    decode = both.select(
        *shared,
        pl.lit("decode").alias("stage"),
        pl.col("output_tokens_per_s").alias("tokens_per_s"),
        pl.col("kv_share").alias("use_share"),
        pl.col("decode_busy").alias("time_share"),
        pl.lit(None, pl.Float32).alias("queue"),
        pl.col("batch").cast(pl.Float64),
        pl.lit(None, pl.Float64).alias("ttft_waiting_share"),
        (pl.col("decode_s") / total).fill_nan(0.0).alias("e2e_share"),
    )
    return pl.concat([prefill, decode], how="vertical_relaxed").sort("endpoint_id", "stage", descending=[False, True])


def _use(instances: pl.DataFrame) -> pl.DataFrame:
    """Return per endpoint: instances on, and how much of their time goes to prefill and to decode."""
    held = pl.col("on_share").cast(pl.Float64)
    endpoint = pl.col("instance_id").cast(pl.String).str.split("/").list.first().alias("endpoint_id")
    return (
        instances.group_by(endpoint, "t_s")
        .agg(
            held.sum().alias("on"),
            pl.col("prefill_share").sum().cast(pl.Float64).alias("prefill"),
            pl.col("decode_share").sum().cast(pl.Float64).alias("decode"),
            pl.col("kv_share").filter(held > 0).mean().cast(pl.Float64),
            ((pl.col("batch_mean") * pl.col("decode_share")).sum() / pl.col("decode_share").sum()).fill_nan(0.0).alias("batch"),
        )
        .group_by("endpoint_id")
        .agg(
            pl.col("on").mean(),
            (pl.col("prefill").sum() / pl.col("on").sum()).fill_nan(0.0).alias("prefill_busy"),
            (pl.col("decode").sum() / pl.col("on").sum()).fill_nan(0.0).alias("decode_busy"),
            pl.col("kv_share").max(),
            pl.col("batch").mean(),
        )
    )


def counts(endpoints: pl.DataFrame, gpus_each: Mapping[str, int]) -> dict[str, pl.DataFrame]:
    """Return instances on over time (``t_s``, ``count``) by endpoint; ``gpus_each`` is how many GPUs one instance holds."""
    named = endpoints.with_columns(pl.col("endpoint_id").cast(pl.String))
    return {
        endpoint: named.filter(pl.col("endpoint_id") == endpoint)
        .sort("t_s")
        .select("t_s", (pl.col("gpus_on").cast(pl.Float64) / each).round(0).alias("count"))
        for endpoint, each in gpus_each.items()
    }


def cost(endpoints: pl.DataFrame) -> pl.DataFrame:
    """Return ``t_s`` and ``usd_per_h`` of all endpoints together."""
    return endpoints.group_by("t_s").agg(pl.col("usd_per_h").cast(pl.Float64).sum()).sort("t_s")


def spent(endpoints: pl.DataFrame, from_s: float, to_s: float) -> pl.DataFrame:
    """Return per endpoint the mean ``gpus_on`` and ``usd_per_h`` of an interval."""
    return (
        _inside(endpoints, "t_s", from_s, to_s)
        .with_columns(pl.col("endpoint_id").cast(pl.String))
        .group_by("endpoint_id")
        .agg(pl.col("gpus_on").mean(), pl.col("usd_per_h").mean())
        .sort("endpoint_id")
    )


def _inside(frame: pl.DataFrame, column: str, from_s: float, to_s: float) -> pl.DataFrame:
    return frame.filter((pl.col(column) >= from_s) & (pl.col(column) < to_s))
