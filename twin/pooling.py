"""Memory in the world: VMs on hosts, the pod they share, who allocates."""

import numpy as np

from twin.memory import model as memory_model
from twin.memory.demand import HostEvents, HostVms, PastDemand
from twin.memory.levers import PoolAction, TopologyAction, TopologyObservation
from twin.plant import model as plant_model
from twin.scenario import Scenario
from twin.stack import Holding, Phase, State, read_only
from twin.workloads import model as workloads_model
from twin.workloads.host_population import HostPopulation, host_vcpus

_ALLOCATION, _TOPOLOGY = "pool_allocation", "pod_topology"


class Pooling:
    """Hands memory the VMs that begin and end on hosts, and gives back what pooled memory costs them: time, and watts in racks."""

    def __init__(self, scenario: Scenario, workloads: workloads_model.Model, plant: plant_model.Model, phase: Phase) -> None:
        self._workloads, self._plant = workloads, plant
        faults = scenario.faults_of("memory")
        self.memory = memory_model.Model(scenario.spec.memory, scenario.fleet, _vms(workloads.host_vms), host_vcpus(), faults)
        around = seen(scenario, workloads)
        self.memory.build(designed(phase, around), around.past() if self.memory.holds else None)
        self._holding: Holding | None = None
        self._action: PoolAction | None = None
        self._plant.set_devices(self.memory.rack_power_w)

    def step(self, phase: Phase, until_s: float, opens_window: bool) -> None:
        """Follow the VMs that began or ended on hosts until a time. What memory does to hosts is felt from the next tick on."""
        if not self.memory.holds:
            return
        holding = _deciding(phase, _ALLOCATION)
        if self._action is None or opens_window or holding is not self._holding:
            self._holding, self._action = holding, self._refreshed(holding)
        came = self._workloads.host_events()
        events = HostEvents(came.t_s, came.vm, came.host, came.begins)
        self.memory.advance(until_s, events, holding.holder.pick, self._action)
        self._workloads.slow_hosts(self.memory.slowdown)
        self._plant.set_devices(self.memory.rack_power_w)

    def _refreshed(self, holding: Holding) -> PoolAction:
        action: PoolAction = holding.holder.refresh(self.memory.observe())
        score, devices = np.ascontiguousarray(action.score, np.float64), len(self.memory.device_ids)
        if score.shape != (devices,):
            raise ValueError(f"{_ALLOCATION}: {holding.system} answers with shape {score.shape}, the pool has {devices} devices")
        return PoolAction(score, bool(action.migrate))

    def restore(self, state: State) -> None:
        """Take back a snapshot; under another pod than its own the VMs that stand are given memory afresh."""
        self.memory.restore(state)
        self._plant.set_devices(self.memory.rack_power_w)


def seen(scenario: Scenario, workloads: workloads_model.Model) -> TopologyObservation:
    """Return what a holder of pod_topology may see: the hosts, the terms, and on demand what stood on them before the run."""
    kept: list[PastDemand] = []

    def past() -> PastDemand:
        if not kept:
            events, vms, span_s = workloads.past_hosts()
            kept.append(PastDemand(len(fleet.host_ids), _vms(vms), HostEvents(events.t_s, events.vm, events.host, events.begins), span_s))
        return kept[0]

    fleet = scenario.fleet
    return TopologyObservation(fleet.host_ids, read_only(fleet.host_racks), scenario.spec.memory, past)


def topology_seen(scenario: Scenario, seed: int) -> TopologyObservation:
    """Return the same without a run."""
    spec, clock = scenario.spec, scenario.clock
    model = workloads_model.Model(spec.workloads, scenario.fleet, clock, scenario.horizon_s, scenario.faults_of("workloads"), seed)
    return seen(scenario, model)


def designed(phase: Phase, around: TopologyObservation) -> TopologyAction:
    """Return the pod that the holder of pod_topology chooses."""
    holding = _deciding(phase, _TOPOLOGY)
    action: TopologyAction = holding.holder.design(around)
    if action.pod is not None and action.pod.hosts > len(around.host_ids):
        raise ValueError(
            f"{_TOPOLOGY}: {holding.system} builds a pod of {action.pod.hosts} hosts and the fleet has {len(around.host_ids)}; "
            "choose a smaller one or a larger fleet"
        )
    return action


def _deciding(phase: Phase, lever: str) -> Holding:
    return next(holding for holding in phase.stack(lever) if not holding.guard)


def _vms(vms: HostPopulation) -> HostVms:
    return HostVms(vms.memory_bytes, vms.vcpus, vms.memory_bound_share)
