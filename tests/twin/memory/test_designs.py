"""Which pods there are, and what stands in for those that are not."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.memory import designs
from twin.memory.designs import Design, Infeasible, check, feasible, parse
from twin.memory.kinds import why_not
from twin.memory.pods import PodKind


@pytest.mark.parametrize("design", designs.BUILT_IN, ids=lambda design: design.name)
def test_every_built_in_design_is_built_as_its_numbers_say(design: Design) -> None:
    pod = design.build()
    assert (pod.name, pod.kind, pod.hosts, pod.host_ports, pod.device_ports) == (
        design.name,
        design.kind,
        design.hosts,
        design.host_ports,
        design.device_ports,
    )
    assert design.build() is pod
    if not pod.switches:
        assert pod.hosts * pod.host_ports == pod.devices * pod.device_ports
        assert set(pod.incidence.sum(axis=0).tolist()) == {pod.device_ports}
    overlap = pod.overlap[~np.eye(pod.hosts, dtype=bool)]
    if pod.kind in {"block_design", "complete"}:
        assert set(overlap.tolist()) == {1}
    elif pod.kind in {"biregular", "islands"}:
        assert overlap.max() == 1
    else:
        assert set(overlap.tolist()) == {pod.devices}


def test_every_kind_is_built_in() -> None:
    assert {design.kind for design in designs.BUILT_IN} == set(designs.KINDS)


def test_the_claims_pair_has_three_times_the_hosts() -> None:
    """(25, 4, 1) against the fully connected pod of eight hosts: 3.125 times the hosts at 8 ports each (facts, octopus_cxl)."""
    octopus, conventional = parse("block-design-25x8n4").build(), parse("fully-connected-8x8n8").build()
    assert octopus.hosts / conventional.hosts == 3.125
    assert (octopus.devices, octopus.host_ports) == (50, 8)
    assert (conventional.devices, conventional.host_ports) == (8, 8)


def test_a_switch_pod_hangs_its_devices_on_the_ports_that_hosts_leave() -> None:
    """32 ports, 24 hosts: 8 devices behind each of 8 switches, all of them reached by every host."""
    pod = check("switch", 24, 8, 1).build()
    assert (pod.switches, pod.devices, pod.device_ports, pod.reach.shape) == (8, 64, 1, (24, 64))
    assert pod.incidence.all()


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("islands-96x8n4", "six islands of 16, 3 ports outside"),
        ("islands-208x8n4-i16", "16 islands of 13, 4 ports outside"),
        ("islands-64x6n4", "four islands of 16, 1 port outside"),
        ("switch-24x1n1-p32", "24 hosts behind 1 switch of 32 ports"),
        ("switch-24x8n1-p32", "24 hosts behind 8 switches of 32 ports"),
        ("block-design-25x8n4", "25 hosts, any two share one device"),
        ("biregular-96x8n4-s7", "96 hosts, drawn so that two share at most one device"),
        ("fully-connected-8x8n8", "8 hosts, each on every device"),
        ("complete-9x8n2", "9 hosts, a device for each pair"),
    ],
)
def test_a_design_has_a_name_that_reads_back_and_a_title_in_words(name: str, title: str) -> None:
    design = parse(name)
    assert design.name == name
    assert design.title == title


def test_islands_are_as_large_as_the_ports_allow_unless_their_number_is_given() -> None:
    assert (check("islands", 208, 8, 4).islands, check("islands", 208, 8, 4).external_ports) == (13, 3)
    assert (check("islands", 208, 8, 4, 16).islands, check("islands", 208, 8, 4, 16).external_ports) == (16, 4)


@pytest.mark.parametrize(
    "text", ["", "octopus", "ring-8x8n8", "islands-96x8", "block_design-25x8n4", "block-design-25x8n4 ", "block-design--5x8n4"]
)
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="names no pod; write"):
        parse(text)


@pytest.mark.parametrize(
    ("asked", "reason", "near"),
    [
        (("block_design", 24, 8, 4), "23 is no multiple of 3", "block-design-25x8n4"),
        (("block_design", 25, 7, 4), "a host needs 8 ports, not 7", "block-design-25x8n4"),
        (("block_design", 9, 8, 2), "this is the complete pod", "complete-9x8n2"),
        (("block_design", 12, 11, 2), "expand too poorly", "complete-9x8n2"),
        (("complete", 10, 9, 2), "expand too poorly", "complete-9x8n2"),
        (("complete", 8, 8, 2), "a host needs 7 ports, not 8", "complete-8x7n2"),
        (("fully_connected", 9, 8, 4), "a device needs a port for each of 9 hosts", "fully-connected-9x8n9"),
        (("biregular", 25, 8, 4), "too near to a block design", "block-design-25x8n4"),
        (("biregular", 24, 8, 4), "there are only 23", "block-design-25x8n4"),
        (("biregular", 97, 7, 4), "H X = M N", "biregular-96x7n4"),
        (("islands", 100, 8, 4), "do not make 4 or more islands of 13, 16", "islands-96x8n4"),
        (("islands", 96, 8, 4, 5), "do not make 5 islands", "islands-96x8n4"),
        (("islands", 97, 8, 3), "H X = M N", "islands-99x8n3"),
        (("islands", 96, 8, 2), "no block design on devices of 2 ports", "islands-96x8n4"),
        (("switch", 40, 8, 1), "none left for devices; put at most 31", "switch-31x8n1-p32"),
        (("switch", 24, 8, 4), "a device needs 1 port, not 4", "switch-24x8n1-p32"),
        (("block_design", 700, 8, 4), "2 to 512 hosts", "block-design-57x8n8"),
        (("fully_connected", 8, 40, 8), "1 to 16 CXL ports", "fully-connected-8x16n8"),
    ],
)
def test_what_is_not_is_refused_with_the_reason_and_the_nearest(asked: tuple[PodKind, int, int, int], reason: str, near: str) -> None:
    with pytest.raises(Infeasible, match=reason) as refused:
        check(*asked)
    assert near in {design.name for design in refused.value.nearest}
    assert near in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_refusal_and_a_design_pass_between_processes() -> None:
    with pytest.raises(Infeasible) as refused:
        check("block_design", 24, 8, 4)
    passed = pickle.loads(pickle.dumps(refused.value))
    assert (str(passed), passed.reason, passed.nearest) == (str(refused.value), refused.value.reason, refused.value.nearest)
    assert pickle.loads(pickle.dumps(parse("islands-96x8n4"))) == parse("islands-96x8n4")


def test_an_unknown_kind_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="torus is no kind of pod; choose one of fully_connected"):
        check("torus", 8, 8, 8)  # type: ignore[arg-type]


_NUMBERS = {
    "kind": st.sampled_from(designs.KINDS),
    "hosts": st.integers(-2, 130),
    "host_ports": st.integers(-1, 18),
    "device_ports": st.integers(-1, 10),
    "islands": st.one_of(st.just(0), st.integers(-1, 12)),
    "switch_ports": st.integers(-1, 70),
    "seed": st.integers(-1, 3),
}


@settings(max_examples=60, deadline=None)
@given(st.fixed_dictionaries(_NUMBERS))
def test_any_numbers_make_a_pod_or_are_refused_with_designs_that_make_one(numbers: dict[str, int]) -> None:
    try:
        made: tuple[Design, ...] = (check(**numbers),)  # type: ignore[arg-type]
    except Infeasible as refused:
        made = refused.nearest
    else:
        assert all(getattr(made[0], name) == numbers[name] for name in ("kind", "hosts", "host_ports", "device_ports"))
    assert made
    for one in made:
        assert parse(one.name) == one
        assert one.title
        assert not why_not(one)
    assert made[0].build().name == made[0].name


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 16), st.lists(st.integers(1, 9), min_size=1, max_size=3), st.integers(1, 100), st.integers(0, 120))
def test_what_is_proposed_fits_what_was_asked(ports: int, device_ports: list[int], least: int, more: int) -> None:
    found = feasible(ports, device_ports, least, least + more)
    assert len({design.name for design in found}) == len(found)
    assert [design.hosts for design in found] == sorted(design.hosts for design in found)
    for design in found:
        assert least <= design.hosts <= least + more
        assert design.host_ports <= ports
        assert design.device_ports in device_ports
        assert parse(design.name) == design


def test_more_freedom_never_takes_a_design_away() -> None:
    """Apart from pods drawn for the least number of hosts that is asked for, which moves with it."""
    wide = {design.name for design in feasible(8, [1, 2, 4, 8])}
    for narrow in (feasible(8, [4]), feasible(8, [4], 24), feasible(8, [1, 2], 3, 30)):
        assert {design.name for design in narrow if design.hosts not in {24, 3}} <= wide


def test_the_example_question_finds_the_block_design_the_islands_and_drawn_pods() -> None:
    """Pool memory across 24 hosts: 8 ports a host at most, 4 a device."""
    names = [design.name for design in feasible(8, [4], 24)]
    assert names == [
        "biregular-24x5n4",
        "block-design-25x8n4",
        "biregular-48x8n4",
        "biregular-64x8n4",
        "islands-64x8n4",
        "islands-80x8n4",
        "biregular-96x8n4",
        "islands-96x8n4",
    ]


def test_the_frontier_of_the_facts_is_among_what_is_proposed() -> None:
    """Facts, octopus_cxl, section 3: the pods of the Pareto table by hosts, ports a host and ports a device."""
    table = {(2, 8, 2), (4, 8, 4), (8, 8, 8), (9, 8, 2), (13, 4, 4), (16, 5, 4), (25, 8, 4), (64, 8, 4), (96, 8, 4)}
    assert table <= {(design.hosts, design.host_ports, design.device_ports) for design in feasible(8, [2, 4, 8])}


def test_no_pod_fits_where_hosts_have_no_port() -> None:
    assert feasible(0, [4]) == ()
    assert feasible(8, []) == ()
    assert feasible(8, [4], 30, 20) == ()
    assert feasible(3, [4], 2, 8) == (parse("fully-connected-4x3n4"),)


def test_a_design_is_named_by_every_number_that_makes_it() -> None:
    base = parse("islands-96x8n4")
    others = [replace(base, seed=2), check("islands", 91, 8, 4), check("islands", 96, 6, 4), parse("biregular-96x8n4")]
    assert len({base.name, *(other.name for other in others)}) == 5
