"""A small run, built by hand: two rows, a request log, and the truth about a fault."""

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from twin.run import Run, describe
from twin.tables import Column, Table

ROWS = Table(
    "rows",
    "one row per row of racks and minute",
    (
        Column("t_s", pl.Float64, "seconds since the start"),
        Column("row_id", pl.UInt32, "the row", entity="row"),
        Column("power_w", pl.Float64, "power of the row"),
        Column("throttled", pl.Boolean, "whether it is throttled"),
    ),
)
REQUESTS = Table(
    "requests", "one row per request", (Column("t_s", pl.Float64, "arrival"), Column("ttft_s", pl.Float64, "wait")), telemetry=False
)
TRUTH = Table(
    "faults_truth", "one row per fault", (Column("t_s", pl.Float64, "begin"), Column("severity_share", pl.Float64, "loss")), telemetry=False
)


def frames(seed: int) -> dict[str, pl.DataFrame]:
    times = np.repeat(np.arange(0.0, 600.0, 60.0), 2)
    ids = pl.Series("row_id", ["row-1", "row-2"] * 10, dtype=pl.Enum(["row-1", "row-2"]))
    power = 1000.0 * np.arange(20.0) + seed
    return {
        "rows": pl.DataFrame({"t_s": times, "row_id": ids, "power_w": power, "throttled": power > 15_000.0}),
        "requests": pl.DataFrame({"t_s": [1.0, 2.0, 3.0], "ttft_s": [0.1, 0.2, 0.3]}),
        "faults_truth": pl.DataFrame({"t_s": [120.0], "severity_share": [0.5]}),
    }


@pytest.fixture
def make_run() -> Callable[..., Run]:
    def make(run_id: str = "0123456789ab", seed: int = 1, **metrics: float) -> Run:
        manifest = {
            "schema": 1,
            "scenario": {"name": "tiny"},
            "schedule": [{"from_s": 0.0, "policy": {}}],
            "seed": seed,
            "title": "Tiny",
            "start": "2026-07-01T00:00:00",
            "timezone": "UTC",
            "begin_s": 0.0,
            "end_s": 600.0,
            "horizon_s": 600.0,
            "tables": {table.name: describe(table) for table in (ROWS, REQUESTS, TRUTH)},
        }
        state = {"t_s": 300.0, "plant": {"temp_c": np.array([50.0 + seed, 60.0]), "label": "hot", "queue": [1, 2.5, None, True]}}
        tables = {name: frame.lazy() for name, frame in frames(seed).items()}
        return Run(run_id, manifest, tables, metrics or {"plant.pue": 1.25}, {300: state})

    return make
