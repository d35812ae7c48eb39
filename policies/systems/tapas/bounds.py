"""Where and when which temperature and row power must not be exceeded."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from policies.system import Surroundings, Target

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
TEMPERATURE: Final = "plant.gpu_temp_max_c"
ROW_POWER: Final = "plant.row_power_peak_w"
OVERSUBSCRIPTION: Final = "plant.oversubscription_share"


class Bounds:
    """The targets of a policy set, as bounds per server and per row at a time of the run."""

    def __init__(self, targets: Sequence[Target], around: Surroundings) -> None:
        self._clock, self._around = around.clock, around
        upper = [target for target in targets if target.op == "<="]
        self._temperature = [(target, self._servers(target)) for target in upper if target.metric == TEMPERATURE]
        self._power = [(target, self._rows(target)) for target in upper if target.metric == ROW_POWER]
        self._kept: dict[tuple[str, int, float], Floats] = {}

    def server_c(self, t_s: float, ahead_s: float) -> Floats:
        """Return the lowest temperature bound in force now or within ``ahead_s``, shape S; infinite where there is none."""
        return self._lowest(TEMPERATURE, self._temperature, len(self._around.server_ids), t_s, ahead_s)

    def row_w(self, t_s: float, ahead_s: float) -> Floats:
        """Return the lowest row power bound in force now or within ``ahead_s``, shape R; infinite where there is none."""
        return self._lowest(ROW_POWER, self._power, len(self._around.row_ids), t_s, ahead_s)

    def _lowest(self, metric: str, targets: list[tuple[Target, Bools]], size: int, t_s: float, ahead_s: float) -> Floats:
        minute = int(t_s // 60.0)
        key = (metric, minute, ahead_s)
        if key not in self._kept:
            bound = np.full(size, np.inf)
            for target, where in targets:
                if target.in_force(self._clock, t_s, ahead_s):
                    bound[where] = np.minimum(bound[where], target.bound)
            self._kept = {old: kept for old, kept in self._kept.items() if old[1] == minute} | {key: bound}
        return self._kept[key]

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
