"""The holder of investigation: a driver looks, the verifier checks."""

from typing import Final

from policies import llm
from policies.system import Surroundings
from policies.systems.react_rca.embedded import Embedded
from policies.systems.react_rca.knobs import ReactRcaKnobs
from policies.systems.react_rca.model import ModelDriver
from twin.incidents.levers import InvestigationObservation
from twin.incidents.trajectory import Investigation
from twin.incidents.verifier import verify

HOLDER: Final = "react_rca"


class ReactRca:
    """Investigates by thought, action and observation; every claim must cite evidence that says so."""

    def __init__(self, knobs: ReactRcaKnobs, surroundings: Surroundings) -> None:
        del surroundings
        self._knobs = knobs

    def investigate(self, seen: InvestigationObservation) -> Investigation:
        """Return what caused an incident, as of the tools' moment."""
        if self._knobs.driver == "embedded":
            draft = Embedded(self._knobs, seen).investigate(HOLDER)
        else:
            model = self._knobs.model or llm.available()
            draft = ModelDriver(self._knobs, seen, model).investigate(HOLDER) if model else _no_model(seen)
        return verify(draft, seen.incident, seen.tools)


def _no_model(seen: InvestigationObservation) -> Investigation:
    why = f"no language model is named; set {llm.MODEL_VARIABLE} or the knob model, or take the embedded driver"
    return Investigation(seen.incident.incident_id, seen.tools.as_of_s, HOLDER, "llm:", (), (), "inconclusive", (), why, 0, 0)
