# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, disallow-incomplete-defs=False
# ruff: noqa: PLR0913 - the signature is the lever's, and what compiled functions share is passed as plain arrays
"""Placement, compiled: the fullest worker on which constraints hold.

Constraints on putting a request on a worker (facts sheet, "Placement"; forms from memory of the paper):

* (a) prefills that wait there, this one included, end within the TTFT objective;
* (b) no running request that would meet its ATGT budget misses it because of this prefill and the slower iterations;
* (c) the iteration afterwards lasts no longer than gamma x the ATGT objective;
* (d) the KV cache stays below theta x its size whenever requests are predicted to end;
* (e) the batch limit.

(a), (c), (e) and the KV cache as it is cost a few operations a worker and sort out most. The fullest that are left are then
held against (b) and (d), which look at every running request. Of a request only its prompt and the tokens that it has are
looked at; how long it will be is predicted. Sums over a batch are of integers, so that they do not depend on the order in
which the engine keeps it, which is that of completion.
"""

from typing import Final

import numpy as np

from twin.serving.batching import (
    ARRIVE,
    BATCH,
    BEGAN,
    CONTEXT,
    DECODING,
    FIRST,
    FIRST_GAP,
    FOLLOWER,
    HEAD,
    NEXT,
    OUTPUT,
    OUTSTANDING,
    PHASE,
    PREFILL_COUNT,
    PREFILL_HEAD,
    PREFILL_TOKENS,
    PREFILLING,
    PROMPT,
    QUEUED,
    SLOPE,
    STEP,
    TILES,
    WAITING,
    compiled,
)
from twin.serving.levers import PLACED_FEASIBLE, PLACED_OVERFLOWS, PLACED_REASON, Floats, Ints, router

# Columns of the score, one row per worker. The first six are all that most workers are asked for, and share a cache line.
BATCH_SHARE: Final = 0  # 1 / batch limit
KV_SHARE: Final = 1  # 1 / (theta x KV tokens)
ERROR: Final = 2  # tokens by which its requests ran over what was predicted
SLOW_BASE: Final = 3  # terms of a decode iteration over gamma x the ATGT objective
SLOW_PER_REQUEST: Final = 4
SLOW_PER_TOKEN: Final = 5
# Times in ticks at its present speed.
TTFT: Final = 6  # objective
ATGT: Final = 7  # gamma x objective
PREFILL_BASE: Final = 8  # with the engine's overhead
PREFILL_PER_TOKEN: Final = 9
PREFILL_PER_SQUARE: Final = 10
WAITING_PER_TOKEN: Final = 11  # of prompts of usual length, attention included
SLACK: Final = 12  # 1 / gamma
SCHEDULERS: Final = 13
USUAL_PROMPT: Final = 14  # the endpoint's mean, tokens
USUAL_OUTPUT: Final = 15
BIN_TOKENS: Final = 16  # width of the bins in which predicted completions are counted
STALL_WEIGHT: Final = 17  # how many times it counts that a prefill holds up decoding
ENCODE_BASE: Final = 18  # ticks per request with images, where they are encoded before the prefill
ENCODE_PER_TILE: Final = 19
USUAL_ENCODE: Final = 20  # ticks, the endpoint's mean per request
TABLE: Final = 21  # predicted output by bucket of the prompt
BUCKETS: Final = 21
SCORE_COLUMNS: Final = TABLE + BUCKETS

# Places of the memory beside the two of the lever.
SPRAYED: Final = 0
PLACED: Final = 4
CANDIDATES: Final = 8
TRIES: Final = 3  # how many of the fullest are looked at closely
KEYS: Final = CANDIDATES + TRIES
ALIVE: Final = KEYS + TRIES
BINS: Final = 32
HELD: Final = ALIVE + BINS
# By worker, modulo their number: the place in its batch of the request that last stood in the way.
IN_THE_WAY: Final = HELD + BINS
WORKERS_KEPT: Final = 256
MEMORY: Final = IN_THE_WAY + WORKERS_KEPT

# Places of PLACEMENT_REASONS.
FULLEST: Final = 1
LEAST_LOADED: Final = 2
UNDER_RUNNING: Final = 4

BLOCK_TOKENS: Final = 16.0
_ID_MASK: Final = 0x7FFFFFFF
_KEY_SCALE: Final = 2.0**40
# What a close look finds.
_NO: Final = 0
_YES: Final = 1
_NO_FOR_ERROR: Final = 2


@compiled
def prompt_bucket(tokens):
    """Return the bucket of a prompt: its binary logarithm, read off the float's bits."""
    return min(max((np.float64(tokens).view(np.int64) >> 52) - 1023, 0), BUCKETS - 1)


@compiled
def _iterations_done(instances, r, t):
    """Return how many decode iterations of the running segment ended before ``t``."""
    if instances[r, PHASE] != DECODING:
        return 0
    first, slope, passed = instances[r, FIRST_GAP], instances[r, SLOPE], t - instances[r, BEGAN]
    if passed <= first:
        return 0
    half = np.float64(first) - 0.5 * np.float64(slope)
    k = int(2.0 * passed / (half + np.sqrt(half * half + 2.0 * np.float64(slope) * np.float64(passed))))
    while first * k + slope * (k * (k - 1) // 2) >= passed:
        k -= 1
    while first * (k + 1) + slope * ((k + 1) * k // 2) < passed:
        k += 1
    return k


@compiled
def _stall(t, n, r, requests, instances, load, score):
    """Return how long prefills will hold up worker ``r``, that of request ``n`` included; below zero: too long for (a)."""
    prompt, tiles = requests[n, PROMPT], requests[n, TILES]
    unread, stall = load[WAITING, r], score[r, USUAL_ENCODE] * instances[r, QUEUED]
    if instances[r, PHASE] == PREFILLING:
        stall += np.float64(instances[r, NEXT] - t)
        unread = max(unread - instances[r, PREFILL_TOKENS], 0)
    if tiles > 0:
        stall += score[r, ENCODE_BASE] + score[r, ENCODE_PER_TILE] * tiles
    stall += score[r, PREFILL_BASE] + score[r, WAITING_PER_TOKEN] * unread
    stall += score[r, PREFILL_PER_TOKEN] * prompt + score[r, PREFILL_PER_SQUARE] * np.float64(prompt) * np.float64(prompt)
    if stall > score[r, TTFT]:
        return -1.0
    if instances[r, QUEUED] > 0:
        # Whoever waits longest may get its first token together with this one; if it is late anyway it stands in nobody's way.
        waited = np.float64(t - requests[instances[r, HEAD], ARRIVE])
        if waited + stall > score[r, TTFT] and waited <= score[r, TTFT]:
            return -1.0
    return stall


@compiled
def _bears(stall, gap, atgt, t, r, requests, instances, score):
    """Return whether what is being prefilled on worker ``r`` can be held up right after its first token (b)."""
    held_up = (stall - np.float64(instances[r, NEXT] - t)) * score[r, STALL_WEIGHT]
    i = instances[r, PREFILL_HEAD]
    for _ in range(instances[r, PREFILL_COUNT]):
        left = score[r, TABLE + prompt_bucket(requests[i, PROMPT])] - 1.0
        if held_up + left * gap > left * atgt and left * gap <= left * atgt * score[r, SLACK]:
            return False
        i = requests[i, FOLLOWER]
    return True


@compiled
def _progress(key, step, r, requests, score):
    """Return how many tokens a running request has, and how many it is predicted to get still."""
    i = key & _ID_MASK
    given = abs(requests[i, OUTPUT]) - ((key >> 31) - step)
    return given, np.int64(score[r, TABLE + prompt_bucket(requests[i, PROMPT])]) - given


@compiled
def _misses(t, key, given, left, stall, gap, gap_now, r, requests, score):
    """Return whether a running request would miss its budget (b), which is what its tokens may take together.

    One that misses its objective anyway stands in nobody's way.
    """
    spent = np.float64(t - requests[key & _ID_MASK, FIRST])
    budget = score[r, ATGT] * (given + left - 1)
    return spent + stall + left * gap > budget and spent + left * gap_now <= budget * score[r, SLACK]


@compiled
def _close_look(t, n, reads, r, requests, instances, heap, load, score, memory):
    """Return whether request ``n`` can go to worker ``r``; ``reads`` is 1 where it is prefilled there."""
    batch, prompt = instances[r, BATCH], requests[n, PROMPT]
    waiting = load[OUTSTANDING, r] - batch
    done = _iterations_done(instances, r, t)
    context = instances[r, CONTEXT] + done * batch
    # What waits brings its prompt; where it was read elsewhere the engine does not say how long it is.
    coming = max(load[WAITING, r], np.int64(waiting * score[r, USUAL_PROMPT])) if reads == 0 else load[WAITING, r]
    after = batch + waiting + 1
    stall = _stall(t, n, r, requests, instances, load, score) if reads == 1 else 0.0
    error, per_token = score[r, ERROR], score[r, SLOW_PER_TOKEN]
    plain = score[r, SLOW_BASE] + score[r, SLOW_PER_REQUEST] * after + per_token * (context + coming + prompt)
    slow = plain + per_token * error
    if stall < 0.0 or after * score[r, BATCH_SHARE] > 1.0 + 1e-9 or min(plain, slow) > 1.0:
        return _NO
    atgt = score[r, ATGT]
    gap = slow * atgt
    gap_now = (score[r, SLOW_BASE] + score[r, SLOW_PER_REQUEST] * batch + per_token * context) * atgt
    if reads == 1:
        if instances[r, PHASE] == PREFILLING and not _bears(stall, gap, atgt, t, r, requests, instances, score):
            return _NO
        stall *= score[r, STALL_WEIGHT]
    width = np.int64(score[r, BIN_TOKENS])
    step, last = instances[r, STEP] + done, IN_THE_WAY + r % WORKERS_KEPT
    # Who stood in the way of the last request mostly does so again, which saves looking at all others.
    if memory[last] < batch:
        given, left = _progress(heap[r, memory[last]], step, r, requests, score)
        if _misses(t, heap[r, memory[last]], given, max(left, 1), stall, gap, gap_now, r, requests, score):
            return _NO
    for j in range(2 * BINS):
        memory[ALIVE + j] = 0
    over = np.int64(0)
    for j in range(batch):
        key = heap[r, j]
        given, left = _progress(key, step, r, requests, score)
        if left < 1:
            over -= left
            left = 1
        if _misses(t, key, given, left, stall, gap, gap_now, r, requests, score):
            memory[last] = j
            return _NO
        place = min(left // width, BINS - 1)
        memory[ALIVE + place] += 1
        memory[HELD + place] += requests[key & _ID_MASK, PROMPT] + given
    _expect(memory, waiting, coming, np.int64(score[r, USUAL_OUTPUT]) // width)
    _expect(memory, 1, prompt, np.int64(score[r, TABLE + prompt_bucket(prompt)]) // width)
    kept = (_peak(memory, width) + BLOCK_TOKENS * after + over) * score[r, KV_SHARE]
    if slow <= 1.0 and kept + error * score[r, KV_SHARE] <= 1.0:
        return _YES
    return _NO_FOR_ERROR if plain <= 1.0 and kept <= 1.0 else _NO


@compiled
def _expect(memory, count, tokens, place):
    """Count requests that are not running yet among the predicted completions."""
    place = min(place, BINS - 1)
    memory[ALIVE + place] += count
    memory[HELD + place] += tokens


@compiled
def _peak(memory, width):
    """Return the most tokens held at once, if each bin's requests all stay to its end."""
    alive, held, peak = np.int64(0), np.int64(0), np.int64(0)
    for back in range(BINS):
        place = BINS - 1 - back
        alive += memory[ALIVE + place]
        held += memory[HELD + place]
        peak = max(peak, held + alive * (place + 1) * width)
    return peak


@compiled
def _scan(prompt, reads, low, stride, count, instances, load, allowed, score, memory):
    """Put the fullest workers that pass the cheap constraints into memory.

    Return how many pass, the emptiest of them, and the least loaded worker of all.
    """
    for j in range(TRIES):
        memory[CANDIDATES + j] = memory[KEYS + j] = -1
    passing, emptiest, least, bar = 0, -1, -1, 0.0
    lowest, lightest = np.inf, np.inf
    for r in range(low, count, stride):
        if allowed[r] == 0:
            continue
        outstanding = load[OUTSTANDING, r]
        after, tokens = np.float64(outstanding + 1), prompt + score[r, ERROR]
        if outstanding > 0:
            tokens += np.float64(load[WAITING, r] + instances[r, CONTEXT])
            if reads == 0:
                tokens += (outstanding - instances[r, BATCH]) * score[r, USUAL_PROMPT]
        slow = score[r, SLOW_BASE] + score[r, SLOW_PER_REQUEST] * after + score[r, SLOW_PER_TOKEN] * tokens
        full, kept = after * score[r, BATCH_SHARE], (tokens + BLOCK_TOKENS * after) * score[r, KV_SHARE]
        norm = full * full + kept * kept + slow * slow
        if norm < lightest:
            lightest, least = norm, r
        if full > 1.0 + 1e-9 or kept > 1.0 or slow > 1.0:
            continue
        # Half of what waits may be in a prefill that is about to end; the close look knows.
        if reads == 1 and load[WAITING, r] > 0 and 0.5 * score[r, WAITING_PER_TOKEN] * load[WAITING, r] > score[r, TTFT]:
            continue
        passing += 1
        if norm < lowest:
            lowest, emptiest = norm, r
        if norm >= bar:
            bar = _keep(memory, np.int64(norm * _KEY_SCALE), r)
    return passing, emptiest, least


@compiled
def _keep(memory, key, r):
    """Put a worker in line by its key, behind equal ones; return the norm from which on another one gets in."""
    j = TRIES - 1
    while j > 0 and memory[KEYS + j - 1] < key:
        memory[KEYS + j] = memory[KEYS + j - 1]
        memory[CANDIDATES + j] = memory[CANDIDATES + j - 1]
        j -= 1
    memory[KEYS + j] = key
    memory[CANDIDATES + j] = r
    return (memory[KEYS + TRIES - 1] + 1) / _KEY_SCALE


@compiled
def _place(t, i, reads, low, stride, count, requests, instances, heap, load, allowed, score, memory):
    """Return the fullest worker of a group that holds the request, or minus one and the least loaded one."""
    prompt = requests[i, PROMPT]
    passing, emptiest, least = _scan(prompt, reads, low, stride, count, instances, load, allowed, score, memory)
    steered = False
    for j in range(min(passing, TRIES + 1)):
        r = emptiest if j == TRIES else memory[CANDIDATES + j]
        found = _close_look(t, i, reads, r, requests, instances, heap, load, score, memory)
        if found == _YES:
            memory[PLACED_FEASIBLE] = passing
            memory[PLACED_REASON] = UNDER_RUNNING if steered else FULLEST
            return r, least
        steered = steered or found == _NO_FOR_ERROR
    return -1, least


@compiled
def _choose(t, i, reads, count, requests, instances, heap, load, allowed, score, memory):
    """Place a request: in its scheduler's group, else anywhere, else where the load is least."""
    memory[PLACED] += 1
    groups = max(int(score[0, SCHEDULERS]), 1)
    if groups > 1:
        memory[SPRAYED] = (memory[SPRAYED] + 1) % groups
        chosen, least = _place(t, i, reads, memory[SPRAYED], groups, count, requests, instances, heap, load, allowed, score, memory)
        if chosen >= 0:
            return chosen
    chosen, least = _place(t, i, reads, 0, 1, count, requests, instances, heap, load, allowed, score, memory)
    if chosen >= 0:
        return chosen
    memory[PLACED_OVERFLOWS] += 1
    memory[PLACED_FEASIBLE] = 0
    memory[PLACED_REASON] = LEAST_LOADED
    return max(least, 0)


@router
def best_fit(
    t: int, i: int, count: int, requests: Ints, instances: Ints, heap: Ints, load: Ints, allowed: Ints, score: Floats, memory: Ints
) -> int:
    """Take the fullest worker on which the constraints hold; none: the least loaded, counted in ``memory[PLACED_OVERFLOWS]``."""
    return int(_choose(t, i, 1, count, requests, instances, heap, load, allowed, score, memory))


@router
def best_fit_decode(
    t: int, i: int, count: int, requests: Ints, instances: Ints, heap: Ints, load: Ints, allowed: Ints, score: Floats, memory: Ints
) -> int:
    """Do so where nothing is prefilled any more: constraints (b) to (e)."""
    return int(_choose(t, i, 0, count, requests, instances, heap, load, allowed, score, memory))
