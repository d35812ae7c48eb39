"""A recorded trace on the hosts: thinned by tenant, its past before its run."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from twin.clock import DAY_S, HOUR_S, Clock
from twin.fleet import Fleet
from twin.workloads.host_trace import HostTrace, Trace, read, thinned
from twin.workloads.model import Model, Settings, check_room

MONDAY = Clock(datetime(2026, 7, 13, tzinfo=UTC))
GIB = 1 << 30


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pl.DataFrame:
    """Two days of 600 VMs of 60 tenants, kept as an import; every tenth tenant is cut off by the end."""
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path))
    random, count = np.random.default_rng(1), 600
    arrive_s, tenant = np.sort(random.integers(0, 2 * 288, count)) * 300.0, random.integers(0, 60, count)
    cut = tenant % 10 == 0
    life_s = np.where(cut, 2 * DAY_S - arrive_s, random.integers(1, 100, count) * 300.0)
    frame = pl.DataFrame(
        {
            "arrive_s": arrive_s, "arrive_within_s": np.full(count, 300.0), "life_s": life_s, "life_longest_s": life_s + 300.0,
            "vcpus": random.choice([1, 2, 4], count), "memory_bytes": random.choice([2, 4, 8], count) * GIB,
            "tenant": tenant, "cut_off": cut,
        }
    )  # fmt: skip
    (tmp_path / "imports" / "vm-trace").mkdir(parents=True)
    frame.write_parquet(tmp_path / "imports" / "vm-trace" / "ours.parquet")
    return frame


def _settings(**values: object) -> Settings:
    return Settings.model_validate({"host_trace": {"name": "ours", "from_s": 12 * HOUR_S, "workloads": ["web", "search"], **values}})


def test_times_are_drawn_within_what_the_trace_says(recorded):
    trace = read("ours", 3)
    assert len(trace.vcpus) == recorded.height
    assert (np.diff(trace.arrive_s) >= 0.0).all()
    assert np.sort(np.floor(trace.arrive_s / 300.0) * 300.0).tolist() == recorded["arrive_s"].to_list()
    assert trace.span_s == float(recorded["arrive_s"].max()) + 300.0
    again, other = read("ours", 3), read("ours", 4)
    assert np.array_equal(trace.end_s, again.end_s)
    assert not np.array_equal(trace.end_s, other.end_s)


def test_one_that_was_cut_off_lives_on_or_ends_there(recorded):
    end, later = read("ours", 3, "end"), read("ours", 3)
    cut = later.tenant % 10 == 0
    assert (end.end_s[end.tenant % 10 == 0] <= 2 * DAY_S + 600.0).all()
    assert (later.end_s[cut] - later.arrive_s[cut]).min() > 0.0
    assert np.median(later.end_s[cut]) > np.median(end.end_s[cut])
    assert np.array_equal(np.sort(end.end_s[end.tenant % 10 != 0]), np.sort(later.end_s[~cut]))


def test_tenants_stay_or_go_as_a_whole_and_hold_the_share_that_is_asked(recorded):
    trace = read("ours", 1)
    asked = 0.4 * trace.held_vcpus(12 * HOUR_S)
    held = []
    for seed in range(20):
        kept = thinned(trace, asked, 12 * HOUR_S, seed)
        stays = np.isin(trace.tenant, kept.tenant)
        assert stays.sum() == len(kept.tenant)
        held.append(kept.held_vcpus(12 * HOUR_S))
    assert np.mean(held) == pytest.approx(asked, rel=0.15)
    assert len(thinned(trace, 1e9, 0.0, 1).vcpus) == len(trace.vcpus)


def test_tenants_hold_the_share_while_the_run_lasts_not_while_hosts_fill_up():
    """Two days, of which the first is empty: 400 VMs of a vCPU stand all the second, half as many over both."""
    begin_s, ones = np.full(400, DAY_S), np.ones(400, dtype=np.int64)
    trace = Trace(begin_s, begin_s + DAY_S, ones, ones, np.arange(400), 2 * DAY_S)
    kept = [len(thinned(trace, 100.0, DAY_S, seed).vcpus) for seed in range(10)]
    assert np.mean(kept) == pytest.approx(100.0, rel=0.1)


def test_the_run_goes_on_where_the_past_ends(recorded, site: Fleet):
    model = Model(_settings(vcpus_share=0.9), site, MONDAY, 12 * HOUR_S, (), 1)
    events, vms, span_s = model.past_hosts()
    assert span_s == 12 * HOUR_S
    ends = np.zeros(len(vms.vcpus), dtype=int)
    np.add.at(ends, events.vm, np.where(events.begins, 1, -1))
    host_of = dict(zip(events.vm.tolist(), events.host.tolist(), strict=True))
    left = sorted((host_of[vm], int(vms.vcpus[vm]), round(float(vms.end_s[vm] - span_s), 6)) for vm in np.flatnonzero(ends))
    model.advance(1e-6)
    begun = model.host_events()
    known = model.host_vms
    stands = sorted(
        (int(host), int(known.vcpus[vm]), round(float(known.end_s[vm]), 6)) for vm, host in zip(begun.vm, begun.host, strict=True)
    )
    assert left == stands
    assert stands
    assert set(known.workload_ids) == {"web", "search"}
    model.advance(12 * HOUR_S)
    assert model.host_share().max() > 0.0


def test_tenants_have_one_workload_each(recorded, site: Fleet):
    model = Model(_settings(vcpus_share=0.9), site, MONDAY, 12 * HOUR_S, (), 1)
    assert set(model.host_vms.workload.tolist()) == {0, 1}
    assert model.host_vms.memory_bytes.min() >= 2 * GIB


@pytest.mark.parametrize(
    ("values", "horizon_s", "said"),
    [
        ({}, 2 * DAY_S, "shorten horizon_s or lower from_s"),
        ({"name": "theirs"}, HOUR_S, "no imported vm-trace is called 'theirs'"),
        ({"workloads": ["web", "web"]}, HOUR_S, "workloads names one twice"),
    ],
)
def test_a_trace_that_cannot_be_played_is_one_line(recorded, site, values, horizon_s, said):
    with pytest.raises(ValueError, match=said):
        check_room(_settings(**values), site, horizon_s)


def test_streams_and_a_trace_exclude_each_other():
    with pytest.raises(ValueError, match="write host_streams or host_trace, one of them"):
        Settings.model_validate({"host_streams": [{"workload": "a", "rate_per_h": 1.0}], "host_trace": {"name": "x", "workloads": ["a"]}})
    assert HostTrace(name="x", workloads=("a",)).from_s == 6 * DAY_S
