"""Who is to blame: planted causes are found, and nobody is accused without an anomaly."""

from collections.abc import Callable

import numpy as np
import pytest

from twin.incidents.blame import blame
from twin.incidents.cases import LabelledCase
from twin.incidents.dependencies import from_edges
from twin.incidents.scoring import evaluate, solve
from twin.incidents.series import FAILS, Series

Incident = Callable[..., LabelledCase]


def chain(deep: float, quiet_callee: bool = False) -> tuple[Series, np.ndarray]:
    """Front calls middle, middle calls back, front calls other; back's latency rises by ``deep`` in the last ten rows."""
    rng = np.random.default_rng(0)
    values = rng.normal(0.100, 0.002, (100, 4)) + np.array([0.2, 0.1, 0.0, 0.0])
    rise = np.where(np.arange(100) >= 90, deep, 0.0)[:, None] * np.array([1.0, 1.0, 0.0 if quiet_callee else 1.0, 0.0])
    series = Series(
        np.arange(100) * 60.0,
        values + rise,
        ("front", "middle", "back", "other"),
        np.arange(4),
        ("latency",) * 4,
        np.full(4, FAILS["latency"]),
    )
    return series, np.arange(100) < 60


CALLS = from_edges([("front", "middle"), ("middle", "back"), ("front", "other")])


def test_what_a_callee_explains_is_not_held_against_its_callers() -> None:
    series, normal = chain(0.1)
    found = blame(series, CALLS, ("front", "latency"), normal, ~normal, 89 * 60.0)
    assert found.ranking[0].entity_id == "back"
    assert found.path == ("back", "middle", "front")
    assert found.accused
    assert "of the symptom's excess passes through it" in " ".join(found.ranking[0].reasons)


def test_a_caller_whose_callees_are_calm_is_blamed_itself() -> None:
    series, normal = chain(0.1, quiet_callee=True)
    found = blame(series, CALLS, ("front", "latency"), normal, ~normal, 89 * 60.0)
    assert found.ranking[0].entity_id == "middle"


def test_the_onset_is_found_when_it_is_not_told() -> None:
    series, normal = chain(0.1)
    found = blame(series, CALLS, ("front", "latency"), normal, ~normal)
    assert found.onset_s == 89 * 60.0
    assert found.ranking[0].entity_id == "back"


def test_a_flat_system_blames_nobody() -> None:
    series, normal = chain(0.0)
    found = blame(series, CALLS, ("front", "latency"), normal, ~normal)
    assert not found.accused


def test_a_window_without_a_quiet_sample_is_judged_by_normal_times() -> None:
    series, normal = chain(0.1)
    found = blame(series, CALLS, ("front", "latency"), normal, np.arange(100) >= 90, 89 * 60.0)
    assert found.ranking[0].entity_id == "back"


def test_what_began_after_the_symptom_is_less_to_blame() -> None:
    series, normal = chain(0.1, quiet_callee=True)
    series.values[95:, 3] += 0.1
    found = {each.entity_id: each for each in blame(series, CALLS, ("front", "latency"), normal, ~normal, 89 * 60.0).ranking}
    assert "late onset" in " ".join(found["other"].reasons)
    assert "late onset" not in " ".join(found["middle"].reasons)
    assert found["other"].score < found["middle"].score


def test_an_empty_window_is_refused() -> None:
    series, normal = chain(0.1)
    with pytest.raises(ValueError, match="no normal sample"):
        blame(series, CALLS, ("front", "latency"), normal, normal & ~normal)


def test_planted_causes_on_random_graphs_are_found(incident: Incident) -> None:
    cases = [incident(seed) for seed in range(60)]
    found = evaluate(cases)
    assert found["ac_at_3"] >= 0.9
    for kind in ("latency", "load", "database"):
        assert found["splits"][kind]["ac_at_1"] >= 0.9, kind
    assert found["splits"]["errors"]["ac_at_1"] >= 0.75
    assert evaluate(cases, onset_known=False)["ac_at_3"] >= 0.9


def test_a_service_that_falls_silent_is_among_the_first(incident: Incident) -> None:
    assert evaluate([incident(seed, kind="gone") for seed in range(20)])["ac_at_3"] >= 0.9


def test_without_an_incident_hardly_anybody_is_accused(incident: Incident) -> None:
    calm = [solve(incident(seed, quiet=True), onset_known).accused for seed in range(30) for onset_known in (True, False)]
    assert np.mean(calm) <= 0.05


@pytest.mark.parametrize("seed", [0, 1, 3])
def test_order_and_units_of_columns_blame_the_same(incident: Incident, seed: int) -> None:
    case = incident(seed)
    s = case.series
    order = np.random.default_rng(seed).permutation(len(s.metrics))
    factor = np.where(s.kinds == "latency", 1000.0, 1.0)
    other = Series(s.t_s, (s.values * factor)[:, order], s.entity_ids, s.entity[order], tuple(s.metrics[j] for j in order), s.fails[order])
    one = solve(case)
    two = blame(other, case.graph, case.symptom, case.normal, case.window, case.onset_s)
    assert [each.entity_id for each in one.ranking[:5]] == [each.entity_id for each in two.ranking[:5]]
    np.testing.assert_allclose([each.score for each in one.ranking], [each.score for each in two.ranking], rtol=1e-5)
    assert one.path == two.path


def test_a_path_leads_along_calls_to_the_symptom(incident: Incident) -> None:
    case = incident(5)
    found = solve(case)
    calls = {(case.graph.ids[a], case.graph.ids[b]) for a, b in zip(case.graph.caller, case.graph.callee, strict=True)}
    assert found.path[0] == found.ranking[0].entity_id
    assert found.path[-1] == case.symptom[0]
    assert all((caller, callee) in calls for callee, caller in zip(found.path, found.path[1:], strict=False))


def test_nothing_to_score_is_refused() -> None:
    with pytest.raises(ValueError, match="no case"):
        evaluate([])
