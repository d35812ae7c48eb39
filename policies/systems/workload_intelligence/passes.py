"""One look at each VM of a tick: the compiled parts of offers."""

from functools import cache
from typing import Any, Final

from numba import njit

from twin.workloads.levers import CAUSES, EVICT, LEAVE, MOVE, SHUT
from twin.workloads.negotiation.treatments import HARVEST, OVERCLOCKED, RIGHTSIZED, SPOT, SURPLUS, UNDERCLOCKED

CALM, CAPACITY, POWER, REGION, HINT = range(len(CAUSES))
# Columns of ``sums``: cores of regular VMs, of spot and of harvest VMs that are left alone; VMs, those that wait, those asked to move.
REGULAR, SPOTS, HARVESTS, COUNT, WAITING, ASKED, MOVED = range(7)
_COMPILED: Final[Any] = njit(cache=True, _nrt=False)  # type: ignore[call-overload]


def _finish(seen: Any, plan: Any, shrunk: Any, grown: Any, terms: Any, found: Any) -> None:
    pool, size_now, clock_now, busy, boost = seen
    granted, take, why, slow = plan
    right, busy_share, calmer, over, under, emergency = terms
    size, clock, cause = found
    for i in range(len(granted)):
        grant = granted[i]
        rightsized = (grant & RIGHTSIZED) != 0
        now, of_size = (right if rightsized else 1.0), (HINT if rightsized else CALM)
        if grant & HARVEST:
            less = shrunk[pool[i]] < 1.0
            now, of_size = (shrunk[pool[i]] if less else grown[i]), (CAPACITY if less else of_size)
        asked = boost[i] > 0
        fast = (grant & OVERCLOCKED) != 0 and (asked or busy[i] >= busy_share - (calmer if clock_now[i] > 1.0 else 0.0))
        speed = over if fast else 1.0
        slower = (grant & UNDERCLOCKED) != 0
        speed = emergency if slow[i] else (under if slower else speed)
        of_clock = POWER if slow[i] else (HINT if (fast and asked) or slower else CALM)
        # Who leaves is asked for nothing else; who may go to another region goes on as the others.
        leaves = take[i] == EVICT or take[i] == SHUT
        if leaves:
            now, speed = size_now[i], clock_now[i]
        otherwise = now != size_now[i] or speed != clock_now[i]
        taken = leaves or (take[i] == MOVE and not otherwise)
        size[i], clock[i] = now, speed
        cause[i] = why[i] if taken else (of_clock if of_clock != CALM else of_size)


@cache
def finisher() -> Any:
    """Return the compiled ``finish``: sizes, clocks and what each is for, from what is granted and planned.

    ``seen`` is pool, size, clock, load and wish for a boost now (N each), ``plan`` what is granted, taken, why, and slow (N each);
    ``shrunk`` (P) and ``grown`` (N) are sizes of harvest VMs, ``terms`` the size of a rightsized VM, the load from which a VM is
    overclocked, by how much less it stays so, and the clocks of one that is, of an underclocked one and of an emergency.
    """
    return _COMPILED(_finish)


def _hold(seen: Any, plan: Any, right: float, sums: Any) -> None:
    pool, cores, moved = seen
    granted, take, cause = plan
    for i in range(len(granted)):
        where, tier, here = pool[i], granted[i] & SURPLUS, take[i] == LEAVE
        sums[where, COUNT] += 1
        if tier == 0 and not moved[i]:
            sums[where, REGULAR] += cores[i] * (right if granted[i] & RIGHTSIZED else 1.0)
        if here and tier == SPOT:
            sums[where, SPOTS] += cores[i] * (right if granted[i] & RIGHTSIZED else 1.0)
        if here and tier & HARVEST:
            sums[where, HARVESTS] += cores[i]
        sums[where, WAITING] += take[i] == EVICT and cause[i] == CAPACITY
        sums[where, ASKED] += take[i] == MOVE and not moved[i]
        sums[where, MOVED] += take[i] == MOVE and moved[i]


@cache
def holder() -> Any:
    """Return the compiled ``hold``: what VMs of each pool hold, by the columns of this module, added to ``sums`` (P, 7)."""
    return _COMPILED(_hold)


def _gather(vm: Any, take: Any, cause: Any, slow: Any, saved_w: Any, plan: Any) -> None:
    now, why, slower, gave = plan
    for i in range(len(vm)):
        v = vm[i]
        now[i], why[i], slower[i], gave[i] = take[v], cause[v], slow[v], saved_w[v]


def _scatter(vm: Any, take: Any, cause: Any, slow: Any, saved_w: Any, plan: Any) -> None:
    now, why, slower, gave = plan
    for i in range(len(vm)):
        v = vm[i]
        take[v], cause[v], slow[v], saved_w[v] = now[i], why[i], slower[i], gave[i]


def _rows(row: Any, table: Any, found: Any) -> None:
    for i in range(len(row)):
        for column in range(table.shape[1]):
            found[i, column] = table[row[i], column]


@cache
def gatherer() -> Any:
    """Return the compiled ``gather(vm, take, cause, slow, saved_w, plan)``: what is remembered of VMs (V), into a plan's columns (N)."""
    return _COMPILED(_gather)


@cache
def scatterer() -> Any:
    """Return the compiled ``scatter(vm, take, cause, slow, saved_w, plan)``: the other way round."""
    return _COMPILED(_scatter)


@cache
def looker() -> Any:
    """Return the compiled ``rows(row, table, found)``: rows of a table, one after the other."""
    return _COMPILED(_rows)
