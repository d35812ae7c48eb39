"""One contender at one point and seed: its best size or load."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from policies import pool, study
from policies.claim import Capacity, Contender, Measured, Objective, Search, Sizing
from policies.policy import PolicySet, Schedule
from policies.search import fewest
from twin import run as twin_run
from twin.clock import Window
from twin.metrics import Scope
from twin.run import Cancelled, Run
from twin.scenario import Scenario
from twin.store import probes, runs
from twin.variation import value_at, varied

_WORLD: Final = "exogenous"
# Most runs of a search are read once and not stored: they stay in memory, as far as a few searches side by side leave some.
_HOLD_BYTES: Final = min(512 << 20, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 32)


@dataclass(frozen=True, slots=True)
class Answer:
    """What one contender reaches at one point and seed; ``value`` None where nothing that was tried holds.

    ``chosen`` are the knobs of the best try with its size, ``run_id`` the run that shows it. ``exact`` is False where the
    budget of runs ended first.
    """

    seed: int
    value: float | None
    probes: int
    exact: bool
    chosen: Mapping[str, Any]
    run_id: str | None


def settled(policy: Mapping[str, Any], knobs: Mapping[str, Any], name: str) -> PolicySet:
    """Return a policy set with some knobs, ``system.knob`` -> value; ValueError for one whose system holds no lever."""
    whole = PolicySet.model_validate({"name": name, **policy})
    held = {item.system for stack in whole.levers.values() for item in stack}
    for knob in knobs:
        if knob.partition(".")[0] not in held:
            raise ValueError(f"policy {whole.name!r}: {knob} turns no knob; it holds {', '.join(sorted(held)) or 'nothing'}")

    def turned(item: Any) -> Any:
        mine = {knob.partition(".")[2]: value for knob, value in knobs.items() if knob.partition(".")[0] == item.system}
        return item.model_copy(update={"knobs": {**item.knobs, **mine}})

    return whole.model_copy(update={"levers": {lever: tuple(turned(item) for item in stack) for lever, stack in whole.levers.items()}})


@dataclass(frozen=True, slots=True)
class Probe:
    """What one run showed: whether the objectives hold, and the size, load or share that it stands for."""

    run_id: str
    holds: bool
    reached: float | None


@dataclass(frozen=True, slots=True)
class _Best:
    reached: float
    attempt: int
    index: int


@dataclass(slots=True)
class Trial:
    """Runs one contender at one point and seed, counts the runs and keeps what they showed.

    ``worlds`` gathers the exogenous draws of each seed and load, which must not differ from run to run; ``told`` is called
    with the count of runs. ``keeps`` says that the best run is to be stored whole.
    """

    search: Search
    label: str
    scenario: Scenario
    seed: int
    home: Path
    worlds: dict[str, str]
    told: Callable[[int], None] | None
    cancel: pool.Cancel | None
    keeps: bool = False
    probes: int = 0
    seen: dict[tuple[int, int], Probe] = field(default_factory=dict)

    @property
    def contender(self) -> Contender:
        """Return whose policy sets are tried."""
        return self.search.contenders[self.label]

    @property
    def upwards(self) -> bool:
        """Return whether less is better: a size is to be small, a load to be high."""
        return not self.search.find.most

    @property
    def count(self) -> int:
        """Return how many sizes or scales there are."""
        return len(self.search.find.scales) if isinstance(self.search.find, Capacity) else len(self.contender.sizes)

    @property
    def left(self) -> int:
        """Return how many runs are left."""
        return self.search.probes - self.probes

    def knobs(self, attempt: int, index: int) -> dict[str, Any]:
        """Return the knobs of one try at one size."""
        return {**self.contender.tries[attempt], **(self.contender.sizes[index] if self.contender.sizes else {})}

    def question(self, attempt: int, index: int) -> study.Question:
        """Return what one try asks at one size, or at one scale of the load."""
        find = self.search.find
        scenario = _scaled(self.scenario, find.rates, find.scales[index]) if isinstance(find, Capacity) else self.scenario
        policy = settled(self.contender.policy, self.knobs(attempt, index), self.label)
        return study.Question(self.label, scenario, Schedule.of(policy), self.seed, self.home)

    def probe(self, attempt: int, index: int) -> Probe:
        """Return what one try shows at one size or load; asked once, and kept with the store for the next time."""
        if (attempt, index) not in self.seen:
            self.probes += 1
            if self.told is not None:
                self.told(self.probes)
            if self.cancel is not None and self.cancel():
                raise Cancelled
            question = self.question(attempt, index)
            run_id = study.run_id_of(question)
            shown = self._shown(run_id, question)
            self._same_world(index, run_id, str(shown[_WORLD]))
            self.seen[attempt, index] = self._judged(run_id, shown, index)
        return self.seen[attempt, index]

    def keep(self, attempt: int, index: int) -> None:
        """Store the whole run of one try, for those who want to look at it."""
        study.ask(self.question(attempt, index), None, self.cancel)

    def _shown(self, run_id: str, question: study.Question) -> Mapping[str, Any]:
        wanted = _readings(self.search.find)
        known = probes.load(run_id, self.home)
        if _WORLD in known and set(wanted) <= set(known):
            return known
        if self.keeps and len(self.contender.tries) == 1 and self.count <= 1:
            # The only one is the best one: it is stored as it is made, not made again.
            study.ask(question, None, self.cancel)
        if runs.exists(run_id, self.home):
            run = runs.load(run_id, self.home)
        else:
            phases = study.phases(question.schedule, question.scenario)
            run = twin_run.simulate(
                question.scenario, phases, seed=self.seed, cancel=self.cancel, spool=self.home / "runs", hold_bytes=_HOLD_BYTES
            )
        # Claims of one card ask the same runs for other metrics.
        whole = {_of_metric(name, None): value for name, value in run.metrics.items()}
        shown = {_WORLD: run.manifest["exogenous"], **whole, **{name: read(run) for name, read in wanted.items()}}
        probes.save(run_id, shown, self.home)
        return shown

    def _same_world(self, index: int, run_id: str, world: str) -> None:
        find = self.search.find
        place = f"seed {self.seed}, load x {find.scales[index] if isinstance(find, Capacity) else 1.0:g}"
        if isinstance(find, Sizing) and find.most:
            # A site that grows takes more demand: only runs of one size met the same.
            place += f", size {index}"
        if self.worlds.setdefault(place, world) != world:
            raise RuntimeError(f"{place}: run {run_id} of {self.label} met other arrivals or weather than the runs before it")

    def _judged(self, run_id: str, shown: Mapping[str, Any], index: int) -> Probe:
        find = self.search.find
        if isinstance(find, Measured):
            return Probe(run_id, True, shown[_of_function(find)])
        held = all(objective.holds(shown[_of_metric(objective, find.window)]) for objective in find.objectives)
        holds = held or not self.contender.judged
        if isinstance(find, Capacity):
            return Probe(run_id, holds, find.scales[index])
        cost = shown[_of_metric(find.quantity, find.window)]
        return Probe(run_id, holds, None if cost is None else cost - find.shared)


def _readings(find: Sizing | Capacity | Measured) -> dict[str, Callable[[Run], float | None]]:
    """Return what is read off each run, by the name under which it is kept."""
    if isinstance(find, Measured):
        return {_of_function(find): lambda run: find.read(run.tables)}
    asked: list[Objective | str] = [*find.objectives, *([find.quantity] if isinstance(find, Sizing) else [])]
    return {_of_metric(each, find.window): _reading(each, find.window) for each in asked}


def _reading(asked: Objective | str, window: Window | None) -> Callable[[Run], float | None]:
    name, endpoints = (asked, ()) if isinstance(asked, str) else (asked.metric, asked.endpoints)
    scope = tuple(Scope("endpoint", endpoint) for endpoint in endpoints)
    return lambda run: twin_run.read(run, name, scope, window)


def _of_metric(asked: Objective | str, window: Window | None) -> str:
    name, endpoints = (asked, ()) if isinstance(asked, str) else (asked.metric, asked.endpoints)
    hours = "" if window is None else f" {window.from_hour} to {window.to_hour} on {window.days}"
    return f"{name} of {', '.join(endpoints) or 'all'}{hours}"


def _of_function(find: Measured) -> str:
    return f"{find.read.__module__}.{find.read.__qualname__}"


def _scaled(scenario: Scenario, rates: Sequence[str], scale: float) -> Scenario:
    return varied(scenario, {path: scale * float(value_at(scenario, path)) for path in rates})


def best_of(trial: Trial, guesses: dict[int, int], keep: bool) -> Answer:
    """Return the best over all tries, its run stored where it is to be kept; a try that cannot win costs few runs."""
    best: _Best | None = None
    exact = True
    for attempt in range(len(trial.contender.tries)):
        if trial.left <= 0:
            exact = False
            break
        found, narrowed = _tried(trial, attempt, guesses.get(attempt), best)
        exact &= narrowed
        if found is not None:
            guesses[attempt] = found.index
            best = found if best is None or _better(found.reached, best.reached, trial.upwards) else best
    if best is None:
        return Answer(trial.seed, None, trial.probes, exact, {}, None)
    if keep:
        trial.keep(best.attempt, best.index)
    run_id = trial.probe(best.attempt, best.index).run_id
    return Answer(trial.seed, best.reached, trial.probes, exact, trial.knobs(best.attempt, best.index), run_id)


def _tried(trial: Trial, attempt: int, guess: int | None, best: _Best | None) -> tuple[_Best | None, bool]:
    """Search one try, from where the best so far lies; False beside it where the budget ended first."""
    count, upwards = trial.count, trial.upwards

    def there(index: int) -> int:
        # The search looks for the least index that holds, which for a load is the highest.
        return index if upwards else count - 1 - index

    def hopeless(index: int) -> bool:
        reached = trial.probe(attempt, there(index)).reached
        return best is not None and reached is not None and not _better(reached, best.reached, upwards)

    begin = guess if guess is not None else None if best is None else best.index
    found = fewest(
        lambda index: trial.probe(attempt, there(index)).holds, count, trial.left, None if begin is None else there(begin), hopeless
    )
    if found.index is None:
        return None, found.exact
    reached = trial.probe(attempt, there(found.index)).reached
    return (None if reached is None else _Best(reached, attempt, there(found.index))), found.exact


def _better(one: float, other: float, upwards: bool) -> bool:
    return one < other if upwards else one > other


def measured(trial: Trial, keep: bool) -> Answer:
    """Return what a pure function reads off the tables of the contender's one run."""
    found = trial.probe(0, 0)
    if keep:
        trial.keep(0, 0)
    return Answer(trial.seed, found.reached, trial.probes, True, trial.knobs(0, 0), found.run_id)
