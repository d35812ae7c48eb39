"""The tables that functions write, and the metrics read off them."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import polars as pl

from twin.functions.latencies import quantile_s
from twin.metrics import Asked, Reading
from twin.tables import Column, Table

_END: Final = Column("t_s", pl.Float64, "end of the window, seconds since the start of the run")
_WINDOW: Final = Column("window_s", pl.Float64, "length of the window")
_WHICH: Final = Column("function_id", pl.String, "function", "function")
SEGMENTS: Final = ("gateway", "provider", "function_stack", "lookup", "interference", "queue", "cold_start", "run")

FUNCTIONS: Final = Table(
    "functions",
    "one row per window and function",
    (
        _END,
        _WINDOW,
        _WHICH,
        Column("arrived", pl.Int64, "calls that came"),
        Column("completed", pl.Int64, "calls that were answered"),
        Column("waiting", pl.Int64, "calls under way at the end"),
        Column("cold_starts", pl.Int64, "calls that waited for a start"),
        Column("latency_p50_s", pl.Float64, "median from call to answer"),
        Column("latency_p99_s", pl.Float64, "99th percentile of the same"),
        Column("latency_mean_s", pl.Float64, "mean of the same"),
        Column("instances", pl.Float64, "warm instances, averaged over the window"),
        Column("cpu_mean_s", pl.Float64, "core time that a call needs on average at full speed, its hops included"),
    ),
)
FUNCTION_PATH: Final = Table(
    "function_path",
    "one row per window, function and segment of the path",
    (
        _END,
        _WINDOW,
        _WHICH,
        Column("segment", pl.String, "gateway, provider, function_stack, lookup, interference, queue, cold_start, run"),
        Column("mean_s", pl.Float64, "mean time of a call in it"),
        Column("tail_mean_s", pl.Float64, "the same over the slowest hundredth of the window's calls"),
    ),
    telemetry=False,
)
FUNCTION_LATENCY: Final = Table(
    "function_latency",
    "one row per window, function and bin of latency that has calls",
    (
        _END,
        _WINDOW,
        _WHICH,
        Column("low_s", pl.Float64, "lower edge of the bin; bins are a quarter of a percent wide"),
        Column("calls", pl.Int64, "calls in it"),
    ),
    telemetry=False,
)
FUNCTION_HOSTS: Final = Table(
    "function_hosts",
    "one row per window and host that runs functions",
    (
        _END,
        _WINDOW,
        Column("host_id", pl.String, "host", "host"),
        Column("busy_cores", pl.Float64, "cores busy with calls"),
        Column("polling_cores", pl.Float64, "cores that spin"),
        Column("cores", pl.Float64, "cores that functions have"),
        Column("saturation_per_s", pl.Float64, "calls a second of this mix at which all cores would be busy"),
        Column("instances_bytes", pl.Float64, "memory of warm instances"),
    ),
)
TABLES: Final = (FUNCTIONS, FUNCTION_PATH, FUNCTION_LATENCY, FUNCTION_HOSTS)


def _inside(asked: Asked, table: str, *columns: str) -> pl.DataFrame | None:
    """Return rows of the scope in windows that begin inside the asked hours; None where there are none."""
    if table not in asked.tables or any(scope.kind != "function" for scope in asked.scope):
        return None
    rows = asked.tables[table].select("t_s", "window_s", *columns)
    wanted = asked.ids("function")
    if wanted and "function_id" in columns:
        rows = rows.filter(pl.col("function_id").cast(pl.String).is_in(wanted))
    frame = rows.collect()
    if asked.window is not None:
        begin_s = np.maximum(frame["t_s"].to_numpy() - frame["window_s"].to_numpy(), 0.0)
        frame = frame.filter(pl.Series(asked.clock.inside(begin_s, asked.window)))
    return frame if frame.height else None


def _latency(share: float) -> Reading:
    """Return the reading of a quantile of latency over all calls that were answered."""

    def reading(asked: Asked) -> float | None:
        rows = _inside(asked, "function_latency", "function_id", "low_s", "calls")
        if rows is None:
            return None
        bins = rows.group_by("low_s").agg(pl.col("calls").sum()).sort("low_s")
        return quantile_s(bins["low_s"].to_numpy(), bins["calls"].to_numpy(), share)

    return reading


def _throughput_max_per_s(asked: Asked) -> float | None:
    """Calls a second at which all cores would be busy, averaged over time: of the mix that came, or of the asked functions alone."""
    rows = _inside(asked, "function_hosts", "cores", "saturation_per_s")
    if rows is None:
        return None
    by_window = rows.group_by("t_s", "window_s").agg(pl.col("cores").sum(), pl.col("saturation_per_s").sum()).sort("t_s")
    highest = by_window["saturation_per_s"].to_numpy()
    if asked.ids("function"):
        mine = _inside(asked, "functions", "function_id", "arrived", "cpu_mean_s")
        if mine is None:
            return None
        calls, needed_s = mine["arrived"].to_numpy().astype(np.float64), mine["cpu_mean_s"].to_numpy()
        mean_s = float((calls * needed_s).sum() / calls.sum()) if calls.any() else float(needed_s.mean())
        highest = by_window["cores"].to_numpy() / mean_s
    return float(np.average(highest, weights=by_window["window_s"].to_numpy()))


def _cold_start_share(asked: Asked) -> float | None:
    """Calls that waited for an instance to start, over all that came."""
    rows = _inside(asked, "functions", "function_id", "arrived", "cold_starts")
    if rows is None or not rows["arrived"].sum():
        return None
    return float(rows["cold_starts"].sum()) / float(rows["arrived"].sum())


READINGS: Final[Mapping[str, Reading]] = {
    "functions.latency_p50_s": _latency(0.50),
    "functions.latency_p99_s": _latency(0.99),
    "functions.throughput_max_per_s": _throughput_max_per_s,
    "functions.cold_start_share": _cold_start_share,
}
