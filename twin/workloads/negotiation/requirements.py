"""What hints demand, held against what happened, hour by hour."""

from collections.abc import Iterator
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twin.clock import DAY_S, HOUR_S
from twin.sources import calibration
from twin.stack import State
from twin.tables import Sink
from twin.workloads.levers import EVICT, LEAVE, SHUT, OffersObservation
from twin.workloads.negotiation import tables
from twin.workloads.negotiation.keys import FULL
from twin.workloads.negotiation.platform import Platform
from twin.workloads.negotiation.taking import COMPILED
from twin.workloads.negotiation.tenants import Tenants
from twin.workloads.negotiation.treatments import SURPLUS
from twin.workloads.negotiation.wishes import RESTARTED

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
NAMES: Final = ("availability", "eviction budget", "notice lead", "residency", "delay")
AVAILABILITY, BUDGET, LEAD, RESIDENCY, DELAY = range(len(NAMES))
# Counts over shares of a deployment are whole VMs: so much is rounding.
_ROUNDING: Final = 1e-9


class Requirements:
    """Requirements of each workload by the hour: what its hints allow, the worst that happened, and which VMs had one broken.

    - *availability*: the share of a month (30 days) that a VM is up, by its nines; what is counted is the time for which it was shut
      down or restarted, since the start of the run. Being evicted is what a preemptible VM has agreed to.
    - *eviction budget*: the share of a deployment that is evicted at once, by ``preemptibility_share`` (whole VMs).
    - *notice lead*: seconds from a notice's reaching its VM to its event, unless the workload agreed to sooner.
    - *residency*: VMs in another region although their data must stay or they depend on theirs; none may be.
    - *delay*: how late the work of a VM is that can wait and has fewer cores or a slower clock, in seconds (its backlog over what is
      asked of it; Little's law). Nobody else may have a slower clock. VMs on surplus capacity, which may be evicted, are left out.

    A VM that had one broken at any time of an hour has it broken for that hour.
    """

    def __init__(self, tenants: Tenants) -> None:
        self.tenants = tenants
        self._rows: list[dict[str, NDArray[Any]]] = []
        self._broken_at: tuple[float, Bools] | None = None
        count, workloads = len(tenants), len(tenants.workload_ids)
        self._month_s = DAY_S * float(calibration("negotiation")["requirement"]["availability_days"]["value"])
        self._down_s, self._backlog_s = np.zeros(count), np.zeros(count)
        # Of the hour that runs: hours that VMs had a place, requirements that they had broken, the worst of each workload with its bound.
        self._hours = np.zeros(count)
        self._broken = np.zeros((len(NAMES), count), dtype=np.bool_)
        self._worst = np.full((len(NAMES), workloads), -np.inf)
        self._bound, self._now = (np.full((len(NAMES), workloads), np.nan) for _ in range(2))
        self._hour_ends_s, self._fresh = HOUR_S, True

    def account(self, from_s: float, until_s: float, seen: OffersObservation, platform: Platform) -> None:
        """Hold a tick against what the hints in force at its beginning demand; rows come as hours end."""
        for begin_s, end_s in _pieces(from_s, until_s):
            while begin_s >= self._hour_ends_s:
                self._turn(self._hour_ends_s)
            self._hours[seen.vm] += (end_s - begin_s) / HOUR_S
            self._availability(end_s - begin_s, seen, platform.taken)
            self._budget(seen, platform.taken)
            self._residency(seen, platform.gone)
            self._delay(end_s - begin_s, seen, platform)
            self._leads(platform)
            self._fresh = False
            if end_s >= self._hour_ends_s:
                self._turn(self._hour_ends_s)

    def broken(self, t_s: float) -> Bools:
        """Return which VMs had a requirement broken in the hour that ended at a time, or runs then; shape V."""
        if self._broken_at is not None and self._broken_at[0] == t_s:
            return self._broken_at[1]
        return np.asarray(self._broken.any(axis=0))

    # -- one by one ----------------------------------------------------------------

    def _note(self, which: int, vm: Ints, *, used: Floats, bound: Floats, now: Floats, broken: Bools) -> None:
        """Take note of how much of a bound VMs have used (over 1 is too much), in the requirement's unit; the worst is kept."""
        if len(vm) == 0:
            return
        self._broken[which, vm[broken]] = True
        workload = self.tenants.workload[vm]
        order = np.lexsort((used, workload))
        last = np.flatnonzero(np.append(workload[order][1:] != workload[order][:-1], True))
        worst, of = order[last], workload[order[last]]
        worse = used[worst] > self._worst[which, of]
        of, worst = of[worse], worst[worse]
        self._worst[which, of], self._bound[which, of], self._now[which, of] = used[worst], bound[worst], now[worst]

    def _of(self, concerned: Bools, seen: OffersObservation, key: str) -> Ints:
        """Return the positions of VMs that a requirement concerns now; as an hour begins all that hint its key, so that it has a row."""
        now = concerned.take(seen.vm)
        return np.flatnonzero(now | (seen.hints[key] > 0.0) if self._fresh else now)

    def _availability(self, span_s: float, seen: OffersObservation, taken: Ints) -> None:
        down = ((taken == SHUT) | (taken == RESTARTED)).take(seen.vm)
        self._down_s[seen.vm[down]] += span_s
        at = self._of(self._down_s > 0.0, seen, "availability_nines")
        vm = seen.vm[at]
        allowed_s = self._month_s * 10.0 ** -seen.hints["availability_nines"][at]
        used = self._down_s[vm] / allowed_s
        shares = (1.0 - allowed_s / self._month_s, 1.0 - self._down_s[vm] / self._month_s)
        self._note(AVAILABILITY, vm, used=used, bound=shares[0], now=shares[1], broken=(used > 1.0) & down[at])

    def _budget(self, seen: OffersObservation, taken: Ints) -> None:
        out = self._of(taken == EVICT, seen, "preemptibility_share")
        if len(out) == 0:
            return
        deployments = len(seen.deployment_vms)
        budget = np.zeros(deployments)
        touched = np.zeros(deployments, dtype=np.bool_)
        touched[seen.deployment[out]] = True
        of = np.flatnonzero(touched.take(seen.deployment))
        np.maximum.at(budget, seen.deployment[of], seen.hints["preemptibility_share"][of])
        evicted = np.bincount(seen.deployment[out], taken[seen.vm[out]] == EVICT, deployments)
        whole = np.floor(budget * seen.deployment_vms + _ROUNDING)
        # Of a deployment that has too many out, those are wronged that are.
        where = seen.deployment[out]
        now = evicted[where] / seen.deployment_vms[where]
        used = np.where(budget[where] > 0, now / np.maximum(budget[where], _ROUNDING), np.inf)
        self._note(
            BUDGET,
            seen.vm[out],
            used=used,
            bound=budget[where],
            now=now,
            broken=(evicted[where] > whole[where]) & (taken[seen.vm[out]] == EVICT),
        )

    def _leads(self, platform: Platform) -> None:
        for each in platform.board.leads():
            due = each.lead_s > 0.0
            agreed = each.honoured & (each.had_s < each.lead_s)
            due &= ~agreed
            used = each.lead_s[due] / np.maximum(each.had_s[due], _ROUNDING)
            self._note(LEAD, each.vm[due], used=used, bound=each.lead_s[due], now=each.had_s[due], broken=~each.honoured[due])

    def _residency(self, seen: OffersObservation, moved: Bools) -> None:
        at = self._of(moved, seen, "data_residency")
        if len(at) == 0:
            return
        tied = (seen.hints["data_residency"][at] > 0) | (seen.hints["region_independence"][at] < FULL)
        tied &= moved[seen.vm[at]]
        workloads = len(self.tenants.workload_ids)
        there = np.bincount(self.tenants.workload[seen.vm[at[tied]]], minlength=workloads)[self.tenants.workload[seen.vm[at]]]
        self._note(
            RESIDENCY, seen.vm[at], used=there.astype(np.float64), bound=np.zeros(len(at)), now=there.astype(np.float64), broken=tied
        )

    def _delay(self, span_s: float, seen: OffersObservation, platform: Platform) -> None:
        """Let work pile up where VMs are slower than what is asked of them, and be done where they are faster."""
        at = np.empty(len(seen.vm), dtype=np.int64)
        held = (platform.clock_share, platform.size_share, self._backlog_s, platform.granted, platform.taken)
        at = at[: _later()(seen.vm, seen.hints["delay_tolerance_s"], self._fresh, held, at)]
        vm, asked, allowed_s = seen.vm[at], seen.busy_share[at], seen.hints["delay_tolerance_s"][at]
        speed = platform.size_share[vm] * platform.clock_share[vm]
        self._backlog_s[vm] = np.maximum(self._backlog_s[vm] + (asked - speed) * span_s, 0.0)
        late_s = np.where(self._backlog_s[vm] > 0.0, self._backlog_s[vm] / np.maximum(asked, 0.01), 0.0)
        # A slower clock is for those alone that can wait, even where no work is late.
        broken = (late_s > allowed_s) | (allowed_s == 0.0)
        used = np.where(allowed_s > 0.0, late_s / np.maximum(allowed_s, 1.0), np.inf)
        self._note(DELAY, vm, used=used, bound=allowed_s, now=late_s, broken=broken)

    # -- hours ------------------------------------------------------------------------

    def _turn(self, t_s: float) -> None:
        """Make the rows of the hour that ends, and begin the next."""
        whose = self.tenants.workload
        workloads = len(self.tenants.workload_ids)
        stood = np.bincount(whose, self._hours, workloads) > 0.0
        which, workload = np.nonzero(np.isfinite(self._bound) & stood)
        hours = np.stack([np.bincount(whose, self._hours * broken, workloads) for broken in self._broken])
        self._rows.append(
            {
                "t_s": np.full(len(which), t_s),
                "workload_id": workload,
                "requirement": np.array(NAMES, dtype=object)[which],
                "bound": self._bound[which, workload],
                "now": self._now[which, workload],
                "broken_vm_hours": hours[which, workload],
            }
        )
        self._broken_at = (t_s, np.asarray(self._broken.any(axis=0)))
        self._hours[:], self._broken[:] = 0.0, False
        self._worst[:], self._bound[:], self._now[:] = -np.inf, np.nan, np.nan
        self._hour_ends_s, self._fresh = (np.floor(t_s / HOUR_S) + 1.0) * HOUR_S, True

    def write(self, sink: Sink) -> None:
        """Hand over the rows of hours that have ended."""
        for rows in self._rows:
            if len(rows["t_s"]):
                sink.append(tables.REQUIREMENTS, rows)
        self._rows = []

    def close(self, t_s: float) -> None:
        """End the hour that a run's end leaves open."""
        if t_s % HOUR_S:
            self._turn(t_s)

    def snapshot(self) -> State:
        """Return what is counted and not written yet."""
        names = ("down_s", "backlog_s", "hours", "broken", "worst", "bound", "now")
        ended = {} if self._broken_at is None else {"t_s": self._broken_at[0], "vm": np.flatnonzero(self._broken_at[1])}
        rows = [{name: values.tolist() for name, values in row.items()} for row in self._rows]
        counted = {name: getattr(self, f"_{name}").copy() for name in names}
        return {**counted, "hour_ends_s": self._hour_ends_s, "fresh": self._fresh, "ended": ended, "rows": rows}

    def restore(self, state: State) -> None:
        """Take back a snapshot's state."""
        for name in ("down_s", "backlog_s", "hours", "broken", "worst", "bound", "now"):
            getattr(self, f"_{name}")[:] = state[name]
        self._hour_ends_s, self._fresh = float(state["hour_ends_s"]), bool(state["fresh"])
        self._rows = [
            {name: np.array(values, dtype=object if name == "requirement" else None) for name, values in row.items()}
            for row in state["rows"]
        ]
        self._broken_at = None
        if state["ended"]:
            mask = np.zeros(len(self.tenants), dtype=np.bool_)
            mask[state["ended"]["vm"]] = True
            self._broken_at = float(state["ended"]["t_s"]), mask


def _late(vm: Ints, tolerance_s: Floats, fresh: bool, held: Any, at: Ints) -> int:
    """Find the positions of VMs whose work may be late, beyond surplus capacity; as an hour begins all that tolerate it."""
    clock_share, size_share, backlog_s, granted, taken = held
    count = 0
    for i in range(len(vm)):
        v = vm[i]
        slow, waits = clock_share[v] < 1.0, tolerance_s[i] > 0.0
        concerned = slow or size_share[v] < 1.0 or backlog_s[v] > 0.0 or (fresh and waits)
        if concerned and (waits or slow) and (granted[v] & SURPLUS) == 0 and taken[v] == LEAVE:
            at[count] = i
            count += 1
    return count


@cache
def _later() -> Any:
    return COMPILED(_late)


def _pieces(from_s: float, until_s: float) -> Iterator[tuple[float, float]]:
    """Return a tick in pieces that end where hours do."""
    begin_s = from_s
    while begin_s < until_s:
        end_s = min(until_s, (np.floor(begin_s / HOUR_S) + 1.0) * HOUR_S)
        yield begin_s, end_s
        begin_s = end_s
