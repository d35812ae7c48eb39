# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, disallow-incomplete-defs=False
"""The image stage: which instance encodes which tiles, and when.

Semantics (a plain one in the tests gives the same ticks):

* A job is one request's tiles, ready at a tick. It is split into pieces, never more than ``split``, than it has tiles, or
  than instances are allowed; sizes differ by one tile at most, the larger ones first.
* Every piece goes to the allowed instance with the fewest pending tiles at that moment; ties go round. All tiles of an
  endpoint are worth the same number of image tokens, so fewest tiles is fewest image tokens. What an instance completes
  strictly before the tick of an arrival is no longer pending for it; a piece that runs is pending in full. Where nothing is
  allowed everything is.
* An instance takes its pieces in the order in which they came, one at a time: base + per tile times tiles, at the speed it
  has when the piece starts. An instance that is not live finishes its piece and starts no other.
* A job is done with its last piece. A lost instance's pieces start over elsewhere, whole as they were cut.

Time is int64 ticks of 10 ps as in ``twin.serving.batching``; windows of any length give the same ticks.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, Final

import numba
import numpy as np
from numba import types
from numpy.typing import NDArray

from twin.serving.batching import TICKS_PER_S
from twin.stack import State

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_SLOWEST: Final = 0.01
# As in batching; here again because numba's disk cache only watches the file of the compiled function.
FOREVER: Final = 2**62
WITHDRAWN: Final = -1

# Columns of `jobs`, int64, one row per job in the order of ``inject``.
READY: Final = 0
TILES: Final = 1
LEFT: Final = 2  # pieces that are not done
BEGIN: Final = 3  # start of the first piece, FOREVER before; a piece lost later does not move it
LATEST: Final = 4  # latest end of a piece: instances are followed one after the other, so the last counted is not always it
FINISH: Final = 5  # end of the last piece, FOREVER before, or WITHDRAWN
JOB_COLUMNS: Final = 6

# Columns of `pieces`, int64; rows are used again, the free ones are linked by FOLLOWER.
JOB: Final = 0
PART: Final = 1  # which of the job's pieces
SIZE: Final = 2  # tiles
FOLLOWER: Final = 3  # next in its queue
PIECE_COLUMNS: Final = 4

# Columns of `instances`, int64.
NEXT: Final = 0  # end of the piece that runs, or when an idle instance looks at its queue
RUNNING: Final = 1  # piece, or NONE
BEGAN: Final = 2
HEAD: Final = 3
TAIL: Final = 4
QUEUED: Final = 5
PENDING: Final = 6  # tiles
OUTSTANDING: Final = 7  # pieces
LIVE: Final = 8
QUEUE_SINCE: Final = 9
EMPTY_SINCE: Final = 10
BASE: Final = 11  # ticks at the present speed
PER_TILE: Final = 12
INSTANCE_COLUMNS: Final = 13
NONE: Final = -1

# Columns of `done`, int64: what an instance did since the caller last cleared it; times in ticks, cut at window edges.
ENCODE_TIME: Final = 0
TILES_DONE: Final = 1  # tiles of completed pieces
PIECES_DONE: Final = 2
QUEUE_TIME: Final = 3  # integral of the waiting pieces over time
QUEUE_MAX: Final = 4
ARRIVALS: Final = 5  # pieces, with those placed anew
DONE_COLUMNS: Final = 6

# `cursor`: where the kernel is.
NEXT_JOB: Final = 0
FREE: Final = 1  # first free row of `pieces`
TURN: Final = 2  # where the next search among instances begins
CURSOR_COLUMNS: Final = 3


@numba.njit(cache=True)
def _run(instances, jobs, pieces, done, cursor, r, until, since):
    """Let one instance reach ``until``: everything before it ends or starts."""
    while instances[r, NEXT] < until:
        t = instances[r, NEXT]
        piece = instances[r, RUNNING]
        if piece != NONE:
            job = pieces[piece, JOB]
            done[r, ENCODE_TIME] += t - max(instances[r, BEGAN], since)
            done[r, TILES_DONE] += pieces[piece, SIZE]
            done[r, PIECES_DONE] += 1
            instances[r, PENDING] -= pieces[piece, SIZE]
            instances[r, OUTSTANDING] -= 1
            if instances[r, OUTSTANDING] == 0:
                instances[r, EMPTY_SINCE] = t
            jobs[job, LEFT] -= 1
            jobs[job, LATEST] = max(jobs[job, LATEST], t)
            if jobs[job, LEFT] == 0:
                jobs[job, FINISH] = jobs[job, LATEST]
            pieces[piece, FOLLOWER] = cursor[FREE]
            cursor[FREE] = piece
        if instances[r, QUEUED] == 0 or instances[r, LIVE] == 0:
            instances[r, RUNNING] = NONE
            instances[r, NEXT] = FOREVER
            continue
        piece = instances[r, HEAD]
        done[r, QUEUE_TIME] += (t - instances[r, QUEUE_SINCE]) * instances[r, QUEUED]
        instances[r, QUEUE_SINCE] = t
        instances[r, QUEUED] -= 1
        instances[r, HEAD] = pieces[piece, FOLLOWER]
        instances[r, RUNNING] = piece
        instances[r, BEGAN] = t
        instances[r, NEXT] = t + instances[r, BASE] + instances[r, PER_TILE] * pieces[piece, SIZE]
        jobs[pieces[piece, JOB], BEGIN] = min(jobs[pieces[piece, JOB], BEGIN], t)


@numba.njit(cache=True)
def _place(instances, pieces, done, cursor, allowed, piece, t):
    """Queue a piece at the allowed instance with the fewest pending tiles."""
    count = instances.shape[0]
    best = NONE
    for step in range(count):
        r = (cursor[TURN] + step) % count
        if allowed[r] != 0 and (best == NONE or instances[r, PENDING] < instances[best, PENDING]):
            best = r
    cursor[TURN] = (best + 1) % count
    queued = instances[best, QUEUED]
    done[best, ARRIVALS] += 1
    done[best, QUEUE_TIME] += (t - instances[best, QUEUE_SINCE]) * queued
    done[best, QUEUE_MAX] = max(done[best, QUEUE_MAX], queued + 1)
    instances[best, QUEUE_SINCE] = t
    if queued == 0:
        instances[best, HEAD] = piece
    else:
        pieces[instances[best, TAIL], FOLLOWER] = piece
    instances[best, TAIL] = piece
    instances[best, QUEUED] = queued + 1
    instances[best, PENDING] += pieces[piece, SIZE]
    instances[best, OUTSTANDING] += 1
    if instances[best, NEXT] == FOREVER and instances[best, LIVE] == 1:
        instances[best, NEXT] = t


def _advance(since, until, split, cursor, instances, jobs, count, pieces, again, allowed, done):
    """Take every job ready in [since, until) and every end before ``until``; ``again`` are pieces to place anew now."""
    number = instances.shape[0]
    admitted = 0
    for r in range(number):
        admitted += 1 if allowed[r] != 0 else 0
        done[r, QUEUE_MAX] = max(done[r, QUEUE_MAX], instances[r, QUEUED])
    for piece in again:
        _place(instances, pieces, done, cursor, allowed, piece, since)
    i = cursor[NEXT_JOB]
    while i < count and jobs[i, READY] < until:
        t = jobs[i, READY]
        for r in range(number):
            _run(instances, jobs, pieces, done, cursor, r, t, since)
        parts = min(split, jobs[i, TILES], admitted)
        jobs[i, LEFT] = parts
        for part in range(parts):
            piece = cursor[FREE]
            cursor[FREE] = pieces[piece, FOLLOWER]
            pieces[piece, JOB] = i
            pieces[piece, PART] = part
            pieces[piece, SIZE] = jobs[i, TILES] // parts + (1 if part < jobs[i, TILES] % parts else 0)
            _place(instances, pieces, done, cursor, allowed, piece, t)
        i += 1
    cursor[NEXT_JOB] = i
    for r in range(number):
        _run(instances, jobs, pieces, done, cursor, r, until, since)
        done[r, QUEUE_TIME] += (until - instances[r, QUEUE_SINCE]) * instances[r, QUEUED]
        instances[r, QUEUE_SINCE] = until
        if instances[r, RUNNING] != NONE:
            done[r, ENCODE_TIME] += until - max(instances[r, BEGAN], since)


@cache
def advance() -> Callable[..., None]:
    """Return the compiled kernel; compiled at the first call and kept on disk."""
    one, two, at = types.int64[::1], types.int64[:, ::1], types.int64
    signature = types.void(at, at, at, one, two, two, at, two, one, types.uint8[::1], two)
    kernel: Any = numba.njit(signature, cache=True)(_advance)
    compiled: Callable[..., None] = kernel
    return compiled


class Encoder:
    """Encodes the images of one endpoint on its instances.

    ``split`` is into how many pieces a job is cut at most. ``done`` is where the kernel counts what instances do, shape
    I x DONE_COLUMNS; its owner clears it. ``allowed`` (shape I) says which instances may take pieces. Ids of jobs are counted
    from 0 in the order of ``inject``.
    """

    def __init__(self, count: int, done: Ints | None = None, split: int = 1) -> None:
        if count < 1 or split < 1:
            raise ValueError(f"an encoder has {count} instances and splits into {split}; give it one of each at least")
        self.split = split
        self.instances = np.zeros((count, INSTANCE_COLUMNS), dtype=np.int64)
        self.instances[:, NEXT] = FOREVER
        self.instances[:, RUNNING] = NONE
        self.instances[:, LIVE] = 1
        self.done = np.zeros((count, DONE_COLUMNS), dtype=np.int64) if done is None else done
        self.allowed = np.ones(count, dtype=np.uint8)
        self.cursor = np.array([0, NONE, 0], dtype=np.int64)
        self.pieces = np.zeros((0, PIECE_COLUMNS), dtype=np.int64)
        self.again = np.zeros(0, dtype=np.int64)
        self._jobs = np.zeros((0, JOB_COLUMNS), dtype=np.int64)
        self._count = self._clean = self._now = 0
        self._coefficients = np.zeros((count, 2))
        self._speed = np.ones(count)
        self._set_ticks()

    @property
    def outstanding(self) -> Ints:
        """Pieces at each instance, shape I."""
        return np.asarray(self.instances[:, OUTSTANDING])

    @property
    def pending_tiles(self) -> Ints:
        """Tiles at each instance that are not encoded, shape I; a piece that runs counts in full."""
        return np.asarray(self.instances[:, PENDING])

    @property
    def empty_since(self) -> Ints:
        """Tick at which the last piece left each instance, shape I."""
        return np.asarray(self.instances[:, EMPTY_SINCE])

    @property
    def ready(self) -> Ints:
        """Tick at which each job was ready, by id."""
        return np.asarray(self._jobs[: self._count, READY])

    @property
    def tiles(self) -> Ints:
        """Tiles of each job, by id."""
        return np.asarray(self._jobs[: self._count, TILES])

    @property
    def begin(self) -> Ints:
        """Tick at which the first piece of each job started, FOREVER before, by id."""
        return np.asarray(self._jobs[: self._count, BEGIN])

    @property
    def finish(self) -> Ints:
        """Tick at which the last piece of each job was done, FOREVER before, by id."""
        return np.asarray(self._jobs[: self._count, FINISH])

    def set_coefficients(self, base_s: Floats, per_tile_s: Floats) -> None:
        """Set what a piece takes at full speed, shape I; a piece that runs keeps its time."""
        self._coefficients = np.stack([base_s, per_tile_s], axis=1).astype(np.float64)
        self._set_ticks()

    def set_speeds(self, speed: Floats) -> None:
        """Divide times by these factors, shape I; a piece that runs keeps its speed."""
        if not np.array_equal(speed, self._speed):
            self._speed = np.array(speed, dtype=np.float64)
            self._set_ticks()

    def _set_ticks(self) -> None:
        per_s = TICKS_PER_S / np.maximum(self._speed, _SLOWEST)
        taken = np.rint(self._coefficients * per_s[:, None]).astype(np.int64)
        # One tick a tile at least, so that time goes on.
        self.instances[:, BASE], self.instances[:, PER_TILE] = taken[:, 0], np.maximum(taken[:, 1], 1)

    def set_live(self, live: NDArray[np.bool_], t: int) -> None:
        """Say which instances may start pieces, shape I; one that comes alive looks at its queue at tick ``t``."""
        woken = live & (self.instances[:, LIVE] == 0) & (self.instances[:, QUEUED] > 0) & (self.instances[:, NEXT] == FOREVER)
        self.instances[:, LIVE] = live
        self.instances[woken, NEXT] = t

    def inject(self, ready: Ints, tiles: Ints) -> Ints:
        """Add jobs that become ready at rising ticks, from the present on, and return their ids."""
        if not len(ready):
            return np.zeros(0, dtype=np.int64)
        latest = max(self._now, int(self._jobs[self._count - 1, READY]) if self._count else 0)
        if ready[0] < latest or (np.diff(ready) < 0).any():
            raise ValueError(f"encoding: jobs come out of order, the first at tick {int(ready[0])} after {latest}; sort them")
        if (np.asarray(tiles) < 1).any():
            raise ValueError("encoding: a job has no tiles; requests without images pass the stage by")
        ids = np.arange(self._count, self._count + len(ready))
        self._reach(self._count + len(ready))
        rows = self._jobs[ids[0] : ids[-1] + 1]
        rows[:, READY], rows[:, TILES] = ready, tiles
        rows[:, BEGIN] = rows[:, FINISH] = FOREVER
        self._count += len(ready)
        return ids

    def _reach(self, count: int) -> None:
        """Make room for jobs; the ids below ``_clean`` keep theirs, unused."""
        if count > len(self._jobs):
            grown = np.zeros((max(count, 2 * len(self._jobs), 1024), JOB_COLUMNS), dtype=np.int64)
            grown[self._clean : self._count] = self._jobs[self._clean : self._count]
            self._jobs = grown

    def advance(self, since: int, until: int) -> None:
        """Run from tick ``since`` to tick ``until``."""
        begun = int(self.cursor[NEXT_JOB])
        coming = int(np.searchsorted(self._jobs[begun : self._count, READY], until))
        self._provide(coming * min(self.split, len(self.instances)))
        allowed = self.allowed if self.allowed.any() else np.ones_like(self.allowed)
        advance()(
            since, until, self.split, self.cursor, self.instances, self._jobs, self._count,
            self.pieces, self.again, allowed, self.done,
        )  # fmt: skip
        self.again = np.zeros(0, dtype=np.int64)
        self._now = until

    def _provide(self, pieces: int) -> None:
        """Have as many free rows as pieces may come: at most all rows but those outstanding and those to place anew."""
        free = len(self.pieces) - int(self.outstanding.sum()) - len(self.again)
        if free >= pieces:
            return
        old = len(self.pieces)
        grown = np.zeros((2 * old + pieces, PIECE_COLUMNS), dtype=np.int64)
        grown[:old] = self.pieces
        grown[old:, FOLLOWER] = np.arange(old + 1, len(grown) + 1)
        grown[-1, FOLLOWER] = self.cursor[FREE]
        self.cursor[FREE] = old
        self.pieces = grown

    def lose(self, r: int) -> int:
        """Take every piece off an instance at the present window edge and return how many they were.

        They are placed anew, in the order of their jobs, when the encoder goes on; what was encoded of them is lost.
        """
        row = self.instances[r]
        lost = [int(row[RUNNING])] if row[RUNNING] != NONE else []
        piece = int(row[HEAD])
        for _ in range(int(row[QUEUED])):
            lost.append(piece)
            piece = int(self.pieces[piece, FOLLOWER])
        both = np.concatenate([self.again, np.array(lost, dtype=np.int64)])
        self.again = np.ascontiguousarray(both[np.lexsort((self.pieces[both, PART], self.pieces[both, JOB]))])
        row[[QUEUED, PENDING, OUTSTANDING]] = 0
        row[RUNNING], row[NEXT], row[EMPTY_SINCE] = NONE, FOREVER, self._now
        return len(lost)

    def withdraw(self) -> Ints:
        """Give up the jobs that are under way, at the present window edge, and return them; nothing is heard of them again."""
        ids = self.under_way()
        for r in np.flatnonzero(self.outstanding):
            self.lose(int(r))
        for piece in self.again:
            self.pieces[piece, FOLLOWER] = self.cursor[FREE]
            self.cursor[FREE] = piece
        self.again = np.zeros(0, dtype=np.int64)
        self._jobs[ids, FINISH] = WITHDRAWN
        return ids

    def done_between(self, since: int, until: int) -> Ints:
        """Return the jobs that were done in ticks [since, until), in the order in which they were; ties by id."""
        finish = self._jobs[self._clean : self._arrived, FINISH]
        ids = np.flatnonzero((finish >= since) & (finish < until))
        return self._clean + ids[np.argsort(finish[ids], kind="stable")]

    def under_way(self) -> Ints:
        """Return the jobs that have become ready and are not done."""
        return self._clean + np.flatnonzero(self._jobs[self._clean : self._arrived, FINISH] == FOREVER)

    @property
    def _arrived(self) -> int:
        return int(self.cursor[NEXT_JOB])

    def forget(self, until: int) -> None:
        """Say that nothing before tick ``until`` will be asked for again."""
        kept = np.flatnonzero(self._jobs[self._clean : self._arrived, FINISH] >= until)
        self._clean = self._clean + int(kept[0]) if len(kept) else self._arrived

    def snapshot(self) -> State:
        """Return the state at a window edge: every array, and the jobs that are not forgotten."""
        return {
            "instances": self.instances.copy(),
            "allowed": self.allowed.copy(),
            "cursor": self.cursor.copy(),
            "pieces": self.pieces.copy(),
            "again": self.again.copy(),
            "coefficients": self._coefficients.copy(),
            "speed": self._speed.copy(),
            "jobs": self._jobs[self._clean : self._count].copy(),
            "span": np.array([self._clean, self._count, self._now], dtype=np.int64),
        }

    def restore(self, state: State) -> None:
        """Take back a state; forgotten jobs keep their ids and are never looked at again."""
        self.instances[...], self.allowed[...], self.cursor[...] = state["instances"], state["allowed"], state["cursor"]
        self.pieces, self.again = np.array(state["pieces"], dtype=np.int64), np.array(state["again"], dtype=np.int64)
        self._coefficients, self._speed = np.array(state["coefficients"]), np.array(state["speed"])
        self._jobs = np.zeros((0, JOB_COLUMNS), dtype=np.int64)
        clean, count, now = (int(value) for value in state["span"])
        self._clean = self._count = 0
        self._reach(count)
        self._clean, self._count, self._now = clean, count, now
        self._jobs[clean:count] = state["jobs"]
