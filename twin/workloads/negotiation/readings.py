"""The metrics of the negotiation, read off its tables."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from twin.clock import DAY_S, HOUR_S
from twin.metrics import Asked, Reading

_MINUTES: Final = 60


def _whose(asked: Asked, table: str, *columns: str) -> pl.DataFrame | None:
    """Return a table's rows of the workloads in the scope; None where the run has no negotiation or the scope is of another kind."""
    if "bills" not in asked.tables or any(scope.kind != "workload" for scope in asked.scope):
        return None
    if table not in asked.tables:
        return pl.DataFrame(schema={"t_s": pl.Float64, **dict.fromkeys(columns, pl.Float64)})
    rows = asked.tables[table]
    if asked.scope:
        rows = rows.filter(pl.col("workload_id").cast(pl.String).is_in(asked.ids("workload")))
    return rows.select("t_s", *columns).collect()


def _inside_share(asked: Asked, end_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how much of the hours that end at some times lies in the window, by whole minutes."""
    if asked.window is None:
        return np.ones(len(end_s))
    # The last row of a run may be a part of an hour.
    begin_s = np.ceil(end_s / HOUR_S - 1.0) * HOUR_S
    ends, where = np.unique(np.stack([begin_s, end_s]), axis=1, return_inverse=True)
    steps = (np.arange(_MINUTES) + 0.5) / _MINUTES
    inside = asked.clock.inside(ends[0] + steps[:, None] * (ends[1] - ends[0]), asked.window)
    return np.asarray(inside.mean(axis=0)[where.ravel()])


def _hourly(asked: Asked, *columns: str) -> list[float] | None:
    """Return sums of columns of ``bills`` over the window; None where no VM of the scope had a place in it."""
    rows = _whose(asked, "bills", "vm_hours", *columns)
    if rows is None:
        return None
    share = _inside_share(asked, rows["t_s"].to_numpy())
    hours, *sums = (float((rows[name].to_numpy() * share).sum()) for name in ("vm_hours", *columns))
    return sums if hours > 0.0 else None


def _price_cut_share(asked: Asked) -> float | None:
    """What customers are billed less than at the regular price, over that, for the time in which their VMs run."""
    sums = _hourly(asked, "regular_usd", "billed_usd")
    if sums is None or not sums[0]:
        return None
    return 1.0 - sums[1] / sums[0]


def _broken_requirements(asked: Asked) -> float | None:
    sums = _hourly(asked, "broken_vm_hours")
    return None if sums is None else sums[0] * DAY_S / asked.horizon_s


def _notices(asked: Asked, *columns: str) -> pl.DataFrame | None:
    """Return notices that ended inside the window; None where no VM of the scope had a place in it."""
    rows = _whose(asked, "notices", *columns) if _hourly(asked) is not None else None
    if rows is None or asked.window is None:
        return rows
    return rows.filter(pl.Series(asked.clock.inside(rows["t_s"].to_numpy(), asked.window), dtype=pl.Boolean))


def _evictions(asked: Asked) -> float | None:
    """VMs that were taken back for want of room; those shut down for want of power come back with it and are no evictions."""
    rows = _notices(asked, "kind", "outcome")
    if rows is None:
        return None
    taken = 0 if rows.is_empty() else rows.filter(pl.col("kind").cast(pl.String) == "eviction", pl.col("outcome") == "done").height
    return taken * DAY_S / asked.horizon_s


def _notices_honoured_share(asked: Asked) -> float | None:
    """Of the notices whose event took place, those that came early enough; withdrawn ones say nothing."""
    rows = _notices(asked, "event_s", "honoured")
    if rows is None or (done := rows.filter(pl.col("event_s").is_not_nan() & pl.col("event_s").is_not_null())).is_empty():
        return None
    return float(done["honoured"].cast(pl.Float64).mean())  # type: ignore[arg-type]


READINGS: Final[Mapping[str, Reading]] = {
    "workloads.price_cut_share": _price_cut_share,
    "workloads.evictions": _evictions,
    "workloads.broken_requirements": _broken_requirements,
    "workloads.notices_honoured_share": _notices_honoured_share,
}
