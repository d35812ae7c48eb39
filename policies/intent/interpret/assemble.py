"""Drafts become one Intent: places and times, then the guards."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from policies.intent import guards
from policies.intent.interpret import bounds, ops
from policies.intent.interpret.canon import Mark
from policies.intent.interpret.clauses import Clause
from policies.intent.interpret.drafts import Draft, Draughts
from policies.intent.interpret.places import broken, lift, lift_windows, places, times_of
from policies.intent.interpret.reader import Reading
from policies.intent.interpret.words import rule
from policies.intent.model import Expectation, Finding, Intent, Objective, Span, WindowSpec
from policies.policy import ScopeSpec
from twin.metrics import METRICS

_DESIGN: Final = rule("assemble.design")
_RATIO: Final = rule("assemble.ratio")
_POINTED: Final = rule("assemble.pointed")
# Bounds on either side make sense here: too cold is wrong as well, and a pod can be too big.
_EITHER_SIDE: Final = {
    "plant.inlet_temp_max_c", "plant.oversubscription_share", "memory.pod_hosts", "workloads.price_cut_share",
}  # fmt: skip
# Only beside a bound on the other side: a band, or a contradiction that is asked about.
_IN_A_BAND: Final = {"plant.gpu_temp_max_c", "plant.row_power_peak_w", "plant.site_power_peak_w"}
_DESIGNED: Final = {"memory.pod_hosts", "plant.oversubscription_share"}


def assemble(
    text: str, work: Draughts, settings: Mapping[str, str], where: Mapping[str, Any], refused: list[Finding], reader: str
) -> Reading:
    """Return the reading: one Intent, its findings, and where each part was read."""
    drafts = _kept(work)
    for doubt in work.doubts:
        if not any(draft.metric == doubt.metric or (draft.concept is not None and draft.concept == doubt.concept) for draft in drafts):
            work.ask(doubt.clause, "value", doubt.text)
    specs, problems = places(work)
    times, clashes = times_of(work)
    for index in {**problems, **clashes}:
        drafts = [draft for draft in drafts if not broken(draft, index, index in problems, index in clashes, work)]
    if not (work.drafts or work.objectives or work.doubts or settings):
        # A time without anything to hold over it is no question about the time.
        work.findings = [item for item in work.findings if item.about != "window" or item.severity == "info"]
    scope, scope_of = lift(specs, drafts, work)
    window, window_of = lift_windows(times, drafts, work)
    drafts = [draft for draft in drafts if _sensible(work, draft) and _no_ratio(work, draft)]
    wishes = tuple(_expectation(work, draft, scope_of, window_of) for draft in drafts)
    objective = _objective(work)
    kind = "functional" if _functional(work, wishes, objective, bool(_knobs(where.get("pod_topology")))) else "operational"
    intent = Intent(
        text=text[: guards.TEXT_LIMIT], kind=kind, objective=objective, expectations=_distinct(wishes), scope=scope, window=window,
        settings={lever: {"system": system, **_knobs(where.get(lever))} for lever, system in settings.items()},
    )  # fmt: skip
    numbers = [value for mark in work.board.ordered("quantity") for value in (mark.value.figure, mark.value.value, mark.value.low or 0.0)]
    limits = [value for value in work.site.limits.values()]
    intent, failed = guards.hold(
        intent, dict(work.site.entities), [*numbers, *[share * limit for limit in limits for share in numbers if 0 < share <= 1]]
    )
    findings = [*refused, *work.findings, *failed]
    findings += _unused(work, drafts)
    if intent.empty() and not any(item.severity != "info" for item in findings):
        findings.append(Finding(severity="question", about="meaning", text="What should the datacenter do differently, and by how much?"))
    findings = _unique(findings)
    spans = _spans(work, drafts, intent, where)
    questions = guards.questions_of(findings)
    for place, question in enumerate(questions):
        if question.about in work.asked_at:
            mark = work.asked_at[question.about]
            spans[f"questions/{place}"] = work.board.canon.span(mark.start, mark.end)
    return Reading(intent.model_copy(update={"questions": questions}), tuple(findings), reader, spans)


def _knobs(mark: Any) -> dict[str, int]:
    """Return the knobs that were read with a setting."""
    return dict(mark.value) if isinstance(mark, Mark) and mark.kind == "knobs" else {}


def _kept(work: Draughts) -> list[Draft]:
    """Drop what only tells a story: a bound read in a narrative on a metric that another clause bounds."""
    kept = []
    for draft in work.drafts:
        if not draft.narrative:
            kept.append(draft)
            continue
        rival = [other for other in work.drafts if other is not draft and other.metric == draft.metric and not other.narrative]
        against = draft.bound.op != bounds.default_op(draft.metric)
        if not against and (draft.compared or not rival) and not any(other.bound == draft.bound for other in rival):
            kept.append(draft)
        elif (
            not rival
            and against
            and draft.quantity is not None
            and not draft.bound.relative
            and _POINTED.search(work.board.rest, draft.quantity.end)
        ):
            # "They fine us above 25,000 litres, so stay under that": the threshold is the bound.
            kept.append(replace(draft, bound=replace(draft.bound, op=bounds.default_op(draft.metric))))
        elif not rival:
            work.ask(
                draft.clause,
                "value",
                f"Is {METRICS[draft.metric].label} to stay on this side of that number, or on the other?",
                draft.quantity,
            )
    return kept


def _sensible(work: Draughts, draft: Draft) -> bool:
    """Ask about a bound on the side that nobody minds, such as a serving cost of at least so much, now or more than today."""
    usual = bounds.default_op(draft.metric)
    if draft.bound.op == usual or draft.metric in _EITHER_SIDE:
        return True
    if draft.bound.relative and draft.bound.value * (1 if usual == "<=" else -1) <= 0:
        return True
    if draft.metric in _IN_A_BAND and any(other.metric == draft.metric and other.bound.op == usual for other in work.drafts):
        return True
    work.ask(
        draft.clause, "value", f"Is {METRICS[draft.metric].label} to stay on that side of the number, or on the other?", draft.quantity
    )
    return False


def _expectation(
    work: Draughts, draft: Draft, scope_of: Mapping[int, tuple[ScopeSpec, ...]], window_of: Mapping[int, WindowSpec]
) -> Expectation:
    clause = work.clauses[draft.clause]
    scope = scope_of.get(draft.clause)
    return Expectation(
        metric=draft.metric, op=draft.bound.op, value=float(draft.bound.value), relative=draft.bound.relative,
        strength="should" if _soft(work, clause) else "must", scope=scope, window=window_of.get(draft.clause),
    )  # fmt: skip


def _soft(work: Draughts, clause: Clause) -> bool:
    return ops.SHOULD.search(work.board.rest, max(0, clause.start - 0), clause.end) is not None


def _objective(work: Draughts) -> Objective | None:
    if not work.objectives:
        return None
    sense, metric, said = work.objectives[0]
    if (sense == "minimize") != (METRICS[metric].better == "lower") and metric not in _EITHER_SIDE:
        work.ask(-1, "meaning", f"Is {METRICS[metric].label} really to be as {'low' if sense == 'minimize' else 'high'} as possible?", said)
        return None
    for _, other, _ in work.objectives[1:]:
        if other != metric:
            work.ask(-1, "meaning", f"Only one objective can lead: {METRICS[metric].label} or {METRICS[other].label}?")
    return Objective(sense="minimize" if sense == "minimize" else "maximize", metric=metric)


def _functional(work: Draughts, wishes: tuple[Expectation, ...], objective: Objective | None, sized: bool) -> bool:
    spoken = {wish.metric for wish in wishes} | ({objective.metric} if objective else set())
    # A pod of a size that is chosen by name is to be built as well.
    return bool(spoken & _DESIGNED) or sized or _DESIGN.search(work.board.rest) is not None


def _no_ratio(work: Draughts, draft: Draft) -> bool:
    """Ask where a share is told as a ratio ("one request in 1,000 may miss"): neither figure is the bound by itself."""
    if not draft.metric.endswith("_share") or not _RATIO.search(work.board.canon.text):
        return True
    work.ask(draft.clause, "value", f"Which percentage is meant for {METRICS[draft.metric].label}?", draft.quantity)
    return False


def _distinct(wishes: tuple[Expectation, ...]) -> tuple[Expectation, ...]:
    return tuple(dict.fromkeys(wishes))[:20]


def _unused(work: Draughts, drafts: list[Draft]) -> list[Finding]:
    left = [mark for mark in work.board.ordered("quantity") if mark.start not in work.used]
    out = []
    for mark in left:
        shown = work.board.canon.text[mark.start : mark.end].strip()
        out.append(Finding(severity="info", about="value", text=f"The number {shown[:40]} sets nothing here."))
    return out


def _unique(findings: list[Finding]) -> list[Finding]:
    out: list[Finding] = []
    for finding in findings:
        same = [item for item in out if item.about == finding.about and "info" not in (item.severity, finding.severity)]
        # One question about the meaning, the value, a place is enough; the first is kept.
        if not same and finding not in out:
            out.append(finding)
    return out


def _spans(work: Draughts, drafts: list[Draft], intent: Intent, where: Mapping[str, Any]) -> dict[str, Span]:
    spans: dict[str, Span] = {}
    canon = work.board.canon
    for place, wish in enumerate(intent.expectations):
        draft = next((d for d in drafts if d.metric == wish.metric and d.bound.op == wish.op and float(d.bound.value) == wish.value), None)
        if draft is None:
            continue
        path = f"expectations/{place}"
        if draft.quantity is not None:
            spans[f"{path}/value"] = canon.span(draft.quantity.start, draft.quantity.end)
        if draft.concept is not None:
            spans[f"{path}/metric"] = canon.span(draft.concept.start, draft.concept.end)
        for mark, slot in [(m, "scope") for m in work.clauses[draft.clause].scopes] + [
            (m, "window") for m in work.clauses[draft.clause].windows
        ]:
            spans[f"{path}/{slot}"] = canon.span(mark.start, mark.end)
    first: dict[str, Mark] = {}
    for mark in work.board.ordered("scope", "window"):
        first.setdefault(mark.kind, mark)
    spans |= {kind: canon.span(mark.start, mark.end) for kind, mark in first.items()}
    if work.objectives:
        mark = work.objectives[0][2]
        spans["objective"] = canon.span(mark.start, mark.end)
    return spans | {f"settings/{lever}": canon.span(mark.start, mark.end) for lever, mark in where.items()}
