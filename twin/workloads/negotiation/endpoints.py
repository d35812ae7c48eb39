"""A serving endpoint's agent: it speaks and answers by its objectives."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from twin.sources import calibration
from twin.stack import State
from twin.workloads.negotiation import keys
from twin.workloads.negotiation.batch import Answers, hinted
from twin.workloads.negotiation.hint import Hints
from twin.workloads.negotiation.notices import ACCEPTED, DECLINED
from twin.workloads.negotiation.situation import Situation

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
_DEPLOYMENT: Final = keys.SCOPES.index("deployment")
# What an endpoint that has met its objectives for long says of its work: slower is not late.
_TOLERATED_S: Final = 1.0


class Endpoints:
    """Serving endpoints, D deployments. While objectives are missed one wants a boost, takes offers and declines what it may.

    While they are met it gives what is asked of it; once that has lasted, it says that its work may wait a second, so that it may
    be slowed when power is short, and it takes that back at the first miss.
    """

    def __init__(self, deployments: int, mine: Ints) -> None:
        says = {name: float(entry["value"]) for name, entry in calibration("negotiation")["agent"]["endpoint"].items()}
        self._drain_s, self._well_for_s = says["drain_s"], says["well_for_s"]
        self._mine = mine
        self._strained, self._waits = (np.zeros(deployments, dtype=np.bool_) for _ in range(2))
        # Since when objectives are met, NaN while they are not.
        self._well_since_s = np.full(deployments, np.nan)

    def advance(self, from_s: float, to_s: float, at: Ints, fares: Situation) -> list[Hints]:
        """Return what endpoints say by the end of a stretch of time; ``at`` are their VMs, positions in ``fares``."""
        there, missed = (np.zeros(len(self._strained), dtype=np.bool_) for _ in range(2))
        there[fares.deployment[at]] = True
        missed[fares.deployment[at[~fares.slo_ok[at]]]] = True
        well = there & ~missed
        self._well_since_s[~well] = np.nan
        self._well_since_s[well & np.isnan(self._well_since_s)] = from_s
        waits = to_s - self._well_since_s >= self._well_for_s - 1e-6
        return [
            self._say(to_s, "want_boost", self._strained, missed, 1.0),
            self._say(to_s, "delay_tolerance_s", self._waits, waits, _TOLERATED_S),
        ]

    def _say(self, t_s: float, key: str, before: Bools, now: Bools, value: float) -> Hints:
        of = self._mine[now[self._mine] != before[self._mine]]
        before[of] = now[of]
        return hinted(np.full(len(of), t_s), _DEPLOYMENT, of, key, np.where(now[of], value, 0.0))

    def answers(self, at: Ints, offer: bool, may_decline: Bools, fares: Situation) -> Answers:
        """Return the answer of VMs (positions in ``fares``) to a notice, and after how many seconds they give it."""
        well = fares.slo_ok[at]
        accepts = (~well if offer else well) | ~may_decline
        return np.where(accepts, ACCEPTED, DECLINED), np.full(len(at), self._drain_s)

    def snapshot(self) -> State:
        """Return what endpoints have said, and since when they meet their objectives."""
        return {"strained": self._strained.copy(), "waits": self._waits.copy(), "well_since_s": self._well_since_s.copy()}

    def restore(self, state: State) -> None:
        """Take back a snapshot's state."""
        self._strained, self._waits = (np.array(state[name], dtype=np.bool_) for name in ("strained", "waits"))
        self._well_since_s = np.array(state["well_since_s"], dtype=np.float64)
