"""The compiled routers: picked a million times a day, imported when held."""

import numpy as np

from twin.serving.batching import OUTSTANDING
from twin.serving.levers import Floats, Ints, router

# Each router picks among instances 0..count-1 with allowed != 0; see ROUTE_SIGNATURE for the arguments.


@router
def least_outstanding(  # noqa: PLR0913 - the signature is the lever's
    t: int, i: int, count: int, requests: Ints, instances: Ints, heap: Ints, load: Ints, allowed: Ints, score: Floats, memory: Ints
) -> int:
    """Take the instance with the fewest outstanding requests; ties go to the next one after the last pick.

    Without the rotation low load would pile on the first instance and heat it.
    """
    best = -1
    start = memory[0] + 1
    for step in range(count):
        place = (start + step) % count
        if allowed[place] != 0 and (best < 0 or load[OUTSTANDING, place] < load[OUTSTANDING, best]):
            best = place
    best = max(best, 0)
    memory[0] = best
    return best


@router
def round_robin(  # noqa: PLR0913 - the signature is the lever's
    t: int, i: int, count: int, requests: Ints, instances: Ints, heap: Ints, load: Ints, allowed: Ints, score: Floats, memory: Ints
) -> int:
    """Take the next allowed instance after the last pick."""
    place = 0
    for step in range(count):
        candidate = (memory[0] + 1 + step) % count
        if allowed[candidate] != 0:
            memory[0] = place = candidate
            break
    return place


@router
def power_of_two(  # noqa: PLR0913 - the signature is the lever's
    t: int, i: int, count: int, requests: Ints, instances: Ints, heap: Ints, load: Ints, allowed: Ints, score: Floats, memory: Ints
) -> int:
    """Draw two allowed instances and take the one with fewer outstanding requests.

    Draws are a hash (splitmix64) of the count of requests, so they depend on nothing outside ``memory``.
    """
    able = 0
    for place in range(count):
        if allowed[place] != 0:
            able += 1
    if able == 0:
        return 0
    memory[0] += 1
    mixed = np.uint64(memory[0]) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed = mixed ^ (mixed >> np.uint64(31))
    one = np.int64(mixed >> np.uint64(33)) % able
    two = np.int64(mixed & np.uint64(0x7FFFFFFF)) % max(able - 1, 1)
    if two >= one and able > 1:
        two += 1
    left, right, seen = -1, -1, 0
    for place in range(count):
        if allowed[place] != 0:
            if seen == one:
                left = place
            if seen == two:
                right = place
            seen += 1
    if load[OUTSTANDING, right] < load[OUTSTANDING, left]:
        return right
    return left
