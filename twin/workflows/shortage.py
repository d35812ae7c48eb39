"""When surplus that a plan counts on is gone: plan anew before the epoch ends."""

import math
from collections.abc import Iterable
from typing import Final

from twin.stack import State
from twin.workflows.pools import Pool

# How long tasks wait for surplus to come back before plans are made anew, and how long plans hold at least.
PATIENCE_S: Final = 60.0
HOLD_S: Final = 300.0


def short(pools: Iterable[Pool], starved: set[str]) -> bool:
    """Return whether tasks wait for an instance on surplus, and no such instance stands or works."""
    return any(
        pool.spot and pool.queue and not (any(each.items for each in pool.instances) if not pool.gpus else pool.staying)
        for pool in pools
        if pool.gpus or pool.key in starved
    )


class Shortage:
    """Since when tasks have waited for surplus, and when plans were made last."""

    def __init__(self) -> None:
        self._since_s, self._planned_s = math.inf, 0.0

    def watch(self, t_s: float, is_short: bool) -> None:
        """Take note of whether tasks wait for surplus at a time."""
        self._since_s = min(self._since_s, t_s) if is_short else math.inf

    def planned(self, t_s: float) -> None:
        """Take note of new plans."""
        self._since_s, self._planned_s = math.inf, t_s

    def overdue(self, t_s: float) -> bool:
        """Return whether plans are due before their epoch ends."""
        return t_s >= max(self._since_s + PATIENCE_S, self._planned_s + HOLD_S)

    def snapshot(self) -> State:
        """Return the state."""
        return {"since_s": self._since_s, "planned_s": self._planned_s}

    def restore(self, state: State) -> None:
        """Take back a snapshot."""
        self._since_s, self._planned_s = float(state["since_s"]), float(state["planned_s"])
