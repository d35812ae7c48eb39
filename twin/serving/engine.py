"""The engine of one endpoint: its instances, its requests, its ticks."""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from twin.serving import batching as b
from twin.serving import latency
from twin.serving.levers import BATCH_HIGH
from twin.stack import State

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_SLOWEST: Final = 0.01
# Requests are filled in by so many rows at a time, which fit the processor's cache.
_BLOCK: Final = 4096
_ARRAYS: Final = (
    "instances", "prefill", "heap", "stalls", "gaps", "done", "load", "allowed", "cursor", "speeds", "clean_until",
)  # fmt: skip
# Those whose shape their owner chooses.
_REPLACED: Final = ("score", "memory", "again")


def ticks(t_s: float) -> int:
    """Return a time in ticks of 10 ps."""
    return round(t_s * b.TICKS_PER_S)


class Rules(NamedTuple):
    """Whether prefill shares its iteration with decode, and whether attention is charged on the whole batch."""

    shared: bool = False
    whole_batch: bool = False


_DEFAULT_RULES: Final = Rules()


class Engine:
    """Runs the requests of one endpoint through its instances.

    ``coefficients`` is one row per instance in the columns of ``twin.serving.latency``; ``arrive_s`` and ``sizes`` (prompt
    and output tokens) are one per request in the order of arrival. ``done`` is where the kernel counts what instances do,
    shape I x DONE_COLUMNS; its owner clears it. Requests before ``first`` belong to a past that a state brings with it.
    """

    def __init__(
        self,
        coefficients: Floats,
        arrive_s: Floats,
        sizes: tuple[Ints, Ints],
        max_batch: int = BATCH_HIGH,
        prefill_tokens: int = 16_384,
        rules: Rules = _DEFAULT_RULES,
        done: Ints | None = None,
        first: int = 0,
    ) -> None:
        count, number = len(coefficients), len(arrive_s)
        self.coefficients = coefficients
        self.requests = np.zeros((number, b.REQUEST_COLUMNS), dtype=np.int64)
        for low in range(first, number, _BLOCK):
            block = slice(low, low + _BLOCK)
            rows = self.requests[block]
            rows[:, b.ARRIVE] = np.rint(arrive_s[block] * b.TICKS_PER_S)
            rows[:, b.PROMPT], rows[:, b.OUTPUT] = sizes[0][block], sizes[1][block]
            rows[:, b.FIRST] = rows[:, b.FINISH] = b.FOREVER
            rows[:, b.PLACE] = b.UNPLACED
        capacity = coefficients[:, latency.KV_TOKENS].astype(np.int64)
        overhead = ticks(float(coefficients[0, latency.OVERHEAD_S]))
        self.limits = np.array([prefill_tokens, capacity.min(), overhead, *rules], dtype=np.int64)
        self.cursor = np.zeros(2, dtype=np.int64)
        self.instances = np.zeros((count, b.INSTANCE_COLUMNS), dtype=np.int64)
        self.instances[:, b.NEXT] = b.FOREVER
        self.instances[:, b.LIVE] = 1
        self.instances[:, b.MAX_BATCH] = max_batch
        self.instances[:, b.KV_LIMIT] = capacity
        self.prefill = np.zeros((count, b.PREFILL_COLUMNS))
        self.heap = np.zeros((count, BATCH_HIGH), dtype=np.int64)
        self.stalls = np.zeros((count, 2 * (BATCH_HIGH + 2)), dtype=np.int64)
        self.gaps = np.zeros(b.GAP_BINS, dtype=np.int64)
        self.done = np.zeros((count, b.DONE_COLUMNS), dtype=np.int64) if done is None else done
        leaves = 1 << max(1, (count - 1).bit_length())
        self.tree = np.full(2 * leaves, b.FOREVER, dtype=np.int64)
        self.load = np.zeros((b.LOAD_ROWS, count), dtype=np.int64)
        self.allowed = np.ones(count, dtype=np.uint8)
        self.score: Floats = np.zeros((count, 1))
        self.memory: Ints = np.zeros(b.ROUTE_MEMORY, dtype=np.int64)
        self.again = np.zeros(0, dtype=np.int64)
        self.clean_until = np.zeros(1, dtype=np.int64)
        self.speeds = np.zeros((count, 2))
        self.set_speeds(np.ones(count), np.ones(count))

    @property
    def outstanding(self) -> Ints:
        """Requests at each instance, shape I."""
        return np.asarray(self.load[b.OUTSTANDING])

    def set_speeds(self, prefill_speed: Floats, decode_speed: Floats) -> None:
        """Divide iteration times by these factors, shape I; an iteration that has begun keeps its speed."""
        wanted = np.maximum(np.stack([prefill_speed, decode_speed], axis=1), _SLOWEST)
        changed = (wanted != self.speeds).any(axis=1)
        if not changed.any():
            return
        self.speeds[changed] = wanted[changed]
        per_s = b.TICKS_PER_S / wanted
        c = self.coefficients
        self.prefill[:] = c[:, : b.PREFILL_COLUMNS] * per_s[:, :1]
        decode = np.rint(c[:, latency.DECODE_S : latency.OVERHEAD_S] * per_s[:, 1:]).astype(np.int64)
        # One tick at least, so that every iteration is longer than the one before it.
        self.instances[:, b.DECODE_BASE : b.DECODE_PER_TOKEN + 1] = np.maximum(decode, 1)
        self.instances[changed, b.REPLAN] = 1

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

    def advance(self, since: int, until: int, route: Any) -> None:
        """Run from tick ``since`` to tick ``until`` with a compiled router."""
        b.advance()(
            since, until, self.limits, self.cursor, self.instances, self.prefill, self.heap, self.stalls, self.requests, self.again,
            self.gaps, self.done, self.tree, self.load, self.allowed, self.score, self.memory, route,
        )  # fmt: skip
        if len(self.again):
            self.again = np.zeros(0, dtype=np.int64)

    def lose(self, r: int) -> int:
        """Take everything off an instance at the present window edge and return how many requests that were.

        They are placed anew, in the order of their arrival, when the engine goes on. Tokens that were given already stay
        given: they are prefilled again together with the prompt.
        """
        row = self.instances[r]
        stepping = self.heap[r, : row[b.BATCH]]
        ids = stepping & 0x7FFFFFFF
        left = (stepping >> 31) - row[b.STEP]
        latest = np.maximum(self.requests[ids, b.LAST], self.stalls[r, 0]) if row[b.STALLS] else np.full(len(ids), row[b.BEGAN])
        given = self.requests[ids, b.OUTPUT] - left
        self.requests[ids, b.PROMPT] += given
        self.requests[ids, b.OUTPUT] = left
        self.requests[ids, b.LAST] = latest
        waiting = self._chain(int(row[b.HEAD]), int(row[b.QUEUED]))
        filling = self._chain(int(row[b.PREFILL_HEAD]), int(row[b.PREFILL_COUNT]) if row[b.PHASE] == b.PREFILLING else 0)
        lost = np.array([*ids.tolist(), *waiting, *filling], dtype=np.int64)
        self.requests[lost, b.PLACE] = b.UNPLACED
        self.again = np.sort(np.concatenate([self.again, lost]))
        row[[b.LEFT, b.BATCH, b.CONTEXT, b.STEP, b.KV, b.QUEUED, b.STALLS, b.PREFILL_COUNT]] = 0
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

    def finished(self, since: int, until: int) -> Ints:
        """Return the ids that finished or were rejected in ticks [since, until), in the order of arrival."""
        low = self._clean_until(since)
        finish = self.requests[low : self.cursor[b.NEXT_ARRIVAL], b.FINISH]
        return low + np.flatnonzero((finish >= since) & (finish < until))

    def under_way(self) -> Ints:
        """Return the ids of requests that have arrived and are not finished."""
        low = int(self.clean_until[0])
        return low + np.flatnonzero(self.requests[low : self.cursor[b.NEXT_ARRIVAL], b.FINISH] == b.FOREVER)

    def _clean_until(self, since: int) -> int:
        """Return an id before which everything was finished before tick ``since``; asked with rising ticks."""
        low = int(self.clean_until[0])
        finish = self.requests[low : self.cursor[b.NEXT_ARRIVAL], b.FINISH]
        return low + int(np.argmax(finish >= since)) if len(finish) and (finish >= since).any() else low + len(finish)

    def forget(self, until: int) -> None:
        """Say that nothing before tick ``until`` will be asked for again."""
        self.clean_until[0] = self._clean_until(until)

    def snapshot(self) -> State:
        """Return the state at a window edge: every array, and of the requests only those that are under way."""
        state: State = {name: getattr(self, name).copy() for name in (*_ARRAYS, *_REPLACED)}
        state["under_way"] = self.requests[self.clean_until[0] : self.cursor[b.NEXT_ARRIVAL]].copy()
        return state

    def restore(self, state: State) -> None:
        """Take back a state; requests that had finished before it are not restored and never looked at again."""
        for name in _ARRAYS:
            getattr(self, name)[...] = state[name]
        for name in _REPLACED:
            setattr(self, name, np.array(state[name], dtype=getattr(self, name).dtype))
        self.requests[self.clean_until[0] : self.cursor[b.NEXT_ARRIVAL]] = state["under_way"]
