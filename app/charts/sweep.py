"""Ours over a value of the set-up, the paper's number beside it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from app.charts import svg
from app.charts.curve import value_axis
from app.charts.quantity import Measure
from app.charts.tokens import Tokens

WIDTH_PX: Final = 380
HEIGHT_PX: Final = 176
_LEFT: Final = 56
_RIGHT: Final = 12
_TOP: Final = 14
_BOTTOM: Final = 40


@dataclass(frozen=True, slots=True)
class Mark:
    """Ours at one value: the median over seeds and its ends; None where nothing was found. ``own`` is the claim's own point."""

    x: str
    ours: float | None
    low: float | None
    high: float | None
    own: bool


def sweep(marks: Sequence[Mark], paper: tuple[float, float], name: str, words: Callable[[float], str], tokens: Tokens) -> str:
    """Return the figure: dashes and band are the paper, blue is ours with its spread over seeds, a full dot the claim's own point.

    Values stand side by side in the order of the card, evenly, whatever they are.
    """
    known = [value for mark in marks for value in (mark.ours, mark.low, mark.high) if value is not None]
    axis = value_axis([*known, *paper], Measure("", "", 1.0), zero=True)
    width, height = WIDTH_PX - _LEFT - _RIGHT, HEIGHT_PX - _TOP - _BOTTOM

    def px(place: int) -> float:
        return _LEFT + (place + 0.5) * width / len(marks)

    def py(value: float) -> float:
        return _TOP + height - (value - axis.low) / ((axis.high - axis.low) or 1.0) * height

    parts = [svg.rect(_LEFT, py(paper[1]), width, max(py(paper[0]) - py(paper[1]), 0.0), tokens.grid)]
    for value, _ in axis.ticks:
        parts.append(svg.line(_LEFT, py(value), WIDTH_PX - _RIGHT, py(value), tokens.hairline))
        parts.append(svg.text(_LEFT - 6, py(value) + 4, words(value), tokens.muted, anchor="end"))
    for value in dict.fromkeys(paper):
        parts.append(svg.line(_LEFT, py(value), WIDTH_PX - _RIGHT, py(value), tokens.muted, dash="4 3"))
    parts.append(svg.text(WIDTH_PX - _RIGHT, py(paper[1]) - 4, "paper", tokens.muted, anchor="end"))
    for place, mark in enumerate(marks):
        parts += _mark(mark, px(place), py, tokens)
        parts.append(svg.text(px(place), _TOP + height + 15, mark.x, tokens.muted, anchor="middle", weight=600 if mark.own else 400))
    parts.append(svg.text(_LEFT + width / 2, HEIGHT_PX - 6, name, tokens.muted, anchor="middle"))
    return svg.document(WIDTH_PX, HEIGHT_PX, parts, f"Ours over {name}: " + "; ".join(_told(mark, words) for mark in marks))


def _mark(mark: Mark, x: float, py: Callable[[float], float], tokens: Tokens) -> list[str]:
    if mark.ours is None:
        bottom = HEIGHT_PX - _BOTTOM - 10.0
        cross = f"M{svg.number(x - 4)} {svg.number(bottom - 4)}l8 8m0 -8l-8 8"
        return [svg.path(cross, stroke=tokens.broken, width=1.6)]
    parts = []
    if mark.low is not None and mark.high is not None:
        parts.append(svg.line(x, py(mark.low), x, py(mark.high), tokens.candidate, width=1.4))
    fill = tokens.candidate if mark.own else tokens.surface
    return [*parts, svg.circle(x, py(mark.ours), 4.0, fill, stroke=tokens.candidate)]


def _told(mark: Mark, words: Callable[[float], str]) -> str:
    return f"{mark.x} {'not found' if mark.ours is None else words(mark.ours)}"
