"""The serving domain as the world drives it."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numba
import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from twin.clock import Clock
from twin.faults import Fault
from twin.fleet import Fleet
from twin.metrics import Scope
from twin.serving.batching import ROUTE_SIGNATURE, TICKS_PER_S
from twin.serving.demand import Synthetic, Trace
from twin.serving.engine import ticks
from twin.serving.layout import Endpoint
from twin.serving.levers import DRAINING, OFF, ON, STARTING
from twin.serving.model import Model, Settings
from twin.serving.readings import READINGS
from twin.serving.traces import read_azure

CHAT = Endpoint(id="chat", model="8b", tp=2, demand=Synthetic(rate_per_s=6.0))
CODE = Endpoint(id="code", model="70b", tp=8, demand=Synthetic(rate_per_s=1.0, lengths="code"))
BOTH = {"chat": (0, 4), "code": (1, 5)}


def test_servers_are_filled_with_instances_of_their_size(start: Callable[..., Any], small_fleet: Fleet) -> None:
    model = start((CHAT, CODE), BOTH).model
    assert model.instance_ids[:2] == ("chat/1", "chat/2")
    assert model.instance_gpus.tolist() == [2] * 8 + [8] * 2
    assert model.instance_server.tolist() == [0] * 4 + [4] * 4 + [1, 5]
    assert model.instance_first_gpu.tolist() == [0, 2, 4, 6, 32, 34, 36, 38, 8, 40]
    coefficients = model.layout.coefficients
    assert (coefficients[:4] != coefficients[4:8]).any(), "H100 and A100 instances have their own latencies"


def test_an_endpoint_that_cannot_stand_where_it_is_put_is_named(start: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="code has no servers"):
        start((CHAT, CODE), {"chat": (0,)})
    with pytest.raises(ValueError, match="server-1 is given to chat and code"):
        start((CHAT, CODE), {"chat": (0,), "code": (0,)})
    with pytest.raises(ValueError, match="chat: no latency profile of 70b on 1 x h100"):
        start((Endpoint(id="chat", model="70b", tp=1),), {"chat": (0,)})
    with pytest.raises(ValueError, match="endpoint 'chat' is there twice"):
        Settings(endpoints=(CHAT, CHAT))


def test_every_request_that_came_is_written_once(start: Callable[..., Any]) -> None:
    run = start((CHAT, CODE), BOTH, horizon_s=1000.0).to(1000.0)
    tables = run.tables()
    for index, name in enumerate(("chat", "code")):
        rows = tables["requests"].filter(pl.col("endpoint_id") == name).sort("arrive_s")
        asked = run.model.pipelines[index].book
        assert np.array_equal(rows["arrive_s"].to_numpy(), asked.arrive_s)
        assert np.array_equal(rows["prompt_tokens"].to_numpy(), asked.prompt_tokens)
    finished = tables["requests"].filter(pl.col("status") == 0)
    assert (finished["e2e_s"] >= finished["ttft_s"]).all()
    assert finished["instance"].min() == 1
    assert tables["endpoints"]["finished"].sum() == finished.height
    assert tables["endpoints"]["arrivals"].sum() == tables["requests"].height
    unfinished = tables["requests"].filter(pl.col("status") == 2)
    assert unfinished["e2e_s"].is_nan().all()


def test_tokens_out_are_tokens_asked(start: Callable[..., Any]) -> None:
    quiet = Endpoint(id="chat", tp=2, demand=Synthetic(rate_per_s=2.0, max_output_tokens=50))
    run = start((quiet,), {"chat": (0,)}, horizon_s=600.0).to(900.0)
    tables = run.tables()
    rows = tables["requests"]
    assert (rows["status"] == 0).all()
    windows = tables["endpoints"]
    assert (windows["output_tokens_per_s"] * windows["window_s"]).sum() == pytest.approx(rows["output_tokens"].sum(), rel=1e-5)
    assert (windows["prompt_tokens_per_s"] * windows["window_s"]).sum() == pytest.approx(rows["prompt_tokens"].sum(), rel=1e-5)
    assert tables["token_gaps"]["tokens"].sum() == (rows["output_tokens"] - 1).sum()


@pytest.mark.parametrize(("slo_s", "met"), [(0.0075, 1), (0.006, 0)])
def test_a_lone_request_has_its_atgt_by_hand(start: Callable[..., Any], slo_s: float, met: int) -> None:
    """Three tokens, the first of them by the prefill: two gaps, of 3.96 + 0.0077 + 0.0209 kS and 3 ms of overhead on two H100s.

    The context S is 1,001 and 1,002 tokens: 6.98862 and 6.98864 ms, in the mean over two tokens (not three) 6.98863 ms.
    """
    quiet = Endpoint(id="chat", model="8b", tp=2, atgt_slo_s=slo_s, ttft_slo_s=1.0, demand=Synthetic(rate_per_s=0.0))
    run = start((quiet,), {"chat": (0,)}, horizon_s=60.0)
    ids = run.model.inject("chat", np.array([10.0, 20.0]), np.array([1000, 1000]), np.array([3, 1]))
    first_s, finish_s = run.to(60.0).model.outcome("chat", ids)
    assert finish_s - first_s == pytest.approx([0.01397726, 0.0], abs=1e-8)
    tables = run.tables()
    rows = tables["requests"].sort("arrive_s")
    assert rows["atgt_s"][0] == pytest.approx(0.00698863, rel=1e-5)
    assert np.isnan(rows["atgt_s"][1]), "one token has no next"
    assert rows["slo"].to_list() == [met, 1]
    assert tables["endpoints"]["slo_share"].to_list() == [(met + 1) / 2]
    assert tables["instances"]["atgt_budget_share"].max() == pytest.approx(0.00698863 / slo_s, rel=1e-5)
    assert READINGS["serving.atgt_p99_s"](run.asked(tables)) == pytest.approx(0.00698863, rel=1e-5)


def test_ticks_of_any_length_serve_the_same(start: Callable[..., Any]) -> None:
    tables = [start((CHAT, CODE), BOTH).to(900.0, tick_s).tables() for tick_s in (1.0, 10.0, 60.0)]
    for other in tables[1:]:
        for name, frame in tables[0].items():
            assert_frame_equal(frame, other[name], check_exact=True)


def test_the_same_seed_gives_the_same_tables_and_another_gives_others(start: Callable[..., Any]) -> None:
    first, again = (start((CHAT,), {"chat": (0, 4)}).to(900.0).tables() for _ in range(2))
    other = start((CHAT,), {"chat": (0, 4)}, seed=2).to(900.0).tables()
    for name, frame in first.items():
        assert_frame_equal(frame, again[name], check_exact=True)
    assert not first["requests"].equals(other["requests"])


FAULTS = (
    Fault(kind="instance_loss", target="chat/2", from_s=130.0, until_s=500.0),
    Fault(kind="instance_loss", target="chat/3", from_s=95.0, until_s=700.0, severity=0.5),
)


def test_resuming_from_a_snapshot_gives_the_same_rows_as_going_on(start: Callable[..., Any]) -> None:
    busy = Endpoint(id="chat", tp=2, demand=Synthetic(rate_per_s=60.0))

    def part(run: Any) -> Callable[[float], None]:
        def decide(t_s: float) -> None:
            if t_s % 60 == 0:
                run.everywhere()
                wanted = np.arange(8) < (8 if t_s < 240 else 5)
                run.model.scale(wanted)
                run.clocks(0.7 if 400 < t_s < 900 else 1.0, 64)

        return decide

    whole = start((busy,), {"chat": (0, 4)}, 1500.0, FAULTS)
    whole.to(600.0, each=part(whole))
    state = whole.model.snapshot()
    before = {name: frame.height for name, frame in whole.sink.frames().items()}
    rest = whole.to(1500.0, each=part(whole)).tables()
    resumed = start((busy,), {"chat": (0, 4)}, 1500.0, FAULTS)
    resumed.model.restore(state)
    resumed._now_s = 600.0
    tables = resumed.to(1500.0, each=part(resumed)).tables()
    later = {name: frame[before.get(name, 0) :] for name, frame in rest.items()}
    assert {name for name, frame in later.items() if frame.height} == set(tables)
    for name, frame in tables.items():
        assert_frame_equal(later[name], frame, check_exact=True)


def test_a_lost_instance_hands_its_requests_on_and_comes_back(start: Callable[..., Any]) -> None:
    run = start((CHAT,), {"chat": (0,)}, 900.0, (Fault(kind="instance_loss", target="chat/2", from_s=125.0, until_s=400.0),))
    states = {}
    run.to(600.0, each=lambda t_s: states.update({t_s: int(run.model._instances.state[1])}))
    assert (states[120.0], states[130.0], states[410.0], states[500.0]) == (ON, OFF, STARTING, ON)
    tables = run.to(900.0).tables()
    rows = tables["requests"]
    assert rows.height == len(run.model.pipelines[0].book)
    moved = tables["events"].filter(pl.col("kind") == "requests_requeued")
    assert moved["value"].to_list()[0] > 0
    assert rows.filter((pl.col("arrive_s").is_between(130, 380)) & (pl.col("instance") == 2)).is_empty()
    held = tables["instances"].filter(pl.col("instance_id") == "chat/2")["on_share"].to_list()
    assert held[0] == pytest.approx(125 / 300)
    assert held[1] == pytest.approx(200 / 300)


@pytest.mark.parametrize(("severity", "lost"), [(1.0, [1, 2, 3, 4]), (0.125, [1]), (0.3, [1, 2])])
def test_who_holds_a_gpu_that_fell_off_the_bus_is_lost_to_the_end(start: Callable[..., Any], severity: float, lost: list[int]) -> None:
    """Four instances of two GPUs on the server, the first of whose GPUs fall off."""
    fault = Fault(kind="gpu_off_bus", target="server-1", from_s=300.0, severity=severity)
    run = start((CHAT,), {"chat": (0, 4)}, 900.0, (fault,)).to(900.0)
    assert [index + 1 for index in np.flatnonzero(run.model._instances.state == OFF)] == lost
    tables = run.tables()
    told = tables["events"].filter(pl.col("kind") == "instance_lost")
    assert told["entity_id"].to_list() == [f"chat/{number}" for number in lost]
    assert "gpu_off_bus" not in tables["events"]["kind"]
    late = tables["requests"].filter(pl.col("arrive_s") > 310.0)
    assert late.filter(pl.col("instance").is_in(lost)).is_empty()
    assert (late["status"] == 0).mean() > 0.9


def test_gpus_that_fall_off_where_nobody_serves_harm_no_request(start: Callable[..., Any]) -> None:
    fault = Fault(kind="gpu_off_bus", target="server-3", from_s=300.0)
    struck, sound = (start((CHAT,), {"chat": (0,)}, 600.0, faults).to(600.0).tables() for faults in ((fault,), ()))
    assert_frame_equal(struck["requests"], sound["requests"], check_exact=True)
    with pytest.raises(ValueError, match=r"gpu_off_bus: no server is called 'server-99'; write one such as server-1"):
        start((CHAT,), {"chat": (0,)}, 600.0, (Fault(kind="gpu_off_bus", target="server-99", from_s=1.0),))


def test_a_fault_begins_at_any_moment(start: Callable[..., Any]) -> None:
    odd_s = next(t_s for t_s in np.random.default_rng(1).uniform(20.0, 100.0, 100).tolist() if ticks(t_s) / TICKS_PER_S < t_s)
    run = start((CHAT,), {"chat": (0,)}, 200.0, (Fault(kind="instance_loss", target="chat/2", from_s=odd_s),)).to(200.0)
    assert run.model._instances.state[1] == OFF


def test_a_fault_at_an_unknown_instance_says_how_they_are_called(start: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match=r"no instance is called 'chat-9'; write endpoint/number, such as chat/1"):
        start((CHAT,), {"chat": (0,)}, 900.0, (Fault(kind="instance_loss", target="chat-9", from_s=1.0),))


def test_a_slowed_instance_takes_longer(start: Callable[..., Any]) -> None:
    lone = Endpoint(id="chat", tp=8, demand=Synthetic(rate_per_s=1.0))
    well = start((lone,), {"chat": (0,)}, 600.0).to(600.0).tables()["requests"]
    slow = (
        start((lone,), {"chat": (0,)}, 600.0, (Fault(kind="instance_loss", target="chat/1", from_s=0.0, severity=0.5),)).to(600.0).tables()
    )
    assert (slow["requests"]["ttft_s"].drop_nans().median() or 0) > 1.5 * (well["ttft_s"].drop_nans().median() or 0)


def test_instances_drain_before_they_go_and_start_with_a_delay(start: Callable[..., Any]) -> None:
    run = start((CHAT,), {"chat": (0,)}, 900.0, start_delay_s=90.0)
    first_two = np.array([True, True, False, False])
    run.to(120.0)
    busy = run.model._instances.outstanding()[2:]
    run.model.scale(first_two)
    assert run.model._instances.state.tolist()[2:] == [DRAINING if load else OFF for load in busy]
    run.to(300.0)
    assert run.model._instances.state.tolist() == [ON, ON, OFF, OFF]
    run.model.scale(np.ones(4, dtype=np.bool_))
    run.to(380.0)
    assert run.model._instances.state.tolist() == [ON, ON, STARTING, STARTING]
    run.to(400.0)
    assert run.model._instances.state.tolist() == [ON] * 4
    tables = run.to(900.0).tables()
    assert (tables["requests"].filter(pl.col("arrive_s") < 800)["status"] == 0).all()
    arrived = tables["requests"].filter(pl.col("arrive_s").is_between(121, 389))
    assert arrived["instance"].max() == 2
    assert tables["events"]["kind"].to_list().count("instance_start") == 2


def test_what_is_off_costs_nothing(start: Callable[..., Any]) -> None:
    quiet = Endpoint(id="chat", tp=2, demand=Synthetic(rate_per_s=0.0))
    run = start((quiet,), {"chat": (0, 4)}, 600.0, tariff_usd_per_h={"h100": 4.0, "a100": 2.0})
    run.model.scale(np.arange(8) < 2)
    tables = run.to(600.0).tables()
    asked = run.asked(tables)
    assert READINGS["serving.gpus_mean"](asked) == pytest.approx(4.0)
    assert READINGS["serving.cost_usd_per_h"](asked) == pytest.approx(16.0)
    assert READINGS["serving.cost_usd_per_million_tokens"](asked) is None


def test_everything_off_makes_requests_wait_until_something_starts(start: Callable[..., Any]) -> None:
    run = start((CHAT,), {"chat": (0,)}, 400.0, start_delay_s=30.0)
    run.model.scale(np.zeros(4, dtype=np.bool_))
    run.to(120.0)
    assert run.model._instances.outstanding().sum() > 100
    run.model.scale(np.array([False, False, False, True]))
    tables = run.to(600.0).tables()
    assert (tables["requests"]["status"] == 0).all()
    waited = tables["requests"].filter(pl.col("arrive_s") < 120)
    assert (waited["instance"] == 4).all()
    assert (waited["ttft_s"] + waited["arrive_s"]).min() > 150


def test_the_guards_strike_instances_out(start: Callable[..., Any]) -> None:
    run = start((CHAT,), {"chat": (0,)}, 300.0)
    run.model.route(0, run, np.zeros(4), np.array([False, True, False, True]))
    rows = run.to(300.0).tables()["requests"]
    assert set(rows["instance"]) == {2, 4}


def test_a_lower_clock_serves_slower_and_is_handed_to_the_plant(start: Callable[..., Any]) -> None:
    def run_at(speed: float) -> tuple[Any, pl.DataFrame]:
        run = start((CHAT,), {"chat": (0,)}, 300.0)
        run.speed = speed
        run.clocks(speed)
        return run.to(300.0), run.tables()["requests"]

    full, half = run_at(1.0), run_at(0.5)
    assert (half[1]["ttft_s"].median() or 0) > 1.4 * (full[1]["ttft_s"].median() or 0)
    load = half[0].model.gpu_load()
    assert load.clock_share[:8].tolist() == [0.5] * 8
    assert load.clock_share[8:].tolist() == [1.0] * 56


def test_the_load_of_gpus_is_that_of_their_instances(start: Callable[..., Any]) -> None:
    run = start((CHAT, CODE), BOTH, 600.0).to(590.0)
    load = run.model.gpu_load()
    assert load.prefill_share.shape == (64,)
    assert load.resident.sum() == 32
    assert (load.prefill_share + load.decode_share <= 1 + 1e-9).all()
    assert load.decode_share[:8].mean() > 0.1
    assert not load.decode_share[16:32].any()
    for r, first in enumerate(run.model.instance_first_gpu):
        mine = load.decode_batch[first : first + run.model.instance_gpus[r]]
        assert (mine == mine[0]).all()
    busy = load.decode_share > 0
    assert (load.decode_batch[busy] >= 1).all()


def test_requests_over_the_cache_are_rejected_and_noted(start: Callable[..., Any]) -> None:
    tight = Endpoint(id="chat", model="70b", tp=2, demand=Synthetic(rate_per_s=0.5, lengths="text"))
    run = start((tight,), {"chat": (0,)}, 900.0).to(900.0)
    tables = run.tables()
    capacity = int(run.model.layout.coefficients[0, -1])
    rejected = tables["requests"].filter(pl.col("status") == 1)
    assert rejected.height > 0
    assert ((rejected["prompt_tokens"] + rejected["output_tokens"]) > capacity).all()
    assert (rejected["slo"] == 0).all()
    assert tables["events"].filter(pl.col("kind") == "rejected")["value"].sum() == rejected.height


def test_scopes_pick_instances_by_any_place(start: Callable[..., Any]) -> None:
    model = start((CHAT, CODE), BOTH).model
    assert model.members(()).all()
    assert model.members((Scope("endpoint", "code"),)).tolist() == [False] * 8 + [True] * 2
    assert model.members((Scope("row", "row-2"),)).tolist() == [False] * 4 + [True] * 4 + [False, True]
    assert model.members((Scope("row", "row-2"), Scope("endpoint", "chat"))).sum() == 4
    assert model.members((Scope("row", "row-2"), Scope("row", "row-1"))).all()
    one = model.members((Scope("server", "server-1"),))
    assert (model.members((Scope("row", "row-2"), Scope("server", "server-1"))) == (one | model.members((Scope("row", "row-2"),)))).all()
    assert one.any()
    assert not model.members((Scope("workload", "search"),)).any()


def test_without_endpoints_the_domain_is_silent(start: Callable[..., Any]) -> None:
    run = start((), {}, 600.0).to(600.0)
    assert run.tables() == {}
    assert not run.model.gpu_load().resident.any()


def test_a_model_without_a_router_says_so(small_fleet: Fleet) -> None:
    clock = Clock.of(datetime(2026, 7, 14, tzinfo=UTC), "America/Phoenix")
    model = Model(Settings(endpoints=(CHAT,)), small_fleet, {"chat": (0,)}, clock, 60.0, (), 1)
    with pytest.raises(ValueError, match="endpoint chat has no router"):
        model.advance(10.0, np.ones(4), np.ones(4))


@pytest.fixture
def conversation(azure_conversation: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    folder = tmp_path / "imports" / "llm-trace"
    folder.mkdir(parents=True)
    read_azure(azure_conversation).write_parquet(folder / "azure-conv.parquet")
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path))
    return "azure-conv"


def test_the_azure_trace_runs_end_to_end(start: Callable[..., Any], conversation: str) -> None:
    endpoint = Endpoint(id="chat", model="8b", tp=1, demand=Trace(kind="trace", name=conversation, repeat=False))
    run = start((endpoint,), {"chat": (4,)}, 3600.0).to(3900.0)
    tables = run.tables()
    assert tables["requests"].height == 19_366
    assert (tables["requests"]["status"] == 0).all()
    asked = run.asked(tables)
    assert READINGS["serving.slo_attainment_share"](asked) > 0.99
    assert READINGS["serving.throughput_per_s"](asked) == pytest.approx(19_366 / 3900, rel=1e-6)


def test_an_endpoint_that_is_scaled_to_nothing_empties_and_its_requests_wait(start: Callable[..., Any]) -> None:
    run = start((CHAT,), {"chat": (0,)}, horizon_s=900.0).to(60.0)
    run.model.scale(np.zeros(len(run.model.instance_ids), dtype=np.bool_))
    run.to(300.0)
    assert (run.model._instances.state == OFF).all()
    rows = run.tables()["requests"]
    assert (rows.filter(pl.col("arrive_s") > 61.0)["status"] == 2).all()
    assert (rows.filter(pl.col("arrive_s") < 60.0)["status"] == 0).all()


def to_the_first(t, i, count, requests, instances, heap, load, allowed, score, memory):  # type: ignore[no-untyped-def]
    """Say of every request that no instance could hold it."""
    memory[3] += 1
    return 0


def test_overflows_are_those_of_the_window_and_begin_anew_with_another_router(start: Callable[..., Any]) -> None:
    run = start((CHAT,), {"chat": (0,)}, 240.0)
    usual, run.router, run.route_memory = run.router, numba.njit(ROUTE_SIGNATURE)(to_the_first), 16
    run.everywhere()
    for until_s in (60.0, 120.0):
        run.to(until_s)
        seen = run.model._accounts.seen
        assert seen["endpoint_overflows"][0] == round(60.0 * seen["endpoint_arrivals_per_s"][0]) > 0
    run.router, run.route_memory = usual, 8
    run.everywhere()
    for until_s in (180.0, 240.0):
        assert run.to(until_s).model._accounts.seen["endpoint_overflows"].tolist() == [0]


def test_a_router_that_asks_for_little_memory_has_the_places_of_the_lever(start: Callable[..., Any]) -> None:
    run = start((CHAT,), {"chat": (0,)}, 120.0)
    run.route_memory = 1
    run.everywhere()
    assert (run.to(120.0).tables()["placements"]["instance"] > 0).all()
