"""A site of hand-made history: servers whose heat, air and power follow known laws, read by noisy sensors."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from twin.workloads.levers import HOURS_OF_WEEK, PastPlant, PastVms, PlacementObservation, PlantAtServers

TDP_W = 700.0
IDLE_W = 120.0
AIR_MAX = 0.52


@pytest.fixture(scope="session")
def plant_past() -> Callable[..., PastPlant]:
    """Two weeks of H100 servers; ``offset_c`` is how much warmer each stands, ``hottest_c`` the hottest hour outside."""

    def make(offset_c: np.ndarray, hottest_c: float = 38.0, noise_c: float = 0.3, hours: int = 336) -> PastPlant:
        servers, rng = len(offset_c), np.random.default_rng(5)
        outside = hottest_c - 16.0 + 16.0 * np.cos(np.arange(hours) * 2.0 * np.pi / 24.0)
        busy = np.clip(rng.uniform(0.0, 1.0, (hours, servers)), 0.0, 1.0)
        gpu_w = np.repeat(IDLE_W + (TDP_W - IDLE_W) * busy, 8, axis=1)
        fan = 0.35 + 0.65 * busy
        site = busy.mean(axis=1)
        inlet = (18.0 + 0.6 * np.clip(outside - 15.0, 0.0, 10.0) + 0.2 * np.maximum(outside - 25.0, 0.0) + 2.0 * site)[:, None] + offset_c
        slots = np.tile([0.0, 3.0, 0.0, 3.0, 2.0, 5.0, 2.0, 5.0], servers)
        temp = np.repeat(inlet, 8, axis=1) + slots + (0.02 + 0.045 * np.repeat(fan, 8, axis=1) ** -0.8) * gpu_w
        server_w = 1700.0 + 800.0 * busy + 8.0 * (IDLE_W + (TDP_W - IDLE_W) * busy) + 1200.0 * fan**3

        def read(values: np.ndarray, spread: float) -> np.ndarray:
            return values + rng.normal(0.0, spread, values.shape)

        return PastPlant(
            outside_c=outside,
            load_share=site,
            inlet_c=read(inlet, noise_c),
            server_power_w=read(server_w, 1.0),
            airflow_m3_per_s=AIR_MAX * fan,
            gpu_power_w=read(gpu_w, 1.0),
            gpu_temp_c=read(temp, noise_c),
        )

    return make


@pytest.fixture(scope="session")
def placing(plant_past: Callable[..., PastPlant]) -> Callable[..., PlacementObservation]:
    """Two rows of four servers, one aisle each, nothing on them; workload 0 is hot by day, 1 by night, 2 always calm."""
    wave = np.cos((np.arange(HOURS_OF_WEEK) % 24 - 14) * 2.0 * np.pi / 24.0)
    mean = np.stack([0.45 + 0.4 * wave, 0.45 - 0.4 * wave, np.full(HOURS_OF_WEEK, 0.1)])
    vms = PastVms(mean_share=mean, highest_share=np.minimum(mean + 0.05, 1.0))

    def make(placed: list[tuple[int, int, int, bool]] | None = None, offset_c: Any = None, **changes: Any) -> PlacementObservation:
        """``placed`` holds (workload, server, GPUs, opaque) of each VM; what is not of the observation changes the plant."""
        rows = np.repeat([0, 1], 4)
        past = plant_past(np.zeros(8) if offset_c is None else np.asarray(offset_c))
        known = placed or []
        vm = np.array(known, dtype=np.int64).reshape(-1, 4)
        free = 8 - np.bincount(vm[:, 1], weights=vm[:, 2], minlength=8).astype(np.int64)
        plant = {
            "outside_c": 30.0,
            "inlet_c": past.inlet_c[-1],
            "server_power_w": past.server_power_w[-1],
            "server_nameplate_w": np.full(8, 10_200.0),
            "server_idle_w": np.full(8, 2_700.0),
            "server_airflow_max_m3_per_s": np.full(8, AIR_MAX),
            "gpu_tdp_w": np.full(8, TDP_W),
            "gpu_limit_c": np.full(8, 87.0),
            "row_power_w": np.zeros(2),
            "row_budget_w": np.full(2, 44_000.0),
            "aisle_airflow_m3_per_s": np.zeros(2),
            "aisle_supply_m3_per_s": np.full(2, 6 * AIR_MAX),
        }
        here = {name: changes.pop(name) for name in list(changes) if name in plant}
        seen = {
            "t_s": 0.0,
            "hour_of_week": 0,
            "workload_ids": ("day", "night", "calm"),
            "gpus_free": free,
            "server_rows": rows,
            "server_racks": np.arange(8) // 2,
            "server_aisles": rows,
            "vm_workload": vm[:, 0],
            "vm_server": vm[:, 1],
            "vm_gpus": vm[:, 2],
            "vm_opaque": vm[:, 3].astype(np.bool_),
            "plant": PlantAtServers(**{**plant, **here}),
            "past_vms": lambda: vms,
            "past_plant": lambda: past,
        }
        return PlacementObservation(**{**seen, **changes})

    return make
