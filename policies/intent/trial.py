"""A policy set tried on the twin beside today's, on the same seeds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from policies import study
from policies.intent.explore import values_of
from policies.intent.judge import Row, judge, meets
from policies.intent.model import Intent
from policies.intent.references import settled
from policies.intent.versions import site_of
from policies.policy import TODAY, PolicySet
from twin.run import Progress
from twin.scenario import Scenario

Report = Callable[[Progress], None]
Cancel = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Trial:
    """Runs of today's policy and a candidate, seed by seed, and how each expectation stands."""

    today_run_ids: tuple[str, ...]
    candidate_run_ids: tuple[str, ...]
    rows: tuple[Row, ...]
    metrics: Mapping[str, Any]

    @property
    def today_run_id(self) -> str:
        """Today's run on the first seed."""
        return self.today_run_ids[0]

    @property
    def candidate_run_id(self) -> str:
        """The candidate's run on the first seed."""
        return self.candidate_run_ids[0]

    @property
    def meets(self) -> bool:
        """Whether every *must* holds on every seed."""
        return meets(self.rows)


def run_trial(
    home: Path, scenario: Scenario, intent: Intent, policy: PolicySet, seeds: Sequence[int], progress: Report | None, cancel: Cancel | None
) -> Trial:
    """Run both on every seed, in the same arrivals and weather, and judge."""
    found = study.compare(scenario, {"today": TODAY, "candidate": policy}, seeds, home, progress=progress, cancel=cancel)
    today, candidate = found.run_ids["today"], found.run_ids["candidate"]
    metrics = {name: {label: list(values) for label, values in sides.items()} for name, sides in found.values.items()}
    return Trial(today, candidate, judged(settled(intent, site_of(scenario).references), today, candidate, home), metrics)


def judged(intent: Intent, today: Sequence[str], candidate: Sequence[str], home: Path) -> tuple[Row, ...]:
    """Return one row per expectation: values averaged over the seeds, met only where it is on every seed."""
    per_seed = [judge(intent, values_of(before, home), values_of(after, home)) for before, after in zip(today, candidate, strict=True)]
    return tuple(_over(rows) for rows in zip(*per_seed, strict=True))


def _over(rows: Sequence[Row]) -> Row:
    order = ("broken", "unknown", "at risk", "met")
    worst = min(rows, key=lambda row: order.index(row.standing))
    return replace(
        worst,
        today=_mean([row.today for row in rows]),
        candidate=_mean([row.candidate for row in rows]),
        bound=_mean([row.bound for row in rows]),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if len(known) == len(values) and known else None
