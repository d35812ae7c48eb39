"""The vocabulary: every metric's name, unit, direction and meaning."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import polars as pl

from twin.clock import Clock, Window

Better = Literal["lower", "higher"]
ScopeKind = Literal["row", "rack", "server", "host", "endpoint", "workload", "function", "workflow"]
SCOPE_KINDS: Final = ("row", "rack", "server", "host", "endpoint", "workload", "function", "workflow")


@dataclass(frozen=True, slots=True)
class Scope:
    """One entity of the fleet or the scenario: a kind and an id as the fleet writes it."""

    kind: ScopeKind
    id: str


@dataclass(frozen=True, slots=True)
class Metric:
    """One number of the vocabulary. ``low`` and ``high`` bound what is plausible, in the metric's own unit."""

    name: str
    better: Better
    low: float
    high: float
    scopes: tuple[ScopeKind, ...]
    label: str
    meaning: str
    per_day: bool = False

    @property
    def domain(self) -> str:
        """Return the domain that writes the metric's tables."""
        return self.name.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a metric is asked over: tables of a run, its calendar, its length, a scope and a window."""

    tables: Mapping[str, pl.LazyFrame]
    clock: Clock
    horizon_s: float
    scope: tuple[Scope, ...] = ()
    window: Window | None = None

    def ids(self, kind: ScopeKind) -> list[str]:
        """Return the ids of one kind in the scope; empty means everything."""
        return [scope.id for scope in self.scope if scope.kind == kind]


# A metric's definition: a pure function of stored tables. None where the run holds no evidence for it.
Reading = Callable[[Asked], float | None]

_INF: Final = float("inf")
_E: Final[tuple[ScopeKind, ...]] = ("endpoint",)
_ROOMS: Final[tuple[ScopeKind, ...]] = ("row", "rack", "server")


_DECLARED: Final = (
    Metric("plant.gpu_temp_max_c", "lower", 20, 110, _ROOMS, "hottest GPU", "highest GPU temperature"),
    Metric("plant.inlet_temp_max_c", "lower", 5, 60, _ROOMS, "hottest inlet", "highest temperature of a server's inlet air"),
    Metric("plant.row_power_peak_w", "lower", 1e3, 5e6, ("row",), "row power peak", "highest power of a row"),
    Metric("plant.site_power_peak_w", "lower", 1e4, 1e9, (), "site power peak", "highest power at the utility meter"),
    Metric(
        "plant.thermal_throttle_events",
        "lower",
        0,
        _INF,
        ("row", "rack"),
        "thermal throttling",
        "GPUs that began to throttle on heat, per day",
        True,
    ),
    Metric(
        "plant.power_throttle_events",
        "lower",
        0,
        _INF,
        ("row", "rack"),
        "power throttling",
        "rows that began to brake on power, per day",
        True,
    ),
    Metric("plant.throttled_gpu_share", "lower", 0, 1, ("row", "rack"), "GPU time throttled", "share of GPU time spent throttled"),
    Metric("plant.energy_j", "lower", 0, _INF, ("row",), "energy", "facility energy per day", True),
    Metric("plant.energy_cost_usd", "lower", 0, _INF, ("row",), "energy cost", "facility energy at the tariff, per day", True),
    Metric("plant.pue", "lower", 1, 3, (), "PUE", "facility energy over IT energy"),
    Metric("plant.carbon_kg", "lower", 0, _INF, (), "carbon", "emissions by hourly grid intensity, per day", True),
    Metric("plant.water_l", "lower", 0, _INF, (), "water", "water evaporated per day", True),
    Metric(
        "plant.oversubscription_share", "higher", 0, 1, (), "oversubscription", "servers above what the power budgets were provisioned for"
    ),
    Metric("serving.ttft_p50_s", "lower", 1e-3, 600, _E, "TTFT p50", "median time to first token"),
    Metric("serving.ttft_p99_s", "lower", 1e-3, 600, _E, "TTFT p99", "99th percentile of time to first token"),
    Metric(
        "serving.image_ttft_p99_s", "lower", 1e-3, 600, _E, "image TTFT p99", "99th percentile of time to first token, requests with images"
    ),
    Metric("serving.tbt_p99_s", "lower", 1e-4, 60, _E, "TBT p99", "99th percentile of the time between tokens"),
    Metric("serving.atgt_p99_s", "lower", 1e-4, 60, _E, "ATGT p99", "99th percentile of a request's average token generation time"),
    Metric("serving.e2e_p99_s", "lower", 1e-3, 3600, _E, "end to end p99", "99th percentile from arrival to last token"),
    Metric("serving.slo_attainment_share", "higher", 0, 1, _E, "requests within SLO", "requests that meet both TTFT and ATGT objectives"),
    Metric("serving.throughput_per_s", "higher", 0, _INF, _E, "throughput", "completed requests per second"),
    Metric("serving.gpus_mean", "lower", 0, _INF, _E, "GPUs held", "GPUs held by serving, averaged over time"),
    Metric("serving.cost_usd_per_h", "lower", 0, _INF, _E, "serving cost", "GPUs held times their tariff"),
    Metric("serving.cost_usd_per_million_tokens", "lower", 0, _INF, _E, "cost per Mtoken", "serving cost per million tokens processed"),
    Metric("serving.quality_mean_share", "higher", 0, 1, _E, "answer quality", "answer quality relative to the largest model"),
    Metric("memory.pod_hosts", "higher", 2, 10_000, (), "hosts in the pod", "hosts that share one pod"),
    Metric("memory.cost_usd_per_host", "lower", 0, 1e5, (), "pod cost per host", "CXL devices, switches and cables, per host"),
    Metric("memory.dram_saving_share", "higher", 0, 1, (), "DRAM saved", "DRAM not bought for hosts in pods, against the named baseline"),
    Metric("memory.stranded_share", "lower", 0, 1, (), "stranded memory", "memory installed that is free where no vCPU is left to use it"),
    Metric("memory.access_latency_s", "lower", 5e-8, 1e-5, (), "memory latency", "load-to-use latency of pooled memory"),
    Metric("memory.overflow_events", "lower", 0, _INF, (), "memory overflows", "placements that did not fit, per day", True),
    Metric("memory.migrated_bytes", "lower", 0, _INF, (), "memory migrated", "bytes moved between devices, per day", True),
    Metric("workloads.price_cut_share", "higher", 0, 1, ("workload",), "price cut", "customer price below regular on-demand"),
    Metric("workloads.evictions", "lower", 0, _INF, ("workload",), "evictions", "VMs evicted per day", True),
    Metric(
        "workloads.broken_requirements",
        "lower",
        0,
        _INF,
        ("workload",),
        "broken requirements",
        "VM-hours per day that violated a hint's requirement",
        True,
    ),
    Metric(
        "workloads.notices_honoured_share",
        "higher",
        0,
        1,
        ("workload",),
        "notices honoured",
        "notices that came at least the lead time before their event",
    ),
    Metric("workflows.makespan_p50_s", "lower", 0.1, 1e6, ("workflow",), "makespan p50", "median time from submission to result"),
    Metric("workflows.makespan_p99_s", "lower", 0.1, 1e6, ("workflow",), "makespan p99", "99th percentile from submission to result"),
    Metric("workflows.energy_j_per_job", "lower", 0, _INF, ("workflow",), "energy per job", "energy of one job"),
    Metric("workflows.cost_usd_per_job", "lower", 0, _INF, ("workflow",), "cost per job", "cost of one job"),
    Metric("workflows.quality_min_share", "higher", 0, 1, ("workflow",), "weakest stage quality", "quality of the weakest stage"),
    Metric("functions.latency_p50_s", "lower", 1e-6, 600, ("function",), "function latency p50", "median invocation latency"),
    Metric("functions.latency_p99_s", "lower", 1e-6, 600, ("function",), "function latency p99", "99th percentile of invocation latency"),
    Metric(
        "functions.throughput_max_per_s",
        "higher",
        0,
        _INF,
        ("function",),
        "function saturation",
        "highest sustained invocations per second",
    ),
    Metric("functions.cold_start_share", "lower", 0, 1, ("function",), "cold starts", "invocations that waited for a start"),
    Metric("incidents.rca_top1_share", "higher", 0, 1, (), "cause found first", "ground-truth cause ranked first"),
    Metric("incidents.rca_top3_share", "higher", 0, 1, (), "cause among three", "ground-truth cause among the first three"),
    Metric("incidents.time_to_diagnose_mean_s", "lower", 1, 1e6, (), "time to diagnose", "onset to the final hypothesis"),
    Metric("incidents.confidence_ece_share", "lower", 0, 1, (), "confidence ECE", "expected calibration error of the confidence"),
    Metric("incidents.confidence_brier", "lower", 0, 1, (), "confidence Brier", "Brier score of the confidence"),
)

METRICS: Final[Mapping[str, Metric]] = {metric.name: metric for metric in _DECLARED}


def improvement(name: str, before: float, after: float) -> float:
    """Return how much better ``after`` is, positive for better, in the metric's unit."""
    return before - after if METRICS[name].better == "lower" else after - before
