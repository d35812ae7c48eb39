"""How fast memory is, in CPU seconds: pools over nine days of VMs, designs, the example's Pareto front, the optimum.

Each figure is taken in a process of its own, with kernels compiled before.
"""

import json
import os
import runpy
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[2]
_DATA = Path(os.environ.get("INTENTWIN_TEST_DATA", str(_ROOT.parent / "shared" / "data")))
_HOSTS = 384
_QUESTION = "pool memory across 24 hosts for at most 10 % more per host"


def _took_s(work: Callable[[], Any]) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


def _azure() -> dict[str, Any]:
    return runpy.run_path(str(_ROOT / "tests" / "azure.py"))


def _pool() -> dict[str, float]:
    """Place the VMs on 384 hosts and replay them over pods of 96, with moves on overflow: both count, reading the trace does not."""
    from policies.baselines.pickers import least_loaded
    from twin.memory import designs, planning, sizing
    from twin.memory.terms import Terms

    at, terms = _azure(), Terms(0.5, 1 << 30)
    there = at["file_of"](_DATA).is_file()
    trace = at["traced"](_DATA, _HOSTS) if there else at["generated"](_HOSTS)
    name = "azure" if there else "generated"
    past, found = at["past"](trace, _HOSTS), {}
    for design in ("block-design-25x8n4", "islands-96x8n4"):
        pod = designs.parse(design).build()
        size = sizing.pod_slices(pod, past, terms, 0.05)

        def replayed(pod: Any = pod, size: Any = size) -> None:
            planning.replay(pod, at["past"](trace, _HOSTS), terms, least_loaded, True, size)

        replayed()
        found[f"{name}_384_hosts_{design}_cpu_s"] = min(_took_s(replayed) for _ in range(3))
    return {**found, f"{name}_384_hosts_events": float(len(past.events))}


def _designs() -> dict[str, float]:
    from twin.memory import designs

    return {
        "designs_built_and_verified_cpu_s": _took_s(lambda: [design.build() for design in designs.BUILT_IN]),
        "designs_built": float(len(designs.BUILT_IN)),
    }


def _optimum() -> dict[str, float]:
    import numpy as np

    from twin.memory import designs
    from twin.memory.optimum import least_peak

    pod, demand = designs.parse("islands-96x8n4").build(), np.random.default_rng(1).integers(20, 90, 96)

    def solve() -> None:
        least_peak(pod.reach, pod.devices, demand)

    solve()
    return {"optimum_96x192_cpu_s": min(_took_s(solve) for _ in range(5))}


def _front(name: str) -> dict[str, float]:
    """Answer the example question at a site: past demand drawn, every feasible design priced, laid out and replayed.

    Loading compiled kernels counts, so do all layouts: nothing is kept from one process to the next.
    """
    from policies import study
    from policies.intent.compile import compile_intent
    from policies.intent.interpret.understand import understand
    from policies.intent.versions import site_of
    from twin.scenario import load

    scenario = load(name)
    site = site_of(scenario)
    policy = compile_intent(understand(_QUESTION, site).reading.intent, site).policy
    answered: list[Any] = []
    took_s = _took_s(lambda: answered.append(study.design(policy, scenario, scenario.seed)))
    return {
        f"front_{name}_cpu_s": took_s,
        f"front_{name}_designs_considered": float(answered[0].considered),
        f"front_{name}_designs_on_it": float(len(answered[0].front)),
    }


# Beginning of a name, unit, and where there is one the target; lower is better in all of them.
_FIGURES = (
    ("azure_384_hosts_events", "events", None),
    ("generated_384_hosts_events", "events", None),
    ("azure_384_hosts", "s", 1.0),
    ("generated_384_hosts", "s", 1.0),
    ("designs_built_and_verified", "s", 1.0),
    ("designs_built", "designs", None),
    ("optimum_96x192", "s", 0.1),
    ("front_example_designs", "designs", None),
    ("front_octopus_designs", "designs", None),
    ("front", "s", 20.0),
)
_PARTS: dict[str, Callable[[], dict[str, float]]] = {
    "pool": _pool,
    "designs": _designs,
    "optimum": _optimum,
    "front_example": lambda: _front("example"),
    "front_octopus": lambda: _front("octopus"),
}


def _row(name: str, value: float) -> dict[str, Any]:
    unit, target = next((unit, target) for begin, unit, target in _FIGURES if name.startswith(begin))
    meets = None if target is None else value <= target
    return {"domain": "memory", "name": name, "value": value, "unit": unit, "target": target, "better": "lower", "meets": meets}


def measure() -> list[dict[str, Any]]:
    """Return one row per figure."""
    found: dict[str, float] = {}
    for part in _PARTS:
        environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
        # The first time compiles what it needs, for all processes.
        for _ in range(2):
            done = subprocess.run([sys.executable, __file__, part], env=environment, capture_output=True, text=True, check=True)
        found |= json.loads(done.stdout)
    return [_row(name, value) for name, value in found.items()]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_PARTS[sys.argv[1]]()))
