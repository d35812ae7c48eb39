"""Panel of where the microseconds go: the path under both runtimes."""

import html
from collections.abc import Mapping
from typing import Final

import polars as pl
import streamlit as st

from app import hops, parts, state
from app.charts.call_path import Bar, Group, call_path_svg
from app.hops import RUNTIMES, Alone
from app.later import Answer
from app.views.functions import reading
from app.views.functions.reading import Tracing
from app.widgets.talk import talk
from twin.functions.readings import SEGMENTS
from twin.units import show

_WHAT: Final[Mapping[str, str]] = {"mean": "a call on average", "tail": "the slowest hundredth of calls"}
# Less of a call than this and its way is too short to be seen.
_LOST: Final = 0.2
_SQL: Final = (
    "SELECT segment, sum(mean_s * completed) / sum(completed) AS mean_s, sum(tail_mean_s * completed) / sum(completed) AS tail_mean_s\n"
    "FROM function_path JOIN functions USING (run_id, t_s, function_id)\n"
    "WHERE run_id = '{run_id}' AND function_id = '{function_id}' GROUP BY segment"
)


def path(trace: Tracing) -> list[Answer]:
    """Draw the path of a call where nobody waits, and as it was in the run; return what it waits for."""
    known = {name: reading.alone(trace, trace.runtime(name)) for name in RUNTIMES}
    title = path_title(trace, known)
    sql = _SQL.format(run_id=trace.run_id, function_id=trace.function.id) if trace.of_run else ""
    groups = [*_alone(known), *_recorded(trace)]
    own = with_own(trace, known)
    drawn = groups if own else [_way(group) for group in groups]
    with parts.panel(title, "functions-path", data=table(groups), sql=sql, png=True):
        tokens = state.colours()
        if drawn:
            talk(
                call_path_svg(drawn, tokens, title), narrow=call_path_svg(drawn, tokens, title, width=330.0),
                key="functions-path-drawing", hint="Point at a part to read it. Each group has a scale of its own.",
            )  # fmt: skip
        key = f"functions-own-{trace.function.id}-{own}"
        st.toggle("With the function’s own work", own, key=key, on_change=lambda: state.trace(own=f"{int(st.session_state[key])}"))
        st.html(f'<p class="iw-note">{html.escape(words(trace))}</p>')
    return list(known.values())


def with_own(trace: Tracing, known: Mapping[str, Answer]) -> bool:
    """Return whether the function's own work is drawn: as the URL says, else where the way is not lost beside it."""
    asked = state.traced().get("own", "")
    if asked in ("0", "1"):
        return asked == "1"
    slow = known[RUNTIMES[0]].value
    return slow is None or sum(slow.mean_s[:-1]) > _LOST * slow.mean_s[-1]


def _way(group: Group) -> Group:
    bars = (Bar(bar.name, bar.today, {name: value for name, value in bar.seconds.items() if name != "run"}) for bar in group.bars)
    return Group(f"{group.words}, without its own work", tuple(bars))


def path_title(trace: Tracing, known: Mapping[str, Answer]) -> str:
    """Return how much of a call's time is its way, and how much of that bypass takes away."""
    slow, fast = (known[name].value for name in RUNTIMES)
    if not isinstance(slow, Alone) or not isinstance(fast, Alone):
        return "Where the microseconds go"
    way_s, left_s = (sum(each.mean_s[:-1]) for each in (slow, fast))
    share = way_s / (way_s + slow.mean_s[-1])
    if way_s <= 0.0:
        return f"A call of {trace.function.id} has no way to go"
    cut = 1.0 - left_s / way_s
    less = f"{RUNTIMES[1]} takes {show(cut, 'x_share')} of it away" if cut > 5e-4 else f"{RUNTIMES[1]} takes nothing of it away"
    return f"{show(way_s, 'x_s')} of a call, {show(share, 'x_share')}, are its way through {RUNTIMES[0]}; {less}"


def _alone(known: Mapping[str, Answer]) -> list[Group]:
    values = {name: answer.value for name, answer in known.items() if isinstance(answer.value, Alone)}
    found = []
    for what, words_ in _WHAT.items():
        bars = tuple(
            Bar(name, name == RUNTIMES[0], dict(zip(SEGMENTS, each.mean_s if what == "mean" else each.tail_s, strict=True)))
            for name, each in values.items()
        )
        if bars:
            found.append(Group(f"Where nobody waits: {words_}", bars))
    return found


def _recorded(trace: Tracing) -> list[Group]:
    """Return the paths that the shown run recorded, with today's beside it where both are there."""
    if not trace.of_run:
        return []
    runs = [(trace.other, True)] if trace.other else []
    runs.append((trace.run_id, trace.now.shown == "today"))
    home, found = str(state.home()), []
    for what, words_ in _WHAT.items():
        bars = []
        for run_id, today in runs:
            seconds = reading.recorded_path(home, run_id or "", trace.function.id).get(what)
            if seconds:
                bars.append(Bar(reading.runtime_of(run_id), today, seconds))
        if bars:
            found.append(Group(f"In this run: {words_}", tuple(bars)))
    return found


def words(trace: Tracing) -> str:
    """Return what the bars are, and how strong the numbers behind them."""
    if trace.of_run:
        head = "A call makes six hops: gateway, provider and function, there and back. The run’s own bars hold queue and cold starts too."
    else:
        head = "A call makes six hops: gateway, provider and function, there and back."
    return f"{head} Costs of hops are fitted to the paper’s shares and ratios; none of them is measured."


def table(groups: list[Group]) -> pl.DataFrame:
    """Return the bars as a table: a row a bar and segment."""
    rows = [(group.words, bar.name, name, bar.seconds.get(name, 0.0)) for group in groups for bar in group.bars for name in SEGMENTS]
    return pl.DataFrame(rows, schema={"what": pl.String, "runtime": pl.String, "segment": pl.String, "time_s": pl.Float64}, orient="row")


def cut(known: Mapping[str, Answer], column: str) -> float | None:
    """Return what share of a latency (``latency_p50_s``, ``latency_p99_s``) the second runtime takes away; None while it is not known."""
    slow, fast = (known[name].value for name in hops.RUNTIMES)
    if slow is None or fast is None:
        return None
    return 1.0 - float(getattr(fast, column)) / float(getattr(slow, column))
