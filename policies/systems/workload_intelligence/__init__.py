"""Workload Intelligence: hints of VMs open optimisations and lower prices."""

from typing import Final

from policies.system import System
from policies.systems.workload_intelligence.allowance import EVICTIONS
from policies.systems.workload_intelligence.claims import CLAIMS
from policies.systems.workload_intelligence.knobs import WorkloadIntelligenceKnobs
from policies.systems.workload_intelligence.policy import WorkloadIntelligence

SYSTEM: Final = System(
    id="workload_intelligence",
    name="Workload Intelligence",
    question="What if VMs told the platform what they need, and paid less for all that they do not?",
    levers={"offers": "holder"},
    serves=("workloads.price_cut_share", "workloads.notices_honoured_share"),
    costs=("workloads.evictions", "workloads.broken_requirements"),
    knobs=WorkloadIntelligenceKnobs,
    build=WorkloadIntelligence,
    paper="workload-intelligence",
    watch=(
        "workloads.price_cut_share",
        "workloads.evictions",
        "workloads.broken_requirements",
        "workloads.notices_honoured_share",
    ),
    claims=CLAIMS,
    enforces=(EVICTIONS,),
)
