"""What is kept of a run: sums over windows, and the rows they become."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twin.clock import HOUR_S
from twin.serving import batching as b
from twin.serving import records, windows
from twin.serving.demand import Requests
from twin.serving.engine import Engine, ticks
from twin.serving.layout import Endpoint, Layout
from twin.serving.readings import ENDPOINTS, INSTANCES, REQUESTS, TOKEN_GAPS
from twin.stack import State
from twin.tables import EVENTS, Sink, Table, event_columns

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
FLUSH_S: Final = 300.0
_SPANS: Final = ("window", "flush")
_SUMS: Final = (*_SPANS, "tick")


class Accounts:
    """Sums what instances did over windows and five minutes, and turns ends of such spans into rows.

    ``tick`` is what they did since its owner last cleared it, shape I x DONE_COLUMNS. ``seen`` holds the averages of the last
    whole window for observations: shapes I (per instance) and E (``endpoint_*``).
    """

    def __init__(
        self, place: Layout, specs: tuple[Endpoint, ...], engines: Sequence[Engine], asked: Sequence[Requests], window_s: float
    ) -> None:
        self._place, self._specs, self._engines, self._asked = place, specs, engines, asked
        self._window, self._flush, self._hour = ticks(window_s), ticks(FLUSH_S), ticks(HOUR_S)
        count, endpoints = len(place.ids), len(specs)
        # One array, so that a tick is added to all sums at once.
        self._sums = np.zeros((len(_SUMS), count, b.DONE_COLUMNS), dtype=np.int64)
        self._totals, self.tick = dict(zip(_SPANS, self._sums, strict=False)), self._sums[_SUMS.index("tick")]
        self._held = {name: np.zeros(count, dtype=np.int64) for name in _SPANS}
        self._since = {"window": 0, "flush": 0, "hour": 0}
        self._arrived = np.zeros(endpoints, dtype=np.int64)
        self.seen: dict[str, Floats] = {name: np.zeros(count) for name in ("batch_mean", "prefill_share", "decode_share")}
        for name in ("arrivals_per_s", "prompt_tokens_per_s", "output_tokens_per_s"):
            self.seen[f"endpoint_{name}"] = np.zeros(endpoints)
        self._rows: list[tuple[Table, records.Rows]] = []
        self._events: list[tuple[float, str, str, str, str, float]] = []

    def next_end(self, now: int) -> int:
        """Return the tick at which the next span ends."""
        return min((now // span + 1) * span for span in (self._window, self._flush, self._hour))

    def add(self, done: Ints, held: Ints) -> None:
        """Add what instances did and how long their GPUs were held, shapes I x DONE_COLUMNS and I."""
        records.gather(self._sums, done)
        for name in _SPANS:
            self._held[name] += held

    def note(self, now: int, kind: str, which: Iterable[tuple[str, float]], entity_kind: str = "instance") -> None:
        """Write one event per (entity id, value)."""
        self._events.extend((now / b.TICKS_PER_S, "serving", kind, entity_kind, name, value) for name, value in which)

    def close_spans(self, now: int, clock_share: Floats) -> None:
        """End the spans whose time has come."""
        if now % self._window == 0:
            self._end_window(now)
        if now % self._flush == 0:
            self._end_flush(now, clock_share)
        if now % self._hour == 0:
            self._end_hour(now)

    def _end_window(self, now: int) -> None:
        span = (self._since["window"], now)
        took, total, held = now - span[0], self._totals["window"], self._held["window"]
        window_s = took / b.TICKS_PER_S
        arrived = np.array([int(engine.cursor[b.NEXT_ARRIVAL]) for engine in self._engines], dtype=np.int64)
        ended = [windows.endpoint_row(*each, span) for each in zip(self._engines, self._asked, self._specs, strict=True)]
        decode = total[:, b.DECODE_TIME]
        rates = {
            "prompt_tokens_per_s": self._by_endpoint(total[:, b.PROMPT_TOKENS]) / window_s,
            "output_tokens_per_s": self._by_endpoint(total[:, b.OUTPUT_TOKENS]) / window_s,
        }
        self.seen = {
            "batch_mean": total[:, b.BATCH_TIME] / np.maximum(decode, 1),
            "prefill_share": total[:, b.PREFILL_TIME] / took,
            "decode_share": decode / took,
            "endpoint_arrivals_per_s": (arrived - self._arrived) / window_s,
            **{f"endpoint_{name}": rate for name, rate in rates.items()},
        }
        rows: records.Rows = {
            "t_s": np.full(len(arrived), span[0] / b.TICKS_PER_S),
            "endpoint_id": np.arange(len(arrived)),
            "window_s": np.full(len(arrived), window_s),
            "arrivals": arrived - self._arrived,
            **rates,
            "gpus_on": self._by_endpoint(held * self._place.gpus) / took,
            "usd_per_h": self._by_endpoint(held * self._place.usd_per_h) / took,
            "queue": self._by_endpoint(total[:, b.QUEUE_TIME]) / took,
        }
        for name in ("finished", "ttft_p50_s", "ttft_p99_s", "slo_share", "quality_share"):
            rows[name] = np.array([row[name] for row in ended])
        self._rows.append((ENDPOINTS, rows))
        rejected = [(spec.id, row["rejected"]) for spec, row in zip(self._specs, ended, strict=True) if row["rejected"]]
        self.note(span[0], "rejected", rejected, "endpoint")
        self._arrived = arrived
        self._begin("window", now)

    def _end_flush(self, now: int, clock_share: Floats) -> None:
        span = (self._since["flush"], now)
        self._rows.append((INSTANCES, records.instance_rows(self._place, self._totals["flush"], self._held["flush"], clock_share, span)))
        for index, engine in enumerate(self._engines):
            self._requests(index, engine.finished(*span), now)
            engine.forget(now)
        self._begin("flush", now)

    def _end_hour(self, now: int) -> None:
        if self._engines:
            hour = self._since["hour"] // self._hour
            self._rows.append((TOKEN_GAPS, records.gap_rows([engine.gaps for engine in self._engines], hour)))
        for engine in self._engines:
            engine.gaps[:] = 0
        self._since["hour"] = now

    def _requests(self, index: int, ids: Ints, now: int) -> None:
        spec = (index, self._specs[index])
        self._rows.append((REQUESTS, records.request_rows(self._engines[index], self._asked[index], spec, ids, now / b.TICKS_PER_S)))

    def _begin(self, span: str, now: int) -> None:
        self._totals[span][:] = 0
        self._held[span][:] = 0
        self._since[span] = now

    def record(self, sink: Sink) -> None:
        """Write the rows of the spans that have ended, and the events."""
        for table, rows in self._rows:
            if len(next(iter(rows.values()))):
                sink.append(table, rows)
        if self._events:
            sink.append(EVENTS, event_columns(self._events))
        self._rows, self._events = [], []

    def close(self, sink: Sink, now: int, clock_share: Floats) -> None:
        """Write begun spans as well, and the requests that are still under way."""
        if now > self._since["window"]:
            self._end_window(now)
        if now > self._since["flush"]:
            self._end_flush(now, clock_share)
        for index, engine in enumerate(self._engines):
            self._requests(index, engine.under_way(), now)
        if now > self._since["hour"]:
            self._end_hour(now)
        self.record(sink)

    def snapshot(self) -> State:
        """Return the sums; rows and events not written yet belong to the time before and are left out."""
        return {
            "since": dict(self._since),
            "arrived": self._arrived.copy(),
            "totals": {name: total.copy() for name, total in self._totals.items()},
            "held": {name: held.copy() for name, held in self._held.items()},
            "seen": {name: values.copy() for name, values in self.seen.items()},
        }

    def restore(self, state: State) -> None:
        """Take back what ``snapshot`` gave."""
        self._since = {name: int(value) for name, value in state["since"].items()}
        self._arrived = np.array(state["arrived"])
        for name, total in state["totals"].items():
            self._totals[name][...] = total
        self._held = {name: np.array(held) for name, held in state["held"].items()}
        self.seen = {name: np.array(values) for name, values in state["seen"].items()}
        self._rows, self._events = [], []

    def _by_endpoint(self, values: NDArray[Any]) -> Floats:
        return np.bincount(self._place.endpoint, weights=values.astype(np.float64), minlength=len(self._specs)).astype(np.float64)
