"""Telemetry from outside: what each sensor said, merged over increments."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl

from twin.sources import imported_table
from twin.store import entity_metrics, files
from twin.store.sensor_ranges import possible
from twin.store.stamps import EPOCH_S, seconds
from twin.units import UNIT_OF_SUFFIX

_ACCEPTED: Final = "CSV in UTF-8, plain or in gzip, or Parquet, with time, sensor and value (or time, entity, metric and value)"
_TIMES: Final = ("time", "timestamp", "t_s", "time_s", "datetime", "date")
_LONG: Final = ("sensor", "value")
_SENSOR: Final = re.compile(r"^([A-Za-z0-9][A-Za-z0-9_./-]*)\.([a-z][a-z0-9_]*)$")
# The Frontier file of the sustain-lc project: power of each cooling unit in W, wet bulb in C.
_CDU: Final = re.compile(r"^power\[(\d+)\]$")
_WET_BULB: Final = "oa wetbulb temp"
# Other units of the same quantities: what they become, times what, plus what.
_OTHER_UNITS: Final = {
    "_kw": ("_w", 1e3, 0.0),
    "_mw": ("_w", 1e6, 0.0),
    "_f": ("_c", 5.0 / 9.0, -160.0 / 9.0),
    "_k": ("_c", 1.0, -273.15),
    "_percent": ("_share", 0.01, 0.0),
}
# What the twin knows to use; everything else is kept and reported.
_KNOWN: Final = re.compile(
    r"^(site\.(outside_c|wet_bulb_c|power_w)|[\w.-]+/gpu-[0-7]\.(temp_c|power_w)|[\w.-]+\.(inlet_c|power_w|fan_share))$"
)
SCHEMA: Final = {"time_s": pl.Float64, "sensor": pl.String, "value": pl.Float64}


@dataclass(frozen=True, slots=True)
class Readings:
    """One file: ``frame`` has row (1 is the header), time_s, sensor, value; rows left out without a value and beyond what can be; notes."""

    frame: pl.DataFrame
    empty: int
    notes: tuple[str, ...]
    beyond: int = 0


@dataclass(frozen=True, slots=True)
class Merged:
    """The readings of a name after an increment, and what became of the file's rows."""

    frame: pl.DataFrame
    added: int
    late: int
    repeated: int
    replaced: int


def read(path: Path, options: Mapping[str, str]) -> Readings:
    """Read telemetry: long (time, sensor, value; or time, entity, metric, value), wide (a column per sensor), or in PetShop's layout.

    ``options`` may give ``timezone``, of times that have none (default UTC). ValueError names file, row and remedy.
    """
    if (of_petshop := entity_metrics.of_petshop(path)) is not None:
        return _readings(path, *of_petshop)
    raw = _raw(path)
    lower = {name.strip().lower(): name for name in reversed(raw.columns)}
    stamp = next((lower[name] for name in _TIMES if name in lower), None)
    if stamp is None:
        raise ValueError(f"{path.name}: row 1: no column is called time; name one of them time and write the others as {_ACCEPTED}")
    raw = raw.with_row_index("row", 2).with_columns(pl.col("row").cast(pl.Int64))
    times, notes = seconds(path, raw[stamp], options.get("timezone"))
    raw = raw.with_columns(times.alias("time_s"))
    if (names := entity_metrics.columns(lower)) is not None:
        table, more = entity_metrics.table(path, raw, names)
        return _readings(path, _numbers(path, table), [*notes, *more])
    if all(name in lower for name in _LONG):
        table = raw.select("row", "time_s", pl.col(lower["sensor"]).cast(pl.String).alias("sensor"), pl.col(lower["value"]).alias("value"))
        _refuse_first(path, table.filter(pl.col("sensor").is_null()), "sensor", "write a name such as server-12.inlet_c")
        table = table.with_columns(pl.col("sensor").str.strip_chars())
    else:
        table, more = _unpivoted(path, raw, stamp)
        notes = [*notes, *more]
    table, more = _named(path, _numbers(path, table))
    return _readings(path, table, [*notes, *more])


def _readings(path: Path, table: pl.DataFrame, notes: list[str]) -> Readings:
    """Return what was said, without what says nothing and what cannot be."""
    said = table.filter(pl.col("value").is_not_null() & pl.col("value").is_not_nan())
    kept, beyond = possible(path, said)
    if kept.is_empty():
        raise ValueError(f"{path.name}: holds no reading; export it again")
    return Readings(kept, table.height - said.height, (*notes, *beyond), said.height - kept.height)


def merge(old: pl.DataFrame | None, new: pl.DataFrame, name: str, replace: bool) -> Merged:
    """Add one file's readings to those that are there. The result does not depend on the order of increments.

    ValueError names the row of the first reading that contradicts an earlier one, unless ``replace`` lets the later win.
    """
    key = ["time_s", "sensor"]
    fresh = new.unique([*key, "value"], keep="first", maintain_order=True)
    last = fresh.unique(key, keep="last", maintain_order=True)
    if last.height < fresh.height and not replace:
        twice = fresh.filter(~pl.struct(key).is_first_distinct()).row(0, named=True)
        earlier = fresh.filter((pl.col("time_s") == twice["time_s"]) & (pl.col("sensor") == twice["sensor"])).row(0, named=True)
        raise ValueError(_contradicts(name, twice, earlier["value"], f"row {earlier['row']}"))
    before = pl.DataFrame(schema=SCHEMA) if old is None else old
    if before.height and (before["time_s"].min() >= EPOCH_S) != (last["time_s"].min() >= EPOCH_S):  # type: ignore[operator]  # one kind in each
        raise ValueError(f"{name}: some times are dates and some count from a start; import them under two names")
    met = last.join(before.rename({"value": "earlier"}), on=key, how="left", maintain_order="left")
    other = met.filter(pl.col("earlier").is_not_null() & (pl.col("earlier") != pl.col("value")))
    if other.height and not replace:
        first = other.row(0, named=True)
        raise ValueError(_contradicts(name, first, first["earlier"], "an earlier import"))
    added = met.filter(pl.col("earlier").is_null())
    late = 0 if not before.height else int((added["time_s"] < before["time_s"].max()).sum())
    rest = before.join(other.select(key), on=key, how="anti") if other.height else before
    frame = pl.concat([rest, added.select(*SCHEMA), other.select(*SCHEMA)]).sort("sensor", "time_s")
    same = met.height - added.height - other.height
    return Merged(frame, added.height, late, new.height - last.height + same, other.height)


def keep(readings: Readings, target: Path, name: str, replace: bool) -> Merged:
    """Merge into ``target`` and put the result in its place whole; nothing is written where nothing changed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with files.alone(target.parent):
        old = imported_table(target) if target.exists() else None
        merged = merge(old, readings.frame, name, replace)
        if old is None or merged.added or merged.replaced:
            with files.aside(target.parent) as aside:
                written = aside / target.name
                files.write_parquet(written, merged.frame)
                written.replace(target)
                files.sync(target.parent)
    return merged


def _contradicts(name: str, row: Mapping[str, Any], earlier: float, where: str) -> str:
    return (
        f"{name}: row {row['row']}: {row['sensor']} says {row['value']:g}, {where} says {earlier:g} for the same time; "
        "remove one, or add --replace to let the later file win"
    )


def _raw(path: Path) -> pl.DataFrame:
    from twin.serving import tabular

    with path.open("rb") as file:
        parquet = file.read(4) == b"PAR1"
    if not parquet:
        return tabular.read(path, _ACCEPTED)
    try:
        return pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise ValueError(f"{path.name}: {str(error).splitlines()[0]}; write it as {_ACCEPTED}") from None


def _refuse_first(path: Path, bad: pl.DataFrame, column: str, remedy: str) -> None:
    if bad.height:
        row, value = bad["row"][0], bad[column][0]
        shown = "is missing" if value is None else f"is {str(value)[:40]!r}"
        raise ValueError(f"{path.name}: row {row}, column {column}: the value {shown}; {remedy}")


def _unpivoted(path: Path, raw: pl.DataFrame, stamp: str) -> tuple[pl.DataFrame, list[str]]:
    """Turn one column per sensor into rows; columns whose names say nothing are left out and named."""
    names, cdus, unused = {}, 0, []
    for column in raw.columns:
        if column in {stamp, "row", "time_s"}:
            continue
        shown = " ".join(column.split())
        if found := _CDU.match(shown):
            names[column], cdus = f"cdu-{int(found[1])}.power_w", cdus + 1
        elif shown.lower() == _WET_BULB:
            names[column] = "site.wet_bulb_c"
        elif _SENSOR.match(shown):
            names[column] = shown
        else:
            unused.append(shown)
    if not names:
        raise ValueError(f"{path.name}: row 1: no column names a sensor; write {_ACCEPTED}, or name columns as server-12.inlet_c")
    notes = [f"a column per sensor: {len(names)} sensors"]
    notes += [f"power[1] to power[{cdus}] taken as cdu-1.power_w to cdu-{cdus}.power_w, in W"] if cdus else []
    notes += ["'OA Wetbulb Temp' taken as site.wet_bulb_c, in C"] if "site.wet_bulb_c" in names.values() and cdus else []
    notes += [f"not used: {', '.join(unused)[:200]}"] if unused else []
    long = raw.select("row", "time_s", *names).rename(names).unpivot(index=["row", "time_s"], variable_name="sensor", value_name="value")
    return long, notes


def _numbers(path: Path, table: pl.DataFrame) -> pl.DataFrame:
    """Read values as numbers; an empty one is no reading, a text that is no number is refused."""
    if table.schema["value"] == pl.String:
        text = pl.col("value").str.strip_chars()
        blank = text.is_null() | text.str.to_lowercase().is_in(["", "nan", "null", "na"])
        number = pl.when(blank).then(None).otherwise(text.cast(pl.Float64, strict=False))
        _refuse_first(path, table.filter(~blank & number.is_null()), "value", "write a number or remove the row")
        table = table.with_columns(number.alias("value"))
    elif not table.schema["value"].is_numeric():
        raise ValueError(f"{path.name}: column value: holds {table.schema['value']}; write numbers")
    table = table.with_columns(pl.col("value").cast(pl.Float64))
    _refuse_first(path, table.filter(pl.col("value").is_infinite()), "value", "write a finite number or remove the row")
    return table


def _named(path: Path, table: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Check every sensor's name and bring its values to the unit used inside."""
    names, scale, offset, unknown = {}, {}, {}, []
    for name in table["sensor"].unique(maintain_order=True):
        found = _SENSOR.match(name)
        if found is None or not _unit(found[2]):
            row = table.filter(pl.col("sensor") == name)["row"][0]
            raise ValueError(
                f"{path.name}: row {row}, column sensor: {name[:60]!r} does not say whose reading it is and in which unit; "
                "write <entity>.<quantity with unit>, such as server-12.inlet_c or row-1.power_w"
            )
        other = next((suffix for suffix in _OTHER_UNITS if found[2].endswith(suffix)), None)
        into, scale[name], offset[name] = _OTHER_UNITS[other] if other else ("", 1.0, 0.0)
        names[name] = name.removesuffix(other) + into if other else name
        if not _KNOWN.match(names[name]):
            unknown.append(names[name])
    notes = [f"{len(unknown):,} sensors kept that the twin does not use: {', '.join(sorted(unknown)[:5])}"] if unknown else []
    converted = [name for name in names if names[name] != name]
    if converted:
        sensor = pl.col("sensor")
        factor, shift = sensor.replace_strict(scale, return_dtype=pl.Float64), sensor.replace_strict(offset, return_dtype=pl.Float64)
        table = table.with_columns((pl.col("value") * factor + shift).alias("value"), sensor.replace_strict(names).alias("sensor"))
        notes.append(f"{len(converted):,} sensors brought to W, C or shares, such as {converted[0]}")
    return table, notes


def _unit(quantity: str) -> bool:
    return any(("_" + quantity).endswith(suffix) and quantity != suffix[1:] for suffix in (*UNIT_OF_SUFFIX, *_OTHER_UNITS))
