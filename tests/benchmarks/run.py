"""What a run costs: the example's day, and a candidate screened as exploration does it.

Every figure is taken in a process of its own, with kernels compiled before, and in CPU seconds of all its threads.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[2]
_TEXT = "keep every GPU under 80 C this afternoon"


def _took_s(work: Callable[[], Any]) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


def _import() -> dict[str, float]:
    def load() -> None:
        import policies.study  # noqa: F401

    return {"import_cpu_s": _took_s(load)}


def _candidate(bound_c: float) -> Any:
    from policies.policy import PolicySet

    cooler = {"system": "tapas", "knobs": {"targets": [{"metric": "plant.gpu_temp_max_c", "op": "<=", "bound": bound_c}]}}
    levers = {
        "request_routing": [cooler, {"system": "least_outstanding"}],
        "instance_config": [cooler],
        "emergency": [cooler],
        "instance_scaling": [{"system": "reactive"}],
    }
    return PolicySet.model_validate({"name": f"cooler than {bound_c:g} C", "levers": levers})


def _compile() -> None:
    from policies import study
    from policies.policy import TODAY, Schedule
    from twin.run import simulate
    from twin.scenario import load

    tiny = load("tiny")
    for policy in (TODAY, _candidate(78.0)):
        simulate(tiny, study.phases(Schedule.of(policy), tiny), until_s=300.0)


def _day() -> dict[str, float]:
    from policies import study
    from policies.policy import TODAY, Schedule
    from twin.run import simulate
    from twin.scenario import load
    from twin.world import World

    _compile()
    example = load("example")
    figures = {
        "world_construction_cpu_s": _took_s(lambda: World(example, study.phases(Schedule.of(TODAY), example), example.seed + 1)),
        "example_day_cpu_s": _took_s(lambda: simulate(example, study.phases(Schedule.of(TODAY), example))),
    }
    return figures | {"example_day_peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0}


def _screen() -> dict[str, float]:
    from policies import study
    from policies.intent.explore import screen_s as part_s
    from policies.intent.interpret.understand import understand
    from policies.intent.versions import site_of
    from twin.scenario import load

    _compile()
    example = load("example")
    span_s = part_s(understand(_TEXT, site_of(example)).reading.intent, example)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        lead_in_s = _took_s(lambda: study.lead_in(example, example.seed, span_s[0], home))

        def screen_s(bound_c: float) -> float:
            return _took_s(lambda: study.run(example, _candidate(bound_c), example.seed, home, window_s=span_s))

        return {
            "screen_lead_in_cpu_s": lead_in_s,
            "screen_window_cpu_s": screen_s(78.0),
            "screen_window_next_cpu_s": screen_s(76.0),
        }


# Name, unit, and where there is one the target of the main job; lower is better in all of them.
_FIGURES = {
    "import_cpu_s": ("s", None),
    "world_construction_cpu_s": ("s", None),
    "example_day_cpu_s": ("s", 15.0),
    "example_day_peak_rss_bytes": ("bytes", 2e9),
    "screen_lead_in_cpu_s": ("s", None),
    "screen_window_cpu_s": ("s", 2.0),
    "screen_window_next_cpu_s": ("s", 2.0),
}
_PARTS = {"import": _import, "day": _day, "screen": _screen}


def _row(name: str, value: float) -> dict[str, Any]:
    unit, target = _FIGURES[name]
    meets = None if target is None else value <= target
    return {"domain": "run", "name": name, "value": value, "unit": unit, "target": target, "better": "lower", "meets": meets}


def measure() -> list[dict[str, Any]]:
    """Return one row per figure."""
    found: dict[str, float] = {}
    for part in _PARTS:
        environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
        done = subprocess.run([sys.executable, __file__, part], env=environment, capture_output=True, text=True, check=True)
        found |= json.loads(done.stdout)
    return [_row(name, found[name]) for name in _FIGURES]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_PARTS[sys.argv[1]]()))
