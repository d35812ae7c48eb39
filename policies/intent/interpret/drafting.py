"""Clauses become drafts of expectations: each bound with the metric that it means."""

import re
from dataclasses import dataclass, field
from typing import Final

from policies.intent.interpret import bounds, choice, ops
from policies.intent.interpret.canon import Board, Mark
from policies.intent.interpret.choice import Choice
from policies.intent.interpret.clauses import Clause
from policies.intent.interpret.quantities import Per, Quantity
from policies.intent.interpret.reader import Site
from policies.intent.interpret.words import Concept, lexicon
from policies.intent.model import Finding
from twin.metrics import METRICS

_NARRATIVE: Final = re.compile(
    r"(?<!\w)(?:when(?:ever)?|(?<!great )(?<!nice )(?<!good )(?<!like it )(?<!appreciate it )(?<!happy )(?<!glad )if(?! possible)(?! at all)(?! you)(?! we can)|said|says|tells? (?:me|us)|told|is up|are up|went up|was up|went to|once|because|since|as soon as|they (?:say|complain|tell)|complain\w*|used to|has been|have been|had been|was|were|is (?:now |currently )?(?:running|sitting|hovering) at|currently (?:at|runs?|sits?|is)|right now|at the moment|keeps? (?:hitting|reaching|climbing)|\w+ (?:hit|reached|climbed to|went to)|today (?:it|we|they) (?:is|are|run|sit))(?!\w)|\ue007"
)
_GENERIC: Final = {"gpus", "temperature", "power", "cost", "latency", "energy", "throughput", "quality", "pod_hosts", "unknown", "site_power", "serving_cost", "makespan", "price_cut"}
_ZEROED: Final = {
    "plant.thermal_throttle_events", "plant.power_throttle_events", "plant.throttled_gpu_share", "workloads.evictions", "workloads.broken_requirements",
    "memory.overflow_events", "memory.migrated_bytes", "functions.cold_start_share", "memory.stranded_share",
}  # fmt: skip
_INVERSE: Final = re.compile(r"violat|miss|breach|break|blow|bust|outside|fail")
_OF_TODAY: Final = re.compile(r"^\s*(?:of|as) (?:\w+ ){0,3}?(?:today|now|current|present|existing|baseline|(?:it|they|we) (?:is|are|use|have|was))")
_OF_LIMIT: Final = re.compile(r"^\s*of (?:its|the|their|that|\S+'s|\S+) (?:\w+ )?(?:budget|limit|rating|rated power|capacity|allowance|envelope)")
_OF_PRICE: Final = re.compile(r"^\s*of (?:the |our )?(?:regular |list |normal |full )?(?:on[ -]demand|price|list)")


@dataclass(slots=True)
class Draft:
    """One expectation in the making; ``quantity`` and ``concept`` are where it was read."""

    metric: str
    bound: bounds.Bound
    clause: int
    quantity: Mark | None
    concept: Mark | None
    narrative: bool = False
    compared: bool = True


@dataclass(frozen=True, slots=True)
class Doubt:
    """A question that falls away where another clause answers it: the same metric, bounded there."""

    clause: int
    metric: str
    text: str


@dataclass(slots=True)
class Draughts:
    """Everything that the clauses gave: drafts, objectives, findings."""

    board: Board
    site: Site
    clauses: list[Clause]
    words: list[bounds.Words]
    drafts: list[Draft] = field(default_factory=list)
    objectives: list[tuple[str, str, Mark]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    used: set[int] = field(default_factory=set)
    spoken: set[int] = field(default_factory=set)
    asked: set[int] = field(default_factory=set)
    doubts: list[Doubt] = field(default_factory=list)
    asked_at: dict[str, Mark] = field(default_factory=dict)

    def ask(self, clause: int, about: str, text: str, mark: Mark | None = None) -> None:
        """Ask about a part once; what is asked about yields no expectation. ``mark`` is what an answer would replace."""
        self.asked.add(clause)
        if mark is not None:
            self.asked_at.setdefault(about, mark)
        if not any(item.about == about and item.text == text for item in self.findings):
            self.findings.append(Finding(severity="question", about=about, text=text))

    def inform(self, about: str, text: str) -> None:
        """Tell about a default that was taken."""
        if text and not any(item.text == text for item in self.findings):
            self.findings.append(Finding(severity="info", about=about, text=text))

    def scope_kinds(self, clause: int) -> set[str]:
        """Return the kinds of place that a clause speaks of, else those that the whole text does."""
        own = {kind for mark in self.clauses[clause].scopes for kind in mark.value.kinds}
        return own or {kind for mark in self.board.ordered("scope") for kind in mark.value.kinds}

    def percentile(self, clause: int, near: int) -> str | None:
        """Return the percentile named in a clause, the nearest to a place."""
        found = self.clauses[clause].percentiles
        return str(min(found, key=lambda mark: abs(mark.start - near)).value) if found else None


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
    shares = [mark for mark in clause.quantities if mark.value.kind == "share"]
    timed = [mark for mark in clause.concepts if _concept(mark).family or _concept(mark).name in {"image_ttft", "function_latency", "latency"}]
    if len(times) == 1 and len(shares) == 1 and timed and not any(_concept(mark).name == "slo" for mark in clause.concepts):
        if any(change.start >= 0 for change in work.words[index].changes if change.start > shares[0].end and change.start - shares[0].end < 8):
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
    if concept is not None:
        work.spoken.add(concept.start)
    if not chosen.metrics:
        named = [item for item in clause.percentiles if chosen.about != "meaning"]
        work.ask(index, chosen.about, chosen.question, named[0] if named else concept)
        return
    work.inform(chosen.metrics[0], chosen.assumed)
    narrative = _NARRATIVE.search(work.board.rest, clause.start, mark.start) is not None
    for metric in chosen.metrics:
        for bound in _bounds(work, index, mark, metric, per, change, concept):
            if bound.problem and narrative:
                work.doubts.append(Doubt(index, metric, bound.problem))
            elif bound.problem:
                work.ask(index, "value", bound.problem, mark)
            else:
                compared = bounds.compare_at(work.board, work.words[index], mark, clause.quantities) is not None
                work.drafts.append(Draft(metric, bound, index, mark, concept, narrative, compared))
    if quantity.bare_degrees or quantity.kind == "count" and choice.kind_of(chosen.metrics[0]) == "temp":
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
        positional = re.match(r"under|below|beneath|above|over$|past|beyond|north|south|inside|cap|limit|at or|within|exceed|<|>|to ", board.canon.text[compare.start : compare.end])
        return None if positional else change
    if quantity.kind in {"share", "part", "times", "points"}:
        return change
    # "cut 20 kW off row 2" is an amount; "lower GPUs 80 C" is a level only after a comparison.
    return change if re.fullmatch(r"[\s\W]*(?:\w+\s+){0,2}", before) else None


def _metric(work: Draughts, index: int, mark: Mark, per: Per | None, change: Mark | None) -> tuple[Mark | None, Choice | None]:
    """Return the concept that a number bounds and the metrics it means: in its clause, by its unit, or carried over."""
    clause, quantity = work.clauses[index], mark.value
    if quantity.kind == "share" and _OF_LIMIT.match(work.board.canon.text[mark.end : mark.end + 40]):
        named = [concept for concept in clause.concepts if _concept(concept).name in {"power", "row_power", "site_power"}]
        if not named:
            chosen = choice.choose(lexicon().concept("power"), None, None, True, work.scope_kinds(index), None)
            return None, chosen
    best: tuple[float, Mark, Choice] | None = None
    for concept in clause.concepts:
        chosen = _try(work, index, concept, mark, per, change)
        if chosen is None:
            continue
        if _concept(concept).name == "ttft" and any(_concept(other).name == "image_ttft" for other in clause.concepts):
            continue
        cost = _distance(work, clause, concept, mark) + (40 if chosen.about == "meaning" else 0)
        if best is None or cost < best[0]:
            best = (cost, concept, chosen)
    if best is not None:
        return best[1], best[2]
    by_unit = choice.implied(quantity, per, work.scope_kinds(index), work.percentile(index, mark.start))
    carried = _carried(work, index, mark, per, change)
    if carried is not None and carried[1].metrics and not (by_unit is not None and by_unit.metrics and per is not None and per.what in {"job", "host", "tokens"}):
        return carried
    if by_unit is not None:
        return None, by_unit
    return carried if carried is not None else (None, None)


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


def _try(work: Draughts, index: int, concept: Mark, mark: Mark, per: Per | None, change: Mark | None, home: int | None = None) -> Choice | None:
    """Return what a concept means under a number, None where the number cannot bound it."""
    quantity, named = mark.value, _concept(concept)
    relative = _is_relative(work, named, mark, change)
    close = 0 <= concept.start - mark.end <= 14 and not re.search(r"[,;]|\b(?:for|on|the|max|in|at)\b", work.board.rest[mark.end : concept.start])
    if named.name == "gpus" and quantity.kind == "count" and not relative and close:
        return Choice(("serving.gpus_mean",))
    percentile = work.percentile(index, mark.start) or (work.percentile(home, concept.start) if home is not None else None)
    kinds = work.scope_kinds(index)
    chosen = choice.choose(named, quantity, per, relative, kinds, percentile)
    return chosen if chosen.metrics or chosen.about else None


def _is_relative(work: Draughts, concept: Concept, mark: Mark, change: Mark | None) -> bool:
    quantity = mark.value
    if quantity.kind not in {"share", "part"}:
        return False
    if quantity.signed:
        return True
    after = work.board.canon.text[mark.end : mark.end + 40]
    if _OF_TODAY.match(after) or _OF_LIMIT.match(after):
        return True
    shares = any(choice.kind_of(metric) == "share" for metric in concept.metrics)
    if concept.absolute:
        return _to_today(work, mark)
    return change is not None or not shares


def _to_today(work: Draughts, mark: Mark) -> bool:
    return re.match(r"\s*(?:\w+ ){1,4}?than (?:today|now|currently)", work.board.canon.text[mark.end :]) is not None


def _distance(work: Draughts, clause: Clause, concept: Mark, mark: Mark) -> float:
    gap = mark.start - concept.end if concept.end <= mark.start else max(0, concept.start - mark.end)
    low, high = sorted((mark.start, concept.start))
    crossed = sum(low < other.start < high for other in clause.quantities)
    used = concept.start in work.spoken
    return gap + 60 * crossed + 80 * used + (25 if _concept(concept).name in _GENERIC else 0) + (8 if concept.start > mark.end else 0)


def _bounds(work: Draughts, index: int, mark: Mark, metric: str, per: Per | None, change: Mark | None, concept: Mark | None) -> list[bounds.Bound]:
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
        return [bounds.multiple(metric, quantity.value, change, compare)]
    if quantity.kind in {"share", "part"}:
        if concept is None or _OF_LIMIT.match(board.canon.text[mark.end : mark.end + 40]) or _is_relative(work, _concept(concept), mark, change):
            return [_change_bound(work, index, mark, metric, change, compare, flipped)]
        return [_share_bound(work, mark, metric, compare, flipped, concept)]
    if change is not None:
        return [bounds.Bound(problem=f"Down or up to what should {label} go? A change by an amount cannot be held.")]
    factor = choice.per_unit(metric, per)
    if factor is None:
        return [bounds.Bound(problem=f"What is the number for {label} counted per?")]
    if quantity.low is not None:
        low = bounds.absolute(metric, Quantity(quantity.low, quantity.kind, quantity.low), None, False, factor)
        high = bounds.absolute(metric, quantity, None, False, factor)
        return [bounds.Bound(">=", low.value, problem=low.problem), bounds.Bound("<=", high.value, problem=high.problem)]
    return [bounds.absolute(metric, quantity, compare, flipped, factor)]


def _share_bound(work: Draughts, mark: Mark, metric: str, compare: Mark | None, flipped: bool, concept: Mark) -> bounds.Bound:
    quantity = mark.value
    after = work.board.canon.text[mark.end : mark.end + 40]
    if metric == "workloads.price_cut_share" and _OF_PRICE.match(after):
        return bounds.Bound(">=", round(1.0 - quantity.value, 12))
    bound = bounds.absolute(metric, quantity, compare, flipped, 1.0)
    if metric == "serving.slo_attainment_share" and _INVERSE.search(work.board.rest, concept.start, concept.end):
        return bounds.Bound(">=", round(1.0 - quantity.value, 12))
    return bound


def _change_bound(work: Draughts, index: int, mark: Mark, metric: str, change: Mark | None, compare: Mark | None, flipped: bool) -> bounds.Bound:
    board, words, quantity = work.board, work.words[index], mark.value
    after = board.canon.text[mark.end : mark.end + 40]
    if _OF_LIMIT.match(after):
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


def _inherited(work: Draughts, index: int) -> int | None:
    """Return the direction of the change before, for "serving cost down 10 %, energy 5 %"."""
    before = [draft for draft in work.drafts if draft.clause < index and draft.bound.relative and draft.bound.value]
    return None if not before else (-1 if before[-1].bound.value < 0 else 1)


def zeroed(metric: str) -> bool:
    """Return whether "no X" says that a metric is zero."""
    return metric in _ZEROED
