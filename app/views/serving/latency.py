"""Panel of the distributions of one endpoint's latencies over the run."""

from collections.abc import Mapping
from typing import Final

import polars as pl
import streamlit as st

from app import parts, state
from app.charts.distribution import at, distribution
from app.views.serving import reading
from app.views.serving.reading import Span
from twin.units import show as shown

NAMES: Final = {"ttft_s": "TTFT", "tbt_s": "TBT", "atgt_s": "ATGT", "e2e_s": "end to end"}


def distributions(now: Span, endpoint: str) -> None:
    """Draw TTFT, time between tokens, average token time and end to end of an endpoint, with their objectives."""
    tables, bounds = reading.quantiles(now.home, now.run_id, endpoint), reading.objectives(now.home, now.run_id).get(endpoint, {})
    before = reading.quantiles(now.home, now.other, endpoint) if now.other else {}
    data = pl.concat([table.with_columns(pl.lit(name).alias("quantity")) for name, table in tables.items()])
    sql = _SQL.format(run_id=now.run_id, endpoint=endpoint)
    shown_today = state.context().shown == "today"
    with parts.panel(bounds_title(endpoint, tables, bounds), "latency", data=data, sql=sql, png=True):
        grid = st.grid(4, min_column_width=150, gap="small")
        for name, label in NAMES.items():
            mine, old = tables[name], before.get(name)
            figure = distribution(
                mine if shown_today else old, None if shown_today else mine, name, state.colours(), bound=bounds.get(name), height_px=180
            )
            with grid.container():
                st.html(f'<p class="iw-note">{label}, share within</p>')
                parts.plot(figure, f"latency-{name}", alt=f"Distribution of {label} of {endpoint}, p99 {shown(at(mine, 0.99), name)}")
        st.html('<p class="iw-note">Of all requests of the run; TBT of every gap between two tokens. Bounds hold at p99.</p>')


def bounds_title(endpoint: str, tables: Mapping[str, pl.DataFrame], bounds: Mapping[str, float]) -> str:
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
        return f"{endpoint} breaks its {NAMES[worst]} objective: p99 is {used[worst]:.3g} times the bound"
    return f"{endpoint} keeps its objectives; {NAMES[worst]} is closest, {100 * used[worst]:.0f}\u00a0% of its bound"


_SQL: Final = (
    "SELECT quantile_cont(ttft_s, 0.99) AS ttft_p99_s, quantile_cont(atgt_s, 0.99) AS atgt_p99_s,\n"
    "       quantile_cont(e2e_s, 0.99) AS e2e_p99_s\n"
    "FROM requests WHERE run_id = '{run_id}' AND endpoint_id = '{endpoint}' AND NOT isnan(ttft_s) AND NOT isnan(atgt_s)"
)
