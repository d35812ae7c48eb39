"""Claims of Murakkab: what comes out beside the papers, on its own scenarios cut to size."""

from dataclasses import replace

import polars as pl
import pytest

from policies.reproduce import check
from policies.systems.murakkab import SYSTEM, evidence
from policies.systems.murakkab.claims import AS_WRITTEN, MURAKKAB
from twin.scenario import load
from twin.variation import varied

CLAIMS = {claim.id: claim for claim in SYSTEM.claims}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Return the verdict on a claim at its own point."""
    home = tmp_path_factory.mktemp("claims")

    def verdict(claim_id):
        claim = CLAIMS[claim_id]
        return check(replace(claim, evidence=replace(claim.evidence, sweeps=())), load(claim.scenario), home)[0]

    return verdict


def test_the_video_job_is_faster_and_draws_less_as_the_abstract_says(found):
    # 3.4x and 4.5x, arXiv:2501.16634.
    faster, energy = found("faster"), found("energy")
    assert 3.2 <= faster.ours <= 3.6
    assert 4.2 <= energy.ours <= 4.8
    assert faster.word == energy.word == "reproduced"


@pytest.mark.parametrize("name", [name for name in CLAIMS if name.startswith(("written", "speech-on"))])
def test_the_table_by_configuration_comes_out(found, name):
    assert found(name).word == "reproduced", name


def test_only_the_energy_with_speech_on_gpus_is_called_predicted():
    rows = {name: claim.fitted_parameters for name, claim in CLAIMS.items() if name.startswith(("written", "speech-on"))}
    assert [name for name, fitted in rows.items() if not fitted] == ["speech-on-gpus-energy"]


@pytest.mark.parametrize("name", ["speech-for-min-cost", "speech-for-min-energy", "speech-for-min-latency"])
def test_speech_is_done_where_the_paper_does_it(found, name):
    assert found(name).word == "reproduced"


def test_three_workflows_hold_fewer_gpus_and_cost_less_on_a_quarter_of_an_hour(tmp_path):
    scenario = varied(load("murakkab-tenants"), {"horizon_s": 900.0})
    for name in ("gpu-usage", "tenants-energy", "tenants-cost"):
        assert check(CLAIMS[name], scenario, tmp_path)[0].ours > 2.0


def test_a_run_that_refuses_jobs_is_no_evidence():
    jobs = pl.LazyFrame({"outcome": ["done", "refused"], "makespan_s": [10.0, float("nan")], "energy_j": [3600.0, 0.0]})
    use = pl.LazyFrame({"held_gpus": [8.0] * 60, "power_w": [100.0] * 60, "cost_usd_per_h": [2.0] * 60})
    assert evidence.makespan_s({"jobs": jobs}) is None
    assert evidence.gpu_sparing({"jobs": jobs, "workflow_use": use}) is None
    kept = jobs.filter(pl.col("outcome") == "done")
    assert evidence.energy_wh({"jobs": kept}) == 1.0
    assert evidence.gpu_sparing({"jobs": kept, "workflow_use": use}) == pytest.approx(1.0 / 8.0)
    assert evidence.energy_sparing({"jobs": kept, "workflow_use": use}) == pytest.approx(1.0 / 100.0)


def test_both_sides_hold_the_same_lever():
    assert AS_WRITTEN["levers"].keys() == MURAKKAB["levers"].keys()
