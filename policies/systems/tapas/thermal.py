"""The rise of each instance over its inlet, learned online."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from twin.stack import State

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
# Before anything is seen: 15 C at no power and 40 C more at rated power, what a badly placed air-cooled A100 would do.
PRIOR: Final = (15.0, 40.0)
_PRIOR_SPREAD: Final = np.diag([100.0, 400.0])
# Coefficients wander: fans speed up with heat and flatten the line as the day warms. One observation is good to about 0.5 C.
_WANDER: Final = np.diag([0.02, 0.2])
_NOISE_C2: Final = 0.25
_SLOPE_LOW: Final = 8.0
_SLOPE_HIGH: Final = 90.0


class RiseModel:
    """``rise = a + b * power / rating`` of each instance, by recursive least squares.

    The linear form is equation 2 of TAPAS (GPU temperature over inlet and power). Old observations are forgotten by
    letting the coefficients wander, up to what was known at first, so that a steady load teaches nothing false.
    Shapes: I instances.
    """

    def __init__(self, instances: int) -> None:
        self.coefficients = np.tile(np.array(PRIOR), (instances, 1))
        self._spread = np.tile(_PRIOR_SPREAD, (instances, 1, 1))
        self.error_c = np.zeros(instances)

    def learn(self, load: Floats, rise_c: Floats, which: Bools) -> None:
        """Take one observation of power over rating and of the rise, shape I, where ``which`` says so."""
        x = np.stack([np.ones_like(load), load], axis=1)
        spread = self._spread + _WANDER
        gain = np.einsum("ijk,ik->ij", spread, x)
        gain /= (_NOISE_C2 + np.einsum("ij,ij->i", x, gain))[:, None]
        error = rise_c - self.rise_c(load)
        learned = self.coefficients + gain * error[:, None]
        # A slope outside what hardware can do is cut, and the line moved so that it still meets what was seen.
        slope = np.clip(learned[:, 1], _SLOPE_LOW, _SLOPE_HIGH)
        learned[:, 0] += (learned[:, 1] - slope) * load
        learned[:, 1] = slope
        spread -= gain[:, :, None] * np.einsum("ij,ijk->ik", x, spread)[:, None, :]
        most = np.trace(_PRIOR_SPREAD) / np.maximum(np.trace(spread, axis1=1, axis2=2), 1e-12)
        spread *= np.minimum(1.0, most)[:, None, None]
        self.coefficients = np.where(which[:, None], learned, self.coefficients)
        self._spread = np.where(which[:, None, None], spread, self._spread)
        self.error_c = np.where(which, 0.95 * self.error_c + 0.05 * np.abs(error), self.error_c)

    def rise_c(self, load: Floats) -> Floats:
        """Return the rise over the inlet at a power over rating; the last axis is I."""
        return np.asarray(self.coefficients[:, 0] + self.coefficients[:, 1] * load)

    def snapshot(self) -> State:
        """Return what was learned."""
        return {"coefficients": self.coefficients.copy(), "spread": self._spread.copy(), "error_c": self.error_c.copy()}

    def restore(self, state: State) -> None:
        """Take back what was learned."""
        self.coefficients = np.array(state["coefficients"], dtype=np.float64)
        self._spread = np.array(state["spread"], dtype=np.float64)
        self.error_c = np.array(state["error_c"], dtype=np.float64)
