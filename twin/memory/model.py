"""Memory of the VMs on hosts: local, or pooled on the devices of a pod."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.faults import Fault
from twin.fleet import Fleet
from twin.memory import sizing, slices
from twin.memory.allocation import Pool, Rule
from twin.memory.demand import HostEvents, HostVms, PastDemand
from twin.memory.figures import Figures, figures_of, power_w
from twin.memory.levers import PoolAction, PoolObservation, TopologyAction
from twin.memory.outages import FAULT_KINDS, Edge, Outages, lost
from twin.memory.outages import check as check_faults
from twin.memory.recording import Recorder
from twin.memory.selling import Selling
from twin.memory.settings import Settings
from twin.memory.slowing import Slowing
from twin.memory.terms import Terms
from twin.memory.tiling import Tiling
from twin.stack import State, read_only
from twin.tables import Sink

__all__ = ["FAULT_KINDS", "Model", "Settings", "check_faults"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Model:
    """Keeps where the memory of each VM on a host lies. Who begins and ends where comes from outside, event by event.

    Shapes: H hosts, K racks, M devices of all pods, V VMs that there may be. ``host_vcpus`` is how many vCPUs a host sells.
    ``build`` decides the pod, once, before anything else. A model without VMs on hosts and without a pod writes nothing.
    """

    def __init__(self, settings: Settings, fleet: Fleet, vms: HostVms, host_vcpus: int, faults: Sequence[Fault]) -> None:
        self.settings, self._fleet, self._vms, self._host_vcpus = settings, fleet, vms, host_vcpus
        self._outages = Outages(faults, fleet.host_ids)
        self.t_s = self._tick_s = 0.0
        self.build(TopologyAction(None))

    def build(self, action: TopologyAction, past: PastDemand | None = None) -> None:
        """Build the pod over the fleet's hosts and begin with empty memory; ValueError, one line, where it cannot be.

        ``past`` is what stood on the hosts before: what DRAM is bought, with a pod and without one, is bought for that too.
        """
        settings, pod = self.settings, action.pod
        self._tiling = Tiling(pod, len(self._fleet.host_ids))
        sizes = action.pod_bytes(self._tiling.pods)
        if pod is not None and sizes.min() < settings.slice_bytes:
            raise ValueError(f"pod_topology: devices of {sizes.min():,} bytes hold no slice of {settings.slice_bytes:,}; make them larger")
        self.built = action
        self._figures: Figures | None = None if pod is None else figures_of(pod, round(sizes.mean()), settings)
        # What each pod's devices and switches draw, shape P; a switch's part goes with the devices behind it.
        self._pod_w = np.array([power_w(pod, int(size), settings) for size in sizes]) if pod is not None else np.zeros(0)
        terms = Terms(settings.pooled_share, settings.slice_bytes)
        slices_each = np.repeat(sizes // settings.slice_bytes, self._tiling.pod_devices)
        self._pool = Pool(self._tiling, terms, self._vms.memory_bytes, slices_each)
        before = None if past is None else sizing.host_peaks(past, terms)
        self._recorder = Recorder(settings, self._tiling, action, self._figures, self._pod_w, self._host_vcpus, before)
        # What is bought for each host, shape H: in a pod what is never pooled, else all of it.
        self._bought_bytes = np.zeros(self._tiling.hosts)
        if before is not None:
            self._bought_bytes = np.where(self._tiling.pooled, before[1], before[0]).astype(np.float64)
        self._selling = Selling(self._vms.vcpus, self._tiling.hosts)
        self._slowing = Slowing(self._vms, settings.slice_bytes, self._tiling.hosts)
        self._standing: HostEvents | None = None
        self._cost()
        self._draw()

    @property
    def holds(self) -> bool:
        """Whether there is memory to follow: VMs on hosts, or a pod."""
        return bool(len(self._vms.memory_bytes)) or self._tiling.pod is not None

    @property
    def tiling(self) -> Tiling:
        """The pods over the fleet's hosts."""
        return self._tiling

    @property
    def pod_ids(self) -> tuple[str, ...]:
        """Ids of all pods."""
        return self._tiling.pod_ids

    @property
    def device_ids(self) -> tuple[str, ...]:
        """Ids of the devices of all pods."""
        return self._tiling.device_ids

    # -- time -------------------------------------------------------------------

    def advance(self, until_s: float, events: HostEvents, picker: Any, action: PoolAction) -> None:
        """Take the events from the last advance until a time; slices of VMs that begin go where the rule says."""
        rule = Rule(picker, action.score, action.migrate)
        if self._standing is not None:
            events = self._fill(events, rule)
        self._fail(rule)
        if len(events):
            self._pool.advance(events, rule)
            if self._tiling.pods:
                self._slowing.follow(events, self._pool)
        self._selling.follow(events, self.t_s)
        self._cost()
        self._tick_s, self.t_s = until_s - self.t_s, until_s
        self._recorder.gather(self._pool, self.slowdown, self._selling.vcpus, self.t_s, self._tick_s)

    def stand(self, vms: Ints, hosts: Ints) -> None:
        """Let VMs that stand on hosts, both by number, be given memory at the next advance, in this order."""
        self._standing = HostEvents(np.full(len(vms), self.t_s), vms, hosts, np.ones(len(vms), dtype=np.bool_))

    def _fill(self, events: HostEvents, rule: Rule) -> HostEvents:
        """Return the events with the begins of those that stand before them; what is lost now was lost before they came."""
        first, self._standing = self._standing, None
        assert first is not None
        self._open(rule)
        columns = ((getattr(first, name), getattr(events, name)) for name in ("t_s", "vm", "host", "begins"))
        return HostEvents(*(np.concatenate(both) for both in columns))

    def _fail(self, rule: Rule) -> None:
        """Let faults begin and end that are due: what they take is placed anew on what is left."""
        for edge in self._outages.passed(self.t_s, self._tiling):
            self._recorder.fault(edge)
            if edge.place is not None:
                self._open(rule, edge)
                self._slowing.recount(self._pool)

    def _open(self, rule: Rule, edge: Edge | None = None) -> None:
        """Use what works after the faults so far."""
        links, devices = lost(self._outages.on(self._tiling), self._tiling)
        gone = self._pool.reopen(~links, ~devices, rule)
        if edge is not None and gone.vms.any():
            self._recorder.hit(edge, gone)
        self._draw()

    def _cost(self) -> None:
        """Set by which share the VMs of each host take longer for the same work because memory is pooled, shape H."""
        latency_s = None if self._figures is None else self._figures.access_latency_s
        hosts = self._tiling.hosts
        self.slowdown: Floats = np.zeros(hosts) if latency_s is None else self._slowing.share(self._selling.vcpus, latency_s)

    def _draw(self) -> None:
        """Set what devices draw in the racks of their hosts, shape K; a device that is lost draws nothing."""
        each_w = np.repeat(self._pod_w, self._tiling.pod_devices) / max(self._tiling.pod_devices, 1)
        by_host = self._tiling.by_host(np.where(self._pool.open_devices, each_w, 0.0))
        racks = np.bincount(self._fleet.host_racks, weights=by_host, minlength=len(self._fleet.rack_ids))
        self.rack_power_w: Floats = racks.astype(np.float64)

    # -- what holders see, what is kept -----------------------------------------------

    @property
    def host_free_bytes(self) -> Floats:
        """Return the memory that each host (H) could still give: of what past demand had bought for it, and its part of its pod's.

        A host's part of a device is that of all hosts that reach it, divided evenly.
        """
        pool, size = self._pool, float(self.settings.slice_bytes)
        local = pool.hosts[:, slices.LOCAL_BYTES] + pool.hosts[:, slices.OVERFLOWN] * size
        held = local + np.where(self._tiling.pooled, 0.0, pool.hosts[:, slices.POOLED] * size)
        free = np.where(pool.open_devices, pool.capacity - pool.used, 0) * size
        return np.asarray(np.maximum(self._bought_bytes - held, 0.0) + self._tiling.by_host(free.astype(np.float64)))

    def observe(self) -> PoolObservation:
        """Return the pool as it is now."""
        pool = self._pool
        return PoolObservation(
            t_s=self.t_s,
            device_ids=self.device_ids,
            used_slices=read_only(pool.used.copy()),
            device_slices=read_only(np.where(pool.open_devices, pool.capacity, 0)),
            host_pooled_bytes=read_only(pool.hosts[:, slices.POOLED] * float(self.settings.slice_bytes)),
        )

    def record(self, sink: Sink) -> None:
        """Write what the last tick asks for."""
        if self.holds:
            self._recorder.record(sink, self._pool, self._selling, self.t_s, self._tick_s)

    def close(self, sink: Sink) -> None:
        """Write what is held back."""
        if self.holds:
            self._recorder.close(sink, self._pool, self._selling, self.t_s)

    def snapshot(self) -> State:
        """Return the state, and which pod it is of."""
        vms, hosts, *_ = self._pool.standing()
        return {
            "t_s": self.t_s,
            "pod": self._pod_digest(),
            "vms": vms,
            "hosts": hosts,
            "pool": self._pool.snapshot(),
            "selling": self._selling.snapshot(),
            "sample": self._recorder.snapshot(),
        }

    def restore(self, state: State) -> None:
        """Take back a snapshot. Under another pod than the one it is of, the VMs that stand are given memory afresh."""
        self.t_s, self._tick_s = float(state["t_s"]), 0.0
        self._outages.resume(self.t_s)
        if state["pod"] == self._pod_digest():
            self._pool.restore(state["pool"])
            self._selling.restore(state["selling"])
            self._recorder.restore(state["sample"])
            self._slowing.recount(self._pool)
        else:
            self._recorder.begin(self.t_s)
            self.stand(np.array(state["vms"], dtype=np.int64), np.array(state["hosts"], dtype=np.int64))
        self._cost()
        self._draw()

    def _pod_digest(self) -> str:
        """Return what tells pods apart: their wiring and the size of their devices; empty without one."""
        pod = self.built.pod
        if pod is None:
            return ""
        return hashlib.sha256(pod.reach.tobytes() + f"{pod.switches}/{self.built.device_bytes}".encode()).hexdigest()[:16]
