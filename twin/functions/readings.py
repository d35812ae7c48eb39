"""The tables that functions write, and the metrics read off them."""

from typing import Final

import polars as pl

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
