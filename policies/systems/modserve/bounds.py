"""Which objectives and how many GPUs the targets leave each endpoint."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from policies.system import Surroundings, Target

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
TTFT: Final = "serving.ttft_p99_s"
IMAGE_TTFT: Final = "serving.image_ttft_p99_s"
GPUS: Final = "serving.gpus_mean"
COST: Final = "serving.cost_usd_per_h"


class Bounds:
    """The targets of a policy set, as bounds per endpoint at a time of the run. A place that is no endpoint bounds nothing."""

    def __init__(self, targets: Sequence[Target], around: Surroundings, ahead_s: float) -> None:
        self._clock, self._endpoints, self._ahead_s = around.clock, len(around.endpoint_ids), ahead_s
        upper = [(target, target.bounds(around.endpoint_ids)) for target in targets if target.op == "<="]
        self._targets = [(target, where) for target, where in upper if where.any()]

    def tightened_s(self, metric: str, objective_s: Floats, t_s: float) -> Floats:
        """Return the objectives, shape E, none longer than a target on the metric that holds now or at the next sizing."""
        bound = objective_s.copy()
        for target, where in self._targets:
            if target.metric == metric and self._in_force(target, t_s):
                bound[where] = np.minimum(bound[where], target.bound)
        return bound

    def most_gpus(self, t_s: float, asked: Floats, usd_per_gpu_h: Floats) -> Floats:
        """Return how many GPUs each endpoint may hold, shape E, infinite where nothing bounds it.

        Endpoints that share a bound divide it as ``asked``, the GPUs they would hold. Cost goes by the mean price of their GPUs.
        """
        most = np.full(self._endpoints, np.inf)
        for target, where in self._targets:
            if target.metric not in {GPUS, COST} or not self._in_force(target, t_s):
                continue
            each = usd_per_gpu_h if target.metric == COST else np.ones(self._endpoints)
            spent = float((asked * each)[where].sum())
            if spent > 0.0:
                most[where] = np.minimum(most[where], asked[where] * target.bound / spent)
        return most

    def _in_force(self, target: Target, t_s: float) -> bool:
        return target.in_force(self._clock, t_s, self._ahead_s)
