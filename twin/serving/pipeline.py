"""The stages of one endpoint, from arrival to last token.

A request goes forward only: prepared on a CPU, encoded, prefilled, decoded. So within a window one stage can run after the
other, each on what the one before it gave, and the result is the same as if all ran together. Between two stages a request
is under way for the transfer delay. An endpoint that reads no images and does not part prefill from decode is one engine.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twin.serving import batching as b
from twin.serving import encoding, images, records
from twin.serving.book import Book, Ids
from twin.serving.demand import Requests
from twin.serving.encoding import Encoder
from twin.serving.engine import Engine, Rules, ticks
from twin.serving.layout import Endpoint
from twin.serving.levers import DECODE, IMAGE, PLACED_FEASIBLE, PLACED_REASON, PREFILL, WHOLE
from twin.serving.records import AT_TEXT, ENCODE_BEGAN, ENCODED, MARKS, READY, Journey
from twin.stack import State

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_SCHEDULERS: Final = {"prefill_first": b.PREFILL_FIRST, "shared": b.SHARED, "chunked": b.CHUNKED}


@dataclass(frozen=True, slots=True)
class Links:
    """What it takes to get from one stage to the next: embeddings of images, and keys and values by their size."""

    image_s: float
    kv_s: float
    kv_s_per_token: float


@dataclass(frozen=True, slots=True)
class Slots:
    """What the layout says of the slots of one endpoint, shapes V x n x columns and n."""

    profiles: Floats
    encode_s: Floats
    configured: Bools
    done: Ints


class Pipeline:
    """The engines of one endpoint and what became of its requests; n slots, N requests.

    ``requests`` has the columns of the kernel: of an endpoint that is one engine it is that engine's own table.
    ``roles`` and ``variants`` say what each slot does and holds, shape n.
    """

    def __init__(self, spec: Endpoint, slots: Slots, asked: Requests, prefill_tokens: int, links: Links, workers: int) -> None:
        self.spec, self._slots, self._links = spec, slots, links
        self.vision = spec.vision
        self.book = Book(asked, self.vision)
        count = slots.profiles.shape[1]
        self.roles = np.zeros(count, dtype=np.int64)
        self.variants = np.zeros(count, dtype=np.int64)
        self._limit = spec.prefill_tokens or prefill_tokens
        self._rules = Rules(_SCHEDULERS[spec.scheduler], spec.attention == "whole_batch", spec.kv == "paged")
        drawn = self.book if self.vision is None else None
        self.text = self._engine(drawn, slots.done)
        self.decode: Engine | None = None
        self.encoder: Encoder | None = None
        self._speeds = np.ones((2, count))
        self._max_batch = np.full(count, spec.max_batch, dtype=np.int64)
        self._live = np.ones(count, dtype=np.bool_)
        self.requests = self.text.requests
        # Of each row of an engine, which request it is. The text engine of a model of text has the requests themselves.
        self._of_text, self._of_decode, self._of_encoder = Ids(), Ids(), Ids()
        self.marks: Ints | None = None
        self._feed = self._feed_ready = np.zeros(0, dtype=np.int64)
        self._fed = 0
        self._clean = self._arrived = 0
        if self.vision is not None:
            self._read_images(workers)

    def _engine(self, book: Book | None, done: Ints) -> Engine:
        empty = np.zeros(0, dtype=np.int64)
        arrive_s, sizes, first = np.zeros(0), (empty, empty), 0
        if book is not None:
            arrive_s, sizes, first = book.arrive_s, (book.prompt_tokens, book.output_tokens), book.first
        return Engine(self._slots.profiles[0], arrive_s, sizes, self.spec.max_batch, self._limit, self._rules, done, first)

    def _read_images(self, workers: int) -> None:
        """Prepare for requests with images: their CPU work depends on nothing but their arrivals."""
        assert self.vision is not None
        book = self.book
        ready_s = images.preprocess(book.arrive_s, book.tiles.astype(np.int64), workers, self.vision.preprocess_s_per_tile)
        self.requests, self.marks = _blank(book.arrive_s), np.zeros((len(book), MARKS), dtype=np.int64)
        self.marks[:, READY] = np.maximum(np.rint(ready_s * b.TICKS_PER_S).astype(np.int64), self.requests[:, b.ARRIVE])
        self._sort_feed()
        self.encoder = Encoder(len(self._slots.done))
        self._set_encoders()

    def _sort_feed(self) -> None:
        """Line the requests up by when they are prepared."""
        assert self.marks is not None
        self._feed = np.argsort(self.marks[:, READY], kind="stable")
        self._feed_ready = self.marks[self._feed, READY]

    # -- what the lifecycle asks and says -----------------------------------------

    @property
    def engines(self) -> tuple[Engine, ...]:
        """Return the engines that prefill or decode."""
        return (self.text,) if self.decode is None else (self.text, self.decode)

    @property
    def outstanding(self) -> Ints:
        """Return the requests at each slot, shape n."""
        total = sum((engine.outstanding for engine in self.engines), np.zeros(len(self.roles), dtype=np.int64))
        return np.asarray(total if self.encoder is None else total + self.encoder.outstanding)

    @property
    def empty_since(self) -> Ints:
        """Return when the last request left each slot, ticks, shape n."""
        since = np.max([engine.empty_since for engine in self.engines], axis=0)
        return np.asarray(since if self.encoder is None else np.maximum(since, self.encoder.empty_since))

    @property
    def quality_share(self) -> Floats:
        """Return how good the answers of what each slot holds are, shape n."""
        return np.array([choice.quality for choice in self.spec.choices])[self.variants]

    @property
    def in_text(self) -> Bools:
        """Return which slots prefill."""
        return np.asarray((self.roles == WHOLE) | (self.roles == PREFILL))

    @property
    def _decodes(self) -> Bools:
        """Return which slots the decode engine may use: where no decode slot is left, what was handed over ends at the others."""
        mine = np.asarray(self.roles == DECODE)
        return mine if mine.any() else self.in_text

    def of_role(self, values: tuple[NDArray[Any], NDArray[Any]]) -> NDArray[Any]:
        """Return of each slot what its own engine says: values of the text and of the decode engine, shape n."""
        return np.where(self.roles == DECODE, values[1], values[0])

    def seen(self, column: int) -> Ints:
        """Return a column of the kernel's instances by slot, shape n."""
        if self.decode is None:
            return np.asarray(self.text.instances[:, column])
        return np.asarray(self.of_role((self.text.instances[:, column], self.decode.instances[:, column])))

    @property
    def queued(self) -> Ints:
        """Return how many requests (or pieces of images) wait at each slot, shape n."""
        waiting = self.seen(b.QUEUED)
        if self.encoder is None:
            return waiting
        return np.where(self.roles == IMAGE, self.encoder.instances[:, encoding.QUEUED], waiting)

    @property
    def kv_share(self) -> Floats:
        """Return the share of the KV cache in use, shape n."""
        both = (self.text.kv_share, self.text.kv_share if self.decode is None else self.decode.kv_share)
        return np.asarray(self.of_role(both))

    @property
    def pending_tokens(self) -> Ints:
        """Return prompt tokens that wait at each slot, shape n."""
        return np.asarray(self.text.load[b.WAITING])

    @property
    def pending_tiles(self) -> Ints:
        """Return tiles that wait at each slot, shape n."""
        return np.zeros(len(self.roles), dtype=np.int64) if self.encoder is None else np.asarray(self.encoder.pending_tiles)

    @property
    def gaps(self) -> Ints:
        """Return the histogram of gaps between tokens since they were last cleared."""
        return np.asarray(self.text.gaps if self.decode is None else self.text.gaps + self.decode.gaps)

    def clear_gaps(self) -> None:
        """Count the gaps between tokens from now on."""
        for engine in self.engines:
            engine.gaps[:] = 0

    def set_live(self, live: Bools, now: int) -> None:
        """Say which slots may work, shape n."""
        self._live = live.copy()
        self.text.set_live(live & self.in_text, now)
        if self.decode is not None:
            self.decode.set_live(live & self._decodes, now)
        if self.encoder is not None:
            self.encoder.set_live(live & (self.roles == IMAGE), now)

    def open(self, choices: Sequence[Bools]) -> None:
        """Say which slots may take new requests: of each stage those of the first choice (shape n) that leaves any."""
        engines: list[tuple[Any, Bools]] = [(self.text, self.in_text)]
        if self.decode is not None:
            engines.append((self.decode, self._decodes))
        if self.encoder is not None:
            engines.append((self.encoder, self.roles == IMAGE))
        for engine, able in engines:
            found = next((choice & able for choice in choices if (choice & able).any()), able)
            engine.allowed[:] = found if found.any() else 1

    def set_speeds(self, speeds: Floats) -> None:
        """Divide times by these factors, shape 2 x n: prefill (and encode) and decode."""
        self._speeds = speeds
        for engine in self.engines:
            engine.set_speeds(speeds[0], speeds[1])
        if self.encoder is not None:
            self.encoder.set_speeds(speeds[0])

    def set_max_batch(self, max_batch: Ints) -> None:
        """Set the batch limit of each slot, shape n."""
        self._max_batch = max_batch
        for engine in self.engines:
            engine.set_max_batch(max_batch)

    def steer(self, score: Floats, memory: int, pieces: int) -> None:
        """Give the routers of this endpoint their scores (shape n or n x any), their memory and the split of images."""
        table = np.ascontiguousarray(score.reshape(len(self.roles), -1), dtype=np.float64)
        for engine in self.engines:
            engine.score = table
            if len(engine.memory) != memory:
                engine.memory = np.zeros(memory, dtype=np.int64)
        if self.encoder is not None:
            self.encoder.split = max(1, pieces)

    def lose(self, r: int) -> int:
        """Take everything off a slot; it is placed anew when the stages go on. Return how many requests that were."""
        moved = sum(engine.lose(r) for engine in self.engines)
        return moved if self.encoder is None else moved + self.encoder.lose(r)

    def become(self, which: Bools, roles: Ints, variants: Ints) -> None:
        """Give empty slots (shape n) their new roles and models."""
        self.roles[which], self.variants[which] = roles[which], variants[which]
        if (self.roles == DECODE).any() and self.decode is None:
            self._part()
        self.text.set_handover(self.roles == PREFILL)
        for r in np.flatnonzero(which):
            for engine in self.engines:
                engine.set_coefficients(int(r), self._slots.profiles[self.variants[r], r])
        self._set_encoders()

    def _set_encoders(self) -> None:
        each = self._slots.encode_s[self.variants, np.arange(len(self.variants))]
        if self.encoder is not None:
            self.text.set_encoder(each[:, 0], each[:, 1])
            self.encoder.set_coefficients(each[:, 0], each[:, 1])

    def _part(self) -> None:
        """Make the decode engine; what became of requests is kept apart from here on."""
        self.decode = self._engine(None, np.zeros_like(self._slots.done))
        self.decode.set_speeds(self._speeds[0], self._speeds[1])
        self.decode.set_max_batch(self._max_batch)
        if self.requests is self.text.requests:
            low, high = int(self.text.clean_until[0]), len(self.book)
            self.requests = self.text.requests[:high].copy()
            self._clean, self._arrived = low, int(self.text.cursor[b.NEXT_ARRIVAL])

    # -- time -------------------------------------------------------------------

    @property
    def direct(self) -> bool:
        """Return whether the text engine's own table holds the requests."""
        return self.decode is None and self.vision is None

    def advance(self, since: int, until: int, route: Any, route_decode: Any) -> None:
        """Run every stage from tick ``since`` to tick ``until`` with compiled routers for prefill and decode."""
        if self.vision is not None:
            self._prepare(since, until)
        self.text.advance(since, until, route)
        if self.direct:
            self.requests = self.text.requests
            return
        self._arrived += int(np.searchsorted(self.requests[self._arrived : self.book.drawn, b.ARRIVE], until))
        handed = self._settle(self.text, since, until)
        if self.decode is not None:
            self._hand_over(handed)
            self.decode.advance(since, until, route_decode)
            self._settle(self.decode, since, until)
            records.gather(self._slots.done, self.decode.done)
            self.decode.done[:] = 0

    def _prepare(self, since: int, until: int) -> None:
        """Send what is ready to the encoder, or to the text stage, and what is encoded to the text stage."""
        assert self.encoder is not None
        assert self.marks is not None
        upto = int(np.searchsorted(self._feed_ready, until))
        ids = self._feed[self._fed : upto]
        self._fed = upto
        # Where no slot that is on encodes for others, those that prefill encode for themselves.
        seen = (self.book.tiles[ids] > 0) & bool(self.encoder.instances[:, encoding.LIVE].any())
        if seen.any():
            self._of_encoder.append(ids[seen])
            self.encoder.inject(self.marks[ids[seen], READY], self.book.tiles[ids[seen]].astype(np.int64))
        plain = ids[~seen]
        self._to_text(plain, self.marks[plain, READY], self.book.tiles[plain])
        self.encoder.advance(since, until)
        self._count_encoding()
        rows = self.encoder.done_between(since, until)
        done = self._of_encoder[rows]
        self.marks[done, ENCODE_BEGAN], self.marks[done, ENCODED] = self.encoder.begin[rows], self.encoder.finish[rows]
        done = done[np.argsort(self.marks[done, ENCODED], kind="stable")]
        self._to_text(done, self.marks[done, ENCODED] + ticks(self._links.image_s), None)

    def _count_encoding(self) -> None:
        """Add what image instances did to the accounts of their slots."""
        assert self.encoder is not None
        done, did = self._slots.done, self.encoder.done
        for mine, its in ((b.ENCODE_TIME, encoding.ENCODE_TIME), (b.QUEUE_TIME, encoding.QUEUE_TIME), (b.ARRIVALS, encoding.ARRIVALS)):
            done[:, mine] += did[:, its]
        done[:, b.QUEUE_MAX] = np.maximum(done[:, b.QUEUE_MAX], did[:, encoding.QUEUE_MAX])
        did[:] = 0

    def _to_text(self, ids: Ints, arrive: Ints, tiles: NDArray[np.int32] | None) -> None:
        if not len(ids):
            return
        assert self.marks is not None
        self.marks[ids, AT_TEXT] = arrive
        self._of_text.append(ids)
        self.text.inject(
            arrive, self.book.prompt_tokens[ids], self.book.output_tokens[ids], tiles=None if tiles is None else tiles.astype(np.int64)
        )

    def _settle(self, engine: Engine, since: int, until: int) -> Ints:
        """Take over what an engine did to its requests in a window; return the rows that it handed over."""
        over, open_ = engine.finished(since, until), engine.under_way()
        rows = np.concatenate([over, open_])
        mine = engine.requests[rows]
        ids = self._ids(engine, rows)
        self.requests[ids, b.FIRST] = mine[:, b.FIRST]
        self.requests[ids, b.PLACE] = mine[:, b.PLACE]
        handed = np.zeros(len(over), dtype=np.bool_)
        if engine is self.text:
            self.requests[ids, b.ADMITTED], self.requests[ids, b.ENCODE] = mine[:, b.ADMITTED], mine[:, b.ENCODE]
            handed = engine.handed_over(over)
        self.requests[ids[: len(over)][~handed], b.FINISH] = mine[: len(over), b.FINISH][~handed]
        return over[handed]

    def _ids(self, engine: Engine, rows: Ints) -> Ints:
        if engine is self.decode:
            return self._of_decode[rows]
        return rows if self.vision is None else self._of_text[rows]

    def _hand_over(self, rows: Ints) -> None:
        """Send requests that have their first token on to the decode stage, with their keys and values."""
        if not len(rows):
            return
        assert self.decode is not None
        mine = self.text.requests[rows]
        took = np.rint((self._links.kv_s + self._links.kv_s_per_token * mine[:, b.PROMPT]) * b.TICKS_PER_S).astype(np.int64)
        order = np.argsort(mine[:, b.FINISH] + took, kind="stable")
        rows, mine, took = rows[order], mine[order], took[order]
        self._of_decode.append(self._ids(self.text, rows))
        self.decode.inject(mine[:, b.FINISH] + took, mine[:, b.PROMPT], mine[:, b.OUTPUT], first=mine[:, b.FIRST])

    # -- requests -----------------------------------------------------------------

    @property
    def arrived(self) -> int:
        """Return how many of the drawn requests have arrived."""
        return self.text.arrived if self.direct else self._arrived

    def inject(self, arrive_s: Floats, text_tokens: Ints, output_tokens: Ints, images_each: Ints) -> Ints:
        """Add requests to come, at or after the present edge; return their ids."""
        ids = self.book.extend(arrive_s, text_tokens, output_tokens, images_each)
        arrive = np.rint(arrive_s * b.TICKS_PER_S).astype(np.int64)
        if self.vision is None:
            self.text.inject(arrive, self.book.prompt_tokens[ids], self.book.output_tokens[ids])
        if self.direct:
            self.requests = self.text.requests
            return ids
        self.requests = np.concatenate([self.requests[: ids[0]], _blank(arrive_s)])
        if self.vision is not None and self.marks is not None:
            marks = np.zeros((len(ids), MARKS), dtype=np.int64)
            marks[:, READY] = arrive + np.rint(self.vision.preprocess_s_per_tile * self.book.tiles[ids] * b.TICKS_PER_S).astype(np.int64)
            self.marks = np.concatenate([self.marks[: ids[0]], marks])
            self._sort_feed()
        return ids

    def last_placed(self) -> tuple[int, int, int, int] | None:
        """Return the request that was placed last, its slot, and what the router left: how many could have taken it, and why."""
        text = self.text
        came = text.coming[: int(text.cursor[b.NEXT_INJECTED])] if self.vision is not None else text.cursor[:1] - 1
        if not len(came) or came[-1] < 0:
            return None
        place = int(text.requests[came[-1], b.PLACE])
        ids, memory = self._ids(text, came[-1:]), text.memory
        return None if place < 0 else (int(ids[0]), place, int(memory[PLACED_FEASIBLE]), int(memory[PLACED_REASON]))

    def journey(self, ids: Ints) -> Journey:
        """Return how far some requests are."""
        marks = None if self.marks is None else self.marks[ids]
        return Journey(self.requests[ids], self.book.output_tokens[ids], marks, ticks(self._links.image_s))

    def ranges(self) -> list[tuple[int, int]]:
        """Return where the requests lie that are under way or were over since the last ``forget``, and some others."""
        if self.direct:
            return list(self.text.spans())
        return [(self._clean, self._arrived), (self.book.drawn, len(self.book))]

    def finished(self, since: int, until: int) -> Ints:
        """Return the ids that finished or were rejected in ticks [since, until), in the order of arrival."""
        if self.direct:
            return self.text.finished(since, until)
        return self._where(lambda rows: (rows[:, b.FINISH] >= since) & (rows[:, b.FINISH] < until))

    def under_way(self, now: int) -> Ints:
        """Return the ids of requests that have arrived by tick ``now`` and are not finished."""
        if self.direct:
            return self.text.under_way()
        return self._where(lambda rows: (rows[:, b.FINISH] == b.FOREVER) & (rows[:, b.ARRIVE] < now))

    def _where(self, test: Callable[[Ints], Bools]) -> Ints:
        return np.concatenate([low + np.flatnonzero(test(self.requests[low:high])) for low, high in self.ranges()])

    def forget(self, until: int) -> None:
        """Say that nothing before tick ``until`` will be asked for again."""
        for engine in self.engines:
            engine.forget(until)
        if self.encoder is not None:
            self.encoder.forget(until)
        if not self.direct:
            late = self.requests[self._clean : self._arrived, b.FINISH] >= until
            self._clean += int(np.argmax(late)) if late.any() else len(late)

    # -- snapshots ------------------------------------------------------------------

    def snapshot(self) -> State:
        """Return the state at a window edge; of the requests only those that are under way."""
        state: State = {
            "roles": self.roles.copy(),
            "variants": self.variants.copy(),
            "book": self.book.snapshot(),
            "text": self.text.snapshot(),
            "parted": self.decode is not None,
        }
        if self.decode is not None:
            state |= {"decode": self.decode.snapshot(), "of_decode": self._of_decode.array()}
        if self.encoder is not None and self.marks is not None:
            state |= {"encoder": self.encoder.snapshot(), "of_encoder": self._of_encoder.array(), "of_text": self._of_text.array()}
            state |= {"fed": self._fed, "marks": [self.marks[low:high].copy() for low, high in self.ranges()]}
        if not self.direct:
            rows = [self.requests[low:high].copy() for low, high in self.ranges()]
            state |= {"clean": self._clean, "arrived": self._arrived, "requests": rows, "drawn": self.book.drawn}
        return state

    def restore(self, state: State) -> None:
        """Take back a state of the same scenario and seed."""
        self.book.restore(state["book"])
        if state["parted"] and self.decode is None:
            self._part()
        self.become(np.ones(len(self.roles), dtype=np.bool_), np.array(state["roles"]), np.array(state["variants"]))
        self.text.restore(state["text"])
        if self.decode is not None:
            self.decode.restore(state["decode"])
        if self.direct:
            self.requests = self.text.requests
            return
        # A run that ends at another time draws more or fewer requests, and injected ones follow after those.
        drawn, moved = int(state["drawn"]), self.book.drawn - int(state["drawn"])

        def ids(name: str) -> Ids:
            old = np.array(state[name], dtype=np.int64)
            return Ids(np.where(old >= drawn, old + moved, old))

        if self.decode is not None:
            self._of_decode = ids("of_decode")
        self._clean, self._arrived = int(state["clean"]), int(state["arrived"])
        missing = len(self.book) - len(self.requests)
        self.requests = np.concatenate([self.requests, _blank(np.zeros(missing))])
        for (low, high), rows in zip(self.ranges(), state["requests"], strict=True):
            self.requests[low:high] = rows
        if self.encoder is not None and self.marks is not None:
            self.encoder.restore(state["encoder"])
            self._of_encoder, self._of_text, self._fed = ids("of_encoder"), ids("of_text"), int(state["fed"])
            self.marks = np.concatenate([self.marks, np.zeros((missing, MARKS), dtype=np.int64)])
            for (low, high), rows in zip(self.ranges(), state["marks"], strict=True):
                self.marks[low:high] = rows
            # Who has been fed was ready before those who have not, whoever came in between.
            self._sort_feed()


def _blank(arrive_s: Floats) -> Ints:
    """Return rows of requests of which nothing has happened yet."""
    rows = np.zeros((len(arrive_s), b.REQUEST_COLUMNS), dtype=np.int64)
    rows[:, b.ARRIVE] = np.rint(arrive_s * b.TICKS_PER_S)
    rows[:, b.FIRST] = rows[:, b.FINISH] = rows[:, b.ADMITTED] = b.FOREVER
    rows[:, b.PLACE] = b.UNPLACED
    return rows
