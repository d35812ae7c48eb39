"""Air through servers."""

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.faults import Fault
from twin.fleet import Fleet
from twin.plant import airflow
from twin.plant.airflow import Airflow
from twin.plant.cooling import Cooling
from twin.plant.hardware import server_model
from twin.plant.heat import Heat
from twin.plant.inlet import Inlet
from twin.plant.layout import site_record
from twin.plant.model import GpuLoad, Model
from twin.plant.throttling import Throttling
from twin.tables import Sink


def _site(law: str = "thermal") -> object:
    return site_record(Airflow(law=law), Inlet(), Heat(), Throttling(), Cooling())[0]  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "power_w", "rise_c"), [("a100", 6500.0, 13.6), ("h100", 10200.0, 16.2)])
def test_air_warms_by_what_the_vendor_figures_say(name: str, power_w: float, rise_c: float) -> None:
    """840 CFM at 6.5 kW and 1,105 CFM at 10.2 kW (NVIDIA DGX user guides): 14 and 16 C."""
    flow = airflow.airflow_m3_per_s(server_model(name).airflow_max_m3_per_s, 1.0, 0.0)
    assert airflow.exhaust_rise_c(power_w, flow) == pytest.approx(rise_c, abs=0.1)


@settings(max_examples=30, deadline=None)
@given(st.floats(0, 1), st.floats(20, 95))
def test_fans_stay_between_their_floor_and_full_speed_and_follow_load_and_heat(load: float, hottest_c: float) -> None:
    site = _site()
    speed = airflow.fan_target_share(site, load, hottest_c)
    assert 0.35 <= speed <= 1.0
    assert airflow.fan_target_share(site, min(load + 0.1, 1.0), hottest_c) >= speed
    assert airflow.fan_target_share(site, load, hottest_c + 5.0) >= speed


def test_linear_fans_follow_the_load_alone() -> None:
    site = _site("linear")
    assert airflow.fan_target_share(site, 0.5, 95.0) == airflow.fan_target_share(site, 0.5, 40.0) == pytest.approx(0.35 + 0.65 * 0.5)


@settings(max_examples=30, deadline=None)
@given(st.floats(100, 10_000), st.floats(0.05, 1.0))
def test_a_servers_air_carries_exactly_its_power(power_w: float, flow: float) -> None:
    assert airflow.exhaust_rise_c(power_w, flow) * flow * airflow.AIR_J_PER_M3_K == pytest.approx(power_w, rel=1e-9)


def test_the_table_of_aisles_tells_who_wants_more_air_than_there_is(
    plant: Callable[..., Model], load: Callable[..., GpuLoad], run_on: Callable[..., Model], fleet: Fleet
) -> None:
    lost = Fault(kind="ahu_loss", target="aisle-1", from_s=600.0, severity=0.5)
    model, sink = plant([lost]), Sink({kind: fleet.ids(kind) for kind in ("row", "rack", "server", "gpu", "aisle", "feed")})
    run_on(model, load(), 1800.0, sink=sink)
    model.close(sink)
    tables = sink.frames()
    aisles = tables["aisles"].with_columns(pl.col("aisle_id").cast(pl.String))
    assert aisles.height == 60 * len(fleet.aisle_ids)
    short, well = (aisles.filter(pl.col("aisle_id") == name).row(-1, named=True) for name in fleet.aisle_ids)
    # Half the air handlers give half of 0.9 of what twelve servers' fans can move (1,105 CFM each).
    assert short["supply_m3_per_s"] == pytest.approx(0.5 * 0.9 * 12 * 0.52145, rel=1e-3)
    assert short["airflow_m3_per_s"] > short["supply_m3_per_s"]
    assert short["recirculated_share"] == pytest.approx(1.0 - short["supply_m3_per_s"] / short["airflow_m3_per_s"], abs=1e-3)
    assert well["airflow_m3_per_s"] < well["supply_m3_per_s"]
    assert well["recirculated_share"] == pytest.approx(0.03)
    racks = tables["racks"].with_columns(pl.col("rack_id").cast(pl.String).is_in(fleet.rack_ids[:6]).alias("here"))
    hottest = racks.filter(pl.col("here")).group_by("t_s").agg(pl.col("inlet_c").max()).sort("t_s")["inlet_c"].to_numpy()
    np.testing.assert_allclose(aisles.filter(pl.col("aisle_id") == "aisle-1")["inlet_max_c"].to_numpy(), hottest, atol=1e-4)
    assert model.observe().aisle_supply_m3_per_s == pytest.approx([short["supply_m3_per_s"], well["supply_m3_per_s"]], rel=1e-6)
    memory = tables["servers"]["memory_temp_max_c"] - tables["servers"]["gpu_temp_max_c"]
    np.testing.assert_allclose(memory.to_numpy(), 8.0, atol=1e-4)
