"""LLM serving: every request, from its arrival to its last token."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator

from twin.clock import Clock
from twin.faults import Fault
from twin.fleet import GPUS_PER_SERVER, Fleet
from twin.metrics import Scope
from twin.serving import batching as b
from twin.serving import demand, images, latency, layout, levers
from twin.serving.accounts import Accounts
from twin.serving.engine import ticks
from twin.serving.lifecycle import OFF_BUS, Lifecycle, aimed
from twin.serving.pipeline import Links, Pipeline
from twin.serving.roles import Roles
from twin.serving.sight import Sight
from twin.serving.stages import Slots
from twin.sources import calibration
from twin.stack import State
from twin.tables import Sink

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

FAULT_KINDS: Final = ("instance_loss", OFF_BUS)


class Settings(BaseModel):
    """The serving section of a scenario. ``tariff_usd_per_h`` is per GPU by model, where it differs from the calibration.

    ``network`` is what image tokens, keys and values travel over between instances.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    window_s: Annotated[float, Field(ge=1, le=3600)] = 60.0
    start_delay_s: Annotated[float, Field(ge=0, le=3600)] = 90.0
    overhead_s: Annotated[float, Field(ge=0, le=1)] = 0.003
    prefill_tokens: Annotated[int, Field(ge=1, le=1_000_000)] = 16_384
    network: Literal["rdma", "ethernet"] = "rdma"
    tariff_usd_per_h: dict[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    endpoints: tuple[layout.Endpoint, ...] = ()

    @field_validator("endpoints")
    @classmethod
    def _named_once(cls, endpoints: tuple[layout.Endpoint, ...]) -> tuple[layout.Endpoint, ...]:
        ids = [endpoint.id for endpoint in endpoints]
        twice = sorted({name for name in ids if ids.count(name) > 1})
        if twice:
            raise ValueError(f"endpoint {twice[0]!r} is there twice; give each its own id")
        return endpoints


@dataclass(frozen=True, slots=True)
class ServingLoad:
    """What serving makes GPUs do, averaged over the last advance, shape G. ``resident`` GPUs hold a model's weights."""

    prefill_share: Floats
    decode_share: Floats
    decode_batch: Floats
    resident: Bools
    clock_share: Floats


class Model:
    """The endpoints, their instances and requests. Shapes: I instances, E endpoints, G GPUs.

    ``placements`` gives the server indices of each endpoint. Every request up to the horizon is drawn here, before the
    first tick; with a ``start`` (a state that ``restore`` will be given) only those that this state does not bring along.
    """

    def __init__(
        self,
        settings: Settings,
        fleet: Fleet,
        placements: Mapping[str, tuple[int, ...]],
        clock: Clock,
        horizon_s: float,
        faults: Sequence[Fault],
        seed: int,
        start: State | None = None,
    ) -> None:
        self.settings, self._fleet, self._clock = settings, fleet, clock
        self.endpoint_ids = tuple(spec.id for spec in settings.endpoints)
        self.layout = layout.layout(settings.endpoints, fleet, placements, settings.overhead_s, settings.tariff_usd_per_h)
        self.instance_ids = self.layout.ids
        self.instance_server, self.instance_first_gpu = self.layout.server, self.layout.first_gpu
        self.instance_gpus, self.instance_endpoint = self.layout.gpus, self.layout.endpoint
        self._owner: tuple[bytes, Ints] = (b"", np.zeros(0, dtype=np.int64))
        from_s = 0.0 if start is None else _oldest_s(start)
        self._done = np.zeros((len(self.instance_ids), b.DONE_COLUMNS), dtype=np.int64)
        self._parts = [self.layout.part(index) for index in range(len(self.endpoint_ids))]
        self.pipelines = [self._pipeline(index, clock, horizon_s, seed, from_s) for index in range(len(self.endpoint_ids))]
        self._routes: list[tuple[Any, Any] | None] = [None] * len(self.endpoint_ids)
        self._accounts = Accounts(self.layout, settings.endpoints, self.pipelines, settings.window_s)
        mine = aimed([fault for fault in faults if fault.kind in FAULT_KINDS], self.layout, fleet.server_ids)
        roles = Roles(self.layout, settings.endpoints)
        self._instances = Lifecycle(self.layout, self.pipelines, self._accounts, mine, settings.start_delay_s, roles)
        self._clock_share = np.ones(len(self.instance_ids))
        # Speeds in force; none until the first advance, and none after a restored state, which brings the engines' own.
        self._speeds = np.zeros((2, 0))
        self._now = self._tick_since = 0
        self._sight = Sight(
            self.layout, settings.endpoints, fleet.row_ids, settings.window_s, self.pipelines, self._accounts, self._instances
        )
        self._instances.meet_faults(0)

    def _pipeline(self, index: int, clock: Clock, horizon_s: float, seed: int, from_s: float) -> Pipeline:
        part, spec, place = self._parts[index], self.settings.endpoints[index], self.layout
        # Whose images wait for a CPU at some hour depends on the hours before.
        asked = demand.draw(spec.demand, clock, horizon_s, seed, spec.id, 0.0 if spec.vision is not None else from_s)
        link = calibration("serving")["link"][self.settings.network]
        kv_s_per_token = latency.kv_bytes_per_token(spec.model) / link["bytes_per_s"]
        links = Links(images.transfer_s(self.settings.network), link["latency_s"], kv_s_per_token, images.handover_s())
        slots = Slots(place.profiles[:, part], place.encode_s[:, part], self._done[part], place.server[part])
        workers = images.preprocess_workers(len(np.unique(place.server[part])))
        return Pipeline(spec, slots, asked, self.settings.prefill_tokens, links, workers)

    @property
    def lost(self) -> Bools:
        """Which instances are lost now, shape I."""
        return self._instances.lost

    def members(self, scopes: tuple[Scope, ...]) -> Bools:
        """Return which instances lie in the scopes, shape I."""
        return layout.members(self.layout, self._fleet, self.endpoint_ids, scopes)

    def observe(self, plant: levers.PlantAtInstances) -> levers.ServingObservation:
        """Return what a holder may see at the end of a window."""
        t_s = self._now / b.TICKS_PER_S
        return self._sight.observe(t_s, float(self._clock.hour(t_s)), self._clock_share, plant)

    def lay(self, role: Ints) -> bool:
        """Give instances their roles, shape I; one whose role changes drains first. Return whether anything is new."""
        return self._instances.lay(role, self._now)

    def scale(self, wanted: Bools) -> None:
        """Start what is newly wanted and drain what no longer is, shape I; a lost instance starts when it is back."""
        self._instances.scale(wanted, self._now)

    def configure(self, action: levers.ConfigAction) -> None:
        """Set clock, batch limit and model of each instance."""
        self._clock_share = np.clip(action.clock_share, levers.CLOCK_LOW, levers.CLOCK_HIGH)
        max_batch = np.clip(action.max_batch, levers.BATCH_LOW, levers.BATCH_HIGH).astype(np.int64)
        for pipeline, part in zip(self.pipelines, self._parts, strict=True):
            pipeline.stages.set_max_batch(max_batch[part])
        if action.variant is not None:
            self._instances.hold(action.variant, self._now)

    def route(self, endpoint_index: int, holder: levers.RequestRouting, score: Floats, allowed: Bools) -> None:
        """Give an endpoint its router, the scores (shape I or I x any) and what the guards allow (shape I) until the next window."""
        decode = getattr(holder, "route_decode", holder.route)
        self._routes[endpoint_index] = (b.entry(holder.route), b.entry(decode))
        memory = max(int(getattr(holder, "route_memory", b.ROUTE_MEMORY)), b.ROUTE_MEMORY)
        pieces = int(getattr(holder, "image_pieces", 1))
        self.pipelines[endpoint_index].stages.steer(score[self._parts[endpoint_index]], memory, pieces)
        self._instances.admit(endpoint_index, allowed)

    def advance(self, until_s: float, prefill_speed: Floats, decode_speed: Floats) -> None:
        """Serve until ``until_s`` with the speeds (1 is full clock) that each instance's plant allows, shape I."""
        until = ticks(until_s)
        self._tick_since = self._now
        self._accounts.tick[:] = 0
        self._instances.relieve()
        while self._now < until:
            self._set_speeds(np.array((prefill_speed, decode_speed)) * self._instances.slowed)
            self._serve(min(until, self._accounts.next_end(self._now), self._instances.next_change(self._now)))
            self._instances.reach(self._now)
            self._accounts.close_spans(self._now, self._clock_share, self._instances.roles.role)

    def _set_speeds(self, speeds: Floats) -> None:
        """Hand new speeds to the engines, shape 2 x I: prefill and decode. Most ticks change none."""
        if np.array_equal(speeds, self._speeds):
            return
        self._speeds = speeds
        for pipeline, part in zip(self.pipelines, self._parts, strict=True):
            pipeline.stages.set_speeds(np.ascontiguousarray(speeds[:, part]))

    def _serve(self, until: int) -> None:
        for index, pipeline in enumerate(self.pipelines):
            routes = self._routes[index]
            if routes is None:
                raise ValueError(f"endpoint {self.endpoint_ids[index]} has no router; give it one before the first tick")
            pipeline.advance(self._now, until, *routes)
        self._accounts.add(self._done, self._instances.held(self._now, until))
        self._done[:] = 0
        self._now = until

    def gpu_load(self) -> ServingLoad:
        """Return what the GPUs did over the last advance, shape G."""
        took = max(1, self._now - self._tick_since)
        tick = self._accounts.tick
        decode = tick[:, b.DECODE_TIME]
        # One column more than instances, for the GPUs that carry none.
        loads = np.zeros((5, len(self.instance_ids) + 1))
        # Encoding is as heavy on a GPU as prefill; on instances that prefill it is part of it already.
        encoding = np.where(self._instances.roles.role == levers.IMAGE, tick[:, b.ENCODE_TIME], 0)
        # What a lost decode instance leaves is served beside an instance's own requests, for moments; its GPUs are full, not twice.
        loads[0, :-1] = np.minimum((tick[:, b.PREFILL_TIME] + encoding) / took, 1.0)
        loads[1, :-1] = np.minimum(decode / took, 1.0 - loads[0, :-1])
        loads[2, :-1] = tick[:, b.BATCH_TIME] / np.maximum(decode, 1)
        loads[3, :-1] = self._instances.state != levers.OFF
        loads[4, :-1], loads[4, -1] = self._clock_share, 1.0
        prefill, decoding, batch, resident, clock = loads.take(self._gpu_instance(), axis=1)
        return ServingLoad(prefill, decoding, batch, resident > 0.0, clock)

    def _gpu_instance(self) -> Ints:
        """Return the instance of each GPU, shape G; it changes where slots of several widths share GPUs."""
        held = self._instances.state != levers.OFF
        key = held.tobytes() if not self.layout.configured.all() else b"fixed"
        if key != self._owner[0]:
            self._owner = (key, self.layout.gpu_instances(len(self._fleet.server_ids) * GPUS_PER_SERVER, held))
        return self._owner[1]

    def inject(self, endpoint_id: str, arrive_s: Floats, prompt_tokens: Ints, output_tokens: Ints, images_each: Ints | None = None) -> Ints:
        """Add requests to an endpoint while the run goes on, and return their ids; ValueError names what cannot be.

        They arrive at or after the present time; ``prompt_tokens`` are of text, without the images.
        """
        if endpoint_id not in self.endpoint_ids:
            raise ValueError(f"endpoint {endpoint_id!r} is unknown; it is one of {', '.join(self.endpoint_ids)}")
        none = np.zeros(len(arrive_s), dtype=np.int64)
        each = none if images_each is None else images_each
        if not len(arrive_s) == len(prompt_tokens) == len(output_tokens) == len(each):
            raise ValueError(f"{endpoint_id}: arrivals, tokens and images are of different lengths; give one of each for a request")
        if not np.isfinite(arrive_s).all() or (each < 0).any():
            raise ValueError(f"{endpoint_id}: a request has no time or less than no images; give seconds and a count from 0 on")
        if len(arrive_s) and ticks(float(arrive_s.min())) < self._now:
            raise ValueError(
                f"{endpoint_id}: a request at {arrive_s.min():.3f} s lies before {self._now / b.TICKS_PER_S:.3f} s; inject it in time"
            )
        if len(arrive_s) and (min(int(prompt_tokens.min()), int(output_tokens.min())) < 1):
            raise ValueError(f"{endpoint_id}: a request has no tokens; give it one of prompt and one of output at least")
        return self.pipelines[self.endpoint_ids.index(endpoint_id)].inject(arrive_s, prompt_tokens, output_tokens, each)

    def injected(self) -> tuple[Floats, Ints]:
        """Return when requests were injected to arrive, over all endpoints, and the tokens of their prompts."""
        found = [(book.arrive_s[book.drawn :], book.prompt_tokens[book.drawn :]) for book in (each.book for each in self.pipelines)]
        arrive_s = np.concatenate([arrive for arrive, _ in found]) if found else np.zeros(0)
        return arrive_s, np.concatenate([prompt for _, prompt in found]) if found else np.zeros(0, dtype=np.int64)

    def outcome(self, endpoint_id: str, ids: Ints) -> tuple[Floats, Floats]:
        """Return when requests gave their first token and were over, seconds; infinite for not yet, not a number if rejected."""
        rows = self.pipelines[self.endpoint_ids.index(endpoint_id)].requests[ids]
        times = rows[:, [b.FIRST, b.FINISH]].astype(np.float64) / b.TICKS_PER_S
        times[rows[:, [b.FIRST, b.FINISH]] == b.FOREVER] = np.inf
        times[rows[:, b.PLACE] == b.REJECTED] = np.nan
        return times[:, 0], times[:, 1]

    def record(self, sink: Sink) -> None:
        """Write the rows of the windows that have ended."""
        self._accounts.record(sink)

    def close(self, sink: Sink) -> None:
        """Write what is left: begun windows, and the requests that are still under way."""
        self._accounts.close(sink, self._now, self._clock_share, self._instances.roles.role)

    def snapshot(self) -> State:
        """Return the state at the end of an advance; rows that ``record`` has not written yet are not part of it."""
        return {
            "now": self._now,
            "tick_since": self._tick_since,
            "tick": self._accounts.tick.copy(),
            "clock_share": self._clock_share.copy(),
            "instances": self._instances.snapshot(),
            "accounts": self._accounts.snapshot(),
            "pipelines": [pipeline.snapshot() for pipeline in self.pipelines],
        }

    def restore(self, state: State) -> None:
        """Take back a state of the same scenario and seed; routers are given anew at the next window."""
        self._now, self._tick_since = int(state["now"]), int(state["tick_since"])
        self._accounts.tick[...] = state["tick"]
        self._clock_share = np.array(state["clock_share"])
        self._speeds = np.zeros((2, 0))
        self._instances.restore(state["instances"])
        self._accounts.restore(state["accounts"])
        for pipeline, saved in zip(self.pipelines, state["pipelines"], strict=True):
            pipeline.restore(saved)

    def begin_gaps(self) -> None:
        """Count the gaps between tokens from now on: those of the hour so far belong to the run that gave them."""
        for pipeline in self.pipelines:
            pipeline.stages.clear_gaps()


def _oldest_s(state: State) -> float:
    """Return the arrival of the oldest request that a state still holds, or its own time if it holds none."""
    # Where a pipeline keeps requests apart from its text engine, that one may be done with some that still decode.
    kept = [
        pipeline["requests"][0] if "requests" in pipeline else pipeline["stages"]["text"]["under_way"] for pipeline in state["pipelines"]
    ]
    arrived = [int(rows[0, b.ARRIVE]) for rows in kept if len(rows)]
    return min([int(state["now"]), *arrived]) / b.TICKS_PER_S
