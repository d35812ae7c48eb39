"""What was injected, what it brought about, and whether data can prove it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from twin.faults import Fault
from twin.incidents.causes import CAUSES
from twin.tables import Column, Sink, Table
from twin.units import suffix_of

FAULTS_TRUTH: Final = Table(
    "faults_truth",
    "one row per injected fault; no investigator's tool reaches it",
    (
        Column("kind", pl.String, "kind of fault"),
        Column("cause", pl.String, "class of cause"),
        Column("entity_id", pl.String, "who is to blame"),
        Column("from_s", pl.Float64, "when it begins, seconds since the start of the run"),
        Column("until_s", pl.Float64, "when it ends; not-a-number where it lasts to the end of the run"),
        Column("severity_share", pl.Float64, "share of the capability that is lost"),
        Column("provable", pl.Boolean, "whether the data can prove it"),
        Column("path", pl.String, "from the cause to the symptom, along the topology; empty where there is no symptom"),
    ),
    telemetry=False,
)
# A fault is provable where it moves a series by so many times that series' noise, or says itself what it is.
MULTIPLE: Final = 4.0
# What passes for noise at least: two parts in a hundred of the level, as telemetry measures services, and by unit (the rest are counts).
_LEAST_OF_LEVEL: Final = 0.02
_LEAST: Final = {"_share": 0.005, "_c": 0.25, "_s": 0.001, "_w": 5.0, "_bytes": float(1 << 20), "_per_s": 0.05}
_LEAST_OF_COUNTS: Final = 0.5
_FEWEST: Final = 3
# Kinds whose log line names them, whatever they move.
_SAYS_ITSELF: Final = frozenset({"gpu_off_bus", "certificate_expired", "hint_flood"})
_BY_KIND: Final = {kind: cause for cause, known in CAUSES.items() for kind in known.faults}


@dataclass(frozen=True, slots=True)
class Moved:
    """One series that a fault moved: by how much in the middle of its time, and how many times its noise that is."""

    entity: str
    metric: str
    shift: float
    times_noise: float


def cause_of(fault: Fault) -> str:
    """Return the class of cause of a fault; ValueError for a kind that has none."""
    if fault.kind not in _BY_KIND:
        raise ValueError(f"fault {fault.kind!r} has no class of cause; add it to twin/incidents/causes.py")
    return _BY_KIND[fault.kind]


def entity_of(fault: Fault) -> str:
    """Return who is to blame for a fault, as the topology calls it: a cable's host, the site for a chiller."""
    if fault.kind == "cxl_link_loss":
        return fault.target.partition("/")[0]
    return "site" if fault.kind == "chiller_loss" else fault.target


def moved(with_fault: pl.DataFrame, without: pl.DataFrame, from_s: float, until_s: float) -> list[Moved]:
    """Return the series that a fault moved beyond their noise, the clearest first.

    Both are readings (time, entity, metric, value) of the same run, with the fault and without it: what differs is its doing alone.
    The shift is the median difference over its time, the noise the scatter of the run without it from one reading to the next
    (1.4826 times the median absolute difference, over the square root of 2), which a day's swing does not enter; at least 2 % of the
    level, or the least that the unit lets a reader tell.
    """
    keys = ["entity", "metric"]
    step = pl.col("value").diff().abs().median() * (1.4826 / np.sqrt(2.0))
    calm = without.sort(*keys, "time").group_by(keys).agg(noise=step, level=pl.col("value").abs().median())
    metrics = with_fault["metric"].unique().cast(pl.String).to_list()
    least = pl.col("metric").cast(pl.String).replace_strict(metrics, [_least(name) for name in metrics], return_dtype=pl.Float64)
    found = (
        with_fault.filter(pl.col("time").is_between(from_s, until_s))
        .join(without, on=["time", *keys], suffix="_calm", how="left")
        .join(calm, on=keys, how="left")
        # What is never written while all is well is zero then; of other series only common times are compared.
        .with_columns(value_calm=pl.when(pl.col("level").is_null()).then(0.0).otherwise(pl.col("value_calm")))
        .drop_nulls("value_calm")
        .group_by(keys)
        .agg(
            shift=(pl.col("value") - pl.col("value_calm")).median(),
            noise=pl.max_horizontal(pl.col("noise").first().fill_null(0.0), pl.col("level").first().fill_null(0.0) * _LEAST_OF_LEVEL),
            readings=pl.len(),
        )
        .with_columns(times=pl.col("shift").abs() / pl.max_horizontal("noise", least, 1e-12))
        .filter((pl.col("readings") >= _FEWEST) & (pl.col("times") >= MULTIPLE))
        .sort("times", "entity", "metric", descending=[True, False, False])
    )
    return [Moved(*row) for row in found.select("entity", "metric", "shift", "times").iter_rows()]


def _least(metric: str) -> float:
    suffix = suffix_of(metric)
    return _LEAST_OF_COUNTS if not suffix else _LEAST.get(suffix, 0.0)


def provable(fault: Fault, effects: Sequence[Moved]) -> bool:
    """Return whether data can prove a fault: it moves a series beyond its noise, or a log line names it."""
    return bool(effects) or fault.kind in _SAYS_ITSELF


def path(topology: pl.DataFrame, cause: str, symptom: str) -> tuple[str, ...]:
    """Return the shortest way from a cause to a symptom that hangs on it; both alone where there is none."""
    above: dict[str, list[str]] = {}
    for source, target in topology.select("source", "target").iter_rows():
        above.setdefault(target, []).append(source)
    came: dict[str, str] = {cause: ""}
    front = [cause]
    while front and symptom not in came:
        following = []
        for name in front:
            for who in sorted(above.get(name, ())):
                if who not in came:
                    came[who] = name
                    following.append(who)
        front = following
    if symptom not in came:
        return (cause, symptom)
    way = [symptom]
    while came[way[-1]]:
        way.append(came[way[-1]])
    return tuple(reversed(way))


def record(sink: Sink, faults: Sequence[Fault], proven: Sequence[bool], paths: Sequence[Sequence[str]]) -> None:
    """Write the ground truth of a run's faults: whether each can be proven, and its way to the symptom (empty for none)."""
    if not faults:
        return

    def texts(values: Sequence[str]) -> NDArray[Any]:
        return np.array(values, dtype=object)

    sink.append(
        FAULTS_TRUTH,
        {
            "kind": texts([fault.kind for fault in faults]),
            "cause": texts([cause_of(fault) for fault in faults]),
            "entity_id": texts([entity_of(fault) for fault in faults]),
            "from_s": np.array([fault.from_s for fault in faults]),
            "until_s": np.array([np.nan if fault.until_s is None else fault.until_s for fault in faults]),
            "severity_share": np.array([fault.severity for fault in faults]),
            "provable": np.array(proven, dtype=np.bool_),
            "path": texts([" > ".join(way) for way in paths]),
        },
    )
