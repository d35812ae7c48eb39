"""Ways to fill a pod: what each reaches of the ideal, and what it moves."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import plotly.graph_objects as go

from app.charts.quantity import Measure
from app.charts.template import DASH, figure
from app.charts.tokens import LABEL_PX, Tokens

Way = Mapping[str, Any]
_BYTES: Final = "x_bytes"


def fillings(
    ways: Sequence[Way], against: str, tokens: Tokens, *, budget_bytes: float, chosen: Way | None = None, height_px: int = 240
) -> go.Figure:
    """Draw ways to fill one pod by what they move a day and what they reach of the ideal saving.

    Each way has ``migrate``, ``headroom_share`` (None: devices as large as it takes), ``of_ideal_share`` by baseline,
    ``moved_bytes_per_day`` and ``overflows_per_day``. Those that never move stand at nought, grey; those that move on overflow are
    joined, blue. The bound is the migration budget; ``chosen`` is ringed. A point's first ``customdata`` is its headroom.
    """
    fig = figure(tokens, height_px)
    measure = Measure.of(_BYTES, max([budget_bytes, *(float(way["moved_bytes_per_day"]) for way in ways), 1e9]))
    for migrate in (False, True):
        mine = [way for way in ways if bool(way["migrate"]) == migrate and way["of_ideal_share"][against] is not None]
        if mine:
            _line(fig, sorted(mine, key=lambda way: way["moved_bytes_per_day"]), migrate, against, tokens, measure)
    if chosen is not None and chosen["of_ideal_share"][against] is not None:
        fig.add_scatter(
            x=[chosen["moved_bytes_per_day"] / measure.factor], y=[100.0 * chosen["of_ideal_share"][against]], mode="markers",
            hoverinfo="skip", marker={"symbol": "circle-open", "size": 18, "color": tokens.text, "line": {"width": 1.5}},
        )  # fmt: skip
    fig.add_vline(
        x=budget_bytes / measure.factor, line={"color": tokens.limit, "width": 1},
        annotation_text=f"budget {measure.plain(budget_bytes)}\u00a0{measure.unit}", annotation_position="bottom left",
        annotation_font={"color": tokens.broken_text, "size": LABEL_PX},
    )  # fmt: skip
    fig.add_hline(y=100.0, line={"color": tokens.control, "width": 1, "dash": DASH})
    most = max(float(way["moved_bytes_per_day"]) for way in ways)
    fig.update_layout(hovermode="closest", margin={"l": 48, "r": 24, "t": 14, "b": 40})
    fig.update_xaxes(
        title_text=f"moved aside, {measure.unit} a day", showgrid=True, showspikes=False,
        range=[-0.05 * most / measure.factor, 1.1 * max(most, budget_bytes) / measure.factor],
    )  # fmt: skip
    fig.update_yaxes(title_text="of the ideal saving", ticksuffix=" %", range=[min(0.0, _least(ways, against)) - 4.0, 108.0])
    return fig


def _least(ways: Sequence[Way], against: str) -> float:
    return min((100.0 * way["of_ideal_share"][against] for way in ways if way["of_ideal_share"][against] is not None), default=0.0)


def _line(fig: go.Figure, mine: Sequence[Way], migrate: bool, against: str, tokens: Tokens, measure: Measure) -> None:
    colour = tokens.candidate if migrate else tokens.today
    told = [[headroom_words(way), measure.plain(way["moved_bytes_per_day"]), f"{way['overflows_per_day']:.0f}"] for way in mine]
    words = "moved on overflow" if migrate else "least loaded, never moved"
    fig.add_scatter(
        x=[way["moved_bytes_per_day"] / measure.factor for way in mine], y=[100.0 * way["of_ideal_share"][against] for way in mine],
        mode="lines+markers+text" if migrate else "markers", line={"color": colour, "width": 1.5}, text=[short(way) for way in mine],
        textposition="bottom right", textfont={"color": tokens.text, "size": LABEL_PX},
        marker={"color": colour, "size": 9, "symbol": "circle" if migrate else "diamond"}, customdata=told,
        hovertemplate=f"{words}, %{{customdata[0]}}<br>%{{y:.0f}} % of the ideal<br>%{{customdata[1]}} {measure.unit} a day moved<br>"
        "%{customdata[2]} VMs a day without room<extra></extra>",
    )  # fmt: skip


def headroom_words(way: Way) -> str:
    """Return how large devices are.

    >>> headroom_words({"headroom_share": 0.05}), headroom_words({"headroom_share": None})
    ('5 % headroom', 'devices as large as it takes')
    """
    return "devices as large as it takes" if way["headroom_share"] is None else f"{100 * way['headroom_share']:g} % headroom"


def short(way: Way) -> str:
    """Return the headroom alone."""
    return "" if way["headroom_share"] is None else f"{100 * way['headroom_share']:g} %"
