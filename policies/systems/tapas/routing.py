"""Which instances to spare: the hottest ones, while the rest has room."""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from policies.systems.tapas.knobs import TapasKnobs
from twin.serving.levers import ON, ServingObservation

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Predict = Callable[[ServingObservation, Floats], Floats]
# Power of a busy GPU grows with its load slowly: decoding streams the same weights for a larger batch.
_LOAD_EXPONENT: Final = 0.5
_READMIT_C: Final = 1.0


def admitted(seen: ServingObservation, knobs: TapasKnobs, before: Bools, full_w: Floats, predict: Predict, bound_c: Floats) -> Bools:
    """Return which instances take new requests, shape I.

    An instance is judged by how hot it would run at its endpoint's typical load, so that one that is spared and has
    cooled down is not sent back into the heat. ``before`` is the last answer, ``full_w`` the power per GPU at full clock.
    """
    allowed = np.ones(len(seen.state), dtype=np.bool_)
    for endpoint in range(len(seen.endpoint_ids)):
        members = np.flatnonzero((seen.instance_endpoint == endpoint) & (seen.state == ON))
        if len(members) > 1:
            _spare(seen, knobs, members, before, full_w, predict, bound_c, allowed)
    return allowed


def _spare(  # noqa: PLR0913 - one endpoint of ``admitted``
    seen: ServingObservation,
    knobs: TapasKnobs,
    members: Ints,
    before: Bools,
    full_w: Floats,
    predict: Predict,
    bound_c: Floats,
    allowed: Bools,
) -> None:
    typical = _typical_w(seen, knobs, members, before, full_w)
    at_typical = predict(seen, typical)[members] - bound_c[members] + knobs.routing_margin_c
    # Those already spared come back only with room to spare.
    over = at_typical + np.where(before[members], 0.0, _READMIT_C)
    if not (over > 0.0).any():
        return
    count = len(members)
    most = count - max(1, int(np.ceil(count * max(knobs.capacity_floor_share, _needed_share(seen, knobs, members)))))
    most = min(most, int((over > 0.0).sum()))
    if most <= 0:
        return
    order = np.argsort(-over, kind="stable")
    spared = np.arange(most + 1)[:, None]
    # The rest takes over the load of those spared; the fewest that leave the least heat over the bounds are spared.
    idle_w = knobs.idle_power_share * seen.gpu_tdp_w
    load = (count / (count - spared)) ** _LOAD_EXPONENT
    heavier = np.minimum(idle_w + (typical - idle_w) * load, seen.gpu_tdp_w)
    excess = predict(seen, heavier)[:, members[order]] - bound_c[members[order]] + knobs.routing_margin_c
    remaining = np.arange(count)[None, :] >= spared
    total = np.where(remaining, np.maximum(excess, 0.0), 0.0).sum(axis=1)
    fewest = int(np.argmin(np.round(total, 6)))
    allowed[members[order[:fewest]]] = False


def _typical_w(seen: ServingObservation, knobs: TapasKnobs, members: Ints, before: Bools, full_w: Floats) -> Floats:
    """Return the power per GPU, shape I, that the mean load of the endpoint's admitted instances would draw on each."""
    carrying = members[before[members]]
    carrying = carrying if len(carrying) else members
    idle_w = knobs.idle_power_share * seen.gpu_tdp_w
    mean = float(np.mean((full_w[carrying] - idle_w[carrying]) / seen.gpu_tdp_w[carrying]))
    return np.asarray(idle_w + max(mean, 0.0) * seen.gpu_tdp_w)


def _needed_share(seen: ServingObservation, knobs: TapasKnobs, members: Ints) -> float:
    """Return which share of an endpoint's instances must stay so that queues do not build up."""
    prefill = float(seen.prefill_share[members].mean()) / knobs.prefill_room_share
    batch = float((seen.batch_mean[members] / np.maximum(seen.max_batch[members], 1)).mean()) / 0.8
    waiting = 1.0 if float(seen.queued[members].sum()) > len(members) else 0.0
    return min(max(prefill, batch, waiting), 1.0)
