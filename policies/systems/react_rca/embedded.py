"""The embedded rule-and-statistics investigator: no language model in it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import polars as pl

from policies.systems.react_rca import candidates
from policies.systems.react_rca.candidates import LATE_S, MOVED
from policies.systems.react_rca.hypotheses import (
    CHANGE_S,
    MOST,
    POLICY_CHANGE,
    Seen,
    Suspect,
    form,
    neighbours,
    order,
    ruled_out,
    turned,
    weakened,
)
from policies.systems.react_rca.knobs import ReactRcaKnobs
from policies.systems.react_rca.rivals import settled
from policies.systems.react_rca.trace import Trace, rows_of
from twin.incidents.case import Incident
from twin.incidents.causes import CAUSES
from twin.incidents.levers import InvestigationObservation
from twin.incidents.tools import MOST_ROWS
from twin.incidents.trajectory import Hypothesis, Investigation, Statement, Status

DRIVER: Final = "embedded"
# A leading cause below the first is no answer; two within the second of each other are equal; from the third on, with the fourth as lead
# over the next place and evidence of two kinds, a cause is confirmed. Proposed.
LEAST: Final = 0.4
EQUAL_SHARE: Final = 0.07
CONFIRMED: Final = 0.65
LEAD_SHARE: Final = 0.25
_REFUTED: Final = 0.3
_UNMOVED: Final = 0.85
_UNCOVERED: Final = 0.9
_EACH: Final = 40
_JUST_S: Final = 60.0
# What reads as one figure over many servers: the cause may lie in one of them.
_WHOLES: Final = frozenset(("row", "rack", "aisle"))


class Embedded:
    """Looks into one incident: details, surroundings, changes, candidates, the query that tells the first two apart, submission."""

    def __init__(self, knobs: ReactRcaKnobs, seen: InvestigationObservation) -> None:
        self._knobs = knobs
        self._incident = seen.incident
        self._tools = seen.tools
        self._trace = Trace(seen.tools)
        self._cut = False
        # Where the looking begins: of an aggregate its worst part.
        self._at = seen.incident

    def _from_s(self) -> float:
        """Return from when on a cause is looked for; of what little lies before an early symptom, half stays as what is usual."""
        onset_s = self._incident.onset_s
        return max(onset_s - self._knobs.lead_s, onset_s / 2.0, 0.0)

    def investigate(self, holder: str) -> Investigation:
        """Return the draft; the verifier has not seen it yet."""
        seen, wide = self._look()
        formed = _formed(seen)
        if self._cut:
            seen = self._follow(seen, formed)
            formed = _formed(seen)
        looked, similar = self._tell_apart(formed), tuple(seen.history["incident_id"].to_list())
        suspects = [item for item in looked if not item.onset_s > self._incident.onset_s + LATE_S]
        status, why = verdict(seen, suspects)
        excluded = ruled_out(seen, wide, looked)
        scan = seen.cited["scan"]
        excluded += [
            f"{_named(item)}: it began at {item.onset_s:.0f} s, after the symptom ({scan})" for item in looked if item not in suspects
        ]
        excluded += [f"{_named(item)}: {note}" for item in looked for note in item.notes]
        found = tuple(self._led(seen, item.hypothesis()) for item in suspects)
        self._submit(found, status, why)
        return Investigation(
            incident_id=self._incident.incident_id,
            as_of_s=self._tools.as_of_s,
            holder=holder,
            driver=DRIVER,
            steps=tuple(self._trace.steps),
            hypotheses=found,
            status=status,
            ruled_out=tuple(excluded),
            stop_reason="submitted",
            claims=0,
            unsupported=0,
            similar=similar,
            details=_details(seen, suspects, why),
        )

    def _look(self) -> tuple[Seen, pl.DataFrame]:
        """Gather what the tools know around the onset."""
        incident, call = self._incident, self._trace.call
        from_s = self._from_s()
        to_s, normal_s = self._tools.as_of_s, max(from_s - self._knobs.normal_s, 0.0)
        around = {"from_s": from_s, "to_s": to_s}
        call(f"An incident: {incident.entity_id}. Expected: what the symptom is, where and since when.", "incident_details", {})
        self._at = incident = self._part(from_s, to_s, normal_s)
        who, metric = incident.entity_id, incident.metric
        graph = call(
            f"Seen: {metric} of {who} since {incident.onset_s:.0f} s. Expected: whatever caused it is something that {who} hangs on.",
            "topology",
            {"entity": who, "direction": "depends_on", "hops": 12},
        )
        self._cut = graph.truncated
        asked = {**around, "normal_from_s": normal_s}
        scan = call(
            f"Seen: {_counted(rows_of(graph), 'dependency')}. Expected: the cause, or what it did, moved no later than the symptom.",
            "anomaly_scan",
            {**asked, "cone_of": who, "each": _EACH},
        )
        events = call(
            f"Seen: {_loudest(rows_of(scan))}. Expected: a cause whose metrics are silent is named by an event or a log.",
            "events",
            {**around, "cone_of": who, "least": "warning"},
        )
        changes = call(
            f"Seen: {_counted(rows_of(events), 'kind of event or log line')}. Expected: a change just before, on the way or elsewhere.",
            "change_log",
            {"from_s": max(from_s - CHANGE_S, 0.0), "to_s": to_s},
        )
        history = call(
            f"Seen: {_counted(rows_of(changes), 'change')}. Expected: resolved incidents like this one tell what to look at first.",
            "history_search",
            {"query": f"{incident.title} {incident.text}"[:800].strip() or metric, "k": self._knobs.neighbours},
        )
        wide = call(
            f"Seen: {_counted(rows_of(history), 'resolved incident')}. Expected: what moved elsewhere is loud but does not reach {who}.",
            "anomaly_scan",
            {**asked, "each": 5},
        )
        since = call(
            f"What was before the onset blurs what came. Expected: since {incident.onset_s:.0f} s alone it is clear who is asked for more.",
            "anomaly_scan",
            {
                "from_s": max(min(incident.onset_s - _JUST_S, to_s - _JUST_S), normal_s + 1.0),
                "to_s": to_s,
                "normal_from_s": normal_s,
                "cone_of": who,
                "each": MOST_ROWS,
            },
        )
        cited = {"scan": scan.evidence_id, "events": events.evidence_id, "changes": changes.evidence_id}
        seen = Seen(incident, rows_of(graph), rows_of(scan), rows_of(events), rows_of(changes), rows_of(history), cited, rows_of(since))
        return seen, rows_of(wide)

    def _part(self, from_s: float, to_s: float, normal_s: float) -> Incident:
        """Return the incident as its worst part has it, where the symptom is a figure over many servers; else as it is."""
        incident, call = self._incident, self._trace.call
        if incident.entity_kind not in _WHOLES:
            return incident
        who, column = incident.entity_id, incident.metric.partition(".")[2]
        graph = rows_of(
            call(f"{who} is a sum. Expected: one of its servers shows more than the others.", "topology",
                 {"entity": who, "direction": "depended_on_by", "hops": 3})
        )  # fmt: skip
        servers = sorted(set(graph.filter(pl.col("source_kind") == "server")["source"].to_list())) if graph.height else []
        if not servers:
            return incident
        asked = {"from_s": from_s, "to_s": to_s, "normal_from_s": normal_s, "entities": servers, "each": MOST_ROWS}
        scan = candidates.strengths(
            rows_of(call(f"{len(servers)} servers are in {who}. Expected: {column} moved there.", "anomaly_scan", asked))
        )
        moved = scan.filter((pl.col("metric") == f"servers.{column}") & (pl.col("strength") >= MOVED))
        if moved.is_empty():
            return incident
        worst = moved.sort((pl.col("after") - pl.col("before")).abs(), "entity", descending=[True, False]).row(0, named=True)
        return replace(incident, entity_id=str(worst["entity"]), entity_kind="server", metric=str(worst["metric"]))

    def _led(self, seen: Seen, hypothesis: Hypothesis) -> Hypothesis:
        """Return a hypothesis with its way to the symptom itself, where the looking began at a part of that."""
        if self._at is self._incident:
            return hypothesis
        path = candidates.path_of(seen.topology, self._incident.entity_id, hypothesis.entity_id)
        return replace(hypothesis, path=path)

    def _follow(self, seen: Seen, suspects: Sequence[Suspect]) -> Seen:
        """Ask around the first two suspects where what the symptom hangs on was too long for one answer.

        Without the edges between them what one explains of the other is not seen.
        """
        frames = [seen.topology]
        for entity in dict.fromkeys(item.candidate.entity for item in suspects[:2]):
            for direction in ("depends_on", "depended_on_by"):
                reply = self._trace.call(
                    f"What {self._at.entity_id} hangs on was cut off. Expected: what moved around {entity} hangs together.",
                    "topology",
                    {"entity": entity, "direction": direction, "hops": 12},
                )
                frames.append(rows_of(reply))
        return replace(seen, topology=pl.concat(frames).unique(["source", "target", "kind"], maintain_order=True))

    def _tell_apart(self, suspects: Sequence[Suspect]) -> list[Suspect]:
        """Look at the deciding metric of the first two, the way of the first to the symptom, and whom it reaches."""
        out = [self._moved(item) if i < 2 else item for i, item in enumerate(suspects)]
        out.sort(key=order)
        if out:
            out[0] = self._reaches(out[0])
            self._runbook(out[0])
        return sorted(out, key=order)

    def _moved(self, suspect: Suspect) -> Suspect:
        metric = suspect.match.deciding_metric if suspect.match else ""
        if not metric:
            return suspect
        entity, incident = suspect.candidate.entity, self._incident
        from_s = self._from_s()
        reply = self._trace.call(
            f"{_named(suspect)} scores {suspect.score:.2f}. If so, {metric} left what was usual before {incident.onset_s + LATE_S:.0f} s.",
            "query_metric",
            {"entity": entity, "metric": metric, "from_s": max(from_s - self._knobs.normal_s, 0.0), "to_s": self._tools.as_of_s},
        )
        rows = rows_of(reply)
        if rows.is_empty():
            return weakened(suspect, 1.0, f"no readings of {metric} to check it by, which is no evidence either way")
        at = turned(rows, min(from_s, suspect.onset_s))
        if at is None:
            return weakened(suspect, _UNMOVED, f"{metric} does not clearly leave what was usual")
        told = f"at {at[0]:.0f} s {metric} of {entity} was {at[1]:.4g}"
        if at[0] > incident.onset_s + LATE_S:
            against = Statement(f"{told}, only then beyond what was usual", entity, (reply.evidence_id,), supports=False)
            return weakened(suspect, _REFUTED, f"{metric} moved only at {at[0]:.0f} s, after the symptom ({reply.evidence_id})", against)
        return replace(suspect, statements=(*suspect.statements, Statement(f"{told}, beyond what was usual", entity, (reply.evidence_id,))))

    def _reaches(self, suspect: Suspect) -> Suspect:
        """Find the way of a cause to the symptom where the topology was too long, and whether it reaches all that suffers."""
        who, entity = self._at.entity_id, suspect.candidate.entity
        if not suspect.candidate.path:
            reply = self._trace.call(
                f"{_named(suspect)} leads. Expected: a way from it to {who}.",
                "topology",
                {"entity": who, "direction": "depends_on", "to": entity, "hops": 12},
            )
            path = candidates.path_of(rows_of(reply), who, entity)
            suspect = replace(suspect, candidate=replace(suspect.candidate, path=path))
        reply = self._trace.call(f"{_named(suspect)} leads. If so, all that suffers hangs on it.", "blast_radius", {"entity": entity})
        reached = set(rows_of(reply)["entity"].to_list()) | {entity}
        # A policy decides everywhere, whatever hangs on what.
        if len(reached) < 2 or suspect.cause == POLICY_CHANGE:
            return suspect
        outside = sorted(set(self._incident.affected) - reached - ({self._incident.entity_id} if self._at is not self._incident else set()))
        if who not in reached:
            return weakened(suspect, _REFUTED, f"{who} does not hang on it")
        if outside:
            return weakened(suspect, _UNCOVERED, f"{', '.join(outside[:3])} suffer too and do not hang on it")
        return suspect

    def _runbook(self, suspect: Suspect) -> None:
        title = CAUSES[suspect.cause].title if suspect.cause in CAUSES else self._incident.metric
        self._trace.call(f"What does a runbook say to check for {title}?", "runbook_search", {"query": title, "k": 2})

    def _submit(self, found: Sequence[Any], status: Status, why: str) -> None:
        told = [{"entity": item.entity_id, "cause": item.cause, "score": item.score} for item in found]
        self._trace.note(f"{status}: {why}", "submit", {"status": status, "hypotheses": told}, "submitted")


def _formed(seen: Seen) -> list[Suspect]:
    return sorted(settled(seen, form(seen)), key=order)[:MOST]


def verdict(seen: Seen, suspects: Sequence[Suspect]) -> tuple[Status, str]:
    """Return how firm an answer is, and by which rule.

    Inconclusive: nothing that the symptom hangs on has readings or logs; nothing upstream moved in a way of a known fault; the first score
    is low; the first two, at different places, are equal. Confirmed: high, clearly ahead, evidence of two kinds, nothing against.
    """
    if seen.scan.is_empty() and seen.events.is_empty():
        return "inconclusive", "what the symptom hangs on has no readings and no logs; that is no evidence of absence"
    if not suspects or not suspects[0].cause:
        return "inconclusive", "nothing upstream moved in a way that a known fault would"
    first = suspects[0]
    if first.score < LEAST:
        return "inconclusive", f"the likeliest, {_named(first)}, scores only {first.score:.2f}"
    rivals = [item for item in suspects[1:] if item.candidate.entity != first.candidate.entity]
    ahead = 1.0 - rivals[0].score / first.score if rivals else 1.0
    if ahead < EQUAL_SHARE:
        return "inconclusive", f"{_named(first)} and {_named(rivals[0])} remain equal"
    kinds = {sign.where for sign, _ in first.match.spoken} if first.match else set()
    cited = {evidence for item in first.statements if item.supports for evidence in item.evidence_ids}
    against = any(not item.supports for item in first.statements)
    if first.score >= CONFIRMED and ahead >= LEAD_SHARE and not against and (len(kinds) > 1 or len(cited) > 1):
        return "confirmed", f"{_named(first)} scores {first.score:.2f}, clearly ahead, by evidence of two kinds"
    return "likely", f"{_named(first)} scores {first.score:.2f}"


def _details(seen: Seen, suspects: Sequence[Suspect], why: str) -> dict[str, Any]:
    """Return what a holder of confidence may want of how the answer came about."""
    first, second = (suspects[i].score if i < len(suspects) else 0.0 for i in (0, 1))
    answered = [seen.topology, seen.scan, seen.events, seen.changes, seen.history]
    return {
        "why": why,
        "margin": round(first - second, 6),
        "anomaly_strength": round(suspects[0].candidate.strength, 6) if suspects else 0.0,
        "neighbour_share": round(neighbours(seen.history, suspects[0].cause), 6) if suspects else 0.0,
        "coverage_share": sum(not frame.is_empty() for frame in answered) / len(answered),
        "blame": [[item.candidate.entity, item.cause, round(item.score, 6)] for item in suspects],
    }


def _named(suspect: Suspect) -> str:
    title = CAUSES[suspect.cause].title if suspect.cause in CAUSES else "something"
    return f"{title} at {suspect.candidate.entity}"


def _counted(rows: pl.DataFrame, noun: str) -> str:
    if rows.is_empty():
        return f"no {noun}, which proves nothing"
    many = noun[:-1] + "ies" if noun.endswith("y") else noun.replace("kind of", "kinds of") if noun.startswith("kind") else noun + "s"
    return f"{rows.height} {noun if rows.height == 1 else many}"


def _loudest(rows: pl.DataFrame) -> str:
    if rows.is_empty():
        return "no readings, which is no evidence of absence"
    return candidates.told(candidates.strengths(rows).sort("strength", "entity", descending=[True, False]).row(0, named=True))
