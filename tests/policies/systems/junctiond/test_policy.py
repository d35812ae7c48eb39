"""junctiond: what its knobs take away and put back, alone and in whole runs."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies import study
from policies.policy import TODAY, Held, PolicySet, Schedule
from policies.systems.junctiond.knobs import JunctiondKnobs
from policies.systems.junctiond.policy import Junctiond, instances
from twin.functions.levers import RuntimeObservation
from twin.functions.path import sample
from twin.functions.runtimes import named
from twin.functions.settings import Function, Settings
from twin.metrics import METRICS
from twin.run import Run, read, simulate
from twin.scenario import load
from twin.variation import varied

AES = Function(id="aes")
RATE = "functions.functions[aes].rate_per_s"


def policy(**knobs: object) -> PolicySet:
    return PolicySet(levers={"function_runtime": (Held(system="junctiond", knobs=knobs),)})


def run(asked: PolicySet, rate_per_s: float = 400.0, **values: object) -> Run:
    scenario = varied(load("junctiond"), {RATE: rate_per_s, "horizon_s": 600.0, **values})
    return simulate(scenario, study.phases(Schedule.of(asked), scenario), seed=1)


def test_as_packaged_it_is_the_calibrated_runtime():
    assert instances(JunctiondKnobs()) == named("junctiond")
    assert instances(JunctiondKnobs(), cached=False) == named("junctiond", cached=False)


@pytest.mark.parametrize(("knob", "scenario", "kept"), [("on", False, True), ("off", True, False), ("scenario", False, False)])
def test_its_own_knob_goes_before_the_scenario(knob, scenario, kept):
    seen = RuntimeObservation(Settings(cached=scenario), 1)
    assert Junctiond(JunctiondKnobs(metadata_cache=knob), None).choose(seen).runtime.cached is kept


def test_each_part_can_be_taken_away():
    own, plain = named("junctiond"), named("containerd")
    slow = instances(JunctiondKnobs(bypass=False))
    assert slow.hop == plain.hop
    assert slow.cold_median_s == own.cold_median_s
    cold = instances(JunctiondKnobs(fast_start=False))
    assert (cold.cold_median_s, cold.cold_p99_s, cold.hop) == (plain.cold_median_s, plain.cold_p99_s, own.hop)
    dpdk = instances(JunctiondKnobs(polling_cores=0.0, polling_cores_each=1.0))
    assert (dpdk.polling_cores, dpdk.polling_cores_each) == (0.0, 1.0)


def test_factors_scale_what_they_name_and_nothing_else():
    own = instances(JunctiondKnobs())
    dearer = instances(JunctiondKnobs(hop_factor=2.0, interference_factor=3.0, cpu_factor=5.0, start_factor=7.0))
    assert dearer.hop == replace(
        own.hop, stack_median_s=2 * own.hop.stack_median_s, spike_share=3 * own.hop.spike_share, cpu_s=5 * own.hop.cpu_s
    )
    assert dearer == replace(own, hop=dearer.hop, cold_median_s=7 * own.cold_median_s, cold_p99_s=7 * own.cold_p99_s)
    assert instances(JunctiondKnobs(interference_factor=10.0)).hop.spike_share == pytest.approx(0.04)


@given(
    st.builds(
        JunctiondKnobs,
        hop_factor=st.floats(0.1, 10),
        interference_factor=st.floats(0, 10),
        bypass=st.booleans(),
        metadata_cache=st.sampled_from(["on", "off"]),
    ),
    st.sampled_from(["hop_factor", "interference_factor"]),
    st.floats(1.0, 3.0),
)
@settings(max_examples=15, deadline=None)
def test_dearer_messages_make_no_call_faster(knobs, factor, more):
    dearer = JunctiondKnobs.model_validate({**knobs.model_dump(), factor: min(getattr(knobs, factor) * more, 10.0)})
    before, after = (sample(instances(each), AES, 2_000, 3).sum(axis=1) for each in (knobs, dearer))
    # Levels of chance are the same, what they are scaled by is not less.
    assert (after >= before * (1.0 - 1e-12)).all()


def test_without_any_of_its_parts_a_whole_run_is_exactly_that_of_containerd():
    plain = run(TODAY)
    bare = run(policy(bypass=False, fast_start=False, polling_cores=0.0))
    for table in ("functions", "function_path", "function_latency", "rows"):
        if table in plain.tables:
            assert bare.tables[table].collect().equals(plain.tables[table].collect()), table
    hosts = [each.tables["function_hosts"].collect() for each in (bare, plain)]
    # A warm instance is smaller than a container all the same.
    assert (hosts[0]["instances_bytes"] < hosts[1]["instances_bytes"]).all()
    assert hosts[0].drop("instances_bytes").equals(hosts[1].drop("instances_bytes"))


def test_it_moves_what_its_card_says_it_serves_and_costs_energy_on_an_idle_host():
    before, after = run(TODAY), run(policy())
    for name in ("functions.latency_p50_s", "functions.latency_p99_s", "functions.throughput_max_per_s"):
        old, new = read(before, name), read(after, name)
        assert (new < old) if METRICS[name].better == "lower" else (new > old), name
    assert read(after, "functions.throughput_max_per_s") == pytest.approx(5.0 * read(before, "functions.throughput_max_per_s"))
    assert read(after, "plant.energy_j") > read(before, "plant.energy_j"), "one core spins where 0.2 were busy"
    assert _arrived(before) == _arrived(after), "both meet the same calls"


def test_on_a_busy_host_it_burns_less_than_it_polls():
    before, after = (run(each, rate_per_s=6000.0) for each in (TODAY, policy()))
    used = [_mean(each, "busy_cores") + _mean(each, "polling_cores") for each in (before, after)]
    assert used[1] < used[0]
    assert read(after, "plant.energy_j") < read(before, "plant.energy_j")


def test_polling_for_each_instance_costs_a_core_for_each():
    many = {"functions.generated": 30, "functions.generated_rate_per_s": 50.0}
    one, each = (run(policy(**knobs), **many) for knobs in ({}, {"polling_cores": 0.0, "polling_cores_each": 1.0}))
    assert _mean(one, "polling_cores") == 1.0
    assert _mean(each, "polling_cores") > 10.0


def test_faster_starts_shorten_the_wait_for_an_instance():
    rare = {"functions.keep_alive_s": 1.0, "functions.functions[aes].language": "go"}
    tails = [read(run(asked, rate_per_s=1.0, **rare), "functions.latency_p99_s") for asked in (policy(), policy(fast_start=False))]
    assert tails[0] < 0.1 * tails[1]


def _arrived(done: Run) -> int:
    return int(done.tables["functions"].select(pl.col("arrived").sum()).collect().item())


def _mean(done: Run, column: str) -> float:
    return float(np.mean(done.tables["function_hosts"].select(column).collect()[column].to_numpy()))
