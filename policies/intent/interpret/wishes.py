"""What a clause sets without a number: holds, zeros, missing sizes."""

import re
from typing import Final

from policies.intent.interpret import bounds, ops
from policies.intent.interpret.aims import meant, objective
from policies.intent.interpret.canon import Mark
from policies.intent.interpret.choice import Choice, kind_of
from policies.intent.interpret.drafts import Doubt, Draft, Draughts, zeroed
from policies.intent.interpret.words import Concept, lexicon, rule
from twin.metrics import METRICS

_IMPERATIVE: Final = rule("wishes.imperative")
_LEADING: Final = rule("wishes.leading")
_ALL: Final = re.compile(r"(?<!\w)(?:all|every|each|always|100 percent|every single)(?!\w)")
_SLOWING: Final = re.compile(
    r"(?<!\w)(?:not|never|nor|no|without|avoid(?:ing)?|nobody|no one)(?: [^\s,;.]+){0,4}? slow(?:s|ed|er|ing|down)?(?!\w)"
)
_WHOLE: Final = {"workloads.notices_honoured_share", "serving.slo_attainment_share"}


def wishes(work: Draughts, index: int) -> None:
    """Draft what a clause sets without a number."""
    clause, words = work.clauses[index], work.words[index]
    free = [mark for mark in clause.concepts if mark.start not in work.spoken]
    objective(work, index)
    free = [mark for mark in free if mark.start not in work.spoken]
    _factors(work, index)
    free = [mark for mark in free if mark.start not in work.spoken]
    if _slowing(work, index):
        return
    if words.holds:
        _holds(work, index, free)
    elif words.negations:
        _negated(work, index, free)
    elif not clause.quantities and not words.factors:
        _changes(work, index, free)


def _slowing(work: Draughts, index: int) -> bool:
    """Ask which latency is meant by "without slowing chat-8b"; True where that was asked."""
    clause = work.clauses[index]
    timed = [mark for mark in clause.concepts if mark.value.family or any(kind_of(name) in {"time", "rate"} for name in mark.value.metrics)]
    if timed or clause.percentiles or not _SLOWING.search(work.board.rest, clause.start, clause.end):
        return False
    work.ask(index, "meaning", "Which latency is not to get worse: first token, between tokens, end to end or function?")
    return True


def _add(work: Draughts, index: int, mark: Mark, value: float, change: int) -> None:
    """Draft a change against today; ``change`` 0 holds, otherwise it is the direction that is prevented or wished."""
    chosen = meant(work, index, mark)
    work.spoken.add(mark.start)
    if not chosen.metrics:
        work.ask(index, chosen.about or "meaning", chosen.question or "What is meant?")
        return
    work.inform(chosen.metrics[0], chosen.assumed)
    for metric in chosen.metrics:
        op = bounds.default_op(metric)
        if change:
            op = "<=" if change < 0 else ">="
        work.drafts.append(Draft(metric, bounds.Bound(op, value, relative=True), index, None, mark))


def _targets(work: Draughts, index: int, free: list[Mark]) -> list[Mark]:
    """Return the concepts that a wish without a number is about: those of the clause, else the last one spoken of."""
    if free:
        return free
    if work.clauses[index].concepts or any(draft.clause == index for draft in work.drafts):
        return []
    before = [mark for clause in work.clauses[:index] for mark in clause.concepts]
    return before[-1:]


def _holds(work: Draughts, index: int, free: list[Mark]) -> None:
    targets = _targets(work, index, free) or _by_percentile(work, index)
    for mark in targets:
        if mark not in free and any(draft.concept == mark for draft in work.drafts):
            # "hold it there" after a number repeats the number.
            continue
        if re.search(r"\b(?:los|risk)\w*", " ".join(work.board.rest[hold.start : hold.end] for hold in work.words[index].holds)) and any(
            zeroed(metric) for metric in mark.value.metrics
        ):
            _zero(work, index, mark)
            continue
        change = _prevented(work, index, mark)
        _add(work, index, mark, 0.0, -change)


def _by_percentile(work: Draughts, index: int) -> list[Mark]:
    """ "The p99 of send-mail must not get worse" means its latency."""
    found = work.clauses[index].percentiles
    name = {frozenset({"function"}): "function_latency", frozenset({"workflow"}): "makespan"}.get(
        frozenset(work.scope_kinds(index)), "latency"
    )
    spoken = any(draft.clause == index for draft in work.drafts)
    return [Mark("concept", found[0].start, found[0].end, lexicon().concept(name))] if found and not spoken else []


def _prevented(work: Draughts, index: int, mark: Mark) -> int:
    """Return the direction that a hold names and forbids ("no increase in"), 0 where it only protects."""
    text = " ".join(work.board.rest[hold.start : hold.end] for hold in work.words[index].holds)
    if re.search(r"at or (?:below|under)", text):
        return 1
    if re.search(r"at or (?:above|over)", text):
        return -1
    if re.search(r"increas|rise|growth|uptick|higher|more than|greater|longer|above|over|exceed", text):
        return 1
    if re.search(r"(?:no|any) (?:drop|decrease|dip|decline|reduction|fall)|lower than|less than|fewer|below|under", text):
        return -1
    return 0


def _negated(work: Draughts, index: int, free: list[Mark]) -> None:
    """ "No evictions" is zero; "must not go up" holds."""
    clause, words = work.clauses[index], work.words[index]
    if clause.quantities:
        free = [mark for mark in free if _directly_negated(work, index, mark) and any(zeroed(metric) for metric in mark.value.metrics)]
        for mark in free:
            _zero(work, index, mark)
        return
    changes = [mark for mark in words.changes if any(item.end <= mark.start for item in words.negations)]
    targets = _targets(work, index, free)
    if changes:
        for mark in targets:
            metrics = meant(work, index, mark).metrics
            change = bounds.direction(metrics[0], changes[-1]) if metrics else 0
            _add(work, index, mark, 0.0, -change)
        return
    if words.compare and not any(item.start > words.compare[-1].start for item in words.negations):
        for mark in targets:
            _missing(work, index, mark)
        return
    for mark in targets:
        _zero(work, index, mark)


def _directly_negated(work: Draughts, index: int, mark: Mark) -> bool:
    return any(0 <= mark.start - item.end <= 12 for item in work.words[index].negations)


def _zero(work: Draughts, index: int, mark: Mark) -> None:
    chosen = meant(work, index, mark, relative=False)
    metrics = [metric for metric in chosen.metrics if zeroed(metric)]
    if chosen.metrics and not metrics and mark.value.name in {"slo"}:
        return
    work.spoken.add(mark.start)
    if not metrics:
        if chosen.metrics:
            label = METRICS[chosen.metrics[0]].label
            work.doubts.append(Doubt(index, chosen.metrics[0], f"What bound is meant for {label}?", mark))
        else:
            work.ask(index, chosen.about or "value", chosen.question or "Which metric is meant?", mark)
        return
    work.inform(metrics[0], chosen.assumed)
    for metric in metrics:
        work.drafts.append(Draft(metric, bounds.Bound("<=", 0.0), index, None, mark))


def _factors(work: Draughts, index: int) -> None:
    """Halve, double, twice: changes whose size is in the word."""
    clause, words = work.clauses[index], work.words[index]
    for factor in words.factors:
        near = [mark for mark in clause.concepts if mark.start not in work.spoken] or _targets(work, index, [])
        if not near:
            work.ask(index, "meaning", "What should change by that much?")
            continue
        mark = min(near, key=lambda item: abs(item.start - factor.end))
        compare = [item for item in words.compare if item.end <= factor.start]
        change = -1 if factor.value < 0 else 1
        if compare and compare[-1].value == "<=" and factor.value > 0:
            change = -1
        _add(work, index, mark, float(factor.value), change)


def _changes(work: Draughts, index: int, free: list[Mark]) -> None:
    """A change without a number: against today it is zero, otherwise its size is missing."""
    words, clause = work.words[index], work.clauses[index]
    text = clause.text(work.board)
    for mark in free:
        if ops.NONE.search(text):
            _zero(work, index, mark)
        elif _ALL.search(text) and mark.value.metrics and mark.value.metrics[0] in _WHOLE:
            work.spoken.add(mark.start)
            work.drafts.append(Draft(mark.value.metrics[0], bounds.Bound(">=", 1.0), index, None, mark))
        elif words.changes and words.today:
            metrics = meant(work, index, mark).metrics
            change = bounds.direction(metrics[0], words.changes[0]) if metrics else 0
            _add(work, index, mark, 0.0, change)
            if metrics:
                work.inform(metrics[0], f"{METRICS[metrics[0]].label} better than today, by any amount")
        elif _directive(work, index, mark) and not _shared(work, index, mark):
            _missing(work, index, mark)
    if not free and ops.NONE.search(text):
        for mark in _targets(work, index, [])[:1]:
            _zero(work, index, mark)


def _shared(work: Draughts, index: int, mark: Mark) -> bool:
    """Give a metric the bound that follows in its list: "cut carbon and water by a fifth", "evictions and overflows at zero"."""
    if index + 1 >= len(work.clauses) or work.clauses[index + 1].joint not in {"and", "or", "nor", ",", "&"}:
        return False
    following = work.clauses[index + 1].text(work.board)
    if re.search(r"\bat (?:zero|nil|none)\b", following) and any(zeroed(metric) for metric in mark.value.metrics):
        _zero(work, index, mark)
        return True
    after = [draft for draft in work.drafts if draft.clause == index + 1]
    if not after or work.words[index + 1].changes or not (after[0].bound.relative or after[0].bound.value == 0):
        return False
    chosen = meant(work, index, mark, relative=after[0].bound.relative)
    fitting = [metric for metric in chosen.metrics if after[0].bound.relative or zeroed(metric)]
    for metric in fitting:
        work.drafts.append(Draft(metric, after[0].bound, index, after[0].quantity, mark))
    if fitting:
        work.spoken.add(mark.start)
    return bool(fitting)


def _directive(work: Draughts, index: int, mark: Mark) -> bool:
    """Return whether a clause tells to do something about a metric; beside other targets it must say so plainly."""
    clause = work.clauses[index]
    text = work.board.rest[clause.start : clause.end]
    if _LEADING.match(text):
        return True
    near = any(abs(change.start - mark.end) < 25 or abs(mark.start - change.end) < 25 for change in work.words[index].changes)
    return not work.drafts and not work.objectives and (near or _IMPERATIVE.search(text) is not None)


def _missing(work: Draughts, index: int, mark: Mark) -> None:
    chosen = meant(work, index, mark)
    concept: Concept = mark.value
    if concept.name == "gpus":
        chosen = Choice(("plant.gpu_temp_max_c",))
    work.spoken.add(mark.start)
    if chosen.metrics:
        work.doubts.append(Doubt(index, chosen.metrics[0], f"What number is meant for {METRICS[chosen.metrics[0]].label}?"))
    else:
        work.ask(index, chosen.about or "meaning", chosen.question or "Which metric is meant?", mark)
