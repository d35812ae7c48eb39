"""Services as arrays: callers come before callees, ids are checked."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.incidents.callgraph import graph
from twin.incidents.settings import Settings


def _held(calls: dict[str, list[str]]) -> Settings:
    services = [{"id": name, "hosts": ["h"], "calls": [{"to": to} for to in called]} for name, called in calls.items()]
    return Settings(services=tuple(services))  # type: ignore[arg-type]


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=20), st.permutations(range(8)))
@settings(max_examples=50, deadline=None)
def test_callers_come_before_whom_they_call(pairs: list[tuple[int, int]], names: list[int]) -> None:
    calls: dict[str, list[str]] = {f"s{n}": [] for n in range(8)}
    for one, other in pairs:
        if one < other:
            calls[f"s{names[one]}"].append(f"s{names[other]}")
    found = graph(_held(calls), ("h",), (), ())
    place = np.argsort(found.order)
    assert sorted(found.order.tolist()) == list(range(8))
    assert (place[found.callers] < place[found.callees]).all()


def test_a_circle_is_cut_where_it_closes() -> None:
    found = graph(_held({"a": ["b"], "b": ["c"], "c": ["b"]}), ("h",), (), ())
    assert found.order.tolist() == [0, 1, 2]


def test_endpoints_and_functions_are_no_services() -> None:
    calls = [{"to": "chat", "kind": "endpoint"}, {"to": "thumb", "kind": "function"}]
    found = graph(Settings(services=({"id": "a", "hosts": ["h"], "calls": calls},)), ("h",), ("llm", "chat"), ("thumb",))  # type: ignore[arg-type]
    assert found.callees.tolist() == [-1, -1]
    assert found.endpoints.tolist() == [1, -1]
    assert found.functions.tolist() == [-1, 0]


@pytest.mark.parametrize(("kind", "words"), [("endpoint", "no endpoint; there are: chat"), ("function", "no function; there are: none")])
def test_a_callee_that_is_not_there_is_named(kind: str, words: str) -> None:
    held = Settings(services=({"id": "a", "hosts": ["h"], "calls": [{"to": "chatt", "kind": kind}]},))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=words):
        graph(held, ("h",), ("chat",), ())


@pytest.mark.parametrize(("name", "kind"), [("h", "host"), ("chat", "endpoint"), ("thumb", "function")])
def test_a_service_is_called_like_nothing_else(name: str, kind: str) -> None:
    held = Settings(services=({"id": name, "hosts": ["h"]},))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=f"taken by the {kind} of that id"):
        graph(held, ("h",), ("chat",), ("thumb",))
