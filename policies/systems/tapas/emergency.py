"""Caps at once: managed GPUs first, opaque ones where nothing else helps."""

import numpy as np
from numpy.typing import NDArray

from policies.baselines.clocks import clock_for, power_share
from policies.systems.tapas.bounds import Bounds
from policies.systems.tapas.knobs import TapasKnobs
from twin.plant.levers import CLOCK_LOW, PlantObservation
from twin.stack import State

Floats = NDArray[np.float64]
# Power of an idle GPU, whatever its model (H100 120 W and A100 82 W with a model loaded); opaque ones may hold less.
IDLE_W = 100.0
# Caps begin this long before a target's window: about four time constants of a heat sink.
LAG_S = 120.0
_TAU_S = 10.0
_RELEASE_BELOW = 0.96


class Caps:
    """One cap per GPU, set from how far it or its row is over, given back slowly."""

    def __init__(self, knobs: TapasKnobs, bounds: Bounds) -> None:
        self._knobs, self._bounds = knobs, bounds
        self._cap = np.ones(0)
        self._temp_c = np.zeros(0)

    def decide(self, seen: PlantObservation) -> Floats:
        """Return the highest clock of each GPU during the next tick, shape G."""
        if len(self._cap) != len(seen.gpu_temp_c):
            self._cap = np.ones(len(seen.gpu_temp_c))
            self._temp_c = seen.gpu_temp_c.copy()
        target_c = self._bounds.server_c(seen.t_s, LAG_S)[seen.gpu_servers]
        bound_c = np.minimum(seen.gpu_limit_c, target_c) - self._knobs.emergency_margin_c
        bound_w = np.minimum(seen.row_budget_w, self._bounds.row_w(seen.t_s, LAG_S))
        # Where it will be one tick from now: what is left of a rise falls off with the die's and sink's time constant, so
        # that a burst which has already heated its GPU is not capped for as much again.
        ahead_c = seen.gpu_temp_c + np.maximum(seen.gpu_temp_c - self._temp_c, 0.0) * np.exp(-seen.tick_s / _TAU_S)
        self._temp_c = seen.gpu_temp_c.copy()
        calm = bool((ahead_c <= bound_c).all()) and bool((seen.row_power_w <= self._tolerated_w(bound_w)).all())
        if calm and bool((self._cap >= 1.0).all()):
            return self._cap.copy()
        heat, cool = self._heat(seen, ahead_c, bound_c)
        power, spare = self._power(seen, bound_w)
        eased = np.minimum(self._cap + self._knobs.emergency_release_per_s * seen.tick_s, 1.0)
        held = np.where(cool & spare, eased, self._cap)
        self._cap = np.clip(np.minimum(held, np.minimum(heat, power)), CLOCK_LOW, 1.0)
        return self._cap.copy()

    def _heat(self, seen: PlantObservation, ahead_c: Floats, bound_c: Floats) -> tuple[Floats, NDArray[np.bool_]]:
        """Return the clock that heat allows each GPU, and where a cap may be eased."""
        inlet_c = seen.inlet_c[seen.gpu_servers]
        allowed_w = seen.gpu_power_w * np.maximum(bound_c - inlet_c, 0.0) / np.maximum(ahead_c - inlet_c, 1.0)
        dynamic_w = np.maximum(seen.gpu_power_w - IDLE_W, 1.0)
        left = power_share(seen.gpu_clock_share) * np.maximum(allowed_w - IDLE_W, 0.0) / dynamic_w
        clock = np.where(ahead_c > bound_c, clock_for(np.clip(left, 0.0, 1.0)), 1.0)
        return clock, ahead_c < bound_c - self._knobs.hysteresis_c

    def _power(self, seen: PlantObservation, bound_w: Floats) -> tuple[Floats, NDArray[np.bool_]]:
        """Return the clock that each GPU's row allows, and where a cap may be eased."""
        rows = len(bound_w)
        gpu_rows = seen.server_rows[seen.gpu_servers]
        aim = bound_w * (1.0 - self._knobs.emergency_power_margin_share)
        over = seen.row_power_w > self._tolerated_w(bound_w)
        excess = np.where(over, seen.row_power_w - aim, 0.0)
        dynamic = np.maximum(seen.gpu_power_w - IDLE_W, 0.0)
        used = power_share(seen.gpu_clock_share)
        # What managed GPUs can give before their clocks are at the floor; only the rest is taken from opaque ones.
        floor = power_share(np.array(self._knobs.emergency_clock_share))
        can_give = np.where(seen.gpu_opaque, 0.0, dynamic * np.maximum(1.0 - floor / used, 0.0))
        given = np.bincount(gpu_rows, weights=can_give, minlength=rows)
        managed = np.minimum(excess / np.maximum(given, 1.0), 1.0)
        whole = np.bincount(gpu_rows, weights=dynamic - can_give, minlength=rows)
        everyone = np.minimum(np.maximum(excess - given, 0.0) / np.maximum(whole, 1.0), 1.0)
        kept = (dynamic - can_give * managed[gpu_rows]) * (1.0 - everyone[gpu_rows])
        clock = np.where(over[gpu_rows], clock_for(np.clip(used * kept / np.maximum(dynamic, 1.0), 0.0, 1.0)), 1.0)
        return clock, (seen.row_power_w < _RELEASE_BELOW * aim)[gpu_rows]

    def _tolerated_w(self, bound_w: Floats) -> Floats:
        """Return the power at which a row is capped: what is left to its bound is what load may add within a tick."""
        return bound_w * (1.0 - 0.5 * self._knobs.emergency_power_margin_share)

    def snapshot(self) -> State:
        """Return the caps in force."""
        return {"cap": self._cap.copy(), "temp_c": self._temp_c.copy()}

    def restore(self, state: State) -> None:
        """Take back the caps in force."""
        self._cap = np.array(state["cap"], dtype=np.float64)
        self._temp_c = np.array(state["temp_c"], dtype=np.float64)
