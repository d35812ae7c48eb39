# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, disallow-incomplete-defs=False
"""Invocations, event by event: draws, instances, cores. The compiled part.

Semantics (a plain stepper in the tests gives the same times):

* Calls of a function come by its law, each from its last one: at random, under a daily wave (thinned) or not, in bursts (gaps of two
  kinds), by the clock, or as recorded. Calls that others make come beside them.
* Everything random about a call follows from its function's key and its number (SplitMix64, Steele et al. 2014; normal numbers by
  Marsaglia and Tsang's ziggurat): the same under every runtime, and however often time is cut.
* A call takes an instance of its function that is idle, the one used last: at the first host, from the function's home on, that
  has a core free now, else at the one where the fewest calls wait for a core. Where none is idle one is started: at the first host
  with a core free, else the one with the fewest waiting. Where all hosts hold as many as they may, it waits for the next idle one.
* At its host a call waits for a core, first come first served, and takes the one that is free first for the core time it needs. Its answer
  comes when its path has passed: core time lies within that time, and adds to it only where cores are slow. The instance is
  held until the answer.
* An instance that was idle for the time it is kept alive is gone. A host without cores loses its instances; what waits there goes
  elsewhere. What has a core keeps it.

Times are float64 seconds; every operation is made in the order of events, so results do not depend on where time is cut. All
state lies in plain arrays that are passed as arguments, and all that is called is in this file; see twin.serving.batching for why.
"""

import math
from typing import Any, Final

import numba
import numpy as np

NONE: Final = -1
FULL: Final = 1  # the caller must make room before anything more can happen

# Columns of `functions`, float64, one row per function.
RUN_LOG_MEDIAN: Final = 0
RUN_SIGMA: Final = 1
CPU_MEAN: Final = 2
CPU_SIGMA: Final = 3
READY: Final = 4  # what its language takes to be ready, seconds
BYTES: Final = 5
RATE: Final = 6  # highest rate (WAVE), mean rate (BURSTS), 1 / period (CLOCK)
BURST_SHARE: Final = 7  # of gaps that are short
BURST_RATE: Final = 8  # 1 / mean of short gaps
CALM_RATE: Final = 9  # 1 / mean of long gaps
PHASE: Final = 10  # first time of a clock
PERIOD: Final = 11  # of a trace
FUNCTION_COLUMNS: Final = 12

# Columns of `whose`, int64, one row per function.
LAW: Final = 0
HOME: Final = 1
DRAWN: Final = 2  # gaps drawn so far
OUTSIDE: Final = 3  # calls that others made so far
WAIT_HEAD: Final = 4  # calls that wait for an instance
WAIT_TAIL: Final = 5
TRACE_BEGIN: Final = 6
TRACE_LENGTH: Final = 7
WHOSE_COLUMNS: Final = 8

SILENT: Final = 0
WAVE: Final = 1
BURSTS: Final = 2
CLOCK: Final = 3
TRACE: Final = 4
RANDOM: Final = 5

# Columns of `tally`, float64, one row per function: counts since they were cleared, but for the last two.
ARRIVED: Final = 0
COMPLETED: Final = 1
COLD_STARTS: Final = 2
LATENCY_SUM: Final = 3
WARM_S: Final = 4  # instance-seconds, those that stand counted as if they had begun at 0
UNDER_WAY: Final = 5
WARM: Final = 6  # instances that stand
TALLY_COLUMNS: Final = 7

# Columns of `calls`, float64, one row per call under way. The first eight are SEGMENTS of twin.functions.readings.
GATEWAY: Final = 0
PROVIDER: Final = 1
STACK: Final = 2
LOOKUP: Final = 3
INTERFERENCE: Final = 4
QUEUE: Final = 5
COLD: Final = 6
RUN: Final = 7
SEGMENT_COUNT: Final = 8
CPU: Final = 8
ARRIVE: Final = 9
COLD_LEVEL: Final = 10  # standard normal
CPU_LEVEL: Final = 11  # core time over its mean
CALL_COLUMNS: Final = 12

# Columns of `who`, int64, one row per call under way.
FUNCTION: Final = 0
HOST: Final = 1
INSTANCE: Final = 2
OUTSIDE_ID: Final = 3  # of a call by others, else NONE
FOLLOWER: Final = 4  # next in its queue, or the next free row
WHO_COLUMNS: Final = 5

# Columns of `instances`, int64. `idle_s` beside it has since when each is idle.
POOL: Final = 0
OLDER: Final = 1
NEWER: Final = 2  # or the next free row
INSTANCE_COLUMNS: Final = 3

# Columns of `pools`, int64: idle instances of a function at a host, in the order of their last use; all of them in number.
NEWEST: Final = 0
OLDEST: Final = 1
ALL: Final = 2
POOL_COLUMNS: Final = 3

# Columns of `hosts`, int64, and of `host_s`, float64.
CORES: Final = 0
HEAD: Final = 1
TAIL: Final = 2
QUEUED: Final = 3
HOST_COLUMNS: Final = 4
SPEED: Final = 0
NEXT: Final = 1  # when a core is free for the first that waits; infinite where none waits
BUSY_S: Final = 2  # core-seconds of all that started
NEEDED_S: Final = 3  # the same as expected of such calls at full speed
STARTED: Final = 4  # calls
BYTE_S: Final = 5  # as WARM_S, in byte-seconds
WARM_BYTES: Final = 6
HOST_S_COLUMNS: Final = 7

# Places of `runtime`, float64.
HOP_LOG_MEDIAN: Final = 0
HOP_SIGMA: Final = 1
SPIKE_SHARE: Final = 2
SPIKE_MEAN: Final = 3
HOP_CPU: Final = 4
LOOKUPS_S: Final = 5
COLD_LOG_MEDIAN: Final = 6
COLD_SIGMA: Final = 7
OWN_BYTES: Final = 8
KEEP_ALIVE: Final = 9
AT_MOST: Final = 10
RUNTIME_PLACES: Final = 11

# Places of `cursor`, int64.
FREE_CALL: Final = 0
FREE_CALLS: Final = 1
FREE_INSTANCE: Final = 2
FREE_INSTANCES: Final = 3
EVENTS: Final = 4
OUTSIDE_AT: Final = 5  # in `outside`
OUTSIDE_END: Final = 6
BINS: Final = 7
ASKED: Final = 8  # calls by others so far
CURSOR_PLACES: Final = 9

HOPS: Final = 6
MINUTES: Final = 10_080
# Bins of latency are a quarter of a percent wide; their number of latency 1 s is BIN_ZERO.
BIN_LOG: Final = math.log(1.0025)
BIN_ZERO: Final = 16_000
BIN_SPAN: Final = 32_000
_SPARE: Final = 4  # rows that one event may need

_GAMMA: Final = np.uint64(0x9E3779B97F4A7C15)
_STEP: Final = np.uint64(0xD1342543DE82EF95)
_MIX_1: Final = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2: Final = np.uint64(0x94D049BB133111EB)
_GAPS: Final = np.uint64(0xA5A5A5A55A5A5A5A)
_OTHERS: Final = np.uint64(0x5BF036353C6EF372)
_S27, _S30, _S31, _S11 = np.uint64(27), np.uint64(30), np.uint64(31), np.uint64(11)
_LOW7: Final = np.uint64(127)
_UNIT: Final = 2.0**-53


def _ziggurat():
    """Return the edges of 128 layers of equal area under the normal curve, and the share of each that lies wholly below it."""
    right, area = 3.442619855899, 9.91256303526217e-3
    edges = np.zeros(129)
    height = math.exp(-0.5 * right * right)
    edges[0], edges[1] = area / height, right
    for i in range(2, 128):
        edges[i] = math.sqrt(-2.0 * math.log(area / edges[i - 1] + height))
        height = math.exp(-0.5 * edges[i] * edges[i])
    return edges, edges[1:] / edges[:-1]


_RIGHT: Final = 3.442619855899
_EDGES, _INNER = _ziggurat()

# Nothing here makes an array or keeps one, so references to the arguments need no counting.
_njit: Any = numba.njit
_compiled: Any = _njit(cache=True, _nrt=False, no_cpython_wrapper=True, no_cfunc_wrapper=True)
_entry: Any = _njit(cache=True, _nrt=False)


# -- random numbers: a word, and the state after it ---------------------------------


@_compiled
def _mixed(z):
    z = (z ^ (z >> _S30)) * _MIX_1
    z = (z ^ (z >> _S27)) * _MIX_2
    return z ^ (z >> _S31)


@_compiled
def _uniform(state):
    """Return an even number of (0, 1] and the state after it."""
    state = state + _GAMMA
    return (np.float64(_mixed(state) >> _S11) + 1.0) * _UNIT, state


@_compiled
def _normal(state):
    """Return a standard normal number and the state after it."""
    while True:
        state = state + _GAMMA
        word = _mixed(state)
        layer = np.int64(word & _LOW7)
        u = 2.0 * (np.float64(word >> _S11) + 0.5) * _UNIT - 1.0
        if abs(u) < _INNER[layer]:
            return u * _EDGES[layer], state
        if layer == 0:
            while True:
                first, state = _uniform(state)
                second, state = _uniform(state)
                x = math.log(first) / _RIGHT
                if -2.0 * math.log(second) > x * x:
                    break
            return (x - _RIGHT if u < 0.0 else _RIGHT - x), state
        x = u * _EDGES[layer]
        below = math.exp(-0.5 * (_EDGES[layer] * _EDGES[layer] - x * x))
        above = math.exp(-0.5 * (_EDGES[layer + 1] * _EDGES[layer + 1] - x * x))
        level, state = _uniform(state)
        if above + level * (below - above) < 1.0:
            return x, state


@_compiled
def _key(key, number):
    return _mixed(key + np.uint64(number) * _STEP)


@_compiled
def _draw(calls, functions, runtime, c, f, state, run_s):
    """Draw all that is random about a call: the same numbers in the same order under every runtime."""
    z, state = _normal(state)
    calls[c, RUN] = run_s if run_s >= 0.0 else math.exp(functions[f, RUN_LOG_MEDIAN] + functions[f, RUN_SIGMA] * z)
    z, state = _normal(state)
    sigma = functions[f, CPU_SIGMA]
    level = math.exp(sigma * z - 0.5 * sigma * sigma)
    calls[c, CPU_LEVEL] = level
    calls[c, CPU] = level * (functions[f, CPU_MEAN] + HOPS * runtime[HOP_CPU])
    calls[c, COLD_LEVEL], state = _normal(state)
    share, spikes = runtime[SPIKE_SHARE], 0.0
    for segment in range(HOPS // 2):
        there, state = _normal(state)
        back, state = _normal(state)
        there = math.exp(runtime[HOP_LOG_MEDIAN] + runtime[HOP_SIGMA] * there)
        calls[c, segment] = there + math.exp(runtime[HOP_LOG_MEDIAN] + runtime[HOP_SIGMA] * back)
    for _ in range(HOPS):
        u, state = _uniform(state)
        # Where it falls below the share, its place within is even again and gives the size of the spike.
        if u <= share:
            spikes -= runtime[SPIKE_MEAN] * math.log(u / share)
    calls[c, LOOKUP] = runtime[LOOKUPS_S]
    calls[c, INTERFERENCE] = spikes
    calls[c, QUEUE] = calls[c, COLD] = 0.0


# -- heaps ---------------------------------------------------------------------------


@_compiled
def _push(events, codes, cursor, t_s, code):
    i = cursor[EVENTS]
    cursor[EVENTS] = i + 1
    while i > 0:
        up = (i - 1) >> 1
        if events[up] < t_s or (events[up] == t_s and codes[up] < code):
            break
        events[i], codes[i] = events[up], codes[up]
        i = up
    events[i], codes[i] = t_s, code


@_compiled
def _pop(events, codes, cursor):
    """Take the first event away; the caller has read it."""
    n = cursor[EVENTS] - 1
    cursor[EVENTS] = n
    t_s, code = events[n], codes[n]
    i = 0
    while True:
        down = 2 * i + 1
        if down >= n:
            break
        right = down + 1
        if right < n and (events[right] < events[down] or (events[right] == events[down] and codes[right] < codes[down])):
            down = right
        if t_s < events[down] or (t_s == events[down] and code < codes[down]):
            break
        events[i], codes[i] = events[down], codes[down]
        i = down
    events[i], codes[i] = t_s, code


@_compiled
def _sink(due, order, i):
    """Let the function at a place of the heap of arrivals sink to where its next call belongs."""
    n = len(order)
    f = order[i]
    while True:
        down = 2 * i + 1
        if down >= n:
            break
        right = down + 1
        if right < n:
            a, b = order[right], order[down]
            if due[a] < due[b] or (due[a] == due[b] and a < b):
                down = right
        other = order[down]
        if due[f] < due[other] or (due[f] == due[other] and f < other):
            break
        order[i] = other
        i = down
    order[i] = f


@_compiled
def _take_core(cores, h, n, free_s):
    """Let the core of a host that is free first be free again at a time."""
    i = 0
    while True:
        down = 2 * i + 1
        if down >= n:
            break
        if down + 1 < n and cores[h, down + 1] < cores[h, down]:
            down += 1
        if free_s <= cores[h, down]:
            break
        cores[h, i] = cores[h, down]
        i = down
    cores[h, i] = free_s


# -- arrivals --------------------------------------------------------------------------


@_compiled
def _again(functions, whose, keys, due, wave, trace_s, f):
    """Set when a function is called next."""
    law = whose[f, LAW]
    if law in (WAVE, RANDOM):
        t_s, rate, count = due[f], functions[f, RATE], whose[f, DRAWN]
        while True:
            count += 1
            u, state = _uniform(_key(keys[f] ^ _GAPS, count))
            t_s -= math.log(u) / rate
            u, state = _uniform(state)
            if law == RANDOM or u <= wave[np.int64(t_s / 60.0) % MINUTES]:
                break
        whose[f, DRAWN], due[f] = count, t_s
        return
    whose[f, DRAWN] += 1
    count = whose[f, DRAWN]
    if law == BURSTS:
        u, state = _uniform(_key(keys[f] ^ _GAPS, count))
        short, state = _uniform(state)
        due[f] -= math.log(u) / (functions[f, BURST_RATE] if short <= functions[f, BURST_SHARE] else functions[f, CALM_RATE])
    elif law == CLOCK:
        due[f] = functions[f, PHASE] + count / functions[f, RATE]
    elif law == TRACE:
        length = whose[f, TRACE_LENGTH]
        due[f] = trace_s[whose[f, TRACE_BEGIN] + count % length] + (count // length) * functions[f, PERIOD]
    else:
        due[f] = math.inf


@_entry
def begin_arrivals(functions, whose, keys, due, order, wave, trace_s):
    """Set when each function (F) is called first, so that time zero is like any other, and build the heap of arrivals."""
    for f in range(len(due)):
        order[f] = f
        law = whose[f, LAW]
        if law in (WAVE, RANDOM):
            due[f] = 0.0
            _again(functions, whose, keys, due, wave, trace_s, f)
        elif law == BURSTS:
            # What is left of a gap that began before: long and short gaps cover the same time.
            u, state = _uniform(_key(keys[f] ^ _GAPS, 0))
            short, state = _uniform(state)
            due[f] = -math.log(u) / (functions[f, BURST_RATE] if short <= 0.5 else functions[f, CALM_RATE])
        elif law == CLOCK:
            due[f] = functions[f, PHASE]
        elif law == TRACE:
            due[f] = trace_s[whose[f, TRACE_BEGIN]]
        else:
            due[f] = math.inf
    for i in range(len(order) // 2 - 1, -1, -1):
        _sink(due, order, i)


# -- instances -------------------------------------------------------------------------


@_compiled
def _drop(instances, pools, functions, tally, host_s, runtime, cursor, n, hosts_count, t_s):
    """Take an instance that is not idle, or no longer, out of the world at a time."""
    p = instances[n, POOL]
    f, h = p // hosts_count, p % hosts_count
    pools[p, ALL] -= 1
    size = functions[f, BYTES] + runtime[OWN_BYTES]
    tally[f, WARM] -= 1.0
    tally[f, WARM_S] += t_s
    host_s[h, WARM_BYTES] -= size
    host_s[h, BYTE_S] += size * t_s
    instances[n, NEWER] = cursor[FREE_INSTANCE]
    cursor[FREE_INSTANCE] = n
    cursor[FREE_INSTANCES] += 1


@_compiled
def _expire(instances, idle_s, pools, functions, tally, host_s, runtime, cursor, p, hosts_count, t_s):
    """Let the idle instances of a pool go whose time is over at a time."""
    while True:
        n = pools[p, OLDEST]
        if n == NONE or idle_s[n] + runtime[KEEP_ALIVE] >= t_s:
            return
        newer = instances[n, NEWER]
        pools[p, OLDEST] = newer
        if newer == NONE:
            pools[p, NEWEST] = NONE
        else:
            instances[newer, OLDER] = NONE
        gone_s = idle_s[n] + runtime[KEEP_ALIVE]
        _drop(instances, pools, functions, tally, host_s, runtime, cursor, n, hosts_count, gone_s)


@_compiled
def _make(instances, pools, functions, tally, host_s, runtime, cursor, f, h, hosts_count, t_s):
    """Return a new instance of a function at a host."""
    n = cursor[FREE_INSTANCE]
    cursor[FREE_INSTANCE] = instances[n, NEWER]
    cursor[FREE_INSTANCES] -= 1
    p = f * hosts_count + h
    instances[n, POOL] = p
    pools[p, ALL] += 1
    size = functions[f, BYTES] + runtime[OWN_BYTES]
    tally[f, WARM] += 1.0
    tally[f, WARM_S] -= t_s
    host_s[h, WARM_BYTES] += size
    host_s[h, BYTE_S] -= size * t_s
    return n


@_compiled
def _rest(instances, idle_s, pools, n, t_s):
    """Let an instance be idle from a time on, as the one used last."""
    p = instances[n, POOL]
    newest = pools[p, NEWEST]
    instances[n, OLDER], instances[n, NEWER] = newest, NONE
    if newest == NONE:
        pools[p, OLDEST] = n
    else:
        instances[newest, NEWER] = n
    pools[p, NEWEST] = n
    idle_s[n] = t_s


@_compiled
def _wake(instances, pools, p):
    """Take the idle instance of a pool that was used last."""
    n = pools[p, NEWEST]
    older = instances[n, OLDER]
    pools[p, NEWEST] = older
    if older == NONE:
        pools[p, OLDEST] = NONE
    else:
        instances[older, NEWER] = NONE
    return n


@_entry
def stand(instances, idle_s, pools, functions, tally, host_s, runtime, cursor, made):
    """Let idle instances stand at time zero: rows of ``made`` (N, 3) are function, host and since when each is idle, in that order."""
    count = len(host_s)
    for i in range(len(made)):
        f, h = np.int64(made[i, 0]), np.int64(made[i, 1])
        n = _make(instances, pools, functions, tally, host_s, runtime, cursor, f, h, count, 0.0)
        _rest(instances, idle_s, pools, n, made[i, 2])


# -- cores -------------------------------------------------------------------------------


@_compiled
def _start(calls, who, functions, hosts, host_s, cores, events, codes, runtime, cursor, c, h, t_s):
    """Give a call the core of its host that is free first."""
    speed, f = host_s[h, SPEED], who[c, FUNCTION]
    needed = functions[f, CPU_MEAN] + HOPS * runtime[HOP_CPU]
    busy = calls[c, CPU] / speed
    if speed != 1.0:
        slower = calls[c, CPU_LEVEL] * (1.0 / speed - 1.0)
        calls[c, RUN] = max(calls[c, RUN] + functions[f, CPU_MEAN] * slower, 0.0)
        for segment in range(HOPS // 2):
            calls[c, segment] = max(calls[c, segment] + 2.0 * runtime[HOP_CPU] * slower, 0.0)
    _take_core(cores, h, hosts[h, CORES], t_s + busy)
    host_s[h, BUSY_S] += busy
    host_s[h, NEEDED_S] += needed
    host_s[h, STARTED] += 1.0
    calls[c, QUEUE] = max(t_s - calls[c, ARRIVE] - calls[c, COLD], 0.0)
    path = calls[c, GATEWAY] + calls[c, PROVIDER] + calls[c, STACK] + calls[c, LOOKUP] + calls[c, INTERFERENCE] + calls[c, RUN]
    _push(events, codes, cursor, t_s + path, 2 * c + 1)


@_compiled
def _join(calls, who, functions, hosts, host_s, cores, events, codes, runtime, cursor, c, h, t_s):
    """Let a call that has a ready instance at a host have a core, or wait for one."""
    if hosts[h, QUEUED] == 0 and cores[h, 0] <= t_s:
        _start(calls, who, functions, hosts, host_s, cores, events, codes, runtime, cursor, c, h, t_s)
        return
    who[c, FOLLOWER] = NONE
    if hosts[h, QUEUED] == 0:
        hosts[h, HEAD] = c
        host_s[h, NEXT] = cores[h, 0]
    else:
        who[hosts[h, TAIL], FOLLOWER] = c
    hosts[h, TAIL] = c
    hosts[h, QUEUED] += 1


@_compiled
def _next(who, hosts, host_s, h):
    """Take the first of those that wait for a core of a host."""
    c = hosts[h, HEAD]
    hosts[h, HEAD] = who[c, FOLLOWER]
    hosts[h, QUEUED] -= 1
    if hosts[h, QUEUED] == 0:
        host_s[h, NEXT] = math.inf
    return c


@_compiled
def _place(calls, who, functions, whose, tally, instances, idle_s, pools, hosts, host_s, cores, events, codes, runtime, cursor, c, t_s):
    """Give a call an instance, idle or new, or let it wait for one."""
    f, count = who[c, FUNCTION], len(hosts)
    idle, idle_load, new, new_load = NONE, math.inf, NONE, math.inf
    for step in range(count):
        h = (whose[f, HOME] + step) % count
        if hosts[h, CORES] == 0:
            continue
        p = f * count + h
        _expire(instances, idle_s, pools, functions, tally, host_s, runtime, cursor, p, count, t_s)
        free = hosts[h, QUEUED] == 0 and cores[h, 0] <= t_s
        load = -1.0 if free else hosts[h, QUEUED] / hosts[h, CORES]
        if pools[p, NEWEST] != NONE and load < idle_load:
            idle, idle_load = h, load
            if free:
                break
        if pools[p, ALL] < runtime[AT_MOST] and load < new_load:
            new, new_load = h, load
    if idle != NONE:
        who[c, HOST], who[c, INSTANCE] = idle, _wake(instances, pools, f * count + idle)
        _join(calls, who, functions, hosts, host_s, cores, events, codes, runtime, cursor, c, idle, t_s)
    elif new != NONE:
        who[c, HOST] = new
        who[c, INSTANCE] = _make(instances, pools, functions, tally, host_s, runtime, cursor, f, new, count, t_s)
        if calls[c, COLD] == 0.0:
            tally[f, COLD_STARTS] += 1.0
        start_s = math.exp(runtime[COLD_LOG_MEDIAN] + runtime[COLD_SIGMA] * calls[c, COLD_LEVEL]) + functions[f, READY]
        calls[c, COLD] += start_s
        _push(events, codes, cursor, t_s + start_s, 2 * c)
    else:
        who[c, FOLLOWER] = NONE
        if whose[f, WAIT_HEAD] == NONE:
            whose[f, WAIT_HEAD] = c
        else:
            who[whose[f, WAIT_TAIL], FOLLOWER] = c
        whose[f, WAIT_TAIL] = c


@_compiled
def _account(calls, tally, bin_keys, bin_sums, cursor, c, f, t_s):
    """Count a call that is answered: by function and bin of latency, with what each segment of its path took."""
    latency = t_s - calls[c, ARRIVE]
    tally[f, COMPLETED] += 1.0
    tally[f, UNDER_WAY] -= 1.0
    tally[f, LATENCY_SUM] += latency
    place = np.int64(math.floor(math.log(max(latency, 1e-12)) / BIN_LOG)) + BIN_ZERO
    key = f * BIN_SPAN + min(max(place, 0), BIN_SPAN - 1)
    mask = len(bin_keys) - 1
    at = (key * 0x2545F491) & mask
    at = (at ^ (at >> 7)) & mask
    while bin_keys[at] != key:
        if bin_keys[at] == NONE:
            bin_keys[at] = key
            cursor[BINS] += 1
            break
        at = (at + 1) & mask
    for segment in range(SEGMENT_COUNT):
        bin_sums[at, segment] += calls[c, segment]
    bin_sums[at, SEGMENT_COUNT] += 1.0


@_entry
def advance(
    functions, whose, keys, due, order, wave, trace_s, trace_run_s, tally, calls, who, instances, idle_s, pools, hosts, host_s, cores,
    events, codes, outside_s, outside_of, outside, bin_keys, bin_sums, runtime, cursor, until_s,
):  # fmt: skip
    """Let everything happen that happens before a time; return FULL where rows must be added first, else 0.

    ``outside`` are ids of calls by others in the order of their times; ``outside_s`` (N, 2) has by id when they come and when they
    are answered, ``outside_of`` whose they are.
    """
    count = len(hosts)
    while True:
        if cursor[FREE_CALLS] < _SPARE or cursor[FREE_INSTANCES] < _SPARE or 2 * cursor[BINS] + _SPARE > len(bin_keys):
            return FULL
        event_s = events[0] if cursor[EVENTS] > 0 else math.inf
        core_s, h = host_s[0, NEXT], 0
        for other in range(1, count):
            if host_s[other, NEXT] < core_s:
                core_s, h = host_s[other, NEXT], other
        came_s = due[order[0]] if len(order) > 0 else math.inf
        asked_s = outside_s[outside[cursor[OUTSIDE_AT]], 0] if cursor[OUTSIDE_AT] < cursor[OUTSIDE_END] else math.inf
        t_s = min(event_s, core_s, came_s, asked_s)
        if t_s >= until_s:
            return 0
        if event_s == t_s:
            code = codes[0]
            _pop(events, codes, cursor)
            c = code >> 1
            h, f, n = who[c, HOST], who[c, FUNCTION], who[c, INSTANCE]
            if code & 1 == 0:
                # An instance has started.
                if hosts[h, CORES] > 0:
                    _join(calls, who, functions, hosts, host_s, cores, events, codes, runtime, cursor, c, h, t_s)
                    continue
                _drop(instances, pools, functions, tally, host_s, runtime, cursor, n, count, t_s)
                _place(
                    calls, who, functions, whose, tally, instances, idle_s, pools, hosts, host_s, cores, events, codes, runtime,
                    cursor, c, t_s,
                )  # fmt: skip
                continue
            _account(calls, tally, bin_keys, bin_sums, cursor, c, f, t_s)
            if who[c, OUTSIDE_ID] != NONE:
                outside_s[who[c, OUTSIDE_ID], 1] = t_s
            who[c, FOLLOWER] = cursor[FREE_CALL]
            cursor[FREE_CALL] = c
            cursor[FREE_CALLS] += 1
            waits = whose[f, WAIT_HEAD]
            if waits != NONE:
                whose[f, WAIT_HEAD] = who[waits, FOLLOWER]
            if hosts[h, CORES] == 0:
                _drop(instances, pools, functions, tally, host_s, runtime, cursor, n, count, t_s)
                if waits != NONE:
                    _place(
                        calls, who, functions, whose, tally, instances, idle_s, pools, hosts, host_s, cores, events, codes, runtime,
                        cursor, waits, t_s,
                    )  # fmt: skip
            elif waits != NONE:
                who[waits, HOST], who[waits, INSTANCE] = h, n
                _join(calls, who, functions, hosts, host_s, cores, events, codes, runtime, cursor, waits, h, t_s)
            else:
                _rest(instances, idle_s, pools, n, t_s)
            continue
        if core_s == t_s:
            c = _next(who, hosts, host_s, h)
            _start(calls, who, functions, hosts, host_s, cores, events, codes, runtime, cursor, c, h, t_s)
            if hosts[h, QUEUED] > 0:
                host_s[h, NEXT] = cores[h, 0]
            continue
        c = cursor[FREE_CALL]
        cursor[FREE_CALL] = who[c, FOLLOWER]
        cursor[FREE_CALLS] -= 1
        if came_s == t_s:
            f, run_s = order[0], -1.0
            number = whose[f, DRAWN]
            state = _key(keys[f], number)
            if whose[f, LAW] == TRACE:
                run_s = trace_run_s[whose[f, TRACE_BEGIN] + number % whose[f, TRACE_LENGTH]]
            who[c, OUTSIDE_ID] = NONE
            _again(functions, whose, keys, due, wave, trace_s, f)
            _sink(due, order, 0)
        else:
            asked = outside[cursor[OUTSIDE_AT]]
            cursor[OUTSIDE_AT] += 1
            f, run_s = outside_of[asked], -1.0
            state = _key(keys[f] ^ _OTHERS, whose[f, OUTSIDE])
            whose[f, OUTSIDE] += 1
            who[c, OUTSIDE_ID] = asked
        who[c, FUNCTION] = f
        tally[f, ARRIVED] += 1.0
        tally[f, UNDER_WAY] += 1.0
        _draw(calls, functions, runtime, c, f, state, run_s)
        calls[c, ARRIVE] = t_s
        _place(calls, who, functions, whose, tally, instances, idle_s, pools, hosts, host_s, cores, events, codes, runtime, cursor, c, t_s)


@_entry
def move(
    functions, whose, tally, calls, who, instances, idle_s, pools, hosts, host_s, cores, events, codes, runtime, cursor, t_s
):  # fmt: skip
    """After the cores of hosts have changed: what waits at hosts without any goes elsewhere, who waited for an instance asks again.

    The caller has made room for an instance of each call under way.
    """
    count = len(hosts)
    for h in range(count):
        if hosts[h, CORES] > 0:
            continue
        for f in range(len(functions)):
            p = f * count + h
            while pools[p, NEWEST] != NONE:
                n = _wake(instances, pools, p)
                _drop(instances, pools, functions, tally, host_s, runtime, cursor, n, count, t_s)
        while hosts[h, QUEUED] > 0:
            c = _next(who, hosts, host_s, h)
            _drop(instances, pools, functions, tally, host_s, runtime, cursor, who[c, INSTANCE], count, t_s)
            _place(
                calls, who, functions, whose, tally, instances, idle_s, pools, hosts, host_s, cores, events, codes, runtime, cursor, c, t_s
            )
    for f in range(len(functions)):
        c = whose[f, WAIT_HEAD]
        whose[f, WAIT_HEAD] = NONE
        while c != NONE:
            following = who[c, FOLLOWER]
            _place(
                calls, who, functions, whose, tally, instances, idle_s, pools, hosts, host_s, cores, events, codes, runtime, cursor, c, t_s
            )
            c = following


@_entry
def sweep(instances, idle_s, pools, functions, tally, host_s, runtime, cursor, t_s):
    """Let every idle instance go whose time is over at a time."""
    count = len(host_s)
    for p in range(len(pools)):
        if pools[p, OLDEST] != NONE:
            _expire(instances, idle_s, pools, functions, tally, host_s, runtime, cursor, p, count, t_s)


@_entry
def evict(instances, idle_s, pools, functions, tally, host_s, runtime, cursor, share, t_s):
    """Let a ``share`` (F) of each function's idle instances at each host go, rounded up, the longest idle first."""
    count = len(host_s)
    for p in range(len(pools)):
        if share[p // count] <= 0.0 or pools[p, OLDEST] == NONE:
            continue
        _expire(instances, idle_s, pools, functions, tally, host_s, runtime, cursor, p, count, t_s)
        idle, n = 0, pools[p, OLDEST]
        while n != NONE:
            idle, n = idle + 1, instances[n, NEWER]
        for _ in range(math.ceil(share[p // count] * idle - 1e-9)):
            n = pools[p, OLDEST]
            newer = instances[n, NEWER]
            pools[p, OLDEST] = newer
            if newer == NONE:
                pools[p, NEWEST] = NONE
            else:
                instances[newer, OLDER] = NONE
            _drop(instances, pools, functions, tally, host_s, runtime, cursor, n, count, t_s)


@_entry
def draws(functions, runtime, keys, f, first, calls):
    """Fill rows of ``calls`` (N, CALL_COLUMNS) with what calls number ``first``, … of a function take; no queue, no start."""
    for i in range(len(calls)):
        _draw(calls, functions, runtime, i, f, _key(keys[f], first + i), -1.0)


@_entry
def again(functions, whose, keys, due, wave, trace_s, f):
    """Set when a function is called next after the time it is due."""
    _again(functions, whose, keys, due, wave, trace_s, f)


@_entry
def rehash(old_keys, old_sums, bin_keys, bin_sums):
    """Carry every bin over into a larger table."""
    mask = len(bin_keys) - 1
    for i in range(len(old_keys)):
        key = old_keys[i]
        if key == NONE:
            continue
        at = (key * 0x2545F491) & mask
        at = (at ^ (at >> 7)) & mask
        while bin_keys[at] != NONE:
            at = (at + 1) & mask
        bin_keys[at] = key
        for column in range(SEGMENT_COUNT + 1):
            bin_sums[at, column] = old_sums[i, column]
