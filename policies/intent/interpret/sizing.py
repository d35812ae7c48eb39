"""What a number says of a metric: a level, a change, a share of something."""

import re
from typing import Final

from policies.intent.interpret import bounds, choice, implied, ops
from policies.intent.interpret.canon import Mark
from policies.intent.interpret.drafts import Draughts
from policies.intent.interpret.quantities import Per, Quantity
from policies.intent.interpret.words import Concept, rule
from twin.metrics import METRICS

_REACH: Final = re.compile(r"reach|hit|touch|get|go|ris|climb|pass|top")
_THE_WHOLE: Final = re.compile(r"\s*(?:the|our|as many|as much)\s")
_INVERSE: Final = re.compile(r"violat|miss|breach|break|blow|bust|outside|fail")


_OF_TODAY: Final = rule("drafting.of_today")


OF_LIMIT: Final = rule("drafting.of_limit")


_OF_PRICE: Final = re.compile(r"^\s*of (?:the |our )?(?:regular |list |normal |full )?(?:on[ -]demand|price|list)")


def is_relative(work: Draughts, concept: Concept, mark: Mark, change: Mark | None) -> bool:
    """Return whether a share is a change against today rather than a level."""
    quantity = mark.value
    if quantity.kind not in {"share", "part"}:
        return False
    if concept.absolute:
        return _to_today(work, mark)
    if quantity.signed:
        return True
    after = work.board.canon.text[mark.end : mark.end + 40]
    if _OF_TODAY.match(after) or OF_LIMIT.match(after):
        return True
    if quantity.kind == "part" and _THE_WHOLE.match(after) and not bounds.compare_at(work.board, work.words[_home(work, mark)], mark, ()):
        # "Half the cold starts" is a change, "half of the requests" a level.
        return True
    shares = any(choice.kind_of(metric) == "share" for metric in concept.metrics)
    return change is not None or not shares


def _home(work: Draughts, mark: Mark) -> int:
    return next((index for index, clause in enumerate(work.clauses) if clause.start <= mark.start < clause.end), 0)


def _to_today(work: Draughts, mark: Mark) -> bool:
    return re.match(r"\s*(?:\w+ ){1,4}?than (?:today|now|currently)", work.board.canon.text[mark.end :]) is not None


def bounds_of(
    work: Draughts, index: int, mark: Mark, metric: str, per: Per | None, change: Mark | None, concept: Mark | None
) -> list[bounds.Bound]:
    """Return the bounds that a number sets on a metric."""
    board, words, clause, quantity = work.board, work.words[index], work.clauses[index], mark.value
    label = METRICS[metric].label
    if quantity.kind == "foreign":
        return [bounds.Bound(problem="How much is that in US dollars?")]
    if quantity.kind == "points":
        return [bounds.Bound(problem=f"From what to what should {label} go? A change in points cannot be held.")]
    compare = bounds.compare_at(board, words, mark, clause.quantities)
    flipped = bounds.negated(board, words, compare)
    if quantity.kind == "times":
        return [bounds.multiple(metric, quantity.value, change, compare, flipped)]
    if quantity.kind in {"share", "part"}:
        if concept is None or OF_LIMIT.match(board.canon.text[mark.end : mark.end + 40]) or is_relative(work, concept.value, mark, change):
            return [_change_bound(work, index, mark, metric, change, compare, flipped)]
        return [_share_bound(work, mark, metric, compare, flipped, concept)]
    if change is not None:
        return [bounds.Bound(problem=f"Down or up to what should {label} go? A change by an amount cannot be held.")]
    factor = implied.per_unit(metric, per)
    if factor is None:
        return [bounds.Bound(problem=f"What is the number for {label} counted per?")]
    if quantity.low is not None:
        low = bounds.absolute(metric, Quantity(quantity.low, quantity.kind, quantity.low), None, False, factor)
        high = bounds.absolute(metric, quantity, None, False, factor)
        return [bounds.Bound(">=", low.value, problem=low.problem), bounds.Bound("<=", high.value, problem=high.problem)]
    bound = bounds.absolute(metric, quantity, compare, flipped, factor)
    if bound.op != bounds.default_op(metric) and not flipped and compare is not None:
        allowed = ops.PERMIT.search(board.rest, clause.start, compare.start) is not None
        if allowed and _REACH.match(board.canon.text, compare.start):
            # "May reach 82 C": a permission is a bound on the bad side.
            return [bounds.Bound(bounds.default_op(metric), bound.value, problem=bound.problem)]
    return [bound]


def _share_bound(work: Draughts, mark: Mark, metric: str, compare: Mark | None, flipped: bool, concept: Mark) -> bounds.Bound:
    quantity = mark.value
    after = work.board.canon.text[mark.end : mark.end + 40]
    if metric == "workloads.price_cut_share" and _OF_PRICE.match(after):
        return bounds.Bound(">=", round(1.0 - quantity.value, 12))
    if quantity.signed:
        # "DRAM -12 %" saves that much.
        return bounds.Bound(bounds.default_op(metric), abs(quantity.value))
    bound = bounds.absolute(metric, quantity, compare, flipped, 1.0)
    if metric == "serving.slo_attainment_share" and _INVERSE.search(work.board.rest, concept.start, concept.end):
        return bounds.Bound(">=", round(1.0 - quantity.value, 12))
    return bound


def _change_bound(
    work: Draughts, index: int, mark: Mark, metric: str, change: Mark | None, compare: Mark | None, flipped: bool
) -> bounds.Bound:
    board, words, quantity = work.board, work.words[index], mark.value
    after = board.canon.text[mark.end : mark.end + 40]
    if OF_LIMIT.match(after):
        ids = [spec.id for scope in work.clauses[index].scopes or work.board.ordered("scope") for spec in scope.value.specs]
        limit = work.site.limit(metric, ids)
        if limit is None:
            return bounds.Bound(problem="Which limit is meant, and how much is it?")
        work.inform(metric, f"{quantity.value:.0%} of the limit of {limit:,.0f} is taken from the fleet")
        return bounds.Bound(bounds.side(metric, compare, flipped), quantity.value * limit)
    if _OF_TODAY.match(after) and compare is not None and board.canon.text[compare.start : compare.end].startswith(("within", "inside")):
        worse = 1 if METRICS[metric].better == "lower" else -1
        return bounds.Bound("<=" if worse > 0 else ">=", worse * quantity.value, relative=True)
    if _OF_TODAY.match(after):
        return bounds.Bound(bounds.side(metric, compare, flipped), round(quantity.value - 1.0, 12), relative=True)
    if quantity.signed:
        return bounds.relative(metric, abs(quantity.value), -1 if quantity.value < 0 else 1, None, False, False)
    if change is None:
        led = _led(work, index, metric) if bounds.amount_before(board, mark) else None
        if led is not None:
            return bounds.Bound("<=" if led < 0 else ">=", led * quantity.value, relative=True)
        if quantity.kind == "part" or re.search(r"\bto\s*$", board.canon.text[: mark.start]):
            return bounds.Bound(bounds.side(metric, compare, flipped), round(quantity.value - 1.0, 12), relative=True)
        inherited = _inherited(work, index)
        if inherited is not None:
            return bounds.Bound("<=" if inherited < 0 else ">=", inherited * quantity.value, relative=True)
        if words.today and compare is not None:
            worse = 1 if METRICS[metric].better == "lower" else -1
            return bounds.Bound("<=" if worse > 0 else ">=", worse * quantity.value, relative=True)
        return bounds.Bound(problem=f"By how much should {METRICS[metric].label} change, and which way?")
    allowed = ops.PERMIT.search(board.rest, work.clauses[index].start, mark.start) is not None
    no_compare_negated = compare is None and any(item.end <= change.start for item in words.negations)
    return bounds.relative(metric, abs(quantity.value), bounds.direction(metric, change), compare, flipped or no_compare_negated, allowed)


def _led(work: Draughts, index: int, metric: str) -> int | None:
    """Return the direction of the verb that leads a list: "cut carbon and water by a fifth"."""
    for other in range(index - 1, -1, -1):
        if work.words[other].changes:
            return bounds.direction(metric, work.words[other].changes[0])
        if work.clauses[other].sentence != work.clauses[index].sentence:
            break
    return None


def _inherited(work: Draughts, index: int) -> int | None:
    """Return the direction of the change before, for "serving cost down 10 %, energy 5 %"."""
    before = [draft for draft in work.drafts if draft.clause < index and draft.bound.relative and draft.bound.value]
    return None if not before else (-1 if before[-1].bound.value < 0 else 1)
