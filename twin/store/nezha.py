"""Reader of Nezha's layout: days of one-minute metrics per pod."""

import json
import re
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from twin.incidents.cases import LabelledCase
from twin.incidents.dependencies import Dependencies, from_edges
from twin.incidents.series import Series, from_table

STEP_S: Final = 60.0
BEFORE_S: Final = 3600.0
"""Normal times of a fault are the hour before it, without the spells of earlier faults."""
AFTER_S: Final = 240.0
"""A fault is looked at for four minutes: faults last three to four (seen on 2022-08-22) and follow each other every eight to nine."""
SPELL_S: Final = 360.0
"""What precedes a fault counts as quiet when no other began within six minutes."""
LOCAL_S: Final = 1200.0
SYMPTOM: Final = ("frontend", "PodServerLatencyP90(s)")
TRAIN_TICKET: Final = "ts-ui-dashboard"
_LAYOUT: Final = "point at the folder with DATE/DATE-fault_list.json and DATE/metric/*_metric.csv"
_POD: Final = re.compile(r"^(?P<service>.+?)-[0-9a-f]{6,10}-[a-z0-9]{5}$")
_IDLE: Final = ("Time", "TimeStamp", "PodName")
_SHARED: Final = ("NodeCpuUsageRate(%)", "NodeMemoryUsageRate(%)", "NodeNetworkReceiveBytes")


def service_of(pod: str) -> str:
    """Return the service of a pod's name.

    >>> service_of("frontend-579b9bff58-t2dbm")
    'frontend'
    """
    found = _POD.match(pod)
    return found["service"] if found else pod


def read(folder: Path) -> tuple[LabelledCase, ...]:
    """Read all faults below a folder of days, or of one day; in order of time.

    The time strings are read as UTC: epoch columns are wrong in places. Entities are services; metrics of the machine below a pod
    are left out (pods share machines). Beside the pods' own metrics each service has ``edge_gap_s``: the sum over its calls, made
    and received, of the median latency that the caller saw less the one that the callee saw, time spent on the way.
    ValueError, one line, names file and remedy.
    """
    days = [folder] if list(folder.glob("*-fault_list.json")) else sorted({each.parent for each in folder.glob("*/*-fault_list.json")})
    if not days:
        raise ValueError(f"{folder.name}: no day of Nezha is here; {_LAYOUT}")
    return tuple(case for day in days for case in _day(day))


def metrics(folder: Path) -> pl.DataFrame:
    """Read one day's ``metric`` folder as a long table (t_s, entity_id, metric, value), times rounded to the minute."""
    pods = sorted(folder.glob("*_metric.csv"))
    if not pods:
        raise ValueError(f"{folder.parent.name}/{folder.name}: no *_metric.csv is here; {_LAYOUT}")
    tables = [_pod(path) for path in pods]
    edges = [_gaps(folder)] if (folder / "source_50.csv").is_file() and (folder / "destination_50.csv").is_file() else []
    return pl.concat([*tables, *edges]).group_by("t_s", "entity_id", "metric", maintain_order=True).agg(pl.col("value").mean())


def graph(path: Path) -> Dependencies:
    """Read dependency.csv; targets that are addresses of machines are left out."""
    table = _csv(path, ("Source", "Target"))
    pairs = table.filter(~pl.col("Target").str.contains(r"^\d+\.\d+\.\d+\.\d+$")).select("Source", "Target")
    return from_edges(zip(pairs["Source"].to_list(), pairs["Target"].to_list(), strict=True))


def _day(day: Path) -> list[LabelledCase]:
    path = next(iter(sorted(day.glob("*-fault_list.json"))))
    try:
        told: dict[str, list[dict[str, Any]]] = json.loads(path.read_bytes())
        listed = [fault for hour in told.values() for fault in hour]
        faults = sorted((_utc_s(str(f["inject_time"])), str(f["inject_pod"]), str(f["inject_type"])) for f in listed)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(
            f"{path.name}: not a list of faults ({type(error).__name__}: {str(error)[:60]}); it needs inject_time, inject_pod, inject_type"
        ) from None
    series = from_table(metrics(day / "metric"))
    dependencies = day / "metric" / "dependency.csv"
    calls = graph(dependencies) if dependencies.is_file() else from_edges((), series.entity_ids)
    starts = np.array([start for start, _, _ in faults])
    return [_case(day.name, number, fault, starts, series, calls) for number, fault in enumerate(faults)]


def _case(
    day: str, number: int, fault: tuple[float, str, str], starts: NDArray[np.float64], series: Series, calls: Dependencies
) -> LabelledCase:
    onset_s, pod, kind = fault
    t_s = series.t_s
    earlier = starts[starts < onset_s]
    disturbed = ((t_s[:, None] > earlier) & (t_s[:, None] <= earlier + SPELL_S)).any(axis=1)
    keep = (t_s > onset_s - BEFORE_S) & (t_s <= onset_s + AFTER_S)
    normal = keep & (t_s <= onset_s) & ~disturbed
    window = keep & (t_s > onset_s - LOCAL_S) & ((t_s > onset_s) | ~disturbed)
    symptom = SYMPTOM if SYMPTOM[0] in series.entity_ids else (TRAIN_TICKET, SYMPTOM[1])
    cut = Series(t_s[keep], series.values[keep], series.entity_ids, series.entity, series.metrics, series.fails)
    name = f"{day}/{number:02d}-{kind}"
    return LabelledCase(name, day, cut, calls, symptom, onset_s, normal[keep], window[keep], service_of(pod), kind)


def _pod(path: Path) -> pl.DataFrame:
    table = _csv(path, _IDLE)
    names = [name for name in table.columns if name not in (*_IDLE, *_SHARED)]
    service = pl.lit(service_of(path.name.removesuffix("_metric.csv"))).alias("entity_id")
    wide = table.select(_minutes("Time"), service, *[_number(name) for name in names])
    return wide.unpivot(names, index=["t_s", "entity_id"], variable_name="metric", value_name="value").drop_nulls("t_s")


def _gaps(folder: Path) -> pl.DataFrame:
    """Return ``edge_gap_s`` of each service."""
    sides = []
    for name in ("source_50.csv", "destination_50.csv"):
        table = _csv(folder / name, ("time",))
        edges = [column for column in table.columns if column not in ("time", "timestamp")]
        wide = table.select(_minutes("time"), *[_number(edge) for edge in edges])
        sides.append(wide.unpivot(edges, index="t_s", variable_name="edge", value_name="p50_s").drop_nulls().unique(["t_s", "edge"]))
    gaps = (
        sides[0]
        .join(sides[1], on=["t_s", "edge"])
        .with_columns(ends=pl.col("edge").str.split("_"), gap_s=pl.col("p50_s") - pl.col("p50_s_right"))
    )
    return (
        gaps.explode("ends")
        .group_by("t_s", entity_id="ends")
        .agg(value=pl.col("gap_s").sum())
        .select("t_s", "entity_id", metric=pl.lit("edge_gap_s"), value="value")
    )


def _minutes(name: str) -> pl.Expr:
    """Return the time string's UTC seconds, rounded to the minute's sample that pods share."""
    moment = pl.col(name).str.slice(0, 19).str.to_datetime("%Y-%m-%d %H:%M:%S", strict=False)
    return ((moment.dt.epoch("s").cast(pl.Float64) / STEP_S).round() * STEP_S).alias("t_s")


def _number(name: str) -> pl.Expr:
    return pl.col(name).cast(pl.Float64, strict=False)


def _utc_s(text: str) -> float:
    found = pl.Series([text]).str.to_datetime("%Y-%m-%d %H:%M:%S").dt.epoch("s")[0]
    return float(found)


def _csv(path: Path, needed: tuple[str, ...]) -> pl.DataFrame:
    place = f"{path.parent.name}/{path.name}"
    try:
        table = pl.read_csv(path, infer_schema=False)
    except FileNotFoundError:
        raise ValueError(f"{place} is missing; {_LAYOUT}") from None
    except pl.exceptions.PolarsError as error:
        raise ValueError(f"{place}: not a CSV ({str(error).splitlines()[0][:80]}); export it again") from None
    lacking = [name for name in needed if name not in table.columns]
    if lacking:
        raise ValueError(f"{place}: no column {lacking[0]}; it needs {', '.join(needed)}")
    return table
