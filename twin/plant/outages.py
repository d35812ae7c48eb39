"""Faults of the plant: what they take away, when they begin and end."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from twin.chance import stream
from twin.faults import Fault
from twin.fleet import Fleet
from twin.plant.records import Layout
from twin.plant.sensors import DRIFT

Floats = NDArray[np.float64]
HOUR_S: Final = 3600.0
# Random faults of one run: more than a plant has in two months even where each of its servers' sensors drifts now and then.
MOST_FAULTS: Final = 20_000
# The slowest clock that GPUs keep that throttle by themselves (hardware slowdown), and the lowest cap that a row can be given.
_LEAST_CLOCK_SHARE: Final = 0.2
_LEAST_CAP_SHARE: Final = 0.05
# An aisle that has lost every air handler still leaks some air.
_LEAST_AIR_SHARE: Final = 0.02
# Rows of the events table: (t_s, domain, kind, entity_kind, entity_id, value).
Told = tuple[float, str, str, str, str, float]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault: which places it can strike, and what it does to the arrays.

    ``lose`` gets the arrays, the fleet and what every place has lost (shares, in the order of ``ids``): the sum over active
    faults at most 1 where they ``add`` up, else the worst. ``parts`` says into how many equal units each place is divided
    for random faults. ``ids`` gets the fleet and the number of chillers. ``site`` True lets "site" stand for one of the places.
    ``told`` False keeps a kind out of the events; with ``felt`` False it does nothing to the plant, and its edges are not in the ticks.
    """

    entity: str
    ids: Callable[[Fleet, int], tuple[str, ...]]
    lose: Callable[[Layout, Fleet, Floats], None]
    add: bool = False
    parts: Callable[[Fleet], NDArray[np.int64]] | None = None
    site: bool = False
    told: bool = True
    felt: bool = True


class RandomFaults(BaseModel):
    """How often each unit of a kind fails by itself and how long a repair takes on average; both times are exponential."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mtbf_h: Annotated[float, Field(gt=0)]
    repair_h: Annotated[float, Field(gt=0)]
    severity: Annotated[float, Field(gt=0, le=1)] = 1.0


def _air(arrays: Layout, fleet: Fleet, lost: Floats) -> None:
    arrays.aisles["air_target_share"] = np.maximum(1.0 - lost, _LEAST_AIR_SHARE)


def _blocked(arrays: Layout, fleet: Fleet, lost: Floats) -> None:
    arrays.servers["blocked_share"] = lost[fleet.server_racks]


def _chiller_ids(fleet: Fleet, chillers: int) -> tuple[str, ...]:
    return ("site", *(f"chiller-{n}" for n in range(1, chillers + 1)))


def _ups(arrays: Layout, fleet: Fleet, lost: Floats) -> None:
    arrays.feeds["lost_share"][: len(fleet.ups_ids)] = lost


def _pdu(arrays: Layout, fleet: Fleet, lost: Floats) -> None:
    arrays.feeds["lost_share"][len(fleet.ups_ids) :] = lost


def _chillers(arrays: Layout, fleet: Fleet, lost: Floats) -> None:
    # All of them first, then one by one.
    arrays.site["chiller_left_share"] = 1.0 - max(lost[0], lost[1:].mean())


def _throttled(arrays: Layout, fleet: Fleet, lost: Floats) -> None:
    arrays.servers["own_clock_share"] = np.maximum(1.0 - lost, _LEAST_CLOCK_SHARE)


def _capped(arrays: Layout, fleet: Fleet, lost: Floats) -> None:
    # The row's budget in force follows from it, and what is asked of its feeds.
    arrays.rows["rated_w"] = fleet.row_power_budgets_w * np.maximum(1.0 - lost, _LEAST_CAP_SHARE)


def _unseen(arrays: Layout, fleet: Fleet, lost: Floats) -> None:
    """Do nothing to the plant: what a sensor says wrongly is seen by holders alone."""


KINDS: Final[Mapping[str, Kind]] = {
    "ahu_loss": Kind("aisle", lambda fleet, _: fleet.aisle_ids, _air, add=True, parts=lambda fleet: fleet.aisle_air_handlers),
    "chiller_loss": Kind("chiller", _chiller_ids, _chillers),
    "gpu_throttle": Kind("server", lambda fleet, _: fleet.server_ids, _throttled, told=False),
    "pdu_loss": Kind("pdu", lambda fleet, _: fleet.pdu_ids, _pdu),
    "power_cap_wrong": Kind("row", lambda fleet, _: fleet.row_ids, _capped, told=False),
    "rack_blocked": Kind("rack", lambda fleet, _: fleet.rack_ids, _blocked),
    DRIFT: Kind("server", lambda fleet, _: fleet.server_ids, _unseen, told=False, felt=False),
    "ups_loss": Kind("ups", lambda fleet, _: fleet.ups_ids, _ups, site=True),
}
FAULT_KINDS: Final = tuple(KINDS)


def _known(kind: str) -> Kind:
    if kind not in KINDS:
        raise ValueError(f"fault {kind!r} is not of the plant; it is one of {', '.join(FAULT_KINDS)}")
    return KINDS[kind]


def _place(fleet: Fleet, chillers: int, fault: Fault) -> int:
    """Return the index of a fault's target among the places of its kind; the site stands for its first one."""
    kind = _known(fault.kind)
    ids = kind.ids(fleet, chillers)
    if kind.site and fault.target == "site" and ids:
        return 0
    if fault.target not in ids:
        raise ValueError(f"fault {fault.kind}: target {fault.target!r} names no {kind.entity} of the fleet, such as {', '.join(ids[:1])}")
    return ids.index(fault.target)


def drawn(random_faults: Mapping[str, RandomFaults], fleet: Fleet, chillers: int, horizon_s: float, seed: int) -> tuple[Fault, ...]:
    """Return the random faults of a run: each unit works, fails and is repaired in turn; times are whole seconds.

    Every unit has a stream of its own, so that neither another kind, nor another unit, nor a longer run shifts it. ValueError
    where there would be more of them than a run can tell apart.
    """
    found: list[Fault] = []
    for name, rate in sorted(random_faults.items()):
        kind = _known(name)
        ids = kind.ids(fleet, chillers)
        parts = np.ones(len(ids), dtype=np.int64) if kind.parts is None else kind.parts(fleet)
        expected = parts.sum() * horizon_s / HOUR_S / (rate.mtbf_h + rate.repair_h)
        if expected > MOST_FAULTS:
            raise ValueError(
                f"plant.random_faults.{name}: about {expected:,.0f} faults of {parts.sum():,} units, the limit is {MOST_FAULTS:,}; "
                f"raise mtbf_h or shorten the run"
            )
        for target, units in zip(ids, parts, strict=True):
            if target == "site":
                continue
            for unit in range(int(units)):
                random = stream(seed, "plant", "faults", name, target, str(unit))
                # Drawn to the end of the horizon: what comes later would never be met.
                t_s = random.exponential(rate.mtbf_h) * HOUR_S
                while t_s < horizon_s:
                    begin_s, end_s = np.ceil(t_s), np.ceil(t_s + random.exponential(rate.repair_h) * HOUR_S) + 1.0
                    severity = rate.severity / int(units)
                    found.append(Fault(kind=name, target=target, from_s=begin_s, until_s=end_s, severity=severity))
                    t_s = end_s + random.exponential(rate.mtbf_h) * HOUR_S
    return tuple(sorted(found, key=lambda fault: (fault.from_s, fault.kind, fault.target)))


class Outages:
    """Turns faults into targets and shares in the arrays; the physics does the rest.

    ``ahu_loss`` takes a share of an aisle's air, ``rack_blocked`` a share of a rack's airflow, ``ups_loss`` and ``pdu_loss``
    a share of one unit's rating (all of it by default), ``chiller_loss`` a share of one chiller, or of all where the target is
    the site. ``gpu_throttle`` takes a share of the clock of a server's GPUs, ``power_cap_wrong`` of a row's budget; no event tells
    either, as nothing failed. ``sensor_drift`` takes nothing: a server's sensors say what is not so
    (``sensors.Drifts``), and no event tells it.
    """

    def __init__(self, fleet: Fleet, faults: Sequence[Fault], chillers: int) -> None:
        self._fleet, self._chillers, self.faults = fleet, chillers, tuple(faults)
        self._places = [_place(fleet, chillers, fault) for fault in self.faults]
        self.edges_s = sorted({edge for fault in self.faults if KINDS[fault.kind].felt for edge in fault.edges_s()})
        self._from_s = np.array([fault.from_s for fault in self.faults])
        self._until_s = np.array([np.inf if fault.until_s is None else fault.until_s for fault in self.faults])
        self._at: dict[float, list[Fault]] = {}
        for fault in self.faults:
            for edge in fault.edges_s() if KINDS[fault.kind].felt else ():
                self._at.setdefault(edge, []).append(fault)
        self._next = 0
        self._told: list[Told] = []

    def apply(self, t_s: float, arrays: Layout) -> list[float]:
        """Apply what begins or ends by ``t_s``; return the edges that passed."""
        passed: list[float] = []
        while self._next < len(self.edges_s) and self.edges_s[self._next] <= t_s + 1e-9:
            passed.append(self.edges_s[self._next])
            self._next += 1
        if passed:
            self._told.extend(self._tell(edge, fault) for edge in passed for fault in self._at[edge] if KINDS[fault.kind].told)
            self._set(t_s, arrays)
        return passed

    def told(self) -> list[Told]:
        """Return and forget the events since the last call; value is the severity at the beginning and 0 at the end."""
        told, self._told = self._told, []
        return told

    def resume(self, t_s: float, arrays: Layout) -> None:
        """Stand as if every edge before ``t_s`` had been applied."""
        self._next = int(np.searchsorted(self.edges_s, t_s - 1e-9)) if self.edges_s else 0
        self._told = []
        self._set(t_s - 1e-6, arrays)

    def _tell(self, edge_s: float, fault: Fault) -> Told:
        value = fault.severity if edge_s == fault.from_s else 0.0
        entity = "site" if fault.target == "site" else KINDS[fault.kind].entity
        return edge_s, "plant", fault.kind, entity, fault.target, value

    def _set(self, t_s: float, arrays: Layout) -> None:
        lost = {name: np.zeros(len(kind.ids(self._fleet, self._chillers))) for name, kind in KINDS.items()}
        for index in np.flatnonzero((self._from_s <= t_s + 1e-9) & (t_s + 1e-9 < self._until_s)):
            fault, place = self.faults[index], self._places[index]
            so_far = lost[fault.kind][place]
            both = so_far + fault.severity if KINDS[fault.kind].add else max(so_far, fault.severity)
            lost[fault.kind][place] = min(both, 1.0)
        for name, kind in KINDS.items():
            kind.lose(arrays, self._fleet, lost[name])
