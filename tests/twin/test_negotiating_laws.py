"""What holds of every negotiation, over whole runs in which surplus and power run short."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from policies import study
from policies.policy import Held, PolicySet, Schedule
from twin import run as runs
from twin.run import Run, Start
from twin.scenario import Scenario
from twin.sources import toml
from twin.workloads.levers import EVICT, LEAVE
from twin.workloads.negotiation import hint, keys
from twin.workloads.negotiation.hint import OUTSIDE, Hints
from twin.workloads.negotiation.treatments import SURPLUS
from twin.world import World

Make = Callable[..., Run]
Worlds = Callable[..., Iterator[World]]
FILE = Path(__file__).parent.parent / "negotiating.toml"
# Surplus wanders, and a third of the power is lost for a while.
WILD: dict[str, Any] = {
    "faults": [{"kind": "ups_loss", "target": "ups-2", "from_s": 700.0, "until_s": 1500.0}],
    "budgets_w": {"hosts-row": 5_500},
    "workloads": {"negotiation": {"reserve": {"mean_share": 0.25, "sd_share": 0.15, "return_s": 900}, "maintenance_per_day": 2.0}},
}
TENANTS = ("analytics", "web", "business", "databases", "training")


def _of(run: Run, table: str) -> pl.DataFrame:
    return run.tables[table].collect()


# -- what is never done -------------------------------------------------------------


def test_nobody_who_needs_four_nines_is_on_surplus_and_nothing_holds_more_than_there_is(worlds: Worlds) -> None:
    evicted, surplus = 0, 0
    nines = keys.INDEX["availability_nines"]
    for world in worlds("intelligent", 2400.0, **WILD):
        model = world.negotiating.model
        assert model is not None
        platform, tenants, standing = model.platform, model.tenants, model.standing()
        mine = standing[(platform.granted[standing] & SURPLUS) != 0]
        assert (model.hearing.store.in_force()[nines, mine] < 4.0).all()
        surplus, evicted = max(surplus, len(mine)), max(evicted, int((platform.taken == EVICT).sum()))
        # Cores that VMs asked for have a place of their own; what harvest VMs have grown into idles, and nobody is busier than whole.
        here = standing[(tenants.pool[standing] == 0) & (platform.taken[standing] == LEAVE)]
        host = world.workloads.hosts.vm_host[tenants.outer[here]]
        cores = tenants.cores[here] * np.minimum(platform.size_share[here], 1.0)
        assert np.bincount(host, weights=cores).max() <= 40.0
        assert world.workloads.host_share().max() <= 1.0
    assert surplus > 50
    assert evicted > 10


def test_capacity_is_never_sold_twice(negotiated: Make) -> None:
    rows = _of(negotiated("intelligent", **WILD), "vm_capacity")
    held = rows["regular_cores"] + rows["spot_cores"] + rows["reserve_cores"] - rows["turned_away_cores"] + rows["surplus_cores"]
    assert (held <= rows["total_cores"] + 1e-6).all()
    # Customers who pay the regular price find room but for the minutes that a notice takes.
    assert rows["turned_away_cores"].sum() <= 0.05 * rows["reserve_cores"].sum()


def test_evictions_at_once_stay_within_what_deployments_allow(negotiated: Make) -> None:
    run = negotiated("intelligent", **WILD)
    budget = _of(run, "requirements").filter(pl.col("requirement") == "eviction budget")
    assert budget["now"].max() > 0.2  # type: ignore[operator]
    assert (budget["now"] <= budget["bound"] + 1e-9).all()
    assert budget["broken_vm_hours"].sum() == 0.0


def test_an_event_comes_a_lead_time_after_its_notice_or_counts_as_a_breach(negotiated: Make) -> None:
    run = negotiated("intelligent", **WILD)
    done = _of(run, "notices").filter(pl.col("outcome") == "done")
    assert set(done["kind"]) >= {"eviction", "power_emergency", "scale_down_request"}
    kept = (done["event_s"] - done["reached_s"] >= done["lead_s"] - 1e-6) | (
        (done["answer"] == "accepted") & (done["answered_s"] <= done["event_s"] + 1e-6)
    )
    assert (kept == done["honoured"]).all()
    assert run.metrics["workloads.notices_honoured_share"] == pytest.approx(float(kept.mean()), abs=1e-9)  # type: ignore[arg-type]


def test_a_declined_offer_is_not_repeated_for_six_of_its_lead_times(negotiated: Make) -> None:
    busy = [dict(each) for each in toml(FILE)["workloads"]["host_streams"]]
    busy[1]["load"] = {"mean_share": 0.85}
    run = negotiated("intelligent", workloads={**WILD["workloads"], "host_streams": busy})
    notices = _of(run, "notices").filter(pl.col("kind").is_in(["region_move_offer", "scale_up_offer"]))
    declined = notices.filter(pl.col("outcome") == "declined")
    assert declined.height > 0
    both = declined.join(notices, on=["vm_id", "kind"], suffix="_next").filter(pl.col("sent_s_next") > pl.col("sent_s"))
    assert (both["sent_s_next"] - both["answered_s"] >= 6.0 * both["lead_s"]).all()


# -- who wins, what is remembered ------------------------------------------------------


def _hint(t_s: float, workload: int, key: str, value: float) -> Hints:
    column = np.array([0], dtype=np.int64)
    scope = column + keys.SCOPES.index("workload")
    return Hints(np.array([t_s]), scope, column + workload, column + keys.INDEX[key], np.array([value]), column + OUTSIDE)


def test_the_last_one_to_say_something_is_believed_in_whatever_order_it_arrives(worlds: Worlds) -> None:
    for world in worlds("intelligent", 120.0):
        model = world.negotiating.model
        assert model is not None
        databases = model.tenants.workload_ids.index("databases")
        if world.t_s == 60.0:
            model.receive(_hint(45.0, databases, "vm_priority", 80.0))
            model.receive(_hint(30.0, databases, "vm_priority", 20.0))
    mine = np.flatnonzero(model.tenants.workload == databases)
    said = model.hearing.store.said_of(keys.SCOPES.index("workload"), databases)
    assert said["vm_priority"].value == 80.0
    own = model.hearing.store.in_force()[keys.INDEX["vm_priority"], mine]
    assert (own == 80.0).any()


def test_a_run_that_goes_on_from_a_snapshot_tells_grants_and_bills_the_same(negotiating: Callable[..., Scenario]) -> None:
    scenario = negotiating(**WILD)
    policy = _holders(scenario)
    whole = runs.simulate(scenario, policy(), snapshots_at=(900.0,))
    again = runs.simulate(scenario, policy(), snapshots_at=(900.0,))
    rest = runs.simulate(scenario, policy(), start=Start(whole.run_id, 900.0, whole.snapshots[900]))
    assert all(frame.collect().equals(again.tables[name].collect()) for name, frame in whole.tables.items())
    compared = 0
    for name, frame in rest.tables.items():
        mine, all_of = frame.collect(), whole.tables[name].collect()
        # Rows of hours are sums over more than the rest; the others are those that came after.
        if mine.height and "t_s" in mine.columns:
            assert mine.equals(all_of.tail(mine.height)), name
            compared += mine.height
    assert compared > 2_000
    for name in ("bills", "vm_bills", "offers", "requirements"):
        assert rest.tables[name].collect().equals(whole.tables[name].collect()), name


def _holders(scenario: Scenario) -> Callable[[], Any]:
    """Return a maker of fresh holders of Workload Intelligence for a scenario."""
    policy = PolicySet(name="intelligent", levers={"offers": (Held(system="workload_intelligence"),)})
    return lambda: study.phases(Schedule.of(policy), scenario)


# -- what it comes to ---------------------------------------------------------------


def test_half_the_tick_moves_the_price_cut_by_less_than_a_point(negotiated: Make) -> None:
    coarse, fine = (negotiated("intelligent", **{**WILD, "tick_s": tick_s}).metrics["workloads.price_cut_share"] for tick_s in (20, 10))
    assert coarse > 0.3
    assert abs(coarse - fine) < 0.01


def test_without_hints_nobody_pays_less_and_the_site_is_as_under_todays_policy(negotiated: Make) -> None:
    silent = {**WILD["workloads"]["negotiation"], "tenants": [{"id": name, "class": "databases"} for name in TENANTS]}
    changed = {**WILD, "workloads": {"negotiation": silent}}
    today, run = negotiated("today", **changed), negotiated("intelligent", **changed)
    assert run.metrics["workloads.price_cut_share"] == 0.0
    # Opaque VMs are told no reasons; all else is the same.
    assert set(run.tables) - {"offers"} == set(today.tables)
    for name in today.tables:
        assert run.tables[name].collect().equals(today.tables[name].collect()), name
    assert run.metrics == today.metrics


def test_hints_that_are_taken_back_are_worth_nothing_from_the_next_tick_on(worlds: Worlds) -> None:
    for world in worlds("intelligent", 345.0):
        model = world.negotiating.model
        assert model is not None
        tenants = model.tenants
        if world.t_s == 300.0:
            assert (model.platform.granted != 0).any()
            model.receive(hint.joined(list(_nothing(tenants, 300.0))))
    assert model.platform.granted[model.standing()].max() == 0
    # Those that were smaller have all of their cores again.
    assert (model.platform.size_share[model.standing()] >= 1.0).all()


def _nothing(tenants: Any, t_s: float) -> Iterator[Hints]:
    """Yield hints that take back everything that deployments and VMs have said."""
    for scope, count in (("deployment", len(tenants.deployment_ids)), ("vm", len(tenants))):
        of = np.repeat(np.arange(count), len(keys.KEYS))
        key = np.tile(np.arange(len(keys.KEYS)), count)
        same = np.zeros(len(of), dtype=np.int64)
        yield Hints(
            np.full(len(of), t_s), same + keys.SCOPES.index(scope), of, key, np.full(len(of), math.nan), same + OUTSIDE  # type: ignore[arg-type]
        )  # fmt: skip


def test_bills_add_up_from_vms_and_from_what_each_optimisation_saved(negotiated: Make) -> None:
    run = negotiated("intelligent", **WILD)
    bills = _of(run, "bills").with_columns(pl.col("workload_id").cast(pl.String))
    by_vm = _of(run, "vm_bills").with_columns(pl.col("workload_id").cast(pl.String)).group_by("t_s", "workload_id")
    both = bills.join(
        by_vm.agg(pl.sum("regular_usd").alias("vm_regular"), pl.sum("billed_usd").alias("vm_billed")), on=["t_s", "workload_id"]
    )
    assert both.height == bills.height
    assert both["vm_regular"].to_numpy() == pytest.approx(both["regular_usd"].to_numpy(), rel=1e-4)
    assert both["vm_billed"].to_numpy() == pytest.approx(both["billed_usd"].to_numpy(), rel=1e-4)
    saved = _of(run, "offers").with_columns(pl.col("workload_id").cast(pl.String)).group_by("t_s", "workload_id").agg(pl.sum("saved_usd"))
    both = bills.join(saved, on=["t_s", "workload_id"])
    assert (both["regular_usd"] - both["saved_usd"]).to_numpy() == pytest.approx(both["billed_usd"].to_numpy(), rel=1e-9)
    cut = 1.0 - bills["billed_usd"].sum() / bills["regular_usd"].sum()
    assert run.metrics["workloads.price_cut_share"] == pytest.approx(cut, rel=1e-9)
    assert negotiated("today", **WILD).metrics["workloads.price_cut_share"] == 0.0
