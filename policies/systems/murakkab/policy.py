"""Plans every workflow anew each epoch, all together."""

from policies.system import Surroundings
from policies.systems.murakkab.epoch import Epoch
from policies.systems.murakkab.knobs import MurakkabKnobs
from twin.workflows.levers import PlanAction, PlanObservation


class Murakkab:
    """Holds the plan of workflows. It remembers nothing: the plans follow from what is seen."""

    def __init__(self, knobs: MurakkabKnobs, surroundings: Surroundings) -> None:
        self._knobs, self._surroundings = knobs, surroundings

    def plan(self, seen: PlanObservation) -> PlanAction:
        """Return who does each stage of each workflow in the coming epoch, or which limit stands in the way."""
        return Epoch(seen, self._knobs, self._surroundings).planned()
