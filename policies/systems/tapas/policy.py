"""TAPAS decides: route away from heat first, then clocks, then caps."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from policies.baselines.clocks import clock_for, power_share
from policies.system import Surroundings
from policies.systems.tapas.bounds import Bounds
from policies.systems.tapas.emergency import Caps
from policies.systems.tapas.knobs import TapasKnobs
from policies.systems.tapas.routing import Heat, Spared
from policies.systems.tapas.thermal import RiseModel
from twin.plant.levers import EmergencyAction, PlantObservation
from twin.serving.levers import CLOCK_HIGH, ON, ConfigAction, ServingObservation
from twin.stack import State

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
# Power and rise are smoothed over about five windows before they teach; peaks, which bursts bring, fade over hours.
_SMOOTHING: Final = 0.2
_PEAK_FADES: Final = 0.99
_FEAR_EASES: Final = 0.4
_TREND_SMOOTHING: Final = 0.05
_TREND_LIMIT_C: Final = 1.0
_GRID_STEP: Final = 0.02
_ARRAYS: Final = ("_clock", "_full_w", "_feared_w", "_drawn_w", "_rise_c", "_peak_c", "_trend_c_per_s", "_last_c", "_row_w")


class Tapas:
    """Keeps every GPU and row inside its bounds with as little loss of speed as its instances allow.

    It guards routing (strikes out instances that would run too hot) and configuration (lowers clocks of those that still
    would), and holds the emergency lever (caps at once, opaque VMs last). An aisle short of air shows as warmer inlets.
    """

    def __init__(self, knobs: TapasKnobs, surroundings: Surroundings) -> None:
        self._knobs = knobs
        self._bounds = Bounds(knobs.targets, surroundings)
        self._caps = Caps(knobs, self._bounds)
        self._decided_s = -1.0
        self._row_w = np.zeros(len(surroundings.row_ids))
        self._begin(0)

    def _begin(self, instances: int) -> None:
        self._rise_model = RiseModel(instances)
        self._clock = np.ones(instances)
        self._full_w = np.zeros(instances)
        self._feared_w = np.zeros(instances)
        self._drawn_w = np.zeros(instances)
        self._rise_c = np.zeros(instances)
        self._peak_c = np.zeros(instances)
        self._trend_c_per_s = np.zeros(instances)
        self._last_c = np.full(instances, np.nan)
        self._spared = Spared(instances)

    def admit(self, seen: ServingObservation) -> Bools:
        """Return which instances may take new requests, shape I."""
        self._decide(seen)
        return self._spared.admitted.copy()

    def narrow_config(self, seen: ServingObservation, action: ConfigAction) -> ConfigAction:
        """Return clocks that are nowhere higher than those given; batch limits are left."""
        self._decide(seen)
        return ConfigAction(np.minimum(action.clock_share, self._clock), action.max_batch)

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
        bound_c = self._bound_c(seen)
        self._spared.decide(seen, self._knobs, Heat(self._full_w, lambda full_w: self._hottest_c(seen, full_w), bound_c))
        wanted = np.minimum(self._thermal_clock(seen, bound_c), self._row_clock(seen))
        lowest = np.maximum(self._clock - self._knobs.step_down_share, self._knobs.lowest_clock_share)
        self._clock = np.clip(wanted, lowest, np.minimum(self._clock + self._knobs.step_up_share, CLOCK_HIGH))

    # -- what is known -------------------------------------------------------

    def _learn(self, seen: ServingObservation) -> None:
        # One that was spared has drained and says nothing about how hot it runs under load.
        busy = (seen.state == ON) & self._spared.admitted & (seen.t_s > 0.0)
        idle_w = self._knobs.idle_power_share * seen.gpu_tdp_w
        left = power_share(np.clip(seen.speed_share, 0.2, 1.0))
        full_w = idle_w + np.maximum(seen.gpu_power_w - idle_w, 0.0) / left
        full_w = np.minimum(full_w, seen.gpu_tdp_w)
        self._full_w = _smoothed(self._full_w, full_w, busy)
        # One that starts or comes back meets whatever has queued up: its rating is feared until it shows less.
        eased = np.maximum(self._full_w, self._feared_w + _FEAR_EASES * (self._full_w - self._feared_w))
        self._feared_w = np.where(busy, np.where(self._feared_w > 0.0, eased, self._full_w), seen.gpu_tdp_w)
        self._drawn_w = _smoothed(self._drawn_w, seen.gpu_power_w, busy)
        peak_c = seen.gpu_temp_window_max_c - seen.inlet_c
        self._rise_c = _smoothed(self._rise_c, peak_c, busy)
        load = self._drawn_w / seen.gpu_tdp_w
        self._rise_model.learn(load, self._rise_c, busy)
        most_c = self._rise_model.rise_c(np.ones_like(load)) - self._rise_model.rise_c(load)
        above = np.clip(peak_c - self._rise_model.rise_c(load), 0.0, np.maximum(most_c, 0.0))
        # Peaks are kept as they would be at full clock, since they shrink with it.
        self._peak_c = np.maximum(_PEAK_FADES * self._peak_c, np.where(busy, _shared_peaks(seen, above / left), 0.0))
        self._follow(seen, busy)
        self._row_w = np.maximum(seen.row_power_w, self._row_w + _SMOOTHING * (seen.row_power_w - self._row_w))

    def _follow(self, seen: ServingObservation, busy: Bools) -> None:
        """Track how fast the temperature at full clock drifts with the day."""
        level_c = seen.inlet_c + self._rise_model.rise_c(self._full_w / seen.gpu_tdp_w)
        known = busy & np.isfinite(self._last_c)
        slope = np.where(known, level_c - self._last_c, 0.0) / max(seen.window_s, 1.0)
        self._trend_c_per_s = np.where(known, self._trend_c_per_s + _TREND_SMOOTHING * (slope - self._trend_c_per_s), self._trend_c_per_s)
        self._last_c = np.where(busy, level_c, np.nan)

    def _drift_c(self) -> Floats:
        return np.clip(self._trend_c_per_s * self._knobs.horizon_s, 0.0, _TREND_LIMIT_C)

    def _hottest_c(self, seen: ServingObservation, full_w: Floats) -> Floats:
        """Return the hottest GPU of each instance at full clock if it drew ``full_w`` per GPU; the last axis is I."""
        return seen.inlet_c + self._drift_c() + self._peak_c + self._rise_model.rise_c(full_w / seen.gpu_tdp_w)

    def _bound_c(self, seen: ServingObservation) -> Floats:
        target = self._bounds.server_c(seen.t_s, self._knobs.horizon_s)[seen.instance_server]
        return np.minimum(seen.gpu_limit_c, target)

    # -- clocks --------------------------------------------------------------

    def _thermal_clock(self, seen: ServingObservation, bound_c: Floats) -> Floats:
        """Return the highest clock at which each instance stays below its bound, shape I."""
        knobs = self._knobs
        grid = np.append(np.arange(knobs.lowest_clock_share, 1.0 - 1e-9, _GRID_STEP), 1.0)[:, None]
        idle_w = knobs.idle_power_share * seen.gpu_tdp_w
        left = power_share(grid)
        drawn = (idle_w + np.maximum(self._feared_w - idle_w, 0.0) * left) / seen.gpu_tdp_w
        hottest = seen.inlet_c + self._drift_c() + self._rise_model.rise_c(drawn) + self._peak_c * left
        room = bound_c - knobs.temperature_margin_c - np.where(grid > self._clock, knobs.hysteresis_c, 0.0)
        fits = hottest <= room
        highest = np.where(fits, grid, 0.0).max(axis=0)
        return np.asarray(np.maximum(highest, knobs.lowest_clock_share))

    def _row_clock(self, seen: ServingObservation) -> Floats:
        """Return the highest clock at which each instance's row stays within its power, shape I."""
        knobs, rows = self._knobs, len(seen.row_budget_w)
        target_w = self._bounds.row_w(seen.t_s, knobs.horizon_s)
        bound_w = np.minimum(seen.row_budget_w, target_w) * (1.0 - knobs.power_margin_share)
        idle_w = knobs.idle_power_share * seen.gpu_tdp_w
        full_w = np.maximum(self._full_w - idle_w, 0.0) * seen.instance_gpus
        left = power_share(np.clip(seen.speed_share, 0.2, 1.0))
        at_full = np.bincount(seen.instance_row, weights=full_w, minlength=rows)
        now = np.bincount(seen.instance_row, weights=full_w * left, minlength=rows)
        share = (now + bound_w - self._row_w) / np.maximum(at_full, 1.0)
        clock: Floats = np.where(share < 1.0, clock_for(np.clip(share, 0.0, 1.0)), 1.0)
        return np.asarray(clock[seen.instance_row])

    # -- memory --------------------------------------------------------------

    def snapshot(self) -> State:
        """Return everything that the next decision depends on."""
        kept = {name.lstrip("_"): getattr(self, name).copy() for name in _ARRAYS}
        return {
            **kept,
            "decided_s": self._decided_s,
            "rise_model": self._rise_model.snapshot(),
            "caps": self._caps.snapshot(),
            "spared": self._spared.snapshot(),
        }

    def restore(self, state: State) -> None:
        """Take back a snapshot."""
        self._begin(len(state["clock"]))
        for name in _ARRAYS:
            setattr(self, name, np.array(state[name.lstrip("_")]))
        self._decided_s = float(state["decided_s"])
        self._rise_model.restore(state["rise_model"])
        self._caps.restore(state["caps"])
        self._spared.restore(state["spared"])


def _shared_peaks(seen: ServingObservation, peaks_c: Floats) -> Floats:
    """Return for each instance the highest peak among those of its endpoint on the same kind of GPU: a burst can hit any of them."""
    _, group = np.unique(np.stack([seen.instance_endpoint, seen.gpu_tdp_w.astype(np.int64)]), axis=1, return_inverse=True)
    highest = np.zeros(int(group.max(initial=0)) + 1)
    np.maximum.at(highest, group, peaks_c)
    return np.asarray(highest[group])


def _smoothed(before: Floats, now: Floats, which: Bools) -> Floats:
    # Nothing remembered yet: begin with what is seen.
    eased = np.where(before > 0.0, before + _SMOOTHING * (now - before), now)
    return np.where(which, eased, before)
