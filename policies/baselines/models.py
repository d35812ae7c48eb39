"""Which of its models each endpoint's instances hold: as good as must be."""

from typing import Annotated, Final

import numpy as np
from pydantic import Field

from policies.system import Knobs, Surroundings, System
from twin.serving.latency import decode_s, prefill_s
from twin.serving.levers import ConfigAction, Floats, Ints, ServingObservation

_QUALITY: Final = "serving.quality_mean_share"


class ModelChoiceKnobs(Knobs):
    """How good answers must be."""

    least_quality_share: Annotated[
        float,
        Field(ge=0, le=1, description="answers at least this good, relative to the largest model; targets on quality go before it"),
    ] = 1.0


class ModelChoice:
    """Lets the instances of an endpoint hold the fastest of its models whose answers are good enough.

    Where none is, they hold the best. Quality of an endpoint is that of its model; a bound on the mean over endpoints is
    kept by each. A change of model drains the instances and loads the other weights.
    """

    def __init__(self, knobs: ModelChoiceKnobs, surroundings: Surroundings) -> None:
        self._least, self._ids, self._clock = knobs.least_quality_share, surroundings.endpoint_ids, surroundings.clock
        kept = [target for target in knobs.targets if target.metric == _QUALITY and target.op == ">="]
        self._targets = [(target, target.bounds(self._ids)) for target in kept]

    def configure(self, seen: ServingObservation) -> ConfigAction:
        """Return full clocks, the configured batch limits and the chosen models."""
        variant = np.zeros(len(seen.state), dtype=np.int64)
        for endpoint in range(len(self._ids)):
            members = np.flatnonzero(seen.instance_endpoint == endpoint)
            if len(members):
                variant[members] = self._choice(seen, endpoint, members, self._bound(endpoint, seen.t_s))
        return ConfigAction(np.ones(len(seen.state)), seen.configured_max_batch.copy(), variant)

    def _bound(self, endpoint: int, t_s: float) -> float:
        held = [target.bound for target, where in self._targets if where[endpoint] and target.in_force(self._clock, t_s)]
        return max(held) if held else 1.0 if self._targets else self._least

    def _choice(self, seen: ServingObservation, endpoint: int, members: Ints, bound: float) -> int:
        quality = seen.variant_quality_share[endpoint]
        takes_s = np.array([np.mean(request_s(latency[members])) for latency in seen.variant_latency[: len(quality)]])
        able = ~np.isnan(quality) & ~np.isnan(takes_s)
        enough = able & (quality >= bound - 1e-9)
        if enough.any():
            return int(np.argmin(np.where(enough, takes_s, np.inf)))
        return int(np.argmax(np.where(able, quality, -np.inf)))


def request_s(latency: Floats) -> Floats:
    """Return how long a middling request takes on each instance, shape I; not a number where the model does not fit.

    It waits for a thousand prompt tokens and a hundred iterations of a middling batch.
    """
    return np.asarray(prefill_s(latency, 1024, 1024**2) + 100.0 * decode_s(latency, 32, 32 * 1536))


MODEL_CHOICE: Final = System(
    id="model_choice",
    name="as good as must be",
    question="What if each endpoint holds the fastest of its models whose answers are good enough?",
    levers={"instance_config": "holder"},
    serves=(_QUALITY,),
    costs=(),
    knobs=ModelChoiceKnobs,
    build=ModelChoice,
    watch=(_QUALITY, "serving.cost_usd_per_h"),
    enforces=(_QUALITY,),
)
