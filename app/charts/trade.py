"""Plans by what they take and cost: none beats the blue ones, click any."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import plotly.graph_objects as go

from app.charts.curve import value_axis
from app.charts.pareto import bound_lines
from app.charts.quantity import Measure
from app.charts.template import figure, weak
from app.charts.tokens import LABEL_PX, Tokens
from twin.units import show

TIME: Final = "workflows.makespan_p50_s"
COST: Final = "workflows.cost_usd_per_job"
ENERGY: Final = "workflows.energy_j_per_job"
QUALITY: Final = "workflows.quality_min_share"
NAMES: Final[Mapping[str, str]] = {TIME: "time", COST: "cost", ENERGY: "energy", QUALITY: "quality"}
# From this ratio of the largest value to the smallest on, an axis is logarithmic.
_WIDE: Final = 15.0
# What the horizontal and the vertical axis show, by the name of the pair.
AXES: Final[Mapping[str, tuple[str, str]]] = {
    "cost over time": (TIME, COST),
    "energy over time": (TIME, ENERGY),
    "cost over energy": (ENERGY, COST),
    "quality over cost": (COST, QUALITY),
    "quality over time": (TIME, QUALITY),
}


@dataclass(frozen=True, slots=True)
class Planned:
    """One plan as a point: what it comes to, and which other marks it has.

    ``kind`` is *front* (none beats it), *today* or *measured* (what a run recorded). ``misses`` says which limits it does not keep.
    """

    name: str
    title: str
    metrics: Mapping[str, float]
    kind: str = "front"
    misses: str = ""


def trade(
    plans: Sequence[Planned], axes: tuple[str, str], tokens: Tokens, *, here: str = "", chosen: str = "",
    bounds: Mapping[str, float] | None = None, height_px: int = 260,
) -> go.Figure:  # fmt: skip
    """Draw plans on two metrics. Full quality is filled, lower quality paler, a missed limit hollow; ``here`` is ringed.

    A plan's first ``customdata`` is its name.
    """
    x, y = axes
    fig = figure(tokens, height_px)
    known = [plan for plan in plans if x in plan.metrics and y in plan.metrics]
    front = [plan for plan in known if plan.kind == "front"]
    best = max((plan.metrics.get(QUALITY, 1.0) for plan in front), default=1.0)
    if front:
        fig.add_scatter(**_points(front, x, y, best, tokens))
    for plan in known:
        if plan.kind != "front":
            _mark(fig, plan, x, y, tokens)
        if plan.name == here:
            fig.add_scatter(
                x=[plan.metrics[x]], y=[plan.metrics[y]], mode="markers", hoverinfo="skip", customdata=[[plan.name]],
                marker={"size": 19, "symbol": "circle-open", "color": tokens.text, "line": {"width": 1.5}},
                unselected={"marker": {"opacity": 1.0}},
            )  # fmt: skip
        if plan.name == chosen:
            fig.add_annotation(
                x=plan.metrics[x], y=plan.metrics[y], text="planned", showarrow=False, xanchor="right", xshift=-12,
                font={"color": tokens.text, "size": LABEL_PX},
            )  # fmt: skip
    bound_lines(fig, x, y, tokens, bounds or {})
    fig.update_layout(hovermode="closest", clickmode="event+select", margin={"l": 48, "r": 16, "t": 16, "b": 36})
    for name, axis in ((x, fig.update_xaxes), (y, fig.update_yaxes)):
        _scale(name, [plan.metrics[name] for plan in known] + [value for key, value in (bounds or {}).items() if key == name], axis)
    fig.update_xaxes(showspikes=False, showgrid=True)
    return fig


def _scale(name: str, values: Sequence[float], axis: Any) -> None:
    known = [value for value in values if value > 0]
    if not known:
        return
    measure = Measure.of(name, max(known))
    unit = f", {measure.unit}" if measure.unit else ""
    about: dict[str, Any] = {"title_text": f"{NAMES[name]} of a job{unit}", "fixedrange": True}
    if max(known) > _WIDE * min(known):
        low, high = math.log10(min(known)), math.log10(max(known))
        ticks = _logarithmic(min(known) / measure.factor, max(known) / measure.factor)
        places = {"tickvals": [at * measure.factor for at in ticks], "ticktext": [f"{at:g}" for at in ticks]}
        axis(type="log", range=[low - 0.08 * (high - low), high + 0.08 * (high - low)], **places, **about)
        return
    drawn = value_axis(known, measure, zero=name != QUALITY)
    pad = 0.04 * (drawn.high - drawn.low)
    places = {"tickvals": [at for at, _ in drawn.ticks], "ticktext": [words for _, words in drawn.ticks]}
    axis(range=[drawn.low - pad, drawn.high + pad], **places, **about)


def _logarithmic(low: float, high: float) -> list[float]:
    """Return round numbers from one value to another, about equally far apart on a logarithmic axis.

    >>> _logarithmic(0.2, 30.0), _logarithmic(0.03, 2000.0)
    ([0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0], [0.1, 1.0, 10.0, 100.0, 1000.0])
    """
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1.0, 2.0, 5.0) if math.log10(high / low) < 2.5 else (1.0,)
    return [step * 10.0**power for power in powers for step in steps if low * 0.999 <= step * 10.0**power <= high * 1.001]


def _points(front: Sequence[Planned], x: str, y: str, best: float, tokens: Tokens) -> dict[str, Any]:
    def fill(plan: Planned) -> str:
        if plan.misses:
            return tokens.surface
        return tokens.candidate if plan.metrics.get(QUALITY, best) >= best - 1e-9 else weak(tokens.candidate, 0.42)

    lines = ("<b>%{customdata[1]}</b>", "%{customdata[2]}", "%{customdata[3]}<extra></extra>")
    return {
        "x": [plan.metrics[x] for plan in front],
        "y": [plan.metrics[y] for plan in front],
        "mode": "markers",
        "marker": {
            "color": [fill(plan) for plan in front], "size": 11, "opacity": 1.0,
            "line": {"color": [tokens.control if plan.misses else tokens.candidate for plan in front], "width": 1.2},
        },
        "unselected": {"marker": {"opacity": 1.0}},
        "customdata": [[plan.name, plan.title, figures(plan.metrics), plan.misses] for plan in front],
        "hovertemplate": "<br>".join(lines),
    }  # fmt: skip


def _mark(fig: go.Figure, plan: Planned, x: str, y: str, tokens: Tokens) -> None:
    # What was measured of both may lie close together: one is named below, the other above, and a plan beside its point.
    colour, place = (tokens.today, "bottom center") if plan.kind == "today" else (tokens.candidate, "top center")
    fig.add_scatter(
        x=[plan.metrics[x]], y=[plan.metrics[y]], mode="markers+text", text=[plan.title], textposition=place,
        textfont={"color": tokens.muted, "size": LABEL_PX}, cliponaxis=False,
        marker={"symbol": "diamond-open", "size": 10, "color": colour, "line": {"width": 1.8}},
        hovertemplate=f"<b>{plan.title}</b><br>{figures(plan.metrics)}<extra></extra>", unselected={"marker": {"opacity": 1.0}},
    )  # fmt: skip


def figures(metrics: Mapping[str, float]) -> str:
    """Return what a plan comes to, in one line."""
    return " · ".join(f"{'quality ' if name == QUALITY else ''}{show(metrics[name], name)}" for name in NAMES if name in metrics)


def spread(plans: Sequence[Planned]) -> str:
    """Return between which ends the front runs: the fastest and the cheapest plan.

    >>> fast, cheap = {TIME: 40.0, COST: 2.0}, {TIME: 90.0, COST: 0.5}
    >>> spread([Planned("a", "", fast), Planned("b", "", cheap)]).replace("\\u00a0", " ")
    'From 40.0 s for 2.00 USD to 1.50 min for 0.500 USD'
    """
    front = [plan.metrics for plan in plans if plan.kind == "front" and TIME in plan.metrics and COST in plan.metrics]
    if not front:
        return ""
    fast, cheap = min(front, key=lambda each: (each[TIME], each[COST])), min(front, key=lambda each: (each[COST], each[TIME]))
    if fast == cheap:
        return f"{show(fast[TIME], TIME)} for {show(fast[COST], COST)} is both the fastest and the cheapest"
    return f"From {show(fast[TIME], TIME)} for {show(fast[COST], COST)} to {show(cheap[TIME], TIME)} for {show(cheap[COST], COST)}"
