# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, disallow-incomplete-defs=False
"""Continuous batching, every iteration counted, at a cost per request.

Semantics (a plain stepper in the tests gives the same ticks):

* Iterations follow one another. At each boundary the queue is looked at in order: requests are admitted while the batch
  limit, the prompt tokens of one iteration and the KV cache allow. What an iteration does then depends on the scheduler:

  - `prefill_first`: if any was admitted, a prefill of all of them, while the running batch stalls; else a decode of the whole
    batch, one token each. A prompt over the token limit goes alone.
  - `shared`: the running batch decodes one token beside the prefill. The iteration takes the sum of both times, and the batch
    counts against the token limit.
  - `chunked`: as `shared`, but the token limit is never passed: the last prompt is cut where it is reached. The cut request
    stays at the head of the queue with its progress and holds its blocks and its place in the batch.

* The KV cache is kept in blocks. With `paged` a request of context c (prompt and tokens so far) holds ceil(c / block) of them;
  it is admitted if the blocks of its next token, beside those that everybody has, leave a hundredth of all blocks free (not
  asked for when the instance is otherwise empty). Where the next iteration of the running batch does not fit, the cut request
  loses its progress, then the request that was admitted last is preempted, and so on: its tokens so far become prompt, it goes
  to the head of the queue, and its gap between tokens goes on. Without `paged` all blocks of prompt and output are reserved at
  admission.
* A request whose OUTPUT is below zero comes with its keys and values and its first token: at the head of the queue it joins
  the batch at a boundary, without a prefill, if it fits. Preempted or lost it needs a prefill like any other.
* At an instance with HANDOVER a request with more than one token leaves after its prefill, its first token given.
* A prefill that admits requests with tiles encodes their images first. Whoever is prefilled anew is encoded anew.
* Attention costs the sum of the squared prompt lengths (of a chunk: the square up to its end less that up to its begin),
  because requests do not attend to each other. Some simulators charge the square of the sum instead; `WHOLE_BATCH` does as
  they do, for comparisons.
* An arrival at time t is seen by every boundary at or after t; the router sees completions strictly before t. Lost requests
  go first at their tick, then arrivals by time, at ties those known from the start before injected ones.
* An iteration keeps the speed at which it started. A blocked queue head waits for a completion: blocks in use only grow until
  then, and what a preemption frees goes to those that still run.
* A request larger than the KV cache of the endpoint's smallest instance is rejected.
* Between two events (completion, admissible arrival, preemption, end of the window) decode iterations are not stepped: k of
  them at batch B and context sum S take k (d0 + d1 B + d2 S) + d2 B k (k - 1) / 2, and the number up to an arrival is the root
  of that quadratic, fixed up by one step in integers. How many of them fit follows from counters of the contexts by residue.

Time is int64 ticks of 10 ps, so that ties are ties. All state lies in a few plain 2-D arrays that are passed as arguments:
arrays inside tuples or records cost a reference count at every access, and row views another. Everything the kernel calls
is in this file, because numba's disk cache only watches the file of the compiled function.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Final

import numba
import numpy as np
from numba import types
from numba.core.types.function_type import CompileResultWAP

TICKS_PER_S: Final = 10**11
FOREVER: Final = 2**62

# Columns of `requests`, int64, one row per request: those known from the start in the order of arrival, then injected ones.
# PROMPT and OUTPUT are what is still to be done: a request that lost its instance carries the tokens it already has as prompt.
# OUTPUT below zero: keys, values and first token come along.
ARRIVE: Final = 0
PROMPT: Final = 1
OUTPUT: Final = 2
FOLLOWER: Final = 3  # next in its queue
FIRST: Final = 4  # first token, FOREVER before
FINISH: Final = 5  # last token here (or rejection), FOREVER before
LAST: Final = 6  # latest token before the current stint of decoding
PLACE: Final = 7  # instance, or one of the two below
UNPLACED: Final = -1
REJECTED: Final = -2
ADMITTED: Final = 8  # first admission, FOREVER before
ENCODE: Final = 9  # encode ticks of the iteration that it was admitted in for its first token; 0 without images
TILES: Final = 10  # image tiles to encode before a prefill
TURN: Final = 11  # number of its latest admission at its instance
REQUEST_COLUMNS: Final = 12

# Columns of `instances`, int64.
BEGAN: Final = 0  # boundary at which the current segment or prefill began
NEXT: Final = 1  # its end: the next event
FIRST_GAP: Final = 2  # length of the first decode iteration of the segment
SLOPE: Final = 3  # by how much each following one is longer
LEFT: Final = 4  # iterations left in the segment
BATCH: Final = 5
CONTEXT: Final = 6  # context tokens of the batch
STEP: Final = 7  # decode iterations done so far
KV: Final = 8  # blocks in use at the last window edge; `kv_at` tells it for any moment
HEAD: Final = 9
TAIL: Final = 10
QUEUED: Final = 11  # with the cut request
PHASE: Final = 12
PREFILL_HEAD: Final = 13
PREFILL_COUNT: Final = 14  # requests whose prefill ends with the iteration
PREFILL_TOKENS: Final = 15
STALLS: Final = 16  # groups of requests whose last token was not in the preceding decode iteration
LIVE: Final = 17  # 1 while it may run iterations
DECODE_BASE: Final = 18
DECODE_PER_REQUEST: Final = 19
DECODE_PER_TOKEN: Final = 20
MAX_BATCH: Final = 21
KV_LIMIT: Final = 22  # blocks
QUEUE_SINCE: Final = 23
EMPTY_SINCE: Final = 24  # when the last outstanding request left
REPLAN: Final = 25  # speed or limits changed: the running iteration is the last of its segment
HELD: Final = 26  # blocks held by prefills and the cut request, and all reserved ones
PROGRESS: Final = 27  # prompt tokens of the cut request that are done
CHUNK: Final = 28  # and those being done in this iteration
ADMISSIONS: Final = 29
HANDOVER: Final = 30  # 1 where requests leave after their prefill
GROWN: Final = 31  # whole blocks in the sum of (context - step) of the growing batch
BLOCK_SHIFT: Final = 32  # a block has 2 ** BLOCK_SHIFT tokens
RESIDUES: Final = 33  # from here on: requests of the growing batch by (context - step) modulo the block size
INSTANCE_COLUMNS: Final = 33  # and one more for each token of a block

IDLE: Final = 0
DECODING: Final = 1
PREFILLING: Final = 2
WAKING: Final = 3

# Columns of `prefill`, float64: ticks at the present speed, without overhead.
PREFILL_FLOOR: Final = 0
PREFILL_BASE: Final = 1
PREFILL_LINEAR: Final = 2
PREFILL_SQUARE: Final = 3
ENCODE_BASE: Final = 4  # per request with images
ENCODE_PER_TILE: Final = 5
PREFILL_COLUMNS: Final = 6

# Columns of `done`, int64: what an instance did since the caller last cleared it; times in ticks, cut at window edges.
PREFILL_TIME: Final = 0  # with encoding
DECODE_TIME: Final = 1
PROMPT_TOKENS: Final = 2
OUTPUT_TOKENS: Final = 3
ITERATIONS: Final = 4
PREFILLS: Final = 5
BATCH_TIME: Final = 6  # integral of the batch over decode time
QUEUE_TIME: Final = 7  # integral of the queue over time
QUEUE_MAX: Final = 8
KV_MAX: Final = 9  # blocks
ARRIVALS: Final = 10
ENCODE_TIME: Final = 11  # counted whole when the iteration begins
PREEMPTIONS: Final = 12
DECODED_TOKENS: Final = 13  # of decode iterations alone
DECODED_CONTEXT: Final = 14  # context tokens of the batch, summed over them
PREFILL_SQUARES: Final = 15  # squared prompt tokens that attention is charged for, counted whole when the iteration begins
DONE_COLUMNS: Final = 16

# `limits`: what holds for the whole endpoint; `cursor`: where the kernel is.
PREFILL_LIMIT: Final = 0
SMALLEST_KV: Final = 1  # tokens
OVERHEAD: Final = 2
SCHEDULER: Final = 3
WHOLE_BATCH: Final = 4  # 1 where attention is charged on the square of an iteration's prompt tokens together
PAGED: Final = 5
PRELOADED: Final = 6  # requests known from the start
PREFILL_FIRST: Final = 0
SHARED: Final = 1
CHUNKED: Final = 2
NEXT_ARRIVAL: Final = 0
MISROUTED: Final = 1
NEXT_INJECTED: Final = 2  # in `coming`, the injected requests by time
INJECTED_ARRIVALS: Final = 3
NOW: Final = 4
CURSOR_PLACES: Final = 5

# Rows of `load`, int64: what is at each instance. WAITING are the prompt tokens of its requests that are not prefilled yet.
OUTSTANDING: Final = 0
WAITING: Final = 1
LOAD_ROWS: Final = 2

# A compiled router picks among the instances 0..count-1 of one engine one with allowed != 0:
# route(t, i, count, requests, instances, heap, load, allowed, score, memory) -> instance. ``t`` is the tick, ``i`` the row of
# the request in ``requests``; these and ``instances``, ``heap`` and ``load`` are the engine's own arrays, to be read only, and
# of ``requests`` only what has happened: OUTPUT is the future. ``allowed`` is what is on and passes the guards (if the guards
# leave none, all that are on; if none is on, all), ``score`` what ``refresh`` gave, one row per instance, ``memory`` integers
# of the engine that the router may keep between requests.
_TABLE: Final = types.int64[:, ::1]
ROUTE_SIGNATURE: Final = types.int64(
    types.int64, types.int64, types.int64, _TABLE, _TABLE, _TABLE, _TABLE, types.uint8[::1], types.float64[:, ::1], types.int64[::1]
)
ROUTE_TYPE: Final = types.FunctionType(ROUTE_SIGNATURE)
ROUTE_MEMORY: Final = 8

# Columns of `stalls`, int64: in the first half since when each stalled group waits for its next token, in the second how many
# they are. There are at most two groups more than requests in the batch.

# Gaps between tokens are counted in 32 logarithmic bins an octave, read off the float's bits (at most 3.1 % wide).
_BIN_SHIFT: Final = 47
_BIN_OFFSET: Final = (1023 + 23) << 5  # the first bin begins at 2^23 ticks, 84 microseconds
GAP_BINS: Final = 24 * 32


def gap_edges() -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the lower edges of the gap bins and the upper edge of the last, in ticks, shape GAP_BINS + 1."""
    bits = (_BIN_OFFSET + np.arange(GAP_BINS + 1, dtype=np.int64)) << _BIN_SHIFT
    return bits.view(np.float64).astype(np.int64)


_EDGES: Final = gap_edges()

# Nothing here makes an array or keeps one, so references to the arguments need no counting; the counting would take as long
# as the rest. Numba's name for that is its own (an unknown name would be refused).
_OPTIONS: Final[dict[str, bool]] = {"cache": True, "_nrt": False}
_njit: Any = numba.njit
# What routers may use for their own parts; and what is called from compiled code only, so without the ways in from elsewhere,
# which take as long to compile.
compiled: Any = _njit(**_OPTIONS)
_compiled: Any = _njit(**_OPTIONS, no_cpython_wrapper=True, no_cfunc_wrapper=True)


@compiled
def gap_bin(gap):
    """Return the bin of a gap in ticks; what lies outside counts in the first or last bin."""
    return min(max((np.float64(gap).view(np.int64) >> _BIN_SHIFT) - _BIN_OFFSET, 0), GAP_BINS - 1)


@_compiled
def _count_gaps(gaps, first, slope, count, weight):
    """Count the gaps first, first + slope, …: ``count`` of them, each ``weight`` times."""
    low = gap_bin(first)
    high = gap_bin(first + slope * (count - 1))
    j = 0
    while low < high:
        reached = (_EDGES[low + 1] - first + slope - 1) // slope
        gaps[low] += (reached - j) * weight
        j = reached
        low = gap_bin(first + slope * j)
    gaps[high] += (count - j) * weight


@_compiled
def _heap_push(heap, r, size, key):
    i = size
    while i > 0:
        parent = (i - 1) >> 1
        if heap[r, parent] <= key:
            break
        heap[r, i] = heap[r, parent]
        i = parent
    heap[r, i] = key


@_compiled
def _heap_pop(heap, r, size):
    size -= 1
    key = heap[r, size]
    i = 0
    while True:
        child = 2 * i + 1
        if child >= size:
            break
        if child + 1 < size and heap[r, child + 1] < heap[r, child]:
            child += 1
        if heap[r, child] >= key:
            break
        heap[r, i] = heap[r, child]
        i = child
    heap[r, i] = key


@_compiled
def _heap_remove(heap, r, size, place):
    """Take out the key at a place of the heap."""
    size -= 1
    if place == size:
        return
    key = heap[r, size]
    i = place
    while i > 0:
        parent = (i - 1) >> 1
        if heap[r, parent] <= key:
            break
        heap[r, i] = heap[r, parent]
        i = parent
    while True:
        child = 2 * i + 1
        if child >= size:
            break
        if child + 1 < size and heap[r, child + 1] < heap[r, child]:
            child += 1
        if heap[r, child] >= key:
            break
        heap[r, i] = heap[r, child]
        i = child
    heap[r, i] = key


@_compiled
def _iterations_until(first, slope, ticks):
    """Return the smallest k >= 1 whose k iterations take at least ``ticks``."""
    half = np.float64(first) - 0.5 * np.float64(slope)
    k = int(2.0 * ticks / (half + np.sqrt(half * half + 2.0 * np.float64(slope) * np.float64(ticks))))
    if k < 1:
        k = 1
    while first * k + slope * (k * (k - 1) // 2) < ticks:
        k += 1
    while k > 1 and first * (k - 1) + slope * ((k - 1) * (k - 2) // 2) >= ticks:
        k -= 1
    return k


@compiled
def steps_at(instances, r, t):
    """Return the whole decode iterations of the running segment that end strictly before tick ``t``; for routers too."""
    if instances[r, PHASE] != DECODING or t <= instances[r, BEGAN]:
        return 0
    k = _iterations_until(instances[r, FIRST_GAP], instances[r, SLOPE], t - instances[r, BEGAN]) - 1
    return min(k, instances[r, LEFT] - 1)


@compiled
def kv_at(instances, r, t):
    """Return the KV blocks in use at tick ``t``; for routers too."""
    return instances[r, HELD] + _grown(instances, r, instances[r, STEP] + steps_at(instances, r, t))


@compiled
def context_at(instances, r, t):
    """Return the context tokens of the running batch at tick ``t``; for routers too."""
    return instances[r, CONTEXT] + steps_at(instances, r, t) * instances[r, BATCH]


@_compiled
def _grown(instances, r, step):
    """Return the blocks of the growing batch in the iteration that begins at a decode step; 0 where all are reserved.

    The sum of ceil((offset + step) / size) over offsets kept as whole blocks and residues.
    """
    shift = instances[r, BLOCK_SHIFT]
    up = (1 << shift) - 1
    blocks = instances[r, GROWN]
    residue = 0
    while residue <= up:
        count = instances[r, RESIDUES + residue]
        if count > 0:
            blocks += count * ((step + residue + up) >> shift)
        residue += 1
    return blocks


@_compiled
def _grow(instances, r, offset, number):
    """Count a request of context - step = ``offset`` in (1) or out (-1)."""
    whole = offset >> instances[r, BLOCK_SHIFT]
    instances[r, GROWN] += number * whole
    instances[r, RESIDUES + (offset - (whole << instances[r, BLOCK_SHIFT]))] += number


@_compiled
def _need(instances, requests, limits, r, i):
    """Return the blocks that a request holds from its admission."""
    shift = instances[r, BLOCK_SHIFT]
    if limits[PAGED] == 1:
        return (requests[i, PROMPT] >> shift) + 1
    return (requests[i, PROMPT] + abs(requests[i, OUTPUT]) + (1 << shift) - 1) >> shift


@_compiled
def _surely(instances, r, ahead, room):
    """Whether the growing batch, so many decode steps ahead, fits into ``room`` blocks whatever its residues are."""
    shift = instances[r, BLOCK_SHIFT]
    return instances[r, CONTEXT] + (ahead + (1 << shift) - 1) * instances[r, BATCH] <= room << shift


@_compiled
def _fits(instances, limits, r, ahead, need):
    """Whether a request may be admitted that needs so many blocks, so many decode steps ahead."""
    room = instances[r, KV_LIMIT] - instances[r, HELD] - need
    if limits[PAGED] == 0:
        return room >= 0
    if instances[r, BATCH] + instances[r, HELD] > 0:
        room -= instances[r, KV_LIMIT] // 100
    return _surely(instances, r, ahead, room) or _grown(instances, r, instances[r, STEP] + ahead) <= room


@_compiled
def _note_kv(instances, done, r, ahead):
    """Keep the largest use of the KV cache, counted only where it may be larger."""
    if not _surely(instances, r, ahead, done[r, KV_MAX] - instances[r, HELD]):
        done[r, KV_MAX] = max(done[r, KV_MAX], instances[r, HELD] + _grown(instances, r, instances[r, STEP] + ahead))


@_compiled
def _commit(instances, stalls, gaps, done, r, k, since):
    """Advance the running decode segment by k whole iterations; nothing finishes before the last of them."""
    batch = instances[r, BATCH]
    first = instances[r, FIRST_GAP]
    slope = instances[r, SLOPE]
    began = instances[r, BEGAN]
    end = began + first * k + slope * (k * (k - 1) // 2)
    skip = 0
    if instances[r, STALLS] > 0:
        _count_stalls(instances, stalls, gaps, r, began + first)
        skip = 1
    if k > skip:
        _count_gaps(gaps, first + slope * skip, slope, k - skip, batch)
    took = end - max(began, since)
    done[r, DECODE_TIME] += took
    done[r, BATCH_TIME] += took * batch
    done[r, OUTPUT_TOKENS] += k * batch
    done[r, ITERATIONS] += k
    done[r, DECODED_TOKENS] += k * batch
    done[r, DECODED_CONTEXT] += k * instances[r, CONTEXT] + batch * (k * (k - 1) // 2)
    instances[r, BEGAN] = end
    instances[r, FIRST_GAP] = first + slope * k
    instances[r, CONTEXT] += k * batch
    instances[r, STEP] += k
    instances[r, LEFT] -= k
    _note_kv(instances, done, r, -1)


@_compiled
def _count_stalls(instances, stalls, gaps, r, t):
    """Count the gaps of the groups, whose next token is at ``t``."""
    for q in range(instances[r, STALLS]):
        gaps[gap_bin(t - stalls[r, q])] += stalls[r, stalls.shape[1] // 2 + q]
    instances[r, STALLS] = 0


@_compiled
def _add_stall(instances, stalls, r, t, count):
    q = instances[r, STALLS]
    stalls[r, q] = t
    stalls[r, stalls.shape[1] // 2 + q] = count
    instances[r, STALLS] = q + 1


@_compiled
def _finish(instances, requests, load, r, i, t):
    requests[i, FINISH] = t
    load[OUTSTANDING, r] -= 1
    if load[OUTSTANDING, r] == 0:
        instances[r, EMPTY_SINCE] = t


@_compiled
def _run_on(instances, heap, requests, limits, r, i):
    """Take a request into the batch that has the first token of its stint."""
    batch = instances[r, BATCH]
    step = instances[r, STEP]
    _heap_push(heap, r, batch, ((step + requests[i, OUTPUT] - 1) << 31) | i)
    instances[r, BATCH] = batch + 1
    instances[r, CONTEXT] += requests[i, PROMPT] + 1
    if limits[PAGED] == 1:
        _grow(instances, r, requests[i, PROMPT] + 1 - step, 1)


@_compiled
def _run_off(instances, requests, limits, r, i, finish_step):
    """Take a request's context and blocks out of the batch; ``finish_step`` is the step of its last token."""
    tokens = requests[i, PROMPT] + requests[i, OUTPUT]
    instances[r, CONTEXT] -= tokens - (finish_step - instances[r, STEP])
    if limits[PAGED] == 1:
        _grow(instances, r, tokens - finish_step, -1)
    else:
        instances[r, HELD] -= _need(instances, requests, limits, r, i)


@_compiled
def _wait(instances, done, r, t, change):
    """Bring the integral of the queue up to ``t`` and change its length."""
    queued = instances[r, QUEUED]
    done[r, QUEUE_TIME] += (t - instances[r, QUEUE_SINCE]) * queued
    instances[r, QUEUE_SINCE] = t
    instances[r, QUEUED] = queued + change
    if change > 0:
        done[r, QUEUE_MAX] = max(done[r, QUEUE_MAX], queued + change)


@_compiled
def _make_room(instances, heap, requests, done, load, limits, r, t):
    """Let the cut request lose its progress, then preempt, until the next iteration of the batch fits."""
    while _grown(instances, r, instances[r, STEP]) + instances[r, HELD] > instances[r, KV_LIMIT]:
        done[r, PREEMPTIONS] += 1
        if instances[r, PROGRESS] > 0:
            load[WAITING, r] += instances[r, PROGRESS]
            instances[r, PROGRESS] = 0
            instances[r, HELD] -= _need(instances, requests, limits, r, instances[r, HEAD])
        else:
            _preempt(instances, heap, requests, done, load, limits, r, t)


@_compiled
def _preempt(instances, heap, requests, done, load, limits, r, t):
    """Put the request that was admitted last back to the head of the queue."""
    batch = instances[r, BATCH]
    place = 0
    for q in range(1, batch):
        if requests[heap[r, q] & 0x7FFFFFFF, TURN] > requests[heap[r, place] & 0x7FFFFFFF, TURN]:
            place = q
    i = heap[r, place] & 0x7FFFFFFF
    finish_step = heap[r, place] >> 31
    _heap_remove(heap, r, batch, place)
    instances[r, BATCH] = batch - 1
    _run_off(instances, requests, limits, r, i, finish_step)
    left = finish_step - instances[r, STEP]
    given = requests[i, OUTPUT] - left
    if given > 1:
        requests[i, LAST] = t
    requests[i, PROMPT] += given
    requests[i, OUTPUT] = left
    load[WAITING, r] += requests[i, PROMPT]
    if instances[r, QUEUED] == 0:
        instances[r, TAIL] = i
    requests[i, FOLLOWER] = instances[r, HEAD]
    instances[r, HEAD] = i
    _wait(instances, done, r, t, 1)


@_compiled
def _turn(instances, requests, r, i, t):
    """Note an admission."""
    instances[r, ADMISSIONS] += 1
    requests[i, TURN] = instances[r, ADMISSIONS]
    if requests[i, ADMITTED] == FOREVER:
        requests[i, ADMITTED] = t


@_compiled
def _join(instances, heap, stalls, requests, done, limits, r, t):
    """Take into the batch what stands at the head of the queue with its keys and values."""
    while instances[r, QUEUED] > 0:
        i = instances[r, HEAD]
        if requests[i, OUTPUT] >= 0 or instances[r, BATCH] >= instances[r, MAX_BATCH]:
            break
        need = _need(instances, requests, limits, r, i)
        if not _fits(instances, limits, r, 0, need):
            break
        _wait(instances, done, r, t, -1)
        instances[r, HEAD] = requests[i, FOLLOWER]
        requests[i, OUTPUT] = -requests[i, OUTPUT]
        _turn(instances, requests, r, i, t)
        if instances[r, STALLS] == 0:
            _add_stall(instances, stalls, r, t, instances[r, BATCH])
        _add_stall(instances, stalls, r, requests[i, LAST], 1)
        if limits[PAGED] == 0:
            instances[r, HELD] += need
        _run_on(instances, heap, requests, limits, r, i)


@_compiled
def _admit(instances, prefill, stalls, requests, done, limits, r, t):
    """Admit from the queue what fits and start its prefill; return whether there was any."""
    head = instances[r, HEAD]
    queued = instances[r, QUEUED]
    batch = instances[r, BATCH]
    budget = limits[PREFILL_LIMIT] - (batch if limits[SCHEDULER] == SHARED else 0)
    i = head
    count = 0
    tokens = 0
    squares = 0.0
    pictured = 0
    tiles = 0
    while count < queued and batch + count < instances[r, MAX_BATCH]:
        prompt = requests[i, PROMPT]
        need = _need(instances, requests, limits, r, i)
        if requests[i, OUTPUT] < 0 or (count > 0 and tokens + prompt > budget) or not _fits(instances, limits, r, 0, need):
            break
        instances[r, HELD] += need
        _turn(instances, requests, r, i, t)
        count += 1
        tokens += prompt
        squares += np.float64(prompt) * np.float64(prompt)
        if requests[i, TILES] > 0:
            pictured += 1
            tiles += requests[i, TILES]
        i = requests[i, FOLLOWER]
    if count == 0:
        return False
    _wait(instances, done, r, t, -count)
    instances[r, HEAD] = i
    instances[r, PREFILL_HEAD] = head
    instances[r, PREFILL_COUNT] = count
    if instances[r, STALLS] == 0 and limits[SCHEDULER] == PREFILL_FIRST:
        _add_stall(instances, stalls, r, t, batch)
    encode = _encode(prefill, requests, done, r, pictured, tiles, head, count)
    _begin(instances, prefill, done, limits, r, t, tokens, squares, encode)
    return True


@_compiled
def _admit_chunks(instances, prefill, requests, done, limits, r, t):
    """Give the tokens that the batch leaves to the prompts in line, the last one perhaps cut; return whether there was any."""
    head = instances[r, HEAD]
    queued = instances[r, QUEUED]
    batch = instances[r, BATCH]
    budget = limits[PREFILL_LIMIT] - batch
    progress = instances[r, PROGRESS]
    chunk = 0
    i = head
    fresh = i
    count = 0
    admitted = 0
    tokens = 0
    squares = 0.0
    pictured = 0
    tiles = 0
    while count < queued and budget > 0:
        prompt = requests[i, PROMPT]
        if progress == 0:
            need = _need(instances, requests, limits, r, i)
            if requests[i, OUTPUT] < 0 or batch + count >= instances[r, MAX_BATCH] or not _fits(instances, limits, r, 0, need):
                break
            instances[r, HELD] += need
            _turn(instances, requests, r, i, t)
            admitted += 1
            if requests[i, TILES] > 0:
                pictured += 1
                tiles += requests[i, TILES]
        else:
            fresh = requests[i, FOLLOWER]
        part = min(prompt - progress, budget)
        tokens += part
        squares += np.float64(progress + part) * np.float64(progress + part) - np.float64(progress) * np.float64(progress)
        budget -= part
        if progress + part < prompt:
            chunk = part
            break
        progress = 0
        count += 1
        i = requests[i, FOLLOWER]
    if count == 0 and chunk == 0:
        return False
    _wait(instances, done, r, t, -count)
    instances[r, HEAD] = i
    instances[r, PREFILL_HEAD] = head
    instances[r, PREFILL_COUNT] = count
    instances[r, PROGRESS] = progress
    instances[r, CHUNK] = chunk
    encode = _encode(prefill, requests, done, r, pictured, tiles, fresh, admitted)
    _begin(instances, prefill, done, limits, r, t, tokens, squares, encode)
    return True


@_compiled
def _encode(prefill, requests, done, r, pictured, tiles, first, count):
    """Return the ticks that the images of an iteration take; noted with each request that has images and waits for its first token."""
    if pictured == 0:
        return 0
    took = np.int64(np.rint(prefill[r, ENCODE_BASE] * pictured + prefill[r, ENCODE_PER_TILE] * tiles))
    done[r, ENCODE_TIME] += took
    i = first
    for _ in range(count):
        if requests[i, TILES] > 0 and requests[i, FIRST] == FOREVER:
            requests[i, ENCODE] = took
        i = requests[i, FOLLOWER]
    return took


@_compiled
def _begin(instances, prefill, done, limits, r, t, tokens, squares, encode):
    """Begin an iteration with prompts."""
    _note_kv(instances, done, r, 0)
    if limits[WHOLE_BATCH] == 1:
        squares = np.float64(tokens) * np.float64(tokens)
    done[r, PREFILL_SQUARES] += np.int64(squares)
    linear = prefill[r, PREFILL_BASE] + prefill[r, PREFILL_LINEAR] * tokens + prefill[r, PREFILL_SQUARE] * squares
    took = np.int64(np.rint(max(prefill[r, PREFILL_FLOOR], linear))) + limits[OVERHEAD] + encode
    if limits[SCHEDULER] != PREFILL_FIRST and instances[r, BATCH] > 0:
        took += _decode_ticks(instances, r)
    instances[r, PREFILL_TOKENS] = tokens
    instances[r, PHASE] = PREFILLING
    instances[r, BEGAN] = t
    instances[r, NEXT] = t + took


@_compiled
def _decode_ticks(instances, r):
    """Return the ticks of a decode iteration of the batch as it is, without overhead."""
    per_request, per_token = instances[r, DECODE_PER_REQUEST], instances[r, DECODE_PER_TOKEN]
    return instances[r, DECODE_BASE] + per_request * instances[r, BATCH] + per_token * instances[r, CONTEXT]


@_compiled
def _steps_that_fit(instances, r, k, room):
    """Return how many of k iterations fit into ``room`` blocks; the first does."""
    step = instances[r, STEP] - 1
    if _grown(instances, r, step + k) <= room:
        return k
    low = 1
    while k - low > 1:
        middle = (low + k) // 2
        if _grown(instances, r, step + middle) <= room:
            low = middle
        else:
            k = middle
    return low


@_compiled
def _plan(instances, heap, limits, r, t):
    """Plan decode iterations up to the next completion or the last one that fits, or fall idle."""
    batch = instances[r, BATCH]
    instances[r, BEGAN] = t
    if batch == 0:
        instances[r, PHASE] = IDLE
        instances[r, NEXT] = FOREVER
        instances[r, STALLS] = 0
        instances[r, STEP] = 0
        return
    k = (heap[r, 0] >> 31) - instances[r, STEP]
    room = instances[r, KV_LIMIT] - instances[r, HELD]
    if limits[PAGED] == 1 and not _surely(instances, r, k - 1, room):
        k = _steps_that_fit(instances, r, k, room)
    first = _decode_ticks(instances, r) + limits[OVERHEAD]
    slope = instances[r, DECODE_PER_TOKEN] * batch
    instances[r, PHASE] = DECODING
    instances[r, LEFT] = k
    instances[r, FIRST_GAP] = first
    instances[r, SLOPE] = slope
    instances[r, NEXT] = t + first * k + slope * (k * (k - 1) // 2)


@_compiled
def _release(instances, heap, requests, load, limits, r, t):
    """Let go the requests of the batch that have all their tokens."""
    step = instances[r, STEP]
    while instances[r, BATCH] > 0 and (heap[r, 0] >> 31) <= step:
        i = heap[r, 0] & 0x7FFFFFFF
        _heap_pop(heap, r, instances[r, BATCH])
        instances[r, BATCH] -= 1
        _run_off(instances, requests, limits, r, i, step)
        _finish(instances, requests, load, r, i, t)


@_compiled
def _decode_beside(instances, heap, stalls, requests, gaps, done, load, limits, r, t):
    """Give the running batch the token that it decoded beside a prefill."""
    batch = instances[r, BATCH]
    if instances[r, STALLS] > 0:
        _count_stalls(instances, stalls, gaps, r, t)
    else:
        gaps[gap_bin(t - instances[r, BEGAN])] += batch
    done[r, OUTPUT_TOKENS] += batch
    instances[r, STEP] += 1
    instances[r, CONTEXT] += batch
    _release(instances, heap, requests, load, limits, r, t)


@_compiled
def _end_prefill(instances, heap, stalls, requests, gaps, done, load, limits, r, since):
    t = instances[r, NEXT]
    beside = limits[SCHEDULER] != PREFILL_FIRST
    if beside and instances[r, BATCH] > 0:
        _decode_beside(instances, heap, stalls, requests, gaps, done, load, limits, r, t)
    done[r, PREFILL_TIME] += t - max(instances[r, BEGAN], since)
    done[r, PROMPT_TOKENS] += instances[r, PREFILL_TOKENS]
    count = instances[r, PREFILL_COUNT]
    done[r, OUTPUT_TOKENS] += count
    done[r, ITERATIONS] += 1
    done[r, PREFILLS] += 1
    load[WAITING, r] -= instances[r, PREFILL_TOKENS]
    instances[r, PROGRESS] += instances[r, CHUNK]
    instances[r, CHUNK] = 0
    before = instances[r, BATCH]
    i = instances[r, PREFILL_HEAD]
    for _ in range(count):
        if requests[i, FIRST] == FOREVER:
            requests[i, FIRST] = t
        else:
            gaps[gap_bin(t - requests[i, LAST])] += 1
        requests[i, LAST] = t
        leaves = requests[i, OUTPUT] <= 1 or instances[r, HANDOVER] == 1
        if leaves or limits[PAGED] == 1:
            instances[r, HELD] -= _need(instances, requests, limits, r, i)
        if leaves:
            _finish(instances, requests, load, r, i, t)
        else:
            _run_on(instances, heap, requests, limits, r, i)
        i = requests[i, FOLLOWER]
    if instances[r, BATCH] > before and not beside:
        _add_stall(instances, stalls, r, t, instances[r, BATCH] - before)


@_compiled
def _run(instances, prefill, heap, stalls, requests, gaps, done, load, limits, r, until, since):
    """Let one instance reach ``until``: every boundary before it is passed."""
    while instances[r, NEXT] < until:
        t = instances[r, NEXT]
        phase = instances[r, PHASE]
        if phase == DECODING:
            _commit(instances, stalls, gaps, done, r, instances[r, LEFT], since)
            _release(instances, heap, requests, load, limits, r, t)
        elif phase == PREFILLING:
            _end_prefill(instances, heap, stalls, requests, gaps, done, load, limits, r, since)
        if limits[PAGED] == 1 and not _surely(instances, r, 0, instances[r, KV_LIMIT] - instances[r, HELD]):
            _make_room(instances, heap, requests, done, load, limits, r, t)
        if instances[r, QUEUED] > 0 and requests[instances[r, HEAD], OUTPUT] < 0:
            _join(instances, heap, stalls, requests, done, limits, r, t)
        prompts = False
        if instances[r, QUEUED] > 0:
            if limits[SCHEDULER] == CHUNKED:
                prompts = _admit_chunks(instances, prefill, requests, done, limits, r, t)
            else:
                prompts = _admit(instances, prefill, stalls, requests, done, limits, r, t)
        if not prompts:
            _plan(instances, heap, limits, r, t)


@_compiled
def _enqueue(instances, requests, done, load, limits, r, i, t):
    requests[i, PLACE] = r
    load[OUTSTANDING, r] += 1
    if requests[i, OUTPUT] > 0:
        load[WAITING, r] += requests[i, PROMPT]
    done[r, ARRIVALS] += 1
    queued = instances[r, QUEUED]
    _wait(instances, done, r, t, 1)
    if queued == 0:
        instances[r, HEAD] = i
    else:
        requests[instances[r, TAIL], FOLLOWER] = i
    instances[r, TAIL] = i
    phase = instances[r, PHASE]
    if phase == IDLE:
        if instances[r, LIVE] == 1:
            instances[r, PHASE] = WAKING
            instances[r, BEGAN] = t
            instances[r, NEXT] = t
    elif phase == DECODING and queued == 0 and instances[r, BATCH] < instances[r, MAX_BATCH]:
        _cut(instances, requests, limits, r, i, t)


@_compiled
def _cut(instances, requests, limits, r, i, t):
    """Shorten the planned segment to its first boundary at or after ``t`` if the arrival can be admitted there."""
    if limits[SCHEDULER] == CHUNKED and requests[i, OUTPUT] > 0 and instances[r, BATCH] >= limits[PREFILL_LIMIT]:
        return
    first = instances[r, FIRST_GAP]
    slope = instances[r, SLOPE]
    k = _iterations_until(first, slope, t - instances[r, BEGAN])
    if k < instances[r, LEFT] and _fits(instances, limits, r, k, _need(instances, requests, limits, r, i)):
        instances[r, LEFT] = k
        instances[r, NEXT] = instances[r, BEGAN] + first * k + slope * (k * (k - 1) // 2)


@_compiled
def _tree_set(tree, leaves, r, value):
    """Put the next event of an instance into the tournament of minima."""
    i = leaves + r
    tree[i] = value
    i >>= 1
    while i >= 1:
        least = min(tree[2 * i], tree[2 * i + 1])
        if tree[i] == least:
            break
        tree[i] = least
        i >>= 1


@_compiled
def _tree_least(tree, leaves):
    i = 1
    value = tree[1]
    while i < leaves:
        i = 2 * i
        if tree[i] != value:
            i += 1
    return i - leaves


@_compiled
def _choice(wanted, allowed, cursor):
    """Return the router's choice, or the first allowed instance (counted) where the choice is not allowed."""
    if 0 <= wanted < allowed.shape[0] and allowed[wanted] != 0:
        return wanted
    cursor[MISROUTED] += 1
    for r in range(allowed.shape[0]):
        if allowed[r] != 0:
            return r
    return 0


@_compiled
def _split_at(instances, stalls, gaps, done, limits, r, until, since):
    """Settle accounts at the end of a window without ending any iteration."""
    _wait(instances, done, r, until, 0)
    phase = instances[r, PHASE]
    if phase == DECODING:
        k = steps_at(instances, r, until)
        if k > 0:
            _commit(instances, stalls, gaps, done, r, k, since)
        took = until - max(instances[r, BEGAN], since)
        done[r, DECODE_TIME] += took
        done[r, BATCH_TIME] += took * instances[r, BATCH]
    elif phase == PREFILLING:
        done[r, PREFILL_TIME] += until - max(instances[r, BEGAN], since)
    instances[r, KV] = instances[r, HELD] + (_grown(instances, r, instances[r, STEP]) if instances[r, BATCH] > 0 else 0)
    done[r, KV_MAX] = max(done[r, KV_MAX], instances[r, KV])


@_compiled
def _open(instances, done, tree, r):
    """Begin a window."""
    if instances[r, REPLAN] == 1:
        instances[r, REPLAN] = 0
        if instances[r, PHASE] == DECODING and instances[r, LEFT] > 1:
            instances[r, LEFT] = 1
            instances[r, NEXT] = instances[r, BEGAN] + instances[r, FIRST_GAP]
    done[r, KV_MAX] = max(done[r, KV_MAX], instances[r, KV])
    done[r, QUEUE_MAX] = max(done[r, QUEUE_MAX], instances[r, QUEUED])
    _tree_set(tree, tree.shape[0] // 2, r, instances[r, NEXT])


@_compiled
def _next_arrival(requests, coming, limits, cursor, until):
    """Return the next request to arrive before ``until``, or -1."""
    i = cursor[NEXT_ARRIVAL]
    j = cursor[NEXT_INJECTED]
    t = until
    c = -1
    if i < limits[PRELOADED] and requests[i, ARRIVE] < t:
        c = i
        t = requests[i, ARRIVE]
    if j < coming.shape[0] and requests[coming[j], ARRIVE] < t:
        cursor[NEXT_INJECTED] = j + 1
        cursor[INJECTED_ARRIVALS] += 1
        return coming[j]
    if c >= 0:
        cursor[NEXT_ARRIVAL] = i + 1
    return c


def _advance(
    since, until, limits, cursor, instances, prefill, heap, stalls, requests, again, coming, gaps, done, tree, load, allowed, score,
    memory, route,
):  # fmt: skip
    """Take every arrival in [since, until) and every boundary before ``until``; ``again`` are requests to place anew now."""
    count = instances.shape[0]
    leaves = tree.shape[0] // 2
    for r in range(count):
        _open(instances, done, tree, r)
    retried = 0
    while True:
        if retried < again.shape[0]:
            c = again[retried]
            retried += 1
            t = since
        else:
            c = _next_arrival(requests, coming, limits, cursor, until)
            if c < 0:
                break
            t = requests[c, ARRIVE]
        while tree[1] < t:
            r = _tree_least(tree, leaves)
            _run(instances, prefill, heap, stalls, requests, gaps, done, load, limits, r, t, since)
            _tree_set(tree, leaves, r, instances[r, NEXT])
        if requests[c, PROMPT] + abs(requests[c, OUTPUT]) > limits[SMALLEST_KV]:
            requests[c, PLACE] = REJECTED
            requests[c, FINISH] = t
            continue
        r = 0
        if count > 1:
            r = _choice(route(t, c, count, requests, instances, heap, load, allowed, score, memory), allowed, cursor)
        _enqueue(instances, requests, done, load, limits, r, c, t)
        _tree_set(tree, leaves, r, instances[r, NEXT])
    for r in range(count):
        _run(instances, prefill, heap, stalls, requests, gaps, done, load, limits, r, until, since)
        _split_at(instances, stalls, gaps, done, limits, r, until, since)
    cursor[NOW] = until


def router(rule: Callable[..., int]) -> Any:
    """Let a routing rule be compiled when it is first given to a kernel, once for all processes: a decorator.

    Numba's disk cache watches the file of the rule alone, but a rule reads the columns of this one: what was compiled before
    this file changed is dropped, or it would read the wrong ones.
    """
    source, elsewhere = Path(rule.__code__.co_filename), os.environ.get("NUMBA_CACHE_DIR")
    places = [source.parent / "__pycache__", *([Path(elsewhere)] if elsewhere else [])]
    changed_s = Path(__file__).stat().st_mtime
    for index in (found for place in places for found in place.rglob(f"{source.stem}.*.nbi")):
        with suppress(OSError):
            if index.stat().st_mtime < changed_s:
                index.unlink()
    return _njit(**_OPTIONS)(rule)


@cache
def entry(route: Any) -> Any:
    """Return a router, compiled, in the form that the kernel takes fastest (a dispatcher is looked up anew at every call)."""
    return CompileResultWAP(route.get_compile_result(ROUTE_SIGNATURE))


@cache
def advance() -> Callable[..., None]:
    """Return the compiled kernel; compiled at the first call and kept on disk.

    It is the entry itself, without numba's look at the types of the arguments: with a router among them that look takes
    longer than an average tick. Arrays of other types than the signature's must therefore not be handed over.
    """
    one, two = types.int64[::1], types.int64[:, ::1]
    state = (one, one, two, types.float64[:, ::1], two, two, two, one, one, one, two, one, two)
    router = (types.uint8[::1], types.float64[:, ::1], one, ROUTE_TYPE)
    signature = types.void(types.int64, types.int64, *state, *router)
    kernel: Any = _njit(signature, **_OPTIONS)(_advance)
    compiled: Callable[..., None] = kernel.get_compile_result(signature).entry_point
    return compiled
