"""Caps at once: managed GPUs first, opaque ones where nothing else helps."""

import numpy as np
from numpy.typing import NDArray

from policies.baselines.clocks import clock_for, power_share
from policies.systems.tapas.bounds import Bounds
from policies.systems.tapas.knobs import TapasKnobs
from policies.systems.tapas.shedding import IDLE_W, Coming, Shedding, feeds_bound_w
from twin.plant.levers import CLOCK_LOW, PlantObservation
from twin.stack import State

Floats = NDArray[np.float64]
# Caps begin this long before a target's window: about four time constants of a heat sink.
LAG_S = 120.0
_TAU_S = 10.0


class Caps:
    """One cap per GPU, set from how far it or its row is over, given back slowly."""

    def __init__(self, knobs: TapasKnobs, bounds: Bounds) -> None:
        self._knobs, self._bounds = knobs, bounds
        self._shedding = Shedding(knobs)
        self._coming: Coming | None = None
        self._cap = np.ones(0)
        self._temp_c = np.zeros(0)

    def expect(self, coming: Coming) -> None:
        """Take what a window says of the ticks that follow."""
        self._coming = coming

    def managed_share(self, rows: int) -> Floats:
        """Return which share of their power over idle at full clock rows leave managed GPUs while opaque ones give nothing, shape R."""
        known = self._shedding.managed_share
        return known if len(known) == rows else np.ones(rows)

    def decide(self, seen: PlantObservation) -> Floats:
        """Return the highest clock of each GPU during the next tick, shape G."""
        if len(self._cap) != len(seen.gpu_temp_c):
            self._cap = np.ones(len(seen.gpu_temp_c))
            self._temp_c = seen.gpu_temp_c.copy()
        target_c = self._bounds.server_c(seen.t_s, LAG_S)[seen.gpu_servers]
        bound_c = np.minimum(seen.gpu_limit_c, target_c) - self._knobs.emergency_margin_c
        bound_w = np.minimum(np.minimum(seen.row_budget_w, self._bounds.row_w(seen.t_s, LAG_S)), feeds_bound_w(seen))
        # Where it will be one tick from now: what is left of a rise falls off with the die's and sink's time constant, so
        # that a burst which has already heated its GPU is not capped for as much again.
        ahead_c = seen.gpu_temp_c + np.maximum(seen.gpu_temp_c - self._temp_c, 0.0) * np.exp(-seen.tick_s / _TAU_S)
        self._temp_c = seen.gpu_temp_c.copy()
        if self._coming is not None:
            self._shedding.expect(self._coming, len(self._cap))
            self._coming = None
        power = self._shedding.clocks(seen, bound_w)
        if bool((ahead_c <= bound_c).all()) and bool((self._cap >= 1.0).all()) and bool((power >= 1.0).all()):
            return self._cap.copy()
        heat, cool = self._heat(seen, ahead_c, bound_c)
        eased = np.minimum(self._cap + self._knobs.emergency_release_per_s * seen.tick_s, 1.0)
        # Managed GPUs come back at once to where their demand is served.
        eased = np.maximum(eased, np.where(seen.gpu_opaque, 0.0, self._shedding.floor_share))
        held = np.where(cool, eased, self._cap)
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

    def snapshot(self) -> State:
        """Return the caps in force."""
        return {"cap": self._cap.copy(), "temp_c": self._temp_c.copy(), "shedding": self._shedding.snapshot()}

    def restore(self, state: State) -> None:
        """Take back the caps in force."""
        self._cap = np.array(state["cap"], dtype=np.float64)
        self._temp_c = np.array(state["temp_c"], dtype=np.float64)
        self._shedding.restore(state["shedding"])
