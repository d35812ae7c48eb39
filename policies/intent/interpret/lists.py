"""Bare metrics in a list take the bound of their neighbour."""

import re

from policies.intent.interpret import bounds, choice
from policies.intent.interpret.aims import meant
from policies.intent.interpret.canon import Mark
from policies.intent.interpret.drafts import Draft, Draughts, zeroed
from policies.intent.interpret.words import word_list


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
    return set(re.findall(r"[a-z]+", others)) <= word_list("list")


def _listed(work: Draughts, index: int) -> bool:
    return work.clauses[index].joint in {"and", ",", "or", "nor", "plus", "as well as", "&", "/"}


def _copy(work: Draughts, index: int, other: int, mark: Mark) -> bool:
    drafts = [draft for draft in work.drafts if draft.clause == other]
    if not drafts:
        return False
    bound = drafts[0].bound
    chosen = meant(work, index, mark, relative=bound.relative)
    if not chosen.metrics:
        work.spoken.add(mark.start)
        work.ask(index, chosen.about or "meaning", chosen.question or "Which metric is meant?")
        return True
    metric = chosen.metrics[0]
    alike = choice.kind_of(metric) == choice.kind_of(drafts[0].metric)
    if not bound.relative and not (bound.value == 0 and zeroed(metric)) and not alike:
        return False
    op = bounds.default_op(metric) if bound.relative and bound.value == 0 else bound.op
    work.spoken.add(mark.start)
    for metric in chosen.metrics:
        work.drafts.append(Draft(metric, bounds.Bound(op, bound.value, bound.relative), index, drafts[0].quantity, mark))
    return True
