"""TAPAS decides: route away from heat first, then clocks, then caps."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from policies.baselines.clocks import clock_for, power_share
from policies.system import Surroundings
from policies.systems.tapas.bounds import OVERSUBSCRIPTION, Bounds
from policies.systems.tapas.capacity import extra_servers
from policies.systems.tapas.demand import CLOCKS, goodput_per_s, serving_clock
from policies.systems.tapas.emergency import Caps
from policies.systems.tapas.knobs import TapasKnobs
from policies.systems.tapas.placement import Placement
from policies.systems.tapas.reconfigure import Allowed, Reconfiguration
from policies.systems.tapas.routing import Risk, admitted
from policies.systems.tapas.shedding import IDLE_W, Coming
from policies.systems.tapas.thermal import RiseModel
from policies.systems.tapas.widths import Widths
from twin.plant.levers import CapacityAction, CapacityObservation, EmergencyAction, PlantObservation
from twin.serving.levers import CLOCK_HIGH, OFF, ON, ConfigAction, ScalingAction, ServingObservation
from twin.stack import State
from twin.workloads.levers import PlacementObservation, VmAsked

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
# Power is smoothed over about five windows.
_SMOOTHING: Final = 0.2
# GPUs that draw more than this over idle are at work. Fans of the others turn slowly, so that they teach nothing of heat
# under load, and the first burst finds them this much hotter than the same load does later.
_AT_WORK: Final = 1.5
_COLD_FANS_C: Final = 3.0
_GRID_STEP: Final = 0.02
_ARRAYS: Final = ("_clock", "_full_w", "_row_w", "_admitted", "_was_on")


class Tapas:
    """Keeps every GPU and row inside its bounds with as little loss of speed as its instances allow.

    It guards configuration (clocks at which no burst can pass the bound) and routing (strikes out the slowest of the
    instances that the bound slows), and holds the emergency lever (caps at once, opaque VMs last). An aisle short of air
    shows as warmer inlets.
    """

    def __init__(self, knobs: TapasKnobs, surroundings: Surroundings) -> None:
        self._knobs = knobs
        self._bounds = Bounds(knobs.targets, surroundings)
        self._caps = Caps(knobs, self._bounds)
        self._placement = Placement(knobs)
        self._decided_s = -1.0
        self._routes = False
        self._reconfiguration = Reconfiguration(knobs, len(surroundings.endpoint_ids))
        self._widths = Widths(knobs)
        self._row_w = np.zeros(len(surroundings.row_ids))
        self._begin(0)

    def _begin(self, instances: int) -> None:
        self._rise_model = RiseModel(instances)
        self._clock = np.ones(instances)
        nobody, everybody = np.zeros(instances, dtype=np.bool_), np.ones(instances, dtype=np.bool_)
        free = np.full(instances, np.inf)
        self._allowed = Allowed(self._clock, free, free, nobody, nobody, everybody, self._rise_model.coefficients)
        self._full_w = np.zeros(instances)
        self._admitted = np.ones(instances, dtype=np.bool_)
        self._was_on = np.ones(instances, dtype=np.bool_)

    def size(self, seen: CapacityObservation) -> CapacityAction:
        """Return the extra servers of each row: the share of those that are there that the knob says, or a target asks for."""
        asked = [target.bound for target in self._knobs.targets if target.metric == OVERSUBSCRIPTION and target.op == ">="]
        return extra_servers(seen, self._knobs.oversubscription_share, min(max(asked, default=0.0), 1.0))

    def rank(self, seen: PlacementObservation, asked: VmAsked) -> Floats:
        """Return how good each server is for a new VM, shape S; minus infinity where it must not go."""
        return self._placement.rank(seen, asked)

    def admit(self, seen: ServingObservation) -> Bools:
        """Return which instances may take new requests, shape I."""
        self._routes = True
        self._decide(seen)
        return self._admitted.copy()

    def narrow_scaling(self, seen: ServingObservation, action: ScalingAction) -> ScalingAction:
        """Return the wanted instances, some of them swapped for narrower ones on their GPUs where a row is short of power."""
        if not self._knobs.widths:
            return action
        self._decide(seen)
        room_w = (self._row_bound_w(seen) - self._row_w)[seen.instance_row]
        return ScalingAction(self._widths.narrow(seen, action.wanted, self._allowed, self._reconfiguration.demand, room_w))

    def narrow_config(self, seen: ServingObservation, action: ConfigAction) -> ConfigAction:
        """Return clocks and batches that are nowhere higher than those given; other models only where these do not suffice."""
        self._decide(seen)
        return self._reconfiguration.narrow(seen, action, self._allowed, self._widths.pending(len(seen.state)))

    def cap(self, seen: PlantObservation) -> EmergencyAction:
        """Return the clock caps that hold during the next tick."""
        return EmergencyAction(self._caps.decide(seen))

    def learned(self) -> dict[str, Floats]:
        """Return what was learned of each instance: rise per share of rated power, and the mean error of its prediction."""
        return {"rise_c": self._rise_model.coefficients[:, 1].copy(), "error_c": self._rise_model.error_c.copy()}

    def _decide(self, seen: ServingObservation) -> None:
        if len(self._clock) != len(seen.state):
            self._begin(len(seen.state))
        if seen.t_s == self._decided_s:
            return
        self._decided_s = seen.t_s
        self._learn(seen)
        demand = self._reconfiguration.demand
        demand.learn(seen)
        bound_c = self._bound_c(seen)
        air_c = seen.inlet_c + np.where(self._at_work(seen), 0.0, _COLD_FANS_C)
        thermal = self._thermal_clock(air_c, bound_c)
        rated_c = air_c + self._rise_model.rise_c(np.ones_like(bound_c))
        row_bound_w = np.minimum(seen.row_budget_w, self._bounds.row_w(seen.t_s, self._knobs.horizon_s))
        row_share = (self._row_w / np.maximum(row_bound_w, 1.0))[seen.instance_row]
        capped = self._caps.managed_share(len(seen.row_ids))[seen.instance_row] < 1.0
        held = np.where(capped, np.minimum(thermal, seen.speed_share), thermal)
        risk = Risk(rated_c, bound_c, held, np.where(capped, np.maximum(row_share, 1.0), row_share), seen.aisle_airflow_share)
        before = self._admitted
        self._admitted = admitted(seen, self._knobs, risk, before, demand)
        # For the sake of a row clocks fall no lower than the demand can bear: other models and opaque VMs give the rest.
        serving = self._serving_clock(seen)
        wanted = np.minimum(thermal, np.maximum(self._row_clock(seen), serving))
        lowest = np.maximum(self._clock - self._knobs.step_down_share, self._knobs.lowest_clock_share)
        # Up slowly, but at once to what serves the demand: a queue does not wait for clocks.
        highest = np.maximum(self._clock + self._knobs.step_up_share, np.minimum(serving, thermal))
        self._clock = np.clip(wanted, lowest, np.minimum(highest, CLOCK_HIGH))
        self._allowed = self._left(seen, air_c, bound_c, thermal, serving)
        self._caps.expect(Coming(seen.instance_first_gpu, seen.instance_gpus, serving, self._coming_w(seen, before)))
        self._was_on = seen.state == ON

    # -- what is known -------------------------------------------------------

    def _at_work(self, seen: ServingObservation) -> Bools:
        at_work_w = _AT_WORK * self._knobs.idle_power_share * seen.gpu_tdp_w
        return np.asarray((seen.state == ON) & (seen.gpu_power_w > at_work_w) & (seen.t_s > 0.0))

    def _learn(self, seen: ServingObservation) -> None:
        # Temperature and power of the same tick: means and maxima over a window do not belong together.
        busy = self._at_work(seen)
        self._rise_model.learn(seen.gpu_power_w / seen.gpu_tdp_w, seen.gpu_temp_max_c - seen.inlet_c, busy)
        # One that was spared has drained and says nothing about what it draws under load.
        idle_w = self._knobs.idle_power_share * seen.gpu_tdp_w
        left = power_share(np.clip(seen.speed_share, 0.2, 1.0))
        full_w = np.minimum(idle_w + np.maximum(seen.gpu_power_w - idle_w, 0.0) / left, seen.gpu_tdp_w)
        self._full_w = _smoothed(self._full_w, full_w, busy & self._asked())
        self._row_w = np.maximum(seen.row_power_w, self._row_w + _SMOOTHING * (seen.row_power_w - self._row_w))

    def _bound_c(self, seen: ServingObservation) -> Floats:
        target = self._bounds.server_c(seen.t_s, self._knobs.horizon_s)[seen.instance_server]
        return np.minimum(seen.gpu_limit_c, target)

    # -- clocks --------------------------------------------------------------

    def _thermal_clock(self, air_c: Floats, bound_c: Floats) -> Floats:
        """Return the highest clock at which each instance stays below its bound whatever it is asked, shape I.

        A burst fills an instance with prefill, which draws the rated power, and heats it within one tick: no decision
        of the next window comes in time, and what was drawn so far says nothing. So the bound must hold at rated power.
        """
        knobs = self._knobs
        grid = np.append(np.arange(knobs.lowest_clock_share, 1.0 - 1e-9, _GRID_STEP), 1.0)[:, None]
        drawn = knobs.idle_power_share + (1.0 - knobs.idle_power_share) * power_share(grid)
        hottest = air_c + self._rise_model.rise_c(drawn)
        room = bound_c - knobs.temperature_margin_c - np.where(grid > self._clock, knobs.hysteresis_c, 0.0)
        fits = hottest <= room
        highest = np.where(fits, grid, 0.0).max(axis=0)
        return np.asarray(np.maximum(highest, knobs.lowest_clock_share))

    def _row_clock(self, seen: ServingObservation) -> Floats:
        """Return the highest clock at which each instance's row stays within its power, shape I."""
        share = self._row_share(seen)
        return np.where(share < 1.0, clock_for(np.clip(share, 0.0, 1.0)), 1.0)

    def _row_share(self, seen: ServingObservation) -> Floats:
        """Return which share of its power over idle at full clock each instance's row leaves it, shape I; may be below 0."""
        rows, bound_w = len(seen.row_budget_w), self._row_bound_w(seen)
        idle_w = self._knobs.idle_power_share * seen.gpu_tdp_w
        full_w = np.maximum(self._full_w - idle_w, 0.0) * seen.instance_gpus
        if self._knobs.widths:
            # Of slots that share GPUs only one draws.
            full_w = np.where(seen.state != OFF, full_w, 0.0)
        left = power_share(np.clip(seen.speed_share, 0.2, 1.0))
        at_full = np.bincount(seen.instance_row, weights=full_w, minlength=rows)
        now = np.bincount(seen.instance_row, weights=full_w * left, minlength=rows)
        share: Floats = (now + bound_w - self._row_w) / np.maximum(at_full, 1.0)
        return share[seen.instance_row]

    def _row_bound_w(self, seen: ServingObservation) -> Floats:
        """Return the power that configuration keeps each row within, shape R."""
        target_w = self._bounds.row_w(seen.t_s, self._knobs.horizon_s)
        return np.asarray(np.minimum(seen.row_budget_w, target_w) * (1.0 - self._knobs.power_margin_share))

    def _serving_clock(self, seen: ServingObservation) -> Floats:
        """Return the lowest clock at which each instance's endpoint carries its demand, queues and recent peaks included, shape I."""
        knobs, demand = self._knobs, self._reconfiguration.demand
        out = np.full(len(seen.state), knobs.emergency_clock_share)
        for endpoint in range(len(seen.endpoint_ids)):
            members = np.flatnonzero((seen.instance_endpoint == endpoint) & (seen.state == ON) & self._asked())
            if len(members) and demand.known(endpoint):
                now_per_s = (1.0 + knobs.emergency_headroom_share) * demand.now_per_s(seen, endpoint)
                needed_per_s = max(demand.highest_per_s[endpoint], now_per_s) + float(seen.queued[members].sum()) / seen.window_s
                goodput = goodput_per_s(seen, members, demand.mix(seen, endpoint), CLOCKS)
                out[seen.instance_endpoint == endpoint] = max(serving_clock(goodput, needed_per_s), knobs.emergency_clock_share)
        return out

    def _asked(self) -> Bools:
        """Return which instances take requests, shape I: where nobody asks whom to spare, nobody is spared."""
        return np.asarray(self._admitted | (not self._routes))

    def _coming_w(self, seen: ServingObservation, before: Bools) -> Floats:
        """Return what a GPU of each instance that is asked again from now on may draw over idle at full clock, shape I."""
        serves = (seen.state == ON) & self._asked()
        new = serves & ~(before & self._was_on) & (seen.t_s > 0.0)
        return np.where(new, np.maximum(seen.gpu_tdp_w - IDLE_W, 0.0), 0.0)

    def _left(self, seen: ServingObservation, air_c: Floats, bound_c: Floats, thermal: Floats, serving: Floats) -> Allowed:
        """Return what the bounds leave each instance beside its clock: watts, and whether the lowest clock is too high for them."""
        knobs, tdp_w = self._knobs, seen.gpu_tdp_w
        lowest = power_share(np.array(knobs.lowest_clock_share))
        idle_w = knobs.idle_power_share * tdp_w
        room_c = bound_c - knobs.temperature_margin_c - air_c
        share = self._row_share(seen)
        # What caps leave managed GPUs while opaque ones give nothing counts where a row is being capped.
        capped = self._caps.managed_share(len(seen.row_ids))[seen.instance_row]
        share = np.where(capped < 1.0, np.minimum(share, capped), share)
        by_row_w = np.where(share < 1.0, idle_w + np.maximum(share, 0.0) * np.maximum(self._full_w - idle_w, 0.0), np.inf)
        too_hot = (thermal <= knobs.lowest_clock_share) & (self._rise_model.rise_c((idle_w + lowest * (tdp_w - idle_w)) / tdp_w) > room_c)
        known, short = seen.t_s > 0.0, share < np.maximum(lowest, np.where(capped < 1.0, power_share(serving), 0.0))
        rise = self._rise_model.coefficients
        return Allowed(self._clock, by_row_w, room_c, (too_hot | short) & known, short & known, self._asked(), rise)

    # -- memory --------------------------------------------------------------

    def snapshot(self) -> State:
        """Return everything that the next decision depends on."""
        kept = {name.lstrip("_"): getattr(self, name).copy() for name in _ARRAYS}
        return {
            **kept,
            "decided_s": self._decided_s,
            "routes": self._routes,
            "reconfiguration": self._reconfiguration.snapshot(),
            "widths": self._widths.snapshot(),
            "rise_model": self._rise_model.snapshot(),
            "caps": self._caps.snapshot(),
        }

    def restore(self, state: State) -> None:
        """Take back a snapshot."""
        self._begin(len(state["clock"]))
        for name in _ARRAYS:
            setattr(self, name, np.array(state[name.lstrip("_")]))
        self._decided_s, self._routes = float(state["decided_s"]), bool(state["routes"])
        self._reconfiguration.restore(state["reconfiguration"])
        self._widths.restore(state["widths"])
        self._rise_model.restore(state["rise_model"])
        self._caps.restore(state["caps"])


def _smoothed(before: Floats, now: Floats, which: Bools) -> Floats:
    # Nothing remembered yet: begin with what is seen.
    eased = np.where(before > 0.0, before + _SMOOTHING * (now - before), now)
    return np.where(which, eased, before)
