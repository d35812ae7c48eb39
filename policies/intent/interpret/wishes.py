"""What a clause sets without a number: holds, zeros, extremes, and changes whose size is missing."""

import re
from typing import Final

from policies.intent.interpret import bounds, choice, ops
from policies.intent.interpret.canon import Mark
from policies.intent.interpret.choice import Choice
from policies.intent.interpret.drafting import Doubt, Draft, Draughts, zeroed
from policies.intent.interpret.words import Concept, lexicon
from twin.metrics import METRICS

_IMPERATIVE: Final = re.compile(r"(?<!\w)(?:keep|keeps|hold|limit|cap|set|ensure|bound|make sure|must|should|shall|reduce|cut|lower|improve|raise|increase|shave|trim|want|need|bring|push|drive|boost|target|under|below|above|at most|at least|change|fix|tune|control|manage|watch)(?!\w)")
# What may stand beside a bare metric in a list without saying anything of its own.
_LIST_WORDS: Final = set(
    """the a an our both all any every each of in on at for to and or nor neither either please also then cut reduce lower decrease drop shrink trim
    keep hold raise increase improve grow minimise minimize maximise maximize no never without do not let have bring get make slash save halve double
    must should shall will i we want would like need preferably ideally their its overall total daily per day""".split()
)
_ALL: Final = re.compile(r"(?<!\w)(?:all|every|each|always|100 percent|every single)(?!\w)")
_WHOLE: Final = {"workloads.notices_honoured_share", "serving.slo_attainment_share"}
_EXTREME_OF: Final = {
    "cheap": "cost", "cheaper": "cost", "fast": "latency", "quick": "latency", "cool": "gpu_temp", "cold": "gpu_temp", "green": "carbon", "fastest": "latency", "cheapest": "cost",
    "cheaply": "cost", "quickest": "latency", "coolest": "gpu_temp", "greenest": "carbon",
}  # fmt: skip


def wishes(work: Draughts, index: int) -> None:
    """Draft what a clause sets without a number."""
    clause, words = work.clauses[index], work.words[index]
    free = [mark for mark in clause.concepts if mark.start not in work.spoken]
    _objective(work, index)
    free = [mark for mark in free if mark.start not in work.spoken]
    _factors(work, index)
    free = [mark for mark in free if mark.start not in work.spoken]
    if words.holds:
        _holds(work, index, free)
    elif words.negations:
        _negated(work, index, free)
    elif not clause.quantities and not words.factors:
        _changes(work, index, free)


def _chosen(work: Draughts, index: int, mark: Mark, relative: bool = True) -> Choice:
    concept: Concept = mark.value
    per = work.clauses[index].pers[0].value if work.clauses[index].pers else None
    percentile = work.percentile(index, mark.start)
    if concept.name == "gpus" and relative:
        return Choice(("serving.gpus_mean",))
    return choice.choose(concept, None, per, relative, work.scope_kinds(index), percentile)


def _add(work: Draughts, index: int, mark: Mark, value: float, change: int) -> None:
    """Draft a change against today; ``change`` 0 holds, otherwise it is the direction that is prevented or wished."""
    chosen = _chosen(work, index, mark)
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
    name = {frozenset({"function"}): "function_latency", frozenset({"workflow"}): "makespan"}.get(frozenset(work.scope_kinds(index)), "latency")
    spoken = any(draft.clause == index for draft in work.drafts)
    return [Mark("concept", found[0].start, found[0].end, lexicon().concept(name))] if found and not spoken else []


def _prevented(work: Draughts, index: int, mark: Mark) -> int:
    """Return the direction that a hold names and forbids ("no increase in"), 0 where it only protects."""
    text = " ".join(work.board.rest[hold.start : hold.end] for hold in work.words[index].holds)
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
            metrics = _chosen(work, index, mark).metrics
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
    chosen = _chosen(work, index, mark, relative=False)
    metrics = [metric for metric in chosen.metrics if zeroed(metric)]
    if chosen.metrics and not metrics and mark.value.name in {"slo"}:
        return
    work.spoken.add(mark.start)
    if not metrics:
        work.ask(index, chosen.about or "value", chosen.question or f"What bound is meant for {METRICS[chosen.metrics[0]].label}?")
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
            metrics = _chosen(work, index, mark).metrics
            change = bounds.direction(metrics[0], words.changes[0]) if metrics else 0
            _add(work, index, mark, 0.0, change)
            if metrics:
                work.inform(metrics[0], f"{METRICS[metrics[0]].label} better than today, by any amount")
        elif words.changes or _IMPERATIVE.search(text):
            _missing(work, index, mark)
    if not free and ops.NONE.search(text):
        for mark in _targets(work, index, [])[:1]:
            _zero(work, index, mark)


def _missing(work: Draughts, index: int, mark: Mark) -> None:
    chosen = _chosen(work, index, mark)
    concept: Concept = mark.value
    if concept.name == "gpus":
        chosen = Choice(("plant.gpu_temp_max_c",))
    work.spoken.add(mark.start)
    if chosen.metrics:
        work.doubts.append(Doubt(index, chosen.metrics[0], f"What number is meant for {METRICS[chosen.metrics[0]].label}?"))
    else:
        work.ask(index, chosen.about or "meaning", chosen.question or "Which metric is meant?", mark)


def _objective(work: Draughts, index: int) -> None:
    clause, words = work.clauses[index], work.words[index]
    for pattern, sense in ((ops.MINIMIZE, "minimize"), (ops.MAXIMIZE, "maximize"), (ops.OPTIMISE, "best")):
        for match in pattern.finditer(work.board.rest, clause.start, clause.end):
            overlapped = any(mark.start < match.end() and match.start() < mark.end for mark in (*words.compare, *words.holds))
            if overlapped and not _verb(match[0]) and (clause.quantities or match[0] not in {"min", "max", "minimum", "maximum"}):
                continue
            mark = _extreme(work, index, match)
            if mark is not None:
                _aim(work, index, mark, sense)


def _verb(text: str) -> bool:
    return text.startswith(("minimi", "maximi", "optimi", "as ", "how", "prioriti"))


def _extreme(work: Draughts, index: int, match: re.Match[str]) -> Mark | None:
    """Return the concept whose extreme is asked for."""
    clause = work.clauses[index]
    free = [mark for mark in clause.concepts if mark.start not in work.spoken]
    inside = [mark for mark in free if mark.start < match.end() and match.start() < mark.end]
    after = [mark for mark in free if 0 <= mark.start - match.end() <= (60 if _verb(match[0]) else 24)]
    before = [mark for mark in free if mark.end <= match.start()] if match[0].startswith("as ") else []
    found = inside or after or before[-1:]
    if found:
        return found[0]
    named = next((_EXTREME_OF[word] for word in re.findall(r"[a-z]+", match[0]) if word in _EXTREME_OF), None)
    if named is not None and (match[0].startswith("as ") or not clause.concepts):
        return Mark("concept", match.start(), match.end(), lexicon().concept(named))
    return None


def _aim(work: Draughts, index: int, mark: Mark, sense: str) -> None:
    chosen = _chosen(work, index, mark, relative=mark.value.name != "gpus")
    work.spoken.add(mark.start)
    if mark.value.name == "gpus":
        chosen = Choice(("serving.gpus_mean",))
    if not chosen.metrics and chosen.about == "meaning":
        # "A pod for 16 hosts, cheapest possible": what is designed says whose cost.
        built = {METRICS[draft.metric].domain for draft in work.drafts} & {"memory", "workflows"}
        left = tuple(metric for metric in mark.value.metrics if METRICS[metric].domain in built)
        chosen = Choice(left) if len(left) == 1 else chosen
    if not chosen.metrics:
        work.ask(index, chosen.about or "meaning", chosen.question or "What is to be pushed to its extreme?")
        return
    metric = chosen.metrics[0]
    better = "minimize" if METRICS[metric].better == "lower" else "maximize"
    if mark.value.name in {"throttling"}:
        work.ask(index, "meaning", "Which throttling is to be the objective: thermal or power?")
        return
    aimed = better if sense == "best" or mark.value.name in {"latency"} else sense
    work.objectives.append((aimed, metric, mark))
    work.inform(metric, chosen.assumed)
    # "minimise energy and water": a second one stands bare in the next clause.
    _bare_followers(work, index, aimed)


def _bare_followers(work: Draughts, index: int, sense: str) -> None:
    for other in range(index + 1, len(work.clauses)):
        clause = work.clauses[other]
        if clause.joint not in {"and", ",", "plus", "as well as"} or clause.bound(work.board) or len(clause.concepts) != 1:
            return
        if len(re.findall(r"[a-z]+", clause.text(work.board))) > len(re.findall(r"[a-z]+", work.board.rest[clause.concepts[0].start : clause.concepts[0].end])) + 2:
            return
        mark = clause.concepts[0]
        chosen = _chosen(work, other, mark)
        work.spoken.add(mark.start)
        if chosen.metrics:
            work.objectives.append((sense, chosen.metrics[0], mark))
        else:
            work.ask(other, chosen.about or "meaning", chosen.question or "Which metric is meant?")


def followers(work: Draughts) -> None:
    """Give a bare metric in a list the bound of its neighbour: "TTFT and TBT no worse", "energy and water by 10 %"."""
    for index, clause in enumerate(work.clauses):
        for mark in clause.concepts:
            if mark.start in work.spoken or not _bare(work, index, mark):
                continue
            for other in (index + 1, index - 1):
                if 0 <= other < len(work.clauses) and _listed(work, min(index, other) + 1) and _copy(work, index, other, mark):
                    break


def _bare(work: Draughts, index: int, mark: Mark) -> bool:
    clause = work.clauses[index]
    own = any(draft.clause == index for draft in work.drafts)
    named = re.search(r"power|draw|peak|load|meter|demand", work.board.rest[mark.start : mark.end]) or mark.value.name != "site_power"
    if not named or own or clause.quantities or index in work.asked or len(clause.concepts) != 1:
        return False
    others = work.board.rest[clause.start : mark.start] + " " + work.board.rest[mark.end : clause.end]
    return set(re.findall(r"[a-z]+", others)) <= _LIST_WORDS


def _listed(work: Draughts, index: int) -> bool:
    return work.clauses[index].joint in {"and", ",", "or", "nor", "plus", "as well as", "&", "/"}


def _copy(work: Draughts, index: int, other: int, mark: Mark) -> bool:
    drafts = [draft for draft in work.drafts if draft.clause == other]
    if not drafts:
        return False
    bound = drafts[0].bound
    chosen = _chosen(work, index, mark, relative=bound.relative)
    if not chosen.metrics:
        work.spoken.add(mark.start)
        work.ask(index, chosen.about or "meaning", chosen.question or "Which metric is meant?")
        return True
    metric = chosen.metrics[0]
    if not bound.relative and not (bound.value == 0 and zeroed(metric)):
        if choice.kind_of(metric) != choice.kind_of(drafts[0].metric):
            return False
    op = bounds.default_op(metric) if bound.relative and bound.value == 0 else bound.op
    work.spoken.add(mark.start)
    for metric in chosen.metrics:
        work.drafts.append(Draft(metric, bounds.Bound(op, bound.value, bound.relative), index, drafts[0].quantity, mark))
    return True
