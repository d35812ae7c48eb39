"""The compiled part against a plain stepper, call by call."""

import heapq
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from twin.functions import queueing as q
from twin.functions.engine import runtime_places
from twin.functions.levers import Runtime
from twin.functions.model import Model

GO_READY_S = 3e-3


@dataclass
class Plain:
    """One function on one host, stepped in lists: instances last used first, cores first come first served."""

    cores: int
    keep_alive_s: float
    at_most: int
    free: list[float] = field(default_factory=list)
    idle: list[float] = field(default_factory=list)
    instances: int = 0
    waiting: list[int] = field(default_factory=list)
    queue: list[int] = field(default_factory=list)

    def run(self, times: np.ndarray, path_s: np.ndarray, cpu_s: np.ndarray, cold_s: np.ndarray) -> tuple[list[float], int]:  # noqa: C901
        """Return when each call is answered, and how many found no instance."""
        self.free = [0.0] * self.cores
        events = [(t, 2, i) for i, t in enumerate(times.tolist())]
        heapq.heapify(events)
        ends, starts = [math.nan] * len(times), 0

        def begin(i: int, t: float) -> None:
            if not self.queue and min(self.free) <= t:
                core(i, t)
            else:
                if not self.queue:
                    heapq.heappush(events, (min(self.free), 1, -1))
                self.queue.append(i)

        def core(i: int, t: float) -> None:
            self.free.remove(min(self.free))
            self.free.append(t + cpu_s[i])
            heapq.heappush(events, (t + path_s[i], 0, i))

        while events:
            t, kind, i = heapq.heappop(events)
            if kind == 0:
                ends[i] = t
                if self.waiting:
                    begin(self.waiting.pop(0), t)
                else:
                    self.idle.append(t)
            elif kind == 1:
                core(self.queue.pop(0), t)
                if self.queue:
                    heapq.heappush(events, (min(self.free), 1, -1))
            elif kind == 3:
                begin(i, t)
            else:
                gone = [since for since in self.idle if since + self.keep_alive_s < t]
                self.idle, self.instances = self.idle[len(gone) :], self.instances - len(gone)
                if self.idle:
                    self.idle.pop()
                    begin(i, t)
                elif self.instances < self.at_most:
                    self.instances += 1
                    starts += 1
                    heapq.heappush(events, (t + cold_s[i], 3, i))
                else:
                    self.waiting.append(i)
        return ends, starts


def _drawn(model: Model, runtime: Runtime, calls: int) -> np.ndarray:
    """Return the draws of calls by others, rows of the compiled part."""
    rows, engine = np.zeros((calls, q.CALL_COLUMNS)), model._engine
    keys = engine._keys ^ np.uint64(0x5BF036353C6EF372)
    q.draws(engine._functions, runtime_places(runtime, model.settings), keys, 0, 0, rows)
    return rows


@pytest.mark.parametrize(
    ("rate_per_s", "cores", "keep_alive_s", "at_most"),
    [(6_000.0, 4, 600.0, 1_000), (1_500.0, 1, 600.0, 4), (900.0, 1, 1e-3, 1_000), (3_000.0, 2, 0.02, 6), (12_000.0, 4, 600.0, 50)],
)
def test_every_call_is_answered_when_a_plain_stepper_says(
    drive: Any, steady: Any, junctiond: Runtime, containerd: Runtime, rate_per_s: float, cores: int, keep_alive_s: float, at_most: int
) -> None:
    times = np.cumsum(np.random.default_rng(7).exponential(1 / rate_per_s, 4_000)) + 1.0
    for runtime in (containerd, junctiond):
        run = drive([steady(0.0, cpu_cv=1.5)], runtime, cores=cores, keep_alive_s=keep_alive_s, instances_at_most=at_most)
        ids = run.model.call("aes", times)
        rows, places = _drawn(run.model, runtime, len(times)), runtime_places(runtime, run.model.settings)
        path_s = rows[:, :8].sum(axis=1)
        cold_s = np.exp(places[q.COLD_LOG_MEDIAN] + places[q.COLD_SIGMA] * rows[:, q.COLD_LEVEL]) + GO_READY_S
        ends, starts = Plain(cores, keep_alive_s, at_most).run(times, path_s, rows[:, q.CPU], cold_s)
        run.go(60.0, 0.37)
        assert run.model.outcome(ids) == pytest.approx(np.array(ends), abs=1e-9)
        assert run.tables()["functions"]["cold_starts"].sum() == starts


def test_room_that_grows_changes_nothing(drive: Any, steady: Any, containerd: Runtime) -> None:
    """Thousands of calls are under way at once, far beyond the rows that there are at first."""
    slow = steady(1_000.0, run_median_s=10.0, run_cv=0.0, cpu_mean_s=1e-6)
    run = drive([slow], containerd, instances_at_most=10_000).go(30.0)
    assert run.model.under_way == pytest.approx(10_000, rel=0.05)
    rows = run.tables()["functions"]
    assert rows["arrived"].sum() == rows["completed"].sum() + rows["waiting"][-1]
