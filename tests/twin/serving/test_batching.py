"""The kernel against a stepper that does one iteration and one token at a time."""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.serving import batching as b
from twin.serving.engine import Engine, Rules
from twin.serving.latency import COLUMNS, KV_TOKENS

MS = b.TICKS_PER_S // 1000


@dataclass
class Case:
    """A small endpoint. Times are in whole milliseconds, so that events often coincide."""

    arrive_ms: list[int]
    prompt: list[int]
    output: list[int]
    instances: int
    coefficients: list[float]
    kv_tokens: int
    max_batch: int
    prefill_tokens: int
    edges_ms: list[int] = field(default_factory=list)
    speeds: list[list[float]] = field(default_factory=list)
    loss: int | None = None
    shared: bool = False
    whole_batch: bool = False

    def engine(self) -> Engine:
        table = np.tile(np.array([*self.coefficients, self.kv_tokens]), (self.instances, 1))
        sizes = (np.array(self.prompt, dtype=np.int64), np.array(self.output, dtype=np.int64))
        return Engine(
            table, np.array(self.arrive_ms) / 1000.0, sizes, self.max_batch, self.prefill_tokens, Rules(self.shared, self.whole_batch)
        )

    def spans(self) -> list[tuple[int, int]]:
        edges = [0, *(edge * MS for edge in self.edges_ms), b.FOREVER - 1]
        return list(pairwise(edges))

    def speed(self, span: int, r: int) -> float:
        return self.speeds[span][r] if self.speeds else 1.0


@dataclass
class Replica:
    """One instance of the stepper."""

    queue: list[int] = field(default_factory=list)
    running: list[int] = field(default_factory=list)
    filling: list[int] = field(default_factory=list)
    end: int | None = None
    alive: bool = True


class Stepper:
    """Continuous batching written down plainly: every boundary is visited, every token counted."""

    def __init__(self, case: Case, route: Any) -> None:
        number = len(case.prompt)
        self.case, self.route = case, route
        self.prompt, self.left = list(case.prompt), list(case.output)
        self.given, self.last = [0] * number, [0] * number
        self.first, self.finish, self.place = [b.FOREVER] * number, [b.FOREVER] * number, [b.UNPLACED] * number
        self.replicas = [Replica() for _ in range(case.instances)]
        self.gaps: list[int] = []
        self.memory = np.zeros(8, dtype=np.int64)
        self.span = 0

    def run(self) -> "Stepper":
        events = [(arrive * MS, 1, i) for i, arrive in enumerate(self.case.arrive_ms)]
        events += [(start, 0, index) for index, (start, _) in enumerate(self.case.spans())]
        for t, kind, i in sorted(events):
            self.boundaries_before(t)
            if kind == 1:
                self.arrive(i, t)
                continue
            self.span = i
            if i == 1 and self.case.loss is not None:
                self.lose(self.case.loss, t)
        self.boundaries_before(b.FOREVER)
        return self

    def boundaries_before(self, t: int) -> None:
        for r, replica in enumerate(self.replicas):
            while replica.end is not None and replica.end < t:
                self.boundary(r, replica)

    def reserved(self, replica: Replica) -> int:
        return sum(self.prompt[i] + self.given[i] + self.left[i] for i in [*replica.running, *replica.filling])

    def arrive(self, i: int, t: int) -> None:
        if self.prompt[i] + self.left[i] > self.case.kv_tokens:
            self.place[i], self.finish[i] = b.REJECTED, t
            return
        load = np.array([[len(x.queue) + len(x.running) + len(x.filling) for x in self.replicas]])
        allowed = np.array([x.alive for x in self.replicas]).astype(np.uint8)
        many = len(self.replicas) > 1
        r = self.route(t, i, len(self.replicas), None, None, None, load, allowed, None, self.memory) if many else 0
        self.place[i] = r
        self.replicas[r].queue.append(i)
        if self.replicas[r].end is None:
            self.replicas[r].end = t

    def lose(self, r: int, t: int) -> None:
        old = self.replicas[r]
        self.replicas[r] = Replica(alive=False)
        for i in sorted([*old.queue, *old.running, *old.filling]):
            self.prompt[i] += self.given[i]
            self.given[i] = 0
            self.arrive(i, t)

    def token(self, i: int, t: int) -> bool:
        """Give a request one token; return whether that was its last."""
        if self.first[i] == b.FOREVER:
            self.first[i] = t
        else:
            self.gaps.append(t - self.last[i])
        self.last[i] = t
        self.given[i] += 1
        self.left[i] -= 1
        if self.left[i] == 0:
            self.finish[i] = t
        return self.left[i] == 0

    def boundary(self, r: int, replica: Replica) -> None:
        t = replica.end
        assert t is not None
        both = [*replica.running, *replica.filling]
        served = both if self.case.shared else replica.filling or replica.running
        done = {i for i in served if self.token(i, t)}
        replica.running = [i for i in [*replica.running, *replica.filling] if i not in done]
        replica.filling = []
        self.begin(r, replica, t)

    def begin(self, r: int, replica: Replica, t: int) -> None:
        case, speed = self.case, self.case.speed(self.span, r)
        floor, base, linear, square, d0, d1, d2, overhead = case.coefficients
        ticks = b.TICKS_PER_S / speed
        while replica.queue and len(replica.running) + len(replica.filling) < case.max_batch:
            i = replica.queue[0]
            tokens = sum(self.prompt[j] for j in replica.filling)
            if self.reserved(replica) + self.prompt[i] + self.left[i] > case.kv_tokens:
                break
            beside = len(replica.running) if case.shared else 0
            if replica.filling and tokens + self.prompt[i] > case.prefill_tokens - beside:
                break
            replica.filling.append(replica.queue.pop(0))
        over = round(overhead * b.TICKS_PER_S)
        context = sum(self.prompt[i] + self.given[i] for i in replica.running)
        decode = round(d0 * ticks) + round(d1 * ticks) * len(replica.running) + round(d2 * ticks) * context
        if replica.filling:
            tokens, squares = sum(self.prompt[i] for i in replica.filling), sum(self.prompt[i] ** 2 for i in replica.filling)
            if case.whole_batch:
                squares = tokens**2
            took = max(floor * ticks, base * ticks + linear * ticks * tokens + square * ticks * squares)
            replica.end = t + round(took) + over + (decode if case.shared and replica.running else 0)
        elif replica.running:
            replica.end = t + decode + over
        else:
            replica.end = None


def drive(case: Case, route: Any, cut: bool = False) -> Engine:
    """Run the engine over the spans of a case; ``cut`` breaks each into many."""
    engine = case.engine()
    for index, (since, until) in enumerate(case.spans()):
        if index == 1 and case.loss is not None:
            engine.lose(case.loss)
            engine.allowed[case.loss] = 0
        speeds = np.array([case.speed(index, r) for r in range(case.instances)])
        engine.set_speeds(speeds, speeds)
        middle = [since + (until - since) * step // 7 for step in range(1, 7)] if cut and until < b.FOREVER - 1 else []
        middle += [since + 3 * MS * step + step for step in range(1, 60)] if cut and until == b.FOREVER - 1 else []
        for begin, end in zip([since, *middle], [*middle, until], strict=True):
            engine.advance(begin, end, b.entry(route))
    return engine


@st.composite
def cases(draw: st.DrawFn) -> Case:
    number = draw(st.integers(1, 24))
    instances = draw(st.integers(1, 3))
    edges = sorted(draw(st.sets(st.integers(1, 400), max_size=5)))
    speeds = st.lists(st.sampled_from([1.0, 0.5, 0.8, 0.25]), min_size=instances, max_size=instances)
    may_lose = instances > 1 and len(edges) > 0 and draw(st.booleans())
    return Case(
        arrive_ms=sorted(draw(st.lists(st.integers(0, 300), min_size=number, max_size=number))),
        prompt=draw(st.lists(st.integers(1, 30), min_size=number, max_size=number)),
        output=draw(st.lists(st.integers(1, 20), min_size=number, max_size=number)),
        instances=instances,
        coefficients=[
            draw(st.sampled_from([0.01, 0.004])), draw(st.sampled_from([0.0, 0.002])), 0.001, draw(st.sampled_from([0.0, 1e-5])),
            draw(st.sampled_from([0.004, 0.005])), 0.001, draw(st.sampled_from([0.001, 1e-5])), draw(st.sampled_from([0.0, 0.001])),
        ],
        kv_tokens=draw(st.integers(45, 120)),
        max_batch=draw(st.integers(1, 5)),
        prefill_tokens=draw(st.integers(8, 60)),
        edges_ms=edges,
        speeds=[draw(speeds) for _ in range(len(edges) + 1)],
        loss=draw(st.integers(0, instances - 1)) if may_lose else None,
        shared=draw(st.booleans()),
        whole_batch=draw(st.booleans()),
    )  # fmt: skip


def same(engine: Engine, stepper: Stepper) -> None:
    assert engine.requests[:, b.PLACE].tolist() == stepper.place
    assert engine.requests[:, b.FIRST].tolist() == stepper.first
    assert engine.requests[:, b.FINISH].tolist() == stepper.finish
    expected = np.bincount([b.gap_bin(np.int64(gap)) for gap in stepper.gaps], minlength=b.GAP_BINS)
    assert np.array_equal(engine.gaps, expected)


@settings(max_examples=150, deadline=None)
@given(case=cases())
def test_the_kernel_gives_the_same_ticks_as_one_step_at_a_time(case: Case, router: Any) -> None:
    same(drive(case, router), Stepper(case, router.py_func).run())


@settings(max_examples=60, deadline=None)
@given(case=cases())
def test_windows_of_any_length_give_the_same_result(case: Case, router: Any) -> None:
    whole, cut = drive(case, router), drive(case, router, cut=True)
    assert np.array_equal(whole.requests[:, [b.FIRST, b.FINISH, b.PLACE]], cut.requests[:, [b.FIRST, b.FINISH, b.PLACE]])
    assert np.array_equal(whole.gaps, cut.gaps)
    sums = [
        b.PREFILL_TIME,
        b.DECODE_TIME,
        b.PROMPT_TOKENS,
        b.OUTPUT_TOKENS,
        b.ITERATIONS,
        b.PREFILLS,
        b.BATCH_TIME,
        b.QUEUE_TIME,
        b.ARRIVALS,
    ]
    assert np.array_equal(whole.done[:, sums], cut.done[:, sums])


@settings(max_examples=60, deadline=None)
@given(case=cases())
def test_every_request_is_served_once_and_in_order(case: Case, router: Any) -> None:
    engine = drive(case, router, cut=True)
    requests = engine.requests
    served = requests[:, b.PLACE] >= 0
    arrive = np.array(case.arrive_ms) * MS
    assert np.array_equal(~served, np.array(case.prompt) + np.array(case.output) > case.kv_tokens)
    assert (requests[served, b.FIRST] > arrive[served]).all()
    assert (requests[served, b.FINISH] >= requests[served, b.FIRST]).all()
    assert (requests[served, b.FINISH] < b.FOREVER).all()
    assert engine.done[:, b.OUTPUT_TOKENS].sum() == np.array(case.output)[served].sum()
    assert (engine.done[:, b.KV_MAX] <= case.kv_tokens).all()
    assert engine.gaps.sum() == (np.array(case.output)[served] - 1).sum()
    assert not engine.load.any()
    assert not engine.instances[:, [b.KV, b.BATCH, b.CONTEXT, b.QUEUED]].any()
    if case.loss is None:
        for r in range(case.instances):
            mine = requests[requests[:, b.PLACE] == r]
            assert (np.diff(mine[:, b.FIRST]) >= 0).all()


def plain(arrive_s: np.ndarray, prompt: np.ndarray, output: np.ndarray, max_batch: int, decode_s: float = 0.01) -> Engine:
    table = np.zeros((1, len(COLUMNS)))
    table[0, :8] = [0.01, 0, 0, 0, decode_s, 0, 0, 0]
    table[0, KV_TOKENS] = 1e9
    return Engine(table, arrive_s, (prompt, output), max_batch, 16_384)


def mean_wait_s(engine: Engine, service_s: np.ndarray) -> float:
    stay = (engine.requests[:, b.FINISH] - engine.requests[:, b.ARRIVE]) / b.TICKS_PER_S
    return float((stay - service_s).mean())


def test_one_at_a_time_with_constant_service_waits_as_m_d_1_says(router: Any) -> None:
    """Pollaczek-Khinchine: W = rho s / (2 (1 - rho)); 0.7 and 10 ms give 11.67 ms."""
    rng = np.random.default_rng(5)
    n = 400_000
    engine = plain(np.cumsum(rng.exponential(0.01 / 0.7, n)), np.ones(n, dtype=np.int64), np.ones(n, dtype=np.int64), max_batch=1)
    engine.advance(0, b.FOREVER - 1, b.entry(router))
    assert abs(mean_wait_s(engine, np.full(n, 0.01)) / (0.7 * 0.01 / (2 * 0.3)) - 1) < 0.03


def test_one_at_a_time_with_memoryless_service_waits_as_m_g_1_says(router: Any) -> None:
    """W = lambda E[S^2] / (2 (1 - rho)) with geometric output lengths, close to M/M/1."""
    rng = np.random.default_rng(6)
    n = 400_000
    output = rng.geometric(1 / 40, n)
    service_s = 0.01 * output
    rate = 0.6 / service_s.mean()
    engine = plain(np.cumsum(rng.exponential(1 / rate, n)), np.ones(n, dtype=np.int64), output, max_batch=1)
    engine.advance(0, b.FOREVER - 1, b.entry(router))
    expected_s = rate * (service_s**2).mean() / (2 * 0.4)
    assert abs(mean_wait_s(engine, service_s) / expected_s - 1) < 0.04


def test_a_segment_is_as_long_as_its_iterations_one_by_one(router: Any) -> None:
    """k (d0 + d1 B + d2 S) + d2 B k (k - 1) / 2 for one request: prompt 100, 50 tokens, hand-computed."""
    table = np.zeros((1, len(COLUMNS)))
    table[0, :8] = [0.02, 0, 0, 0, 0.010, 0.001, 0.0001, 0.003]
    table[0, KV_TOKENS] = 1000
    engine = Engine(table, np.array([1.0]), (np.array([100]), np.array([50])))
    engine.advance(0, b.FOREVER - 1, b.entry(router))
    first_s, finish_s = engine.requests[0, [b.FIRST, b.FINISH]] / b.TICKS_PER_S
    assert first_s == 1.023
    assert abs(finish_s - first_s - sum(0.014 + 0.0001 * (101 + j) for j in range(49))) < 1e-9


def test_gap_bins_are_a_thirty_second_of_an_octave() -> None:
    edges = b.gap_edges()
    assert (np.diff(edges) > 0).all()
    assert (edges[1:] / edges[:-1]).max() < 1.032
    inside = np.arange(b.GAP_BINS)
    assert [b.gap_bin(np.int64(edge)) for edge in edges[:-1]] == inside.tolist()
    assert [b.gap_bin(np.int64(edge - 1)) for edge in edges[1:]] == inside.tolist()


def test_a_router_that_points_outside_is_counted_and_corrected() -> None:
    import numba

    from twin.serving.batching import ROUTE_SIGNATURE

    @numba.njit(ROUTE_SIGNATURE)
    def astray(t, i, count, requests, instances, heap, load, allowed, score, memory):  # type: ignore[no-untyped-def]
        return 99

    case = Case([0, 1, 2], [5, 5, 5], [3, 3, 3], 2, [0.01, 0, 0, 0, 0.01, 0, 1e-5, 0], 100, 4, 100)
    engine = case.engine()
    engine.allowed[0] = 0
    engine.advance(0, b.FOREVER - 1, b.entry(astray))
    assert engine.cursor[b.MISROUTED] == 3
    assert engine.requests[:, b.PLACE].tolist() == [1, 1, 1]
