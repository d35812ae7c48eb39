"""Domains meet in the negotiation: one is changed, another one moves."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from twin.negotiating import _as_seen_by
from twin.run import Run
from twin.sources import toml
from twin.workloads.levers import EVICT, LEAVE
from twin.workloads.negotiation import keys
from twin.world import World

Make = Callable[..., Run]
Worlds = Callable[..., Iterator[World]]
_FILE = Path(__file__).parent.parent / "negotiating.toml"
FROM_S, UNTIL_S = 900.0, 1800.0
# A third of the UPS units goes, and with it a third of what rows may draw.
LOSS: dict[str, Any] = {
    "faults": [{"kind": "ups_loss", "target": "ups-1", "from_s": FROM_S, "until_s": UNTIL_S}], "budgets_w": {"hosts-row": 6_000},
}  # fmt: skip
# The least that hosts can be asked for: those that need four nines and more stay.
DEEP: dict[str, Any] = {**LOSS, "budgets_w": {"hosts-row": 4_800}}
NO_RESERVE = {"reserve": {"mean_share": 0.0, "sd_share": 0.0, "swing_share": 0.0}}
# It begins high, and falls.
FALLING = {"reserve": {"mean_share": 0.3, "sd_share": 0.15, "return_s": 900}}


def _of(run: Run, table: str, **where: Any) -> pl.DataFrame:
    frame = run.tables[table].collect()
    return frame.filter(*(pl.col(name).cast(pl.String) == value for name, value in where.items())) if where else frame


def _power_w(run: Run, row: str, from_s: float, until_s: float) -> pl.DataFrame:
    return _of(run, "rows", row_id=row).filter((pl.col("t_s") > from_s) & (pl.col("t_s") <= until_s))


def _mean_w(run: Run, row: str, from_s: float, until_s: float) -> float:
    rows = _power_w(run, row, from_s, until_s)
    return float(np.average(rows["power_w"], weights=rows["tick_s"]))


def _streams(which: int, **changed: Any) -> list[dict[str, Any]]:
    streams = [dict(each) for each in toml(_FILE)["workloads"]["host_streams"]]
    streams[which] |= changed
    return streams


def _harvested(run: Run) -> float:
    return float(_of(run, "vm_capacity", pool="hosts")["harvest_cores"].mean())  # type: ignore[arg-type]


# -- power ---------------------------------------------------------------------


def test_vms_give_power_back_to_rows_whose_budget_fell(negotiated: Make) -> None:
    today, run = negotiated("today", **LOSS), negotiated("intelligent", **LOSS)
    for row in ("hosts-row", "row-1"):
        assert _mean_w(run, row, FROM_S, UNTIL_S) < 0.95 * _mean_w(today, row, FROM_S, UNTIL_S)
    # Within a minute the row is within its budget, where today's is above it all the while.
    for each, within in ((run, True), (today, False)):
        rows = _power_w(each, "hosts-row", FROM_S + 60.0, UNTIL_S)
        assert (rows["power_w"] <= rows["budget_w"]).to_list() == [within] * rows.height
    # Afterwards everybody is back.
    assert _mean_w(run, "hosts-row", 2200.0, 2400.0) == pytest.approx(_mean_w(today, "hosts-row", 2200.0, 2400.0), rel=1e-3)


def test_an_emergency_is_one_chain_whose_watts_are_those_of_its_row(negotiated: Make) -> None:
    run = negotiated("intelligent", **LOSS)
    said = _of(run, "messages")
    event = said.filter((pl.col("kind") == "event") & (pl.col("name") == "power_emergency") & (pl.col("place_id") == "hosts-row"))
    assert event.height == 1
    chain = said.filter(pl.col("chain_id") == event["message_id"][0])
    by_id = {row["message_id"]: row for row in chain.iter_rows(named=True)}
    rows = dict(_of(run, "rows", row_id="hosts-row").select("t_s", "power_w").iter_rows())
    assert event["value"][0] == rows[event["t_s"][0]]
    returned = [row for row in by_id.values() if row["name"] == "power_returned"]
    assert len(returned) > 2
    assert sum(row["value"] for row in returned) > 400.0
    for row in returned:
        action = by_id[row["cause_id"]]
        assert row["value"] == rows[action["t_s"]] - rows[row["t_s"]]
        kinds = [action["kind"]]
        while (action := by_id.get(action["cause_id"])) is not None:
            kinds.append(action["kind"])
        assert kinds == ["action", "answer", "notice", "event"]


def test_notices_of_an_emergency_keep_their_leads(negotiated: Make) -> None:
    notices = _of(negotiated("intelligent", **DEEP), "notices", cause="power", outcome="done")
    assert set(notices["kind"]) >= {"power_emergency", "eviction"}
    had_s = notices["event_s"] - notices["reached_s"]
    assert ((had_s >= notices["lead_s"] - 1e-6) | (notices["answer"] == "accepted")).all()
    assert notices["honoured"].all()
    assert set(notices.filter(pl.col("kind") == "power_emergency")["lead_s"]) == {10.0}


def test_vms_that_sold_availability_are_shut_down_last_and_come_back(negotiated: Make) -> None:
    run = negotiated("intelligent", **DEEP)
    said = _of(run, "messages")
    shut, back = (said.filter((pl.col("kind") == "action") & (pl.col("name") == name)) for name in ("shut_down", "back"))
    # Only web and business sell availability; the milder emergency does without them.
    assert set(shut["workload_id"]) <= {"web", "business"}
    assert shut["vms"].sum() > 0
    assert _of(negotiated("intelligent", **LOSS), "messages", name="shut_down").is_empty()
    ended = set(_of(run, "vm_ends")["vm_id"])
    told = _of(run, "notices", kind="power_emergency", outcome="done").filter(
        pl.col("workload_id").cast(pl.String).is_in(["web", "business"])
    )
    stay = told.filter(~pl.col("vm_id").cast(pl.String).is_in(ended))
    assert back.filter(pl.col("workload_id").is_in(["web", "business"]))["vms"].sum() >= stay.height
    assert _of(run, "vm_capacity", pool="hosts")["evicted_cores"][-1] == 0.0
    assert run.metrics["workloads.broken_requirements"] == 0.0


# -- capacity and memory -----------------------------------------------------------


def test_harvest_vms_grow_less_where_hosts_have_less_memory_to_spare(negotiated: Make) -> None:
    small, large = (
        negotiated("intelligent", workloads={"negotiation": NO_RESERVE, "host_streams": _streams(0, memory_gb_per_vcpu={gb: 1.0})})
        for gb in ("1", "3")
    )
    assert _of(small, "vms").select("vm_id", "place_id").equals(_of(large, "vms").select("vm_id", "place_id"))
    assert _harvested(large) < 0.9 * _harvested(small)


def test_harvest_vms_grow_less_where_their_row_has_less_power(negotiated: Make) -> None:
    wide, tight = (
        negotiated("intelligent", workloads={"negotiation": NO_RESERVE}, budgets_w={"hosts-row": budget_w}) for budget_w in (7_000, 4_800)
    )
    assert _harvested(tight) < 0.9 * _harvested(wide)


def test_harvest_vms_grow_less_where_customers_ask_for_more(negotiated: Make) -> None:
    found = [
        _harvested(negotiated("intelligent", workloads={"negotiation": {"reserve": {**NO_RESERVE["reserve"], "mean_share": share}}}))
        for share in (0.0, 0.05, 0.15)
    ]
    assert found[0] > found[1] > found[2]


def test_evicted_vms_leave_their_memory_and_their_watts(worlds: Worlds) -> None:
    today, world = (list(worlds(policy, 300.0, workloads={"negotiation": FALLING}))[-1] for policy in ("today", "intelligent"))
    model = world.negotiating.model
    assert model is not None
    tenants, taken = model.tenants, model.platform.taken
    # Those that were moved to another region are away, too.
    away = np.flatnonzero((taken != LEAVE) & (tenants.pool == 0))
    assert (taken[away] == EVICT).sum() > 10
    freed = np.bincount(
        world.workloads.hosts.vm_host[tenants.outer[away]],
        weights=tenants.memory_bytes[away].astype(np.float64),
        minlength=len(world.scenario.fleet.host_ids),
    )
    assert (world.pooling.memory.host_free_bytes - today.pooling.memory.host_free_bytes).tolist() == freed.tolist()
    row = world.scenario.fleet.row_ids.index("hosts-row")
    assert world.plant.observe().row_power_w[row] < today.plant.observe().row_power_w[row] - 100.0


def test_a_reserve_that_rises_evicts_after_a_notice_and_one_that_falls_lets_vms_come_back(negotiated: Make) -> None:
    run = negotiated("intelligent", workloads={"negotiation": FALLING})
    hosts = _of(run, "vm_capacity", pool="hosts")
    assert hosts["evicted_cores"][0] > 100.0
    # Those that went to another region come home as well, so that a reserve that rises a little takes some again.
    assert hosts["evicted_cores"][-1] < 0.02 * hosts["evicted_cores"][0]
    evicted = _of(run, "notices", kind="eviction", outcome="done")
    assert set(evicted["cause"]) == {"capacity"}
    assert ((evicted["event_s"] - evicted["reached_s"] >= 30.0 - 1e-6) | (evicted["answer"] == "accepted")).all()
    said = _of(run, "messages", kind="action")
    assert said.filter(pl.col("name") == "back")["vms"].sum() > 0.5 * said.filter(pl.col("name") == "evicted")["vms"].sum()
    assert run.metrics["workloads.evictions"] == evicted.height * 86_400 / 2_400


def test_what_customers_will_ask_for_is_foreseen_for_as_long_as_an_eviction_and_a_minute_take(worlds: Worlds) -> None:
    model = next(worlds("intelligent", 15.0, workloads={"negotiation": FALLING})).negotiating.model
    assert model is not None
    foreseen = 0
    for t_s in range(0, 2400, 30):
        now, coming = model.reserve_cores(float(t_s), 480.0)
        # Linear between whole minutes: these are all the times at which it may be highest.
        assert coming == max(model.reserve_cores(float(t_s + later), 480.0)[0] for later in (0, 30, 60, 90))
        foreseen += coming > now
    assert foreseen > 20


def test_vms_that_look_for_a_server_are_customers_to_come_of_gpus(worlds: Worlds) -> None:
    world = next(worlds("intelligent", 15.0))
    negotiating, workloads = world.negotiating, world.workloads

    def asked() -> tuple[float, float]:
        spare = negotiating._spare(world.t_s, *negotiating._standing(), np.zeros(len(world.scenario.fleet.row_ids)))
        return float(spare.reserve_cores[1]), float(spare.coming_cores[1])

    assert asked() == (0.0, 0.0)
    training = np.flatnonzero(workloads.vms.opaque & (workloads.vm_server >= 0))
    workloads.evict(training)
    gpus = float(workloads.vms.gpus[training].sum())
    assert gpus > 0.0
    assert asked() == (gpus, gpus)


def test_rows_draw_what_their_vms_are_about_to_before_anything_was_measured(worlds: Worlds) -> None:
    ticks = worlds("today", 45.0)
    first, second = (next(ticks).negotiating.spare for _ in range(2))
    assert first is not None
    assert second is not None
    world = next(ticks)
    row = world.scenario.fleet.row_ids.index("hosts-row")
    assert first.row_power_w[row] == pytest.approx(second.row_power_w[row], rel=0.1)


def test_who_decides_for_some_workloads_hears_nothing_of_the_others(worlds: Worlds) -> None:
    seen = next(worlds("intelligent", 15.0)).negotiating._seen
    assert seen is not None
    own = seen.workload == seen.workload_ids.index("web")
    told = _as_seen_by(own, seen)
    others_said = 0
    for key in keys.KEYS:
        assert told.hints[key.name][own].tolist() == seen.hints[key.name][own].tolist()
        assert set(told.hints[key.name][~own]) == {key.default}
        others_said += int((seen.hints[key.name][~own] != key.default).sum())
    assert others_said > 0
    assert (told.vm == seen.vm).all()
    assert _as_seen_by(np.ones(len(seen.vm), dtype=np.bool_), seen) is seen


# -- serving ---------------------------------------------------------------------


def _clocks(run: Run) -> pl.DataFrame:
    return _of(run, "servers", server_id="server-1").select("t_s", "clock_min_share", "power_w")


# The endpoint's row alone is short, nobody else on it may be slowed, and no brake comes in between.
SERVED: dict[str, Any] = {
    **LOSS, "budgets_w": {"row-1": 16_500, "row-2": 15_000, "hosts-row": 8_000}, "plant": {"throttling": {"brake_after_s": 1e6}},
}  # fmt: skip


def _only_serving(ttft_slo_s: float) -> dict[str, Any]:
    file = toml(_FILE)
    (endpoint,) = file["serving"]["endpoints"]
    tenants = [each for each in file["workloads"]["negotiation"]["tenants"] if each["id"] in {"chat-8b", "databases"}]
    return {
        **SERVED,
        "serving": {"endpoints": [{**endpoint, "ttft_slo_s": ttft_slo_s}]},
        "workloads": {"negotiation": {**NO_RESERVE, "tenants": tenants}},
    }


def test_an_endpoint_that_meets_its_objectives_is_slowed_in_an_emergency_and_its_watts_come_back(negotiated: Make) -> None:
    today, run = (negotiated(policy, **_only_serving(1.0)) for policy in ("today", "intelligent"))
    within = (pl.col("t_s") > FROM_S + 120.0) & (pl.col("t_s") <= UNTIL_S)
    slow, before = _clocks(run).filter(within), _clocks(run).filter(pl.col("t_s") <= 600.0)
    assert before["clock_min_share"].min() == 1.0
    assert slow["clock_min_share"].mean() == pytest.approx(0.6, abs=0.01)
    assert slow["power_w"].mean() < 0.95 * _clocks(today).filter(within)["power_w"].mean()  # type: ignore[operator]
    waits_s = [
        float(_of(each, "endpoints").filter((pl.col("t_s") >= FROM_S + 120.0) & (pl.col("t_s") < UNTIL_S))["ttft_p99_s"].mean())  # type: ignore[arg-type]
        for each in (run, today)
    ]
    assert waits_s[0] > 1.1 * waits_s[1]
    assert _clocks(run)["clock_min_share"][-1] > 0.89
    said = _of(run, "messages", workload_id="chat-8b")
    assert set(said.filter(pl.col("name") == "power_emergency")["kind"]) == {"notice", "answer"}


def test_an_endpoint_that_misses_its_objectives_gets_its_clock_back_at_once(negotiated: Make) -> None:
    """An objective that full clocks meet and slow ones miss."""
    today, run = (negotiated(policy, **_only_serving(0.19)) for policy in ("today", "intelligent"))
    hints = _of(run, "hints", workload_id="chat-8b", key="delay_tolerance_s")
    assert hints["value"].to_list()[:2] == [1.0, 0.0]
    missed_s = hints["t_s"][1]
    assert FROM_S < missed_s < UNTIL_S
    # What is left is the cap of today's policy for a row that is short, which asks nobody.
    after = (pl.col("t_s") > missed_s + 60.0) & (pl.col("t_s") <= missed_s + 300.0)
    clock, capped = (_clocks(each).filter(after)["clock_min_share"].to_numpy() for each in (run, today))
    assert clock.min() > 0.7
    assert clock == pytest.approx(capped, abs=0.05)
    assert hints.height <= 6


def test_vms_of_an_endpoint_negotiate_about_clocks_alone_whatever_their_class_hints(worlds: Worlds) -> None:
    file = toml(_FILE)["workloads"]["negotiation"]["tenants"]
    tenants = [{**each, "class": "dev-test"} if each["id"] == "chat-8b" else each for each in file]
    for world in worlds("intelligent", 60.0, workloads={"negotiation": {"tenants": tenants}}):
        seen = world.negotiating._seen
    assert seen is not None
    mine = seen.workload == seen.workload_ids.index("chat-8b")
    found = {name: set(values[mine].tolist()) for name, values in seen.hints.items()}
    assert found["availability_nines"] == {4.0}
    for name in ("preemptible", "preemptibility_share", "region_independence", "scale_up_down"):
        assert found[name] == {0.0}, name
    # What it hints of its clocks is heard.
    assert found["delay_tolerance_s"] == {3600.0}


def test_endpoints_that_missed_their_objectives_are_known_after_a_snapshot(worlds: Worlds) -> None:
    one, other = (next(worlds("intelligent", 15.0)).negotiating for _ in range(2))
    assert one.snapshot()["met"].all()
    serving = dict(one._serving)
    one._met[list(serving)] = False
    other.restore(one.snapshot())
    assert len(serving) == 1
    assert other.snapshot()["met"].tolist() == [number not in serving for number in range(len(other.snapshot()["met"]))]


def test_vms_of_an_endpoint_are_never_taken_whatever_its_class_says(worlds: Worlds) -> None:
    file = toml(_FILE)["workloads"]["negotiation"]["tenants"]
    tenants = [{**each, "class": "dev-test"} if each["id"] == "chat-8b" else each for each in file]
    changed = {**DEEP, "budgets_w": {"row-1": 12_000, "row-2": 8_000, "hosts-row": 4_800}}
    others, slowed = 0, False
    for world in worlds("intelligent", 1500.0, **changed, workloads={"negotiation": {**FALLING, "tenants": tenants}}):
        model = world.negotiating.model
        assert model is not None
        mine, platform = np.flatnonzero(model.tenants.workload == model.tenants.workload_ids.index("chat-8b")), model.platform
        assert (platform.taken[mine] == LEAVE).all()
        assert (platform.size_share[mine] == 1.0).all()
        others, slowed = max(others, int((platform.taken != LEAVE).sum())), slowed or bool((platform.clock_share[mine] < 1.0).any())
    assert others > 10
    assert slowed
