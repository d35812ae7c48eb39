"""The trade-off front of a workflow, as an answer that can be adopted."""

import pytest

from policies.systems.murakkab.answer import answer
from policies.systems.murakkab.knobs import MurakkabKnobs
from twin.workflows.settings import Limits

MAKESPAN, ENERGY, COST, QUALITY = (
    "workflows.makespan_p50_s",
    "workflows.energy_j_per_job",
    "workflows.cost_usd_per_job",
    "workflows.quality_min_share",
)


@pytest.fixture(scope="module")
def front(lab):
    return answer(MurakkabKnobs(), lab.seen(lab.video(limits=Limits())))


def test_none_of_the_front_beats_another(front):
    assert len(front.front) >= 5
    for one in front.front:
        for other in front.front:
            better = [one.metrics[name] < other.metrics[name] * (1 - 1e-6) for name in (MAKESPAN, ENERGY, COST)]
            better.append(one.metrics[QUALITY] > other.metrics[QUALITY])
            worse = [one.metrics[name] > other.metrics[name] * (1 + 1e-6) for name in (MAKESPAN, ENERGY, COST)]
            worse.append(one.metrics[QUALITY] < other.metrics[QUALITY])
            assert not any(better) or any(worse) or one is other


def test_it_holds_the_paper_s_plan_and_a_small_model_s(front):
    # arXiv:2501.16634: 83 s and 34 Wh with speech-to-text on cores; alone on warm instances, as there.
    papers = [each for each in front.front if each.metrics[QUALITY] == 1.0]
    assert min(each.details["alone_energy_j"] for each in papers) / 3600.0 == pytest.approx(34.0, rel=0.03)
    assert min(each.metrics[QUALITY] for each in front.front) < 1.0


def test_the_chosen_is_the_best_for_the_objective(lab):
    for constraint, metric in (("MIN_COST", COST), ("MIN_ENERGY", ENERGY), ("MIN_LATENCY", MAKESPAN)):
        found = answer(MurakkabKnobs(), lab.seen(lab.video(limits=Limits(), constraint=constraint)))
        assert found.chosen is not None
        assert found.chosen.metrics[metric] == min(each.metrics[metric] for each in found.front)


def test_an_option_that_is_adopted_is_what_is_planned(lab, front):
    for option in front.front:
        planned = lab.murakkab(**option.knobs).plan(lab.seen(lab.video(limits=Limits()))).plans["video"]
        assert planned.predicted["makespan_s"] == pytest.approx(option.metrics[MAKESPAN], rel=1e-6)
        assert planned.predicted["cost_usd"] == pytest.approx(option.metrics[COST], rel=1e-6)
        assert planned.hold == bool(option.details["held"])


def test_a_held_plan_comes_to_in_a_run_what_was_foreseen(lab, front):
    option = min((each for each in front.front if each.details["held"]), key=lambda each: each.metrics[MAKESPAN])
    job = lab.video(limits=Limits(), rate_per_h=0.0, at_s=(0.0, 600.0, 1200.0))
    tables = lab.done(lab.murakkab(**option.knobs), job, horizon_s=2400.0)
    assert tables["jobs"]["makespan_s"].to_list() == pytest.approx([option.details["alone_makespan_s"]] * 3, abs=0.01)


def test_limits_cut_the_front_and_what_cannot_be_had_names_the_nearest(lab):
    found = answer(MurakkabKnobs(), lab.seen(lab.video(limits=Limits(makespan_s=60.0))))
    assert found.front
    assert all(each.metrics[MAKESPAN] <= 60.0 for each in found.front)
    none = answer(MurakkabKnobs(), lab.seen(lab.video(limits=Limits(makespan_s=5.0))))
    assert none.chosen is None
    assert "makespan" in none.why
    assert none.nearest is not None
    assert none.nearest.misses


def test_the_workflow_is_the_one_that_is_named(lab):
    seen = lab.seen(lab.video(), lab.code())
    assert answer(MurakkabKnobs(), seen).front[0].name.startswith("video-")
    assert answer(MurakkabKnobs(workflow="code"), seen).refused or answer(MurakkabKnobs(workflow="code"), seen).front
    with pytest.raises(ValueError, match=r"murakkab\.workflow: there is no workflow 'film'; there are: video, code"):
        answer(MurakkabKnobs(workflow="film"), seen)
