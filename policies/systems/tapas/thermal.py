"""The rise of each instance over its inlet, learned online."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from twin.stack import State

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
# Before anything is seen: 3 C of preheat and 45 C over the inlet at rated power, about right for air-cooled H100 and A100.
_PRIOR: Final = (3.0, 45.0)
_PRIOR_SPREAD: Final = (4.0, 400.0)
_LOW: Final = np.array([-10.0, 15.0])
_HIGH: Final = np.array([20.0, 95.0])
_SPREAD_LIMIT: Final = 2000.0
FORGETTING: Final = 0.985


class RiseModel:
    """``rise = a + b * power / rating`` of each instance, by recursive least squares with forgetting.

    The linear form is equation 2 of TAPAS (GPU temperature over inlet and power). Shapes: I instances.
    """

    def __init__(self, instances: int) -> None:
        self.coefficients = np.tile(np.array(_PRIOR), (instances, 1))
        self._spread = np.tile(np.diag(_PRIOR_SPREAD), (instances, 1, 1))
        self.error_c = np.zeros(instances)

    def learn(self, load: Floats, rise_c: Floats, which: Bools) -> None:
        """Take one observation of power over rating and of the rise, shape I, where ``which`` says so."""
        x = np.stack([np.ones_like(load), load], axis=1)
        gain = np.einsum("ijk,ik->ij", self._spread, x)
        gain /= (FORGETTING + np.einsum("ij,ij->i", x, gain))[:, None]
        error = rise_c - self.rise_c(load)
        learned = np.clip(self.coefficients + gain * error[:, None], _LOW, _HIGH)
        spread = (self._spread - gain[:, :, None] * np.einsum("ij,ijk->ik", x, self._spread)[:, None, :]) / FORGETTING
        # Without change in load the spread would grow without end; then new noise would be taken for news.
        trace = np.trace(spread, axis1=1, axis2=2)
        spread *= np.minimum(1.0, _SPREAD_LIMIT / np.maximum(trace, 1e-12))[:, None, None]
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
