"""Sensors that say what is not so."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.faults import Fault
from twin.fleet import Fleet
from twin.plant.model import GpuLoad, Model
from twin.plant.sensors import Drifts, Sensors
from twin.tables import Sink

Maker = Callable[..., Model]
Loads = Callable[..., GpuLoad]
DRIFT = Fault(kind="sensor_drift", target="server-3", from_s=300.0, until_s=5400.0, severity=0.5)


def test_a_drift_grows_by_two_degrees_an_hour_up_to_its_share_of_five(fleet: Fleet) -> None:
    drifts = Drifts(Sensors(), fleet, [DRIFT], 7)
    at = [abs(drifts.offset_c(t_s)[2]) for t_s in (300.0, 300.0 + 1800.0, 300.0 + 5000.0)]  # type: ignore[index]
    assert at == pytest.approx([0.0, 1.0, 2.5])
    assert drifts.offset_c(299.0) is None
    assert drifts.offset_c(5400.0) is None


@settings(max_examples=30, deadline=None)
@given(st.floats(0.01, 1), st.floats(0, 86_400), st.integers(0, 1000))
def test_no_sensor_is_further_off_than_its_fault_allows_nor_any_other_one_at_all(
    fleet: Fleet, severity: float, t_s: float, seed: int
) -> None:
    off = Drifts(Sensors(), fleet, [Fault(kind="sensor_drift", target="server-3", from_s=0.0, severity=severity)], seed).offset_c(t_s)
    assert off is not None
    assert abs(off[2]) <= 5.0 * severity + 1e-9
    assert not np.delete(off, 2).any()


def test_sensors_drift_up_on_some_servers_and_down_on_others(fleet: Fleet) -> None:
    faults = [Fault(kind="sensor_drift", target=server, from_s=0.0) for server in fleet.server_ids]
    off = Drifts(Sensors(), fleet, faults, 7).offset_c(7200.0)
    assert off is not None
    assert (off > 0.0).any()
    assert (off < 0.0).any()


def test_a_drift_moves_what_holders_see_and_nothing_else(plant: Maker, load: Loads, run_on: Maker, fleet: Fleet) -> None:
    """Same arrays, same tables but for the sensors' column, same events, same ticks."""
    sinks = [Sink({kind: fleet.ids(kind) for kind in ("row", "rack", "server", "gpu", "aisle", "feed")}) for _ in range(2)]
    models = [run_on(plant(faults), load(), 2100.0, sink=sink) for faults, sink in zip(((), (DRIFT,)), sinks, strict=True)]
    right, wrong = models
    off = wrong.observe().inlet_c - right.observe().inlet_c
    assert abs(off[2]) == pytest.approx(1.0)
    assert not np.delete(off, 2).any()
    np.testing.assert_allclose(wrong.observe().gpu_temp_c - right.observe().gpu_temp_c, np.repeat(off, 8), atol=1e-9)
    assert wrong.fine_until_s == right.fine_until_s
    assert (wrong.arrays.gpus.temp_c == right.arrays.gpus.temp_c).all()
    frames = [sink.frames() for sink in sinks]
    assert frames[0].keys() == frames[1].keys()
    for name, frame in frames[0].items():
        same = [column for column in frame.columns if column != "inlet_sensor_c"]
        assert frame.select(same).equals(frames[1][name].select(same)), name
    servers = frames[1]["servers"]
    moved = (servers["inlet_sensor_c"] - servers["inlet_c"]).to_numpy()
    assert (servers["server_id"].cast(str).to_numpy()[np.abs(moved) > 1e-4] == "server-3").all()
    assert np.abs(moved).max() == pytest.approx(1.0, abs=1e-4)


def test_a_resumed_run_reads_the_same_drifted_sensors(plant: Maker, load: Loads, run_on: Maker) -> None:
    whole = run_on(plant([DRIFT]), load(), 600.0)
    kept = whole.snapshot()
    resumed = plant([DRIFT])
    resumed.restore(kept)
    run_on(whole, load(), 900.0)
    run_on(resumed, load(), 900.0)
    assert (whole.observe().inlet_c == resumed.observe().inlet_c).all()


def test_a_sensor_of_a_server_that_is_not_there_is_refused(plant: Maker) -> None:
    with pytest.raises(ValueError, match=r"fault sensor_drift: target 'server-99' names no server of the fleet, such as server-1"):
        plant([Fault(kind="sensor_drift", target="server-99", from_s=0.0)])
