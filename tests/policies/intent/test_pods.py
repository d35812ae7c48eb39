"""Requests for pods compile to who designs them, and are answered with a pod or with why none exists."""

from datetime import datetime
from pathlib import Path

import pytest

from policies import catalogue
from policies.intent import lifecycle
from policies.intent.compile import Compiled, compile_intent
from policies.intent.contenders import contenders, neighbours
from policies.intent.designed import designed
from policies.intent.explore import explore
from policies.intent.interpret.reader import Site
from policies.intent.model import Intent, read_back
from policies.intent.pinning import as_built, asks_for_design, findings_of, loosened, pinned, pins, without_design
from policies.intent.pods import other_pods
from policies.intent.references import references
from policies.intent.versions import Actor, site_of
from policies.policy import TODAY, Held, PolicySet
from policies.study import pod
from twin.scenario import Scenario
from twin.scenario import read as read_scenario
from twin.store.ledger import Ledger
from twin.store.runs import list_runs
from twin.store.runs import load as load_run

QUESTION = "pool memory across 24 hosts for at most 10 % more per host"


@pytest.fixture(scope="module")
def rented() -> Scenario:
    """The example's hosts for half an hour, three quarters of their vCPUs rented out; nothing is served."""
    raw = {
        "name": "rented", "fleet": "example", "start": "2026-07-14T13:00:00", "timezone": "America/Phoenix", "horizon_s": "30 min",
        "tick_s": 60, "seed": 7, "workloads": {"host_streams": [{"workload": "rented", "vcpus_share": 0.75}]},
    }  # fmt: skip
    return read_scenario(raw, "rented")


@pytest.fixture
def compiled(read, site: Site):  # type: ignore[no-untyped-def]
    def of(text: str) -> Compiled:
        return compile_intent(read(text).intent, site)

    return of


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


def test_a_request_is_answered_with_a_pod_that_keeps_its_bounds(compiled, rented: Scenario, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    policy = compiled(QUESTION).policy
    design = designed(rented, policy, 7, tmp_path)
    assert design is not None
    for option in design["front"]:
        assert option["metrics"]["memory.pod_hosts"] >= 24
        assert option["metrics"]["memory.cost_usd_per_host"] <= 3170.2
    assert design["chosen"]["name"] in {option["name"] for option in design["front"]}
    assert designed(rented, policy, 7, tmp_path) == design == designed(rented, policy, 7)
    (kept,) = (tmp_path / "designs").iterdir()
    assert kept.suffix == ".json"
    kept.write_text('{"chosen": ')
    assert designed(rented, policy, 7, tmp_path) == design


def test_why_no_pod_exists_is_said_with_the_nearest(compiled, rented: Scenario) -> None:  # type: ignore[no-untyped-def]
    design = designed(rented, compiled("pool memory across 24 hosts for at most 300 dollars per host").policy, 7)
    assert design is not None
    assert design["chosen"] is None
    assert design["front"] == []
    assert "pod cost per host" in design["why"]
    near = design["nearest"]["metrics"]
    assert near["memory.cost_usd_per_host"] > 300.0 or near["memory.pod_hosts"] < 24
    assert design["nearest"]["misses"]


def test_a_pod_asked_for_by_name_is_priced_and_none_is_no_design(rented: Scenario) -> None:
    named = PolicySet(levers={"pod_topology": (Held(system="fully_connected", knobs={"hosts": 8}),)})
    design = designed(rented, named, 7)
    assert design is not None
    assert design["chosen"]["metrics"]["memory.cost_usd_per_host"] == pytest.approx(2882.0)
    assert design["chosen"]["details"]["device_bytes"] > 0
    assert not asks_for_design(TODAY)
    assert designed(rented, PolicySet(levers={"pod_topology": (Held(system="none"),)}), 7) is None


RENTED_TOML = """
name = "rented"
fleet = "example"
start = 2026-07-14T13:00:00
timezone = "America/Phoenix"
horizon_s = "30 min"
tick_s = 60
seed = 7
[[workloads.host_streams]]
workload = "rented"
vcpus_share = 0.75
"""


def test_a_pod_is_tried_judged_and_put_in_force_like_any_policy(ana: Actor, noon: datetime, tmp_path: Path) -> None:
    place = tmp_path / "rented.toml"
    place.write_text(RENTED_TOML)
    record = lifecycle.capture(tmp_path, QUESTION, scenario=place, actor=ana, at=noon)
    design = lifecycle.design(tmp_path, record.intent_id)
    assert design is not None
    trial = lifecycle.try_on_twin(tmp_path, record.intent_id, actor=ana, at=noon)
    assert [(row.metric, row.standing, row.relative) for row in trial.rows] == [
        ("memory.pod_hosts", "met", False),
        ("memory.cost_usd_per_host", "met", False),
    ]
    # What the run built is what the design said, and it is held against the plain pod: 1.1 x 2,882 USD.
    assert [row.candidate for row in trial.rows] == pytest.approx([design["chosen"]["metrics"][row.metric] for row in trial.rows])
    assert trial.rows[1].bound == pytest.approx(3170.2)
    sentence = read_back(lifecycle.read(QUESTION, place).intent, references({}))
    assert "fully connected pod of 8 hosts, 2882" in sentence
    active = lifecycle.approve(tmp_path, record.intent_id, actor=ana, at=noon, read_back_as=sentence)
    assert active.state == "active"
    held = lifecycle.hold_against(tmp_path, trial.candidate_run_id, trial.today_run_id, actor=ana, at=noon)
    assert [item.standing for item in held] == ["met"]


@pytest.mark.slow
def test_pods_are_screened_on_a_part_of_the_day_that_goes_on_from_today(rented: Scenario, tmp_path: Path) -> None:
    intent = lifecycle.read(QUESTION + " from 13:20 to 13:30", rented).intent
    assert intent.window is not None
    found = explore(tmp_path, rented, intent, compile_intent(intent, site_of(rented)).policy, candidates=3)
    assert found.best is not None
    assert all(row.candidate is not None for item in found.candidates for row in item.rows)
    # The screen went on from today's run, which has no pod: there the VMs that stand were given memory in it.
    screened = [run for run in list_runs(tmp_path) if run.begin_s == 1200.0 and "memory.pod_hosts" in run.metrics]
    # Candidates that choose the same pod are one run.
    assert 2 <= len(screened) <= 3
    assert all(-1.0 < run.metrics["memory.dram_saving_share"] < 0.5 for run in screened)


def _pod_of(run_id: str, home: Path) -> tuple[str, tuple[int, ...]]:
    """Return the design that a run built, and the capacity of devices in each of its pods."""
    pods = load_run(run_id, home).tables["pods"].collect()
    return str(pods["design"][0]), tuple(int(size) for size in pods["device_bytes"])


def test_a_policy_that_is_not_pinned_may_build_another_pod_on_another_seed(compiled, rented: Scenario) -> None:  # type: ignore[no-untyped-def]
    # Why the chosen pod is written down: what is best hangs on the days before, and those on the seed.
    policy = compiled("save as much DRAM as possible with pods of at most 64 hosts").policy
    built = {(action.pod.name, action.device_bytes) for seed in (7, 8) if (action := pod(policy, rented, seed)).pod is not None}
    assert len(built) == 2


def test_the_chosen_pod_and_its_devices_are_the_same_on_every_seed(ana: Actor, noon: datetime, tmp_path: Path) -> None:
    place = tmp_path / "rented.toml"
    place.write_text(RENTED_TOML)
    record = lifecycle.capture(tmp_path, QUESTION, scenario=place, actor=ana, at=noon)
    assert record.policy is not None
    assert not pins(PolicySet.model_validate(dict(record.policy)))
    design = lifecycle.design(tmp_path, record.intent_id, actor=ana, at=noon)
    assert design is not None
    kept = lifecycle.record(tmp_path, record.intent_id)
    policy = PolicySet.model_validate(dict(kept.policy or {}))
    knobs = policy.levers["pod_topology"][0].knobs
    assert pins(policy)
    assert knobs["design"] == design["chosen"]["name"]
    assert policy.policy_id == kept.policy_id != record.policy_id
    assert any(knobs["design"] in item["text"] and item["severity"] == "info" for item in kept.findings)
    with Ledger(tmp_path).transaction() as ledger:
        trail = [entry.action for entry in ledger.audit_trail(f"{record.intent_id}/1")]
    assert trail[-2:] == ["intent.replace", "intent.pin"]
    # Asked again, it is answered with the same pod, and nothing is written.
    assert lifecycle.design(tmp_path, record.intent_id) == design
    assert lifecycle.record(tmp_path, record.intent_id) == kept
    trial = lifecycle.try_on_twin(tmp_path, record.intent_id, seeds=(7, 8), actor=ana, at=noon)
    built = {_pod_of(run_id, tmp_path) for run_id in trial.candidate_run_ids}
    assert built == {(knobs["design"], tuple(knobs["device_bytes"]))}  # type: ignore[arg-type]
    lifecycle.approve(tmp_path, record.intent_id, actor=ana, at=noon)


def test_a_trial_writes_the_pod_down_before_it_runs(ana: Actor, noon: datetime, tmp_path: Path) -> None:
    place = tmp_path / "rented.toml"
    place.write_text(RENTED_TOML)
    record = lifecycle.capture(tmp_path, QUESTION, scenario=place, actor=ana, at=noon)
    lifecycle.try_on_twin(tmp_path, record.intent_id, actor=ana, at=noon)
    kept = lifecycle.record(tmp_path, record.intent_id)
    assert pins(PolicySet.model_validate(dict(kept.policy or {})))
    assert kept.state == "simulated"
    assert Ledger(tmp_path).verify_audit() == []


def test_another_pod_of_the_front_and_another_bound_are_pinned_anew(ana: Actor, noon: datetime, tmp_path: Path) -> None:
    place = tmp_path / "rented.toml"
    place.write_text(RENTED_TOML)
    record = lifecycle.capture(tmp_path, QUESTION, scenario=place, actor=ana, at=noon)
    design = lifecycle.design(tmp_path, record.intent_id)
    assert design is not None
    other = next(option for option in design["front"] if option["name"] != design["chosen"]["name"])
    with pytest.raises(ValueError, match="is not among the pods that answer it"):
        lifecycle.build(tmp_path, record.intent_id, "block-design-7x3n3", actor=ana, at=noon)
    taken = lifecycle.build(tmp_path, record.intent_id, other["name"], actor=ana, at=noon)
    assert taken.version == 2
    again = lifecycle.design(tmp_path, record.intent_id)
    assert again is not None
    assert again["chosen"]["name"] == other["name"]
    assert {option["name"] for option in again["front"]} == {option["name"] for option in design["front"]}
    assert design["chosen"]["name"] in again["why"]
    assert [item["text"] for item in lifecycle.record(tmp_path, record.intent_id).findings if "written into" in item["text"]] == [
        item["text"] for item in lifecycle.record(tmp_path, record.intent_id).findings if other["name"] in item["text"]
    ]
    # Another bound: nothing of the former choice is left.
    intent = Intent.model_validate(dict(taken.intent))
    bounds = tuple(wish.model_copy(update={"value": 60.0}) if wish.metric == "memory.pod_hosts" else wish for wish in intent.expectations)
    lifecycle.edit(tmp_path, record.intent_id, intent.model_copy(update={"expectations": bounds}), actor=ana, at=noon)
    larger = lifecycle.design(tmp_path, record.intent_id)
    assert larger is not None
    assert larger["chosen"]["metrics"]["memory.pod_hosts"] >= 60
    held = PolicySet.model_validate(dict(lifecycle.record(tmp_path, record.intent_id).policy or {}))
    assert held.levers["pod_topology"][0].knobs["design"] == larger["chosen"]["name"]


def test_where_no_pod_keeps_every_bound_a_question_keeps_it_from_approval(ana: Actor, noon: datetime, tmp_path: Path) -> None:
    place = tmp_path / "rented.toml"
    place.write_text(RENTED_TOML)
    text = "pool memory across 24 hosts for at most 300 dollars per host"
    record = lifecycle.capture(tmp_path, text, scenario=place, actor=ana, at=noon)
    assert record.state == "checked"
    lifecycle.design(tmp_path, record.intent_id)
    kept = lifecycle.record(tmp_path, record.intent_id)
    assert kept.state == "questioned"
    assert not pins(PolicySet.model_validate(dict(kept.policy or {})))
    (asked,) = [item for item in kept.findings if item["severity"] == "question"]
    assert "No pod keeps every bound" in asked["text"]
    trial = lifecycle.try_on_twin(tmp_path, record.intent_id, actor=ana, at=noon)
    assert not trial.meets
    with pytest.raises(ValueError, match="has an open question: No pod keeps every bound"):
        lifecycle.approve(tmp_path, record.intent_id, actor=ana, at=noon, note="all the same")
    with pytest.raises(ValueError, match="gives no other bound"):
        lifecycle.answer(tmp_path, record.intent_id, asked["about"], "the blue one", actor=ana, at=noon)
    # The answer is another bound in the place of the one that binds.
    settled = lifecycle.answer(tmp_path, record.intent_id, asked["about"], "at most 1,500 dollars per host", actor=ana, at=noon)
    assert settled.state == "checked"
    assert [(wish["metric"], wish["value"]) for wish in settled.intent["expectations"]] == [
        ("memory.pod_hosts", 24.0), ("memory.cost_usd_per_host", 1500.0)
    ]  # fmt: skip
    found = lifecycle.design(tmp_path, record.intent_id)
    assert found is not None
    assert found["chosen"] is not None
    assert lifecycle.record(tmp_path, record.intent_id).state == "checked"


def test_plain_pods_are_pinned_by_the_size_of_their_devices(rented: Scenario) -> None:
    named = PolicySet(levers={"pod_topology": (Held(system="fully_connected", knobs={"hosts": 8}),)})
    held = pinned(named, designed(rented, named, 7))
    one, other = (pod(held, rented, seed).device_bytes for seed in (7, 8))
    assert one == other == pod(named, rented, 7).device_bytes != pod(named, rented, 8).device_bytes
    assert loosened(held) == named


def test_sizes_without_a_design_or_for_another_number_of_pods_are_refused(rented: Scenario) -> None:
    loose = PolicySet(levers={"pod_topology": (Held(system="octopus", knobs={"device_bytes": [1 << 35]}),)})
    with pytest.raises(ValueError, match=r"^[^\n]*device_bytes[^\n]*name it as design[^\n]*$"):
        designed(rented, loose, 7)
    three = PolicySet(
        levers={"pod_topology": (Held(system="octopus", knobs={"design": "block-design-25x8n4", "device_bytes": [1 << 35] * 2}),)}
    )
    with pytest.raises(ValueError, match="2 sizes of devices for 3 pods"):
        pod(three, rented, 7)
    assert "2 sizes of devices for 3 pods" in (designed(rented, three, 7) or {})["why"]


@pytest.mark.slow
def test_candidates_that_are_explored_hold_their_pod_by_name_and_none_twice(read, rented: Scenario, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    intent = read(QUESTION).intent
    policy = compile_intent(intent, site_of(rented)).policy
    held = pinned(policy, designed(rented, policy, rented.seed, tmp_path))
    found = explore(tmp_path, rented, intent, held, seed=9, candidates=6)
    assert all(pins(item.policy) for item in found.candidates)
    assert len({as_built(item.policy) for item in found.candidates}) == len({item.policy.policy_id for item in found.candidates})
    # Whichever seed it is tried on, the pod is that of the scenario's own past.
    own = next(item for item in found.candidates if item.policy.policy_id == held.policy_id)
    assert own.policy == held.model_copy(update={"name": own.policy.name})


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


def test_a_design_that_cannot_be_bought_is_answered_with_the_reason(compiled, rented: Scenario) -> None:  # type: ignore[no-untyped-def]
    policy = compiled("build a bibd of 21 hosts").policy
    found = designed(rented, policy, 7)
    assert found is not None
    assert found["chosen"] is None
    dear = read_scenario({**rented.spec.model_dump(mode="json"), "memory": {"cable_slack_m": 1.0}}, "rented")
    plain = designed(dear, PolicySet(levers={"pod_topology": (Held(system="switch", knobs={"hosts": 24}),)}), 7)
    assert plain is not None
    assert (plain["chosen"], "1.5 m" in plain["why"]) == (None, True)
    (asked,) = findings_of(found)
    assert asked.severity == "question"
    assert "No pod is built: prices v3-recalled have no device of 5 ports" in asked.text
    assert without_design([asked]) == []


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


@pytest.mark.slow
def test_where_no_pod_keeps_every_bound_exploring_tries_the_nearest(read, rented: Scenario, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    intent = read("pool memory across 24 hosts for at most 300 dollars per host").intent
    policy = compile_intent(intent, site_of(rented)).policy
    nearest = (designed(rented, policy, rented.seed, tmp_path) or {})["nearest"]["name"]
    found = explore(tmp_path, rented, intent, policy, candidates=2)
    assert found.best is None
    first = found.candidates[0]
    assert (first.policy.name, _pod_of(first.run_id, tmp_path)[0]) == ("candidate: the nearest pod", nearest)
