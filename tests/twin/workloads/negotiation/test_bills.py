"""Bills of VMs, hour by hour."""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from twin.workloads.levers import REASONS
from twin.workloads.negotiation import keys
from twin.workloads.negotiation.treatments import HARVEST, INDEX, MA, OVERCLOCKED, RIGHTSIZED, SPOT, TREATMENTS, discounts, price_share

HOUR_S = 3600.0
Make = Callable[..., Any]


def _row(frame: pl.DataFrame, workload: str, hour: int = 1) -> dict[str, Any]:
    return frame.filter(pl.col("workload_id") == workload, pl.col("t_s") == hour * HOUR_S).row(0, named=True)


def test_a_spot_vm_is_billed_fifteen_percent_of_the_regular_price(till: Make, tenants_of: Make) -> None:
    tenants = tenants_of(3)
    bills = till(tenants).go(HOUR_S, granted=[0, SPOT, 0]).tables()["bills"]
    batch, web = _row(bills, "batch"), _row(bills, "web")
    assert batch["billed_usd"] == pytest.approx(0.15 * 0.048 * tenants.cores[1])
    assert batch["core_hours"] == pytest.approx(tenants.cores[1])
    assert web["billed_usd"] == web["regular_usd"] == pytest.approx(0.048 * tenants.cores[0])


def test_opaque_vms_are_billed_exactly_the_regular_price(till: Make, tenants_of: Make) -> None:
    tables = till(tenants_of(30)).go(5 * HOUR_S, tick_s=77.0).tables()
    assert (tables["bills"]["billed_usd"] == tables["bills"]["regular_usd"]).all()
    assert (tables["vm_bills"]["billed_usd"] == tables["vm_bills"]["regular_usd"]).all()
    assert "offers" not in tables


def test_a_grant_counts_from_the_moment_it_is_given(till: Make, tenants_of: Make) -> None:
    shop = till(tenants_of(3)).go(900.0).go(HOUR_S, granted=[MA, 0, 0])
    web = _row(shop.tables()["bills"], "web")
    assert web["billed_usd"] / web["regular_usd"] == pytest.approx(0.25 + 0.75 * 0.6)


def test_a_vm_that_is_away_pays_nothing_and_saves_nothing(till: Make, tenants_of: Make) -> None:
    shop = till(tenants_of(3)).go(HOUR_S / 2, granted=[SPOT, 0, 0]).go(HOUR_S, granted=[SPOT, 0, 0], running=[False, True, True])
    web = _row(shop.tables()["bills"], "web")
    assert web["vm_hours"] == pytest.approx(1.0)
    assert web["away_vm_hours"] == pytest.approx(0.5)
    assert web["billed_usd"] / web["regular_usd"] == pytest.approx(0.15)
    assert web["regular_usd"] == pytest.approx(0.5 * shop.tenants.usd_per_h[0])


def test_a_broken_requirement_takes_the_discount_of_that_vm_for_that_hour(till: Make, tenants_of: Make) -> None:
    granted = [MA, 0, 0, MA, 0, 0]
    shop = till(tenants_of(6), broken=(3,)).go(HOUR_S, granted=granted)
    shop.broken = ()
    tables = shop.go(2 * HOUR_S, granted=granted).tables()
    first, second = (tables["vm_bills"].filter(pl.col("t_s") == hour * HOUR_S).sort("vm_id") for hour in (1, 2))
    assert first["billed_usd"][3] == first["regular_usd"][3]
    assert first["billed_usd"][0] == pytest.approx(0.6 * first["regular_usd"][0])
    assert second["billed_usd"][3] == pytest.approx(0.6 * second["regular_usd"][3])
    assert [_row(tables["bills"], "web", hour)["broken_vm_hours"] for hour in (1, 2)] == [1.0, 0.0]


def test_what_offers_saved_is_what_bills_lack(till: Make, tenants_of: Make) -> None:
    granted = [MA | RIGHTSIZED | OVERCLOCKED, HARVEST, SPOT, MA, 0, RIGHTSIZED]
    shop = till(tenants_of(6), broken=(3,)).go(1000.0, granted=granted).go(2 * HOUR_S, granted=granted[::-1])
    tables = shop.tables()
    saved = tables["offers"].group_by("t_s", "workload_id").agg(pl.col("saved_usd").sum())
    joined = tables["bills"].join(saved, on=["t_s", "workload_id"])
    assert joined.height == 6
    np.testing.assert_allclose(joined["saved_usd"], joined["regular_usd"] - joined["billed_usd"], rtol=1e-12)


def _why(tenants: Any, granted: np.ndarray) -> np.ndarray:
    """Return reasons: what is granted is, for anything else the deploy time is missing."""
    missing = REASONS.index("missing") + 8 * (1 + keys.INDEX["deploy_time_s"])
    held = (granted[:, None] >> np.arange(len(TREATMENTS))) & 1
    return np.where(held, REASONS.index("granted"), missing)


def test_every_vm_hour_has_one_reason_of_each_optimisation(till: Make, tenants_of: Make) -> None:
    tenants = tenants_of(6)
    before, after = np.array([MA, 0, 0, 0, SPOT, 0]), np.array([MA, SPOT, 0, 0, SPOT, 0])
    shop = till(tenants).go(1234.0, granted=before, why=_why(tenants, before))
    offers = shop.go(HOUR_S, granted=after, why=_why(tenants, after)).tables()["offers"]
    counted = offers.group_by("workload_id", "optimisation").agg(pl.col("vm_hours").sum())
    assert counted.height == 3 * len(TREATMENTS)
    np.testing.assert_allclose(counted["vm_hours"], 2.0)
    spot = offers.filter(pl.col("workload_id") == "batch", pl.col("optimisation") == "spot").sort("state")
    assert spot.select("state", "key").rows() == [("granted", ""), ("missing", "deploy_time_s")]
    assert spot["vm_hours"].to_list() == pytest.approx([1.0 + (HOUR_S - 1234.0) / HOUR_S, 1234.0 / HOUR_S])


def test_a_reason_that_changes_alone_is_seen(till: Make, tenants_of: Make) -> None:
    tenants, granted = tenants_of(3), np.zeros(3, dtype=np.int64)
    why = np.full((3, len(TREATMENTS)), REASONS.index("short"))
    other = why.copy()
    other[0, INDEX["non_preprovisioning"]] = REASONS.index("better")
    offers = till(tenants).go(HOUR_S / 4, why=why, granted=granted).go(HOUR_S, why=other).tables()["offers"]
    web = offers.filter(pl.col("workload_id") == "web", pl.col("optimisation") == "non_preprovisioning")
    assert dict(web.select("state", "vm_hours").rows()) == {"better": 0.75, "short": 0.25}


def test_a_holder_that_says_nothing_any_more_leaves_no_reasons(till: Make, tenants_of: Make) -> None:
    why = np.full((3, len(TREATMENTS)), REASONS.index("short"))
    offers = till(tenants_of(3)).go(HOUR_S, why=why).go(2 * HOUR_S).tables()["offers"]
    assert offers["t_s"].unique().to_list() == [HOUR_S]


def test_a_treatment_that_its_holder_grants_and_the_platform_refuses_is_forbidden(till: Make, tenants_of: Make) -> None:
    tenants = tenants_of(3)
    offers = till(tenants).go(HOUR_S, why=np.zeros((3, len(TREATMENTS)), dtype=np.int64)).tables()["offers"]
    assert offers["state"].unique().to_list() == ["forbidden"]
    assert offers["saved_usd"].sum() == 0.0


def test_a_vm_that_leaves_is_billed_until_then(till: Make, tenants_of: Make) -> None:
    shop = till(tenants_of(6)).go(HOUR_S / 2).go(2 * HOUR_S, vm=[1, 2, 3, 4, 5])
    bills = shop.tables()["vm_bills"].filter(pl.col("vm_id") == "vm-0")
    assert bills.select("t_s", "vm_hours").rows() == [(HOUR_S, 0.5)]


def test_the_last_hour_of_a_run_may_be_shorter(till: Make, tenants_of: Make) -> None:
    bills = till(tenants_of(3)).go(1.5 * HOUR_S).tables()["bills"].filter(pl.col("workload_id") == "web")
    assert bills.select("t_s", "vm_hours").rows() == [(HOUR_S, 1.0), (1.5 * HOUR_S, 0.5)]


@pytest.mark.parametrize("tick_s", [7.0, 300.0, 1000.0, 5000.0])
def test_longer_ticks_bill_the_same(till: Make, tenants_of: Make, tick_s: float) -> None:
    tenants = tenants_of(12)
    granted = np.resize([MA, SPOT, HARVEST, 0], 12)
    runs = [till(tenants, broken=(1, 2)).go(2.5 * HOUR_S, tick_s=each, granted=granted).tables() for each in (60.0, tick_s)]
    for name in ("bills", "vm_bills", "offers", "vm_capacity"):
        assert_frame_equal(runs[0][name], runs[1][name], abs_tol=1e-6)


def test_a_run_that_goes_on_from_a_snapshot_writes_the_same_rows(till: Make, tenants_of: Make) -> None:
    tenants = tenants_of(9)
    granted = np.resize([MA, SPOT, 0], 9)
    said = {"granted": granted, "why": _why(tenants, granted)}
    whole = till(tenants).go(2100.0).go(4200.0, **said)
    state = whole.bills.snapshot()
    resumed = till(tenants, t_s=4200.0)
    resumed.bills.restore(state)
    ends = [each.go(9300.0, running=np.resize([True, False], 9), **said).tables() for each in (whole, resumed)]
    for name, frame in ends[1].items():
        late = ends[0][name].filter(pl.col("t_s") > 4200.0)
        assert frame.rows() == late.rows(), name


def test_a_snapshot_does_not_change_with_the_run(till: Make, tenants_of: Make) -> None:
    shop = till(tenants_of(3)).go(600.0, granted=[SPOT, 0, 0])
    state = shop.bills.snapshot()
    kept = state["state"].copy()
    shop.go(1200.0)
    assert (state["state"] == kept).all()


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_bills_are_what_a_plain_count_of_every_vm_and_tick_gives(till: Make, tenants_of: Make, data: Any) -> None:
    vms, ticks, tick_s = 7, data.draw(st.integers(1, 20)), data.draw(st.sampled_from([60.0, 300.0, 420.0]))
    tenants = tenants_of(vms)
    broken = tuple(data.draw(st.sets(st.integers(0, vms - 1), max_size=2)))
    shop, share = till(tenants, broken=broken), discounts()
    regular, billed = np.zeros(vms), np.zeros(vms)
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    for tick in range(ticks):
        granted, running = rng.choice([0, MA, SPOT, HARVEST, MA | RIGHTSIZED], vms), rng.random(vms) < 0.8
        shop.go((tick + 1) * tick_s, tick_s=tick_s, granted=granted, running=running)
        for vm in range(vms):
            usd = float(tenants.usd_per_h[vm]) * tick_s / HOUR_S * running[vm]
            regular[vm] += usd
            billed[vm] += usd * (1.0 if vm in broken else float(price_share(granted[vm], share)))
    bills = shop.tables()["bills"].group_by("workload_id").agg(pl.col("regular_usd").sum(), pl.col("billed_usd").sum())
    for workload, name in enumerate(tenants.workload_ids):
        row = bills.filter(pl.col("workload_id") == name)
        mine = tenants.workload == workload
        assert row["regular_usd"].item() == pytest.approx(regular[mine].sum(), abs=1e-12)
        assert row["billed_usd"].item() == pytest.approx(billed[mine].sum(), abs=1e-12)
