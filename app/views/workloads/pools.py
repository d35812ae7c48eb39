"""Panel of who holds the cores of a pool over the day."""

from typing import Final

import polars as pl
import streamlit as st

from app import parts, state
from app.charts.capacity import UNITS, borrowed, capacity
from app.charts.quantity import grouped
from app.charts.timeline import Span
from app.views.memory.controls import select
from app.views.workloads import reading
from app.views.workloads.lanes import note
from app.views.workloads.reading import Listening


def pools(listen: Listening) -> None:
    """Draw regular, reserve, spot and harvest capacity of a pool over the day, and what found no room."""
    table = reading.table(listen.run_id, "vm_capacity")
    if table.is_empty():
        return
    known = [
        pool
        for pool in table["pool"].unique(maintain_order=True).to_list()
        if float(table.filter(pl.col("pool") == pool)["total_cores"].max()) > 0
    ]  # type: ignore[arg-type]
    asked = state.listened().get("pool", "")
    pool = asked if asked in known else known[0]
    frame, unit = table.filter(pl.col("pool") == pool).sort("t_s"), UNITS.get(pool, "cores")
    words = title(frame, pool, unit)
    with parts.panel(words, "workloads-capacity", data=frame, sql=_SQL.format(run_id=listen.run_id), png=True):
        if len(known) > 1:
            with st.container(horizontal=True, key="workloads-pool"):
                select(
                    "Pool",
                    known,
                    pool,
                    "talk-pool",
                    lambda one: state.listen(pool=one),
                    words=lambda one: f"{one} ({UNITS.get(one, 'cores')})",
                    width=170,
                )
        span = Span(listen.now.clock, listen.now.horizon_s)
        parts.plot(capacity(frame, state.colours(), span, cursor_s=listen.now.t_s, unit=unit), "workloads-capacity", alt=words)
        note(_foot(frame, unit))


def _foot(frame: pl.DataFrame, unit: str) -> str:
    """Return what the bands mean, as far as they are there."""
    words = ["Reserve: held for customers who are yet to come and pay the regular price."]
    over = borrowed(frame)
    if over >= 0.5:
        words.append(
            f"Above the line, at most {grouped(round(over))} {unit}: harvest VMs in what others rent and leave idle, given back in seconds."
        )
    if float(frame["turned_away_cores"].max() or 0.0) >= 0.5:  # type: ignore[arg-type]
        words.append("Red: what they asked for and found no room.")
    return " ".join(words)


def turned_away_words(run_id: str) -> str:
    """Return what regular customers asked for and did not get at worst, on hosts or else on servers; empty where all got it."""
    table = reading.table(run_id, "vm_capacity")
    for pool, unit in UNITS.items():
        lost = 0.0 if table.is_empty() else float(table.filter(pl.col("pool") == pool)["turned_away_cores"].max() or 0.0)  # type: ignore[arg-type]
        if lost >= 0.5:
            return f"at worst {grouped(round(lost))} {unit} of regular customers are turned away"
    return ""


def title(frame: pl.DataFrame, pool: str, unit: str) -> str:
    """Return how much of a pool surplus VMs hold on average, and what was turned away."""
    mean = {name: float(frame[name].mean() or 0.0) for name in ("spot_cores", "harvest_cores", "surplus_cores", "total_cores")}  # type: ignore[arg-type]
    lost = float(frame["turned_away_cores"].max() or 0.0)  # type: ignore[arg-type]
    held = mean["spot_cores"] + mean["harvest_cores"]
    share = 100 * held / mean["total_cores"] if mean["total_cores"] else 0.0
    head = f"Spot and harvest hold {share:.0f}\u00a0% of the {pool}" if held else f"Nobody holds surplus {unit} of the {pool}"
    tail = "no regular customer is turned away" if lost < 0.5 else f"at worst {grouped(round(lost))} {unit} are turned away"
    return f"{head}; {tail}"


_SQL: Final = "SELECT * FROM vm_capacity WHERE run_id = '{run_id}' ORDER BY pool, t_s"
