"""The plain holders of incidents: who names a cause, and how firmly."""

from collections.abc import Mapping
from math import nan
from typing import Annotated, Any, Final

import polars as pl
from pydantic import Field

from policies.baselines.confidence import RAW_SCORE
from policies.system import Knobs, Surroundings, System
from twin.incidents.case import Incident
from twin.incidents.causes import CAUSES
from twin.incidents.levers import InvestigationObservation
from twin.incidents.tools import Reply
from twin.incidents.trajectory import Hypothesis, Investigation, Statement, Step
from twin.incidents.verifier import verify

# What one thinks first of a symptom, by a word in its metric; never looked up anywhere. Proposed.
FIRST_THOUGHTS: Final[Mapping[str, str]] = {
    "temp": "air_handler_lost",
    "inlet": "air_handler_lost",
    "throttled": "gpu_throttled",
    "power": "power_cap_wrong",
    "slo": "traffic_burst",
    "ttft": "traffic_burst",
    "e2e": "traffic_burst",
    "cold": "cold_start_storm",
    "function": "cold_start_storm",
    "overflow": "cxl_device_lost",
    "spilled": "cxl_device_lost",
    "broken": "hint_flood",
    "error": "bad_deployment",
    "latency": "bad_deployment",
}


class RetrievalKnobs(Knobs):
    """How many resolved incidents are asked; the paper takes 3 and 10."""

    k: Annotated[int, Field(ge=1, le=50, description="resolved incidents whose causes are counted")] = 10


class Retrieval:
    """Names the cause that most of the nearest resolved incidents had; looks at nothing of this one but its text."""

    def __init__(self, knobs: Knobs, surroundings: Surroundings) -> None:
        del surroundings
        self._k = knobs.k if isinstance(knobs, RetrievalKnobs) else 1
        self._id = "retrieval_k10" if isinstance(knobs, RetrievalKnobs) else "nearest"

    def investigate(self, seen: InvestigationObservation) -> Investigation:
        """Return the majority cause of the nearest; the nearer counts more."""
        incident = seen.incident
        asked = {"query": f"{incident.title} {incident.text}".strip()[:800] or incident.metric, "k": self._k}
        reply = seen.tools.call("history_search", asked)
        step = _step("What did incidents like this one turn out to be?", "history_search", asked, reply)
        rows = _found(reply)
        causes = {name: sum(row["similarity"] for row in rows if row["cause"] == name) for name in {row["cause"] for row in rows}}
        total = sum(causes.values()) or 1.0
        ranked = sorted(causes, key=lambda name: (-causes[name], name))[:3]
        found = tuple(_from_history(incident, name, causes[name] / total, rows, reply) for name in ranked)
        return _answer(self._id, seen, (step,), found, tuple(row["incident_id"] for row in rows))


class NoTools:
    """Says what one thinks first of such a symptom; calls no tool and cites nothing, so that the verifier keeps none of its claims."""

    def __init__(self, knobs: Knobs, surroundings: Surroundings) -> None:
        del knobs, surroundings

    def investigate(self, seen: InvestigationObservation) -> Investigation:
        """Return the first thought; what is kept of it is inconclusive."""
        metric = f"{seen.incident.metric} {seen.incident.title}".lower()
        cause = next((name for word, name in FIRST_THOUGHTS.items() if word in metric), "")
        found: tuple[Hypothesis, ...] = ()
        if cause:
            words = f"{seen.incident.metric} of {seen.incident.entity_id} is usually a matter of: {CAUSES[cause].title}"
            found = (_hypothesis(seen.incident, cause, 0.5, (Statement(words, seen.incident.entity_id, ()),)),)
        return _answer("no_tools", seen, (), found, ())


class Loudest:
    """Blames whatever moved most, wherever it stands, with the most usual class of cause of such an entity."""

    def __init__(self, knobs: Knobs, surroundings: Surroundings) -> None:
        del knobs, surroundings

    def investigate(self, seen: InvestigationObservation) -> Investigation:
        """Return the entities of the loudest metrics, three at most."""
        from_s = max(seen.incident.onset_s - 1_800.0, 0.0)
        asked = {"from_s": from_s, "to_s": seen.tools.as_of_s, "each": 20}
        reply = seen.tools.call("anomaly_scan", asked)
        step = _step("Which metric moved most?", "anomaly_scan", asked, reply)
        found: list[Hypothesis] = []
        rows = _sorted(reply, "robust_z", ("entity", "kind", "metric", "before", "after", "onset_s"))
        for row in rows:
            cause = next((name for name, item in CAUSES.items() if item.entity_kind == row["kind"]), "")
            if not cause or any(item.entity_id == row["entity"] for item in found):
                continue
            words = f"{row['metric']} of {row['entity']} went from {row['before']:.4g} to {row['after']:.4g}"
            onset_s = nan if row["onset_s"] is None else float(row["onset_s"])
            told = (Statement(words, row["entity"], (reply.evidence_id,)),)
            found.append(Hypothesis(row["kind"], row["entity"], cause, "it moved most", (), onset_s, 0.5 / (len(found) + 1), told))
            if len(found) == 3:
                break
        return _answer("loudest", seen, (step,), tuple(found), ())


def _step(thought: str, action: str, arguments: Mapping[str, Any], reply: Reply) -> Step:
    told = reply.words if reply.ok else f"{reply.error_kind}: {reply.error}"
    return Step(1, thought, action, dict(arguments), told, reply.evidence_id, reply.ok, reply.error_kind)


def _found(reply: Reply) -> list[dict[str, Any]]:
    """Return resolved incidents with a known class of cause and a similarity above 0."""
    rows = _sorted(reply, "similarity", ("incident_id", "cause", "title"))
    return [row for row in rows if row["cause"] in CAUSES and row["similarity"] > 0.0]


def _sorted(reply: Reply, by: str, needs: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return rows, the largest first; none where the reply failed or lacks a column."""
    if not reply.ok or not {by, *needs} <= set(reply.rows.columns):
        return []
    rows = reply.rows.with_columns(pl.col(by).cast(pl.Float64, strict=False)).filter(pl.col(by).is_finite())
    return rows.sort(pl.col(by).abs(), needs[0], descending=[True, False]).to_dicts()


def _from_history(incident: Incident, cause: str, share: float, rows: list[dict[str, Any]], reply: Reply) -> Hypothesis:
    like = [row for row in rows if row["cause"] == cause]
    told = tuple(
        Statement(f"{row['incident_id']} is alike ({row['similarity']:.3f}) and was {cause}", "", (reply.evidence_id,)) for row in like[:3]
    )
    return _hypothesis(incident, cause, share, told)


def _hypothesis(incident: Incident, cause: str, score: float, statements: tuple[Statement, ...]) -> Hypothesis:
    """Return a cause without a look at the place: the symptom's own entity where that can have it, else nowhere."""
    kind = CAUSES[cause].entity_kind
    entity = incident.entity_id if kind == incident.entity_kind else ""
    return Hypothesis(kind, entity, cause, "as in earlier incidents", (entity,) if entity else (), nan, score, statements)


def _answer(
    holder: str, seen: InvestigationObservation, steps: tuple[Step, ...], found: tuple[Hypothesis, ...], similar: tuple[str, ...]
) -> Investigation:
    draft = Investigation(
        incident_id=seen.incident.incident_id,
        as_of_s=seen.tools.as_of_s,
        holder=holder,
        driver="embedded",
        steps=steps,
        hypotheses=found,
        status="likely" if found else "inconclusive",
        ruled_out=(),
        stop_reason="submitted",
        claims=0,
        unsupported=0,
        similar=similar,
    )
    return verify(draft, seen.incident, seen.tools)


BASELINES: Final[tuple[System, ...]] = (
    System(
        id="nearest",
        name="nearest incident",
        question="What if an incident had the cause that the one most like it had?",
        levers={"investigation": "holder"},
        serves=(),
        costs=(),
        knobs=Knobs,
        build=Retrieval,
    ),
    System(
        id="retrieval_k10",
        name="majority of the nearest incidents",
        question="What if an incident had the cause that most incidents like it had?",
        levers={"investigation": "holder"},
        serves=(),
        costs=(),
        knobs=RetrievalKnobs,
        build=Retrieval,
    ),
    System(
        id="no_tools",
        name="first thought",
        question="What if one said what such a symptom usually is, without looking?",
        levers={"investigation": "holder"},
        serves=(),
        costs=(),
        knobs=Knobs,
        build=NoTools,
    ),
    System(
        id="loudest",
        name="loudest metric",
        question="What if whatever moved most were to blame?",
        levers={"investigation": "holder"},
        serves=(),
        costs=(),
        knobs=Knobs,
        build=Loudest,
    ),
    RAW_SCORE,
)
