"""Where and when: lifted to the intent, or left on a clause."""

from policies.intent.interpret import windows
from policies.intent.interpret.drafts import Draft, Draughts
from policies.intent.model import WindowSpec
from policies.policy import ScopeSpec
from twin.metrics import METRICS


def broken(draft: Draft, index: int, place: bool, time: bool, work: Draughts) -> bool:
    """Return whether an unknown place or time leaves a draft without what it was to hold over."""
    alone = sum(bool(clause.scopes if place else clause.windows) for clause in work.clauses) == 1
    own = work.clauses[draft.clause].scopes if place else work.clauses[draft.clause].windows
    if draft.clause == index:
        return True
    if own or not alone:
        return False
    if time:
        return (
            work.clauses[draft.clause].sentence == work.clauses[index].sentence
            and draft.concept is not None
            and draft.concept.start < work.clauses[index].start
            and False
        )
    kinds = {kind for mark in work.clauses[index].scopes for kind in mark.value.kinds}
    return bool(kinds & set(METRICS[draft.metric].scopes)) and work.clauses[draft.clause].sentence == work.clauses[index].sentence


def places(work: Draughts) -> tuple[dict[int, tuple[ScopeSpec, ...]], dict[int, str]]:
    """Return the places of each clause, and the clauses whose place is unknown or ambiguous."""
    specs: dict[int, tuple[ScopeSpec, ...]] = {}
    problems: dict[int, str] = {}
    for index, clause in enumerate(work.clauses):
        for mark in clause.scopes:
            if mark.value.problem and not any(taken.start <= mark.start < taken.end for taken in work.board.ordered("taken")):
                problems[index] = mark.value.problem
                work.ask(index, "scope", mark.value.problem, mark)
        # The place of an act that is refused is not where the rest is to hold.
        acted = [
            mark
            for mark in clause.scopes
            if work.drafts and any(taken.start <= mark.start < taken.end for taken in work.board.ordered("taken"))
        ]
        known = tuple(dict.fromkeys(spec for mark in clause.scopes if mark not in acted for spec in mark.value.specs))
        if known:
            specs[index] = known
    return specs, problems


def times_of(work: Draughts) -> tuple[dict[int, WindowSpec], dict[int, str]]:
    """Return the window of each clause, and the clauses whose window is unknown or more than one."""
    times: dict[int, WindowSpec] = {}
    problems: dict[int, str] = {}
    for index, clause in enumerate(work.clauses):
        values = [mark.value for mark in clause.windows]
        open_ = [value for value in values if isinstance(value, str)]
        merged = windows.merge([value for value in values if isinstance(value, WindowSpec)]) if values and not open_ else None
        if open_ or (values and merged is None):
            problems[index] = open_[0] if open_ else "One window at a time: which of them is meant?"
            work.ask(index, "window", problems[index], clause.windows[0])
        elif merged is not None:
            times[index] = merged
    return times, problems


def lift(
    specs: dict[int, tuple[ScopeSpec, ...]], drafts: list[Draft], work: Draughts
) -> tuple[tuple[ScopeSpec, ...], dict[int, tuple[ScopeSpec, ...]]]:
    """Return the intent's scope and each clause's own: one that is named once stands on the intent."""
    bound = {index for index in specs if any(draft.clause == index for draft in drafts)}
    distinct = {frozenset(specs[index]) for index in bound}
    loose = [spec for index, places in specs.items() if index not in bound for spec in places]
    if len(distinct) <= 1:
        named = [spec for index in specs if index in bound for spec in specs[index]]
        if not named or not loose or set(loose) <= set(named):
            return tuple(dict.fromkeys([*named, *loose])), {}
        if not {spec.kind for spec in loose} & {spec.kind for spec in named}:
            return tuple(dict.fromkeys([*loose, *named])), {}
    return tuple(dict.fromkeys(loose)), {index: specs[index] for index in bound}


def lift_windows(times: dict[int, WindowSpec], drafts: list[Draft], work: Draughts) -> tuple[WindowSpec | None, dict[int, WindowSpec]]:
    """Return the intent's window and each clause's own: one that is named once stands on the intent."""
    bound = {index for index in times if any(draft.clause == index for draft in drafts)}
    values = list(dict.fromkeys(times[index] for index in bound))
    loose = [times[index] for index in times if index not in bound]
    if len(values) <= 1 and len(loose) <= 1:
        if values and loose and values[0] != loose[0]:
            merged = windows.merge([values[0], loose[0]])
            if merged is not None:
                return merged, {}
            return loose[0], {index: times[index] for index in bound}
        only = values or loose
        return (only[0] if only else None), {}
    return (loose[0] if loose else None), {index: times[index] for index in bound}
