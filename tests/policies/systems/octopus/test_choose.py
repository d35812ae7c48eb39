"""Which pod Octopus builds: the front, the limits, what binds, and refusals in words."""

import math
import re
from dataclasses import replace

import pytest

from policies.catalogue import check
from policies.policy import Held, PolicySet
from policies.system import Target
from policies.systems.octopus.choose import answer
from policies.systems.octopus.knobs import OctopusKnobs
from policies.systems.octopus.limits import COST, HOSTS, LATENCY, SAVING, shortfall
from policies.systems.octopus.options import Site, device_bytes, option
from policies.systems.octopus.unbeaten import SITE_SAVING
from twin.memory import cost, designs, prices, wiring

GIB = 1 << 30


def at_most(metric, bound):
    return Target(metric=metric, op="<=", bound=bound)


def at_least(metric, bound):
    return Target(metric=metric, op=">=", bound=bound)


def asked(*targets, **knobs):
    return OctopusKnobs(targets=targets, **knobs)


def beats(one, other):
    mine, its = ((each.metrics[SAVING], each.details[SITE_SAVING], each.metrics[HOSTS], -each.metrics[COST]) for each in (one, other))
    return mine != its and all(a >= b for a, b in zip(mine, its, strict=True))


def test_no_pod_of_the_front_is_beaten_by_any_design_that_keeps_the_limits(seen):
    here = seen()
    answered = answer(asked(at_least(HOSTS, 9)), here)
    site = Site.of(here, 0.05, True)
    able = [option(design, site) for design in designs.feasible(8, (2, 4, 8), 9, 30)]
    kept = [each for each in able if each.metrics[HOSTS] >= 9 and each.metrics[SAVING] >= 0.0]
    assert kept
    best = {each.name for each in kept if not any(beats(other, each) for other in kept)}
    assert {each.name for each in answered.front} == best
    assert answered.chosen in answered.front


def test_the_question_of_24_hosts_is_answered_with_a_pod_within_its_cost(seen):
    table = prices.table("v3-recalled")
    eight = designs.fully_connected(8, 8)
    bound_usd = 1.1 * cost.cost_of(eight, table, wiring.lay(eight, 0.0)).per_host_usd
    answered = answer(asked(at_least(HOSTS, 24), at_most(COST, bound_usd)), seen())
    assert answered.chosen is not None
    assert answered.chosen.metrics[HOSTS] >= 24
    assert answered.chosen.metrics[COST] <= bound_usd
    assert all(not shortfall(each.metrics, (at_least(HOSTS, 24), at_most(COST, bound_usd))) for each in answered.front)
    assert answered.chosen.name in answered.why


@pytest.mark.parametrize(
    ("prefer", "best"),
    [
        ("saving", lambda each: -each.details[SITE_SAVING]),
        ("cost", lambda each: each.metrics[COST]),
        ("hosts", lambda each: -each.metrics[HOSTS]),
    ],
)
def test_what_is_preferred_is_the_best_of_the_front_in_that(seen, prefer, best):
    answered = answer(asked(prefer=prefer), seen())
    assert best(answered.chosen) == min(best(each) for each in answered.front)


def test_hosts_that_fill_no_whole_pod_count_against_a_pod(seen):
    """Of 30 hosts pods of 13 leave four, those of 25 leave five and those of 3 none: what a pod saves is not what the site saves."""
    site = Site.of(seen(), 0.05, True)
    none, four, five = (option(designs.parse(name), site) for name in ("complete-3x2n2", "block-design-13x4n4", "block-design-25x8n4"))
    assert [each.details["hosts_without_pod"] for each in (none, four, five)] == [0.0, 4.0, 5.0]
    assert none.details[SITE_SAVING] == none.metrics[SAVING]
    for each in (four, five):
        assert 0.0 < each.details[SITE_SAVING] < each.metrics[SAVING]
    named = answer(asked(design=five.name), seen()).why
    assert "on the site, hosts in no pod included" in named
    assert "on the site, hosts" not in answer(asked(design=none.name), seen()).why


def test_a_tighter_limit_of_cost_never_saves_more(seen):
    here = seen()
    saved = []
    for usd in (4000.0, 1300.0, 800.0, 500.0):
        chosen = answer(asked(at_most(COST, usd)), here).chosen
        saved.append(-math.inf if chosen is None else chosen.details[SITE_SAVING])
    assert saved == sorted(saved, reverse=True)
    assert saved[0] > saved[-1]


def test_where_none_exists_it_says_what_binds_and_what_is_nearest(seen):
    answered = answer(asked(at_least(SAVING, 0.9), at_most(LATENCY, 300e-9)), seen())
    assert answered.chosen is None
    assert answered.front == ()
    assert "DRAM saved at least 90.0" in answered.why
    assert "binds" in answered.why
    assert answered.nearest is not None
    best = max(each.metrics[SAVING] for each in answer(asked(), seen()).front)
    assert answered.nearest.metrics[SAVING] == best, "nothing saves more than what is nearest"
    (miss,) = answered.nearest.misses
    assert "at least 90.0" in miss


def test_a_limit_of_latency_below_every_device_leaves_no_pod(seen):
    answered = answer(asked(at_most(LATENCY, 200e-9)), seen())
    assert answered.chosen is None
    assert "memory latency at most 200" in answered.why


def test_prices_that_have_no_device_of_some_ports_are_named_with_the_reason(seen):
    answered = answer(asked(), seen(prices="v1-calibrated"))
    assert answered.chosen is not None
    assert answered.refused
    assert all("have no device of 2 ports" in reason for reason in answered.refused.values())
    assert all("n2" in name for name in answered.refused)


def test_other_prices_change_the_cost_and_nothing_else_of_a_pod(seen):
    one, other = (option(designs.parse("fully-connected-8x8n8"), Site.of(seen(prices=name), 0.05, True)) for name in prices.names()[:2])
    assert one.metrics[COST] != other.metrics[COST]
    assert {name: value for name, value in one.metrics.items() if name != COST} == {
        name: value for name, value in other.metrics.items() if name != COST
    }


def test_a_pod_whose_cables_are_too_long_is_refused_with_how_many(seen):
    answered = answer(asked(at_least(HOSTS, 24)), seen(cable_slack_m=0.9))
    assert answered.chosen is None
    assert "block-design-25x8n4: 1" in answered.refused["block-design-25x8n4"].replace("pod ", "")
    assert "cables are longer than 1.5 m" in answered.refused["block-design-25x8n4"]
    assert "no pod can be built here: " in answered.why
    assert "cables are longer than 1.5 m" in answered.why


def test_where_cables_not_hosts_are_what_is_missing_the_answer_says_so(seen):
    """Pods of up to 13 hosts can be wired with so much slack, and none of the 24 that are asked for."""
    why = answer(asked(at_least(HOSTS, 24)), seen(cable_slack_m=0.75)).why
    assert "hosts in the pod at least 24 that binds" in why
    named = re.search(r"\. (\S+-\d+x\dn4) cannot be built here, nor \d+ more of such hosts: (.*)$", why)
    assert designs.parse(named[1]).hosts >= 24
    assert "cables are longer than 1.5 m" in named[2]
    assert "cannot be built here" not in answer(asked(at_least(HOSTS, 500)), seen()).why


def test_a_pod_asked_for_by_name_is_built_and_says_what_it_misses(seen):
    answered = answer(asked(at_least(SAVING, 0.9), design="block-design-13x4n4"), seen())
    assert answered.chosen.name == "block-design-13x4n4"
    assert answered.chosen.misses
    assert "misses 1 of the limits" in answered.why


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("block-design-14x4n4", "nearest"),
        ("islands-96x8n4", "96 hosts and the site 30"),
        ("nonsense", "names no pod"),
    ],
)
def test_a_name_that_cannot_be_built_is_refused_in_one_line(seen, name, words):
    def held() -> None:
        check(PolicySet(name="named", levers={"pod_topology": (Held(system="octopus", knobs={"design": name}),)}), {})
        answer(asked(design=name), seen())

    with pytest.raises(ValueError, match=words) as refused:
        held()
    assert "\n" not in str(refused.value)


def test_a_site_without_enough_hosts_has_no_pod(seen, past_of):
    answered = answer(asked(), seen(past_of(1)))
    assert answered.chosen is None
    assert "fits a site of 1 host" in answered.why


def test_more_headroom_makes_devices_larger_and_saves_less(seen):
    here, design = seen(), designs.parse("block-design-13x4n4")
    plain, ample = (Site.of(here, share, True) for share in (0.0, 0.5))
    assert sum(device_bytes(design, ample)) > sum(device_bytes(design, plain))
    assert option(design, ample).metrics[SAVING] < option(design, plain).metrics[SAVING]


def test_a_pod_that_needs_more_dram_than_it_saves_is_not_chosen_unless_it_is_named(seen):
    """With devices twice as large as the past asked no pod saves anything."""
    here = seen()
    answered = answer(asked(headroom_share=1.0), here)
    assert answered.chosen is None
    assert answered.nearest.metrics[SAVING] < 0.0
    assert "DRAM saved at least 0" in answered.why
    named = answer(asked(headroom_share=1.0, design=answered.nearest.name), here)
    assert named.chosen.metrics[SAVING] == answered.nearest.metrics[SAVING]


def test_a_site_that_moves_nothing_is_judged_without_moves(seen):
    here, design = seen(), designs.parse("block-design-13x4n4")
    moves, stays = (option(design, Site.of(here, 0.0, migrate)).metrics for migrate in (True, False))
    assert moves["memory.migrated_bytes"] > 0.0 == stays["memory.migrated_bytes"]
    assert moves["memory.overflow_events"] < stays["memory.overflow_events"]
    assert moves[SAVING] > stays[SAVING]


def test_devices_are_of_one_size_where_hosts_are_and_of_each_pods_own_otherwise(seen):
    design = designs.parse("block-design-13x4n4")
    assert isinstance(device_bytes(design, Site.of(seen(saving_against="uniform_sku"), 0.05, True)), int)
    assert len(device_bytes(design, Site.of(seen(), 0.05, True))) == 2


def test_what_an_answer_tells_is_plain_values(seen):
    told = answer(asked(), seen()).told()
    assert told["chosen"]["metrics"][HOSTS] >= 2
    assert isinstance(told["front"], tuple)


def test_the_same_past_gives_the_same_answer_and_another_one_does_not(seen, past_of):
    past = past_of(30)
    one, again = (answer(asked(), seen(past)).told() for _ in range(2))
    assert one == again
    larger = replace(past, vms=replace(past.vms, memory_bytes=2 * past.vms.memory_bytes))
    assert answer(asked(), seen(larger)).told() != one
    assert Site.of(seen(past), 0.05, True) == Site.of(seen(past_of(30)), 0.05, True)
    assert Site.of(seen(past), 0.05, True) != Site.of(seen(replace(past, span_s=past.span_s + 1.0)), 0.05, True)


def test_where_no_pod_saves_anything_that_is_said_once_and_without_a_share_of_nothing(seen, past_of):
    # So few VMs that one of them is a host's whole peak: devices only add to it.
    answered = answer(asked(at_least(SAVING, 0.05)), seen(past_of(2, vms=2)))
    assert answered.chosen is None
    assert (
        "the one pod that fits does not keep to all limits; it is DRAM saved at least 0\u00a0% that binds: none saves any here"
        in answered.why
    )
    (miss,) = answered.nearest.misses
    assert "at least 5.00" in miss
    (plain,) = answer(asked(), seen(past_of(2, vms=2))).nearest.misses
    assert "off" not in plain
