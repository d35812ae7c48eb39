"""What was checked, what is at risk, who decided, where it comes from."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from app.report.evidence import Asked, Evidence
from app.report.judgement import Judged, change_words
from policies.catalogue import as_run
from policies.intent.explore import let_down
from policies.intent.judge import Values
from policies.policy import PolicySet
from twin.metrics import METRICS, Scope
from twin.run import read
from twin.units import NARROW_SPACE, show

Marked = tuple[str, str]


def checks(evidence: Evidence) -> list[Marked]:
    """Return what was looked at, each with the state that it came out in."""
    worlds = {item.manifest.get("exogenous") for item in evidence.runs}
    found: list[Marked] = []
    if len(evidence.runs) == 2 and len(worlds) == 2 and _grown(evidence):
        found.append(("at risk", "The sites differ in size and demand follows capacity: the larger one was asked for as much more"))
    elif len(evidence.runs) == 2:
        found.append(("met" if len(worlds) == 1 else "broken", "Both policies faced the same arrivals and the same weather"))
    found += _bounds(evidence.judged)
    clips = evidence.shown_run.manifest.get("clips", {})
    found.append(("at risk" if clips else "met", _clip_words(clips)))
    found += _claims(evidence)
    for item in evidence.asked:
        refused = [text for severity, text in _findings(item) if severity == "block"]
        found += [("broken", text) for text in refused] or [("met", f"{item.version.intent_id}: no conflict and no refusal was found")]
    return found


def _grown(evidence: Evidence) -> bool:
    """Return whether two runs differ in size where the scenario lets demand follow it."""
    one, other = (run.manifest for run in evidence.runs)
    follows = one["scenario"].get("workloads", {}).get("follow_capacity", False)
    return bool(follows) and one.get("extra_servers", {}) != other.get("extra_servers", {})


def _bounds(judged: Judged | None) -> Iterator[Marked]:
    if judged is None:
        return
    for line in judged.asked:
        if line.bound is not None:
            words = f"{line.label} {line.bound.words(line.metric)}: holds under {line.seeds_met} of {len(line.after)} seeds"
            yield line.state, words
    for name in judged.missing:
        yield "waiting", f"{METRICS[name].label}: the runs hold no evidence for it"


def _claims(evidence: Evidence) -> Iterator[Marked]:
    from policies.catalogue import cards

    if evidence.candidate is None:
        return
    stacks = [stack for step in evidence.candidate.schedule.steps for stack in step.policy.levers.values()]
    for system in sorted({held.system for stack in stacks for held in stack} & set(cards())):
        claims = cards()[system].claims
        if claims:
            fitted = sum(claim.fitted_parameters for claim in claims)
            numbers = "1 number was" if fitted == 1 else f"{fitted} numbers were"
            yield "met", f"{cards()[system].name}: {len(claims)} published claims stand on the Claims page; {numbers} fitted to them"


def _clip_words(clips: Mapping[str, int]) -> str:
    if not clips:
        return "No action of the policy had to be brought back into its bounds"
    counts = ", ".join(f"{name} {count:,}".replace(",", NARROW_SPACE) for name, count in sorted(clips.items()))
    return f"Actions brought back into their bounds: {counts}"


def risks(evidence: Evidence) -> list[Marked]:
    """Return what may go wrong and what nobody has answered yet."""
    found = [*_promises(evidence), *_losses(evidence.judged)]
    for item in evidence.asked:
        found += [("waiting", f"Open question: {text}") for severity, text in _findings(item) if severity == "question"]
    return found


def _promises(evidence: Evidence) -> Iterator[Marked]:
    today, candidate = evidence.today_run, evidence.candidate_run
    if today is None or candidate is None:
        return
    names = list(candidate.manifest["entities"].get("endpoint", ()))
    yield from broken_promises(names, partial(read, today), partial(read, candidate))


def broken_promises(names: Sequence[str], today: Values, candidate: Values) -> Iterator[Marked]:
    """Yield which of some endpoints keep their own objectives today and would not, whether anybody asked or not."""
    for name in let_down(names, today, candidate):
        kept = (values("serving.slo_attainment_share", (Scope("endpoint", name),), None) or 0.0 for values in (today, candidate))
        before, after = (show(share, "x_share") for share in kept)
        yield "broken", f"{name} would keep its own objectives for {after} of its requests, {before} today"


def _losses(judged: Judged | None) -> Iterator[Marked]:
    if judged is None:
        return
    for line in judged.asked:
        past = len(line.after) - line.seeds_met
        if line.state == "broken":
            yield "broken", f"{change_words(line)}: past its bound under {past} of {len(line.after)} seeds"
        elif line.state == "at risk":
            yield "at risk", f"{line.label} holds under every seed, but its 95 % interval reaches past the bound"
    for line in judged.losses:
        if line.state != "broken":
            room = f", {show(line.room_used_share, 'room_share')} of the room to its bound" if line.room_used_share else ""
            yield "at risk", f"Gets worse: {change_words(line)}{room}"
    if len(judged.seeds) == 1:
        yield "waiting", "One seed only: there is no interval, and another day's demand may differ; run more seeds"


def _findings(item: Asked) -> list[tuple[str, str]]:
    return [(str(f.get("severity")), str(f.get("text"))) for f in item.version.findings if isinstance(f, Mapping)]


def approvals(asked: Sequence[Asked]) -> list[Mapping[str, str]]:
    """Return who asked and who decided, with the times that the ledger holds."""
    found = []
    for item in asked:
        subject = f"{item.version.intent_id} version {item.version.version}"
        found.append(
            {"subject": subject, "who": item.version.actor, "role": "", "what": "asked", "note": "", "at": moment(item.version.created_at)}
        )
        for decision in item.approvals:
            what = decision.decision.replace("_", " ")
            found.append(
                {
                    "subject": subject,
                    "who": decision.actor,
                    "role": decision.role,
                    "what": what,
                    "note": decision.note,
                    "at": moment(decision.at),
                }
            )
        if not item.approvals:
            found.append({"subject": subject, "who": "", "role": "", "what": "waiting for a decision", "note": "", "at": ""})
    return found


def moment(at: Any) -> str:
    """Return a time of the ledger as a report writes it."""
    return str(at.strftime("%Y-%m-%d %H:%M UTC"))


def provenance(evidence: Evidence) -> list[tuple[str, str]]:
    """Return what a reader needs to compute every number again."""
    run, world = evidence.shown_run, evidence.world
    manifest = run.manifest
    inputs = manifest["scenario"].get("inputs", {})
    found = [
        ("scenario", f"{world.scenario}, {(world.end_s - world.begin_s) / 3600.0:g} h from {manifest['start']} {manifest['timezone']}"),
        ("scenario hash", digest(manifest["scenario"])),
        ("seeds", ", ".join(str(seed) for seed in (evidence.judged.seeds if evidence.judged else (run.brief.seed,)))),
        ("today’s runs", _ids(world.today)),
        ("candidate’s runs", _ids(evidence.candidate)),
        ("policy", _policy_id(evidence)),
        ("code", f"{_version()}, hash {manifest['code']}"),
        ("arrivals and weather", str(manifest.get("exogenous", ""))),
        *((f"input {name}", str(value)) for name, value in sorted(inputs.items())),
        ("dependencies", ", ".join(f"{name} {value}" for name, value in sorted(manifest.get("dependencies", {}).items()))),
        ("Python", str(manifest.get("python", ""))),
    ]
    return [(name, value) for name, value in found if value]


def _policy_id(evidence: Evidence) -> str:
    """Return the id that the ledger, its decisions and an export know the policy set by; a run keeps only its completed form."""
    held = evidence.candidate or evidence.world.today
    if held is None:
        return ""
    known = [item.version for item in evidence.asked if item.version.policy is not None]
    same = [v.policy_id for v in known if as_run(PolicySet.model_validate(dict(v.policy or {}))).policy_id == held.policy_id]
    return same[0] or held.policy_id if same else held.policy_id


def _ids(held: Any) -> str:
    return "" if held is None else ", ".join(f"{run_id} (seed {seed})" for seed, run_id in sorted(held.run_ids.items()))


def digest(value: Any) -> str:
    """Return the first 16 hex digits of the SHA-256 of a value's canonical JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:16]


def _version() -> str:
    try:
        return version("intentwin")
    except PackageNotFoundError:
        return "not installed"
