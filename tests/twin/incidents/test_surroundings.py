"""What hangs on what: walks, ways and cones."""

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.incidents.surroundings import Edge, Surroundings

NAMES = st.sampled_from("abcdefg")


def graph(edges):
    rows = [(*edge, "calls") for edge in edges]
    return Surroundings(
        pl.DataFrame(rows, schema={"source": pl.String, "target": pl.String, "kind": pl.String}, orient="row"), {"lone": "host"}
    )


def test_a_circle_of_calls_is_walked_once():
    around = graph([("a", "b"), ("b", "c"), ("c", "a"), ("a", "a")])
    assert around.distances("a", "depends_on") == {"a": 0, "b": 1, "c": 2}
    assert around.around("a", "depends_on", 12) == [
        (Edge("a", "a", "calls"), 1), (Edge("a", "b", "calls"), 1), (Edge("b", "c", "calls"), 2), (Edge("c", "a", "calls"), 3),
    ]  # fmt: skip


def test_an_entity_without_edges_is_known_and_a_stranger_is_not():
    around = graph([("a", "b")])
    assert "lone" in around
    assert "b" in around
    assert "z" not in around
    assert around.distances("z", "depends_on") == {"z": 0}


@settings(max_examples=60)
@given(st.lists(st.tuples(NAMES, NAMES), max_size=14), NAMES, NAMES)
def test_ways_are_chains_as_long_as_the_distance_and_the_same_from_both_ends(edges, start, end):
    around = graph(edges)
    far = around.distances(start, "depends_on").get(end)
    ways = around.ways(start, end, "depends_on", 12)
    back = around.ways(end, start, "depended_on_by", 12)
    assert {edge for edge, _ in ways} == {edge for edge, _ in back}
    if not far:
        assert ways == []
        return
    assert {hop for _, hop in ways} == set(range(1, far + 1))
    for edge, hop in ways:
        assert around.distances(start, "depends_on")[edge.source] == hop - 1
    assert around.ways(start, end, "depends_on", far - 1) == []


@settings(max_examples=60)
@given(st.lists(st.tuples(NAMES, NAMES), max_size=14), NAMES, NAMES)
def test_who_depends_on_whom_is_seen_alike_from_both_sides(edges, one, other):
    around = graph(edges)
    assert around.distances(one, "depends_on").get(other) == around.distances(other, "depended_on_by").get(one)
