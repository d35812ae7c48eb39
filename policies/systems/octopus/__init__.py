"""Octopus: sparse pods of CXL memory, chosen for a site and filled."""

from typing import Final

from policies.system import System
from policies.systems.octopus.choose import answer
from policies.systems.octopus.claims import CLAIMS
from policies.systems.octopus.knobs import OctopusKnobs
from policies.systems.octopus.limits import ENFORCED
from policies.systems.octopus.policy import Octopus

SYSTEM: Final = System(
    id="octopus",
    name="Octopus",
    question="How many hosts can share memory, and at what price, when each reaches only a few of the pod's devices?",
    levers={"pod_topology": "holder", "pool_allocation": "holder"},
    serves=(
        "memory.pod_hosts",
        "memory.dram_saving_share",
        "memory.cost_usd_per_host",
        "memory.access_latency_s",
        "memory.overflow_events",
    ),
    costs=("memory.migrated_bytes",),
    knobs=OctopusKnobs,
    build=Octopus,
    paper="octopus",
    watch=("memory.pod_hosts", "memory.cost_usd_per_host", "memory.dram_saving_share", "memory.overflow_events"),
    claims=CLAIMS,
    enforces=ENFORCED,
    parts={"Pod": ("pod_topology",), "Allocation": ("pool_allocation",)},
    answer=answer,
    pins=("design", "device_bytes"),
)
