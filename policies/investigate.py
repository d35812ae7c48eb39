"""Asks the afterwards levers about a run: what caused it, how sure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from policies import catalogue, llm
from policies.judging import Scored, score
from policies.knowledge import Knowledge, known, prediction_of
from policies.policy import Held, PolicySet
from policies.system import Knobs, Surroundings
from twin.incidents.case import Case, Incident
from twin.incidents.levers import ConfidenceAction, ConfidenceObservation, Confider, InvestigationObservation, Investigator, Labelled
from twin.incidents.trajectory import Hypothesis
from twin.sources import code_hash
from twin.store import case_of_run, investigations, runs
from twin.store.investigations import Investigated, Moment, evidence_of
from twin.store.toolbox import CaseToolbox

__all__ = ["OURS", "Scored", "chosen", "investigate", "look", "moments", "score"]
Progress = Callable[[float, str], None]
Person = Callable[[str], str | None]
LEVERS: Final = ("investigation", "confidence")
# Who looks into incidents where nobody else is named.
OURS: Final = PolicySet(
    name="react_rca and pace", levers={"investigation": (Held(system="react_rca"),), "confidence": (Held(system="pace"),)}
)
# How many of the hypotheses are asked about.
ASKED: Final = 3
# Seconds after an incident was opened at which it is looked into, growing as what is learnt slows down.
AFTER_S: Final = (0.0, 120.0, 300.0, 600.0, 1_200.0, 2_400.0, 3_600.0)
_MINUTE_S: Final = 60.0
_FEWEST: Final = 6


@dataclass(frozen=True)
class _Asked:
    """The two holders of a policy set, and what of it names them."""

    investigator: Investigator
    confider: Confider
    policy: dict[str, Any]
    team: str
    model: str


def investigate(
    run_id: str,
    incident_id: str,
    policy: PolicySet,
    home: Path,
    *,
    moments_s: Sequence[float] | None = None,
    person: Person | None = None,
    progress: Progress | None = None,
) -> Investigated:
    """Look into an incident of a stored run as of several moments, say how sure one may be, and store it.

    What was asked before is not looked into again; a language model or a person, who may answer otherwise, are asked anew each time.
    ``moments_s`` are seconds of the run, from the incident's opening to the run's end; those of ``moments`` where None. ``person``
    answers questions, ``progress`` hears the share that is done and may raise to stop. ValueError, one line, for an incident that the
    run does not have, a moment outside, or a policy set that cannot be asked.
    """
    incident = _incident(run_id, incident_id, home)
    end_s = float(runs.manifest_of(run_id, home)["end_s"])
    when_s = moments(incident, end_s) if moments_s is None else _checked(incident, end_s, moments_s)
    asked = _holders(policy)
    knows = known(home, incident.began - incident.onset_s, asked.team)
    basis = {**knows.basis, "model": asked.model, "person": person is not None}
    found_id = _free(run_id, incident_id, asked.policy, when_s, basis, home, anew=bool(asked.model) or person is not None)
    if investigations.exists(found_id, home):
        investigations.asked_again(found_id, home)
        return investigations.load(found_id, home)
    case = case_of_run.read(run_id, home, incident, knows.history, knows.runbooks)
    found = Investigated(found_id, run_id, incident, asked.policy, look(case, policy, knows, when_s, person, progress), basis)
    investigations.save(found, home)
    return found


def look(
    case: Case,
    policy: PolicySet,
    knows: Knowledge,
    when_s: Sequence[float],
    person: Person | None = None,
    progress: Progress | None = None,
) -> tuple[Moment, ...]:
    """Look into a case, whatever it came from, as of each moment in order; nothing is stored."""
    asked = _holders(policy)
    out = []
    for number, as_of_s in enumerate(when_s):
        if progress is not None:
            progress(number / len(when_s), as_of_words(case.incident, as_of_s))
        with CaseToolbox(case, as_of_s, similar=knows.similar, team=knows.team, person=person) as tools:
            out.append(_moment(case.incident, tools, asked, knows.labelled))
    if progress is not None:
        progress(1.0, "done")
    return tuple(out)


def moments(incident: Incident, end_s: float) -> tuple[float, ...]:
    """Return the moments at which an incident is looked into: seven from its opening to an hour later, closer where the run ends before.

    ValueError where the run ended before it was opened.
    """
    left_s = end_s - incident.detected_s
    if left_s < 0.0:
        raise ValueError(f"incident {incident.incident_id} was opened at {incident.detected_s:g} s, after its run had ended")
    scale = min(1.0, left_s / AFTER_S[-1])
    # Telemetry comes by the minute: moments between are of use only where there are not minutes enough.
    after = {min(_MINUTE_S * round(after_s * scale / _MINUTE_S), left_s) for after_s in AFTER_S[:-1]} | {min(AFTER_S[-1], left_s)}
    if len(after) < _FEWEST:
        after = {float(left_s * part // _FEWEST) for part in range(_FEWEST)} | {left_s}
    return tuple(incident.detected_s + after_s for after_s in sorted(after))


def as_of_words(incident: Incident, as_of_s: float) -> str:
    """Return a moment in words, counted from the incident's opening.

    >>> as_of_words(Incident("I-1", "", "", "major", "", "", "", 0.0, 300.0, 0.0), 900.0)
    'as of +10 min'
    """
    return f"as of +{(as_of_s - incident.detected_s) / 60.0:.3g} min"


def chosen(policy: PolicySet) -> PolicySet:
    """Return who is asked: the two levers of a policy set with every knob; ours where it names neither.

    ValueError, one line, where one of them cannot be held so.
    """
    own = {name: stack for name, stack in policy.levers.items() if name in LEVERS}
    named = PolicySet(name=policy.name, levers=own) if own else OURS
    catalogue.check(named, {})
    whole = catalogue.complete(named)
    return PolicySet(name=named.name, levers={name: whole.levers[name] for name in LEVERS})


def confider(policy: PolicySet) -> Confider:
    """Return who says how sure one may be, of a policy set."""
    return _holders(policy).confider


def _holders(policy: PolicySet) -> _Asked:
    whole = chosen(policy)
    knobs = catalogue.knobs_of(whole)
    around = Surroundings((), (), (), (), (), (), 0, 0.0)
    built: dict[str, Any] = {system: catalogue.card(system).build(mine, around) for system, mine in knobs.items()}
    holders = [built[whole.levers[name][0].system] for name in LEVERS]
    team = next((str(folder) for mine in knobs.values() if (folder := getattr(mine, "team_tools", ""))), "")
    return _Asked(holders[0], holders[1], whole.canonical(), team, _model(list(knobs.values())))


def _model(knobs: Sequence[Knobs]) -> str:
    """Return the language model that is asked, empty where none is: another one is another question."""
    for mine in knobs:
        if "model" in (getattr(mine, "driver", ""), getattr(mine, "judge", "")):
            return str(getattr(mine, "model", "")) or llm.available() or ""
    return ""


def _incident(run_id: str, incident_id: str, home: Path) -> Incident:
    found = {each.incident_id: each for each in case_of_run.incidents_of(run_id, home)}
    if incident_id not in found:
        raise ValueError(f"run {run_id} has no incident {incident_id!r}; it has: {', '.join(found) or 'none'}")
    return found[incident_id]


def _checked(incident: Incident, end_s: float, moments_s: Sequence[float]) -> tuple[float, ...]:
    when_s = tuple(sorted({float(t_s) for t_s in moments_s}))
    # What an incident is called and what its alerts said is known from its opening on.
    outside = [t_s for t_s in when_s if not incident.detected_s <= t_s <= end_s]
    if outside or not when_s:
        said = f"{outside[0]:g} s is outside" if outside else "no moment is given; name one in"
        raise ValueError(f"incident {incident.incident_id}: {said} {incident.detected_s:g} s to {end_s:g} s, its opening to its run's end")
    return when_s


def _free(
    run_id: str, incident_id: str, policy: dict[str, Any], when_s: Sequence[float], basis: dict[str, Any], home: Path, *, anew: bool
) -> str:
    """Return the id of the question; ``anew``, of its first asking that is not stored."""
    asking = 0
    while True:
        told = {**basis, "asking": asking} if asking else basis
        found = investigations.id_of(run_id, incident_id, policy, when_s, code_hash(), told)
        if not anew or not investigations.exists(found, home):
            return found
        asking += 1


def _moment(incident: Incident, tools: CaseToolbox, asked: _Asked, labelled: Sequence[Labelled]) -> Moment:
    found = asked.investigator.investigate(InvestigationObservation(incident, tools))
    said = tuple(
        asked.confider.confide(ConfidenceObservation(prediction_of(incident, found, each), tools, labelled))
        for each in found.hypotheses[:ASKED]
    )
    sure = [_sure(each, how) for each, how in zip(found.hypotheses[:ASKED], said, strict=True)]
    finished = replace(found, hypotheses=(*sure, *found.hypotheses[ASKED:]))
    return Moment(tools.as_of_s, finished, said, tuple(evidence_of(reply) for reply in tools.answered()))


def _sure(hypothesis: Hypothesis, said: ConfidenceAction) -> Hypothesis:
    return replace(hypothesis, confidence=said.confidence, calibrated=said.calibrated)
