"""Where new VMs go: the world asks the holders of vm_placement."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twin.metrics import Scope
from twin.plant import model as plant_model
from twin.scenario import Scenario
from twin.serving.demand import expected_share
from twin.stack import Holding, read_only
from twin.workloads import model as workloads_model
from twin.workloads.levers import HOURS_OF_WEEK, PastPlant, PastVms, PlacementObservation, PlantAtServers, VmAsked

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
_LEVER: Final = "vm_placement"


class Placing:
    """Fills what placement may see from workloads and plant, and puts VMs where the holders rank highest."""

    def __init__(self, scenario: Scenario, workloads: workloads_model.Model, plant: plant_model.Model) -> None:
        self._scenario, self._workloads, self._plant = scenario, workloads, plant
        fleet = scenario.fleet
        self._places = tuple(read_only(part) for part in (fleet.server_rows, fleet.server_racks, fleet.server_aisles))
        self._ratings = plant.ratings
        self._past_vms: PastVms | None = None

    def begin(self, stack: tuple[Holding, ...]) -> None:
        """Place those who stand from the start; ValueError names an endpoint none of whose VMs found a place."""
        if self._workloads.turn(0.0):
            self.place(stack, 0.0)
        placed = self._workloads.placements
        for endpoint in (each.id for each in self._scenario.spec.serving.endpoints if each.id not in placed):
            raise ValueError(
                f"workloads.vms: no VM of endpoint {endpoint!r} found a place at the start (vm_placement); "
                "give it servers, or let less stand beside it: lower gpus_share, rate_per_h or count"
            )

    def place(self, stack: tuple[Holding, ...], t_s: float) -> bool:
        """Ask for a place for everyone who waits, in the order in which they came; return whether somebody was put.

        One that finds none does not hold up those behind it.
        """
        workloads, moved = self._workloads, False
        around: PlantAtServers | None = None
        for vm in tuple(workloads.waiting):
            asked = workloads.asked(vm)
            fits = workloads.gpus_free >= asked.gpus
            if not fits.any():
                continue
            around = at_servers(self._plant, self._ratings) if around is None else around
            server = self._choice(stack, vm, asked, fits, self._seen(t_s, around))
            if server is not None:
                workloads.put(vm, server, t_s)
                moved = True
        if moved or t_s <= 0.0:
            workloads.settle(t_s)
        return moved

    def _choice(self, stack: tuple[Holding, ...], vm: int, asked: VmAsked, fits: Bools, seen: PlacementObservation) -> int | None:
        """Return the server that the first holder in charge ranks highest of those with room, None where it wants none."""
        mine = [holding for holding in stack if self._in(holding.scope, vm)]
        may = fits.copy()
        for holding in mine:
            if holding.guard:
                may &= _shaped(np.asarray(holding.holder.may_place(seen, asked), dtype=np.bool_), holding, fits)
        holding = next(holding for holding in mine if not holding.guard)
        rank = _shaped(np.asarray(holding.holder.rank(seen, asked), dtype=np.float64), holding, fits)
        # Not-a-number is no wish either.
        may &= rank > -np.inf
        return int(np.argmax(np.where(may, rank, -np.inf))) if may.any() else None

    def _in(self, scopes: tuple[Scope, ...], vm: int) -> bool:
        """Return whether a VM is of one of the workloads or endpoints; without a scope all are."""
        vms = self._workloads.vms
        ids = {"workload": vms.workload_ids[int(vms.workload[vm])], "endpoint": vms.endpoints.get(vm)}
        return not scopes or any(ids.get(scope.kind) == scope.id for scope in scopes)

    def _seen(self, t_s: float, around: PlantAtServers) -> PlacementObservation:
        workloads, clock = self._workloads, self._scenario.clock
        running, (rows, racks, aisles) = workloads.running, self._places
        return PlacementObservation(
            t_s=t_s,
            hour_of_week=int(clock.weekday(t_s)) * 24 + int(clock.hour(t_s)),
            workload_ids=workloads.workload_ids,
            gpus_free=read_only(workloads.gpus_free.copy()),
            server_rows=rows,
            server_racks=racks,
            server_aisles=aisles,
            vm_workload=read_only(workloads.vms.workload[running]),
            vm_server=read_only(workloads.vm_server[running]),
            vm_gpus=read_only(workloads.vms.gpus[running]),
            vm_opaque=read_only(workloads.vms.opaque[running]),
            plant=around,
            past_vms=self.past_vms,
            past_plant=self.past_plant,
        )

    def past_vms(self) -> PastVms:
        """Return what past VMs drew; made when it is first asked for."""
        if self._past_vms is None:
            hours = np.arange(HOURS_OF_WEEK, dtype=np.float64) % 24.0 + 0.5
            expected = {endpoint.id: expected_share(endpoint.demand, hours) for endpoint in self._scenario.spec.serving.endpoints}
            self._past_vms = self._workloads.past(expected, self._ratings.busy_power_share)
        return self._past_vms

    def past_plant(self) -> PastPlant:
        """Return the plant's telemetry from before the run; made when it is first asked for."""
        return past_of(self._plant)


def _shaped(answer: NDArray[Any], holding: Holding, fits: Bools) -> NDArray[Any]:
    if answer.shape != fits.shape:
        raise ValueError(f"{_LEVER}: {holding.system} answers with shape {answer.shape}, the fleet has {len(fits)} servers")
    return answer


def at_servers(plant: plant_model.Model, ratings: plant_model.Ratings) -> PlantAtServers:
    """Return the plant at the end of its last tick as placement sees it."""
    now = plant.observe()
    return PlantAtServers(
        outside_c=now.outside_c,
        inlet_c=now.inlet_c,
        server_power_w=now.server_power_w,
        server_nameplate_w=ratings.server_nameplate_w,
        server_idle_w=ratings.server_idle_w,
        server_airflow_max_m3_per_s=ratings.server_airflow_max_m3_per_s,
        gpu_tdp_w=ratings.gpu_tdp_w,
        gpu_limit_c=now.gpu_limit_c,
        row_power_w=now.row_power_w,
        row_budget_w=now.row_budget_w,
        aisle_airflow_m3_per_s=now.aisle_airflow_m3_per_s,
        aisle_supply_m3_per_s=now.aisle_supply_m3_per_s,
    )


def past_of(plant: plant_model.Model) -> PastPlant:
    """Return what the plant's sensors said before the run."""
    past = plant.past()
    return PastPlant(
        outside_c=past.outside_c,
        load_share=past.load_share,
        inlet_c=past.inlet_c,
        server_power_w=past.server_power_w,
        airflow_m3_per_s=past.airflow_m3_per_s,
        gpu_power_w=past.gpu_power_w,
        gpu_temp_c=past.gpu_temp_c,
    )


def before(scenario: Scenario, seed: int) -> tuple[PastPlant, PlantAtServers]:
    """Return what placement can learn from before a run's first tick: the sensors' readings, and the site as it stands."""
    spec = scenario.spec
    plant = plant_model.Model(spec.plant, scenario.fleet, scenario.clock, scenario.horizon_s, scenario.faults_of("plant"), seed)
    return past_of(plant), at_servers(plant, plant.ratings)
