"""One contender at one point and seed: its best size or load."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from policies import pool, study
from policies.claim import Capacity, Contender, Measured, Objective, Search, Sizing
from policies.policy import PolicySet
from policies.search import fewest
from twin.clock import Window
from twin.metrics import Scope
from twin.run import Cancelled
from twin.scenario import Scenario
from twin.store import runs
from twin.variation import value_at, varied


@dataclass(frozen=True, slots=True)
class Answer:
    """What one contender reaches at one point and seed; ``value`` None where nothing that was tried holds.

    ``chosen`` are the knobs of the best try with its size or scale, ``run_id`` the run that shows it. ``exact`` is False
    where the budget of runs ended first.
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
class _Best:
    reached: float
    attempt: int
    index: int


@dataclass(slots=True)
class Trial:
    """Runs one contender at one point and seed, counts the runs and keeps what they showed.

    ``worlds`` gathers the exogenous draws of each seed and load, which must not differ from run to run; ``told`` is called
    with the count of runs.
    """

    search: Search
    label: str
    scenario: Scenario
    seed: int
    home: Path
    worlds: dict[str, str]
    told: Callable[[int], None] | None
    cancel: pool.Cancel | None
    probes: int = 0
    seen: dict[tuple[int, int], tuple[bool, float | None, str]] = field(default_factory=dict)

    @property
    def contender(self) -> Contender:
        """Return whose policy sets are tried."""
        return self.search.contenders[self.label]

    @property
    def upwards(self) -> bool:
        """Return whether less is better: a size is to be small, a load to be high."""
        return isinstance(self.search.find, Sizing)

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
        knobs = dict(self.contender.tries[attempt])
        return {**knobs, self.contender.size: self.contender.sizes[index]} if self.contender.size else knobs

    def run(self, attempt: int, index: int) -> str:
        """Run one try at one size, or at one scale of the load, and return its run_id."""
        if self.cancel is not None and self.cancel():
            raise Cancelled
        self.probes += 1
        if self.told is not None:
            self.told(self.probes)
        find = self.search.find
        scale = find.scales[index] if isinstance(find, Capacity) else 1.0
        scenario = _scaled(self.scenario, find.rates, scale) if isinstance(find, Capacity) else self.scenario
        policy = settled(self.contender.policy, self.knobs(attempt, index), self.label)
        run_id = study.run(scenario, policy, self.seed, self.home, cancel=self.cancel, label=self.label)
        self._same_world(f"seed {self.seed}, load x {scale:g}", run_id)
        return run_id

    def _same_world(self, place: str, run_id: str) -> None:
        world = str(runs.manifest_of(run_id, self.home)["exogenous"])
        if self.worlds.setdefault(place, world) != world:
            raise RuntimeError(f"{place}: run {run_id} of {self.label} met other arrivals or weather than the runs before it")

    def probe(self, attempt: int, index: int) -> tuple[bool, float | None, str]:
        """Return whether the objectives hold, what it costs or carries, and the run; asked once."""
        if (attempt, index) not in self.seen:
            run_id = self.run(attempt, index)
            find = self.search.find
            assert not isinstance(find, Measured)
            held = all(objective.holds(_value(self, run_id, objective, find.window)) for objective in find.objectives)
            self.seen[attempt, index] = (held, self._reached(find, run_id, index), run_id)
        return self.seen[attempt, index]

    def _reached(self, find: Sizing | Capacity, run_id: str, index: int) -> float | None:
        if isinstance(find, Capacity):
            return find.scales[index]
        cost = study.value(run_id, self.home, find.quantity, (), find.window)
        return None if cost is None else cost - find.shared


def _value(trial: Trial, run_id: str, objective: Objective, window: Window | None) -> float | None:
    scope = tuple(Scope("endpoint", endpoint) for endpoint in objective.endpoints)
    return study.value(run_id, trial.home, objective.metric, scope, window)


def _scaled(scenario: Scenario, rates: Sequence[str], scale: float) -> Scenario:
    return varied(scenario, {path: scale * float(value_at(scenario, path)) for path in rates})


def best_of(trial: Trial, guesses: dict[int, int]) -> Answer:
    """Return the best over all tries; a try that cannot beat the best so far costs few runs."""
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
    run_id = trial.probe(best.attempt, best.index)[2]
    return Answer(trial.seed, best.reached, trial.probes, exact, trial.knobs(best.attempt, best.index), run_id)


def _tried(trial: Trial, attempt: int, guess: int | None, best: _Best | None) -> tuple[_Best | None, bool]:
    """Search one try, from where the best so far lies; False beside it where the budget ended first."""
    count, upwards = trial.count, trial.upwards

    def there(index: int) -> int:
        # The search looks for the least index that holds, which for a load is the highest.
        return index if upwards else count - 1 - index

    def hopeless(index: int) -> bool:
        reached = trial.probe(attempt, there(index))[1]
        return best is not None and reached is not None and not _better(reached, best.reached, upwards)

    begin = guess if guess is not None else None if best is None else best.index
    found = fewest(
        lambda index: trial.probe(attempt, there(index))[0], count, trial.left, None if begin is None else there(begin), hopeless
    )
    if found.index is None:
        return None, found.exact
    reached = trial.probe(attempt, there(found.index))[1]
    return (None if reached is None else _Best(reached, attempt, there(found.index))), found.exact


def _better(one: float, other: float, upwards: bool) -> bool:
    return one < other if upwards else one > other


def measured(trial: Trial) -> Answer:
    """Return what a pure function reads off the tables of the contender's one run."""
    find = trial.search.find
    assert isinstance(find, Measured)
    run_id = trial.run(0, 0)
    value = find.read(runs.load(run_id, trial.home).tables)
    return Answer(trial.seed, value, trial.probes, True, trial.knobs(0, 0), run_id)
