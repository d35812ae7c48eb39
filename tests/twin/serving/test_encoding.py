"""The image stage against a plain one, and its laws."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.serving import batching
from twin.serving import encoding as e
from twin.serving.batching import FOREVER, TICKS_PER_S
from twin.serving.encoder import Encoder

MS = TICKS_PER_S // 1000
LAST_MS = 1_000_000
Llama = Callable[..., Encoder]


@dataclass
class Case:
    """A small image stage. Times are in whole milliseconds, so that events often coincide."""

    jobs: list[tuple[int, int]]  # ready, tiles; in order
    instances: int
    base_ms: int
    per_tile_ms: int
    split: int
    edges_ms: list[int] = field(default_factory=list)
    speeds: list[list[float]] = field(default_factory=list)
    banned: list[list[int]] = field(default_factory=list)
    loss: int | None = None  # dead from the first edge to the second, where it has one

    def spans(self) -> list[tuple[int, int]]:
        return list(pairwise([0, *(edge * MS for edge in self.edges_ms), LAST_MS * MS]))

    def speed(self, span: int, r: int) -> float:
        return self.speeds[span][r] if self.speeds else 1.0

    def allowed(self, span: int) -> list[bool]:
        dead = {self.loss} if self.loss is not None and span == 1 else set()
        allowed = [r not in dead and not (self.banned and self.banned[span][r]) for r in range(self.instances)]
        return allowed if any(allowed) else [True] * self.instances

    def encoder(self) -> Encoder:
        encoder = Encoder(self.instances, split=self.split)
        encoder.set_coefficients(np.full(self.instances, self.base_ms / 1e3), np.full(self.instances, self.per_tile_ms / 1e3))
        return encoder

    def run(self, encoder: Encoder, cuts_ms: tuple[int, ...] = (), by_window: bool = False) -> Encoder:
        """Drive an encoder; ``cuts_ms`` are more window edges at which nothing changes."""
        ready, tiles = (np.array(column, dtype=np.int64) for column in zip(*self.jobs, strict=True))
        if not by_window:
            encoder.inject(ready * MS, tiles)
        for span, (since, until) in enumerate(self.spans()):
            self.turn(encoder, span, since)
            for begin, end in pairwise([since, *(cut * MS for cut in sorted(set(cuts_ms)) if since < cut * MS < until), until]):
                if by_window:
                    now = (ready * MS >= begin) & (ready * MS < end)
                    encoder.inject(ready[now] * MS, tiles[now])
                encoder.advance(begin, end)
        return encoder

    def turn(self, encoder: Encoder, span: int, since: int) -> None:
        encoder.set_speeds(np.array([self.speed(span, r) for r in range(self.instances)]))
        encoder.allowed[:] = self.allowed(span)
        if self.loss is not None:
            if span == 1:
                encoder.lose(self.loss)
            encoder.set_live(np.array([not (span == 1 and r == self.loss) for r in range(self.instances)]), since)


@dataclass
class Place:
    """One instance of the plain stage: pieces are (job, part, tiles)."""

    queue: list[tuple[int, int, int]] = field(default_factory=list)
    running: tuple[int, int, int] | None = None
    at: int | None = None
    live: bool = True

    def pieces(self) -> list[tuple[int, int, int]]:
        return [*([self.running] if self.running else []), *self.queue]


class Plain:
    """The same stage written down plainly."""

    def __init__(self, case: Case) -> None:
        self.case, self.turn, self.span = case, 0, 0
        self.places = [Place() for _ in range(case.instances)]
        self.parts = [0] * len(case.jobs)
        self.ends: list[list[int]] = [[] for _ in case.jobs]
        self.begin = [FOREVER] * len(case.jobs)

    @property
    def finish(self) -> list[int]:
        return [max(ends) if 0 < parts == len(ends) else FOREVER for parts, ends in zip(self.parts, self.ends, strict=True)]

    def run(self) -> "Plain":
        events = [(ready * MS, 1, i) for i, (ready, _) in enumerate(self.case.jobs)]
        events += [(since, 0, span) for span, (since, _) in enumerate(self.case.spans())]
        for t, kind, i in sorted(events):
            self.before(t)
            if kind == 0:
                self.edge(i, t)
                continue
            tiles = self.case.jobs[i][1]
            parts = min(self.case.split, tiles, sum(self.case.allowed(self.span)))
            self.parts[i] = parts
            for part in range(parts):
                self.put((i, part, len(range(part, tiles, parts))), t)
        self.before(LAST_MS * MS)
        return self

    def edge(self, span: int, t: int) -> None:
        self.span = span
        if self.case.loss is None:
            return
        place = self.places[self.case.loss]
        if span == 1:
            lost = place.pieces()
            self.places[self.case.loss] = Place(live=False)
            for piece in sorted(lost):
                self.put(piece, t)
        elif span == 2:
            place.live = True
            if place.queue and place.at is None:
                place.at = t

    def put(self, piece: tuple[int, int, int], t: int) -> None:
        order = [(self.turn + step) % len(self.places) for step in range(len(self.places))]
        order = [r for r in order if self.case.allowed(self.span)[r]]
        best = min(order, key=lambda r: sum(tiles for _, _, tiles in self.places[r].pieces()))
        self.turn = (best + 1) % len(self.places)
        self.places[best].queue.append(piece)
        if self.places[best].at is None and self.places[best].live:
            self.places[best].at = t

    def before(self, t: int) -> None:
        for r, place in enumerate(self.places):
            while place.at is not None and place.at < t:
                now = place.at
                if place.running is not None:
                    self.ends[place.running[0]].append(now)
                place.running = place.at = None
                if place.queue and place.live:
                    place.running = place.queue.pop(0)
                    self.begin[place.running[0]] = min(self.begin[place.running[0]], now)
                    place.at = now + self.takes(r, place.running[2])

    def takes(self, r: int, tiles: int) -> int:
        per_s = TICKS_PER_S / self.case.speed(self.span, r)
        return round(self.case.base_ms / 1e3 * per_s) + max(1, round(self.case.per_tile_ms / 1e3 * per_s)) * tiles


@st.composite
def cases(draw: st.DrawFn, loss: bool = True) -> Case:
    jobs = draw(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 9)), min_size=1, max_size=30))
    instances = draw(st.integers(1, 4))
    edges = sorted(draw(st.lists(st.integers(1, 90), unique=True, max_size=4)))
    spans = len(edges) + 1
    speed, banned = st.sampled_from([0.3, 0.5, 1.0]), st.integers(0, 1)

    def each(values: st.SearchStrategy[float] | st.SearchStrategy[int]) -> st.SearchStrategy[list[list[float]]]:
        return st.lists(st.lists(values, min_size=instances, max_size=instances), min_size=spans, max_size=spans)

    return Case(
        sorted(jobs, key=lambda job: job[0]),
        instances,
        draw(st.integers(0, 5)),
        draw(st.integers(0, 4)),
        draw(st.integers(1, 5)),
        edges,
        draw(each(speed)),
        draw(st.one_of(st.just([]), each(banned))),
        draw(st.one_of(st.none(), st.integers(0, instances - 1))) if loss and instances > 1 and edges else None,
    )


@given(cases(), st.lists(st.integers(1, 120), max_size=6), st.booleans())
@settings(max_examples=250, deadline=None)
def test_every_piece_starts_and_ends_at_the_ticks_of_the_plain_stage(case: Case, cuts_ms: list[int], by_window: bool) -> None:
    plain, ours = Plain(case).run(), case.run(case.encoder(), tuple(cuts_ms), by_window)
    assert ours.finish.tolist() == plain.finish
    assert ours.begin.tolist() == plain.begin
    assert (ours.outstanding == [len(place.pieces()) for place in plain.places]).all()


@given(cases(loss=False))
@settings(max_examples=60, deadline=None)
def test_no_tile_is_lost_and_none_encoded_twice(case: Case) -> None:
    case.speeds = []
    ours = case.run(case.encoder())
    assert (ours.finish < FOREVER).all()
    assert (ours.begin >= ours.ready).all()
    assert ours.done[:, e.TILES_DONE].sum() == ours.tiles.sum()
    pieces = int(ours.done[:, e.PIECES_DONE].sum())
    assert ours.done[:, e.ARRIVALS].sum() == pieces
    takes = pieces * case.base_ms * MS + int(ours.tiles.sum()) * max(1, case.per_tile_ms * MS)
    assert ours.done[:, e.ENCODE_TIME].sum() == takes
    if case.split == 1:
        assert ours.done[:, e.QUEUE_TIME].sum() == (ours.begin - ours.ready).sum()
    assert not ours.pending_tiles.any()


@given(cases(), st.lists(st.integers(1, 120), min_size=1, max_size=8))
@settings(max_examples=60, deadline=None)
def test_windows_of_any_length_give_the_same(case: Case, cuts_ms: list[int]) -> None:
    whole, cut = case.run(case.encoder()), case.run(case.encoder(), tuple(cuts_ms))
    assert np.array_equal(whole.finish, cut.finish)
    assert np.array_equal(whole.done, cut.done)
    assert np.array_equal(whole.empty_since, cut.empty_since)


@given(cases(), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_a_restored_encoder_goes_on_as_the_other_would_have(case: Case, at: int) -> None:
    ready, tiles = (np.array(column, dtype=np.int64) for column in zip(*case.jobs, strict=True))

    def onward(encoder: Encoder, spans: list[tuple[int, tuple[int, int]]]) -> Encoder:
        for span, (since, until) in spans:
            case.turn(encoder, span, since)
            now = (ready * MS >= since) & (ready * MS < until)
            encoder.inject(ready[now] * MS, tiles[now])
            encoder.advance(since, until)
        return encoder

    spans = list(enumerate(case.spans()))
    at = min(at, len(spans) - 1)
    whole = onward(case.encoder(), spans[:at])
    edge = spans[at][1][0]
    before = whole.done.copy()
    whole.forget(edge)
    again = case.encoder()
    again.restore(whole.snapshot())
    again.done[:] = before
    assert np.array_equal(onward(whole, spans[at:]).done, onward(again, spans[at:]).done)
    ids = again.done_between(edge, FOREVER)
    assert np.array_equal(ids, whole.done_between(edge, FOREVER))
    assert np.array_equal(again.finish[ids], whole.finish[ids])
    assert np.array_equal(again.begin[ids], whole.begin[ids])


def test_an_image_of_four_tiles_takes_19_ms_on_an_h100(llama: Llama) -> None:
    encoder = llama(1)
    encoder.inject(np.array([5 * MS]), np.array([4]))
    encoder.advance(0, TICKS_PER_S)
    assert (encoder.finish - encoder.begin).tolist() == [round((1.75 + 4 * 4.34) * MS)]


def test_both_engines_mean_the_same_by_forever() -> None:
    assert e.FOREVER == batching.FOREVER


def test_many_images_are_encoded_side_by_side(llama: Llama) -> None:
    """Ten tiles over four instances: pieces of 3, 3, 2 and 2."""
    encoder = llama(4, split=8)
    encoder.inject(np.array([0]), np.array([10]))
    encoder.advance(0, TICKS_PER_S)
    assert encoder.finish.tolist() == [round((1.75 + 3 * 4.34) * MS)]
    assert encoder.done[:, e.TILES_DONE].tolist() == [3, 3, 2, 2]


def test_equal_jobs_go_round(llama: Llama) -> None:
    encoder = llama(3)
    encoder.inject(np.arange(7) * TICKS_PER_S, np.full(7, 4))
    encoder.advance(0, 7 * TICKS_PER_S)
    assert encoder.done[:, e.ARRIVALS].tolist() == [3, 2, 2]


def test_jobs_wait_as_long_as_in_an_m_d_1_queue(llama: Llama) -> None:
    """Mean wait of Poisson arrivals at one server with constant service D: rho D / (2 (1 - rho))."""
    encoder, load = llama(1), 0.7
    service = round((1.75 + 4 * 4.34) * MS)
    gaps = np.random.default_rng(5).exponential(service / load, 200_000)
    encoder.inject(np.cumsum(np.rint(gaps).astype(np.int64)), np.full(len(gaps), 4))
    encoder.advance(0, int(gaps.sum()) + TICKS_PER_S)
    assert (encoder.begin - encoder.ready).mean() / service == pytest.approx(load / (2 * (1 - load)), rel=0.04)
