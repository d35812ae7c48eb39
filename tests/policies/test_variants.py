"""A stored run asked again: the same world, one thing changed."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies import ablations, study, variants
from policies.policy import TODAY, Held, PolicySet
from twin.store import runs

COOLER = PolicySet(name="cooler", levers={"request_routing": (Held(system="tapas"),)})


@pytest.fixture(scope="module")
def stored(tiny_scenario, tmp_path_factory):
    home = tmp_path_factory.mktemp("variants")
    return home, study.run(tiny_scenario, COOLER, tiny_scenario.seed, home)


def test_the_scenario_of_a_run_is_the_one_that_it_was_made_of(tiny_scenario, stored):
    home, run_id = stored
    again = variants.scenario_of(run_id, home)
    assert again.canonical() == tiny_scenario.canonical()
    assert again.seed == tiny_scenario.seed
    assert study.run(again, variants.schedule_of(run_id, home, "as run"), again.seed, home) == run_id


@settings(max_examples=60, deadline=None)
@given(t_s=st.floats(0, 90_000), end_s=st.floats(900, 86_400))
def test_a_what_if_covers_a_part_of_the_run_that_a_snapshot_can_begin(t_s, end_s):
    begin, end = variants.window(t_s, end_s)
    assert begin % 300 == 0
    assert 300 <= begin < end <= end_s
    assert end - begin <= variants.LONGEST_S


def test_an_air_handler_is_one_of_those_of_its_aisle(tiny_scenario):
    (fault,) = variants.changed(tiny_scenario, "ahu_loss", "aisle-1", 700.0).spec.faults
    assert (fault.severity, fault.from_s, fault.until_s) == (0.5, 700.0, None)
    assert variants.changed(tiny_scenario, "outside", "", 700.0).spec.plant.weather.outside_offset_c == 5.0


def test_a_lost_air_handler_is_told_at_its_time_and_heats_nothing_before(stored, tiny_scenario):
    home, run_id = stored
    answer = variants.what_if(run_id, "ahu_loss", "aisle-1", 720.0, home, name="lost")
    manifest = runs.manifest_of(answer, home)
    assert (manifest["begin_s"], manifest["end_s"]) == (600.0, tiny_scenario.horizon_s)
    assert manifest["schedule"] == runs.manifest_of(run_id, home)["schedule"]
    events = runs.load(answer, home).tables["events"].collect()
    assert 720.0 in events.filter(events["kind"] == "ahu_loss")["t_s"].to_list()
    count = len(runs.run_ids(home))
    assert variants.what_if(run_id, "ahu_loss", "aisle-1", 720.0, home, name="lost") == answer
    assert len(runs.run_ids(home)) == count
    hotter = variants.what_if(run_id, "outside", "", 720.0, home, name="hot")
    was = runs.load(answer, home).tables["site"].collect()["outside_c"].max()
    now = runs.load(hotter, home).tables["site"].collect()["outside_c"].max()
    assert now == pytest.approx(was + 5.0, abs=0.01)


def test_parts_of_tapas_hold_its_levers_and_no_others():
    found = ablations.ablations()
    assert next(iter(found)) == "today"
    assert found["today"] == TODAY
    assert set(found["Route"].levers) == {"request_routing"}
    assert set(found["Config"].levers) == {"instance_config", "emergency", "instance_scaling"}
    assert {held.system for policy in found.values() for stack in policy.levers.values() for held in stack} == {"tapas"}
    assert len({policy.policy_id for policy in found.values()}) == len(found)
    assert all(policy.name.startswith(ablations.PREFIX) for label, policy in found.items() if label != "today")


def test_every_part_is_run_in_the_world_of_the_run_and_today_is_the_reference(stored, monkeypatch):
    home, run_id = stored
    # Two of them show it; all would only take longer.
    some = {label: policy for label, policy in ablations.ablations().items() if label in {"today", "Route"}}
    monkeypatch.setattr(variants, "ablations", lambda asked: some)
    found = variants.ablate(run_id, home)
    assert found["Route"] == run_id
    assert runs.manifest_of(found["today"], home)["exogenous"] == runs.manifest_of(run_id, home)["exogenous"]


def test_a_question_goes_on_from_where_the_runs_own_policy_was_and_the_next_one_starts_nearer(tiny_scenario, tmp_path, monkeypatch):
    monkeypatch.setattr(variants, "KEPT_EVERY_S", 300.0)
    run_id = study.run(tiny_scenario, COOLER, tiny_scenario.seed, tmp_path)
    begun = variants.begin(run_id, 720.0, tmp_path)
    manifest = runs.manifest_of(begun.run_id, tmp_path)
    assert begun.t_s == manifest["end_s"] == 600.0
    assert manifest["begin_s"] == 300.0
    assert manifest["schedule"] == runs.manifest_of(run_id, tmp_path)["schedule"]
    count = len(runs.run_ids(tmp_path))
    assert variants.begin(run_id, 1000.0, tmp_path).t_s == 900.0
    assert len(runs.run_ids(tmp_path)) == count + 1
    # Nothing asked: the part of the day is that of the run, to the last bit.
    same = study.run(
        tiny_scenario, COOLER, tiny_scenario.seed, tmp_path, window_s=(600.0, tiny_scenario.horizon_s), start=begun
    )  # fmt: skip
    whole, part = (runs.load(one, tmp_path).tables["site"].collect() for one in (run_id, same))
    assert whole.filter(whole["t_s"] > 600.0).equals(part)


def test_a_larger_site_can_be_asked_and_its_parts_are_compared_at_its_size(tiny_scenario, tmp_path):
    larger = PolicySet(name="larger", levers={"capacity": (Held(system="tapas", knobs={"oversubscription_share": 0.25}),)})
    run_id = study.run(tiny_scenario, larger, tiny_scenario.seed, tmp_path)
    extra = runs.manifest_of(run_id, tmp_path)["extra_servers"]
    assert extra
    answer = variants.what_if(run_id, "ahu_loss", "aisle-1", 720.0, tmp_path, name="lost")
    assert runs.manifest_of(answer, tmp_path)["extra_servers"] == extra
    parts = ablations.ablations(larger)
    assert all(policy.levers["capacity"] == larger.levers["capacity"] for policy in parts.values())
    assert study.run(tiny_scenario, parts["today"], tiny_scenario.seed, tmp_path) == run_id
    assert len(runs.manifest_of(study.run(tiny_scenario, parts["Route"], tiny_scenario.seed, tmp_path), tmp_path)["extra_servers"]) == len(
        extra
    )
