"""TAPAS: thermal- and power-aware scheduling of LLM inference."""

from typing import Final

from policies.system import System
from policies.systems.tapas.claims import CLAIMS, CONFIG, PLACE, ROUTE
from policies.systems.tapas.knobs import TapasKnobs
from policies.systems.tapas.policy import Tapas

SYSTEM: Final = System(
    id="tapas",
    name="TAPAS",
    question="Can heat and power be steered by where requests go and how fast GPUs run, instead of capping everybody?",
    levers={
        "request_routing": "guard",
        "instance_config": "guard",
        "instance_scaling": "guard",
        "emergency": "holder",
        "vm_placement": "holder",
        "capacity": "holder",
    },
    serves=(
        "plant.gpu_temp_max_c",
        "plant.row_power_peak_w",
        "plant.thermal_throttle_events",
        "plant.power_throttle_events",
        "plant.throttled_gpu_share",
        "plant.site_power_peak_w",
        "plant.energy_j",
        "plant.oversubscription_share",
    ),
    costs=("serving.ttft_p99_s", "serving.e2e_p99_s", "serving.slo_attainment_share", "serving.quality_mean_share"),
    knobs=TapasKnobs,
    build=Tapas,
    paper="tapas",
    watch=("plant.gpu_temp_max_c", "plant.row_power_peak_w", "serving.ttft_p99_s"),
    claims=CLAIMS,
    enforces=("plant.gpu_temp_max_c", "plant.row_power_peak_w", "plant.oversubscription_share"),
    on_request=("instance_scaling",),
    parts={"Place": PLACE, "Route": ROUTE, "Config": CONFIG},
)
