"""Services over a run: who asks whom, what breaks, what is said of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twin.chance import stream
from twin.clock import Clock
from twin.faults import Fault
from twin.incidents import services as k
from twin.incidents.calibrated import number
from twin.incidents.callgraph import graph
from twin.incidents.changes import innocent
from twin.incidents.demand import rates
from twin.incidents.hosting import Hosted, Hosts, hosted, network, serve_with, shares
from twin.incidents.leaks import Memory, collecting, pauses
from twin.incidents.logs import Chatter, Complaints, Window
from twin.incidents.recording import Measured, Recorder, counted, measured, of_services
from twin.incidents.service_faults import FAULT_KINDS, Faults, strike
from twin.incidents.settings import Settings
from twin.stack import State
from twin.tables import Sink

__all__ = ["FAULT_KINDS", "Felt", "Model", "Settings"]

Floats = NDArray[np.float64]
_ROUNDING_S: Final = 1e-9
_KEPT: Final = ("_failing", "_state", "_part", "_cut", "_load", "_felt_s", "_e2e_s", "_function_s")


@dataclass(frozen=True, slots=True)
class Felt:
    """What services feel of other domains over one tick: H hosts, E endpoints, F functions.

    ``host_live`` says which hosts run, ``host_speed`` is that of their cores (1 as calibrated), ``host_free_cores`` what others leave.
    ``endpoint_e2e_s`` is the mean of the last window, NaN where nothing was answered, ``endpoint_met_share`` the share within
    objectives, ``function_latency_s`` the mean of a call, NaN where none was made.
    """

    host_live: NDArray[np.bool_]
    host_speed: Floats
    host_free_cores: Floats
    endpoint_e2e_s: Floats
    endpoint_met_share: Floats
    function_latency_s: Floats


class Model:
    """S services with instances on hosts (H, in the order of ``host_ids``), window by window. Without services it does and writes nothing.

    ``faults`` are those of ``FAULT_KINDS``. ValueError, one line, for an id that is not there.
    """

    def __init__(
        self,
        settings: Settings,
        host_ids: Sequence[str],
        endpoint_ids: Sequence[str],
        function_ids: Sequence[str],
        clock: Clock,
        horizon_s: float,
        faults: Sequence[Fault],
        seed: int,
    ) -> None:
        self.settings, self.host_ids, self._seed = settings, tuple(host_ids), seed
        self._graph = found = graph(settings, host_ids, endpoint_ids, function_ids)
        self.service_ids = found.service_ids
        self._hosts = np.unique(found.instance_host)
        names = [self.host_ids[h] for h in self._hosts]
        asked = np.array([service.rate_per_s for service in settings.services])
        self._faults = Faults(faults, found, self.host_ids, asked, seed)
        self._rates = rates(settings, clock, horizon_s, seed)
        self._memory = Memory(found, self.host_ids, seed)
        self._chatter = Chatter(self.service_ids, names, horizon_s, settings.window_s, seed)
        self._complaints = Complaints(settings, found, [call.to for service in settings.services for call in service.calls], names)
        ids = {"service": self.service_ids, "host": names, "endpoint": endpoint_ids, "function": function_ids}
        self._changes = sorted(self._faults.changes + innocent(settings.changes_per_day, ids, horizon_s, seed))
        self._change_s = np.array([change.t_s for change in self._changes])
        self._recorder = Recorder(self.service_ids, names)
        self._begin(len(endpoint_ids), len(function_ids))

    def _begin(self, endpoints: int, functions: int) -> None:
        services, instances, hosts = len(self.service_ids), len(self._graph.instance_host), len(self.host_ids)
        self.t_s, self._done = 0.0, 0
        self._failing = np.zeros(len(self._graph.callers))
        self._state = np.zeros((services, k.STATE_COLUMNS))
        self._part, self._load = np.zeros(instances), np.zeros(hosts)
        # Share of a window's requests of each service that went to an instance which is gone.
        self._cut = np.zeros(services)
        self._felt_s = np.zeros((3, hosts))
        self._e2e_s, self._function_s = np.zeros(endpoints), np.zeros(functions)
        self._unmet, self._silent = np.zeros(endpoints), np.zeros(endpoints, dtype=np.bool_)
        self.measured = Measured(0.0, np.full(services, np.nan), np.full(services, np.nan))

    @property
    def holds(self) -> bool:
        """Whether there are services to run."""
        return bool(self.service_ids)

    def host_cores(self) -> Floats:
        """Return the cores that services used on each host (H), averaged over the last window."""
        return self._load

    # -- time ---------------------------------------------------------------------------------

    def advance(self, until_s: float, felt: Felt) -> None:
        """Let time pass while services feel this; whole windows are gone through, a begun one is kept."""
        if not self.holds:
            self.t_s = until_s
            return
        begin_s, window_s = self.t_s, self.settings.window_s
        self._hear(felt)
        hosts = np.stack([felt.host_live.astype(np.float64), felt.host_speed, felt.host_free_cores])
        while self.t_s < until_s - _ROUNDING_S:
            edge_s = (self._done + 1) * window_s
            end_s = edge_s if edge_s <= until_s + _ROUNDING_S else until_s
            self._felt_s += hosts * (end_s - self.t_s)
            self.t_s = end_s
            if end_s == edge_s:
                self._window(end_s)
        self.t_s = until_s
        first, last = np.searchsorted(self._change_s, [begin_s, until_s])
        self._recorder.change(self._changes[first:last])

    def _hear(self, felt: Felt) -> None:
        """Take what endpoints and functions take; where nothing was answered, what is known stays, unless nothing is answered any more."""
        answered = np.isfinite(felt.endpoint_e2e_s)
        self._e2e_s = np.where(answered, felt.endpoint_e2e_s, self._e2e_s)
        met = np.where(np.isfinite(felt.endpoint_met_share), felt.endpoint_met_share, 1.0)
        self._unmet = np.where(answered | (met <= 0.0), 1.0 - met, 0.0)
        self._function_s = np.where(np.isfinite(felt.function_latency_s), felt.function_latency_s, self._function_s)
        self._silent = ~answered & (met <= 0.0)

    def _window(self, end_s: float) -> None:
        """Go through one window with what was felt over it."""
        window_s, found, drawn = self.settings.window_s, self._graph, stream(self._seed, "incidents", "window", str(self._done))
        struck = self._faults.during(end_s - window_s, end_s)
        live, speed, free = self._felt_s / window_s
        stolen = 1.0 - (1.0 - struck.stolen) * (1.0 - number("host.steal_share"))
        hosts = Hosts(live, speed, free, stolen, struck.nic_s)
        had = hosted(found, hosts, self._memory.up_share(window_s))
        gone = (self._part > 0.0) & (live[found.instance_host] <= 0.0)
        self._lose(gone)
        factor = struck.time_factor[found.instance_service] * (1.0 + collecting(self._memory.held_share))
        columns, calls = found.services.copy(), found.calls.copy()
        columns[:, k.OUTSIDE] = self._rates[min(self._done, len(self._rates) - 1)] * struck.demand_factor
        serve_with(found, had, factor, columns)
        part = shares(found, had, factor)
        self._pause(part, columns)
        columns[:, k.OWN_ERROR] = 1.0 - (1.0 - columns[:, k.OWN_ERROR]) * (1.0 - self._cut)
        cut, self._cut = self._cut, np.zeros(len(self._cut))
        latency_s = network(found, hosts, calls)
        self._others(calls)
        strike(struck, columns, calls, found.callees)
        before, out = self._failing.copy(), np.zeros((len(self.service_ids), k.FOUND_COLUMNS))
        args = found.order, columns, found.callers, found.callees, calls
        k.step(window_s, *args, self._failing, self._state, out)
        self._part = part
        used = self._used(out, had, factor)
        busy = np.divide(used, found.instance_cores)
        waiting = self._state[found.instance_service, k.BACKLOG] * self._part
        kept = self._memory.keep(window_s, struck.leak_per_s, busy, waiting)
        self._lose(kept.killed)
        restarts = found.per_service((kept.killed | gone).astype(np.float64))
        given = np.bincount(found.instance_host, weights=found.instance_cores, minlength=len(live))
        self._load = np.asarray(np.bincount(found.instance_host, weights=used, minlength=len(live)), dtype=np.float64)
        unmet = np.where(found.endpoints >= 0, self._unmet[found.endpoints], 0.0) if len(self._unmet) else np.zeros(len(calls))
        lost = had.lost_share[self._hosts]
        window = Window(window_s, out, calls, before, self._failing, unmet, struck, cut, restarts, kept.held_share, self._hosts, lost)
        self._note(end_s, window, found.per_service(used), self._load / np.maximum(given, _ROUNDING_S), latency_s, drawn)
        self._done += 1
        self._felt_s = np.zeros_like(self._felt_s)

    def _note(self, end_s: float, seen: Window, used: Floats, host_share: Floats, latency_s: Floats, drawn: np.random.Generator) -> None:
        """Take down what telemetry and logs say of a window."""
        fullest = np.zeros(len(self.service_ids))
        np.maximum.at(fullest, self._graph.instance_service, seen.held_share)
        rows = of_services(seen.out, used / self._graph.per_service(self._graph.instance_cores), fullest, seen.restarts)
        counted(rows, (seen.out[:, k.OFFERED] + seen.out[:, k.CLIENT_REFUSED_PER_S]) * seen.window_s, drawn)
        rows = measured(rows, drawn)
        on_hosts = {"cpu_share": host_share[seen.hosts], "steal_share": seen.stolen, "network_latency_s": latency_s[seen.hosts]}
        lines = self._complaints.during(seen, drawn) + self._chatter.during(self._done)
        self._recorder.end_window(end_s, rows, measured(on_hosts, drawn), lines)
        self.measured = Measured(end_s, rows["latency_p99_s"], rows["error_share"])

    def _others(self, calls: Floats) -> None:
        """Write what endpoints and functions take into the columns of calls to them."""
        found, cv2 = self._graph, number("service.time_cv2")
        for places, mean_s in ((found.endpoints, self._e2e_s), (found.functions, self._function_s)):
            to = np.flatnonzero(places >= 0)
            calls[to, k.OTHER_S] = mean_s[places[to]]
            calls[to, k.OTHER_VAR] = cv2 * mean_s[places[to]] ** 2
        to = np.flatnonzero(found.endpoints >= 0)
        calls[to, k.OTHER_ERROR] = self._silent[found.endpoints[to]]

    def _pause(self, part: Floats, columns: Floats) -> None:
        """Write what pauses of instances add into the columns of services; ``part`` (I) of its requests meets each."""
        first, second = pauses(self._memory.held_share, self._graph.memory_bytes)
        mean_s = self._graph.per_service(part * first)
        columns[:, k.PAUSE_S] = mean_s
        columns[:, k.PAUSE_VAR] = np.maximum(self._graph.per_service(part * second) - mean_s * mean_s, 0.0)

    def _used(self, out: Floats, had: Hosted, factor: Floats) -> Floats:
        """Return the cores that each instance (I) used."""
        of = self._graph.instance_service
        work = out[of, k.SERVED] * self._part * self._graph.services[of, k.SERVICE_S] * factor
        return np.asarray(np.divide(work, had.speed, out=np.zeros(len(work)), where=had.speed > 0.0), dtype=np.float64)

    def _lose(self, gone: NDArray[np.bool_]) -> None:
        """Drop what waited at instances (I) that went away, and what they held; until it is noticed, what is sent there fails."""
        lost = np.minimum(self._graph.per_service(self._part * gone), 1.0)
        self._cut = np.maximum(self._cut, lost * min(number("memory.unnoticed_s") / self.settings.window_s, 1.0))
        self._state[:, k.BACKLOG] *= 1.0 - lost
        self._memory.lose(gone)

    # -- what is kept -----------------------------------------------------------------------------

    def record(self, sink: Sink) -> None:
        """Write the windows that have ended, and what was changed."""
        self._recorder.record(sink)

    def close(self, sink: Sink) -> None:
        """Write what is left; a begun window has no row."""
        self.record(sink)

    def snapshot(self) -> State:
        """Return the state at the end of an advance; rows that ``record`` has not written yet are not part of it."""
        told = {
            "t_s": self.measured.t_s,
            "latency_p99_s": self.measured.latency_p99_s.copy(),
            "error_share": self.measured.error_share.copy(),
        }
        arrays = {name.strip("_"): getattr(self, name).copy() for name in _KEPT}
        return {"t_s": self.t_s, "done": self._done, "measured": told, "memory": self._memory.snapshot(), **arrays}

    def restore(self, state: State) -> None:
        """Take back a snapshot."""
        self.t_s, self._done = float(state["t_s"]), int(state["done"])
        for name in _KEPT:
            setattr(self, name, np.array(state[name.strip("_")], dtype=np.float64))
        told = state["measured"]
        self.measured = Measured(float(told["t_s"]), np.array(told["latency_p99_s"]), np.array(told["error_share"]))
        self._memory.restore(state["memory"])
        self._recorder.forget()
