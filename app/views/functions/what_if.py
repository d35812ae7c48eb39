"""Panel of costs of a hop that can be edited; the answer is there at once."""

import html
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import polars as pl
import streamlit as st

from app import hops, parts, state
from app.charts.grid import Cell, grid, word
from app.charts.quantity import grouped
from app.hops import COSTS, RUNTIMES
from app.later import Answer
from app.views.functions import reading
from app.views.functions.path import cut
from app.views.functions.reading import PAPER_ID, Tracing
from app.views.memory.controls import number
from app.widgets.sheet import sheet
from twin.units import MINUS, show

_HEADS: Final = (word("Comes to"), word(RUNTIMES[0], "n"), word(RUNTIMES[1], "n"), word("Change", "n"))


@dataclass(frozen=True, slots=True)
class Line:
    """One answer: what it is, its value under both runtimes (None while it is not known), how it is shown, what is better."""

    label: str
    values: tuple[float | None, float | None]
    words: Callable[[float], str]
    better: str = "lower"
    times: bool = False


def what_if(trace: Tracing) -> list[Answer]:
    """Show fields for the costs of a hop under both runtimes, and what follows from them; return what it waits for."""
    known = {name: reading.alone(trace, trace.runtime(name)) for name in RUNTIMES}
    spread = reading.spread(known[RUNTIMES[0]], known[RUNTIMES[1]])
    answers = lines(trace, known)
    with parts.panel(title(trace, known), "functions-what-if", data=table(answers)):
        sheet(grid(_HEADS, [_cells(line) for line in answers]), key="functions-what-if-rows")
        for each in known.values():
            if each.why:
                st.html(f'<p class="iw-note">{parts.mark("at risk", "")} {html.escape(each.why)}</p>')
        _fields(trace)
        _presets(trace)
        st.html(f'<p class="iw-note">{html.escape(note(trace, spread))}</p>')
    return [*known.values(), spread]


def title(trace: Tracing, known: Mapping[str, Answer]) -> str:
    """Return what bypass buys, and of which costs."""
    median, tail = cut(known, "latency_p50_s"), cut(known, "latency_p99_s")
    with_ = "With these costs" if trace.edits else "As calibrated"
    if median is None or tail is None:
        return f"{with_}: being worked out"
    if trace.runtime(RUNTIMES[0]).hop == trace.runtime(RUNTIMES[1]).hop:
        return "Equal costs of hops: bypass buys nothing"
    most = [hops.cpu_s(trace.runtime(name), trace.function) for name in RUNTIMES]
    times = most[0] / most[1]
    calls = f"carries {times:.2g} times the calls" if times > 1.05 else "carries no more calls"
    return f"{with_} bypass cuts the median by {_share(median)}, p99 by {_share(tail)} and {calls}"


def _share(value: float) -> str:
    return show(value, "x_share")


def lines(trace: Tracing, known: Mapping[str, Answer]) -> list[Line]:
    """Return what follows from the costs: latencies where nobody waits, core time, the most calls, cores burnt, starts, memory."""
    both = [trace.runtime(name) for name in RUNTIMES]
    cpu = [hops.cpu_s(each, trace.function) for each in both]

    def of(column: str) -> tuple[float | None, float | None]:
        slow, fast = (None if known[name].value is None else float(getattr(known[name].value, column)) for name in RUNTIMES)
        return slow, fast

    busy = [trace.rate_per_s * need for need in cpu]
    spinning = [each.polling_cores * max(len(trace.settings.hosts), 1) + each.polling_cores_each * trace.instances for each in both]
    return [
        Line("Median latency", of("latency_p50_s"), _time),
        Line("99th percentile", of("latency_p99_s"), _time),
        Line("Core time a call", (cpu[0], cpu[1]), _time),
        Line(
            f"Calls/s at which {trace.cores} cores are busy", (trace.cores / cpu[0], trace.cores / cpu[1]), grouped, "higher", times=True
        ),
        Line(f"Cores busy at {_rate(trace.rate_per_s)}", (busy[0], busy[1]), _cores),
        Line("Cores that only spin", (spinning[0], spinning[1]), _cores),
        Line("Cold start, median", (both[0].cold_median_s, both[1].cold_median_s), _time),
        Line("Memory of a warm instance", (float(both[0].instance_bytes), float(both[1].instance_bytes)), lambda x: show(x, "x_bytes")),
    ]  # fmt: skip


def _time(value: float) -> str:
    return show(value, "x_s")


def _cores(value: float) -> str:
    return "0" if value == 0 else f"{value:.3g}"


def _rate(rate_per_s: float) -> str:
    return f"{show(rate_per_s, 'x_per_s')}"


def _cells(line: Line) -> list[Cell]:
    slow, fast = line.values
    tokens = state.colours()
    told = change(line)
    ink = tokens.muted
    if slow is not None and fast is not None and slow != fast:
        ink = tokens.good_text if (fast < slow) == (line.better == "lower") else tokens.broken_text
    shown = ["…" if value is None else line.words(value) for value in line.values]
    changed = Cell(f'<span style="color:{ink}">{html.escape(told)}</span>', "n s")
    return [word(line.label, "label"), word(shown[0], "n m"), word(shown[1], "n b"), changed]


def change(line: Line) -> str:
    """Return how the second runtime differs from the first: a share, or how many times where that says more."""
    slow, fast = line.values
    if slow is None or fast is None:
        return "–"
    if slow == fast:
        return "0"
    if slow == 0.0 or fast == 0.0:
        return f"{'+' if fast > slow else MINUS}{line.words(abs(fast - slow))}"
    if line.times or fast / slow > 3.0:
        return f"{fast / slow:.3g}×"
    share = show(abs(fast / slow - 1.0), "x_share")
    return f"{'+' if fast > slow else MINUS}{share}"


def _fields(trace: Tracing) -> None:
    st.html('<p class="iw-said">What each hop costs, to be edited</p>')
    with st.container(key="functions-hops", gap="small"):
        for key, cost in COSTS.items():
            with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"functions-hop-{key}"):
                st.html(f'<p class="iw-note" title="{html.escape(cost.help)}">{html.escape(cost.label)}</p>', width="stretch")
                for name in RUNTIMES:
                    value = hops.told(trace.runtime(name))[key]
                    number(f"{cost.label}, {name}", value, cost.span, f"hop-{name}-{key}", _edit(trace, name, key), width=108)


def _edit(trace: Tracing, name: str, key: str) -> Callable[[Any], None]:
    def change_(value: Any) -> None:
        # What is None was emptied: the cost is the calibrated one again.
        mine = {**trace.edits.get(name, {}), **({} if value is None else {key: float(value)})}
        if value is None:
            mine.pop(key, None)
        put({**trace.edits, name: mine})

    return change_


def put(edits: Mapping[str, Mapping[str, float]]) -> None:
    """Take edited costs into the URL; those that are as calibrated leave it."""
    state.trace(hops=hops.written(hops.parse(hops.written(edits))) or None)


def _presets(trace: Tracing) -> None:
    slow = hops.told(trace.calibrated(RUNTIMES[0]))
    same = {key: slow[key] for key in ("stack_us", "spike_percent", "spike_us", "cpu_us")}
    presets = (
        ("As calibrated", {}, "every cost as its source has it"),
        ("Version 2", {RUNTIMES[0]: {"cpu_us": version_2_us()}}, "a kernel twice as dear: ten times instead of five"),
        ("Equal hops", {RUNTIMES[1]: same}, "the second runtime with the first one’s hops: no difference may be left"),
        ("Poll each instance", {RUNTIMES[1]: {"polling": 0.0, "polling_each": 1.0}}, "each polls its own queues, like plain DPDK"),
    )  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="functions-presets"):
        for name, edits, help_ in presets:
            now = hops.parse(hops.written(edits)) == dict(trace.edits)
            st.button(
                name, key=f"functions-preset-{name}", type="tertiary", disabled=now, help=help_, on_click=put, args=(edits,),
                width="content",
            )  # fmt: skip


def version_2_us() -> float:
    """Return the core time of a hop in the kernel that makes five times ten times, in µs."""
    from twin.sources import calibration

    return 1e6 * float(calibration("functions")["version_2"]["containerd_cpu_s"]["value"])


def note(trace: Tracing, spread: Answer) -> str:
    """Return what the paper says, and how much of a hundred calls' 99th percentile is chance."""
    words = "Latencies are of 100 000 calls that wait for nobody."
    if trace.function.id == PAPER_ID:
        words += f" Published: {MINUS}37.33\u00a0% and {MINUS}63.42\u00a0%, five times the calls (ten in its version 2)."
    if isinstance(spread.value, tuple):
        low, high = spread.value
        part = f"{100 * low:.0f} to {100 * high:.0f}\u00a0%".replace("-", MINUS)
        words += (
            f" The paper compares {hops.PUBLISHED_CALLS} calls each: of such comparisons of this function "
            f"nine in ten would cut p99 by {part}."
        )
    return words


def table(answers: list[Line]) -> pl.DataFrame:
    """Return the answers as a table."""
    return pl.DataFrame(
        [(line.label, *line.values) for line in answers],
        schema={"comes_to": pl.String, **dict.fromkeys(RUNTIMES, pl.Float64)}, orient="row",
    )  # fmt: skip
