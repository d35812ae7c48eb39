"""Functions over a run: laws, snapshots, instances, cores that change, calls by others."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from twin.clock import Clock, Window
from twin.functions import queueing as q
from twin.functions.levers import Runtime, RuntimeAction
from twin.functions.model import Model
from twin.functions.readings import SEGMENTS
from twin.functions.settings import Function, Settings
from twin.tables import Sink

MIX = (
    Function(id="web", trigger="http", rate_per_s=40.0, cpu_mean_s=20e-3, run_median_s=30e-3),
    Function(id="jobs", trigger="queue", rate_per_s=15.0, cpu_mean_s=40e-3, run_median_s=60e-3, language="python"),
    Function(id="cron", trigger="timer", rate_per_s=1 / 60),
    Function(id="rare", trigger="event", rate_per_s=0.02, language="jvm"),
)


def _same(one: dict[str, pl.DataFrame], other: dict[str, pl.DataFrame]) -> None:
    assert one.keys() == other.keys()
    for name, frame in one.items():
        assert_frame_equal(frame, other[name], check_exact=True)


def test_calls_under_way_are_arrivals_times_latency(drive: Any, steady: Any, containerd: Runtime) -> None:
    """Little's law, within 2 %, at nine tenths of the load: what is under way is looked at, latency is what calls tell."""
    run = drive([steady(7_000.0)], containerd).go(120.0, tick_s=0.01)
    rows = run.tables()["functions"]
    assert rows["completed"].sum() / 120.0 * rows["latency_mean_s"][0] == pytest.approx(np.mean(run.waiting), rel=0.02)


def test_no_call_is_lost(drive: Any, junctiond: Runtime) -> None:
    rows = drive(MIX, junctiond, hosts=2).go(1_500.0, 30.0).tables()["functions"]
    for function in MIX:
        mine = rows.filter(pl.col("function_id") == function.id).sort("t_s")
        if mine.height:
            assert mine["arrived"].sum() == mine["completed"].sum() + mine["waiting"][-1]
    assert rows["arrived"].sum() == pytest.approx(55 * 1_500, rel=0.4)


def test_equal_hops_give_exactly_equal_tables(drive: Any, containerd: Runtime, junctiond: Runtime) -> None:
    alike = replace(junctiond, hop=containerd.hop, cold_median_s=containerd.cold_median_s, cold_p99_s=containerd.cold_p99_s)
    alike = replace(alike, polling_cores=0.0, instance_bytes=containerd.instance_bytes)
    _same(drive(MIX, containerd).go(600.0).tables(), drive(MIX, alike).go(600.0).tables())


def test_the_same_calls_come_under_every_runtime(drive: Any, containerd: Runtime, junctiond: Runtime) -> None:
    before, after = (drive(MIX, runtime).go(1_200.0).tables()["functions"] for runtime in (containerd, junctiond))
    columns = ("t_s", "function_id", "arrived")
    assert_frame_equal(*(frame.select(columns).filter(pl.col("arrived") > 0) for frame in (before, after)))


@pytest.mark.parametrize("ticks", [(1.0, 300.0), (7.3, 10.0)])
def test_ticks_of_any_length_give_the_same(drive: Any, containerd: Runtime, ticks: tuple[float, float]) -> None:
    _same(*(drive(MIX, containerd, hosts=3, cores=1, instances_at_most=20).go(900.0, tick_s).tables() for tick_s in ticks))


def test_a_run_that_goes_on_from_a_snapshot_is_the_same(drive: Any, containerd: Runtime) -> None:
    whole = drive(MIX, containerd, hosts=2, cores=1).go(1_200.0)
    first = drive(MIX, containerd, hosts=2, cores=1).go(600.0)
    ids = first.model.call("rare", np.array([600.5, 700.0]))
    rest = drive(MIX, containerd, hosts=2, cores=1)
    rest.model.restore(first.model.snapshot())
    assert (rest.model.load() == first.model.load()).all()
    others = drive(MIX, containerd, hosts=2, cores=1)
    others.model.restore(first.model.snapshot())
    _same(rest.go(1_200.0).tables(), others.go(1_200.0, 3.0).tables())
    assert np.isfinite(rest.model.outcome(ids)).all()
    # And without those calls the tables of the rest are those of the whole run.
    plain = drive(MIX, containerd, hosts=2, cores=1).go(600.0).model.snapshot()
    again = drive(MIX, containerd, hosts=2, cores=1)
    again.model.restore(plain)
    late = {name: frame.filter(pl.col("t_s") > 600.0) for name, frame in whole.tables().items()}
    _same(late, again.go(1_200.0).tables())


def test_who_is_not_called_for_long_waits_for_a_start(drive: Any, containerd: Runtime, junctiond: Runtime, metrics: Any) -> None:
    """A timer every 20 minutes against instances kept for 10: every call is cold, and takes what a start takes."""
    timer = Function(id="cron", trigger="timer", rate_per_s=1 / 1_200, language="go")
    for runtime, low_s, high_s in ((containerd, 0.2, 2.0), (junctiond, 0.003, 0.03)):
        tables = drive([timer], runtime).go(86_400.0, 300.0).tables()
        found = metrics(tables, 86_400.0)
        assert found["cold_start_share"] > 0.97
        assert low_s < found["latency_p50_s"] < high_s
    tables = drive([timer], containerd, keep_alive_s=1_300.0).go(86_400.0, 300.0).tables()
    assert metrics(tables, 86_400.0)["cold_start_share"] < 0.03


def test_keeping_instances_longer_never_makes_more_starts(drive: Any, containerd: Runtime) -> None:
    starts = [
        drive(MIX, containerd, keep_alive_s=kept).go(3_600.0, 60.0).tables()["functions"]["cold_starts"].sum() for kept in (5, 60, 600)
    ]
    assert starts[0] > starts[1] > starts[2]


def test_instances_are_warm_for_as_long_as_they_are_kept(drive: Any, containerd: Runtime) -> None:
    """A call a minute to an instance kept for 10 s is warm for a sixth of the time, and for its start and its call."""
    timer = Function(id="cron", trigger="timer", rate_per_s=1 / 60, language="go")
    rows = drive([timer], replace(containerd, cold_p99_s=0.4500001), keep_alive_s=10.0).go(6_000.0, 100.0).tables()["functions"]
    assert rows["instances"].mean() == pytest.approx((10.0 + 0.454) / 60.0, rel=0.002)


def test_a_function_has_no_more_instances_than_it_may(drive: Any, steady: Any, containerd: Runtime) -> None:
    slow = steady(100.0, run_median_s=0.1, cpu_mean_s=1e-3)
    tables = drive([slow], containerd, hosts=2, instances_at_most=6).go(300.0).tables()
    assert tables["functions"]["instances"][0] <= 12.0 + 1e-9
    path = tables["function_path"].filter(pl.col("segment") == "queue")
    assert path["mean_s"][0] > 0.003


def test_load_that_one_host_cannot_bear_goes_to_others(drive: Any, steady: Any, containerd: Runtime) -> None:
    busy = drive([steady(20_000.0)], containerd, hosts=4).go(300.0).tables()["function_hosts"]
    assert busy["busy_cores"].sum() == pytest.approx(20_000 * 510e-6, rel=0.01)
    assert busy["busy_cores"].max() <= 4.0 + 1e-6
    alone = drive([steady(20.0)], containerd, hosts=4).go(300.0).tables()["function_hosts"]
    assert (alone["busy_cores"] > 0).sum() == 1


def test_slower_cores_make_calls_slower_and_busier(drive: Any, steady: Any, containerd: Runtime) -> None:
    runs = []
    for speed in (1.0, 0.8):
        run = drive([steady(4_000.0)], containerd)
        run.speed[:] = speed
        rows = run.go(300.0).tables()
        runs.append(
            (rows["functions"]["latency_p50_s"][0], rows["function_hosts"]["busy_cores"][0], rows["function_hosts"]["saturation_per_s"][0])
        )
    assert runs[1][0] > runs[0][0] * 1.05
    assert runs[1][1] == pytest.approx(runs[0][1] / 0.8, rel=0.001)
    assert runs[1][2] == pytest.approx(0.8 * 4 / 510e-6, rel=1e-6)


def test_a_host_that_nobody_called_can_do_so_many_of_the_mix_that_is_expected(drive: Any, steady: Any, containerd: Runtime) -> None:
    """One call in four takes 1 s of a core and three take 3 s, and 450 microseconds for hops."""
    mix = [steady(1e-9, id="short", cpu_mean_s=1.0), steady(3e-9, id="long", cpu_mean_s=3.0)]
    rows = drive(mix, containerd).go(300.0, 300.0).tables()["function_hosts"]
    assert rows["saturation_per_s"][0] == pytest.approx(4 / (2.5 + 450e-6), rel=1e-9)


def test_part_of_a_core_is_part_of_the_speed(drive: Any, steady: Any, junctiond: Runtime) -> None:
    run = drive([steady(10_000.0)], junctiond)
    run.cores[:] = 3.5
    rows = run.go(300.0).tables()["function_hosts"]
    assert rows["saturation_per_s"][0] == pytest.approx(3.5 / 102e-6, rel=1e-6)


def test_calls_of_a_host_that_loses_its_cores_are_answered_elsewhere(drive: Any, steady: Any, containerd: Runtime) -> None:
    run = drive([steady(7_000.0)], containerd, hosts=2).go(60.0)
    home = int(run.model._engine.whose[0, q.HOME])
    run.cores[home] = 0.0
    run.go(120.0)
    assert run.model.load()[home] == pytest.approx(0.0, abs=1e-3)
    assert run.model.load()[1 - home] > 3.0
    run.cores[:] = 0.0
    run.go(130.0)
    assert run.model.under_way == pytest.approx(70_000, rel=0.1)
    run.cores[:] = 16.0
    run.go(200.0)
    assert run.model.under_way < 200
    rows = run.tables()["functions"]
    assert rows["arrived"].sum() == rows["completed"].sum() + rows["waiting"][-1]


def test_a_start_that_is_made_again_elsewhere_counts_once(drive: Any, steady: Any, containerd: Runtime) -> None:
    """Nothing is kept alive, so that every call waits for a start; one host after the other loses its cores under starts."""
    run = drive([steady(100.0)], containerd, hosts=2, keep_alive_s=0.0)
    for turn in range(20):
        run.cores[:] = (0.0, 4.0) if turn % 2 else (4.0, 0.0)
        run.go(run.model.t_s + 0.7, 0.7)
    rows = run.tables()["functions"]
    assert rows["cold_starts"].sum() == rows["arrived"].sum() > 1_000


def test_calls_wait_where_the_fewest_wait_for_a_core(drive: Any, steady: Any, containerd: Runtime) -> None:
    """Two hosts at nine tenths do nearly as well as one of all their cores; all in one's queue would do far worse."""
    rate = 0.9 * 8 / 510e-6
    apart, together = (
        drive([steady(rate)], containerd, hosts=hosts, cores=8 // hosts).go(300.0).tables()["functions"]["latency_p99_s"][0]
        for hosts in (2, 1)
    )
    assert together <= apart < 1.15 * together


def test_a_run_begins_with_instances_where_their_calls_will_be(drive: Any, steady: Any, containerd: Runtime) -> None:
    """More calls than two hosts can bear: on each of the hosts that they need stand instances from the start."""
    rows = drive([steady(20_000.0)], containerd, hosts=4).go(20.0).tables()["functions"]
    assert rows["cold_starts"].sum() < 30


def test_load_of_ticks_adds_up_to_what_was_busy(drive: Any, steady: Any, containerd: Runtime) -> None:
    """Calls of seconds of core time, in ticks shorter than these: at no tick is a host busier than its cores."""
    run = drive([steady(1.0, cpu_mean_s=3.0, run_median_s=4.0)], containerd)
    loads = []
    while run.model.t_s < 299.5:
        loads.append(run.go(run.model.t_s + 1.0, 1.0).model.load()[0])
    assert max(loads) <= 4.0 + 1e-9
    assert np.mean(loads) == pytest.approx(run.tables()["function_hosts"]["busy_cores"][0], rel=1e-9)


def test_load_is_cores_busy_and_those_that_spin(drive: Any, steady: Any, containerd: Runtime, junctiond: Runtime) -> None:
    for runtime, expected in ((containerd, 2_000 * 510e-6), (junctiond, 2_000 * 102e-6 + 1.0)):
        run = drive([steady(2_000.0)], runtime, hosts=1).go(100.0, 100.0)
        assert run.model.load()[0] == pytest.approx(expected, rel=0.02)
    each = drive([steady(20.0)], replace(junctiond, polling_cores=0.0, polling_cores_each=1.0)).go(10.0)
    assert each.model.load()[0] >= 1.0


def test_look_ups_are_paid_where_nothing_is_cached(drive: Any, steady: Any, containerd: Runtime) -> None:
    kept, asked = (drive([steady(50.0)], replace(containerd, cached=cached)).go(300.0).tables() for cached in (True, False))
    more = asked["functions"]["latency_p50_s"][0] - kept["functions"]["latency_p50_s"][0]
    assert more == pytest.approx(7 * 60e-6, rel=0.02)


def test_calls_by_others_are_answered_and_come_in_time(drive: Any, steady: Any, junctiond: Runtime) -> None:
    run = drive([steady(10.0)], junctiond).go(10.0)
    ids = run.model.call("aes", np.array([12.0, 10.0, 400.0]))
    assert np.isinf(run.model.outcome(ids)).all()
    run.go(20.0)
    done = run.model.outcome(ids)
    assert 12.0 < done[0] < 12.1
    assert 10.0 < done[1] < 10.1
    assert np.isinf(done[2])
    with pytest.raises(ValueError, match="lies before 20 s"):
        run.model.call("aes", np.array([5.0]))
    with pytest.raises(ValueError, match="function 'nobody' is unknown; it is one of aes"):
        run.model.call("nobody", np.array([30.0]))


def test_segments_of_the_path_add_up_to_the_latency(drive: Any, containerd: Runtime) -> None:
    tables = drive(MIX, containerd, cores=2).go(600.0).tables()
    whole = tables["function_path"].group_by("t_s", "function_id").agg(pl.col("mean_s").sum(), pl.col("tail_mean_s").sum())
    both = whole.join(tables["functions"], on=["t_s", "function_id"])
    assert both["mean_s"].to_numpy() == pytest.approx(both["latency_mean_s"].to_numpy(), rel=1e-9)
    assert (both["tail_mean_s"] >= both["latency_p99_s"] * 0.99).all()
    assert tables["function_path"]["segment"].unique().sort().to_list() == sorted(SEGMENTS)


def test_metrics_have_scopes_and_hours(drive: Any, containerd: Runtime, metrics: Callable[..., dict[str, float | None]]) -> None:
    tables = drive(MIX, containerd, cores=2).go(7_200.0, 300.0).tables()
    whole, web, jobs = metrics(tables, 7_200.0), metrics(tables, 7_200.0, "web"), metrics(tables, 7_200.0, "jobs")
    assert web["latency_p50_s"] < whole["latency_p99_s"]
    assert web["latency_p50_s"] < jobs["latency_p50_s"]
    assert web["throughput_max_per_s"] == pytest.approx(2 / (20e-3 + 6 * 75e-6))
    assert metrics(tables, 7_200.0, window=Window.of("12:00", "13:00"))["cold_start_share"] is not None
    assert metrics(tables, 7_200.0, window=Window.of("02:00", "03:00"))["latency_p99_s"] is None
    assert metrics({}, 7_200.0)["latency_p99_s"] is None


def test_generated_functions_run_among_named_ones(drive: Any, junctiond: Runtime) -> None:
    run = drive(MIX[:1], junctiond, hosts=2, cores=16, generated=300, generated_rate_per_s=5.0).go(900.0, 60.0)
    rows = run.tables()["functions"]
    assert len(run.model.function_ids) == 301
    assert rows.filter(pl.col("function_id") == "web")["arrived"].sum() > 10_000
    assert rows.filter(pl.col("function_id").cast(pl.String).str.starts_with("synthetic-"))["arrived"].sum() > 500


def test_a_named_function_is_called_the_same_whatever_is_generated_beside_it(drive: Any, junctiond: Runtime) -> None:
    counts = []
    for generated in (0, 50):
        rows = drive(MIX[:1], junctiond, cores=16, generated=generated, generated_rate_per_s=1.0).go(600.0, 60.0).tables()["functions"]
        counts.append(rows.filter(pl.col("function_id") == "web")["arrived"].to_list())
    assert counts[0] == counts[1]


def test_a_site_without_functions_does_nothing(containerd: Runtime) -> None:
    model = Model(Settings(), (), Clock(datetime(2025, 1, 1, tzinfo=UTC)), 600.0, 1)
    model.run(RuntimeAction(containerd))
    sink = Sink({})
    model.advance(600.0, np.zeros(0), np.zeros(0))
    model.record(sink)
    model.close(sink)
    assert sink.frames() == {}
    assert len(model.load()) == 0
    assert not model.holds
