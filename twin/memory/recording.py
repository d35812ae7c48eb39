"""Writes the tables of memory: samples, and the pods that were built."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twin.memory import slices
from twin.memory.allocation import Lost, Pool
from twin.memory.figures import Figures
from twin.memory.levers import TopologyAction
from twin.memory.outages import Edge
from twin.memory.readings import MEMORY_BEFORE, MEMORY_DEVICES, MEMORY_HOSTS, MEMORY_POOL, MEMORY_TERMS, PODS
from twin.memory.selling import Selling
from twin.memory.settings import Settings
from twin.memory.tiling import Tiling
from twin.stack import State
from twin.tables import EVENTS, Sink, event_columns

Columns = dict[str, NDArray[Any]]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Told = tuple[float, str, str, str, str, float]
_COUNTED: Final = (slices.MIGRATED, slices.OVERFLOW_EVENTS, slices.OVERFLOW_SLICES)
_FIGURES: Final = (
    *("access_latency_s", "local_latency_s", "devices_usd", "switches_usd", "cables_usd", "cost_usd_per_host", "longest_cable_m"),
    *("one_hop_share", "two_hop_share", "expansion_share"),
)


class Recorder:
    """Gathers a sample of every host, device and pod and writes it when its time is full.

    Peaks of memory are the pool's own, exact over every event; the sample begins them anew.
    """

    def __init__(
        self,
        settings: Settings,
        tiling: Tiling,
        built: TopologyAction,
        figures: Figures | None,
        pod_w: Floats,
        host_vcpus: int,
        before: tuple[Ints, Ints] | None = None,
    ) -> None:
        self._settings, self._tiling, self._host_vcpus = settings, tiling, host_vcpus
        self._before = before
        self._start = _pods(tiling, built, figures, pod_w) if figures is not None else None
        self._host_index = np.arange(tiling.hosts, dtype=np.uint32)
        self._device_index = np.arange(tiling.devices, dtype=np.uint32)
        self._pod_index = np.arange(tiling.pods, dtype=np.uint32)
        self._started = False
        self._told: list[Told] = []
        self._begin_s = 0.0
        self._overflow_told = np.zeros(tiling.pods, dtype=np.int64)
        self._counted_before = np.zeros((tiling.pods, len(_COUNTED)), dtype=np.int64)
        self._clear()

    def _clear(self) -> None:
        pods = self._tiling.pods
        self._hit, self._lost_slices = np.zeros(pods, dtype=np.int64), np.zeros(pods, dtype=np.int64)
        self._slow, self._sold = np.zeros(pods), np.zeros(pods)

    def begin(self, t_s: float) -> None:
        """Begin a sample at a time."""
        self._begin_s = t_s

    # -- what a sample gathers ---------------------------------------------------

    def gather(self, pool: Pool, slowdown: Floats, vcpus: Ints, t_s: float, tick_s: float) -> None:
        """Take a tick that ends at ``t_s``: its slowdown by host (H), weighed by vCPUs sold, and what found no room."""
        if not self._tiling.pods:
            return
        inside = self._tiling.pooled
        pods, sold = self._tiling.host_pods[inside], vcpus[inside] * tick_s
        self._slow += np.bincount(pods, weights=slowdown[inside] * sold, minlength=len(self._slow))
        self._sold += np.bincount(pods, weights=sold, minlength=len(self._sold))
        overflow = pool.pods[:, slices.OVERFLOW_SLICES]
        if (overflow != self._overflow_told).any():
            for pod in np.flatnonzero(overflow != self._overflow_told):
                value = float((overflow[pod] - self._overflow_told[pod]) * self._settings.slice_bytes)
                self._told.append((t_s, "memory", "pool_overflow", "pod", self._tiling.pod_ids[pod], value))
            self._overflow_told = overflow.copy()

    def fault(self, edge: Edge) -> None:
        """Take note of a fault that begins or ends, or that strikes what this run's pod does not have."""
        fault = edge.fault
        if edge.place is not None:
            self._told.append((edge.t_s, "memory", fault.kind, edge.entity, fault.target, 1.0 if edge.begins else 0.0))
        elif edge.begins:
            self._told.append((edge.t_s, "memory", f"no_such_{edge.entity}", edge.entity, fault.target, 0.0))

    def hit(self, edge: Edge, gone: Lost) -> None:
        """Take note of the VMs that a fault took slices from."""
        inside = self._tiling.pooled
        np.add.at(self._hit, self._tiling.host_pods[inside], gone.vms[inside])
        np.add.at(self._lost_slices, self._tiling.host_pods[inside], gone.slices[inside])
        where = (edge.entity, edge.fault.target)
        for kind, value in (("vms_hit", gone.vms.sum()), ("memory_lost_bytes", gone.slices.sum() * self._settings.slice_bytes)):
            self._told.append((edge.t_s, "memory", kind, *where, float(value)))

    # -- what is written -----------------------------------------------------------

    def record(self, sink: Sink, pool: Pool, selling: Selling, t_s: float, tick_s: float) -> None:
        """Write what the tick's end asks for."""
        if not self._started:
            self._write_start(sink)
        if self._told:
            sink.append(EVENTS, event_columns(self._told))
            self._told = []
        every_s = self._settings.sample_s
        if math.floor(t_s / every_s + 1e-9) > math.floor((t_s - tick_s) / every_s + 1e-9):
            self._write_sample(sink, pool, selling, t_s)

    def close(self, sink: Sink, pool: Pool, selling: Selling, t_s: float) -> None:
        """Write the unfinished sample."""
        if t_s > self._begin_s + 1e-9:
            self._write_sample(sink, pool, selling, t_s)

    def _write_start(self, sink: Sink) -> None:
        """Write what stands from the start; a run that goes on from a snapshot says so too, it needs it to be read."""
        terms = self._settings
        values: tuple[float | str, ...] = (0.0, terms.pooled_share, terms.slice_bytes, self._host_vcpus, terms.saving_against, terms.prices)
        names = (column.name for column in MEMORY_TERMS.columns)
        sink.append(MEMORY_TERMS, {name: _one(value) for name, value in zip(names, values, strict=True)})
        if self._start is not None:
            sink.append(PODS, self._start)
        if self._before is not None and len(self._host_index):
            whole, local = self._before
            begun = np.zeros(len(whole))
            sink.append(MEMORY_BEFORE, {"t_s": begun, "host_id": self._host_index, "demand_bytes": whole, "local_bytes": local})
        self._started = True

    def _write_sample(self, sink: Sink, pool: Pool, selling: Selling, t_s: float) -> None:
        span_s = t_s - self._begin_s
        if len(pool.memory_bytes):
            sink.append(MEMORY_HOSTS, self._hosts(pool, selling, t_s, span_s))
        if self._tiling.devices:
            sink.append(MEMORY_DEVICES, self._devices(pool, t_s))
            sink.append(MEMORY_POOL, self._pools(pool, t_s, span_s))
        self._begin_s = t_s
        pool.begin_peaks()
        selling.begin()
        self._counted_before = pool.pods[:, _COUNTED].copy()
        self._clear()

    def _hosts(self, pool: Pool, selling: Selling, t_s: float, span_s: float) -> Columns:
        size, hosts = self._settings.slice_bytes, pool.hosts
        return {
            "t_s": np.full(len(hosts), t_s),
            "span_s": np.full(len(hosts), span_s, dtype=np.float32),
            "host_id": self._host_index,
            "in_pod": self._tiling.pooled,
            "vcpus": selling.vcpus.astype(np.int32),
            "sold_out": selling.sold_out(self._host_vcpus),
            "demand_bytes": hosts[:, slices.PEAK_BYTES].copy(),
            "local_bytes": hosts[:, slices.PEAK_LOCAL_BYTES].copy(),
            "pooled_bytes": hosts[:, slices.POOLED] * size,
            "spilled_bytes": hosts[:, slices.OVERFLOWN] * size,
        }

    def _devices(self, pool: Pool, t_s: float) -> Columns:
        size, devices = self._settings.slice_bytes, self._tiling.devices
        capacity = np.where(pool.open_devices, pool.capacity, 0)
        return {
            "t_s": np.full(devices, t_s),
            "device_id": self._device_index,
            "used_bytes": pool.peak * size,
            "capacity_bytes": capacity * size,
        }

    def _pools(self, pool: Pool, t_s: float, span_s: float) -> Columns:
        size, pods = self._settings.slice_bytes, self._tiling.pods
        migrated, events, overflow = (pool.pods[:, _COUNTED] - self._counted_before).T
        return {
            "t_s": np.full(pods, t_s),
            "span_s": np.full(pods, span_s, dtype=np.float32),
            "pod_id": self._pod_index,
            "migrated_bytes": migrated * size,
            "overflow_events": events.copy(),
            "overflow_bytes": overflow * size,
            "vms_hit": self._hit,
            "lost_bytes": self._lost_slices * size,
            "slowdown_share": np.divide(self._slow, self._sold, out=np.zeros(pods), where=self._sold > 0.0),
        }

    # -- snapshots -------------------------------------------------------------------

    def snapshot(self) -> State:
        """Return the sample as far as it has come."""
        return {
            "begin_s": self._begin_s,
            "overflow_told": self._overflow_told.copy(),
            "counted_before": self._counted_before.copy(),
            "hit": self._hit.copy(),
            "lost_slices": self._lost_slices.copy(),
            "slow": self._slow.copy(),
            "sold": self._sold.copy(),
        }

    def restore(self, state: State) -> None:
        """Take back a snapshot's sample."""
        self._begin_s, self._told = float(state["begin_s"]), []
        self._counted_before, self._overflow_told = (np.array(state[name], dtype=np.int64) for name in ("counted_before", "overflow_told"))
        self._hit, self._lost_slices = (np.array(state[name], dtype=np.int64) for name in ("hit", "lost_slices"))
        self._slow, self._sold = (np.array(state[name], dtype=np.float64) for name in ("slow", "sold"))


def _one(value: float | str) -> NDArray[Any]:
    return np.array([value], dtype=object) if isinstance(value, str) else np.array([value])


def _pods(tiling: Tiling, built: TopologyAction, figures: Figures, pod_w: Floats) -> Columns:
    """Return the rows of PODS: all are alike but for their hosts and the size of their devices."""
    pod, count = tiling.pod, tiling.pods
    assert pod is not None
    shown = {name: value for name, value in asdict(figures).items() if name in _FIGURES}
    alike: dict[str, Sequence[Any] | Any] = {
        "t_s": 0.0,
        "hosts": pod.hosts,
        "devices": pod.devices,
        "host_ports": pod.host_ports,
        "device_ports": pod.device_ports,
        "switches": pod.switches,
        "blast_hosts": figures.blast_hosts,
        **shown,
    }
    return {
        **{name: np.full(count, value) for name, value in alike.items()},
        "device_bytes": built.pod_bytes(count),
        "power_w": pod_w,
        "pod_id": np.arange(count, dtype=np.uint32),
        "design": np.full(count, pod.name, dtype=object),
        "kind": np.full(count, pod.kind, dtype=object),
        "first_host": np.arange(count) * pod.hosts + 1,
    }
