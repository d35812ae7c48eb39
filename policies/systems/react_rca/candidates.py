"""Who may be to blame: what moved upstream of a symptom, and when."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

# Proposed, not fitted to any data set.
# A change of a few sigma is ordinary among thousands of series; a change below a few percent rarely matters whatever its sigma.
_SIGMA_FREE: Final = 3.0
_SIGMA_SCALE: Final = 4.0
_SHARE_HALF: Final = 0.03
# What moved at less strength than this is called quiet.
MOVED: Final = 0.3
# Trouble fades over each entity on its way that shows nothing itself, and is explained by what is upstream, less so farther away.
_QUIET: Final = 0.8
_FAR: Final = 0.85
_EXPLAINED: Final = 0.6
# What began clearly after the symptom can hardly be its cause.
_LATE: Final = 0.2
LATE_S: Final = 600.0
# Load that falls is rather an effect.
_THROUGHPUT: Final = ("tokens_per_s", "requests_per_s", "arrivals", "finished", "completed", "arrived", "power_w", "usd_per_h")
_FAINTER: Final = 0.7


@dataclass(frozen=True, slots=True)
class Candidate:
    """An entity upstream of the symptom (or itself): 0 to 1 how much blame, why, since when, and how far away.

    ``strength`` is how clearly it moved; ``path`` runs from it to the symptom, empty where the topology did not say.
    """

    entity: str
    kind: str
    score: float
    reasons: tuple[str, ...]
    strength: float
    onset_s: float
    hops: int
    path: tuple[str, ...]


def strengths(scan: pl.DataFrame) -> pl.DataFrame:
    """Return a scan's rows with ``strength`` (0 to 1, how clearly a metric moved) and ``way`` (+1 rose, -1 fell)."""
    if scan.is_empty():
        return scan.with_columns(strength=pl.lit(0.0), way=pl.lit(0))
    scores = np.abs(scan.select("robust_z", "n_sigma", "median_shift").cast(pl.Float64).fill_null(np.nan).to_numpy())
    known = np.isfinite(scores).any(axis=1)
    middle = np.zeros(len(scores))
    middle[known] = np.nanmedian(scores[known], axis=1)
    before, after = (scan[name].cast(pl.Float64).fill_null(np.nan).to_numpy() for name in ("before", "after"))
    size = np.abs(after - before) / np.maximum(np.maximum(np.abs(before), np.abs(after)), 1e-12)
    matters = np.nan_to_num(size / (size + _SHARE_HALF), nan=1.0)
    strength = (1.0 - np.exp(-np.maximum(middle - _SIGMA_FREE, 0.0) / _SIGMA_SCALE)) * matters
    faint = scan["metric"].str.contains("|".join(_THROUGHPUT)).to_numpy()
    strength = np.where(faint, _FAINTER * strength, strength)
    return scan.with_columns(strength=pl.Series(strength), way=pl.Series(np.sign(np.nan_to_num(after - before)).astype(np.int64)))


def rank(
    scan: pl.DataFrame, topology: pl.DataFrame, symptom: str, onset_s: float, means: Mapping[str, float] | None = None
) -> tuple[Candidate, ...]:
    """Return who may be to blame for a symptom, the likeliest first.

    Parameters
    ----------
    scan, topology
        Rows of the tools ``anomaly_scan`` (with or without what ``strengths`` adds) and ``topology`` (what the symptom depends on).
    symptom, onset_s
        The entity that suffers and since when.
    means
        How well each entity's changes fit a known kind of fault, 0 to 1; what fits nothing explains nothing downstream.
    """
    moved = scan if "strength" in scan.columns else strengths(scan)
    per = _strongest(moved, symptom)
    below, order, hops = _graph(topology, symptom)
    fits = {entity: (means or {}).get(entity, 0.0 if means is not None else 1.0) for entity in per}
    found = []
    for entity, (kind, strength, began_s, words) in per.items():
        if strength < MOVED:
            continue
        path = _path(order, hops, per, symptom, entity)
        by, upstream = _explained(below, per, fits, entity, began_s)
        score, reasons = strength * (1.0 - _EXPLAINED * upstream), [words]
        if by and upstream >= MOVED:
            reasons.append(f"{by}, on which it hangs, moved too")
        quiet = sum(per.get(step, ("", 1.0, 0.0, ""))[1] < MOVED for step in path[1:-1])
        score *= _QUIET**quiet
        if quiet:
            reasons.append(f"{quiet} on the way to {symptom} show nothing")
        if began_s > onset_s + LATE_S:
            score *= _LATE
            reasons.append("it began after the symptom")
        found.append(Candidate(entity, kind, float(score), tuple(reasons), strength, began_s, hops.get(entity, -1), path))
    return tuple(sorted(found, key=lambda item: (-item.score, item.hops, item.entity)))


def path_of(topology: pl.DataFrame, symptom: str, entity: str) -> tuple[str, ...]:
    """Return a shortest path from an entity to the symptom along the topology; empty where the rows hold none."""
    _, order, hops = _graph(topology, symptom)
    return _path(order, hops, {}, symptom, entity)


def _strongest(moved: pl.DataFrame, symptom: str) -> dict[str, tuple[str, float, float, str]]:
    """Return kind, strength, onset and words of each entity's clearest change."""
    found: dict[str, tuple[str, float, float, str]] = {}
    rows = moved.sort("strength", "entity", "metric", descending=[True, False, False]).iter_rows(named=True)
    for row in rows:
        onset_s = row["onset_s"] if row["onset_s"] is not None else float("nan")
        if row["entity"] not in found:
            found[row["entity"]] = (row["kind"] or "", row["strength"], onset_s, told(row))
        elif row["strength"] >= max(MOVED, 0.5 * found[row["entity"]][1]) and onset_s < found[row["entity"]][2]:
            kind, strength, _, words = found[row["entity"]]
            found[row["entity"]] = (kind, strength, onset_s, words)
    found.setdefault(symptom, ("", 0.0, float("nan"), ""))
    return found


def told(row: Mapping[str, object]) -> str:
    """Say what a row of a scan says, with its numbers as the row has them."""
    verb = "rose" if float(str(row["after"])) > float(str(row["before"])) else "fell"
    return f"{row['metric']} of {row['entity']} {verb} from {row['before']:.4g} to {row['after']:.4g}"


def _graph(topology: pl.DataFrame, symptom: str) -> tuple[dict[str, list[str]], dict[str, list[str]], dict[str, int]]:
    """Return what each entity hangs on, what hangs on each, and hops from the symptom."""
    below: dict[str, list[str]] = {}
    above: dict[str, list[str]] = {}
    pairs = topology.select("source", "target").unique().sort("source", "target").iter_rows() if topology.height else ()
    for source, target in pairs:
        below.setdefault(source, []).append(target)
        above.setdefault(target, []).append(source)
    hops, front = {symptom: 0}, [symptom]
    while front:
        reached = sorted({target for entity in front for target in below.get(entity, ()) if target not in hops})
        hops.update({entity: hops[front[0]] + 1 for entity in reached})
        front = reached
    return below, above, hops


def _path(
    above: Mapping[str, list[str]], hops: Mapping[str, int], per: Mapping[str, tuple[str, float, float, str]], symptom: str, entity: str
) -> tuple[str, ...]:
    """Return a shortest path from an entity up to the symptom, through what moved most."""
    if entity not in hops:
        return ()
    path = [entity]
    while path[-1] != symptom:
        nearer = [name for name in above[path[-1]] if hops.get(name, -1) == hops[path[-1]] - 1]
        path.append(max(nearer, key=lambda name: (per[name][1] if name in per else 0.0, name)))
    return tuple(path)


def _explained(
    below: Mapping[str, list[str]],
    per: Mapping[str, tuple[str, float, float, str]],
    fits: Mapping[str, float],
    entity: str,
    began_s: float,
) -> tuple[str, float]:
    """Return which entity upstream explains best why this one moved, and how well."""
    best, share = "", 0.0
    seen, front, fade = {entity}, list(below.get(entity, ())), 1.0
    while front and fade > 0.2:
        following: list[str] = []
        for name in front:
            if name in seen:
                continue
            seen.add(name)
            following += below.get(name, ())
            if name in per and not per[name][2] > began_s + LATE_S:
                told_by = fade * per[name][1] * fits.get(name, 0.0)
                if told_by > share:
                    best, share = name, told_by
        front, fade = following, fade * _FAR
    return best, share
