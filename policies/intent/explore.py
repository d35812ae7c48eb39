"""Candidates around a compiled policy set, tried on the twin."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from policies import pool, study
from policies.intent.contenders import contenders, kind_words, neighbours
from policies.intent.designed import designed
from policies.intent.judge import Row, Values, binding, judge, meets, shortfall
from policies.intent.model import Intent
from policies.intent.pinning import as_built, loosened, pinned, taking
from policies.intent.references import settled
from policies.intent.versions import site_of
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
# Of how many of those that did best on the screen the knobs are tried.
_NEAR: Final = 2
# Where no window is named, the hours in which heat and demand are highest.
_SCREEN_HOURS: Final = (12.0, 18.0)
_GRID_S: Final = 300.0
# A longer window is screened on its hottest part only: a screen ranks candidates, the finalists run the whole day.
SCREEN_MOST_S: Final = 3 * 3600.0
# An endpoint's objectives are kept where no more than one request in a hundred misses them.
PROMISED_SHARE: Final = 0.99
_ATTAINMENT: Final = "serving.slo_attainment_share"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One policy set and what the twin showed; ``reach`` says whether a window or the whole day was run.

    ``lets_down`` are the endpoints that keep their objectives today and would not under it, asked for or not.
    """

    policy: PolicySet
    run_id: str
    reach: Reach
    rows: tuple[Row, ...]
    objective: float | None
    lets_down: tuple[str, ...] = ()

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
            "kind": kind_words(self.policy), "lets_down": list(self.lets_down),
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
    """Try candidates for an intent: other holders, then knobs of the best ones on the intent's window; finalists on the whole day.

    A candidate that builds a pod holds it by name, chosen on the past of the scenario's own seed: what is told is what is adopted.
    """
    seed = scenario.seed if seed is None else seed
    intent = settled(intent, site_of(scenario).references)
    trial = _Trial(home, scenario, intent, seed, workers, cancel)
    window = screen_s(intent, scenario)
    part = None if window[1] - window[0] >= scenario.horizon_s else window
    kinds = contenders(intent, loosened(policy, intent), site_of(scenario), candidates)
    free = trial.settled(kinds)
    screened = trial.run([item for item, _ in free], part, "screened", _share(progress, 0.0, 0.3, "who holds what"))
    before = {item.policy_id: loose for item, loose in free}
    near = neighbours([before[item.policy.policy_id] for item in trial.ranked(screened)[:_NEAR]], kinds, candidates - len(kinds))
    tried = trial.settled(near, [item for item, _ in free])
    screened = trial.ranked([*screened, *trial.run([item for item, _ in tried], part, "screened", _share(progress, 0.3, 0.5, "knobs"))])
    chosen = finalists(screened)
    finals = trial.ranked(trial.run([item.policy for item in chosen], None, "whole day", _share(progress, 0.5, 1.0, "whole day")))
    everyone = (*finals, *(item for item in screened if item not in chosen))
    return _told(everyone, finals, trial.today())


@dataclass(frozen=True, slots=True)
class _Trial:
    """Where candidates are run, and today's policy beside them."""

    home: Path
    scenario: Scenario
    intent: Intent
    seed: int
    workers: int
    cancel: Cancel | None

    def settled(self, policies: Sequence[PolicySet], known: Sequence[PolicySet] = ()) -> list[tuple[PolicySet, PolicySet]]:
        """Return policy sets with their pod written down, each with what it was; what builds and does the same as another is left out.

        Where no pod keeps every bound the nearest is tried: what it misses is then measured.
        """
        seen, out = {as_built(item) for item in known}, []
        for policy in policies:
            held = _buildable(policy, designed(self.scenario, policy, self.scenario.seed, self.home))
            if as_built(held) not in seen:
                seen.add(as_built(held))
                out.append((held, policy))
        return out

    def run(
        self, policies: Sequence[PolicySet], part: tuple[float, float] | None, reach: Reach, progress: Report | None
    ) -> list[Candidate]:
        """Return each policy set with what it shows over a part of the day, or all of it; today's policy is run beside them.

        Where one of them makes the site another size than today's, it cannot go on from today's: then all run the whole day.
        """
        if not policies:
            return []
        sizes = {study.capacity(item, self.scenario).extra_servers for item in (TODAY, *policies)}
        part = part if len(sizes) == 1 else None
        asked = [study.Question(item.name, self.scenario, Schedule.of(item), self.seed, self.home, part) for item in (TODAY, *policies)]
        run_ids = pool.answer(study.ask, asked, workers=self.workers, progress=progress, cancel=self.cancel)
        return [self._candidate(item, run_id, run_ids[0], reach) for item, run_id in zip(policies, run_ids[1:], strict=True)]

    def today(self) -> str:
        """Return the id of today's run of the whole day, which is stored by then."""
        return study.run(self.scenario, TODAY, self.seed, self.home, cancel=self.cancel)

    def ranked(self, found: Sequence[Candidate]) -> list[Candidate]:
        """Return candidates, the best first."""
        return sorted(found, key=lambda item: rank(self.intent, item))

    def _candidate(self, policy: PolicySet, run_id: str, today: str, reach: Reach) -> Candidate:
        intent, before, after = self.intent, values_of(today, self.home), values_of(run_id, self.home)
        aim = None if intent.objective is None else after(intent.objective.metric, (), None)
        endpoints = self.scenario.entities()["endpoint"]
        return Candidate(policy, run_id, reach, judge(intent, before, after), aim, let_down(endpoints, before, after))


def _buildable(policy: PolicySet, design: Mapping[str, Any] | None) -> PolicySet:
    if design is None or design["chosen"] is not None or design["nearest"] is None:
        return pinned(policy, design)
    return taking(policy, design["nearest"]).model_copy(update={"name": f"{policy.name[:60]}: the nearest pod"})


def let_down(endpoints: Sequence[str], today: Values, candidate: Values) -> tuple[str, ...]:
    """Return the endpoints whose objectives more than one request in a hundred misses, though today it does not."""
    found = []
    for name in endpoints:
        before, after = (values(_ATTAINMENT, (Scope("endpoint", name),), None) for values in (today, candidate))
        if before is not None and after is not None and after < PROMISED_SHARE <= before:
            found.append(name)
    return tuple(found)


def finalists(ranked: Sequence[Candidate]) -> list[Candidate]:
    """Return who runs the whole day: the best, the best of another kind, and who comes next.

    A screen begins where today's policy left off, so it tells kinds apart less surely than the knobs of one kind.
    """
    others = [item for item in ranked[1:] if kind_words(item.policy) != kind_words(ranked[0].policy)]
    chosen = [*ranked[:1], *others[:1]]
    return [*chosen, *(item for item in ranked if item not in chosen)][:FINALISTS]


def _told(everyone: tuple[Candidate, ...], finals: Sequence[Candidate], today_run_id: str) -> Exploration:
    good = [index for index, item in enumerate(finals) if item.meets]
    front = tuple(index for index in good if not any(_dominates(finals[other], finals[index]) for other in good if other != index))
    nearest = None if front else min(range(len(finals)), key=lambda index: shortfall(finals[index].rows), default=None)
    missed = None if nearest is None else binding(finals[nearest].rows)
    return Exploration(everyone, front, nearest, "" if missed is None else missed.metric, today_run_id)


def rank(intent: Intent, item: Candidate) -> tuple[bool, float, int, float, float]:
    """Order candidates: those that meet the intent, the nearest, who lets down fewest endpoints, the objective, the *shoulds*."""
    aim = 0.0
    if intent.objective is not None and item.objective is not None:
        aim = item.objective if intent.objective.sense == "minimize" else -item.objective
    soft = sum(row.strength == "should" and not row.met for row in item.rows)
    return (not item.meets, round(shortfall(item.rows), 9), len(item.lets_down), aim if intent.objective else _margin(item), float(soft))


def _margin(item: Candidate) -> float:
    """Return how much worse than its bound a candidate lies on the whole; negative is room."""
    total = 0.0
    for row in item.rows:
        if row.candidate is not None and row.bound:
            total -= improvement(row.metric, row.bound, row.candidate) / abs(row.bound)
    return total


def _dominates(one: Candidate, other: Candidate) -> bool:
    """Return whether one is nowhere worse and somewhere better than the other, over what was asked and who is let down."""
    if not set(one.lets_down) <= set(other.lets_down):
        return False
    gains = [
        improvement(a.metric, b.candidate, a.candidate)
        for a, b in zip(one.rows, other.rows, strict=True)
        if a.candidate is not None and b.candidate is not None and METRICS[a.metric]
    ]
    if one.objective is not None and other.objective is not None and one.objective != other.objective:
        return False
    return bool(gains) and min(gains) >= 0.0 and max(gains) > 0.0


def _share(progress: Report | None, begin: float, end: float, words: str) -> Report | None:
    if progress is None:
        return None
    return lambda now: progress(Progress(begin + now.done_share * (end - begin), now.t_s, now.horizon_s, f"{words}: {now.text}"))
