"""How many instances a bound on GPUs or on cost leaves each pool."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from policies.system import Surroundings, Target
from twin.serving.levers import Floats, Ints

GPUS: Final = "serving.gpus_mean"
COST: Final = "serving.cost_usd_per_h"


class Ceiling:
    """The targets of a policy set on GPUs and on cost, kept in every window in which they hold.

    Endpoints that share a bound first give up what they hold beyond their need, then divide the bound as their needs stand.
    One instance of each pool always stays: a bound below that is not kept.
    """

    def __init__(self, targets: Sequence[Target], around: Surroundings) -> None:
        kept = [target for target in targets if target.op == "<=" and target.metric in {GPUS, COST}]
        self._clock = around.clock
        self._targets = [(target, target.bounds(around.endpoint_ids)) for target in kept]

    def within(self, span_s: tuple[float, float], endpoint: Ints, each: tuple[Floats, Floats], counts: tuple[Ints, Ints]) -> Ints:
        """Return the instances that each pool may have on, shape P, none more than it would.

        ``span_s`` is now and the length of the window, ``each`` the GPUs and the dollars per hour of one instance, ``counts``
        the instances that each pool needs and those that it would have on.
        """
        needed, most = counts[0], counts[1].copy()
        for target, where in self._targets:
            if target.in_force(self._clock, *span_s):
                mine = where[endpoint]
                most[mine] = _divided(target.bound, each[int(target.metric == COST)][mine], np.minimum(needed, most)[mine], most[mine])
        return most


def _divided(bound: float, each: Floats, needed: Ints, most: Ints) -> Ints:
    """Return at most ``most`` of each that cost no more than the bound, at least one of each that has any."""
    spent, least = float(each @ most), float(each @ needed)
    if spent <= bound:
        return most
    share = needed * (bound / least) if least >= bound else needed + (most - needed) * ((bound - least) / (spent - least))
    counts = np.maximum(np.floor(share + 1e-9).astype(np.int64), np.minimum(most, 1))
    # What rounding left goes to who is furthest below its share; what the last ones of each take comes from who is furthest above.
    for pool in np.argsort(counts - share, kind="stable"):
        if counts[pool] < most[pool] and each @ counts + each[pool] <= bound:
            counts[pool] += 1
    while each @ counts > bound and (counts > 1).any():
        counts[np.argmax(np.where(counts > 1, counts - share, -np.inf))] -= 1
    return counts
