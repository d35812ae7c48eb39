"""Reader of PetShop's layout: issues, metrics of services, call graph."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from twin.incidents.cases import LabelledCase
from twin.incidents.dependencies import Dependencies, from_edges
from twin.incidents.series import FAILS, Series, kind_of

STEP_S: Final = 300.0
_SPLITS: Final = ("train", "test")
_LEVELS: Final = ("microservice", "metric", "statistic")
_LAYOUT: Final = "point at the folder with low_traffic, high_traffic or temporal_traffic1 (each with graph.csv and train or test)"


def read(folder: Path) -> tuple[LabelledCase, ...]:
    """Read all issues below a data set's folder, or below one scenario's; in order of scenario, split and number.

    PetShop stamps a sample with the start of its five minutes; series here are stamped with the end. Where a scenario has no
    ``noissue/metrics.csv``, normal times are the quiet samples of its issues up to the issue at hand (own ones included): never
    later ones. ValueError, one line, names file and remedy.
    """
    scenarios = [folder] if (folder / "graph.csv").is_file() else sorted(each.parent for each in folder.glob("*/graph.csv"))
    if not scenarios:
        raise ValueError(f"{folder.name}: no PetShop scenario is here; {_LAYOUT}")
    found = [case for scenario in scenarios for case in _scenario(scenario)]
    if not found:
        raise ValueError(f"{folder.name}: no issue is here; {_LAYOUT}")
    return tuple(found)


def graph(path: Path) -> Dependencies:
    """Read an adjacency table: row calls column."""
    table = _csv(path)
    ids, rows = table[0, 1:], table[1:, 0]
    try:
        weights = table[1:, 1:].astype(np.float64)
    except ValueError:
        raise ValueError(f"{path.name}: an entry is not a number; write 1.0 where the row calls the column, 0.0 elsewhere") from None
    return from_edges(((str(rows[i]), str(ids[j])) for i, j in np.argwhere(weights > 0.0)), {*map(str, ids), *map(str, rows)})


@dataclass(frozen=True, eq=False)
class Samples:
    """One metrics.csv: ``t_s`` (T,) ends of samples, ``keys`` of C columns (entity, "latency/Average"), ``values`` (T, C)."""

    t_s: NDArray[np.float64]
    keys: tuple[tuple[str, str], ...]
    values: NDArray[np.float64]

    def until(self, moment_s: float) -> "Samples":
        """Return the samples that end by a moment."""
        early = self.t_s <= moment_s
        return Samples(self.t_s[early], self.keys, self.values[early])


def metrics(path: Path) -> Samples:
    """Read one metrics.csv with its three header rows (microservice, metric, statistic) and the row of the index' name."""
    table = _csv(path)
    if len(table) < 5 or tuple(table[:3, 0]) != _LEVELS:
        raise ValueError(f"{_place(path)}: rows 1 to 3 begin with {', '.join(_LEVELS)}, row 4 is the index, samples follow; correct it")
    cells = table[4:]
    try:
        start_s = cells[:, 0].astype(np.float64)
        values = np.where(cells[:, 1:] == "", "nan", cells[:, 1:]).astype(np.float64)
    except ValueError as error:
        raise ValueError(f"{_place(path)}: {str(error)[:80]} below row 4; leave gaps empty and write numbers elsewhere") from None
    keys = tuple((str(entity), f"{metric}/{statistic}") for entity, metric, statistic in table[:3, 1:].T)
    if len(set(keys)) < len(keys) or len(set(start_s)) < len(start_s):
        raise ValueError(f"{_place(path)}: a column or a time is there twice; remove one")
    return Samples(start_s + STEP_S, keys, values)


def _merged(parts: Sequence[Samples]) -> Series:
    """Align tables: times and columns of all of them; where two have the same cell, the first one counts."""
    t_s = np.unique(np.concatenate([part.t_s for part in parts]))
    keys = sorted({key for part in parts for key in part.keys})
    place = {key: at for at, key in enumerate(keys)}
    values = np.full((len(t_s), len(keys)), np.nan)
    for part in reversed(parts):
        columns = np.array([place[key] for key in part.keys], dtype=np.int64)
        cells = np.ix_(np.searchsorted(t_s, part.t_s), columns)
        values[cells] = np.where(np.isfinite(part.values), part.values, values[cells])
    ids = sorted({entity for entity, _ in keys})
    entity = np.array([ids.index(name) for name, _ in keys], dtype=np.int64)
    fails = np.array([FAILS[kind_of(metric)] for _, metric in keys], dtype=np.int64)
    return Series(t_s, values, tuple(ids), entity, tuple(metric for _, metric in keys), fails)


@dataclass(frozen=True)
class _Issue:
    """One issue folder as it stands."""

    split: str
    folder: Path
    table: Samples
    symptom: tuple[str, str]
    onset_s: float
    truth: str
    kind: str


def _scenario(folder: Path) -> list[LabelledCase]:
    calls = graph(folder / "graph.csv")
    usual = metrics(folder / "noissue" / "metrics.csv") if (folder / "noissue" / "metrics.csv").is_file() else None
    issues = [
        _issue(split, place)
        for split in _SPLITS
        for place in sorted((folder / split).glob("issue_*"), key=lambda each: (len(each.name), each.name))
    ]
    return [_case(folder.name, issue, issues, usual, calls) for issue in issues]


def _issue(split: str, folder: Path) -> _Issue:
    place = f"{folder.parent.name}/{folder.name}/target.json"
    try:
        told: dict[str, Any] = json.loads((folder / "target.json").read_bytes())
        target, cause = told["target"], told["root_cause"]
        symptom = (str(target["node"]), f"{target['metric']}/{target['agg']}")
        return _Issue(
            split, folder, metrics(folder / "metrics.csv"), symptom, float(target["timestamp"]), str(cause["node"]), str(target["metric"])
        )
    except FileNotFoundError:
        raise ValueError(f"{place} or metrics.csv is missing; complete the folder or remove it") from None
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, ValueError) and "metrics.csv" in str(error):
            raise
        raise ValueError(f"{place}: not an issue ({type(error).__name__}: {str(error)[:60]}); it needs target and root_cause") from None


def _case(scenario: str, issue: _Issue, issues: list[_Issue], usual: Samples | None, calls: Dependencies) -> LabelledCase:
    quiet = [usual] if usual is not None else _before(issue, issues)
    series = _merged([issue.table, *quiet])
    window = np.isin(series.t_s, issue.table.t_s)
    usual_rows = np.isin(series.t_s, np.concatenate([part.t_s for part in quiet]))
    normal = usual_rows & (~window | (series.t_s <= issue.onset_s))
    return LabelledCase(
        f"{scenario}/{issue.split}/{issue.folder.name}",
        f"{scenario}/{issue.split}",
        series,
        calls,
        issue.symptom,
        issue.onset_s,
        normal,
        window,
        issue.truth,
        issue.kind,
    )


def _before(issue: _Issue, issues: list[_Issue]) -> list[Samples]:
    """Return the quiet samples that precede the issue: its own, and those of issues that began earlier."""
    return [each.table.until(each.onset_s) for each in issues if each.onset_s <= issue.onset_s]


def _csv(path: Path) -> NDArray[np.str_]:
    """Read a CSV without interpretation: all cells as text (R, C)."""
    try:
        frame = pl.read_csv(path, has_header=False, infer_schema=False)
    except FileNotFoundError:
        raise ValueError(f"{_place(path)} is missing; {_LAYOUT}") from None
    except pl.exceptions.PolarsError as error:
        raise ValueError(f"{_place(path)}: not a CSV ({str(error).splitlines()[0][:80]}); export it again") from None
    return frame.fill_null("").to_numpy().astype(np.str_)


def _place(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"
