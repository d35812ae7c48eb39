from datetime import datetime

import numpy as np
import pytest

from app.charts.day import Day
from app.charts.heatmap import Plan, plan_of
from app.charts.timeline import Span
from twin.clock import Clock
from twin.fleet_file import load
from twin.sources import data_dir


@pytest.fixture(scope="session")
def plan() -> Plan:
    return plan_of(load(data_dir() / "fleets" / "example.toml"))


@pytest.fixture(scope="session")
def span() -> Span:
    return Span(Clock.of(datetime(2026, 7, 14), "America/Phoenix"), 86_400.0)  # noqa: DTZ001 - Clock.of attaches the zone


@pytest.fixture
def hot_day(plan: Plan) -> Day:
    """Ten minutes at 60 degrees; GPU 5 of server-143 (rack-36, row-4) reaches 88.4 in the eighth."""
    minutes, servers = 10, len(plan.server_ids)
    gpu = np.full((minutes, 8 * servers), 60.0, dtype=np.float32)
    gpu[7, 8 * plan.server_ids.index("server-143") + 5] = 88.4
    values = {
        "gpu_temp_c": gpu,
        "inlet_c": np.full((minutes, servers), 25.0, dtype=np.float32),
        "server_power_w": np.full((minutes, servers), 5000.0, dtype=np.float32),
        "airflow_share": np.full((minutes, servers), 0.6, dtype=np.float32),
        "throttled_share": np.zeros((minutes, servers), dtype=np.float32),
    }
    budget = np.tile(np.array([row.budget_w for row in plan.rows], dtype=np.float32), (minutes, 1))
    power = budget - np.array([50e3, 40e3, 30e3, 12e3], dtype=np.float32)
    return Day(0.0, minutes, values, power, budget)
