"""What pages are made of: titles, panels, figures, states, pickers."""

import html
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Literal

import plotly.graph_objects as go
import polars as pl
import streamlit as st

from app import jobs, state
from app.charts import marks
from app.charts.template import CONFIG
from app.widgets.png import png_link
from twin.metrics import METRICS
from twin.units import show

GLYPHS: Final[Mapping[str, str]] = {"met": "✓", "at risk": "△", "broken": "✕", "waiting": "○", "now": "◉"}
Frame = pl.DataFrame | Callable[[], pl.DataFrame]


def plain(text: str) -> str:
    """Return text so that Markdown shows it as it is: nothing in it becomes a link, an image, a formula or an icon."""
    escaped = html.escape(text, quote=False).replace("\\", "\\\\")
    for sign in "`*_{}[]()#+!|~$<>:":
        escaped = escaped.replace(sign, "\\" + sign)
    return escaped


def page_title(title: str, under: str = "", *, legend: bool = True) -> None:
    """Write the page's statement, one line of context, and what the line styles of all its figures mean."""
    keys = (
        '<span class="iw-key"><i class="iw-cand"></i>candidate</span><span class="iw-key"><i class="iw-today"></i>today’s policy</span>'
        '<span class="iw-key"><i class="iw-limit"></i>limit or bound</span>'
    )
    right = f'<div class="iw-legend">{keys}</div>' if legend else ""
    words = f'<h1 class="iw-title">{html.escape(title)}</h1><p class="iw-under">{html.escape(under)}</p>'
    st.html(f'<div class="iw-head"><div>{words}</div>{right}</div>')


@dataclass(frozen=True, slots=True)
class Save:
    """A link that saves a file, made when it is clicked."""

    label: str
    name: str
    mime: str
    text: Callable[[], str]


@contextmanager
def panel(
    title: str, key: str, *, data: Frame | None = None, sql: str = "", png: bool = False, saves: Sequence[Save] = ()
) -> Iterator[None]:
    """Open a bordered panel: a statement, at its right the links *Data* (with the SQL behind it), *PNG* and those of ``saves``."""
    with st.container(border=True, key=f"panel-{key}", gap="small"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small", key=f"head-{key}"):
            st.html(f'<h2 class="iw-panel">{html.escape(title)}</h2>', width="stretch")
            if data is not None:
                _data_link(key, data, sql)
            if png:
                png_link(f"panel-{key}", f"intentwin-{key}.png", state.colours().surface, key=f"png-{key}")
            for save in saves:
                st.download_button(
                    save.label, save.text, save.name, save.mime, key=f"save-{key}-{save.label}", type="tertiary", on_click="ignore"
                )
        yield


def figure(fig: go.Figure, key: str, title: str, *, data: Frame, sql: str = "", height: int | None = None) -> None:
    """Show a figure in a panel of its own: statement, *Data*, *PNG*; the figure keeps its zoom while its key stays."""
    with panel(title, key, data=data, sql=sql, png=True):
        plot(fig, key, height=height, alt=title)


def plot(fig: go.Figure, key: str, *, height: int | None = None, alt: str = "", on_pick: Callable[[str], None] | None = None) -> None:
    """Show a bare figure inside a panel that is already open. ``on_pick`` hears the first ``customdata`` of a point that is clicked."""
    name = f"fig-{key}"

    def picked() -> None:
        points = st.session_state[name].selection.points
        if on_pick is not None and points and points[0].get("customdata"):
            on_pick(str(points[0]["customdata"][0]))

    st.plotly_chart(
        fig, theme=None, key=name, height=height or "content", config=CONFIG, alt=alt or None,
        on_select=picked if on_pick is not None else "ignore", selection_mode="points",
    )  # fmt: skip


def _data_link(key: str, data: Frame, sql: str) -> None:
    link = st.popover("Data", type="tertiary", key=f"data-{key}", on_change="rerun")
    if not link.open:
        return
    with link:
        frame = data() if callable(data) else data
        st.dataframe(frame.head(2000), height=280, width=640, hide_index=True)
        if frame.height > 2000:
            st.caption(f"The first 2 000 of {frame.height:,} rows; the files hold all.".replace(",", "\u00a0"))
        with st.container(horizontal=True, gap="small"):
            st.download_button("CSV", frame.write_csv, f"intentwin-{key}.csv", "text/csv", key=f"csv-{key}", on_click="ignore")
            st.download_button(
                "Parquet",
                lambda: _parquet(frame),
                f"intentwin-{key}.parquet",
                "application/vnd.apache.parquet",
                key=f"parquet-{key}",
                on_click="ignore",
            )
        if sql:
            st.code(sql, language="sql", wrap_lines=True)


def _parquet(frame: pl.DataFrame) -> bytes:
    out = io.BytesIO()
    frame.write_parquet(out)
    return out.getvalue()


def mark(word: str, text: str | None = None) -> str:
    """Return a state as HTML for ``st.html``: shape, word and colour say the same. (Drawings inside ``st.html`` are taken out.)"""
    shown = html.escape(word if text is None else text)
    words = " ".join(filter(None, (GLYPHS.get(word, GLYPHS["waiting"]), shown)))
    return f'<span class="iw-state" style="color:{marks.colour(word, state.colours())}">{words}</span>'


def better_or_worse(name: str, change: float) -> Literal["better", "worse", ""]:
    """Return what a change of a metric means, empty for none."""
    if change == 0:
        return ""
    return "better" if (change < 0) == (METRICS[name].better == "lower") else "worse"


def value(name: str, number: float | None) -> str:
    """Return a metric's value as operators read it."""
    return show(number, name)


def empty(title: str, text: str, *, key: str, action: str = "", on_click: Callable[[], None] | None = None) -> None:
    """Say what would be here and how to get it."""
    with st.container(border=True, key=f"empty-{key}"):
        st.html(f'<h2 class="iw-panel">{html.escape(title)}</h2><p class="iw-under">{html.escape(text)}</p>')
        if action:
            st.button(action, key=f"empty-go-{key}", type="primary", on_click=on_click)


def failed(title: str, error: str, *, key: str) -> None:
    """Say what went wrong in the words of the error, which name place and remedy."""
    with st.container(border=True, key=f"failed-{key}"):
        cross = mark("broken", "")
        st.html(f'<h2 class="iw-panel">{cross} {html.escape(title)}</h2><p class="iw-under">{html.escape(error)}</p>')


def hint(title: str, steps: Sequence[str], *, key: str) -> None:
    """Say in three numbered steps how to go on."""
    with panel(title, key):
        items = "".join(f"<li>{html.escape(step)}</li>" for step in steps)
        st.html(f'<ol class="iw-hint">{items}</ol>')


@st.fragment(run_every=1.0)
def progress(job_id: str, *, key: str) -> None:
    """Follow a job once a second: what it does, how far it is, how long it will take; it can be cancelled.

    When it ends the whole page is drawn anew.
    """
    job = jobs.status(job_id, state.home())
    if job is None or job.over:
        if state.in_step():
            st.rerun()
        return
    left = "" if job.eta_s is None else f", about {max(1, round(job.eta_s))} s left"
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        words = job.text if job.state == "running" else "waiting for a free worker"
        st.progress(job.done_share, text=plain(f"{words}{left}"))
        st.button("Cancel", key=f"cancel-{key}", on_click=jobs.cancel, args=(job_id, state.home()))
    st.html('<p class="iw-note">It goes on if you close this tab.</p>')


def no_run(key: str) -> bool:
    """Show the designed empty state where no run is stored yet, and say whether it was shown."""
    if state.context().run_id is not None:
        return False
    job = jobs.latest(state.home(), "example")
    if job is not None and not job.over:
        empty("The example day is on its way", "The twin runs it under today’s policy; this page opens on it by itself.", key=key)
        progress(job.job_id, key=f"example-{key}")
        return True
    empty(
        "Nothing has run on the twin yet",
        "This page reads a stored run. Start the example on the Overview, or give the command intentwin run example in a terminal.",
        key=key,
    )
    return True


def pick(label: str, options: Sequence[str], key: str, *, chosen: str | None = None) -> str:
    """Let the operator choose one of a few ids; kept while pages change, in the URL under ``key``."""
    index = options.index(chosen) if chosen in options else 0
    picked = st.selectbox(label, options, index=index, key=key, label_visibility="collapsed", persist_state="session")
    return picked if picked in options else options[index]
