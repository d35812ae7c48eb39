"""Candidates around a compiled policy set, tried on the twin."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from policies import pool, study
from policies.intent.judge import Row, Values, binding, judge, meets, shortfall
from policies.intent.model import Intent
from policies.policy import TODAY, PolicySet, Schedule
from twin.clock import Window
from twin.metrics import METRICS, Scope, improvement
from twin.run import Progress
from twin.scenario import Scenario

Report = Callable[[Progress], None]
Cancel = Callable[[], bool]
Reach = Literal["screened", "whole day"]
CANDIDATES: Final = 8
FINALISTS: Final = 3
# Where no window is named, the hours in which heat and demand are highest.
_SCREEN_HOURS: Final = (12.0, 18.0)
_GRID_S: Final = 300.0
# A longer window is screened on its hottest part only: a screen ranks candidates, the finalists run the whole day.
SCREEN_MOST_S: Final = 3 * 3600.0
# What is tried around a compiled policy set: system -> knob -> values, the most telling first.
GRID: Final[dict[str, dict[str, tuple[Any, ...]]]] = {
    "reactive": {"floor_share": (0.25, 0.5, 0.7), "release_order": ("hottest", "slowest", "last"), "outstanding_target": (24.0, 16.0)},
    "tapas": {"temperature_margin_c": (1.5, 3.0), "routing_margin_c": (2.5, 5.0), "lowest_clock_share": (0.55, 0.4)},
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """One policy set and what the twin showed; ``reach`` says whether a window or the whole day was run."""

    policy: PolicySet
    run_id: str
    reach: Reach
    rows: tuple[Row, ...]
    objective: float | None

    @property
    def meets(self) -> bool:
        """Whether every *must* holds."""
        return meets(self.rows)

    def json_dict(self) -> dict[str, Any]:
        """Return the candidate as the command line prints it."""
        measured = {row.metric: row.candidate for row in self.rows if row.candidate is not None}
        return {
            "policy_set": self.policy.model_dump(mode="json"), "run_id": self.run_id, "reach": self.reach,
            "metrics": measured, "meets": [bool(row.met) for row in self.rows], "objective": self.objective,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Exploration:
    """Every candidate (finalists on the whole day first), the front among those that meet the intent, the nearest miss."""

    candidates: tuple[Candidate, ...]
    front: tuple[int, ...]
    nearest_miss: int | None
    binds: str
    today_run_id: str

    @property
    def best(self) -> Candidate | None:
        """The first of the front, None where nothing meets the intent."""
        return self.candidates[self.front[0]] if self.front else None

    def json_dict(self) -> dict[str, Any]:
        """Return the exploration as the command line prints it."""
        miss = None if self.nearest_miss is None else {**self.candidates[self.nearest_miss].json_dict(), "binds": self.binds}
        return {
            "candidates": [item.json_dict() for item in self.candidates],
            "front": [self.candidates[index].policy.policy_id for index in self.front],
            "nearest_miss": miss,
        }


def variants(policy: PolicySet, count: int = CANDIDATES) -> list[PolicySet]:
    """Return the policy set itself and its neighbours on the knob grid, the fewest changes first."""
    axes = [
        (system, knob, _values(policy, system, knob, values))
        for system, knobs in GRID.items()
        if any(held.system == system for stack in policy.levers.values() for held in stack)
        for knob, values in knobs.items()
    ]
    places = sorted(product(*(range(len(values)) for _, _, values in axes)), key=lambda place: (sum(p > 0 for p in place), place[::-1]))
    out = [policy]
    for place in places[1:count]:
        changed = {(system, knob): values[step] for (system, knob, values), step in zip(axes, place, strict=True) if step}
        out.append(_with(policy, changed))
    return out


def _values(policy: PolicySet, system: str, knob: str, values: Sequence[Any]) -> tuple[Any, ...]:
    now = next(
        (item.knobs[knob] for stack in policy.levers.values() for item in stack if item.system == system and knob in item.knobs), None
    )
    first = values[0] if now is None else now
    return (first, *(value for value in values if value != first))


def _with(policy: PolicySet, changed: dict[tuple[str, str], Any]) -> PolicySet:
    """Return a policy set with knobs changed; a system's knobs are written on the first lever that it holds."""
    levers, written = {}, set()
    words = ", ".join(f"{knob.replace('_', ' ')} {value}" for (_, knob), value in changed.items())
    for lever, stack in policy.levers.items():
        new = []
        for held in stack:
            knobs = {knob: changed.get((held.system, knob), value) for knob, value in held.knobs.items()}
            if held.system not in written:
                knobs |= {knob: value for (system, knob), value in changed.items() if system == held.system}
                written.add(held.system)
            new.append(held.model_copy(update={"knobs": knobs}))
        levers[lever] = tuple(new)
    return PolicySet(name=f"{policy.name}: {words}"[:80], levers=levers)


def screen_s(intent: Intent, scenario: Scenario) -> tuple[float, float]:
    """Return the seconds of the run to screen on: the intent's windows, or their three hours around the hottest outside."""
    specs = [spec for wish in intent.expectations if (spec := intent.window_of(wish)) is not None]
    windows = [spec.window() for spec in specs] or [Window(*_SCREEN_HOURS)]
    times = np.arange(0.0, scenario.horizon_s, _GRID_S)
    inside = np.zeros(len(times), dtype=np.bool_)
    for window in windows:
        inside |= scenario.clock.inside(times, window)
    if not inside.any():
        return 0.0, scenario.horizon_s
    first, last = float(times[inside][0]), float(min(times[inside][-1] + _GRID_S, scenario.horizon_s))
    if last - first <= SCREEN_MOST_S:
        return first, last
    hours = scenario.clock.hour(times)
    hottest = float(times[inside][np.argmin(np.abs(hours[inside] - scenario.spec.plant.weather.peak_hour))])
    begin = min(max(hottest - SCREEN_MOST_S / 2.0, first), last - SCREEN_MOST_S)
    return begin, begin + SCREEN_MOST_S


def values_of(run_id: str, home: Path) -> Values:
    """Return what a stored run measures."""

    def read(metric: str, scope: tuple[Scope, ...], window: Window | None) -> float | None:
        return study.value(run_id, home, metric, scope, window)

    return read


def explore(  # noqa: PLR0913 - the question has four parts, the rest is how it is watched
    home: Path,
    scenario: Scenario,
    intent: Intent,
    policy: PolicySet,
    *,
    seed: int | None = None,
    candidates: int = CANDIDATES,
    workers: int = 1,
    progress: Report | None = None,
    cancel: Cancel | None = None,
) -> Exploration:  # fmt: skip
    """Try candidates around a policy set: all on the intent's window, the finalists on the whole day."""
    seed = scenario.seed if seed is None else seed
    tried = variants(policy, candidates)
    window = screen_s(intent, scenario)
    whole = window[1] - window[0] >= scenario.horizon_s
    asked = [study.Question(item.name, scenario, Schedule.of(item), seed, home, None if whole else window) for item in [TODAY, *tried]]
    answers = pool.answer(study.ask, asked, workers=workers, progress=_half(progress, 0.0, "screening"), cancel=cancel)
    screened = [_candidate(intent, item, run_id, answers[0], home, "screened") for item, run_id in zip(tried, answers[1:], strict=True)]
    ranked = sorted(range(len(screened)), key=lambda index: _rank(intent, screened[index]))
    final = ranked[:FINALISTS]
    asked = [study.Question(item.name, scenario, Schedule.of(item), seed, home) for item in [TODAY, *(tried[index] for index in final)]]
    days = pool.answer(study.ask, asked, workers=workers, progress=_half(progress, 0.5, "whole day"), cancel=cancel)
    finals = [_candidate(intent, tried[index], run_id, days[0], home, "whole day") for index, run_id in zip(final, days[1:], strict=True)]
    finals.sort(key=lambda item: _rank(intent, item))
    everyone = (*finals, *(screened[index] for index in ranked[FINALISTS:]))
    return _told(everyone, finals, days[0])


def _told(everyone: tuple[Candidate, ...], finals: Sequence[Candidate], today_run_id: str) -> Exploration:
    good = [index for index, item in enumerate(finals) if item.meets]
    front = tuple(index for index in good if not any(_dominates(finals[other], finals[index]) for other in good if other != index))
    nearest = None if front else min(range(len(finals)), key=lambda index: shortfall(finals[index].rows), default=None)
    missed = None if nearest is None else binding(finals[nearest].rows)
    return Exploration(everyone, front, nearest, "" if missed is None else missed.metric, today_run_id)


def _candidate(intent: Intent, policy: PolicySet, run_id: str, today: str, home: Path, reach: Reach) -> Candidate:
    values = values_of(run_id, home)
    rows = judge(intent, values_of(today, home), values)
    aim = None if intent.objective is None else values(intent.objective.metric, (), None)
    return Candidate(policy, run_id, reach, rows, aim)


def _rank(intent: Intent, item: Candidate) -> tuple[bool, float, float, float]:
    """Order candidates: those that meet the intent first, then the nearest, then the objective, then the *shoulds*."""
    aim = 0.0
    if intent.objective is not None and item.objective is not None:
        aim = item.objective if intent.objective.sense == "minimize" else -item.objective
    soft = sum(row.strength == "should" and not row.met for row in item.rows)
    return (not item.meets, round(shortfall(item.rows), 9), aim if intent.objective else _margin(item), float(soft))


def _margin(item: Candidate) -> float:
    """Return how much worse than its bound a candidate lies on the whole; negative is room."""
    total = 0.0
    for row in item.rows:
        if row.candidate is not None and row.bound:
            total -= improvement(row.metric, row.bound, row.candidate) / abs(row.bound)
    return total


def _dominates(one: Candidate, other: Candidate) -> bool:
    """Return whether one is nowhere worse and somewhere better than the other, over what was asked."""
    gains = [
        improvement(a.metric, b.candidate, a.candidate)
        for a, b in zip(one.rows, other.rows, strict=True)
        if a.candidate is not None and b.candidate is not None and METRICS[a.metric]
    ]
    if one.objective is not None and other.objective is not None and one.objective != other.objective:
        return False
    return bool(gains) and min(gains) >= 0.0 and max(gains) > 0.0


def _half(progress: Report | None, begin: float, words: str) -> Report | None:
    if progress is None:
        return None
    return lambda now: progress(Progress(begin + now.done_share / 2, now.t_s, now.horizon_s, f"{words}: {now.text}"))
