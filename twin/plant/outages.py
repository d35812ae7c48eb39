"""Faults of the plant: what they take away, when they begin and end."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from twin.faults import Fault
from twin.fleet import Fleet
from twin.plant.records import Layout
from twin.plant.throttling import budget_share_left

FAULT_KINDS: Final = ("ahu_loss", "rack_blocked", "ups_loss")
# Rows of the events table: (t_s, domain, kind, entity_kind, entity_id, value).
Told = tuple[float, str, str, str, str, float]


class Outages:
    """Turns faults into targets and shares in the arrays; the physics does the rest.

    ``ahu_loss`` takes a share of an aisle's air, ``rack_blocked`` a share of a rack's airflow, ``ups_loss`` one UPS
    (severity 1) of the site, which lowers every power budget.
    """

    def __init__(self, fleet: Fleet, faults: Sequence[Fault], ups_units: int) -> None:
        places = {"ahu_loss": ("aisle", fleet.aisle_ids), "rack_blocked": ("rack", fleet.rack_ids), "ups_loss": ("site", ("site",))}
        for fault in faults:
            if fault.kind not in places:
                raise ValueError(f"fault {fault.kind!r} is not of the plant; it is one of {', '.join(FAULT_KINDS)}")
            kind, ids = places[fault.kind]
            if fault.target not in ids:
                raise ValueError(f"fault {fault.kind}: target {fault.target!r} names no {kind} of the fleet, such as {ids[0]}")
        self._fleet, self._faults, self._ups_units, self._places = fleet, tuple(faults), ups_units, places
        self._edges = sorted({edge for fault in faults for edge in fault.edges_s()})
        self._next = 0
        self._told: list[Told] = []

    def apply(self, t_s: float, arrays: Layout) -> list[float]:
        """Apply what begins or ends by ``t_s``; return the edges that passed."""
        passed: list[float] = []
        while self._next < len(self._edges) and self._edges[self._next] <= t_s + 1e-9:
            passed.append(self._edges[self._next])
            self._next += 1
        if passed:
            self._told.extend(self._tell(edge, fault) for edge in passed for fault in self._faults if edge in fault.edges_s())
            self._set(t_s, arrays)
        return passed

    def told(self) -> list[Told]:
        """Return and forget the events since the last call; value is the severity at the beginning and 0 at the end."""
        told, self._told = self._told, []
        return told

    def resume(self, t_s: float, arrays: Layout) -> None:
        """Stand as if every edge before ``t_s`` had been applied."""
        self._next = int(np.searchsorted(self._edges, t_s - 1e-9)) if self._edges else 0
        self._told = []
        self._set(t_s - 1e-6, arrays)

    def _tell(self, edge_s: float, fault: Fault) -> Told:
        value = fault.severity if edge_s == fault.from_s else 0.0
        return edge_s, "plant", fault.kind, self._places[fault.kind][0], fault.target, value

    def _set(self, t_s: float, arrays: Layout) -> None:
        air = np.ones(len(self._fleet.aisle_ids))
        blocked = np.zeros(len(self._fleet.rack_ids))
        power = 1.0
        for fault in self._faults:
            if not fault.active(t_s + 1e-9):
                continue
            if fault.kind == "ahu_loss":
                index = self._fleet.aisle_ids.index(fault.target)
                air[index] = max(air[index] - fault.severity, 0.02)
            elif fault.kind == "rack_blocked":
                index = self._fleet.rack_ids.index(fault.target)
                blocked[index] = max(blocked[index], fault.severity)
            else:
                power = min(power, budget_share_left(fault.severity, self._ups_units))
        arrays.aisles["air_target_share"] = air
        arrays.servers["blocked_share"] = blocked[self._fleet.server_racks]
        arrays.rows["budget_w"] = arrays.rows["rated_w"] * power
