"""What each class of cause can be met with, as intents in words."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, floor, isfinite
from typing import Final, Self

import numpy as np
import polars as pl

from twin.clock import DAY_S, HOUR_S, Clock
from twin.fleet import Fleet
from twin.incidents.alerts import BY_NAME
from twin.incidents.case import Incident
from twin.incidents.trajectory import Hypothesis
from twin.plant.hardware import server_models
from twin.plant.heat import limit_c

# GPUs are asked to stay so far below the temperature at which they throttle. Proposed.
MARGIN_C: Final = 3.0
_OBJECTIVE: Final = "endpoints.slo_share"
_LATENCY: Final = "functions.latency_p99_s"
_RULES: Final = {rule.metric: rule for rule in BY_NAME.values()}


@dataclass(frozen=True)
class Facts:
    """What proposals take their numbers from: the fleet, its calendar, what alerts were held against, who there is.

    ``bounds`` are by metric and entity. ``until_s`` is up to when the incident is known to have lasted. ``endpoint_ids`` and
    ``function_ids`` are those of the scenario.
    """

    fleet: Fleet
    clock: Clock
    until_s: float
    endpoint_ids: tuple[str, ...] = ()
    function_ids: tuple[str, ...] = ()
    bounds: Mapping[tuple[str, str], float] = field(default_factory=dict)

    @classmethod
    def of(
        cls, fleet: Fleet, clock: Clock, entities: Mapping[str, Sequence[str]], alerts: pl.DataFrame, incident: Incident, as_of_s: float
    ) -> Self:
        """Read facts from a run: ``entities`` as ``Scenario.entities`` gives them, ``alerts`` its table of alerts (may be empty)."""
        bounds: dict[tuple[str, str], float] = {}
        until_s = as_of_s
        if not alerts.is_empty():
            known = alerts.filter(pl.col("t_s") <= as_of_s)
            bounds = {(metric, name): float(bound) for metric, name, bound in known.select("metric", "entity_id", "bound").iter_rows()}
            mine = known.filter(pl.col("incident_id") == incident.incident_id)
            fired, cleared = (set(mine.filter(pl.col("state") == state)["alert"].to_list()) for state in ("fired", "cleared"))
            if fired and fired <= cleared:
                until_s = float(mine.sort("t_s")["t_s"][-1])
        endpoints, functions = (tuple(entities.get(kind, ())) for kind in ("endpoint", "function"))
        return cls(fleet, clock, until_s, endpoints, functions, bounds)

    def bound(self, metric: str, entity: str) -> float:
        """Return what an alert on a reading of an entity was held against, else the bound of its rule."""
        return self.bounds.get((metric, entity), _RULES[metric].bound)


@dataclass(frozen=True)
class Case:
    """One hypothesis of one incident, and the facts around it."""

    hypothesis: Hypothesis
    incident: Incident
    facts: Facts

    @property
    def entity(self) -> str:
        """Return who is to blame."""
        return self.hypothesis.entity_id

    @property
    def hours(self) -> str:
        """Return the hours of day that the incident touches, as words that follow a bound; empty where it is the whole day."""
        onset_s = self.hypothesis.onset_s
        from_s = min(onset_s, self.incident.onset_s) if isfinite(onset_s) else self.incident.onset_s
        until_s = max(self.facts.until_s, from_s + 1.0)
        first = float(self.facts.clock.hour(from_s))
        last = ceil(first + (until_s - from_s) / HOUR_S - 1e-9)
        if until_s - from_s >= DAY_S or last - floor(first) >= 24:
            return ""
        return f" from {floor(first):02d}:00 to {last % 24:02d}:00"

    @property
    def suffering(self) -> tuple[str, ...]:
        """Return whom the symptom concerns: the incident's own entity, the others that it names, the way from the cause."""
        return tuple(dict.fromkeys([self.incident.entity_id, *self.incident.affected, *self.hypothesis.path, self.entity]))

    def rows(self) -> list[int]:
        """Return the rows with GPUs that hang on the entity."""
        fleet, name = self.facts.fleet, self.entity.partition("/")[0]
        with_gpus = set(fleet.server_rows.tolist())
        of_pdus: list[int] = []
        if name in fleet.aisle_ids:
            found = np.flatnonzero(fleet.row_aisles == fleet.aisle_ids.index(name)).tolist()
        elif name in fleet.row_ids:
            found = [fleet.row_ids.index(name)]
        elif name in fleet.pdu_ids:
            of_pdus = [fleet.pdu_ids.index(name)]
            found = _behind(fleet, of_pdus)
        elif name in fleet.ups_ids:
            of_pdus = np.flatnonzero(fleet.pdu_ups_share[:, fleet.ups_ids.index(name)] > 0.0).tolist()
            found = _behind(fleet, of_pdus)
        else:
            found = list(range(len(fleet.row_ids))) if name == "site" else []
        return [row for row in found if row in with_gpus]


Told = tuple[str, str]
_Proposer = Callable[[Case], list[Told]]


def _behind(fleet: Fleet, pdus: Iterable[int]) -> list[int]:
    return [row for row in range(len(fleet.row_ids)) if set(fleet.row_pdus[row].tolist()) & set(pdus)]


def _number(name: str, kind: str) -> int | None:
    found = re.fullmatch(rf"{kind}\D*(\d+)", name)
    return int(found[1]) if found else None


def _places(fleet: Fleet, rows: Sequence[int]) -> str | None:
    """Return rows as the reader takes them, empty for all that hold GPUs; None where their names are not rows and numbers."""
    if set(fleet.server_rows.tolist()) <= set(rows):
        return ""
    numbers = sorted(number for row in rows if (number := _number(fleet.row_ids[row], "row")) is not None)
    if len(numbers) < len(rows):
        return None
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][-1] + 1:
            spans[-1].append(number)
        else:
            spans.append([number])
    told = [f"{span[0]} to {span[-1]}" if len(span) > 2 else " and ".join(map(str, span)) for span in spans]
    return f"{'row' if len(numbers) == 1 else 'rows'} " + (" and ".join(told) if len(told) < 3 else ", ".join(told))


def _limit_c(fleet: Fleet, servers: Sequence[int]) -> float:
    """Return the lowest temperature at which GPUs of the servers throttle."""
    return float(limit_c(server_models(fleet).view(np.recarray))[fleet.server_models[list(servers)]].min())


def _cool(case: Case) -> list[Told]:
    """Keep the GPUs of the rows below their limit, and their clocks up."""
    fleet, rows = case.facts.fleet, case.rows()
    places = _places(fleet, rows) if rows else None
    if places is None:
        return []
    most_c = _limit_c(fleet, np.flatnonzero(np.isin(fleet.server_rows, rows)).tolist())
    of, on = (f" {word} {places}" if places else "" for word in ("of", "on"))
    words = f"keep the GPUs{of} under {most_c - MARGIN_C:g} C{case.hours}"
    return [
        (words, f"GPUs there throttle at {most_c:g} C; load is moved and clocks are set before they do"),
        (f"no thermal throttling{on}{case.hours}", "where it gets warm, load is moved before clocks fall"),
    ]


def _carried(case: Case) -> list[Told]:
    """Keep rows at what the units that are left can carry."""
    fleet, rows = case.facts.fleet, case.rows()
    name, told = case.entity, list[Told]()
    if name in fleet.ups_ids:
        left = len(fleet.ups_ids) - 1
        carried = {row: float(fleet.row_power_budgets_w[row]) * left / (left + 1) for row in rows if left}
        why = f"{left} of {left + 1} UPS are left; this is that share of the row's budget"
    else:
        lost = fleet.pdu_ids.index(name) if name in fleet.pdu_ids else -1
        carried = {}
        for row in rows:
            others = [pdu for pdu in fleet.row_pdus[row].tolist() if pdu != lost]
            if others:
                share_w = float(fleet.pdu_rated_w[others[0]]) / len(_behind(fleet, others[:1]))
                carried[row] = min(share_w, float(fleet.row_power_budgets_w[row]))
        why = "the other feed carries so much of the row"
    for bound_w in sorted(set(carried.values())):
        places = _places(fleet, [row for row, each in carried.items() if each == bound_w])
        # A bound on power is per row: without a place it would be one on the site.
        every = "every row" if places == "" else places
        if every is not None:
            told.append((f"keep the power of {every} under {floor(bound_w / 100.0) / 10.0:g} kW{case.hours}", why))
    return [*told[:2], *_unbraked(case)] if told else []


def _unbraked(case: Case) -> list[Told]:
    rows = case.rows()
    places = _places(case.facts.fleet, rows) if rows else None
    if places is None:
        return []
    on = f" on {places}" if places else ""
    return [(f"no power throttling{on}{case.hours}", "load is moved to where power is left before brakes act")]


def _rack(case: Case) -> list[Told]:
    fleet = case.facts.fleet
    number = _number(case.entity, "rack")
    if case.entity not in fleet.rack_ids or number is None:
        return []
    servers = np.flatnonzero(fleet.server_racks == fleet.rack_ids.index(case.entity)).tolist()
    if not servers:
        return []
    most_c = _limit_c(fleet, servers)
    return [(f"keep the GPUs of rack {number} under {most_c - MARGIN_C:g} C{case.hours}", f"GPUs there throttle at {most_c:g} C")]


def _pooled(case: Case) -> list[Told]:
    del case
    return [("no memory overflows", "slices that a lost part held find room elsewhere in the pod only where some is kept free")]


def _warm(case: Case) -> list[Told]:
    if case.entity not in case.facts.function_ids:
        return []
    return [_function(case, case.entity)]


def _function(case: Case, name: str) -> Told:
    bound_s = case.facts.bound(_LATENCY, name)
    return (
        f"p99 latency of {name} below {bound_s * 1e3:.4g} ms{case.hours}",
        f"its p99 is usually below {bound_s * 1e3:.4g} ms; starts that take less make evictions matter less",
    )


def by_symptom(case: Case) -> list[Told]:
    """Hold what suffers, whatever broke: endpoints to their objectives, and what the incident's own alert read to its bound."""
    told = list[Told]()
    for name in case.suffering:
        if name in case.facts.endpoint_ids:
            share = case.facts.bound(_OBJECTIVE, name)
            words = f"at least {share * 100:.4g} % of the requests to {name} within SLO{case.hours}"
            told.append((words, f"{name} suffers; whoever scales it keeps enough in reserve for what is lost"))
    incident, hours = case.incident, case.hours
    if incident.metric == _LATENCY and incident.entity_id in case.facts.function_ids:
        told.append(_function(case, incident.entity_id))
    if incident.metric == "memory_hosts.spilled_bytes":
        told += _pooled(case)
    if incident.metric == "notices.late":
        told.append((f"give every VM of {incident.entity_id} its notice in time", "its notices came later than they must"))
    number = _number(incident.entity_id, "row")
    if incident.metric == "rows.throttled_gpu_share" and number is not None:
        share = case.facts.bound(incident.metric, incident.entity_id)
        told.append((f"GPU time throttled at most {share * 100:.3g} % on row {number}{hours}", "that is what is usual there"))
    if incident.metric == "rows.power_w" and incident.entity_id in case.facts.fleet.row_ids and number is not None:
        fleet = case.facts.fleet
        budget_w = float(fleet.row_power_budgets_w[fleet.row_ids.index(incident.entity_id)])
        told.append((f"keep the power of row {number} under {floor(budget_w / 100.0) / 10.0:g} kW{hours}", "that is the row's budget"))
    return told


BY_CAUSE: Final[Mapping[str, _Proposer]] = {
    "air_handler_lost": _cool,
    "chiller_lost": _cool,
    "rack_blocked": _rack,
    "ups_lost": _carried,
    "pdu_lost": _carried,
    "power_cap_wrong": _unbraked,
    "cxl_link_lost": _pooled,
    "cxl_device_lost": _pooled,
    "cxl_switch_lost": _pooled,
    "cold_start_storm": _warm,
}
