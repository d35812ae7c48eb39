"""What the claims are computed from: jobs, tasks, what was held in runs."""

from collections.abc import Mapping
from typing import Final

import polars as pl

Tables = Mapping[str, pl.LazyFrame]
_WH_J: Final = 3600.0
_MINUTE_H: Final = 1.0 / 60.0
SPEECH: Final = "transcript"


def makespan_s(tables: Tables) -> float | None:
    """Return the mean time of a job from asking to result; None where one was not done."""
    return _mean(tables, "makespan_s")


def energy_wh(tables: Tables) -> float | None:
    """Return the mean energy of a job."""
    found = _mean(tables, "energy_j")
    return None if found is None else found / _WH_J


def speed(tables: Tables) -> float | None:
    """Return how many such jobs one after the other fit into a second."""
    return _inverse(makespan_s(tables))


def frugality(tables: Tables) -> float | None:
    """Return how many such jobs a watt-hour is enough for."""
    return _inverse(energy_wh(tables))


def speech_on_cores(tables: Tables) -> float | None:
    """Return the share of scenes whose speech was made text on cores alone."""
    if "workflow_tasks" not in tables:
        return None
    rows = tables["workflow_tasks"].filter(pl.col("stage_id").cast(pl.String) == SPEECH).select("items", "gpus").collect()
    whole = int(rows["items"].sum()) if rows.height else 0
    return float(rows.filter(pl.col("gpus") == 0)["items"].sum()) / whole if whole else None


def gpu_sparing(tables: Tables) -> float | None:
    """Return one over the GPU-hours that were held."""
    return _inverse(_held(tables, "held_gpus"))


def energy_sparing(tables: Tables) -> float | None:
    """Return one over what all that was held and worked drew, in Wh."""
    return _inverse(_held(tables, "power_w"))


def cost_sparing(tables: Tables) -> float | None:
    """Return one over what all that was held and worked cost, in USD."""
    return _inverse(_held(tables, "cost_usd_per_h"))


def _mean(tables: Tables, column: str) -> float | None:
    if "jobs" not in tables:
        return None
    rows = tables["jobs"].select(pl.col("outcome").cast(pl.String), column).collect()
    if not rows.height or (rows["outcome"] != "done").any():
        return None
    return float(rows[column].to_numpy().mean())


def _held(tables: Tables, column: str) -> float | None:
    """Return a column of the minutes of use, summed over hours; None where jobs were refused: then less was done."""
    if "workflow_use" not in tables or "jobs" not in tables:
        return None
    if tables["jobs"].filter(pl.col("outcome").cast(pl.String) == "refused").select(pl.len()).collect().item():
        return None
    return float(tables["workflow_use"].select(pl.col(column).sum()).collect().item()) * _MINUTE_H


def _inverse(value: float | None) -> float | None:
    return None if value is None or value <= 0.0 else 1.0 / value
