"""Distributions on an axis of nines, so that the slow tail has room."""

from typing import Final

import numpy as np
import plotly.graph_objects as go
import polars as pl

from app.charts.template import DASH, figure
from app.charts.tokens import LABEL_PX, Tokens, translucent
from twin.units import show

TICKS: Final = (0.5, 0.9, 0.99, 0.999)
_DEEPEST: Final = 3.5
_MOST_TICKS: Final = 3
# Words of a tick on the smallest figure (95 px between its ends) take this share of it.
_APART: Final = 0.42
_DIGITS: Final = ((1.0, 2.0, 5.0), (1.0, 3.0), (1.0,), (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0))
_LEFT_PART: Final = 0.45


def nines(share: "np.ndarray | float") -> "np.ndarray":
    """Return the place of a share on the axis: 90 % is 1, 99 % is 2, 99.9 % is 3."""
    return -np.log10(1.0 - np.asarray(share, dtype=np.float64))


def quantile_table(values: pl.Series, points: int = 120) -> pl.DataFrame:
    """Return ``share`` and ``value``: quantiles evenly spaced on the nines axis, no deeper than the sample carries."""
    clean = values.drop_nulls().drop_nans()
    if clean.is_empty():
        return pl.DataFrame(schema={"share": pl.Float64, "value": pl.Float64})
    deepest = min(_DEEPEST, np.log10(max(len(clean), 10)) - 0.7)
    shares = 1.0 - 10.0 ** -np.linspace(0.02, max(deepest, 0.5), points)
    ordered = clean.sort().to_numpy()
    place = shares * (len(ordered) - 1)
    below = place.astype(np.int64)
    upper = ordered[np.minimum(below + 1, len(ordered) - 1)].astype(np.float64)
    return pl.DataFrame({"share": shares, "value": ordered[below] + (upper - ordered[below]) * (place - below)})


def binned_table(bins: pl.DataFrame, points: int = 120) -> pl.DataFrame:
    """Return the quantile table of counted bins (``gap_s`` to ``gap_to_s``, ``tokens``), interpolated inside a bin."""
    total = int(bins["tokens"].sum()) if "tokens" in bins.columns else 0
    if not total:
        return quantile_table(pl.Series([], dtype=pl.Float64))
    whole = bins.group_by("gap_s").agg(pl.col("gap_to_s").first(), pl.col("tokens").sum()).sort("gap_s")
    low, high, counts = (whole[name].to_numpy() for name in ("gap_s", "gap_to_s", "tokens"))
    deepest = max(min(_DEEPEST, np.log10(max(total, 10)) - 0.7), 0.5)
    shares = 1.0 - 10.0 ** -np.linspace(0.02, deepest, points)
    upto = np.cumsum(counts)
    i = np.searchsorted(upto, shares * total)
    inner = (shares * total - (upto[i] - counts[i])) / counts[i]
    return pl.DataFrame({"share": shares, "value": low[i] * (high[i] / low[i]) ** inner})


def at(table: pl.DataFrame, share: float) -> float | None:
    """Return the value of a quantile table at a share; None where it does not reach."""
    if table.is_empty() or share > float(table["share"][-1]) + 1e-12:
        return None
    return float(np.interp(nines(share), nines(table["share"].to_numpy()), table["value"].to_numpy()))


def distribution(
    today: pl.DataFrame | None,
    candidate: pl.DataFrame | None,
    name: str,
    tokens: Tokens,
    *,
    bound: float | None = None,
    height_px: int = 190,
) -> go.Figure:
    """Draw quantile tables (``share``, ``value``) of a quantity called ``name``: today dashed grey, candidate blue.

    The bound is a short red stroke across the 99 % line only, since it holds only there; left of it is met.
    """
    fig = figure(tokens, height_px)
    values: list[float] = [] if bound is None else [bound]
    for table, colour, dash, words in ((today, tokens.today, DASH, "today"), (candidate, tokens.candidate, "solid", "candidate")):
        if table is None or table.is_empty():
            continue
        shown = [show(value, name) for value in table["value"].to_list()]
        fig.add_scatter(
            x=table["value"].to_numpy().astype(np.float32), y=nines(table["share"].to_numpy()).astype(np.float32), mode="lines", name=words,
            line={"color": colour, "dash": dash, "width": 2 if dash == "solid" else 1.5},
            text=[f"{100 * share:.4g} % within {value}" for share, value in zip(table["share"].to_list(), shown, strict=True)],
            hovertemplate="%{text}<extra>" + words + "</extra>",
        )  # fmt: skip
        values += [float(table["value"].min()), float(table["value"].max())]  # type: ignore[arg-type]
    main = candidate if candidate is not None and not candidate.is_empty() else today
    below = _p99(fig, main, name, tokens.candidate if main is candidate else tokens.muted, values)
    if bound is not None:
        _bound(fig, bound, name, values, tokens, above=below)
    fig.update_layout(hovermode="closest", margin={"l": 44, "r": 16, "t": 8, "b": 28})
    fig.update_yaxes(
        tickvals=nines(np.array(TICKS)).tolist(), ticktext=["50 %", "90 %", "99 %", "99.9 %"], range=[0.0, 3.5], fixedrange=True
    )
    fig.update_xaxes(fixedrange=True, showspikes=False)
    if values:
        _log_ticks(fig, min(values), max(values), name)
    return fig


def _bound(fig: go.Figure, bound: float, name: str, values: list[float], tokens: Tokens, *, above: bool) -> None:
    """Draw the bound across the 99 % line, its words on the side with more room, at the end away from those of the 99 % point."""
    fig.add_shape(type="line", x0=bound, x1=bound, y0=1.7, y1=2.3, line={"color": tokens.limit, "width": 1.5})
    left = bound > np.sqrt(max(min(values), 1e-9) * max(values))
    y, anchor = (2.28, "bottom") if above else (1.72, "top")
    fig.add_annotation(
        x=np.log10(bound), y=y, text=f"bound {show(bound, name)}", showarrow=False, yanchor=anchor,
        xanchor="right" if left else "left", xshift=3 if left else -3, bgcolor=translucent(tokens.surface, 0.8),
        font={"color": tokens.broken_text, "size": LABEL_PX},
    )  # fmt: skip


def _p99(fig: go.Figure, table: pl.DataFrame | None, name: str, colour: str, values: list[float]) -> bool:
    """Mark the 99 % point; its words stand above the curve, below it where they would run into the axis' own.

    Return whether they stand below.
    """
    value = at(table, 0.99) if table is not None else None
    if value is None:
        return False
    low, high = np.log(max(min(values), 1e-9)), np.log(max(*values, 2e-9))
    leftmost = np.log(max(value, 1e-9)) - low < _LEFT_PART * (high - low)
    fig.add_scatter(x=[value], y=[2.0], mode="markers", marker={"color": colour, "size": 8}, hoverinfo="skip")
    fig.add_annotation(
        x=np.log10(value), y=2.0, text=f"<b>{show(value, name)}</b>", showarrow=False, xanchor="left" if leftmost else "right",
        yanchor="top" if leftmost else "bottom", xshift=6 if leftmost else -6, font={"color": colour, "size": LABEL_PX},
    )  # fmt: skip
    return bool(leftmost)


def _log_ticks(fig: go.Figure, low: float, high: float, name: str) -> None:
    low, high = max(low, 1e-9), max(high, 2e-9)
    ticks = log_ticks(low * 0.85, high * 1.15)
    fig.update_xaxes(
        type="log",
        tickangle=0,
        tickvals=ticks,
        ticktext=[_short(tick, name) for tick in ticks],
        range=[np.log10(low * 0.85), np.log10(high * 1.15)],
    )


def log_ticks(low: float, high: float) -> list[float]:
    """Return round numbers between two ends of a logarithmic axis, no two so near that their words would touch on a phone.

    >>> log_ticks(0.009, 2.2)
    [0.01, 0.1, 1.0]
    >>> [round(tick, 3) for tick in log_ticks(0.04, 0.25)]
    [0.04, 0.2]
    """
    exponents = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    between = [[digit * 10.0**e for e in exponents for digit in digits if low <= digit * 10.0**e <= high] for digits in _DIGITS]
    for found in between:
        apart = np.diff(np.log10(found)).min() if len(found) > 1 else np.inf
        if 1 < len(found) <= _MOST_TICKS and apart >= _APART * np.log10(high / low):
            return found
    # Too long for decades: every second or third of them; too short for round numbers: whatever digit there is at either end.
    decades, fine = between[2], between[3]
    if len(decades) > 1:
        return decades[:: -(-len(decades) // _MOST_TICKS)]
    return sorted({*fine[:1], *fine[-1:]}) or [float(f"{np.sqrt(low * high):.2g}")]


def _short(value: float, name: str) -> str:
    """Return a tick's words without trailing zeros: 0.5 s, 20 ms."""
    number, _, unit = show(value, name).partition("\u00a0")
    return f"{number.rstrip('0').rstrip('.') if '.' in number else number}\u00a0{unit}"
