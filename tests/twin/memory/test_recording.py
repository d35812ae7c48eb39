"""What memory writes: samples, pods, events."""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from twin.faults import Fault
from twin.memory import slices
from twin.memory.blocks import block_design
from twin.memory.levers import TopologyAction
from twin.memory.readings import TABLES

GIB = 1 << 30
POD = TopologyAction(block_design(13, 4), 14 * GIB)
NONE = TopologyAction(None)
Make = Callable[..., Any]


def test_pods_are_written_once_as_they_were_built(drive: Make, steady: Make) -> None:
    tables = drive(steady(8), POD, saving_against="uniform_sku", prices="v1-calibrated").go(60.0).tables()
    pods = tables["pods"]
    assert pods.height == 7
    assert pods["pod_id"].to_list() == [f"pod-{n}" for n in range(1, 8)]
    assert pods["first_host"].to_list() == list(range(1, 92, 13))
    row = pods.row(0, named=True)
    # Facts sheet, 1.2 and 3: X = 4 ports, 13 devices at USD 510; 4 x 13 cables at USD 29.
    assert (row["design"], row["kind"], row["hosts"], row["devices"]) == ("block-design-13x4n4", "block_design", 13, 13)
    assert (row["host_ports"], row["device_ports"], row["switches"], row["blast_hosts"]) == (4, 4, 0, 4)
    assert (row["devices_usd"], row["cables_usd"], row["switches_usd"]) == (13 * 510.0, 52 * 29.0, 0.0)
    assert row["cost_usd_per_host"] == pytest.approx(510.0 + 4 * 29.0)
    assert (row["one_hop_share"], row["device_bytes"]) == (1.0, 14 * GIB)
    assert row["access_latency_s"] == pytest.approx(267e-9)
    assert 0.0 < row["longest_cable_m"] <= 1.5
    assert tables["memory_terms"].row(0) == (0.0, 0.5, GIB, 40, "uniform_sku", "v1-calibrated")


def test_a_sample_holds_the_most_that_was_there_within_it(drive: Make, steady: Make) -> None:
    stand = steady(10)
    stand.begin_s[5], stand.end_s[5] = 310.0, 320.0
    tables = drive(stand, NONE).go(900.0).tables()
    mine = tables["memory_hosts"].filter(pl.col("host_id") == "host-6")
    assert mine["demand_bytes"].to_list() == [0, 10 * GIB, 0]
    assert mine["vcpus"].to_list() == [0, 0, 0]
    assert mine["t_s"].to_list() == [300.0, 600.0, 900.0]


def test_local_and_pooled_bytes_are_parts_of_the_demand(drive: Make, steady: Make) -> None:
    hosts = drive(steady(10), POD).go(300.0).tables()["memory_hosts"]
    inside, outside = hosts.filter(pl.col("in_pod")), hosts.filter(~pl.col("in_pod"))
    assert (inside.height, outside.height) == (91, 5)
    assert set(inside["local_bytes"]) == {5 * GIB} == set(inside["pooled_bytes"])
    assert set(outside["local_bytes"]) == {10 * GIB}
    assert set(outside["pooled_bytes"]) == {0}


def test_what_spills_over_is_local(drive: Make, steady: Make) -> None:
    # 15 of 30 GiB pooled by each of 13 hosts; devices of 14 GiB hold 14 a host.
    run = drive(steady(30), POD)
    run.migrate = True
    tables = run.go(300.0).tables()
    first = tables["memory_hosts"].filter(pl.col("in_pod")).select(pl.col("spilled_bytes", "local_bytes").sum()).row(0)
    assert first == (91 * GIB, 91 * 16 * GIB)
    pool = tables["memory_pool"]
    assert pool["overflow_bytes"].to_list() == [13 * GIB] * 7
    assert tables["memory_devices"]["used_bytes"].to_list() == [14 * GIB] * 91
    assert tables["events"].select("kind", "value").unique().rows() == [("pool_overflow", 13.0 * GIB)]


def test_samples_add_up_to_what_the_pool_counted(drive: Make, coming: Make) -> None:
    run = drive(coming(4, 900, 3600.0), POD, sample_s=600.0)
    run.migrate = True
    tables = run.go(3000.0).tables()
    pool, counted = tables["memory_pool"], run.model._pool.pods
    for column, name, size in (
        (slices.MIGRATED, "migrated_bytes", GIB),
        (slices.OVERFLOW_EVENTS, "overflow_events", 1),
        (slices.OVERFLOW_SLICES, "overflow_bytes", GIB),
    ):
        sums = pool.group_by("pod_id", maintain_order=True).agg(pl.col(name).sum())[name].to_numpy()
        np.testing.assert_array_equal(sums, counted[:, column] * size)
        assert counted[:, column].any()
    assert tables["events"].filter(pl.col("kind") == "pool_overflow")["value"].sum() == pool["overflow_bytes"].sum()


def test_the_last_sample_is_as_long_as_the_run_left_it(drive: Make, steady: Make) -> None:
    tables = drive(steady(8), POD).go(1000.0).tables()
    spans = tables["memory_pool"].select("t_s", "span_s").unique(maintain_order=True).rows()
    assert spans == [(300.0, 300.0), (600.0, 300.0), (900.0, 300.0), (1000.0, 100.0)]
    assert drive(steady(8), POD).go(900.0).tables()["memory_pool"]["t_s"].max() == 900.0


def test_samples_are_no_shorter_than_ticks(drive: Make, steady: Make) -> None:
    tables = drive(steady(8), POD, sample_s=10.0).go(240.0, tick_s=60.0).tables()
    assert sorted(set(tables["memory_hosts"]["t_s"])) == [60.0, 120.0, 180.0, 240.0]
    assert set(tables["memory_hosts"]["span_s"]) == {60.0}


def test_the_slowdown_of_a_pod_is_the_mean_of_its_vcpus(drive: Make, steady: Make) -> None:
    stand = steady(8, bound_share=0.0)
    # One host of the first pod sells 24 vCPUs to VMs that wait a tenth of their time, the others 12 x 8 to those that never do.
    stand.vcpus[0] = 24
    run = drive(stand, POD)
    run.model._vms.memory_bound_share[0] = 0.1
    pool = run.go(300.0).tables()["memory_pool"]
    host = 0.1 * 0.5 * (267.0 / 115.0 - 1.0)
    assert pool["slowdown_share"][0] == pytest.approx(host * 24 / (24 + 12 * 8))
    assert set(pool["slowdown_share"][1:]) == {0.0}


def test_a_host_is_sold_out_where_all_its_vcpus_are_sold_throughout(drive: Make, steady: Make) -> None:
    stand = steady(8, vcpus=40)
    stand.vcpus[1] = 39
    # One VM goes as another comes, at one instant; between a second pair half a second passes, within one tick.
    for name, values in (
        ("host", [2, 3]), ("begin_s", [450.0, 455.5]), ("end_s", [1e9, 1e9]), ("gib", [8, 8]), ("vcpus", [40, 40]),
    ):  # fmt: skip
        setattr(stand, name, np.append(getattr(stand, name), values))
    stand.end_s[2:4] = 450.0, 455.0
    hosts = drive(stand, NONE).go(900.0).tables()["memory_hosts"]
    shown = {name: group["sold_out"].to_list() for (name,), group in hosts.group_by("host_id")}
    assert shown["host-1"] == [True, True, True]
    assert shown["host-2"] == [False, False, False]
    assert shown["host-3"] == [True, True, True]
    assert shown["host-4"] == [True, False, True]


def test_what_is_written_is_what_is_declared(drive: Make, coming: Make) -> None:
    fault = Fault(kind="cxl_device_loss", target="device-1", from_s=100.0)
    tables = drive(coming(1, 300, 900.0), POD, (fault,)).go(900.0).tables()
    # The days before a run are not driven here.
    for table in (table for table in TABLES if table.name != "memory_before"):
        assert tables[table.name].columns == [column.name for column in table.columns]
        assert not tables[table.name].null_count().sum_horizontal().item()
    assert tables["memory_pool"]["lost_bytes"].sum() > 0
    assert set(tables["events"]["domain"]) == {"memory"}


def test_a_pod_without_vms_writes_no_hosts(drive: Make, steady: Make) -> None:
    stand = steady(8)
    for name in ("host", "begin_s", "end_s", "gib", "vcpus"):
        setattr(stand, name, getattr(stand, name)[:0])
    run = drive(stand, POD).go(300.0)
    assert run.model.holds
    assert run.model.rack_power_w.sum() > 0.0
    tables = run.tables()
    assert set(tables) == {"memory_terms", "pods", "memory_devices", "memory_pool"}
    assert set(tables["memory_devices"]["used_bytes"]) == {0}
