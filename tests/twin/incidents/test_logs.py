"""Log lines: innocent chatter at its rate, complaints that follow from the state, nobody named by chance."""

import re

import pytest

from policies.systems.react_rca.signatures import SIGNATURES
from twin.incidents.callgraph import graph
from twin.incidents.logs import Chatter, Complaints
from twin.incidents.settings import Settings

SERVICES, HOSTS = ("web", "api"), ("host-1", "host-2")


def _chatter(horizon_s: float = 864_000.0) -> Chatter:
    return Chatter(SERVICES, HOSTS, horizon_s, 60.0, 4)


def test_chatter_comes_at_its_rate_with_flurries_on_top() -> None:
    """Ten days, 1.5 lines an hour of each of 14 kinds, two flurries of 40 a day."""
    chatter = _chatter()
    lines = sum(count for window in range(14_400) for _, count in chatter.during(window))
    assert len(chatter.lines) == 14
    assert lines == pytest.approx(1.5 * 240 * 14 + 2 * 10 * 40, rel=0.1)


def test_a_flurry_falls_into_one_window() -> None:
    chatter = _chatter()
    assert max(count for window in range(14_400) for _, count in chatter.during(window)) >= 40


def test_chatter_names_nobody_and_is_no_key_sign_of_any_cause() -> None:
    """What is said on ordinary days must not decide."""
    deciding = [sign.pattern for signature in SIGNATURES for sign in signature.signs if sign.where == "log" and sign.key]
    for line in _chatter().lines:
        assert not any(name in line.words for name in (*SERVICES, *HOSTS))
        assert not [pattern for pattern in deciding if re.search(pattern, line.template, re.IGNORECASE)], line.template


def test_who_complains_of_a_call_names_whom_it_called() -> None:
    held = Settings(services=({"id": "web", "hosts": HOSTS, "calls": [{"to": "api"}]}, {"id": "api", "hosts": HOSTS[:1]}))  # type: ignore[arg-type]
    said = Complaints(held, graph(held, HOSTS, (), ()), ["api"], HOSTS).lines
    of_calls = [line for line in said if "<name>" in line.template and "handler" not in line.template]
    assert {line.entity_id for line in of_calls} == {"web"}
    assert all("api" in line.words for line in of_calls)
    assert {line.level for line in said} == {"warning", "error"}
