"""Which instances to spare: the hottest ones, while the rest has room."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from policies.systems.tapas.knobs import TapasKnobs
from twin.serving.levers import ON, ServingObservation
from twin.stack import State

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
# The hottest GPU of each instance for a power per GPU at full clock, shape (.., I) to (.., I).
Predict = Callable[[Floats], Floats]
# Power of a busy GPU grows with its load slowly: decoding streams the same weights for a larger batch.
_LOAD_EXPONENT: Final = 0.5
_LOAD_CHANGE: Final = 4.0
_READMIT_C: Final = 1.0
_HOLD_S: Final = 900.0


@dataclass(frozen=True, slots=True)
class Heat:
    """What routing weighs: the power per GPU that each instance drew under load, a prediction and the bounds, shape I."""

    full_w: Floats
    predict: Predict
    bound_c: Floats


class Spared:
    """Remembers which instances are spared, since when, and the load under which each was last seen at work."""

    def __init__(self, instances: int) -> None:
        self.admitted = np.ones(instances, dtype=np.bool_)
        self._until_s = np.zeros(instances)
        self._load_per_s = np.zeros(instances)

    def decide(self, seen: ServingObservation, knobs: TapasKnobs, heat: Heat) -> None:
        """Choose anew which instances take requests.

        An instance is judged by how hot it would run with its share of the endpoint's arrivals, so that one that is
        spared and has cooled down is not sent back into the heat. Each is spared for a quarter of an hour at least.
        """
        before = self.admitted
        admitted = np.ones_like(before)
        for endpoint in range(len(seen.endpoint_ids)):
            members = np.flatnonzero((seen.instance_endpoint == endpoint) & (seen.state == ON))
            if len(members) > 1:
                self._note(members[before[members]], float(seen.endpoint_arrivals_per_s[endpoint]))
                spared = self._choose(seen, knobs, heat, members, float(seen.endpoint_arrivals_per_s[endpoint]))
                admitted[spared] = False
        self._until_s = np.where(before & ~admitted, seen.t_s + _HOLD_S, self._until_s)
        self.admitted = admitted

    def _note(self, working: Ints, arrivals_per_s: float) -> None:
        if len(working):
            share = arrivals_per_s / len(working)
            known = self._load_per_s[working]
            self._load_per_s[working] = np.where(known > 0.0, known + 0.2 * (share - known), share)

    def _choose(self, seen: ServingObservation, knobs: TapasKnobs, heat: Heat, members: Ints, arrivals_per_s: float) -> Ints:
        count = len(members)
        over = self._excess_c(seen, knobs, heat, members, arrivals_per_s / np.array([[count]]))[0]
        # Those already spared come back only with room to spare, and not at once.
        was = ~self.admitted[members]
        over = np.where(was & (seen.t_s < self._until_s[members]), np.maximum(over, 0.1), over + np.where(was, _READMIT_C, 0.0))
        most = count - max(1, int(np.ceil(count * max(knobs.capacity_floor_share, _needed_share(seen, knobs, members)))))
        most = min(most, int((over > 0.0).sum()))
        if most <= 0:
            return members[:0]
        order = np.lexsort((-over, ~was))
        spared = np.arange(most + 1)[:, None]
        # The rest takes over the load of those spared; the fewest that leave the least heat over the bounds are spared.
        excess = self._excess_c(seen, knobs, heat, members, arrivals_per_s / (count - spared))[:, order]
        remaining = np.arange(count)[None, :] >= spared
        total = np.where(remaining, np.maximum(excess, 0.0), 0.0).sum(axis=1)
        held = int((was & (seen.t_s < self._until_s[members])).sum())
        fewest = max(int(np.argmin(np.round(total, 3))), min(held, most))
        return np.asarray(members[order[:fewest]])

    def _excess_c(self, seen: ServingObservation, knobs: TapasKnobs, heat: Heat, members: Ints, share_per_s: Floats) -> Floats:
        """Return how far each member would be over its bound at some shares of the arrivals, shape (shares, members)."""
        idle_w = knobs.idle_power_share * seen.gpu_tdp_w
        change = np.clip(share_per_s / np.maximum(self._load_per_s, 1e-6), 1.0 / _LOAD_CHANGE, _LOAD_CHANGE)
        drawn_w = np.minimum(idle_w + np.maximum(heat.full_w - idle_w, 0.0) * change**_LOAD_EXPONENT, seen.gpu_tdp_w)
        return np.asarray((heat.predict(drawn_w) - heat.bound_c + knobs.routing_margin_c)[:, members])

    def snapshot(self) -> State:
        """Return who is spared and what is remembered of the load."""
        return {"admitted": self.admitted.copy(), "until_s": self._until_s.copy(), "load_per_s": self._load_per_s.copy()}

    def restore(self, state: State) -> None:
        """Take back a snapshot."""
        self.admitted = np.array(state["admitted"], dtype=np.bool_)
        self._until_s = np.array(state["until_s"], dtype=np.float64)
        self._load_per_s = np.array(state["load_per_s"], dtype=np.float64)


def _needed_share(seen: ServingObservation, knobs: TapasKnobs, members: Ints) -> float:
    """Return which share of an endpoint's instances must stay so that queues do not build up."""
    prefill = float(seen.prefill_share[members].mean()) / knobs.prefill_room_share
    batch = float((seen.batch_mean[members] / np.maximum(seen.max_batch[members], 1)).mean()) / 0.8
    waiting = 1.0 if float(seen.queued[members].sum()) > len(members) else 0.0
    return min(max(prefill, batch, waiting), 1.0)
