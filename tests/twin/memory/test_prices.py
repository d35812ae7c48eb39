"""Tables of prices: what they hold, and what they refuse by name."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.memory import prices
from twin.sources import sources


def test_the_recalled_table_is_what_is_remembered_of_the_paper() -> None:
    recalled = prices.table("v3-recalled")
    assert dict(recalled.device_usd) == {1: 200.0, 2: 240.0, 4: 510.0, 8: 2650.0}
    assert dict(recalled.switch_usd) == {24: 5230.0, 32: 7400.0}
    assert dict(zip(recalled.cable_m, recalled.cable_usd, strict=True)) == {0.5: 23.0, 0.75: 29.0, 1.0: 36.0, 1.25: 55.0, 1.5: 75.0}
    assert set(recalled.strengths.values()) == {"memory"}
    assert recalled.fitted == ()


def test_the_calibrated_table_says_which_price_was_fitted() -> None:
    calibrated = prices.table("v1-calibrated")
    assert calibrated.fitted == ("device-8",)
    assert calibrated.device(8) / calibrated.device(4) == pytest.approx(2.50, abs=0.005)
    assert calibrated.cable_usd == (29.0,)
    assert sources()["octopus-fit"].strength == "fitted"


def test_a_cable_is_long_enough_and_no_longer_where_longer_ones_cost_more() -> None:
    order_m, usd = prices.table("v3-recalled").cables(np.array([0.1, 0.5, 0.5 + 1e-12, 0.51, 1.5, 1.51]))
    np.testing.assert_array_equal(order_m, [0.5, 0.5, 0.5, 0.75, 1.5, math.nan])
    np.testing.assert_array_equal(usd, [23.0, 23.0, 23.0, 29.0, 75.0, math.nan])


def test_a_longer_cable_is_taken_where_it_is_cheaper_and_not_too_long() -> None:
    own = replace(prices.table("v3-recalled"), cable_m=(0.5, 1.0, 1.5, 2.0), cable_usd=(30.0, 20.0, 20.0, 10.0))
    lengths = np.array([0.4, 0.9, 1.4, 1.9, 2.1])
    order_m, usd = own.cables(lengths)
    np.testing.assert_array_equal(order_m, [2.0, 2.0, 2.0, 2.0, math.nan])
    np.testing.assert_array_equal(usd, [10.0, 10.0, 10.0, 10.0, math.nan])
    order_m, usd = own.cables(lengths, 1.5)
    np.testing.assert_array_equal(order_m, [1.0, 1.0, 1.5, 2.0, math.nan])
    np.testing.assert_array_equal(usd, [20.0, 20.0, 20.0, 10.0, math.nan])


@given(st.lists(st.floats(1.0, 99.0), min_size=1, max_size=6), st.floats(0.0, 3.0), st.floats(0.0, 3.0))
def test_no_cable_of_the_table_that_reaches_is_cheaper(usd: list[float], length_m: float, limit_m: float) -> None:
    metres = tuple(0.5 * (place + 1) for place in range(len(usd)))
    own = replace(prices.table("v3-recalled"), cable_m=metres, cable_usd=tuple(usd))
    order_m, price = own.cables(np.array([length_m]), limit_m)
    reaching = [(cost, metre) for cost, metre in zip(usd, metres, strict=True) if metre >= length_m - 1e-9]
    allowed = [each for each in reaching if each[1] <= limit_m + 1e-9] or reaching[:1]
    if not allowed:
        assert np.isnan(price[0])
    else:
        assert (price[0], order_m[0]) == min(allowed)


@given(st.lists(st.floats(0.0, 1.5), min_size=1, max_size=50))
def test_a_longer_cable_is_never_cheaper(lengths: list[float]) -> None:
    order_m, usd = prices.table("v3-recalled").cables(np.sort(np.array(lengths)))
    assert (np.diff(usd) >= 0).all()
    assert (order_m >= np.sort(lengths) - 1e-9).all()


def test_what_a_table_does_not_have_is_refused_by_name() -> None:
    recalled, calibrated = prices.table("v3-recalled"), prices.table("v1-calibrated")
    with pytest.raises(ValueError, match=r"^prices v3-recalled have no device of 5 ports \(there are 1, 2, 4, 8\); choose one of these"):
        recalled.device(5)
    with pytest.raises(ValueError, match=r"^prices v1-calibrated have no device of 2 ports \(there are 4, 8\)"):
        calibrated.device(2)
    with pytest.raises(ValueError, match=r"^prices v1-calibrated have no switch of 8 ports or more \(it has none\)"):
        calibrated.switch_ports(8)
    assert [recalled.switch_ports(count) for count in (3, 24, 25, 32)] == [24, 24, 32, 32]
    with pytest.raises(ValueError, match="no switch of 33 ports or more"):
        recalled.switch_ports(33)


def test_an_unknown_table_is_met_with_those_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path))
    assert prices.names() == ("v1-calibrated", "v3-recalled")
    with pytest.raises(ValueError, match=r"^memory.prices: 'v2' is no table of prices; there are: v1-calibrated, v3-recalled$"):
        prices.table("v2")
    with pytest.raises(ValueError, match=r"no imported device-prices is called 'mine' .*intentwin import device-prices FILE --name mine"):
        prices.table("import:mine")
    assert prices.import_name("import:mine") == "mine"
    assert prices.import_name("v3-recalled") is None
