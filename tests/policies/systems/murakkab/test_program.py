"""The mixed-integer program beside all choices tried one by one, and its room for GPUs and cores."""

from dataclasses import replace
from itertools import product

import pytest

from policies.systems.murakkab.asking import asked, site_of
from policies.systems.murakkab.knobs import MurakkabKnobs
from policies.systems.murakkab.program import Bounds, Program
from policies.systems.murakkab.ways import ways
from twin.workflows.library import terms
from twin.workflows.settings import Limits


def program(lab, workflow, *, cold=False, **ground):
    seen = lab.seen(workflow)
    work = asked(workflow and seen.demanded[0], seen, MurakkabKnobs(), lab.around, 0.0).work
    site = replace(site_of(seen, MurakkabKnobs()), **ground)
    return Program(work, site, ways(work, site, terms()), cold=cold)


@pytest.mark.parametrize("cold", [False, True])
@pytest.mark.parametrize("aim", ["cost_usd", "energy_j", "makespan_s"])
def test_no_choice_that_fits_is_better_than_the_program_s(lab, aim, cold):
    made = program(lab, lab.code(items=6, rate_per_h=60.0, limits=Limits()), cold=cold)
    held_s = 60.0
    by_stage = [[way for way in made.ways if way.stage == stage] for stage in range(2)]
    values = []
    for taken in product(*by_stage):
        instances = made.instances_of(taken)
        if made.fits(instances, taken):
            whole = {
                "makespan_s": made.makespan_s(taken),
                "cost_usd": sum(way.worked_usd for way in taken)
                + sum(count * next(way for way in taken if way.pool == pool).held_usd_per_h for pool, count in instances.items())
                * held_s / 3600.0,
                "energy_j": sum(way.worked_j for way in taken)
                + sum(count * next(way for way in taken if way.pool == pool).held_w for pool, count in instances.items()) * held_s,
            }  # fmt: skip
            values.append(whole[aim])
    found = made.solve(aim, Bounds(held_s=held_s))
    assert found is not None
    row = made.expression(aim, held_s)
    mine = found.makespan_s if aim == "makespan_s" else sum(
        row[made.ways.index(way)] for way in found.ways
    ) + sum(row[made._e0 + made.pools.index(pool)] * count for pool, count in found.instances.items())  # fmt: skip
    assert mine == pytest.approx(min(values), rel=1e-3)


def test_the_times_that_the_program_bounds_are_those_of_its_choice(lab):
    made = program(lab, lab.video(rate_per_h=1.0))
    fastest = made.solve("makespan_s", Bounds())
    # A bound just below the least makespan leaves nothing: the rows say no less than the times of the ways.
    assert made.solve("cost_usd", Bounds(makespan_s=fastest.makespan_s * 0.999)) is None
    assert made.solve("cost_usd", Bounds(makespan_s=fastest.makespan_s * 1.001)) is not None


def test_an_instance_that_is_not_warm_starts_first(lab):
    warm, cold = (
        program(lab, lab.video(rate_per_h=1.0), cold=cold).solve("makespan_s", Bounds(quality_share=0.99)) for cold in (False, True)
    )
    # The large model starts in 90 s while scenes are split and heard.
    assert cold.makespan_s > max(90.0, warm.makespan_s) + 10.0


def test_gpus_and_cores_of_the_ground_are_never_exceeded(lab):
    # Of this kind there are fewer than of all kinds; the fastest would take more for speech, summaries and embeddings together.
    made = program(lab, lab.video(rate_per_h=1.0, limits=Limits()), gpus=(("a100", 6),), gpus_in_all=99)
    found = made.solve("makespan_s", Bounds())
    used = sum(count * next(way for way in found.ways if way.pool == pool).profile.gpus for pool, count in found.instances.items())
    assert 0 < used <= 6
    # 225 jobs an hour of 16 scenes: frames and objects keep a core busy each, what is indexed a tenth of one; 82 percent full at most.
    many = lab.video(rate_per_h=225.0, swing_share=0.0, limits=Limits())
    assert program(lab, many, cores=2.0).solve("cost_usd", Bounds()) is None
    assert program(lab, many, cores=3.0).solve("cost_usd", Bounds()) is not None
