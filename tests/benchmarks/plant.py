"""What a tick of the plant costs, with everything on and tables written."""

import json
import os
import resource
import runpy
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from twin.clock import Clock
from twin.fleet import Fleet
from twin.fleet_file import load
from twin.plant.model import GpuLoad, Model, Settings
from twin.sources import data_dir
from twin.spool import Spool
from twin.tables import Sink

_ROOT = Path(__file__).resolve().parents[2]
_HALLS = runpy.run_path(str(_ROOT / "tests" / "hall.py"))
hall, fleet_of = _HALLS["hall"], _HALLS["fleet_of"]
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


def _updates_per_cpu_s(*fleets: Fleet) -> list[float]:
    """Return GPUs advanced by a tick per CPU second, for each fleet the best of some rounds.

    Fleets take turns, so that what others do on the machine meanwhile meets all of them alike.
    """
    ticked = []
    for fleet in fleets:
        model, busy = Model(Settings(), fleet, _CLOCK, 86_400.0, (), 7), _load(fleet)
        ticked.append((model, busy, np.ones(len(busy.clock_share)), max(5, 1_280_000 // len(busy.clock_share))))
    best = np.full(len(fleets), np.inf)
    for _ in range(9):
        for index, (model, busy, caps, ticks) in enumerate(ticked):
            begin = time.process_time()
            for _ in range(ticks):
                model.advance(model.t_s + _TICK_S, busy, caps)
            best[index] = min(best[index], (time.process_time() - begin) / ticks)
    return [len(caps) / took_s for (_, _, caps, _), took_s in zip(ticked, best, strict=True)]


def _cost_exponent() -> float:
    """Return the slope of CPU seconds over GPUs, both as logarithms, from 10,000 to 100,000 GPUs."""
    gpus = np.array([10_240, 32_000, 99_840])
    per_s = np.array(_updates_per_cpu_s(*(fleet_of(int(number) // 8) for number in gpus)))
    return float(np.polyfit(np.log(gpus), np.log(gpus / per_s), 1)[0])


def _plant_with_tables(fleet: Fleet, tick_s: float, horizon_s: float) -> float:
    """Return the CPU seconds of the plant alone with all of its tables written to files."""
    model, busy = Model(Settings(), fleet, _CLOCK, 86_400.0, (), 7), _load(fleet)
    ids = {kind: fleet.ids(kind) for kind in ("row", "rack", "server", "gpu", "aisle")}
    caps = np.ones(len(busy.clock_share))
    begin = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        sink = Sink({**ids, "feed": (*fleet.ups_ids, *fleet.pdu_ids)}, Spool(Path(folder)))
        while model.t_s < horizon_s:
            model.advance(model.t_s + tick_s, busy, caps)
            model.record(sink)
        model.close(sink)
        sink.tables()
        took_s = time.process_time() - begin
        sink.discard()
    return took_s


def _week(part: float) -> dict[str, float]:
    """Run 1,000 servers for a week, or a part of one, with 10 s ticks under today's policy, and store the run."""
    from policies import study
    from policies.policy import TODAY, Schedule
    from twin.run import simulate
    from twin.store import runs

    scenario = hall(1000, part * 7 * 86_400.0)
    begin = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        runs.save(simulate(scenario, study.phases(Schedule.of(TODAY), scenario), spool=home / "runs"), home)
    took_s = time.process_time() - begin
    # Kilobytes on Linux.
    return {"cpu_s": took_s, "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6}


def _day(part: float) -> dict[str, float]:
    """Run the plant of 100,000 GPUs alone for a day, or a part of one, with 15 s ticks and all of its tables."""
    took_s = _plant_with_tables(fleet_of(12_480), 15.0, part * 86_400.0)
    return {"cpu_s": took_s, "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6}


_PARTS = {"week": _week, "day": _day}


def _alone(name: str, part: float) -> dict[str, float]:
    """Return what a part measures in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    command = [sys.executable, __file__, name, str(part)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _row(name: str, value: float, unit: str, target: float | None, better: str) -> dict[str, Any]:
    meets = None if target is None else value >= target if better == "higher" else value <= target
    return {"domain": "plant", "name": name, "value": value, "unit": unit, "target": target, "better": better, "meets": meets}


def _long_runs() -> list[dict[str, Any]]:
    """Return the rows of the week and the day; with INTENTWIN_BENCH_QUICK=1 of a fiftieth of each, which meets and misses nothing."""
    quick = os.environ.get("INTENTWIN_BENCH_QUICK") == "1"
    _alone("week", 1e-3)  # compiles what is not compiled yet
    part, ending = (0.02, "_a_fiftieth") if quick else (1.0, "")
    week, day = _alone("week", part), _alone("day", part)
    wanted = (
        ("week_of_1000_servers_cpu_s", week["cpu_s"], "s", 60.0),
        ("week_of_1000_servers_mb", week["mb"], "MB", 500.0),
        ("day_of_100k_gpus_cpu_s", day["cpu_s"], "s", 60.0),
        ("day_of_100k_gpus_mb", day["mb"], "MB", None),
    )
    return [_row(name + ending, value, unit, None if quick else target, "lower") for name, value, unit, target in wanted]


def measure() -> list[dict[str, Any]]:
    """Return the plant's figures in CPU seconds; the first is with 1,280 GPUs, as in the example.

    Updates are whole ticks of everything the plant models, recording left out. The week is a whole run (opaque VMs come and
    go, no serving) under today's policy with every table stored; the day is the plant alone with every table of its own.
    """
    example = load(data_dir() / "fleets" / "example.toml")
    small, middle, large = _updates_per_cpu_s(example, fleet_of(1600), fleet_of(12_480))
    return [
        _row("gpu_updates_per_cpu_s", small, "1/s", 5e7, "higher"),
        _row("gpu_updates_per_cpu_s_at_12800_gpus", middle, "1/s", 5e7, "higher"),
        _row("gpu_updates_per_cpu_s_at_100k_gpus", large, "1/s", 5e7, "higher"),
        _row("cost_exponent", _cost_exponent(), "", 1.05, "lower"),
        _row("day_with_tables_cpu_s", _plant_with_tables(example, _TICK_S, 86_400.0), "s", None, "lower"),
        *_long_runs(),
    ]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_PARTS[sys.argv[1]](float(sys.argv[2]))))
