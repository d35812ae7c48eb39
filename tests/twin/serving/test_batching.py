"""The kernel against a stepper that does one iteration and one token at a time."""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.serving import batching as b
from twin.serving.engine import Engine, Rules
from twin.serving.latency import COLUMNS, KV_TOKENS

MS = b.TICKS_PER_S // 1000


@dataclass
class Injected:
    """A request that arrives from another stage; ``span`` is where it is announced, ``first_ms`` when KV comes along."""

    span: int
    arrive_ms: int
    prompt: int
    output: int
    first_ms: int | None
    tiles: int


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
    rules: Rules = field(default_factory=Rules)
    block: int = 16
    tiles: list[int] | None = None
    encoder: tuple[float, float] = (0.0, 0.0)
    handover: list[bool] | None = None
    injected: list[Injected] = field(default_factory=list)

    def engine(self) -> Engine:
        table = np.tile(np.array([*self.coefficients, self.kv_tokens]), (self.instances, 1))
        sizes = (np.array(self.prompt, dtype=np.int32), np.array(self.output, dtype=np.int64))
        tiles = None if self.tiles is None else np.array(self.tiles, dtype=np.int32)
        engine = Engine(
            table, np.array(self.arrive_ms) / 1000.0, sizes, self.max_batch, self.prefill_tokens, self.rules,
            block_tokens=self.block, tiles=tiles,
        )  # fmt: skip
        engine.set_encoder(np.full(self.instances, self.encoder[0]), np.full(self.instances, self.encoder[1]))
        engine.set_handover(np.array(self.handover or [False] * self.instances))
        return engine

    def inject(self, engine: Engine, span: int) -> None:
        """Announce what is announced at a span, those with keys and values in one call, the others in another."""
        for along in (False, True):
            which = [x for x in self.injected if x.span == span and (x.first_ms is not None) == along]
            first = np.array([(x.first_ms or 0) * MS for x in which], dtype=np.int64) if along else None
            arrive, prompt, output, tiles = (
                np.array([getattr(x, name) for x in which], dtype=np.int64) for name in ("arrive_ms", "prompt", "output", "tiles")
            )
            engine.inject(arrive * MS, prompt, output, first=first, tiles=tiles)

    def in_order(self) -> list[Injected]:
        """Return the injected requests in the order of their ids."""
        return sorted(self.injected, key=lambda x: (x.span, x.first_ms is not None))

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
    progress: int = 0  # prompt tokens that the head of the queue already has
    chunk: int = 0  # and that it gets now
    tokens: int = 0  # prompt tokens of the iteration
    end: int | None = None
    alive: bool = True
    most: int = 0


class Stepper:
    """Continuous batching written down plainly: every boundary is visited, every token counted."""

    def __init__(self, case: Case, route: Any) -> None:
        self.case, self.route = case, route
        more = case.in_order()
        self.arrive_ms = [*case.arrive_ms, *(x.arrive_ms for x in more)]
        self.prompt = [*case.prompt, *(x.prompt for x in more)]
        self.tiles = [*(case.tiles or [0] * len(case.prompt)), *(x.tiles for x in more)]
        self.along = [*([False] * len(case.prompt)), *(x.first_ms is not None for x in more)]
        number = len(self.prompt)
        self.given = [int(along) for along in self.along]
        self.left = [output - given for output, given in zip([*case.output, *(x.output for x in more)], self.given, strict=True)]
        firsts = [*([None] * len(case.prompt)), *(x.first_ms for x in more)]
        self.first = [b.FOREVER if first is None else first * MS for first in firsts]
        self.last = [0 if first is None else first * MS for first in firsts]
        self.finish, self.place = [b.FOREVER] * number, [b.UNPLACED] * number
        self.admitted, self.encode = [b.FOREVER] * number, [0] * number
        self.replicas = [Replica() for _ in range(case.instances)]
        self.most = [0] * case.instances
        self.limit = case.kv_tokens // case.block
        self.gaps: list[int] = []
        self.preemptions = 0
        self.memory = np.zeros(8, dtype=np.int64)
        self.span = 0

    def run(self) -> "Stepper":
        events = [(arrive * MS, 1, i) for i, arrive in enumerate(self.arrive_ms)]
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

    def need(self, i: int) -> int:
        """Return the blocks of a request that is to be admitted."""
        tokens = self.prompt[i] + 1 if self.case.rules.paged else self.prompt[i] + self.given[i] + self.left[i]
        return -(-tokens // self.case.block)

    def used(self, replica: Replica) -> int:
        blocks = sum(self.need(i) for i in replica.filling)
        for i in replica.running:
            tokens = self.prompt[i] + self.given[i] + (0 if self.case.rules.paged else self.left[i])
            blocks += -(-tokens // self.case.block)
        return blocks + (self.need(replica.queue[0]) if replica.progress + replica.chunk > 0 else 0)

    def fits(self, replica: Replica, i: int) -> bool:
        used = self.used(replica)
        spare = self.limit // 100 if self.case.rules.paged and used > 0 else 0
        return used + self.need(i) + spare <= self.limit

    def waiting(self, x: Replica) -> int:
        return sum(self.prompt[i] for i in x.queue if not self.along[i]) - x.progress - x.chunk + x.tokens

    def arrive(self, i: int, t: int) -> None:
        if self.prompt[i] + self.given[i] + self.left[i] > self.limit * self.case.block:
            self.place[i], self.finish[i] = b.REJECTED, t
            return
        load = np.array([
            [len(x.queue) + len(x.running) + len(x.filling) for x in self.replicas],
            [self.waiting(x) for x in self.replicas],
            [self.used(x) for x in self.replicas],
            [sum(self.prompt[j] + self.given[j] for j in x.running) for x in self.replicas],
        ])  # fmt: skip
        allowed = np.array([x.alive for x in self.replicas]).astype(np.uint8)
        r = self.route(load, allowed, self.memory) if len(self.replicas) > 1 else 0
        self.place[i] = r
        self.replicas[r].queue.append(i)
        if self.replicas[r].end is None:
            self.replicas[r].end = t

    def lose(self, r: int, t: int) -> None:
        old = self.replicas[r]
        self.replicas[r] = Replica(alive=False, most=old.most)
        for i in sorted([*old.queue, *old.running, *old.filling], key=lambda i: (self.arrive_ms[i], i)):
            self.again_as_prompt(i)
            self.arrive(i, t)

    def again_as_prompt(self, i: int) -> None:
        self.prompt[i] += self.given[i]
        self.given[i] = 0
        self.along[i] = False

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
        prefilling = replica.tokens > 0
        both = self.case.rules.scheduler != b.PREFILL_FIRST or not prefilling
        done = {i for i in replica.running if both and self.token(i, t)}
        done |= {i for i in replica.filling if self.token(i, t)}
        for i in replica.filling:
            if self.case.handover is not None and self.case.handover[r]:
                self.finish[i] = t
                done.add(i)
        replica.running = [i for i in [*replica.running, *replica.filling] if i not in done]
        replica.filling = []
        replica.progress += replica.chunk
        replica.chunk = replica.tokens = 0
        self.begin(r, replica, t)

    def make_room(self, replica: Replica) -> None:
        while replica.running and self.used(replica) > self.limit:
            self.preemptions += 1
            if replica.progress:
                replica.progress = 0
                continue
            i = replica.running.pop()
            self.again_as_prompt(i)
            replica.queue.insert(0, i)

    def join(self, replica: Replica, t: int) -> None:
        while replica.queue and self.along[replica.queue[0]] and len(replica.running) < self.case.max_batch:
            i = replica.queue[0]
            if not self.fits(replica, i):
                break
            self.along[i] = False
            self.admitted[i] = min(self.admitted[i], t)
            replica.running.append(replica.queue.pop(0))

    def fill(self, replica: Replica) -> tuple[float, list[int]]:
        """Fill an iteration with whole prompts; return the sum of squares and who was admitted."""
        case = self.case
        beside = len(replica.running) if case.rules.scheduler == b.SHARED else 0
        while replica.queue and len(replica.running) + len(replica.filling) < case.max_batch:
            i = replica.queue[0]
            over = replica.filling and replica.tokens + self.prompt[i] > case.prefill_tokens - beside
            if self.along[i] or over or not self.fits(replica, i):
                break
            replica.filling.append(replica.queue.pop(0))
            replica.tokens += self.prompt[i]
        return sum(self.prompt[i] ** 2 for i in replica.filling), list(replica.filling)

    def fill_chunks(self, replica: Replica) -> tuple[float, list[int]]:
        """Fill an iteration up to the token limit; return the sum of squares and who was admitted."""
        case, squares, admitted = self.case, 0, []
        while replica.queue and len(replica.running) + replica.tokens < case.prefill_tokens:
            i = replica.queue[0]
            if replica.progress == 0:
                full = len(replica.running) + len(replica.filling) >= case.max_batch
                if self.along[i] or full or not self.fits(replica, i):
                    break
                admitted.append(i)
            part = min(self.prompt[i] - replica.progress, case.prefill_tokens - len(replica.running) - replica.tokens)
            squares += (replica.progress + part) ** 2 - replica.progress**2
            replica.tokens += part
            if replica.progress + part < self.prompt[i]:
                replica.chunk = part
                break
            replica.progress = 0
            replica.filling.append(replica.queue.pop(0))
        return squares, admitted

    def begin(self, r: int, replica: Replica, t: int) -> None:
        case, speed = self.case, self.case.speed(self.span, r)
        floor, base, linear, square, d0, d1, d2, overhead = case.coefficients
        ticks = b.TICKS_PER_S / speed
        self.make_room(replica)
        self.join(replica, t)
        squares, admitted = (self.fill_chunks if case.rules.scheduler == b.CHUNKED else self.fill)(replica)
        over = round(overhead * b.TICKS_PER_S)
        context = sum(self.prompt[i] + self.given[i] for i in replica.running)
        decode = round(d0 * ticks) + round(d1 * ticks) * len(replica.running) + round(d2 * ticks) * context
        if replica.tokens:
            tokens = replica.tokens
            if case.rules.whole_batch:
                squares = tokens**2
            took = round(max(floor * ticks, base * ticks + linear * ticks * tokens + square * ticks * squares)) + over
            pictured = [i for i in admitted if self.tiles[i]]
            images = round(case.encoder[0] * ticks * len(pictured) + case.encoder[1] * ticks * sum(self.tiles[i] for i in pictured))
            for i in admitted:
                self.admitted[i] = min(self.admitted[i], t)
                if self.tiles[i] and self.first[i] == b.FOREVER:
                    self.encode[i] = images
            beside = case.rules.scheduler != b.PREFILL_FIRST and replica.running
            replica.end = t + took + images + (decode if beside else 0)
        elif replica.running:
            replica.end = t + decode + over
        else:
            replica.end = None
        self.most[r] = max(self.most[r], self.used(replica))


def drive(case: Case, route: Any, cut: bool = False, anew: bool = False) -> Engine:
    """Run the engine over the spans of a case; ``cut`` breaks each into many, ``anew`` begins each with a fresh engine."""
    engine = case.engine()
    for index, (since, until) in enumerate(case.spans()):
        if anew:
            engine.forget(since)
            state, engine = engine.snapshot(), case.engine()
            engine.restore(state)
        if index == 1 and case.loss is not None:
            engine.lose(case.loss)
            engine.allowed[case.loss] = 0
        speeds = np.array([case.speed(index, r) for r in range(case.instances)])
        engine.set_speeds(speeds, speeds)
        case.inject(engine, index)
        middle = [since + (until - since) * step // 7 for step in range(1, 7)] if cut and until < b.FOREVER - 1 else []
        middle += [since + 3 * MS * step + step for step in range(1, 60)] if cut and until == b.FOREVER - 1 else []
        for begin, end in zip([since, *middle], [*middle, until], strict=True):
            engine.advance(begin, end, b.entry(route))
    return engine


@st.composite
def arrivals_from_elsewhere(draw: st.DrawFn, edges: list[int]) -> Injected:
    span = draw(st.integers(0, len(edges)))
    arrive = draw(st.integers(0, 300)) + (edges[span - 1] if span else 0)
    along = draw(st.booleans())
    return Injected(
        span, arrive, draw(st.integers(1, 30)), draw(st.integers(2, 20)), draw(st.integers(0, arrive)) if along else None,
        draw(st.sampled_from([0, 0, 3])),
    )  # fmt: skip


@st.composite
def cases(draw: st.DrawFn, tight: bool = False) -> Case:
    number = draw(st.integers(1, 24))
    instances = draw(st.integers(1, 3))
    edges = sorted(draw(st.sets(st.integers(1, 400), max_size=5)))
    speeds = st.lists(st.sampled_from([1.0, 0.5, 0.8, 0.25]), min_size=instances, max_size=instances)
    may_lose = instances > 1 and len(edges) > 0 and draw(st.booleans())
    scheduler = draw(st.sampled_from([b.PREFILL_FIRST, b.SHARED, b.CHUNKED]))
    return Case(
        arrive_ms=sorted(draw(st.lists(st.integers(0, 300), min_size=number, max_size=number))),
        prompt=draw(st.lists(st.integers(1, 30), min_size=number, max_size=number)),
        output=draw(st.lists(st.integers(1, 20), min_size=number, max_size=number)),
        instances=instances,
        coefficients=[
            draw(st.sampled_from([0.01, 0.004])), draw(st.sampled_from([0.0, 0.002])), 0.001, draw(st.sampled_from([0.0, 1e-5])),
            draw(st.sampled_from([0.004, 0.005])), 0.001, draw(st.sampled_from([0.001, 1e-5])), draw(st.sampled_from([0.0, 0.001])),
        ],
        kv_tokens=draw(st.integers(50, 80) if tight else st.integers(45, 220)),
        max_batch=5 if tight else draw(st.integers(1, 5)),
        prefill_tokens=draw(st.integers(4, 60)),
        edges_ms=edges,
        speeds=[draw(speeds) for _ in range(len(edges) + 1)],
        loss=draw(st.integers(0, instances - 1)) if may_lose else None,
        rules=Rules(scheduler, draw(st.booleans()), tight or draw(st.booleans())),
        block=draw(st.sampled_from([1, 4, 16])),
        tiles=draw(st.none() | st.lists(st.sampled_from([0, 0, 1, 5]), min_size=number, max_size=number)),
        encoder=draw(st.sampled_from([(0.0, 0.0), (0.003, 0.001)])),
        handover=draw(st.none() | st.lists(st.booleans(), min_size=instances, max_size=instances)),
        injected=draw(st.lists(arrivals_from_elsewhere(edges), max_size=10)),
    )  # fmt: skip


def least(load: np.ndarray, allowed: np.ndarray, memory: np.ndarray) -> int:
    """The stepper's router: the smallest of a mixture of all that is known, ties in rotation."""
    keys = 40 * load[0] + load[1] + 3 * load[2] + load[3]
    count = len(allowed)
    best = min((r for r in range(count) if allowed[r]), key=lambda r: (keys[r], (r - memory[0]) % count))
    memory[0] = (best + 1) % count
    return best


@pytest.fixture(scope="module")
def observant() -> Any:
    """The same, compiled, from the engine's arrays."""

    @numba.njit(b.ROUTE_SIGNATURE)
    def route(t, i, count, requests, instances, heap, load, allowed, score, memory):  # type: ignore[no-untyped-def]
        best, lowest = -1, 0
        for step in range(count):
            r = (memory[0] + step) % count
            key = 40 * load[b.OUTSTANDING, r] + load[b.WAITING, r] + 3 * b.kv_at(instances, r, t) + b.context_at(instances, r, t)
            if allowed[r] != 0 and (best < 0 or key < lowest):
                best, lowest = r, key
        memory[0] = (best + 1) % count
        return best

    return route


def same(engine: Engine, stepper: Stepper) -> None:
    columns = {b.PLACE: "place", b.FIRST: "first", b.FINISH: "finish", b.ADMITTED: "admitted", b.ENCODE: "encode"}
    for column, name in columns.items():
        assert engine.requests[:, column].tolist() == getattr(stepper, name), name
    expected = np.bincount([b.gap_bin(np.int64(gap)) for gap in stepper.gaps], minlength=b.GAP_BINS)
    assert np.array_equal(engine.gaps, expected)
    assert engine.done[:, b.PREEMPTIONS].sum() == stepper.preemptions
    assert engine.done[:, b.KV_MAX].tolist() == stepper.most
    assert not engine.load.any()


@settings(max_examples=400, deadline=None)
@given(case=cases())
def test_the_kernel_gives_the_same_ticks_as_one_step_at_a_time(case: Case, observant: Any) -> None:
    same(drive(case, observant), Stepper(case, least).run())


@settings(max_examples=300, deadline=None)
@given(case=cases(tight=True))
def test_it_does_so_where_memory_is_short(case: Case, observant: Any) -> None:
    same(drive(case, observant, cut=True), Stepper(case, least).run())


def test_where_memory_is_short_requests_are_preempted(observant: Any) -> None:
    """So that the laws above speak of preemption at all, under each scheduler and of cut prompts too."""
    for scheduler in (b.PREFILL_FIRST, b.SHARED, b.CHUNKED):
        case = Case(
            [0] * 12, [11] * 12, [20] * 12, 1, [0.01, 0, 0.001, 0, 0.005, 0.001, 1e-5, 0], 80, 5, 20, rules=Rules(scheduler), block=4
        )
        engine = drive(case, observant)
        assert engine.done[0, b.PREEMPTIONS] > 3
        assert engine.done[0, b.KV_MAX] == 20
        assert engine.done[0, b.OUTPUT_TOKENS] == 12 * 20
        assert engine.done[0, b.PROMPT_TOKENS] > 12 * 11


@settings(max_examples=80, deadline=None)
@given(case=cases())
def test_windows_of_any_length_give_the_same_result(case: Case, observant: Any) -> None:
    whole, cut = drive(case, observant), drive(case, observant, cut=True)
    told = [b.ADMITTED, b.FIRST, b.FINISH, b.PLACE, b.ENCODE]
    assert np.array_equal(whole.requests[:, told], cut.requests[:, told])
    assert np.array_equal(whole.gaps, cut.gaps)
    assert np.array_equal(whole.done, cut.done)


@settings(max_examples=80, deadline=None)
@given(case=cases())
def test_a_fresh_engine_goes_on_from_a_state_as_the_old_one_would(case: Case, observant: Any) -> None:
    whole, anew = drive(case, observant), drive(case, observant, anew=True)
    for name in ("gaps", "done", "load", "instances", "cursor"):
        assert np.array_equal(getattr(whole, name), getattr(anew, name)), name
    edge = case.spans()[-1][0]
    ids = whole.finished(edge, b.FOREVER - 1)
    assert np.array_equal(anew.finished(edge, b.FOREVER - 1), ids)
    assert np.array_equal(anew.requests[ids], whole.requests[ids])
    assert len(whole.under_way()) == 0
    assert whole.arrived == anew.arrived == len(whole.requests)


@settings(max_examples=80, deadline=None)
@given(case=cases())
def test_every_request_is_served_once_and_in_order(case: Case, observant: Any) -> None:
    engine = drive(case, observant, cut=True)
    requests = engine.requests
    more = case.in_order()
    arrive = np.array([*case.arrive_ms, *(x.arrive_ms for x in more)]) * MS
    prompt = np.array([*case.prompt, *(x.prompt for x in more)])
    output = np.array([*case.output, *(x.output for x in more)])
    along = np.array([*([False] * len(case.prompt)), *(x.first_ms is not None for x in more)])
    served = requests[:, b.PLACE] >= 0
    assert np.array_equal(~served, prompt + output > case.kv_tokens // case.block * case.block)
    assert (requests[served & ~along, b.FIRST] > requests[served & ~along, b.ADMITTED]).all()
    assert (requests[served, b.ADMITTED] >= arrive[served]).all()
    assert (requests[served, b.FINISH] >= requests[served, b.FIRST]).all()
    assert (requests[served, b.FINISH] < b.FOREVER).all()
    assert (engine.done[:, b.KV_MAX] <= case.kv_tokens // case.block).all()
    handed = engine.handed_over(np.arange(len(requests)))
    left = np.where(handed, requests[:, b.OUTPUT] - 1, 0)
    assert engine.done[:, b.OUTPUT_TOKENS].sum() == (output - along - left)[served].sum()
    assert engine.gaps.sum() == (output - 1 - left)[served].sum()
    assert not engine.load.any()
    emptied = [b.KV, b.BATCH, b.CONTEXT, b.QUEUED, b.HELD, b.PROGRESS, b.CHUNK, b.GROWN]
    assert not engine.instances[:, emptied].any()
    assert not engine.instances[:, b.RESIDUES :].any()
    assert not engine.kv_share.any()
    if case.loss is None and engine.done[:, b.PREEMPTIONS].sum() == 0:
        for r in range(case.instances):
            mine = requests[served & (requests[:, b.PLACE] == r)]
            mine = mine[np.argsort(mine[:, b.ARRIVE], kind="stable")]
            assert (np.diff(mine[:, b.ADMITTED]) >= 0).all()


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


def test_one_at_a_time_with_exponential_prompts_waits_as_m_m_1_says(router: Any) -> None:
    """W = rho s / (1 - rho); 0.6 and 10 ms give 15 ms. The service is the prefill of an exponential number of tokens."""
    rng = np.random.default_rng(7)
    n = 200_000
    prompt = np.ceil(rng.exponential(1000.0, n)).astype(np.int64)
    table = np.zeros((1, len(COLUMNS)))
    table[0, [2, KV_TOKENS]] = [1e-5, 1e9]
    service_s = 1e-5 * prompt
    rate = 0.6 / service_s.mean()
    engine = Engine(table, np.cumsum(rng.exponential(1 / rate, n)), (prompt, np.ones(n, dtype=np.int64)), 1)
    engine.advance(0, b.FOREVER - 1, b.entry(router))
    assert abs(mean_wait_s(engine, service_s) / (0.6 * service_s.mean() / 0.4) - 1) < 0.04


def constant(kv_tokens: float, prefill_tokens: int = 16_384, number: int = 0, **more: Any) -> Engine:
    """One instance on which every prefill and every decode iteration takes 10 ms; ``number`` requests of 8 + 5 tokens at 0."""
    table = np.zeros((1, len(COLUMNS)))
    table[0, [0, 4, KV_TOKENS]] = [0.01, 0.01, kv_tokens]
    sizes = (np.full(number, 8), np.full(number, 5))
    return Engine(table, np.zeros(number), sizes, prefill_tokens=prefill_tokens, **more)


def finish_s(engine: Engine) -> list[float]:
    return (engine.requests[:, b.FINISH] / b.TICKS_PER_S).tolist()


def test_who_came_last_gives_way_when_memory_is_full(router: Any) -> None:
    """Two contexts of 9, 10 and then 11 tokens do not fit into 20: the second goes back with three tokens and is prefilled anew."""
    engine = constant(20, number=2, block_tokens=1)
    engine.advance(0, b.FOREVER - 1, b.entry(router))
    assert finish_s(engine) == pytest.approx([0.05, 0.07], abs=1e-6)
    assert engine.done[0, [b.PREEMPTIONS, b.PROMPT_TOKENS, b.OUTPUT_TOKENS, b.KV_MAX]].tolist() == [1, 8 + 8 + 11, 10, 20]


def test_a_hundredth_of_the_blocks_stays_free_at_an_admission(router: Any) -> None:
    """A prompt of 8 needs 9 blocks of one token; 202 of them would fill 1818, but 18 must stay free: 200 are admitted."""
    engine = constant(1818, number=202, block_tokens=1)
    engine.advance(0, b.FOREVER - 1, b.entry(router))
    assert (engine.requests[:, b.FIRST] == 10 * MS).sum() == 200
    assert engine.requests[199, b.ADMITTED] == 0
    assert engine.requests[200, b.ADMITTED] > 0


def test_a_request_that_waits_with_its_keys_and_values_loses_them_with_its_instance(router: Any) -> None:
    """Behind a full batch until 20 ms, then lost: 100 tokens and the first one are prefilled, and one of two is still to come."""
    engine = constant(1000, number=1, max_batch=1)
    engine.inject(np.array([0]), np.array([100]), np.array([3]), first=np.array([0]))
    engine.advance(0, 20 * MS, b.entry(router))
    assert engine.lose(0) == 2
    assert engine.requests[1, [b.PROMPT, b.OUTPUT, b.LAST]].tolist() == [101, 2, 0]
    engine.advance(20 * MS, b.FOREVER - 1, b.entry(router))
    assert engine.done[0, b.OUTPUT_TOKENS] == 5 + 2
    assert engine.gaps.sum() == 4 + 2


def test_what_is_reserved_is_never_taken_back(router: Any) -> None:
    """13 tokens each do not fit into 20 together: the second waits for the first."""
    engine = constant(20, number=2, block_tokens=1, rules=Rules(paged=False))
    engine.advance(0, b.FOREVER - 1, b.entry(router))
    assert finish_s(engine) == pytest.approx([0.05, 0.10], abs=1e-6)
    assert engine.done[0, [b.PREEMPTIONS, b.KV_MAX]].tolist() == [0, 13]


def test_a_long_prompt_is_cut_at_the_token_limit(router: Any) -> None:
    """100 tokens by 40: c0 + c1 n + c2 ((done + n)^2 - done^2) is 66, 98 and 66 ms."""
    table = np.zeros((1, len(COLUMNS)))
    table[0, [1, 2, 3, KV_TOKENS]] = [0.01, 0.001, 1e-5, 1000]
    engine = Engine(table, np.array([1.0]), (np.array([100]), np.array([1])), prefill_tokens=40, rules=Rules(b.CHUNKED))
    engine.advance(0, b.FOREVER - 1, b.entry(router))
    assert finish_s(engine) == pytest.approx([1.23], abs=1e-6)
    assert engine.done[0, [b.PREFILLS, b.PROMPT_TOKENS]].tolist() == [3, 100]


def test_a_request_with_its_keys_and_values_needs_no_prefill(router: Any) -> None:
    engine = constant(1000)
    ids = engine.inject(*(np.array([x]) for x in (100 * MS * 10, 100, 3)), first=np.array([900 * MS]))
    engine.advance(0, b.FOREVER - 1, b.entry(router))
    assert finish_s(engine) == pytest.approx([1.02], abs=1e-6)
    assert engine.finished(0, b.FOREVER - 1).tolist() == ids.tolist() == [0]
    assert engine.done[0, [b.PROMPT_TOKENS, b.OUTPUT_TOKENS]].tolist() == [0, 2]
    assert engine.gaps[b.gap_bin(np.int64(110 * MS))] == 1


def test_the_gap_of_a_request_that_comes_along_begins_at_its_latest_token(router: Any) -> None:
    engine = constant(1000)
    one = np.array([1])
    engine.inject(1000 * MS * one, 100 * one, 3 * one, first=100 * MS * one, last=900 * MS * one)
    engine.advance(0, b.FOREVER - 1, b.entry(router))
    assert engine.requests[0, b.FIRST] == 100 * MS
    assert engine.gaps[b.gap_bin(np.int64(110 * MS))] == 1
    assert engine.gaps.sum() == 2


def test_at_a_handover_requests_leave_with_their_first_token(router: Any) -> None:
    engine = constant(1000, number=2)
    engine.set_handover(np.array([True]))
    engine.advance(0, b.FOREVER - 1, b.entry(router))
    assert finish_s(engine) == pytest.approx([0.01, 0.01], abs=1e-6)
    assert engine.handed_over(np.array([0, 1])).all()
    assert engine.requests[:, [b.PROMPT, b.OUTPUT]].tolist() == [[8, 5]] * 2
    assert engine.empty_since.tolist() == [10 * MS]


def test_images_are_encoded_before_the_prefill(router: Any) -> None:
    """Two requests with 3 + 1 tiles and one without, 50 ms each and 10 ms a tile: 140 ms more for all three."""
    engine = constant(1000, number=3, tiles=np.array([3, 0, 1], dtype=np.int32))
    engine.set_encoder(np.array([0.05]), np.array([0.01]))
    engine.advance(0, b.FOREVER - 1, b.entry(router))
    assert (engine.requests[:, b.FIRST] == 150 * MS).all()
    assert engine.requests[:, b.ENCODE].tolist() == [140 * MS, 0, 140 * MS]
    assert engine.done[0, [b.ENCODE_TIME, b.PREFILL_TIME]].tolist() == [140 * MS, 150 * MS]


def test_another_model_brings_its_memory_and_its_times(router: Any) -> None:
    engine = constant(1000, number=1)
    row = engine.coefficients[0].copy()
    row[[0, KV_TOKENS]] = [0.02, 64]
    engine.advance(0, 20 * MS, b.entry(router))
    with pytest.raises(ValueError, match="drain it"):
        engine.set_coefficients(0, row)
    engine.advance(20 * MS, 1000 * MS, b.entry(router))
    engine.set_coefficients(0, row)
    engine.inject(np.array([1000 * MS] * 2), np.array([60, 61]), np.array([4, 4]))
    engine.advance(1000 * MS, b.FOREVER - 1, b.entry(router))
    assert engine.requests[1, b.FIRST] == 1020 * MS
    assert engine.requests[:, b.PLACE].tolist() == [0, 0, b.REJECTED]


def test_what_cannot_be_is_refused(router: Any) -> None:
    one = np.array([1])
    engine = constant(1000)
    engine.advance(0, 10 * MS, b.entry(router))
    with pytest.raises(ValueError, match="arrive later"):
        engine.inject(one, one, one)
    with pytest.raises(ValueError, match="at least two"):
        engine.inject(one * 10 * MS, one, one, first=one)
    with pytest.raises(ValueError, match="power of two"):
        constant(1000, block_tokens=12)


def test_gap_bins_are_a_thirty_second_of_an_octave() -> None:
    edges = b.gap_edges()
    assert (np.diff(edges) > 0).all()
    assert (edges[1:] / edges[:-1]).max() < 1.032
    inside = np.arange(b.GAP_BINS)
    assert [b.gap_bin(np.int64(edge)) for edge in edges[:-1]] == inside.tolist()
    assert [b.gap_bin(np.int64(edge - 1)) for edge in edges[1:]] == inside.tolist()


def test_a_router_that_points_outside_is_counted_and_corrected() -> None:
    @numba.njit(b.ROUTE_SIGNATURE)
    def astray(t, i, count, requests, instances, heap, load, allowed, score, memory):  # type: ignore[no-untyped-def]
        return 99

    case = Case([0, 1, 2], [5, 5, 5], [3, 3, 3], 2, [0.01, 0, 0, 0, 0.01, 0, 1e-5, 0], 100, 4, 100)
    engine = case.engine()
    engine.allowed[0] = 0
    engine.advance(0, b.FOREVER - 1, b.entry(astray))
    assert engine.cursor[b.MISROUTED] == 3
    assert engine.requests[:, b.PLACE].tolist() == [1, 1, 1]
