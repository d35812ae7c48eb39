"""Claims against the papers: ours beside theirs, with an honest verdict."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from policies import catalogue, pool, study
from policies.policy import PolicySet, Schedule
from policies.system import Claim, System, Verdict, judge
from twin.run import Progress
from twin.scenario import Scenario, load, names
from twin.store import runs

Found = Mapping[str, Mapping[str, tuple[float, ...]]]


def reproduce(
    home: Path,
    system: str | None = None,
    *,
    workers: int = 1,
    progress: pool.Report | None = None,
    cancel: pool.Cancel | None = None,
) -> list[dict[str, Any]]:
    """Run what the claims of one system, or of all, need and hold ours against the papers'.

    Returns one row per claim: system, claim, metric, paper, ours, unit, tolerance, verdict, fitted_parameters, source,
    and ``why``. A claim that cannot be computed is "not comparable" with its reason; runs that are stored are reused.
    """
    cards = [catalogue.card(system)] if system is not None else list(catalogue.systems().values())
    asked = [(card, claim) for card in cards for claim in card.claims]
    out: list[dict[str, Any]] = []
    for index, (card, claim) in enumerate(asked):
        ours, verdict = _check(claim, home, workers, _share(progress, index, len(asked), f"{card.name}: {claim.id}"), cancel)
        out.append(_row(card, claim, ours, verdict))
    return out


def _check(
    claim: Claim, home: Path, workers: int, progress: pool.Report | None, cancel: pool.Cancel | None
) -> tuple[float | None, Verdict]:
    if claim.scenario not in names():
        return None, Verdict(None, "not comparable", f"its scenario {claim.scenario!r} is not part of this installation")
    found = evidence(claim, load(claim.scenario), home, workers=workers, progress=progress, cancel=cancel)
    ours = claim.read(found)
    if ours is None:
        return None, Verdict(None, "not comparable", _missing(claim, found))
    return ours, judge(claim, ours)


def evidence(
    claim: Claim,
    scenario: Scenario,
    home: Path,
    *,
    workers: int = 1,
    progress: pool.Report | None = None,
    cancel: pool.Cancel | None = None,
) -> dict[str, dict[str, tuple[float, ...]]]:
    """Return label -> metric -> one value per seed of the runs that a claim needs; a metric without evidence is left out."""
    policies = {label: PolicySet.model_validate(policy) for label, policy in claim.policies.items()}
    questions = [study.Question(label, scenario, Schedule.of(p), seed, home) for label, p in policies.items() for seed in claim.seeds]
    # Claims of one card share their runs: what is stored is not worth a fresh process.
    stored = all(runs.exists(study.run_id_of(question), home) for question in questions)
    run_ids = pool.answer(study.ask, questions, workers=1 if stored else workers, progress=progress, cancel=cancel)
    by_label = {label: [r for q, r in zip(questions, run_ids, strict=True) if q.label == label] for label in policies}
    study.same_world(by_label, claim.seeds, home)
    return {label: _values(claim.metrics, ids, home) for label, ids in by_label.items()}


def _values(metrics: Sequence[str], run_ids: Sequence[str], home: Path) -> dict[str, tuple[float, ...]]:
    found = [runs.load(run_id, home).metrics for run_id in run_ids]
    return {name: tuple(float(each[name]) for each in found) for name in metrics if all(name in each for each in found)}


def _missing(claim: Claim, found: Found) -> str:
    reference = next(iter(claim.policies))
    values = found.get(reference, {}).get(claim.metric)
    if values is None:
        return f"the runs hold no evidence for {claim.metric}"
    if not any(values):
        return f"on this scenario {reference} shows no {claim.metric.partition('.')[2].replace('_', ' ')}, so there is nothing to avoid"
    return f"{claim.metric} of these runs does not give the claim's number"


def _row(card: System, claim: Claim, ours: float | None, verdict: Verdict) -> dict[str, Any]:
    return {
        "system": card.id,
        "claim": claim.id,
        "metric": claim.metric,
        "paper": claim.paper,
        "ours": ours,
        "unit": claim.unit,
        "tolerance": claim.tolerance,
        "verdict": verdict.word,
        "fitted_parameters": claim.fitted_parameters,
        "source": claim.source,
        "why": verdict.why,
    }


def _share(progress: pool.Report | None, index: int, count: int, what: str) -> pool.Report | None:
    if progress is None:
        return None

    def part(now: Progress) -> None:
        progress(Progress((index + now.done_share) / count, now.t_s, now.horizon_s, f"{what}: {now.text}"))

    return part
