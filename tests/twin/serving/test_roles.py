"""Slots take other roles and other models."""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from twin.serving import batching as b
from twin.serving.demand import Synthetic
from twin.serving.layout import Endpoint, Variant
from twin.serving.levers import DECODE, IMAGE, PREFILL, WHOLE, ConfigAction

Start = Callable[..., Any]


def test_another_model_is_loaded_with_its_latency_and_quality(start: Start) -> None:
    mixed = Endpoint(id="read", model="70b", tp=4, variants=(Variant(model="8b", quality_share=0.8),), demand=Synthetic(rate_per_s=2.0))
    run = start((mixed,), {"read": (2,)}, horizon_s=3600.0)
    model = run.model
    count = len(model.instance_ids)
    run.to(600.0)
    model.configure(ConfigAction(np.ones(count), np.full(count, 256), np.array([0, 1])))
    run.to(3600.0)
    tables = run.tables()
    rows, windows = tables["requests"], tables["endpoints"]
    late = rows.filter((pl.col("arrive_s") > 1500) & (pl.col("status") == 0))
    slow, fast = (late.filter(pl.col("instance") == number)["atgt_s"].median() for number in (1, 2))
    assert fast < 0.6 * slow
    quality = windows.filter(pl.col("t_s") > 1500)["quality_share"].mean()
    assert 0.82 < quality < 0.98
    assert windows.filter(pl.col("t_s") < 500)["quality_share"].min() == 1.0
    starts = tables["events"].filter(pl.col("kind") == "instance_start")
    assert starts.height == 1


def test_a_model_that_does_not_fit_a_slot_is_not_loaded_there(start: Start) -> None:
    """70b needs more than one GPU: the slot of eight takes it, those of one keep the configured model."""
    mixed = Endpoint(id="read", model="8b", tp=1, tp_choices=(8,), variants=(Variant(model="70b"),), demand=Synthetic(rate_per_s=2.0))
    run = start((mixed,), {"read": (2, 3)}, horizon_s=600.0)
    model = run.model
    count = len(model.instance_ids)
    wide = model.instance_gpus == 8
    model.scale(np.where(wide, model.instance_server == 3, model.instance_server == 2))
    model.configure(ConfigAction(np.ones(count), np.full(count, 256), np.ones(count, dtype=np.int64)))
    run.to(600.0)
    assert model._instances.roles.wanted_variant.tolist() == wide.astype(int).tolist()
    rows = run.to(900.0).requests().filter(pl.col("arrive_s") > 200)
    narrow = rows.filter(pl.col("instance") <= 8)
    assert 0 < narrow.height < rows.height
    assert (rows["status"] == 0).all()
    assert np.isfinite(narrow["ttft_s"].to_numpy()).all()


def test_roles_without_a_way_through_stay_whole(both: Start) -> None:
    run = both().lay(see=(DECODE,) * 8, read=(IMAGE, PREFILL))
    assert (run.model._instances.roles.wanted_role == WHOLE).all()
    run.lay(see=(IMAGE,) * len(run.model.layout.ids[run.model.layout.part(0)]))
    assert (run.model._instances.roles.wanted_role == WHOLE).all()


def test_two_slots_can_exchange_their_roles_under_load(start: Start, pair: Endpoint) -> None:
    run = start((pair,), {"read": (2, 3)}, horizon_s=300.0)
    run.model.lay(np.array([PREFILL, DECODE]))
    run.to(60.0)
    run.model.lay(np.array([DECODE, PREFILL]))
    run.to(600.0)
    assert run.model._instances.roles.role.tolist() == [DECODE, PREFILL]
    assert (run.tables()["requests"]["status"] == 0).all()


def test_a_decode_stage_that_begins_between_two_windows_has_what_was_set_for_the_endpoint(start: Start, pair: Endpoint) -> None:
    """Rules read scores and write to their memory unchecked: both must be as large as their holder asked for."""
    busy = pair.model_copy(update={"demand": Synthetic(rate_per_s=20.0, burst_factor=1.0)})
    run = start((busy,), {"read": (2, 3)}, horizon_s=300.0)
    run.route_memory, run.speed = 80, 0.7
    run.model.route(0, run, np.arange(6.0).reshape(2, 3), np.ones(2, dtype=np.bool_))
    run.clocks(0.7, 40)
    stages = run.to(60.0).model.pipelines[0].stages
    run.model.lay(np.array([PREFILL, DECODE]))
    assert stages.decode is None, "what is under way is finished first"
    run.to(120.0)
    assert stages.decode.memory.shape == (80,)
    assert stages.decode.score.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert stages.decode.instances[:, b.MAX_BATCH].tolist() == [40, 40]
    assert (stages.decode.speeds == 0.7).all()
    assert (run.to(600.0).tables()["requests"]["status"] == 0).all()


@pytest.mark.parametrize("roles", [[PREFILL, DECODE], [DECODE, PREFILL], None])
def test_slots_that_all_change_under_load_do_so_in_turn(start: Start, pair: Endpoint, roles: list[int] | None) -> None:
    """If all that drain took what comes none would ever be empty."""
    busy = pair.model_copy(update={"demand": Synthetic(rate_per_s=20.0, burst_factor=1.0)})
    run = start((busy,), {"read": (2, 3)}, horizon_s=600.0).to(60.0)
    if roles is None:
        run.model.configure(ConfigAction(np.ones(2), np.full(2, 256), np.ones(2)))
    else:
        run.model.lay(np.array(roles))
    waiting = [int(run.to(float(t_s)).model._instances.outstanding().sum()) for t_s in range(70, 190, 10)]
    now = run.model._instances.roles
    assert not now.changing.any()
    assert now.variant.tolist() == [1, 1] if roles is None else now.role.tolist() == roles
    assert max(waiting) < 300, "some slot serves all the time"
    assert (run.to(1200.0).tables()["requests"]["status"] == 0).all()


def test_the_only_slot_of_an_endpoint_takes_another_model_under_load(start: Start, pair: Endpoint) -> None:
    """Nobody can take its requests meanwhile: they wait with the tokens they have."""
    busy = pair.model_copy(update={"demand": Synthetic(rate_per_s=10.0, burst_factor=1.0)})
    run = start((busy,), {"read": (2,)}, horizon_s=600.0).to(60.0)
    run.model.configure(ConfigAction(np.ones(1), np.full(1, 256), np.ones(1)))
    seconds = run.model._instances.roles.reload_s(0)
    run.to(60.0 + seconds + 20.0)
    assert run.model._instances.roles.variant.tolist() == [1]
    tables = run.to(1200.0).tables()
    rows = tables["requests"]
    assert (rows["status"] == 0).all()
    across = rows.filter((pl.col("arrive_s") < 60.0) & (pl.col("arrive_s") + pl.col("e2e_s") > 60.0))
    assert across.height > 0
    assert (across["e2e_s"] > seconds).all(), "what was under way waited for the weights"
    windows = tables["endpoints"]
    assert (windows["output_tokens_per_s"] * windows["window_s"]).sum() == pytest.approx(rows["output_tokens"].sum(), rel=1e-4)
