"""What is known besides a case: resolved incidents, labels, runbooks."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from math import isfinite
from pathlib import Path
from typing import Any, Final

import polars as pl

from policies import embedding
from twin.incidents import history, runbooks, team_tools
from twin.incidents.case import Incident, Severity
from twin.incidents.causes import CAUSES
from twin.incidents.levers import Labelled, Prediction
from twin.incidents.similar import Similar
from twin.incidents.tools import TeamTool
from twin.incidents.trajectory import Hypothesis, Investigation
from twin.store import case_of_run, drills, feedback, investigations, predictions_file, runs
from twin.store.investigations import Investigated
from twin.store.ledger import Ledger
from twin.store.records import Verdict

# How many resolved incidents the packaged history has, and from which seed: two years of a middling operator. Proposed.
GENERATED: Final = 5_000
_SEED: Final = 1


@dataclass(frozen=True)
class Knowledge:
    """What an investigator and a confider may know besides the case. ``basis`` says it in numbers, and names its digests."""

    history: pl.DataFrame
    labelled: tuple[Labelled, ...]
    runbooks: Mapping[str, str]
    team: tuple[TeamTool, ...]
    similar: Similar
    basis: Mapping[str, Any]


def known(home: Path, since: float, team: str = "") -> Knowledge:
    """Return what is known in a store to whoever looks into a case that begins at ``since`` (seconds since 1970).

    The history is a generated one that ends then, what was imported, and what operators said of incidents. Later things are in it too: it
    is the tools that show of it only what was known when an incident began. ``team`` is a folder of team tools, empty for the store's own.
    Labels are those that operators gave, and of drills that were kept. ValueError, one line, for a runbook or a tool that cannot be used.
    """
    verdicts = _verdicts(home)
    own = imported(home)
    told = history.joined(generated(since), own)
    with_verdicts = feedback.history_with(told, verdicts, _incidents(verdicts, home), "this site")
    said = labels(verdicts, home)
    everything = (*said, *rehearsed(home))
    texts = runbooks.texts(_there(home / "runbooks"))
    tools = team_tools.read(Path(team) if team else _there(home / "tools"))
    similar = embedding.choose(home)
    basis = {
        "history_generated": GENERATED,
        "history_imported": own.height,
        "history_operators": with_verdicts.height - told.height,
        "labels_operators": len(said),
        "labels_drills": len(everything) - len(said),
        "runbooks": len(texts),
        "team_tools": [each.tool.name for each in tools],
        "similar": similar.name,
        "digests": {
            "history": _digest(with_verdicts.write_csv()),
            "labels": _digest("\n".join(sorted(_line(each) for each in everything))),
            "runbooks": _digest(repr(sorted(texts.items()))),
            "team_tools": _digest(repr(tools)),
        },
    }
    return Knowledge(with_verdicts, everything, texts, tools, similar, basis)


@lru_cache(maxsize=4)
def generated(until: float) -> pl.DataFrame:
    """Return the packaged history: thousands of incidents of two years, all resolved before ``until`` (seconds since 1970)."""
    return history.draw(GENERATED, until, _SEED).incidents


def imported(home: Path) -> pl.DataFrame:
    """Return all resolved incidents that were imported; where two imports have the same id, the later name's holds."""
    told = history.draw(0, 0.0, _SEED).incidents
    for path in sorted((home / "imports" / "incidents").glob("*.parquet")):
        told = history.joined(told, pl.read_parquet(path))
    return told


def labels(verdicts: Iterable[Verdict], home: Path) -> tuple[Labelled, ...]:
    """Return what operators said as labels to be learned from.

    A label needs both scores of its prediction: they are those of the stored investigation in which it was made. Where that is gone, or
    whoever was asked for confidence gave no scores, the verdict is history alone.
    """
    out = []
    for row in feedback.labels(verdicts).iter_rows(named=True):
        label = _label(row, home)
        if label is not None:
            out.append(label)
    return tuple(out)


def rehearsed(home: Path) -> tuple[Labelled, ...]:
    """Return what was learnt in drills of this version of the code that are kept in a store, those to be fitted on alone."""
    kept = drills.kept("fit", home)
    if not kept:
        return ()
    # Drills bring the whole simulator with them, which whoever only looks into an incident must not wait for.
    from policies.drill import Drilled
    from policies.drilled import labelled

    return tuple(label for told in kept for label in labelled(Drilled.of(told)))


def of_predictions(name: str, home: Path) -> list[tuple[Prediction, bool | None, float]]:
    """Return the predictions imported under a name: each with whether it was right and when its incident was resolved.

    Its incidents are those imported; in order of their beginning. Where the file does not say whether a prediction was right, the
    recorded cause of its incident does, if both are classes of ours. ValueError where there are none.
    """
    path = home / "imports" / "predictions" / f"{name}.parquet"
    if not path.is_file():
        have = sorted(each.stem for each in path.parent.glob("*.parquet"))
        raise ValueError(f"no predictions are imported as {name!r}; there are: {', '.join(have) or 'none, see `intentwin import`'}")
    rows = {str(row["incident_id"]): row for row in imported(home).iter_rows(named=True)}
    incidents = {key: incident_of(row) for key, row in rows.items()}
    found = predictions_file.predictions(pl.read_parquet(path), name, incidents)
    if not found:
        raise ValueError(f"predictions {name}: none of their incidents is known; import these too, as `intentwin import incidents FILE`")
    resolved = []
    for prediction, said in found:
        row = rows[prediction.incident.incident_id]
        classes = prediction.cause in CAUSES and row["cause"] in CAUSES
        right = prediction.cause == row["cause"] if said is None and classes else said
        resolved.append((prediction, right, float(row["resolved"])))
    return sorted(resolved, key=lambda each: (each[0].incident.began, each[0].incident.incident_id))


def incident_of(row: Mapping[str, Any]) -> Incident:
    """Return a resolved incident as it was when it was opened: without what came out."""
    severity: Severity = row["severity"] if row["severity"] in ("critical", "major", "minor") else "major"
    kind, metric = str(row["entity_kind"] or ""), str(row["metric"] or "")
    return Incident(
        row["incident_id"], row["title"] or "", row["text"] or "", severity, kind, "", metric, 0.0, 0.0, float(row["began"])
    )  # fmt: skip


def predictor_of(found: Investigation) -> str:
    """Return whose prediction an investigation is; a language model's are not those of the embedded driver."""
    return found.holder if found.driver in ("", "embedded") else f"{found.holder} ({found.driver})"


def prediction_of(incident: Incident, found: Investigation, hypothesis: Hypothesis) -> Prediction:
    """Return one hypothesis as what ``confidence`` is asked about."""
    said = "; ".join(item.words for item in hypothesis.statements)
    text = ": ".join(part for part in (hypothesis.mechanism, said) if part)
    return Prediction(incident, predictor_of(found), text, hypothesis.cause, hypothesis.entity_id, hypothesis.score, found)


def known_at(investigated: Investigated) -> float:
    """Return when the cause of an incident may be said to be known: with the last moment that was looked at (seconds since 1970)."""
    incident = investigated.incident
    last_s = max((moment.as_of_s for moment in investigated.moments), default=incident.detected_s)
    return incident.began + max(last_s - incident.onset_s, 1.0)


def _verdicts(home: Path) -> list[Verdict]:
    ledger = Ledger(home)
    if not ledger.path.exists():
        return []
    with ledger.transaction() as transaction:
        return transaction.verdicts()


def _incidents(verdicts: Iterable[Verdict], home: Path) -> dict[tuple[str, str], Incident]:
    """Return the incidents that were spoken of, of runs that are still stored."""
    found: dict[tuple[str, str], Incident] = {}
    for run_id in sorted({item.run_id for item in verdicts}):
        try:
            if runs.exists(run_id, home):
                found |= {(run_id, each.incident_id): each for each in case_of_run.incidents_of(run_id, home)}
        except ValueError:
            continue
    return found


def _label(row: Mapping[str, Any], home: Path) -> Labelled | None:
    investigated = investigations.latest(row["run_id"], row["incident_id"], home)
    if investigated is None:
        return None
    for moment in reversed(investigated.moments):
        found = moment.investigation
        if predictor_of(found) != row["predictor"]:
            continue
        for hypothesis, said in zip(found.hypotheses, moment.confidence, strict=False):
            named = (hypothesis.cause, hypothesis.entity_id) == (row["predicted_cause"], row["predicted_entity_id"])
            if named and isfinite(said.sufficient) and isfinite(said.likely):
                prediction = prediction_of(investigated.incident, found, hypothesis)
                return Labelled(prediction, bool(row["right"]), float(row["known"]), said.sufficient, said.likely)
    return None


def _there(folder: Path) -> Path | None:
    return folder if folder.is_dir() else None


def _line(label: Labelled) -> str:
    who = label.prediction
    parts = (who.predictor, who.incident.incident_id, who.cause, who.entity_id, label.right, label.known, label.sufficient, label.likely)
    return "|".join(map(str, parts))


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "replace")).hexdigest()[:16]
