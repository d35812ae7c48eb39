"""Panel of what serving costs, by endpoint, and how good its answers are."""

from collections.abc import Mapping
from typing import Any, Final

import streamlit as st

from app import parts, state
from app.charts import stages
from app.charts.quantity import grouped
from app.charts.timeline import Span as Day
from app.charts.timeline import over_time
from app.views.serving import reading
from app.views.serving.reading import Span
from app.widgets.rows import Head, rows
from twin.units import show as shown
from twin.units import show_change


def cost(now: Span) -> None:
    """Draw the cost over the day and write it by endpoint; the quality of the answers where an endpoint has several models."""
    mine, context = state.table(now.run_id, "endpoints"), state.context()
    before = state.table(now.other, "endpoints") if now.other else None
    spent = stages.spent(mine, now.from_s, now.to_s)
    total = float(spent["usd_per_h"].sum())
    title = f"{shown(total, 'x_usd_per_h')} at {now.clock_text}"
    old = {} if before is None else dict(stages.spent(before, now.from_s, now.to_s).select("endpoint_id", "usd_per_h").iter_rows())
    if old and sum(old.values()):
        title += _against(total / sum(old.values()) - 1.0)
    with parts.panel(title, "serving-cost", data=stages.cost(mine), sql=_SQL.format(run_id=now.run_id), png=True):
        curves = {"today": None if before is None else stages.cost(before), context.shown: stages.cost(mine)}
        day = Day(context.clock, context.horizon_s)
        figure = over_time(curves, "usd_per_h", state.colours(), day, cursor_s=context.t_s, height_px=150)
        figure.update_layout(margin={"l": 44, "r": 8, "t": 8, "b": 24})
        figure.update_yaxes(rangemode="tozero")
        figure.update_xaxes(nticks=5)
        left, right = st.columns([2, 3], gap="medium")
        with left:
            parts.plot(figure, "serving-cost", alt=title)
        # On a phone four columns of numbers leave no room for the names: the change matters most there.
        roomy = not old
        heads = [Head("endpoint", "Endpoint"), Head("gpus", "GPUs", "number", "48px", roomy), Head("usd", "USD/h", "number", "56px")]
        if any(spec.get("variants") for spec in reading.specs(now.home, now.run_id).values()):
            heads.append(Head("quality", "Quality", "number", "62px", roomy))
        if old:
            heads.append(Head("change", "Change", "change", "104px"))
        with right:
            rows(heads, [_row(row, old) for row in spent.iter_rows(named=True)], state.colours(), key="serving-cost-rows")


def _against(change: float) -> str:
    return ", as today" if abs(change) < 5e-4 else f", {show_change(change, 'x_share')} against today"


def _row(row: Mapping[str, Any], old: Mapping[str, float]) -> dict[str, Any]:
    change = row["usd_per_h"] - old.get(row["endpoint_id"], row["usd_per_h"])
    change = 0.0 if abs(change) < 0.5 else round(change)
    text = f"{'+' if change > 0 else ''}{grouped(change)}"
    return {
        "endpoint": row["endpoint_id"],
        "gpus": f"{row['gpus_on']:.0f}",
        "usd": grouped(row["usd_per_h"]),
        "quality": shown(row["quality_share"], "quality_share") if row["quality_share"] is not None else "–",
        "change": {"text": text, "sense": parts.better_or_worse("serving.cost_usd_per_h", change)},
    }


_SQL: Final = "SELECT t_s, sum(usd_per_h) AS usd_per_h FROM endpoints WHERE run_id = '{run_id}' GROUP BY t_s ORDER BY t_s"
