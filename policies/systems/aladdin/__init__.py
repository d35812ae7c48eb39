"""Aladdin: joint placement and scaling of LLM workers under objectives."""

from typing import Any, Final

from policies.system import Surroundings, System
from policies.systems.aladdin.claims import CLAIMS
from policies.systems.aladdin.knobs import AladdinKnobs


def _build(knobs: Any, surroundings: Surroundings) -> Any:
    # Imported here: the module compiles its rules when it is loaded.
    from policies.systems.aladdin.policy import Aladdin

    return Aladdin(knobs, surroundings)


SYSTEM: Final = System(
    id="aladdin",
    name="Aladdin",
    question="How few GPUs hold the latency objectives if each request goes to the fullest worker that can still take it?",
    levers={"instance_config": "holder", "instance_scaling": "holder", "request_routing": "holder"},
    serves=(
        "serving.slo_attainment_share",
        "serving.ttft_p99_s",
        "serving.atgt_p99_s",
        "serving.cost_usd_per_h",
        "serving.gpus_mean",
        "serving.cost_usd_per_million_tokens",
    ),
    costs=("serving.ttft_p50_s", "serving.tbt_p99_s", "serving.e2e_p99_s", "plant.gpu_temp_max_c"),
    knobs=AladdinKnobs,
    build=_build,
    paper="aladdin",
    watch=("serving.gpus_mean", "serving.slo_attainment_share", "serving.ttft_p99_s"),
    claims=CLAIMS,
    enforces=("serving.ttft_p99_s", "serving.atgt_p99_s", "serving.slo_attainment_share"),
)
