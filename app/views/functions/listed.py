"""Panel of the functions of a run; a click looks at one."""

from typing import Any, Final

import polars as pl
import streamlit as st

from app import parts, state
from app.charts.quantity import grouped
from app.charts.statements import count
from app.views.functions import reading
from app.views.functions.day import note
from app.views.functions.reading import PAPER_ID, Tracing
from app.views.memory.controls import select
from app.widgets.rows import Head, rows
from twin.units import show

_MOST: Final = 12
_HEADS: Final = (
    Head("function", "Function", "strong", "30%"),
    Head("calls", "Calls", "number", "18%"),
    Head("p50", "p50", "number", "17%", narrow=False),
    Head("p99", "p99", "value", "17%"),
    Head("cold", "Cold", "number", "18%"),
)


def listed(trace: Tracing) -> None:
    """List the functions of the shown run, those called most first, and the paper's; a click looks at one."""
    home = str(state.home())
    found = reading.summary(home, trace.run_id)
    with parts.panel(title(found), "functions-listed", data=found, sql=_SQL.format(run_id=trace.run_id)):
        shown = found.head(_MOST)
        if trace.of_run and trace.function.id not in shown["function_id"]:
            shown = pl.concat([shown, found.filter(pl.col("function_id") == trace.function.id)])
        cells = [_row(trace.run_id, row) for row in shown.iter_rows(named=True)]
        rows(_HEADS, [*cells, _PAPER], state.colours(), key="functions-rows", chosen=trace.function.id, on_pick=look_at)
        if len(found) > _MOST:
            note(f"The {_MOST} that are called most; {grouped(len(found) - _MOST)} more can be looked at by name or read under Data.")


def choose(trace: Tracing) -> None:
    """Let the function that the page is about be chosen."""
    if trace.ids:
        with st.container(horizontal=True, key="functions-one"):
            options = [*trace.ids, PAPER_ID]
            select("Function", options, trace.function.id, "functions-function", look_at, words=named, width=260)


def named(function_id: str) -> str:
    """Return a function's name as it is read."""
    return "the paper’s function (AES)" if function_id == PAPER_ID else function_id


def look_at(function_id: str) -> None:
    """Look at another function."""
    state.trace(function=function_id)


def title(found: pl.DataFrame) -> str:
    """Return how many functions were called how often."""
    calls = int(found["arrived"].sum())
    called = count(int((found["arrived"] > 0).sum()), "function")
    return f"{called[:1].upper()}{called[1:]} {'was' if called.startswith('one ') else 'were'} called {grouped(calls)} times"


def _row(run_id: str, row: dict[str, Any]) -> dict[str, Any]:
    name = str(row["function_id"])
    p50, p99 = (reading.metric(run_id, f"latency_{at}_s", name) for at in ("p50", "p99"))
    cold = row["cold_starts"] / row["arrived"] if row["arrived"] else None
    return {
        "id": name,
        "function": name,
        "calls": grouped(row["arrived"]),
        "p50": show(p50, "x_s"),
        "p99": show(p99, "x_s"),
        "cold": "–" if cold is None else "0" if not cold else show(cold, "x_share"),
    }


_PAPER: Final = {"id": PAPER_ID, "function": "the paper’s function (AES)", "calls": "–", "p50": "–", "p99": "–", "cold": "–"}
_SQL: Final = (
    "SELECT function_id, sum(arrived) AS arrived, sum(cold_starts) AS cold_starts, avg(cpu_mean_s) AS cpu_mean_s\n"
    "FROM functions WHERE run_id = '{run_id}' GROUP BY function_id ORDER BY arrived DESC"
)
