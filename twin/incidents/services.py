# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, disallow-incomplete-defs=False
"""Requests through a graph of services: queues, time-outs, retries.

One window is one step. Requests of a service wait first come first served for its cores, pooled over its instances. A request that
its caller has given up is served all the same: under overload work is done for nobody, callers try again, and the load can stay
above what is served after its trigger is gone (metastable failures: Bronson et al., HotOS 2021). How often a call failed in one
window decides how often it is made again in the next.

Waits are those of Allen and Cunneen for c servers at the utilisation of the window, and what a backlog takes on top. A latency is
the sum of own wait, own time and of the calls, one after the other; its distribution is taken as lognormal of the same mean and
variance. All of these are approximations of stated form: the tests hold them against simulated queues. Where services call each
other in a circle, the call that closes it is made one window later and answered as in the window before.
"""

import math
from typing import Final

import numba
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Columns of `services`, float64, one row per service: what holds in a window.
OUTSIDE: Final = 0  # requests per second from outside, each counted once
CORES: Final = 1  # of all live instances
SERVICE_S: Final = 2  # what a request takes on one of them, mean
OWN_ERROR: Final = 3  # share of requests that fail here by themselves
QUEUE_S: Final = 4  # the longest wait that a request is queued for; beyond it is turned away
CLIENT_TIMEOUT_S: Final = 5
CLIENT_RETRIES: Final = 6
CLIENT_BUDGET: Final = 7  # the outside's repetitions for each of its requests, at most
CLIENT_REFUSED: Final = 8  # share of the outside's attempts that fail before they reach the service
SERVICE_CV2: Final = 9  # squared coefficient of variation of what a request takes
PAUSE_S: Final = 10  # mean of what pauses add to a request
PAUSE_VAR: Final = 11
SERVICE_COLUMNS: Final = 12

# Columns of `calls`, float64, one row per call (caller, callee).
TIMES: Final = 0
TIMEOUT_S: Final = 1
RETRIES: Final = 2
BUDGET: Final = 3  # repetitions for each call, at most, over all of them
REFUSED: Final = 4  # share of attempts that fail before they reach the callee
NETWORK_S: Final = 5  # mean of what the way there and back takes
NETWORK_VAR: Final = 6
OTHER_S: Final = 7  # mean latency of a callee that is no service
OTHER_VAR: Final = 8
OTHER_ERROR: Final = 9
LATE: Final = 10  # written: share of attempts that reached the callee and were given up
CALL_COLUMNS: Final = 11

# Columns of `state`, float64, one row per service: what lasts from window to window.
BACKLOG: Final = 0  # requests that wait
CLIENT_FAILING: Final = 1  # share of the outside's attempts that failed
OWED: Final = 2  # attempts per second of callers that come later in the order, to be met in the next window
OWED_RETRIED: Final = 3  # those of them that are repetitions
LAST_MEAN_S: Final = 4  # what the last window answered
LAST_VAR: Final = 5
LAST_ERROR: Final = 6
STATE_COLUMNS: Final = 7

# Columns of `found`, float64, one row per service: what came of a window.
OFFERED: Final = 0  # attempts per second that reach it
SERVED: Final = 1  # per second, whoever still waits for them
MEAN_S: Final = 2  # of what it takes to answer, its calls included
VAR: Final = 3
ERROR: Final = 4  # share of attempts without a good answer, time-outs of the caller not counted
BUSY: Final = 5  # cores in use
RETRIED: Final = 6  # attempts per second that are repetitions
TURNED_AWAY: Final = 7  # share of attempts
CLIENT_REFUSED_PER_S: Final = 8  # attempts of the outside that did not reach it
CLIENT_LATE: Final = 9  # share of the outside's attempts that it gives up
FOUND_COLUMNS: Final = 10

_FULL: Final = 0.98  # waits of a stationary queue are taken at this utilisation at most; above, the backlog says how long
_GAPS_CV2: Final = 1.0  # squared coefficient of variation of the gaps between requests


@numba.njit(cache=True, nogil=True)
def attempts(failing, retries, budget):
    """Return how often a call is made on average that is repeated up to so many times where it fails, within a budget of repetitions."""
    again = failing * _granted(failing, retries, budget)
    return retries + 1.0 if again >= 1.0 else (1.0 - again ** (retries + 1.0)) / (1.0 - again)


@numba.njit(cache=True, nogil=True)
def given_up(failing, retries, budget):
    """Return the share of calls that fail for good."""
    granted = _granted(failing, retries, budget)
    lost = failing
    for _ in range(int(retries)):
        lost = failing * (1.0 - granted + granted * lost)
    return lost


@numba.njit(cache=True, nogil=True)
def _granted(failing, retries, budget):
    """Return the chance that a repetition is within the budget."""
    wanted = retries if failing >= 1.0 else (1.0 - failing ** (retries + 1.0)) / (1.0 - failing) - 1.0
    return 1.0 if wanted <= budget else budget / wanted


@numba.njit(cache=True, nogil=True)
def waits(offered_per_s, cores, service_s, service_cv2):
    """Return mean (s) and variance of the wait in a stationary queue: Erlang's C, and Allen and Cunneen for other than exponential times.

    Who waits at all is taken to wait exponentially long, which is exact for exponential times.
    """
    busy = min(offered_per_s * service_s / cores, _FULL)
    servers = max(cores, 1.0)
    whole = math.floor(servers)
    waiting = _waiting(whole, busy)
    if servers > whole:
        waiting += (servers - whole) * (_waiting(whole + 1.0, busy) - waiting)
    mean_s = 0.5 * (_GAPS_CV2 + service_cv2) * service_s / (servers * (1.0 - busy))
    return waiting * mean_s, waiting * (2.0 - waiting) * mean_s * mean_s


@numba.njit(cache=True, nogil=True)
def _waiting(servers, busy):
    """Return Erlang's C, the share of requests that wait, by the recursion of his B."""
    load, lost = servers * busy, 1.0
    for n in range(1, int(servers) + 1):
        lost = load * lost / (n + load * lost)
    return lost / (1.0 - busy * (1.0 - lost))


@numba.njit(cache=True, nogil=True)
def later_than(limit_s, mean_s, var):
    """Return the share of a lognormal of mean and variance above a limit."""
    if mean_s <= 0.0:
        return 0.0
    spread = math.log1p(var / (mean_s * mean_s))
    if spread < 1e-12:
        return 1.0 if mean_s > limit_s else 0.0
    sigma = math.sqrt(spread)
    return 0.5 * math.erfc((math.log(limit_s) - (math.log(mean_s) - 0.5 * spread)) / (sigma * math.sqrt(2.0)))


@numba.njit(cache=True, nogil=True)
def step(dt_s, order, services, callers, callees, calls, failing, state, found):
    """Go through one window; ``failing`` (C), ``state`` and ``found`` (S) are written, and of ``calls`` who was late.

    ``order`` names the services, callers before callees; in a cycle a callee that comes first answers as in the last window.
    ``callees`` is -1 where a call leaves the services.
    """
    place = np.empty(len(order), np.int64)
    for k in range(len(order)):
        place[order[k]] = k
    found[:, OFFERED] = state[:, OWED]
    found[:, RETRIED] = state[:, OWED_RETRIED]
    state[:, OWED] = 0.0
    state[:, OWED_RETRIED] = 0.0
    for s in order:
        _ask(s, services, state, found)
        _queue(dt_s, s, services, state, found)
        for c in range(len(callers)):
            to = callees[c]
            if callers[c] != s or to < 0:
                continue
            tries = attempts(failing[c], calls[c, RETRIES], calls[c, BUDGET])
            reach_per_s = found[s, SERVED] * calls[c, TIMES] * (1.0 - calls[c, REFUSED])
            if place[to] > place[s]:
                found[to, OFFERED] += reach_per_s * tries
                found[to, RETRIED] += reach_per_s * (tries - 1.0)
            else:
                state[to, OWED] += reach_per_s * tries
                state[to, OWED_RETRIED] += reach_per_s * (tries - 1.0)
    for k in range(len(order) - 1, -1, -1):
        _answer(order[k], place, services, callers, callees, calls, failing, state, found)
    state[:, LAST_MEAN_S] = found[:, MEAN_S]
    state[:, LAST_VAR] = found[:, VAR]
    state[:, LAST_ERROR] = found[:, ERROR]


@numba.njit(cache=True, nogil=True)
def _ask(s, services, state, found):
    """Add what the outside asks of one service."""
    tries = attempts(state[s, CLIENT_FAILING], services[s, CLIENT_RETRIES], services[s, CLIENT_BUDGET])
    reach_per_s = services[s, OUTSIDE] * (1.0 - services[s, CLIENT_REFUSED])
    found[s, OFFERED] += reach_per_s * tries
    found[s, RETRIED] += reach_per_s * (tries - 1.0)
    found[s, CLIENT_REFUSED_PER_S] = services[s, OUTSIDE] * tries * services[s, CLIENT_REFUSED]


@numba.njit(cache=True, nogil=True)
def _queue(dt_s, s, services, state, found):
    """Serve what one service can; what is left waits or is turned away."""
    offered, cores, each_s = found[s, OFFERED], services[s, CORES], services[s, SERVICE_S]
    before = state[s, BACKLOG]
    able_per_s = cores / each_s
    if able_per_s <= 0.0:
        found[s, SERVED] = found[s, BUSY] = state[s, BACKLOG] = 0.0
        found[s, TURNED_AWAY] = 1.0
        found[s, MEAN_S] = found[s, VAR] = 0.0
        return
    served = min(before / dt_s + offered, able_per_s)
    left = max(before + (offered - served) * dt_s, 0.0)
    most = services[s, QUEUE_S] * able_per_s
    away = max(left - most, 0.0)
    left -= away
    state[s, BACKLOG] = left
    queued_s = 0.5 * (before + left) / able_per_s
    waited_s, waited_var = waits(offered, cores, each_s, services[s, SERVICE_CV2])
    found[s, SERVED] = served
    found[s, BUSY] = served * each_s
    found[s, TURNED_AWAY] = min(away / (offered * dt_s), 1.0) if offered > 0.0 else 0.0
    found[s, MEAN_S] = each_s + waited_s + queued_s + services[s, PAUSE_S]
    found[s, VAR] = services[s, SERVICE_CV2] * each_s * each_s + waited_var + services[s, PAUSE_VAR]


@numba.njit(cache=True, nogil=True)
def _answer(s, place, services, callers, callees, calls, failing, state, found):
    """Add what its calls take to what one service takes, and how they fail to how it fails."""
    good = (1.0 - services[s, OWN_ERROR]) * (1.0 - found[s, TURNED_AWAY])
    for c in range(len(callers)):
        if callers[c] != s:
            continue
        to = callees[c]
        mean, var, error = calls[c, OTHER_S], calls[c, OTHER_VAR], calls[c, OTHER_ERROR]
        if to >= 0 and place[to] < place[s]:
            mean, var, error = state[to, LAST_MEAN_S], state[to, LAST_VAR], state[to, LAST_ERROR]
        elif to >= 0:
            mean, var, error = found[to, MEAN_S], found[to, VAR], found[to, ERROR]
        mean, var, limit_s = mean + calls[c, NETWORK_S], var + calls[c, NETWORK_VAR], calls[c, TIMEOUT_S]
        late = later_than(limit_s, mean, var)
        refused = calls[c, REFUSED]
        calls[c, LATE] = late
        fails = refused + (1.0 - refused) * (1.0 - (1.0 - late) * (1.0 - error))
        failing[c] = fails
        tries = attempts(fails, calls[c, RETRIES], calls[c, BUDGET])
        once_s = (1.0 - refused) * (late * limit_s + (1.0 - late) * min(mean, limit_s))
        found[s, MEAN_S] += calls[c, TIMES] * tries * once_s
        # Of 1.2 calls for each request every request makes one, and one in five another.
        some = calls[c, TIMES] - math.floor(calls[c, TIMES])
        found[s, VAR] += calls[c, TIMES] * tries * min(var, limit_s * limit_s) + some * (1.0 - some) * (tries * once_s) ** 2
        lost = given_up(fails, calls[c, RETRIES], calls[c, BUDGET])
        good *= (1.0 - lost) ** math.floor(calls[c, TIMES]) * (1.0 - some * lost)
    found[s, ERROR] = 1.0 - good
    late = later_than(services[s, CLIENT_TIMEOUT_S], found[s, MEAN_S], found[s, VAR])
    found[s, CLIENT_LATE] = late
    state[s, CLIENT_FAILING] = 1.0 - (1.0 - services[s, CLIENT_REFUSED]) * (1.0 - late) * good


def quantile_s(mean_s: Floats, var: Floats, share: float) -> Floats:
    """Return a quantile (any share) of lognormal latencies of means and variances, seconds; 0 where there is nothing.

    >>> quantile_s(np.array([1.0]), np.array([0.0]), 0.99).tolist()
    [1.0]
    """
    from scipy.special import ndtri

    mean = np.asarray(mean_s, dtype=np.float64)
    safe = np.where(mean > 0.0, mean, 1.0)
    spread = np.log1p(np.asarray(var) / (safe * safe))
    return np.asarray(np.where(mean > 0.0, np.exp(np.log(safe) - 0.5 * spread + np.sqrt(spread) * ndtri(share)), 0.0), dtype=np.float64)
