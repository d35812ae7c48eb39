"""ModServe: modality- and stage-aware serving of multimodal models."""

from typing import Final

from policies.system import System
from policies.systems.modserve.claims import CLAIMS
from policies.systems.modserve.knobs import ModServeKnobs
from policies.systems.modserve.policy import ModServe

SYSTEM: Final = System(
    id="modserve",
    name="ModServe",
    question="Can images and text have pools of their own, each sized by its tokens, instead of instances that do everything?",
    levers={"stage_layout": "holder", "instance_scaling": "holder", "request_routing": "holder"},
    serves=(
        "serving.image_ttft_p99_s",
        "serving.ttft_p99_s",
        "serving.throughput_per_s",
        "serving.gpus_mean",
        "serving.cost_usd_per_h",
        "serving.cost_usd_per_million_tokens",
    ),
    costs=("serving.e2e_p99_s", "serving.atgt_p99_s"),
    knobs=ModServeKnobs,
    build=ModServe,
    paper="modserve",
    watch=("serving.image_ttft_p99_s", "serving.ttft_p99_s", "serving.gpus_mean"),
    claims=CLAIMS,
    enforces=("serving.ttft_p99_s", "serving.image_ttft_p99_s", "serving.gpus_mean", "serving.cost_usd_per_h"),
)
