"""Dependency graphs: reach, distance, cones and paths."""

import numpy as np
import pytest

from twin.incidents.dependencies import Dependencies, from_edges

SHOP = from_edges([("site", "search"), ("site", "pay"), ("search", "table"), ("pay", "queue"), ("queue", "site")], ["alone"])


def at(name: str) -> int:
    return SHOP.ids.index(name)


def test_distances_count_calls_and_tell_what_is_out_of_reach() -> None:
    hops = dict(zip(SHOP.ids, SHOP.distances(at("site")).tolist(), strict=True))
    assert hops == {"alone": -1, "pay": 1, "queue": 2, "search": 1, "site": 0, "table": 2}


def test_what_one_depends_on_depends_not_on_it_without_a_loop() -> None:
    assert SHOP.cone(at("search"))[at("table")]
    assert not SHOP.cone(at("table"))[at("search")]
    assert SHOP.impact(at("table"))[at("site")]


def test_a_walk_ends_where_it_must_not_pass() -> None:
    through = np.array([name != "search" for name in SHOP.ids])
    hops = SHOP.distances(at("site"), through=through)
    assert hops[at("search")] == 1
    assert hops[at("table")] == -1


def test_a_path_follows_calls_and_is_shortest() -> None:
    assert [SHOP.ids[i] for i in SHOP.path(at("queue"), at("table"))] == ["queue", "site", "search", "table"]
    assert SHOP.path(at("table"), at("site")) == ()


def test_an_edge_to_nowhere_is_refused() -> None:
    with pytest.raises(ValueError, match="outside the 1 known"):
        Dependencies(("a",), np.array([0]), np.array([1]))
