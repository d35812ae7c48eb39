"""LLM serving: every request, from its arrival to its last token."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator

from twin.clock import HOUR_S, Clock
from twin.faults import Fault
from twin.fleet import GPUS_PER_SERVER, Fleet
from twin.metrics import Scope
from twin.serving import batching as b
from twin.serving import demand, records
from twin.serving.engine import Engine, ticks
from twin.serving.latency import KV_TOKENS
from twin.serving.layout import Endpoint, layout, members
from twin.serving.levers import (
    BATCH_HIGH,
    BATCH_LOW,
    CLOCK_HIGH,
    CLOCK_LOW,
    DRAINING,
    OFF,
    ON,
    STARTING,
    ConfigAction,
    PlantAtInstances,
    ServingObservation,
)
from twin.serving.readings import ENDPOINTS, INSTANCES, REQUESTS, TOKEN_GAPS
from twin.stack import State, read_only
from twin.tables import EVENTS, Sink, Table, event_columns

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

# An instance is lost: its requests go to the endpoint's other instances. With a severity below 1 it only slows by that share.
FAULT_KINDS: Final = ("instance_loss",)
FLUSH_S: Final = 300.0


class Settings(BaseModel):
    """The serving section of a scenario."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    window_s: Annotated[float, Field(ge=1, le=3600)] = 60.0
    start_delay_s: Annotated[float, Field(ge=0, le=3600)] = 90.0
    overhead_s: Annotated[float, Field(ge=0, le=1)] = 0.003
    prefill_tokens: Annotated[int, Field(ge=1, le=1_000_000)] = 16_384
    tariff_usd_per_h: dict[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    endpoints: tuple[Endpoint, ...] = ()

    @field_validator("endpoints")
    @classmethod
    def _named_once(cls, endpoints: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
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
    """The endpoints, their instances and requests. Shapes: I instances, E endpoints, G GPUs."""

    def __init__(
        self,
        settings: Settings,
        fleet: Fleet,
        placements: Mapping[str, tuple[int, ...]],
        clock: Clock,
        horizon_s: float,
        faults: Sequence[Fault],
        seed: int,
    ) -> None:
        self.settings, self._fleet, self._clock = settings, fleet, clock
        self.endpoint_ids = tuple(spec.id for spec in settings.endpoints)
        self.layout = layout(settings.endpoints, fleet, placements, settings.overhead_s, settings.tariff_usd_per_h)
        self.instance_ids = self.layout.ids
        self.instance_server, self.instance_first_gpu = self.layout.server, self.layout.first_gpu
        self.instance_gpus, self.instance_endpoint = self.layout.gpus, self.layout.endpoint
        count, endpoints = len(self.instance_ids), len(self.endpoint_ids)
        self._gpu_instance = self.layout.gpu_instances(len(fleet.server_ids) * GPUS_PER_SERVER)
        self._faults = [(fault, self._target(fault)) for fault in faults if fault.kind in FAULT_KINDS]
        self._edges = sorted({ticks(t_s) for fault, _ in self._faults for t_s in fault.edges_s()})
        self.asked = [demand.draw(spec.demand, clock, horizon_s, seed, spec.id) for spec in settings.endpoints]
        self._done = np.zeros((count, b.DONE_COLUMNS), dtype=np.int64)
        self.engines = [self._engine(index) for index in range(endpoints)]
        self._routes: list[Any] = [None] * endpoints
        self._now = 0
        self._state = np.full(count, ON, dtype=np.int64)
        self._ready_at = np.full(count, b.FOREVER, dtype=np.int64)
        self._wanted = np.ones(count, dtype=np.bool_)
        self._lost = np.zeros(count, dtype=np.bool_)
        self._slowed = np.ones(count)
        self._admitted = np.ones(count, dtype=np.bool_)
        self._clock_share = np.ones(count)
        self._totals = {name: np.zeros((count, b.DONE_COLUMNS), dtype=np.int64) for name in ("tick", "window", "flush")}
        self._held = {name: np.zeros(count, dtype=np.int64) for name in ("window", "flush")}
        self._since = {"tick": 0, "window": 0, "flush": 0, "hour": 0}
        self._arrived = np.zeros(endpoints, dtype=np.int64)
        self._seen: dict[str, Floats] = _nothing(count, endpoints)
        self._pending_rows: list[tuple[Table, records.Rows]] = []
        self._events: list[tuple[float, str, str, str, str, float]] = []
        self._meet_faults()

    def _engine(self, index: int) -> Engine:
        part, spec, asked = self.layout.part(index), self.settings.endpoints[index], self.asked[index]
        sizes = (asked.prompt_tokens, asked.output_tokens)
        coefficients = self.layout.coefficients[part]
        return Engine(coefficients, asked.arrive_s, sizes, spec.max_batch, self.settings.prefill_tokens, self._done[part])

    def _target(self, fault: Fault) -> int:
        if fault.target not in self.instance_ids:
            near = ", ".join(self.instance_ids[:3])
            raise ValueError(f"faults: {fault.kind}: no instance is called {fault.target!r}; write endpoint/number, such as {near}")
        return self.instance_ids.index(fault.target)

    # what holders see and move

    def members(self, scopes: tuple[Scope, ...]) -> Bools:
        """Return which instances lie in the scopes, shape I."""
        return members(self.layout, self._fleet, self.endpoint_ids, scopes)

    def observe(self, plant: PlantAtInstances) -> ServingObservation:
        """Return what a holder may see at the end of a window."""
        seen, specs = self._seen, self.settings.endpoints
        t_s = self._now / b.TICKS_PER_S
        kv, queued, max_batch = (self._column(name) for name in (b.KV, b.QUEUED, b.MAX_BATCH))
        arrays: dict[str, NDArray[Any]] = {
            "instance_endpoint": self.layout.endpoint, "instance_server": self.layout.server, "instance_row": self.layout.row,
            "instance_gpus": self.layout.gpus, "latency": self.layout.coefficients, "instance_usd_per_h": self.layout.usd_per_h,
            "state": self._state, "clock_share": self._clock_share, "max_batch": max_batch, "queued": queued,
            "outstanding": self._joined([engine.outstanding for engine in self.engines]),
            "kv_share": kv / self.layout.coefficients[:, KV_TOKENS],
            "endpoint_ttft_slo_s": np.array([spec.ttft_slo_s for spec in specs], dtype=np.float64),
            "endpoint_atgt_slo_s": np.array([spec.atgt_slo_s for spec in specs], dtype=np.float64),
            **seen,
        }  # fmt: skip
        for name in ("speed_share", "gpu_tdp_w", "gpu_temp_max_c", "gpu_temp_window_max_c", "gpu_limit_c", "gpu_power_w", "inlet_c"):
            arrays[name] = getattr(plant, name)
        arrays |= {"row_power_w": plant.row_power_w, "row_budget_w": plant.row_budget_w}
        return ServingObservation(
            t_s=t_s,
            window_s=self.settings.window_s,
            hour=float(self._clock.hour(t_s)),
            outside_c=plant.outside_c,
            endpoint_ids=self.endpoint_ids,
            row_ids=self._fleet.row_ids,
            **{name: read_only(array) for name, array in arrays.items()},
        )

    def scale(self, wanted: Bools) -> None:
        """Start what is newly wanted and drain what no longer is; lost instances start when they are back."""
        now, state = self._now, self._state
        stopping = ~wanted & ((state == ON) | (state == STARTING))
        starting = wanted & (state == OFF) & ~self._lost
        self._wanted = np.array(wanted, dtype=np.bool_)
        self._note("instance_stop", stopping)
        self._note("instance_start", starting)
        state[~wanted & (state == STARTING)] = OFF
        state[~wanted & (state == ON)] = DRAINING
        state[wanted & (state == DRAINING)] = ON
        state[starting] = STARTING
        self._ready_at[starting] = now + ticks(self.settings.start_delay_s)
        self._settle()

    def configure(self, action: ConfigAction) -> None:
        """Set clock and batch limit of each instance."""
        self._clock_share = np.clip(action.clock_share, CLOCK_LOW, CLOCK_HIGH)
        max_batch = np.clip(action.max_batch, BATCH_LOW, BATCH_HIGH).astype(np.int64)
        for index, engine in enumerate(self.engines):
            engine.set_max_batch(max_batch[self.layout.part(index)])

    def route(self, endpoint_index: int, compiled_route: Any, score: Floats, allowed: Bools) -> None:
        """Give an endpoint its router, the scores and what the guards allow (both shape I) until the next window."""
        part = self.layout.part(endpoint_index)
        self._routes[endpoint_index] = compiled_route
        self.engines[endpoint_index].score[:] = score[part]
        self._admitted[part] = allowed[part]
        self._open(endpoint_index)

    # time

    def advance(self, until_s: float, prefill_speed: Floats, decode_speed: Floats) -> None:
        """Serve until ``until_s`` with the speeds (1 is full clock) that each instance's plant allows, shape I."""
        until = ticks(until_s)
        self._since["tick"] = self._now
        self._totals["tick"][:] = 0
        prefill_speed, decode_speed = prefill_speed * self._slowed, decode_speed * self._slowed
        while self._now < until:
            for index, engine in enumerate(self.engines):
                part = self.layout.part(index)
                engine.set_speeds(prefill_speed[part], decode_speed[part])
            self._serve(min(until, self._next_edge()))
            if self._now in self._edges:
                before = self._slowed.copy()
                self._meet_faults()
                prefill_speed, decode_speed = prefill_speed / before * self._slowed, decode_speed / before * self._slowed
            self._settle()
            self._close_spans()

    def _next_edge(self) -> int:
        window, flush, hour = ticks(self.settings.window_s), ticks(FLUSH_S), ticks(HOUR_S)
        starting = self._ready_at[self._state == STARTING]
        return min(
            (self._now // window + 1) * window,
            (self._now // flush + 1) * flush,
            (self._now // hour + 1) * hour,
            int(starting.min()) if len(starting) else b.FOREVER,
            min((edge for edge in self._edges if edge > self._now), default=b.FOREVER),
        )

    def _serve(self, until: int) -> None:
        for index, engine in enumerate(self.engines):
            if self._routes[index] is None:
                raise ValueError(f"endpoint {self.endpoint_ids[index]} has no router; give it one before the first tick")
            engine.advance(self._now, until, self._routes[index])
        held = np.where(self._state != OFF, until - self._now, 0)
        emptied = (self._state == DRAINING) & (self._joined([engine.outstanding for engine in self.engines]) == 0)
        held[emptied] = np.maximum(self._column(b.EMPTY_SINCE)[emptied] - self._now, 0)
        self._state[emptied] = OFF
        for total in self._totals.values():
            records.gather(total, self._done)
        self._done[:] = 0
        for span in self._held.values():
            span += held
        self._now = until

    def _settle(self) -> None:
        """Let states follow from what was wanted and from the time; place requests anew that nobody would serve."""
        self._state[(self._state == STARTING) & (self._ready_at <= self._now)] = ON
        outstanding = self._joined([engine.outstanding for engine in self.engines])
        self._state[(self._state == DRAINING) & (outstanding == 0)] = OFF
        live = (self._state == ON) | (self._state == DRAINING)
        coming = (self._state == ON) | (self._state == STARTING)
        for index, engine in enumerate(self.engines):
            part = self.layout.part(index)
            engine.set_live(live[part], self._now)
            if coming[part].any():
                for r in np.flatnonzero((self._state[part] == OFF) & (engine.outstanding > 0)):
                    engine.lose(int(r))
            self._open(index)

    def _open(self, index: int) -> None:
        """Say which instances may take new requests: on and admitted; else on; else starting; else any."""
        part = self.layout.part(index)
        on = self._state[part] == ON
        for choice in (on & self._admitted[part], on, self._state[part] == STARTING, ~self._lost[part]):
            if choice.any():
                self.engines[index].allowed[:] = choice
                return
        self.engines[index].allowed[:] = 1

    def _meet_faults(self) -> None:
        """Take instances away, slow them or give them back as the faults of this moment say."""
        t_s = self._now / b.TICKS_PER_S
        lost = np.zeros(len(self._lost), dtype=np.bool_)
        self._slowed = np.ones(len(lost))
        for fault, target in self._faults:
            if fault.active(t_s):
                lost[target] |= fault.severity >= 1.0
                self._slowed[target] *= 1.0 if fault.severity >= 1.0 else 1.0 - fault.severity
        gone, back = lost & ~self._lost, self._lost & ~lost
        self._lost = lost
        for r in np.flatnonzero(gone):
            index = int(self.layout.endpoint[r])
            moved = self.engines[index].lose(int(r - self.layout.first[index]))
            self._events.append((t_s, "serving", "requests_requeued", "instance", self.instance_ids[r], float(moved)))
        self._note("instance_lost", gone)
        self._state[gone] = OFF
        starting = back & self._wanted
        self._note("instance_start", starting)
        self._state[starting] = STARTING
        self._ready_at[starting] = self._now + ticks(self.settings.start_delay_s)
        self._settle()

    def gpu_load(self) -> ServingLoad:
        """Return what the GPUs did over the last advance, shape G."""
        took = max(1, self._now - self._since["tick"])
        done = self._totals["tick"]
        decode = done[:, b.DECODE_TIME]

        def on_gpus(values: NDArray[Any], elsewhere: float) -> NDArray[Any]:
            return np.append(values, np.asarray(elsewhere, dtype=values.dtype))[self._gpu_instance]

        return ServingLoad(
            on_gpus(done[:, b.PREFILL_TIME] / took, 0.0),
            on_gpus(decode / took, 0.0),
            on_gpus(done[:, b.BATCH_TIME] / np.maximum(decode, 1), 0.0),
            on_gpus(self._state != OFF, 0.0),
            on_gpus(self._clock_share, 1.0),
        )

    # spans and rows

    def _close_spans(self) -> None:
        if self._now % ticks(self.settings.window_s) == 0:
            self._close_window()
        if self._now % ticks(FLUSH_S) == 0:
            self._close_flush()
        if self._now % ticks(HOUR_S) == 0:
            self._close_hour()

    def _close_window(self) -> None:
        span = (self._since["window"], self._now)
        took = span[1] - span[0]
        total, held = self._totals["window"], self._held["window"]
        window_s = took / b.TICKS_PER_S
        arrived = np.array([int(engine.cursor[b.NEXT_ARRIVAL]) for engine in self.engines], dtype=np.int64)
        per_endpoint = [
            records.endpoint_row(engine, asked, spec, span)
            for engine, asked, spec in zip(self.engines, self.asked, self.settings.endpoints, strict=True)
        ]
        prompt, output, queue = (self._by_endpoint(total[:, name]) for name in (b.PROMPT_TOKENS, b.OUTPUT_TOKENS, b.QUEUE_TIME))
        decode = total[:, b.DECODE_TIME]
        self._seen = {
            "batch_mean": total[:, b.BATCH_TIME] / np.maximum(decode, 1),
            "prefill_share": total[:, b.PREFILL_TIME] / took,
            "decode_share": decode / took,
            "endpoint_arrivals_per_s": (arrived - self._arrived) / window_s,
            "endpoint_prompt_tokens_per_s": prompt / window_s,
            "endpoint_output_tokens_per_s": output / window_s,
        }
        rows: records.Rows = {
            "t_s": np.full(len(arrived), span[0] / b.TICKS_PER_S),
            "endpoint_id": np.arange(len(arrived)),
            "window_s": np.full(len(arrived), window_s),
            "arrivals": arrived - self._arrived,
            "prompt_tokens_per_s": prompt / window_s,
            "output_tokens_per_s": output / window_s,
            "gpus_on": self._by_endpoint(held * self.layout.gpus) / took,
            "usd_per_h": self._by_endpoint(held * self.layout.usd_per_h) / took,
            "queue": queue / took,
        }
        for name in ("finished", "ttft_p50_s", "ttft_p99_s", "slo_share", "quality_share"):
            rows[name] = np.array([row[name] for row in per_endpoint])
        self._pending_rows.append((ENDPOINTS, rows))
        for index, row in enumerate(per_endpoint):
            if row["rejected"]:
                self._events.append((span[0] / b.TICKS_PER_S, "serving", "rejected", "endpoint", self.endpoint_ids[index], row["rejected"]))
        self._arrived = arrived
        self._begin("window")

    def _close_flush(self) -> None:
        span = (self._since["flush"], self._now)
        self._pending_rows.append(
            (INSTANCES, records.instance_rows(self.layout, self._totals["flush"], self._held["flush"], self._clock_share, span))
        )
        for index, engine in enumerate(self.engines):
            self._write_requests(index, engine.finished(*span))
            engine.forget(self._now)
        self._begin("flush")

    def _close_hour(self) -> None:
        hour = round(self._since["hour"] / ticks(HOUR_S))
        if self.engines:
            self._pending_rows.append((TOKEN_GAPS, records.gap_rows([engine.gaps for engine in self.engines], self.engines[0].edges, hour)))
        for engine in self.engines:
            engine.gaps[:] = 0
        self._since["hour"] = self._now

    def _write_requests(self, index: int, ids: Ints) -> None:
        if len(ids):
            spec = (index, self.settings.endpoints[index])
            rows = records.request_rows(self.engines[index], self.asked[index], spec, ids, self._now / b.TICKS_PER_S)
            self._pending_rows.append((REQUESTS, rows))

    def _begin(self, span: str) -> None:
        self._totals[span][:] = 0
        self._held[span][:] = 0
        self._since[span] = self._now

    def record(self, sink: Sink) -> None:
        """Write the rows of the windows that have ended."""
        for table, rows in self._pending_rows:
            if len(next(iter(rows.values()))):
                sink.append(table, rows)
        if self._events:
            sink.append(EVENTS, event_columns(self._events))
        self._pending_rows, self._events = [], []

    def close(self, sink: Sink) -> None:
        """Write what is left: begun windows, and the requests that are still under way."""
        if self._now > self._since["window"]:
            self._close_window()
        for index, engine in enumerate(self.engines):
            low, upto = int(engine.clean_until[0]), int(engine.cursor[b.NEXT_ARRIVAL])
            finish = engine.requests[low:upto, b.FINISH]
            self._write_requests(index, low + np.flatnonzero(finish >= self._since["flush"]))
        if self._now > self._since["flush"]:
            span = (self._since["flush"], self._now)
            rows = records.instance_rows(self.layout, self._totals["flush"], self._held["flush"], self._clock_share, span)
            self._pending_rows.append((INSTANCES, rows))
        if self._now > self._since["hour"]:
            self._close_hour()
        self.record(sink)

    # state

    def snapshot(self) -> State:
        """Return the state at the end of an advance; rows that ``record`` has not written yet are not part of it."""
        arrays = {name: getattr(self, name).copy() for name in _STATE}
        return {
            **arrays,
            "now": self._now,
            "since": dict(self._since),
            "totals": {name: total.copy() for name, total in self._totals.items()},
            "held": {name: held.copy() for name, held in self._held.items()},
            "seen": {name: values.copy() for name, values in self._seen.items()},
            "engines": [engine.snapshot() for engine in self.engines],
        }

    def restore(self, state: State) -> None:
        """Take back a state of the same scenario and seed; routers are given anew at the next window."""
        for name in _STATE:
            setattr(self, name, np.array(state[name]))
        self._now = int(state["now"])
        self._since = {name: int(value) for name, value in state["since"].items()}
        self._totals = {name: np.array(total) for name, total in state["totals"].items()}
        self._held = {name: np.array(held) for name, held in state["held"].items()}
        self._seen = {name: np.array(values) for name, values in state["seen"].items()}
        for engine, saved in zip(self.engines, state["engines"], strict=True):
            engine.restore(saved)
        self._pending_rows, self._events = [], []

    def _note(self, kind: str, which: Bools) -> None:
        t_s = self._now / b.TICKS_PER_S
        self._events.extend(
            (t_s, "serving", kind, "instance", self.instance_ids[r], float(self.layout.gpus[r])) for r in np.flatnonzero(which)
        )

    def _column(self, name: int) -> Ints:
        return self._joined([engine.instances[:, name] for engine in self.engines])

    def _joined(self, parts: list[Ints]) -> Ints:
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)

    def _by_endpoint(self, values: NDArray[Any]) -> Floats:
        return np.bincount(self.layout.endpoint, weights=values.astype(np.float64), minlength=len(self.endpoint_ids))


_STATE: Final = ("_state", "_ready_at", "_wanted", "_lost", "_slowed", "_admitted", "_clock_share", "_arrived")


def _nothing(count: int, endpoints: int) -> dict[str, Floats]:
    """Return the averages of a window in which nothing happened."""
    per_instance = ("batch_mean", "prefill_share", "decode_share")
    per_endpoint = ("endpoint_arrivals_per_s", "endpoint_prompt_tokens_per_s", "endpoint_output_tokens_per_s")
    return {name: np.zeros(count) for name in per_instance} | {name: np.zeros(endpoints) for name in per_endpoint}
