"""The state of all invocations of a run, and the room that it takes."""

import math
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from twin import chance
from twin.functions import queueing as q
from twin.functions.demand import Population, sigma_of, warm_share
from twin.functions.levers import Runtime
from twin.functions.settings import Settings
from twin.stack import State

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_ROWS: Final = 1024
_BINS: Final = 1 << 13
# Arrays that a snapshot holds as they are.
_KEPT: Final = (
    *("whose", "due", "order", "tally", "calls", "who", "instances", "idle_s", "pools", "hosts", "host_s", "cores", "events", "codes"),
    *("outside_s", "outside_of", "outside", "bin_keys", "bin_sums", "cursor"),
)
# How many standard deviations above their mean warm instances stand at the start, so that a run begins in a steady state.
_SPARE_DEVIATIONS: Final = 4.0
_Z_99: Final = 2.3263478740408408


class Bins(NamedTuple):
    """Calls that were answered, by function and bin of latency (B): what each segment took in sum (B, 8), how many they are."""

    functions: Ints
    bins: Ints
    segments: Floats
    calls: Floats


def runtime_places(runtime: Runtime, settings: Settings) -> Floats:
    """Return a runtime as the compiled part takes it."""
    places = np.zeros(q.RUNTIME_PLACES)
    hop = runtime.hop
    places[q.HOP_LOG_MEDIAN] = math.log(hop.stack_median_s) if hop.stack_median_s > 0.0 else -math.inf
    places[q.HOP_SIGMA] = sigma_of(hop.stack_cv)
    places[q.SPIKE_SHARE], places[q.SPIKE_MEAN], places[q.HOP_CPU] = hop.spike_share, hop.spike_mean_s, hop.cpu_s
    places[q.LOOKUPS_S] = 0.0 if runtime.cached else runtime.lookups * runtime.lookup_s
    places[q.COLD_LOG_MEDIAN] = math.log(runtime.cold_median_s) if runtime.cold_median_s > 0.0 else -math.inf
    places[q.COLD_SIGMA] = math.log(runtime.cold_p99_s / runtime.cold_median_s) / _Z_99 if runtime.cold_median_s > 0.0 else 0.0
    places[q.OWN_BYTES], places[q.KEEP_ALIVE], places[q.AT_MOST] = runtime.instance_bytes, settings.keep_alive_s, settings.instances_at_most
    return places


class Engine:
    """Advances every call of F functions on H hosts; see ``twin.functions.queueing`` for what happens."""

    def __init__(self, people: Population, runtime: Runtime, settings: Settings, hosts: int, seed: int) -> None:
        self.people, self.runtime, self._hosts_count = people, runtime, hosts
        functions = len(people.functions)
        self._functions, self._keys, self._wave = people.numbers, people.keys, people.wave
        self._trace_s, self._trace_run_s = people.trace_s, people.trace_run_s
        self._runtime = runtime_places(runtime, settings)
        self.cursor = np.zeros(q.CURSOR_PLACES, dtype=np.int64)
        self.cursor[[q.FREE_CALL, q.FREE_INSTANCE]] = q.NONE
        self.whose, self.due, self.order = people.whose.copy(), np.zeros(functions), np.zeros(functions, dtype=np.int64)
        self.tally = np.zeros((functions, q.TALLY_COLUMNS))
        self.calls, self.who = np.zeros((0, q.CALL_COLUMNS)), np.zeros((0, q.WHO_COLUMNS), dtype=np.int64)
        self.instances, self.idle_s = np.zeros((0, q.INSTANCE_COLUMNS), dtype=np.int64), np.zeros(0)
        self.pools = np.full((functions * hosts, q.POOL_COLUMNS), q.NONE, dtype=np.int64)
        self.pools[:, q.ALL] = 0
        self.hosts, self.host_s = np.zeros((hosts, q.HOST_COLUMNS), dtype=np.int64), np.zeros((hosts, q.HOST_S_COLUMNS))
        self.host_s[:, q.SPEED], self.host_s[:, q.NEXT] = 1.0, math.inf
        self.cores = np.zeros((hosts, 1))
        self.events, self.codes = np.zeros(0), np.zeros(0, dtype=np.int64)
        self.outside_s, self.outside_of, self.outside = np.zeros((0, 2)), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
        self.bin_keys, self.bin_sums = np.full(_BINS, q.NONE, dtype=np.int64), np.zeros((_BINS, q.SEGMENT_COUNT + 1))
        self._room(_ROWS, _ROWS)
        q.begin_arrivals(self._functions, self.whose, self._keys, self.due, self.order, self._wave, self._trace_s)
        if functions and hosts:
            self._stand(self._warm(settings, seed))

    # -- time ---------------------------------------------------------------------------

    def set_cores(self, t_s: float, cores: Floats, speed: Floats) -> None:
        """Let hosts (H) have so many cores of such a speed from a time on; a part of a core makes all of them slower.

        Calls that run keep their core and speed. Those that wait at a host without any go elsewhere.
        """
        whole = np.where(cores > 1e-9, np.ceil(cores - 1e-9), 0.0).astype(np.int64)
        self.host_s[:, q.SPEED] = np.where(whole > 0, speed * cores / np.maximum(whole, 1), 1.0)
        before = self.hosts[:, q.CORES].copy()
        if (whole == before).all():
            return
        most = int(whole.max(initial=1))
        if most > self.cores.shape[1]:
            self.cores = np.concatenate([self.cores, np.zeros((self._hosts_count, most - self.cores.shape[1]))], axis=1)
        for h in np.flatnonzero(whole != before):
            # Cores that were idle go first; a core that goes leaves its call to end.
            held = np.sort(self.cores[h, : before[h]])
            kept = held[before[h] - whole[h] :] if whole[h] < before[h] else np.concatenate([held, np.full(whole[h] - before[h], t_s)])
            self.cores[h, : whole[h]] = np.sort(kept)
            self.cores[h, whole[h] :] = 0.0
            self.hosts[h, q.CORES] = whole[h]
            waits = self.hosts[h, q.QUEUED] > 0
            self.host_s[h, q.NEXT] = max(self.cores[h, 0], t_s) if waits and whole[h] else math.inf
        self._room(0, self.under_way)
        q.move(
            self._functions, self.whose, self.tally, self.calls, self.who, self.instances, self.idle_s, self.pools, self.hosts, self.host_s,
            self.cores, self.events, self.codes, self._runtime, self.cursor, t_s,
        )  # fmt: skip

    def advance(self, until_s: float) -> None:
        """Let everything happen that happens before a time."""
        if not self._hosts_count:
            return
        while q.advance(*self._arrays(), until_s) == q.FULL:
            self._room(_ROWS, _ROWS)

    def _arrays(self) -> tuple[NDArray[Any], ...]:
        fixed = (self._functions, self.whose, self._keys, self.due, self.order, self._wave, self._trace_s, self._trace_run_s)
        calls = (self.tally, self.calls, self.who, self.instances, self.idle_s, self.pools, self.hosts, self.host_s, self.cores)
        outside = (self.events, self.codes, self.outside_s, self.outside_of, self.outside)
        return (*fixed, *calls, *outside, self.bin_keys, self.bin_sums, self._runtime, self.cursor)

    def ask(self, functions: Ints, times: Floats) -> Ints:
        """Take calls by others, of these functions at these times (N), and return their ids."""
        begin = int(self.cursor[q.ASKED])
        ids = np.arange(begin, begin + len(times))
        if ids.size and ids[-1] >= len(self.outside_s):
            more = max(len(times), len(self.outside_s), _ROWS)
            self.outside_s, self.outside_of = _longer(self.outside_s, more), _longer(self.outside_of, more)
        self.outside_s[ids, 0], self.outside_s[ids, 1] = times, math.inf
        self.outside_of[ids] = functions
        self.cursor[q.ASKED] += len(times)
        pending = np.concatenate([self.outside[self.cursor[q.OUTSIDE_AT] : self.cursor[q.OUTSIDE_END]], ids])
        self.outside = pending[np.argsort(self.outside_s[pending, 0], kind="stable")]
        self.cursor[q.OUTSIDE_AT], self.cursor[q.OUTSIDE_END] = 0, len(self.outside)
        return ids

    # -- what is read, and begun anew at the end of a window -------------------------------

    @property
    def under_way(self) -> int:
        """How many calls have come and are not answered."""
        return int(self.tally[:, q.UNDER_WAY].sum())

    def needed_s(self) -> Floats:
        """Return the core time that a call of each function (F) needs on average at full speed, its hops included."""
        return np.asarray(self._functions[:, q.CPU_MEAN] + q.HOPS * self._runtime[q.HOP_CPU])

    def overhang_s(self, t_s: float) -> Floats:
        """Return the core-seconds of each host (H) that have begun and lie after a time."""
        there = np.arange(self.cores.shape[1]) < self.hosts[:, q.CORES, None]
        return np.asarray(np.where(there, np.maximum(self.cores - t_s, 0.0), 0.0).sum(axis=1))

    def sweep(self, t_s: float) -> None:
        """Let every instance go that has been idle for too long."""
        q.sweep(self.instances, self.idle_s, self.pools, self._functions, self.tally, self.host_s, self._runtime, self.cursor, t_s)

    def evict(self, share: Floats, t_s: float) -> None:
        """Let a share (F) of the idle instances of each function go at a time."""
        q.evict(
            self.instances, self.idle_s, self.pools, self._functions, self.tally, self.host_s, self._runtime, self.cursor, share, t_s
        )  # fmt: skip

    def warm(self) -> Ints:
        """Return the instances of each host (H), as far as it was looked for those whose time is over."""
        return np.asarray(self.pools[:, q.ALL].reshape(-1, self._hosts_count).sum(axis=0))

    def bins(self) -> Bins:
        """Return what was counted since the last time, by function and then by bin, and begin anew."""
        used = np.flatnonzero(self.bin_keys != q.NONE)
        used = used[np.argsort(self.bin_keys[used])]
        keys, sums = self.bin_keys[used], self.bin_sums[used]
        self.bin_keys[:], self.bin_sums[:] = q.NONE, 0.0
        self.cursor[q.BINS] = 0
        return Bins(keys // q.BIN_SPAN, keys % q.BIN_SPAN - q.BIN_ZERO, sums[:, : q.SEGMENT_COUNT], sums[:, q.SEGMENT_COUNT])

    # -- room ------------------------------------------------------------------------------

    def _room(self, calls: int, instances: int) -> None:
        """See to it that so many more calls and instances have rows, and that bins are at most half full."""
        if self.cursor[q.FREE_CALLS] < max(calls, q._SPARE):
            more = max(calls, len(self.calls))
            self.calls, self.who = _longer(self.calls, more), _longer(self.who, more)
            self.events, self.codes = _longer(self.events, more), _longer(self.codes, more)
            _chain(self.who[:, q.FOLLOWER], more, self.cursor, q.FREE_CALL)
        if self.cursor[q.FREE_INSTANCES] < max(instances, q._SPARE):
            more = max(instances, len(self.instances))
            self.instances, self.idle_s = _longer(self.instances, more), _longer(self.idle_s, more)
            _chain(self.instances[:, q.NEWER], more, self.cursor, q.FREE_INSTANCE)
        if 4 * int(self.cursor[q.BINS]) > len(self.bin_keys):
            keys, sums = self.bin_keys, self.bin_sums
            self.bin_keys = np.full(4 * len(keys), q.NONE, dtype=np.int64)
            self.bin_sums = np.zeros((4 * len(keys), q.SEGMENT_COUNT + 1))
            q.rehash(keys, sums, self.bin_keys, self.bin_sums)

    def _warm(self, settings: Settings, seed: int) -> Floats:
        """Return the idle instances that stand at the start: function, host and since when each is idle, shape (N, 3).

        Who is called all the time has as many as its calls under way need, spread over as many hosts as their core time does. Who
        is called now and then has one as likely as it was called within the time that an instance is kept.
        """
        rate, places, made = self.people.rate_per_s, self._runtime, []
        random = chance.stream(seed, "functions", "standing")
        share, level = warm_share(rate, settings.keep_alive_s), random.random((2, len(rate)))
        run_s = np.exp(self._functions[:, q.RUN_LOG_MEDIAN] + 0.5 * self._functions[:, q.RUN_SIGMA] ** 2)
        hop_s = math.exp(places[q.HOP_LOG_MEDIAN] + 0.5 * places[q.HOP_SIGMA] ** 2) + places[q.SPIKE_SHARE] * places[q.SPIKE_MEAN]
        under_way = rate * (run_s + q.HOPS * hop_s + places[q.LOOKUPS_S])
        needed = np.ceil(under_way + _SPARE_DEVIATIONS * np.sqrt(under_way)).astype(np.int64)
        cores = rate * (self._functions[:, q.CPU_MEAN] + q.HOPS * places[q.HOP_CPU])
        for f in np.flatnonzero(level[0] < share):
            spread = min(self._hosts_count, math.ceil(cores[f] / (0.7 * settings.cores)) or 1)
            each = min(settings.instances_at_most, math.ceil(max(needed[f], 1) / spread))
            # An even place within the time since which it may be idle; the last one used is the next one taken.
            since_s = -settings.keep_alive_s * level[1, f] * (1.0 - min(1.0, under_way[f]))
            hosts = (self.whose[f, q.HOME] + np.repeat(np.arange(spread), each)) % self._hosts_count
            made.append(np.stack([np.full(len(hosts), f), hosts, np.full(len(hosts), since_s)], axis=1))
        return np.concatenate(made).astype(np.float64) if made else np.zeros((0, 3))

    def _stand(self, made: Floats) -> None:
        self._room(_ROWS, len(made) + _ROWS)
        q.stand(self.instances, self.idle_s, self.pools, self._functions, self.tally, self.host_s, self._runtime, self.cursor, made)

    # -- snapshots ---------------------------------------------------------------------------

    def snapshot(self) -> State:
        """Return the state."""
        return {name: getattr(self, name).copy() for name in _KEPT}

    def restore(self, state: State) -> None:
        """Take back a snapshot's state; what is under way keeps the path that it was drawn."""
        for name in _KEPT:
            kind = getattr(self, name).dtype
            setattr(self, name, np.ascontiguousarray(np.array(state[name], dtype=kind)))


def _longer(rows: NDArray[Any], more: int) -> NDArray[Any]:
    return np.concatenate([rows, np.zeros((more, *rows.shape[1:]), dtype=rows.dtype)])


def _chain(links: Ints, more: int, cursor: Ints, first: int) -> None:
    """Put the last ``more`` rows before the free ones, in their order; the place after ``first`` counts them."""
    begin = len(links) - more
    links[begin:] = np.arange(begin + 1, len(links) + 1)
    links[-1] = cursor[first]
    cursor[first] = begin
    cursor[first + 1] += more
