"""The tables that memory writes, and the metrics read off them."""

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from twin.clock import DAY_S
from twin.metrics import Asked, Reading
from twin.tables import Column, Table

_END: Final = Column("t_s", pl.Float64, "end of the sample, seconds since the start of the run")
_SPAN: Final = Column("span_s", pl.Float32, "length of the sample")
_START: Final = Column("t_s", pl.Float64, "0: it stands from the start")

MEMORY_TERMS: Final = Table(
    "memory_terms",
    "one row: by what the run's memory is counted",
    (
        _START,
        Column("pooled_share", pl.Float64, "share of each VM's memory that may lie on pool devices"),
        Column("slice_bytes", pl.Int64, "size of a slice"),
        Column("host_vcpus", pl.Int64, "vCPUs that a host sells"),
        Column("saving_against", pl.String, "DRAM of a host without a pool: its own peak (sum_of_peaks), the worst host's (uniform_sku)"),
        Column("prices", pl.String, "table of device and cable prices"),
    ),
    telemetry=False,
)
PODS: Final = Table(
    "pods",
    "one row per pod, as it was built",
    (
        _START,
        Column("pod_id", pl.String, "pod", "pod"),
        Column("design", pl.String, "name of its design"),
        Column("kind", pl.String, "kind of its design"),
        Column("hosts", pl.Int32, "hosts in it"),
        Column("first_host", pl.Int32, "number of its first host in the fleet, from 1; the others follow"),
        Column("devices", pl.Int32, "memory devices in it"),
        Column("host_ports", pl.Int32, "CXL ports of a host"),
        Column("device_ports", pl.Int32, "CXL ports of a device"),
        Column("switches", pl.Int32, "switches in it"),
        Column("device_bytes", pl.Int64, "capacity of a device"),
        Column("access_latency_s", pl.Float64, "load-to-use latency of its devices"),
        Column("local_latency_s", pl.Float64, "load-to-use latency of a host's own memory"),
        Column("devices_usd", pl.Float64, "price of its devices"),
        Column("switches_usd", pl.Float64, "price of its switches"),
        Column("cables_usd", pl.Float64, "price of its cables"),
        Column("cost_usd_per_host", pl.Float64, "devices, switches and cables per host"),
        Column("longest_cable_m", pl.Float64, "longest cable, with its slack"),
        Column("power_w", pl.Float64, "power of its devices and switches"),
        Column("one_hop_share", pl.Float64, "pairs of hosts that share a device"),
        Column("two_hop_share", pl.Float64, "pairs of hosts that share one or have a neighbour in common"),
        Column("expansion_share", pl.Float64, "second singular value of the wiring over the first; lower spreads better"),
        Column("blast_hosts", pl.Int32, "hosts that lose a port when one device fails, at most"),
    ),
    telemetry=False,
)
MEMORY_HOSTS: Final = Table(
    "memory_hosts",
    "one row per host and sample",
    (
        _END,
        _SPAN,
        Column("host_id", pl.String, "host", "host"),
        Column("in_pod", pl.Boolean, "whether it belongs to a pod"),
        Column("vcpus", pl.Int32, "vCPUs that are sold, at the sample's end"),
        Column("sold_out", pl.Boolean, "whether all its vCPUs were sold throughout"),
        Column("demand_bytes", pl.Int64, "memory of the VMs that stand there, the highest in the sample"),
        Column("local_bytes", pl.Int64, "of it on the host itself, with what found no room on devices, the highest"),
        Column("pooled_bytes", pl.Int64, "of it on pool devices, at the sample's end"),
        Column("spilled_bytes", pl.Int64, "of it on the host because devices had no room, at the sample's end"),
    ),
)
MEMORY_BEFORE: Final = Table(
    "memory_before",
    "one row per host: the days before the run, from which pods are designed",
    (
        _START,
        Column("host_id", pl.String, "host", "host"),
        Column("demand_bytes", pl.Int64, "memory of the VMs that stood there, the highest"),
        Column("local_bytes", pl.Int64, "of it what is not to be pooled, the highest"),
    ),
    telemetry=False,
)
MEMORY_DEVICES: Final = Table(
    "memory_devices",
    "one row per device and sample",
    (
        _END,
        Column("device_id", pl.String, "pool device", "device"),
        Column("used_bytes", pl.Int64, "highest use in the sample"),
        Column("capacity_bytes", pl.Int64, "what it can hold at the sample's end; 0 while it is lost"),
    ),
)
MEMORY_POOL: Final = Table(
    "memory_pool",
    "one row per pod and sample",
    (
        _END,
        _SPAN,
        Column("pod_id", pl.String, "pod", "pod"),
        Column("migrated_bytes", pl.Int64, "moved between devices to make room"),
        Column("overflow_events", pl.Int64, "VMs that found too little room on the devices that they reach"),
        Column("overflow_bytes", pl.Int64, "what they keep on their host instead"),
        Column("vms_hit", pl.Int64, "VMs that lost slices to a fault"),
        Column("lost_bytes", pl.Int64, "what they lost; it is placed again on what is left"),
        Column("slowdown_share", pl.Float64, "more time that its hosts' VMs take for their work because memory is pooled, mean by vCPU"),
    ),
)
TABLES: Final = (MEMORY_TERMS, PODS, MEMORY_BEFORE, MEMORY_HOSTS, MEMORY_DEVICES, MEMORY_POOL)


class Provision(NamedTuple):
    """DRAM that the run shows to be needed. By host: id, whether it is in a pod, bytes it has, bytes it would have without a pool."""

    hosts: list[str]
    in_pod: NDArray[np.bool_]
    host_bytes: NDArray[np.float64]
    without_pool_bytes: NDArray[np.float64]
    device_bytes: float

    @property
    def bytes(self) -> float:
        """All of it, in hosts and devices."""
        return float(self.host_bytes.sum()) + self.device_bytes


def provision(asked: Asked) -> Provision | None:
    """Return what DRAM is provisioned for the days before the run and the whole run, whatever the window: nobody buys it by the hour.

    Without a pool every host has what the run's baseline says: its own peak, or that of the worst host. In a pod the same goes
    for what is local there (with what spilled over), and the devices have their capacity. With one size for all, hosts in pods
    and those outside have one each. None where no VM ever stood on a host.
    """
    if "memory_hosts" not in asked.tables or "memory_terms" not in asked.tables:
        return None
    against = asked.tables["memory_terms"].select("saving_against").collect().item()
    peaks = (
        asked.tables["memory_hosts"]
        .group_by(pl.col("host_id").cast(pl.String))
        .agg(pl.col("demand_bytes").max(), pl.col("local_bytes").max(), pl.col("in_pod").any())
        .sort("host_id")
        .collect()
    )
    if "memory_before" in asked.tables:
        known = asked.tables["memory_before"].select(pl.col("host_id").cast(pl.String), "demand_bytes", "local_bytes").collect()
        before = peaks.select("host_id").join(known, on="host_id", how="left", maintain_order="left")
        peaks = peaks.with_columns(pl.max_horizontal(name, before[name]) for name in ("demand_bytes", "local_bytes"))
    demand, local = (peaks[name].to_numpy().astype(np.float64) for name in ("demand_bytes", "local_bytes"))
    in_pod = peaks["in_pod"].to_numpy()
    if not demand.any():
        return None
    if against == "uniform_sku":
        for group in (in_pod, ~in_pod):
            for bytes_ in (demand, local):
                bytes_[group] = bytes_[group].max(initial=0.0)
    return Provision(peaks["host_id"].to_list(), in_pod, local, demand, _device_bytes(asked))


def _device_bytes(asked: Asked) -> float:
    if "pods" not in asked.tables:
        return 0.0
    pods = asked.tables["pods"].select((pl.col("devices").cast(pl.Int64) * pl.col("device_bytes")).sum())
    return float(pods.collect().item())


def _inside(asked: Asked, table: str, *columns: str) -> pl.DataFrame | None:
    """Return rows of samples that begin inside the window; None where there are none."""
    if table not in asked.tables:
        return None
    frame = asked.tables[table].select("t_s", "span_s", *columns).collect().rechunk()
    if asked.window is not None:
        begin_s = np.maximum(frame["t_s"].to_numpy() - frame["span_s"].to_numpy(), 0.0)
        frame = frame.filter(pl.Series(asked.clock.inside(begin_s, asked.window)))
    return frame if frame.height else None


def _was_there(asked: Asked) -> bool:
    """Say whether the run had memory to count and was inside the window at all: what is built stands at any hour."""
    if asked.scope:
        return False
    return asked.window is None or _inside(asked, "memory_hosts") is not None


def _of_pods(column: str) -> Reading:
    """Return the reading of a figure that all pods share."""

    def reading(asked: Asked) -> float | None:
        if "pods" not in asked.tables or not _was_there(asked):
            return None
        return float(asked.tables["pods"].select(pl.col(column).max()).collect().item())

    return reading


def _cost_usd_per_host(asked: Asked) -> float | None:
    """Cost of a pod per host in it; 0 where hosts have VMs and no pod."""
    if "pods" not in asked.tables:
        return 0.0 if "memory_terms" in asked.tables and _was_there(asked) else None
    return _of_pods("cost_usd_per_host")(asked)


def _dram_saving_share(asked: Asked) -> float | None:
    """DRAM not bought for the hosts in pods, against the baseline that ``memory_terms`` names; 0 without a pod.

    It is of those hosts alone, as the cost is. Below 0 the devices hold more than hosts need less.
    """
    bought = provision(asked) if _was_there(asked) else None
    if bought is None or not bought.in_pod.any():
        return None if bought is None else 0.0
    without = float(bought.without_pool_bytes[bought.in_pod].sum())
    return 1.0 - (float(bought.host_bytes[bought.in_pod].sum()) + bought.device_bytes) / without if without else None


def _stranded_share(asked: Asked) -> float | None:
    """Memory that is free on hosts whose vCPUs are all sold, over all that is installed, averaged over time.

    Nobody can use it: no VM fits there any more (Pond's sense of the word). Free memory of a pool device is not stranded, hosts
    with vCPUs left can use it. A sample counts where a host was sold out throughout, with the least that was free: a lower bound.
    """
    bought = provision(asked) if _was_there(asked) else None
    rows = None if bought is None else _inside(asked, "memory_hosts", "host_id", "sold_out", "local_bytes")
    if bought is None or rows is None:
        return None
    mine = pl.DataFrame({"host_id": bought.hosts, "bought_bytes": bought.host_bytes})
    joined = rows.with_columns(pl.col("host_id").cast(pl.String)).join(mine, on="host_id", how="left", maintain_order="left")
    free = np.maximum(joined["bought_bytes"].to_numpy() - joined["local_bytes"].to_numpy(), 0.0) * joined["sold_out"].to_numpy()
    span_s = joined["span_s"].to_numpy().astype(np.float64)
    sampled_s = float(span_s.sum()) / len(bought.hosts)
    return float((free * span_s).sum()) / (bought.bytes * sampled_s)


def _counted(column: str) -> Reading:
    """Return the reading of a count of all pods per day; 0 where hosts have VMs and no pod."""

    def reading(asked: Asked) -> float | None:
        if asked.scope or _inside(asked, "memory_hosts") is None:
            return None
        rows = _inside(asked, "memory_pool", column)
        return 0.0 if rows is None else float(rows[column].sum()) * DAY_S / asked.horizon_s

    return reading


READINGS: Final[Mapping[str, Reading]] = {
    "memory.pod_hosts": _of_pods("hosts"),
    "memory.cost_usd_per_host": _cost_usd_per_host,
    "memory.dram_saving_share": _dram_saving_share,
    "memory.stranded_share": _stranded_share,
    "memory.access_latency_s": _of_pods("access_latency_s"),
    "memory.overflow_events": _counted("overflow_events"),
    "memory.migrated_bytes": _counted("migrated_bytes"),
}
