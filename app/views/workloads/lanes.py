"""Panel of what was said: lanes of messages, the day, filters."""

import html
from functools import lru_cache
from typing import Any, Final

import numpy as np
import polars as pl
import streamlit as st

from app import floors, parts, state
from app.charts import chains as story
from app.charts import messages as drawn
from app.charts.curve_above import Curve
from app.charts.day_counts import NARROW, counted, day_counts_svg
from app.charts.quantity import grouped
from app.charts.statements import count, named
from app.views.memory.controls import select
from app.views.workloads import reading
from app.views.workloads.reading import ANSWERS, EVERYTHING, SAID, SPAN, SPANS, Listening
from app.widgets.talk import talk

_ALL: Final = "all workloads"
_ANY: Final = "any answer"


def lanes(listen: Listening) -> None:
    """Draw the window of messages under the curve of what its chain is about, with the filters and the day below."""
    inside = reading.within(listen.home, listen.run_id, listen.window)
    title = said_title(inside, listen)
    with parts.panel(title, "workloads-said", data=inside, sql=_SQL.format(run_id=listen.run_id, w=listen.window), png=True):
        _filters(listen)
        shown = inside if inside.is_empty() else story.kept(inside, SAID[listen.said], listen.whose, listen.answer)
        scene = drawn.Scene(
            shown, _lanes_of(listen), listen.window, listen.now.clock, listen.chain, curve_of(listen), listen.now.t_s
        )  # fmt: skip
        tokens = state.colours()
        talk(
            drawn.messages_svg(scene, tokens, title),
            narrow=drawn.messages_svg(scene, tokens, title, frame=drawn.NARROW),
            key="workloads-lanes",
            hint=_hint(inside, shown, listen),
            on_pick=lambda picked: state.listen(chain=picked),
        )
        _day(listen)


def said_title(inside: pl.DataFrame, listen: Listening) -> str:
    """Return how much was said in the window, upwards and downwards."""
    clock = listen.now.clock
    when = f"{clock.at(listen.window[0]):%H:%M}–{clock.at(listen.window[1]):%H:%M}"
    if inside.is_empty():
        return f"Nothing was said from {when.replace('–', ' to ')}"
    number = dict(inside.group_by("kind").len().iter_rows())
    hints = count(int(number.get("hint", 0)), "message of hints").replace("message of hintss", "messages of hints")
    return f"{_up(hints)} went up, {count(int(number.get('notice', 0)), 'notice')} down, {when}"


def _up(words: str) -> str:
    return words[:1].upper() + words[1:]


def _lanes_of(listen: Listening) -> tuple[str, ...]:
    everyone = reading.workloads(listen.home, listen.run_id)
    return (listen.whose,) if listen.whose else everyone


def _hint(inside: pl.DataFrame, shown: pl.DataFrame, listen: Listening) -> str:
    if inside.is_empty():
        return "Nobody said anything here; take another part of the day below."
    hidden = len(inside) - len(shown)
    words = "Point at a message to read it, click it to follow its chain."
    more = len(shown) - drawn.MOST_DRAWN
    if more > 0:
        words += f" {grouped(more)} of the hints are not drawn; choose a shorter span."
    return words + (f" {grouped(hidden)} are filtered out." if hidden else "")


def _filters(listen: Listening) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="workloads-filters"):
        select(
            "Kinds", list(SAID), listen.said, "talk-said", lambda kind: state.listen(said=None if kind == EVERYTHING else kind), width=170
        )
        whose = [_ALL, *reading.workloads(listen.home, listen.run_id)]
        select(
            "Workload", whose, listen.whose or _ALL, "talk-whose", lambda one: state.listen(whose=None if one == _ALL else one), width=160
        )
        answers = [_ANY, *ANSWERS]
        select(
            "Answer",
            answers,
            listen.answer or _ANY,
            "talk-answer",
            lambda one: state.listen(answer=None if one == _ANY else one),
            width=130,
        )
        spans, span = list(SPANS), state.listened().get("span", SPAN)
        span = span if span in SPANS else SPAN
        select("Span", spans, span, "talk-span", lambda one: state.listen(span=None if one == SPAN else one), width=100)
        _steps(listen)


def _steps(listen: Listening) -> None:
    found = reading.chains(listen.home, listen.run_id)
    before, after = story.beside(found, listen.now.t_s, listen.chain) if not found.is_empty() else (None, None)
    for name, chain in (("Earlier", before), ("Later", after)):
        st.button(
            name, key=f"talk-{name}", type="tertiary", disabled=chain is None, on_click=go_to, args=(listen, chain), width="content",
            help="the next event that led to notices" if name == "Later" else "the event before that led to notices",
        )  # fmt: skip


def go_to(listen: Listening, chain: int | None) -> None:
    """Follow a chain, and put the cursor where it begins."""
    found = reading.chains(listen.home, listen.run_id)
    mine = found.filter(pl.col("chain_id") == chain)
    if chain is not None and not mine.is_empty():
        state.listen(chain=str(chain))
        state.set_t(float(mine["t_s"][0]))


def _day(listen: Listening) -> None:
    counts, tokens, clock = _counts(listen.home, listen.run_id), state.colours(), listen.now.clock
    wide, narrow = (
        day_counts_svg(counts, listen.span_s, listen.window, clock, tokens, at_s=listen.now.t_s, width=width) for width in (760.0, NARROW)
    )
    talk(wide, narrow=narrow, key="workloads-day", on_move=state.set_t)
    st.html('<p class="iw-note">All messages of the run; darker: those that are no hints. Drag to another part of it.</p>')


@lru_cache(maxsize=16)
def _counts(home: str, run_id: str) -> list[tuple[int, int]]:
    brief = state.run(run_id).brief
    return counted(reading.table(run_id, "messages"), (brief.begin_s, brief.end_s))


def curve_of(listen: Listening) -> Curve | None:
    """Return what the chosen chain is about: the power of its row, else the surplus of its pool."""
    found = reading.chains(listen.home, listen.run_id)
    mine = found.filter(pl.col("chain_id") == listen.chain) if listen.chain is not None and not found.is_empty() else found.head(0)
    row = mine.row(0, named=True) if len(mine) else {}
    place = _row_of(listen, str(row.get("place_id", "")))
    if place:
        return _power(listen, place)
    pool = "servers" if "servers" in str(row.get("words", "")) else "hosts"
    return _surplus(listen, pool) or _power(listen, _fullest(listen))


def _row_of(listen: Listening, place: str) -> str:
    """Return the row that a place is, or stands in; empty where it has none."""
    if not place:
        return ""
    fleet = floors.fleet_in(listen.home, listen.run_id)
    if place in fleet.row_ids:
        return place
    for ids, racks in ((fleet.host_ids, fleet.host_racks), (fleet.server_ids, fleet.server_racks)):
        if place in ids:
            return str(fleet.row_ids[int(fleet.rack_rows[racks[ids.index(place)]])])
    return ""


def _fullest(listen: Listening) -> str:
    rows = reading.table(listen.run_id, "rows")
    if rows.is_empty():
        return ""
    share = rows.select("row_id", (pl.col("power_w") / pl.col("budget_w")).alias("share"))
    return str(share.sort("share", descending=True, nulls_last=True)["row_id"][0])


def _power(listen: Listening, place: str) -> Curve | None:
    mine = _of_row(reading.table(listen.run_id, "rows"), place, listen.window)
    if mine.is_empty():
        return None
    today = None
    if listen.other is not None:
        theirs = _of_row(reading.table(listen.other, "rows"), place, listen.window)
        today = None if theirs.is_empty() else (_floats(theirs, "t_s"), _floats(theirs, "power_w"))
    budget = float(mine["budget_w"].fill_nan(None).drop_nulls()[-1]) if mine["budget_w"].fill_nan(None).drop_nulls().len() else None
    own = listen.now.shown == "today"
    return Curve(named(place, "row"), "x_w", _floats(mine, "t_s"), _floats(mine, "power_w"), today, budget, "budget", own)


def _of_row(rows: pl.DataFrame, place: str, window: tuple[float, float]) -> pl.DataFrame:
    if rows.is_empty():
        return rows
    return rows.filter(pl.col("row_id") == place, pl.col("t_s").is_between(window[0] - 60.0, window[1] + 60.0)).sort("t_s")


def _surplus(listen: Listening, pool: str) -> Curve | None:
    def curve(run_id: str) -> Any:
        rows = reading.table(run_id, "vm_capacity")
        if rows.is_empty():
            return None
        # Five-minute means: one before and after the window, so that a short one is crossed by a line.
        near = pl.col("t_s").is_between(listen.window[0] - 300.0, listen.window[1] + 300.0)
        mine = rows.filter(pl.col("pool") == pool, near).sort("t_s")
        if mine.is_empty():
            return None
        inside = np.linspace(*listen.window, 61)
        return inside, np.interp(inside, _floats(mine, "t_s"), _floats(mine, "surplus_cores"))

    found = curve(listen.run_id)
    if found is None:
        return None
    today = curve(listen.other) if listen.other is not None else None
    unit = "GPUs" if pool == "servers" else "vCPUs"
    return Curve(f"Surplus {unit}", "surplus", *found, today, shown_is_today=listen.now.shown == "today")


def _floats(frame: pl.DataFrame, name: str) -> Any:
    return frame[name].cast(pl.Float64).to_numpy()


def note(words: str) -> None:
    """Write a line under a figure."""
    st.html(f'<p class="iw-note">{html.escape(words)}</p>')


_SQL: Final = "SELECT * FROM messages WHERE run_id = '{run_id}' AND t_s BETWEEN {w[0]:.0f} AND {w[1]:.0f} ORDER BY message_id"
