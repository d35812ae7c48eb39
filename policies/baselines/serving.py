"""The plain holders of the serving levers: static, blind to heat."""

from collections.abc import Callable
from typing import Annotated, Any, Final, Literal

import numpy as np
from pydantic import Field

from policies.baselines.models import MODEL_CHOICE
from policies.baselines.reactive import REACTIVE
from policies.baselines.stages import LAYOUTS
from policies.system import Knobs, Surroundings, System
from twin.serving.levers import BATCH_HIGH, BATCH_LOW, CLOCK_LOW, Bools, ConfigAction, Floats, Ints, ScalingAction, ServingObservation


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
        """Return the same settings as always, and the configured models."""
        batch = seen.configured_max_batch if self._knobs.max_batch is None else np.full_like(seen.max_batch, self._knobs.max_batch)
        largest = np.zeros(len(seen.state), dtype=np.int64)
        return ConfigAction(np.full(len(seen.state), self._knobs.clock_share), batch.copy(), largest)


class StaticPeakKnobs(Knobs):
    """How much of each endpoint is on, all day."""

    instances: Annotated[
        int | None, Field(ge=1, le=100_000, description="instances of each endpoint that are on at most; empty is all of them")
    ] = None
    tp: Annotated[
        Literal[1, 2, 4, 8] | None,
        Field(description="GPUs of each instance that is on; empty, or where an endpoint has none of that width, as configured"),
    ] = None


class StaticPeak:
    """Keeps the same instances of each endpoint on, sized for the peak: those of one width, the first ones of each role."""

    def __init__(self, knobs: StaticPeakKnobs, surroundings: Surroundings) -> None:
        self._knobs = knobs

    def scale(self, seen: ServingObservation) -> ScalingAction:
        """Return the instances that are always wanted."""
        wanted = seen.configured.copy()
        if self._knobs.tp is not None or self._knobs.instances is not None:
            for endpoint in range(len(seen.endpoint_ids)):
                self._narrow(seen, np.flatnonzero(seen.instance_endpoint == endpoint), wanted)
        return ScalingAction(wanted)

    def _narrow(self, seen: ServingObservation, members: Ints, wanted: Bools) -> None:
        wide = members[seen.instance_gpus[members] == self._knobs.tp]
        able = wide if len(wide) else members[seen.configured[members]]
        wanted[members] = False
        wanted[able[_first_of_each(seen.role[able], self._knobs.instances or len(able))]] = True


def _first_of_each(role: Ints, most: int) -> Ints:
    """Return the places of the first ``most``, divided among the roles as they stand, at least one of each."""
    roles, counts = np.unique(role, return_counts=True)
    take = np.ones(len(roles), dtype=np.int64)
    for _ in range(min(most, len(role)) - len(roles)):
        take[np.argmin(np.where(take < counts, take / counts, np.inf))] += 1
    return np.sort(np.concatenate([np.flatnonzero(role == each)[:number] for each, number in zip(roles, take, strict=True)]))


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
    *LAYOUTS,
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
        knobs=StaticPeakKnobs,
        build=StaticPeak,
    ),
    MODEL_CHOICE,
    REACTIVE,
    _routing("least_outstanding", "least outstanding requests", "What if each request goes where the fewest wait?"),
    _routing("round_robin", "round robin", "What if requests go around in turn?"),
    _routing("power_of_two", "power of two choices", "What if each request goes to the less busy of two drawn instances?"),
)
