"""Slots come and go, are lost, share GPUs and are loaded anew."""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from twin.faults import Fault
from twin.serving import batching as b
from twin.serving import latency
from twin.serving.demand import Synthetic
from twin.serving.layout import Endpoint, Variant
from twin.serving.levers import DECODE, DRAINING, IMAGE, OFF, ON, PREFILL, STARTING, WHOLE, ConfigAction

Start = Callable[..., Any]


def test_slots_that_share_gpus_exclude_each_other_and_wait_for_each_other(both: Start) -> None:
    run = both(horizon_s=900.0)
    model = run.model
    place = model.layout
    part = place.part(0)
    assert sorted(set(place.gpus[part].tolist())) == [1, 2, 4]
    assert (place.gpus[part][:8] == 2).all(), "the configured width comes first"
    wanted = np.ones(len(model.instance_ids), dtype=np.bool_)
    wanted[part] = place.gpus[part] == 4
    seen = set()

    def each(t_s: float) -> None:
        if t_s == 60.0:
            model.scale(wanted)
        state = model._instances.state
        held = np.zeros(8 * 8)
        for index in np.flatnonzero(state != OFF):
            held[place.first_gpu[index] : place.first_gpu[index] + place.gpus[index]] += 1
        assert held.max() <= 1
        seen.update(int(value) for value in state[part])

    run.to(600.0, each=each)
    assert seen == {OFF, STARTING, ON, DRAINING}
    now = model._instances.state[part]
    assert (now[place.gpus[part] == 4] == ON).all()
    assert (now[place.gpus[part] != 4] == OFF).all()
    tables = run.to(950.0).tables()
    assert (tables["requests"]["status"] == 0).all()
    assert tables["endpoints"].filter(pl.col("endpoint_id") == "see")["gpus_on"].max() <= 16.001
    load = model.gpu_load()
    assert load.resident[:16].all()


def test_overlapping_wishes_go_to_the_first(both: Start) -> None:
    run = both()
    run.model.scale(np.ones(len(run.model.instance_ids), dtype=np.bool_))
    assert run.model._instances.wanted.tolist() == run.model.layout.configured.tolist()


def test_loading_other_weights_takes_time_but_the_same_weights_none(start: Start, reading: Endpoint) -> None:
    run = start((reading,), {"read": (2, 3)}, horizon_s=600.0)
    run.to(60.0)
    role = np.array([PREFILL] * 4 + [DECODE] * 4)
    run.model.lay(role)
    run.to(70.0)
    state = run.model._instances.state
    assert not (state == STARTING).any(), "prefill and decode instances hold the same weights"
    assert latency.reload_s("8b", "bf16", 2) > 1.0


@pytest.mark.parametrize("target", ["see/1", "see/3", "see/5"])
def test_a_lost_instance_of_any_stage_loses_no_request(both: Start, target: str) -> None:
    fault = Fault(kind="instance_loss", target=target, from_s=100.0, until_s=200.0)
    layout = (IMAGE, IMAGE, PREFILL, PREFILL, DECODE, DECODE, WHOLE, WHOLE)
    run = both(horizon_s=300.0, faults=(fault,)).lay(see=layout)
    assert (run.to(500.0).requests()["status"] == 0).all()


@pytest.mark.parametrize("variant", [None, [1, 1]])
def test_requests_that_wait_at_slots_that_are_off_follow_a_change(start: Start, pair: Endpoint, variant: list[int] | None) -> None:
    run = start((pair,), {"read": (2, 3)}, horizon_s=300.0)
    model = run.model
    model.scale(np.zeros(2, dtype=np.bool_))
    run.to(200.0)
    assert model._instances.outstanding().sum() > 100
    if variant is None:
        model.lay(np.array([PREFILL, DECODE]))
    else:
        model.configure(ConfigAction(np.ones(2), np.full(2, 256), np.array(variant)))
    model.scale(np.ones(2, dtype=np.bool_))
    assert (run.to(900.0).tables()["requests"]["status"] == 0).all()


def test_a_change_of_role_is_no_way_round_the_start_up(start: Start, pair: Endpoint) -> None:
    run = start((pair,), {"read": (2, 3)}, horizon_s=300.0, start_delay_s=90.0)
    model = run.to(10.0).model
    model.scale(np.array([False, True]))
    run.to(60.0)
    model.lay(np.array([PREFILL, DECODE]))
    model.scale(np.array([True, True]))
    run.to(120.0)
    model.lay(np.array([WHOLE, WHOLE]))
    assert model._instances.state[0] == STARTING, "neither off nor starting it holds any weights"
    run.to(140.0)
    assert model._instances.state[0] == STARTING
    run.to(150.0)
    assert model._instances.state[0] == ON


def test_the_share_of_the_cache_is_of_the_model_that_filled_it(start: Start) -> None:
    other = Endpoint(id="read", model="8b", tp=1, variants=(Variant(model="llama-2-13b"),), demand=Synthetic(rate_per_s=25.0))
    run = start((other,), {"read": (2,)}, horizon_s=60.0)
    model = run.model
    model.scale(np.arange(8) == 0)
    run.to(60.0)
    blocks = model._accounts._totals["flush"][0, b.KV_MAX]
    assert blocks > model.layout.profiles[1, 0, latency.KV_TOKENS] / 16, "more than the other model has"
    model.configure(ConfigAction(np.ones(8), np.full(8, 256), np.ones(8)))
    rows = run.to(300.0).tables()["instances"].filter(pl.col("instance_id") == "read/1")
    assert model._instances.roles.variant[0] == 1
    assert 0.05 < rows["kv_share"][0] <= 1.0
