"""The engine of one endpoint: its instances, its requests, its ticks."""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from twin.serving import batching as b
from twin.serving import latency
from twin.serving.book import grown
from twin.serving.levers import BATCH_HIGH
from twin.stack import State

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_SLOWEST: Final = 0.01
# Requests are filled in and looked through by so many rows at a time, which fit the processor's cache.
_BLOCK: Final = 4096
_ARRAYS: Final = (
    "coefficients", "encoder", "limits", "instances", "prefill", "heap", "stalls", "gaps", "done", "load", "allowed", "cursor",
    "speeds", "clean_until",
)  # fmt: skip
# Those whose shape is not known beforehand.
_REPLACED: Final = ("score", "memory", "again", "coming")


def ticks(t_s: float) -> int:
    """Return a time in ticks of 10 ps."""
    return round(t_s * b.TICKS_PER_S)


class Rules(NamedTuple):
    """Scheduler (a constant of ``batching``), whether attention is charged on the whole batch, whether KV blocks are paged."""

    scheduler: int = b.PREFILL_FIRST
    whole_batch: bool = False
    paged: bool = True


_DEFAULT_RULES: Final = Rules()


class Engine:
    """Runs the requests of one stage of an endpoint through its instances.

    ``coefficients`` is one row per instance in the columns of ``twin.serving.latency``; ``arrive_s``, ``sizes`` (prompt and
    output tokens) and ``tiles`` (of images to encode before the prefill; None: no images) are one per request in the order of
    arrival, integers of any width; those longer than ``context_tokens`` or than the smallest cache holds are rejected.
    ``done`` is where the kernel counts what instances do, shape I x DONE_COLUMNS; its owner clears it. Requests before
    ``first`` belong to a past that a state brings with it. ``score`` (shape I x K) and ``memory``
    are the router's: whoever sets a router puts arrays of the shape that it wants there.
    """

    def __init__(
        self,
        coefficients: Floats,
        arrive_s: Floats,
        sizes: tuple[NDArray[np.integer[Any]], NDArray[np.integer[Any]]],
        max_batch: int = BATCH_HIGH,
        prefill_tokens: int = 16_384,
        rules: Rules = _DEFAULT_RULES,
        done: Ints | None = None,
        first: int = 0,
        *,
        block_tokens: int = 16,
        tiles: NDArray[np.integer[Any]] | None = None,
        context_tokens: int = b.FOREVER,
    ) -> None:
        count, number = len(coefficients), len(arrive_s)
        if block_tokens < 1 or block_tokens & (block_tokens - 1):
            raise ValueError(f"block_tokens is {block_tokens}; it must be a power of two, such as 16")
        self.coefficients, self._context_tokens = np.array(coefficients), context_tokens
        self.encoder = np.zeros((count, 2))
        self.requests: Ints = np.zeros((number, b.REQUEST_COLUMNS), dtype=np.int64)
        # What ``requests`` is the begin of: more rows than there are, once requests are injected.
        self._rows = self.requests
        for low in range(first, number, _BLOCK):
            block = slice(low, low + _BLOCK)
            arrive = np.rint(arrive_s[block] * b.TICKS_PER_S)
            _fill(self.requests[block], arrive, sizes[0][block], sizes[1][block], None if tiles is None else tiles[block])
        overhead = ticks(float(coefficients[0, latency.OVERHEAD_S]))
        self.limits = np.zeros(7, dtype=np.int64)
        self.limits[[b.PREFILL_LIMIT, b.OVERHEAD, b.PRELOADED]] = prefill_tokens, overhead, number
        self.limits[[b.SCHEDULER, b.WHOLE_BATCH, b.PAGED]] = rules
        self.cursor = np.zeros(b.CURSOR_PLACES, dtype=np.int64)
        self.instances = np.zeros((count, b.INSTANCE_COLUMNS + block_tokens), dtype=np.int64)
        self.instances[:, b.NEXT] = b.FOREVER
        self.instances[:, b.LIVE] = 1
        self.instances[:, b.MAX_BATCH] = max_batch
        self.instances[:, b.BLOCK_SHIFT] = block_tokens.bit_length() - 1
        self.prefill = np.zeros((count, b.PREFILL_COLUMNS))
        self.heap = np.zeros((count, BATCH_HIGH), dtype=np.int64)
        self.stalls = np.zeros((count, 2 * (BATCH_HIGH + 2)), dtype=np.int64)
        self.gaps = np.zeros(b.GAP_BINS, dtype=np.int64)
        self.done = np.zeros((count, b.DONE_COLUMNS), dtype=np.int64) if done is None else done
        leaves = 1 << max(1, (count - 1).bit_length())
        self.tree = np.full(2 * leaves, b.FOREVER, dtype=np.int64)
        self.load = np.zeros((b.LOAD_ROWS, count), dtype=np.int64)
        self.allowed = np.ones(count, dtype=np.uint8)
        self._score: Floats = np.zeros((count, 1))
        self._memory: Ints = np.zeros(b.ROUTE_MEMORY, dtype=np.int64)
        self.again: Ints = np.zeros(0, dtype=np.int64)
        self.coming: Ints = np.zeros(0, dtype=np.int64)
        # Requests from here on were injected since ``coming`` was last put in order.
        self._lined_up = number
        # Before these ids, of the requests known from the start and of injected ones, all is over and done with.
        self.clean_until = np.array([0, number], dtype=np.int64)
        self.speeds = np.ones((count, 2))
        self._set_capacity()
        self._set_times()

    @property
    def outstanding(self) -> Ints:
        """Requests at each instance, shape I."""
        return np.asarray(self.load[b.OUTSTANDING])

    @property
    def score(self) -> Floats:
        """What the router's holder gave for each instance, shape I x K."""
        return self._score

    @score.setter
    def score(self, score: Floats) -> None:
        # The kernel does not look at the types of its arguments, so a wrong one must not get that far.
        self._score = np.array(score, dtype=np.float64, order="C").reshape(len(self.instances), -1)

    @property
    def memory(self) -> Ints:
        """What the router keeps between requests, any length."""
        return self._memory

    @memory.setter
    def memory(self, memory: Ints) -> None:
        self._memory = np.array(memory, dtype=np.int64, order="C").reshape(-1)

    @property
    def empty_since(self) -> Ints:
        """Tick at which the last outstanding request left each instance, shape I."""
        return np.asarray(self.instances[:, b.EMPTY_SINCE])

    @property
    def kv_share(self) -> Floats:
        """KV blocks in use over those that there are at the last window edge, shape I."""
        return np.asarray(self.instances[:, b.KV] / np.maximum(self.instances[:, b.KV_LIMIT], 1))

    @property
    def arrived(self) -> int:
        """Requests that came so far, rejected ones too."""
        return int(self.cursor[b.NEXT_ARRIVAL] + self.cursor[b.INJECTED_ARRIVALS])

    def set_speeds(self, prefill_speed: Floats, decode_speed: Floats) -> None:
        """Divide iteration times by these factors, shape I; an iteration that has begun keeps its speed."""
        wanted = np.maximum(np.stack([prefill_speed, decode_speed], axis=1), _SLOWEST)
        changed = (wanted != self.speeds).any(axis=1)
        if not changed.any():
            return
        self.speeds[changed] = wanted[changed]
        self._set_times()
        self.instances[changed, b.REPLAN] = 1

    def set_encoder(self, base_s: Floats, per_tile_s: Floats) -> None:
        """Set what images take inside a prefill at full speed, shape I: per request that has any, and per tile."""
        self.encoder[:, 0], self.encoder[:, 1] = base_s, per_tile_s
        self._set_times()

    def set_coefficients(self, r: int, row: Floats) -> None:
        """Let an instance go on as another model; ValueError while it has requests. The overhead stays the engine's."""
        if self.load[b.OUTSTANDING, r] > 0:
            raise ValueError(f"instance {r} still has {self.load[b.OUTSTANDING, r]} requests; drain it before its model changes")
        self.coefficients[r] = row
        self._set_capacity()
        self._set_times()

    def set_handover(self, handover: NDArray[np.bool_]) -> None:
        """Say at which instances requests leave after their prefill, shape I; it holds for prefills that end from now on."""
        self.instances[:, b.HANDOVER] = handover

    def _set_capacity(self) -> None:
        shift = self.instances[0, b.BLOCK_SHIFT]
        self.instances[:, b.KV_LIMIT] = self.coefficients[:, latency.KV_TOKENS].astype(np.int64) >> shift
        self.limits[b.SMALLEST_KV] = min(int(self.instances[:, b.KV_LIMIT].min() << shift), self._context_tokens)

    def _set_times(self) -> None:
        """Turn coefficients into ticks at the present speeds."""
        per_s = b.TICKS_PER_S / self.speeds
        c = self.coefficients
        self.prefill[:, : b.ENCODE_BASE] = c[:, : b.ENCODE_BASE] * per_s[:, :1]
        self.prefill[:, b.ENCODE_BASE :] = self.encoder * per_s[:, :1]
        decode = np.rint(c[:, latency.DECODE_S : latency.OVERHEAD_S] * per_s[:, 1:]).astype(np.int64)
        # One tick at least, so that every iteration is longer than the one before it.
        self.instances[:, b.DECODE_BASE : b.DECODE_PER_TOKEN + 1] = np.maximum(decode, 1)

    def set_max_batch(self, max_batch: Ints) -> None:
        """Set the batch limit of each instance, shape I; what runs already goes on."""
        changed = self.instances[:, b.MAX_BATCH] != max_batch
        self.instances[changed, b.MAX_BATCH] = max_batch[changed]
        self.instances[changed, b.REPLAN] = 1

    def set_live(self, live: NDArray[np.bool_], t: int) -> None:
        """Say which instances may run iterations, shape I; one that comes alive looks at its queue at tick ``t``."""
        woken = live & (self.instances[:, b.LIVE] == 0) & (self.instances[:, b.QUEUED] > 0) & (self.instances[:, b.PHASE] == b.IDLE)
        self.instances[:, b.LIVE] = live
        self.instances[woken, b.PHASE] = b.WAKING
        self.instances[woken, b.BEGAN] = t
        self.instances[woken, b.NEXT] = t

    def inject(
        self, arrive: Ints, prompt: Ints, output: Ints, *, first: Ints | None = None, last: Ints | None = None, tiles: Ints | None = None
    ) -> Ints:
        """Let requests arrive at ticks not before the present window edge, in any order, and return their ids.

        With ``first``, the ticks of first tokens given elsewhere, keys and values come along: ``prompt`` and ``output`` are as
        they were there, one output token is given, at ``last`` where that is a later stint's.
        """
        low, number = len(self.requests), len(arrive)
        if number == 0:
            return np.zeros(0, dtype=np.int64)
        if np.min(arrive) < self.cursor[b.NOW]:
            raise ValueError(f"a request is to arrive at tick {np.min(arrive)}, but tick {self.cursor[b.NOW]} is over; arrive later")
        if first is not None and np.min(output) < 2:
            raise ValueError("a request that comes with its first token must have at least two output tokens; leave finished ones out")
        self._reach(low + number)
        rows = self.requests[low:]
        _fill(rows, arrive, prompt, output, tiles)
        if first is not None:
            rows[:, b.OUTPUT] *= -1
            rows[:, b.FIRST], rows[:, b.LAST] = first, first if last is None else last
        # Of those that came the last one stays, for who asks which it was.
        over = max(0, int(self.cursor[b.NEXT_INJECTED]) - 1)
        self.coming, self.cursor[b.NEXT_INJECTED] = self.coming[over:], self.cursor[b.NEXT_INJECTED] - over
        return np.arange(low, low + number)

    def _line_up(self) -> None:
        """Put those injected lately among those to come, all of one edge at once."""
        if self._lined_up < len(self.requests):
            ids = self._by_arrival(np.arange(self._lined_up, len(self.requests)))
            at = np.searchsorted(self.requests[self.coming, b.ARRIVE], self.requests[ids, b.ARRIVE], side="right")
            self.coming, self._lined_up = np.insert(self.coming, at, ids), len(self.requests)

    def _reach(self, number: int) -> None:
        """Let there be so many requests."""
        self._rows = grown(self._rows, len(self.requests), number)
        self.requests = self._rows[:number]

    def _by_arrival(self, ids: Ints) -> Ints:
        return ids[np.lexsort((ids, self.requests[ids, b.ARRIVE]))]

    def advance(self, since: int, until: int, route: Any) -> None:
        """Run from tick ``since`` to tick ``until`` with a compiled router."""
        self._line_up()
        b.advance()(
            since, until, self.limits, self.cursor, self.instances, self.prefill, self.heap, self.stalls, self.requests, self.again,
            self.coming, self.gaps, self.done, self.tree, self.load, self.allowed, self._score, self._memory, route,
        )  # fmt: skip
        if len(self.again):
            self.again = np.zeros(0, dtype=np.int64)

    def lose(self, r: int) -> int:
        """Take everything off an instance at the present window edge and return how many requests that were.

        They are placed anew, in the order of their arrival, when the engine goes on. Tokens that were given already stay
        given: they are prefilled again together with the prompt, also where keys and values had come along.
        """
        row, requests = self.instances[r], self.requests
        stepping = self.heap[r, : row[b.BATCH]]
        ids = stepping & 0x7FFFFFFF
        left = (stepping >> 31) - row[b.STEP]
        given = requests[ids, b.OUTPUT] - left
        requests[ids, b.PROMPT] += given
        requests[ids, b.OUTPUT] = left
        # With one token given in this stint, it is the latest; else the last boundary gave one, or that before the stall.
        latest = self.stalls[r, 0] if row[b.STALLS] else row[b.BEGAN]
        requests[ids, b.LAST] = np.where(given > 1, latest, requests[ids, b.LAST])
        waiting = self._chain(int(row[b.HEAD]), int(row[b.QUEUED]))
        filling = self._chain(int(row[b.PREFILL_HEAD]), int(row[b.PREFILL_COUNT]) if row[b.PHASE] == b.PREFILLING else 0)
        along = [i for i in waiting if requests[i, b.OUTPUT] < 0]
        requests[along, b.PROMPT] += 1
        requests[along, b.OUTPUT] = -requests[along, b.OUTPUT] - 1
        lost = np.array([*ids.tolist(), *waiting, *filling], dtype=np.int64)
        requests[lost, b.PLACE] = b.UNPLACED
        self.again = self._by_arrival(np.concatenate([self.again, lost]))
        emptied = [b.LEFT, b.BATCH, b.CONTEXT, b.STEP, b.KV, b.QUEUED, b.STALLS, b.PREFILL_COUNT, b.HELD, b.PROGRESS, b.CHUNK, b.GROWN]
        row[emptied] = 0
        row[b.RESIDUES :] = 0
        row[b.PHASE] = b.IDLE
        row[b.NEXT] = b.FOREVER
        self.load[:, r] = 0
        return len(lost)

    def _chain(self, first: int, count: int) -> list[int]:
        """Return the ids of ``count`` requests linked from ``first``."""
        chain = []
        for _ in range(count):
            chain.append(first)
            first = int(self.requests[first, b.FOLLOWER])
        return chain

    def spans(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return the ids [low, high) that may still be asked for: of arrived ones known from the start, and of injected ones.

        Injected ones are among them before they arrive.
        """
        low, injected = (int(low) for low in self.clean_until)
        return (low, int(self.cursor[b.NEXT_ARRIVAL])), (injected, len(self.requests))

    def finished(self, since: int, until: int) -> Ints:
        """Return the ids that finished here or were rejected in ticks [since, until), rising."""
        found = []
        for low, high in self._clean_from(since):
            finish = self.requests[low:high, b.FINISH]
            found.append(low + np.flatnonzero((finish >= since) & (finish < until)))
        return np.concatenate(found)

    def handed_over(self, ids: Ints) -> NDArray[np.bool_]:
        """Return which finished requests left after their prefill with tokens still to come."""
        rows = self.requests[ids]
        return np.asarray((rows[:, b.OUTPUT] > 1) & (rows[:, b.FINISH] == rows[:, b.LAST]) & (rows[:, b.PLACE] >= 0))

    def under_way(self) -> Ints:
        """Return the ids of requests that have arrived and are not finished, rising."""
        found = []
        for low, high in self.spans():
            rows = self.requests[low:high]
            found.append(low + np.flatnonzero((rows[:, b.FINISH] == b.FOREVER) & (rows[:, b.ARRIVE] < self.cursor[b.NOW])))
        return np.concatenate(found)

    def _clean_from(self, since: int) -> list[tuple[int, int]]:
        """Return the spans without their begins that were finished before tick ``since``; asked with rising ticks."""
        return [(self._first_open(low, high, since), high) for low, high in self.spans()]

    def _first_open(self, low: int, high: int, since: int) -> int:
        for at in range(low, high, _BLOCK):
            open_ = self.requests[at : min(at + _BLOCK, high), b.FINISH] >= since
            if open_.any():
                return at + int(np.argmax(open_))
        return high

    def forget(self, until: int) -> None:
        """Say that nothing before tick ``until`` will be asked for again."""
        self.clean_until[:] = [low for low, _ in self._clean_from(until)]

    def snapshot(self) -> State:
        """Return the state at a window edge: every array, and of the requests only those that may still be asked for."""
        self._line_up()
        state: State = {name: getattr(self, name).copy() for name in (*_ARRAYS, *_REPLACED)}
        (low, high), (injected, number) = self.spans()
        state["under_way"], state["injected"] = self.requests[low:high].copy(), self.requests[injected:number].copy()
        state["requests"], state["preloaded"] = number, int(self.limits[b.PRELOADED])
        return state

    def restore(self, state: State) -> None:
        """Take back a state; requests that had finished before it are not restored and never looked at again.

        The state may come from a run that knew more or fewer requests from the start: ids of injected ones move with that.
        """
        known = int(self.limits[b.PRELOADED])
        for name in _ARRAYS:
            getattr(self, name)[...] = state[name]
        for name in _REPLACED:
            setattr(self, name, np.array(state[name], dtype=getattr(self, name).dtype))
        self.limits[b.PRELOADED] = known
        rows = [np.array(state[name]) for name in ("under_way", "injected")]
        shift = known - int(state["preloaded"])
        if shift:
            places = (rows[0][:, b.FOLLOWER], rows[1][:, b.FOLLOWER], self.again, self.coming, self.heap, self.clean_until[1:])
            links = tuple(self.instances[:, column] for column in (b.HEAD, b.TAIL, b.PREFILL_HEAD))
            for ids in (*places, *links):
                ids[(ids & 0x7FFFFFFF) >= known - shift] += shift
        self._reach(int(state["requests"]) + shift)
        self._lined_up = len(self.requests)
        (low, high), (injected, number) = self.spans()
        self.requests[low:high], self.requests[injected:number] = rows


def _fill(rows: Ints, arrive: NDArray[Any], prompt: NDArray[Any], output: NDArray[Any], tiles: NDArray[Any] | None) -> None:
    """Write requests that have not arrived yet into their rows."""
    rows[:, b.ARRIVE], rows[:, b.PROMPT], rows[:, b.OUTPUT] = arrive, prompt, output
    rows[:, b.FIRST] = rows[:, b.FINISH] = rows[:, b.ADMITTED] = b.FOREVER
    rows[:, b.PLACE] = b.UNPLACED
    if tiles is not None:
        rows[:, b.TILES] = tiles
