"""From ticks and counters to the rows of the domain's tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twin.serving import batching as b
from twin.serving.book import Book
from twin.serving.layout import Endpoint, Layout
from twin.serving.levers import PLACEMENT_REASONS
from twin.serving.readings import FINISHED, REJECTED_STATUS, UNFINISHED

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Rows = dict[str, NDArray[Any]]
# When, endpoint, arrival, prompt, slot, how many could have taken it, and a code of why.
Placed = tuple[float, int, float, int, int, int, int]
_MAXIMA: Final = slice(b.QUEUE_MAX, b.KV_MAX + 1)
# Columns of the marks of a request with images, ticks, 0 before: when it came out of preparation, out of the queue of the
# encoder, out of the encoder, and to the queue of the text stage.
READY: Final = 0
ENCODE_BEGAN: Final = 1
ENCODED: Final = 2
AT_TEXT: Final = 3
MARKS: Final = 4


def gather(totals: Ints, done: Ints) -> None:
    """Add what was done (shape I x DONE_COLUMNS) to each of some totals: sums, but the larger of maxima."""
    maxima = np.maximum(totals[..., _MAXIMA], done[:, _MAXIMA])
    totals += done
    totals[..., _MAXIMA] = maxima


def objectives(rows: Ints, known: tuple[Floats, Floats, Floats], spec: Endpoint, t_s: float) -> NDArray[np.int8]:
    """Return 1 for requests within both objectives, 0 for missed ones, -1 while that is open.

    A rejected request missed; one that still waits missed as soon as its TTFT objective has passed; one token has no ATGT.
    """
    ttft, atgt, e2e = known
    waited = t_s - rows[:, b.ARRIVE] / b.TICKS_PER_S
    late = (ttft > spec.ttft_slo_s) | (atgt > spec.atgt_slo_s) | (np.isnan(ttft) & (waited > spec.ttft_slo_s))
    missed = late | (rows[:, b.PLACE] == b.REJECTED)
    return np.where(missed, 0, np.where(np.isnan(e2e), -1, 1)).astype(np.int8)


@dataclass(frozen=True)
class Journey:
    """How far some requests are: rows of the kernel's columns, what they ask, and their way to the text stage.

    ``marks`` has the columns of this module, None where the requests go to the text stage at once.
    """

    rows: Ints
    output_tokens: Ints
    marks: Ints | None

    @cached_property
    def latencies(self) -> tuple[Floats, Floats, Floats]:
        """TTFT, ATGT and end-to-end time in seconds; what is not known yet is not a number."""
        per_tick = 1.0 / b.TICKS_PER_S
        arrive, first, finish = self.rows[:, b.ARRIVE], self.rows[:, b.FIRST], self.rows[:, b.FINISH]
        begun = first < b.FOREVER
        over = (finish < b.FOREVER) & (self.rows[:, b.PLACE] != b.REJECTED)
        ttft = np.where(begun, (first - arrive) * per_tick, np.nan)
        atgt = np.where(over & (self.output_tokens > 1), (finish - first) * per_tick / np.maximum(self.output_tokens - 1, 1), np.nan)
        return ttft, atgt, np.where(over, (finish - arrive) * per_tick, np.nan)


def stages(journey: Journey) -> dict[str, Floats]:
    """Return what the time to the first token is made of, seconds by stage; the rest of it is the prefill.

    A stage that a request has not reached is not a number, one that it does not need is 0.
    """
    rows, marks = journey.rows, journey.marks
    per_tick = 1.0 / b.TICKS_PER_S
    admitted = rows[:, b.ADMITTED] < b.FOREVER
    inside = rows[:, b.ENCODE] * per_tick
    if marks is None:
        none = np.zeros(len(rows))
        waited = (rows[:, b.ADMITTED] - rows[:, b.ARRIVE]) * per_tick
        return _stages(none, none, inside, none, np.where(admitted, waited, np.nan))
    apart = marks[:, ENCODED] > 0
    reached = marks[:, AT_TEXT] > 0
    encoded = np.where(apart, (marks[:, ENCODED] - marks[:, ENCODE_BEGAN]) * per_tick, inside)
    return _stages(
        (marks[:, READY] - rows[:, b.ARRIVE]) * per_tick,
        # Who waited in vain went on as soon as that was known.
        np.where(apart, marks[:, ENCODE_BEGAN] - marks[:, READY], np.where(reached, marks[:, AT_TEXT] - marks[:, READY], 0)) * per_tick,
        np.where(reached, encoded, np.nan),
        np.where(apart, marks[:, AT_TEXT] - marks[:, ENCODED], 0) * per_tick,
        np.where(admitted & reached, (rows[:, b.ADMITTED] - marks[:, AT_TEXT]) * per_tick, np.nan),
    )


def _stages(prepare: Any, wait: Any, encode: Any, transfer: Any, queue: Any) -> dict[str, Floats]:
    return {"prepare_s": prepare, "encode_wait_s": wait, "encode_s": encode, "transfer_s": transfer, "queue_s": queue}


def request_rows(book: Book, journey: Journey, spec: tuple[int, Endpoint], ids: Ints, t_s: float) -> Rows:
    """Return rows of REQUESTS for some requests of one endpoint (its index and specification)."""
    rows, tokens = journey.rows, journey.output_tokens
    ttft, atgt, e2e = known = journey.latencies
    place = rows[:, b.PLACE]
    status = np.where(place == b.REJECTED, REJECTED_STATUS, np.where(np.isnan(e2e), UNFINISHED, FINISHED))
    return {
        "arrive_s": book.arrive_s[ids],
        "endpoint_id": np.full(len(ids), spec[0], dtype=np.uint32),
        "instance": np.where(place >= 0, place + 1, 0).astype(np.int16),
        "prompt_tokens": book.prompt_tokens[ids].astype(np.int32),
        "output_tokens": tokens.astype(np.int32),
        "images": book.images[ids].astype(np.int16),
        "ttft_s": ttft.astype(np.float32),
        "atgt_s": atgt.astype(np.float32),
        "e2e_s": e2e.astype(np.float32),
        **{name: values.astype(np.float32) for name, values in stages(journey).items()},
        "status": status.astype(np.uint8),
        "slo": objectives(rows, known, spec[1], t_s),
    }


@dataclass(frozen=True, slots=True)
class Standing:
    """What instances were at the end of a span and how near they came to the ATGT objective in it, shape I."""

    clock_share: Floats
    role: Ints
    kv_blocks: Ints
    atgt_budget_share: Floats


def instance_rows(place: Layout, done: Ints, held: Ints, state: Standing, span: tuple[int, int]) -> Rows:
    """Return rows of INSTANCES over a span of ticks."""
    took = span[1] - span[0]
    decode = done[:, b.DECODE_TIME]
    return {
        "t_s": np.full(len(done), span[0] / b.TICKS_PER_S),
        "instance_id": np.arange(len(done)),
        "on_share": (held / took).astype(np.float32),
        "role": state.role.astype(np.uint8),
        "clock_share": state.clock_share.astype(np.float32),
        "encode_share": (done[:, b.ENCODE_TIME] / took).astype(np.float32),
        "prefill_share": (done[:, b.PREFILL_TIME] / took).astype(np.float32),
        "decode_share": (decode / took).astype(np.float32),
        "prompt_tokens_per_s": (done[:, b.PROMPT_TOKENS] * (b.TICKS_PER_S / took)).astype(np.float32),
        "output_tokens_per_s": (done[:, b.OUTPUT_TOKENS] * (b.TICKS_PER_S / took)).astype(np.float32),
        "batch_mean": (done[:, b.BATCH_TIME] / np.maximum(decode, 1)).astype(np.float32),
        "queue_mean": (done[:, b.QUEUE_TIME] / took).astype(np.float32),
        "queue_max": done[:, b.QUEUE_MAX].astype(np.int32),
        "kv_share": (done[:, b.KV_MAX] / state.kv_blocks).astype(np.float32),
        "preemptions": done[:, b.PREEMPTIONS].astype(np.int32),
        "atgt_budget_share": state.atgt_budget_share.astype(np.float32),
        "arrivals": done[:, b.ARRIVALS].astype(np.int32),
    }


def placement_rows(placed: Sequence[Placed]) -> Rows:
    """Return rows of PLACEMENTS."""
    t_s, endpoint, arrive_s, prompt, slot, feasible, reason = zip(*placed, strict=True)
    return {
        "t_s": np.array(t_s),
        "endpoint_id": np.array(endpoint),
        "arrive_s": np.array(arrive_s),
        "prompt_tokens": np.array(prompt, dtype=np.int32),
        "instance": np.array(slot, dtype=np.int16) + np.int16(1),
        "feasible": np.array(feasible, dtype=np.int32),
        "reason": np.array([PLACEMENT_REASONS[code if 0 <= code < len(PLACEMENT_REASONS) else 0] for code in reason], dtype=object),
    }


def gap_rows(gaps: Sequence[Ints], hour: int) -> Rows:
    """Return rows of TOKEN_GAPS for one hour from the histogram of each endpoint."""
    edges = b.gap_edges()
    where = [np.flatnonzero(counts) for counts in gaps]
    bins = np.concatenate(where) if where else np.zeros(0, dtype=np.int64)
    return {
        "hour": np.full(len(bins), hour, dtype=np.int32),
        "endpoint_id": np.repeat(np.arange(len(gaps)), [len(found) for found in where]),
        "gap_s": edges[bins] / b.TICKS_PER_S,
        "gap_to_s": edges[bins + 1] / b.TICKS_PER_S,
        "tokens": np.concatenate([counts[found] for counts, found in zip(gaps, where, strict=True)]) if where else bins,
    }
