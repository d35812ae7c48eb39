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
from twin.workloads.settings import Settings

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
# Rows are written at multiples of this, where runs may go on from a snapshot: a few rows at a time would cost more than the rest.
_WRITTEN_EVERY_S: Final = 300.0


class Hosts:
    """Who stands on which host when: drawn and placed before the first tick, so that no policy and no tick changes it.

    Shapes: H hosts, V VMs, E events.
    """

    def __init__(self, settings: Settings, fleet: Fleet, clock: Clock, horizon_s: float, bursts: Sequence[Fault], seed: int) -> None:
        self._settings, self._fleet, self._clock, self._seed = settings, fleet, clock, seed
        stood = placed(settings, fleet, clock, horizon_s, seed)
        self.vms, self.vm_host, self._events = stood.vms, stood.vm_host, stood.events
        self._refused = np.flatnonzero(self.vm_host == NO_HOST)
        self._refused_s = self.vms.arrive_s[self._refused]
        self._load = HostLoad(self.vms, len(fleet.host_ids), horizon_s, settings.noise_hold_s, bursts, seed)
        self._slowdown = np.zeros(len(fleet.host_ids))
        # Events up to these positions: before the last advance, after it, written; and those turned away that are written.
        self._before = self._now = self._written = self._told = 0
        self._t_s, self._hour, self._weekend = 0.0, 0.0, False

    def advance(self, until_s: float, hour: float, weekend: bool) -> None:
        """Let VMs begin and end up to a time, which is of such an hour."""
        self._before, self._now = self._now, int(np.searchsorted(self._events.t_s, until_s, "right"))
        self._load.apply(self.events())
        self._t_s, self._hour, self._weekend = until_s, hour, weekend

    def events(self) -> HostEvents:
        """Return who began and ended in the last advance."""
        return self._events.part(self._before, self._now)

    def standing(self) -> tuple[Ints, Ints]:
        """Return the VMs that stand, by number, and their hosts."""
        seen = self._events.part(0, self._now)
        here = np.zeros(len(self.vms.vcpus), dtype=np.int64)
        np.add.at(here, seen.vm, np.where(seen.begins, 1, -1))
        vm = np.flatnonzero(here)
        return vm, self.vm_host[vm]

    def slow(self, slowdown: Floats) -> None:
        """Make each host (shape H) take so much longer for the same work, as a share of it."""
        if slowdown.shape != self._slowdown.shape or not slowdown.min(initial=0.0) >= 0.0:
            raise ValueError(f"the slowdown of hosts is {len(self._slowdown)} numbers of 0 or more")
        self._slowdown = slowdown.astype(np.float64)

    def share(self, filled: Floats) -> Floats:
        """Return the load of each host, shape H, from that of the VMs which fill a host."""
        own = self._load.share(self._t_s, self._hour, self._weekend)
        return np.asarray(np.minimum((filled + own) * (1.0 + self._slowdown), 1.0))

    def past(self) -> tuple[HostEvents, HostPopulation, float]:
        """Return what stood on the hosts before the run: events, VMs, and over how many seconds."""
        stood = placed_before(self._settings, self._fleet, self._clock, self._seed)
        return stood.events, stood.vms, stood.span_s

    # -- what is kept -----------------------------------------------------------

    def record(self, sink: Sink) -> None:
        """Write who began, who ended and who was turned away, every five minutes."""
        if self._t_s % _WRITTEN_EVERY_S < 1e-6:
            self.close(sink)

    def close(self, sink: Sink) -> None:
        """Write what is not written yet; VMs with a named host are told of with their group."""
        told = int(np.searchsorted(self._refused_s, self._t_s, "right"))
        write(sink, self._fleet, self.vms, self._events.part(self._written, self._now), self._refused[self._told : told])
        self._written, self._told = self._now, told

    def snapshot(self) -> State:
        """Return how far the run is and how much slower hosts are; who stands where follows from that."""
        return {
            "t_s": self._t_s,
            "hour": self._hour,
            "weekend": self._weekend,
            "now": self._now,
            "written": self._written,
            "told": self._told,
            "slowdown": self._slowdown.copy(),
        }

    def restore(self, state: State) -> None:
        """Take back a snapshot's state."""
        self._t_s, self._hour, self._weekend = float(state["t_s"]), float(state["hour"]), bool(state["weekend"])
        self._now = int(state["now"])
        self._before, self._written, self._told = self._now, int(state["written"]), int(state["told"])
        self._slowdown = np.array(state["slowdown"], dtype=np.float64)
        self._load.restart(*self.standing())
