"""Nine days of real VMs on hosts of 40 vCPUs, for tests and benchmarks; where the trace is not there, as many drawn ones."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

from twin.chance import stream
from twin.clock import Clock
from twin.memory.demand import HostEvents, HostVms, PastDemand
from twin.workloads import hosting
from twin.workloads.host_streams import HostStream, draw
from twin.workloads.host_trace import Trace, thinned

VCPUS = 40
EVENTS = 468_000
_BIN_S = 300.0


def file_of(folder: Path) -> Path:
    """Return where the trace lies among the real data."""
    return folder / "traces" / "azure_v1_vm_arrivals.parquet"


def traced(folder: Path, hosts: int, seed: int = 1, vcpus_share: float = 0.85) -> Trace:
    """Return the VMs of so many hosts: whole tenants, times drawn within the trace's bins of five minutes."""
    frame = pl.read_parquet(file_of(folder))
    random = stream(seed, "tests", "azure")
    begin_s = float(frame["t_arrive_s"].min())
    low_s, high_s = (frame[name].to_numpy() for name in ("dur_lo_s", "dur_hi_s"))
    arrive_s = frame["t_arrive_s"].to_numpy() - begin_s + random.random(frame.height) * _BIN_S
    end_s = arrive_s + np.maximum(low_s + random.random(frame.height) * (np.maximum(high_s - low_s, 0.0) + _BIN_S), 1.0)
    memory_bytes = np.rint(frame["mem_gb"].to_numpy() * 2**30).astype(np.int64)
    order, span_s = np.argsort(arrive_s, kind="stable"), float(frame["t_arrive_s"].max()) - begin_s + _BIN_S
    vcpus, tenant = (frame[name].to_numpy().astype(np.int64)[order] for name in ("vcpu", "batch"))
    trace = Trace(arrive_s[order], end_s[order], vcpus, memory_bytes[order], tenant, span_s)
    # From the empty beginning on, as the figures were first measured: later the hosts are fuller than the share.
    return thinned(trace, vcpus_share * hosts * VCPUS, 0.0, seed)


def generated(hosts: int, seed: int = 1, vcpus_share: float = 0.85) -> Trace:
    """Return VMs of the twin's own generator, about as many events as the trace has on 384 hosts."""
    asked = HostStream(workload="bench", vcpus_share=vcpus_share)
    rate_per_s = asked.mean_rate_per_s(hosts * VCPUS)
    span_s = EVENTS / 2.0 / rate_per_s
    drawn = draw(asked, rate_per_s, Clock.of(datetime(2026, 7, 13, tzinfo=UTC), "UTC"), span_s, seed, "bench")
    return Trace(drawn.arrive_s, drawn.end_s, drawn.vcpus, drawn.memory_bytes, np.arange(len(drawn.vcpus)), span_s)


def past(trace: Trace, hosts: int, seed: int = 1) -> PastDemand:
    """Return what stood on the hosts: every VM placed as workloads place it."""
    random, free = stream(seed, "tests", "azure-hosts"), np.full(hosts, VCPUS)
    placed = hosting.place(trace.arrive_s, trace.end_s, trace.vcpus, free, random, trace.span_s)
    events = hosting.events_of(trace.arrive_s, trace.end_s, placed, trace.span_s)
    vms = HostVms(trace.memory_bytes, trace.vcpus, np.zeros(len(trace.vcpus)))
    return PastDemand(hosts, vms, HostEvents(events.t_s, events.vm, events.host, events.begins), trace.span_s)
