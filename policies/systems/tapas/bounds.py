"""Where and when which temperature and row power must not be exceeded."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from policies.system import Surroundings, Target
from twin.clock import Clock

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
TEMPERATURE: Final = "plant.gpu_temp_max_c"
ROW_POWER: Final = "plant.row_power_peak_w"
_MONDAY: Final = datetime(2024, 1, 1, tzinfo=UTC)


class Bounds:
    """The targets of a policy set, as bounds per server and per row at a time of the run."""

    def __init__(self, targets: Sequence[Target], around: Surroundings) -> None:
        self._clock = Clock(_MONDAY + timedelta(days=around.start_weekday, hours=around.start_hour))
        self._around = around
        upper = [target for target in targets if target.op == "<="]
        self._temperature = [(target, self._servers(target)) for target in upper if target.metric == TEMPERATURE]
        self._power = [(target, self._rows(target)) for target in upper if target.metric == ROW_POWER]

    def server_c(self, t_s: float, ahead_s: float) -> Floats:
        """Return the lowest temperature bound in force now or within ``ahead_s``, shape S; infinite where there is none."""
        bound = np.full(len(self._around.server_ids), np.inf)
        for target, where in self._temperature:
            if self._in_force(target, t_s, ahead_s):
                bound[where] = np.minimum(bound[where], target.bound)
        return bound

    def row_w(self, t_s: float, ahead_s: float) -> Floats:
        """Return the lowest row power bound in force now or within ``ahead_s``, shape R; infinite where there is none."""
        bound = np.full(len(self._around.row_ids), np.inf)
        for target, where in self._power:
            if self._in_force(target, t_s, ahead_s):
                bound[where] = np.minimum(bound[where], target.bound)
        return bound

    def _in_force(self, target: Target, t_s: float, ahead_s: float) -> bool:
        # Every five minutes ahead: no window of whole minutes that matters is shorter.
        times = np.append(np.arange(t_s, t_s + ahead_s, 300.0), t_s + ahead_s)
        return bool(self._clock.inside(times, target.window).any())

    def _servers(self, target: Target) -> Bools:
        around = self._around
        count = len(around.server_ids)
        if not target.scope:
            return np.ones(count, dtype=np.bool_)
        parents = {
            "server": (around.server_ids, np.arange(count)),
            "rack": (around.rack_ids, np.array(around.server_racks)),
            "row": (around.row_ids, np.array(around.server_rows)),
        }
        where = np.zeros(count, dtype=np.bool_)
        for spec in target.scope:
            if spec.kind in parents:
                ids, parent = parents[spec.kind]
                where |= parent == ids.index(spec.id)
        return where

    def _rows(self, target: Target) -> Bools:
        named = [spec.id for spec in target.scope if spec.kind == "row"]
        return np.array([not target.scope or row in named for row in self._around.row_ids], dtype=np.bool_)
