"""What junctiond's paper says, what we found, and how ours is computed."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from policies.claim import Claim, Computed, Contender, Measured, Search, Sweep
from policies.systems.junctiond import evidence, spread

BEFORE: Final = {"levers": {"function_runtime": [{"system": "containerd"}]}}
POLICY: Final = {"levers": {"function_runtime": [{"system": "junctiond"}]}}
RATE: Final = "functions.functions[aes].rate_per_s"
HORIZON: Final = "horizon_s"
# At higher rates fewer minutes are enough for as many calls.
LOAD: Final = Sweep(
    "calls a second",
    150.0,
    {150.0: {RATE: 150.0, HORIZON: 1800.0}, **{rate: {RATE: rate, HORIZON: 600.0} for rate in (1000.0, 3000.0, 6000.0, 7000.0)}},
)
METADATA: Final = Sweep("metadata", "kept", {"kept": {"functions.cached": True}, "looked up": {"functions.cached": False}})
FITTED_PATH: Final = (
    "Hop cost, share and length of interference under Junction were fitted to these two figures, given a kernel's path that was "
    "proposed (95 microseconds a hop, one hop in a hundred held up for 1.2 ms): that ours agrees proves arithmetic alone, nothing was "
    "measured. Both keep metadata in the provider. "
)
RUN: Final = (
    "Scenario junctiond: one function, its calls at random 150 times a second for half an hour on four cores, 270,000 of them, so that "
    "hardly any waits; both runtimes meet the same calls, runs and levels of chance. "
)
SECOND: Final = (
    "Version 2 of the paper says ten times where version 1 says five, of the same system. For it the kernel's core time of a message is "
    "set to 160 microseconds instead of 75, one fitted number more. What the load test then gives is shown beside it: median and tail "
    "fall by more than either version says. "
)
DRAWN: Final = "Paths of 100,000 calls are drawn and none waits; the median over twelve seeds. Without kept metadata it stands beside. "
CORES: Final = (
    "Core time of a message, 75 microseconds in the kernel and 7 past it, was chosen so that this comes out; a call has 60 of its own. "
    "What four cores can do follows in closed form. The polling core stands beside the four; that it were one of them is shown too, and "
    "the rates at which each keeps one bound on the tail. "
)
LOADED: Final = (
    "Four cores, core time of exponential spread and 90 percent of them busy under either runtime were picked out of 24 set-ups because "
    "they give these two; 600,000 calls each, at random. Other loads and ten cores stand beside it. "
)
SETS: Final = (
    "Four million calls under either runtime at low load, with draws that have nothing in common, as on two test-beds; they are cut "
    "into measurements of 100 to 100,000 calls. That the paper made 100 is from memory. "
)


INSIDE: Final = (
    "The paper measured inside the function's container or instance, these two from memory; here two of six messages, those between "
    "provider and function, and the function's own run, 600 microseconds, the same under either runtime: nothing was fitted to this. "
)
OWN_RUN: Final = (
    "The twin takes a function's own run to be the same under both runtimes, so that only the messages around it become faster. The "
    "paper's functions ran faster inside Junction too: their own system calls no longer meet the kernel, which is not modelled."
)
FEW: Final = (
    "Looked at before with another program it was 11 points, over sets that were few: twelve sets of ours show 9 to 30 points, 19 times "
    "of 20. Of 100 calls the 99th percentile is in effect the slowest one but one: the figure is off by 8 points on average as well. Some "
    "tens of thousands of calls under each runtime are needed for it to lie within 2 points, 19 times of 20."
)


def _claim(claim_id: str, text: str, metric: str, found: Search | Computed, paper: float, **more: Any) -> Claim:
    given: Mapping[str, Any] = {"source": "junctiond: abstract", "scenario": "junctiond", **more}
    return Claim(id=claim_id, text=text, metric=metric, evidence=found, paper=paper, **given)


def _ran(read: Callable[..., float | None]) -> Search:
    """Return the change from containerd to junctiond of what is read off whole runs, over the load and without kept metadata."""
    return Search(
        find=Measured(read),
        contenders={"junctiond": Contender(POLICY), "containerd": Contender(BEFORE)},
        ours="junctiond",
        against=("containerd",),
        sweeps=(LOAD, METADATA),
    )


LATENCY_P50: Final = "functions.latency_p50_s"
LATENCY_P99: Final = "functions.latency_p99_s"
CHANGE: Final[Mapping[str, Any]] = {"unit": "share", "better": "lower", "fitted_parameters": 3}
TIMES: Final[Mapping[str, Any]] = {"unit": "x", "no_effect": 1.0}

CLAIMS: Final = (
    _claim(
        "median", "lowers the median latency of a call by 37.33 %", LATENCY_P50, _ran(evidence.median_s), -0.3733,
        tolerance=0.02, setup=RUN + FITTED_PATH, **CHANGE,
    ),
    _claim(
        "p99", "and its 99th percentile by 63.42 %", LATENCY_P99, _ran(evidence.p99_s), -0.6342,
        tolerance=0.03, setup=RUN + FITTED_PATH, **CHANGE,
    ),
    _claim(
        "median-drawn", "the same median where no call waits at all", LATENCY_P50, Computed(evidence.low_load, evidence.MEDIAN), -0.3733,
        tolerance=0.02, setup=DRAWN + FITTED_PATH, seeds=(1,), **CHANGE,
    ),
    _claim(
        "p99-drawn", "the same 99th percentile", LATENCY_P99, Computed(evidence.low_load, evidence.P99), -0.6342,
        tolerance=0.03, setup=DRAWN + FITTED_PATH, seeds=(1,), **CHANGE,
    ),
    _claim(
        "throughput", "five times the throughput", "functions.throughput_max_per_s",
        Computed(evidence.throughput, evidence.THROUGHPUT), 5.0, tolerance=0.04, fitted_parameters=2, setup=CORES, seeds=(1,), **TIMES,
    ),
    _claim(
        "median-loaded", "at twice lower a median", LATENCY_P50, Computed(evidence.loaded, evidence.LOADED_MEDIAN), 2.0,
        tolerance=0.1, fitted_parameters=8, setup=LOADED + CORES + FITTED_PATH, seeds=(1,), **TIMES,
    ),
    _claim(
        "p99-loaded", "and a tail 3.5 times lower", LATENCY_P99, Computed(evidence.loaded, evidence.LOADED_P99), 3.5,
        tolerance=0.1, fitted_parameters=8, setup=LOADED + CORES + FITTED_PATH, seeds=(1,), **TIMES,
    ),
    _claim(
        "throughput-v2", "version 2: ten times the throughput", "functions.throughput_max_per_s",
        Computed(evidence.version_2, evidence.THROUGHPUT_2), 10.0, tolerance=0.05, fitted_parameters=3, source="junctiond: version 2",
        setup=SECOND, seeds=(1,), **TIMES,
    ),
    _claim(
        "execution-median", "lowers the median of a function's execution by 35.3 %", LATENCY_P50,
        Computed(evidence.execution, evidence.EXECUTION_MEDIAN), -0.353, tolerance=0.1, source="junctiond: from memory",
        setup=INSIDE + FITTED_PATH, explained=OWN_RUN, seeds=(1,), **CHANGE,
    ),
    _claim(
        "execution-p99", "and its 99th percentile by 81 %", LATENCY_P99,
        Computed(evidence.execution, evidence.EXECUTION_P99), -0.81, tolerance=0.1, source="junctiond: from memory",
        setup=INSIDE + FITTED_PATH, explained=OWN_RUN, seeds=(1,), **CHANGE,
    ),
    _claim(
        "p99-of-100", "a 99th percentile of 100 calls is uncertain by eleven points", LATENCY_P99,
        Computed(spread.spread, spread.OF_100), 0.11, unit="share", no_effect=0.0, tolerance=0.2, fitted_parameters=3,
        source="intentwin: sets of 100 calls", setup=SETS + FITTED_PATH, explained=FEW, seeds=(1,),
    ),
    _claim(
        "p99-of-100000", "one of 100,000 calls by half a point", LATENCY_P99,
        Computed(spread.spread, spread.OF_100_000), 0.005, unit="share", no_effect=0.0, tolerance=0.35, fitted_parameters=3,
        source="intentwin: sets of 100,000 calls", setup=SETS + FITTED_PATH, seeds=(1,),
    ),
)  # fmt: skip
