"""Where a call's time goes: its path as stacked bars, segment by segment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from app.charts import svg
from app.charts.tokens import Tokens
from twin.functions.readings import SEGMENTS
from twin.units import show

WORDS: Final[Mapping[str, str]] = {
    "gateway": "gateway",
    "provider": "provider",
    "function_stack": "function’s stack",
    "lookup": "look-ups",
    "interference": "interference",
    "queue": "queue",
    "cold_start": "cold start",
    "run": "its own work",
}
_RIGHT: Final = 66.0
_BAR: Final = 12.0


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: whose time, whether it is today's way (grey) or the candidate's (blue), and the seconds of each segment."""

    name: str
    today: bool
    seconds: Mapping[str, float]

    @property
    def total_s(self) -> float:
        """Return how long the whole bar is."""
        return sum(self.seconds.values())


@dataclass(frozen=True, slots=True)
class Group:
    """Bars on one scale, with what they have in common."""

    words: str
    bars: tuple[Bar, ...]


def colour(tokens: Tokens, segment: str) -> str:
    """Return the hue of a segment; the function's own work, which no runtime changes, stays in the background."""
    return tokens.hairline if segment == "run" else tokens.series[SEGMENTS.index(segment)]


def call_path_svg(groups: Sequence[Group], tokens: Tokens, title: str, *, width: float = 700.0) -> str:
    """Draw each group on a scale of its own, the longest bar as wide as there is room; totals stand at the right."""
    left = 84.0
    parts: list[str] = []
    y = 0.0
    for group in groups:
        parts.append(svg.text(0, y + 12, group.words, tokens.muted))
        y += 20
        longest = max((bar.total_s for bar in group.bars), default=0.0) or 1.0
        for bar in group.bars:
            parts += _bar(bar, y, (left, (width - left - _RIGHT) / longest, width), tokens)
            y += _BAR + 8
        y += 8
    drawn = {name for group in groups for bar in group.bars for name, seconds in bar.seconds.items() if seconds > 0.0}
    legend, bottom = _legend([name for name in SEGMENTS if name in drawn], y + 2, width, tokens)
    return svg.document(width, bottom, [*parts, *legend], title)


def _bar(bar: Bar, y: float, scale: tuple[float, float, float], tokens: Tokens) -> list[str]:
    left, each, width = scale
    role = tokens.today if bar.today else tokens.candidate
    parts = [svg.rect(0, y, 3, _BAR, role), svg.text(8, y + 10, bar.name, tokens.text)]
    x = left
    for name in SEGMENTS:
        length = bar.seconds.get(name, 0.0) * each
        if length > 0.05:
            told = f"{bar.name}: {WORDS[name]} {show(bar.seconds[name], 'x_s')}"
            parts.append(svg.marked(svg.rect(x, y, length, _BAR, colour(tokens, name)), (x, y, length, _BAR), name, told))
            x += length
    parts.append(svg.text(width, y + 10, show(bar.total_s, "x_s"), tokens.text, anchor="end", weight=600))
    return parts


def _legend(names: Sequence[str], y: float, width: float, tokens: Tokens) -> tuple[list[str], float]:
    """Return the legend, in as many lines as it takes, and where it ends."""
    parts, x = [], 0.0
    for name in names:
        room = 14.0 + 5.8 * len(WORDS[name]) + 14.0
        if x + room > width and x:
            x, y = 0.0, y + 18
        parts += [svg.rect(x, y, 10, 10, colour(tokens, name)), svg.text(x + 14, y + 9, WORDS[name], tokens.muted)]
        x += room
    return parts, y + 16
