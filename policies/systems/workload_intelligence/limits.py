"""Where an open optimisation is short: of surplus, idle cores or power."""

import numpy as np
from numpy.typing import NDArray

from policies.baselines.clocks import power_share
from policies.systems.workload_intelligence.grants import Choice
from policies.systems.workload_intelligence.knobs import WorkloadIntelligenceKnobs
from policies.systems.workload_intelligence.tariff import drawn_share, number
from twin.workloads.levers import POOLS, OffersObservation
from twin.workloads.negotiation.treatments import HARVEST, OVERCLOCKED, OVERSUBSCRIBED, SPOT

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
HOSTS = POOLS.index("hosts")
# A VM keeps what it has until room falls to so much of what would grant it anew.
_KEEPS_SHARE = 0.5


def open_now(seen: OffersObservation, eligible: Ints, choice: Choice, knobs: WorkloadIntelligenceKnobs, row_short: Bools) -> Ints:
    """Return what is open to each VM, shape N: what its hints open, less what is short where the VM would get it."""
    offered = eligible.copy()
    if not seen.surplus_unlimited:
        for treatment, share in ((HARVEST, knobs.harvest_at_most_share), (SPOT, knobs.spot_at_most_share)):
            if share < 1.0:
                _without(offered, _beyond(seen, choice.best[offered], treatment, share), treatment)
        _without(offered, _crowded(seen, choice.best[offered]), OVERSUBSCRIBED)
    # GPUs run at their top clock as it is.
    _without(offered, np.flatnonzero(seen.pool != HOSTS), OVERCLOCKED)
    _without(offered, _unpowered(seen, choice.best[offered], knobs, row_short), OVERCLOCKED)
    return offered


def _without(offered: Ints, chosen: Ints, treatment: int) -> None:
    offered[chosen] &= ~treatment


def _beyond(seen: OffersObservation, wanted: Ints, treatment: int, share: float) -> Ints:
    """Return VMs that find no place within what is sold of a kind of surplus: the newest grants, then the least worth."""
    found = [np.zeros(0, dtype=np.int64)]
    for pool, total in enumerate(seen.spare.total_cores):
        mine = np.flatnonzero((seen.pool == pool) & ((wanted & treatment) != 0))
        if seen.cores[mine].sum() <= share * total + 1e-9:
            continue
        new = (seen.granted[mine] & treatment) == 0
        order = mine[np.lexsort((seen.arrive_s[mine], -seen.hints["vm_priority"][mine], new))]
        found.append(order[np.cumsum(seen.cores[order]) > share * total + 1e-9])
    return np.concatenate(found)


def _crowded(seen: OffersObservation, wanted: Ints) -> Ints:
    """Return VMs that cannot be oversubscribed: on servers, and on hosts that have fewer idle cores than that would use."""
    asks = np.flatnonzero(wanted & OVERSUBSCRIBED)
    on_host = seen.pool[asks] == HOSTS
    crowded: Ints = asks[~on_host]
    here = asks[on_host]
    if not len(here):
        return crowded
    place = seen.place[here]
    cores = np.bincount(place, weights=seen.cores[here], minlength=len(seen.spare.host_free_vcpus))
    used = number("discount", "oversubscription") * cores
    room = seen.spare.host_free_vcpus + seen.spare.host_idle_vcpus
    keeps, starts = room >= _KEEPS_SHARE * used, room >= used
    if starts.all():
        return crowded
    held = (seen.granted[here] & OVERSUBSCRIBED) != 0
    return np.concatenate([crowded, here[~np.where(held, keeps[place], starts[place])]])


def _unpowered(seen: OffersObservation, wanted: Ints, knobs: WorkloadIntelligenceKnobs, row_short: Bools) -> Ints:
    """Return VMs whose row has no power for a higher clock: all where it is short, else those that want it least and came last."""
    asks = np.flatnonzero(wanted & OVERCLOCKED)
    spare = seen.spare
    rows = len(spare.row_power_w)
    over = drawn_share("over_share") - 1.0
    drawn = power_share(seen.clock_share[asks])
    rated_w = seen.power_w[asks] / drawn
    more_w, row = rated_w * over, seen.row[asks]
    used_w = np.bincount(row, weights=rated_w * np.maximum(drawn - 1.0, 0.0), minlength=rows)
    bound_w = (knobs.row_power_share - knobs.power_room_share) * spare.row_budget_w
    room_w = np.where(row_short, -1.0, bound_w - (spare.row_power_w + spare.row_coming_w - used_w))
    lacking = np.bincount(row, weights=more_w, minlength=rows) > room_w
    few = np.flatnonzero(lacking[row])
    if not len(few):
        return asks[few]
    chosen = asks[few]
    new = (seen.granted[chosen] & OVERCLOCKED) == 0
    order = np.lexsort((-seen.hints["vm_priority"][chosen], new, seen.hints["want_boost"][chosen] < 1, row[few]))
    few = few[order]
    total = np.cumsum(more_w[few])
    ends = np.flatnonzero(np.diff(row[few], prepend=-1))
    total -= np.repeat((total - more_w[few])[ends], np.diff(np.append(ends, len(few))))
    return asks[few[total > room_w[row[few]]]]
