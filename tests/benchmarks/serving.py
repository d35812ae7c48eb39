"""How fast serving is, in CPU seconds; the Azure conversation trace where it is here, else a synthetic one."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numba
import numpy as np

from twin.serving import batching as b
from twin.serving import latency
from twin.serving.batching import ROUTE_SIGNATURE
from twin.serving.demand import quantiles
from twin.serving.engine import Engine
from twin.serving.traces import read_azure

_TRACE = Path(os.environ.get("INTENTWIN_TEST_DATA", str(Path(__file__).resolve().parents[3] / "shared" / "data")))
_WINDOW = 10 * b.TICKS_PER_S
_COMPILE = (
    "import time, numba; from twin.serving import batching as b; c = time.process_time(); b.advance(); print(time.process_time() - c)"
)


def _route(t, i, count, requests, instances, heap, load, allowed, score, memory):  # type: ignore[no-untyped-def]
    best = -1
    for step in range(count):
        r = (memory[0] + step) % count
        if allowed[r] != 0 and (best < 0 or load[0, r] < load[0, best]):
            best = r
    memory[0] = (best + 1) % count
    return best


def _trace() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    path = _TRACE / "traces" / "AzureLLMInferenceTrace_conv.csv"
    if path.is_file():
        frame = read_azure(path)
        return tuple(frame[name].to_numpy().astype(kind) for name, kind in (("t_s", float), ("prompt_tokens", int), ("output_tokens", int)))
    rng = np.random.default_rng(1)
    arrive_s = np.cumsum(rng.exponential(1 / 5.53, 19_366))
    return arrive_s, quantiles("conv", "prompt", rng.random(19_366)), quantiles("conv", "output", rng.random(19_366))


def _requests_per_cpu_s(replicas: int, copies: int, router: Any) -> float:
    """Serve the trace, its arrivals as many times faster as there are replicas, in windows of ten seconds."""
    arrive_s, prompt, output = _trace()
    span_s = float(arrive_s[-1]) + 0.2
    arrive_s = np.concatenate([arrive_s + copy * span_s for copy in range(copies)]) / replicas
    sizes = (np.tile(prompt, copies), np.tile(output, copies))
    table = np.tile(np.array(latency.profile("a100", "vllm", "8b", 1).coefficients), (replicas, 1))
    engine = Engine(table, arrive_s, sizes)
    windows = int(arrive_s[-1] * b.TICKS_PER_S) // _WINDOW + 40
    began = time.process_time()
    for window in range(windows):
        engine.advance(window * _WINDOW, (window + 1) * _WINDOW, b.entry(router))
    took_s = time.process_time() - began
    return len(arrive_s) / took_s


def _compile_s(cached: bool) -> float:
    """Return the CPU seconds until the kernel is ready in a fresh process."""
    with tempfile.TemporaryDirectory() as empty:
        environment = dict(os.environ) if cached else {**os.environ, "NUMBA_CACHE_DIR": empty}
        done = subprocess.run([sys.executable, "-c", _COMPILE], env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout)


def measure() -> list[dict[str, Any]]:
    """Return one row per figure."""
    router = numba.njit(ROUTE_SIGNATURE)(_route)
    b.advance()
    figures = [
        ("requests_per_cpu_s_1_replica", max(_requests_per_cpu_s(1, 10, router) for _ in range(3)), "1/s", 1_000_000.0, "higher"),
        ("requests_per_cpu_s_16_replicas", max(_requests_per_cpu_s(16, 10, router) for _ in range(3)), "1/s", 1_000_000.0, "higher"),
        ("requests_per_cpu_s_256_replicas", _requests_per_cpu_s(256, 50, router), "1/s", 500_000.0, "higher"),
        ("kernel_compile_s", _compile_s(cached=False), "s", 12.0, "lower"),
        ("kernel_load_s", _compile_s(cached=True), "s", 1.0, "lower"),
    ]
    return [
        {
            "domain": "serving", "name": name, "value": value, "unit": unit, "target": target, "better": better,
            "meets": value >= target if better == "higher" else value <= target,
        }
        for name, value, unit, target, better in figures
    ]  # fmt: skip
