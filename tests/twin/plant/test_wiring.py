"""Sites whose feeds are wired by hand: what a lost UPS leaves to whom."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from twin.clock import Clock
from twin.faults import Fault
from twin.fleet import Fleet
from twin.fleet_file import build
from twin.fleet_spec import FleetSpec
from twin.plant.model import GpuLoad, Model, Settings
from twin.plant.tree import PowerTree

Maker = Callable[..., Model]
CONTINUOUS_SHARE = PowerTree().continuous_share


def _wired(rated_w: float, ups: tuple[tuple[str, ...], ...], rows: tuple[tuple[str, ...], ...]) -> Fleet:
    """Two rows of 60 kW; UPS units of one rating, and PDUs on the ones that are named."""
    row = {"kind": "gpu", "aisle": "a", "racks": 3, "per_rack": 2, "model": "h100", "power_budget_w": 60e3}
    spec = {
        "name": "wired",
        "site_power_budget_w": 120e3,
        "aisle": [{"id": "a"}],
        "row": [row | {"id": f"r-{n}", "first_rack": f"k{n}-1", "first_server": f"s{n}-1", "pdus": pdus} for n, pdus in enumerate(rows)],
        "ups": [{"id": name, "rated_w": rated_w} for name in sorted({name for names in ups for name in names})],
        "pdu": [{"id": f"p-{n}", "rated_w": 120e3, "ups": names} for n, names in enumerate(ups)],
    }
    return build(FleetSpec.model_validate(spec))


@pytest.mark.parametrize(
    ("rated_w", "ups", "rows", "budgets"),
    [
        # The site's own four in 4N/3 behind everything: three quarters for everybody.
        (30e3, (("u1", "u2", "u3", "u4"),) * 2, (("p-0",), ("p-1",)), (0.75, 0.75)),
        # Pairs that carry half a row each: the row behind the lost one has half, the other all.
        (30e3, (("u1", "u2"), ("u3", "u4")), (("p-0",), ("p-1",)), (0.5, 1.0)),
        # The same, twice as large: each alone carries its row.
        (60e3, (("u1", "u2"), ("u3", "u4")), (("p-0",), ("p-1",)), (1.0, 1.0)),
        # Two feeds from two sides, each side large enough for the site (2N).
        (120e3, (("u1",), ("u2",)), (("p-0", "p-1"), ("p-1", "p-0")), (1.0, 1.0)),
        # Two sides with the site's half each: half for everybody.
        (60e3, (("u1",), ("u2",)), (("p-0", "p-1"), ("p-1", "p-0")), (0.5, 0.5)),
        # Sold twice over from the beginning: three of four are three quarters of that.
        (15e3, (("u1", "u2", "u3", "u4"),) * 2, (("p-0",), ("p-1",)), (0.75, 0.75)),
    ],
)
def test_a_lost_ups_lowers_the_budgets_of_those_behind_it_by_what_the_rest_cannot_carry(
    clock: Clock, run_on: Maker, rated_w: float, ups: Any, rows: Any, budgets: tuple[float, float]
) -> None:
    fleet, every = _wired(rated_w, ups, rows), np.ones(96)
    busy = GpuLoad(0.8 * every, 0.2 * every, 32 * every, 0 * every, every > 0, every, np.zeros(0))
    fault = Fault(kind="ups_loss", target="u1", from_s=300.0, until_s=900.0)
    # A unit that is asked for twice its rating would trip before any brake.
    rides = PowerTree(ups_overload_s=60.0 if rated_w >= 30e3 else 1e9)
    model = Model(Settings(tree=rides), fleet, clock, 7200.0, [fault], 7)
    assert run_on(model, busy, 290.0).observe().row_budget_w.tolist() == [60e3, 60e3]
    run_on(model, busy, 420.0, tick_s=1.0)
    seen = model.observe()
    assert seen.row_budget_w == pytest.approx(60e3 * np.array(budgets), rel=1e-9)
    if rated_w >= 30e3:
        # Within their budgets no unit trips and no row goes dark.
        assert seen.row_live.all()
        assert (seen.row_power_w <= seen.row_budget_w).all()
        assert (seen.ups_load_w <= CONTINUOUS_SHARE * rated_w).all()
    assert run_on(model, busy, 910.0).observe().row_budget_w == pytest.approx([60e3, 60e3])
