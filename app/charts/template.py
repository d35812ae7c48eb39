"""The look of every Plotly figure: template, config, clock axis."""

from typing import Any, Final

import plotly.graph_objects as go

from app.charts.tokens import FAMILY, LABEL_PX, Tokens, translucent
from twin.clock import Clock

# The send-to-cloud button and its address are on by default in plotly 7.
CONFIG: Final[dict[str, Any]] = {
    "displayModeBar": False,
    "displaylogo": False,
    "showSendToCloud": False,
    "plotlyServerURL": "",
    "responsive": True,
}
# Today's policy, wherever it is drawn.
DASH: Final = "4px,3px"


def template(tokens: Tokens) -> go.layout.Template:
    """Return the Plotly template of a theme."""
    axis = {
        "gridcolor": tokens.grid, "linecolor": tokens.hairline, "zeroline": False, "ticks": "", "automargin": True,
        "tickfont": {"color": tokens.muted, "size": LABEL_PX}, "title": {"font": {"color": tokens.muted, "size": LABEL_PX}},
    }  # fmt: skip
    return go.layout.Template(
        layout={
            "font": {"family": FAMILY, "size": LABEL_PX, "color": tokens.muted},
            "margin": {"l": 56, "r": 56, "t": 12, "b": 28},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "colorway": list(tokens.series),
            "showlegend": False,
            "hovermode": "x unified",
            "hoverlabel": {
                "bgcolor": tokens.surface,
                "bordercolor": tokens.hairline,
                "font": {"color": tokens.text, "family": FAMILY, "size": LABEL_PX},
            },
            "separators": ".\u00a0",
            "xaxis": axis
            | {"showgrid": False, "showspikes": True, "spikemode": "across", "spikethickness": 1, "spikecolor": tokens.control},
            "yaxis": axis | {"nticks": 5},
            "dragmode": False,
        }
    )


def figure(tokens: Tokens, height_px: int) -> go.Figure:
    """Return an empty figure in the theme's template."""
    return go.Figure(layout={"template": template(tokens), "height": height_px})


def local(clock: Clock, t_s: float) -> str:
    """Return the local wall time of a second of the run as Plotly writes dates, without a zone."""
    return clock.at(t_s).replace(tzinfo=None).isoformat(timespec="milliseconds")


def clock_axis(figure: go.Figure, clock: Clock, horizon_s: float) -> None:
    """Make x the site's local clock from the start of the run to its end.

    How many ticks there are is left to Plotly, which knows the width: at most ten, five on a phone.
    """
    form = "%H:%M" if horizon_s <= 86_400.0 + 60.0 else "%a %H:%M"
    figure.update_xaxes(
        type="date",
        range=[local(clock, 0.0), local(clock, horizon_s)],
        tickangle=0,
        tickformat=form,
        # Midnight is written around the corner, where zero stands.
        ticklabelstandoff=8,
        hoverformat="%H:%M",
        fixedrange=True,
    )
    figure.update_yaxes(fixedrange=True)


def limit_line(figure: go.Figure, value: float, words: str, tokens: Tokens) -> None:
    """Draw a limit: thin, red, with its value written on it."""
    figure.add_hline(
        y=value, line={"color": tokens.limit, "width": 1}, annotation_text=words, annotation_position="top left",
        annotation_font={"color": tokens.broken_text, "size": LABEL_PX},
    )  # fmt: skip


def cursor_line(figure: go.Figure, clock: Clock, t_s: float, tokens: Tokens) -> None:
    """Draw the time cursor: the same thin line on every page."""
    x = local(clock, t_s)
    figure.add_shape(type="line", x0=x, x1=x, yref="paper", y0=0, y1=1, line={"color": tokens.text, "width": 1.2})


def weak(colour: str, share: float = 0.28) -> str:
    """Return a colour as a fill behind marks."""
    return translucent(colour, share)
