"""What is kept of a run: sums over windows, and the rows they become."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twin.clock import HOUR_S
from twin.serving import batching as b
from twin.serving import records, windows
from twin.serving.engine import ticks
from twin.serving.layout import Endpoint, Layout
from twin.serving.levers import PLACED_OVERFLOWS, Finished
from twin.serving.pipeline import Pipeline
from twin.serving.readings import ENDPOINTS, INSTANCES, PLACEMENTS, REQUESTS, TOKEN_GAPS
from twin.stack import State
from twin.tables import EVENTS, Sink, Table, event_columns

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
FLUSH_S: Final = 300.0
_SPANS: Final = ("window", "flush")
_SUMS: Final = (*_SPANS, "tick")
_SHARES: Final = ("batch_mean", "prefill_share", "decode_share", "encode_share")
_COUNTS: Final = {
    "prefill_iterations": b.PREFILLS,
    "prompt_tokens": b.PROMPT_TOKENS,
    "squared_prompt_tokens": b.PREFILL_SQUARES,
    "decoded_tokens": b.DECODED_TOKENS,
    "decoded_context_tokens": b.DECODED_CONTEXT,
    "preemptions": b.PREEMPTIONS,
}
_RATES: Final = ("arrivals_per_s", "image_arrivals_per_s", "tiles_per_s", "prompt_tokens_per_s", "output_tokens_per_s")


class Accounts:
    """Sums what instances did over windows and five minutes, and turns ends of such spans into rows.

    ``tick`` is what they did since its owner last cleared it, shape I x DONE_COLUMNS. ``seen`` holds the averages of the last
    whole window for observations: shapes I (per instance) and E (``endpoint_*``).
    """

    def __init__(self, place: Layout, specs: tuple[Endpoint, ...], pipelines: Sequence[Pipeline], window_s: float) -> None:
        self._place, self._specs, self._pipelines = place, specs, pipelines
        self._window, self._flush, self._hour = ticks(window_s), ticks(FLUSH_S), ticks(HOUR_S)
        count, endpoints = len(place.ids), len(specs)
        # One array, so that a tick is added to all sums at once.
        self._sums = np.zeros((len(_SUMS), count, b.DONE_COLUMNS), dtype=np.int64)
        self._totals, self.tick = dict(zip(_SPANS, self._sums, strict=False)), self._sums[_SUMS.index("tick")]
        self._held = {name: np.zeros(count, dtype=np.int64) for name in _SPANS}
        self._since = {"window": 0, "flush": 0, "hour": 0}
        self._arrived = np.zeros(endpoints, dtype=np.int64)
        # Ids of each endpoint, known from the start and injected, before which the last window left nothing open.
        self._over = np.zeros((endpoints, 2), dtype=np.int64)
        self.seen: dict[str, NDArray[Any]] = {name: np.zeros(count) for name in _SHARES}
        for name in (*_COUNTS, "decode_iterations"):
            self.seen[name] = np.zeros(count, dtype=np.int64)
        for name in _RATES:
            self.seen[f"endpoint_{name}"] = np.zeros(endpoints)
        self.seen["endpoint_overflows"] = np.zeros(endpoints, dtype=np.int64)
        self._overflows = np.zeros(endpoints, dtype=np.int64)
        self._seen_span = (0, 0)
        # Of windows since the last flush: rows of ENDPOINTS, and last placements in the columns of PLACEMENTS.
        self._ended: list[records.Rows] = []
        self._placed: list[records.Placed] = []
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

    def resize(self, part: slice, before: Ints, after: Ints) -> None:
        """Keep the highest shares of KV caches (blocks, one per instance of ``part``) that become larger or smaller."""
        used = self._sums[:, part, b.KV_MAX]
        used[...] = -(-used * after // before)

    def note(self, now: int, kind: str, which: Iterable[tuple[str, float]], entity_kind: str = "instance") -> None:
        """Write one event per (entity id, value)."""
        self._events.extend((now / b.TICKS_PER_S, "serving", kind, entity_kind, name, value) for name, value in which)

    def close_spans(self, now: int, clock_share: Floats, role: Ints) -> None:
        """End the spans whose time has come."""
        if now % self._window == 0:
            self._end_window(now)
        if now % self._flush == 0:
            self._end_flush(now, clock_share, role)
        if now % self._hour == 0:
            self._end_hour(now)

    def _end_window(self, now: int) -> None:
        span = (self._since["window"], now)
        took, total, held = now - span[0], self._totals["window"], self._held["window"]
        window_s = took / b.TICKS_PER_S
        arrived = np.array([pipeline.arrived for pipeline in self._pipelines], dtype=np.int64)
        ended = [windows.endpoint_row(*each, span) for each in zip(self._pipelines, self._specs, self._over, strict=True)]
        decode = total[:, b.DECODE_TIME]
        image, tiles = self._images(span)
        self._seen_span = span
        rates = {
            "prompt_tokens_per_s": self._by_endpoint(total[:, b.PROMPT_TOKENS]) / window_s,
            "output_tokens_per_s": self._by_endpoint(total[:, b.OUTPUT_TOKENS]) / window_s,
        }
        self.seen = {
            "batch_mean": total[:, b.BATCH_TIME] / np.maximum(decode, 1),
            "prefill_share": total[:, b.PREFILL_TIME] / took,
            "decode_share": decode / took,
            "encode_share": total[:, b.ENCODE_TIME] / took,
            **{name: total[:, column].copy() for name, column in _COUNTS.items()},
            "decode_iterations": total[:, b.ITERATIONS] - total[:, b.PREFILLS],
            "endpoint_overflows": self._overflowed(),
            "endpoint_arrivals_per_s": (arrived - self._arrived) / window_s,
            "endpoint_image_arrivals_per_s": image / window_s,
            "endpoint_tiles_per_s": tiles / window_s,
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
        self._ended.append(rows)
        for index, pipeline in enumerate(self._pipelines):
            last = pipeline.last_placed()
            if last is not None:
                self._placed.append((now / b.TICKS_PER_S, index, *last))
        rejected = [(spec.id, row["rejected"]) for spec, row in zip(self._specs, ended, strict=True) if row["rejected"]]
        self.note(span[0], "rejected", rejected, "endpoint")
        self._arrived = arrived
        self._begin("window", now)

    def _overflowed(self) -> Ints:
        """Return how many requests no instance could hold in the window, as far as the routers count them, shape E."""
        counted = np.array([pipeline.stages.text.memory[PLACED_OVERFLOWS] for pipeline in self._pipelines], dtype=np.int64)
        before, self._overflows = self._overflows, counted
        # Another router counts from the beginning.
        return np.asarray(np.maximum(counted - before, 0))

    def _images(self, span: tuple[int, int]) -> tuple[Floats, Floats]:
        """Return how many requests with images, and tiles, arrived in the window, shape E."""
        out = np.zeros((2, len(self._pipelines)))
        for index, pipeline in enumerate(self._pipelines):
            if pipeline.vision is not None:
                tiles = pipeline.pictured(*span)
                out[:, index] = len(tiles), tiles.sum()
        return out[0], out[1]

    def finished(self) -> Finished:
        """Return the requests that finished in the last whole window."""
        parts = []
        for index, pipeline in enumerate(self._pipelines):
            ids = pipeline.finished(*self._seen_span)
            journey = pipeline.journey(ids)
            ttft_s, atgt_s, _ = journey.latencies
            place = journey.rows[:, b.PLACE]
            tiles = pipeline.book.tiles[ids].astype(np.int64) if pipeline.vision is not None else np.zeros(len(ids), dtype=np.int64)
            sizes = (pipeline.book.prompt_tokens[ids], journey.output_tokens, tiles)
            parts.append((np.full(len(ids), index), place + self._place.first[index], *sizes, ttft_s, atgt_s, place >= 0))
        if not parts:
            none = np.zeros(0, dtype=np.int64)
            return Finished(none, none, none, none, none, np.zeros(0), np.zeros(0))
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
        kept = columns[-1]
        return Finished(*(column[kept] for column in columns[:-1]))

    def _end_flush(self, now: int, clock_share: Floats, role: Ints) -> None:
        self._join_windows()
        span = (self._since["flush"], now)
        over = [pipeline.finished(*span) for pipeline in self._pipelines]
        journeys = [pipeline.journey(ids) for pipeline, ids in zip(self._pipelines, over, strict=True)]
        for index, (ids, journey) in enumerate(zip(over, journeys, strict=True)):
            self._requests(index, ids, journey, now)
        none = np.zeros(0, dtype=np.int64)
        blocks = np.concatenate([none, *(pipeline.stages.seen(b.KV_LIMIT) for pipeline in self._pipelines)])
        standing = records.Standing(clock_share, role, blocks, self._budgets(journeys))
        self._rows.append((INSTANCES, records.instance_rows(self._place, self._totals["flush"], self._held["flush"], standing, span)))
        for pipeline in self._pipelines:
            # The last window can still be asked for.
            pipeline.forget(self._seen_span[0])
        self._begin("flush", now)

    def _join_windows(self) -> None:
        """Write the rows of the windows since the last flush."""
        if self._ended:
            self._rows.append((ENDPOINTS, {name: np.concatenate([rows[name] for rows in self._ended]) for name in self._ended[0]}))
        if self._placed:
            self._rows.append((PLACEMENTS, records.placement_rows(self._placed)))
        self._ended, self._placed = [], []

    def _budgets(self, journeys: Sequence[records.Journey]) -> Floats:
        """Return the slowest ATGT of each endpoint's finished requests as a share of the objective, by instance, shape I."""
        worst = np.zeros(len(self._place.ids))
        for index, journey in enumerate(journeys):
            _, atgt_s, _ = journey.latencies
            known = ~np.isnan(atgt_s)
            place = journey.rows[known, b.PLACE] + self._place.first[index]
            np.maximum.at(worst, place, atgt_s[known] / self._specs[index].atgt_slo_s)
        return worst

    def _end_hour(self, now: int) -> None:
        if self._pipelines:
            hour = self._since["hour"] // self._hour
            self._rows.append((TOKEN_GAPS, records.gap_rows([pipeline.stages.gaps for pipeline in self._pipelines], hour)))
        for pipeline in self._pipelines:
            pipeline.stages.clear_gaps()
        self._since["hour"] = now

    def _requests(self, index: int, ids: Ints, journey: records.Journey, now: int) -> None:
        spec, book = (index, self._specs[index]), self._pipelines[index].book
        self._rows.append((REQUESTS, records.request_rows(book, journey, spec, ids, now / b.TICKS_PER_S)))

    def _begin(self, span: str, now: int) -> None:
        self._totals[span][:] = 0
        self._held[span][:] = 0
        self._since[span] = now

    def record(self, sink: Sink) -> None:
        """Write the rows of the spans that have ended, of windows at every flush, and the events."""
        for table, rows in self._rows:
            if len(next(iter(rows.values()))):
                sink.append(table, rows)
        if self._events:
            sink.append(EVENTS, event_columns(self._events))
        self._rows, self._events = [], []

    def close(self, sink: Sink, now: int, clock_share: Floats, role: Ints) -> None:
        """Write begun spans as well, and the requests that are still under way."""
        if now > self._since["window"]:
            self._end_window(now)
        if now > self._since["flush"]:
            self._end_flush(now, clock_share, role)
        for index, pipeline in enumerate(self._pipelines):
            ids = pipeline.under_way(now)
            self._requests(index, ids, pipeline.journey(ids), now)
        if now > self._since["hour"]:
            self._end_hour(now)
        self.record(sink)

    def snapshot(self) -> State:
        """Return the sums; rows and events not written yet belong to the time before and are left out."""
        return {
            "since": dict(self._since),
            "arrived": self._arrived.copy(),
            "overflows": self._overflows.copy(),
            "totals": {name: total.copy() for name, total in self._totals.items()},
            "held": {name: held.copy() for name, held in self._held.items()},
            "seen": {name: values.copy() for name, values in self.seen.items()},
            "seen_span": list(self._seen_span),
        }

    def restore(self, state: State) -> None:
        """Take back what ``snapshot`` gave."""
        self._since = {name: int(value) for name, value in state["since"].items()}
        self._arrived, self._overflows = np.array(state["arrived"]), np.array(state["overflows"])
        for name, total in state["totals"].items():
            self._totals[name][...] = total
        self._held = {name: np.array(held) for name, held in state["held"].items()}
        # A state of an earlier version knows less of its last window.
        self.seen |= {name: np.array(values) for name, values in state["seen"].items()}
        self._seen_span = (int(state["seen_span"][0]), int(state["seen_span"][1]))
        self._over[:] = 0
        self._ended, self._placed = [], []
        self._rows, self._events = [], []

    def _by_endpoint(self, values: NDArray[Any]) -> Floats:
        return np.asarray(np.bincount(self._place.endpoint, weights=values, minlength=len(self._specs)), dtype=np.float64)
