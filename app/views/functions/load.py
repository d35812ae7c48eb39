"""Panels of latency over load and of its distribution, both runtimes."""

import html
from collections.abc import Mapping, Sequence
from typing import Any, Final

import polars as pl
import streamlit as st

from app import hops, parts, state
from app.charts.distribution import at, binned_table, distribution
from app.charts.load_curve import Here, load_curve, spoken
from app.charts.quantity import grouped
from app.charts.statements import count
from app.hops import RUNTIMES
from app.later import Answer
from app.views.functions import kept, reading
from app.views.functions.reading import Tracing
from app.views.memory.controls import select
from twin.functions.latencies import BIN_RATIO
from twin.units import show

BUSY: Final = 0.9
ALONE: Final = "alone"
RUN: Final = "run"
_LOOKED_AT: Final = (0.5, 0.8, 0.9, 0.95)


def load(trace: Tracing) -> tuple[dict[str, Any], float]:
    """Draw the curve over load, or follow the job that works it out; return the runtimes that are known and the load looked at."""
    known = kept.found(trace)
    if known.answer is None:
        with parts.panel("How many calls can its cores take, and how late are they then?", "functions-load"):
            st.html(
                '<p class="iw-note">The function is called at thirteen loads under each runtime, a hundred thousand times each. '
                "It takes some seconds once and is kept.</p>"
            )
            kept.offer(trace, known)
        return {}, BUSY
    runtimes: dict[str, Any] = dict(known.answer["runtimes"])
    busy = looked_at(trace)
    busy_share = busy if isinstance(busy, float) else BUSY
    title = load_title(trace, runtimes, busy_share)
    with parts.panel(title, "functions-load", data=table(runtimes), png=True):
        here = standing(trace, runtimes)
        fig = load_curve(runtimes, state.colours(), busy=busy_share, here=here)
        parts.plot(fig, "functions-load", alt=title, on_pick=lambda picked: state.trace(busy=picked))
        st.html(f'<p class="iw-note">{html.escape(load_words(runtimes, busy_share, here))}</p>')
        kept.offer(trace, known)
    return runtimes, busy_share


def looked_at(trace: Tracing) -> float | str:
    """Return the load that the URL names: a share, *alone* or *run*; what the run recorded where it has the function."""
    text = state.traced().get("busy", "")
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if share in hops.LOADS:
        return share
    if text == ALONE:
        return ALONE
    return RUN if trace.of_run else BUSY


def point(runtimes: Mapping[str, Any], name: str, busy: float) -> Mapping[str, Any]:
    """Return what is known of a runtime at a load."""
    found: Mapping[str, Any] = next(each for each in runtimes[name]["points"] if each["busy_share"] == busy)
    return found


def load_title(trace: Tracing, runtimes: Mapping[str, Any], busy: float) -> str:
    """Return how many more calls the second runtime takes, and how much lower its tail is then."""
    slow, fast = (runtimes[name] for name in RUNTIMES)
    times = fast["saturation_per_s"] / slow["saturation_per_s"]
    tails = [point(runtimes, name, busy)["latency_p99_s"] for name in RUNTIMES]
    cores = count(trace.cores, "core")
    head = f"{cores[:1].upper()}{cores[1:]} take {grouped(_round(fast['saturation_per_s']))} calls a second"
    if abs(times - 1.0) < 5e-4:
        return f"{head} under either runtime"
    lower = tails[0] / tails[1]
    if lower < 1.05:
        return f"{head} instead of {grouped(_round(slow['saturation_per_s']))}; at {100 * busy:.3g}\u00a0% busy p99 is the same"
    late = f"at {100 * busy:.3g}\u00a0% busy p99 is {lower:.1f} times lower"
    return f"{head} instead of {grouped(_round(slow['saturation_per_s']))}; {late}"


def _round(value: float) -> float:
    return float(f"{value:.3g}")


def load_words(runtimes: Mapping[str, Any], busy: float, here: Sequence[Here]) -> str:
    """Return the load looked at in words, and where the shown runs stand."""
    told = [
        f"{name} {spoken(point(runtimes, name, busy))} at {grouped(point(runtimes, name, busy)['rate_per_s'])} calls/s" for name in RUNTIMES
    ]
    stand = f" Diamonds: this run, {', '.join(each.words for each in here)}." if here else ""
    how = "Thin: median, thick: 99th percentile. Click a point to look at its load."
    return f"At {100 * busy:.3g}\u00a0% busy: {'; '.join(told)}. {how}{stand}"


def standing(trace: Tracing, runtimes: Mapping[str, Any]) -> list[Here]:
    """Return where the shown runs stand: at the mean load of the cores that functions have."""
    if not trace.of_run:
        return []
    found, home = [], str(state.home())
    for run_id in dict.fromkeys(filter(None, (trace.other, trace.run_id))):
        whole, name = reading.hosts(home, run_id), reading.runtime_of(run_id)
        if whole.is_empty() or name not in runtimes or not whole["cores"].sum():
            continue
        share = float((whole["busy_cores"] * whole["window_s"]).sum() / (whole["cores"] * whole["window_s"]).sum())
        found.append(Here(name, share * runtimes[name]["saturation_per_s"], f"{100 * share:.2g}\u00a0% busy under {name}"))
    # Of two runs of one runtime one mark is enough.
    return list({each.name: each for each in found}.values())


def table(runtimes: Mapping[str, Any]) -> pl.DataFrame:
    """Return the curve as a table: a row a runtime and load."""
    plain = ("busy_share", "rate_per_s", "calls", "latency_p50_s", "latency_p99_s", "latency_mean_s", "busy_cores", "polling_cores")
    return pl.DataFrame(
        [
            {"runtime": name, **{key: each[key] for key in plain}, **{f"{key}_s": value for key, value in each["segments_s"].items()}}
            for name, found in runtimes.items()
            for each in found["points"]
        ]
    )


# -- the distribution ---------------------------------------------------------------


def spread(trace: Tracing, runtimes: Mapping[str, Any], busy_share: float) -> list[Answer]:
    """Draw how latencies are spread: in the run, where nobody waits, or at a load; return what it waits for."""
    what, waiting = looked_at(trace), []
    if what == ALONE or (isinstance(what, float) and not runtimes):
        known = {name: reading.alone(trace, trace.runtime(name)) for name in RUNTIMES}
        waiting, what = list(known.values()), ALONE
        tables = [None if answer.value is None else answer.value.quantiles for answer in known.values()]
        names = RUNTIMES
    elif what == RUN:
        tables, names = recorded(trace)
    else:
        tables = [quantiles(point(runtimes, name, busy_share)) for name in RUNTIMES]
        names = RUNTIMES
    first, second = (*tables, None)[:2] if len(tables) > 1 else (tables[0], None)
    if len(tables) == 1 and trace.now.shown == "candidate":
        first, second = None, tables[0]
    title = spread_title(trace, tables, names, what)
    kept_ = [each.with_columns(pl.lit(name).alias("runtime")) for each, name in zip(tables, names, strict=True) if each is not None]
    data = pl.concat(kept_) if kept_ else pl.DataFrame()
    sql = _SQL.format(run_id=trace.run_id, function_id=trace.function.id) if what == RUN else ""
    with parts.panel(title, "functions-spread", data=data, sql=sql, png=True):
        _pick(trace, what, bool(runtimes))
        parts.plot(distribution(first, second, "x_s", state.colours(), height_px=256), "functions-spread", alt=title)
        st.html(f'<p class="iw-note">{html.escape(_words(what, names))}</p>')
    return waiting


def quantiles(found: Mapping[str, Any]) -> pl.DataFrame:
    """Return the quantile table of a load, the median and the 99th percentile as they were counted."""
    counted = {0.50: found["latency_p50_s"], 0.99: found["latency_p99_s"]}
    known = {**dict(zip(found["shares"], found["values_s"], strict=True)), **counted}
    return pl.DataFrame({"share": list(known), "value": list(known.values())}).sort("share")


def recorded(trace: Tracing) -> tuple[list[pl.DataFrame | None], tuple[str, ...]]:
    """Return the quantile tables of the runs that recorded the function, today's first, and under which runtime they ran."""
    found: list[pl.DataFrame | None] = []
    names: list[str] = []
    for run_id in filter(None, (trace.other, trace.run_id)):
        counted = reading.bins(str(state.home()), run_id, trace.function.id)
        edges = counted.select(
            pl.col("low_s").alias("gap_s"), (pl.col("low_s") * BIN_RATIO).alias("gap_to_s"), pl.col("calls").alias("tokens")
        )
        named = {share: reading.metric(run_id, f"latency_{at_}_s", trace.function.id) for share, at_ in ((0.50, "p50"), (0.99, "p99"))}
        found.append(through(binned_table(edges), {share: value for share, value in named.items() if value is not None}))
        names.append(reading.runtime_of(run_id))
    return found, tuple(names)


def through(table_: pl.DataFrame, known: Mapping[float, float]) -> pl.DataFrame:
    """Return a quantile table that goes through known values, as other panels show them; points that contradict one are left out.

    >>> through(pl.DataFrame({"share": [0.4, 0.9], "value": [2.0, 3.0]}), {0.5: 1.9})["value"].to_list()
    [1.9, 3.0]
    """
    for share, value in () if table_.is_empty() else known.items():
        below = table_.filter(pl.col("share") < share, pl.col("value") <= value)
        above = table_.filter(pl.col("share") > share, pl.col("value") >= value)
        if not above.is_empty():
            table_ = pl.concat([below, pl.DataFrame({"share": [share], "value": [value]}), above])
    return table_


def spread_title(trace: Tracing, tables: Sequence[pl.DataFrame | None], names: Sequence[str], what: float | str) -> str:
    """Return what 99 of 100 calls stay within, under each runtime."""
    where = {ALONE: "Where nobody waits", RUN: "In this run"}.get(
        str(what), f"At {100 * what:.3g}\u00a0% busy" if isinstance(what, float) else ""
    )
    told = []
    for table_, name in zip(tables, names, strict=True):
        value = None if table_ is None else at(table_, 0.99)
        if value is not None:
            told.append(f"{show(value, 'x_s')} under {name}")
    if not told:
        return f"{where} too few calls of {trace.function.id} were answered for a 99th percentile" if what == RUN else "How late are calls?"
    return f"{where} 99 of 100 calls are answered within {', '.join(told)}"


def _pick(trace: Tracing, what: float | str, loads: bool) -> None:
    shares = [*_LOOKED_AT, *([what] if isinstance(what, float) and what not in _LOOKED_AT else [])]
    options = [*([RUN] if trace.of_run else []), ALONE, *(sorted(shares) if loads else [])]

    def words(option: float | str) -> str:
        if isinstance(option, float):
            return f"cores {100 * option:.3g}\u00a0% busy"
        return {RUN: "in this run", ALONE: "where nobody waits"}[option]

    with st.container(horizontal=True, key="functions-spread-at"):
        chosen = what if what in options else ALONE
        select(
            "Load", options, chosen, "functions-busy",
            lambda one: state.trace(busy=f"{one:g}" if isinstance(one, float) else one), words=words, width=190,
        )  # fmt: skip


def _words(what: float | str, names: Sequence[str]) -> str:
    roles = f"Grey: {RUNTIMES[0]}; blue: {RUNTIMES[1]}." if len(set(names)) > 1 else ""
    if what == RUN:
        return f"All calls of the run, queue and cold starts included. {roles}".strip()
    if what == ALONE:
        return f"100 000 calls that wait for nobody, the same numbers drawn for both. {roles}".strip()
    return f"About 100 000 calls of this function alone on a host. {roles}".strip()


_SQL: Final = (
    "SELECT low_s, sum(calls) AS calls FROM function_latency\n"
    "WHERE run_id = '{run_id}' AND function_id = '{function_id}' GROUP BY low_s ORDER BY low_s"
)
