"""The plant as a whole."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.faults import Fault
from twin.fleet import Fleet
from twin.plant.model import FAULT_KINDS, GpuLoad, Model
from twin.tables import Sink

Maker = Callable[..., Model]
Loads = Callable[..., GpuLoad]
FAULTS = (
    Fault(kind="ahu_loss", target="aisle-2", from_s=400.0, until_s=1500.0, severity=0.6),
    Fault(kind="rack_blocked", target="rack-1", from_s=600.0, until_s=1200.0, severity=0.7),
    Fault(kind="ups_loss", target="site", from_s=900.0, until_s=1000.0),
    Fault(kind="chiller_loss", target="site", from_s=500.0, until_s=1250.0),
    Fault(kind="sensor_drift", target="server-2", from_s=200.0, until_s=1400.0),
)


@pytest.fixture(scope="module")
def sink_of(fleet: Fleet) -> Callable[[], Sink]:
    return lambda: Sink({kind: fleet.ids(kind) for kind in ("row", "rack", "server", "gpu", "aisle", "feed")})


def _varied(load: Loads, seed: int) -> GpuLoad:
    random = np.random.default_rng(seed)
    gpus = len(load().clock_share)
    return replace(
        load(),
        prefill_share=random.uniform(0, 0.6, gpus),
        decode_share=random.uniform(0, 0.4, gpus),
        opaque_share=random.uniform(0, 0.5, gpus),
    )


def test_a_run_repeats_to_the_last_bit(plant: Maker, load: Loads, run_on: Maker) -> None:
    one, same = (run_on(plant(FAULTS), _varied(load, 3), 1800.0) for _ in range(2))
    for name, state in one.snapshot().items():
        other = same.snapshot()[name]
        if isinstance(state, dict):
            assert all(np.array_equal(state[field], other[field], equal_nan=True) for field in state), name
        else:
            assert np.array_equal(state, other), name


def test_another_seed_gives_other_gpus_and_weather(plant: Maker, load: Loads, run_on: Maker) -> None:
    one, other = (run_on(plant(seed=seed), load(), 300.0).observe().gpu_temp_c for seed in (1, 2))
    assert (one != other).any()


@pytest.mark.parametrize("at_s", [300.0, 600.0, 900.0, 1200.0])
def test_going_on_from_a_snapshot_writes_the_same_tables(
    plant: Maker, load: Loads, run_on: Maker, sink_of: Callable[[], Sink], at_s: float
) -> None:
    busy = load(0.6, 0.4)
    whole, sink = plant(FAULTS), sink_of()
    run_on(whole, busy, at_s, sink=sink)
    kept = whole.snapshot()
    run_on(whole, busy, 1800.0, sink=sink)
    whole.close(sink)
    resumed, rest = plant(FAULTS), sink_of()
    resumed.restore(kept)
    run_on(resumed, busy, 1800.0, sink=rest)
    resumed.close(rest)
    for name, frame in rest.frames().items():
        expected = sink.frames()[name]
        later = expected["t_s"] > at_s
        if name == "events":
            # A fault's edge at the snapshot's own time belongs to what comes after it.
            later |= (expected["t_s"] == at_s) & expected["kind"].is_in(FAULT_KINDS)
        assert frame.equals(expected.filter(later)), name


def test_taking_a_snapshot_changes_nothing(plant: Maker, load: Loads, run_on: Maker) -> None:
    model = run_on(plant(), load(), 300.0)
    kept = model.snapshot()
    run_on(model, load(), 600.0)
    assert not np.array_equal(kept["gpus"]["temp_c"], model.observe().gpu_temp_c)
    assert kept["t_s"] == 300.0


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000))
def test_gpus_stay_within_their_caps_and_sums_agree(plant: Maker, load: Loads, fleet: Fleet, seed: int) -> None:
    model, busy = plant(), _varied(load, seed)
    model.advance(10.0, busy, np.ones(len(busy.clock_share)))
    seen, models = model.observe(), model.arrays.models
    assert (seen.gpu_power_w <= models["tdp_w"][fleet.server_models][fleet.gpu_servers]).all()
    assert (seen.server_power_w <= models["nameplate_w"][fleet.server_models]).all()
    by_row = np.bincount(fleet.server_rows, weights=seen.server_power_w, minlength=len(fleet.row_ids))
    np.testing.assert_allclose(seen.row_power_w[:3], by_row[:3], rtol=1e-9)
    assert model.arrays.site["it_power_w"][0] == pytest.approx(seen.row_power_w.sum(), rel=1e-9)


def test_a_servers_power_is_the_sum_of_its_parts(plant: Maker, load: Loads, run_on: Maker) -> None:
    model = run_on(plant(), load(), 600.0)
    arrays, seen = model.arrays, model.observe()
    models = arrays.models[arrays.servers["model"]]
    parts = models["base_w"] + models["base_load_w"] * arrays.servers["busy_share"] + models["fan_max_w"] * arrays.servers["fan_share"] ** 3
    np.testing.assert_allclose(seen.server_power_w, parts + seen.gpu_power_w.reshape(-1, 8).sum(axis=1), rtol=1e-9)


def test_gpus_run_hotter_on_a_hotter_day_and_under_more_load(plant: Maker, load: Loads, run_on: Maker) -> None:
    def settled(outside_c: float, busy: GpuLoad) -> Any:
        return run_on(plant(weather={"outside_offset_c": outside_c}), busy, 1800.0).observe().gpu_temp_c

    here = settled(0.0, load(0.2, 0.6))
    assert (settled(5.0, load(0.2, 0.6)) > here).all()
    assert (settled(0.0, load(0.3, 0.7)) > here).all()
    assert (settled(0.0, load(0.2, 0.6, clock_share=0.7)) < here).all()
    assert (settled(0.0, load(0.2, 0.6, batch=96.0)) > here).all()


def test_half_the_tick_changes_little(plant: Maker, load: Loads, run_on: Maker) -> None:
    """Ten minutes after a step of load: temperatures within 0.3 C, row power within 0.2 %."""
    coarse, fine = (run_on(plant(), load(0.5, 0.5), 600.0, tick_s=tick_s).observe() for tick_s in (10.0, 5.0))
    np.testing.assert_allclose(coarse.gpu_temp_c, fine.gpu_temp_c, atol=0.3)
    np.testing.assert_allclose(coarse.row_power_w, fine.row_power_w, rtol=0.002)


def test_observations_cannot_be_written_to(plant: Maker) -> None:
    seen = plant().observe()
    with pytest.raises(ValueError, match="read-only"):
        seen.gpu_temp_c[0] = 0.0


def test_opaque_gpus_are_those_that_were_marked(plant: Maker, load: Loads) -> None:
    model = plant()
    mask = np.arange(len(load().clock_share)) < 8
    model.set_opaque(mask)
    assert (model.observe().gpu_opaque == mask).all()


def test_a_load_of_the_wrong_size_is_refused(plant: Maker, load: Loads) -> None:
    with pytest.raises(ValueError, match=r"must have 144 GPUs and 6 hosts in every array"):
        plant().advance(10.0, replace(load(), prefill_share=np.zeros(3)), np.ones(144))


def test_time_does_not_run_backwards(plant: Maker, load: Loads, run_on: Maker) -> None:
    model = run_on(plant(), load(), 60.0)
    with pytest.raises(ValueError, match=r"cannot advance to 30.0 s"):
        model.advance(30.0, load(), np.ones(144))
