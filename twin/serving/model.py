"""LLM serving: every request, from its arrival to its last token."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator

from twin.clock import Clock
from twin.faults import Fault
from twin.fleet import GPUS_PER_SERVER, Fleet
from twin.metrics import Scope
from twin.serving import batching as b
from twin.serving import demand, layout, levers
from twin.serving.accounts import Accounts
from twin.serving.engine import Engine, Rules, ticks
from twin.serving.latency import KV_TOKENS
from twin.serving.lifecycle import Lifecycle
from twin.stack import State, read_only
from twin.tables import Sink

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

FAULT_KINDS: Final = ("instance_loss",)
_OF_PLANT: Final = tuple(sorted(set(levers.PlantAtInstances.__dataclass_fields__) - {"outside_c"}))


class Settings(BaseModel):
    """The serving section of a scenario. ``tariff_usd_per_h`` is per GPU by model, where it differs from the calibration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    window_s: Annotated[float, Field(ge=1, le=3600)] = 60.0
    start_delay_s: Annotated[float, Field(ge=0, le=3600)] = 90.0
    overhead_s: Annotated[float, Field(ge=0, le=1)] = 0.003
    prefill_tokens: Annotated[int, Field(ge=1, le=1_000_000)] = 16_384
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
        self._gpu_instance = self.layout.gpu_instances(len(fleet.server_ids) * GPUS_PER_SERVER)
        from_s = 0.0 if start is None else _oldest_s(start)
        self.asked = [demand.draw(spec.demand, clock, horizon_s, seed, spec.id, from_s) for spec in settings.endpoints]
        self._done = np.zeros((len(self.instance_ids), b.DONE_COLUMNS), dtype=np.int64)
        self._parts = [self.layout.part(index) for index in range(len(self.endpoint_ids))]
        self.engines = [self._engine(index) for index in range(len(self.endpoint_ids))]
        self._routes: list[Any] = [None] * len(self.endpoint_ids)
        self._accounts = Accounts(self.layout, settings.endpoints, self.engines, self.asked, settings.window_s)
        mine = [fault for fault in faults if fault.kind in FAULT_KINDS]
        self._instances = Lifecycle(self.layout, self.engines, self._accounts, mine, settings.start_delay_s)
        self._clock_share = np.ones(len(self.instance_ids))
        # Speeds in force; none until the first advance, and none after a restored state, which brings the engines' own.
        self._speeds = np.zeros((2, 0))
        self._now = self._tick_since = 0
        self._fixed = self._fixed_arrays()
        self._instances.meet_faults(0)

    def _engine(self, index: int) -> Engine:
        part, spec, asked = self._parts[index], self.settings.endpoints[index], self.asked[index]
        sizes = (asked.prompt_tokens, asked.output_tokens)
        rules = Rules(spec.scheduler == "shared", spec.attention == "whole_batch")
        coefficients = self.layout.coefficients[part]
        limits = (spec.max_batch, self.settings.prefill_tokens)
        return Engine(coefficients, asked.arrive_s, sizes, *limits, rules, self._done[part], asked.first)

    def members(self, scopes: tuple[Scope, ...]) -> Bools:
        """Return which instances lie in the scopes, shape I."""
        return layout.members(self.layout, self._fleet, self.endpoint_ids, scopes)

    def observe(self, plant: levers.PlantAtInstances) -> levers.ServingObservation:
        """Return what a holder may see at the end of a window."""
        t_s = self._now / b.TICKS_PER_S
        rows = [engine.instances for engine in self.engines]
        instances = np.concatenate(rows) if rows else np.zeros((0, b.INSTANCE_COLUMNS), dtype=np.int64)
        arrays: dict[str, NDArray[Any]] = {
            "state": self._instances.state.copy(),
            "clock_share": self._clock_share,
            "max_batch": instances[:, b.MAX_BATCH],
            "queued": instances[:, b.QUEUED],
            "outstanding": self._instances.outstanding(),
            "kv_share": instances[:, b.KV] / self.layout.coefficients[:, KV_TOKENS],
            **self._accounts.seen,
            **{name: getattr(plant, name) for name in _OF_PLANT},
        }
        return levers.ServingObservation(
            t_s=t_s,
            window_s=self.settings.window_s,
            hour=float(self._clock.hour(t_s)),
            outside_c=plant.outside_c,
            endpoint_ids=self.endpoint_ids,
            row_ids=self._fleet.row_ids,
            **self._fixed,
            **{name: read_only(array) for name, array in arrays.items()},
        )

    def _fixed_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the part of an observation that is the same at every window."""
        place, specs = self.layout, self.settings.endpoints
        arrays = {
            "instance_endpoint": place.endpoint,
            "instance_server": place.server,
            "instance_row": place.row,
            "instance_gpus": place.gpus,
            "instance_usd_per_h": place.usd_per_h,
            "latency": place.coefficients,
            "configured_max_batch": np.array([spec.max_batch for spec in specs], dtype=np.int64)[place.endpoint],
            "endpoint_ttft_slo_s": np.array([spec.ttft_slo_s for spec in specs], dtype=np.float64),
            "endpoint_atgt_slo_s": np.array([spec.atgt_slo_s for spec in specs], dtype=np.float64),
        }
        return {name: read_only(array) for name, array in arrays.items()}

    def scale(self, wanted: Bools) -> None:
        """Start what is newly wanted and drain what no longer is, shape I; a lost instance starts when it is back."""
        self._instances.scale(wanted, self._now)

    def configure(self, action: levers.ConfigAction) -> None:
        """Set clock and batch limit of each instance."""
        self._clock_share = np.clip(action.clock_share, levers.CLOCK_LOW, levers.CLOCK_HIGH)
        max_batch = np.clip(action.max_batch, levers.BATCH_LOW, levers.BATCH_HIGH).astype(np.int64)
        for engine, part in zip(self.engines, self._parts, strict=True):
            engine.set_max_batch(max_batch[part])

    def route(self, endpoint_index: int, compiled_route: Any, score: Floats, allowed: Bools) -> None:
        """Give an endpoint its router, the scores and what the guards allow (both shape I) until the next window."""
        self._routes[endpoint_index] = b.entry(compiled_route)
        self.engines[endpoint_index].score[:] = score[self._parts[endpoint_index]]
        self._instances.admit(endpoint_index, allowed)

    def advance(self, until_s: float, prefill_speed: Floats, decode_speed: Floats) -> None:
        """Serve until ``until_s`` with the speeds (1 is full clock) that each instance's plant allows, shape I."""
        until = ticks(until_s)
        self._tick_since = self._now
        self._accounts.tick[:] = 0
        while self._now < until:
            self._set_speeds(np.stack([prefill_speed, decode_speed]) * self._instances.slowed)
            self._serve(min(until, self._accounts.next_end(self._now), self._instances.next_change(self._now)))
            self._instances.reach(self._now)
            self._accounts.close_spans(self._now, self._clock_share)

    def _set_speeds(self, speeds: Floats) -> None:
        """Hand new speeds to the engines, shape 2 x I: prefill and decode. Most ticks change none."""
        if np.array_equal(speeds, self._speeds):
            return
        self._speeds = speeds
        for engine, part in zip(self.engines, self._parts, strict=True):
            engine.set_speeds(speeds[0, part], speeds[1, part])

    def _serve(self, until: int) -> None:
        for index, engine in enumerate(self.engines):
            if self._routes[index] is None:
                raise ValueError(f"endpoint {self.endpoint_ids[index]} has no router; give it one before the first tick")
            engine.advance(self._now, until, self._routes[index])
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
        loads[0, :-1] = tick[:, b.PREFILL_TIME] / took
        loads[1, :-1] = decode / took
        loads[2, :-1] = tick[:, b.BATCH_TIME] / np.maximum(decode, 1)
        loads[3, :-1] = self._instances.state != levers.OFF
        loads[4, :-1], loads[4, -1] = self._clock_share, 1.0
        prefill, decoding, batch, resident, clock = loads.take(self._gpu_instance, axis=1)
        return ServingLoad(prefill, decoding, batch, resident > 0.0, clock)

    def record(self, sink: Sink) -> None:
        """Write the rows of the windows that have ended."""
        self._accounts.record(sink)

    def close(self, sink: Sink) -> None:
        """Write what is left: begun windows, and the requests that are still under way."""
        self._accounts.close(sink, self._now, self._clock_share)

    def snapshot(self) -> State:
        """Return the state at the end of an advance; rows that ``record`` has not written yet are not part of it."""
        return {
            "now": self._now,
            "tick_since": self._tick_since,
            "tick": self._accounts.tick.copy(),
            "clock_share": self._clock_share.copy(),
            "instances": self._instances.snapshot(),
            "accounts": self._accounts.snapshot(),
            "engines": [engine.snapshot() for engine in self.engines],
        }

    def restore(self, state: State) -> None:
        """Take back a state of the same scenario and seed; routers are given anew at the next window."""
        self._now, self._tick_since = int(state["now"]), int(state["tick_since"])
        self._accounts.tick[...] = state["tick"]
        self._clock_share = np.array(state["clock_share"])
        self._speeds = np.zeros((2, 0))
        self._instances.restore(state["instances"])
        self._accounts.restore(state["accounts"])
        for engine, saved in zip(self.engines, state["engines"], strict=True):
            engine.restore(saved)

    def begin_gaps(self) -> None:
        """Count the gaps between tokens from now on: those of the hour so far belong to the run that gave them."""
        for engine in self.engines:
            engine.gaps[:] = 0


def _oldest_s(state: State) -> float:
    """Return the arrival of the oldest request that a state still holds, or its own time if it holds none."""
    arrived = [int(engine["under_way"][0, b.ARRIVE]) for engine in state["engines"] if len(engine["under_way"])]
    return min([int(state["now"]), *arrived]) / b.TICKS_PER_S
