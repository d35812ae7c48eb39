"""Who is to blame for a symptom, by anomalies and where they lie."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twin.incidents.anomalies import detect_onset, normal_levels
from twin.incidents.dependencies import Dependencies
from twin.incidents.evidence import SIGNIFICANT, Evidence, gather
from twin.incidents.series import KINDS, Series

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Parameters:
    """Weights of the evidence. "Chosen" ones were chosen by looking at PetShop's 16 training issues, Nezha's 2022-08-22 and
    synthetic incidents together; halving or doubling any of them moves none of these by more than a few cases."""

    share: float = 2.0
    """The part of the symptom's excess that begins at the entity: the only evidence with a budget, hence the heaviest. Chosen."""
    own: float = 1.0
    """Its anomalies beyond those of its callees. The unit of the score."""
    loud: float = 0.3
    """Its loudest anomaly, explained or not: a tie-breaker. Chosen."""
    walk: float = 0.3
    """How often a walk from the symptom towards anomalous callees comes by: a tie-breaker. Chosen."""
    other_kind: float = 0.5
    """An anomaly of latency for a symptom of availability, or the reverse, is half as telling: trouble changes form. Not chosen."""
    resource: float = 2.0
    """Processor, memory and the like do not travel along calls: such an anomaly is the entity's own. Chosen."""
    requests: float = 0.3
    """More or fewer calls are mostly an effect. Chosen."""
    gone: float = 1.0
    """It reports no more what it always reported, while its callers still do. Twice that names more of the synthetic ones first, but
    PetShop's queues fall silent for reasons of their own. Chosen."""
    explained: float = 0.8
    """How much of an anomaly an equal one of a callee explains: noise keeps it from being all. Not chosen."""
    at_symptom: float = 0.5
    """The entity with the symptom shows all of the excess by definition: its part counts half. Chosen."""
    below: float = 0.6
    """Part of an entity's score that its callees inherit, less so when they report and are calm: causes may be silent. Chosen."""
    cut_off: float = 0.7
    """Factor for entities that the symptom depends on, but over a healthy one. Chosen."""
    apart: float = 0.3
    """Factor for entities that the symptom does not depend on. Not chosen."""
    late: float = 0.7
    """Factor for entities whose anomalies all begin more than two samples after the symptom. Not chosen."""
    back: float = 0.15
    """Weight of a walk's step to a caller, against one to a callee. Not chosen."""
    accuse: float = 1.0
    """Score below which nobody is accused: incident-free synthetic windows reach 0.75 in 5 of 100 cases, incidents 1.8 in 95. Chosen."""


USUAL: Final = Parameters()


@dataclass(frozen=True, slots=True)
class Accused:
    """One entity: its score, the parts of the score by evidence, and what speaks for (or against) it in words with numbers."""

    entity_id: str
    score: float
    evidence: dict[str, float]
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Blame:
    """Ranking of all entities for one symptom; ``accused`` says whether the first is to be blamed at all; ``path`` leads from it
    to the symptom's entity, callees first, empty where the graph knows no such path."""

    symptom: tuple[str, str]
    symptom_z: float
    onset_s: float | None
    ranking: tuple[Accused, ...]
    accused: bool
    path: tuple[str, ...]


def blame(
    series: Series,
    graph: Dependencies,
    symptom: tuple[str, str],
    normal: Bools,
    window: Bools,
    onset_s: float | None = None,
    parameters: Parameters = USUAL,
) -> Blame:
    """Rank all entities of ``series`` and ``graph`` for a symptom (entity, metric).

    ``normal`` rows (T,) tell what is usual, ``window`` rows the incident and what surrounds it (more of them in quiet than in
    trouble, if there is a choice). Without ``onset_s`` the onset is looked for in the symptom; where none stands out, nobody is
    accused and the later half of the window is taken for the incident. ValueError for a symptom that is not there.
    """
    column = series.column(*symptom)
    if not normal.any() or not window.any():
        raise ValueError("no normal sample or none in the window; give at least one of each")
    begun = _onset(series, column, normal, window) if onset_s is None else onset_s
    rows = series.t_s[window]
    since = float(rows[(len(rows) - 1) // 2]) if begun is None else begun
    whole, at = _joined(series, graph)
    told = gather(series, at, len(whole.ids), column, normal, window, since)
    root, kind = int(at[column]), str(series.kinds[column])
    parts = _parts(told, whole, root, kind, parameters)
    factor = _factors(told, whole, root, since + 2.0 * series.step_s, parameters)
    raw = sum(parts.values(), np.zeros(len(whole.ids))) * factor
    parts = {name: part * factor for name, part in parts.items()}
    inherited = (_rates(told, whole.calls) * raw[:, None]).max(axis=0, initial=0.0)
    parts["below"] = parameters.below * inherited * np.where(told.observed, 0.5, 1.0)
    score = raw + parts["below"]
    order = np.argsort(-score, kind="stable")
    ranking = tuple(
        Accused(
            whole.ids[i], float(score[i]), {name: float(part[i]) for name, part in parts.items()}, _reasons(series, told, whole, i, factor)
        )
        for i in map(int, order)
    )
    first = int(order[0])
    path = tuple(whole.ids[i] for i in reversed(whole.path(root, first)))
    return Blame(symptom, told.symptom_z, begun, ranking, begun is not None and bool(raw.max() >= parameters.accuse), path)


def _onset(series: Series, column: int, normal: Bools, window: Bools) -> float | None:
    base = normal_levels(series, normal)
    return detect_onset(
        series.t_s[window], series.values[window, column], float(base.centre[column]), float(base.scale[column]), int(series.fails[column])
    )


def _joined(series: Series, graph: Dependencies) -> tuple[Dependencies, Ints]:
    """Return the graph with all entities that report, and each column's entity in it (S,)."""
    ids = tuple(sorted({*graph.ids, *series.entity_ids}))
    place = {name: at for at, name in enumerate(ids)}
    old = np.array([place[name] for name in graph.ids], dtype=np.int64)
    reporting = np.array([place[name] for name in series.entity_ids], dtype=np.int64)
    return Dependencies(ids, old[graph.caller], old[graph.callee]), reporting[series.entity]


def _parts(told: Evidence, graph: Dependencies, root: int, kind: str, p: Parameters) -> dict[str, Floats]:
    """Return each entity's evidence, weighted, before factors of place and time."""
    calls = graph.calls
    resource = told.shown["resource"]
    # What begins here: the entity's part of the excess, less the best explanation among its callees. A callee explains by its own
    # part, or by an anomaly of its resources that its reported latency may not contain (time on the way to it).
    share = np.minimum(np.maximum(told.share - _carried(told, calls), 0.0), 1.0)
    share[root] *= p.at_symptom
    weight = {"latency": p.other_kind, "availability": p.other_kind, "requests": p.requests, "resource": 1.0} | {kind: 1.0}
    own = p.resource * resource + p.requests * told.anomaly["requests"]
    for each in ("latency", "availability"):
        here = told.anomaly[each]
        there = np.where(calls, np.minimum(here[None, :], here[:, None]), 0.0).max(axis=1, initial=0.0)
        own += weight[each] * np.maximum(here - p.explained * there, 0.0)
    loud = np.max([weight[each] * told.anomaly[each] for each in KINDS], axis=0)
    walk = _walk(told.anomaly[kind] + 0.5 * loud, calls, root, p)
    gone = np.maximum(told.gone - np.where(calls, told.gone[:, None], 0.0).max(axis=0, initial=0.0), 0.0)
    return {"share": p.share * share, "own": p.own * own, "gone": p.gone * gone, "loud": p.loud * loud, "walk": p.walk * walk}


def _carried(told: Evidence, calls: Bools) -> Floats:
    """Return how much of each entity's part its callees account for (N,): their parts in sum, or one callee's resources."""
    usual = told.requests[np.isfinite(told.requests)]
    rate = np.where(np.isfinite(told.requests), told.requests, float(np.median(usual)) if len(usual) else 1.0) + 1e-9
    from_caller = calls * rate[:, None]
    from_caller = from_caller / np.maximum(from_caller.sum(axis=0), 1e-12)
    own = np.where(calls, told.shown["resource"][None, :], 0.0).max(axis=1, initial=0.0)
    return np.asarray(np.maximum((from_caller * told.share[None, :]).sum(axis=1), own))


def _rates(told: Evidence, calls: Bools) -> Floats:
    """Return how often a caller's request calls a callee, at most once counted (N, N): who is hardly called is hardly to blame."""
    rate = np.where(np.isfinite(told.requests), told.requests, np.nan)
    callers = np.where(calls, np.nan_to_num(rate, nan=0.0)[:, None], 0.0).sum(axis=0)
    each = rate / np.where(callers > 0.0, callers, np.nan)
    return np.asarray(calls * np.nan_to_num(np.minimum(each, 1.0), nan=1.0)[None, :])


def _walk(attraction: Floats, calls: Bools, root: int, p: Parameters) -> Floats:
    """Return visits of a walk that starts at the symptom again and again (personalised), 1 at the most visited."""
    pull = attraction + 0.01
    steps = calls * pull[None, :] + p.back * (calls.T * pull[None, :]) + np.diag(0.5 * pull)
    steps = steps / np.maximum(steps.sum(axis=1, keepdims=True), 1e-12)
    start = np.zeros(len(pull))
    start[root] = 1.0
    visits = start
    for _ in range(50):
        visits = 0.85 * visits @ steps + 0.15 * start
    return np.asarray(visits / visits.max())


def _factors(told: Evidence, graph: Dependencies, root: int, until_s: float, p: Parameters) -> Floats:
    """Return the factor of place and time of each entity (N,)."""
    loud = np.max([told.columns.z[told.loudest], np.zeros(len(graph.ids))], axis=0)
    passable = (np.where(told.loudest >= 0, loud, 0.0) > SIGNIFICANT) | ~told.observed
    place = np.where(graph.distances(root, through=passable) >= 0, 1.0, np.where(graph.cone(root), p.cut_off, p.apart))
    return place * np.where(told.onset_s > until_s, p.late, 1.0)


def _reasons(series: Series, told: Evidence, graph: Dependencies, entity: int, factor: Floats) -> tuple[str, ...]:
    said = []
    column = int(told.loudest[entity])
    if column >= 0 and told.columns.z[column] > SIGNIFICANT:
        change = told.columns.slope[column]
        said.append(f"{series.metrics[column]} moved by {change:+.4g}, {min(told.columns.z[column], 999.0):.1f} normal scales")
    if told.share[entity] > 0.0:
        said.append(f"{min(told.share[entity], 9.99):.0%} of the symptom's excess passes through it")
    if told.gone[entity] > 0.0:
        said.append(f"{told.gone[entity]:.0%} of what it always reports fell silent")
    anomalous = [i for i in graph.callee[graph.caller == entity] if told.loudest[i] >= 0 and told.columns.z[told.loudest[i]] > SIGNIFICANT]
    if anomalous:
        said.append(f"{len(anomalous)} of its callees moved too: {', '.join(graph.ids[i] for i in anomalous[:3])}")
    if np.isfinite(told.onset_s[entity]):
        said.append(f"its first anomaly began at {told.onset_s[entity]:.0f} s")
    if not told.observed[entity]:
        said.append("it does not report the symptom's metric")
    if factor[entity] < 1.0:
        said.append(f"weighed by {factor[entity]:.2f} for its place in the graph or its late onset")
    return tuple(said)
