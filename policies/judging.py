"""Holds investigations against what really was done in a run."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from twin.incidents.case import Incident, Truth
from twin.incidents.trajectory import Hypothesis, Investigation
from twin.store import runs
from twin.store.investigations import Investigated

TRUTH: Final = "faults_truth"
# A symptom may outlive its cause by so long, as retries and heat do. Proposed.
_AFTERWARDS_S: Final = 1_800.0
_TOP: Final = 3
# A burst of requests may bring about what outlives it, by so long at least.
_TRIGGER, _STORM = "request_burst", "retry_storm"
_SETTLED_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class Judged:
    """One moment: the rank of a true cause (0: not named), how sure the first hypothesis was (None: none named), whether that is right.

    ``accused`` says whether somebody was blamed, likely or for certain.
    """

    as_of_s: float
    rank: int
    confidence: float | None
    right: bool
    accused: bool


@dataclass(frozen=True)
class Scored:
    """An investigation beside the simulated truth. ``truths`` are the faults that its incident hangs on, none where it was chance.

    ``provable`` says whether data can prove one of them; ``moments`` are in order of time.
    """

    truths: tuple[Truth, ...]
    provable: bool
    onset_s: float
    moments: tuple[Judged, ...]

    @property
    def false_accusation(self) -> bool:
        """Return whether, at the last moment, somebody was blamed for what nobody did or data cannot prove."""
        last = self.moments[-1]
        return last.accused and not self.provable and not last.right

    @property
    def diagnosed_s(self) -> float | None:
        """Return when the true cause came first for good, since the symptom's onset; None where it never did."""
        found: float | None = None
        for moment in self.moments:
            found = None if not moment.right else moment.as_of_s - self.onset_s if found is None else found
        return found


def score(investigated: Investigated, home: Path) -> Scored | None:
    """Hold an investigation against the truth of its run; None where the run keeps none."""
    incident = investigated.incident
    if not runs.exists(investigated.run_id, home):
        return None
    paths = runs.table_paths(investigated.run_id, home)
    if "topology" not in paths or "incidents" not in paths:
        return None
    truths = _truths(paths, incident)
    moments = tuple(judged(moment.as_of_s, moment.investigation, truths) for moment in investigated.moments)
    return Scored(truths, any(each.provable for each in truths), incident.onset_s, moments)


def metrics(scored: Iterable[Scored]) -> dict[str, float]:
    """Return what of the vocabulary investigations of one run or of many come to, as of the last moment of each.

    Shares are of the incidents whose cause data can prove; of what there is nothing to be said there is no entry. The Brier score is that
    of each first hypothesis, over all moments.
    """
    each = list(scored)
    proven = [item for item in each if item.provable]
    out: dict[str, float] = {}
    if proven:
        out["incidents.rca_top1_share"] = float(np.mean([item.moments[-1].rank == 1 for item in proven]))
        out["incidents.rca_top3_share"] = float(np.mean([1 <= item.moments[-1].rank <= _TOP for item in proven]))
    found = [item.diagnosed_s for item in proven if item.diagnosed_s is not None]
    if found:
        out["incidents.time_to_diagnose_mean_s"] = float(np.mean(found))
    said = [(moment.confidence, moment.right) for item in each for moment in item.moments if moment.confidence is not None]
    if said:
        out["incidents.confidence_brier"] = float(np.mean([(sure - right) ** 2 for sure, right in said]))
    return out


def right(hypothesis: Hypothesis, truths: Iterable[Truth]) -> bool:
    """Return whether a hypothesis names a true cause: its class and who is to blame."""
    return any(hypothesis.cause == each.cause and hypothesis.entity_id in (each.entity_id, *each.also_right) for each in truths)


def judged(as_of_s: float, found: Investigation, truths: tuple[Truth, ...]) -> Judged:
    """Hold what was found as of one moment against the faults that its incident hangs on."""
    known = [each for each in truths if each.onset_s <= as_of_s]
    ranks = [rank for rank, hypothesis in enumerate(found.hypotheses, start=1) if right(hypothesis, known)]
    first = found.hypotheses[0] if found.hypotheses else None
    accused = found.status != "inconclusive" and first is not None
    # A true cause in an answer that names nobody is no answer.
    firm = bool(ranks) and (ranks[0] > 1 or accused)
    return Judged(as_of_s, ranks[0] if firm else 0, None if first is None else first.confidence, bool(ranks) and ranks[0] == 1, accused)


def _truths(paths: Mapping[str, Path], incident: Incident) -> tuple[Truth, ...]:
    """Return the faults that an incident hangs on: they had begun when it was opened, and had not long ended when it began."""
    if TRUTH not in paths:
        return ()
    reach = _cone(paths["topology"], (incident.entity_id, *incident.affected))
    out = []
    for row in pl.read_parquet(paths[TRUTH]).sort("from_s", "kind").iter_rows(named=True):
        until_s = row["until_s"]
        over = until_s is not None and not isnan(until_s) and until_s + _AFTERWARDS_S < incident.onset_s
        if row["entity_id"] in reach and row["from_s"] <= incident.detected_s and not over:
            way = tuple(row["path"].split(" > ")) if row["path"] else ()
            also = (f"{row['entity_id']}/air-handler-1",) if row["kind"] == "ahu_loss" else ()
            out.append(Truth(row["entity_id"], row["cause"], row["from_s"], bool(row["provable"]), way, also))
            if row["kind"] == _TRIGGER and outlasts(paths, incident, until_s):
                # What goes on without its trigger is a storm of retries, wherever it is felt.
                out.append(Truth(row["entity_id"], _STORM, until_s, bool(row["provable"]), way, (*way, *incident.affected)))
    return tuple(out)


def outlasts(paths: Mapping[str, Path], incident: Incident, until_s: float | None) -> bool:
    """Return whether an incident goes on well after what brought it is over."""
    if until_s is None or isnan(until_s) or "alerts" not in paths:
        return False
    mine = pl.read_parquet(paths["alerts"]).filter(pl.col("incident_id") == incident.incident_id)
    ends = mine.filter(pl.col("state") == "cleared")
    began = mine.filter((pl.col("state") == "fired") & (pl.col("t_s") <= until_s))
    over = ends.filter(pl.col("t_s") <= until_s + _SETTLED_S)
    return began.join(over, on="alert", how="anti").height > 0


def _cone(topology: Path, of: Iterable[str]) -> set[str]:
    """Return everything that entities hang on, and themselves."""
    below: dict[str, list[str]] = {}
    for source, target in pl.read_parquet(topology, columns=["source", "target"]).iter_rows():
        below.setdefault(source, []).append(target)
    found = set(of)
    front = set(found)
    while front:
        front = {target for name in front for target in below.get(name, ())} - found
        found |= front
    return found
