"""Clauses become drafts: each number with the metric that it means."""

import re
from typing import Final

from policies.intent.interpret import bounds, choice, implied, ops
from policies.intent.interpret.canon import Mark
from policies.intent.interpret.choice import Choice
from policies.intent.interpret.clauses import Clause
from policies.intent.interpret.drafts import Doubt, Draft, Draughts
from policies.intent.interpret.quantities import Per
from policies.intent.interpret.sizing import OF_LIMIT, bounds_of, is_relative
from policies.intent.interpret.words import Concept, lexicon, rule
from twin.metrics import METRICS

_NARRATIVE: Final = rule("drafting.narrative")
_OF_CALLS: Final = rule("drafting.of_calls")
_SERVICES: Final = {"endpoint", "workload", "function", "workflow"}
_GENERIC: Final = {
    "gpus",
    "temperature",
    "power",
    "cost",
    "latency",
    "energy",
    "throughput",
    "quality",
    "pod_hosts",
    "unknown",
    "site_power",
    "serving_cost",
    "makespan",
    "price_cut",
}


def quantities(work: Draughts, index: int) -> None:
    """Draft an expectation from each number of a clause."""
    clause = work.clauses[index]
    _share_as_percentile(work, index)
    for mark in clause.quantities:
        if mark.start not in work.used:
            _quantity(work, index, mark)


def _share_as_percentile(work: Draughts, index: int) -> None:
    """Read "3 seconds for 99 out of 100 of them" as a bound at p99."""
    clause = work.clauses[index]
    times = [mark for mark in clause.quantities if mark.value.kind == "time"]
    shares = [mark for mark in clause.quantities if mark.value.kind in {"share", "part"}]
    timed = [mark for mark in shares if _OF_CALLS.match(work.board.rest, mark.end)] or [
        mark for mark in clause.concepts if _concept(mark).family or _concept(mark).name in {"image_ttft", "function_latency", "latency"}
    ]
    if len(times) == 1 and len(shares) == 1 and timed and not any(_concept(mark).name == "slo" for mark in clause.concepts):
        if any(
            change.start >= 0 for change in work.words[index].changes if change.start > shares[0].end and change.start - shares[0].end < 8
        ):
            return
        share = shares[0].value.value
        name = {0.99: "p99", 0.5: "p50"}.get(round(share, 6), f"p{share * 100:g}")
        clause.percentiles.append(Mark("percentile", shares[0].start, shares[0].end, name))
        clause.quantities.remove(shares[0])
        work.used.add(shares[0].start)


def _per(work: Draughts, clause: Clause, mark: Mark) -> Per | None:
    after = [per for per in clause.pers if per.start >= mark.end]
    following = [other for other in clause.quantities if other.start > mark.start]
    if after and (not following or after[0].start < following[0].start):
        value: Per = after[0].value
        return value
    before = [per for per in clause.pers if per.end <= mark.start]
    if before and len(clause.quantities) == 1:
        return before[-1].value  # type: ignore[no-any-return]
    return None


def _concept(mark: Mark) -> Concept:
    concept: Concept = mark.value
    return concept


def _quantity(work: Draughts, index: int, mark: Mark) -> None:
    clause, quantity = work.clauses[index], mark.value
    per = _per(work, clause, mark)
    change = _change(work, index, mark)
    concept, chosen = _metric(work, index, mark, per, change)
    if chosen is None:
        _no_metric(work, index, mark)
        return
    work.used.add(mark.start)
    if concept is not None and concept in clause.concepts:
        work.spoken.add(concept.start)
    if not chosen.metrics:
        named = [item for item in clause.percentiles if chosen.about != "meaning"]
        work.ask(index, chosen.about, chosen.question, named[0] if named else concept)
        return
    work.inform(chosen.metrics[0], chosen.assumed)
    narrative = _NARRATIVE.search(work.board.rest, clause.start, mark.start) is not None
    for metric in chosen.metrics:
        for bound in bounds_of(work, index, mark, metric, per, change, concept):
            if bound.problem and narrative:
                work.doubts.append(Doubt(index, metric, bound.problem))
            elif bound.problem:
                work.ask(index, "value", bound.problem, mark)
            else:
                compared = bounds.compare_at(work.board, work.words[index], mark, clause.quantities) is not None
                work.drafts.append(Draft(metric, bound, index, mark, concept, narrative, compared))
    if quantity.bare_degrees or (quantity.kind == "count" and choice.kind_of(chosen.metrics[0]) == "temp"):
        work.inform(chosen.metrics[0], "degrees without a scale are taken as Celsius")


def _no_metric(work: Draughts, index: int, mark: Mark) -> None:
    """A number without a metric is asked about where the clause sets something, else only reported."""
    clause, words, quantity = work.clauses[index], work.words[index], mark.value
    sets = bool(bounds.compare_at(work.board, words, mark, clause.quantities)) or bool(words.changes)
    narrative = _NARRATIVE.search(work.board.rest, clause.start, clause.end) is not None
    known = [concept for concept in clause.concepts if _concept(concept).metrics]
    if quantity.kind == "count" and known and sets and not quantity.signed:
        work.ask(index, "value", f"In which unit is {quantity.figure:g}?", mark)
    elif (quantity.kind != "count" or sets) and not narrative:
        work.ask(index, "meaning", "What is to be bounded by that number?")


def _change(work: Draughts, index: int, mark: Mark) -> Mark | None:
    """Return the word of change that a number measures, None where the number is a level."""
    board, words, clause, quantity = work.board, work.words[index], work.clauses[index], mark.value
    change = bounds.change_at(board, words, mark, clause.quantities)
    if change is None:
        return None
    if change.start >= mark.end:
        return change
    before = board.canon.text[change.end : mark.start]
    if bounds.amount_before(board, mark):
        return change
    if ops.TO.search(before) and not re.search(r"\bup to\s*$", before):
        return None
    compare = bounds.compare_at(board, words, mark, clause.quantities)
    if compare is not None and compare.start >= change.end:
        positional = re.match(
            r"under|below|beneath|above|over$|past|beyond|north|south|inside|cap|limit|at or|within|exceed|<|>|to ",
            board.canon.text[compare.start : compare.end],
        )
        return None if positional else change
    if quantity.kind in {"share", "part", "times", "points"}:
        return change
    # "cut 20 kW off row 2" is an amount; "lower GPUs 80 C" is a level only after a comparison.
    return change if re.fullmatch(r"[\s\W]*(?:\w+\s+){0,2}", before) else None


def _metric(work: Draughts, index: int, mark: Mark, per: Per | None, change: Mark | None) -> tuple[Mark | None, Choice | None]:
    """Return the concept that a number bounds and the metrics it means: in its clause, by its unit, or carried over."""
    clause, quantity = work.clauses[index], mark.value
    if quantity.kind == "share" and OF_LIMIT.match(work.board.canon.text[mark.end : mark.end + 40]):
        named = [concept for concept in clause.concepts if _concept(concept).name in {"power", "row_power", "site_power"}]
        if not named:
            return None, choice.choose(lexicon().concept("power"), None, None, True, work.scope_kinds(index), None)
    best: tuple[float, Mark, Choice] | None = None
    for concept in clause.concepts:
        chosen = _try(work, index, concept, mark, per, change)
        if chosen is None:
            continue
        if _concept(concept).name == "ttft" and any(_concept(other).name == "image_ttft" for other in clause.concepts):
            continue
        if _concept(concept).name == "gpus" and any(_concept(other).name in {"inlet", "gpu_temp"} for other in clause.concepts):
            # "The inlets of the GPU racks": the GPUs say where.
            continue
        cost = _distance(work, clause, concept, mark) + (40 if chosen.about == "meaning" else 0)
        if best is None or cost < best[0]:
            best = (cost, concept, chosen)
    by_unit = implied.implied(quantity, per, work.scope_kinds(index), work.percentile(index, mark.start))
    if best is not None and not (by_unit is not None and by_unit.metrics and _elsewhere(best[2], work.scope_kinds(index))):
        return best[1], best[2]
    carried = _carried(work, index, mark, per, change)
    own = {kind for place in clause.scopes for kind in place.value.kinds}
    if carried is not None and by_unit is not None and by_unit.metrics and _elsewhere(carried[1], own or work.scope_kinds(index), own):
        carried = None
    if (
        carried is not None
        and carried[1].metrics
        and not (by_unit is not None and by_unit.metrics and per is not None and per.what in {"job", "host", "tokens"})
    ):
        return carried
    if by_unit is not None:
        return None, by_unit
    return carried if carried is not None else (None, None)


def _foreign(work: Draughts, index: int, chosen: Choice) -> bool:
    """Return whether a clause names a service that none of the metrics is of: an endpoint has no makespan."""
    named = {kind for place in work.clauses[index].scopes for kind in place.value.kinds} & _SERVICES
    kinds = {kind for metric in chosen.metrics for kind in METRICS[metric].scopes} & _SERVICES
    return bool(named and kinds) and not named & kinds


def _elsewhere(chosen: Choice, kinds: set[str], own: frozenset[str] | set[str] = frozenset()) -> bool:
    """Return whether what a noun means cannot be told apart by the service that is named: calls of a function have no makespan."""
    services = (kinds & {"function", "workflow"}) | (own & {"row"})
    return bool(services and chosen.metrics) and not any(services & set(METRICS[metric].scopes) for metric in chosen.metrics)


def _carried(work: Draughts, index: int, mark: Mark, per: Per | None, change: Mark | None) -> tuple[Mark, Choice] | None:
    order = [*range(index - 1, -1, -1), index + 1] if index + 1 < len(work.clauses) else range(index - 1, -1, -1)
    for other in order:
        if other > index and (work.clauses[other].quantities or work.clauses[other].sentence != work.clauses[index].sentence):
            continue
        for concept in sorted(work.clauses[other].concepts, key=lambda item: (item.start not in work.spoken, -item.start)):
            chosen = _try(work, index, concept, mark, per, change, other)
            if chosen is not None:
                return concept, chosen
    return None


def _try(
    work: Draughts, index: int, concept: Mark, mark: Mark, per: Per | None, change: Mark | None, home: int | None = None
) -> Choice | None:
    """Return what a concept means under a number, None where the number cannot bound it."""
    quantity, named = mark.value, _concept(concept)
    relative = is_relative(work, named, mark, change)
    close = 0 <= concept.start - mark.end <= 14 and not re.search(
        r"[,;]|\b(?:for|on|the|max|in|at)\b", work.board.rest[mark.end : concept.start]
    )
    if named.name == "gpus" and quantity.kind == "count" and not relative and close:
        return Choice(("serving.gpus_mean",))
    percentile = work.percentile(index, mark.start) or (work.percentile(home, concept.start) if home is not None else None)
    kinds = work.scope_kinds(index)
    chosen = choice.choose(named, quantity, per, relative, kinds, percentile)
    if _foreign(work, index, chosen):
        return None
    return chosen if chosen.metrics or chosen.about else None


def _distance(work: Draughts, clause: Clause, concept: Mark, mark: Mark) -> float:
    gap = mark.start - concept.end if concept.end <= mark.start else max(0, concept.start - mark.end)
    low, high = sorted((mark.start, concept.start))
    crossed = sum(low < other.start < high for other in clause.quantities)
    used = concept.start in work.spoken
    return gap + 60 * crossed + 80 * used + (25 if _concept(concept).name in _GENERIC else 0) + (8 if concept.start > mark.end else 0)
