"""Placement: constraints hold, the fullest worker wins, nobody knows the future."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.baselines.routes import least_outstanding
from policies.systems.aladdin import routes
from policies.systems.aladdin.lengths import bucket
from twin.serving import batching as b
from twin.serving.engine import Rules, ticks
from twin.serving.levers import PLACED_FEASIBLE, PLACED_OVERFLOWS, PLACED_REASON

MASK = 0x7FFFFFFF


def place(pool, i, t, route=routes.best_fit, allowed=None):
    """Ask the rule where a request should go at tick ``t``; return its answer and what it left behind."""
    engine, memory = pool.engine, np.zeros(routes.MEMORY, dtype=np.int64)
    open_to = np.ones(len(engine.instances), dtype=np.uint8) if allowed is None else np.array(allowed, dtype=np.uint8)
    chosen = route(t, i, len(open_to), engine.requests, engine.instances, engine.heap, engine.load, open_to, pool.score, memory)
    return int(chosen), memory


def moment(pool, until_s, route=routes.best_fit):
    """Serve until a time and return a tick a little later, before anything happens, and the request that comes next."""
    pool.run(route, until_s)
    now = ticks(until_s)
    following = pool.engine.instances[:, b.NEXT].min()
    following_id = int(pool.engine.cursor[b.NEXT_ARRIVAL])
    assert following_id < len(pool.engine.requests)
    return int(min(following, now + ticks(5.0))), following_id


def running(pool, r, t):
    """Return of each request in the batch of a worker: prompt, tokens it has, its first token, and what is predicted."""
    engine, row = pool.engine, pool.engine.instances[r]
    done = 0
    if row[b.PHASE] == b.DECODING:
        end = int(row[b.BEGAN]) + int(row[b.FIRST_GAP])
        while end < t:
            done, end = done + 1, end + int(row[b.FIRST_GAP]) + int(row[b.SLOPE]) * (done + 1)
    keys = engine.heap[r, : row[b.BATCH]]
    rows = engine.requests[keys & MASK]
    given_tokens = np.abs(rows[:, b.OUTPUT]) - ((keys >> 31) - row[b.STEP]) + done
    predicted = pool.score[0, routes.TABLE + bucket(rows[:, b.PROMPT])].astype(np.int64)
    return rows[:, b.PROMPT], given_tokens, rows[:, b.FIRST], predicted


def violated(pool, r, i, t, theta=0.9, gamma=0.8, ttft_s=2.0, atgt_s=0.1, batch_limit=150):
    """Return which constraints a request would break on a worker, reckoned plainly from the latency table."""
    row, c, load = pool.engine.instances[r], pool.table[r], pool.engine.load
    prompt, given_tokens, first, predicted = running(pool, r, t)
    new = int(pool.engine.requests[i, b.PROMPT])
    waiting, unread = int(load[b.OUTSTANDING, r] - row[b.BATCH]), int(load[b.WAITING, r])
    context = float((prompt + given_tokens).sum())
    after = int(row[b.BATCH]) + waiting + 1
    gap_s = c[4] + c[5] * after + c[6] * (context + unread + new)
    left_s = 0.0
    if row[b.PHASE] == b.PREFILLING:
        left_s, unread = (int(row[b.NEXT]) - t) / b.TICKS_PER_S, unread - int(row[b.PREFILL_TOKENS])
    # Squares of what waits are left out here, so this is the least that it can take.
    stall_s = left_s + c[1] + c[2] * (unread + new) + c[3] * new**2
    broken = set()
    if stall_s > ttft_s * (1 + 1e-9):
        broken.add("a")
    left = np.maximum(predicted - given_tokens, 1)
    spent_s = (t - first) / b.TICKS_PER_S
    now_s = c[4] + c[5] * row[b.BATCH] + c[6] * context
    saved = spent_s + left * now_s <= gamma * atgt_s * (given_tokens + left - 1)
    late = spent_s + stall_s + left * gap_s > gamma * atgt_s * (given_tokens + left - 1) * (1 + 1e-9)
    if (saved & late).any():
        broken.add("b")
    if gap_s > gamma * atgt_s * (1 + 1e-9):
        broken.add("c")
    ends = np.append(left, int(pool.score[0, routes.TABLE + bucket(np.array([new]))[0]]))
    held = np.append(prompt + given_tokens, new)
    for end in np.unique(ends):
        alive = ends >= end
        if (held[alive] + end).sum() > theta * c[8] * (1 + 1e-9):
            broken.add("d")
    if after > batch_limit:
        broken.add("e")
    return broken


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    rate_per_s=st.floats(2.0, 50.0),
    kv_tokens=st.sampled_from([12_000.0, 40_000.0, 200_000.0]),
    until_s=st.floats(5.0, 55.0),
    scheduler=st.sampled_from([b.PREFILL_FIRST, b.SHARED, b.CHUNKED]),
    batch=st.sampled_from([12, 150]),
)
def test_the_constraints_hold_wherever_a_request_is_put(workers, seed, rate_per_s, kv_tokens, until_s, scheduler, batch):
    pool = workers(4, rate_per_s, 3500, seed, kv_tokens=kv_tokens, batch=batch, rules=Rules(scheduler=scheduler))
    t, i = moment(pool, until_s)
    chosen, memory = place(pool, i, t)
    if memory[PLACED_FEASIBLE] > 0:
        assert not violated(pool, chosen, i, t, batch_limit=batch)
    else:
        assert memory[PLACED_REASON] == routes.LEAST_LOADED
        assert memory[PLACED_OVERFLOWS] == 1


def test_the_fuzz_meets_full_and_free_workers(workers):
    reasons = []
    for seed in range(12):
        pool = workers(4, 5.0 + 8.0 * seed, 4500, seed, kv_tokens=40_000.0)
        t, i = moment(pool, 40.0)
        reasons.append(int(place(pool, i, t)[1][PLACED_REASON]))
    assert set(reasons) == {routes.FULLEST, routes.LEAST_LOADED}


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), rate_per_s=st.floats(4.0, 40.0), until_s=st.floats(5.0, 60.0), shuffle=st.integers(0, 99))
def test_no_placement_knows_the_future(workers, seed, rate_per_s, until_s, shuffle):
    pool = workers(4, rate_per_s, 3000, seed, kv_tokens=60_000.0)
    t, i = moment(pool, until_s)
    before = place(pool, i, t)
    # Other lengths for all that have not ended, the tokens given so far unchanged.
    engine, rng = pool.engine, np.random.default_rng(shuffle)
    for r in range(4):
        batch = int(engine.instances[r, b.BATCH])
        keys = engine.heap[r, :batch].copy()
        more = rng.integers(0, 900, batch)
        engine.requests[keys & MASK, b.OUTPUT] += more
        engine.heap[r, :batch] = np.sort(keys + (more << 31))
    waiting = engine.requests[:, b.FIRST] == b.FOREVER
    engine.requests[waiting, b.OUTPUT] = rng.integers(1, 2000, int(waiting.sum()))
    after = place(pool, i, t)
    assert before[0] == after[0]
    np.testing.assert_array_equal(before[1][: routes.CANDIDATES], after[1][: routes.CANDIDATES])


def test_an_idle_worker_holds_any_request_that_meets_the_objectives_alone(workers):
    pool = workers(3, 40.0, 2500)
    t, i = moment(pool, 30.0)
    pool.engine.instances[1, :], pool.engine.load[:, 1] = 0, 0
    pool.engine.instances[1, b.NEXT] = b.FOREVER
    assert place(pool, i, t)[1][PLACED_FEASIBLE] >= 1


def test_of_those_that_hold_it_the_fullest_is_taken(workers):
    pool = workers(4, 20.0, 2500)
    t, i = moment(pool, 40.0, least_outstanding)
    chosen, memory = place(pool, i, t)
    able = [r for r in range(4) if not violated(pool, r, i, t)]
    load = pool.engine.load[b.OUTSTANDING]
    context = [pool.engine.instances[r, b.CONTEXT] + pool.engine.load[b.WAITING, r] for r in range(4)]
    assert memory[PLACED_REASON] == routes.FULLEST
    assert not any(load[r] > load[chosen] and context[r] > context[chosen] for r in able)


def test_low_load_is_packed_on_fewer_workers_than_the_least_outstanding_takes(workers):
    def used(route):
        pool = workers(16, 12.0, 4000).run(route, 300.0)
        share = np.bincount(pool.engine.requests[pool.done, b.PLACE], minlength=16) / pool.done.sum()
        assert (pool.atgt_s <= 0.1).mean() > 0.98
        assert (pool.ttft_s <= 2.0).mean() > 0.98
        return int((share > 0.01).sum())

    assert used(least_outstanding) == 16
    assert used(routes.best_fit) <= 6


@pytest.mark.parametrize("tight", [{"gamma": 0.4}, {"theta": 0.35, "kv_tokens": 60_000.0}, {"atgt_s": 0.04}])
def test_less_room_spreads_requests_over_more_workers(workers, tight):
    def spread(**asked):
        pool = workers(16, 16.0, 4000, **asked).run(routes.best_fit, 240.0)
        share = np.bincount(pool.engine.requests[pool.done, b.PLACE], minlength=16) / pool.done.sum()
        return 1.0 / (share**2).sum()

    loose = {name: value for name, value in tight.items() if name == "kv_tokens"}
    assert spread(**tight) > 1.08 * spread(**loose)


def test_stalls_that_count_more_are_fewer(workers):
    def late(stall_weight):
        pool = workers(16, 30.0, 6000, stall_weight=stall_weight).run(routes.best_fit, 190.0)
        return float((pool.atgt_s > 0.1).mean()), float(np.quantile(pool.ttft_s, 0.99))

    once, often = late(1.0), late(16.0)
    assert often[0] < 0.7 * once[0]
    assert often[1] < 0.7 * once[1]


def test_workers_whose_requests_run_over_get_fewer(workers):
    def share_of_the_first(drift):
        pool = workers(2, 10.0, 3000, kv_tokens=60_000.0, drift=np.array([drift, 0.0])).run(routes.best_fit, 250.0)
        return (pool.engine.requests[pool.done, b.PLACE] == 0).mean()

    assert share_of_the_first(15_000.0) < share_of_the_first(0.0) < share_of_the_first(-15_000.0)


def test_a_fuller_worker_passed_over_for_its_error_is_said_so(workers):
    for seed in range(40):
        pool = workers(2, 8.0, 2500, seed, kv_tokens=60_000.0)
        t, i = moment(pool, 40.0)
        fuller, memory = place(pool, i, t)
        if memory[PLACED_REASON] != routes.FULLEST or pool.engine.load[b.OUTSTANDING, fuller] < 3:
            continue
        # So much that the cache as it is still has room, and at the predicted peak it has none.
        for drift in range(0, 60_000, 500):
            pool.score[fuller, routes.ERROR] = drift
            other, left = place(pool, i, t)
            if left[PLACED_REASON] == routes.UNDER_RUNNING:
                assert other != fuller
                return
    pytest.fail("no worker was passed over for its error")


def test_what_a_prompt_says_of_its_answer_changes_where_requests_go(workers):
    """Long prompts are answered at length here; a predictor that knew only the mean would pack by that."""

    def run(flat):
        pool = workers(6, 14.0, 2500, kv_tokens=30_000.0, talkative=700)
        mean = round(float(pool.output.mean()))
        known = pool.score[:, routes.TABLE + bucket(np.array([100, 3000]))]
        assert (known[:, 0] < 0.2 * mean).all()
        assert (known[:, 1] > 1.5 * mean).all()
        if flat:
            pool.score[:, routes.TABLE :] = mean
        pool.run(routes.best_fit, 150.0)
        return pool

    by_prompt, by_mean = run(flat=False), run(flat=True)
    both = by_prompt.done & by_mean.done
    assert both.sum() > 1000
    moved = by_prompt.engine.requests[both, b.PLACE] != by_mean.engine.requests[both, b.PLACE]
    assert moved.mean() > 0.1


def test_nothing_is_put_where_it_is_not_allowed(workers):
    pool = workers(4, 30.0, 2500)
    t, i = moment(pool, 30.0)
    for allowed in ([0, 1, 0, 0], [0, 0, 0, 1], [1, 0, 1, 0]):
        assert allowed[place(pool, i, t, allowed=allowed)[0]] == 1
    assert pool.engine.cursor[b.MISROUTED] == 0


def test_several_schedulers_cost_little(workers):
    met = {}
    for schedulers in (1, 4):
        pool = workers(16, 40.0, 6000, schedulers=schedulers).run(routes.best_fit, 140.0)
        met[schedulers] = min((pool.atgt_s <= 0.1).mean(), (pool.ttft_s <= 2.0).mean())
    assert met[4] > met[1] - 0.02


def test_schedulers_take_requests_in_turn_and_place_them_in_their_own_group(workers):
    pool = workers(6, 20.0, 2500, schedulers=3)
    t, i = moment(pool, 40.0)
    engine, score, memory = pool.engine, pool.score, np.zeros(routes.MEMORY, dtype=np.int64)
    open_to = np.ones(6, dtype=np.uint8)

    def ask():
        return int(routes.best_fit(t, i, 6, engine.requests, engine.instances, engine.heap, engine.load, open_to, score, memory))

    chosen = [ask() for _ in range(9)]
    assert [r % 3 for r in chosen] == [n % 3 for n in range(1, 10)]
    assert memory[PLACED_OVERFLOWS] == 0, "there was room in each group"
    alone = workers(6, 20.0, 2500, schedulers=3)
    alone.engine, alone.score = engine, score.copy()
    alone.score[:, routes.SCHEDULERS] = 1
    fullest = place(alone, i, t)[0]
    outstanding = engine.load[b.OUTSTANDING]
    assert all(outstanding[r] <= outstanding[fullest] for r in chosen)
    assert min(outstanding[r] for r in chosen) < outstanding[fullest], "a fuller one elsewhere is passed over"
    # The group of the next one is full: then whoever is fullest of the others takes it.
    score[1::3, routes.BATCH_SHARE] = 1e3
    alone.score[1::3, routes.BATCH_SHARE] = 1e3
    assert ask() == place(alone, i, t)[0]
    assert ask() % 3 == 2, "the turn goes on"


def test_a_scheduler_that_has_no_room_asks_the_others(workers):
    pool = workers(4, 30.0, 2500, schedulers=4)
    t, i = moment(pool, 30.0, least_outstanding)
    for spare in range(4):
        pool.score[:, routes.BATCH_SHARE] = 1.0
        pool.score[spare, routes.BATCH_SHARE] = 1.0 / 256
        chosen, memory = place(pool, i, t)
        assert (chosen, memory[PLACED_REASON]) == (spare, routes.FULLEST)


def test_the_decode_pool_is_packed_too_and_its_prompts_are_not_read_again(workers):
    def served(route):
        pool = workers(8, 20.0, 3000)
        engine, asked = pool.engine, pool.engine.requests.copy()
        empty = workers(8, 20.0, 0)
        empty.prompt, empty.output = pool.prompt, pool.output
        engine, empty.score = empty.engine, pool.score
        arrive = asked[:, b.ARRIVE]
        engine.inject(arrive, asked[:, b.PROMPT], asked[:, b.OUTPUT], first=arrive)
        empty.run(route, 250.0)
        assert engine.done[:, b.PROMPT_TOKENS].sum() == 0
        assert empty.done.all()
        assert (empty.atgt_s <= 0.1).mean() > 0.98
        return int((np.bincount(engine.requests[:, b.PLACE], minlength=8) > 30).sum())

    assert served(least_outstanding) == 8
    assert served(routes.best_fit_decode) <= 4


def test_the_same_requests_are_placed_the_same_twice(workers):
    places = [workers(4, 20.0, 2000, kv_tokens=40_000.0).run(routes.best_fit, 120.0).engine.requests[:, b.PLACE] for _ in range(2)]
    np.testing.assert_array_equal(*places)


def test_remembering_who_stood_in_the_way_decides_nothing(workers):
    for seed in range(6):
        pool = workers(4, 25.0, 3500, seed, kv_tokens=60_000.0)
        t, i = moment(pool, 40.0)
        engine, rng = pool.engine, np.random.default_rng(seed)
        open_to, fresh = np.ones(4, dtype=np.uint8), [place(pool, i + n, t)[0] for n in range(8)]
        memory = np.zeros(routes.MEMORY, dtype=np.int64)
        for n in range(8):
            if n == 4:
                memory[routes.IN_THE_WAY :] = rng.integers(0, 200, routes.WORKERS_KEPT)
            asked = (t, i + n, 4, engine.requests, engine.instances, engine.heap, engine.load, open_to, pool.score, memory)
            assert routes.best_fit(*asked) == fresh[n]


def test_windows_do_not_matter_to_the_rule(workers):
    coarse = workers(4, 20.0, 2000, kv_tokens=40_000.0).run(routes.best_fit, 120.0, window_s=60.0)
    fine = workers(4, 20.0, 2000, kv_tokens=40_000.0).run(routes.best_fit, 120.0, window_s=1.7)
    np.testing.assert_array_equal(coarse.engine.requests[:, b.PLACE], fine.engine.requests[:, b.PLACE])
