"""Commands that look into incidents: investigate, verdict."""

import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from app.commands import told
from app.commands.policies import policy_of
from app.commands.terminal import Answer, bar, home, login, now, table
from twin.units import show

if TYPE_CHECKING:
    from policies.policy import PolicySet
    from twin.incidents.case import Incident

_SHOWN: Final = 3
_MOST_RULED_OUT: Final = 8
# Seconds since 1970 beyond this are dates; smaller ones count from a start that nobody dated.
_DATED_S: Final = 1e8
_ONSETS: Final = ("known", "detected")
# Options that say nothing of the other ways: left unread, they would seem to have been heard.
_GO_WITH: Final = {"--entity": ("--import",), "--metric": ("--import",), "--topology": ("--import",), "--incident": ("RUN",)}


def investigate(arguments: Namespace) -> Answer:
    """Say what caused an incident and how sure one may be: of a run, of one's own telemetry, or of a public data set."""
    ways = {"RUN": arguments.run, "--dataset": arguments.dataset, "--import": arguments.telemetry, "--case": arguments.case,
            "--predictions": arguments.predictions}  # fmt: skip
    given = [name for name, value in ways.items() if value is not None]
    if len(given) != 1:
        raise ValueError(f"{' and '.join(given) or 'nothing'} given; name one of {', '.join(ways)}")
    if arguments.onset is not None and given[0] not in ("--dataset", "--import"):
        raise ValueError("--onset goes with --dataset or --import; a run's incidents have theirs")
    for option, ways_of in _GO_WITH.items():
        if given[0] not in ways_of and getattr(arguments, option.removeprefix("--")) not in (None, [], "all"):
            raise ValueError(f"{option} goes with {' or '.join(ways_of)}; leave it out")
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
        follow = _progress(f"{incident.incident_id} ", number, len(opened))
        each = look(run_id, incident.incident_id, asked(arguments), place, moments_s=when_s, person=person(arguments), progress=follow)
        scored = score(each, place)
        found.append(each)
        scores += [scored] if scored is not None else []
        value.append({**told.as_value(each), "truth": None if scored is None else told.truth_value(scored)})
        lines += [
            *told.words(each),
            *([] if scored is None else told.truth_lines(scored)),
            f"stored: investigations/{each.investigation_id}",
            "",
        ]
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
        sys.stderr.write(f"\n{told.printable(question)}\n> ")
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
    scored = scoring.evaluate(readers[name](Path(folder)), onset_known=onset == "known")
    kinds = sorted({str(each["kind"]) for each in scored["cases"]})
    by_kind = {kind: _accuracy([each["rank"] for each in scored["cases"] if each["kind"] == kind]) for kind in kinds}
    heads = ("", "issues", "AC@1", "AC@3", "Avg@5")
    rows = [*scored["splits"].items(), ("all", scored)]
    lines = [f"{name}: {scored['n']} issues, onset {onset}", *_table(rows, ("split", *heads[1:]))]
    return Answer(
        {**scored, "dataset": name, "onset": onset, "kinds": by_kind}, [*lines, "", *_table(by_kind.items(), ("kind", *heads[1:]))]
    )


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
    last = None if found is None else found.moments[-1].investigation
    first = last.hypotheses[0] if last is not None and last.hypotheses else None
    predicted = ("", "") if first is None else (first.cause, first.entity_id)
    if arguments.cause in ("right", "wrong"):
        if first is None or not first.cause:
            raise ValueError(f"nobody named a cause of {incident.incident_id} yet, so none is {arguments.cause}; name the class of cause")
        cause, entity_id = predicted if arguments.cause == "right" else ("", "")
    else:
        if arguments.cause not in CAUSES:
            raise ValueError(f"--cause {arguments.cause!r} is no class of cause; it is right, wrong, or one of {', '.join(CAUSES)}")
        cause = arguments.cause
        entity_id = arguments.entity or (predicted[1] if cause == predicted[0] else "")
    if arguments.entity and arguments.cause in ("right", "wrong"):
        raise ValueError(f"--entity goes with a class of cause; --cause {arguments.cause} says it already")
    case_of_run.check_entity(run_id, arguments.entity or "", place)
    end_s = float(runs.manifest_of(run_id, place)["end_s"])
    entry = Verdict(
        incident_id=incident.incident_id,
        run_id=run_id,
        predictor="" if last is None else predictor_of(last),
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
