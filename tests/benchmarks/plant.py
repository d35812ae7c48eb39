"""What a tick of the plant costs, with everything on and tables written."""

import time
from datetime import datetime
from typing import Any

import numpy as np

from twin.clock import Clock
from twin.fleet import Fleet
from twin.fleet_file import build, load
from twin.fleet_spec import FleetSpec
from twin.plant.model import GpuLoad, Model, Settings
from twin.sources import data_dir
from twin.tables import Sink

_TICK_S = 10.0
_CLOCK = Clock.of(datetime(2026, 7, 14), "America/Phoenix")  # noqa: DTZ001  (the zone is attached by Clock.of)


def _load(fleet: Fleet) -> GpuLoad:
    random = np.random.default_rng(7)
    gpus, hosts = len(fleet.gpu_servers), len(fleet.host_ids)
    prefill = random.uniform(0.1, 0.4, gpus)
    return GpuLoad(
        prefill_share=prefill,
        decode_share=1.0 - prefill,
        decode_batch=random.uniform(1, 64, gpus),
        opaque_share=np.zeros(gpus),
        resident=np.ones(gpus, dtype=np.bool_),
        clock_share=np.ones(gpus),
        host_share=np.full(hosts, 0.5),
    )


def _wide(servers_per_row: int, rows: int) -> Fleet:
    row = {"kind": "gpu", "racks": servers_per_row // 4, "per_rack": 4, "model": "h100", "power_budget_w": servers_per_row * 8_200.0}
    specs = [
        {"id": f"row-{r}", "aisle": f"aisle-{r // 2}", "first_rack": f"r{r}-rack-1", "first_server": f"r{r}-server-1", **row}
        for r in range(rows)
    ]
    aisles = [{"id": f"aisle-{a}"} for a in range((rows + 1) // 2)]
    return build(
        FleetSpec.model_validate({"name": "wide", "site_power_budget_w": rows * servers_per_row * 9e3, "aisle": aisles, "row": specs})
    )


def _updates_per_cpu_s(fleet: Fleet, ticks: int) -> float:
    model, busy = Model(Settings(), fleet, _CLOCK, 86_400.0, (), 7), _load(fleet)
    caps = np.ones(len(busy.clock_share))
    for _ in range(20):
        model.advance(model.t_s + _TICK_S, busy, caps)
    best = np.inf
    for _ in range(5):
        begin = time.process_time()
        for _ in range(ticks):
            model.advance(model.t_s + _TICK_S, busy, caps)
        best = min(best, time.process_time() - begin)
    return len(caps) * ticks / best


def _day_with_tables_cpu_s(fleet: Fleet) -> float:
    model, busy = Model(Settings(), fleet, _CLOCK, 86_400.0, (), 7), _load(fleet)
    sink = Sink({kind: fleet.ids(kind) for kind in ("row", "rack", "server", "gpu", "aisle", "feed")})
    caps = np.ones(len(busy.clock_share))
    begin = time.process_time()
    while model.t_s < 86_400.0:
        model.advance(model.t_s + _TICK_S, busy, caps)
        model.record(sink)
    model.close(sink)
    sink.frames()
    return time.process_time() - begin


def _row(name: str, value: float, unit: str, target: float | None, better: str) -> dict[str, Any]:
    meets = None if target is None else value >= target if better == "higher" else value <= target
    return {"domain": "plant", "name": name, "value": value, "unit": unit, "target": target, "better": better, "meets": meets}


def measure() -> list[dict[str, Any]]:
    """Return the plant's figures in CPU seconds; the first is with 1,280 GPUs, as in the example."""
    example, wide = load(data_dir() / "fleets" / "example.toml"), _wide(40, 40)
    return [
        _row("gpu_updates_per_cpu_s", _updates_per_cpu_s(example, 1000), "1/s", 5e7, "higher"),
        _row("gpu_updates_per_cpu_s_at_12800_gpus", _updates_per_cpu_s(wide, 100), "1/s", 5e7, "higher"),
        _row("day_with_tables_cpu_s", _day_with_tables_cpu_s(example), "s", None, "lower"),
    ]
