"""The holder of investigation: a driver looks, the verifier checks."""

from policies.system import Surroundings
from policies.systems.react_rca.embedded import Embedded
from policies.systems.react_rca.knobs import ReactRcaKnobs
from twin.incidents.levers import InvestigationObservation
from twin.incidents.trajectory import Investigation
from twin.incidents.verifier import verify

HOLDER = "react_rca"


class ReactRca:
    """Investigates by thought, action and observation; every claim must cite evidence that says so."""

    def __init__(self, knobs: ReactRcaKnobs, surroundings: Surroundings) -> None:
        del surroundings
        self._knobs = knobs

    def investigate(self, seen: InvestigationObservation) -> Investigation:
        """Return what caused an incident, as of the tools' moment."""
        draft = Embedded(self._knobs, seen).investigate(HOLDER)
        return verify(draft, seen.incident, seen.tools)
