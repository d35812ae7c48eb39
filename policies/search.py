"""Bisection over answers that may be dear and not quite monotone."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fewest:
    """The least index that holds together with the next one, None where there is none; ``asked`` in the order of asking.

    ``exact`` is False where the budget ended before the neighbours were known.
    """

    index: int | None
    asked: tuple[int, ...]
    exact: bool


def fewest(
    holds: Callable[[int], bool],
    count: int,
    budget: int,
    guess: int | None = None,
    hopeless: Callable[[int], bool] = lambda index: False,
) -> Fewest:
    """Find the least of ``count`` indices at which something holds, asking ``budget`` times at most.

    One that holds alone, with a failure right above it, is luck and does not count. The search goes out from ``guess`` in
    doubling steps, or halves the whole range. ``hopeless`` ends it early: it is asked of the failures.

    >>> fewest(lambda size: size >= 9, 64, budget=20, guess=8)
    Fewest(index=9, asked=(8, 9, 10), exact=True)
    """
    known: dict[int, bool] = {}
    while True:
        asked, found = next_index(known, count, guess)
        if asked is None or len(known) >= budget:
            return Fewest(found, tuple(known), asked is None)
        known[asked] = holds(asked)
        if not known[asked] and hopeless(asked):
            return Fewest(None, tuple(known), True)


def next_index(known: Mapping[int, bool], count: int, guess: int | None) -> tuple[int | None, int | None]:
    """Return what to ask next, None when nothing is open, and the best index so far."""
    able = [index for index, held in known.items() if held and known.get(index + 1, True)]
    fails = [index for index, held in known.items() if not held]
    if not able:
        highest = max(fails, default=-1)
        return _upwards(highest, count, guess), None
    best = min(able)
    below = max((index for index in fails if index < best), default=-1)
    if best - below > 1:
        step = 1 + abs(guess - best) if guess is not None and below < 0 else 0
        return (max(best - step, 0) if step else (below + best) // 2), best
    if best + 1 < count and best + 1 not in known:
        return best + 1, best
    return None, best


def _upwards(highest: int, count: int, guess: int | None) -> int | None:
    """Return where to go when nothing is known to hold, None at the end."""
    if highest >= count - 1:
        return None
    if guess is None:
        return (highest + count) // 2
    if highest < 0:
        return min(max(guess, 0), count - 1)
    return min(highest + 1 + abs(highest - guess), count - 1)
