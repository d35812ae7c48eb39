"""What a holder wants of VMs, held against hints: the notices it needs."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twin.workloads.levers import CAUSES, EVICT, LEAVE, MOVE, SHUT, OffersAction, OffersObservation
from twin.workloads.negotiation import notices, permits
from twin.workloads.negotiation.noticeboard import HOST, MOVING, NOBODY, SIZE, TAKE
from twin.workloads.negotiation.situation import Situation

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
EVICTION, UP, DOWN, OVER, OVER_ENDS, UNDER, RESTARTS, EMERGENCY, MOVES = (
    notices.INDEX[name]
    for name in (
        "eviction",
        "scale_up_offer",
        "scale_down_request",
        "overclock_offer",
        "overclock_end",
        "underclock_notice",
        "maintenance",
        "power_emergency",
        "region_move_offer",
    )
)
_POWER: Final = CAUSES.index("power")
# Shares that differ by less are the same.
SAME: Final = 1e-9
# Taken because its place restarts, beside LEAVE, EVICT, SHUT and MOVE.
RESTARTED: Final = 4


@dataclass(frozen=True, slots=True)
class InForce:
    """How VMs are treated now, shape V. ``taken`` is LEAVE, EVICT, SHUT or MOVE, or RESTARTED while their place restarts."""

    granted: Ints
    size_share: Floats
    clock_share: Floats
    taken: Ints


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is wanted of the VMs of an observation and allowed by their hints, shape N; ``barred`` marks where hints forbid some of it.

    A taking that is forbidden is none, a size or clock that is forbidden is the regular one. ``taking`` are the positions of those
    that are to be taken.
    """

    vm: Ints
    take: Ints
    taking: Ints
    size_share: Floats
    clock_share: Floats
    cause: Ints
    barred: Bools

    def kinds(self, slot: int, at: Ints, now: InForce) -> Ints:
        """Return the notice of a slot that each VM (a position) needs to be treated as wanted; -1 where it needs none."""
        vm = self.vm[at]
        runs = now.taken[vm] == LEAVE
        if slot == TAKE:
            take = self.take[at]
            return np.where(runs & (take == EVICT), EVICTION, np.where(runs & (take == SHUT), EMERGENCY, NOBODY))
        if slot == MOVING:
            return np.where(runs & (self.take[at] == MOVE), MOVES, NOBODY)
        if slot == HOST:
            return np.where(runs, RESTARTS, NOBODY)
        wanted, held = (self.size_share[at], now.size_share[vm]) if slot == SIZE else (self.clock_share[at], now.clock_share[vm])
        higher, lower = wanted > held + SAME, wanted < held - SAME
        if slot == SIZE:
            return np.where(runs & higher, UP, np.where(runs & lower, DOWN, NOBODY))
        # Back to the rated clock from below needs no notice; a slower clock for power is an emergency.
        slower = np.where(self.cause[at] == _POWER, EMERGENCY, UNDER)
        falls = np.where(wanted < 1.0 - SAME, slower, OVER_ENDS)
        kind = np.where(higher & (wanted > 1.0 + SAME), OVER, np.where(lower, falls, NOBODY))
        return np.where(runs, kind, NOBODY)

    def changed(self, slot: int, now: InForce) -> Ints:
        """Return the positions whose notice of a slot may be due to be sent: what is wanted is not what is."""
        if slot in (TAKE, MOVING):
            return np.asarray(self.taking[(self.take[self.taking] == MOVE) == (slot == MOVING)])
        held, wanted = (now.size_share, self.size_share) if slot == SIZE else (now.clock_share, self.clock_share)
        return np.asarray((wanted != held.take(self.vm)).nonzero()[0])

    def at_once(self, slot: int, at: Ints, now: InForce) -> Ints:
        """Return which positions change size or clock without a notice: they do not run, or come back from less than they asked."""
        vm = self.vm[at]
        if len(vm) == 0:
            return vm
        away = now.taken[vm] != LEAVE
        # What was asked for is no offer that could be declined.
        wanted, held = (self.size_share[at], now.size_share[vm]) if slot == SIZE else (self.clock_share[at], now.clock_share[vm])
        away = away | ((held < 1.0 - SAME) & (wanted > held) & (wanted <= 1.0 + SAME))
        # What hints forbid ends at once.
        forbidden = self.barred[at] & ((self.size_share if slot == SIZE else self.clock_share)[at] == 1.0)
        return np.asarray(at[away | forbidden])


def wishes(seen: OffersObservation, action: OffersAction) -> Wishes:
    """Return what an action may do to each VM by the hints in force now."""
    take, size, clock = action.take, action.size_share, action.clock_share
    barred = np.zeros(len(take), dtype=np.bool_)
    taking = take.nonzero()[0]
    if len(taking) and len(bad := taking[~permits.takes(seen.hints, taking, take[taking])]):
        take, barred[bad] = take.copy(), True
        take[bad] = LEAVE
    odd = (size != 1.0).nonzero()[0]
    if len(odd) and len(bad := odd[~permits.sizes(seen.hints, odd, size[odd])]):
        size, barred[bad] = size.copy(), True
        size[bad] = 1.0
    slow = (clock < 1.0).nonzero()[0]
    if len(slow) and len(bad := slow[~permits.clocks(seen.hints, slow, clock[slow])]):
        clock, barred[bad] = clock.copy(), True
        clock[bad] = 1.0
    return Wishes(seen.vm, take, taking[take[taking] != LEAVE], size, clock, action.cause, barred)


@dataclass(frozen=True, slots=True)
class Tick:
    """The beginning of a tick: what is seen and wanted of N VMs, and the position of each of V (-1 where it is not seen)."""

    t_s: float
    seen: OffersObservation
    fares: Situation
    wish: Wishes
    at: Ints
