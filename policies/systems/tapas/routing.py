"""Which instances to spare: the slowest hot ones, while there is room."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from policies.systems.tapas.demand import Demand, goodput_per_s
from policies.systems.tapas.knobs import TapasKnobs
from twin.serving.latency import prefill_s
from twin.serving.levers import ON, ServingObservation

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
# A middling prompt, to tell by whom prompts are read slowest.
_PROMPT_TOKENS: Final = 2048
# A row or aisle counts as at risk until it has this much more room than when it began to.
_BACK_SHARE: Final = 0.02


@dataclass(frozen=True, slots=True)
class Risk:
    """What routing weighs, shape I: the hottest GPU at rated power and full clock, its bound, and the clock that the bound leaves;
    power of the row over its bound, and air that the aisle draws over what there is.
    """

    rated_c: Floats
    bound_c: Floats
    clock_share: Floats
    row_share: Floats
    aisle_share: Floats


def admitted(seen: ServingObservation, knobs: TapasKnobs, risk: Risk, before: Bools, demand: Demand) -> Bools:
    """Return which instances take requests, shape I; ``before`` says which did in the last window.

    Only those that could pass their bound are spared, and those in rows short of power and aisles short of air, where the
    endpoint has others. Among them it is the ones that take longest over a prompt at the
    clock that their bound leaves: the hottest ones, and those on slow GPUs. The long prompts that they would get make the
    tail of latency. They stay on, so that a burst finds them at its next window and not after a start.
    """
    out = np.ones_like(before)
    slowness_s = prefill_s(seen.latency, _PROMPT_TOKENS, _PROMPT_TOKENS**2) / risk.clock_share
    # Those already spared come back only with room to spare.
    over = risk.rated_c - risk.bound_c + knobs.routing_margin_c + np.where(before, 0.0, knobs.hysteresis_c) > 0.0
    room = np.where(before, 0.0, _BACK_SHARE)
    short = risk.row_share > 1.0 - knobs.routing_power_margin_share - room
    short |= risk.aisle_share > 1.0 - knobs.routing_air_margin_share - room
    for endpoint in range(len(seen.endpoint_ids)):
        members = np.flatnonzero((seen.instance_endpoint == endpoint) & (seen.state == ON))
        if len(members) > 1:
            stay = max(1, int(np.ceil(len(members) * max(knobs.capacity_floor_share, _needed_share(seen, knobs, members)))))
            # Where all are short the others would only get what these give up.
            able = members[over[members] | (short[members] & ~short[members].all())]
            slowest = able[np.argsort(-slowness_s[able], kind="stable")][: len(members) - stay]
            out[slowest[_dispensable(seen, knobs, members, slowest, risk, demand)]] = False
    return out


def _dispensable(seen: ServingObservation, knobs: TapasKnobs, members: Ints, slowest: Ints, risk: Risk, demand: Demand) -> Bools:
    """Return which of the slowest, in their order, the others can do without even at a sudden peak of requests."""
    endpoint = int(seen.instance_endpoint[members[0]])
    if not len(slowest) or not demand.known(endpoint):
        return np.ones(len(slowest), dtype=np.bool_)
    # What the others give counts at the clocks that heat leaves them.
    each = goodput_per_s(seen, members, demand.mix(seen, endpoint), risk.clock_share[members][None])[0]
    peak_per_s = max(demand.highest_per_s[endpoint], knobs.peak_to_mean * demand.now_per_s(seen, endpoint))
    without = each.sum() - np.cumsum(each[np.searchsorted(members, slowest)])
    return np.asarray(without >= peak_per_s)


def _needed_share(seen: ServingObservation, knobs: TapasKnobs, members: Ints) -> float:
    """Return which share of an endpoint's instances must stay so that queues do not build up."""
    prefill = float(seen.prefill_share[members].mean()) / knobs.prefill_room_share
    batch = float((seen.batch_mean[members] / np.maximum(seen.max_batch[members], 1)).mean()) / 0.8
    waiting = 1.0 if float(seen.queued[members].sum()) > len(members) else 0.0
    return min(max(prefill, batch, waiting), 1.0)
