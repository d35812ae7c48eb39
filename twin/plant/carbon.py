"""What a kilowatt-hour emits over a run: by local hour, or imported."""

import re
from collections.abc import Callable
from datetime import UTC, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twin.clock import HOUR_S, Clock
from twin.plant.cooling import by_hour
from twin.sources import imported, imported_table

Floats = NDArray[np.float64]
_IMPORT: Final = re.compile(r"^import:([a-z0-9-]{1,40})$")


def import_name(setting: tuple[float, ...] | str) -> str | None:
    """Return the name of the imported series that a setting stands for, None for numbers.

    >>> import_name("import:az"), import_name((0.4,))
    ('az', None)
    """
    if not isinstance(setting, str):
        return None
    found = _IMPORT.match(setting)
    if found is None:
        raise ValueError(f"plant.cooling.carbon_kg_per_kwh: {setting!r} is no series; write one value, 24 by local hour, or import:NAME")
    return found[1]


def intensity(setting: tuple[float, ...] | str, clock: Clock, horizon_s: float) -> tuple[Callable[[Floats], Floats], str]:
    """Return what gives kg CO2 per kWh at times of a run (s, any shape), and in words which hours it takes.

    An imported series gives the very hours of the run where it covers them all. Else, as for the weather of a typical year,
    the mean of each local hour over the month in which the run starts, of all years in the file. ValueError where the file
    has no such month.
    """
    name = import_name(setting)
    if name is None and not isinstance(setting, str):
        by_local_hour = np.array(by_hour(setting, "carbon_kg_per_kwh"), dtype=np.float64)
        return lambda t_s: by_local_hour[clock.hour(t_s).astype(np.int64)], "by local hour"
    return _imported(str(name), clock, horizon_s)


def _imported(name: str, clock: Clock, horizon_s: float) -> tuple[Callable[[Floats], Floats], str]:
    import polars as pl

    series = imported_table(imported("grid-carbon", name)).with_columns(pl.col("hour").dt.replace_time_zone("UTC"))
    start = clock.start.astimezone(UTC)
    first, last = start.replace(minute=0, second=0, microsecond=0), start + timedelta(seconds=horizon_s)
    run = series.filter(pl.col("hour").is_between(first, last, closed="left"))
    hours = int(np.ceil((last - first).total_seconds() / HOUR_S))
    if run.height == hours:
        exact, begin_s = run["kg_per_kwh"].to_numpy(), (first - start).total_seconds()
        return lambda t_s: exact[np.minimum((np.maximum(t_s, 0.0) - begin_s) // HOUR_S, hours - 1).astype(np.int64)], "the run's own hours"
    month = clock.start.month
    local = series.with_columns(pl.col("hour").dt.convert_time_zone(str(clock.start.tzinfo)).alias("local"))
    means = (
        local.filter(pl.col("local").dt.month() == month)
        .group_by(pl.col("local").dt.hour().cast(pl.Int64).alias("of_day"))
        .agg(pl.col("kg_per_kwh").mean())
        .sort("of_day")
    )
    if means["of_day"].to_list() != list(range(24)):
        low, high = series["hour"][0], series["hour"][-1]
        raise ValueError(
            f"plant.cooling.carbon_kg_per_kwh: import:{name} covers {low:%Y-%m-%d} to {high:%Y-%m-%d}, neither the run nor a whole day of "
            f"month {month}; import a series that does"
        )
    by_local_hour = means["kg_per_kwh"].to_numpy()
    return lambda t_s: by_local_hour[clock.hour(t_s).astype(np.int64)], f"means by local hour of month {month}"
