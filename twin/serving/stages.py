"""The engines of one endpoint and which slot works in which of them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twin.serving import batching as b
from twin.serving import encoding, latency, records
from twin.serving.book import Book
from twin.serving.encoder import Encoder
from twin.serving.engine import Engine, Rules
from twin.serving.layout import Endpoint
from twin.serving.levers import DECODE, IMAGE, PREFILL, WHOLE
from twin.stack import State

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_SCHEDULERS: Final = {"prefill_first": b.PREFILL_FIRST, "shared": b.SHARED, "chunked": b.CHUNKED}


@dataclass(frozen=True, slots=True)
class Slots:
    """What the layout says of the slots of one endpoint, shapes V x n x columns, and on which ``server`` each is, shape n.

    ``done`` is where accounts are kept.
    """

    profiles: Floats
    encode_s: Floats
    done: Ints
    server: Ints


class Stages:
    """Encoder, text engine (prefill and decode) and decode engine of one endpoint over the same n slots.

    ``roles`` and ``variants`` say what each slot does and holds, shape n. The text engine is always there, the encoder where
    the model reads images, the decode engine from the first decode slot on.
    """

    def __init__(self, spec: Endpoint, slots: Slots, book: Book, prefill_tokens: int) -> None:
        self.spec, self._slots = spec, slots
        count = slots.profiles.shape[1]
        self.roles = np.zeros(count, dtype=np.int64)
        self.variants = np.zeros(count, dtype=np.int64)
        self._limit = spec.prefill_tokens or prefill_tokens
        self._rules = Rules(_SCHEDULERS[spec.scheduler], spec.attention == "whole_batch", spec.kv == "paged")
        # Requests with images come to the text engine when they are ready for it.
        self.text = self._engine(book if spec.vision is None else None, slots.done)
        self.decode: Engine | None = None
        self.encoder = None if spec.vision is None else Encoder(count)
        self.encodes = False
        self._set_encoders()

    def _engine(self, book: Book | None, done: Ints) -> Engine:
        empty = np.zeros(0, dtype=np.int64)
        arrive_s, sizes, first = np.zeros(0), (empty, empty), 0
        if book is not None:
            arrive_s, sizes, first = book.arrive_s, (book.prompt_tokens, book.output_tokens), book.first
        longest = min(latency.context_tokens(choice.model) for choice in self.spec.choices)
        limits = (self.spec.max_batch, self._limit, self._rules)
        return Engine(self._slots.profiles[0], arrive_s, sizes, *limits, done, first, context_tokens=longest)

    @property
    def engines(self) -> tuple[Engine, ...]:
        """Return the engines that prefill or decode."""
        return (self.text,) if self.decode is None else (self.text, self.decode)

    @property
    def outstanding(self) -> Ints:
        """Return the requests at each slot, shape n."""
        total = self.text.outstanding if self.decode is None else self.text.outstanding + self.decode.outstanding
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
    def on_one_server(self) -> bool:
        """Return whether all slots that images may be sent to, and all that may prefill them, stand on one server."""
        assert self.encoder is not None
        used = (self.encoder.allowed > 0) & (self.roles == IMAGE) | (self.text.allowed > 0) & self.in_text
        return len(np.unique(self._slots.server[used])) <= 1

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
        if self.decode is None:
            return self.text.kv_share
        return np.asarray(self.of_role((self.text.kv_share, self.decode.kv_share)))

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
        """Say which slots may work, shape n; those that prefill may also end what is handed over to them."""
        self.text.set_live(live & self.in_text, now)
        if self.decode is not None:
            self.decode.set_live(live & (self.in_text | (self.roles == DECODE)), now)
        if self.encoder is not None:
            self.encoder.set_live(live & (self.roles == IMAGE), now)

    def open(self, on: Bools, choices: Callable[[], Iterable[Bools]]) -> None:
        """Say which slots may take new requests: of each stage those of the first of the ``choices`` (shape n) that leaves any.

        ``encodes`` is whether an image slot is ``on``; where none is, slots that prefill encode for themselves. Where no
        decode slot is ``on``, prefill slots decode as well, and what is on its way to one ends there.
        """
        image = self.roles == IMAGE
        # A slot that prefills and ends what others prefilled would do two things at once: it keeps its own instead.
        self.text.set_handover((self.roles == PREFILL) & (on & (self.roles == DECODE)).any())
        self.encodes = bool((on & image).any())
        engines: list[tuple[Any, Bools]] = [(self.text, self.in_text)]
        if self.decode is not None:
            engines.append((self.decode, self._decoders(on)))
        if self.encoder is not None:
            engines.append((self.encoder, image))
        for engine, able in engines:
            found = next((both for choice in choices() if (both := choice & able).any()), able)
            engine.allowed[:] = found if found.any() else 1

    def _decoders(self, on: Bools) -> Bools:
        """Return which slots what is handed over may go to, shape n: slots that go off get nothing more if that can be."""
        assert self.decode is not None
        decode, live = self.roles == DECODE, self.decode.instances[:, b.LIVE] == 1
        choices = (on & decode, live & self.in_text, live & decode)
        return np.asarray(next((able for able in choices if able.any()), decode | self.in_text))

    def set_speeds(self, speeds: Floats) -> None:
        """Divide times by these factors, shape 2 x n: prefill (and encode) and decode."""
        for engine in self.engines:
            engine.set_speeds(speeds[0], speeds[1])
        if self.encoder is not None:
            self.encoder.set_speeds(speeds[0])

    def set_max_batch(self, max_batch: Ints) -> None:
        """Set the batch limit of each slot, shape n."""
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
        """Make the decode engine; what is set for the text engine holds for it, its router's scores and size of memory too."""
        self.decode = self._engine(None, np.zeros_like(self._slots.done))
        self.decode.set_speeds(self.text.speeds[:, 0], self.text.speeds[:, 1])
        self.decode.set_max_batch(self.text.instances[:, b.MAX_BATCH])
        # A rule reads and writes these unchecked, and slots may turn between two windows.
        self.decode.score, self.decode.memory = self.text.score, np.zeros_like(self.text.memory)

    def count_decoding(self) -> None:
        """Add what the decode engine did to the accounts of its slots."""
        assert self.decode is not None
        records.gather(self._slots.done, self.decode.done)
        self.decode.done[:] = 0

    def count_encoding(self) -> None:
        """Add what image instances did to the accounts of their slots."""
        assert self.encoder is not None
        done, did = self._slots.done, self.encoder.done
        for mine, its in ((b.ENCODE_TIME, encoding.ENCODE_TIME), (b.QUEUE_TIME, encoding.QUEUE_TIME), (b.ARRIVALS, encoding.ARRIVALS)):
            done[:, mine] += did[:, its]
        done[:, b.QUEUE_MAX] = np.maximum(done[:, b.QUEUE_MAX], did[:, encoding.QUEUE_MAX])
        did[:] = 0

    def snapshot(self) -> State:
        """Return the state of every engine."""
        state: State = {"roles": self.roles.copy(), "variants": self.variants.copy(), "text": self.text.snapshot()}
        if self.decode is not None:
            state["decode"] = self.decode.snapshot()
        if self.encoder is not None:
            state |= {"encoder": self.encoder.snapshot(), "encodes": self.encodes}
        return state

    def restore(self, state: State) -> None:
        """Take back what ``snapshot`` gave."""
        self.become(np.ones(len(self.roles), dtype=np.bool_), np.array(state["roles"]), np.array(state["variants"]))
        self.text.restore(state["text"])
        if "decode" in state:
            if self.decode is None:
                self._part()
            assert self.decode is not None
            self.decode.restore(state["decode"])
        if self.encoder is not None:
            self.encoder.restore(state["encoder"])
            self.encodes = bool(state["encodes"])
