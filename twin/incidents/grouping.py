"""Incidents: alerts that overlap in time and hang together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from twin.incidents.alerts import Alert
from twin.incidents.case import Severity
from twin.incidents.surroundings import DEPENDS_ON, Surroundings
from twin.stack import State

# How much worse: the worst of what is known names the severity.
RANK: Final[Mapping[str, int]] = {"minor": 0, "major": 1, "critical": 2}
# An incident takes alerts for so long after its last one is over.
LINGER_S: Final = 600.0
# Two alerts hang together where one depends on the other over so many hops at most, or both on a third within so many each: machines
# of one row do, services on two hosts of a row do not.
_DEEP: Final = 9
_NEAR: Final = 1
_NEAR_OF_MACHINES: Final = 3
_MACHINES: Final = frozenset({"server", "host", "rack", "row", "aisle", "pdu", "ups", "unit"})


@dataclass(frozen=True, slots=True)
class Opened:
    """An incident as it is known when it is opened: its first alert names it; ``affected`` are the entities that had one by then."""

    t_s: float
    incident_id: str
    title: str
    text: str
    severity: Severity
    entity_kind: str
    entity_id: str
    metric: str
    onset_s: float
    affected: tuple[str, ...]


class Grouping:
    """Puts each alert into an open incident, or opens one. Nothing is known to it but what has happened by then."""

    def __init__(self, topology: pl.DataFrame, entities: pl.DataFrame) -> None:
        self._around = Surroundings(topology, dict(entities.iter_rows()))
        self._below: dict[str, dict[str, int]] = {}
        # Of each open incident: its number, entities, numbers of the alerts that are on, when the last one ended.
        self._open: list[tuple[int, list[str], set[int], float]] = []
        self._count = 0

    def take(self, t_s: float, alerts: Sequence[Alert]) -> tuple[dict[int, str], list[Opened]]:
        """Return the incident of each alert (by its number) that fired or ended at a time, and the incidents that it opens."""
        incident_of: dict[int, str] = {}
        for alert in alerts:
            if not alert.fired:
                incident_of[alert.number] = self._end(alert)
        self._open = [each for each in self._open if each[2] or t_s - each[3] <= LINGER_S]
        fresh: dict[int, list[Alert]] = {}
        fired = sorted((alert for alert in alerts if alert.fired), key=lambda each: (each.since_s, -RANK[each.severity], each.number))
        for alert in fired:
            group = next((each for each in self._open if any(self.together(alert.entity_id, name) for name in each[1])), None)
            if group is None:
                self._count += 1
                group = (self._count, [], set[int](), t_s)
                self._open.append(group)
                fresh[self._count] = []
            number, entities, on, _ = group
            if alert.entity_id not in entities:
                entities.append(alert.entity_id)
            on.add(alert.number)
            incident_of[alert.number] = _id(number)
            if number in fresh:
                fresh[number].append(alert)
        return incident_of, [_opened(t_s, number, members) for number, members in fresh.items()]

    def together(self, one: str, other: str) -> bool:
        """Return whether two entities hang together: one depends on the other, or both closely on a third."""
        if one == other:
            return True
        below, others = self._depends(one), self._depends(other)
        if below.get(other, _DEEP + 1) <= _DEEP or others.get(one, _DEEP + 1) <= _DEEP:
            return True
        kinds = {self._around.kinds.get(name, "") for name in (one, other)}
        near = _NEAR_OF_MACHINES if kinds <= _MACHINES else _NEAR
        return any(hops <= near and others.get(name, near + 1) <= near for name, hops in below.items())

    def _depends(self, entity: str) -> dict[str, int]:
        if entity not in self._below:
            self._below[entity] = self._around.distances(entity, DEPENDS_ON) if entity in self._around else {entity: 0}
        return self._below[entity]

    def _end(self, alert: Alert) -> str:
        for index, (number, entities, on, _) in enumerate(self._open):
            if alert.number in on:
                on.discard(alert.number)
                self._open[index] = (number, entities, on, alert.t_s)
                return _id(number)
        return ""

    def snapshot(self) -> State:
        """Return the open incidents."""
        opened = [{"number": n, "entities": list(names), "on": sorted(on), "ended_s": ended} for n, names, on, ended in self._open]
        return {"open": opened, "count": self._count}

    def restore(self, state: State) -> None:
        """Take back a snapshot of the same topology."""
        self._open = [
            (int(each["number"]), [str(name) for name in each["entities"]], {int(number) for number in each["on"]}, float(each["ended_s"]))
            for each in state["open"]
        ]
        self._count = int(state["count"])


def _id(number: int) -> str:
    return f"incident-{number}"


def _opened(t_s: float, number: int, alerts: Sequence[Alert]) -> Opened:
    first = alerts[0]
    worst = max(alerts, key=lambda alert: RANK[alert.severity]).severity
    lines = [f"[{alert.severity}] {alert.entity_kind} {alert.entity_id}: {alert.words} (since {alert.since_s:.0f} s)" for alert in alerts]
    return Opened(
        t_s=t_s,
        incident_id=_id(number),
        title=first.words[:1].upper() + first.words[1:],
        text="\n".join(lines),
        severity=worst,
        entity_kind=first.entity_kind,
        entity_id=first.entity_id,
        metric=first.metric,
        onset_s=first.since_s,
        affected=tuple(dict.fromkeys(alert.entity_id for alert in alerts)),
    )
