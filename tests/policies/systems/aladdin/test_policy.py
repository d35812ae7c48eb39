"""Aladdin as a holder: widths, numbers of workers, room, and what it remembers."""

from itertools import pairwise

import numpy as np
import pytest

from policies.policy import ScopeSpec
from policies.system import Target
from policies.systems.aladdin import routes, scores
from policies.systems.aladdin.calibration import Calibration
from policies.systems.aladdin.goals import Goals
from policies.systems.aladdin.knobs import AladdinKnobs
from policies.systems.aladdin.policy import Aladdin
from twin import world
from twin.serving.latency import KV_TOKENS, decode_s, profile
from twin.serving.levers import DECODE, IMAGE, OFF, ON, PREFILL, STARTING, WHOLE, Finished

WIDTHS = (4, 4, 8, 2, 2, 2, 2)
SERVERS = 4
SLOTS = len(WIDTHS) * SERVERS
COUNTS = (
    "prefill_iterations", "prompt_tokens", "squared_prompt_tokens",
    "decode_iterations", "decoded_tokens", "decoded_context_tokens",
)  # fmt: skip
# A minute of iterations that took longer than any profile says.
SLOW = {"decode_iterations": np.full(SLOTS, 300), "decoded_tokens": np.full(SLOTS, 600), "decode_share": np.full(SLOTS, 0.9)}


@pytest.fixture
def site(serving_seen):
    """Make observations of four servers with slots of four GPUs (configured), eight and two."""
    gpus = np.tile(WIDTHS, SERVERS)
    order = np.argsort(np.where(gpus == 4, 0, gpus), kind="stable")
    server = np.repeat(np.arange(SERVERS), len(WIDTHS))[order]
    first = (np.tile([0, 4, 0, 0, 2, 4, 6], SERVERS))[order] + 8 * server
    gpus = gpus[order]

    def make(gpu="h100", **changes):
        table = np.array([profile(gpu, "vllm", "70b", int(width)).coefficients for width in gpus])
        n, one = SLOTS, np.ones(SLOTS)
        topology = {
            "instance_endpoint": np.zeros(n, dtype=np.int64),
            "instance_server": server,
            "instance_row": server // 2,
            "instance_first_gpu": first,
            "instance_gpus": gpus,
            "configured": gpus == 4,
            "gpu_tdp_w": 700.0 * one,
            "latency": table,
            "variant_latency": table[None],
            "encode_s": np.zeros((n, 2)),
            "instance_usd_per_h": gpus * 2.0,
            "state": np.where(gpus == 4, ON, OFF),
            "role": np.full(n, WHOLE),
            "variant": np.zeros(n, dtype=np.int64),
            "speed_share": one,
            "max_batch": np.full(n, 256),
            "configured_max_batch": np.full(n, 256),
            "queued": np.zeros(n, dtype=np.int64),
            **{name: np.zeros(n, dtype=np.int64) for name in COUNTS},
            **{f"{phase}_share": np.zeros(n) for phase in ("prefill", "decode", "encode")},
        }
        return serving_seen(**{**topology, **changes})

    return make


def follow(holder, site, ended, rate_per_s, minutes, since_s=0.0, state=None, requests=120, **changes):
    """Let a holder decide every minute while what it wants comes about a minute later; return its last wish."""
    seen = site(t_s=since_s)
    state = seen.state.copy() if state is None else state
    wanted = None
    for minute in range(minutes):
        rate = rate_per_s(minute) if callable(rate_per_s) else rate_per_s
        done = ended(np.full(requests, 1000), 200) if rate > 0 else ended([], [])
        seen = site(
            t_s=since_s + 60.0 * minute,
            state=state.copy(),
            endpoint_arrivals_per_s=np.array([rate]),
            finished=lambda done=done: done,
            **changes,
        )
        wanted = holder.scale(seen).wanted
        state = np.where(wanted, np.where(state == ON, ON, np.where(state == STARTING, ON, STARTING)), OFF)
    return wanted, seen


def gpus_of(wanted, seen):
    return int(seen.instance_gpus[wanted].sum())


def test_before_anything_was_seen_all_workers_of_the_best_width_for_usual_requests_are_wanted(around, site, ended):
    holder = Aladdin(AladdinKnobs(), around)
    seen = site(t_s=0.0, endpoint_arrivals_per_s=np.zeros(1), finished=lambda: ended([], []))
    wanted = holder.scale(seen).wanted
    assert len(np.unique(seen.instance_gpus[wanted])) == 1
    assert gpus_of(wanted, seen) == 8 * SERVERS
    late = Aladdin(AladdinKnobs(), around).scale(site(t_s=0.0, endpoint_atgt_slo_s=np.array([0.014]))).wanted
    assert set(seen.instance_gpus[late].tolist()) == {8}, "only the widest are in time"


@pytest.mark.parametrize("slo_s", [0.014, 0.02, 0.03, 0.1])
def test_gpus_grow_with_a_fixed_number_of_workers_however_few_are_in_time(around, site, ended, slo_s):
    def gpus(workers):
        """Return the GPUs at each end of a run in which the fewer there are the later and the shorter what has finished is."""
        holder, held = Aladdin(AladdinKnobs(workers=workers), around), []
        for minute in range(30):
            done = ended(np.full(60, 200 * workers), 40 * workers, ttft_s=9.0 / workers, atgt_s=0.3 / workers)
            seen = site(
                t_s=60.0 * minute,
                endpoint_arrivals_per_s=np.array([9.0]),
                endpoint_atgt_slo_s=np.array([slo_s]),
                finished=lambda done=done: done,
            )
            held.append(gpus_of(holder.scale(seen).wanted, seen))
        assert len(set(held)) == 1, "settled before anything ran"
        return held[-1]

    found = [gpus(workers) for workers in range(1, 9)]
    assert (np.diff(found) >= 0).all()
    assert found[1] == 2 * found[0]


def test_a_width_changes_once_requests_are_known_and_completely(around, site, ended):
    holder, state, held = Aladdin(AladdinKnobs(), around), None, []
    long = {"endpoint_atgt_slo_s": np.array([0.04])}
    for minute in range(60):
        now = long if state is None else {**long, "state": state.copy()}
        done = ended(np.full(60, 6000), 50)
        seen = site(t_s=60.0 * minute, endpoint_arrivals_per_s=np.array([2.0]), finished=lambda done=done: done, **now)
        wanted = holder.scale(seen).wanted
        before = wanted if state is None else state
        state = np.where(wanted, np.where(np.isin(before, (ON, STARTING)), ON, STARTING), OFF)
        held.append(set(seen.instance_gpus[wanted].tolist()))
    assert all(len(widths) == 1 for widths in held[-20:])
    changes = sum(one != two for one, two in pairwise(held))
    assert 1 <= changes <= 2, "there, with both on the way, and done"


def test_a_width_that_is_better_only_now_and_then_changes_nothing(around, site, ended):
    holder, state, held = Aladdin(AladdinKnobs(cool_down_s=600.0), around), None, set()
    for minute in range(90):
        # Eight minutes of an objective that only the widest keep, then eight of one that all keep.
        slo_s = 0.014 if minute > 10 and minute // 8 % 2 else 0.1
        wanted, seen = follow(holder, site, ended, 4.0, 1, since_s=60.0 * minute, state=state, endpoint_atgt_slo_s=np.array([slo_s]))
        state = np.where(wanted, ON, OFF)
        held |= set(seen.instance_gpus[wanted].tolist()) if minute > 10 else set()
    assert len(held) == 1


def test_more_demand_takes_more_gpus_and_less_takes_fewer(around, site, ended):
    holder = Aladdin(AladdinKnobs(), around)
    few, seen = follow(holder, site, ended, 4.0, 30)
    many, _ = follow(holder, site, ended, 14.0, 10, since_s=1800.0, state=np.where(few, ON, OFF))
    again, _ = follow(holder, site, ended, 4.0, 40, since_s=2400.0, state=np.where(many, ON, OFF))
    assert gpus_of(few, seen) < gpus_of(many, seen)
    assert gpus_of(again, seen) < gpus_of(many, seen)
    assert gpus_of(few, seen) <= 8


def test_workers_are_counted_for_more_than_what_arrives(around, site, ended):
    held = []
    for factor in (1.0, 1.3, 2.0):
        wanted, seen = follow(Aladdin(AladdinKnobs(tp=4, peak_factor=factor), around), site, ended, 32.0, 40)
        held.append(gpus_of(wanted, seen))
    assert held[0] < held[1] < held[2]
    assert held[2] == pytest.approx(2 * held[0], abs=4), "in whole workers of four GPUs"


@pytest.mark.parametrize("missed", [{"atgt_s": 0.3}, {"ttft_s": 9.0}])
def test_a_holder_that_sees_misses_wants_more_workers_and_one_that_may_not_calibrate_does_not(around, site, ended, missed):
    def held(calibrate, **times):
        holder = Aladdin(AladdinKnobs(tp=4, calibrate=calibrate), around)
        for minute in range(30):
            done = ended(np.full(300, 1000), 200, **times)
            seen = site(t_s=60.0 * minute, endpoint_arrivals_per_s=np.array([16.0]), finished=lambda done=done: done)
            wanted = holder.scale(seen).wanted
        return gpus_of(wanted, seen)

    assert held(True, **missed) > held(True)
    assert held(False, **missed) == held(False) == held(True)


def test_the_rule_is_told_how_many_schedulers_there_are(around, site):
    for schedulers in (1, 5):
        score = Aladdin(AladdinKnobs(schedulers=schedulers), around).refresh(site())
        assert (score[:, routes.SCHEDULERS] == schedulers).all()


def test_a_tighter_objective_takes_more_gpus(around, site, ended):
    def held(**slo):
        wanted, seen = follow(Aladdin(AladdinKnobs(), around), site, ended, 6.0, 40, **slo)
        return gpus_of(wanted, seen)

    assert held(endpoint_atgt_slo_s=np.array([0.035])) > held(endpoint_atgt_slo_s=np.array([0.2]))
    assert held(endpoint_ttft_slo_s=np.array([0.25])) > held(endpoint_ttft_slo_s=np.array([5.0]))


@pytest.mark.parametrize(
    "target",
    [
        Target(metric="serving.atgt_p99_s", op="<=", bound=0.035),
        Target(metric="serving.ttft_p99_s", op="<=", bound=0.25, scope=(ScopeSpec(kind="endpoint", id="chat"),)),
    ],
)
def test_a_target_is_an_objective(around, site, ended, target):
    def held(*targets):
        wanted, seen = follow(Aladdin(AladdinKnobs(targets=targets), around), site, ended, 6.0, 40)
        return gpus_of(wanted, seen)

    assert held(target) > held()


def test_targets_hold_where_and_when_they_say(around):
    evening = Target(metric="serving.ttft_p99_s", op="<=", bound=0.5, from_hour=18.0, to_hour=20.0)
    elsewhere = Target(metric="serving.ttft_p99_s", op="<=", bound=0.1, scope=(ScopeSpec(kind="row", id="row-1"),))
    goals, slo = Goals((evening, elsewhere), around), np.array([2.0])
    assert goals.ttft_s(slo, 12 * 3600.0, 180.0) == 2.0
    assert goals.ttft_s(slo, 18 * 3600.0 - 120.0, 180.0) == 0.5, "workers must be on when the hours begin"
    assert goals.ttft_s(slo, 20 * 3600.0, 180.0) == 2.0
    at_least = Target(metric="serving.ttft_p99_s", op=">=", bound=0.5)
    assert Goals((at_least,), around).ttft_s(slo, 0.0, 0.0) == 2.0, "a floor is no objective"
    nothing = Target(metric="serving.atgt_p99_s", op="<=", bound=0.0)
    assert Goals((nothing,), around).atgt_s(slo, 0.0, 0.0) > 0.0, "times are divided by it"
    share = Target(metric="serving.slo_attainment_share", op=">=", bound=0.999)
    assert Goals((share,), around).tail_share(0.01, 1, 0.0, 0.0) == pytest.approx(0.0005)


def test_workers_are_given_back_only_after_a_cool_down(around, site, ended):
    holder = Aladdin(AladdinKnobs(cool_down_s=900.0), around)
    busy, _ = follow(holder, site, ended, 14.0, 40)
    after, seen = follow(holder, site, ended, 2.0, 14, since_s=2400.0, state=np.where(busy, ON, OFF))
    np.testing.assert_array_equal(after, busy)
    later, _ = follow(holder, site, ended, 2.0, 8, since_s=2400.0 + 840.0, state=np.where(busy, ON, OFF))
    assert gpus_of(later, seen) < gpus_of(busy, seen)


def test_wanted_workers_never_share_gpus_and_fill_one_server_after_the_other(around, site, ended):
    holder = Aladdin(AladdinKnobs(), around)
    wanted, seen = follow(holder, site, ended, 6.0, 60)
    taken = np.concatenate([np.arange(f, f + g) for f, g in zip(seen.instance_first_gpu[wanted], seen.instance_gpus[wanted], strict=True)])
    assert len(taken) == len(set(taken.tolist()))
    per_server = np.bincount(seen.instance_server[wanted], weights=seen.instance_gpus[wanted], minlength=SERVERS)
    assert ((per_server > 0) & (per_server < 8)).sum() <= 1


def test_while_widths_are_changed_some_workers_stay(around, site, ended):
    holder, state = Aladdin(AladdinKnobs(), around), None
    for minute in range(40):
        wanted, seen = follow(holder, site, ended, 9.0, 1, since_s=60.0 * minute, state=state, requests=400)
        before = site().state if state is None else state
        assert ((before == ON) & wanted).any()
        state = np.where(wanted, np.where(before == ON, ON, np.where(before == STARTING, ON, STARTING)), OFF)
    assert len(np.unique(seen.instance_gpus[wanted])) == 1


@pytest.mark.parametrize(("tp", "workers"), [(2, 3), (4, 5), (8, 1)])
def test_fixed_width_and_number_are_kept(around, site, ended, tp, workers):
    wanted, seen = follow(Aladdin(AladdinKnobs(tp=tp, workers=workers), around), site, ended, 9.0, 30)
    assert seen.instance_gpus[wanted].tolist() == [tp] * workers
    first = Aladdin(AladdinKnobs(tp=tp, workers=workers), around).scale(site(t_s=0.0))
    np.testing.assert_array_equal(first.wanted, wanted)


def test_a_width_that_is_not_there_is_refused_by_name(around, site):
    with pytest.raises(ValueError, match=r"aladdin\.tp: endpoint chat has no instances of 1 GPUs but of 2, 4, 8"):
        Aladdin(AladdinKnobs(tp=1), around).scale(site())


def test_an_endpoint_nobody_asks_keeps_one_worker(around, site, ended):
    wanted, _ = follow(Aladdin(AladdinKnobs(), around), site, ended, 0.0, 60)
    assert wanted.sum() == 1


def test_prefill_and_decode_pools_are_counted_apart(around, site, ended):
    role = np.where(site().instance_server < 2, PREFILL, DECODE)
    wanted, seen = follow(Aladdin(AladdinKnobs(tp=4), around), site, ended, 1.0, 40, role=role)
    assert {PREFILL, DECODE} == set(role[wanted].tolist())
    busy, _ = follow(Aladdin(AladdinKnobs(tp=4), around), site, ended, 18.0, 40, role=role)
    assert (role[busy] == PREFILL).sum() > (role[wanted] == PREFILL).sum()
    assert (role[busy] == DECODE).sum() < (role[busy] == PREFILL).sum(), "prompts of 1,000 tokens weigh more than 200 tokens out"
    assert seen.t_s > 0


def test_batch_limits_are_what_the_objectives_allow(around, site, ended):
    def limits(slo_s):
        holder = Aladdin(AladdinKnobs(), around)
        _, seen = follow(holder, site, ended, 6.0, 10, endpoint_atgt_slo_s=np.array([slo_s]))
        action = holder.configure(seen)
        assert (action.clock_share == 1.0).all()
        assert action.variant is None
        return action.max_batch

    tight, loose = limits(0.022), limits(0.15)
    assert (tight <= loose).all()
    assert (tight < loose).any()
    assert tight.min() >= 1
    assert loose.max() <= 256


def test_a_slowed_worker_is_told_to_the_rule_as_slow(around, site, ended):
    holder = Aladdin(AladdinKnobs(), around)
    speed = np.where(np.arange(SLOTS) == 0, 0.5, 1.0)
    score = holder.refresh(site(speed_share=speed, finished=lambda: ended([1000] * 50, 200)))
    same = np.flatnonzero(site().instance_gpus == 4)
    assert score.shape == (SLOTS, routes.SCORE_COLUMNS)
    assert score[0, routes.PREFILL_PER_TOKEN] == pytest.approx(2.0 * score[same[1], routes.PREFILL_PER_TOKEN])
    assert score[0, routes.SLOW_PER_TOKEN] == pytest.approx(1.2 * score[same[1], routes.SLOW_PER_TOKEN])


def test_the_speed_below_which_decoding_slows_is_the_worlds():
    assert scores._DECODE_KNEE_SHARE == world.DECODE_KNEE_SHARE


def test_a_worker_that_stands_still_is_told_as_very_slow_and_not_as_endless(around, site):
    score = Aladdin(AladdinKnobs(), around).refresh(site(speed_share=np.zeros(SLOTS)))
    assert np.isfinite(score).all()


def test_slowed_workers_carry_less_so_that_more_of_them_are_wanted(around, site, ended):
    held = []
    for speed in (1.0, 0.5):
        wanted, seen = follow(Aladdin(AladdinKnobs(tp=4), around), site, ended, 6.0, 40, speed_share=np.full(SLOTS, speed))
        held.append(gpus_of(wanted, seen))
    assert held[1] > held[0]


def test_an_error_counts_for_no_more_than_a_part_of_the_cache(around, site, ended):
    holder = Aladdin(AladdinKnobs(), around)
    holder.refresh(site(t_s=0.0, finished=lambda: ended([1000] * 900, 20_000)))
    score = holder.refresh(site(t_s=60.0))
    room = site().latency[:, KV_TOKENS]
    assert 0.0 < score[0, routes.ERROR] <= 0.25 * room[0]


def test_images_are_encoded_before_the_prefill_only_where_no_image_instance_does_it(site):
    encode_s = np.tile([0.01, 0.02], (SLOTS, 1))
    np.testing.assert_array_equal(scores.encoding(site(encode_s=encode_s)), encode_s)
    role = np.where(np.arange(SLOTS) == 0, IMAGE, WHOLE)
    assert not scores.encoding(site(encode_s=encode_s, role=role)).any()
    off = np.where(role == IMAGE, OFF, site().state)
    assert scores.encoding(site(encode_s=encode_s, role=role, state=off)).any(), "it serves nobody while it is off"


def test_the_rule_goes_by_the_batch_limits_in_force(around, site):
    small = {"max_batch": np.full(SLOTS, 16), "configured_max_batch": np.full(SLOTS, 64)}
    routing = Aladdin(AladdinKnobs(max_batch=128), around)
    assert (routing.refresh(site(**small))[:, routes.BATCH_SHARE] == 1.0 / 16).all(), "another system sets them"
    both = Aladdin(AladdinKnobs(max_batch=128), around)
    limits = both.configure(site(**small)).max_batch
    assert limits.max() > 64, "the knob goes before the scenario"
    np.testing.assert_allclose(both.refresh(site(**small))[:, routes.BATCH_SHARE], 1.0 / limits)


def test_however_many_miss_an_iteration_of_one_request_still_fits(around, site):
    holder, seen = Aladdin(AladdinKnobs(), around), site(endpoint_atgt_slo_s=np.array([0.03]))
    holder.scale(seen)
    holder._calibration.atgt_share[:] = 0.4
    aims = holder._aims(seen, 0.0)
    alone_s = decode_s(seen.latency, 1, holder._sizes.context_tokens[seen.instance_endpoint])
    assert (aims.atgt_share > 0.4).any()
    assert ((AladdinKnobs().gamma * aims.atgt_share * aims.atgt_s > alone_s) | (aims.atgt_share == 1.0)).all()


def test_before_enough_requests_have_ended_nothing_is_given_back(around, site, ended):
    holder = Aladdin(AladdinKnobs(cool_down_s=60.0), around)
    first = holder.scale(site(t_s=0.0, finished=lambda: ended([], []))).wanted
    for minute in range(1, 20):
        done = ended([1000] if minute % 2 else [], 200)
        wanted = holder.scale(site(t_s=60.0 * minute, endpoint_arrivals_per_s=np.array([0.01]), finished=lambda done=done: done)).wanted
        np.testing.assert_array_equal(wanted, first)


def test_image_instances_are_left_to_whoever_lays_them(around, site, ended):
    role = np.where((site().instance_server == 0) & site().configured, IMAGE, WHOLE)
    wanted, _ = follow(Aladdin(AladdinKnobs(), around), site, ended, 4.0, 40, role=role)
    assert wanted[role == IMAGE].all()


def missed(calibration, count, late, slow):
    """Let some requests end of which one in a hundred may be late, and so many are; then adjust."""
    none = np.zeros(count, dtype=np.int64)
    ttft, atgt = np.full(count, 0.5), np.full(count, 0.02)
    ttft[:late], atgt[:slow] = 9.0, 9.0
    calibration.count(Finished(none, none, none, none, none, ttft, atgt), np.array([2.0]), np.array([0.1]))
    calibration.adjust(np.array([0.01]))


def test_misses_tighten_and_their_absence_loosens():
    calibration = Calibration(1)

    def window(late, slow):
        missed(calibration, 1000, late, slow)

    window(10, 10)
    assert (calibration.stall_weight[0], calibration.ttft_share[0]) == (1.0, 1.0), "as many as may"
    window(15, 15)
    assert (calibration.stall_weight[0], calibration.ttft_share[0]) == (1.0, 1.0), "no more than chance explains"
    window(0, 60)
    assert calibration.stall_weight[0] > 1.0
    assert calibration.atgt_share[0] < 1.0
    assert calibration.ttft_share[0] == 1.0
    window(60, 0)
    assert calibration.ttft_share[0] < 1.0
    for _ in range(80):
        window(0, 0)
    assert (calibration.stall_weight[0], calibration.atgt_share[0], calibration.ttft_share[0]) == (1.0, 1.0, 1.0)


def test_a_few_requests_teach_nothing_until_there_are_enough_of_them():
    calibration = Calibration(1)
    missed(calibration, 60, 30, 30)
    assert (calibration.stall_weight[0], calibration.ttft_share[0]) == (1.0, 1.0)
    missed(calibration, 60, 0, 0)
    assert calibration.stall_weight[0] > 1.0, "the first ones were counted"
    assert calibration.ttft_share[0] < 1.0


def test_whoever_asks_first_the_decisions_are_the_same(around, site, ended):
    def asked(order):
        holder = Aladdin(AladdinKnobs(), around)
        for minute in range(12):
            done = ended(np.full(60, 900 + minute), 150)
            seen = site(t_s=60.0 * minute, endpoint_arrivals_per_s=np.array([7.0]), finished=lambda done=done: done)
            found = {name: getattr(holder, name)(seen) for name in order}
        return found["scale"].wanted, found["configure"].max_batch

    for one, other in zip(asked(("scale", "configure", "refresh")), asked(("configure", "refresh", "scale")), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_snapshot_goes_on_as_if_nothing_had_been(around, site, ended):
    holder = Aladdin(AladdinKnobs(), around)
    follow(holder, site, ended, 6.0, 17, **SLOW)
    assert (holder._refit.factors != 1.0).any()
    other = Aladdin(AladdinKnobs(), around)
    other.restore(holder.snapshot())
    for minute in range(17, 30):
        done = ended(np.full(80, 700 + 20 * minute), 150 + minute, np.arange(80) % SLOTS)
        seen = site(t_s=60.0 * minute, endpoint_arrivals_per_s=np.array([8.0]), finished=lambda done=done: done, **SLOW)
        np.testing.assert_array_equal(holder.scale(seen).wanted, other.scale(seen).wanted)
        np.testing.assert_array_equal(holder.configure(seen).max_batch, other.configure(seen).max_batch)
        np.testing.assert_array_equal(holder.refresh(seen), other.refresh(seen))


def test_requests_that_no_worker_could_hold_ask_for_more_workers(around, site):
    """The router's count is a scaling signal: the same demand with overflow needs more workers."""

    def need(**changes):
        holder, seen = Aladdin(AladdinKnobs(), around), site(t_s=60.0, endpoint_arrivals_per_s=np.array([4.0]), **changes)
        return holder._need(seen, 0, np.arange(SLOTS)).per_s

    plain, window_s = need(), site().window_s
    assert need(endpoint_overflows=np.array([600])) == pytest.approx(plain + 600 / window_s)
    assert need(queued=np.full(SLOTS, 30)) == pytest.approx(plain + 30 * SLOTS / AladdinKnobs().heartbeat_s), "what waits does too"
