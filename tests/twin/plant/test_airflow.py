"""Air through servers."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.plant import airflow
from twin.plant.airflow import Airflow
from twin.plant.cooling import Cooling
from twin.plant.hardware import server_model
from twin.plant.heat import Heat
from twin.plant.inlet import Inlet
from twin.plant.layout import site_record
from twin.plant.throttling import Throttling


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
