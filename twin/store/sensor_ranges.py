"""What sensors can have said: readings beyond it are left out or refused."""

from pathlib import Path
from typing import Final

import polars as pl

# What a sensor that the twin uses can have said, lowest and highest, by how its name ends.
_RANGES: Final = (
    ("site.outside_c", -90.0, 65.0),
    ("site.wet_bulb_c", -90.0, 45.0),
    (".inlet_c", -20.0, 80.0),
    (".temp_c", -20.0, 150.0),
    (".power_w", 0.0, 1e9),
    (".fan_share", 0.0, 1.05),
)


def possible(path: Path, table: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Leave out readings that cannot be; a sensor of which half are such says another unit than its name and is refused."""
    low, high = pl.lit(None, pl.Float64), pl.lit(None, pl.Float64)
    for ending, least, most in _RANGES:
        of_it = pl.col("sensor").str.ends_with(ending)
        low, high = pl.when(of_it).then(least).otherwise(low), pl.when(of_it).then(most).otherwise(high)
    held = table.with_columns(low.alias("low"), high.alias("high"))
    held = held.with_columns((~pl.col("value").is_between("low", "high")).fill_null(False).alias("bad"))
    wrong = held.filter(pl.col("bad") & (pl.col("bad").mean().over("sensor") >= 0.5))
    if wrong.height:
        row, sensor, value, least, most = wrong.select("row", "sensor", "value", "low", "high").row(0)
        raise ValueError(
            f"{path.name}: row {row}: {sensor} says {value:g}, and so beyond {least:,.0f} to {most:,.0f} as half of its readings do; "
            "write the unit that they are in at the end of the sensor's name (_c _f _k, _w _kw _mw, _share _percent)"
        )
    bad = held.filter("bad")
    if bad.is_empty():
        return table, []
    row, sensor, value = bad.select("row", "sensor", "value").row(0)
    return table.filter(~held["bad"]), [f"{bad.height:,} readings left out that cannot be, the first in row {row}: {sensor} says {value:g}"]
