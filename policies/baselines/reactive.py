"""Reactive scaling: as many instances as the last windows kept busy."""

from collections.abc import Sequence
from typing import Annotated, Final, Literal

import numpy as np
from pydantic import Field

from policies.baselines.ceiling import COST, GPUS, Ceiling
from policies.baselines.models import request_s
from policies.system import Knobs, Surroundings, System
from twin.serving.levers import DRAINING, OFF, ON, ROLE_NAMES, STARTING, Bools, Floats, Ints, ScalingAction, ServingObservation
from twin.stack import State


class ReactiveKnobs(Knobs):
    """How full an instance should be and how slowly capacity is given back.

    ``targets`` on ``serving.gpus_mean`` and ``serving.cost_usd_per_h`` limit the instances where and when they hold.
    """

    outstanding_target: Annotated[float, Field(ge=1, le=256, description="requests in flight per instance to aim for")] = 24.0
    prefill_target_share: Annotated[
        float, Field(ge=0.05, le=0.95, description="share of time in prefill, or in encoding images, per instance to aim for")
    ] = 0.35
    floor_share: Annotated[float, Field(ge=0, le=1, description="share of an endpoint's instances that always stays on")] = 0.25
    hysteresis_share: Annotated[float, Field(ge=0, le=0.5, description="room that must be left before an instance is released")] = 0.1
    cool_down_s: Annotated[float, Field(ge=0, le=7200, description="time without need before instances are released")] = 600.0
    release_step_share: Annotated[float, Field(gt=0, le=1, description="largest share of an endpoint released at once")] = 0.1
    release_order: Annotated[Literal["slowest", "hottest", "last"], Field(description="which instances are released first")] = "last"


class Reactive:
    """Turns instances on at once when an endpoint is full and releases them slowly when it is not.

    Load of an endpoint is the mean number of requests in its batches plus its queues, and its time in prefill and encoding;
    both grow when clocks fall, so that slowed instances get help. Instances of each role are scaled on their own, and only
    those of the configured width. A bound on GPUs or on cost is a ceiling: what is above it is let go of at once.
    """

    def __init__(self, knobs: ReactiveKnobs, surroundings: Surroundings) -> None:
        self._knobs = knobs
        self._ceiling = Ceiling(knobs.targets, surroundings)
        self._wanted: Bools = np.zeros(0, dtype=np.bool_)
        self._needed_s = np.zeros((len(surroundings.endpoint_ids), len(ROLE_NAMES)))
        self._decided_s = -1.0

    def scale(self, seen: ServingObservation) -> ScalingAction:
        """Return the wanted instances for the next window."""
        if len(self._wanted) != len(seen.state):
            self._wanted = np.isin(seen.state, (ON, STARTING))
            self._needed_s = np.full((len(seen.endpoint_ids), len(ROLE_NAMES)), seen.t_s)
        # Asked once per scope that it holds, it decides once per window.
        if seen.t_s == self._decided_s:
            return ScalingAction(self._wanted.copy())
        self._decided_s = seen.t_s
        self._wanted &= seen.configured
        group = seen.instance_endpoint * len(ROLE_NAMES) + seen.role
        pools = [np.flatnonzero(seen.configured & (group == place)) for place in np.unique(group[seen.configured])]
        order = _release_rank(seen, self._knobs.release_order)
        for members, count in zip(pools, self._counts(seen, pools), strict=True):
            self._turn(seen, members, order, int(count))
        return ScalingAction(self._wanted.copy())

    def _counts(self, seen: ServingObservation, pools: Sequence[Ints]) -> Ints:
        """Return how many instances of each pool, those of one endpoint and role, are to be on."""
        asked = np.array([self._count(seen, members) for members in pools], dtype=np.int64).reshape(-1, 2)
        first = np.array([members[0] for members in pools], dtype=np.int64)
        each = tuple(np.array([figure[members].max() for members in pools], dtype=np.float64) for figure in _spent(seen))
        return self._ceiling.within(
            (seen.t_s, seen.window_s), seen.instance_endpoint[first], (each[0], each[1]), (asked[:, 0], asked[:, 1])
        )

    def _count(self, seen: ServingObservation, members: Ints) -> tuple[int, int]:
        """Return how many instances a pool needs, and how many it is to have on as far as it alone is concerned."""
        knobs = self._knobs
        place = int(seen.instance_endpoint[members[0]]), int(seen.role[members[0]])
        held = int(self._wanted[members].sum())
        floor = max(1, int(np.ceil(knobs.floor_share * len(members))))
        needed = min(max(self._needed(seen, members, 1.0), floor), len(members))
        with_room = min(max(self._needed(seen, members, 1.0 - knobs.hysteresis_share), floor), len(members))
        if with_room >= held:
            self._needed_s[place] = seen.t_s
        if with_room < held and seen.t_s - self._needed_s[place] >= knobs.cool_down_s:
            self._needed_s[place] = seen.t_s
            return needed, held - min(max(1, int(knobs.release_step_share * len(members))), held - with_room)
        return needed, max(needed, held)

    def _turn(self, seen: ServingObservation, members: Ints, order: Floats, count: int) -> None:
        """Turn instances of a pool on or off until so many are wanted."""
        held = int(self._wanted[members].sum())
        if count > held:
            off = members[~self._wanted[members]]
            # One that still drains or starts is back soonest; then the last to be released.
            readiness = np.select([seen.state[off] == DRAINING, seen.state[off] == STARTING], [0, 1], 2)
            self._wanted[off[np.lexsort((-order[off], readiness))][: count - held]] = True
        elif count < held:
            on = members[self._wanted[members]]
            self._wanted[on[np.argsort(order[on], kind="stable")][: held - count]] = False

    def _needed(self, seen: ServingObservation, members: Ints, fill_share: float) -> int:
        busy = members[seen.state[members] != OFF]
        in_flight = float(seen.batch_mean[busy].sum() + seen.queued[busy].sum())
        reading = float(seen.prefill_share[busy].sum()) + float(seen.encode_share[busy].sum())
        knobs = self._knobs
        return int(np.ceil(max(in_flight / knobs.outstanding_target, reading / knobs.prefill_target_share) / fill_share))

    def snapshot(self) -> State:
        """Return what is wanted on and when each pool last needed all it has."""
        return {"wanted": self._wanted.copy(), "needed_s": self._needed_s.copy(), "decided_s": self._decided_s}

    def restore(self, state: State) -> None:
        """Take back a state."""
        self._wanted = np.array(state["wanted"], dtype=np.bool_)
        self._needed_s = np.array(state["needed_s"], dtype=np.float64)
        self._decided_s = float(state["decided_s"])


def _spent(seen: ServingObservation) -> tuple[Ints, Floats]:
    return seen.instance_gpus, seen.instance_usd_per_h


def _release_rank(seen: ServingObservation, order: str) -> Floats:
    """Return a rank per instance, shape I; the lowest is released first."""
    places = np.arange(len(seen.state), dtype=np.float64)
    if order == "slowest":
        return np.asarray(-request_s(seen.latency) * 1e6 - places)
    if order == "hottest":
        return np.asarray(-np.where(seen.state == ON, seen.gpu_temp_window_max_c, seen.inlet_c + 40.0))
    return -places


REACTIVE: Final = System(
    id="reactive",
    name="reactive scaling",
    question="What if each endpoint holds only as many instances as its load needs?",
    levers={"instance_scaling": "holder"},
    serves=("serving.cost_usd_per_h", "serving.gpus_mean", "serving.cost_usd_per_million_tokens", "plant.energy_j"),
    costs=("serving.ttft_p99_s", "serving.slo_attainment_share"),
    knobs=ReactiveKnobs,
    build=Reactive,
    watch=("serving.gpus_mean", "serving.ttft_p99_s"),
    enforces=(GPUS, COST),
)
