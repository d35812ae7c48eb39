"""Alerts: rules over readings of every domain, as a monitoring system has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twin.incidents.case import Severity
from twin.incidents.reported import LEAST_SHARE
from twin.stack import State

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, held against every entity of a kind.

    It fires when the reading is beyond its bound (above it; with ``below`` under it) for ``for_s`` without a break, and is cleared when
    it was within for ``clear_s``. ``bound`` holds where the world gives none. ``words`` say it with {entity}, {value} and {bound},
    which are written times ``scale`` with ``unit``.
    """

    name: str
    metric: str
    entity_kind: str
    severity: Severity
    words: str
    for_s: float
    clear_s: float
    bound: float = 0.0
    below: bool = False
    unit: str = ""
    scale: float = 1.0

    def say(self, entity: str, value: float, bound: float) -> str:
        """Return what the alert says."""
        shown, limit = (_short(each * self.scale) + self.unit for each in (value, bound))
        return self.words.format(entity=entity, value=shown, bound=limit)


def _short(value: float) -> str:
    """Return three digits of a number, or the whole one."""
    return f"{value:.0f}" if abs(value) >= 1000.0 else f"{value:.3g}"


_MIN_S: Final = 60.0
# Durations and default bounds are proposed, in the manner of what operators page on; the world gives the objectives and limits.
RULES: Final = (
    Rule("service_latency", "services.latency_p99_s", "service", "major", "p99 latency of {entity} is {value}, objective {bound}",
         2 * _MIN_S, 3 * _MIN_S, 0.5, unit=" ms", scale=1e3),
    Rule("service_errors", "services.error_share", "service", "critical", "{value} of requests to {entity} fail, objective {bound}",
         2 * _MIN_S, 3 * _MIN_S, 0.01, unit=" %", scale=100.0),
    Rule("endpoint_objective", "endpoints.slo_share", "endpoint", "critical", "{value} of requests to {entity} met objectives, not {bound}",
         5 * _MIN_S, 5 * _MIN_S, 0.95, below=True, unit=" %", scale=100.0),
    Rule("function_latency", "functions.latency_p99_s", "function", "major", "p99 latency of {entity} is {value}, usually below {bound}",
         5 * _MIN_S, 5 * _MIN_S, 1.0, unit=" ms", scale=1e3),
    Rule("gpu_over_limit", "servers.gpu_temp_max_c", "server", "major", "hottest GPU of {entity} is at {value}, limit {bound}",
         _MIN_S, 5 * _MIN_S, 85.0, unit=" C"),
    Rule("row_over_budget", "rows.power_w", "row", "critical", "{entity} draws {value}, budget {bound}",
         5.0, 5 * _MIN_S, 1e12, unit=" kW", scale=1e-3),
    Rule("row_throttled", "rows.throttled_gpu_share", "row", "major", "{value} of GPU time of {entity} is throttled, usually below {bound}",
         2 * _MIN_S, 5 * _MIN_S, 0.05, unit=" %", scale=100.0),
    Rule("memory_overflow", "memory_hosts.spilled_bytes", "host", "minor", "{value} of pooled memory of {entity} is held locally",
         5 * _MIN_S, 5 * _MIN_S, 0.0, unit=" GB", scale=1e-9),
    Rule("requirement_broken", "requirements.broken_vms", "workload", "minor", "{value} VMs of {entity} have a requirement broken",
         0.0, 10 * _MIN_S, 0.0),
    Rule("notice_late", "notices.late", "workload", "minor", "{value} notices to VMs of {entity} came later than they must",
         0.0, 10 * _MIN_S, 0.0),
    Rule("hints_refused", "hint_conflicts.hints", "workload", "minor", "{value} hints of {entity} refused in 5 min, more than {bound}",
         0.0, 10 * _MIN_S, 100.0),
    Rule("unit_lost", "feeds.lost_share", "unit", "critical", "{entity} reports that {value} of its capacity is gone",
         0.0, 5 * _MIN_S, LEAST_SHARE, unit=" %", scale=100.0),
)  # fmt: skip
BY_NAME: Final[Mapping[str, Rule]] = {rule.name: rule for rule in RULES}


@dataclass(frozen=True)
class Watched:
    """Readings at a moment, by rule: one of each entity, in the order in which ``Alerts`` was told them; NaN where there is none.

    ``bounds`` are the limits and objectives of the same entities, for rules where they are not the rule's own.
    """

    values: Mapping[str, Floats]
    bounds: Mapping[str, Floats] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert that begins (``fired``) or ends. ``since_s`` is when its reading first went beyond the bound."""

    t_s: float
    fired: bool
    number: int
    since_s: float
    entity_kind: str
    entity_id: str
    metric: str
    value: float
    bound: float
    severity: Severity
    words: str


class Alerts:
    """Every rule held against every entity of its kind, N pairs in all. A rule whose entities are not given is not watched.

    ``kinds`` says what entities of a rule are, where not all of them are of the rule's kind (feeds and aisles are units).
    """

    def __init__(self, ids: Mapping[str, Sequence[str]], kinds: Mapping[str, Sequence[str]] | None = None) -> None:
        if unknown := sorted(set(ids) - set(BY_NAME)):
            raise ValueError(f"no alert rule is called {unknown[0]!r}; there are: {', '.join(BY_NAME)}")
        self._rules = [rule for rule in RULES if rule.name in ids]
        sizes = [len(ids[rule.name]) for rule in self._rules]
        self._ids = [name for rule in self._rules for name in ids[rule.name]]
        own = kinds or {}
        self._kinds = [kind for rule in self._rules for kind in own.get(rule.name, [rule.entity_kind] * len(ids[rule.name]))]
        self._of = np.repeat(np.arange(len(self._rules)), sizes)
        self._sizes = dict(zip((rule.name for rule in self._rules), sizes, strict=True))
        self._sign = np.repeat([-1.0 if rule.below else 1.0 for rule in self._rules], sizes)
        self._for_s, self._clear_s = (np.repeat([getattr(rule, name) for rule in self._rules], sizes) for name in ("for_s", "clear_s"))
        count = len(self._ids)
        # Since when a reading is beyond its bound, and since when it is within while its alert is on; NaN for neither.
        self._over_s, self._within_s = np.full(count, np.nan), np.full(count, np.nan)
        self._on = np.zeros(count, dtype=np.bool_)
        self._number = np.full(count, -1, dtype=np.int64)
        self._fired = 0

    @property
    def on(self) -> list[tuple[str, str]]:
        """Return rule and entity of every alert that is on."""
        return [(self._rules[self._of[i]].name, self._ids[i]) for i in np.flatnonzero(self._on)]

    def advance(self, t_s: float, watched: Watched) -> list[Alert]:
        """Hold readings of a moment against the rules; return what fired and what was cleared, what fired first.

        A reading that is missing changes nothing: it neither breaks a duration nor adds to one.
        """
        value, bound = self._laid(watched)
        known = ~np.isnan(value) & ~np.isnan(bound)
        beyond = known & (self._sign * (value - bound) > 0.0)
        within = known & ~beyond
        fresh = beyond & np.isnan(self._over_s)
        self._over_s[fresh] = t_s
        self._within_s[beyond] = np.nan
        self._over_s[within & ~self._on] = np.nan
        self._within_s[within & self._on & np.isnan(self._within_s)] = t_s
        fires = beyond & ~self._on & (t_s - self._over_s >= self._for_s - 1e-9)
        ends = within & self._on & (t_s - self._within_s >= self._clear_s - 1e-9)
        if not (fires.any() or ends.any()):
            return []
        told = [self._fire(i, t_s, value[i], bound[i]) for i in np.flatnonzero(fires).tolist()]
        return told + [self._clear(i, t_s, value[i], bound[i]) for i in np.flatnonzero(ends).tolist()]

    def _laid(self, watched: Watched) -> tuple[Floats, Floats]:
        values, bounds = [np.zeros(0)], [np.zeros(0)]
        for rule in self._rules:
            size = self._sizes[rule.name]
            for given, default, into in ((watched.values, np.nan, values), (watched.bounds, rule.bound, bounds)):
                part = np.asarray(given[rule.name], dtype=np.float64) if rule.name in given else np.full(size, default)
                if part.shape != (size,):
                    raise ValueError(f"alert rule {rule.name}: {part.shape[0]} readings, not {size}; give one of each entity")
                into.append(part)
        return np.concatenate(values), np.concatenate(bounds)

    def _fire(self, i: int, t_s: float, value: float, bound: float) -> Alert:
        self._on[i], self._number[i] = True, self._fired
        self._fired += 1
        return self._told(i, t_s, value, bound, fired=True)

    def _clear(self, i: int, t_s: float, value: float, bound: float) -> Alert:
        told = self._told(i, t_s, value, bound, fired=False)
        self._on[i] = False
        self._over_s[i] = self._within_s[i] = np.nan
        return told

    def _told(self, i: int, t_s: float, value: float, bound: float, *, fired: bool) -> Alert:
        rule = self._rules[self._of[i]]
        words = rule.say(self._ids[i], float(value), float(bound))
        return Alert(
            t_s, fired, int(self._number[i]), float(self._over_s[i]), self._kinds[i], self._ids[i], rule.metric, float(value), float(bound),
            rule.severity, words,
        )  # fmt: skip

    def snapshot(self) -> State:
        """Return which alerts are on or on their way."""
        arrays = {"over_s": self._over_s, "within_s": self._within_s, "on": self._on, "number": self._number}
        return {**{name: array.copy() for name, array in arrays.items()}, "fired": self._fired}

    def restore(self, state: State) -> None:
        """Take back a snapshot of the same rules and entities."""
        self._over_s, self._within_s = (np.array(state[name], dtype=np.float64) for name in ("over_s", "within_s"))
        self._on, self._number = np.array(state["on"], dtype=np.bool_), np.array(state["number"], dtype=np.int64)
        self._fired = int(state["fired"])
