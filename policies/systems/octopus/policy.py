"""Builds the chosen pod; fills the least loaded device, moves on overflow."""

from typing import Any

import numpy as np

from policies.system import Surroundings
from policies.systems.octopus.choose import answer
from policies.systems.octopus.knobs import OctopusKnobs
from policies.systems.octopus.options import Site, device_bytes
from twin.memory.designs import parse
from twin.memory.levers import PoolAction, PoolObservation, TopologyAction, TopologyObservation


class Octopus:
    """Holds the pod and its filling. It remembers nothing: both follow from what is seen."""

    def __init__(self, knobs: OctopusKnobs, surroundings: Surroundings) -> None:
        del surroundings
        self._knobs = knobs

    def design(self, seen: TopologyObservation) -> TopologyAction:
        """Return the pod that answers the limits, or the one that is named; none where none does.

        Its devices are as large as the knobs say, else as past demand asks, with headroom.
        """
        knobs = self._knobs
        answered = answer(knobs, seen)
        if answered.chosen is None:
            return TopologyAction(None, why=answered.why)
        chosen = parse(answered.chosen.name)
        size = device_bytes(chosen, Site.of(seen, knobs.headroom_share, knobs.migrate, knobs.device_bytes))
        return TopologyAction(chosen.build(), size, answered.why)

    @property
    def pick(self) -> Any:
        """Return the compiled rule: the device with the fewest slices in use."""
        # Imported here: the module compiles its rules when it is loaded.
        from policies.baselines import pickers

        return pickers.least_loaded

    def refresh(self, seen: PoolObservation) -> PoolAction:
        """Return that slices of others are moved aside where a slice finds no room, and only there."""
        return PoolAction(np.zeros(len(seen.device_ids)), migrate=self._knobs.migrate)
