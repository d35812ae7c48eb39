"""The best worker: closed forms against numbers, laws, and the engine."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.systems.aladdin import plan
from twin.serving import batching as b
from twin.serving.engine import Engine
from twin.serving.latency import decode_s, prefill_s, profile

ONE = np.ones(1)


def found(gpu="a100", model="8b", tp=1, *, prompt=1000.0, output=200.0, gamma=1.0, theta=0.9, role="whole", **asked):
    """Return the capacity of one worker; ``asked`` are aims: ttft_s, atgt_s, share, weight."""
    aims = {"ttft_s": 60.0, "atgt_s": 0.05, "share": 1.0, "weight": 1.0} | asked
    row = np.array([profile(gpu, "vllm", model, tp).coefficients])
    mix = plan.Mix(prompt * ONE, prompt**2 * ONE, output * ONE, (prompt + output / 2) * ONE, 0 * ONE, 0 * ONE)
    bounds = plan.Aims(aims["ttft_s"] * ONE, aims["atgt_s"] * ONE, 0.01 * ONE, aims["share"] * ONE, aims["weight"] * ONE)
    duty = plan.Duty(np.array([role in {"whole", "prefill"}]), np.array([role in {"whole", "decode"}]))
    return plan.capacity(row, mix, bounds, duty, theta, gamma, np.array([256]))


def test_the_batch_of_a_decode_worker_is_the_root_of_the_iteration_time():
    # A100, vLLM, 8B: 11.38 + (0.0377 + 0.0826 x 1.1) B ms within 50 x 0.9 ms is B = 261 (coefficients: facts sheet, 3C).
    got = found(role="decode", gamma=0.9, theta=1.0)
    assert int(got.batch[0]) == 256, "the batch limit"
    tight = found(role="decode", atgt_s=0.03, gamma=1.0)
    assert int(tight.batch[0]) == int((30.0 - 11.38) / (0.0377 + 0.0826 * 1.1))
    # The mean stays below the limit by what requests in flight vary: 166 at two standard deviations from 154.
    assert tight.rate_per_s[0] == pytest.approx(144.8 / (200 * 0.03), rel=0.05)


def test_a_worker_at_the_planned_rate_gives_tokens_in_the_planned_time():
    got, row = found(), np.array([profile("a100", "vllm", "8b", 1).coefficients])
    number = 6000
    arrive_s = np.cumsum(np.random.default_rng(3).exponential(1.0 / got.rate_per_s[0], number))
    engine = Engine(row, arrive_s, (np.full(number, 1000), np.full(number, 200)))
    engine.advance(0, int((arrive_s[-1] + 100.0) * b.TICKS_PER_S), b.entry(_only()))
    rows = engine.requests[1000:]
    atgt_s = (rows[:, b.FINISH] - rows[:, b.FIRST]).mean() / 199 / b.TICKS_PER_S
    assert atgt_s == pytest.approx(0.05, rel=0.2)


def test_the_tail_of_the_first_token_is_near_what_was_planned():
    got, row = found(ttft_s=0.5, atgt_s=0.2), np.array([profile("a100", "vllm", "8b", 1).coefficients])
    number = 20_000
    arrive_s = np.cumsum(np.random.default_rng(3).exponential(1.0 / got.rate_per_s[0], number))
    engine = Engine(row, arrive_s, (np.full(number, 1000), np.full(number, 200)))
    engine.advance(0, int((arrive_s[-1] + 100.0) * b.TICKS_PER_S), b.entry(_only()))
    rows = engine.requests[1000:]
    first_s = np.quantile((rows[:, b.FIRST] - rows[:, b.ARRIVE]) / b.TICKS_PER_S, 0.99)
    assert 0.25 < first_s < 0.65


def _only():
    from policies.baselines.routes import round_robin

    return round_robin


@settings(max_examples=40, deadline=None)
@given(
    prompt=st.floats(20, 8000),
    output=st.floats(2, 2000),
    atgt_s=st.floats(0.02, 0.3),
    ttft_s=st.floats(0.3, 10.0),
    gamma=st.floats(0.5, 1.0),
    theta=st.floats(0.4, 1.0),
)
def test_looser_objectives_never_mean_fewer_requests(prompt, output, atgt_s, ttft_s, gamma, theta):
    asked = {"prompt": prompt, "output": output, "atgt_s": atgt_s, "ttft_s": ttft_s, "gamma": gamma, "theta": theta}
    got = found(**asked)
    if not got.meets[0]:
        return
    for name in ("atgt_s", "ttft_s"):
        looser = found(**{**asked, name: 1.3 * asked[name]})
        assert looser.rate_per_s[0] >= got.rate_per_s[0] * (1.0 - 1e-4), name
    for name in ("gamma", "theta"):
        assert found(**{**asked, name: 1.0}).rate_per_s[0] >= got.rate_per_s[0] * (1.0 - 1e-4), name
    assert found(**asked, share=0.6).rate_per_s[0] <= got.rate_per_s[0] * (1.0 + 1e-4)
    assert found(**asked, weight=3.0).rate_per_s[0] <= got.rate_per_s[0] * (1.0 + 1e-4)


@settings(max_examples=40, deadline=None)
@given(prompt=st.floats(20, 8000), output=st.floats(2, 2000), atgt_s=st.floats(0.02, 0.3), gamma=st.floats(0.5, 1.0))
def test_the_limit_leaves_iterations_within_the_objective_and_the_cache(prompt, output, atgt_s, gamma):
    got = found(prompt=prompt, output=output, atgt_s=atgt_s, gamma=gamma)
    row, context = profile("a100", "vllm", "8b", 1).coefficients, prompt + output / 2
    batch = int(got.batch[0])
    assert batch * context <= 0.9 * row[-1] or batch == 1
    if got.meets[0]:
        assert float(decode_s(row, batch, batch * context)) <= atgt_s + 1e-9
        assert got.rate_per_s[0] * float(prefill_s(row, prompt, prompt**2)) < 1.0, "prefills take less than all the time"


def test_prefill_workers_are_sized_by_waiting_and_decode_workers_by_tokens():
    whole, prefill, decode = (found(role=role, ttft_s=2.0) for role in ("whole", "prefill", "decode"))
    assert prefill.rate_per_s[0] > whole.rate_per_s[0]
    assert decode.rate_per_s[0] > whole.rate_per_s[0]
    assert found(role="prefill", ttft_s=0.5).rate_per_s[0] < prefill.rate_per_s[0]
    assert found(role="decode", ttft_s=0.5).rate_per_s[0] == found(role="decode", ttft_s=5.0).rate_per_s[0]


def test_the_width_is_the_one_with_the_most_requests_per_gpu_that_meets_the_objectives():
    gpus, same = np.array([2, 4, 8]), np.zeros(3, dtype=np.int64)
    easy = plan.Capacity(np.array([9, 9, 9]), np.array([2.0, 3.0, 4.0]), np.array([True, True, True]))
    assert (plan.widths(gpus, same, easy) == 2).all()
    hard = plan.Capacity(np.array([9, 9, 9]), np.array([2.0, 3.0, 7.0]), np.array([False, True, True]))
    assert (plan.widths(gpus, same, hard) == 8).all()
    hopeless = plan.Capacity(np.array([9, 9, 9]), np.array([2.0, 3.0, 7.0]), np.array([False, False, False]))
    assert (plan.widths(gpus, same, hopeless) == 8).all(), "the quickest where none meets them"


def test_each_server_gets_the_width_that_suits_its_gpus():
    gpus, groups = np.array([4, 8, 4, 8]), np.array([0, 0, 1, 1])
    capacity = plan.Capacity(np.full(4, 9), np.array([3.0, 5.0, 1.0, 5.0]), np.array([True, True, False, True]))
    assert plan.widths(gpus, groups, capacity).tolist() == [4, 4, 8, 8]


@settings(max_examples=30)
@given(rates=st.lists(st.floats(0.1, 9.0), min_size=1, max_size=12), demand=st.floats(0.0, 60.0))
def test_workers_carry_the_demand_and_one_fewer_would_not(rates, demand):
    count = plan.workers_needed(np.array(rates), demand)
    assert count >= 1
    if count <= len(rates):
        assert sum(rates[:count]) >= demand - 1e-6
    if count > 1:
        assert sum(rates[: count - 1]) < demand + 1e-6
