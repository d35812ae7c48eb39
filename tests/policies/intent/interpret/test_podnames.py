"""Pods are chosen by name: their kind, their size, or none."""

import pytest

OCTOPUS_25 = {"system": "octopus", "hosts_at_least": 25, "hosts_at_most": 25}


@pytest.mark.parametrize(
    ("text", "holder"),
    [
        ("use a fully connected pod", {"system": "fully_connected"}),
        ("use a fully connected pod of 8 hosts", {"system": "fully_connected", "hosts": 8}),
        ("build the 25-host octopus pod", OCTOPUS_25),
        ("design an octopus pod of 25 hosts", OCTOPUS_25),
        ("use octopus for a pod of 25 hosts", OCTOPUS_25),
        ("use a switched pod of 24 hosts", {"system": "switch", "hosts": 24}),
        ("use a switch pod", {"system": "switch"}),
        ("no memory pool", {"system": "none"}),
        ("run without a memory pool", {"system": "none"}),
        ("use no pool", {"system": "none"}),
    ],
)
def test_a_pod_that_is_named_is_the_holder_of_pod_topology(text, holder, read):  # type: ignore[no-untyped-def]
    intent = read(text).intent
    assert intent.settings == {"pod_topology": holder}
    assert not intent.expectations
    assert not intent.questions
    assert intent.kind == ("functional" if len(holder) > 1 else "operational")


@pytest.mark.parametrize("text", ["no pool overflows", "no memory pool overflow events", "no pooling above 300 ns"])
def test_what_a_pool_must_not_do_is_no_choice_of_none(text, read):  # type: ignore[no-untyped-def]
    intent = read(text).intent
    assert intent.settings == {}
    assert len(intent.expectations) == 1


def test_a_pod_that_is_turned_down_is_asked_about(read):  # type: ignore[no-untyped-def]
    intent = read("don't build the 25-host octopus pod").intent
    assert intent.settings == {}
    assert [question.about for question in intent.questions] == ["pod_topology"]


@pytest.mark.parametrize(
    ("text", "change"),
    [
        ("pool memory across 24 hosts, no dearer per host than the fully connected pod", 0.0),
        ("pool memory across 24 hosts for at most 10 % more per host than the fully connected pod", 0.1),
        ("pods of 24 hosts, 17 % cheaper per host than a fully connected pod of eight hosts", -0.17),
        ("pool memory across 24 hosts for at most 10 % more per host", 0.1),
    ],
)
def test_what_is_held_against_the_fully_connected_pod_does_not_choose_it(text, change, read):  # type: ignore[no-untyped-def]
    intent = read(text).intent
    assert intent.settings == {}
    assert [(w.metric, w.op, w.value, w.relative) for w in intent.expectations] == [
        ("memory.pod_hosts", ">=", 24.0, False),
        ("memory.cost_usd_per_host", "<=", change, True),
    ]


def test_octopus_is_handed_pods_and_their_filling_where_memory_is_named(read):  # type: ignore[no-untyped-def]
    for text in ("use octopus for memory", "pool memory over 25 hosts with octopus"):
        intent = read(text).intent
        assert intent.settings == {"pod_topology": {"system": "octopus"}, "pool_allocation": {"system": "octopus"}}
    assert [(wish.metric, wish.value) for wish in intent.expectations] == [("memory.pod_hosts", 25.0)]
