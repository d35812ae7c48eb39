"""Aligned series of many entities' metrics, made from a long table."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

COLUMNS: Final = ("t_s", "entity_id", "metric", "value")
KINDS: Final = ("latency", "availability", "requests", "resource")
FAILS: Final[Mapping[str, int]] = {"latency": 1, "availability": -1, "requests": 0, "resource": 0}
_WORDS: Final = (
    ("availability", re.compile(r"availab|success|goodput|uptime", re.IGNORECASE)),
    ("latency", re.compile(r"latency|duration|delay|response_?time|(^|_)lat(_|\d|$)|ttft", re.IGNORECASE)),
    ("requests", re.compile(r"request|workload|\bops\b|_ops$|calls|traffic|(^|_)load($|_)|arrivals", re.IGNORECASE)),
)


def kind_of(metric: str) -> str:
    """Return what a metric speaks of: latency, availability, requests, or resource for everything else.

    >>> kind_of("PodServerLatencyP90(s)"), kind_of("availability/Average"), kind_of("CpuUsage(m)")
    ('latency', 'availability', 'resource')
    """
    return next((kind for kind, words in _WORDS if words.search(metric)), "resource")


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Metrics of entities on one clock.

    ``t_s`` (T,) ascending; a sample is stamped with the end of the time it covers. ``values`` (T, S), NaN where nothing was
    reported. ``entity`` (S,) points into ``entity_ids``; ``metrics`` has S names. ``fails`` (S,) is the direction in which a
    column fails: +1 upward (latency), -1 downward (availability), 0 either way.
    """

    t_s: Floats
    values: Floats
    entity_ids: tuple[str, ...]
    entity: Ints
    metrics: tuple[str, ...]
    fails: Ints

    def __post_init__(self) -> None:
        if self.values.shape != (len(self.t_s), len(self.metrics)) or not len(self.metrics) == len(self.entity) == len(self.fails):
            raise ValueError(f"values of shape {self.values.shape} for {len(self.t_s)} times and {len(self.metrics)} columns; align them")
        if len(self.t_s) > 1 and not bool(np.all(np.diff(self.t_s) > 0)):
            raise ValueError("times are not ascending; sort them and keep one sample for each")

    @property
    def kinds(self) -> NDArray[np.str_]:
        """Kind of each column (S,)."""
        known = {metric: kind_of(metric) for metric in set(self.metrics)}
        return np.array([known[metric] for metric in self.metrics], dtype=np.str_)

    @property
    def step_s(self) -> float:
        """Usual distance of two samples; 0 where there is only one."""
        return float(np.median(np.diff(self.t_s))) if len(self.t_s) > 1 else 0.0

    def column(self, entity_id: str, metric: str) -> int:
        """Return the column of an entity's metric; ValueError names what is there instead."""
        at = self.entity_ids.index(entity_id) if entity_id in self.entity_ids else -1
        of = [j for j in np.flatnonzero(self.entity == at) if self.metrics[int(j)] == metric]
        if not of:
            have = sorted({self.metrics[int(j)] for j in np.flatnonzero(self.entity == at)})
            raise ValueError(f"no metric {metric!r} of {entity_id!r}; it has {', '.join(have[:8]) or 'none'}")
        return int(of[0])


def from_table(frame: pl.DataFrame, fails: Mapping[str, int] | None = None) -> Series:
    """Align a long table (``t_s``, ``entity_id``, ``metric``, ``value``): one column per entity and metric, sorted by both.

    ``fails`` gives the failing direction of metrics by name; the others follow from their kind. A missing or empty column and two
    values for one time are a ValueError.
    """
    lacking = [name for name in COLUMNS if name not in frame.columns]
    if lacking:
        raise ValueError(f"the table of series has no column {lacking[0]!r}; give it {', '.join(COLUMNS)}")
    if not frame.height:
        raise ValueError("the table of series has no row; give at least one sample")
    given = frame.select(pl.col("t_s", "value").cast(pl.Float64), pl.col("entity_id", "metric").cast(pl.String))
    if any(given[name].null_count() for name in COLUMNS[:3]):
        raise ValueError("the table of series has an empty t_s, entity_id or metric; fill or drop those rows")
    t_s, row = np.unique(given["t_s"].to_numpy(), return_inverse=True)
    entities, of_entity = _coded(given["entity_id"])
    names, of_metric = _coded(given["metric"])
    keys, column = np.unique(of_entity * len(names) + of_metric, return_inverse=True)
    cell = row.astype(np.int64) * len(keys) + column
    if len(np.unique(cell)) < len(cell):
        raise ValueError("the table of series has two values of one metric for one time; keep one or average them")
    values = np.full(len(t_s) * len(keys), np.nan)
    values[cell] = given["value"].fill_null(float("nan")).to_numpy()
    metrics = tuple(names[int(key) % len(names)] for key in keys)
    ways = {name: (fails or {}).get(name, FAILS[kind_of(name)]) for name in names}
    return Series(
        t_s,
        values.reshape(len(t_s), len(keys)),
        entities,
        (keys // len(names)).astype(np.int64),
        metrics,
        np.array([ways[metric] for metric in metrics], dtype=np.int64),
    )


def _coded(column: pl.Series) -> tuple[tuple[str, ...], Ints]:
    """Return the distinct names, sorted, and where each row's name stands among them."""
    names = column.unique().sort()
    places = pl.DataFrame({"name": names, "at": np.arange(len(names), dtype=np.int64)})
    at = pl.DataFrame({"name": column}).join(places, on="name", how="left", maintain_order="left")["at"]
    return tuple(names.to_list()), at.to_numpy().astype(np.int64)
