"""Murakkab: jobs say what they want; models and hardware are chosen."""

from typing import Final

from policies.system import System
from policies.systems.murakkab.answer import answer
from policies.systems.murakkab.claims import CLAIMS
from policies.systems.murakkab.knobs import MurakkabKnobs
from policies.systems.murakkab.limits import ENFORCED
from policies.systems.murakkab.policy import Murakkab

SYSTEM: Final = System(
    id="murakkab",
    name="Murakkab",
    question="What if jobs said what they want, and who does each step on which hardware were planned for all of them together?",
    levers={"workflow_plan": "holder"},
    serves=(
        "workflows.makespan_p50_s",
        "workflows.makespan_p99_s",
        "workflows.energy_j_per_job",
        "workflows.cost_usd_per_job",
    ),
    costs=("workflows.quality_min_share",),
    knobs=MurakkabKnobs,
    build=Murakkab,
    paper="murakkab",
    watch=("workflows.makespan_p50_s", "workflows.energy_j_per_job", "workflows.cost_usd_per_job", "workflows.quality_min_share"),
    claims=CLAIMS,
    enforces=ENFORCED,
    answer=answer,
    pins=("plan",),
)
