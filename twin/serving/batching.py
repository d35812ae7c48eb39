# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, disallow-incomplete-defs=False
"""Continuous batching, every iteration counted, at a cost per request.

Semantics (a plain stepper in the tests gives the same ticks):

* Iterations follow one another. At each boundary the queue is looked at first, in order: requests are admitted while the
  batch limit, the prompt tokens of one prefill iteration and the KV cache allow; a prompt over the token limit goes alone.
  If any is admitted the iteration is a prefill of all of them and gives each its first token; else it is a decode of the
  whole batch, one token each. A request's whole KV need (prompt + output) is reserved at its admission.
* With the scheduler `prefill_first` the running batch stalls during a prefill. With `shared` it decodes one token in the same
  iteration, which takes the sum of both times, and its requests count against the token limit.
* Attention costs the sum of the squared prompt lengths, because requests do not attend to each other. Some simulators charge
  the square of the sum instead; `WHOLE_BATCH` does as they do, for comparisons.
* An arrival at time t is seen by every boundary at or after t; the router sees completions strictly before t.
* An iteration keeps the speed at which it started. A blocked queue head waits for a completion.
* A request larger than the KV cache of the endpoint's smallest instance is rejected.
* Between two events (completion, admissible arrival, end of the window) decode iterations are not stepped: k of them at
  batch B and context sum S take k (d0 + d1 B + d2 S) + d2 B k (k - 1) / 2, and the number up to an arrival is the root of
  that quadratic, fixed up by one step in integers.

Time is int64 ticks of 10 ps, so that ties are ties. All state lies in a few plain 2-D arrays that are passed as arguments:
arrays inside tuples or records cost a reference count at every access, and row views another. Everything the kernel calls
is in this file, because numba's disk cache only watches the file of the compiled function.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, Final

import numba
import numpy as np
from numba import types
from numba.core.types.function_type import CompileResultWAP

TICKS_PER_S: Final = 10**11
FOREVER: Final = 2**62

# Columns of `requests`, int64, one row (one cache line) per request in the order of arrival. PROMPT and OUTPUT are what is
# still to be done: a request that lost its instance carries the tokens it already has as prompt.
ARRIVE: Final = 0
PROMPT: Final = 1
OUTPUT: Final = 2
FOLLOWER: Final = 3  # next in its queue
FIRST: Final = 4  # first token, FOREVER before
FINISH: Final = 5  # last token (or rejection), FOREVER before
LAST: Final = 6  # latest token before the current stint of decoding
PLACE: Final = 7  # instance, or one of the two below
UNPLACED: Final = -1
REJECTED: Final = -2
REQUEST_COLUMNS: Final = 8

# Columns of `instances`, int64.
BEGAN: Final = 0  # boundary at which the current segment or prefill began
NEXT: Final = 1  # its end: the next event
FIRST_GAP: Final = 2  # length of the first decode iteration of the segment
SLOPE: Final = 3  # by how much each following one is longer
LEFT: Final = 4  # iterations left in the segment
BATCH: Final = 5
CONTEXT: Final = 6  # context tokens of the batch
STEP: Final = 7  # decode iterations done so far
KV: Final = 8  # KV tokens reserved
HEAD: Final = 9
TAIL: Final = 10
QUEUED: Final = 11
PHASE: Final = 12
PREFILL_HEAD: Final = 13
PREFILL_COUNT: Final = 14
PREFILL_TOKENS: Final = 15
STALLS: Final = 16  # groups of requests whose last token was not in the preceding decode iteration
LIVE: Final = 17  # 1 while it may run iterations
DECODE_BASE: Final = 18
DECODE_PER_REQUEST: Final = 19
DECODE_PER_TOKEN: Final = 20
MAX_BATCH: Final = 21
KV_LIMIT: Final = 22
QUEUE_SINCE: Final = 23
EMPTY_SINCE: Final = 24  # when the last outstanding request left
REPLAN: Final = 25  # speed or limits changed: the running iteration is the last of its segment
INSTANCE_COLUMNS: Final = 26

IDLE: Final = 0
DECODING: Final = 1
PREFILLING: Final = 2
WAKING: Final = 3

# Columns of `prefill`, float64: ticks at the present speed, without overhead.
PREFILL_FLOOR: Final = 0
PREFILL_BASE: Final = 1
PREFILL_LINEAR: Final = 2
PREFILL_SQUARE: Final = 3
PREFILL_COLUMNS: Final = 4

# Columns of `done`, int64: what an instance did since the caller last cleared it; times in ticks, cut at window edges.
PREFILL_TIME: Final = 0
DECODE_TIME: Final = 1
PROMPT_TOKENS: Final = 2
OUTPUT_TOKENS: Final = 3
ITERATIONS: Final = 4
PREFILLS: Final = 5
BATCH_TIME: Final = 6  # integral of the batch over decode time
QUEUE_TIME: Final = 7  # integral of the queue over time
QUEUE_MAX: Final = 8
KV_MAX: Final = 9
ARRIVALS: Final = 10
DONE_COLUMNS: Final = 11

# `limits`: what holds for the whole endpoint; `cursor`: where the kernel is.
PREFILL_LIMIT: Final = 0
SMALLEST_KV: Final = 1
OVERHEAD: Final = 2
SHARED: Final = 3  # 1 where prefill iterations decode the running batch as well
WHOLE_BATCH: Final = 4  # 1 where attention is charged on the square of an iteration's prompt tokens together
NEXT_ARRIVAL: Final = 0
MISROUTED: Final = 1

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


@numba.njit(cache=True)
def gap_bin(gap):
    """Return the bin of a gap in ticks; what lies outside counts in the first or last bin."""
    return min(max((np.float64(gap).view(np.int64) >> _BIN_SHIFT) - _BIN_OFFSET, 0), GAP_BINS - 1)


@numba.njit(cache=True)
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


@numba.njit(cache=True)
def _heap_push(heap, r, size, key):
    i = size
    while i > 0:
        parent = (i - 1) >> 1
        if heap[r, parent] <= key:
            break
        heap[r, i] = heap[r, parent]
        i = parent
    heap[r, i] = key


@numba.njit(cache=True)
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


@numba.njit(cache=True)
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


@numba.njit(cache=True)
def _commit(instances, stalls, gaps, done, r, k, since):
    """Advance the running decode segment by k whole iterations; nothing finishes before the last of them."""
    batch = instances[r, BATCH]
    first = instances[r, FIRST_GAP]
    slope = instances[r, SLOPE]
    began = instances[r, BEGAN]
    end = began + first * k + slope * (k * (k - 1) // 2)
    skip = 0
    groups = instances[r, STALLS]
    if groups > 0:
        for q in range(groups):
            gaps[gap_bin(began + first - stalls[r, q])] += stalls[r, stalls.shape[1] // 2 + q]
        instances[r, STALLS] = 0
        skip = 1
    if k > skip:
        _count_gaps(gaps, first + slope * skip, slope, k - skip, batch)
    took = end - max(began, since)
    done[r, DECODE_TIME] += took
    done[r, BATCH_TIME] += took * batch
    done[r, OUTPUT_TOKENS] += k * batch
    done[r, ITERATIONS] += k
    instances[r, BEGAN] = end
    instances[r, FIRST_GAP] = first + slope * k
    instances[r, CONTEXT] += k * batch
    instances[r, STEP] += k
    instances[r, LEFT] -= k


@numba.njit(cache=True)
def _finish(instances, requests, load, r, i, t):
    requests[i, FINISH] = t
    instances[r, KV] -= requests[i, PROMPT] + requests[i, OUTPUT]
    load[OUTSTANDING, r] -= 1
    if load[OUTSTANDING, r] == 0:
        instances[r, EMPTY_SINCE] = t


@numba.njit(cache=True)
def _admit(instances, prefill, stalls, requests, done, limits, r, t):
    """Admit from the queue what fits and start its prefill; return whether there was any."""
    head = instances[r, HEAD]
    queued = instances[r, QUEUED]
    waiting = queued
    batch = instances[r, BATCH]
    kv = instances[r, KV]
    shared = limits[SHARED] == 1
    budget = limits[PREFILL_LIMIT] - (batch if shared else 0)
    i = head
    count = 0
    tokens = 0
    squares = 0.0
    while queued > 0 and batch + count < instances[r, MAX_BATCH]:
        prompt = requests[i, PROMPT]
        need = prompt + requests[i, OUTPUT]
        if kv + need > instances[r, KV_LIMIT] or (count > 0 and tokens + prompt > budget):
            break
        count += 1
        tokens += prompt
        squares += np.float64(prompt) * np.float64(prompt)
        kv += need
        queued -= 1
        i = requests[i, FOLLOWER]
    if count == 0:
        return False
    done[r, QUEUE_TIME] += (t - instances[r, QUEUE_SINCE]) * waiting
    done[r, KV_MAX] = max(done[r, KV_MAX], kv)
    instances[r, QUEUE_SINCE] = t
    instances[r, KV] = kv
    instances[r, QUEUED] = queued
    instances[r, HEAD] = i
    instances[r, PREFILL_HEAD] = head
    instances[r, PREFILL_COUNT] = count
    instances[r, PREFILL_TOKENS] = tokens
    if instances[r, STALLS] == 0 and not shared:
        stalls[r, 0] = t
        stalls[r, stalls.shape[1] // 2] = batch
        instances[r, STALLS] = 1
    if limits[WHOLE_BATCH] == 1:
        squares = np.float64(tokens) * np.float64(tokens)
    linear = prefill[r, PREFILL_BASE] + prefill[r, PREFILL_LINEAR] * tokens + prefill[r, PREFILL_SQUARE] * squares
    took = np.int64(np.rint(max(prefill[r, PREFILL_FLOOR], linear))) + limits[OVERHEAD]
    if shared and batch > 0:
        took += (
            instances[r, DECODE_BASE] + instances[r, DECODE_PER_REQUEST] * batch + instances[r, DECODE_PER_TOKEN] * instances[r, CONTEXT]
        )
    instances[r, PHASE] = PREFILLING
    instances[r, BEGAN] = t
    instances[r, NEXT] = t + took
    return True


@numba.njit(cache=True)
def _plan(instances, heap, limits, r, t):
    """Plan decode iterations up to the next completion, or fall idle."""
    batch = instances[r, BATCH]
    instances[r, BEGAN] = t
    if batch == 0:
        instances[r, PHASE] = IDLE
        instances[r, NEXT] = FOREVER
        instances[r, STALLS] = 0
        instances[r, STEP] = 0
        return
    k = (heap[r, 0] >> 31) - instances[r, STEP]
    per_token = instances[r, DECODE_PER_TOKEN]
    first = instances[r, DECODE_BASE] + instances[r, DECODE_PER_REQUEST] * batch + per_token * instances[r, CONTEXT] + limits[OVERHEAD]
    slope = per_token * batch
    instances[r, PHASE] = DECODING
    instances[r, LEFT] = k
    instances[r, FIRST_GAP] = first
    instances[r, SLOPE] = slope
    instances[r, NEXT] = t + first * k + slope * (k * (k - 1) // 2)


@numba.njit(cache=True)
def _release(instances, heap, requests, load, r, t):
    """Let go the requests of the batch that have all their tokens."""
    batch = instances[r, BATCH]
    step = instances[r, STEP]
    while batch > 0 and (heap[r, 0] >> 31) <= step:
        i = heap[r, 0] & 0x7FFFFFFF
        _heap_pop(heap, r, batch)
        batch -= 1
        instances[r, CONTEXT] -= requests[i, PROMPT] + requests[i, OUTPUT]
        _finish(instances, requests, load, r, i, t)
    instances[r, BATCH] = batch


@numba.njit(cache=True)
def _decode_beside(instances, heap, requests, gaps, done, load, r, t):
    """Give the running batch the token that it decoded beside a prefill."""
    batch = instances[r, BATCH]
    gaps[gap_bin(t - instances[r, BEGAN])] += batch
    done[r, OUTPUT_TOKENS] += batch
    instances[r, STEP] += 1
    instances[r, CONTEXT] += batch
    _release(instances, heap, requests, load, r, t)


@numba.njit(cache=True)
def _end_prefill(instances, heap, stalls, requests, gaps, done, load, limits, r, since):
    t = instances[r, NEXT]
    shared = limits[SHARED] == 1
    if shared and instances[r, BATCH] > 0:
        _decode_beside(instances, heap, requests, gaps, done, load, r, t)
    done[r, PREFILL_TIME] += t - max(instances[r, BEGAN], since)
    done[r, PROMPT_TOKENS] += instances[r, PREFILL_TOKENS]
    count = instances[r, PREFILL_COUNT]
    done[r, OUTPUT_TOKENS] += count
    done[r, ITERATIONS] += 1
    done[r, PREFILLS] += 1
    load[WAITING, r] -= instances[r, PREFILL_TOKENS]
    batch = instances[r, BATCH]
    before = batch
    i = instances[r, PREFILL_HEAD]
    for _ in range(count):
        if requests[i, FIRST] == FOREVER:
            requests[i, FIRST] = t
        else:
            gaps[gap_bin(t - requests[i, LAST])] += 1
        requests[i, LAST] = t
        output = requests[i, OUTPUT]
        if output <= 1:
            _finish(instances, requests, load, r, i, t)
        else:
            _heap_push(heap, r, batch, ((instances[r, STEP] + output - 1) << 31) | i)
            batch += 1
            instances[r, CONTEXT] += requests[i, PROMPT] + 1
        i = requests[i, FOLLOWER]
    instances[r, BATCH] = batch
    if batch > before and not shared:
        q = instances[r, STALLS]
        stalls[r, q] = t
        stalls[r, stalls.shape[1] // 2 + q] = batch - before
        instances[r, STALLS] = q + 1


@numba.njit(cache=True)
def _run(instances, prefill, heap, stalls, requests, gaps, done, load, limits, r, until, since):
    """Let one instance reach ``until``: every boundary before it is passed."""
    while instances[r, NEXT] < until:
        t = instances[r, NEXT]
        phase = instances[r, PHASE]
        if phase == DECODING:
            _commit(instances, stalls, gaps, done, r, instances[r, LEFT], since)
            _release(instances, heap, requests, load, r, t)
        elif phase == PREFILLING:
            _end_prefill(instances, heap, stalls, requests, gaps, done, load, limits, r, since)
        if instances[r, QUEUED] == 0 or not _admit(instances, prefill, stalls, requests, done, limits, r, t):
            _plan(instances, heap, limits, r, t)


@numba.njit(cache=True)
def _enqueue(instances, requests, done, load, r, i, t):
    requests[i, PLACE] = r
    load[OUTSTANDING, r] += 1
    load[WAITING, r] += requests[i, PROMPT]
    queued = instances[r, QUEUED]
    done[r, ARRIVALS] += 1
    done[r, QUEUE_TIME] += (t - instances[r, QUEUE_SINCE]) * queued
    done[r, QUEUE_MAX] = max(done[r, QUEUE_MAX], queued + 1)
    instances[r, QUEUE_SINCE] = t
    if queued == 0:
        instances[r, HEAD] = i
    else:
        requests[instances[r, TAIL], FOLLOWER] = i
    instances[r, TAIL] = i
    instances[r, QUEUED] = queued + 1
    phase = instances[r, PHASE]
    if phase == IDLE:
        if instances[r, LIVE] == 1:
            instances[r, PHASE] = WAKING
            instances[r, BEGAN] = t
            instances[r, NEXT] = t
    elif phase == DECODING and queued == 0:
        fits = instances[r, KV] + requests[i, PROMPT] + requests[i, OUTPUT] <= instances[r, KV_LIMIT]
        if fits and instances[r, BATCH] < instances[r, MAX_BATCH]:
            _cut(instances, r, t)


@numba.njit(cache=True)
def _cut(instances, r, t):
    """Shorten the planned segment to its first boundary at or after ``t``."""
    first = instances[r, FIRST_GAP]
    slope = instances[r, SLOPE]
    k = _iterations_until(first, slope, t - instances[r, BEGAN])
    if k < instances[r, LEFT]:
        instances[r, LEFT] = k
        instances[r, NEXT] = instances[r, BEGAN] + first * k + slope * (k * (k - 1) // 2)


@numba.njit(cache=True)
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


@numba.njit(cache=True)
def _tree_least(tree, leaves):
    i = 1
    value = tree[1]
    while i < leaves:
        i = 2 * i
        if tree[i] != value:
            i += 1
    return i - leaves


@numba.njit(cache=True)
def _choice(wanted, allowed, cursor):
    """Return the router's choice, or the first allowed instance (counted) where the choice is not allowed."""
    if 0 <= wanted < allowed.shape[0] and allowed[wanted] != 0:
        return wanted
    cursor[MISROUTED] += 1
    for r in range(allowed.shape[0]):
        if allowed[r] != 0:
            return r
    return 0


@numba.njit(cache=True)
def _split_at(instances, stalls, gaps, done, r, until, since):
    """Settle accounts at the end of a window without ending any iteration."""
    done[r, QUEUE_TIME] += (until - instances[r, QUEUE_SINCE]) * instances[r, QUEUED]
    instances[r, QUEUE_SINCE] = until
    phase = instances[r, PHASE]
    if phase == DECODING:
        k = _iterations_until(instances[r, FIRST_GAP], instances[r, SLOPE], until - instances[r, BEGAN]) - 1
        k = min(k, instances[r, LEFT] - 1)
        if k > 0:
            _commit(instances, stalls, gaps, done, r, k, since)
        took = until - max(instances[r, BEGAN], since)
        done[r, DECODE_TIME] += took
        done[r, BATCH_TIME] += took * instances[r, BATCH]
    elif phase == PREFILLING:
        done[r, PREFILL_TIME] += until - max(instances[r, BEGAN], since)


def _advance(
    since, until, limits, cursor, instances, prefill, heap, stalls, requests, again, gaps, done, tree, load, allowed, score, memory, route
):
    """Take every arrival in [since, until) and every boundary before ``until``; ``again`` are requests to place anew now."""
    count = instances.shape[0]
    leaves = tree.shape[0] // 2
    for r in range(count):
        if instances[r, REPLAN] == 1:
            instances[r, REPLAN] = 0
            if instances[r, PHASE] == DECODING and instances[r, LEFT] > 1:
                instances[r, LEFT] = 1
                instances[r, NEXT] = instances[r, BEGAN] + instances[r, FIRST_GAP]
        done[r, KV_MAX] = max(done[r, KV_MAX], instances[r, KV])
        done[r, QUEUE_MAX] = max(done[r, QUEUE_MAX], instances[r, QUEUED])
        _tree_set(tree, leaves, r, instances[r, NEXT])
    retried = 0
    i = cursor[NEXT_ARRIVAL]
    while True:
        if retried < again.shape[0]:
            c = again[retried]
            retried += 1
            t = since
        elif i < requests.shape[0] and requests[i, ARRIVE] < until:
            c = i
            i += 1
            t = requests[c, ARRIVE]
        else:
            break
        while tree[1] < t:
            r = _tree_least(tree, leaves)
            _run(instances, prefill, heap, stalls, requests, gaps, done, load, limits, r, t, since)
            _tree_set(tree, leaves, r, instances[r, NEXT])
        if requests[c, PROMPT] + requests[c, OUTPUT] > limits[SMALLEST_KV]:
            requests[c, PLACE] = REJECTED
            requests[c, FINISH] = t
            continue
        r = 0
        if count > 1:
            r = _choice(route(t, c, count, requests, instances, heap, load, allowed, score, memory), allowed, cursor)
        _enqueue(instances, requests, done, load, r, c, t)
        _tree_set(tree, leaves, r, instances[r, NEXT])
    cursor[NEXT_ARRIVAL] = i
    for r in range(count):
        _run(instances, prefill, heap, stalls, requests, gaps, done, load, limits, r, until, since)
        _split_at(instances, stalls, gaps, done, r, until, since)


@cache
def entry(route: Any) -> Any:
    """Return a compiled router in the form that the kernel takes fastest (a dispatcher is looked up anew at every call)."""
    return CompileResultWAP(route.get_compile_result(ROUTE_SIGNATURE))


@cache
def advance() -> Callable[..., None]:
    """Return the compiled kernel; compiled at the first call and kept on disk.

    It is the entry itself, without numba's look at the types of the arguments: with a router among them that look takes
    longer than an average tick. Arrays of other types than the signature's must therefore not be handed over.
    """
    one, two = types.int64[::1], types.int64[:, ::1]
    state = (one, one, two, types.float64[:, ::1], two, two, two, one, one, two, one, two)
    router = (types.uint8[::1], types.float64[:, ::1], one, ROUTE_TYPE)
    signature = types.void(types.int64, types.int64, *state, *router)
    kernel: Any = numba.njit(signature, cache=True)(_advance)
    compiled: Callable[..., None] = kernel.get_compile_result(signature).entry_point
    return compiled
