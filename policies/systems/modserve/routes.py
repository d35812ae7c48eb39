"""The compiled router of the text pools; imported when held."""

from twin.serving.batching import OUTSTANDING, WAITING
from twin.serving.levers import PLACED_FEASIBLE, PLACED_REASON, Floats, Ints, router

# The last pick, and the place in PLACEMENT_REASONS of what it went by.
_LAST = 0
_FEWEST_TOKENS = 3


@router
def fewest_tokens(  # noqa: PLR0913 - the signature is the lever's
    t: int, i: int, count: int, requests: Ints, instances: Ints, heap: Ints, load: Ints, allowed: Ints, score: Floats, memory: Ints
) -> int:
    """Take the instance with the fewest pending prompt tokens, in the time that it needs for them.

    ``score[:, 0]`` is that time per token. Among equals (mostly those where nothing waits) it is the one with the fewest
    requests, and the next one after the last pick. Prompt tokens are the language model's, so image tokens count where
    they enter its sequence and not where they are attended to across.
    """
    best = -1
    able = 0
    waiting_s = 0.0
    # What another router left in memory may be anything.
    place = max(memory[_LAST], -1)
    for _ in range(count):
        place += 1
        if place >= count:
            place = 0
        if allowed[place] == 0:
            continue
        able += 1
        pending_s = load[WAITING, place] * score[place, 0]
        if best < 0 or pending_s < waiting_s or (pending_s == waiting_s and load[OUTSTANDING, place] < load[OUTSTANDING, best]):
            best = place
            waiting_s = pending_s
    best = max(best, 0)
    memory[_LAST] = best
    memory[PLACED_FEASIBLE] = able
    memory[PLACED_REASON] = _FEWEST_TOKENS
    return best
