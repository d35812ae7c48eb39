"""The catalogue: what is found, what is refused and with which words."""

import subprocess
import sys

import pytest

from policies import catalogue
from policies.policy import TODAY, Held, PolicySet
from twin.sources import data_dir

ENTITIES = {"row": ("row-1", "row-2"), "endpoint": ("chat-70b", "chat-8b")}


def one(lever: str, system: str, scope: tuple[dict[str, str], ...] = (), **knobs: object) -> PolicySet:
    return PolicySet.model_validate({"name": "p", "levers": {lever: [{"system": system, "scope": scope, "knobs": knobs}]}})


def test_every_lever_of_the_twin_has_its_baseline_in_the_catalogue():
    for lever in catalogue.levers().values():
        holders = catalogue.holders_of(lever.name)
        assert holders[0].id == lever.baseline
        assert holders[0].levers[lever.name] == "holder"


def test_ids_of_systems_and_baselines_never_meet():
    assert not set(catalogue.systems()) & set(catalogue.baselines())


def test_listing_the_catalogue_compiles_no_router():
    code = "from policies import catalogue; import sys; catalogue.cards(); sys.exit('policies.baselines.routes' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=data_dir().parent, check=False).returncode == 0


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (one("request_routin", "tapas"), ["'request_routin'", "did you mean request_routing?"]),
        (one("request_routing", "tapaz"), ["request_routing", "'tapaz'", "did you mean tapas?"]),
        (one("instance_scaling", "static"), ["static cannot hold instance_scaling", "static_peak"]),
        (one("instance_scaling", "reactive", floor_shar=0.5), ["reactive", "'floor_shar'", "did you mean floor_share?"]),
        (one("instance_scaling", "reactive", floor_share=1.5), ["reactive", "floor_share = 1.5", "less than or equal to 1"]),
        (one("instance_scaling", "reactive", floor_share="much"), ["floor_share = 'much'"]),
        (one("request_routing", "round_robin", ({"kind": "endpoint", "id": "chat-7b"},)), ["endpoint 'chat-7b'", "did you mean chat-70b?"]),
        (one("request_routing", "round_robin", ({"kind": "rack", "id": "rack-1"},)), ["rack 'rack-1'", "the scenario has no rack"]),
        (
            one("instance_config", "tapas", targets=[{"metric": "plant.gpu_temp", "op": "<=", "bound": 80}]),
            ["tapas.targets", "did you mean plant.gpu_temp_max_c?"],
        ),
        (
            one(
                "instance_config",
                "tapas",
                targets=[{"metric": "plant.gpu_temp_max_c", "op": "<=", "bound": 80, "scope": [{"kind": "row", "id": "row-3"}]}],
            ),
            ["tapas.targets", "row 'row-3'"],
        ),
    ],
)
def test_what_does_not_fit_is_one_line_with_place_and_remedy(policy, words):
    with pytest.raises(ValueError, match="policy 'p'") as refused:
        catalogue.check(policy, ENTITIES)
    text = str(refused.value)
    assert "\n" not in text
    for word in words:
        assert word in text


def test_two_values_for_one_knob_of_one_system_are_refused():
    policy = PolicySet(
        name="p",
        levers={
            "request_routing": (Held(system="tapas", knobs={"temperature_margin_c": 2.0}),),
            "instance_config": (Held(system="tapas", knobs={"temperature_margin_c": 3.0}),),
        },
    )
    with pytest.raises(ValueError, match=r"temperature_margin_c is 2\.0 in request_routing and 3\.0 in instance_config"):
        catalogue.check(policy, ENTITIES)


def test_knobs_given_at_one_lever_belong_to_the_system_everywhere():
    policy = PolicySet(
        levers={"request_routing": (Held(system="tapas", knobs={"temperature_margin_c": 2.0}),), "instance_config": (Held(system="tapas"),)}
    )
    whole = catalogue.complete(policy)
    assert {held.knobs["temperature_margin_c"] for stack in whole.levers.values() for held in stack if held.system == "tapas"} == {2.0}


def test_a_stack_of_guards_only_is_completed_with_the_baseline():
    whole = catalogue.complete(one("request_routing", "tapas"))
    assert [held.system for held in whole.levers["request_routing"]] == ["tapas", "least_outstanding"]


def test_scoped_holders_leave_the_rest_to_the_baseline():
    whole = catalogue.complete(one("request_routing", "round_robin", ({"kind": "endpoint", "id": "chat-8b"},)))
    assert [held.system for held in whole.levers["request_routing"]] == ["round_robin", "least_outstanding"]


def test_knobs_of_a_scoped_baseline_do_not_reach_the_rest_unseen():
    row = ({"kind": "row", "id": "row-1"},)
    slow = {"clock_share": 0.6}
    alone = PolicySet(name="p", levers={"instance_config": (Held(system="static", scope=row, knobs=slow),)})
    written = PolicySet(name="p", levers={"instance_config": (Held(system="static", scope=row, knobs=slow), Held(system="static"))})
    for policy in (alone, written):
        with pytest.raises(ValueError, match="static also holds what lies outside row-1"):
            catalogue.check(policy, ENTITIES)
    catalogue.check(PolicySet(levers={"instance_config": (Held(system="static", scope=row),)}), ENTITIES)
    catalogue.check(PolicySet(levers={"instance_config": (Held(system="static", knobs=slow),)}), ENTITIES)


def test_a_scope_that_a_lever_cannot_tell_apart_is_refused():
    with pytest.raises(ValueError, match="uniform_cap cannot be held to endpoint chat-8b; a scope here is row, rack, server"):
        catalogue.check(one("emergency", "uniform_cap", ({"kind": "endpoint", "id": "chat-8b"},)), ENTITIES)


def test_a_compiled_router_is_held_to_an_endpoint_and_its_guard_to_a_place():
    row, endpoint = ({"kind": "row", "id": "row-1"},), ({"kind": "endpoint", "id": "chat-8b"},)
    with pytest.raises(ValueError, match="round_robin cannot be held to row row-1; a scope here is endpoint"):
        catalogue.check(one("request_routing", "round_robin", row), ENTITIES)
    catalogue.check(one("request_routing", "round_robin", endpoint), ENTITIES)
    catalogue.check(one("request_routing", "tapas", row), ENTITIES)


def test_placement_is_held_for_customers_and_endpoints_and_capacity_for_rows():
    row, endpoint, workload = (
        {"kind": kind, "id": name} for kind, name in (("row", "row-1"), ("endpoint", "chat-8b"), ("workload", "rented"))
    )
    known = {**ENTITIES, "workload": ("rented",), "rack": ("rack-1",)}
    catalogue.check(one("vm_placement", "best_fit", (endpoint, workload)), known)
    catalogue.check(one("capacity", "as_built", (row,)), known)
    with pytest.raises(ValueError, match="best_fit cannot be held to row row-1; a scope here is workload, endpoint"):
        catalogue.check(one("vm_placement", "best_fit", (row,)), known)
    with pytest.raises(ValueError, match="as_built cannot be held to rack rack-1; a scope here is row"):
        catalogue.check(one("capacity", "as_built", ({"kind": "rack", "id": "rack-1"},)), known)


def test_completing_twice_changes_nothing_and_writing_out_a_baseline_is_the_same_policy():
    whole = catalogue.complete(TODAY)
    assert catalogue.complete(whole).policy_id == whole.policy_id
    assert catalogue.complete(one("request_routing", "least_outstanding")).policy_id == whole.policy_id


def test_who_looks_into_a_run_afterwards_is_no_part_of_it():
    asked = one("investigation", "react_rca")
    assert catalogue.complete(asked).policy_id != catalogue.complete(TODAY).policy_id
    assert catalogue.as_run(asked).policy_id == catalogue.as_run(TODAY).policy_id
    assert not {"investigation", "confidence"} & set(catalogue.as_run(asked).levers)
    assert set(catalogue.complete(TODAY).levers) - set(catalogue.as_run(TODAY).levers) == {"investigation", "confidence"}


def test_the_difference_of_two_policy_sets_reads_as_one_line_per_changed_lever():
    policy = PolicySet.model_validate(
        {
            "levers": {
                "instance_scaling": [{"system": "reactive", "knobs": {"floor_share": 0.5}}],
                "request_routing": [{"system": "tapas", "scope": [{"kind": "row", "id": "row-1"}]}],
            }
        }
    )
    lines = catalogue.describe(policy, TODAY)
    assert len(lines) == 2
    assert lines[0] == "which instances are on: reactive scaling (floor_share 0.5), instead of sized for the peak"
    assert lines[1].startswith("which instance takes a request: TAPAS as guard for row-1, then least outstanding requests, instead of")
    assert catalogue.describe(TODAY, TODAY) == []


def test_targets_read_as_words():
    target = {"metric": "plant.gpu_temp_max_c", "op": "<=", "bound": 80.0, "from_hour": 12.0, "to_hour": 18.0}
    (line,) = catalogue.describe(one("instance_config", "tapas", targets=[target]), TODAY)
    assert "keeps hottest GPU at most 80.0" in line
    assert "from 12:00 to 18:00" in line


def test_memory_is_pooled_everywhere_or_nowhere():
    for lever, system in (("pod_topology", "none"), ("pool_allocation", "least_loaded")):
        with pytest.raises(ValueError, match="this lever is held everywhere, leave the scope out"):
            catalogue.check(one(lever, system, ({"kind": "row", "id": "row-1"},)), ENTITIES)
