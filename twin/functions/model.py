"""Functions over a run: who is called when, what each call takes."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twin.clock import Clock
from twin.faults import Fault
from twin.functions.demand import population
from twin.functions.engine import Engine
from twin.functions.levers import RuntimeAction, RuntimeObservation
from twin.functions.outages import FAULT_KINDS, Storms
from twin.functions.recording import Recorder
from twin.functions.runtimes import named
from twin.functions.settings import Settings
from twin.stack import State
from twin.tables import Sink

__all__ = ["FAULT_KINDS", "WINDOW_S", "Model", "Settings"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
WINDOW_S: Final = 300.0
_ROUNDING_S: Final = 1e-9


class Model:
    """Functions on hosts, H in number and in the order of ``host_ids``. A model without functions does and writes nothing.

    ``run`` says under which runtime, once, before anything else. Cores and speeds come from outside tick by tick; cores that
    spin are not among those that calls have. ValueError, one line, for a trace or a fault's target that is not there.
    """

    def __init__(
        self, settings: Settings, host_ids: Sequence[str], clock: Clock, horizon_s: float, seed: int, faults: Sequence[Fault] = ()
    ) -> None:
        self.settings, self.host_ids, self._seed, self._horizon_s = settings, tuple(host_ids), seed, horizon_s
        self._people = population(settings, clock, seed, len(self.host_ids))
        self.function_ids = self._people.ids
        self._index = {function_id: row for row, function_id in enumerate(self.function_ids)}
        self._storms = Storms(faults, self.function_ids)
        self.t_s = 0.0
        self.run(RuntimeAction(named("containerd", cached=settings.cached)))

    @property
    def holds(self) -> bool:
        """Whether there are functions to run."""
        return bool(self.function_ids) and bool(self.host_ids)

    def observe(self) -> RuntimeObservation:
        """Return what a holder may see."""
        return RuntimeObservation(self.settings, len(self.host_ids))

    def run(self, action: RuntimeAction) -> None:
        """Run all functions under a runtime from the start on, with the instances of a steady state; nothing has happened yet."""
        self.runtime, hosts = action.runtime, len(self.host_ids)
        self._engine = Engine(self._people, action.runtime, self.settings, hosts, self._seed)
        self._cores = np.full(hosts, float(self.settings.cores))
        self._engine.set_cores(0.0, self._cores, np.ones(hosts))
        self._recorder = Recorder(self._people, self._engine, self.host_ids)
        self._load = self.spinning()

    # -- time ---------------------------------------------------------------------------------

    def advance(self, until_s: float, cores: Floats, speed: Floats) -> None:
        """Let everything happen that happens before a time, while hosts (H) have so many cores of such a speed (1 as calibrated)."""
        begin_s, engine = self.t_s, self._engine
        if self.holds and until_s > begin_s:
            # The world gives what it has anew; what is kept must not change under its hands.
            self._cores = np.array(cores, dtype=np.float64)
            engine.set_cores(begin_s, self._cores, np.asarray(speed, dtype=np.float64))
            busy_s = engine.overhang_s(begin_s) - self._recorder.started_s()
            while self.t_s < until_s - _ROUNDING_S:
                edge_s = (math.floor(self.t_s / WINDOW_S + _ROUNDING_S) + 1.0) * WINDOW_S
                share = self._storms.share(self.t_s)
                if share is not None:
                    engine.evict(share, self.t_s)
                end_s = min(edge_s, until_s, self._storms.next_s(self.t_s))
                engine.advance(end_s)
                self.t_s = end_s
                if end_s == edge_s:
                    busy_s += self._recorder.started_s()
                    self._recorder.end_window(end_s, WINDOW_S, self._cores)
            busy_s += self._recorder.started_s() - engine.overhang_s(until_s)
            self._load = np.maximum(busy_s, 0.0) / (until_s - begin_s) + self.spinning()
        self.t_s = until_s

    def load(self) -> Floats:
        """Return the cores that are busy on each host (H): with calls, averaged over the last advance, and those that spin."""
        return self._load

    @property
    def under_way(self) -> int:
        """How many calls have come and are not answered."""
        return self._engine.under_way

    def spinning(self) -> Floats:
        """Return the cores that spin on each host (H) for the instances that stand now."""
        if not self.holds:
            return np.zeros(len(self.host_ids))
        spinning = self.runtime.polling_cores + self.runtime.polling_cores_each * self._engine.warm()
        return np.asarray(np.where(self._cores > 0.0, spinning, 0.0), dtype=np.float64)

    # -- calls by others ------------------------------------------------------------------------

    def call(self, function_id: str, times: Floats) -> Ints:
        """Call a function at times (N, seconds, from the present on) and return the ids of the calls; ValueError names what cannot be."""
        if function_id not in self._index:
            raise ValueError(f"function {function_id!r} is unknown; it is one of {', '.join(self.function_ids[:20]) or 'none'}")
        asked = np.asarray(times, dtype=np.float64)
        if not np.isfinite(asked).all() or (asked < self.t_s - _ROUNDING_S).any():
            raise ValueError(f"{function_id}: a call lies before {self.t_s:g} s or has no time; call it from now on")
        return self._engine.ask(np.full(len(asked), self._index[function_id]), np.maximum(asked, self.t_s))

    def outcome(self, ids: Ints) -> Floats:
        """Return when calls by others were answered, seconds; infinite for not yet."""
        return np.array(self._engine.outside_s[ids, 1])

    # -- what is kept -----------------------------------------------------------------------------

    def record(self, sink: Sink) -> None:
        """Write the windows that have ended."""
        if self.holds:
            self._recorder.record(sink)

    def close(self, sink: Sink) -> None:
        """Write what is left: a begun window."""
        begun_s = self.t_s - math.floor(self.t_s / WINDOW_S + _ROUNDING_S) * WINDOW_S
        if self.holds and begun_s > _ROUNDING_S:
            self._recorder.end_window(self.t_s, begun_s, self._cores)
        self.record(sink)

    def snapshot(self) -> State:
        """Return the state at the end of an advance; rows that ``record`` has not written yet are not part of it."""
        return {
            "t_s": self.t_s,
            "runtime": self.runtime.name,
            "cores": self._cores.copy(),
            "load": self._load.copy(),
            "engine": self._engine.snapshot(),
            "recorder": self._recorder.snapshot(),
        }

    def restore(self, state: State) -> None:
        """Take back a snapshot. Under another runtime than its own, instances stay and what is under way ends as it was drawn."""
        self.t_s = float(state["t_s"])
        self._cores, self._load = (np.array(state[name], dtype=np.float64) for name in ("cores", "load"))
        self._engine.restore(state["engine"])
        self._recorder.restore(state["recorder"])
