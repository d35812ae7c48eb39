"""Requests for pods compile to who designs them."""

import pytest

from policies import catalogue
from policies.intent.contenders import contenders, neighbours
from policies.intent.interpret.reader import Site
from policies.intent.pods import other_pods
from policies.policy import PolicySet

QUESTION = "pool memory across 24 hosts for at most 10 % more per host"


def _targets(policy: PolicySet) -> dict[tuple[str, str], float]:
    return {(t["metric"], t["op"]): t["bound"] for t in policy.levers["pod_topology"][0].knobs["targets"]}  # type: ignore[index,union-attr]


def test_the_issues_questions_compile_to_octopus_with_absolute_targets(compiled) -> None:  # type: ignore[no-untyped-def]
    asked = compiled(QUESTION).policy
    assert {lever: [held.system for held in stack] for lever, stack in asked.levers.items()} == {
        "pod_topology": ["octopus"],
        "pool_allocation": ["octopus"],
    }
    # A bound that only permits is kept as well: what is built is decided once. 1.1 x 2,882 USD.
    assert _targets(asked) == pytest.approx({("memory.pod_hosts", ">="): 24.0, ("memory.cost_usd_per_host", "<="): 3170.2})
    saving = compiled("save 12 % of DRAM under 300 ns").policy
    assert _targets(saving) == pytest.approx({("memory.dram_saving_share", ">="): 0.12, ("memory.access_latency_s", "<="): 3e-7})


def test_what_should_be_built_is_functional_and_a_saving_is_operational(read) -> None:  # type: ignore[no-untyped-def]
    # As the golden set has it: a pod of so many hosts is a thing to build, a saving is how the site should behave.
    assert read(QUESTION).intent.kind == "functional"
    assert read("save 12 % of DRAM under 300 ns").intent.kind == "operational"


def test_an_upper_bound_on_hosts_reaches_the_designer(compiled) -> None:  # type: ignore[no-untyped-def]
    policy = compiled("save as much DRAM as possible with pods of at most 32 hosts").policy
    assert _targets(policy) == {("memory.pod_hosts", "<="): 32.0}
    assert policy.levers["pod_topology"][0].knobs["prefer"] == "saving"


@pytest.mark.parametrize(
    ("text", "prefer"), [("what is the biggest pod I can build for 1,100 dollars a host?", "hosts"), ("cheapest pod for 16 hosts", "cost")]
)
def test_the_objective_says_which_pod_is_preferred(text: str, prefer: str, compiled) -> None:  # type: ignore[no-untyped-def]
    assert compiled(text).policy.levers["pod_topology"][0].knobs["prefer"] == prefer


def test_a_size_that_a_kind_does_not_come_in_is_asked_about(compiled) -> None:  # type: ignore[no-untyped-def]
    found = compiled("use a fully connected pod of 6 hosts")
    assert "pod_topology" not in found.policy.levers
    assert ["2, 4 or 8" in finding.text for finding in found.findings if finding.severity == "question"] == [True]


def test_a_pod_is_of_the_whole_site(compiled) -> None:  # type: ignore[no-untyped-def]
    found = compiled("use a fully connected pod of 8 hosts in row-3")
    assert "pod_topology" not in found.policy.levers
    assert any("whole site" in finding.text for finding in found.findings if finding.severity == "question")
    assert catalogue.scopes_of("pool_allocation", "octopus") == catalogue.scopes_of("pod_topology", "octopus") == ()


def test_who_would_fill_a_pool_that_nobody_builds_is_told(compiled) -> None:  # type: ignore[no-untyped-def]
    found = compiled("use least loaded for pool allocation")
    assert any("nothing to allocate" in finding.text for finding in found.findings)
    assert not any("nothing to allocate" in finding.text for finding in compiled(QUESTION).findings)


def test_other_designers_and_sensible_knobs_are_tried_beside_octopus(compiled, read, site: Site) -> None:  # type: ignore[no-untyped-def]
    policy, intent = compiled(QUESTION).policy, read(QUESTION).intent
    kinds = contenders(intent, policy, site, 8)
    assert [item.levers["pod_topology"][0].system for item in kinds] == ["octopus", "fully_connected", "switch"]
    assert all(item.levers["pool_allocation"][0].knobs["targets"] for item in kinds[1:])  # knobs go along to the next lever
    for item in (*kinds, *neighbours(kinds[:2], kinds, 5)):
        catalogue.check(item, site.entities)
    near = neighbours(kinds[:1], kinds, 4)
    assert {item.levers["pod_topology"][0].knobs.get("prefer") for item in near} >= {"cost", "hosts"}
    # Who does not design the pod has nothing to prefer.
    assert not any("prefer" in item.levers["pool_allocation"][0].knobs for item in neighbours(kinds[1:2], kinds, 5))
    assert other_pods(policy, intent.model_copy(update={"settings": {"pod_topology": {"system": "octopus"}}})) == []


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("use islands-64x8n4", "islands-64x8n4"),
        ("build the pod block-design-25x8n4", "block-design-25x8n4"),
        ("use an islands pod of 96 hosts", "islands-96x8n4"),
        ("build a bibd of 21 hosts", "block-design-21x5n5"),
        ("a 37-host block design please", "block-design-37x12n4"),
        ("use a biregular pod for 48 hosts", "biregular-48x8n4"),
    ],
)
def test_one_design_is_asked_for_by_its_name_or_by_kind_and_hosts(text: str, name: str, read) -> None:  # type: ignore[no-untyped-def]
    assert read(text).intent.settings == {"pod_topology": {"system": "octopus", "design": name}}


def test_a_design_that_there_is_not_is_asked_about_with_the_nearest(compiled, read) -> None:  # type: ignore[no-untyped-def]
    (asked,) = [item for item in compiled("build a bibd of 14 hosts").findings if item.severity == "question"]
    assert "13 is no multiple of 3; nearest: block-design-13x4n4" in asked.text
    assert read("use anything but islands-96x8n4").intent.settings == {}


def test_half_of_what_the_plain_pod_costs_is_a_bound_and_no_plain_pod(read) -> None:  # type: ignore[no-untyped-def]
    intent = read("halve the cost per host of the fully connected pod").intent
    assert intent.settings == {}
    assert [(wish.metric, wish.value, wish.relative) for wish in intent.expectations] == [("memory.cost_usd_per_host", -0.5, True)]
    (wish,) = read("no migration of pooled memory").intent.expectations
    assert (wish.metric, wish.op, wish.value) == ("memory.migrated_bytes", "<=", 0.0)


def test_who_is_named_to_design_the_pod_fills_it_or_knows_that_another_does(compiled) -> None:  # type: ignore[no-untyped-def]
    alone = compiled("use octopus for a pod of 25 hosts").policy
    assert [held.system for held in alone.levers["pool_allocation"]] == ["octopus"]
    other = compiled("go with octopus for the pod topology and least loaded for pool allocation").policy
    assert [held.system for held in other.levers["pool_allocation"]] == ["least_loaded"]
    # Least loaded moves nothing: what is predicted for the pod must not count on it.
    assert other.levers["pod_topology"][0].knobs["migrate"] is False
