"""VMs on CPU hosts over a run: who stands where, how busy that makes it."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twin.clock import Clock
from twin.faults import Fault
from twin.fleet import Fleet
from twin.stack import State
from twin.tables import Sink
from twin.workloads.host_load import HostLoad
from twin.workloads.host_placing import placed, placed_before
from twin.workloads.host_population import HostPopulation
from twin.workloads.host_recording import write
from twin.workloads.hosting import NO_HOST, HostEvents
from twin.workloads.running import Running
from twin.workloads.settings import Settings

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
# Rows are written at multiples of this, where runs may go on from a snapshot: a few rows at a time would cost more than the rest.
_WRITTEN_EVERY_S: Final = 300.0


class Hosts:
    """Who stands on which host when: drawn and placed before the first tick, so that no policy and no tick changes it.

    A VM can be away: it keeps its host, and its load and memory are gone until it is back. Shapes: H hosts, V VMs, E events.
    """

    def __init__(self, settings: Settings, fleet: Fleet, clock: Clock, horizon_s: float, bursts: Sequence[Fault], seed: int) -> None:
        self._settings, self._fleet, self._clock, self._seed = settings, fleet, clock, seed
        stood = placed(settings, fleet, clock, horizon_s, seed)
        self.vms, self.vm_host, self._events = stood.vms, stood.vm_host, stood.events
        self._refused = np.flatnonzero(self.vm_host == NO_HOST)
        self._refused_s = self.vms.arrive_s[self._refused]
        self.running = Running(len(self.vms.vcpus))
        self._load = HostLoad(self.vms, len(fleet.host_ids), horizon_s, settings.noise_hold_s, bursts, seed, self.running)
        self._slowdown = np.zeros(len(fleet.host_ids))
        # Events up to these positions: begun at the start, after the last advance, written; and those turned away that are written.
        self._first, self._now = int(np.searchsorted(self._events.t_s, 0.0, "right")), 0
        self._written = self._told = 0
        self.t_s, self._hour, self._weekend = 0.0, float(clock.hour(0.0)), int(clock.weekday(0.0)) >= 5
        self._stand(self._first)
        self._last = self._events.part(0, 0)

    def _stand(self, end: int) -> None:
        """Let those stand who began and did not end before a position among the events."""
        seen = self._events.part(0, end)
        here = np.zeros(len(self.vms.vcpus), dtype=np.int64)
        np.add.at(here, seen.vm, np.where(seen.begins, 1, -1))
        self._here: Bools = here > 0
        self._standing: tuple[Ints, Ints] | None = None
        # Whose absence host events have told of.
        self._gone = np.zeros(len(here), dtype=np.bool_)

    def advance(self, until_s: float, hour: float, weekend: bool) -> None:
        """Let VMs begin and end up to a time, which is of such an hour."""
        before, self._now = self._now, int(np.searchsorted(self._events.t_s, until_s, "right"))
        natural = self._events.part(before, self._now)
        self._last = self._with_absences(natural)
        self._load.apply(self._last)
        if len(natural):
            # Those of the start stand already, and ended ones are forgotten.
            self._here[natural.vm] = natural.begins
            ended = natural.vm[~natural.begins]
            self._here[ended] = False
            self.running.forget(ended)
            self._standing = None
        self._gone = self.running.away.copy()
        self.t_s, self._hour, self._weekend = until_s, hour, weekend

    def _with_absences(self, natural: HostEvents) -> HostEvents:
        """Return the events of a tick with those who left at its beginning, or came back; one that is away ends no second time."""
        away = self.running.away
        left, back = np.flatnonzero(away & ~self._gone), np.flatnonzero(self._gone & ~away)
        dropped = ~natural.begins & away[natural.vm]
        if not len(left) and not len(back) and not dropped.any():
            return natural
        vm = np.concatenate([natural.vm[~dropped], left, back])
        t_s = np.concatenate([natural.t_s[~dropped], np.full(len(left) + len(back), self.t_s)])
        begins = np.concatenate([natural.begins[~dropped], np.zeros(len(left), dtype=np.bool_), np.ones(len(back), dtype=np.bool_)])
        order = np.argsort(t_s, kind="stable")
        return HostEvents(t_s[order], vm[order], self.vm_host[vm[order]], begins[order])

    def events(self) -> HostEvents:
        """Return who began and ended in the last advance."""
        return self._last

    def standing(self) -> tuple[Ints, Ints]:
        """Return the VMs that stand, by number, and their hosts: also those that are away, and from the start on."""
        if self._standing is None:
            vm = np.flatnonzero(self._here)
            self._standing = vm, self.vm_host[vm]
        return self._standing

    def _check(self, vm: Ints) -> None:
        if not self._here[vm].all():
            raise ValueError(f"{self.vms.ids[int(vm[np.argmin(self._here[vm])])]} stands on no host now; leave it out")

    def set_away(self, vm: Ints, away: bool) -> None:
        """Let VMs that stand leave, or come back, at the beginning of the coming tick."""
        self._check(vm)
        self.running.away[vm] = away

    def set_work(self, vm: Ints, share: Floats) -> None:
        """Let VMs that stand carry so much of their load from the coming tick on."""
        self._check(vm)
        changed = self.running.work[vm] != share
        vm, share = vm[changed], share[changed]
        counts = self._counts(vm)
        self._load.change(vm[counts], self.vm_host[vm[counts]], share[counts])
        self.running.work[vm[~counts]] = share[~counts]

    def _counts(self, vm: Ints) -> Bools:
        """Return which VMs that stand add to the load of their hosts now: not those away, and nobody before the first tick."""
        return ~self._gone[vm] & (self._now >= self._first)

    def busy(self, vm: Ints) -> Floats:
        """Return the load now of VMs that stand on no host of their own, before what they carry, as a share of their vCPUs, shape N."""
        return self._load.of(vm, self.vm_host[vm], self.t_s, self._hour, self._weekend)

    def rented_vcpus(self) -> Ints:
        """Return the vCPUs of the VMs that run on each host, shape H."""
        return self._load.rented_vcpus()

    def slow(self, slowdown: Floats) -> None:
        """Make each host (shape H) take so much longer for the same work, as a share of it."""
        if slowdown.shape != self._slowdown.shape or not slowdown.min(initial=0.0) >= 0.0:
            raise ValueError(f"the slowdown of hosts is {len(self._slowdown)} numbers of 0 or more")
        self._slowdown = slowdown.astype(np.float64)

    def share(self, filled: Floats) -> Floats:
        """Return the load of each host, shape H, from that of the VMs which fill a host."""
        own = self._load.share(self.t_s, self._hour, self._weekend)
        return np.asarray(np.minimum((filled + own) * (1.0 + self._slowdown), 1.0))

    def past(self) -> tuple[HostEvents, HostPopulation, float]:
        """Return what stood on the hosts before the run: events, VMs, and over how many seconds."""
        stood = placed_before(self._settings, self._fleet, self._clock, self._seed)
        return stood.events, stood.vms, stood.span_s

    # -- what is kept -----------------------------------------------------------

    def record(self, sink: Sink) -> None:
        """Write who began, who ended and who was turned away, every five minutes."""
        if self.t_s % _WRITTEN_EVERY_S < 1e-6:
            self.close(sink)

    def close(self, sink: Sink) -> None:
        """Write what is not written yet; VMs with a named host are told of with their group."""
        told = int(np.searchsorted(self._refused_s, self.t_s, "right"))
        write(sink, self._fleet, self.vms, self._events.part(self._written, self._now), self._refused[self._told : told])
        self._written, self._told = self._now, told

    def snapshot(self) -> State:
        """Return how far the run is, how much slower hosts are and what was done to VMs; who stands where follows from that."""
        return {
            "t_s": self.t_s,
            "hour": self._hour,
            "weekend": self._weekend,
            "now": self._now,
            "written": self._written,
            "told": self._told,
            "slowdown": self._slowdown.copy(),
            "running": self.running.snapshot(),
            "gone": np.flatnonzero(self._gone),
        }

    def restore(self, state: State) -> None:
        """Take back a snapshot's state."""
        self.t_s, self._hour, self._weekend = float(state["t_s"]), float(state["hour"]), bool(state["weekend"])
        self._now, self._written, self._told = int(state["now"]), int(state["written"]), int(state["told"])
        self._slowdown = np.array(state["slowdown"], dtype=np.float64)
        self._last = self._events.part(0, 0)
        self._stand(max(self._now, self._first))
        self._gone[np.array(state["gone"], dtype=np.int64)] = True
        self.running.restore(state["running"])
        vm, host = self.standing()
        counts = self._counts(vm)
        self._load.restart(vm[counts], host[counts])
