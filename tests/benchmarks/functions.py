"""How fast functions are, in CPU seconds: invocations under either runtime, many functions with cold starts, a recorded trace.

Each figure is taken in a process of its own, with kernels compiled before.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[2]
_TARGET_PER_CPU_S = 2_000_000.0
_CALLS = 5_000_000
_HOSTS = 8
_CORES = 16


def _took_s(work: Callable[[], Any]) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


def _model(settings: Any, runtime: str, horizon_s: float) -> Any:
    from twin.clock import Clock
    from twin.functions.levers import RuntimeAction
    from twin.functions.model import Model
    from twin.functions.runtimes import named

    model = Model(settings, settings.hosts, Clock(datetime(2025, 7, 1, tzinfo=UTC)), horizon_s, 1)
    model.run(RuntimeAction(named(runtime)))
    return model


def _per_cpu_s(settings: Any, runtime: str, until_s: float, tick_s: float = 60.0) -> float:
    """Return how many calls a CPU second brings from arrival to answer, their tables included."""
    import numpy as np

    from twin.tables import Sink

    model = _model(settings, runtime, until_s)
    sink = Sink({"host": settings.hosts, "function": model.function_ids})
    cores, speed = np.full(len(settings.hosts), float(settings.cores)), np.ones(len(settings.hosts))

    def go() -> None:
        for tick in range(1, round(until_s / tick_s) + 1):
            model.advance(tick * tick_s, cores, speed)
            model.record(sink)
        model.close(sink)

    took_s = _took_s(go)
    return float(sink.frames()["functions"]["arrived"].sum()) / took_s


def _settings(**given: Any) -> Any:
    from twin.functions.settings import Settings

    hosts = tuple(f"host-{number}" for number in range(1, _HOSTS + 1))
    return Settings.model_validate({"hosts": hosts, "workload": "functions", "cores": _CORES, **given})


def _invocations() -> dict[str, float]:
    """Five million calls of ten functions at nine tenths of what the cores can do."""
    found = {}
    for runtime, needed_s in (("containerd", 510e-6), ("junctiond", 102e-6)):
        rate = 0.9 * _HOSTS * _CORES / needed_s
        functions = [{"id": f"function-{number}", "trigger": "others", "rate_per_s": rate / 10} for number in range(10)]
        until_s = float(max(round(_CALLS / rate), 1))
        settings = _settings(functions=functions)
        found[f"invocations_per_cpu_s_{runtime}_90_percent_busy"] = max(
            _per_cpu_s(settings, runtime, until_s, tick_s=1.0) for _ in range(3)
        )
    return {"invocations_per_cpu_s": min(found.values()), **found}


def _generated() -> dict[str, float]:
    """A thousand synthetic functions of all triggers, most of them called now and then: instances start and are given up."""
    settings = _settings(generated=1000, generated_rate_per_s=200.0)
    return {"invocations_per_cpu_s_of_1000_synthetic_functions": _per_cpu_s(settings, "containerd", 6 * 3600.0)}


def _claims() -> dict[str, float]:
    from policies.systems.junctiond.claims import CLAIMS

    reads = dict.fromkeys(
        claim.evidence.read for claim in CLAIMS if hasattr(claim.evidence, "ours") and not hasattr(claim.evidence, "find")
    )
    return {"claims_that_need_no_run_cpu_s": _took_s(lambda: [read(None) for read in reads])}


def _import() -> dict[str, float]:
    """A day in the schema of 2019, 20,000 functions in 1,440 columns, and half a million calls in that of 2021."""
    import numpy as np

    from twin.store.importers import import_file

    random = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        counts = random.poisson(10.0 ** random.uniform(-5.0, 1.0, 20_000)[:, None], (20_000, 1440))
        with (home / "day.csv").open("w") as file:
            file.write("HashOwner,HashApp,HashFunction,Trigger," + ",".join(str(minute) for minute in range(1, 1441)) + "\n")
            for number, row in enumerate(counts):
                file.write(f"{number % 997:064x},{number % 4999:064x},{number:064x},http," + ",".join(map(str, row)) + "\n")
        ends = np.sort(random.uniform(0.0, 14 * 86_400.0, 500_000))
        with (home / "calls.csv").open("w") as file:
            file.write("app,func,end_timestamp,duration\n")
            file.writelines(f"{number % 119:064x},{number % 424:064x},{end:.6f},0.25\n" for number, end in enumerate(ends))
        return {
            "import_of_a_day_of_2019_20000_functions_cpu_s": _took_s(lambda: import_file("function-trace", home / "day.csv", "day", home)),
            "import_of_500000_calls_of_2021_cpu_s": _took_s(lambda: import_file("function-trace", home / "calls.csv", "calls", home)),
        }


_PARTS: dict[str, Callable[[], dict[str, float]]] = {
    "invocations": _invocations,
    "generated": _generated,
    "claims": _claims,
    "import": _import,
}


def _row(name: str, value: float) -> dict[str, Any]:
    rate = name.startswith("invocations_per_cpu_s")
    target = _TARGET_PER_CPU_S if rate and "synthetic" not in name else None
    return {
        "domain": "functions",
        "name": name,
        "value": value,
        "unit": "calls/CPU-s" if rate else "s",
        "target": target,
        "better": "higher" if rate else "lower",
        "meets": None if target is None else value >= target,
    }


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
