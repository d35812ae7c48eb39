"""What held instances draw and cost at rest, and whose jobs bear it."""

from collections.abc import Iterable

import numpy as np

from twin.stack import State
from twin.workflows.library import Terms
from twin.workflows.places import Places
from twin.workflows.pools import HOUR_S, Pool
from twin.workflows.site import Floats


class Holding:
    """Divides what is held among the jobs that are under way on it, evenly; what is held for nobody is borne by the next job.

    W workflows. ``share_j`` and ``share_usd`` are what a job would bear that had been under way all the time. ``drawn_j`` and
    ``paid_usd`` are the whole of what was held so far, ``held_gpu_s`` and ``spot_gpu_s`` the GPUs.
    """

    def __init__(self, workflows: int, places: Places, terms: Terms) -> None:
        self._places, self._terms = places, terms
        self.under_way: list[int] = [0] * workflows
        self.share_j, self.share_usd = np.zeros(workflows), np.zeros(workflows)
        self.pot_j, self.pot_usd = np.zeros(workflows), np.zeros(workflows)
        self.drawn_j = self.paid_usd = self.held_gpu_s = self.spot_gpu_s = self.at_s = 0.0

    def pass_time(self, t_s: float, pools: Iterable[Pool]) -> None:
        """Count until a time what stands now; to be called before anything of it changes."""
        span_s, self.at_s = t_s - self.at_s, t_s
        if span_s <= 0.0:
            return
        for pool in pools:
            if pool.gpus and pool.instances:
                count = len(pool.instances)
                self._divide(pool.users, count * pool.idle_w * span_s, count * pool.held_usd_per_h * span_s / HOUR_S)
        for owner in range(len(self.under_way)):
            for hardware, gpus in self._places.rest(owner):
                price = gpus * self._terms.gpu_usd_per_h[hardware] * span_s / HOUR_S
                self._divide([owner], gpus * self._terms.idle_w[hardware] * span_s, price)
        self.held_gpu_s += float(self._places.held.sum()) * span_s
        self.spot_gpu_s += float(self._places.spot_used.sum()) * span_s

    def _divide(self, users: list[int], drawn_j: float, paid_usd: float) -> None:
        self.drawn_j += drawn_j
        self.paid_usd += paid_usd
        jobs = sum(self.under_way[user] for user in users)
        for user in users:
            if jobs:
                self.share_j[user] += drawn_j / jobs
                self.share_usd[user] += paid_usd / jobs
            else:
                self.pot_j[user] += drawn_j / len(users)
                self.pot_usd[user] += paid_usd / len(users)

    def waited(self, workflow: int) -> tuple[float, float]:
        """Return what was held for nobody before a job that begins now, which bears it (J, USD)."""
        waited = float(self.pot_j[workflow]), float(self.pot_usd[workflow])
        self.pot_j[workflow] = self.pot_usd[workflow] = 0.0
        return waited

    def snapshot(self) -> State:
        """Return the state."""
        return {name: _copied(getattr(self, name)) for name in _KEPT}

    def restore(self, state: State) -> None:
        """Take back a snapshot."""
        for name in _KEPT:
            setattr(self, name, _copied(state[name]))


_KEPT = ("under_way", "share_j", "share_usd", "pot_j", "pot_usd", "drawn_j", "paid_usd", "held_gpu_s", "spot_gpu_s", "at_s")


def _copied(value: float | list[int] | Floats) -> float | list[int] | Floats:
    return value if isinstance(value, float) else value.copy()
