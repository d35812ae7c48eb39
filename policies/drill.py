"""One drill: simulated, investigated by every holder, held to its truth."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from math import isfinite, nan
from pathlib import Path
from time import process_time
from typing import Any, Final, Self

import polars as pl

from policies import catalogue, composing, embedding, noticed, pool
from policies.policy import TODAY, Schedule
from policies.system import Surroundings
from twin import sources
from twin.chance import stream
from twin.clock import DAY_S, Clock
from twin.faults import Fault
from twin.fleet_file import named
from twin.incidents import history, runbooks
from twin.incidents.case import Incident
from twin.incidents.causes import CAUSES
from twin.incidents.drills import Drill, Use, drawn
from twin.incidents.levers import ConfidenceObservation, InvestigationObservation, Prediction
from twin.incidents.similar import Similar
from twin.incidents.trajectory import Investigation
from twin.incidents.truth import cause_of, entity_of
from twin.run import simulate
from twin.scenario import read
from twin.store import case_of_run, drills, runs
from twin.store.toolbox import CaseToolbox

OURS: Final = "react_rca"
HOLDERS: Final = (OURS, "nearest", "retrieval_k10", "no_tools", "loudest")
# These look for the place, so that theirs must be right too; the others name a class of cause alone.
LOOK_FOR_PLACE: Final = frozenset({OURS, "loudest"})
# An operator asks one of these times after the incident was opened, drawn; a drill ends so long after its fault began. Proposed.
ASKED_AFTER_S: Final = (0.0, 120.0, 300.0, 600.0, 1_200.0)
_WATCHED_S: Final = 2_400.0
# The history: incidents of other sites, all resolved before the first drill; so many classes of cause it has never seen.
HISTORY_COUNT: Final = 3_000
_HISTORY_ENDS_DAY: Final = 60.0
_UNSEEN_KINDS: Final = 5
# Whatever it was, somebody found out within four hours of the drill's beginning, before a drill of a later use can begin.
_KNOWN_AFTER_S: Final = 14_400.0
# What looked like a cause may have ended so long before the incident.
_LINGERS_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class Question:
    """Which drill: on which scenario, of which use and number, drawn by which seed; ``home`` is where what comes of it is kept."""

    base: str
    use: Use
    number: int
    seed: int
    home: Path

    @property
    def key(self) -> str:
        """Return what names it."""
        return f"{self.base}-{self.use}-{self.seed}-{self.number}"


@dataclass(frozen=True, slots=True)
class Said:
    """What one holder said first: cause and place, its own score (NaN without any), how firm, and whether that is what was injected.

    ``cause`` is empty where it named none. ``third`` says whether one of its first three is.
    ``sufficient`` and ``likely`` are PACE's scores. Time is CPU time.
    """

    holder: str
    cause: str
    entity_id: str
    score: float
    status: str
    right: bool
    third: bool
    claims: int
    unsupported: int
    sufficient: float
    likely: float
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Drilled:
    """What came of a drill. ``incident`` None: nobody noticed, though data can prove it.

    ``known`` is when its cause was known, seconds since 1970."""

    key: str
    kind: str
    cause: str
    entity_id: str
    provable: bool
    unseen: bool
    confounders: int
    incident: Incident | None
    known: float
    said: tuple[Said, ...]
    simulated_cpu_s: float

    def json_dict(self) -> dict[str, Any]:
        """Return it as JSON has it; NaN is null."""
        told = asdict(self)
        for each in told["said"]:
            each.update({name: None for name, value in each.items() if isinstance(value, float) and not isfinite(value)})
        return told

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        """Read back what ``json_dict`` gave."""
        incident = told["incident"] and Incident(**{**told["incident"], "affected": tuple(told["incident"]["affected"])})
        plain: list[dict[str, Any]] = [{name: nan if value is None else value for name, value in each.items()} for each in told["said"]]
        said = tuple(Said(**each) for each in plain)
        return cls(**{**told, "incident": incident, "said": said})


def ask(question: Question, progress: pool.Report | None, cancel: pool.Cancel | None) -> Drilled:
    """Return what comes of one drill; what is known of it is not simulated again."""
    told = drills.load(question.key, question.home)
    if told is None:
        told = _asked(question, cancel).json_dict()
        drills.save(question.key, told, question.home)
    del progress
    return Drilled.of(told)


def of(question: Question) -> Drill:
    """Return the drill as it is drawn."""
    raw = sources.toml(sources.data_dir() / "scenarios" / f"{question.base}.toml")
    return drawn(raw, named(str(raw["fleet"])), question.use, question.number, question.seed)


def asked_after_s(question: Question) -> float:
    """Return how long after an incident was opened holders are asked: soon, with little to see, or later."""
    return ASKED_AFTER_S[int(stream(question.seed, "policies", "moments", question.key).integers(len(ASKED_AFTER_S)))]


def _asked(question: Question, cancel: pool.Cancel | None) -> Drilled:
    drill = of(question)
    truth, scenario = drill.truth, read(drill.scenario)
    begin_s = process_time()
    until_s = 300.0 * -(-(truth.onset_s + _WATCHED_S) // 300.0)
    done = simulate(scenario, composing.phases(Schedule.of(TODAY), scenario), until_s=min(until_s, scenario.horizon_s), cancel=cancel)
    simulated_s = process_time() - begin_s
    known = noticed.start_of(done.manifest) + _KNOWN_AFTER_S
    past, held = _history(question.base, question.seed)
    with tempfile.TemporaryDirectory(prefix="drill-") as folder:
        runs.save(done, Path(folder))
        incident = noticed.of_drill(drill, done.run_id, Path(folder)) or noticed.complaint(drill, done.manifest, question.seed)
        said: tuple[Said, ...] = ()
        if incident is not None:
            case = case_of_run.read(done.run_id, Path(folder), incident, past, runbooks.texts())
            as_of_s = min(incident.detected_s + asked_after_s(question), float(done.manifest["end_s"]))
            around = composing.surroundings(scenario)
            with CaseToolbox(case, as_of_s, similar=_similar(question.home)) as tools:
                said = tuple(_said(holder, incident, tools, drill, around) for holder in HOLDERS)
    return Drilled(
        key=question.key,
        kind="none" if drill.fault is None else drill.fault.kind,
        cause=truth.cause,
        entity_id=truth.entity_id,
        provable=truth.provable,
        unseen=truth.cause in held.causes,
        confounders=len(drill.confounders),
        incident=incident,
        known=known,
        said=said,
        simulated_cpu_s=simulated_s,
    )


@lru_cache(maxsize=4)
def _history(base: str, seed: int) -> tuple[pl.DataFrame, history.HeldOut]:
    """Return the history that every drill of a scenario has, and what it has never seen."""
    raw = sources.toml(sources.data_dir() / "scenarios" / f"{base}.toml")
    held = history.held_out(seed, kinds=_UNSEEN_KINDS)
    until = Clock.of(raw["start"], str(raw["timezone"])).start.timestamp() + (_HISTORY_ENDS_DAY - 1.0) * DAY_S
    return history.draw(HISTORY_COUNT, until, seed, held).incidents, held


@lru_cache(maxsize=2)
def _similar(home: Path) -> Similar:
    return embedding.choose(home)


def _said(holder: str, incident: Incident, tools: CaseToolbox, drill: Drill, around: Surroundings) -> Said:
    card = catalogue.card(holder)
    begin_s = process_time()
    found = card.build(card.knobs(), around).investigate(InvestigationObservation(incident, tools))
    took_s = process_time() - begin_s
    named_, score = _first(found)
    cause, entity_id = named_[0] if named_ else ("", "")
    answers = _answers(drill, incident)
    right = [_right(answers, each, place=holder in LOOK_FOR_PLACE) for each in named_]
    sufficient = likely = nan
    if cause:
        text = CAUSES[cause].title if cause in CAUSES else cause
        prediction = Prediction(incident, holder, text, cause, entity_id, score, found)
        pace = catalogue.card("pace")
        said = pace.build(pace.knobs(), around).confide(ConfidenceObservation(prediction, tools, ()))
        sufficient, likely = said.sufficient, said.likely
    return Said(
        holder=holder,
        cause=cause,
        entity_id=entity_id,
        score=score,
        status=found.status,
        right=bool(right) and right[0],
        third=any(right[:3]),
        claims=found.claims,
        unsupported=found.unsupported,
        sufficient=sufficient,
        likely=likely,
        cpu_s=took_s,
    )


def _first(found: Investigation) -> tuple[list[tuple[str, str]], float]:
    """Return causes and places in their order, and the score of the first.

    Of a baseline that cites nothing, so that the verifier kept nothing, what it said before counts: it is to lose by being wrong.
    """
    if found.hypotheses:
        return [(each.cause, each.entity_id) for each in found.hypotheses], found.hypotheses[0].score
    dropped: Sequence[Mapping[str, Any]] = found.details.get("dropped", ()) if found.holder != OURS else ()
    return list(dict.fromkeys((str(each["cause"]), str(each["entity"])) for each in dropped)), nan


def _answers(drill: Drill, incident: Incident) -> set[tuple[str, str]]:
    """Return causes and places that are right answers.

    Where the fault is not one that data can prove, what only looked like a cause may well have been what rang.
    """
    truth = drill.truth
    out = {(truth.cause, place) for place in (truth.entity_id, *truth.also_right)} if drill.fault is not None else set()
    if not truth.provable and not incident.incident_id.startswith(noticed.COMPLAINT):
        faults = [Fault.model_validate(each) for each in drill.scenario["faults"]]
        active = [each for each in faults if each.from_s <= incident.onset_s <= (each.until_s or incident.onset_s) + _LINGERS_S]
        out |= {(cause_of(each), entity_of(each)) for each in active}
    return out


def _right(answers: set[tuple[str, str]], said: tuple[str, str], *, place: bool) -> bool:
    return said in answers if place else said[0] in {cause for cause, _ in answers}
