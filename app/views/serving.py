"""Where do requests wait?"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import polars as pl
import streamlit as st

from app import parts, state
from app.charts import stages
from app.charts.distribution import at, distribution
from app.charts.pipeline import pipeline_svg, waits_svg
from app.charts.timeline import Lane, Span, count_at, lanes, over_time
from app.widgets.drawing import drawing
from app.widgets.rows import Head, rows
from twin.units import show as shown
from twin.units import show_change

SPAN_S: Final = 900.0
_WAITS: Final = 0.1
_LATENCIES: Final = {"ttft_s": "TTFT", "atgt_s": "ATGT", "e2e_s": "end to end"}
_BOUNDS: Final = {"ttft_s": "ttft_slo_s", "atgt_s": "atgt_slo_s"}


def show() -> None:
    """Show the page."""
    if parts.no_run("serving"):
        return
    now = state.context()
    run_id, home = now.run_id or "", str(state.home())
    endpoints = state.table(run_id, "endpoints")
    if endpoints.is_empty():
        parts.empty(
            "This run served no requests", "Its scenario has no serving endpoints; add one under [[serving.endpoints]].", key="serving-none"
        )
        return
    from_s, to_s = _span(now)
    other = now.today if now.shown == "candidate" else None
    waited = {name: _waits(home, one, from_s, to_s) for name, one in (("today", other), (now.shown, run_id)) if one}
    under = f"The quarter of an hour up to {now.clock_text} · each request passes prefill, then decode · seed {now.seed}"
    parts.page_title(_title(waited[now.shown]), under)
    left, right = st.columns([784, 384], gap="small")
    with left:
        _pipeline(run_id, waited[now.shown], from_s, to_s)
        _distributions(home, run_id, other)
        _instances(run_id, other, now)
    with right:
        _waiting(waited)
        _cost(run_id, other, now, from_s, to_s)


def _span(now: state.Context) -> tuple[float, float]:
    begin_s = state.run(now.run_id or "").brief.begin_s
    to_s = max(now.t_s, begin_s + SPAN_S)
    return to_s - SPAN_S, to_s


def _title(waited: pl.DataFrame) -> str:
    """Return who waits longest, and how much of the time to the first token that is."""
    if waited.is_empty():
        return "No request arrived in the quarter of an hour before the cursor"
    row = (
        waited.with_columns((pl.col("waiting_s") + pl.col("running_s")).alias("ttft_s"))
        .sort("waiting_s", descending=True)
        .row(0, named=True)
    )
    share = row["waiting_s"] / row["ttft_s"] if row["ttft_s"] else 0.0
    ttft = shown(row["ttft_s"], "ttft_s")
    if share >= _WAITS:
        return f"{row['endpoint_id']} waits for prefill: {100 * share:.0f}\u00a0% of the {ttft} to its first token"
    return f"Requests hardly wait: {row['endpoint_id']} longest, {shown(row['waiting_s'], 'x_s')} of {ttft}"


# ---- panels ------------------------------------------------------------------------------------------------------------------


def _pipeline(run_id: str, waited: pl.DataFrame, from_s: float, to_s: float) -> None:
    frame = stages.stages(state.table(run_id, "endpoints"), state.table(run_id, "instances"), waited, from_s, to_s)
    fullest = frame.sort("use_share", descending=True).row(0, named=True)
    what = "of its time" if fullest["stage"] == "prefill" else "of its KV cache"
    title = f"{fullest['endpoint_id']} is nearest to full: {fullest['stage']} takes {100 * fullest['use_share']:.0f}\u00a0% {what}"
    with parts.panel(title, "stages", data=frame, sql=_SQL["stages"].format(run_id=run_id, from_s=from_s, to_s=to_s), png=True):
        drawing(pipeline_svg(frame, state.colours()), key="stages-drawing", least_px=620)


def _waiting(waited: Mapping[str, pl.DataFrame]) -> None:
    both = pl.concat([frame.with_columns(pl.lit(name).alias("run")) for name, frame in waited.items()])
    if both.is_empty():
        return
    worst = both.filter(pl.col("run") == list(waited)[-1]).with_columns((pl.col("waiting_s") + pl.col("running_s")).alias("ttft_s"))
    slow = worst.sort("ttft_s", descending=True).row(0, named=True) if len(worst) else None
    title = f"{slow['endpoint_id']} takes {shown(slow['ttft_s'], 'ttft_s')} to the first token" if slow else "No request arrived"
    with parts.panel(title, "waits", data=both, png=True):
        drawing(waits_svg(both.sort("endpoint_id", "run", descending=[False, True]), state.colours()), key="waits-drawing")
        st.html('<p class="iw-note">Means of the quarter of an hour; waiting is the mean queue over the arrival rate (Little’s law).</p>')


def _distributions(home: str, run_id: str, other: str | None) -> None:
    names = list(state.run(run_id).manifest["entities"]["endpoint"])
    chosen = st.session_state.get("serving-endpoint") or names[0]
    chosen = chosen if chosen in names else names[0]
    tables, bounds = _quantiles(home, run_id, chosen), _slos(home, run_id).get(chosen, {})
    data = pl.concat([table.with_columns(pl.lit(name).alias("quantity")) for name, table in tables.items()])
    sql = _SQL["latency"].format(run_id=run_id, endpoint=chosen)
    with parts.panel(_bounds_title(chosen, tables, bounds), "latency", data=data, sql=sql):
        st.segmented_control(
            "Endpoint", names, default=chosen, required=True, key="serving-endpoint", label_visibility="collapsed", persist_state="session"
        )
        before = _quantiles(home, other, chosen) if other else {}
        for column, (name, label) in zip(st.columns(3, gap="small"), _LATENCIES.items(), strict=True):
            mine, old = tables[name], before.get(name)
            shown_today = other is None and state.context().shown == "today"
            figure = distribution(
                mine if shown_today else old, None if shown_today else mine, name, state.colours(), bound=bounds.get(name)
            )
            with column:
                st.html(f'<p class="iw-note">{label}, share of requests within</p>')
                parts.plot(figure, f"latency-{name}", alt=f"Distribution of {label} of {chosen}, p99 {shown(at(mine, 0.99), name)}")


def _bounds_title(endpoint: str, tables: Mapping[str, pl.DataFrame], bounds: Mapping[str, float]) -> str:
    """Return whether an endpoint's p99 keeps its objectives, and which is closest."""
    used = {}
    for name, bound in bounds.items():
        p99 = at(tables[name], 0.99)
        if p99 is not None:
            used[name] = p99 / bound
    if not used:
        return f"{endpoint} finished too few requests for a 99th percentile"
    worst = max(used, key=lambda name: used[name])
    if used[worst] > 1.0:
        return f"{endpoint} breaks its {_LATENCIES[worst]} objective: p99 is {used[worst]:.2f} times the bound"
    return f"{endpoint} keeps its objectives; {_LATENCIES[worst]} is closest, {100 * used[worst]:.0f}\u00a0% of its bound"


def _instances(run_id: str, other: str | None, now: state.Context) -> None:
    home = str(state.home())
    mine, before = _counts(home, run_id), _counts(home, other) if other else {}
    found = [Lane(endpoint, frame, before.get(endpoint)) for endpoint, frame in mine.items()]
    total = pl.concat(list(mine.values())).group_by("t_s").agg(pl.col("count").sum()).sort("t_s")
    least, most, at_now = float(total["count"].min() or 0), float(total["count"].max() or 0), count_at(total, now.t_s)  # type: ignore[arg-type]
    title = (
        f"All {most:.0f} instances stay on all day"
        if least == most
        else f"{at_now:.0f} instances on at {now.clock_text}, {least:.0f} to {most:.0f} over the day"
    )
    data = pl.concat([frame.with_columns(pl.lit(endpoint).alias("endpoint_id")) for endpoint, frame in mine.items()])
    sql = _SQL["instances"].format(run_id=run_id)
    with parts.panel(title, "instances", data=data, sql=sql, png=True):
        parts.plot(lanes(found, state.colours(), Span(now.clock, now.horizon_s), cursor_s=now.t_s), "instances", alt=title)


def _cost(run_id: str, other: str | None, now: state.Context, from_s: float, to_s: float) -> None:
    mine, before = state.table(run_id, "endpoints"), state.table(other, "endpoints") if other else pl.DataFrame()
    spent = stages.spent(mine, from_s, to_s)
    total = float(spent["usd_per_h"].sum())
    title = f"{shown(total, 'x_usd_per_h')} at {now.clock_text}"
    old = dict(stages.spent(before, from_s, to_s).select("endpoint_id", "usd_per_h").iter_rows()) if other else {}
    if old and sum(old.values()):
        title += f", {show_change(total / sum(old.values()) - 1.0, 'x_share')} against today"
    sql = _SQL["cost"].format(run_id=run_id)
    with parts.panel(title, "serving-cost", data=stages.cost(mine), sql=sql, png=True):
        curves = {"today": stages.cost(before) if other else None, now.shown: stages.cost(mine)}
        figure = over_time(curves, "usd_per_h", state.colours(), Span(now.clock, now.horizon_s), cursor_s=now.t_s, height_px=150)
        figure.update_layout(margin={"l": 44, "r": 8, "t": 8, "b": 24})
        figure.update_yaxes(rangemode="tozero")
        parts.plot(figure, "serving-cost", alt=title)
        heads = [Head("endpoint", "Endpoint"), Head("gpus", "GPUs", "number"), Head("usd", "USD/h", "number")]
        if old:
            heads.append(Head("change", "Change", "change", "104px"))
        rows(heads, [_spent_row(row, old) for row in spent.iter_rows(named=True)], state.colours(), key="serving-cost-rows")


def _spent_row(row: Mapping[str, Any], old: Mapping[str, float]) -> dict[str, Any]:
    change = row["usd_per_h"] - old.get(row["endpoint_id"], row["usd_per_h"])
    change = 0.0 if abs(change) < 0.5 else round(change)
    text = f"{change:+,.0f}".replace("-", "\u2212").replace(",", "\u00a0") if change else "0"
    return {
        "endpoint": row["endpoint_id"],
        "gpus": f"{row['gpus_on']:.0f}",
        "usd": f"{row['usd_per_h']:,.0f}".replace(",", "\u00a0"),
        "change": {"text": text, "sense": parts.better_or_worse("serving.cost_usd_per_h", change)},
    }


# ---- what a stored run says, once: runs never change ---------------------------------------------------------------------------


@lru_cache(maxsize=8)
def _bins(home: str, run_id: str) -> pl.DataFrame:
    return stages.latency_bins(state.run(run_id).tables["requests"])


@lru_cache(maxsize=32)
def _quantiles(home: str, run_id: str, endpoint: str) -> dict[str, pl.DataFrame]:
    return stages.quantiles(state.run(run_id).tables["requests"], endpoint)


@lru_cache(maxsize=8)
def _counts(home: str, run_id: str) -> dict[str, pl.DataFrame]:
    each = {endpoint["id"]: int(endpoint["tp"]) for endpoint in state.run(run_id).manifest["scenario"]["serving"]["endpoints"]}
    return stages.counts(state.table(run_id, "endpoints"), each)


@lru_cache(maxsize=8)
def _slos(home: str, run_id: str) -> dict[str, dict[str, float]]:
    found = state.run(run_id).manifest["scenario"]["serving"]["endpoints"]
    return {endpoint["id"]: {name: float(endpoint[key]) for name, key in _BOUNDS.items()} for endpoint in found}


def _waits(home: str, run_id: str, from_s: float, to_s: float) -> pl.DataFrame:
    return stages.waits(state.table(run_id, "endpoints"), _bins(home, run_id), from_s, to_s)


_SQL: Final = {
    "stages": "SELECT * FROM endpoints WHERE run_id = '{run_id}' AND t_s >= {from_s:.0f} AND t_s < {to_s:.0f} ORDER BY t_s",
    "latency": (
        "SELECT quantile_cont(ttft_s, 0.99) AS ttft_p99_s, quantile_cont(atgt_s, 0.99) AS atgt_p99_s,\n"
        "       quantile_cont(e2e_s, 0.99) AS e2e_p99_s\n"
        "FROM requests WHERE run_id = '{run_id}' AND endpoint_id = '{endpoint}' AND NOT isnan(ttft_s) AND NOT isnan(atgt_s)"
    ),
    "instances": "SELECT t_s, endpoint_id, gpus_on FROM endpoints WHERE run_id = '{run_id}' ORDER BY endpoint_id, t_s",
    "cost": "SELECT t_s, sum(usd_per_h) AS usd_per_h FROM endpoints WHERE run_id = '{run_id}' GROUP BY t_s ORDER BY t_s",
}
