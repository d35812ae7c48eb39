"""A report's sections in words and tables; templates only lay them out."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from app.charts.difference import Row
from app.report.checks import approvals, checks, moment, provenance, risks
from app.report.effects import alone, effect, heading, row_of
from app.report.evidence import Asked, Evidence
from app.report.figures import Figure, figures
from app.report.functions import section as called
from app.report.happened import Happening, happened
from app.report.incidents import section as broke
from app.report.judgement import NOTICEABLE_SHARE, Judged, Line, changes_words, recommendation
from app.report.negotiation import NegotiationSection
from app.report.negotiation import section as negotiated
from app.report.pod import PodSection, section
from app.report.tabled import TabledSection
from app.report.workflows import section as worked
from policies.policy import Held, PolicySet
from twin.units import show

# What a report is called by where nothing was asked, in this order.
_HEADLINES: Final = (
    "plant.gpu_temp_max_c",
    "serving.cost_usd_per_h",
    "workloads.price_cut_share",
    "workflows.cost_usd_per_job",
    "functions.latency_p99_s",
    "memory.dram_saving_share",
)


@dataclass(frozen=True)
class Story:
    """Everything that a report says, in its order; plain values only."""

    title: str
    recommendation: str
    about: str
    notes: tuple[str, ...]
    asked: tuple[Mapping[str, Any], ...]
    changes: tuple[str, ...]
    effects_title: str
    effects: tuple[Mapping[str, Any], ...]
    rows: tuple[Row, ...]
    figures: tuple[Figure, ...]
    sides: tuple[str, ...]
    happened: tuple[Happening, ...]
    pod: PodSection | None
    negotiation: NegotiationSection | None
    tabled: tuple[TabledSection, ...]
    checks: tuple[tuple[str, str], ...]
    risks: tuple[tuple[str, str], ...]
    approvals: tuple[Mapping[str, str], ...]
    provenance: tuple[tuple[str, str], ...]


def tell(evidence: Evidence, notes: str = "") -> Story:
    """Turn evidence into the sections of a report."""
    judged = evidence.judged
    best, words = recommendation([judged]) if judged else (None, "Today's policy alone: there is nothing to decide here.")
    lines = judged.lines if judged else ()
    sides = {role: run for role, run in (("today", evidence.today_run), ("candidate", evidence.candidate_run)) if run is not None}
    rows = tuple(row_of(line) for line in lines)
    tabled = (called(sides), worked(sides), broke(evidence.incidents, evidence.shown_run.clock))
    return Story(
        title=title_of(evidence),
        recommendation=f"Recommended: roll out {judged.candidate.name}. {words}" if best and judged else words,
        about=_about(evidence),
        notes=tuple(part.strip() for part in notes.split("\n\n") if part.strip()),
        asked=tuple(_asked(item, evidence) for item in evidence.asked),
        changes=tuple(_changes(evidence)),
        effects_title=heading(judged),
        effects=tuple(effect(line, row) for line, row in zip(lines, rows, strict=True)) or tuple(alone(evidence)),
        rows=rows,
        figures=tuple(figures(sides, lines)),
        sides=tuple(sides),
        happened=tuple(happened(sides)),
        pod=section(evidence.candidate_run or evidence.today_run, evidence.design),
        negotiation=negotiated(sides),
        tabled=tuple(found for found in tabled if found is not None),
        checks=tuple(checks(evidence)),
        risks=tuple(risks(evidence)),
        approvals=tuple(approvals(evidence.asked)),
        provenance=tuple(provenance(evidence)),
    )


def title_of(evidence: Evidence) -> str:
    """Return the result in one line; the title of a report is what came out, not what it is about."""
    judged = evidence.judged
    if judged is None or not judged.seeds:
        run = evidence.shown_run
        value = run.metrics.get("plant.gpu_temp_max_c")
        peak = f": the hottest GPU reaches {show(value, 'plant.gpu_temp_max_c')}" if value is not None else ""
        return (
            f"{evidence.world.title or evidence.world.scenario} under {'today’s policy' if judged is None else judged.candidate.name}{peak}"
        )
    heads = judged.asked or unasked(judged)
    text = changes_words(heads[:3]) if heads else f"{judged.candidate.name} against today’s policy"
    return text[0].upper() + text[1:]


def unasked(judged: Judged) -> tuple[Line, ...]:
    """Return what is told of a candidate of which nothing was asked: those headlines that move; heat and serving cost where none does."""
    known = {line.metric: line for line in judged.others}
    moved = [line for name in _HEADLINES if (line := known.get(name)) is not None and abs(line.share) >= NOTICEABLE_SHARE]
    return tuple(moved) or tuple(known[name] for name in _HEADLINES[:2] if name in known)


def _about(evidence: Evidence) -> str:
    run, judged = evidence.shown_run, evidence.judged
    day = run.clock.at(run.brief.begin_s).strftime("%A %d %B %Y")
    seeds = f"{len(judged.seeds)} paired seed{'s' if len(judged.seeds) != 1 else ''}" if judged else f"seed {run.brief.seed}"
    which = " and ".join(f"{item.version.intent_id} version {item.version.version}" for item in evidence.asked)
    return " · ".join(part for part in (which, f"scenario {evidence.world.scenario}", day, seeds) if part)


def _asked(item: Asked, evidence: Evidence) -> Mapping[str, Any]:
    from policies.intent.model import chips
    from policies.intent.readback import read_back
    from policies.intent.references import references

    look = references(evidence.shown_run.manifest["scenario"].get("memory"))

    findings = [finding for finding in item.version.findings if isinstance(finding, Mapping)]
    return {
        "intent_id": item.version.intent_id,
        "version": item.version.version,
        "text": item.version.text,
        "actor": item.version.actor,
        "at": moment(item.version.created_at),
        "state": item.version.state.replace("_", " "),
        "sentence": read_back(item.intent, look),
        "chips": [(chip.slot, chip.value) for chip in chips(item.intent) if chip.slot != "kind"],
        "notes": [str(finding["text"]) for finding in findings if finding.get("severity") == "info"],
        "questions": [str(finding["text"]) for finding in findings if finding.get("severity") in {"question", "block"}],
    }


def _chosen(policy: PolicySet) -> PolicySet:
    """Return a policy set without the knobs that stand at their defaults and the baselines that hold a lever anyway."""
    from policies.catalogue import card, levers

    kept: dict[str, tuple[Held, ...]] = {}
    for lever, stack in policy.levers.items():
        plain = tuple(
            Held(system=held.system, scope=held.scope, knobs=_moved(held, card(held.system).knobs().model_dump(mode="json")))
            for held in stack
        )
        if plain != (Held(system=levers()[lever].baseline),):
            kept[lever] = plain
    return PolicySet(name=policy.name, levers=kept)


def _moved(held: Held, defaults: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in held.knobs.items() if json.dumps(value) != json.dumps(defaults.get(name))}


def _changes(evidence: Evidence) -> list[str]:
    from policies.catalogue import describe
    from policies.policy import TODAY

    if evidence.candidate is None:
        return []
    steps = evidence.candidate.schedule.steps
    lines: list[str] = []
    for step in steps:
        when = f"From {evidence.shown_run.clock.at(step.from_s).strftime('%H:%M')}: " if len(steps) > 1 else ""
        lines += [when + words[0].upper() + words[1:] for words in describe(_chosen(step.policy), TODAY)]
    return lines
