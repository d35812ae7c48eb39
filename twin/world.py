"""The one place where domains meet: each tick, in explicit lines."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twin.deciding import Deciding
from twin.happening import Happening, Others
from twin.metrics import Scope
from twin.negotiating import Negotiating
from twin.placing import Placing
from twin.plant import model as plant_model
from twin.plant.levers import CLOCK_HIGH, CLOCK_LOW
from twin.pooling import Pooling
from twin.scenario import Scenario
from twin.serving import model as serving_model
from twin.serving.levers import PlantAtInstances, ServingObservation
from twin.stack import Clips, Phase, State, read_only, shares
from twin.tables import Sink
from twin.working import Working
from twin.workloads import model as workloads_model

Floats = NDArray[np.float64]
FINE_TICK_S: Final = 1.0
FINE_AFTER_FAULT_S: Final = 60.0
# Decode is memory bound: it slows down only below this share of the top clock (facts sheet on heat and power, 5a).
DECODE_KNEE_SHARE: Final = 0.6


def _after(t_s: float, grid_s: float) -> float:
    """Return the next multiple of a grid after a time."""
    return (math.floor(t_s / grid_s + 1e-9) + 1.0) * grid_s


@dataclass(frozen=True, slots=True)
class _Gather:
    """Which GPUs each instance sits on: flat GPU indices and where each instance's begin."""

    gpus: NDArray[np.int64]
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, first: NDArray[np.int64], count: NDArray[np.int64]) -> "_Gather":
        starts = np.concatenate([[0], np.cumsum(count)[:-1]]).astype(np.int64) if len(count) else np.zeros(0, dtype=np.int64)
        flat = np.repeat(first - starts, count) + np.arange(int(count.sum()))
        return cls(flat.astype(np.int64), starts)

    def highest(self, values: Floats) -> Floats:
        return np.maximum.reduceat(values[self.gpus], self.starts) if len(self.starts) else np.zeros(0)

    def lowest(self, values: Floats) -> Floats:
        return np.minimum.reduceat(values[self.gpus], self.starts) if len(self.starts) else np.zeros(0)

    def mean(self, values: Floats, count: NDArray[np.int64]) -> Floats:
        return np.add.reduceat(values[self.gpus], self.starts) / count if len(self.starts) else np.zeros(0)


class World:
    """The models of a scenario under a schedule of holders. What one domain did is felt by the other one tick later.

    A world that goes on from a snapshot (``start``) or ends before the horizon (``until_s``) draws no more than it meets.
    """

    def __init__(
        self, scenario: Scenario, phases: Sequence[Phase], seed: int, start: State | None = None, until_s: float | None = None
    ) -> None:
        spec, fleet, clock = scenario.spec, scenario.fleet, scenario.clock
        if not phases or phases[0].from_s != 0.0:
            raise ValueError("the first policy set of a schedule begins at 0 s")
        self.scenario, self.phases, self.clips, self.t_s = scenario, tuple(phases), Clips(dict(phases[0].clips)), 0.0
        self._phase = 0
        horizon = scenario.horizon_s
        self.workloads = workloads_model.Model(spec.workloads, fleet, clock, horizon, scenario.faults_of("workloads"), seed)
        self.plant = plant_model.Model(spec.plant, fleet, clock, horizon, scenario.faults_of("plant"), seed)
        self._placing = Placing(scenario, self.workloads, self.plant)
        if start is not None:
            self.workloads.restore(start["workloads"])
        else:
            # Serving is laid out on the VMs that stand at the start.
            self._placing.begin(self.phases[0].stack("vm_placement"))
        asked_s, came = min(horizon, until_s or horizon), None if start is None else start["serving"]
        self.serving = serving_model.Model(
            spec.serving, fleet, self.workloads.placements, clock, asked_s, scenario.faults_of("serving"), seed, came
        )
        self._deciding = Deciding(self.serving, self.clips)
        self.pooling = Pooling(scenario, self.workloads, self.plant, phases[0])
        self.negotiating = Negotiating(scenario, self.workloads, self.plant, self.pooling.memory, self.clips, seed)
        self.working = Working(scenario, self.workloads, self.serving, self.plant, self.negotiating, phases[0], seed)
        domains = Others(self.workloads, self.serving, self.plant, self.pooling, self.negotiating, self.working)
        self.happening = Happening(scenario, domains, seed)
        self.plant.set_opaque(self.workloads.gpu_opaque)
        self._gather = _Gather.of(self.serving.instance_first_gpu, self.serving.instance_gpus)
        self._tdp_w = self.plant.gpu_tdp_w[self.serving.instance_first_gpu]
        self._window_s = spec.serving.window_s
        # A site without endpoints has nothing to serve, decide or count.
        self._serves, self._unserved = bool(spec.serving.endpoints), self.serving.gpu_load()
        memory = self.pooling.memory
        self._writing = (self.workloads, self.serving, memory, self.plant) if self._serves else (self.workloads, memory, self.plant)
        self._hottest = self._gather.highest(self.plant.observe().gpu_temp_c)
        # The plant's own edges come from the plant: what nobody is told of (a drift of sensors) must not show in the ticks.
        others = tuple(fault for domain in ("serving", "workloads", "memory") for fault in scenario.faults_of(domain))
        scheduled = (float(edge) for fault in others for edge in fault.edges_s())
        self._faults = sorted({*scheduled, *self.plant.fault_edges_s})
        self._edges = sorted({*self._faults, *(float(phase.from_s) for phase in phases)})
        gpus = len(fleet.gpu_servers)
        self._capping = [tuple(shares(phase.stack("emergency"), self._gpu_members, gpus)) for phase in self.phases]
        if start is not None:
            self._restore(start)

    # -- time ---------------------------------------------------------------

    def next_s(self, end_s: float) -> float:
        """Return when the coming tick ends: on the grid, at a window's or fault's edge, or 1 s ahead while it matters."""
        t_s = self.t_s
        passed = bisect_right(self._faults, t_s + 1e-9)
        fresh = passed > 0 and t_s - self._faults[passed - 1] < FINE_AFTER_FAULT_S
        tick_s = FINE_TICK_S if fresh or t_s < self.plant.fine_until_s else self.scenario.spec.tick_s
        later = bisect_right(self._edges, t_s + 1e-9)
        edge = self._edges[later] if later < len(self._edges) else end_s
        return min(_after(t_s, tick_s), _after(t_s, self._window_s), edge, end_s)

    def step(self, until_s: float, sink: Sink) -> None:
        """Advance every domain to ``until_s`` and record it."""
        phase = self._current()
        owned = self.workloads.gpu_opaque
        self._place(phase)
        self.negotiating.step(phase, self.t_s, until_s, self.working.row_coming_w())
        if self.workloads.gpu_opaque is not owned:
            self.plant.set_opaque(self.workloads.gpu_opaque)
        self.workloads.advance(until_s)
        if self._serves:
            self._serve(phase, until_s)
        self.working.step(phase, self.t_s, until_s)
        self.pooling.step(phase, until_s, self._opens_window())
        self.working.slow(self.pooling.memory.slowdown)
        caps, offered = self._emergency(), self.negotiating.gpu_caps()
        self.plant.advance(until_s, self._load(), caps if offered is None else np.minimum(caps, offered))
        self.negotiating.account(until_s)
        if self._serves:
            np.maximum(self._hottest, self._gather.highest(self.plant.observe().gpu_temp_c), out=self._hottest)
        began_s, self.t_s = self.t_s, until_s
        self.happening.listen(sink)
        for model in self._writing:
            model.record(sink)
        self.negotiating.record(sink)
        self.working.record(sink)
        self.happening.step(began_s, until_s, sink)

    def _serve(self, phase: Phase, until_s: float) -> None:
        """Decide where a window opens, and serve until a time."""
        if self._opens_window():
            self._deciding.decide(phase, self._seen)
            self.negotiating.look(self._seen)
            self.happening.look(self._seen)
            self._hottest[:] = 0.0
        slowest = self._gather.lowest(self.plant.gpu_clock_share)
        self.serving.advance(until_s, slowest, np.minimum(1.0, slowest / DECODE_KNEE_SHARE))

    def close(self, sink: Sink) -> None:
        """Write what the models still hold back."""
        self.workloads.close(sink, self.t_s)
        if self._serves:
            self.serving.close(sink)
        self.pooling.memory.close(sink)
        self.negotiating.close(sink)
        self.working.close(sink)
        self.happening.close(sink)
        self.plant.close(sink)

    def _current(self) -> Phase:
        while self._phase + 1 < len(self.phases) and self.phases[self._phase + 1].from_s <= self.t_s + 1e-9:
            self._phase += 1
        return self.phases[self._phase]

    def _opens_window(self) -> bool:
        position = self.t_s / self._window_s
        return abs(position - round(position)) < 1e-9

    # -- levers -------------------------------------------------------------

    def _place(self, phase: Phase) -> None:
        """Let VMs come and go, and ask where those go that wait: when there are new ones or new room, else window by window."""
        due = self.workloads.turn(self.t_s) or (bool(self.workloads.waiting) and self._opens_window())
        if due:
            self._placing.place(phase.stack("vm_placement"), self.t_s)

    def _emergency(self) -> Floats:
        seen = self.plant.observe()
        caps = np.ones(len(seen.gpu_temp_c))
        for holding, mine in self._capping[self._phase]:
            bounded = self.clips.clip("emergency", holding.system, holding.holder.cap(seen).clock_cap_share, CLOCK_LOW, CLOCK_HIGH)
            # Mostly one holder caps all GPUs.
            caps = bounded if mine.all() else np.where(mine, bounded, caps)
        return caps

    def _gpu_members(self, scopes: tuple[Scope, ...]) -> NDArray[np.bool_]:
        fleet = self.scenario.fleet
        if not scopes:
            return np.ones(len(fleet.gpu_servers), dtype=np.bool_)
        servers = np.zeros(len(fleet.server_ids), dtype=np.bool_)
        for scope in scopes:
            if scope.kind in {"row", "rack", "server"}:
                servers |= fleet.servers_within(scope.kind, [scope.id])
        return servers[fleet.gpu_servers]

    # -- what one domain hands to another --------------------------------------

    def _seen(self) -> ServingObservation:
        plant, gather, serving = self.plant.observe(), self._gather, self.serving
        around = PlantAtInstances(
            outside_c=plant.outside_c,
            gpu_tdp_w=read_only(self._tdp_w),
            gpu_temp_max_c=read_only(gather.highest(plant.gpu_temp_c)),
            gpu_temp_window_max_c=read_only(self._hottest.copy()),
            gpu_limit_c=read_only(gather.lowest(plant.gpu_limit_c)),
            gpu_power_w=read_only(gather.mean(plant.gpu_power_w, serving.instance_gpus)),
            speed_share=read_only(gather.lowest(plant.gpu_clock_share)),
            inlet_c=read_only(plant.inlet_c[serving.instance_server]),
            row_power_w=plant.row_power_w,
            row_budget_w=plant.row_budget_w,
            aisle_airflow_share=read_only(plant.aisle_airflow_share[self.scenario.fleet.server_aisles[serving.instance_server]]),
        )
        return serving.observe(around)

    def _load(self) -> plant_model.GpuLoad:
        served = self.serving.gpu_load() if self._serves else self._unserved
        # GPUs of VMs that are away are empty.
        opaque = self.workloads.gpu_opaque & ~self.workloads.gpus_away()
        jobs, calls = self.working.gpu_share(), self.working.host_share()
        rented, hosted, served_by = self.workloads.gpu_share(), self.workloads.host_share(), self.happening.host_share()
        if calls is not None or served_by is not None:
            hosted = np.minimum(hosted + (0.0 if calls is None else calls) + (0.0 if served_by is None else served_by), 1.0)
        return plant_model.GpuLoad(
            prefill_share=served.prefill_share,
            decode_share=served.decode_share,
            decode_batch=served.decode_batch,
            opaque_share=rented if jobs is None else np.minimum(rented + jobs, 1.0),
            resident=served.resident | opaque,
            clock_share=np.where(opaque, 1.0, served.clock_share),
            host_share=hosted,
        )

    # -- snapshots ------------------------------------------------------------

    def snapshot(self) -> State:
        """Return everything that the next tick depends on, holders included."""
        held: dict[str, Any] = {}
        for system, holder in self.phases[self._phase].holders().items():
            if hasattr(holder, "snapshot"):
                held[system] = holder.snapshot()
        return {
            "t_s": self.t_s,
            "workloads": self.workloads.snapshot(),
            "serving": self.serving.snapshot(),
            "memory": self.pooling.memory.snapshot(),
            "negotiation": self.negotiating.snapshot(),
            "working": self.working.snapshot(),
            "happening": self.happening.snapshot(),
            "plant": self.plant.snapshot(),
            "holders": held,
            "hottest_c": self._hottest.copy(),
            "clips": dict(self.clips.counts),
        }

    def _restore(self, state: State) -> None:
        """Take back a snapshot. Holders that were not in it begin afresh, so another policy can start from here."""
        self.t_s = float(state["t_s"])
        self.serving.restore(state["serving"])
        self.serving.begin_gaps()
        self.plant.restore(state["plant"])
        self.pooling.restore(state["memory"])
        self.negotiating.restore(state["negotiation"])
        self.working.restore(state["working"])
        self.happening.restore(state["happening"])
        self._hottest = np.array(state["hottest_c"], dtype=np.float64)
        self.clips.counts = {key: int(value) for key, value in state["clips"].items()}
        for system, holder in self._current().holders().items():
            if system in state["holders"] and hasattr(holder, "restore"):
                holder.restore(state["holders"][system])
