"""Claims against the papers: ours beside theirs, with an honest verdict."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from policies import catalogue, pool, probes, study
from policies.claim import NOTHING, Capacity, Claim, Computed, Learned, Measured, Scored, Search, Verdict, judge, middle
from policies.system import System
from twin.incidents.levers import Labelled
from twin.run import Progress
from twin.scenario import Scenario, load, names
from twin.sources import code_hash
from twin.store import claims


class ScoredIncidents(Protocol):
    """Gives labelled predictions on simulated incidents, with both scores of PACE and each predictor's own.

    "later" are those of the claim's scenario, "earlier" of others, all known before the first later one began.
    """

    def __call__(self, part: Literal["earlier", "later"], scenario: Scenario, seed: int, home: Path) -> list[Labelled]:
        """Return them; the same for the same seed."""


def reproduce(
    home: Path,
    system: str | None = None,
    *,
    workers: int = 1,
    progress: pool.Report | None = None,
    cancel: pool.Cancel | None = None,
    scored_incidents: ScoredIncidents | None = None,
) -> list[dict[str, Any]]:
    """Run what the claims of one system, or of all, need and hold ours against the papers'.

    Each row is kept in the store as soon as it is there. Returns one row per claim: system, claim, metric, paper, paper_high,
    ours, unit, tolerance, verdict, fitted_parameters, source, ``why``, ``explained``, and of a claim that was searched or computed
    ``points`` (its own first, then its sweeps), ``probes`` and ``probes_limit``. A claim that cannot be computed is "not
    comparable" with its reason; runs that are stored are reused. ``scored_incidents`` is asked for what claims on confidence need.
    """
    cards = [catalogue.card(system)] if system is not None else list(catalogue.systems().values())
    asked = [(card, claim) for card in cards for claim in card.claims]
    out: list[dict[str, Any]] = []
    for index, (card, claim) in enumerate(asked):
        if claim.scenario in names():
            told = _share(progress, index, len(asked), f"{card.name}: {claim.id}")
            if isinstance(claim.evidence, Scored):
                verdict, sought = _scored(claim, claim.evidence, load(claim.scenario), home, scored_incidents)
            else:
                verdict, sought = check(claim, load(claim.scenario), home, workers=workers, progress=told, cancel=cancel)
        else:
            sought, verdict = {}, Verdict(None, "not comparable", f"its scenario {claim.scenario!r} is not part of this installation")
        out.append({**_row(card, claim, verdict), **sought})
        claims.save(out[-1], code_hash(), home)
    return out


def check(
    claim: Claim,
    scenario: Scenario,
    home: Path,
    *,
    workers: int = 1,
    progress: pool.Report | None = None,
    cancel: pool.Cancel | None = None,
) -> tuple[Verdict, dict[str, Any]]:
    """Return the verdict on one claim, and of one that was searched its points and how many runs it took."""
    if isinstance(claim.evidence, Learned):
        return judge(claim, middle([claim.evidence.read(*study.past_plant(scenario, seed)) for seed in claim.seeds])), {}
    if isinstance(claim.evidence, Computed):
        return _computed(claim, claim.evidence, [claim.evidence.read(study.topology_seen(scenario, seed)) for seed in claim.seeds])
    if isinstance(claim.evidence, Scored):
        return _scored(claim, claim.evidence, scenario, home, None)
    outcomes = probes.sought(claim.evidence, scenario, claim.seeds, home, workers=workers, progress=progress, cancel=cancel)
    return _searched(claim, claim.evidence, outcomes)


def _scored(
    claim: Claim, evidence: Scored, scenario: Scenario, home: Path, incidents: ScoredIncidents | None
) -> tuple[Verdict, dict[str, Any]]:
    """Return the verdict on labelled predictions, and its labelled numbers as the claim's only point."""
    if incidents is None:
        return Verdict(None, "not comparable", "no labelled predictions on simulated incidents are at hand"), {}
    parts = [[incidents(part, scenario, seed, home) for part in ("earlier", "later")] for seed in claim.seeds]
    return _computed(claim, evidence, [evidence.read(earlier, later) for earlier, later in parts])


def _computed(claim: Claim, evidence: Computed | Scored, per_seed: Sequence[Mapping[str, float | None]]) -> tuple[Verdict, dict[str, Any]]:
    """Return the verdict on what was computed, and its labelled numbers as the claim's only point: medians over seeds."""
    labels = {label: middle([found.get(label) for found in per_seed]) for label in per_seed[0]}
    own = [found[evidence.ours] for found in per_seed]
    known = [value for value in own if value is not None]
    point = {
        "sweep": "",
        "x": None,
        "own": True,
        "ours": labels[evidence.ours],
        "low": min(known, default=None),
        "high": max(known, default=None),
        "labels": labels,
        "failed": [label for label, value in labels.items() if value is None],
        "exact": True,
        "chosen": {},
        "run_ids": {},
    }
    verdict = judge(claim, labels[evidence.ours])
    details = {label: value for label, value in labels.items() if value is not None}
    return Verdict(verdict.ours, verdict.word, verdict.why, details), {"points": [point], "probes": 0, "probes_limit": 0}


def _searched(claim: Claim, search: Search, outcomes: Sequence[probes.Outcome]) -> tuple[Verdict, dict[str, Any]]:
    points = [_point(search, point, [o for o in outcomes if o.point == point]) for point in probes.points_of(search)]
    told = {"points": points, "probes": probes.counted(outcomes), "probes_limit": probes.limit_of(search, claim.seeds)}
    own = points[0]
    if own["ours"] is None:
        return _unfound(claim, search, [outcome for outcome in outcomes if not outcome.point.sweep]), told
    verdict = judge(claim, own["ours"])
    around = _around(claim, search, points)
    return Verdict(verdict.ours, verdict.word, f"{verdict.why}{around}", own["labels"]), told


def _point(search: Search, point: probes.Point, outcomes: Sequence[probes.Outcome]) -> dict[str, Any]:
    """Return one point of a claim: the median over seeds with its ends, and what each contender reached."""
    answers = {outcome.label: outcome.answers for outcome in outcomes}
    per_seed = [
        search.compare({label: each[place].value for label, each in answers.items()}) for place in range(len(next(iter(answers.values()))))
    ]
    known = [value for value in per_seed if value is not None]
    return {
        "sweep": point.sweep,
        "x": point.x,
        "own": not point.sweep,
        "ours": middle(per_seed),
        "low": min(known, default=None),
        "high": max(known, default=None),
        "labels": {label: middle([answer.value for answer in each]) for label, each in answers.items()},
        "failed": [label for label, each in answers.items() if any(answer.value is None for answer in each)],
        "exact": all(answer.exact for each in answers.values() for answer in each),
        "chosen": {label: [dict(answer.chosen) for answer in each] for label, each in answers.items()},
        "run_ids": {label: [answer.run_id for answer in each] for label, each in answers.items()},
    }


def _unfound(claim: Claim, search: Search, own: Sequence[probes.Outcome]) -> Verdict:
    """Say who found nothing at the claim's own point, and on how many seeds where others found something."""
    failed = {outcome.label: sum(answer.value is None for answer in outcome.answers) for outcome in own}
    failed = {label: seeds for label, seeds in failed.items() if seeds}
    what = "run" if isinstance(search.find, Measured) else "load" if isinstance(search.find, Capacity) else "size"
    whose = [label if seeds == len(claim.seeds) else f"{label} on {seeds} of {len(claim.seeds)} seeds" for label, seeds in failed.items()]
    idle = [outcome.label for outcome in own if outcome.label in search.against and any(answer.value == 0.0 for answer in outcome.answers)]
    none = f"{', '.join(idle)} shows none on some seed, so there is nothing to avoid" if idle else NOTHING
    why = f"no {what} that was tried holds the objective for {', '.join(whose)}" if failed else none
    others = [label for label in search.against if label not in failed]
    # Where the baseline does it and ours does not, that is an answer.
    word = not claim.comparable and search.ours in failed and others and not isinstance(search.find, Measured)
    return Verdict(None, "not reproduced" if word else "not comparable", claim.comparable or why)


def _around(claim: Claim, search: Search, points: Sequence[Mapping[str, Any]]) -> str:
    """Return in words how ours moves over the sweeps."""
    words = []
    for sweep in search.sweeps:
        there = [{**points[0], "x": sweep.own}, *(point for point in points if point["sweep"] == sweep.name)]
        known = [point for point in there if point["ours"] is not None]
        least, most = min(known, key=lambda p: float(p["ours"])), max(known, key=lambda p: float(p["ours"]))
        if least["ours"] == most["ours"]:
            words.append(f"{_said(claim, least['ours'])} all over {sweep.name}")
        else:
            ends = (f"{_said(claim, end['ours'])} (at {_short(end['x'])})" for end in (least, most))
            words.append(f"over {sweep.name} from {' to '.join(ends)}")
        if len(known) < len(there):
            words.append(f"not found at {sweep.name} {', '.join(_short(p['x']) for p in there if p['ours'] is None)}")
    return f"; {'; '.join(words)}" if words else ""


def _said(claim: Claim, value: float) -> str:
    return f"{value:.3g}" if claim.no_effect == 1.0 else f"{value:{'+' if claim.no_effect == 0.0 else ''}.0%}"


def _short(x: float | str) -> str:
    return x if isinstance(x, str) else f"{x:g}"


def _row(card: System, claim: Claim, verdict: Verdict) -> dict[str, Any]:
    return {
        "system": card.id,
        "claim": claim.id,
        "metric": claim.metric,
        "paper": claim.paper,
        "paper_high": claim.paper_high,
        "ours": verdict.ours,
        "unit": claim.unit,
        "tolerance": claim.tolerance,
        "verdict": verdict.word,
        "fitted_parameters": claim.fitted_parameters,
        "source": claim.source,
        "why": verdict.why,
        "explained": claim.explained,
    }


def _share(progress: pool.Report | None, index: int, count: int, what: str) -> pool.Report | None:
    if progress is None:
        return None

    def part(now: Progress) -> None:
        progress(Progress((index + now.done_share) / count, now.t_s, now.horizon_s, f"{what}: {now.text}"))

    return part
