"""ReAct for root causes: thought, action, observation, checked claims."""

from typing import Final

from policies.system import System
from policies.systems.react_rca.claims import CLAIMS
from policies.systems.react_rca.knobs import ReactRcaKnobs
from policies.systems.react_rca.policy import ReactRca

SYSTEM: Final = System(
    id="react_rca",
    name="ReAct RCA",
    question="What if an incident were investigated step by step, and nothing counted that no evidence says?",
    levers={"investigation": "holder"},
    serves=("incidents.rca_top1_share", "incidents.rca_top3_share", "incidents.time_to_diagnose_mean_s"),
    costs=(),
    knobs=ReactRcaKnobs,
    build=ReactRca,
    paper="react-rca",
    watch=("incidents.rca_top1_share", "incidents.rca_top3_share", "incidents.time_to_diagnose_mean_s"),
    claims=CLAIMS,
)
