"""What a call's hops cost under each runtime, as calibrated or edited."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import polars as pl

from app.charts.distribution import binned_table, quantile_table
from twin.functions.levers import Runtime
from twin.functions.readings import SEGMENTS
from twin.functions.runtimes import named
from twin.functions.settings import Function

RUNTIMES: Final = ("containerd", "junctiond")
SAMPLE: Final = 100_000
LOADS: Final = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.925, 0.95)
# As the paper counted: so many calls of each runtime, one after the other.
PUBLISHED_CALLS: Final = 100
_POINTS: Final = 60
Edits = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Cost:
    """One cost that can be edited: its words, what it is times for the model's unit, and its range (low, high, step)."""

    label: str
    factor: float
    span: tuple[float, float, float]
    help: str


COSTS: Final[Mapping[str, Cost]] = {
    "stack_us": Cost("Stack, µs a hop", 1e-6, (0.0, 5_000.0, 5.0), "median time that a message spends in the network stack"),
    "spike_percent": Cost("Hops with a spike, %", 0.01, (0.0, 100.0, 0.1), "hops that meet soft interrupts, wake-ups or idle states"),
    "spike_us": Cost("Spike, µs", 1e-6, (0.0, 50_000.0, 25.0), "mean time that such a hop takes longer"),
    "cpu_us": Cost("Core time, µs a hop", 1e-6, (0.0, 5_000.0, 1.0), "what a message needs of a core"),
    "polling": Cost("Cores that poll, a host", 1.0, (0.0, 64.0, 1.0), "cores that spin, whatever the load"),
    "polling_each": Cost("Cores that poll, an instance", 1.0, (0.0, 8.0, 0.1), "1 where every instance polls queues of its own"),
}


def told(runtime: Runtime) -> dict[str, float]:
    """Return a runtime's costs in the units in which they are edited.

    >>> told(named("junctiond"))["stack_us"]
    24.75
    """
    hop = runtime.hop
    kept = (hop.stack_median_s, hop.spike_share, hop.spike_mean_s, hop.cpu_s, runtime.polling_cores, runtime.polling_cores_each)
    return {name: round(value / cost.factor, 6) for (name, cost), value in zip(COSTS.items(), kept, strict=True)}


def of(name: str, costs: Mapping[str, float], *, cached: bool = True) -> Runtime:
    """Return a packaged runtime with other costs (those of ``told``; what is left out is as calibrated)."""
    plain = named(name, cached=cached)
    # In the digits that were written: 95 µs are the same number whoever's they are, or equal costs would differ in the last place.
    value = {key: float(f"{number * COSTS[key].factor:.12g}") for key, number in {**told(plain), **costs}.items()}
    stack_s, spike_share, spike_s, cpu_s_ = (value[key] for key in ("stack_us", "spike_percent", "spike_us", "cpu_us"))
    hop = replace(plain.hop, stack_median_s=stack_s, spike_share=spike_share, spike_mean_s=spike_s, cpu_s=cpu_s_)
    return replace(plain, hop=hop, polling_cores=value["polling"], polling_cores_each=value["polling_each"])


def parse(text: str) -> dict[str, dict[str, float]]:
    """Read edited costs as a URL carries them; what is unknown, out of range or as calibrated is left out.

    >>> parse("junctiond.stack_us:30~containerd.cpu_us:160~elsewhere.x:1~junctiond.spike_percent:900")
    {'containerd': {'cpu_us': 160.0}, 'junctiond': {'stack_us': 30.0}}
    """
    found: dict[str, dict[str, float]] = {name: {} for name in RUNTIMES}
    for part in text.split("~"):
        place, _, number = part.partition(":")
        name, _, key = place.partition(".")
        try:
            value = float(number)
        except ValueError:
            continue
        if name in found and key in COSTS and COSTS[key].span[0] <= value <= COSTS[key].span[1] and value != told(named(name))[key]:
            found[name][key] = value
    return {name: edits for name, edits in found.items() if edits}


def written(edits: Edits) -> str:
    """Return edited costs as a URL carries them.

    >>> written({"junctiond": {"stack_us": 30.0}})
    'junctiond.stack_us:30'
    """
    return "~".join(f"{name}.{key}:{value:.10g}" for name, costs in edits.items() for key, value in costs.items())


@dataclass(frozen=True, slots=True)
class Alone:
    """What a call takes where nobody waits: means of the segments (8), of all calls and of the slowest hundredth; its quantiles.

    ``quantiles`` has ``share`` and ``value``; ``latencies`` are of calls that other runtimes drew from the same numbers.
    """

    mean_s: tuple[float, ...]
    tail_s: tuple[float, ...]
    latency_p50_s: float
    latency_p99_s: float
    quantiles: pl.DataFrame
    latencies: Any


def alone(runtime: Runtime, function: Function, seed: int = 1) -> Alone:
    """Return what calls of a function take where nobody waits and no instance starts; numba is imported here."""
    from twin.functions import path

    rows = path.sample(runtime, function, SAMPLE, seed)
    latency = rows.sum(axis=1)
    slowest = np.argpartition(latency, -SAMPLE // 100)[-SAMPLE // 100 :]
    return Alone(
        tuple(rows.mean(axis=0).tolist()),
        tuple(rows[slowest].mean(axis=0).tolist()),
        *(float(value) for value in np.quantile(latency, (0.50, 0.99))),
        quantile_table(pl.Series(latency)),
        latency,
    )


def published_spread(slow: Alone, fast: Alone) -> tuple[float, float]:
    """Return between which cuts of the 99th percentile nine of ten comparisons of as few calls as the paper's would lie."""
    tails = [np.quantile(each.latencies.reshape(-1, PUBLISHED_CALLS), 0.99, axis=1) for each in (slow, fast)]
    # The paper called one runtime after the other: their calls are different ones.
    cuts = 1.0 - np.roll(tails[1], 1) / tails[0]
    low, high = np.quantile(cuts, (0.05, 0.95))
    return float(low), float(high)


def cpu_s(runtime: Runtime, function: Function) -> float:
    """Return the mean core time of a call, its hops included."""
    from twin.functions import path

    return path.cpu_s(runtime, function)


def curves(spec: Mapping[str, Any], report: Callable[[float, str], None]) -> dict[str, Any]:
    """Return what one function's calls take at rising loads under each runtime: the answer of the job ``load_curve``.

    Spec: function, cores, cached, settings (costs by runtime, as ``told``).
    """
    from twin.functions.curve import measured

    function, cores, found = Function.model_validate(spec["function"]), int(spec["cores"]), {}
    for place, name in enumerate(RUNTIMES):
        runtime = of(name, spec["settings"][name], cached=bool(spec["cached"]))
        highest, points = cores / cpu_s(runtime, function), []
        for number, share in enumerate(LOADS):
            report((place + number / len(LOADS)) / len(RUNTIMES), f"{name} at {100 * share:.3g}\u00a0% of what its cores can do")
            points.append(_point(share, measured(runtime, function, cores, share * highest, calls=SAMPLE)))
        found[name] = {"saturation_per_s": highest, "points": points}
    return {"runtimes": found}


def _point(share: float, found: Any) -> dict[str, Any]:
    """Return one load as it is kept: four digits are more than calls of this number carry."""
    bins = pl.DataFrame({"gap_s": found.low_s, "gap_to_s": found.low_s * 1.0025, "tokens": found.counts.astype(np.int64)})
    table = binned_table(bins, _POINTS)
    named_s = ("rate_per_s", "latency_p50_s", "latency_p99_s", "latency_mean_s", "busy_cores", "polling_cores")
    return {
        "busy_share": share,
        "calls": found.calls,
        **{name: _four(getattr(found, name)) for name in named_s},
        "segments_s": {name: _four(value) for name, value in zip(SEGMENTS, found.segments_s.tolist(), strict=True)},
        "shares": [_four(value, 6) for value in table["share"].to_list()],
        "values_s": [_four(value) for value in table["value"].to_list()],
    }


def _four(value: float, digits: int = 4) -> float:
    return float(f"{value:.{digits}g}")
