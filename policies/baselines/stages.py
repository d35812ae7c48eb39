"""The plain holders of the stage layout: one pool for all, or two."""

from typing import Annotated, Final

import numpy as np
from pydantic import Field

from policies.system import Knobs, Surroundings, System
from twin.serving.levers import DECODE, PREFILL, WHOLE, Ints, LayoutAction, ServingObservation


class Monolithic:
    """Every instance serves every stage."""

    def __init__(self, knobs: Knobs, surroundings: Surroundings) -> None:
        """Take no knobs: there is nothing to divide."""

    def lay(self, seen: ServingObservation) -> LayoutAction:
        """Return whole instances everywhere."""
        return LayoutAction(np.full(len(seen.state), WHOLE, dtype=np.int64))


class PrefillDecodeKnobs(Knobs):
    """How an endpoint's instances are divided."""

    prefill_share: Annotated[float, Field(ge=0.05, le=0.95, description="share of an endpoint's instances that prefill")] = 0.5


class PrefillDecode:
    """Some instances of an endpoint prefill (and encode images), the others decode: one division all day.

    The two kinds alternate, so that each server has both and so do any first few instances that a scaler keeps on. An
    endpoint with one instance stays whole.
    """

    def __init__(self, knobs: PrefillDecodeKnobs, surroundings: Surroundings) -> None:
        self._knobs = knobs

    def lay(self, seen: ServingObservation) -> LayoutAction:
        """Return the same division as always."""
        role = np.full(len(seen.state), WHOLE, dtype=np.int64)
        for endpoint in range(len(seen.endpoint_ids)):
            mine = seen.instance_endpoint == endpoint
            for width in np.unique(seen.instance_gpus[mine]):
                slots = np.flatnonzero(mine & (seen.instance_gpus == width))
                if len(slots) > 1:
                    role[slots] = self._divided(len(slots))
        return LayoutAction(role)

    def _divided(self, slots: int) -> Ints:
        share = min(max(self._knobs.prefill_share, 1.0 / slots), 1.0 - 1.0 / slots)
        # The k-th is a prefill instance where the running count of them passes a whole number.
        passed = np.floor(np.arange(slots + 1) * share + 0.5 + 1e-9)
        return np.where(np.diff(passed) > 0.0, PREFILL, DECODE).astype(np.int64)


LAYOUTS: Final = (
    System(
        id="monolithic",
        name="monolithic instances",
        question="What if every instance serves every stage of a request?",
        levers={"stage_layout": "holder"},
        serves=(),
        costs=(),
        knobs=Knobs,
        build=Monolithic,
    ),
    System(
        id="prefill_decode",
        name="prefill and decode apart",
        question="What if some instances only prefill and the others only decode?",
        levers={"stage_layout": "holder"},
        serves=("serving.tbt_p99_s", "serving.atgt_p99_s"),
        costs=("serving.ttft_p99_s", "serving.e2e_p99_s"),
        knobs=PrefillDecodeKnobs,
        build=PrefillDecode,
        watch=("serving.tbt_p99_s", "serving.ttft_p99_s"),
    ),
)
