"""Writes the tables of functions, window by window."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twin.functions import queueing as q
from twin.functions.demand import Population
from twin.functions.engine import Bins, Engine
from twin.functions.latencies import TAIL_SHARE, low_s, quantiles_s, tail_weights
from twin.functions.readings import FUNCTION_HOSTS, FUNCTION_LATENCY, FUNCTION_PATH, FUNCTIONS, SEGMENTS
from twin.stack import State
from twin.tables import Sink, Table

Columns = dict[str, NDArray[Any]]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_CLEARED: Final = (q.ARRIVED, q.COMPLETED, q.COLD_STARTS, q.LATENCY_SUM)


class Recorder:
    """Takes what an engine counted at the end of each window, and holds it until it is written."""

    def __init__(self, people: Population, engine: Engine, host_ids: Sequence[str]) -> None:
        self._people, self._engine, self._host_ids = people, engine, tuple(host_ids)
        self._begun_s = np.zeros(len(engine.hosts))
        self._rows: list[tuple[Table, Columns]] = []

    def started_s(self) -> Floats:
        """Return the core-seconds that began on each host (H) in this window so far."""
        return np.array(self._engine.host_s[:, q.BUSY_S])

    def end_window(self, t_s: float, window_s: float, cores: Floats) -> None:
        """Take a window that ends, and begin the next. Functions that did nothing in it, and of which nothing stands, have no row."""
        engine = self._engine
        engine.sweep(t_s)
        bins, tally = engine.bins(), engine.tally
        warm = (tally[:, q.WARM_S] + tally[:, q.WARM] * t_s) / window_s
        # What is left of sums of large numbers is no instance.
        warm = np.where(warm > 1e-9, warm, 0.0)
        there = np.flatnonzero((tally[:, [q.ARRIVED, q.COMPLETED, q.UNDER_WAY]] > 0.0).any(axis=1) | (warm > 0.0))
        stamp = {"t_s": t_s, "window_s": window_s}
        if len(there):
            self._rows.append((FUNCTIONS, {**_stamped(stamp, len(there)), **self._functions(there, bins, warm)}))
        if len(bins.calls):
            self._rows.append((FUNCTION_PATH, {**self._paths(stamp, bins)}))
            columns = {"function_id": bins.functions, "low_s": low_s(bins.bins), "calls": bins.calls.astype(np.int64)}
            self._rows.append((FUNCTION_LATENCY, {**_stamped(stamp, len(bins.calls)), **columns}))
        self._rows.append((FUNCTION_HOSTS, {**_stamped(stamp, len(cores)), **self._hosts(t_s, window_s, cores)}))
        tally[:, _CLEARED] = 0.0
        tally[:, q.WARM_S] = -tally[:, q.WARM] * t_s

    def _functions(self, there: Ints, bins: Bins, warm: Floats) -> Columns:
        tally = self._engine.tally[there]
        halves, nines = (np.full(len(self._people.functions), np.nan) for _ in range(2))
        if len(bins.calls):
            answered, begins = np.unique(bins.functions, return_index=True)
            halves[answered], nines[answered] = (quantiles_s(low_s(bins.bins), bins.calls, begins, share) for share in (0.50, 0.99))
        mean = np.divide(tally[:, q.LATENCY_SUM], tally[:, q.COMPLETED], out=np.full(len(there), np.nan), where=tally[:, q.COMPLETED] > 0)
        counted = {"arrived": q.ARRIVED, "completed": q.COMPLETED, "waiting": q.UNDER_WAY, "cold_starts": q.COLD_STARTS}
        return {
            "function_id": there,
            **{name: tally[:, column].astype(np.int64) for name, column in counted.items()},
            "latency_p50_s": halves[there],
            "latency_p99_s": nines[there],
            "latency_mean_s": mean,
            "instances": warm[there],
            "cpu_mean_s": self._engine.needed_s()[there],
        }

    def _paths(self, stamp: dict[str, float], bins: Bins) -> Columns:
        answered, begins = np.unique(bins.functions, return_index=True)
        calls = np.add.reduceat(bins.calls, begins)
        means = np.add.reduceat(bins.segments, begins) / calls[:, None]
        weights = tail_weights(bins.calls, begins)
        tails = np.add.reduceat(bins.segments * weights[:, None], begins) / (calls * TAIL_SHARE)[:, None]
        return {
            **_stamped(stamp, means.size),
            "function_id": np.repeat(answered, len(SEGMENTS)),
            "segment": np.tile(np.array(SEGMENTS, dtype=object), len(answered)),
            "mean_s": means.ravel(),
            "tail_mean_s": tails.ravel(),
        }

    def _hosts(self, t_s: float, window_s: float, cores: Floats) -> Columns:
        engine, host = self._engine, self._engine.host_s
        left_s = engine.overhang_s(t_s)
        busy_s = np.maximum(self._begun_s + host[:, q.BUSY_S] - left_s, 0.0)
        warm_bytes = (host[:, q.BYTE_S] + host[:, q.WARM_BYTES] * t_s) / window_s
        runtime, warm = engine.runtime, engine.warm()
        spinning = np.where(cores > 0.0, runtime.polling_cores + runtime.polling_cores_each * warm, 0.0)
        # A host that nobody called is taken to have the mix of the others, and one among such the mix that is expected.
        needed_s = self._mix_s() if not host[:, q.STARTED].any() else host[:, q.NEEDED_S].sum() / host[:, q.STARTED].sum()
        each_s = np.divide(host[:, q.NEEDED_S], host[:, q.STARTED], out=np.full(len(host), needed_s), where=host[:, q.STARTED] > 0.0)
        columns = {
            "host_id": np.arange(len(host)),
            "busy_cores": busy_s / window_s,
            "polling_cores": spinning,
            "cores": cores.copy(),
            "saturation_per_s": engine.hosts[:, q.CORES] * host[:, q.SPEED] / each_s,
            "instances_bytes": np.maximum(warm_bytes, 0.0),
        }
        self._begun_s = left_s
        host[:, [q.BUSY_S, q.NEEDED_S, q.STARTED]] = 0.0
        host[:, q.BYTE_S] = -host[:, q.WARM_BYTES] * t_s
        return columns

    def _mix_s(self) -> float:
        """Return the core time of a call of the mix that is expected."""
        rates, needed_s = self._people.rate_per_s, self._engine.needed_s()
        return float(np.average(needed_s, weights=rates if rates.any() else None))

    def record(self, sink: Sink) -> None:
        """Write what is held."""
        for table, columns in self._rows:
            if "host_id" in columns:
                places = {host_id: place for place, host_id in enumerate(sink.ids["host"])}
                columns["host_id"] = np.array([places[self._host_ids[h]] for h in columns["host_id"]], dtype=np.uint32)
            sink.append(table, columns)
        self._rows = []

    # -- snapshots ----------------------------------------------------------------

    def snapshot(self) -> State:
        """Return what the next window begins with."""
        return {"begun_s": self._begun_s.copy()}

    def restore(self, state: State) -> None:
        """Take back a snapshot."""
        self._begun_s, self._rows = np.array(state["begun_s"], dtype=np.float64), []


def _stamped(stamp: dict[str, float], count: int) -> Columns:
    return {name: np.full(count, value) for name, value in stamp.items()}
