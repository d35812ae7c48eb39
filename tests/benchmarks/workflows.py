"""How fast workflows are, in CPU seconds: a day of a thousand jobs planned and executed, and the video job's whole front.

Each figure is taken in a process of its own, with what it imports loaded before.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[2]
_DAY_S = 86_400.0
_TICK_S = 60.0
_SEED = 1


def _site() -> Any:
    import numpy as np

    from twin.workflows.site import Site

    return Site(np.array([8] * 6), ("a100",) * 4 + ("h100",) * 2, np.array([64] * 4))


def _model(workflows: Any, horizon_s: float) -> Any:
    from twin.clock import Clock
    from twin.workflows.model import Model
    from twin.workflows.settings import Settings

    clock = Clock.of(datetime(2026, 7, 14), "UTC")  # noqa: DTZ001  (the zone is attached by Clock.of)
    return Model(Settings(workflows=workflows), _site(), clock, horizon_s, _SEED)


def _holder() -> Any:
    from policies.system import Surroundings
    from policies.systems.murakkab import SYSTEM

    return SYSTEM.build(SYSTEM.knobs(), Surroundings((), (), (), (), (), (), 0, 0.0))


def _workflows() -> Any:
    """Return four workflows that come about a thousand times a day together, each with an objective of its own."""
    from twin.workflows.settings import Limits, Workflow

    return (
        Workflow(id="video", job="video-understanding", items=16, rate_per_h=6, limits=Limits(quality_share=0.99)),
        Workflow(id="code", job="code-generation", items=4, rate_per_h=20, constraint="MIN_ENERGY", limits=Limits(quality_share=0.85)),
        Workflow(id="math", job="math-qa", items=4, rate_per_h=12, limits=Limits(quality_share=0.9)),
        Workflow(id="report", job="report", items=8, rate_per_h=4, constraint="MIN_LATENCY"),
    )


def _day() -> dict[str, float]:
    import scipy.optimize  # noqa: F401  (loading it is not planning)

    from twin.tables import Sink

    begin = time.process_time()
    model, holder, planned_s = _model(_workflows(), _DAY_S), _holder(), 0.0
    sink = Sink({"workflow": list(model.workflow_ids)})
    while model.t_s < _DAY_S:
        if model.opens_epoch:
            at = time.process_time()
            model.plan(holder.plan(model.observe()))
            planned_s += time.process_time() - at
        model.advance(min(model.t_s + _TICK_S, _DAY_S))
        model.record(sink)
    model.close(sink)
    took_s = time.process_time() - begin
    frames = sink.frames()
    jobs = frames["jobs"].height
    return {
        "jobs_of_the_day": float(jobs),
        "day_of_1000_jobs_cpu_s": took_s * 1000.0 / jobs,
        "day_planned_cpu_s": planned_s,
        "day_executed_cpu_s": took_s - planned_s,
        "tasks_per_cpu_s": frames["workflow_tasks"]["items"].sum() / (took_s - planned_s),
    }


def _front() -> dict[str, float]:
    import scipy.optimize  # noqa: F401  (loading it is not planning)

    from policies.systems.murakkab.answer import answer
    from policies.systems.murakkab.knobs import MurakkabKnobs
    from twin.workflows.settings import Workflow

    seen = _model((Workflow(id="video", job="video-understanding", items=16, rate_per_h=6),), _DAY_S).observe()
    begin = time.process_time()
    found = answer(MurakkabKnobs(), seen)
    took_s = time.process_time() - begin
    return {"front_video_cpu_s": took_s, "front_video_plans": float(found.considered), "front_video_options": float(len(found.front))}


# Beginning of a name, unit, and where there is one the target; lower is better where one is.
_FIGURES = (
    ("jobs_of_the_day", "jobs", None),
    ("day_of_1000_jobs", "s", 30.0),
    ("day_", "s", None),
    ("tasks_per_cpu_s", "tasks/s", None),
    ("front_video_cpu_s", "s", 2.0),
    ("front_video", "plans", None),
)
_PARTS: dict[str, Callable[[], dict[str, float]]] = {"day": _day, "front": _front}


def _row(name: str, value: float) -> dict[str, Any]:
    unit, target = next((unit, target) for begin, unit, target in _FIGURES if name.startswith(begin))
    meets = None if target is None else value <= target
    return {"domain": "workflows", "name": name, "value": value, "unit": unit, "target": target, "better": "lower", "meets": meets}


def measure() -> list[dict[str, Any]]:
    """Return one row per figure."""
    found: dict[str, float] = {}
    for part in _PARTS:
        # One thread each: HiGHS and numpy would count those that wait, too.
        environment = {**os.environ, "PYTHONPATH": str(_ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        done = subprocess.run([sys.executable, __file__, part], env=environment, capture_output=True, text=True, check=True)
        found |= json.loads(done.stdout)
    return [_row(name, value) for name, value in found.items()]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_PARTS[sys.argv[1]]()))
