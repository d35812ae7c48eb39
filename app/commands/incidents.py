"""Commands that look into incidents: investigate, verdict."""

import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from app.commands.policies import policy_of
from app.commands.terminal import Answer, bar, home, login, now, table
from twin.units import show

if TYPE_CHECKING:
    from policies.judging import Scored
    from policies.policy import PolicySet
    from twin.incidents.case import Incident
    from twin.incidents.trajectory import Hypothesis
    from twin.store.investigations import Investigated, Moment

_SHOWN: Final = 3
_MOST_RULED_OUT: Final = 8
# Seconds since 1970 beyond this are dates; smaller ones count from a start that nobody dated.
_DATED_S: Final = 1e8
_ONSETS: Final = ("known", "detected")


def investigate(arguments: Namespace) -> Answer:
    """Say what caused an incident and how sure one may be: of a run, of one's own telemetry, or of a public data set."""
    ways = {"RUN": arguments.run, "--dataset": arguments.dataset, "--import": arguments.telemetry, "--case": arguments.case,
            "--predictions": arguments.predictions}  # fmt: skip
    given = [name for name, value in ways.items() if value is not None]
    if len(given) != 1:
        raise ValueError(f"{' and '.join(given) or 'nothing'} given; name one of {', '.join(ways)}")
    if arguments.onset is not None and given[0] not in ("--dataset", "--import"):
        raise ValueError("--onset goes with --dataset or --import; a run's incidents have theirs")
    if arguments.run is not None:
        return _of_run(arguments)
    if arguments.dataset is not None:
        return _of_dataset(*arguments.dataset, arguments.onset or "known")
    from app.commands import cases

    return cases.predicted(arguments) if arguments.predictions is not None else cases.own(arguments)


def _of_run(arguments: Namespace) -> Answer:
    from policies.investigate import investigate as look
    from policies.investigate import score
    from policies.judging import metrics
    from twin.store import case_of_run, runs

    place = home()
    run_id = runs.resolve(arguments.run, place)
    opened = case_of_run.incidents_of(run_id, place)
    if arguments.incident != "all":
        opened = tuple(each for each in opened if each.incident_id == arguments.incident) or _unknown(run_id, arguments.incident, opened)
    if not opened:
        return Answer({"run_id": run_id, "incidents": [], "metrics": {}}, [f"run {run_id}: its monitoring opened no incident"])
    found, scores, lines, value = [], [], list[str](), list[dict[str, Any]]()
    for number, incident in enumerate(opened):
        when_s = [moment_of(text, incident) for text in arguments.as_of] or None
        told = _progress(f"{incident.incident_id} ", number, len(opened))
        each = look(run_id, incident.incident_id, asked(arguments), place, moments_s=when_s, person=person(arguments), progress=told)
        scored = score(each, place)
        found.append(each)
        scores += [scored] if scored is not None else []
        value.append({**as_value(each), "truth": None if scored is None else truth_value(scored)})
        lines += [*words(each), *([] if scored is None else _truth(scored)), f"stored: investigations/{each.investigation_id}", ""]
    measured = metrics(scores)
    if measured and len(scores) > 1:
        lines += ["against the simulated truth, all incidents of the run:"]
        lines += table([(name, show(number, name)) for name, number in measured.items()], right=(1,))
    return Answer({"run_id": run_id, "incidents": value, "metrics": measured}, lines)


def _unknown(run_id: str, incident_id: str, opened: Sequence["Incident"]) -> tuple["Incident", ...]:
    names = ", ".join(each.incident_id for each in opened) or "none"
    raise ValueError(f"run {run_id} has no incident {incident_id!r}; it has: {names}")


def asked(arguments: Namespace) -> "PolicySet":
    """Return who is asked: ours, or the policy set that was named."""
    from policies.investigate import OURS

    return OURS if arguments.policy is None else policy_of(arguments.policy, home())


def person(arguments: Namespace) -> Callable[[str], str | None] | None:
    """Return who answers an investigator's questions: whoever sits at the terminal, where --ask was given."""
    if not arguments.ask:
        return None

    def answer(question: str) -> str | None:
        # What is asked may come from outside: control characters must not reach the terminal.
        sys.stderr.write(f"\n{printable(question)}\n> ")
        sys.stderr.flush()
        return sys.stdin.readline().strip() or None

    return answer


def _progress(what: str, number: int, count: int) -> Callable[[float, str], None] | None:
    if not sys.stderr.isatty():
        return None
    return lambda share, text: bar((number + share) / count, what + text)


def moment_of(text: str, incident: "Incident") -> float:
    """Return a moment in seconds of the run: as it stands, or with a + from the incident's opening on (``+10 min``)."""
    from twin.units import parse

    try:
        return incident.detected_s + parse(text[1:].strip(), "_s") if text.startswith("+") else parse(text, "_s")
    except ValueError:
        raise ValueError(f"--as-of {text!r} is no moment; write seconds of the run, or '+10 min' after the incident was opened") from None


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


def _truth(scored: "Scored") -> list[str]:
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


def _of_dataset(name: str, folder: str, onset: str) -> Answer:
    from twin.incidents import scoring
    from twin.store import nezha, petshop

    readers = {"petshop": petshop.read, "nezha": nezha.read}
    if name not in readers:
        raise ValueError(f"--dataset {name!r} is unknown; it is petshop or nezha, then its folder")
    if onset not in _ONSETS:
        raise ValueError(f"--onset {onset!r}: with --dataset it is known or detected")
    if not Path(folder).is_dir():
        raise ValueError(f"{folder}: no such folder; it holds the data set as it is published")
    told = scoring.evaluate(readers[name](Path(folder)), onset_known=onset == "known")
    kinds = sorted({str(each["kind"]) for each in told["cases"]})
    by_kind = {kind: _accuracy([each["rank"] for each in told["cases"] if each["kind"] == kind]) for kind in kinds}
    heads = ("", "issues", "AC@1", "AC@3", "Avg@5")
    rows = [*told["splits"].items(), ("all", told)]
    lines = [f"{name}: {told['n']} issues, onset {onset}", *_table(rows, ("split", *heads[1:]))]
    return Answer({**told, "dataset": name, "onset": onset, "kinds": by_kind}, [*lines, "", *_table(by_kind.items(), ("kind", *heads[1:]))])


def _accuracy(ranks: Sequence[int]) -> dict[str, float]:
    within = [sum(0 < rank <= k for rank in ranks) / len(ranks) for k in range(1, 6)]
    return {"n": len(ranks), "ac_at_1": within[0], "ac_at_3": within[2], "avg_at_5": sum(within) / 5.0}


def _table(rows: Any, heads: Sequence[str]) -> list[str]:
    shown = [(name, row["n"], *(f"{row[key]:.3f}" for key in ("ac_at_1", "ac_at_3", "avg_at_5"))) for name, row in rows]
    return table(shown, heads, right=(1, 2, 3, 4))


def verdict(arguments: Namespace) -> Answer:
    """Say what really caused an incident: it labels the named cause, and is history from then on."""
    from policies.knowledge import known_at, predictor_of
    from twin.incidents.causes import CAUSES
    from twin.store import case_of_run, investigations, runs
    from twin.store.ledger import Ledger
    from twin.store.records import Verdict

    place = home()
    run_id = runs.resolve(arguments.run, place)
    opened = {each.incident_id: each for each in case_of_run.incidents_of(run_id, place)}
    incident = opened.get(arguments.incident) or _unknown(run_id, arguments.incident, tuple(opened.values()))[0]
    found = investigations.latest(run_id, incident.incident_id, place)
    told = None if found is None else found.moments[-1].investigation
    first = told.hypotheses[0] if told is not None and told.hypotheses else None
    predicted = ("", "") if first is None else (first.cause, first.entity_id)
    if arguments.cause in ("right", "wrong"):
        if first is None:
            raise ValueError(f"nobody named a cause of {incident.incident_id} yet, so none is {arguments.cause}; name the class of cause")
        cause, entity_id = predicted if arguments.cause == "right" else ("", "")
    else:
        if arguments.cause not in CAUSES:
            raise ValueError(f"--cause {arguments.cause!r} is no class of cause; it is right, wrong, or one of {', '.join(CAUSES)}")
        cause = arguments.cause
        entity_id = arguments.entity or (predicted[1] if cause == predicted[0] else "")
    if arguments.entity and arguments.cause in ("right", "wrong"):
        raise ValueError(f"--entity goes with a class of cause; --cause {arguments.cause} says it already")
    end_s = float(runs.manifest_of(run_id, place)["end_s"])
    entry = Verdict(
        incident_id=incident.incident_id,
        run_id=run_id,
        predictor="" if told is None else predictor_of(told),
        predicted_cause=predicted[0],
        predicted_entity_id=predicted[1],
        confidence=None if first is None else first.confidence,
        right=first is not None and (cause, entity_id) == predicted,
        cause=cause,
        entity_id=entity_id,
        note=arguments.note,
        known=incident.began + max(end_s - incident.onset_s, 1.0) if found is None else known_at(found),
        actor=arguments.actor or login(),
        at=now(),
    )
    with Ledger(place).transaction() as transaction:
        transaction.add_verdict(entry)
    named = f"{predicted[0]} at {predicted[1]}" if first is not None else "nobody had named a cause"
    said = "right" if entry.right else f"it was {cause} at {entity_id or 'a place not named'}" if cause else "wrong, the cause is not known"
    return Answer({**asdict(entry), "at": entry.at.isoformat()}, [f"{run_id} {incident.incident_id}: {named}: {said}, says {entry.actor}"])


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
