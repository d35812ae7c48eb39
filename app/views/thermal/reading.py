"""What the page reads of a run's tables at the cursor."""

from functools import lru_cache
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from app import floors, state
from app.charts.aisles import Aisle
from app.charts.day import MINUTE_S
from app.charts.power import Feed, Node, tree

Floats = NDArray[np.float32]
COUNTS: Final = {"servers": "thermal_throttles", "rows": "power_brakes"}


def minute_of(run_id: str, name: str, t_s: float) -> pl.DataFrame:
    """Return the rows of a table that end within the minute after ``t_s``, which is the one that the floor shows.

    Empty where the run has no such table, or nothing in it then.
    """
    frame = state.table(run_id, name)
    if frame.is_empty():
        return frame
    brief = state.run(run_id).brief
    last_s = max(brief.begin_s, min(t_s, brief.end_s - MINUTE_S))
    from_s = brief.begin_s + (last_s - brief.begin_s) // MINUTE_S * MINUTE_S
    return frame.filter((pl.col("t_s") > from_s + 1e-6) & (pl.col("t_s") <= from_s + MINUTE_S + 1e-6)).sort("t_s")


def has_feeds(run_id: str) -> bool:
    """Return whether a run recorded UPS and PDU."""
    return not state.table(run_id, "feeds").is_empty()


def power_tree(home: str, run_id: str, t_s: float, open_row: str) -> tuple[Node, ...]:
    """Return the power tree at a moment, with the racks of one row."""
    site = minute_of(run_id, "site", t_s)
    load_w = float(site["site_power_w"].max()) if site.height else float("nan")  # type: ignore[arg-type]
    rows = {row: (power, budget) for row, power, budget in _highest(minute_of(run_id, "rows", t_s), "row_id", "power_w", "budget_w")}
    racks = {rack: power for rack, power in _highest(minute_of(run_id, "racks", t_s), "rack_id", "power_w")}
    ride_through = state.run(run_id).manifest["scenario"]["plant"].get("tree")
    return tree(floors.fleet_in(home, run_id), load_w, rows, feeds_at(run_id, t_s), racks, open_row, ride_through)


def _highest(frame: pl.DataFrame, key: str, value: str, *lasting: str) -> list[tuple]:
    """Return each place with its highest value of a minute and the last of other columns."""
    if frame.is_empty():
        return []
    wanted = [pl.col(value).max().cast(pl.Float64), *(pl.col(name).last() for name in lasting)]
    return frame.group_by(pl.col(key).cast(pl.String), maintain_order=True).agg(wanted).rows()


def feeds_at(run_id: str, t_s: float) -> dict[str, Feed]:
    """Return power, rating in force and whether it is live of every UPS and PDU."""
    return {name: (power, rated, bool(live)) for name, power, rated, live in _highest(
        minute_of(run_id, "feeds", t_s), "feed_id", "power_w", "rated_w", "live"
    )}  # fmt: skip


def aisles_at(run_id: str, t_s: float) -> list[Aisle]:
    """Return every aisle at a moment; empty in runs that are older than the table."""
    frame = minute_of(run_id, "aisles", t_s)
    if frame.is_empty():
        return []
    worst = [pl.col(name).max().cast(pl.Float64) for name in ("airflow_m3_per_s", "recirculated_share", "inlet_max_c", "supply_c")]
    found = frame.group_by(pl.col("aisle_id").cast(pl.String), maintain_order=True).agg(
        *worst, pl.col("supply_m3_per_s").last().cast(pl.Float64)
    )
    return [
        Aisle(
            row["aisle_id"], row["airflow_m3_per_s"], row["supply_m3_per_s"], row["supply_c"], row["recirculated_share"], row["inlet_max_c"]
        )
        for row in found.sort("aisle_id").iter_rows(named=True)
    ]


@lru_cache(maxsize=16)
def clocks(home: str, run_id: str, server_id: str) -> Floats:
    """Return the slowest clock of a server's GPUs, minute by minute, as a share of the highest."""
    day, lazy = floors.day_in(home, run_id), state.run(run_id).tables.get("servers")
    out = np.full(day.minutes, np.nan, dtype=np.float32)
    if lazy is None or "clock_min_share" not in lazy.collect_schema().names():
        return out
    frame = lazy.filter(pl.col("server_id") == server_id).select("t_s", "clock_min_share").collect()
    minute = np.ceil((frame["t_s"].to_numpy() - day.begin_s) / MINUTE_S - 1e-6).astype(np.int64) - 1
    kept = (minute >= 0) & (minute < day.minutes)
    out[minute[kept]] = frame["clock_min_share"].to_numpy()[kept]
    return out


def vms_on(run_id: str, server_id: str, t_s: float) -> pl.DataFrame:
    """Return the VMs on a server at a moment: whose they are, what kind, which GPUs where the run says so, since when."""
    frame = _also_before(run_id, "vms")
    if frame.is_empty():
        return frame
    here = frame.filter((pl.col("place_id").cast(pl.String) == server_id) & (pl.col("t_s") <= t_s + 1e-6))
    ends = _also_before(run_id, "vm_ends")
    if not ends.is_empty():
        here = here.join(ends.filter(pl.col("t_s") <= t_s).select(pl.col("vm_id")), on="vm_id", how="anti")
    missing = [pl.lit(None, pl.Int64).alias(name) for name in ("gpus", "first_gpu") if name not in here.columns]
    return here.with_columns(missing).select("vm_id", "workload_id", "kind", "gpus", "first_gpu", pl.col("t_s").alias("since_s"))


def _also_before(run_id: str, name: str) -> pl.DataFrame:
    """Return a table of a run with those of the runs which it goes on from, where it does: a VM is told once, when it is placed."""
    known = {brief.run_id for brief in state.stored()}
    frames = [state.table(run_id, name)]
    while (run_id := (state.run(run_id).manifest.get("started_from") or {}).get("run_id")) in known:
        frames.insert(0, state.table(run_id, name))
    kept = [frame for frame in frames if not frame.is_empty()]
    return pl.concat(kept, how="vertical_relaxed") if kept else pl.DataFrame()


def throttles(run_id: str, from_s: float, to_s: float) -> int | None:
    """Return how often GPUs or rows began to throttle in a part of a run, on heat or on power; None where that was not recorded."""
    tables, found = state.run(run_id).tables, None
    for name, column in COUNTS.items():
        if name in tables and column in tables[name].collect_schema().names():
            inside = tables[name].filter((pl.col("t_s") > from_s + 1e-6) & (pl.col("t_s") <= to_s + 1e-6))
            found = (found or 0) + int(inside.select(pl.col(column).cast(pl.Int64).sum()).collect().item())
    return found
