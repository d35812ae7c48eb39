"""What a row that is short of power sheds: managed GPUs first, to a point."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from policies.baselines.clocks import clock_for, power_share
from policies.systems.tapas.knobs import TapasKnobs
from twin.plant.levers import CLOCK_LOW, PlantObservation
from twin.stack import State

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
# Power of an idle GPU, whatever its model (H100 120 W and A100 82 W with a model loaded); opaque ones may hold less.
IDLE_W: Final = 100.0
# What GPUs of a capped row drew at their highest is forgotten with this time constant, what routing will bring them with that.
_HOLD_TAU_S: Final = 300.0
_COMING_TAU_S: Final = 90.0
_SMALL_W: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Coming:
    """What the last window says of the next ticks, n instances: where they sit, the clock at which their endpoint's demand is
    served, and the power per GPU over idle that those may now draw which were spared, off or loading until now.
    """

    first_gpu: Ints
    gpus: Ints
    floor_share: Floats
    full_w: Floats

    def at_gpus(self, values: Floats, otherwise: float, count: int) -> Floats:
        """Return the highest value of the instances at each GPU, shape G; slots of several widths share GPUs."""
        out = np.full(count, otherwise)
        at = np.repeat(self.first_gpu - np.concatenate([[0], np.cumsum(self.gpus)[:-1]]), self.gpus) + np.arange(int(self.gpus.sum()))
        np.maximum.at(out, at.astype(np.int64), np.repeat(values, self.gpus))
        return out


class Shedding:
    """Power that rows over their bounds must do without, from the fewest and the least harmed.

    Every tick the power at full clock of a row's managed and opaque GPUs is estimated from what they draw and how fast they run;
    their highest of the last minutes must fit. Managed GPUs give down to the clock at which their endpoint is still served, then
    opaque ones give down to theirs, then all alike. Shapes: G GPUs, R rows.
    """

    def __init__(self, knobs: TapasKnobs) -> None:
        self._knobs = knobs
        self._short = np.zeros(0, dtype=np.bool_)
        self._held_w = np.zeros((2, 0))
        self._coming_w = np.zeros(0)
        self.floor_share = np.zeros(0)
        self.managed_share = np.zeros(0)

    def expect(self, coming: Coming, count: int) -> None:
        """Take what the last window says of G GPUs."""
        self._begin(count, 0)
        self.floor_share = coming.at_gpus(coming.floor_share, self._knobs.emergency_clock_share, count)
        self._coming_w = np.maximum(self._coming_w, coming.at_gpus(coming.full_w, 0.0, count))

    def _begin(self, gpus: int, rows: int) -> None:
        if len(self.floor_share) != gpus:
            self.floor_share, self._coming_w = np.full(gpus, self._knobs.emergency_clock_share), np.zeros(gpus)
        if rows and len(self._short) != rows:
            self._short, self._held_w, self.managed_share = np.zeros(rows, dtype=np.bool_), np.zeros((2, rows)), np.ones(rows)

    def clocks(self, seen: PlantObservation, bound_w: Floats) -> Floats:
        """Return the clock that each GPU's row leaves it, shape G; 1 in rows that have enough."""
        knobs, rows, gpu_rows = self._knobs, len(bound_w), seen.server_rows[seen.gpu_servers]
        self._begin(len(gpu_rows), rows)
        self._coming_w *= np.exp(-seen.tick_s / _COMING_TAU_S)
        used = np.maximum(power_share(seen.gpu_clock_share), 0.05)
        dynamic = np.maximum(seen.gpu_power_w - IDLE_W, 0.0)
        full = np.maximum(dynamic / used, np.where(seen.gpu_opaque, 0.0, self._coming_w))
        base = seen.row_power_w - np.bincount(gpu_rows, weights=dynamic, minlength=rows)
        soon = base + np.bincount(gpu_rows, weights=full * used, minlength=rows)
        over = soon > bound_w * (1.0 - 0.5 * knobs.emergency_power_margin_share)
        if not (over | self._short).any():
            self.managed_share[:] = 1.0
            return np.ones(len(gpu_rows))
        room = np.maximum(bound_w * (1.0 - knobs.emergency_power_margin_share) - base, 0.0)
        managed = np.where(seen.gpu_opaque, 0.0, full)
        floor = power_share(np.clip(self.floor_share, CLOCK_LOW, 1.0))
        sums = [np.bincount(gpu_rows, weights=each, minlength=rows) for each in (managed, full - managed, managed * floor)]
        self._held_w = np.where(self._short, np.maximum(sums[:2], self._held_w * np.exp(-seen.tick_s / _HOLD_TAU_S)), sums[:2])
        self._short = over | (self._short & (self._held_w.sum(axis=0) > room))
        most, opaque = self._held_w
        least = sums[2] * most / np.maximum(sums[0], _SMALL_W)
        grown = np.clip((room - opaque - least) / np.maximum(most - least, _SMALL_W), 0.0, 1.0)
        kept = least + grown * (most - least)
        lowest = power_share(np.array(knobs.emergency_opaque_clock_share))
        rented = np.clip((room - kept) / np.maximum(opaque, _SMALL_W), lowest, 1.0)
        alike = np.clip(room / np.maximum(kept + rented * opaque, _SMALL_W), 0.0, 1.0)
        self.managed_share = np.where(self._short, np.clip((room - opaque) / np.maximum(most, _SMALL_W), 0.0, 1.0), 1.0)
        share = alike[gpu_rows] * np.where(seen.gpu_opaque, rented[gpu_rows], floor + grown[gpu_rows] * (1.0 - floor))
        return np.where(self._short[gpu_rows], clock_for(share), 1.0)

    def snapshot(self) -> State:
        """Return what the next tick depends on."""
        names = ("short", "held_w", "coming_w")
        kept = {name: getattr(self, f"_{name}").copy() for name in names}
        return {**kept, "managed_share": self.managed_share.copy(), "floor_share": self.floor_share.copy()}

    def restore(self, state: State) -> None:
        """Take back what the next tick depends on."""
        for name in ("short", "held_w", "coming_w"):
            setattr(self, f"_{name}", np.array(state[name]))
        self.managed_share, self.floor_share = np.array(state["managed_share"]), np.array(state["floor_share"])


def feeds_bound_w(seen: PlantObservation) -> Floats:
    """Return the power at which each row's UPS units and PDUs would just carry what is in force of them, shape R.

    Rows that hang on one overloaded feed are bounded alike, by its rating over its load; who hangs on it only in part is too.
    """
    ups, pdus = (_ratio(rated, load) for rated, load in ((seen.ups_rated_w, seen.ups_load_w), (seen.pdu_rated_w, seen.pdu_load_w)))
    if min(float(ups.min(initial=np.inf)), float(pdus.min(initial=np.inf))) > 1.1:
        return np.full(len(seen.row_power_w), np.inf)
    behind = np.where((seen.pdu_ups_share > 0.0) & (seen.ups_rated_w > 0.0), ups, np.inf).min(axis=1)
    each = np.where(seen.pdu_rated_w > 0.0, np.minimum(pdus, behind), np.inf)
    return np.asarray(seen.row_power_w * each[seen.row_pdus].min(axis=1))


def _ratio(rated_w: Floats, load_w: Floats) -> Floats:
    return np.where((rated_w > 0.0) & (load_w > 0.0), rated_w / np.maximum(load_w, 1.0), np.inf)
