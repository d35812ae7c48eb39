"""What Aladdin's paper says, and how ours is searched beside it."""

from collections.abc import Mapping
from typing import Any, Final

from policies.claim import Claim, Contender, Objective, Search, Sizing, Sweep, over, steps
from twin.clock import Window

RATE: Final = "serving.endpoints[chat].demand.rate_per_s"
MODEL: Final = "serving.endpoints[chat].model"
WIDTHS: Final = "serving.endpoints[chat].tp_choices"
ATGT: Final = "serving.endpoints[chat].atgt_slo_s"
OVERHEAD: Final = "serving.overhead_s"
# A quarter of an hour in which workers start and are replaced is left out, of everybody's.
WINDOW: Final = Window(12.25, None)
WITHIN: Final = (Objective("serving.slo_attainment_share", ">=", 0.99),)
# One-GPU workers that prefill, the same for all contenders of the split-phase claims.
PREFILLERS: Final = 16

SET_UP: Final = (
    "Fixed before Aladdin was first run on it: Llama-2-13B on 16 eight-GPU A100 servers, Poisson arrivals at 80 a second (the "
    "paper's high demand is simulated too; its rate is not known), TTFT within 2 s and ATGT within 0.1 s (the twin's defaults; "
    "the paper's are not known) for 99 % of the requests of 25 minutes after a quarter of an hour of starting up. The paper's "
    "prompts are ShareGPT's, ours follow the Azure conversation trace, cut to 3,072 prompt and 1,000 output tokens. Which of "
    "Llama-2-7B, 13B and 70B the paper's number belongs to is not known: the middle one was taken, the others are in the sweep. "
)
CHANGED: Final = (
    "Changed after a first run: the point of 70B in the sweep moved to 20 requests a second, because these servers do not carry "
    "more; lengths were cut to what fits the model's context of 4,096 tokens, since longer requests are refused. The rule by which "
    "Aladdin chooses the width of its workers was improved after a first look at the results, on other scenarios. "
)
KNOBS: Final = (
    "Fewest workers by bisection, both neighbours checked, three settings of knobs for each contender and 40 runs per point and "
    "seed at most, the same for all: theta and gamma of Aladdin, the width of vLLM where the best one is looked for, the batch limit "
    "of the others. "
)


def _held(**systems: str) -> dict[str, Any]:
    return {"levers": {lever: [{"system": system}] for lever, system in systems.items()}}


LIMITS: Final = steps("static.max_batch", (256, 128, 64))
MARGINS: Final = tuple({"aladdin.theta": share, "aladdin.gamma": share} for share in (0.9, 1.0, 0.8))


def _static(router: str, **more: str) -> dict[str, Any]:
    return _held(instance_config="static", instance_scaling="static_peak", request_routing=router, **more)


def _loads(*rates: float) -> Sweep:
    return over("requests per second", 80.0, RATE, rates)


def _models() -> Sweep:
    small: dict[float | str, Mapping[str, Any]] = {name: {MODEL: name} for name in ("llama-2-7b", "llama-2-13b")}
    # 70B does not fit one GPU, and these servers do not carry 80 a second of it.
    return Sweep("model", "llama-2-13b", {**small, "llama-2-70b at 20/s": {MODEL: "llama-2-70b", WIDTHS: [2, 4], RATE: 20.0}})


WHOLE_SEARCH: Final = Search(
    find=Sizing(WITHIN, window=WINDOW),
    contenders={
        "vllm": Contender(_static("round_robin"), LIMITS, steps("static_peak.instances", range(1, 33))),
        "vllm, best width": Contender(
            _static("round_robin"), steps("static_peak.tp", (4, 2, 1)), steps("static_peak.instances", range(1, 129))
        ),
        "aladdin": Contender(
            _held(instance_config="aladdin", instance_scaling="aladdin", request_routing="aladdin"),
            MARGINS,
            steps("aladdin.workers", range(1, 129)),
        ),
    },
    ours="aladdin",
    against=("vllm",),
    sweeps=(
        _loads(10.0, 20.0, 40.0, 80.0),
        _models(),
        over("ATGT objective in s", 0.1, ATGT, (0.05, 0.1, 0.2)),
        over("s that the engine adds to an iteration", 0.003, OVERHEAD, (0.003, 0.03)),
    ),
    probes=40,
)


def _split(decoders: int) -> dict[str, Any]:
    """Return the knobs that leave the prefill part as it is and keep some decode workers on.

    The share is a hair below its exact value, so that rounding over all 128 slots gives just the prefill part.
    """
    whole = PREFILLERS + decoders
    return {"static_peak.instances": whole, "prefill_decode.prefill_share": round((PREFILLERS - 0.1) / whole, 6)}


DECODE_SIZES: Final = tuple(_split(decoders) for decoders in range(1, 65))


def _decode_search(against: str) -> Search:
    split = "prefill_decode"
    ours = _held(instance_config="aladdin", instance_scaling="static_peak", request_routing="aladdin", stage_layout=split)
    return Search(
        find=Sizing(WITHIN, shared=float(PREFILLERS), window=WINDOW),
        contenders={
            against: Contender(_static(against, stage_layout=split), LIMITS, DECODE_SIZES),
            "aladdin": Contender(ours, MARGINS, DECODE_SIZES),
        },
        ours="aladdin",
        against=(against,),
        sweeps=(_loads(20.0, 40.0, 80.0), over("ATGT objective in s", 0.1, ATGT, (0.05, 0.1, 0.2))),
        vary={"serving.endpoints[chat].tp": 1, WIDTHS: [1]},
        probes=40,
    )


DECODE_SET_UP: Final = (
    f"As the other claim, but prefill apart from decode and workers of one GPU, so that GPUs count one by one. {PREFILLERS} workers "
    "prefill, the same for all; only GPUs of the decode workers are counted (GPUs held less the prefill part). Scaling is the "
    "search's on both sides: routing and batch limits are what is compared. "
)


WIDTH_IS_THE_GAIN: Final = (
    "What a whole node a worker wastes is its width: the column of the best width shows the GPUs that default vLLM needs once its "
    "workers are as wide as is best, and how much of the gain is left for Aladdin beside that. It wastes no more because in the twin a "
    "worker of four GPUs runs an iteration much faster than a worker of one and has far more than four times its KV cache (latencies are "
    "composed from measured kernels of today's engines). Packing adds little to a good width: at a steady load round robin over equal "
    "workers fills them about as well. The paper's engine, objectives and lengths are of 2023 and not known in full."
)
POOL_IS_FULL: Final = (
    "The fewest decode workers that hold are those that just carry the load: one less and tokens are late for everybody, whoever "
    "routes. Equal workers under Poisson arrivals are balanced well by queue length, and with prefill apart nothing stalls a batch, "
    "so packing by predicted lengths has nothing to gain. The paper's decode pool, its objectives and its lengths are not known."
)


def _claim(claim_id: str, text: str, paper: float, unit: str, setup: str, search: Search) -> Claim:
    return Claim(
        id=claim_id,
        text=text,
        metric="serving.gpus_mean",
        paper=paper,
        unit=unit,
        source="aladdin: abstract and reviews",
        tolerance=0.15,
        fitted_parameters=0,
        setup=setup + CHANGED + KNOBS + "Median of three seeds.",
        scenario="aladdin",
        evidence=search,
        better="lower",
        explained=WIDTH_IS_THE_GAIN if search is WHOLE_SEARCH else POOL_IS_FULL,
    )


CLAIMS: Final = (
    _claim(
        "gpus-against-vllm",
        "needs up to 71 % fewer GPUs than default vLLM for the same objectives",
        -0.71,
        "share of the baseline's GPUs",
        SET_UP
        + "Default vLLM is four GPUs a worker (the whole node of the paper's testbed) and round robin. The sweep over the engine's own "
        "time (30 ms an iteration is about what engines of 2023 took) was added after a first run. ",
        WHOLE_SEARCH,
    ),
    _claim(
        "decode-gpus-against-jsq",
        "needs up to 60 % fewer decode GPUs than joining the shortest queue",
        -0.60,
        "share of the baseline's decode GPUs",
        SET_UP + DECODE_SET_UP,
        _decode_search("least_outstanding"),
    ),
    _claim(
        "decode-gpus-against-power-of-two",
        "needs up to 49 % fewer decode GPUs than the power of two choices",
        -0.49,
        "share of the baseline's decode GPUs",
        SET_UP + DECODE_SET_UP,
        _decode_search("power_of_two"),
    ),
)
