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
from numba import types

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
    best, r = NONE, cursor[TURN]
    for _ in range(count):
        if allowed[r] != 0 and (best == NONE or instances[r, PENDING] < instances[best, PENDING]):
            best = r
        r = r + 1 if r + 1 < count else 0
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
            # Asked here as well, because most have nothing to do and a call costs more than that.
            if instances[r, NEXT] < t:
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
