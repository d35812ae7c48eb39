"""The negotiation in the world: what VMs see of the site, and give it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twin.memory import model as memory_model
from twin.metrics import Scope
from twin.plant import carbon
from twin.plant import model as plant_model
from twin.plant.hardware import host_model
from twin.scenario import Scenario
from twin.serving.levers import ServingObservation
from twin.stack import Clips, Phase, State, read_only, shares
from twin.tables import Sink
from twin.workloads import model as workloads_model
from twin.workloads.host_population import host_vcpus
from twin.workloads.levers import (
    EVICT,
    LEAVE,
    MOVE,
    OFFER_CLOCK_HIGH,
    OFFER_CLOCK_LOW,
    POOLS,
    SIZE_HIGH,
    SIZE_LOW,
    OffersAction,
    OffersObservation,
    Spare,
)
from twin.workloads.negotiation import keys
from twin.workloads.negotiation.model import Done, Negotiation, Standing

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
_LEVER: Final = "offers"
_HOSTS, _SERVERS = range(len(POOLS))
# Of what a host's VM draws at full clock, this part falls with the clock and the rest with its cube, as in the plant's law of GPUs.
_LINEAR_SHARE: Final = 0.8
_MET_SHARE: Final = 0.99


def _as_seen_by(own: Bools, seen: OffersObservation) -> OffersObservation:
    """Return what a holder sees: the hints of its own VMs (N); all others have said nothing to it, so that it cannot count on them."""
    if own.all():
        return seen
    hints = {key.name: read_only(np.where(own, seen.hints[key.name], key.default)) for key in keys.KEYS}
    return replace(seen, hints=hints)


class Negotiating:
    """Asks the holders of offers each tick, and lets what they agree on with VMs be felt by hosts, memory and the plant.

    Shapes: N VMs that negotiate and have a place, H hosts, G GPUs, R rows, W workloads. Without tenants it does nothing.
    """

    def __init__(
        self,
        scenario: Scenario,
        workloads: workloads_model.Model,
        plant: plant_model.Model,
        memory: memory_model.Model,
        clips: Clips,
        seed: int,
    ) -> None:
        self._workloads, self._plant, self._memory, self._clips = workloads, plant, memory, clips
        self.model: Negotiation | None = None
        self._seen: OffersObservation | None = None
        settings, fleet = scenario.spec.workloads.negotiation, scenario.fleet
        if not settings.tenants:
            return
        model = Negotiation(settings, workloads.vms, workloads.host_vms, fleet, scenario.clock, scenario.horizon_s, seed)
        model.strike(scenario.faults_of("workloads"))
        self.model = model
        self._carbon, _ = carbon.intensity(scenario.spec.plant.cooling.carbon_kg_per_kwh, scenario.clock, scenario.horizon_s)
        self._rows = (fleet.rack_rows[fleet.host_racks], fleet.server_rows)
        self._gpus, self._hosts = len(fleet.gpu_servers), len(fleet.host_ids)
        idle_w, full_w, _ = host_model()
        self._vcpu_w = (full_w - idle_w) / host_vcpus()
        tenants = model.tenants
        # By VM of each population: its number among tenants, -1 for one that does not negotiate.
        self._number = []
        for pool, count in ((_HOSTS, len(workloads.host_vms.vcpus)), (_SERVERS, len(workloads.vm_ids))):
            number = np.full(count, -1, dtype=np.int64)
            mine = np.flatnonzero(tenants.pool == pool)
            number[tenants.outer[mine]] = mine
            self._number.append(number)
        endpoints = tuple(endpoint.id for endpoint in scenario.spec.serving.endpoints)
        self._serving = [(tenants.workload_ids.index(name), index) for index, name in enumerate(endpoints) if name in tenants.workload_ids]
        self._met = np.ones(len(tenants.workload_ids), dtype=np.bool_)

    # -- a tick -----------------------------------------------------------------

    def step(self, phase: Phase, t_s: float, until_s: float, row_coming_w: Floats) -> None:
        """Let platform and VMs talk at the beginning of a tick, and do what is due; the tick that it begins is felt by all domains.

        ``row_coming_w`` (R) is what work that is announced will draw beyond what rows draw now.
        """
        model = self.model
        if model is None:
            return
        standing, others = self._standing()
        seen = self._seen = model.observe(t_s, until_s, standing, self._spare(t_s, standing, others, row_coming_w))
        self._apply(t_s, model.act(seen, self._wanted(phase, seen), standing), seen)

    def account(self, until_s: float) -> None:
        """Bill the tick that has ended."""
        if self.model is not None and self._seen is not None:
            self.model.account(until_s, self._seen)

    @property
    def spare(self) -> Spare | None:
        """Return what was left for VMs when this tick began; None where nobody negotiates."""
        return None if self._seen is None else self._seen.spare

    def gpu_caps(self) -> Floats | None:
        """Return the clock that offers leave each GPU, shape G; None where nobody negotiates."""
        return None if self.model is None else np.minimum(self._workloads.gpu_caps(), 1.0)

    def look(self, seen: Callable[[], ServingObservation]) -> None:
        """Take note, at a window's edge, of which endpoints met their objectives in it: 99 of 100 requests within both."""
        if self.model is None or not self._serving:
            return
        serving = seen()
        done = serving.finished()
        late = (done.ttft_s > serving.endpoint_ttft_slo_s[done.endpoint]) | (done.atgt_s > serving.endpoint_atgt_slo_s[done.endpoint])
        count = len(serving.endpoint_ids)
        missed, all_of = np.bincount(done.endpoint[late], minlength=count), np.bincount(done.endpoint, minlength=count)
        for workload, endpoint in self._serving:
            self._met[workload] = missed[endpoint] <= (1.0 - _MET_SHARE) * all_of[endpoint]

    # -- what is seen -------------------------------------------------------------

    def _standing(self) -> tuple[Standing, Floats]:
        """Return who negotiates and has a place, and the cores that others hold in each pool."""
        workloads, plant, parts, others = self._workloads, self._plant.observe(), [], np.zeros(len(POOLS))
        idle_w = self._plant.gpu_idle_w
        for pool in (_SERVERS, _HOSTS):
            outer, place = workloads.standing(pool)
            number = self._number[pool][outer]
            mine = number >= 0
            cores = workloads.host_vms.vcpus if pool == _HOSTS else workloads.vms.gpus
            others[pool] = cores[outer[~mine]].sum()
            outer, place, number = outer[mine], place[mine], number[mine]
            busy = workloads.busy(pool, outer)
            if pool == _SERVERS:
                power_w = workloads.over_gpus(outer, np.maximum(plant.gpu_power_w - idle_w, 0.0))
                # Serving's load is known by what its GPUs draw.
                drawn = power_w / np.maximum(workloads.over_gpus(outer, self._plant.gpu_tdp_w - idle_w), 1.0)
                busy = np.where(np.isnan(busy), np.minimum(drawn, 1.0), busy)
            else:
                power_w = busy * cores[outer] * self._vcpu_w
            parts.append((number, place, self._rows[pool][place], busy, power_w))
        vm, place, row, busy, power_w = (np.concatenate(each) for each in zip(*parts, strict=True))
        if not (vm[1:] > vm[:-1]).all():
            order = np.argsort(vm, kind="stable")
            vm, place, row, busy, power_w = vm[order], place[order], row[order], busy[order], power_w[order]
        return Standing(vm, place, row, busy, power_w, self._met), others

    def _spare(self, t_s: float, standing: Standing, others: Floats, row_coming_w: Floats) -> Spare:
        model, plant = self.model, self._plant.observe()
        assert model is not None
        total = np.array([host_vcpus() * self._hosts, self._gpus], dtype=np.float64)
        now, coming = model.reserve_cores(t_s, total[_HOSTS])
        # On servers those who look for a place are there to be counted.
        waiting = float(sum(self._workloads.vms.gpus[vm] for vm in self._workloads.waiting))
        on_hosts = model.tenants.pool[standing.vm] == _HOSTS
        vm, host = standing.vm[on_hosts], standing.place[on_hosts]
        platform, cores = model.platform, model.tenants.cores
        here = cores[vm] * (platform.taken[vm] == LEAVE)
        asked, held = (np.bincount(host, weights=each, minlength=self._hosts) for each in (here, here * platform.size_share[vm]))
        rented = self._workloads.host_rented_vcpus() - asked + held
        busy = self._workloads.host_share() * host_vcpus()
        return Spare(
            total_cores=total,
            reserve_cores=np.array([now, waiting]),
            coming_cores=np.array([coming, waiting]),
            host_free_vcpus=np.maximum(host_vcpus() - rented, 0.0),
            host_idle_vcpus=np.maximum(np.minimum(rented, host_vcpus()) - busy, 0.0),
            host_free_memory_bytes=self._memory.host_free_bytes,
            row_power_w=self._row_power_w(t_s, standing),
            row_budget_w=plant.row_budget_w,
            carbon_kg_per_kwh=float(self._carbon(np.array([t_s]))[0]),
            others_cores=others,
            row_coming_w=row_coming_w,
        )

    def _row_power_w(self, t_s: float, standing: Standing) -> Floats:
        """Return what rows draw, shape R. Before the first tick meters show idle machines: what VMs are about to draw is added."""
        measured_w = self._plant.observe().row_power_w
        if t_s > 0.0:
            return measured_w
        return read_only(measured_w + np.bincount(standing.row, weights=standing.power_w, minlength=len(measured_w)))

    # -- what is wanted, what is done -----------------------------------------------

    def _wanted(self, phase: Phase, seen: OffersObservation) -> OffersAction:
        """Return what the holders want of the VMs that are theirs: the first whose scope a VM's workload is in decides."""
        count = len(seen.vm)
        granted, take, cause = (np.zeros(count, dtype=np.int64) for _ in range(3))
        size, clock = np.ones(count), np.ones(count)
        why: NDArray[np.signedinteger[Any]] | None = None

        def members(scopes: tuple[Scope, ...]) -> Bools:
            named = [seen.workload_ids.index(scope.id) for scope in scopes if scope.id in seen.workload_ids]
            return np.isin(seen.workload, named) if scopes else np.ones(count, dtype=np.bool_)

        decided = list(shares(phase.stack(_LEVER), members, count))
        own: dict[int, Bools] = {}
        for holding, mine in decided:
            own[id(holding.holder)] = mine | own.get(id(holding.holder), False)
        actions: dict[int, OffersAction] = {}
        for holding, mine in decided:
            who = id(holding.holder)
            if who not in actions:
                actions[who] = holding.holder.offer(_as_seen_by(own[who], seen))
            action = actions[who]
            if action.granted.shape != (count,):
                raise ValueError(f"{_LEVER}: {holding.system} answers for {len(action.granted)} VMs and sees {count}")
            size[mine] = self._clips.clip(_LEVER, holding.system, action.size_share, SIZE_LOW, SIZE_HIGH)[mine]
            clock[mine] = self._clips.clip(_LEVER, holding.system, action.clock_share, OFFER_CLOCK_LOW, OFFER_CLOCK_HIGH)[mine]
            granted[mine], cause[mine] = action.granted[mine], action.cause[mine]
            take[mine] = np.minimum(np.maximum(action.take[mine], LEAVE), MOVE)
            if action.why is not None:
                why = np.zeros_like(action.why) if why is None else why
                why[mine] = action.why[mine]
        return OffersAction(granted, size, clock, take, cause, why)

    def _apply(self, t_s: float, done: Done, seen: OffersObservation) -> None:
        """Let hosts, memory and GPUs feel what was done."""
        assert self.model is not None
        tenants, workloads, platform = self.model.tenants, self._workloads, self.model.platform
        # On servers a place that is wanted is given to who waits for it; all others keep theirs until they are back.
        evicted = done.away[(tenants.pool[done.away] == _SERVERS) & (platform.taken[done.away] == EVICT)]
        if len(evicted):
            workloads.evict(tenants.outer[evicted])
        stops = np.union1d(np.setdiff1d(done.away, evicted), done.moved) if len(done.away) or len(done.moved) else done.away
        changed = np.zeros(len(tenants), dtype=np.bool_)
        changed[done.resized], changed[done.clocked] = True, True
        for pool in (_HOSTS, _SERVERS):
            for vm, act in ((stops, workloads.away), (done.back, workloads.back)):
                if len(vm) and len(mine := vm[tenants.pool[vm] == pool]):
                    act(pool, tenants.outer[mine], t_s)
            self._work(pool, changed, seen)

    def _work(self, pool: int, changed: Bools, seen: OffersObservation) -> None:
        """Set what VMs carry of their load whose size or clock changed (V), and those that do not get the cores that they ask for now."""
        assert self.model is not None
        tenants, platform, workloads = self.model.tenants, self.model.platform, self._workloads
        mine = seen.pool == pool
        if pool == _SERVERS:
            mine[mine] = workloads.vm_server[tenants.outer[seen.vm[mine]]] >= 0
        if not mine.any():
            return
        changed = changed[seen.vm] & mine
        size, clock = platform.size_share[seen.vm], platform.clock_share[seen.vm]
        if pool == _SERVERS:
            workloads.cap(tenants.outer[seen.vm[changed]], clock[changed])
        # Fewer cores than are asked for do as much less; more of them do more, as harvest VMs have work without end.
        carried = np.where(size > 1.0, size, np.minimum(size / np.maximum(seen.busy_share, 1e-6), 1.0))
        at = np.flatnonzero(changed | (mine & (size < 1.0)))
        slower = clock[at] * (_LINEAR_SHARE + (1.0 - _LINEAR_SHARE) * clock[at] ** 2) if pool == _HOSTS else 1.0
        if len(at):
            workloads.work(pool, tenants.outer[seen.vm[at]], carried[at] * slower)

    # -- what is kept -----------------------------------------------------------

    def record(self, sink: Sink) -> None:
        """Write what was said, granted and billed."""
        if self.model is not None:
            self.model.record(sink)

    def close(self, sink: Sink) -> None:
        """Write what is held back."""
        if self.model is not None:
            self.model.close(sink)

    def snapshot(self) -> State:
        """Return the negotiation's state; empty where there is none."""
        return {} if self.model is None else {"model": self.model.snapshot(), "met": self._met.copy()}

    def restore(self, state: State) -> None:
        """Take back a snapshot's state."""
        if self.model is not None and state:
            self.model.restore(state["model"])
            self._met = np.array(state["met"], dtype=np.bool_)
