"""The claims of Workload Intelligence: what they come to on a short day, and that they move with what they rest on."""

import polars as pl
import pytest

from policies import study
from policies.policy import TODAY, PolicySet, Schedule
from policies.reproduce import check
from policies.systems.workload_intelligence import evidence
from policies.systems.workload_intelligence.claims import CLAIMS, NEGOTIATION, POLICY, SHORT, SURPLUS, SURVEYED
from twin.run import Run, simulate
from twin.scenario import load
from twin.variation import varied

CLAIM = {claim.id: claim for claim in CLAIMS}
TWO_HOURS_S = 7200.0


def run(policy: PolicySet, **settings: object) -> Run:
    scenario = varied(load("workload-intelligence"), {f"{NEGOTIATION}.{name}": value for name, value in settings.items()})
    return simulate(scenario, study.phases(Schedule.of(policy), scenario), seed=1, until_s=TWO_HOURS_S)


@pytest.fixture(scope="module")
def wise() -> Run:
    """Two hours at night with Workload Intelligence."""
    return run(PolicySet.model_validate(POLICY))


def test_simulated_bills_come_to_the_published_average(wise):
    """arXiv:2404.19143, abstract: 48.8 %."""
    assert evidence.price_cut(wise.tables) == pytest.approx(0.488, abs=0.01)


def test_no_requirement_is_broken_and_no_notice_is_late(wise):
    assert evidence.broken_vm_hours(wise.tables) == 0.0
    assert evidence.late_notices(wise.tables) == 0.0


def test_with_todays_policy_nobody_pays_less_and_one_price_list_is_enough():
    tables = run(TODAY).tables
    assert evidence.price_cut(tables) == 0.0
    assert evidence.price_list(tables) == 1.0


def test_more_of_what_is_partly_hinted_makes_it_cheaper(wise):
    more = run(PolicySet.model_validate(POLICY), partial_share=0.8)
    assert evidence.price_cut(more.tables) > evidence.price_cut(wise.tables) + 0.02


def test_without_spot_and_harvest_discounts_others_are_taken(wise):
    dear = run(PolicySet.model_validate(POLICY), discounts={"spot": 0.0, "harvest": 0.0})
    assert 0.25 < evidence.price_cut(dear.tables) < evidence.price_cut(wise.tables)
    granted = dear.tables["offers"].filter(pl.col("state").cast(pl.String) == "granted").collect()["optimisation"].cast(pl.String).unique()
    assert not {"spot", "harvest"} & set(granted)
    assert "oversubscription" in granted


def test_nothing_is_read_off_a_run_in_which_nobody_negotiates():
    for read in (evidence.price_cut, evidence.carbon_cut, evidence.broken_vm_hours, evidence.late_notices, evidence.price_list):
        assert read({}) is None


def test_a_class_without_a_vm_leaves_the_average_unknown(wise):
    some = {"bills": wise.tables["bills"].filter(pl.col("workload_id").cast(pl.String) != "media")}
    assert evidence.price_cut(some) is None


@pytest.mark.parametrize("name", SURVEYED)
def test_the_published_shares_hold_exactly(name, tmp_path):
    verdict, told = check(CLAIM[f"survey-{name}"], load("workload-intelligence"), tmp_path)
    assert verdict.word == "reproduced"
    assert verdict.ours == pytest.approx(SURVEYED[name][0], abs=1e-9)
    assert set(told["points"][0]["labels"]) >= set(SURVEYED)


def test_the_closed_form_shows_band_and_each_alone_beside_it(tmp_path):
    verdict, told = check(CLAIM["price-cut-closed-form"], load("workload-intelligence"), tmp_path)
    assert verdict.word == "reproduced"
    labels = told["points"][0]["labels"]
    assert labels["188 workloads, 5 %"] < verdict.ours < labels["188 workloads, 95 %"]
    assert {"spot, alone", "spot, added", "with spot 60%", "best one alone"} <= set(labels)


def test_what_is_fitted_is_counted_and_inputs_are_not_sold_as_findings():
    assert CLAIM["price-cut"].fitted_parameters == CLAIM["price-cut-closed-form"].fitted_parameters == 1
    assert all(CLAIM[f"survey-{name}"].fitted_parameters == 5 for name in SURVEYED)
    assert all("no finding" in CLAIM[f"survey-{name}"].setup for name in SURVEYED)


def test_the_sweep_over_surplus_begins_at_the_scenario_and_ends_where_vms_are_evicted():
    assert SURPLUS.own in SURPLUS.settings
    short = varied(load("workload-intelligence"), SURPLUS.settings[SHORT])
    ran = simulate(short, study.phases(Schedule.of(PolicySet.model_validate(POLICY)), short), seed=1, until_s=5 * TWO_HOURS_S)
    notices = ran.tables["notices"].collect()
    evicted = notices.filter((pl.col("kind").cast(pl.String) == "eviction") & (pl.col("outcome") == "done"))
    assert evicted.height > 0
    assert evidence.broken_vm_hours(ran.tables) == 0.0
    assert evidence.late_notices(ran.tables) == 0.0
