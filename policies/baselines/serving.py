"""The plain holders of the serving levers: static, blind to heat."""

from collections.abc import Callable
from typing import Annotated, Any, Final

import numpy as np
from pydantic import Field

from policies.baselines.reactive import REACTIVE
from policies.system import Knobs, Surroundings, System
from twin.serving.levers import BATCH_HIGH, BATCH_LOW, CLOCK_LOW, ConfigAction, Floats, ScalingAction, ServingObservation


class StaticKnobs(Knobs):
    """One setting for every instance."""

    clock_share: Annotated[float, Field(ge=CLOCK_LOW, le=1, description="clock of every instance, share of its highest")] = 1.0
    max_batch: Annotated[
        int | None, Field(ge=BATCH_LOW, le=BATCH_HIGH, description="batch limit; empty leaves what the scenario configured")
    ] = None


class Static:
    """Leaves every instance at one clock and one batch limit."""

    def __init__(self, knobs: StaticKnobs, surroundings: Surroundings) -> None:
        self._knobs = knobs

    def configure(self, seen: ServingObservation) -> ConfigAction:
        """Return the same settings as always."""
        batch = seen.configured_max_batch if self._knobs.max_batch is None else np.full_like(seen.max_batch, self._knobs.max_batch)
        return ConfigAction(np.full(len(seen.state), self._knobs.clock_share), batch.copy())


class StaticPeak:
    """Keeps every instance on, sized for the peak."""

    def __init__(self, knobs: Knobs, surroundings: Surroundings) -> None:
        """Take no knobs: everything is on."""

    def scale(self, seen: ServingObservation) -> ScalingAction:
        """Return every instance as wanted."""
        return ScalingAction(np.ones(len(seen.state), dtype=np.bool_))


class Router:
    """A compiled rule that needs no score."""

    def __init__(self, route: Any) -> None:
        self.route = route

    def refresh(self, seen: ServingObservation) -> Floats:
        """Return the same score for every instance."""
        return np.zeros(len(seen.state))


def _router(name: str) -> Callable[[Any, Surroundings], Router]:
    def build(knobs: Any, surroundings: Surroundings) -> Router:
        # Imported here: the module compiles its rules when it is loaded.
        from policies.baselines import routes

        return Router(getattr(routes, name))

    return build


def _routing(system_id: str, name: str, question: str) -> System:
    return System(
        id=system_id,
        name=name,
        question=question,
        levers={"request_routing": "holder"},
        serves=("serving.ttft_p99_s",),
        costs=(),
        knobs=Knobs,
        build=_router(system_id),
        watch=("serving.ttft_p99_s",),
    )


BASELINES: Final = (
    System(
        id="static",
        name="static configuration",
        question="What if every instance keeps the largest model at full clock?",
        levers={"instance_config": "holder"},
        serves=("serving.ttft_p99_s", "serving.atgt_p99_s"),
        costs=("plant.gpu_temp_max_c", "plant.energy_j"),
        knobs=StaticKnobs,
        build=Static,
    ),
    System(
        id="static_peak",
        name="sized for the peak",
        question="What if every instance is on all day?",
        levers={"instance_scaling": "holder"},
        serves=("serving.ttft_p99_s", "serving.slo_attainment_share"),
        costs=("serving.cost_usd_per_h", "serving.gpus_mean"),
        knobs=Knobs,
        build=StaticPeak,
    ),
    REACTIVE,
    _routing("least_outstanding", "least outstanding requests", "What if each request goes where the fewest wait?"),
    _routing("round_robin", "round robin", "What if requests go around in turn?"),
    _routing("power_of_two", "power of two choices", "What if each request goes to the less busy of two drawn instances?"),
)
