"""PACE: how sure one may be of a named root cause."""

from typing import Final

from policies.system import System
from policies.systems.pace.claims import CLAIMS
from policies.systems.pace.knobs import PaceKnobs
from policies.systems.pace.policy import Pace

SYSTEM: Final = System(
    id="pace",
    name="PACE",
    question="What if a named cause came with a probability that earlier incidents bear out?",
    levers={"confidence": "holder"},
    serves=("incidents.confidence_ece_share", "incidents.confidence_brier"),
    costs=(),
    knobs=PaceKnobs,
    build=Pace,
    paper="pace",
    watch=("incidents.confidence_ece_share", "incidents.confidence_brier"),
    claims=CLAIMS,
)
