"""What serving writes, and the metrics that are read off it."""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from twin.clock import HOUR_S
from twin.metrics import Asked, Reading
from twin.tables import Column, Table

FINISHED: Final = 0
REJECTED_STATUS: Final = 1
UNFINISHED: Final = 2

REQUESTS: Final = Table(
    "requests",
    "one row per request, written when it is over",
    (
        Column("arrive_s", pl.Float64, "arrival, seconds since the start of the run"),
        Column("endpoint_id", pl.String, "endpoint asked", entity="endpoint"),
        Column("instance", pl.Int16, "number of the instance that finished it, 0 for none"),
        Column("prompt_tokens", pl.Int32, "tokens that the language model reads, with those of images where it reads these"),
        Column("output_tokens", pl.Int32, "output tokens asked"),
        Column("images", pl.Int16, "images in the request"),
        Column("ttft_s", pl.Float32, "arrival to first token; not a number before it"),
        Column("atgt_s", pl.Float32, "average token generation time after the first; not a number for one token"),
        Column("e2e_s", pl.Float32, "arrival to last token; not a number before it"),
        Column("prepare_s", pl.Float32, "preparation of its images on a CPU, with the wait for one"),
        Column("encode_wait_s", pl.Float32, "wait for an image instance"),
        Column("encode_s", pl.Float32, "encoding of its images, apart or in the iteration of its prefill"),
        Column("transfer_s", pl.Float32, "way of the image tokens to the instance that prefills"),
        Column("queue_s", pl.Float32, "wait for the prefill; not a number before it"),
        Column("status", pl.UInt8, "0 finished, 1 rejected, 2 unfinished when the run ended"),
        Column("slo", pl.Int8, "1 both objectives met, 0 missed, -1 not yet known when the run ended"),
    ),
    telemetry=False,
)
INSTANCES: Final = Table(
    "instances",
    "one row per instance and 5 minutes, shares and means over them",
    (
        Column("t_s", pl.Float64, "begin of the 5 minutes"),
        Column("instance_id", pl.String, "endpoint and number", entity="instance"),
        Column("on_share", pl.Float32, "time that its GPUs were held"),
        Column("role", pl.UInt8, "stages it serves at the end: 0 whole, 1 image, 2 prefill, 3 decode"),
        Column("clock_share", pl.Float32, "clock set at the end"),
        Column("encode_share", pl.Float32, "time in encoding images, for others or within its prefills"),
        Column("prefill_share", pl.Float32, "time in prefill iterations, with the encoding in them"),
        Column("decode_share", pl.Float32, "time in decode"),
        Column("prompt_tokens_per_s", pl.Float32, "prompt tokens prefilled"),
        Column("output_tokens_per_s", pl.Float32, "tokens generated"),
        Column("batch_mean", pl.Float32, "mean batch while decoding"),
        Column("queue_mean", pl.Float32, "mean queue"),
        Column("queue_max", pl.Int32, "longest queue"),
        Column("kv_share", pl.Float32, "highest share of the KV cache in use"),
        Column("preemptions", pl.Int32, "requests put back because the KV cache was full"),
        Column("atgt_budget_share", pl.Float32, "slowest request that finished there, share of the ATGT objective"),
        Column("arrivals", pl.Int32, "requests sent to it"),
    ),
    ahead_s=300.0,
)
ENDPOINTS: Final = Table(
    "endpoints",
    "one row per endpoint and window",
    (
        Column("t_s", pl.Float64, "begin of the window"),
        Column("endpoint_id", pl.String, "endpoint", entity="endpoint"),
        Column("window_s", pl.Float32, "length of the window"),
        Column("arrivals", pl.Int32, "requests that arrived"),
        Column("finished", pl.Int32, "requests that finished"),
        Column("prompt_tokens_per_s", pl.Float32, "prompt tokens prefilled"),
        Column("output_tokens_per_s", pl.Float32, "tokens generated"),
        Column("gpus_on", pl.Float32, "GPUs held, mean"),
        Column("usd_per_h", pl.Float32, "GPUs held times their tariff"),
        Column("queue", pl.Float32, "requests waiting, mean"),
        Column("ttft_p50_s", pl.Float32, "median time to first token of those given in the window"),
        Column("ttft_p99_s", pl.Float32, "99th percentile of the same"),
        Column("slo_share", pl.Float32, "of the requests that were over in the window, those within both objectives"),
        Column("quality_share", pl.Float32, "answer quality relative to the largest model"),
    ),
)
TOKEN_GAPS: Final = Table(
    "token_gaps",
    "one row per hour, endpoint and occupied bin of the time between tokens",
    (
        Column("hour", pl.Int32, "hours since the start of the run"),
        Column("endpoint_id", pl.String, "endpoint", entity="endpoint"),
        Column("gap_s", pl.Float64, "lower edge of the bin; bins are 1/32 octave wide"),
        Column("gap_to_s", pl.Float64, "upper edge of the bin"),
        Column("tokens", pl.Int64, "gaps in the bin"),
    ),
    telemetry=False,
)
PLACEMENTS: Final = Table(
    "placements",
    "one row per endpoint and window: where its last request went, and why",
    (
        Column("t_s", pl.Float64, "end of the window"),
        Column("endpoint_id", pl.String, "endpoint", entity="endpoint"),
        Column("arrive_s", pl.Float64, "arrival of the request"),
        Column("prompt_tokens", pl.Int32, "tokens that the language model reads"),
        Column("instance", pl.Int16, "number of the instance that took it"),
        Column("feasible", pl.Int32, "instances that could have taken it, as far as its router says; 0 where it does not"),
        Column("reason", pl.String, "why it went there"),
    ),
    telemetry=False,
)
TABLES: Final = (REQUESTS, INSTANCES, ENDPOINTS, TOKEN_GAPS, PLACEMENTS)


def _rows(asked: Asked, table: str, time: str, columns: list[str]) -> pl.DataFrame | None:
    """Return the columns of a table's rows inside scope and window; None where the run has no such table."""
    if table not in asked.tables:
        return None
    lazy = asked.tables[table]
    endpoints = asked.ids("endpoint")
    if endpoints:
        lazy = lazy.filter(pl.col("endpoint_id").cast(pl.String).is_in(endpoints))
    wanted = list(dict.fromkeys([time, *columns]))
    frame = lazy.select(wanted).collect()
    if asked.window is not None:
        frame = frame.filter(asked.clock.inside(frame[time].to_numpy(), asked.window))
    return frame if frame.height else None


def _percentile(column: str, share: float, images: bool = False) -> Reading:
    """Return the reading of a percentile over requests.

    Requests that still wait when the run ends count with what they have waited so far where that is beyond the percentile of
    the others: an endpoint that stopped serving must not look as it did before.
    """
    waits = column in {"ttft_s", "e2e_s"}

    def read(asked: Asked) -> float | None:
        frame = _rows(asked, "requests", "arrive_s", [column, "status", *(["images"] if images else [])])
        if frame is None:
            return None
        if images:
            frame = frame.filter(pl.col("images") > 0)
        known = frame[column].drop_nulls().drop_nans()
        value = known.quantile(share, "linear")
        end_s = _end_s(asked) if waits else None
        if end_s is not None:
            open_ones = frame.filter((pl.col("status") == UNFINISHED) & (pl.col(column).is_null() | pl.col(column).is_nan()))
            waited = (end_s - open_ones["arrive_s"]).cast(known.dtype)
            late = waited if value is None else waited.filter(waited > value)
            value = pl.concat([known, late]).quantile(share, "linear") if len(late) else value
        return None if value is None else float(value)

    return read


def _end_s(asked: Asked) -> float | None:
    """Return when the run ended, by its last window; None without one."""
    if "endpoints" not in asked.tables:
        return None
    ends = pl.col("t_s") + pl.col("window_s").cast(pl.Float64)
    end_s = asked.tables["endpoints"].select(ends.max()).collect().item()
    return None if end_s is None else float(end_s)


def slo_attainment_share(asked: Asked) -> float | None:
    """Return the share of requests within both objectives; rejected ones missed, those not yet known are left out."""
    frame = _rows(asked, "requests", "arrive_s", ["slo"])
    known = None if frame is None else frame.filter(pl.col("slo") >= 0)
    return None if known is None or known.height == 0 else float((known["slo"] == 1).mean())  # type: ignore[arg-type]


def quality_mean_share(asked: Asked) -> float | None:
    """Return the quality of the finished requests' models, averaged over requests."""
    frame = _rows(asked, "endpoints", "t_s", ["finished", "quality_share"])
    if frame is None or frame["finished"].sum() == 0:
        return None
    return float(np.average(frame["quality_share"].to_numpy(), weights=frame["finished"].to_numpy()))


def _windows(columns: list[str], value: Callable[[pl.DataFrame, float], float | None]) -> Reading:
    """Read off the endpoints table; ``value`` gets its rows and the time that they cover."""

    def read(asked: Asked) -> float | None:
        frame = _rows(asked, "endpoints", "t_s", [*columns, "window_s"])
        if frame is None:
            return None
        covered_s = float(frame.group_by("t_s").agg(pl.col("window_s").first())["window_s"].cast(pl.Float64).sum())
        return value(frame, covered_s)

    return read


def _over_time(frame: pl.DataFrame, column: str) -> float:
    return float((frame[column].cast(pl.Float64) * frame["window_s"].cast(pl.Float64)).sum())


def _usd_per_million_tokens(frame: pl.DataFrame, covered_s: float) -> float | None:
    tokens = _over_time(frame, "prompt_tokens_per_s") + _over_time(frame, "output_tokens_per_s")
    return None if tokens == 0 else _over_time(frame, "usd_per_h") / HOUR_S / (tokens / 1e6)


def tbt_p99_s(asked: Asked) -> float | None:
    """Return the 99th percentile of the gaps between tokens, interpolated in its bin (error below 1.6 %).

    A window takes the hours since the start whose middle lies in it.
    """
    if "token_gaps" not in asked.tables:
        return None
    lazy = asked.tables["token_gaps"].with_columns(middle_s=(pl.col("hour") + 0.5) * HOUR_S)
    inner = Asked({"token_gaps": lazy}, asked.clock, asked.horizon_s, asked.scope, asked.window)
    frame = _rows(inner, "token_gaps", "middle_s", ["gap_s", "gap_to_s", "tokens"])
    if frame is None:
        return None
    bins = frame.group_by("gap_s").agg(pl.col("gap_to_s").first(), pl.col("tokens").sum()).sort("gap_s")
    return _binned(bins["gap_s"].to_numpy(), bins["gap_to_s"].to_numpy(), bins["tokens"].to_numpy(), 0.99)


def _binned(low: NDArray[np.float64], high: NDArray[np.float64], counts: NDArray[np.int64], share: float) -> float:
    upto = np.cumsum(counts)
    wanted = share * upto[-1]
    i = int(np.searchsorted(upto, wanted))
    return float(low[i] * (high[i] / low[i]) ** ((wanted - (upto[i] - counts[i])) / counts[i]))


READINGS: Final[Mapping[str, Reading]] = {
    "serving.ttft_p50_s": _percentile("ttft_s", 0.5),
    "serving.ttft_p99_s": _percentile("ttft_s", 0.99),
    "serving.image_ttft_p99_s": _percentile("ttft_s", 0.99, images=True),
    "serving.tbt_p99_s": tbt_p99_s,
    "serving.atgt_p99_s": _percentile("atgt_s", 0.99),
    "serving.e2e_p99_s": _percentile("e2e_s", 0.99),
    "serving.slo_attainment_share": slo_attainment_share,
    "serving.throughput_per_s": _windows(["finished"], lambda frame, covered_s: float(frame["finished"].sum()) / covered_s),
    "serving.gpus_mean": _windows(["gpus_on"], lambda frame, covered_s: _over_time(frame, "gpus_on") / covered_s),
    "serving.cost_usd_per_h": _windows(["usd_per_h"], lambda frame, covered_s: _over_time(frame, "usd_per_h") / covered_s),
    "serving.cost_usd_per_million_tokens": _windows(["usd_per_h", "prompt_tokens_per_s", "output_tokens_per_s"], _usd_per_million_tokens),
    "serving.quality_mean_share": quality_mean_share,
}
