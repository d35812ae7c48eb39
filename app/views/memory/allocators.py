"""Ways to fill the pod: least loaded, or moving on overflow by a budget."""

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import polars as pl
import streamlit as st

from app import parts, state
from app.charts.fillings import fillings, headroom_words
from app.pods import Draft, Found
from app.views.memory import kept, reading
from app.views.memory.front import SHORT
from app.widgets.rows import Head, rows
from twin.memory.saving import BASELINES
from twin.units import show

Way = Mapping[str, Any]
_KIND: Final = "fillings"
_GB: Final = 1e9
_STEPS: Final = 40
_HEADS: Final = (
    Head("way", "Filled", "strong", "36%"),
    Head("own", "Own peaks", "value", "16%"),
    Head("worst", "Worst host", "number", "16%", narrow=False),
    Head("moved", "Moved a day", "number", "16%"),
    Head("over", "Turned away", "number", "16%", narrow=False),
)


def allocators(now: state.Context, draft: Draft, found: Found) -> None:
    """Compare ways to fill the drafted pod on the demand before the run, and pick the best one within a migration budget."""
    if found.design is None:
        return
    asked = kept.spec(now, draft, design=found.design.name)
    known = kept.look(_KIND, asked)
    if known.answer is None:
        with parts.panel("Does the allocator lose what the pod could save?", "pod-fillings"):
            st.html(
                '<p class="iw-note">The demand before the run is put on this pod: slices to the least loaded device that never move, '
                "and slices that make room only on overflow, at headrooms of 0, 2, 5 and 10 %. It takes some seconds once and is kept.</p>"
            )
            kept.offer(_KIND, asked, known, "Compare allocators")
        return
    against = reading.settings_of(now).saving_against
    ways: list[Way] = list(known.answer["fillings"])
    title = fillings_title(ways, against)
    with parts.panel(title, "pod-fillings", data=table(ways), png=True):
        left, right = st.columns(2, gap="small")
        with left:
            budget = _budget(ways)
            best = within(ways, budget, against)
            parts.plot(fillings(ways, against, state.colours(), budget_bytes=budget, chosen=best), "pod-fillings", alt=title)
        with right:
            st.html(f'<p class="iw-said">{html.escape(chosen_words(best, budget, against))}</p>')

            def afford(picked: str) -> None:
                way = next(way for way in ways if _id(way) == picked)
                state.set_draft(budget=f"{math.ceil(way['moved_bytes_per_day'] / _GB):g}")

            rows(_HEADS, [_row(way) for way in ways], state.colours(), key="pod-fillings-rows", chosen=_id(best), on_pick=afford)
            st.html(f'<p class="iw-note">{html.escape(_under(known.answer, against, found.design.title))}</p>')
            kept.offer(_KIND, asked, known, "Compare them anew")


def within(ways: Sequence[Way], budget_bytes: float, against: str) -> Way:
    """Return the way that reaches most of the ideal without moving more a day than the budget; of equal ones that with fewer overflows.

    Least loaded filling with devices as large as it takes moves nothing and turns nobody away: it is always within.
    """
    able = [way for way in ways if way["moved_bytes_per_day"] <= budget_bytes and (way["migrate"] or way["headroom_share"] is None)]
    return max(able, key=lambda way: (way["of_ideal_share"][against] or 0.0, -way["overflows_per_day"]))


def fillings_title(ways: Sequence[Way], against: str) -> str:
    """Return what moving on overflow recovers over filling that never moves."""
    plain = next(way for way in ways if way["headroom_share"] is None)
    moving = [way for way in ways if way["migrate"] and way["of_ideal_share"][against] is not None]
    if not moving or plain["of_ideal_share"][against] is None:
        return "Nothing was pooled before the run, so no allocator saves anything"
    best = next((way for way in moving if way["headroom_share"] == 0.05), moving[0])
    return (
        f"Moving on overflow at {headroom_words(best)} reaches {_share(best, against)} of the ideal saving against {SHORT[against]}; "
        f"least loaded alone {_share(plain, against)}"
    )


def chosen_words(best: Way, budget_bytes: float, against: str) -> str:
    """Return which way stays within the budget and what it comes to."""
    within_ = f"Within {show(budget_bytes, 'x_bytes')} a day" if budget_bytes else "Without moving anything"
    if not best["migrate"]:
        return f"{within_}: least loaded, {headroom_words(best)}; {_share(best, against)} of the ideal."
    moved = show(best["moved_bytes_per_day"], "x_bytes")
    over = best["overflows_per_day"]
    tail = "nobody is turned away" if over < 0.5 else f"{over:.0f} VMs a day find too little room"
    return f"{within_}: {headroom_words(best)} with moving on overflow; {_share(best, against)} of the ideal, {moved} a day moved, {tail}."


def _share(way: Way, against: str) -> str:
    value = way["of_ideal_share"][against]
    return "–" if value is None else f"{100 * value:.0f}\u00a0%"


def _budget(ways: Sequence[Way]) -> float:
    """Let the operator say how many GB a day may be moved; kept in the URL. Bytes."""
    most_gb = max(float(way["moved_bytes_per_day"]) for way in ways) / _GB
    step = _round_up(most_gb / _STEPS)
    top = max(math.ceil(most_gb / step), 1) * step
    text = state.drafted().get("budget", "")
    wanted = float(text) if text.replace(".", "", 1).isdigit() else top
    key = "pod-budget"
    shown = min(math.ceil(wanted / step - 1e-9) * step, top)
    if st.session_state.get(key) != shown:
        st.session_state[key] = shown
    st.slider(
        "Migration budget, GB a day", 0.0, top, step=step, key=key, format="%g",
        on_change=lambda: state.set_draft(budget=f"{st.session_state[key]:g}"),
    )  # fmt: skip
    return shown * _GB


def _round_up(raw: float) -> float:
    """Return the next of 1, 2, 5, 10, 20 … at or above a number, at least 1.

    >>> _round_up(0.2), _round_up(3.1), _round_up(17.0)
    (1.0, 5.0, 20.0)
    """
    power = 10.0 ** math.floor(math.log10(max(raw, 1.0)))
    return next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= raw)


def _id(way: Way) -> str:
    return f"{'moved' if way['migrate'] else 'kept'} {headroom_words(way)}"


def _row(way: Way) -> dict[str, Any]:
    return {
        "id": _id(way),
        "way": f"{'Moved' if way['migrate'] else 'Least loaded'}, {'no limit' if way['headroom_share'] is None else headroom_words(way)}",
        "own": _share(way, "sum_of_peaks"),
        "worst": _share(way, "uniform_sku"),
        "moved": show(way["moved_bytes_per_day"], "x_bytes") if way["moved_bytes_per_day"] else "0",
        "over": f"{way['overflows_per_day']:.1f}" if way["overflows_per_day"] else "0",
    }


def table(ways: Sequence[Way]) -> pl.DataFrame:
    """Return what *Data* shows: every way with its shares by both baselines."""
    names = ("of_ideal_share", "saved_share", "ideal_saved_share")
    return pl.DataFrame(
        [
            {
                **{name: way[name] for name in ("migrate", "headroom_share", "moved_bytes_per_day", "overflows_per_day")},
                **{f"{name.removesuffix('_share')}_{against}_share": way[name][against] for against in BASELINES for name in names},
            }
            for way in ways
        ],
        infer_schema_length=None,
    )


def _under(answer: Mapping[str, Any], against: str, title: str) -> str:
    days = answer["days"]
    return (
        f"On this pod ({title}), {days:.0f} day{'' if round(days) == 1 else 's'} of demand before the run. The ideal is devices that just "
        f"hold the pod’s peak, always filled evenly; shares are of what that saves of the pooled part, against {BASELINES[against]} in the "
        "figure. Turned away: VMs a day that keep memory on their host for want of room; it counts as bought there."
    )
