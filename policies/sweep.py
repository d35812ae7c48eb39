"""A sweep file: scenarios x policy sets x a grid of knobs x seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from policies import catalogue, pool, study
from policies.policy import Held, KnobValue, PolicySet, Schedule
from twin.scenario import load
from twin.sources import toml
from twin.store import runs

LIMIT = 2000


class SweepSpec(BaseModel):
    """A sweep as its file writes it.

    ``grid`` maps ``system.knob`` to the values that it takes; every policy set that holds the system is run with each
    combination. ``window_s`` (begin, end) screens on a part of the day.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    scenarios: Annotated[tuple[str, ...], Field(min_length=1)]
    policy: Annotated[tuple[PolicySet, ...], Field(min_length=1)]
    seeds: Annotated[tuple[Annotated[int, Field(ge=0, lt=2**31)], ...], Field(min_length=1)] = (1,)
    grid: dict[str, Annotated[tuple[KnobValue, ...], Field(min_length=1)]] = Field(default_factory=dict)
    window_s: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One run of a sweep with the knobs that the grid gave it."""

    scenario: str
    policy: str
    knobs: Mapping[str, KnobValue]
    seed: int
    run_id: str
    metrics: Mapping[str, float]


def read(path: Path) -> SweepSpec:
    """Read a sweep file; what is wrong is one line with file, place and remedy."""
    try:
        return SweepSpec.model_validate(toml(path))
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{path.name}: {'.'.join(str(part) for part in first['loc'])}: {first['msg'].lower()}") from None


def sweep(
    path: Path,
    home: Path,
    *,
    workers: int = 1,
    backend: str = "local",
    progress: pool.Report | None = None,
    cancel: pool.Cancel | None = None,
) -> list[Row]:
    """Run what a sweep file asks for; runs that are stored already are not simulated again."""
    spec = read(path)
    held = {item.system for policy in spec.policy for stack in policy.levers.values() for item in stack}
    for name in spec.grid:
        if name.partition(".")[0] not in held or not name.partition(".")[2]:
            raise ValueError(
                f"{path.name}: grid: {name!r} turns no knob; write system.knob of {', '.join(sorted(held)) or 'a system held'}"
            )
    policies = [pair for policy in spec.policy for pair in _grid(policy, spec.grid)]
    scenarios = [load(name) for name in spec.scenarios]
    if (count := len(policies) * len(scenarios) * len(spec.seeds)) > LIMIT:
        raise ValueError(f"{path.name}: it asks for {count:,} runs, the limit is {LIMIT:,}; thin out the grid or the seeds")
    for scenario, (policy, _) in product(scenarios, policies):
        catalogue.check(policy, scenario.entities())
    asked = [
        (knobs, study.Question(policy.name, scenario, Schedule.of(policy), seed, home, spec.window_s))
        for scenario, (policy, knobs), seed in product(scenarios, policies, spec.seeds)
    ]
    questions = [question for _, question in asked]
    run_ids = pool.answer(study.ask, questions, workers=workers, backend=backend, progress=progress, cancel=cancel)
    return [
        Row(question.scenario.name, question.label, knobs, question.seed, run_id, runs.load(run_id, home).metrics)
        for (knobs, question), run_id in zip(asked, run_ids, strict=True)
    ]


def _grid(policy: PolicySet, grid: Mapping[str, Sequence[KnobValue]]) -> list[tuple[PolicySet, dict[str, KnobValue]]]:
    held = {item.system for stack in policy.levers.values() for item in stack}
    axes = {name: values for name, values in grid.items() if name.partition(".")[0] in held}
    return [_with(policy, dict(zip(axes, values, strict=True))) for values in product(*axes.values())]


def _with(policy: PolicySet, chosen: dict[str, KnobValue]) -> tuple[PolicySet, dict[str, KnobValue]]:
    def changed(held: Held) -> Held:
        mine = {name.partition(".")[2]: value for name, value in chosen.items() if name.partition(".")[0] == held.system}
        return held.model_copy(update={"knobs": {**held.knobs, **mine}})

    levers: dict[str, Any] = {lever: tuple(changed(held) for held in stack) for lever, stack in policy.levers.items()}
    return policy.model_copy(update={"levers": levers}), chosen
