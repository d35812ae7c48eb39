"""Composition root: scenarios x schedules x seeds give runs."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from time import process_time

from policies import pool
from policies.composing import capacity, design, holdings, past_plant, phases, pod, surroundings, topology_seen
from policies.paired import Comparison
from policies.policy import TODAY, PolicySet, Schedule
from policies.worlds import same_world
from twin import run as twin_run
from twin.clock import Window
from twin.metrics import METRICS, Scope
from twin.run import Start
from twin.scenario import SNAPSHOT_GRID_S, Scenario
from twin.stack import Phase
from twin.store import runs
from twin.store.ledger import Ledger
from twin.store.records import LoggedRun

__all__ = [
    "Cancel",
    "Comparison",
    "Question",
    "Report",
    "ask",
    "capacity",
    "compare",
    "design",
    "holdings",
    "lead_in",
    "past_plant",
    "phases",
    "pod",
    "run",
    "run_id_of",
    "same_world",
    "surroundings",
    "topology_seen",
    "value",
    "values_of",
]
Report = pool.Report
Cancel = pool.Cancel


def run(  # noqa: PLR0913 - the question has four parts, the rest is how it is watched
    scenario: Scenario,
    schedule: Schedule | PolicySet,
    seed: int,
    home: Path,
    *,
    progress: Report | None = None,
    cancel: Cancel | None = None,
    window_s: tuple[float, float] | None = None,
    start: Start | None = None,
    label: str = "",
) -> str:
    """Answer one question and return its run_id; one that is stored already is not simulated again.

    ``window_s`` (begin, end) screens a schedule on a part of the day: without a ``start`` it goes on from where today's
    policy is at the begin (rounded down to the grid of snapshots), and it stops at the end.
    """
    schedule = Schedule.of(schedule) if isinstance(schedule, PolicySet) else schedule
    if window_s is not None and not (window_s[0] < window_s[1] and window_s[0] < scenario.horizon_s and window_s[1] > 0.0):
        raise ValueError(
            f"window_s: {window_s[0]:g} to {window_s[1]:g} s is no part of {scenario.name}, which lasts {scenario.horizon_s:g} s; "
            "write the begin first"
        )
    decided = phases(schedule, scenario)
    until_s = None if window_s is None or window_s[1] >= scenario.horizon_s else window_s[1]
    if window_s is not None and start is None:
        _as_built(decided, scenario, window_s[0])
        start = lead_in(scenario, seed, window_s[0], home, progress=progress, cancel=cancel)
    run_id = twin_run.run_id_of(scenario, decided, seed, start, until_s)
    if not runs.exists(run_id, home):
        name = ", then ".join(step.policy.name for step in schedule.steps)
        with _logged(home, run_id, label, name, seed, scenario.name):
            done = twin_run.simulate(
                scenario, decided, seed=seed, progress=progress, cancel=cancel, start=start, until_s=until_s, spool=home / "runs"
            )
            runs.save(done, home)
    return run_id


def _as_built(decided: Sequence[Phase], scenario: Scenario, begin_s: float) -> None:
    """Refuse to screen a larger site on a part of the day: where today's policy is then is another site."""
    extra = sum(decided[0].extra_servers) - sum(capacity(TODAY, scenario).extra_servers)
    if extra and begin_s >= SNAPSHOT_GRID_S:
        raise ValueError(
            f"this policy has {extra:+,} servers against today's, and capacity is decided before a run: "
            "it cannot go on from today's at a later hour; run it from the beginning"
        )


def lead_in(  # noqa: PLR0913 - the question has five parts, the rest is how it is watched
    scenario: Scenario,
    seed: int,
    until_s: float,
    home: Path,
    *,
    schedule: Schedule | PolicySet = TODAY,
    start: Start | None = None,
    progress: Report | None = None,
    cancel: Cancel | None = None,
) -> Start | None:
    """Return where a schedule is at a time, from a stored run that ends there; ``start`` where nothing lies before it.

    It begins at ``start``, a snapshot of the same schedule, or at the beginning of the scenario.
    """
    end_s = until_s // SNAPSHOT_GRID_S * SNAPSHOT_GRID_S
    if end_s <= (0.0 if start is None else start.t_s):
        return start
    schedule = Schedule.of(schedule) if isinstance(schedule, PolicySet) else schedule
    decided = phases(schedule, scenario)
    run_id = twin_run.run_id_of(scenario, decided, seed, start, end_s, (end_s,))
    if not runs.exists(run_id, home):
        name = ", then ".join(step.policy.name for step in schedule.steps)
        with _logged(home, run_id, "lead-in", name, seed, scenario.name):
            done = twin_run.simulate(
                scenario,
                decided,
                seed=seed,
                progress=progress,
                cancel=cancel,
                snapshots_at=(end_s,),
                start=start,
                until_s=end_s,
                spool=home / "runs",
            )
            runs.save(done, home)
    return Start(run_id, end_s, runs.load_snapshot(run_id, end_s, home))


@contextmanager
def _logged(home: Path, run_id: str, label: str, policy_name: str, seed: int, scenario: str) -> Iterator[None]:
    # The one place of the policies that looks at a clock: the price of a run belongs to the ledger, never to the run.
    began, cpu_s = datetime.now(UTC), process_time()
    yield
    logged = LoggedRun(run_id, began, datetime.now(UTC), process_time() - cpu_s, label, policy_name, seed, scenario)
    with Ledger(home).transaction() as ledger:
        ledger.log_run(logged)


def value(run_id: str, home: Path, metric: str, scope: tuple[Scope, ...] = (), window: Window | None = None) -> float | None:
    """Return one metric of a stored run over a scope and a window; None where the run holds no evidence for it."""
    return twin_run.read(runs.load(run_id, home), metric, scope=scope, window=window)


@dataclass(frozen=True, slots=True)
class Question:
    """One run to be made, as a worker process is handed it."""

    label: str
    scenario: Scenario
    schedule: Schedule
    seed: int
    home: Path
    window_s: tuple[float, float] | None = None


def run_id_of(question: Question) -> str:
    """Return the id under which the run of a whole-day question is stored, or would be."""
    return twin_run.run_id_of(question.scenario, phases(question.schedule, question.scenario), question.seed)


def ask(question: Question, progress: Report | None, cancel: Cancel | None) -> str:
    """Answer one question and return its run_id."""
    told = None if progress is None else lambda now: progress(replace(now, text=f"{question.label}, seed {question.seed}: {now.text}"))
    q = question
    return run(q.scenario, q.schedule, q.seed, q.home, progress=told, cancel=cancel, window_s=q.window_s, label=q.label)


def compare(  # noqa: PLR0913 - the question has four parts, the rest is how it is watched
    scenario: Scenario,
    policies: Mapping[str, PolicySet | Schedule],
    seeds: Sequence[int],
    home: Path,
    *,
    workers: int = 1,
    progress: Report | None = None,
    cancel: Cancel | None = None,
    window_s: tuple[float, float] | None = None,
) -> Comparison:
    """Run every policy in the same worlds and set the metrics side by side; the first policy is the reference."""
    if not policies or not seeds:
        raise ValueError("a comparison needs at least one policy and one seed")
    questions = [
        Question(label, scenario, Schedule.of(policy) if isinstance(policy, PolicySet) else policy, seed, home, window_s)
        for label, policy in policies.items()
        for seed in seeds
    ]
    answers = pool.answer(ask, questions, workers=workers, progress=progress, cancel=cancel)
    run_ids = {label: tuple(r for q, r in zip(questions, answers, strict=True) if q.label == label) for label in policies}
    same_world(run_ids, seeds, home)
    return Comparison(scenario.name, tuple(policies), tuple(seeds), run_ids, values_of(run_ids, home))


def values_of(run_ids: Mapping[str, Sequence[str]], home: Path) -> dict[str, dict[str, tuple[float, ...]]]:
    """Return metric -> label -> one value per seed, for metrics that every run has evidence for."""
    found = {label: [runs.load(run_id, home).metrics for run_id in ids] for label, ids in run_ids.items()}
    everywhere = [name for name in METRICS if all(name in metrics for per_seed in found.values() for metrics in per_seed)]
    return {name: {label: tuple(float(m[name]) for m in per_seed) for label, per_seed in found.items()} for name in everywhere}
