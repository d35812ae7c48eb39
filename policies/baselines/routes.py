"""The compiled routers: picked a million times a day, imported when held."""

import numpy as np
from numba import njit

from twin.serving.levers import ROUTE_SIGNATURE, Floats, Ints

# Each router picks among instances first..first+count-1 with allowed != 0; see ROUTE_SIGNATURE for the arguments.


@njit(ROUTE_SIGNATURE, cache=True)
def least_outstanding(  # noqa: PLR0913 - the signature is the lever's
    first: int, count: int, prompt_tokens: int, output_tokens: int, outstanding: Ints, pending_tokens: Ints,
    allowed: Ints, score: Floats, memory: Ints,
) -> int:  # fmt: skip
    """Take the instance with the fewest outstanding requests; ties go to the next one after the last pick.

    Without the rotation low load would pile on the first instance and heat it.
    """
    best = -1
    start = memory[0] + 1
    for step in range(count):
        offset = (start + step) % count
        place = first + offset
        if allowed[place] != 0 and (best < 0 or outstanding[place] < outstanding[best]):
            best = place
    if best < 0:
        best = first
    memory[0] = best - first
    return best


@njit(ROUTE_SIGNATURE, cache=True)
def round_robin(  # noqa: PLR0913 - the signature is the lever's
    first: int, count: int, prompt_tokens: int, output_tokens: int, outstanding: Ints, pending_tokens: Ints,
    allowed: Ints, score: Floats, memory: Ints,
) -> int:  # fmt: skip
    """Take the next allowed instance after the last pick."""
    place = first
    for step in range(count):
        offset = (memory[0] + 1 + step) % count
        if allowed[first + offset] != 0:
            memory[0] = offset
            place = first + offset
            break
    return place


@njit(ROUTE_SIGNATURE, cache=True)
def power_of_two(  # noqa: PLR0913 - the signature is the lever's
    first: int, count: int, prompt_tokens: int, output_tokens: int, outstanding: Ints, pending_tokens: Ints,
    allowed: Ints, score: Floats, memory: Ints,
) -> int:  # fmt: skip
    """Draw two allowed instances and take the one with fewer outstanding requests.

    Draws are a hash (splitmix64) of the count of requests, so they depend on nothing outside ``memory``.
    """
    able = 0
    for offset in range(count):
        if allowed[first + offset] != 0:
            able += 1
    if able == 0:
        return first
    memory[0] += 1
    mixed = np.uint64(memory[0]) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(first)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed = mixed ^ (mixed >> np.uint64(31))
    one = np.int64(mixed >> np.uint64(33)) % able
    two = np.int64(mixed & np.uint64(0x7FFFFFFF)) % max(able - 1, 1)
    if two >= one and able > 1:
        two += 1
    left, right, seen = -1, -1, 0
    for offset in range(count):
        if allowed[first + offset] != 0:
            if seen == one:
                left = first + offset
            if seen == two:
                right = first + offset
            seen += 1
    if outstanding[right] < outstanding[left]:
        return right
    return left
