"""How a clause bounds a metric: side, size, absolute or against today."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from policies.intent.interpret import ops
from policies.intent.interpret.canon import Board, Mark
from policies.intent.interpret.choice import kind_of
from policies.intent.interpret.clauses import Clause
from policies.intent.interpret.quantities import Quantity
from policies.intent.interpret.words import rule
from twin.metrics import METRICS

Op = Literal["<=", ">="]
_OTHER: Final[dict[str, Op]] = {"<=": ">=", ">=": "<="}
_AMOUNT: Final = rule("bounds.amount")
_AFTER: Final = re.compile(r"[\s,(]*(?:(?:per|a|an|each|every|/)?\s*[\ue004\w/]+[\s,]*){0,3}?(?:and |as |is |the |at )*")
_TRAILING: Final = rule("bounds.trailing")
_FIXED: Final = rule("bounds.fixed")
# "Above 80 C is not acceptable": what is forbidden is said after the number.
_FORBIDDEN: Final = re.compile(
    r"[^;:.,]*?\b(?:(?:is|are|be|would be|counts? as) (?:\w+ )?(?:unacceptable|forbidden|prohibited|banned|off limits|"
    r"out of the question|violations?|breach(?:es)?|intolerable)|"
    r"(?:is|are|be)? ?not (?:be )?(?:acceptable|ok(?:ay)?|allowed|permitted|tolerated|tolerable|wanted|fine)|"
    r"(?:must|should|shall|to) be (?:avoided|prevented))\b"
)
_NEAR: Final = re.compile(r"^\W*(?:\ue004+\W*)?(?:or more |or so |a |an |the |in )?\w*\s*$")


@dataclass(frozen=True, slots=True)
class Bound:
    """One bound on a metric: ``problem`` instead where the number does not say one."""

    op: Op = "<="
    value: float = 0.0
    relative: bool = False
    problem: str = ""


@dataclass(slots=True)
class Words:
    """The words of one clause that say how."""

    compare: list[Mark]
    negations: list[Mark]
    holds: list[Mark]
    changes: list[Mark]
    today: list[Mark]
    factors: list[Mark]


def default_op(metric: str) -> Op:
    """Return the side on which a metric is kept when the sentence does not say."""
    return "<=" if METRICS[metric].better == "lower" else ">="


def words_of(board: Board, clause: Clause) -> Words:
    """Return the words that say how in a clause; those that belong to a longer expression are left out."""

    def inside(mark: Mark) -> bool:
        return clause.start <= mark.start < clause.end

    compare = [mark for mark in ops.compare(board) if inside(mark) and not _against_today(board, mark) and not _aimed(board, mark, clause)]
    holds = _marks(board, clause, "hold", ops.HOLD)
    factors = [
        Mark("factor", match.start(), match.end(), size)
        for pattern, size in ops.FACTOR
        for match in pattern.finditer(board.rest, clause.start, clause.end)
        if not re.match(r" (?:a|per|an|each|every)\b", board.rest[match.end() :])
    ]
    # "Do not move more than 1 TB" forbids a size; "do not move" alone holds.
    sized = [
        mark
        for mark in holds
        if re.match(r"(?:do )?(?:not|never|without|nor)\b", board.rest[mark.start :]) and _sized(mark, compare, clause)
    ]
    holds = [mark for mark in holds if mark not in sized]
    taken = [*compare, *holds, *factors]
    changes = []
    for match in ops.CHANGE.finditer(board.rest, clause.start, clause.end):
        if not any(mark.start < match.end() and match.start() < mark.end for mark in taken):
            changes.append(Mark("change", match.start(), match.end(), match.lastgroup))
    negations = []
    for match in ops.NEGATION.finditer(board.rest, clause.start, clause.end):
        if not any(mark.start < match.end() and match.start() < mark.end for mark in taken):
            negations.append(Mark("negation", match.start(), match.end()))
    negations += [Mark("negation", mark.start, mark.start + 3) for mark in sized]
    return Words(compare, negations, holds, changes, _marks(board, clause, "today", (ops.TODAY,)), factors)


def _aimed(board: Board, mark: Mark, clause: Clause) -> bool:
    """ "Push it up to 99 %" names an aim; "up to 2 %" a limit."""
    if not board.canon.text[mark.start : mark.end].startswith("up to"):
        return False
    return (
        re.search(
            r"\b(?:push|rais|bring|get|lift|increas|boost|improv|driv|tak|grow|scal)\w*\b[^,;.]*$", board.rest[clause.start : mark.start]
        )
        is not None
    )


def _against_today(board: Board, mark: Mark) -> bool:
    """ "20 % lower than today" measures a change; "lower than 20 %" compares."""
    text = board.canon.text[mark.start : mark.end]
    if text in {"below", "under", "above", "over", "beneath", "beyond"}:
        return re.match(r" (?:today|now|current|the current|what|present)\b", board.rest[mark.end :]) is not None
    if not text.endswith(" than"):
        return False
    before, after = board.rest[: mark.start], board.rest[mark.end :]
    return (
        re.search("\ue003 ?$", before) is not None
        or re.match(
            r" (?:(?:it|they|we|the|what) )*(?:is |are )?(?:today|now|current|at present|baseline|status quo|before|they are|it is)", after
        )
        is not None
    )


def _sized(hold: Mark, compare: Sequence[Mark], clause: Clause) -> bool:
    return any(mark.start >= hold.start for mark in compare) and any(mark.start >= hold.end for mark in clause.quantities)


def _marks(board: Board, clause: Clause, kind: str, patterns: Sequence[re.Pattern[str]]) -> list[Mark]:
    return [Mark(kind, m.start(), m.end()) for pattern in patterns for m in pattern.finditer(board.rest, clause.start, clause.end)]


def compare_at(board: Board, words: Words, quantity: Mark, others: Sequence[Mark]) -> Mark | None:
    """Return the comparison that a quantity stands under: the one right after it, else the last one before it."""
    for mark in words.compare:
        between = board.rest[quantity.end : mark.start]
        if mark.start >= quantity.end and _AFTER.fullmatch(between) and _TRAILING.match(board.canon.text[mark.start : mark.end]):
            follows = [other for other in others if other.start >= mark.end]
            if follows and re.fullmatch(r"\s*(?:a |the |of |about )*", board.rest[mark.end : follows[0].start]):
                continue
            return mark
    before = [mark for mark in words.compare if mark.end <= quantity.start]
    if not before:
        return None
    last = before[-1]
    if any(last.end <= other.start < quantity.start for other in others):
        return None
    return last


def side(metric: str, compare: Mark | None, negated: bool) -> Op:
    """Return the side that a comparison keeps a metric on."""
    if compare is None:
        return default_op(metric)
    name = str(compare.value)
    op: Op = default_op(metric) if name == "better" else _OTHER[default_op(metric)] if name == "worse" else ("<=" if name == "<=" else ">=")
    return _OTHER[op] if negated else op


def negated(board: Board, words: Words, compare: Mark | None) -> bool:
    """Return whether a negation before the comparison, or a verdict after it, turns it round; "at most" is never turned."""
    if compare is None or _FIXED.match(board.canon.text, compare.start, compare.end):
        return False
    verdict = _FORBIDDEN.match(board.rest, compare.end)
    if verdict is not None and not re.search(r"\b(?:and|or|but|if|unless|while|because|since)\b", verdict[0]):
        return True
    return any(mark.end <= compare.start and not re.search(r"[:;.,]", board.rest[mark.end : compare.start]) for mark in words.negations)


def direction(metric: str, change: Mark) -> int:
    """Return +1 for a change upwards, −1 for one downwards."""
    lower = METRICS[metric].better == "lower"
    name = str(change.value)
    if name in {"down", "up"}:
        return -1 if name == "down" else 1
    good = name in {"better", "faster"}
    if name in {"faster", "slower"} and kind_of(metric) not in {"time", "rate"}:
        good = name == "faster"
    return (-1 if lower else 1) * (1 if good else -1)


def change_at(board: Board, words: Words, quantity: Mark, others: Sequence[Mark]) -> Mark | None:
    """Return the word of change that a quantity measures: right after it, else before it, else later in the clause."""
    after = [mark for mark in words.changes if mark.start >= quantity.end]
    if after and _NEAR.match(board.rest[quantity.end : after[0].start]):
        return after[0]
    before = [
        mark for mark in words.changes if mark.end <= quantity.start and not any(mark.end <= o.start < quantity.start for o in others)
    ]
    if before:
        return before[-1]
    return after[0] if after and not any(quantity.end <= o.start < after[0].start for o in others) else None


def amount_before(board: Board, quantity: Mark) -> bool:
    """Return whether the number is an amount of change: "by 10 %"."""
    return _AMOUNT.search(board.canon.text[: quantity.start].replace("\ue000", "")) is not None


def absolute(metric: str, quantity: Quantity, compare: Mark | None, flipped: bool, factor: float) -> Bound:
    """Return the bound that a plain number sets."""
    if not math.isfinite(quantity.value):
        return Bound(problem="The number is not finite; what bound is meant?")
    return Bound(side(metric, compare, flipped), quantity.value * factor if factor >= 1 else _divide(quantity.value, factor))


def _divide(value: float, factor: float) -> float:
    whole = 1 / factor
    return value / round(whole) if math.isclose(whole, round(whole), rel_tol=1e-12) else value * factor


def relative(metric: str, size: float, change: int, compare: Mark | None, flipped: bool, allowed: bool) -> Bound:
    """Return the bound that a change against today sets.

    ``change`` is its direction; a comparison such as "at most" makes it a limit, and so does a permission to get worse.
    """
    wish = True
    if compare is not None:
        side_ = {"<=": "<=", ">=": ">=", "better": ">=", "worse": "<="}[str(compare.value)]
        wish = (side_ == ">=") != flipped
    elif flipped or (allowed and change != (-1 if METRICS[metric].better == "lower" else 1)):
        wish = False
    good = change == (-1 if METRICS[metric].better == "lower" else 1)
    if not wish and good and not flipped and compare is not None:
        return Bound(problem=f"Is {METRICS[metric].label} to change by at least that much, or by no more than that?")
    op: Op = "<=" if (change < 0) == wish else ">="
    return Bound(op, math.copysign(size, change), relative=True)


def multiple(metric: str, times: float, change: Mark | None, compare: Mark | None, flipped: bool = False) -> Bound:
    """Return the bound of "three times", "2x lower"."""
    if times <= 0:
        return Bound(problem="That multiple is not possible; what is meant?")
    value = 1 / times - 1 if change is not None and direction(metric, change) < 0 else times - 1
    op: Op = ("<=" if value < 0 else ">=") if compare is None else side(metric, compare, flipped)
    return Bound(op, value, relative=True)
