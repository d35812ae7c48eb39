"""junctiond: functions in library OS instances, past the kernel's stack."""

from typing import Final

from policies.system import System
from policies.systems.junctiond.claims import CLAIMS
from policies.systems.junctiond.knobs import JunctiondKnobs
from policies.systems.junctiond.policy import Junctiond

SYSTEM: Final = System(
    id="junctiond",
    name="junctiond",
    question="What if messages between gateway, provider and functions passed by the kernel, for one polling core on each host?",
    levers={"function_runtime": "holder"},
    serves=("functions.latency_p50_s", "functions.latency_p99_s", "functions.throughput_max_per_s"),
    # A core that spins on an idle host draws power that interrupts do not.
    costs=("plant.energy_j", "plant.energy_cost_usd"),
    knobs=JunctiondKnobs,
    build=Junctiond,
    paper="junctiond",
    watch=("functions.latency_p50_s", "functions.latency_p99_s", "functions.throughput_max_per_s", "functions.cold_start_share"),
    claims=CLAIMS,
)
