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
    """Draw ways to fill one pod by what they move a day and what they reach of the ideal saving; hollow where VMs find no room.

    Each way has ``migrate``, ``headroom_share`` (None: devices as large as it takes), ``of_ideal_share`` by baseline,
    ``moved_bytes_per_day`` and ``overflows_per_day``. Those that never move stand at nought, grey; those that move on overflow are
    joined, blue. The bound is the migration budget; ``chosen`` is ringed. A point's first ``customdata`` is its headroom.
    """
    fig = figure(tokens, height_px)
    most = max(float(way["moved_bytes_per_day"]) for way in ways)
    measure = Measure.of(_BYTES, max(budget_bytes, most, 1e9))
    for migrate in (False, True):
        mine = [way for way in ways if bool(way["migrate"]) == migrate and way["of_ideal_share"][against] is not None]
        if mine:
            _line(fig, sorted(mine, key=lambda way: way["moved_bytes_per_day"]), migrate, against, tokens, measure)
    for way in ways:
        if way["headroom_share"] is None and way["of_ideal_share"][against] is not None:
            fig.add_annotation(
                x=0.0, y=100.0 * way["of_ideal_share"][against], text="never moved, nobody turned away", showarrow=False, xanchor="left",
                xshift=10, font={"color": tokens.muted, "size": LABEL_PX},
            )  # fmt: skip
    if chosen is not None and chosen["of_ideal_share"][against] is not None:
        fig.add_scatter(
            x=[chosen["moved_bytes_per_day"] / measure.factor], y=[100.0 * chosen["of_ideal_share"][against]], mode="markers",
            hoverinfo="skip", marker={"symbol": "circle-open", "size": 18, "color": tokens.text, "line": {"width": 1.5}},
        )  # fmt: skip
    fig.add_vline(
        x=budget_bytes / measure.factor, line={"color": tokens.limit, "width": 1},
        annotation_text=f"budget {measure.plain(budget_bytes)}\u00a0{measure.unit}",
        annotation_position="top left" if budget_bytes > 0.5 * most else "top right",
        annotation_font={"color": tokens.broken_text, "size": LABEL_PX},
    )  # fmt: skip
    fig.add_hline(y=100.0, line={"color": tokens.control, "width": 1, "dash": DASH})
    fig.update_layout(hovermode="closest", margin={"l": 48, "r": 24, "t": 14, "b": 40})
    fig.update_xaxes(
        title_text=f"moved aside, {measure.unit} a day", showgrid=True, showspikes=False,
        range=[-0.05 * most / measure.factor, 1.1 * max(most, budget_bytes) / measure.factor],
    )  # fmt: skip
    fig.update_yaxes(title_text="of the ideal saving", ticksuffix=" %", range=[min(0.0, _least(ways, against)) - 4.0, 112.0])
    return fig


def _least(ways: Sequence[Way], against: str) -> float:
    return min((100.0 * way["of_ideal_share"][against] for way in ways if way["of_ideal_share"][against] is not None), default=0.0)


def _line(fig: go.Figure, mine: Sequence[Way], migrate: bool, against: str, tokens: Tokens, measure: Measure) -> None:
    colour = tokens.candidate if migrate else tokens.today
    points = [(way["moved_bytes_per_day"], way["of_ideal_share"][against]) for way in mine]
    # Small devices grow by whole slices: headrooms that come to the same size are one point, with both names.
    labels = [
        ", ".join(short(b) for b, at in zip(mine, points, strict=True) if at == p) if points.index(p) == i else ""
        for i, p in enumerate(points)
    ]
    told = [[headroom_words(way), measure.plain(way["moved_bytes_per_day"]), f"{way['overflows_per_day']:.0f}"] for way in mine]
    # Hollow: somebody is turned away.
    fill = [tokens.surface if way["overflows_per_day"] >= 0.5 else colour for way in mine]
    words = "moved on overflow" if migrate else "least loaded, never moved"
    fig.add_scatter(
        x=[way["moved_bytes_per_day"] / measure.factor for way in mine], y=[100.0 * way["of_ideal_share"][against] for way in mine],
        mode="lines+markers+text" if migrate else "markers", line={"color": colour, "width": 1.5}, text=labels,
        textposition="bottom right", textfont={"color": tokens.text, "size": LABEL_PX},
        marker={"color": fill, "size": 9, "symbol": "circle" if migrate else "diamond", "line": {"color": colour, "width": 1.5}},
        customdata=told,
        hovertemplate=f"{words}, %{{customdata[0]}}<br>%{{y:.0f}} % of the ideal<br>%{{customdata[1]}} {measure.unit} a day moved<br>"
        "%{customdata[2]} VMs a day without room<extra></extra>",
    )  # fmt: skip


def headroom_words(way: Way) -> str:
    """Return how large devices are.

    >>> headroom_words({"headroom_share": 0.05}), headroom_words({"headroom_share": None})
    ('5\\xa0% headroom', 'devices as large as it takes')
    """
    return "devices as large as it takes" if way["headroom_share"] is None else f"{100 * way['headroom_share']:g}\u00a0% headroom"


def short(way: Way) -> str:
    """Return the headroom alone."""
    return "" if way["headroom_share"] is None else f"{100 * way['headroom_share']:g}\u00a0%"
