"""ModServe: images and text in pools of their own, sized by their tokens."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies import study
from policies.policy import Schedule, ScopeSpec
from policies.system import Target
from policies.systems.modserve.claims import MODSERVE
from policies.systems.modserve.knobs import ModServeKnobs
from policies.systems.modserve.policy import ModServe
from policies.systems.modserve.pools import Asked, Endpoint
from policies.systems.modserve.profile import Mix
from policies.trial import settled as with_knobs
from twin.run import simulate
from twin.scenario import load
from twin.serving.latency import PREFILL_PER_TOKEN_S
from twin.serving.levers import DECODE, IMAGE, OFF, ON, PREFILL, WHOLE
from twin.variation import varied

TILES, PROMPT = 120.0, 60_000.0


def settled(world, tiles=TILES, prompt=PROMPT, minutes=40, **knobs):
    """Return a world in which a load has lasted for some time."""
    started = world(**knobs)
    started.minutes(minutes, tiles, prompt)
    return started


def test_image_instances_follow_the_images_and_not_the_text(world):
    run = settled(world)
    before = run.instances(IMAGE), run.instances(WHOLE)
    run.minutes(30, 2.0 * TILES, PROMPT)
    assert run.instances(IMAGE) > before[0]
    assert run.instances(WHOLE) == before[1]


def test_text_instances_follow_the_text_and_not_the_images(world):
    run = settled(world, headroom_share=0.0)
    before = run.instances(IMAGE), run.instances(WHOLE)
    run.minutes(30, TILES, 1.8 * PROMPT)
    assert run.instances(WHOLE) > before[1]
    assert run.instances(IMAGE) == before[0]


def test_instances_are_load_over_capacity(world):
    run = settled(world, headroom_share=0.0)
    each = run.holder._sizing.capacity[0]
    assert run.instances(IMAGE) == np.ceil(TILES / each[IMAGE])
    assert run.instances(WHOLE) == np.ceil(PROMPT / each[WHOLE])


@pytest.mark.parametrize("whole", [False, True])
def test_a_load_that_does_not_change_moves_nothing(world, whole):
    run = settled(world, whole_where_fewer=whole)
    run.turns = 0
    run.minutes(120, TILES, PROMPT)
    assert run.turns == 0


def test_pools_are_sized_anew_every_five_minutes_and_not_between(world):
    run = settled(world, minutes=42)
    before, images = (run.wanted.copy(), run.role.copy()), run.instances(IMAGE)
    for _ in range(4):
        # Within the headroom, so no burst; more image tokens, though not one request more.
        run.window(1.6 * TILES, PROMPT)
        np.testing.assert_array_equal(run.wanted, before[0])
        np.testing.assert_array_equal(run.role, before[1])
    run.window(1.6 * TILES, PROMPT)
    assert run.instances(IMAGE) > images


def test_load_at_the_edge_of_an_instance_does_not_flap(world):
    run = settled(world, minutes=60)
    run.turns = 0
    for minute in range(180):
        run.window(TILES * (1.0 + 0.04 * (-1) ** minute), PROMPT * (1.0 + 0.04 * (-1) ** (minute // 7)))
    assert run.turns <= 2


def test_a_burst_of_images_borrows_at_once(world):
    run = settled(world)
    before, text = run.instances(IMAGE), run.instances(WHOLE)
    waiting = np.zeros(len(run.role), dtype=np.int64)
    waiting[np.flatnonzero(run.role == IMAGE)[:1]] = 4000
    run.window(TILES, PROMPT, pending_tiles=waiting)
    assert run.instances(IMAGE) > before
    assert run.instances(WHOLE) == text, "there were free GPUs"


def test_where_no_gpu_is_free_a_burst_borrows_idle_text_instances(world):
    run = settled(world, autoscale=False, choose_width=False)
    before = run.instances(IMAGE)
    busy = (run.role == WHOLE) & run.wanted
    idle = np.flatnonzero(busy)[:2]
    busy[idle] = False
    waiting = np.where(np.arange(len(run.role)) == np.flatnonzero((run.role == IMAGE) & run.wanted)[0], 20_000, 0)
    run.window(3.0 * TILES, PROMPT, pending_tiles=waiting, outstanding=busy.astype(np.int64))
    assert run.instances(IMAGE) > before
    taken = np.flatnonzero((run.role == IMAGE) & run.wanted)
    assert set(idle.tolist()) & set(taken.tolist())


def test_what_a_burst_took_is_given_back_after_the_cool_down(world):
    run = settled(world, cool_down_s=600.0)
    before = run.instances(IMAGE)
    run.minutes(3, 4.0 * TILES, PROMPT)
    peak = run.instances(IMAGE)
    run.minutes(9, TILES, PROMPT)
    assert run.instances(IMAGE) == peak, "the cool-down has not ended"
    run.minutes(40, TILES, PROMPT)
    assert run.instances(IMAGE) == before < peak


def test_nothing_is_released_before_the_first_cool_down(world):
    run = world(cool_down_s=600.0)
    run.minutes(10, TILES, PROMPT)
    assert run.gpus == 32
    run.minutes(10, TILES, PROMPT)
    assert run.gpus < 32


def test_each_stage_has_the_width_with_the_best_capacity_per_gpu(world):
    # Encoding and prefill hardly gain from more GPUs an instance, while there is time; a prefill of 2,000 tokens in 100 ms has none.
    run = settled(world)
    assert run.widths(IMAGE) == {1}
    assert run.widths(WHOLE) == {1}
    hurried = settled(world, targets=(Target(metric="serving.ttft_p99_s", op="<=", bound=0.25),))
    assert hurried.widths(IMAGE) == {1}
    assert min(hurried.widths(WHOLE)) > 1


def test_the_width_of_a_stage_moves_with_its_coefficients_alone(world):
    run = world()
    run.slots["encode_s"] = run.slots["encode_s"] / np.where(run.slots["instance_gpus"] == 2, 20.0, 1.0)[:, None]
    run.minutes(40, TILES, PROMPT)
    text = settled(world).widths(WHOLE)
    assert run.widths(IMAGE) == {2}
    assert run.widths(WHOLE) == text
    slow = world()
    latency = slow.slots["latency"].copy()
    latency[slow.slots["instance_gpus"] != 8, PREFILL_PER_TOKEN_S] *= 6.0
    slow.slots["latency"] = latency
    slow.minutes(40, TILES, PROMPT)
    assert slow.widths(WHOLE) == {8}
    assert slow.widths(IMAGE) == {1}


def test_configured_widths_are_kept_where_they_are_not_to_be_chosen(world):
    run = settled(world, choose_width=False)
    assert run.widths(IMAGE) == run.widths(WHOLE) == {4}


def test_at_low_load_stages_share_servers(world):
    shared, apart = settled(world, tiles=60.0, prompt=30_000.0), settled(world, tiles=60.0, prompt=30_000.0, colocate_below_share=0.0)
    assert shared.servers(IMAGE) <= shared.servers(WHOLE)
    assert not apart.servers(IMAGE) & apart.servers(WHOLE)
    assert len(shared.servers(IMAGE) | shared.servers(WHOLE)) < len(apart.servers(IMAGE) | apart.servers(WHOLE))


def test_with_every_knob_as_it_comes_stages_share_instances_then_servers_and_part_as_the_load_grows(around, serving_seen, world):
    run = world()
    run.holder = ModServe(ModServeKnobs(), around)
    lain = []
    for times in (0.0625, 0.25, 1.0, 0.25):
        run.minutes(40, times * 264.0, times * 80_000.0)
        together = not run.instances(IMAGE)
        lain.append("instances" if together else "servers" if run.servers(IMAGE) & run.servers(WHOLE) else "nothing")
    assert lain == ["instances", "servers", "nothing", "servers"]


def test_at_very_low_load_one_whole_instance_does(world):
    run = settled(world, tiles=2.0, prompt=1_000.0, whole_where_fewer=True)
    assert run.instances(IMAGE) == 0
    assert run.instances(WHOLE) == 1
    assert settled(world, tiles=2.0, prompt=1_000.0).instances(IMAGE) == 1


def test_stages_part_where_each_has_a_width_of_its_own_that_suits_it(world):
    run = world(whole_where_fewer=True)
    gpus = run.slots["instance_gpus"]
    run.slots["encode_s"] = run.slots["encode_s"] * np.where(gpus == 1, 1.0, 20.0)[:, None]
    latency = run.slots["latency"].copy()
    latency[gpus != 8, PREFILL_PER_TOKEN_S] *= 20.0
    run.slots["latency"] = latency
    run.minutes(40, TILES, PROMPT)
    assert run.widths(IMAGE) == {1}
    assert run.widths(WHOLE) == {8}


@settings(max_examples=15, deadline=None)
@given(tiles=st.floats(5.0, 250.0), prompt=st.floats(2_000.0, 120_000.0), headroom=st.sampled_from([0.0, 0.5]), ttft_s=st.floats(0.4, 6.0))
def test_it_never_holds_more_gpus_than_whole_instances_of_the_best_width_need_by_its_profile(
    world, serving_seen, tiles, prompt, headroom, ttft_s
):
    target = Target(metric="serving.ttft_p99_s", op="<=", bound=ttft_s)
    knobs = {"headroom_share": headroom, "width_gain_share": 0.0, "whole_where_fewer": True, "targets": (target,)}
    run = settled(world, tiles, prompt, **knobs)
    seen = serving_seen(**run.slots, t_s=run.t_s)
    every = np.ones(len(run.role), dtype=np.bool_)
    endpoint, slo_s = Endpoint.of(seen, np.arange(len(run.role)), every), min(ttft_s, 2.0)
    load = run.holder._load
    asked = Asked(load.high_per_s(0), load.mix(0), slo_s, slo_s, 0.1).together()
    pools = [
        endpoint.pool(WHOLE, False, seen.instance_gpus == width, asked, ModServeKnobs(headroom_share=headroom)) for width in (1, 2, 4, 8)
    ]
    in_time = [pool.width * pool.instances(pool.need) for pool in pools if pool.fits]
    assert run.gpus <= min([*in_time, 32])
    # Twice the load takes no more than twice the instances.
    for pool in pools:
        assert pool.instances(pool.need) <= 2 * pool.instances(0.5 * pool.need)


def test_pools_of_one_width_keep_one_reserve_between_them(world):
    bare, kept = settled(world, headroom_share=0.0), settled(world, headroom_share=0.5)
    assert bare.widths(IMAGE) == bare.widths(WHOLE) == {1}
    assert kept.instances(WHOLE) == bare.instances(WHOLE)
    each = [settled(world, TILES * a, PROMPT * b, headroom_share=0.0).gpus - bare.gpus for a, b in ((1.5, 1.0), (1.0, 1.5))]
    assert kept.gpus - bare.gpus == max(each)


@pytest.mark.parametrize("whole", [False, True])
def test_a_static_division_stands_from_the_first_window(world, whole):
    run = world(autoscale=False, whole_where_fewer=whole)
    run.window(TILES, PROMPT)
    assert run.gpus == 32
    widths = run.widths(IMAGE), run.widths(WHOLE)
    run.turns = 0
    run.minutes(40, TILES, PROMPT)
    assert (run.widths(IMAGE), run.widths(WHOLE)) == widths
    assert run.turns <= 4, "numbers follow what is really asked"
    run.turns = 0
    run.minutes(60, TILES, PROMPT)
    assert run.turns == 0


def test_an_endpoint_without_images_is_whole_and_scaled_by_its_text(world):
    run = settled(world, tiles=0.0)
    assert run.instances(IMAGE) == 0
    before = run.instances(WHOLE)
    run.minutes(20, 0.0, 1.8 * PROMPT)
    assert run.instances(WHOLE) > before
    assert set(run.role[run.wanted].tolist()) == {WHOLE}


def test_the_text_pool_can_be_parted_into_prefill_and_decode(world):
    run = settled(world, split_decode=True)
    assert min(run.instances(role) for role in (IMAGE, PREFILL, DECODE)) >= 1
    assert run.instances(WHOLE) == 0


def test_a_static_division_holds_every_gpu(world):
    run = settled(world, autoscale=False)
    assert run.gpus == 32
    images, text = run.instances(IMAGE), run.instances(WHOLE)
    run.minutes(60, 3.0 * TILES, PROMPT)
    assert run.gpus == 32
    assert run.instances(IMAGE) > images
    assert run.instances(WHOLE) < text


def test_the_layout_alone_divides_what_others_keep_on(world, around, serving_seen):
    run = world()
    scaled = run.slots["configured"] & (run.slots["instance_server"] < 3)

    class Layout:
        """The layout of ModServe under another policy's scaling."""

        def __init__(self, holder):
            self.lay = holder.lay

        def scale(self, seen):
            return type("Action", (), {"wanted": scaled})()

    run.holder, run.wanted = Layout(run.holder), scaled
    run.minutes(40, TILES, PROMPT)
    assert set(np.unique(run.role[scaled]).tolist()) == {IMAGE, WHOLE}


def test_scaling_alone_leaves_roles_as_they_are(around, serving_seen, world):
    holder, laid = ModServe(ModServeKnobs(), around), world()
    role = np.where(np.arange(len(laid.role)) % 2 == 0, PREFILL, DECODE)
    wanted = laid.slots["configured"]
    for minute in range(40):
        seen = serving_seen(
            **{**laid.slots, "role": role, "state": np.where(wanted, ON, OFF)},
            t_s=60.0 * minute,
            endpoint_prompt_tokens_per_s=np.array([20_000.0]),
            endpoint_output_tokens_per_s=np.array([500.0]),
        )
        wanted = holder.scale(seen).wanted
    assert set(np.unique(role[wanted]).tolist()) == {PREFILL, DECODE}
    assert seen.instance_gpus[wanted].sum() < 32


def test_a_target_tightens_the_objective_of_its_endpoint(world):
    tight = Target(metric="serving.image_ttft_p99_s", op="<=", bound=0.2, scope=(ScopeSpec(kind="endpoint", id="chat"),))
    bounded, free = settled(world, targets=(tight,)), settled(world)
    assert bounded.holder._sizing.capacity[0, IMAGE] < free.holder._sizing.capacity[0, IMAGE]
    other = tight.model_copy(update={"scope": (ScopeSpec(kind="row", id="row-1"),)})
    assert settled(world, targets=(other,)).gpus == free.gpus


@pytest.mark.parametrize(("metric", "bound"), [("serving.gpus_mean", 10.0), ("serving.cost_usd_per_h", 25.0)])
def test_a_target_on_gpus_or_cost_is_kept(world, metric, bound):
    free = settled(world)
    assert free.gpus > 10
    bounded = settled(world, targets=(Target(metric=metric, op="<=", bound=bound),))
    assert bounded.gpus <= 10
    assert min(bounded.instances(IMAGE), bounded.instances(WHOLE)) >= 1


@settings(max_examples=12, deadline=None)
@given(
    loads=st.lists(st.tuples(st.floats(0.0, 400.0), st.floats(0.0, 250_000.0), st.integers(0, 5000)), min_size=3, max_size=8),
    split=st.booleans(),
    autoscale=st.booleans(),
)
def test_whatever_comes_no_gpu_is_promised_twice_and_text_can_be_served(around, serving_seen, world, loads, split, autoscale):
    run = world(split_decode=split, autoscale=autoscale, interval_s=120.0, cool_down_s=120.0)
    for tiles, prompt, waiting in loads:
        run.minutes(4, tiles, prompt, pending_tiles=np.where(np.arange(len(run.role)) == 3, waiting, 0))
        assert not run.twice
        assert run.instances(WHOLE) + min(run.instances(PREFILL), run.instances(DECODE)) >= 1


def test_being_asked_twice_in_one_window_decides_once(world, around, serving_seen):
    one, two = settled(world), settled(world)
    for run, times in ((one, 1), (two, 3)):
        seen = serving_seen(**{**run.slots, "state": np.where(run.wanted, ON, OFF), "role": run.role}, t_s=run.t_s)
        for _ in range(times):
            run.holder.scale(seen)
    np.testing.assert_array_equal(one.holder.lay(seen).role, two.holder.lay(seen).role)
    np.testing.assert_array_equal(one.holder.scale(seen).wanted, two.holder.scale(seen).wanted)


def test_a_restored_holder_decides_the_same(world):
    one, two = settled(world, minutes=23), world()
    two.holder.restore(one.holder.snapshot())
    two.wanted, two.role, two.t_s = one.wanted, one.role, one.t_s
    for run in (one, two):
        run.minutes(30, 2.5 * TILES, 1.5 * PROMPT)
    np.testing.assert_array_equal(one.wanted, two.wanted)
    np.testing.assert_array_equal(one.role, two.role)


def test_the_router_is_told_how_fast_each_instance_reads(world, serving_seen):
    run = world()
    score = run.holder.refresh(serving_seen(**run.slots, t_s=0.0))
    assert score.shape == (len(run.role), 1)
    assert (score[run.slots["instance_gpus"] == 8] < score[run.slots["instance_gpus"] == 1].min()).all()


@pytest.fixture
def narrow_does_not_fit(world):
    """A world in which the model does not fit one GPU."""

    def make(**knobs):
        run = world(**knobs)
        latency = run.slots["latency"].copy()
        latency[run.slots["instance_gpus"] == 1] = np.nan
        run.slots["latency"] = latency
        return run

    return make


def test_a_slot_that_the_model_does_not_fit_is_neither_wanted_nor_a_hole_in_the_scores(narrow_does_not_fit, serving_seen):
    run = narrow_does_not_fit()
    run.minutes(40, TILES, PROMPT)
    assert not (run.widths(IMAGE) | run.widths(WHOLE)) & {1}
    assert run.instances(IMAGE) >= 1
    assert np.isfinite(run.holder.refresh(serving_seen(**run.slots, t_s=run.t_s))).all()


def test_what_is_off_has_no_stage(world):
    run = settled(world)
    assert (run.role[~run.wanted] == WHOLE).all()
    assert run.instances(IMAGE) >= 1


def test_a_smaller_turn_changes_fewer_gpus_at_a_time(world):
    def most(turn_share):
        """Return the most GPUs that change their stage in one window when the demand turns from text to images."""
        run, found = settled(world, 10.0, 2.0 * PROMPT, autoscale=False, choose_width=False, turn_share=turn_share), 0
        for _ in range(20):
            before, wanted = run.role, run.wanted
            run.window(6.0 * TILES, 5_000.0)
            changed = wanted & ((run.role != before) | ~run.wanted)
            found = max(found, int(run.slots["instance_gpus"][changed].sum()))
        return found

    assert 0 < most(0.25) <= 8 < most(1.0)


def test_images_of_prompts_yet_to_be_read_are_not_all_believed():
    asked = Asked(np.array([5_000.0, 10.0, 1.0]), Mix(prompt_tokens=1000.0, tiles=5.0, image_share=0.5), 2.0, 2.0, 0.1)
    assert asked.together().mix.image_share == 8.0


def test_images_of_a_request_are_encoded_on_several_instances_at_once():
    vision = "serving.endpoints[vision]"
    rare = dict.fromkeys((f"{vision}.demand.images.{name}_per_s" for name in ("calm_rate", "burst_rate_low", "burst_rate_high")), 0.05)
    light = {**rare, f"{vision}.demand.rate_per_s": 0.0, f"{vision}.demand.images.max_images": 16}
    two_servers = {"horizon_s": 1200.0, "workloads.vms[0].servers": ["server-1", "server-2"], f"{vision}.tp": 1}
    small = varied(load("modserve"), {**light, **two_servers})

    def encode_s(pieces):
        """Return what the images of requests of 16 tiles take on idle image instances of one GPU, once these have been sized."""
        knobs = {"autoscale": False, "whole_where_fewer": False, "choose_width": False, "image_pieces": pieces}
        policy = with_knobs(MODSERVE, {f"modserve.{name}": value for name, value in knobs.items()}, "split")
        tables = simulate(small, study.phases(Schedule.of(policy), small), seed=1).tables
        asked = tables["requests"].filter((pl.col("images") == 16) & (pl.col("encode_wait_s") == 0.0) & (pl.col("arrive_s") > 600.0))
        return asked.sort("arrive_s").select("encode_s").collect()["encode_s"].to_numpy()

    whole, split = encode_s(1), encode_s(4)
    assert len(whole) == len(split) > 2
    # 3.07 ms and 13.0 ms a tile: composed from measured kernels.
    np.testing.assert_allclose(whole, 0.00307 + 16 * 0.0130, rtol=1e-5)
    np.testing.assert_allclose(split, 0.00307 + 4 * 0.0130, rtol=1e-5)
