"""A small histogram of the day with the window that is shown in it."""

from collections.abc import Sequence
from html import escape

import polars as pl

from app.charts import svg
from app.charts.tokens import Tokens, translucent
from twin.clock import Clock

BINS = 96
WIDTH = 760.0
NARROW = 358.0
HEIGHT = 46.0
_FOOT = 30.0


def counted(messages: pl.DataFrame, span: tuple[float, float]) -> list[tuple[int, int]]:
    """Return for each of ``BINS`` parts of a span how many messages there are, and how many of them are no hints."""
    width = max(span[1] - span[0], 1e-9) / BINS
    if messages.is_empty():
        return [(0, 0)] * BINS
    place = ((pl.col("t_s") - span[0]) / width).floor().clip(0, BINS - 1).cast(pl.Int64).alias("bin")
    by = messages.select(place, (pl.col("kind") != "hint").alias("more")).group_by("bin").agg(pl.len(), pl.col("more").sum())
    found = {int(index): (int(all_), int(more)) for index, all_, more in by.iter_rows()}
    return [found.get(index, (0, 0)) for index in range(BINS)]


def day_counts_svg(
    counts: Sequence[tuple[int, int]],
    span: tuple[float, float],
    window: tuple[float, float],
    clock: Clock,
    tokens: Tokens,
    *,
    at_s: float,
    width: float = WIDTH,
) -> str:
    """Draw how many messages the day has, events and notices darker; the window is marked, and the whole is a scale to move it by."""
    tall = max((number for number, _ in counts), default=0) or 1
    tall_more = max((more for _, more in counts), default=0) or 1
    pitch = width / max(len(counts), 1)
    parts = [svg.line(0, _FOOT, width, _FOOT, tokens.hairline)]
    for index, (number, more) in enumerate(counts):
        # Hints are so many that the rest would not be seen on one scale: each has its own, the rest reaches two thirds.
        high = (_FOOT - 4) * number / tall
        parts.append(svg.rect(index * pitch, _FOOT - high, pitch - 0.8, high, translucent(tokens.today, 0.35)))
        if more:
            high = max(0.66 * (_FOOT - 4) * more / tall_more, 2.0)
            parts.append(svg.rect(index * pitch, _FOOT - high, pitch - 0.8, high, tokens.today))
    scale = width / max(span[1] - span[0], 1e-9)
    left, right = ((min(max(t, span[0]), span[1]) - span[0]) * scale for t in window)
    shade = svg.rect(left, 0, max(right - left, 4.0), _FOOT, translucent(tokens.candidate, 0.22))
    edges = svg.line(left, 0, left, _FOOT, tokens.candidate, width=1.5) + svg.line(
        max(right, left + 4), 0, max(right, left + 4), _FOOT, tokens.candidate, width=1.5
    )
    parts.append(f'<g class="handle" data-wide="{scale:.8f}">{shade}{edges}</g>')
    parts += _hours(span, clock, width, tokens)
    label = escape("which part of the day is shown", quote=True)
    data = f'data-from="{span[0]:.0f}" data-to="{span[1]:.0f}" data-at="{at_s:.0f}" data-step="{max(window[1] - window[0], 60.0) / 2:.0f}"'
    box = f'x="0" y="0" width="{svg.number(width)}" height="{svg.number(HEIGHT)}"'
    parts.append(f'<rect {box} fill="transparent" aria-label="{label}" {data}/>')
    return svg.document(width, HEIGHT, parts, "messages over the day")


def _hours(span: tuple[float, float], clock: Clock, width: float, tokens: Tokens) -> list[str]:
    length, most = span[1] - span[0], 8 if width > NARROW else 4
    every = next((step for step in (300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400) if length / step <= most), 172_800)
    start = clock.at(span[0])
    begun = start.hour * 3600 + start.minute * 60 + start.second
    at, parts = span[0] + (-begun % every), []
    while at <= span[1] + 1e-6:
        x = (at - span[0]) / length * width
        words = clock.at(at).strftime("%H:%M")
        last = at > span[1] - 60
        anchor = "end" if last else "start" if at == span[0] else "middle"
        parts.append(svg.text(x, HEIGHT - 3, "24:00" if last and words == "00:00" else words, tokens.muted, anchor=anchor))
        at += every
    return parts
