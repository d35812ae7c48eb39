"""VMs: who owns which GPUs, who waits, how busy opaque ones are."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twin.clock import Clock
from twin.faults import Fault
from twin.fleet import Fleet
from twin.stack import State
from twin.tables import Sink
from twin.workloads.history import past_vms
from twin.workloads.host_placing import check_hosts
from twin.workloads.host_population import HostPopulation, filling
from twin.workloads.host_streams import HostStream
from twin.workloads.hosting import HostEvents
from twin.workloads.hosts import Hosts
from twin.workloads.levers import OFFER_CLOCK_HIGH, OFFER_CLOCK_LOW, SIZE_HIGH, PastVms, VmAsked
from twin.workloads.load import Load
from twin.workloads.negotiation.flooding import FLOOD
from twin.workloads.population import carried, place, populate
from twin.workloads.population import check_room as check_servers
from twin.workloads.recording import Book
from twin.workloads.servers import Servers
from twin.workloads.settings import Settings, VmGroup
from twin.workloads.streams import VmStream

__all__ = [
    "FAULT_KINDS",
    "HostEvents",
    "HostPopulation",
    "HostStream",
    "Load",
    "Model",
    "Settings",
    "VmGroup",
    "VmStream",
    "carried",
    "check_room",
    "place",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
_BURST: Final = "traffic_burst"
FAULT_KINDS: Final = (_BURST, FLOOD)


class Model:
    """Owns every GPU and host, and sets the load of opaque VMs. Who gets a place is decided outside, through ``put``.

    Shapes: S servers, G GPUs, H hosts, V VMs. Ownership is the contract that placement, offers and evictions move.
    A VM's end is known to nobody before it comes: it leaves then, wherever it stood, and one that still waits gives up.
    VMs on hosts are placed by best fit before the run, and nobody moves them: see ``twin.workloads.hosts``.
    """

    def __init__(self, settings: Settings, fleet: Fleet, clock: Clock, horizon_s: float, faults: Sequence[Fault], seed: int) -> None:
        self.settings, self.fleet, self.clock, self._seed = settings, fleet, clock, seed
        self._bursts = [fault for fault in faults if fault.kind == _BURST]
        self.vms = populate(settings, fleet, clock, horizon_s, seed)
        self.workload_ids, self.vm_ids = self.vms.workload_ids, self.vms.ids
        self.servers = Servers(self.vms, len(fleet.server_ids), clock, settings.noise_hold_s, self._bursts)
        # VMs without a named place in the order in which they ask, and all of them in the order in which they leave.
        self._asks_s = self.vms.arrive_s[self.vms.order]
        self._leaving = np.argsort(self.vms.end_s, kind="stable")
        self._leaves_s = self.vms.end_s[self._leaving]
        self._asked = self._left = 0
        self.waiting: list[int] = []
        self._book = Book(self.vms, fleet, filling())
        self.hosts = Hosts(settings, fleet, clock, horizon_s, self._bursts, seed)
        self._named()
        self.servers.settle()
        self._pools: tuple[Hosts, Servers] = self.hosts, self.servers

    def _named(self) -> None:
        _, places = place(self.settings, self.fleet)
        hosts: list[int] = []
        for vm, (kind, index) in enumerate(places):
            if kind == 0:
                self.servers.own(vm, index)
            else:
                hosts.append(index)
            self._book.stands(vm, kind, index)
        self._hosts = np.array(hosts, dtype=np.int64)

    # -- who has a place ------------------------------------------------------

    def turn(self, t_s: float) -> bool:
        """Let VMs come and go up to a time; return whether somebody waits who was not asked for, or found no room, before."""
        came, gone = int(np.searchsorted(self._asks_s, t_s, "right")), int(np.searchsorted(self._leaves_s, t_s, "right"))
        if came == self._asked and gone == self._left:
            return False
        new = [int(vm) for vm in self.vms.order[self._asked : came]]
        self.waiting += new
        freed = False
        for vm in self._leaving[self._left : gone]:
            freed |= self._leave(int(vm), t_s)
        self._asked, self._left = came, gone
        if freed:
            self.servers.settle()
        return bool(self.waiting) and (freed or bool(new))

    def evict(self, vm: Ints) -> None:
        """Take their servers from VMs, which look for a place again, behind all who wait already."""
        self.waiting += [each for each in vm.tolist() if self.servers.leave(each)]
        self.servers.settle()

    def asked(self, vm: int) -> VmAsked:
        """Return what a VM that waits asks for."""
        return VmAsked(int(self.vms.workload[vm]), int(self.vms.gpus[vm]), bool(self.vms.opaque[vm]))

    def put(self, vm: int, server: int, t_s: float) -> None:
        """Give a VM that waits the lowest free GPUs of a server. ``settle`` once all are put."""
        if self.servers.gpus_free[server] < self.vms.gpus[vm]:
            place = self.fleet.server_ids[server]
            raise ValueError(f"{self.vm_ids[vm]} needs {self.vms.gpus[vm]} GPUs, {place} has {self.servers.gpus_free[server]} free")
        self.waiting.remove(vm)
        self._book.placed(vm, server, self.servers.own(vm, server), t_s)

    def settle(self, t_s: float) -> None:
        """Take note of who was put where. At the start, those who carry serving and found no place are turned away."""
        if t_s <= 0.0:
            for vm in [vm for vm in self.waiting if not self.vms.opaque[vm]]:
                self.waiting.remove(vm)
                self._book.waited(vm, t_s, "turned away")
        self.servers.settle()

    def _leave(self, vm: int, t_s: float) -> bool:
        if not self.servers.leave(vm):
            self.waiting.remove(vm)
            self._book.waited(vm, t_s, "gave up")
            return False
        self._book.ended(vm, t_s)
        return True

    @property
    def gpu_vm(self) -> Ints:
        """Return the VM that owns each GPU, shape G, -1 for nobody."""
        return self.servers.gpu_vm

    @property
    def gpus_free(self) -> Ints:
        """Return how many GPUs of each server nobody owns, shape S."""
        return self.servers.gpus_free

    @property
    def vm_server(self) -> Ints:
        """Return the server of each VM, shape V, -1 for none."""
        return self.servers.vm_server

    @property
    def gpu_opaque(self) -> Bools:
        """Return which GPUs belong to VMs whose inside cannot be reached, shape G; another array once that changes."""
        return self.servers.gpu_opaque

    @property
    def running(self) -> Ints:
        """Return the VMs that stand on GPU servers, by number."""
        return self.servers.standing()[0]

    @property
    def placements(self) -> Mapping[str, tuple[int, ...]]:
        """Return the servers that carry each serving endpoint's VMs, in the order of the VMs."""
        return self.servers.placements()

    def past(self, expected: Mapping[str, Floats], power_share: float) -> PastVms:
        """Return what past VMs drew; see ``twin.workloads.history``."""
        return past_vms(self.settings, self.workload_ids, expected, power_share, self._seed)

    # -- load -----------------------------------------------------------------

    def advance(self, until_s: float) -> None:
        """Set every VM's load for the tick that ends at ``until_s``."""
        self.servers.load.advance(until_s)
        self.hosts.advance(until_s, float(self.clock.hour(until_s)), int(self.clock.weekday(until_s)) >= 5)

    def gpu_share(self) -> Floats:
        """Return the load of opaque VMs on each GPU, shape G, zero elsewhere and where a VM is away."""
        return self.servers.share()

    def host_share(self) -> Floats:
        """Return the load of each CPU host, shape H."""
        share = np.zeros(len(self.fleet.host_ids))
        share[self._hosts] = self.servers.load.filling_share() * self.hosts.running.carried()[: len(self._hosts)]
        return self.hosts.share(share)

    # -- what is done to VMs: pool 0 is hosts, pool 1 GPU servers; VMs are numbered in their own population ---------------------

    def standing(self, pool: int) -> tuple[Ints, Ints]:
        """Return the VMs that have a place now, by number, and the host or server of each; also those that are away."""
        return self._pools[pool].standing()

    def away(self, pool: int, vm: Ints, t_s: float) -> None:
        """Let VMs stop at the beginning of a tick: their load goes, and memory on hosts; the place stays theirs until their end.

        A VM of an endpoint keeps its instances here: ``gpus_away`` tells which GPUs do not answer.
        """
        self._set_away(pool, vm, t_s, away=True)

    def back(self, pool: int, vm: Ints, t_s: float) -> None:
        """Let VMs that are away go on at the beginning of a tick, where they were."""
        self._set_away(pool, vm, t_s, away=False)

    def _set_away(self, pool: int, vm: Ints, t_s: float, *, away: bool) -> None:
        if abs(t_s - self.hosts.t_s) > 1e-6:
            raise ValueError(f"VMs leave and come back where a tick begins, now at {self.hosts.t_s:g} s and not at {t_s:g} s")
        self._pools[pool].set_away(vm, away)

    def work(self, pool: int, vm: Ints, share: Floats) -> None:
        """Let VMs that stand carry so much of their load from the coming tick on: what their size and clock make of it, each given once."""
        self._pools[pool].set_work(vm, _within(share, 0.0, SIZE_HIGH * OFFER_CLOCK_HIGH, "the work"))

    def cap(self, vm: Ints, clock_share: Floats) -> None:
        """Cap the clock of VMs that stand on GPU servers, 1 for the top clock; more than that asks for a boost."""
        self.servers.set_clock(vm, _within(clock_share, OFFER_CLOCK_LOW, OFFER_CLOCK_HIGH, "the clock"))

    def gpu_caps(self) -> Floats:
        """Return the clock that each GPU's VM is given, shape G, 1 where nothing was said."""
        return self.servers.caps()

    def gpus_away(self) -> Bools:
        """Return which GPUs belong to VMs that are away, shape G."""
        return self.servers.away()

    def busy(self, pool: int, vm: Ints) -> Floats:
        """Return the load now of VMs that stand, of what they rent and before what they carry, shape N; away ones as if they were not.

        NaN for VMs of endpoints, whose load serving knows: see ``over_gpus``.
        """
        busy = self._pools[pool].busy(vm)
        if pool == 0:
            fill = vm < self.host_vms.named
            busy[fill] = self.servers.load.filling_share()[vm[fill]]
        return busy

    def peaks(self, pool: int) -> Floats:
        """Return mean and peak of every VM's load over a weekday without noise, of what it rents, shape (2, V)."""
        return self._pools[pool].vms.day_shares()

    def over_gpus(self, vm: Ints, values: Floats) -> Floats:
        """Return the sum of a quantity (G) over the GPUs of VMs that stand on GPU servers, shape N."""
        return self.servers.over_gpus(vm, values)

    def host_rented_vcpus(self) -> Ints:
        """Return the vCPUs of the VMs that run on each host, shape H: as many as they asked for, without those that are away."""
        return self.hosts.rented_vcpus()

    # -- VMs on hosts -----------------------------------------------------------

    @property
    def host_vms(self) -> HostPopulation:
        """Return every VM that may stand on a host in this run."""
        return self.hosts.vms

    def host_events(self) -> HostEvents:
        """Return who began and ended on hosts in the last advance; the first one has those that stand at the start."""
        return self.hosts.events()

    def host_standing(self) -> tuple[Ints, Ints]:
        """Return the VMs that stand on hosts, by number, and the host of each."""
        return self.hosts.standing()

    def slow_hosts(self, slowdown: Floats) -> None:
        """Make the same work keep each host (shape H) busy for so much longer, as a share (0 is as without pooled memory)."""
        self.hosts.slow(slowdown)

    def past_hosts(self) -> tuple[HostEvents, HostPopulation, float]:
        """Return what stood on hosts before the run: events, the VMs they speak of, and over how many seconds."""
        return self.hosts.past()

    def exogenous(self) -> str:
        """Return a hash of what no policy can change: which VMs come when, how large they are and when they leave."""
        known = self.vms.exogenous()
        return known + self.host_vms.exogenous() if len(self.host_vms.vcpus) > self.host_vms.named else known

    # -- what is kept -----------------------------------------------------------

    def record(self, sink: Sink) -> None:
        """Write who was placed, who left and who waited since the last time."""
        self._book.write(sink)
        self.hosts.record(sink)

    def close(self, sink: Sink, t_s: float) -> None:
        """Write who still waits at the end of the run."""
        for vm in self.waiting:
            self._book.waited(vm, t_s, "waits")
        self._book.write(sink)
        self.hosts.close(sink)

    def snapshot(self) -> State:
        """Return who owns which GPUs, who waits, what was done to VMs and what is not written yet; the load is a function of time."""
        return {
            **self.servers.snapshot(),
            "waiting": np.array(self.waiting, dtype=np.int64),
            "asked": self._asked,
            "left": self._left,
            "book": self._book.snapshot(),
            "hosts": self.hosts.snapshot(),
        }

    def restore(self, state: State) -> None:
        """Take back a snapshot's state."""
        self.waiting = [int(vm) for vm in state["waiting"]]
        self._asked, self._left = int(state["asked"]), int(state["left"])
        self._book.restore(state["book"])
        self.servers.restore(state)
        self.hosts.restore(state["hosts"])
        self.servers.load.advance(self.hosts.t_s)


def _within(share: Floats, low: float, high: float, what: str) -> Floats:
    if not np.all((share >= low) & (share <= high)):
        raise ValueError(f"{what} of VMs is a share from {low:g} to {high:g}; one of them is not")
    return share


def check_room(settings: Settings, fleet: Fleet, horizon_s: float = 0.0) -> None:
    """Raise ValueError where VMs are asked for that the fleet as built cannot hold on average, or a trace that ends before the run."""
    check_servers(settings, fleet)
    check_hosts(settings, fleet, horizon_s)
