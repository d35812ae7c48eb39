"""The encoder of one endpoint: jobs come in, wait, move and are done."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from twin.serving import encoding as e
from twin.serving.batching import TICKS_PER_S
from twin.serving.book import grown
from twin.stack import State

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_SLOWEST: Final = 0.01


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
        self.instances = np.zeros((count, e.INSTANCE_COLUMNS), dtype=np.int64)
        self.instances[:, e.NEXT] = e.FOREVER
        self.instances[:, e.RUNNING] = e.NONE
        self.instances[:, e.LIVE] = 1
        self.done = np.zeros((count, e.DONE_COLUMNS), dtype=np.int64) if done is None else done
        self.allowed = np.ones(count, dtype=np.uint8)
        self.cursor = np.array([0, e.NONE, 0], dtype=np.int64)
        self.pieces = np.zeros((0, e.PIECE_COLUMNS), dtype=np.int64)
        self.again = np.zeros(0, dtype=np.int64)
        self._jobs = np.zeros((0, e.JOB_COLUMNS), dtype=np.int64)
        self._count = self._clean = self._now = 0
        self._coefficients = np.zeros((count, 2))
        self._speed = np.ones(count)
        self._set_ticks()

    @property
    def outstanding(self) -> Ints:
        """Pieces at each instance, shape I."""
        return np.asarray(self.instances[:, e.OUTSTANDING])

    @property
    def pending_tiles(self) -> Ints:
        """Tiles at each instance that are not encoded, shape I; a piece that runs counts in full."""
        return np.asarray(self.instances[:, e.PENDING])

    @property
    def empty_since(self) -> Ints:
        """Tick at which the last piece left each instance, shape I."""
        return np.asarray(self.instances[:, e.EMPTY_SINCE])

    @property
    def ready(self) -> Ints:
        """Tick at which each job was ready, by id."""
        return np.asarray(self._jobs[: self._count, e.READY])

    @property
    def tiles(self) -> Ints:
        """Tiles of each job, by id."""
        return np.asarray(self._jobs[: self._count, e.TILES])

    @property
    def begin(self) -> Ints:
        """Tick at which the first piece of each job started, FOREVER before, by id."""
        return np.asarray(self._jobs[: self._count, e.BEGIN])

    @property
    def finish(self) -> Ints:
        """Tick at which the last piece of each job was done, FOREVER before, by id."""
        return np.asarray(self._jobs[: self._count, e.FINISH])

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
        self.instances[:, e.BASE], self.instances[:, e.PER_TILE] = taken[:, 0], np.maximum(taken[:, 1], 1)

    def set_live(self, live: NDArray[np.bool_], t: int) -> None:
        """Say which instances may start pieces, shape I; one that comes alive looks at its queue at tick ``t``."""
        woken = live & (self.instances[:, e.LIVE] == 0) & (self.instances[:, e.QUEUED] > 0) & (self.instances[:, e.NEXT] == e.FOREVER)
        self.instances[:, e.LIVE] = live
        self.instances[woken, e.NEXT] = t

    def inject(self, ready: Ints, tiles: Ints) -> Ints:
        """Add jobs that become ready at rising ticks, from the present on, and return their ids."""
        if not len(ready):
            return np.zeros(0, dtype=np.int64)
        latest = max(self._now, int(self._jobs[self._count - 1, e.READY]) if self._count else 0)
        if ready[0] < latest or (np.diff(ready) < 0).any():
            raise ValueError(f"encoding: jobs come out of order, the first at tick {int(ready[0])} after {latest}; sort them")
        if (np.asarray(tiles) < 1).any():
            raise ValueError("encoding: a job has no tiles; requests without images pass the stage by")
        ids = np.arange(self._count, self._count + len(ready))
        self._jobs = grown(self._jobs, self._count, self._count + len(ready))
        rows = self._jobs[ids[0] : ids[-1] + 1]
        rows[:, e.READY], rows[:, e.TILES] = ready, tiles
        rows[:, e.BEGIN] = rows[:, e.FINISH] = e.FOREVER
        self._count += len(ready)
        return ids

    def advance(self, since: int, until: int) -> None:
        """Run from tick ``since`` to tick ``until``."""
        begun = int(self.cursor[e.NEXT_JOB])
        coming = int(np.searchsorted(self._jobs[begun : self._count, e.READY], until))
        self._provide(coming * min(self.split, len(self.instances)))
        allowed = self.allowed if self.allowed.any() else np.ones_like(self.allowed)
        e.advance()(
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
        grown = np.zeros((2 * old + pieces, e.PIECE_COLUMNS), dtype=np.int64)
        grown[:old] = self.pieces
        grown[old:, e.FOLLOWER] = np.arange(old + 1, len(grown) + 1)
        grown[-1, e.FOLLOWER] = self.cursor[e.FREE]
        self.cursor[e.FREE] = old
        self.pieces = grown

    def lose(self, r: int) -> int:
        """Take every piece off an instance at the present window edge and return how many they were.

        They are placed anew, in the order of their jobs, when the encoder goes on; what was encoded of them is lost.
        """
        row = self.instances[r]
        lost = [int(row[e.RUNNING])] if row[e.RUNNING] != e.NONE else []
        piece = int(row[e.HEAD])
        for _ in range(int(row[e.QUEUED])):
            lost.append(piece)
            piece = int(self.pieces[piece, e.FOLLOWER])
        both = np.concatenate([self.again, np.array(lost, dtype=np.int64)])
        self.again = np.ascontiguousarray(both[np.lexsort((self.pieces[both, e.PART], self.pieces[both, e.JOB]))])
        row[[e.QUEUED, e.PENDING, e.OUTSTANDING]] = 0
        row[e.RUNNING], row[e.NEXT], row[e.EMPTY_SINCE] = e.NONE, e.FOREVER, self._now
        return len(lost)

    def withdraw(self) -> Ints:
        """Give up the jobs that are under way, at the present window edge, and return them; nothing is heard of them again."""
        ids = self.under_way()
        for r in np.flatnonzero(self.outstanding):
            self.lose(int(r))
        for piece in self.again:
            self.pieces[piece, e.FOLLOWER] = self.cursor[e.FREE]
            self.cursor[e.FREE] = piece
        self.again = np.zeros(0, dtype=np.int64)
        self._jobs[ids, e.FINISH] = e.WITHDRAWN
        return ids

    def done_between(self, since: int, until: int) -> Ints:
        """Return the jobs that were done in ticks [since, until), in the order in which they were; ties by id."""
        finish = self._jobs[self._clean : self._arrived, e.FINISH]
        ids = np.flatnonzero((finish >= since) & (finish < until))
        return self._clean + ids[np.argsort(finish[ids], kind="stable")]

    def under_way(self) -> Ints:
        """Return the jobs that have become ready and are not done."""
        return self._clean + np.flatnonzero(self._jobs[self._clean : self._arrived, e.FINISH] == e.FOREVER)

    @property
    def _arrived(self) -> int:
        return int(self.cursor[e.NEXT_JOB])

    def forget(self, until: int) -> None:
        """Say that nothing before tick ``until`` will be asked for again."""
        kept = np.flatnonzero(self._jobs[self._clean : self._arrived, e.FINISH] >= until)
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
        self._clean, self._count, self._now = (int(value) for value in state["span"])
        self._jobs = np.zeros((self._count, e.JOB_COLUMNS), dtype=np.int64)
        self._jobs[self._clean :] = state["jobs"]
