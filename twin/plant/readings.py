"""The metrics read off the tables that the plant writes."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import polars as pl

from twin.clock import DAY_S
from twin.metrics import Asked, Reading
from twin.plant.written import MINUTE_S, PART_S, TABLES

__all__ = ["READINGS", "TABLES"]

_SHARE_STEPS: Final = 2**30


def _inside(asked: Asked, frame: pl.LazyFrame, every_s: float | None = None, columns: Sequence[str] = ()) -> pl.DataFrame:
    """Return the rows of a table whose interval begins inside the window; ``every_s`` None means by tick.

    Only the named columns are read where any are named: a week's table of servers does not fit memory whole.
    """
    if columns:
        times = [] if asked.window is None else ["t_s"] if every_s is not None else ["t_s", "tick_s"]
        frame = frame.select(*dict.fromkeys((*columns, *times)))
    # In one piece, so that sums are the same whatever the pieces were that the table came in.
    collected = frame.collect().rechunk()
    if asked.window is None or collected.is_empty():
        return collected
    span = collected["tick_s"].to_numpy() if every_s is None else np.full(collected.height, every_s)
    return collected.filter(pl.Series(asked.clock.inside(np.maximum(collected["t_s"].to_numpy() - span, 0.0), asked.window)))


def _aggregate(asked: Asked, frame: pl.LazyFrame, every_s: float | None, *wanted: pl.Expr) -> tuple[Any, ...]:
    """Return aggregates over the rows whose interval begins inside the window, read in a stream.

    A week's table of servers does not fit memory. The rows come in any order: what depends on it, as sums of floats do, must not
    be asked here.
    """
    if asked.window is not None:
        times = frame.select(["t_s"] if every_s is not None else ["t_s", "tick_s"]).unique().collect()
        span = times["tick_s"].to_numpy() if every_s is None else every_s
        inside = pl.Series(asked.clock.inside(np.maximum(times["t_s"].to_numpy() - span, 0.0), asked.window))
        frame = frame.join(times.filter(inside).lazy(), on=times.columns, how="semi")
    return frame.select(wanted).collect(engine="streaming").row(0)


def _places(asked: Asked) -> tuple[pl.LazyFrame, float | None] | None:
    """Return the coarsest table that resolves the scope, already filtered to it, and its interval."""
    rows, racks, servers = asked.ids("row"), asked.ids("rack"), asked.ids("server")
    table, every_s = ("servers", MINUTE_S) if servers else ("racks", PART_S) if racks else ("rows", None)
    if table not in asked.tables:
        return None
    frame = asked.tables[table]
    if rows or racks or servers:
        hit = pl.col("row_id").cast(pl.String).is_in(rows)
        if racks or servers:
            hit |= pl.col("rack_id").cast(pl.String).is_in(racks)
        if servers:
            hit |= pl.col("server_id").cast(pl.String).is_in(servers)
        frame = frame.filter(hit)
    return frame, every_s


def _number(value: object) -> float | None:
    return None if value is None or not np.isfinite(float(value)) else float(value)  # type: ignore[arg-type]


def _gpu_temp_max_c(asked: Asked) -> float | None:
    place = _places(asked)
    if place is None:
        return None
    return _number(*_aggregate(asked, *place, pl.col("gpu_temp_max_c").fill_nan(None).max()))


def _inlet_temp_max_c(asked: Asked) -> float | None:
    # Rows carry no inlet: racks are the coarsest table that does.
    finer = asked if asked.ids("server") or asked.ids("rack") else None
    place = _places(asked) if finer else ((asked.tables["racks"], PART_S) if "racks" in asked.tables else None)
    if place is None:
        return None
    frame, every_s = place
    if finer is None and asked.ids("row"):
        frame = frame.filter(pl.col("row_id").cast(pl.String).is_in(asked.ids("row")))
    return _number(*_aggregate(asked, frame, every_s, pl.col("inlet_c").max()))


def _rows(asked: Asked, *columns: str) -> pl.DataFrame | None:
    """Return the named columns of the table of rows in scope and window; a rack or server stands for its row."""
    if "rows" not in asked.tables:
        return None
    frame, wanted = asked.tables["rows"], set(asked.ids("row"))
    for kind, table in (("rack", "racks"), ("server", "servers")):
        if asked.ids(kind) and table in asked.tables:  # type: ignore[arg-type]
            hit = pl.col(f"{kind}_id").cast(pl.String).is_in(asked.ids(kind))  # type: ignore[arg-type]
            wanted |= set(asked.tables[table].filter(hit).select(pl.col("row_id").cast(pl.String).unique()).collect()["row_id"])
    if asked.scope and not wanted:
        return None
    if wanted:
        frame = frame.filter(pl.col("row_id").cast(pl.String).is_in(sorted(wanted)))
    return _inside(asked, frame, None, columns)


def _site(asked: Asked) -> pl.DataFrame | None:
    return _inside(asked, asked.tables["site"]) if "site" in asked.tables else None


def _per_day(asked: Asked, total: float) -> float | None:
    """Return a total per day of simulated time; None where the run never was inside the window, which is no evidence of nothing."""
    if asked.window is not None and "site" in asked.tables and _inside(asked, asked.tables["site"], None, ("t_s",)).is_empty():
        return None
    return total * DAY_S / asked.horizon_s


def _row_power_peak_w(asked: Asked) -> float | None:
    rows = _rows(asked, "power_w")
    return None if rows is None else _number(rows["power_w"].max())


def _site_power_peak_w(asked: Asked) -> float | None:
    site = _site(asked)
    return None if site is None else _number(site["site_power_w"].max())


def _thermal_throttle_events(asked: Asked) -> float | None:
    if "servers" not in asked.tables:
        return None
    return _per_day(asked, float(*_aggregate(asked, _servers(asked), MINUTE_S, pl.col("thermal_throttles").cast(pl.Int64).sum())))


def _servers(asked: Asked) -> pl.LazyFrame:
    """Return the table of servers in the scope."""
    frame = asked.tables["servers"]
    columns = {f"{kind}_id": asked.ids(kind) for kind in ("row", "rack", "server")}
    if not any(columns.values()):
        return frame
    return frame.filter(pl.any_horizontal(pl.col(name).cast(pl.String).is_in(ids) for name, ids in columns.items()))


def _power_throttle_events(asked: Asked) -> float | None:
    rows = _rows(asked, "power_brakes")
    return None if rows is None else _per_day(asked, float(rows["power_brakes"].cast(pl.Int64).sum()))


def _throttled_gpu_share(asked: Asked) -> float | None:
    # Servers have as many GPUs each; rows and racks need not.
    if "servers" not in asked.tables:
        return None
    # Whole numbers have the same sum in any order.
    steps = (pl.col("throttled_gpu_share").cast(pl.Float64) * _SHARE_STEPS).round().cast(pl.Int64)
    total, count = _aggregate(asked, _servers(asked), MINUTE_S, steps.sum(), pl.len())
    return total / count / _SHARE_STEPS if count else None


def _energy_j(asked: Asked) -> float | None:
    if not asked.scope:
        site = _site(asked)
        return None if site is None else _per_day(asked, float((site["site_power_w"] * site["tick_s"]).sum()))
    rows = _rows(asked, "facility_power_w", "tick_s")
    return None if rows is None else _per_day(asked, float((rows["facility_power_w"] * rows["tick_s"]).sum()))


def _energy_cost_usd(asked: Asked) -> float | None:
    site = _site(asked)
    if site is None:
        return None
    cost = site["cost_usd_per_h"] * site["tick_s"] / 3600.0
    if not asked.scope:
        return _per_day(asked, float(cost.sum()))
    rows = _rows(asked, "t_s", "facility_power_w")
    if rows is None:
        return None
    share = rows.group_by("t_s").agg(pl.col("facility_power_w").sum())
    joined = site.select("t_s", "site_power_w", cost.alias("cost_usd")).join(share, on="t_s", how="inner").sort("t_s")
    return _per_day(asked, float((joined["cost_usd"] * joined["facility_power_w"] / joined["site_power_w"]).sum()))


def _pue(asked: Asked) -> float | None:
    site = _site(asked)
    if site is None or site.is_empty():
        return None
    return float((site["site_power_w"] * site["tick_s"]).sum()) / float((site["it_power_w"] * site["tick_s"]).sum())


def _carbon_kg(asked: Asked) -> float | None:
    site = _site(asked)
    return None if site is None else _per_day(asked, float((site["carbon_kg_per_s"] * site["tick_s"]).sum()))


def _water_l(asked: Asked) -> float | None:
    site = _site(asked)
    return None if site is None else _per_day(asked, float((site["water_l_per_s"] * site["tick_s"]).sum()))


def _oversubscription_share(asked: Asked) -> float | None:
    if asked.scope or "capacity" not in asked.tables:
        return None
    # Servers stand there at any hour of the run, whatever window a sentence was about.
    if asked.window is not None and _inside(asked, asked.tables["site"], None, ("t_s",)).is_empty():
        return None
    stood = asked.tables["capacity"].select(pl.col("servers", "extra_servers").cast(pl.Int64).sum()).collect()
    servers, extra = stood.row(0)
    return extra / servers if servers else None


READINGS: Final[Mapping[str, Reading]] = {
    "plant.gpu_temp_max_c": _gpu_temp_max_c,
    "plant.inlet_temp_max_c": _inlet_temp_max_c,
    "plant.row_power_peak_w": _row_power_peak_w,
    "plant.site_power_peak_w": _site_power_peak_w,
    "plant.thermal_throttle_events": _thermal_throttle_events,
    "plant.power_throttle_events": _power_throttle_events,
    "plant.throttled_gpu_share": _throttled_gpu_share,
    "plant.energy_j": _energy_j,
    "plant.energy_cost_usd": _energy_cost_usd,
    "plant.pue": _pue,
    "plant.carbon_kg": _carbon_kg,
    "plant.water_l": _water_l,
    "plant.oversubscription_share": _oversubscription_share,
}
