"""How fast requests are placed by Aladdin's rule, in CPU seconds, on the benchmark of serving."""

import runpy
from pathlib import Path
from typing import Any

import numpy as np

from policies.systems.aladdin import routes, scores
from policies.systems.aladdin.lengths import Lengths, Sizes
from policies.systems.aladdin.plan import Aims, Duty, Mix, capacity
from twin.serving import batching as b
from twin.serving.engine import Engine
from twin.serving.levers import Finished

_THETA, _GAMMA = 0.9, 0.8


def steer(engine: Engine, prompt: Any, output: Any) -> Any:
    """Give an engine what the rule needs for requests like these, TTFT within 2 s and ATGT within 0.1 s; return the rule."""
    count = len(engine.instances)
    none, one, of_all = np.zeros(len(prompt), dtype=np.int64), np.ones(count), np.zeros(count, dtype=np.int64)
    past = Finished(none, none, prompt.astype(np.int64), output.astype(np.int64), none, none.astype(float), none.astype(float))
    lengths, sizes = Lengths(1, 200.0), Sizes(1, 200.0)
    lengths.learn(past, 60.0)
    sizes.learn(past, 60.0)
    aims = Aims(2.0 * one, 0.1 * one, 0.005 * one, one, one)
    means = (sizes.prompt_tokens, sizes.squared_prompt_tokens, sizes.output_tokens, sizes.context_tokens)
    prompts, squares, outputs, contexts = (mean[of_all] for mean in means)
    mix = Mix(prompts, squares, outputs, contexts, 0.0 * one, 0.0 * one)
    duty = Duty(one > 0.0, one > 0.0)
    found = capacity(engine.coefficients, mix, aims, duty, _THETA, _GAMMA, np.full(count, 256))
    learned = scores.Learned(sizes, np.zeros((count, 2)), lengths.table(), 0.0 * one)
    engine.score = scores.table(engine.coefficients, of_all, found.batch, aims, learned, scores.Packing(_THETA, _GAMMA, 1))
    engine.memory = np.zeros(routes.MEMORY, dtype=np.int64)
    return routes.best_fit


def _requests_per_cpu_s(replicas: int, copies: int) -> float:
    """Serve the trace, its arrivals as many times faster as there are replicas, in windows of ten seconds."""
    serving = runpy.run_path(str(Path(__file__).with_name("serving.py")))
    trace_s, prompt, output = serving["_trace"]()
    span_s = float(trace_s[-1]) + 0.2
    arrive_s = np.concatenate([(trace_s + copy * span_s) / replicas for copy in range(copies)])
    sizes = (np.tile(prompt.astype(np.int32), copies), np.tile(output.astype(np.int32), copies))
    engine = Engine(serving["_table"](replicas), arrive_s, sizes)
    return len(arrive_s) / float(serving["_cpu_s"](engine, float(arrive_s[-1]), steer(engine, prompt, output)))


def measure() -> list[dict[str, Any]]:
    """Return one row per figure."""
    b.advance()
    figures = {
        "aladdin_requests_per_cpu_s_16_replicas": max(_requests_per_cpu_s(16, 10) for _ in range(3)),
        "aladdin_requests_per_cpu_s_256_replicas": _requests_per_cpu_s(256, 259),
    }
    target = 200_000.0
    same = {"domain": "serving", "unit": "1/s", "target": target, "better": "higher"}
    return [{**same, "name": name, "value": value, "meets": value >= target} for name, value in figures.items()]
