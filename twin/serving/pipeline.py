"""The stages of one endpoint, from arrival to last token.

A request goes forward only: prepared on a CPU, encoded, prefilled, decoded. So within a window one stage can run after the
other, each on what the one before it gave, and the result is the same as if all ran together. Between two stages a request
is under way for the transfer delay. An endpoint that reads no images and does not part prefill from decode is one engine.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.serving import batching as b
from twin.serving import images
from twin.serving.book import Book, Ids, grown
from twin.serving.demand import Requests
from twin.serving.engine import Engine, ticks
from twin.serving.layout import Endpoint
from twin.serving.levers import IMAGE, PLACED_FEASIBLE, PLACED_REASON
from twin.serving.records import AT_TEXT, ENCODE_BEGAN, ENCODED, MARKS, READY, Journey
from twin.serving.stages import Slots, Stages
from twin.stack import State

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Links:
    """What it takes to get from one stage to the next: embeddings of images, and keys and values by their size.

    Embeddings take ``image_s`` over the network and ``image_within_s`` where all slots that encode and all that may prefill
    stand on one server: which of them prefills is chosen when they are there, so one that may be elsewhere is charged as
    elsewhere. Keys and values are charged as over the network wherever they go: nothing is known of their way on one server.
    """

    image_s: float
    kv_s: float
    kv_s_per_token: float
    image_within_s: float


class Pipeline:
    """The stages of one endpoint and what became of its requests; n slots, N requests.

    ``requests`` has the columns of the kernel: of an endpoint that is one engine it is that engine's own table.
    """

    def __init__(self, spec: Endpoint, slots: Slots, asked: Requests, prefill_tokens: int, links: Links, workers: int) -> None:
        self.vision, self._links = spec.vision, links
        self.book = Book(asked, self.vision)
        self.stages = Stages(spec, slots, self.book, prefill_tokens)
        self.requests = self.stages.text.requests
        # Of each row of an engine, which request it is. The text engine of a model of text has the requests themselves.
        self._of_text, self._of_decode, self._of_encoder = Ids(), Ids(), Ids()
        self.marks: Ints | None = None
        # What ``requests`` and ``marks`` are the begins of, where the text engine does not hold the requests.
        self._rows = self._mark_rows = np.zeros((0, 0), dtype=np.int64)
        self._feed = self._feed_ready = np.zeros(0, dtype=np.int64)
        self._fed = 0
        self._clean = self._arrived = 0
        self._in_text = True
        self._last: tuple[int, float, int, int] | None = None
        if self.vision is not None:
            self._read_images(workers)

    def _read_images(self, workers: int) -> None:
        """Prepare for requests with images: their CPU work depends on nothing but their arrivals."""
        assert self.vision is not None
        book = self.book
        ready_s = images.preprocess(book.arrive_s, book.tiles.astype(np.int64), workers, self.vision.preprocess_s_per_tile)
        self.requests = self._rows = _blank(book.arrive_s)
        self.marks = self._mark_rows = np.zeros((len(book), MARKS), dtype=np.int64)
        self.marks[:, READY] = np.maximum(np.rint(ready_s * b.TICKS_PER_S).astype(np.int64), self.requests[:, b.ARRIVE])
        self._in_text = False

    def _line_up(self) -> None:
        """Put those that came to the book lately in line by when they are prepared, all of one edge at once."""
        assert self.marks is not None
        low = len(self._feed)
        if low < len(self.book):
            ids = low + np.argsort(self.marks[low:, READY], kind="stable")
            ready = self.marks[ids, READY]
            at = np.searchsorted(self._feed_ready, ready, side="right")
            self._feed, self._feed_ready = np.insert(self._feed, at, ids), np.insert(self._feed_ready, at, ready)

    def _reach(self) -> None:
        """Let there be a row for each request in the book; of those that are new nothing has happened yet."""
        low, high = len(self.requests), len(self.book)
        self._rows = grown(self._rows, low, high)
        self._rows[low:high] = _blank(self.book.arrive_s[low:high])
        self.requests = self._rows[:high]
        if self.marks is not None:
            self._mark_rows = grown(self._mark_rows, low, high)
            self.marks = self._mark_rows[:high]

    # -- time -------------------------------------------------------------------

    def become(self, which: Bools, roles: Ints, variants: Ints) -> None:
        """Give empty slots (shape n) their new roles and models."""
        self.stages.become(which, roles, variants)
        self._leave_text()

    def look_for_encoders(self, held: Bools) -> None:
        """Let images that wait for an encoder go on to the text stage, which encodes them itself, where no slot is one.

        ``held`` (shape n) are the slots that are not off.
        """
        if self.stages.encoder is not None and not (held & (self.stages.roles == IMAGE)).any():
            ids = self._of_encoder[self.stages.encoder.withdraw()]
            now = np.full(len(ids), self.stages.text.cursor[b.NOW])
            self._to_text(ids, now, self.book.tiles[ids])

    def _leave_text(self) -> None:
        """Keep what becomes of requests apart from the text engine, once it no longer knows all of it."""
        text = self.stages.text
        if not self.direct and self._in_text:
            self._in_text = False
            self.requests = self._rows = text.requests[: len(self.book)].copy()
            self._clean, self._arrived = int(text.clean_until[0]), int(text.cursor[b.NEXT_ARRIVAL])

    @property
    def direct(self) -> bool:
        """Return whether the text engine's own table holds the requests."""
        return self.stages.decode is None and self.vision is None

    def advance(self, since: int, until: int, route: Any, route_decode: Any) -> None:
        """Run every stage from tick ``since`` to tick ``until`` with compiled routers for prefill and decode."""
        if self.vision is not None:
            self._prepare(since, until)
        self.stages.text.advance(since, until, route)
        if self.direct:
            self.requests = self.stages.text.requests
            return
        self._arrived = self._come(until)
        handed = self._settle(self.stages.text, since, until)
        if self.stages.decode is not None:
            self._hand_over(handed)
            self.stages.decode.advance(since, until, route_decode)
            self._settle(self.stages.decode, since, until)
            self.stages.count_decoding()

    def _come(self, until: int) -> int:
        """Return how many of the drawn requests arrive before a tick; looks no farther than it must."""
        low, drawn, ahead = self._arrived, self.book.drawn, 64
        while low + ahead < drawn and self.requests[low + ahead, b.ARRIVE] < until:
            ahead *= 2
        return low + int(np.searchsorted(self.requests[low : min(low + ahead, drawn), b.ARRIVE], until))

    def _prepare(self, since: int, until: int) -> None:
        """Send what is ready to the encoder, or to the text stage, and what is encoded to the text stage."""
        assert self.stages.encoder is not None
        assert self.marks is not None
        self._line_up()
        upto = int(np.searchsorted(self._feed_ready, until))
        ids = self._feed[self._fed : upto]
        self._fed = upto
        # Where no slot that is on encodes for others, those that prefill encode for themselves.
        seen = (self.book.tiles[ids] > 0) & self.stages.encodes
        if seen.any():
            self._of_encoder.append(ids[seen])
            self.stages.encoder.inject(self.marks[ids[seen], READY], self.book.tiles[ids[seen]].astype(np.int64))
        plain = ids[~seen]
        self._to_text(plain, self.marks[plain, READY], self.book.tiles[plain])
        self.stages.encoder.advance(since, until)
        self.stages.count_encoding()
        rows = self.stages.encoder.done_between(since, until)
        done = self._of_encoder[rows]
        self.marks[done, ENCODE_BEGAN], self.marks[done, ENCODED] = self.stages.encoder.begin[rows], self.stages.encoder.finish[rows]
        done = done[np.argsort(self.marks[done, ENCODED], kind="stable")]
        if len(done):
            took_s = self._links.image_within_s if self.stages.on_one_server else self._links.image_s
            self._to_text(done, self.marks[done, ENCODED] + ticks(took_s), None)

    def _to_text(self, ids: Ints, arrive: Ints, tiles: NDArray[np.int32] | None) -> None:
        if not len(ids):
            return
        assert self.marks is not None
        self.marks[ids, AT_TEXT] = arrive
        self._of_text.append(ids)
        self.stages.text.inject(
            arrive, self.book.prompt_tokens[ids], self.book.output_tokens[ids], tiles=None if tiles is None else tiles.astype(np.int64)
        )

    def _settle(self, engine: Engine, since: int, until: int) -> Ints:
        """Take over what an engine did to its requests in a window; return the rows that it handed over."""
        over, open_ = engine.finished(since, until), engine.under_way()
        rows = np.concatenate([over, open_])
        mine = engine.requests.take(rows, axis=0)
        ids = self._ids(engine, rows)
        self.requests[ids, b.FIRST] = mine[:, b.FIRST]
        self.requests[ids, b.PLACE] = mine[:, b.PLACE]
        handed = np.zeros(len(over), dtype=np.bool_)
        if engine is self.stages.text:
            self.requests[ids, b.ADMITTED], self.requests[ids, b.ENCODE] = mine[:, b.ADMITTED], mine[:, b.ENCODE]
            handed = engine.handed_over(over)
        self.requests[ids[: len(over)][~handed], b.FINISH] = mine[: len(over), b.FINISH][~handed]
        return over[handed]

    def _ids(self, engine: Engine, rows: Ints) -> Ints:
        if engine is self.stages.decode:
            return self._of_decode[rows]
        return rows if self.vision is None else self._of_text[rows]

    def _hand_over(self, rows: Ints) -> None:
        """Send requests that have their first token on to the decode stage, with their keys and values."""
        if not len(rows):
            return
        assert self.stages.decode is not None
        mine = self.stages.text.requests[rows]
        took = np.rint((self._links.kv_s + self._links.kv_s_per_token * mine[:, b.PROMPT]) * b.TICKS_PER_S).astype(np.int64)
        order = np.argsort(mine[:, b.FINISH] + took, kind="stable")
        rows, mine, took = rows[order], mine[order], took[order]
        self._of_decode.append(self._ids(self.stages.text, rows))
        given = {"first": mine[:, b.FIRST], "last": mine[:, b.LAST]}
        self.stages.decode.inject(mine[:, b.FINISH] + took, mine[:, b.PROMPT], mine[:, b.OUTPUT], **given)

    # -- requests -----------------------------------------------------------------

    @property
    def arrived(self) -> int:
        """Return how many requests have arrived, with those injected."""
        if self.direct:
            return self.stages.text.arrived
        now = self.stages.text.cursor[b.NOW]
        return self._arrived + int(np.count_nonzero(self.requests[self.book.drawn : len(self.book), b.ARRIVE] < now))

    def pictured(self, since: int, until: int) -> Ints:
        """Return the tiles of the requests with images that arrived in ticks [since, until) and may still be asked for."""
        tiles = [self.book.tiles[low:high][_within(self.requests[low:high, b.ARRIVE], since, until)] for low, high in self.ranges()]
        every = np.concatenate(tiles).astype(np.int64)
        return np.asarray(every[every > 0])

    def inject(self, arrive_s: Floats, text_tokens: Ints, output_tokens: Ints, images_each: Ints) -> Ints:
        """Add requests to come, at or after the present edge; return their ids."""
        ids = self.book.extend(arrive_s, text_tokens, output_tokens, images_each)
        arrive = np.rint(arrive_s * b.TICKS_PER_S).astype(np.int64)
        if self.vision is None:
            self.stages.text.inject(arrive, self.book.prompt_tokens[ids], self.book.output_tokens[ids])
        if self.direct:
            self.requests = self.stages.text.requests
            return ids
        self._reach()
        if self.vision is not None and self.marks is not None:
            took = np.rint(self.vision.preprocess_s_per_tile * self.book.tiles[ids] * b.TICKS_PER_S).astype(np.int64)
            self.marks[ids, READY] = arrive + took
        return ids

    def last_placed(self) -> tuple[float, int, int, int, int] | None:
        """Return arrival and prompt of the request that was placed last, its slot, how many could have taken it, and why.

        The last two are what the router left.
        """
        last, memory = self._last_come(), self.stages.text.memory
        if last is None or last[3] < 0:
            return None
        return last[1], last[2], last[3], int(memory[PLACED_FEASIBLE]), int(memory[PLACED_REASON])

    def _last_come(self) -> tuple[int, float, int, int] | None:
        """Return of the request that came last to the text stage its row there, arrival, prompt and place."""
        text, apart = self.stages.text, self.vision is not None
        came = int(text.cursor[b.NEXT_INJECTED if apart else b.NEXT_ARRIVAL]) - 1
        if came < 0:
            return None
        row = int(text.coming[came]) if apart else came
        # What was over and done with before a restored state is not there any more.
        if self._last is not None and self._last[0] == row:
            return self._last
        i = int(self._ids(text, np.array([row]))[0])
        return row, float(self.book.arrive_s[i]), int(self.book.prompt_tokens[i]), int(text.requests[row, b.PLACE])

    def journey(self, ids: Ints) -> Journey:
        """Return how far some requests are."""
        marks = None if self.marks is None else self.marks.take(ids, axis=0)
        return Journey(self.requests.take(ids, axis=0), self.book.output_tokens[ids], marks)

    def ranges(self) -> list[tuple[int, int]]:
        """Return where the requests lie that are under way or were over since the last ``forget``, and some others."""
        if self.direct:
            return list(self.stages.text.spans())
        return [(self._clean, self._arrived), (self.book.drawn, len(self.book))]

    def finished(self, since: int, until: int) -> Ints:
        """Return the ids that finished or were rejected in ticks [since, until), in the order of arrival."""
        if self.direct:
            return self.stages.text.finished(since, until)
        return self._where(lambda rows: (rows[:, b.FINISH] >= since) & (rows[:, b.FINISH] < until))

    def under_way(self, now: int) -> Ints:
        """Return the ids of requests that have arrived by tick ``now`` and are not finished."""
        if self.direct:
            return self.stages.text.under_way()
        return self._where(lambda rows: (rows[:, b.FINISH] == b.FOREVER) & (rows[:, b.ARRIVE] < now))

    def _where(self, test: Callable[[Ints], Bools]) -> Ints:
        return np.concatenate([low + np.flatnonzero(test(self.requests[low:high])) for low, high in self.ranges()])

    def forget(self, until: int) -> None:
        """Say that nothing before tick ``until`` will be asked for again."""
        for engine in self.stages.engines:
            engine.forget(until)
        if self.stages.encoder is not None:
            self.stages.encoder.forget(until)
        if not self.direct:
            late = self.requests[self._clean : self._arrived, b.FINISH] >= until
            self._clean += int(np.argmax(late)) if late.any() else len(late)

    # -- snapshots ------------------------------------------------------------------

    def snapshot(self) -> State:
        """Return the state at a window edge; of the requests only those that are under way."""
        state: State = {"book": self.book.snapshot(), "stages": self.stages.snapshot(), "of_decode": self._of_decode.array()}
        last = self._last_come()
        state["last"] = [] if last is None else list(last)
        if self.marks is not None:
            state |= {"of_encoder": self._of_encoder.array(), "of_text": self._of_text.array()}
            state |= {"fed": self._fed, "marks": [self.marks[low:high].copy() for low, high in self.ranges()]}
        if not self.direct:
            rows = [self.requests[low:high].copy() for low, high in self.ranges()]
            state |= {"clean": self._clean, "arrived": self._arrived, "requests": rows, "drawn": self.book.drawn}
        return state

    def restore(self, state: State) -> None:
        """Take back a state of the same scenario and seed."""
        self.book.restore(state["book"])
        self.stages.restore(state["stages"])
        last, clean = state["last"], self.stages.text.clean_until[0 if self.vision is None else 1]
        # One that was still under way may yet go elsewhere.
        self._last = tuple(last) if last and last[0] < clean else None
        if self._in_text:
            self.requests = self.stages.text.requests
        self._leave_text()
        if self.direct:
            self.requests = self.stages.text.requests
            return
        # A run that ends at another time draws more or fewer requests, and injected ones follow after those.
        drawn, moved = int(state["drawn"]), self.book.drawn - int(state["drawn"])

        def ids(name: str) -> Ids:
            old = np.array(state[name], dtype=np.int64)
            return Ids(np.where(old >= drawn, old + moved, old))

        self._of_decode = ids("of_decode")
        self._clean, self._arrived = int(state["clean"]), int(state["arrived"])
        self._reach()
        for (low, high), rows in zip(self.ranges(), state["requests"], strict=True):
            self.requests[low:high] = rows
        if self.marks is not None:
            self._of_encoder, self._of_text, self._fed = ids("of_encoder"), ids("of_text"), int(state["fed"])
            for (low, high), rows in zip(self.ranges(), state["marks"], strict=True):
                self.marks[low:high] = rows
            # Who has been fed was ready before those who have not, whoever came in between: all are put in line anew.
            self._feed = self._feed_ready = np.zeros(0, dtype=np.int64)


def _within(arrive: Ints, since: int, until: int) -> Bools:
    return np.asarray((arrive >= since) & (arrive < until))


def _blank(arrive_s: Floats) -> Ints:
    """Return rows of requests of which nothing has happened yet."""
    rows = np.zeros((len(arrive_s), b.REQUEST_COLUMNS), dtype=np.int64)
    rows[:, b.ARRIVE] = np.rint(arrive_s * b.TICKS_PER_S)
    rows[:, b.FIRST] = rows[:, b.FINISH] = rows[:, b.ADMITTED] = b.FOREVER
    rows[:, b.PLACE] = b.UNPLACED
    return rows
