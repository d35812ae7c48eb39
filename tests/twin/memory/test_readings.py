"""The metrics of memory, read off its tables."""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.baselines.pickers import least_loaded
from twin.clock import Window
from twin.memory.blocks import block_design
from twin.memory.demand import PastDemand
from twin.memory.levers import TopologyAction
from twin.memory.plain import fully_connected
from twin.memory.planning import replay
from twin.memory.readings import MEMORY_BEFORE, MEMORY_HOSTS, MEMORY_POOL, MEMORY_TERMS, PODS, READINGS
from twin.memory.saving import Baseline, saving
from twin.memory.terms import Terms
from twin.metrics import METRICS

GIB = 1 << 30
DAY_S = 86400.0
Tables = dict[str, pl.DataFrame]
Make = Callable[..., Any]
Read = Callable[..., dict[str, float | None]]


def _frame(table: Any, rows: list[dict[str, Any]]) -> pl.DataFrame:
    blank = {c.name: "" if c.dtype == pl.String else False if c.dtype == pl.Boolean else 0 for c in table.columns}
    return pl.DataFrame([{**blank, **row} for row in rows], schema=table.schema())


def by_hand(against: str = "sum_of_peaks", device_gib: int = 6, pods: bool = True) -> Tables:
    """Two hosts in a pod of two devices, a third outside; two samples of an hour. Peaks: 32 and 16 GiB; 20 outside."""
    demand = {"a": (32, 24), "b": (8, 16), "c": (20, 10)}
    local = {"a": (20, 16), "b": (6, 12), "c": (20, 10)} if pods else demand
    hosts = [
        {
            "t_s": 3600.0 * (at + 1),
            "span_s": 3600.0,
            "host_id": name,
            "in_pod": pods and name != "c",
            "sold_out": (name, at) in {("a", 1), ("c", 1)},
            "demand_bytes": demand[name][at] * GIB,
            "local_bytes": local[name][at] * GIB,
        }
        for at in (0, 1)
        for name in ("a", "b", "c")
    ]
    terms = {"pooled_share": 0.5, "slice_bytes": GIB, "host_vcpus": 40, "saving_against": against, "prices": "v3-recalled"}
    tables = {"memory_terms": _frame(MEMORY_TERMS, [terms]), "memory_hosts": _frame(MEMORY_HOSTS, hosts)}
    if not pods:
        return tables
    counted = [
        {"t_s": 3600.0 * (at + 1), "span_s": 3600.0, "pod_id": "pod-1", "migrated_bytes": moved, "overflow_events": overflow}
        for at, moved, overflow in ((0, GIB, 2), (1, 3 * GIB, 5))
    ]
    pod = {
        "pod_id": "pod-1",
        "hosts": 2,
        "devices": 2,
        "device_bytes": device_gib * GIB,
        "cost_usd_per_host": 300.0,
        "access_latency_s": 250e-9,
    }
    return {**tables, "memory_pool": _frame(MEMORY_POOL, counted), "pods": _frame(PODS, [pod])}


def test_every_metric_of_the_vocabulary_is_read() -> None:
    assert set(READINGS) == {name for name in METRICS if name.startswith("memory.")}


def test_the_saving_is_against_the_sum_of_peaks(metrics: Read) -> None:
    # Peaks 32 + 16; local peaks 20 + 12, and two devices of 6. The host outside has no part in it.
    assert metrics(by_hand(), 7200.0)["dram_saving_share"] == pytest.approx(1 - (20 + 12 + 2 * 6) / (32 + 16))


def test_the_saving_is_against_one_size_for_all(metrics: Read) -> None:
    assert metrics(by_hand("uniform_sku"), 7200.0)["dram_saving_share"] == pytest.approx(1 - (2 * 20 + 2 * 6) / (2 * 32))


def test_dram_is_bought_for_the_days_before_the_run_too(metrics: Read) -> None:
    # Host b stood higher before: 24 GiB, of which 13 are not to be pooled; host a did not.
    before = [
        {"host_id": "a", "demand_bytes": 30 * GIB, "local_bytes": 19 * GIB},
        {"host_id": "b", "demand_bytes": 24 * GIB, "local_bytes": 13 * GIB},
    ]
    tables = {**by_hand(), "memory_before": _frame(MEMORY_BEFORE, before)}
    assert metrics(tables, 7200.0)["dram_saving_share"] == pytest.approx(1 - (20 + 13 + 2 * 6) / (32 + 24))


def test_devices_larger_than_what_hosts_spare_save_less_than_nothing(metrics: Read) -> None:
    assert metrics(by_hand(device_gib=40), 7200.0)["dram_saving_share"] == pytest.approx(1 - (20 + 12 + 80) / 48)


def test_free_memory_is_stranded_where_no_vcpu_is_left_to_use_it(metrics: Read) -> None:
    # In the second hour a has 4 of its 20 GiB free and c 10 of 20; both are sold out. Installed: 20 + 12 + 20, and 12 on devices.
    assert metrics(by_hand(), 7200.0)["stranded_share"] == pytest.approx((4 + 10) / 64 / 2)
    # Without a pod a has 8 of 32 free. Installed: 32 + 16 + 20.
    assert metrics(by_hand(pods=False), 7200.0)["stranded_share"] == pytest.approx((8 + 10) / 68 / 2)
    # With one size for all, a and c have 32 each, b too.
    assert metrics(by_hand("uniform_sku", pods=False), 7200.0)["stranded_share"] == pytest.approx((8 + 22) / 96 / 2)


def test_figures_of_the_pod_are_read_as_they_are(metrics: Read) -> None:
    read = metrics(by_hand(), 7200.0)
    assert (read["pod_hosts"], read["cost_usd_per_host"], read["access_latency_s"]) == (2.0, 300.0, 250e-9)


def test_counts_are_per_day(metrics: Read) -> None:
    read = metrics(by_hand(), 7200.0)
    assert read["overflow_events"] == pytest.approx(7 * 12)
    assert read["migrated_bytes"] == pytest.approx(4 * GIB * 12)


def test_a_window_takes_its_samples_and_leaves_what_is_built(metrics: Read) -> None:
    second, never = Window.of("01:00", "02:00"), Window.of("12:00", "13:00")
    whole, late = metrics(by_hand(), 7200.0), metrics(by_hand(), 7200.0, second)
    for name in ("pod_hosts", "cost_usd_per_host", "access_latency_s", "dram_saving_share"):
        assert late[name] == whole[name], name
    assert late["overflow_events"] == pytest.approx(5 * 12)
    assert late["stranded_share"] == pytest.approx((4 + 10) / 64)
    assert set(metrics(by_hand(), 7200.0, never).values()) == {None}
    assert set(metrics(by_hand(pods=False), 7200.0, never).values()) == {None}


def test_without_a_pod_nothing_is_saved_to_the_last_bit_and_nothing_is_paid(metrics: Read) -> None:
    for against in ("sum_of_peaks", "uniform_sku"):
        read = metrics(by_hand(against, pods=False), 7200.0)
        assert (read["dram_saving_share"], read["cost_usd_per_host"], read["overflow_events"], read["migrated_bytes"]) == (0.0,) * 4
        assert read["pod_hosts"] is read["access_latency_s"] is None


def test_a_run_without_memory_has_no_evidence(metrics: Read) -> None:
    assert set(metrics({}, 7200.0).values()) == {None}


def test_a_pod_that_nobody_uses_costs_and_saves_nothing_known(metrics: Read) -> None:
    tables = {name: frame for name, frame in by_hand().items() if name != "memory_hosts"}
    read = metrics(tables, 7200.0)
    assert read["cost_usd_per_host"] == 300.0
    assert read["dram_saving_share"] is read["stranded_share"] is None


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 1000), against=st.sampled_from(["sum_of_peaks", "uniform_sku"]))
def test_the_saving_is_what_a_plain_count_of_every_host_says(drive: Make, coming: Make, metrics: Read, seed: int, against: str) -> None:
    stand = coming(seed, 600, 3600.0)
    device_bytes = 1 << 40
    run = drive(stand, TopologyAction(fully_connected(8, 8), device_bytes), saving_against=against).go(3600.0, 300.0)
    peaks: dict[str, list[int]] = {"all": [], "local": []}
    for host in range(96):
        mine = [int(vm) for vm in np.flatnonzero(stand.host == host)]
        # Half of each VM, to whole GiB and half up; a GiB that stands alone is pooled.
        for name, gib in (("all", {vm: int(stand.gib[vm]) for vm in mine}), ("local", {vm: int(stand.gib[vm]) // 2 for vm in mine})):
            begun = [stand.begin_s[vm] for vm in mine if stand.begin_s[vm] <= 3600.0]
            levels = [sum(gib[vm] for vm in mine if stand.begin_s[vm] <= t_s < stand.end_s[vm]) for t_s in begun]
            peaks[name].append(max(levels, default=0) * GIB)
    if against == "uniform_sku":
        peaks = {name: [max(values)] * 96 for name, values in peaks.items()}
    expected = 1.0 - (sum(peaks["local"]) + 96 * device_bytes) / sum(peaks["all"])
    assert metrics(run.tables(), 3600.0)["dram_saving_share"] == pytest.approx(expected)


@pytest.mark.parametrize("against", ["sum_of_peaks", "uniform_sku"])
@pytest.mark.parametrize("migrate", [False, True])
def test_a_run_and_a_replay_of_the_same_demand_say_the_same(
    drive: Make, coming: Make, metrics: Read, migrate: bool, against: Baseline
) -> None:
    stand, pod, span_s = coming(8, 1500, 3600.0), block_design(13, 4), 3600.0
    # A replay does not count what stands at its very beginning.
    stand.begin_s = np.maximum(stand.begin_s, 0.05)
    run = drive(stand, TopologyAction(pod, 20 * GIB), saving_against=against)
    run.migrate = migrate
    read = metrics(run.go(span_s, 30.0).tables(), span_s)
    past = PastDemand(96, stand.vms, stand.events(0.0, span_s), span_s)
    done = replay(pod, past, Terms(0.5, GIB), least_loaded, migrate, 20)
    assert read["dram_saving_share"] == pytest.approx(saving(done, against).total_share, rel=1e-12)
    assert read["overflow_events"] == pytest.approx(done.overflow_events.sum() * 24)
    assert read["migrated_bytes"] == pytest.approx(done.migrated_slices.sum() * GIB * 24)
    assert done.overflow_events.sum() > 0


def test_readings_stay_within_what_is_plausible(drive: Make, coming: Make, metrics: Read) -> None:
    run = drive(coming(6, 1500, 3600.0), TopologyAction(block_design(25, 4), 16 * GIB))
    run.migrate = True
    read = metrics(run.go(3600.0, 30.0).tables(), 3600.0)
    for name, value in read.items():
        metric = METRICS[f"memory.{name}"]
        assert value is not None
        assert metric.low <= value <= metric.high, name
