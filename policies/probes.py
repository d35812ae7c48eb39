"""Looks for a size, a load or a share by running policy sets."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from policies import pool
from policies.claim import Measured, Search
from policies.trial import Answer, Trial, best_of, measured
from twin.run import Progress
from twin.scenario import Scenario
from twin.variation import varied


@dataclass(frozen=True, slots=True)
class Point:
    """Where a claim is asked: its own place (``sweep`` empty), or one value of a sweep."""

    sweep: str
    x: float | str | None
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Branch:
    """One contender at one point, as a worker process is handed it."""

    search: Search
    label: str
    point: Point
    scenario: Scenario
    seeds: tuple[int, ...]
    home: Path


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a branch found, one answer per seed; ``worlds`` names the exogenous draws of each seed and scale that was run."""

    label: str
    point: Point
    answers: tuple[Answer, ...]
    worlds: Mapping[str, str]


def points_of(search: Search) -> tuple[Point, ...]:
    """Return the claim's own point and those of its sweeps."""
    points = [Point("", None, {})]
    for sweep in search.sweeps:
        points += [Point(sweep.name, x, values) for x, values in sweep.settings.items() if x != sweep.own]
    return tuple(points)


def seek(branch: Branch, progress: pool.Report | None, cancel: pool.Cancel | None) -> Outcome:
    """Answer one branch, seed after seed; the answer of a seed is where the search of the next one begins."""
    scenario = varied(branch.scenario, {**branch.search.vary, **branch.point.values})
    worlds: dict[str, str] = {}
    answers: list[Answer] = []
    guesses: dict[int, int] = {}
    for place, seed in enumerate(branch.seeds):
        told = _told(branch, place, seed, progress)
        # Whole runs are kept of the claim's own point; of the sweeps what they showed is enough.
        keep = not branch.point.sweep
        trial = Trial(branch.search, branch.label, scenario, seed, branch.home, worlds, told, cancel, keep)
        answers.append(measured(trial, keep) if isinstance(branch.search.find, Measured) else best_of(trial, guesses, keep))
    return Outcome(branch.label, branch.point, tuple(answers), worlds)


def _told(branch: Branch, place: int, seed: int, progress: pool.Report | None) -> Callable[[int], None] | None:
    if progress is None:
        return None
    where = f" at {branch.point.sweep} {branch.point.x}" if branch.point.sweep else ""
    limit = branch.search.probes

    def told(probes: int) -> None:
        done = (place + min(probes / limit, 1.0)) / len(branch.seeds)
        progress(Progress(done, float(probes), float(limit), f"{branch.label}{where}, seed {seed}: run {probes} of at most {limit}"))

    return told


def sought(
    search: Search,
    scenario: Scenario,
    seeds: tuple[int, ...],
    home: Path,
    *,
    workers: int = 1,
    progress: pool.Report | None = None,
    cancel: pool.Cancel | None = None,
) -> list[Outcome]:
    """Return what every contender reaches at every point; runs that are stored are reused.

    Raises RuntimeError where contenders met different arrivals or weather at one point, seed and load.
    """
    branches = [Branch(search, label, point, scenario, seeds, home) for point in points_of(search) for label in search.contenders]
    told = progress if progress is None or workers <= 1 else _searches(progress, search, len(seeds))
    outcomes = pool.answer(seek, branches, workers=workers, progress=told, cancel=cancel)
    for point, group in groupby(outcomes, key=lambda outcome: (outcome.point.sweep, outcome.point.x)):
        one_world(" ".join(str(part) for part in point if part), list(group))
    return outcomes


def _searches(progress: pool.Report, search: Search, seeds: int) -> pool.Report:
    """Tell of whole searches: from other processes no more than their end is heard."""
    each = f"of at most {seeds * (1 if isinstance(search.find, Measured) else search.probes)} runs each"
    return lambda now: progress(replace(now, text=f"{now.t_s:.0f} of {now.horizon_s:.0f} searches {each}"))


def one_world(point: str, outcomes: Sequence[Outcome]) -> None:
    """Raise RuntimeError unless all contenders met the same arrivals and weather, at each seed and load that they share."""
    known: dict[str, tuple[str, str]] = {}
    for outcome in outcomes:
        for place, world in outcome.worlds.items():
            label, other = known.setdefault(place, (outcome.label, world))
            if other != world:
                where = f"{point}, {place}" if point else place
                raise RuntimeError(
                    f"{where}: arrivals or weather differ between {label} and {outcome.label}; their difference says nothing"
                )


def counted(outcomes: Sequence[Outcome]) -> int:
    """Return how many runs a search asked for."""
    return sum(answer.probes for outcome in outcomes for answer in outcome.answers)


def limit_of(search: Search, seeds: Sequence[int]) -> int:
    """Return how many runs a search asks for at most."""
    each = 1 if isinstance(search.find, Measured) else search.probes
    return each * len(seeds) * len(search.contenders) * len(points_of(search))
