"""Racks, slots and cables: what is published, what must hold of any pod."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from twin.memory import annealing, cabling, designs, prices, wiring
from twin.memory.pods import NO_ISLAND, Pod

RECALLED = "v3-recalled"


def fully_connected(hosts: int, host_ports: int, name: str = "all") -> Pod:
    """Return a pod in which every host reaches every device."""
    reach = np.tile(np.arange(host_ports), (hosts, 1))
    return Pod(name, "fully_connected", reach, host_ports, host_ports, hosts, np.full(hosts, NO_ISLAND), np.full(host_ports, NO_ISLAND))


def ring(hosts: int, name: str = "ring") -> Pod:
    """Return a pod of two ports in which neighbours share a device."""
    reach = np.sort(np.stack([np.arange(hosts), (np.arange(hosts) + 1) % hosts], axis=1), axis=1)
    return Pod(name, "biregular", reach, hosts, 2, 2, np.full(hosts, NO_ISLAND), np.full(hosts, NO_ISLAND))


@pytest.mark.parametrize("name", ["islands-96x8n4", "biregular-96x8n4"])
def test_ninety_six_hosts_are_within_one_and_a_half_metres(name: str) -> None:
    """Octopus, version 3: 96 servers within 1.5 m of copper."""
    pod = designs.parse(name).build()
    layout = wiring.require(wiring.lay(pod, 0.0))
    assert (pod.hosts, pod.devices, len(layout.cable_m)) == (96, 192, 768)
    assert layout.longest_m <= 1.5
    assert layout.limit_m == 1.5
    assert layout.too_long == 0


def test_islands_bear_more_slack_than_a_pod_drawn_at_random() -> None:
    islands, drawn = (designs.parse(f"{kind}-96x8n4").build() for kind in ("islands", "biregular"))
    assert wiring.lay(islands, 0.15).too_long == 0
    assert wiring.lay(islands, 0.25).too_long < wiring.lay(drawn, 0.25).too_long
    with pytest.raises(
        ValueError,
        match=r"^pod biregular-96x8n4: \d+ of 768 cables are longer than 1.5 m, the longest \d\.\d\d m, with 0.25 m of slack, in the best "
        r"layout that was found by search \(a heuristic: none that fits was found, which does not prove that there is none\); "
        r"take a smaller pod or less slack$",
    ):
        wiring.require(wiring.lay(drawn, 0.25))


@pytest.mark.parametrize("slack_m", [0.20, 0.22])
def test_islands_of_96_hosts_bear_a_fifth_of_a_metre_of_slack(slack_m: float) -> None:
    """The first annealing leaves a cable or two too long; there are layouts with none."""
    pod = designs.parse("islands-96x8n4").build()
    for seed in (1, 2, 3):
        layout = wiring.require(wiring.lay(pod, slack_m, seed=seed))
        assert 1.4 < layout.longest_m <= 1.5
        # No longer in all than layouts that are annealed for length from the start, 1.12 m on average at 0.2 m.
        assert layout.cable_m.mean() < 0.94 + slack_m


def test_a_pod_is_annealed_once_more_only_where_a_few_cables_are_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pod that fits at once, and one that is far from it, are not searched for longer."""
    seeds: list[int] = []
    anneal = annealing.anneal

    def counted(*rest: Any) -> None:
        seeds.append(rest[-1])
        anneal(*rest)

    monkeypatch.setattr(annealing, "anneal", counted)
    pod = designs.parse("islands-64x8n4").build()
    tried = []
    for slack_m in (0.0, 0.44, 0.7):
        seeds.clear()
        too_long = wiring.lay(pod, slack_m, seed=11, iterations=400_000).too_long
        tried.append((len(seeds), too_long))
        assert len(set(seeds)) == len(seeds)
        assert seeds[0] == 11
    assert tried[0] == (1, 0)
    assert tried[1][0] in (6, 7)
    assert 0 < tried[1][1] <= 16
    assert tried[2][0] == 1
    assert tried[2][1] > 16


@pytest.mark.parametrize("slack_m", [-0.1, math.nan, math.inf, -math.inf])
def test_a_slack_that_is_no_length_is_refused(slack_m: float) -> None:
    with pytest.raises(ValueError, match=r"^pod ring: \S+ m of slack is no length of cable; write metres from 0 up$"):
        wiring.lay(ring(4), slack_m)


@pytest.mark.parametrize("limit_m", [0.0, -1.5, math.nan, math.inf])
def test_a_limit_that_is_none_is_refused(limit_m: float) -> None:
    with pytest.raises(ValueError, match=r"^pod ring: cables of at most \S+ m are no limit; write metres above 0, such as 1.5$"):
        wiring.lay(ring(4), 0.0, limit_m=limit_m)


def test_a_slack_or_a_limit_of_any_size_is_answered() -> None:
    assert wiring.lay(ring(4), 1e300).too_long == 8
    assert wiring.lay(ring(4), 0.0, limit_m=1e300).too_long == 0


@settings(max_examples=15, deadline=None)
@given(st.integers(2, 60), st.sampled_from([0.0, 0.1, 0.3, 1.0]), st.integers(0, 9))
def test_a_slot_holds_one_device_and_a_length_is_what_the_slots_say(hosts: int, slack_m: float, seed: int) -> None:
    pod = ring(hosts + 1)
    layout = wiring.lay(pod, slack_m, seed=seed, iterations=3_000)
    assert len(set(zip(layout.host_rack, layout.host_unit, strict=True))) == pod.hosts
    assert len(set(zip(layout.device_unit, layout.device_slot, strict=True))) == pod.devices
    assert set(layout.host_rack) <= {1, 3}
    assert set(layout.device_rack) == {2}
    assert set(layout.device_slot) <= {1, 2, 3, 4}
    for units in (layout.host_unit, layout.device_unit):
        assert 1 <= units.min() <= units.max() <= 48
    by_host = layout.cable_m.reshape(pod.hosts, pod.host_ports)
    expected = 0.6 + 0.04445 * np.abs(layout.host_unit[:, None] - layout.device_unit[pod.reach]) + slack_m
    np.testing.assert_allclose(by_host, expected)
    assert layout.too_long == int((expected > 1.5 + 1e-9).sum())


def test_annealing_is_worth_its_while_and_more_of_it_never_needs_longer_copper() -> None:
    pod = designs.parse("islands-96x8n4").build()
    first, short, full = (wiring.lay(pod, 0.0, iterations=count) for count in (0, 300_000, 6_000_000))
    assert first.too_long > short.too_long >= full.too_long == 0
    assert first.cable_m.mean() > short.cable_m.mean() > full.cable_m.mean()


def test_a_layout_is_the_same_each_time_and_kept_by_what_is_cabled_not_by_name() -> None:
    pod = designs.parse("block-design-25x8n4").build()
    kept = wiring.lay(pod, 0.0)
    assert wiring.lay(pod, 0.0) is kept
    wiring._laid.cache_clear()
    again = wiring.lay(pod, 0.0)
    assert again is not kept
    np.testing.assert_array_equal(again.host_unit, kept.host_unit)
    np.testing.assert_array_equal(again.cable_m, kept.cable_m)
    small, large = wiring.lay(ring(8, "mine"), 0.0), wiring.lay(ring(9, "mine"), 0.0)
    assert (len(small.cable_m), len(large.cable_m)) == (16, 18)
    with pytest.raises(ValueError, match="read-only"):
        kept.cable_m[0] = 0.0


@settings(max_examples=8, deadline=None)
@given(st.integers(4, 40))
def test_slack_lengthens_every_cable_of_a_pod_that_fits(hosts: int) -> None:
    pod = fully_connected(hosts, 8)
    tight, loose = wiring.lay(pod, 0.0, iterations=2_000), wiring.lay(pod, 0.2, iterations=2_000)
    assert loose.cable_m.sum() == pytest.approx(tight.cable_m.sum() + 0.2 * len(tight.cable_m), rel=0.02)
    assert loose.too_long >= tight.too_long


def test_what_does_not_fit_three_racks_is_refused() -> None:
    with pytest.raises(ValueError, match=r"pod all: 97 hosts do not fit two racks of 48 units; take at most 96 hosts in a pod"):
        wiring.lay(fully_connected(97, 4), 0.0)
    with pytest.raises(ValueError, match=r"pod all: 196 devices need 49 units of the middle rack, which has 48; take a smaller pod"):
        wiring.lay(fully_connected(2, 196), 0.0)


def test_a_limit_of_ones_own_is_kept_to() -> None:
    layout = wiring.lay(designs.parse("block-design-25x8n4").build(), 0.0, limit_m=1.05)
    assert layout.too_long == 0
    assert layout.longest_m <= 1.05
    assert wiring.lay(designs.parse("block-design-25x8n4").build(), 0.0, limit_m=0.5).too_long == 200


def test_every_port_has_one_cable() -> None:
    for name in ("islands-96x8n4", "block-design-25x8n4", "fully-connected-8x8n8", "complete-9x8n2"):
        pod = designs.parse(name).build()
        ends = cabling.cables(pod)
        assert len(ends) == pod.hosts * pod.host_ports == pod.devices * pod.device_ports
        assert len(set(zip(ends.host, ends.near_port, strict=True))) == len(ends)
        assert len(set(zip(ends.device, ends.far_port, strict=True))) == len(ends)
        assert (ends.near_port.max(), ends.far_port.max()) == (pod.host_ports - 1, pod.device_ports - 1)
        assert pod.incidence[ends.host, ends.device].all()
        assert (ends.switch == -1).all()


def test_behind_switches_a_host_has_a_cable_to_each_and_a_device_to_one() -> None:
    pod = designs.switched(24, 8, 32)
    ends, layout = cabling.cables(pod), wiring.require(wiring.lay(pod, 0.0))
    assert (pod.switches, pod.devices, len(ends), len(layout.cable_m)) == (8, 64, 24 * 8 + 64, 24 * 8 + 64)
    to_switch = ends.host >= 0
    assert len(set(zip(ends.host[to_switch], ends.switch[to_switch], strict=True))) == 24 * 8
    assert (np.bincount(ends.switch[~to_switch]) == 8).all()
    switch_port = np.where(to_switch, ends.far_port, ends.near_port)
    assert len(set(zip(ends.switch, switch_port, strict=True))) == 256
    assert switch_port.max() == 31
    slots = {(unit, slot) for unit, slot in zip(layout.device_unit, layout.device_slot, strict=True)}
    assert len(slots) == 64
    assert not set(layout.switch_unit) & set(layout.device_unit)
    assert layout.cable_m.shape == (256,)
    apart = np.abs(layout.switch_unit[ends.switch] - np.where(to_switch, layout.host_unit[ends.host], layout.device_unit[ends.device]))
    np.testing.assert_allclose(layout.cable_m, np.where(to_switch, 0.6, 0.0) + 0.04445 * apart)


def test_switches_stand_together_in_mid_rack_where_their_cables_are_short() -> None:
    """Below its devices each, the longest cable of 24 hosts was 1.36 m, and 0.15 m of slack did not fit."""
    pod = designs.switched(24, 8, 32)
    layout = wiring.require(wiring.lay(pod, 0.0))
    assert layout.longest_m == pytest.approx(1.0, abs=0.001)
    np.testing.assert_array_equal(np.diff(layout.switch_unit), 1)
    below, above = (layout.device_unit < layout.switch_unit.min()).sum(), (layout.device_unit > layout.switch_unit.max()).sum()
    assert below == above == 32
    assert wiring.require(wiring.lay(pod, 0.15)).longest_m == pytest.approx(1.15, abs=0.001)


@pytest.mark.parametrize(("hosts", "switches", "ports"), [(3, 2, 7), (2, 2, 12), (6, 1, 14), (3, 1, 15)])
def test_no_order_of_switches_and_devices_is_shorter(hosts: int, switches: int, ports: int) -> None:
    """Against every choice of units for the switches, and every order of the devices over what is left; all units full."""
    pod = designs.switched(hosts, switches, ports)
    layout, units = wiring.lay(pod, 0.0), range(1, switches + -(-pod.devices // 4) + 1)
    assert len(units) >= -(-hosts // 2), "hosts stand as high as devices and switches do"
    behind = cabling.device_switches(pod)
    best = math.inf
    for taken in itertools.permutations(units, switches):
        to_hosts = np.abs(np.array(taken)[:, None] - layout.host_unit).sum()
        places = np.repeat([unit for unit in units if unit not in taken], 4)
        apart = np.abs(np.array(taken)[behind][:, None] - places)
        near, far = linear_sum_assignment(apart)
        best = min(best, 0.6 * hosts * switches + 0.04445 * (to_hosts + apart[near, far].sum()))
    assert layout.cable_m.sum() == pytest.approx(best)


def test_the_wiring_list_names_both_ends_of_each_cable_and_what_to_order() -> None:
    pod = designs.parse("block-design-25x8n4").build()
    layout = wiring.lay(pod, 0.1)
    listed = wiring.rows(pod, layout, prices.table(RECALLED))
    assert listed.height == 200
    assert listed.select("from", "from_port").is_unique().all()
    assert listed.select("to", "to_port").is_unique().all()
    first = listed.row(0, named=True)
    assert (first["cable"], first["from"], first["from_port"]) == (1, "host-1", 1)
    device = int(pod.reach[0, 0])
    assert (first["to"], first["to_unit"], first["to_slot"]) == (
        f"device-{device + 1}",
        layout.device_unit[device],
        layout.device_slot[device],
    )
    assert (first["from_rack"], first["to_rack"]) == (layout.host_rack[0], 2)
    assert (listed["order_length_m"] >= listed["length_m"]).all()
    assert (listed["order_length_m"] - listed["length_m"] < 0.25 + 1e-3).all()
    assert set(listed["price_usd"]) <= {23.0, 29.0, 36.0, 55.0, 75.0}


def test_a_cable_that_no_table_has_is_in_the_list_without_a_price() -> None:
    pod = ring(3)
    listed = wiring.rows(pod, wiring.lay(pod, 1.0), prices.table(RECALLED))
    assert listed["order_length_m"].null_count() == listed["price_usd"].null_count() == 6
    assert (listed["length_m"] > 1.5).all()


def test_a_switch_pod_lists_cables_to_switches_and_to_devices() -> None:
    pod = designs.switched(4, 2, 8)
    listed = wiring.rows(pod, wiring.lay(pod, 0.0), prices.table(RECALLED))
    assert listed.height == 4 * 2 + pod.devices
    assert listed["to"].to_list()[:2] == ["switch-1", "switch-2"]
    assert listed["from"].to_list()[-1] == "switch-2"
    assert listed["to"].to_list()[-1] == f"device-{pod.devices}"
    assert listed["to_slot"].null_count() == 8
    assert set(listed["to_rack"]) == {2}
