"""The closed form of prices against the published numbers, its laws, and the quotes of the page."""

from itertools import product

import numpy as np
import pytest

from policies.systems.workload_intelligence.prices import NAMES, Prices, quote
from twin.workloads.negotiation.classes import HIGHEST, Levels, WorkloadClass, named


def classes_of(*levels: Levels) -> tuple[WorkloadClass, ...]:
    return tuple(WorkloadClass(id=f"c-{index}", title="any", share=1 / len(levels), levels=each) for index, each in enumerate(levels))


def test_the_average_of_the_survey_is_the_published_one():
    """arXiv:2404.19143, abstract: prices fall on average by 48.8 %; the share that partial hints cover is fitted to it."""
    assert Prices().average() == pytest.approx(0.488, abs=5e-5)


def test_each_class_saves_what_was_worked_out_by_hand():
    cuts = dict(zip((each.id for each in Prices().classes), Prices().cuts(), strict=True))
    # Big data is all harvest. Media: half of the VMs at half their size, all at a higher clock. Telemetry: spot, then fewer nines, 2 %.
    assert cuts["big-data"] == pytest.approx(0.91)
    assert cuts["media"] == pytest.approx(1 - 0.75 * 0.9)
    assert cuts["telemetry"] == pytest.approx(1 - (0.4075 * 0.15 + 0.5925 * (0.4075 * 0.6 + 0.5925) * 0.98))
    assert cuts["identity"] == pytest.approx(0.02)
    assert cuts["databases"] == 0.0


def test_what_each_adds_comes_to_the_average_and_each_alone_is_as_computed_before():
    prices = Prices()
    added, alone = prices.waterfall(), prices.alone()
    assert sum(added.values()) == pytest.approx(prices.average(), abs=1e-12)
    percent = {name: round(100 * value, 2) for name, value in added.items()}
    assert percent == {
        "harvest": 22.75, "spot": 12.33, "multi_availability": 3.94, "rightsizing": 4.76, "oversubscription": 0.0, "region_agnostic": 2.44,
        "autoscaling": 0.95, "overclocking": 1.21, "underclocking": 0.0, "non_preprovisioning": 0.42,
    }  # fmt: skip
    assert alone["spot"] == pytest.approx(0.336, abs=5e-4)
    assert alone["multi_availability"] == pytest.approx(0.162, abs=5e-4)
    assert alone["underclocking"] == pytest.approx(0.0025)
    assert prices.best_alone() == pytest.approx(0.376, abs=5e-4)


def test_it_moves_with_each_discount_and_with_the_sample():
    moved = {name: average for name, (_, average) in Prices().sensitivity().items()}
    assert moved["spot 60%"] == pytest.approx(0.452, abs=5e-4)
    assert moved["multi_availability 25%"] == pytest.approx(0.478, abs=5e-4)
    assert moved["overclocking 30%"] == pytest.approx(0.512, abs=5e-4)
    band = Prices().band()
    assert (band.low_share, band.median_share, band.high_share) == pytest.approx((0.444, 0.489, 0.530), abs=0.004)


@pytest.mark.parametrize(
    ("harvest", "spot", "average"), [(0.2, 0.2, 0.485), (0.15, 0.15, 0.455), (0.1, 0.1, 0.428), (0.0, 0.1, 0.402), (0.0, 0.0, 0.378)]
)
def test_less_surplus_to_sell_leaves_less_to_save(harvest, spot, average):
    prices = Prices(harvest_at_most_share=harvest, spot_at_most_share=spot)
    assert prices.average() == pytest.approx(average, abs=6e-4)
    added = prices.waterfall()
    assert (added["oversubscription"] > 0) == (harvest + spot < 0.39)


@pytest.mark.parametrize("partial", [0.2, 0.4075, 0.8])
def test_one_level_more_never_raises_the_price_of_a_class(partial):
    shape = [most + 1 for most in HIGHEST.values()]
    every = [Levels(**dict(zip(HIGHEST, levels, strict=True))) for levels in product(*(range(size) for size in shape))]
    cuts = Prices(classes_of(*every), partial_share=partial).cuts().reshape(shape)
    assert cuts.flat[0] == 0.0
    steps = [np.diff(cuts, axis=axis) for axis in range(len(shape))]
    assert sum(step.size for step in steps) == 1188
    assert min(step.min() for step in steps) >= -1e-12


def test_a_quote_agrees_with_the_closed_form_class_by_class():
    prices = Prices()
    for each, cut in zip(prices.classes, prices.cuts(), strict=True):
        asked = quote(each.levels)
        # VM by VM a hint opens several optimisations at once, where the closed form multiplies their averages.
        assert 1.0 - asked.price_share == pytest.approx(cut, abs=0.006), each.id
        assert sum(asked.saved_share.values()) == pytest.approx(1.0 - asked.price_share)
        assert list(asked.saved_share) == list(NAMES)


def test_a_quote_answers_hints_that_are_written_over_those_of_the_class():
    silent = quote({})
    assert silent.price_share == 1.0
    assert not any(silent.covered_share.values())
    assert [clause.key for clause in silent.missing["spot"]] == ["preemptible", "availability_nines"]
    spot = quote({}, {"preemptible": True, "availability_nines": 2, "preemptibility_share": 1.0})
    assert spot.price_share == pytest.approx(0.15)
    assert spot.covered_share["spot"] == 1.0
    assert spot.missing["spot"] == ()
    assert [clause.key for clause in spot.missing["harvest"]] == ["scale_up_down", "delay_tolerance_s"]
    assert quote({"preemption": 2, "availability": 2}, {"availability_nines": 4}).price_share == 1.0
    with pytest.raises(ValueError, match="did you mean preemptible"):
        quote({}, {"preemptable": True})


def test_a_quote_follows_the_discounts_and_the_partial_share_that_are_asked_for():
    assert quote({"preemption": 2, "availability": 2}, taken_off={"spot": 0.6, "multi_availability": 0.0}).price_share == pytest.approx(0.4)
    assert quote({"preemption": 1, "availability": 1}, partial_share=0.0).price_share == 1.0
    assert quote({"preemption": 1, "availability": 1}, partial_share=1.0).price_share == pytest.approx(0.15)


def test_other_classes_give_other_prices():
    assert Prices(classes_of(Levels())).average() == 0.0
    assert Prices([named("survey")["identity"]]).average() == pytest.approx(0.02)
