"""The objectives in force: each endpoint's own, or tighter ones asked for."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from policies.system import Surroundings, Target

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
TTFT: Final = "serving.ttft_p99_s"
ATGT: Final = "serving.atgt_p99_s"
ATTAINMENT: Final = "serving.slo_attainment_share"
_LEAST_TAIL: Final = 0.0005


class Goals:
    """Bounds per endpoint at a time of the run. Bounds scoped to places and not to endpoints are not for Aladdin to keep."""

    def __init__(self, targets: Sequence[Target], around: Surroundings) -> None:
        self._clock = around.clock
        kept = [target for target in targets if (target.metric, target.op) in {(TTFT, "<="), (ATGT, "<="), (ATTAINMENT, ">=")}]
        self._targets = [(target, target.bounds(around.endpoint_ids)) for target in kept]

    def ttft_s(self, slo_s: Floats, t_s: float, ahead_s: float) -> Floats:
        """Return the lowest bound on the time to the first token now or within ``ahead_s``, shape E."""
        return self._tightened(TTFT, slo_s, t_s, ahead_s)

    def atgt_s(self, slo_s: Floats, t_s: float, ahead_s: float) -> Floats:
        """Return the lowest bound on the time per token, shape E."""
        return self._tightened(ATGT, slo_s, t_s, ahead_s)

    def tail_share(self, share: float, endpoints: int, t_s: float, ahead_s: float) -> Floats:
        """Return the share of requests that may miss an objective, shape E: half of what attainment leaves goes to each."""
        tail = np.full(endpoints, share)
        for target, where in self._in_force(ATTAINMENT, t_s, ahead_s):
            tail[where] = np.minimum(tail[where], max(0.5 * (1.0 - target.bound), _LEAST_TAIL))
        return tail

    def _tightened(self, metric: str, slo_s: Floats, t_s: float, ahead_s: float) -> Floats:
        bound = np.array(slo_s, dtype=np.float64)
        for target, where in self._in_force(metric, t_s, ahead_s):
            bound[where] = np.minimum(bound[where], target.bound)
        return np.maximum(bound, 1e-4)

    def _in_force(self, metric: str, t_s: float, ahead_s: float) -> list[tuple[Target, Bools]]:
        return [pair for pair in self._targets if pair[0].metric == metric and pair[0].in_force(self._clock, t_s, ahead_s)]
