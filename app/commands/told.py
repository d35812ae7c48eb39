"""Investigations as lines for people and as plain values."""

from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from app.commands.terminal import table
from twin.units import show

if TYPE_CHECKING:
    from policies.judging import Scored
    from twin.incidents.case import Incident
    from twin.incidents.trajectory import Hypothesis
    from twin.store.investigations import Investigated, Moment

_SHOWN: Final = 3
_MOST_RULED_OUT: Final = 8
# Seconds since 1970 beyond this are dates; smaller ones count from a start that nobody dated.
_DATED_S: Final = 1e8


def words(found: "Investigated") -> list[str]:
    """Return an investigation as lines: the incident, what was found last, and how that came about."""
    incident, last = found.incident, found.moments[-1]
    told = last.investigation
    lines = [
        f"{incident.incident_id}  {incident.severity}  {printable(incident.title)}",
        f"{incident.entity_kind} {incident.entity_id}, {incident.metric}; opened {_opened(incident)}".strip(),
        f"{_status(told.status)} {_as_of(found, last)}, by {told.holder} ({told.driver or 'embedded'}), confidence by {_confider(found)}",
    ]
    for rank, hypothesis in enumerate(told.hypotheses[:_SHOWN], start=1):
        lines += _hypothesis(rank, hypothesis, last)
    if last.confidence:
        lines.append(f"why so sure: {printable(last.confidence[0].words)}")
    if told.ruled_out:
        more = len(told.ruled_out) - _MOST_RULED_OUT
        lines.append("ruled out:")
        lines += [f"  {printable(line)}" for line in told.ruled_out[:_MOST_RULED_OUT]] + ([f"  … and {more} more"] if more > 0 else [])
    if len(found.moments) > 1:
        lines += ["", *_over_time(found), ""]
    return [*lines, _costs(last), _basis(found)]


def _hypothesis(rank: int, hypothesis: "Hypothesis", moment: "Moment") -> list[str]:
    from twin.incidents.causes import CAUSES

    known = CAUSES[hypothesis.cause].title if hypothesis.cause in CAUSES else hypothesis.cause or "cause not known"
    said = moment.confidence[rank - 1] if rank <= len(moment.confidence) else None
    sure = f"score {hypothesis.score:.0%}"
    if said is not None:
        sure = f"{said.confidence:.0%}, " + (
            f"calibrated on {said.labels} labels" if said.calibrated else f"uncalibrated ({_labels(said.labels)})"
        )
    where = f" at {hypothesis.entity_id}" if hypothesis.entity_id else ""
    lines = [f"  {rank}. {known}{where}: {sure}"]
    lines += [f"     by way of {' > '.join(hypothesis.path)}"] if len(hypothesis.path) > 1 else []
    lines += [
        f"     {'+' if item.supports else '-'} {printable(item.words)} [{', '.join(item.evidence_ids)}]" for item in hypothesis.statements
    ]
    return lines


def _over_time(found: "Investigated") -> list[str]:
    rows = []
    for moment in found.moments:
        first = moment.investigation.hypotheses[0] if moment.investigation.hypotheses else None
        sure = f"{moment.confidence[0].confidence:.0%}" if moment.confidence else "–"
        rows.append((_as_of(found, moment), moment.investigation.status, f"{first.cause} {first.entity_id}" if first else "nobody", sure))
    return table(rows, ("moment", "finding", "first cause", "confidence"), right=(3,))


def _costs(moment: "Moment") -> str:
    steps = moment.investigation.steps
    tokens, usd = sum(step.tokens_in + step.tokens_out for step in steps), sum(step.cost_usd for step in steps)
    asked_ = f", {tokens:,} tokens, {usd:.4f} USD" if tokens else ""
    claims = f"{moment.investigation.claims} claims, {moment.investigation.unsupported} not supported and dropped"
    return f"{len(steps)} steps{asked_}; {claims}; {len(moment.evidence)} answers kept as evidence"


def _basis(found: "Investigated") -> str:
    basis = found.basis
    parts = (("generated", "history_generated"), ("imported", "history_imported"), ("named by operators", "history_operators"))
    resolved = ", ".join(f"{basis[key]:,} {name}" for name, key in parts if basis.get(key))
    return (
        f"resolved incidents it could see, where they were over before: {resolved or 'none'}; compared by {basis.get('similar', 'words')}"
    )


def truth_lines(scored: "Scored") -> list[str]:
    """Return what was really done, and whether it was found, as a line."""
    real = "; ".join(f"{each.cause} at {each.entity_id}" for each in scored.truths) or "no fault, chance or ordinary load"
    last = scored.moments[-1]
    if last.right:
        said = f"found first, {_ago(scored.diagnosed_s or 0.0)} after it began"
    elif last.rank:
        said = f"found at place {last.rank}"
    else:
        said = "a false accusation" if scored.false_accusation else "nobody accused" if not last.accused else "not found"
    provable = "" if not scored.truths else ", which data can prove" if scored.provable else ", which data cannot prove"
    return [f"simulated truth: {real}{provable}: {said}"]


def truth_value(scored: "Scored") -> dict[str, Any]:
    """Return what was held against the simulated truth as plain values."""
    own = {"false_accusation": scored.false_accusation, "diagnosed_s": scored.diagnosed_s}
    return {**asdict(scored), **own}


def as_value(found: "Investigated") -> dict[str, Any]:
    """Return an investigation as plain values; rows of evidence stay in the store."""
    from twin.store.investigations import plain

    thin = replace(found, moments=tuple(replace(m, evidence=tuple(replace(e, rows=()) for e in m.evidence)) for m in found.moments))
    told: dict[str, Any] = plain(asdict(thin))
    for moment in told["moments"]:
        for each in moment["evidence"]:
            del each["rows"]
    return told


def printable(text: str) -> str:
    """Return a text from outside as a terminal may show it: one line, no control characters."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _status(status: str) -> str:
    return {"confirmed": "confirmed", "likely": "likely", "inconclusive": "inconclusive: nothing that is known proves a cause;"}[status]


def _as_of(found: "Investigated", moment: "Moment") -> str:
    from policies.investigate import as_of_words

    return as_of_words(found.incident, moment.as_of_s)


def _confider(found: "Investigated") -> str:
    stack = found.policy.get("confidence", [])
    return str(stack[0]["system"]) if stack else "nobody"


def _labels(count: int) -> str:
    return "1 label" if count == 1 else f"{count} labels"


def _ago(span_s: float) -> str:
    return show(max(span_s, 0.0), "span_s")


def _opened(incident: "Incident") -> str:
    after_s = incident.detected_s - incident.onset_s
    dated = f" ({datetime.fromtimestamp(incident.began + after_s, UTC):%Y-%m-%d %H:%M} UTC)" if incident.began >= _DATED_S else ""
    return f"at {incident.detected_s:,.0f} s{dated}, {_ago(after_s)} after it began"
