"""The objectives in force: each endpoint's own, or tighter ones asked for."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from policies.system import Surroundings, Target
from twin.clock import Clock

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
TTFT: Final = "serving.ttft_p99_s"
ATGT: Final = "serving.atgt_p99_s"
ATTAINMENT: Final = "serving.slo_attainment_share"
_MONDAY: Final = datetime(2024, 1, 1, tzinfo=UTC)
_LEAST_TAIL: Final = 0.0005


class Goals:
    """Bounds per endpoint at a time of the run. Bounds scoped to places and not to endpoints are not for Aladdin to keep."""

    def __init__(self, targets: Sequence[Target], around: Surroundings) -> None:
        self._clock = Clock(_MONDAY + timedelta(days=around.start_weekday, hours=around.start_hour))
        count = len(around.endpoint_ids)
        self._targets: list[tuple[Target, Bools]] = []
        for target in targets:
            if (target.metric, target.op) not in {(TTFT, "<="), (ATGT, "<="), (ATTAINMENT, ">=")}:
                continue
            named = [spec.id for spec in target.scope if spec.kind == "endpoint"]
            where = np.array([not target.scope or name in named for name in around.endpoint_ids], dtype=np.bool_).reshape(count)
            self._targets.append((target, where))

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
        # By whole minutes, as windows are written.
        minute_s = 60.0 * (t_s // 60.0)
        times = np.append(np.arange(minute_s, minute_s + ahead_s, 60.0), minute_s + max(ahead_s, 59.0))
        return [pair for pair in self._targets if pair[0].metric == metric and self._clock.inside(times, pair[0].window).any()]
