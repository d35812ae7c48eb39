"""Stages of an endpoint: images, prefill apart from decode, requests from outside."""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from twin.faults import Fault
from twin.fleet import Fleet
from twin.serving import batching as b
from twin.serving import encoding as e
from twin.serving import images, latency
from twin.serving.demand import Synthetic
from twin.serving.layout import Endpoint
from twin.serving.levers import DECODE, IMAGE, PREFILL, WHOLE
from twin.serving.model import Model

Start = Callable[..., Any]


def test_the_time_to_the_first_token_is_made_of_its_stages(both: Start) -> None:
    for layout in ((), (IMAGE, IMAGE, PREFILL, PREFILL, DECODE, DECODE)):
        run = both(horizon_s=600.0)
        rows = run.lay(see=layout).to(700.0).requests().filter(pl.col("status") == 0)
        parts = rows.select("prepare_s", "encode_wait_s", "encode_s", "transfer_s", "queue_s").sum_horizontal()
        left = (rows["ttft_s"] - parts).to_numpy()
        seen = (rows["images"] > 0).to_numpy()
        assert (left > -1e-4).all(), "what is left is the prefill"
        assert (rows["prepare_s"].to_numpy()[seen] > 0).all()
        assert (rows["encode_s"].to_numpy()[seen] > 0).all()
        assert (
            rows.filter(pl.col("images") == 0).select("prepare_s", "encode_wait_s", "encode_s", "transfer_s").sum_horizontal() == 0
        ).all() or not layout
        transfer = rows["transfer_s"].to_numpy()[seen & (rows["endpoint_id"].to_numpy() == "see")]
        assert np.allclose(transfer, images.transfer_s("rdma") if layout else 0.0)


def test_a_lone_request_takes_what_its_stages_take(start: Start, seeing: Endpoint, reading: Endpoint) -> None:
    """One request at a time: the first token comes after CPU, encoder, transfer and prefill, each as its coefficients say."""
    quiet = seeing.model_copy(update={"demand": Synthetic(rate_per_s=0.0)})
    run = start((quiet, reading), {"see": (0, 1), "read": (2, 3)}, horizon_s=600.0).lay(
        see=(IMAGE, PREFILL, DECODE, WHOLE, WHOLE, WHOLE, WHOLE, WHOLE)
    )
    run.model.scale(
        np.isin(np.arange(len(run.model.instance_ids)), [0, 1, 2, *range(run.model.layout.part(1).start, len(run.model.instance_ids))])
    )
    run.to(200.0)
    model = run.model
    one = np.array([1])
    ids = model.inject("see", np.array([210.0]), 500 * one, 40 * one, one)
    run.to(230.0)
    first_s, finish_s = model.outcome("see", ids)
    vision = seeing.vision
    assert vision is not None
    tiles = int(images.tiles(vision, one)[0])
    base_s, per_tile_s = images.encode_s(vision, "h100", 2)
    coefficients = model.layout.coefficients[0]
    tokens = int(images.prompt_tokens(vision, 500 * one, tiles * one)[0])
    prefill_s = float(latency.prefill_s(coefficients, tokens, tokens**2))
    ready_s = tiles * vision.preprocess_s_per_tile + base_s + tiles * per_tile_s + images.handover_s()  # all on one server
    assert first_s[0] - 210.0 == pytest.approx(ready_s + prefill_s, abs=1e-6)
    steps = sum(float(latency.decode_s(coefficients, 1, tokens + 1 + k)) for k in range(39))
    kv_s = 0.001 + tokens * latency.kv_bytes_per_token(seeing.model) / 25e9
    assert finish_s[0] - first_s[0] == pytest.approx(kv_s + steps, abs=1e-6)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from([WHOLE, IMAGE, PREFILL, DECODE]), min_size=8, max_size=8), st.sampled_from([7.0, 31.0]))
def test_whatever_the_layout_each_request_is_served_once_and_windows_do_not_matter(both: Start, layout: list[int], tick_s: float) -> None:
    tables = []
    for tick in (10.0, tick_s):
        run = both(horizon_s=300.0).lay(see=tuple(layout), read=(PREFILL, DECODE))
        tables.append(run.to(620.0, tick).tables())
    rows = tables[0]["requests"]
    assert (rows["status"] == 0).all()
    assert (rows["e2e_s"] >= rows["ttft_s"]).all()
    for index in (0, 1):
        assert rows.filter(pl.col("endpoint_id") == ("see", "read")[index]).height == len(run.model.pipelines[index].book)
    assert_frame_equal(rows.sort("endpoint_id", "arrive_s"), tables[1]["requests"].sort("endpoint_id", "arrive_s"))
    windows = tables[0]["endpoints"]
    given_tokens = (windows["output_tokens_per_s"] * windows["window_s"]).sum()
    assert given_tokens == pytest.approx(rows["output_tokens"].sum(), rel=1e-4)


def test_decoding_does_not_stall_behind_images_that_are_encoded_apart(start: Start, seeing: Endpoint, reading: Endpoint) -> None:
    busy = seeing.model_copy(update={"demand": Synthetic(rate_per_s=24.0, image_share=0.6, lengths="text", burst_factor=1.0)})
    stalled = {}
    for name, layout in (("whole", ()), ("apart", (IMAGE, IMAGE, IMAGE, IMAGE, WHOLE, WHOLE, WHOLE, WHOLE))):
        run = start((busy, reading), {"see": (4, 5), "read": (2, 3)}, horizon_s=300.0).lay(see=layout)
        # The same four instances decode in both.
        wanted = run.model.layout.configured.copy()
        wanted[:4] = bool(layout)
        run.model.scale(wanted)
        rows = run.to(400.0).requests().filter((pl.col("endpoint_id") == "see") & (pl.col("output_tokens") > 20))
        stalled[name] = rows["atgt_s"].quantile(0.95)
    assert stalled["apart"] < 0.8 * stalled["whole"]


def test_a_state_goes_on_as_if_nothing_had_been(both: Start) -> None:
    layout = (IMAGE, IMAGE, PREFILL, PREFILL, DECODE, DECODE)
    whole = both(horizon_s=900.0).lay(see=layout, read=(PREFILL, DECODE, WHOLE, WHOLE)).to(900.0)
    half = both(horizon_s=900.0).lay(see=layout, read=(PREFILL, DECODE, WHOLE, WHOLE)).to(600.0)
    state = half.model.snapshot()
    again = both(horizon_s=900.0)
    again.model.restore(state)
    again._now_s = 600.0
    again.everywhere()
    later = again.to(900.0).tables()
    for name, time in (("requests", "arrive_s"), ("instances", "t_s"), ("endpoints", "t_s")):
        mine = whole.tables()[name] if name == "requests" else whole.sink.frames()[name]
        if name == "requests":
            keys = later[name].select("endpoint_id", "arrive_s")
            mine = mine.join(keys, on=["endpoint_id", "arrive_s"], how="semi").sort("endpoint_id", "arrive_s")
            assert_frame_equal(mine, later[name].sort("endpoint_id", "arrive_s"))
            assert later[name].height > 1000
        else:
            assert_frame_equal(mine.filter(pl.col(time) >= 600.0), later[name])


def test_a_state_goes_on_in_a_run_that_ends_sooner(both: Start) -> None:
    layout, late = (IMAGE, IMAGE, PREFILL, PREFILL, DECODE, DECODE), np.array([150.0, 299.5, 301.0])

    def begun(horizon_s: float) -> Any:
        return both(horizon_s=horizon_s).lay(see=layout)

    def inject(run: Any) -> Any:
        run.to(100.0)
        for name in ("see", "read"):
            run.model.inject(name, late, np.full(3, 300), np.full(3, 30), np.array([1, 0, 2]))
        return run

    whole = inject(begun(900.0)).to(900.0).requests()
    early = inject(begun(900.0)).to(300.0)
    again = both(horizon_s=500.0)
    again.model.restore(early.model.snapshot())
    again._now_s = 300.0
    again.everywhere()
    part = again.to(500.0).requests()
    over = (pl.col("arrive_s") >= 300.0) & (pl.col("arrive_s") + pl.col("e2e_s") < 499.0)
    mine, theirs = whole.filter(over), part.filter(over)
    assert mine.height > 1000
    assert_frame_equal(mine, theirs)
    assert theirs.filter(pl.col("arrive_s") == 301.0).height == 2


def test_requests_come_from_outside_while_the_run_goes_on(both: Start) -> None:
    run = both(horizon_s=600.0)
    run.to(100.0)
    model = run.model
    before = len(model.pipelines[1].book)
    ids = model.inject("read", np.array([105.0, 101.0, 160.0]), np.array([100, 2000, 50]), np.array([10, 1, 200]))
    assert ids.tolist() == [before, before + 1, before + 2]
    first_s, finish_s = model.outcome("read", ids)
    assert np.isinf(first_s).all()
    run.to(150.0)
    first_s, finish_s = model.outcome("read", ids)
    assert (first_s[:2] > [105.0, 101.0]).all()
    assert finish_s[1] == first_s[1], "one token"
    assert np.isinf(finish_s[2])
    with pytest.raises(ValueError, match=r"lies before 150\.000 s"):
        model.inject("read", np.array([120.0]), np.array([10]), np.array([10]))
    with pytest.raises(ValueError, match="of different lengths"):
        model.inject("read", np.array([160.0, 170.0]), np.array([10]), np.array([10]))
    for arrive_s, count in ((np.nan, 0), (np.inf, 0), (160.0, -1)):
        with pytest.raises(ValueError, match="no time or less than no images"):
            model.inject("see", np.array([arrive_s]), np.array([10]), np.array([10]), np.array([count]))
    with pytest.raises(ValueError, match="endpoint 'red' is unknown"):
        model.inject("red", np.array([420.0]), np.array([10]), np.array([10]))
    rows = run.to(600.0).requests()
    mine = rows.filter(pl.col("arrive_s").is_in([105.0, 101.0, 160.0]))
    assert mine.height == 3
    assert (mine["status"] == 0).all()


def test_what_images_do_is_felt_by_the_gpus_that_encode(both: Start) -> None:
    run = both(horizon_s=300.0).lay(see=(IMAGE, WHOLE, WHOLE, WHOLE, WHOLE, WHOLE, WHOLE, WHOLE)).to(300.0)
    table = run.tables()["instances"]
    encoder = table.filter(pl.col("instance_id") == "see/1")
    assert encoder["role"].to_list() == [IMAGE]
    assert encoder["encode_share"][0] > 0.02
    assert encoder["prefill_share"][0] == 0.0
    assert encoder["arrivals"][0] > 0
    assert (run.model.gpu_load().prefill_share[:2] > 0).all()


@pytest.mark.parametrize("pieces", [1, 2])
def test_images_queue_at_their_encoders_and_may_be_split_over_them(start: Start, seeing: Endpoint, pieces: int) -> None:
    quiet = seeing.model_copy(update={"demand": Synthetic(rate_per_s=0.0)})
    run = start((quiet,), {"see": (0,)}, horizon_s=300.0).lay(see=(IMAGE, IMAGE))
    run.image_pieces = pieces
    run.everywhere()
    count = 60
    run.model.inject("see", np.full(count, 10.0), np.full(count, 100), np.full(count, 10), np.full(count, 16))
    run.to(11.0, tick_s=0.5)
    assert (run.model.pipelines[0].stages.queued[:2] > 0).all()
    tables = run.to(300.0).tables()
    encoders = tables["instances"].filter(pl.col("role") == IMAGE)
    assert encoders["arrivals"].sum() == pieces * count
    assert (encoders["queue_max"] > 10).all()
    assert (tables["requests"]["status"] == 0).all()


def test_sixteen_tiles_cut_into_four_pieces_are_encoded_sooner(start: Start, seeing: Endpoint) -> None:
    """Four slots that encode: 16 tiles one after the other on one of them, or four on each; nothing else of the request changes."""
    quiet = seeing.model_copy(update={"demand": Synthetic(rate_per_s=0.0)})
    vision = seeing.vision
    assert vision is not None
    base_s, per_tile_s = images.encode_s(vision, "h100", 2)
    rows = []
    for pieces in (1, 4):
        run = start((quiet,), {"see": (0, 1)}, horizon_s=60.0).lay(see=(IMAGE, IMAGE, IMAGE, IMAGE))
        run.image_pieces = pieces
        run.everywhere()
        run.model.inject("see", np.array([10.0]), np.array([100]), np.array([10]), np.array([16]))
        rows.append(run.to(60.0).requests())
        assert rows[-1]["encode_s"].to_list() == pytest.approx([base_s + 16 / pieces * per_tile_s], rel=1e-5)
    whole, cut = rows
    moved = ("encode_s", "ttft_s", "e2e_s")
    for name in moved:
        assert whole[name][0] - cut[name][0] == pytest.approx(12 * per_tile_s, rel=1e-4)
    assert_frame_equal(whole.drop(moved), cut.drop(moved), rel_tol=1e-6)


@pytest.mark.parametrize("network", ["rdma", "ethernet"])
def test_images_take_the_network_only_between_servers(start: Start, seeing: Endpoint, network: Any) -> None:
    """One endpoint on two servers: its encoder and the slot that prefills on the first, or on one each, or prefill on both."""
    quiet = seeing.model_copy(update={"demand": Synthetic(rate_per_s=0.0)})
    rows = []
    for on in ((0, 1), (0, 4), (0, 1, 4)):
        run = start((quiet,), {"see": (0, 1)}, horizon_s=300.0, network=network).lay(see=(IMAGE,))
        wanted = np.zeros(len(run.model.instance_ids), dtype=np.bool_)
        wanted[list(on)] = True
        run.model.scale(wanted)
        run.to(200.0)
        run.model.inject("see", np.array([210.0]), np.array([100]), np.array([10]), np.array([1]))
        rows.append(run.to(300.0).requests().row(0, named=True))
    here, there, either = rows
    assert here["transfer_s"] == pytest.approx(images.handover_s())
    assert there["transfer_s"] == either["transfer_s"] == pytest.approx(images.transfer_s(network))
    assert there["ttft_s"] - here["ttft_s"] == pytest.approx(images.transfer_s(network) - images.handover_s(), abs=1e-6)


def test_a_request_longer_than_the_context_is_refused(start: Start, reading: Endpoint) -> None:
    rows = start((reading.model_copy(update={"model": "llama-2-13b"}),), {"read": (2,)}, horizon_s=120.0).to(300.0).requests()
    total = rows["prompt_tokens"] + rows["output_tokens"]
    assert (total > 4096).any()
    assert ((rows["status"] == 1) == (total > 4096)).all()


def test_pages_of_the_cache_are_counted(start: Start) -> None:
    """A cache too small for the batch that its requests would make: some are put back, none is lost."""
    short = Synthetic(rate_per_s=48.0, burst_factor=1.0, max_prompt_tokens=3000, max_output_tokens=1000)
    tight = Endpoint(id="read", model="llama-2-13b", tp=1, demand=short)
    run = start((tight,), {"read": (4,)}, horizon_s=300.0).to(900.0)
    tables = run.tables()
    assert tables["instances"]["preemptions"].sum() > 0
    assert tables["instances"]["kv_share"].max() <= 1.0
    assert (tables["requests"]["status"] == 0).all()


@pytest.mark.parametrize("until_s", [None, 400.0])
def test_images_of_a_lost_encoder_go_on_where_no_other_slot_is_one(start: Start, seeing: Endpoint, until_s: float | None) -> None:
    quick = Synthetic(rate_per_s=30.0, image_share=0.9, lengths="text")
    wide = seeing.model_copy(update={"tp": 8, "tp_choices": (), "demand": quick})
    fault = Fault(kind="instance_loss", target="see/1", from_s=100.0, until_s=until_s)
    run = start((wide,), {"see": (2, 3)}, horizon_s=110.0, faults=(fault,))
    model = run.model
    model.lay(np.array([IMAGE, WHOLE]))
    encoder = model.pipelines[0].stages.encoder
    run.to(100.0, tick_s=0.5)
    assert (encoder.finish == e.WITHDRAWN).sum() > 0, "else this shows nothing"
    assert not encoder.outstanding.any()
    rows = run.to(900.0).requests()
    assert (rows["status"] == 0).all()
    assert (rows.filter(pl.col("images") > 0)["encode_s"] > 0).all()
    assert (rows.filter(pl.col("arrive_s") < 99.0)["encode_wait_s"] < 5.0).all()


def test_a_prefill_slot_without_a_decode_slot_does_both_in_turn(start: Start, pair: Endpoint) -> None:
    busy = pair.model_copy(update={"demand": Synthetic(rate_per_s=20.0, burst_factor=1.0)})
    run = start((busy,), {"read": (4, 5)}, horizon_s=300.0)
    model = run.model
    model.lay(np.array([PREFILL, DECODE]))
    run.to(60.0)
    model.scale(np.array([True, False]))
    worst = []

    def each(t_s: float) -> None:
        # Not the load of GPUs: that is never more than full, whatever the engines say.
        worst.append(model._accounts.tick[:, [b.PREFILL_TIME, b.DECODE_TIME]].sum(axis=1).max() / b.TICKS_PER_S)

    run.to(300.0, each=each)
    assert 5.0 < max(worst[1:]) <= 10.0
    assert (run.to(600.0).tables()["requests"]["status"] == 0).all()


def test_gpus_that_take_over_from_a_lost_decode_slot_are_no_more_than_busy(start: Start, pair: Endpoint) -> None:
    """What it leaves is prefilled and decoded beside the other slot's own requests; that counts as one full GPU, not as two."""
    busy = pair.model_copy(update={"demand": Synthetic(rate_per_s=60.0, burst_factor=1.0)})
    run = start((busy,), {"read": (4, 5)}, horizon_s=70.0, faults=(Fault(kind="instance_loss", target="read/2", from_s=60.0),))
    model = run.model
    model.lay(np.array([PREFILL, DECODE]))
    both, loads = [], []

    def each(t_s: float) -> None:
        both.append(model._accounts.tick[0, [b.PREFILL_TIME, b.DECODE_TIME]] / b.TICKS_PER_S)
        load = model.gpu_load()
        loads.append((load.prefill_share.max(), (load.prefill_share + load.decode_share).max()))

    run.to(70.0, tick_s=1.0, each=each)
    assert max(prefill for prefill, _ in both) > 1.2, "else this shows nothing"
    assert max(prefill + decode for prefill, decode in both if prefill < 1) > 1.2
    assert np.max(loads) <= 1 + 1e-9
    assert (run.to(600.0).tables()["requests"]["status"] == 0).all()


def test_injected_requests_count_among_the_arrivals_of_any_pipeline(both: Start) -> None:
    run = both(horizon_s=120.0).lay(read=(PREFILL, DECODE))
    model = run.to(60.0).model
    for name in ("see", "read"):
        model.inject(name, np.array([70.0, 130.0]), np.array([100, 100]), np.array([10, 10]), np.array([1, 0]))
    windows = run.to(300.0).tables()["endpoints"]
    for name, pipeline in zip(("see", "read"), model.pipelines, strict=True):
        assert windows.filter(pl.col("endpoint_id") == name)["arrivals"].sum() == len(pipeline.book)


def test_tiles_of_injected_requests_are_seen(start: Start, seeing: Endpoint) -> None:
    quiet = seeing.model_copy(update={"demand": Synthetic(rate_per_s=0.0)})
    run = start((quiet,), {"see": (0,)}, horizon_s=120.0)
    run.model.inject("see", np.array([10.0]), np.array([100]), np.array([10]), np.array([2]))
    run.to(60.0)
    seen = run.model._accounts.seen
    assert seen["endpoint_image_arrivals_per_s"][0] == pytest.approx(1 / 60)
    assert seen["endpoint_tiles_per_s"][0] == pytest.approx(run.model.pipelines[0].book.tiles[0] / 60)


def test_the_last_placement_is_told_after_a_state_as_before(start: Start, seeing: Endpoint) -> None:
    quiet = seeing.model_copy(update={"demand": Synthetic(rate_per_s=0.0)})

    def begun() -> Any:
        return start((quiet,), {"see": (0, 1)}, horizon_s=1200.0)

    whole = begun()
    whole.model.inject("see", np.array([10.0, 11.0]), np.array([100, 200]), np.array([10, 10]), np.array([0, 0]))
    state = whole.to(900.0).model.snapshot()
    again = begun()
    again.model.restore(state)
    again._now_s = 900.0
    again.everywhere()
    later = pl.col("t_s") > 900.0
    mine = whole.to(1200.0).tables()["placements"].filter(later)
    assert mine["instance"].to_list() == [2] * 5
    assert_frame_equal(mine, again.to(1200.0).tables()["placements"])


def test_the_last_placement_is_told_while_the_next_request_is_under_way(start: Start, seeing: Endpoint) -> None:
    quiet = seeing.model_copy(update={"tp": 8, "tp_choices": (), "demand": Synthetic(rate_per_s=0.0)})
    run = start((quiet,), {"see": (0, 1)}, horizon_s=120.0, network="ethernet").lay(see=(IMAGE, WHOLE))
    # Encoded before the window ends, and on its way to the text stage when it does.
    run.model.inject("see", np.array([10.0, 59.8]), np.array([100, 200]), np.array([10, 10]), np.array([0, 1]))
    placed = run.to(120.0).tables()["placements"]
    assert placed["t_s"].to_list() == [60.0, 120.0]
    assert placed["arrive_s"].to_list() == [10.0, 59.8]


def test_a_last_placement_that_moves_after_a_state_is_told_where_it_went(start: Start, seeing: Endpoint) -> None:
    quiet = seeing.model_copy(update={"tp": 8, "tp_choices": (), "demand": Synthetic(rate_per_s=0.0)})
    fault = Fault(kind="instance_loss", target="see/1", from_s=301.0)

    def begun() -> Any:
        return start((quiet,), {"see": (0, 1)}, horizon_s=1800.0, faults=(fault,))

    whole = begun()
    whole.model.inject("see", np.array([299.0]), np.array([100]), np.array([500]), np.array([0]))
    state = whole.to(300.0).model.snapshot()
    again = begun()
    again.model.restore(state)
    again._now_s = 300.0
    again.everywhere()
    mine = whole.to(1800.0).tables()["placements"].filter(pl.col("t_s") > 300.0)
    assert set(mine["instance"]) == {2}
    assert_frame_equal(mine, again.to(1800.0).tables()["placements"])


def test_a_state_brings_along_what_decodes_since_the_hour_before(start: Start, small_fleet: Fleet) -> None:
    slow = Endpoint(id="read", model="70b", tp=8, demand=Synthetic(rate_per_s=0.5))

    def go(run: Any, until_s: float) -> Any:
        while run._now_s < until_s:
            run._now_s += 10.0
            run.model.advance(run._now_s, np.ones(2), np.full(2, 0.02))
            run.model.record(run.sink)
        return run

    whole = start((slow,), {"read": (4, 5)}, horizon_s=4500.0)
    whole.model.lay(np.array([PREFILL, DECODE]))
    state = go(whole, 3900.0).model.snapshot()
    before = whole.sink.frames()["requests"].height
    model = Model(whole.model.settings, small_fleet, {"read": (4, 5)}, whole.model._clock, 4500.0, (), 1, state)
    again = type(whole)(model, whole.router, 4500.0)
    model.restore(state)
    again._now_s = 3900.0
    rest = go(whole, 4500.0).tables()["requests"][before:]
    assert rest["arrive_s"].min() < 3600.0
    assert_frame_equal(rest, go(again, 4500.0).tables()["requests"], check_exact=True)


@pytest.mark.parametrize("see", [(), (IMAGE, IMAGE, PREFILL, PREFILL, DECODE, DECODE)])
def test_requests_injected_one_by_one_fare_as_those_injected_together(both: Start, see: tuple[int, ...]) -> None:
    rng = np.random.default_rng(7)
    # Whole seconds, so that many arrive at once, and in no order.
    arrive_s, sizes = rng.integers(60, 120, 200).astype(np.float64), rng.integers(1, 400, (2, 200))
    images_each = rng.integers(0, 3, 200)

    def served(batches: int, edges: int) -> tuple[Any, pl.DataFrame]:
        run = both(horizon_s=300.0).lay(see=see, read=(PREFILL, DECODE))
        ids: dict[str, list[Any]] = {"see": [], "read": []}
        for index, part in enumerate(np.array_split(np.arange(200), batches)):
            run.to(10.0 * (1 + index * edges // batches))
            for name, mine in ids.items():
                mine.append(run.model.inject(name, arrive_s[part], *sizes[:, part], images_each[part]))
        tables = run.to(600.0).tables()["requests"]
        return [run.model.outcome(name, np.concatenate(mine)) for name, mine in ids.items()], tables

    together, rows = served(1, 1)
    assert np.isfinite(together).all()
    for batches, edges in ((200, 1), (40, 5)):
        outcomes, tables = served(batches, edges)
        assert np.array_equal(outcomes, together)
        assert_frame_equal(tables, rows)


def test_injected_requests_are_taken_in_the_order_in_which_they_are_ready(start: Start, seeing: Endpoint, reading: Endpoint) -> None:
    """Whatever the order of injection, at one edge or at two; at the same time, who was injected first goes first."""
    alone = seeing.model_copy(update={"tp": 8, "tp_choices": (), "demand": Synthetic(rate_per_s=0.0)})
    parted = reading.model_copy(update={"tp": 4, "tp_choices": (), "demand": Synthetic(rate_per_s=0.0)})
    run = start((alone, parted), {"see": (0,), "read": (2,)}, horizon_s=300.0).lay(read=(PREFILL, DECODE))
    arrive_s = (61.2, 61.1, 61.1, 61.0, 61.2, 61.1)
    ids: dict[str, list[Any]] = {"see": [], "read": []}
    for index, t_s in enumerate(arrive_s):
        run.to(40.0 if index < 3 else 50.0)
        for name, mine in ids.items():
            mine.append(run.model.inject(name, *(np.array([x]) for x in (t_s, 12_000, 2))))
    run.to(120.0)
    for name, mine in ids.items():
        first_s, _ = run.model.outcome(name, np.concatenate(mine))
        assert np.argsort(first_s).tolist() == [3, 1, 2, 5, 0, 4]
