"""Panels of the run's day: cold starts, cores burnt, room that is left."""

import html
from typing import Final

import polars as pl
import streamlit as st

from app import parts, state
from app.charts import burnt
from app.charts.quantity import grouped
from app.charts.timeline import Span
from app.views.functions import reading
from app.views.functions.reading import Tracing
from twin.units import show

_CALLS: Final = (
    "SELECT t_s, window_s, sum(arrived) AS arrived, sum(cold_starts) AS cold_starts FROM functions\n"
    "WHERE run_id = '{run_id}' GROUP BY t_s, window_s ORDER BY t_s"
)
_HOSTS: Final = (
    "SELECT t_s, sum(busy_cores) AS busy_cores, sum(polling_cores) AS polling_cores, sum(cores) AS cores,\n"
    "       sum(saturation_per_s) AS saturation_per_s FROM function_hosts WHERE run_id = '{run_id}' GROUP BY t_s ORDER BY t_s"
)


def day(trace: Tracing) -> None:
    """Draw cold starts, cores and room over the day of the shown run, all functions together; today's policy dashed beside it."""
    shown, today = frames(trace)
    if shown.is_empty():
        return
    span, tokens = Span(trace.now.clock, trace.now.horizon_s), state.colours()
    own = {"cursor_s": trace.now.t_s, "is_today": trace.now.shown == "today"}
    names = (reading.runtime_of(trace.run_id), reading.runtime_of(trace.other))
    columns = st.columns(3, gap="small")
    with columns[0]:
        title = cold_title(shown, today)
        with parts.panel(title, "functions-cold", data=shown, sql=_CALLS.format(run_id=trace.run_id), png=True):
            parts.plot(burnt.cold_starts(shown, today, tokens, span, **own), "functions-cold", alt=title)
            note(cold_words(trace, names[0]))
    with columns[1]:
        title = cores_title(shown, today)
        with parts.panel(title, "functions-cores", data=shown, sql=_HOSTS.format(run_id=trace.run_id), png=True):
            parts.plot(burnt.cores(shown, today, tokens, span, **own), "functions-cores", alt=title)
            note(cores_words(shown, names[0]))
    with columns[2]:
        title = room_title(trace, shown)
        with parts.panel(title, "functions-room", data=shown, sql=_HOSTS.format(run_id=trace.run_id), png=True):
            parts.plot(burnt.headroom(shown, today, tokens, span, **own), "functions-room", alt=title)
            note(f"Upper line: calls a second of this mix at which all cores would be busy under {names[0]}. Lower: those that came.")


def frames(trace: Tracing) -> tuple[pl.DataFrame, pl.DataFrame | None]:
    """Return the windows of the shown run, and those of today's run where another is shown."""
    home = str(state.home())
    today = reading.hosts(home, trace.other) if trace.other else None
    return reading.hosts(home, trace.run_id) if trace.run_id else pl.DataFrame(), today


def cold_title(shown: pl.DataFrame, today: pl.DataFrame | None) -> str:
    """Return how many calls waited for a start, of how many."""
    cold, came = int(shown["cold_starts"].sum()), int(shown["arrived"].fill_null(0).sum())
    if not came:
        return "Nobody called a function"
    head = f"{grouped(cold)} of {grouped(came)} calls waited for a start" if cold else "No call waited for a start"
    if today is None or today.is_empty():
        return head
    return f"{head}, {grouped(int(today['cold_starts'].sum()))} today"


def cold_words(trace: Tracing, name: str) -> str:
    """Return what a start takes under a runtime, and when instances are given up."""
    keep = show(trace.settings.keep_alive_s, "x_s")
    start = show(trace.calibrated(name).cold_median_s, "x_s") if name in reading.RUNTIMES else "a start’s time"
    return f"A start under {name} takes {start} and then what its language takes. An instance that nobody called for {keep} is given up."


def burnt_mean(frame: pl.DataFrame) -> tuple[float, float]:
    """Return the cores that were busy with calls and those that only spun, averaged over time."""
    whole = float(frame["window_s"].sum()) or 1.0
    busy, spinning = (float((frame[name] * frame["window_s"]).sum()) / whole for name in ("busy_cores", "polling_cores"))
    return busy, spinning


def cores_title(shown: pl.DataFrame, today: pl.DataFrame | None) -> str:
    """Return how many cores functions burnt on average: busy, and spinning."""
    busy, spinning = burnt_mean(shown)
    head = f"Functions burn {busy + spinning:.3g} cores on average"
    if spinning:
        head += f", {spinning:.3g} of them only spin"
    if today is None or today.is_empty():
        return head
    return f"{head}; {sum(burnt_mean(today)):.3g} today"


def cores_words(shown: pl.DataFrame, name: str) -> str:
    """Return what the areas are, and how much memory warm instances hold."""
    held = show(float((shown["instances_bytes"] * shown["window_s"]).sum()) / (float(shown["window_s"].sum()) or 1.0), "x_bytes")
    _, spinning = burnt_mean(shown)
    words = (
        f"Filled: busy with calls; above it in amber: spinning under {name}."
        if spinning
        else f"Filled: busy with calls under {name}; none spins."
    )
    return f"{words} Warm instances hold {held}."


def room_title(trace: Tracing, shown: pl.DataFrame) -> str:
    """Return how near the fullest window came to what the cores can do."""
    share = shown.with_columns((pl.col("busy_cores") / pl.col("cores")).fill_nan(0.0).alias("share"))
    top = share.sort("share", descending=True).row(0, named=True)
    at = trace.now.clock.at(top["t_s"]).strftime("%H:%M")
    return f"At most {100 * top['share']:.3g}\u00a0% of what its cores can do, at {at}"


def note(words: str) -> None:
    """Write a line under a figure."""
    st.html(f'<p class="iw-note">{html.escape(words)}</p>')
