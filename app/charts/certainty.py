"""How sure one may be of each cause over time, and what told."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Final

from app.charts import svg
from app.charts.task_graph import fit
from app.charts.tokens import Tokens
from twin.clock import Clock

Scale = Callable[[float], float]
WIDE: Final = 526.0
NARROW: Final = 340.0
_LEFT: Final = 42.0
_TOP: Final = 12.0
_TALL: Final = 150.0
_ROW: Final = 16.0
_TAIL: Final = 14.0
_LABEL: Final = 15.0
# Times nearer than this share a label.
_APART: Final = 34.0


@dataclass(frozen=True, slots=True)
class Line:
    """One cause over the moments at which it was held possible: (seconds of the run, 0 to 1). ``hue`` is the same on the whole page."""

    key: str
    words: str
    hue: int
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Told:
    """What came in by a moment about a cause: how many statements for it or against it that were not known before."""

    t_s: float
    key: str
    supports: bool
    count: int
    says: str


def certainty_svg(  # noqa: PLR0913 - what a figure shows
    lines: Sequence[Line], told: Sequence[Told], moments: Sequence[float], tokens: Tokens, clock: Clock, title: str,
    *, at_s: float, chosen: str = "", width: float = WIDE,
) -> str:  # fmt: skip
    """Draw each cause's confidence, held from one moment to the next, and below it what spoke for it (full) and against it (hollow).

    A moment carries its seconds for a click; the cursor stands at the one that is shown, ``at_s``.
    """
    room = 196.0 if width > 450 else 128.0
    x_of = _scale(moments, _LEFT, width - room - _TAIL)
    base = _TOP + _TALL
    rows = {line.key: base + 14.0 + _ROW * place for place, line in enumerate(lines)}
    bottom = base + 8.0 + _ROW * len(lines)
    right = width - room
    parts = _grid(right, tokens)
    parts += [svg.line(x_of(t), _TOP, x_of(t), bottom, tokens.grid) for t in moments]
    parts.append(svg.line(_LEFT, base, right, base, tokens.control))
    parts.append(svg.line(x_of(at_s), _TOP - 4, x_of(at_s), bottom, tokens.text, width=1.2))
    for line in lines:
        parts.append(_curve(line, moments, x_of, right, tokens, heavy=line.key == chosen))
    parts += _labels(lines, right, room, tokens, chosen)
    parts += [_mark(each, x_of, rows[each.key], _hue(lines, each.key, tokens), tokens) for each in told if each.key in rows]
    parts += _clock(moments, x_of, bottom + 13.0, clock, tokens)
    parts += _moments(lines, moments, x_of, right, clock)
    return svg.document(width, bottom + 18.0, parts, title)


def _scale(moments: Sequence[float], left: float, right: float) -> Scale:
    first, last = min(moments), max(moments)
    span = (last - first) or 1.0

    def x_of(t_s: float) -> float:
        # Most comes in at first: early moments are drawn wider apart, by the square root of the time since the first.
        return left + 8.0 + (right - left - 8.0) * sqrt((min(max(t_s, first), last) - first) / span)

    return x_of


def y_of(share: float) -> float:
    """Return where a confidence stands."""
    return _TOP + _TALL * (1.0 - min(max(share, 0.0), 1.0))


def _grid(right: float, tokens: Tokens) -> list[str]:
    parts = []
    for share in (0.25, 0.5, 0.75, 1.0):
        parts.append(svg.line(_LEFT, y_of(share), right, y_of(share), tokens.grid))
    for share in (0.0, 0.5, 1.0):
        parts.append(svg.text(_LEFT - 6, y_of(share) + 4, f"{100 * share:.0f}\u00a0%", tokens.muted, anchor="end"))
    return parts


def _curve(line: Line, moments: Sequence[float], x_of: Scale, right: float, tokens: Tokens, *, heavy: bool) -> str:
    """Draw a confidence as steps; where a cause was not named at a moment its line has a gap."""
    at = dict(line.points)
    n, commands = svg.number, []
    for place, t_s in enumerate(moments):
        if t_s not in at:
            continue
        x, y = x_of(t_s), y_of(at[t_s])
        end = x_of(moments[place + 1]) if place + 1 < len(moments) else right
        before = place and moments[place - 1] in at
        commands.append(f"{'L' if before else 'M'}{n(x)} {n(y)}L{n(end)} {n(y)}")
    hue = tokens.series[line.hue % len(tokens.series)]
    return svg.path("".join(commands), stroke=hue, width=2.4 if heavy else 1.6)


def _labels(lines: Sequence[Line], right: float, room: float, tokens: Tokens, chosen: str) -> list[str]:
    """Write each line's last value and name at its end, pushed apart where they would lie on each other."""
    ends = sorted(((y_of(line.points[-1][1]), line) for line in lines if line.points), key=lambda pair: pair[0])
    parts, low = [], -1e9
    ceiling = _TOP + _TALL - _LABEL * (len(ends) - 1) + 4.0
    for place, (y, line) in enumerate(ends):
        y = max(min(y + 4.0, ceiling + _LABEL * place), low + _LABEL)
        low = y
        hue = tokens.series[line.hue % len(tokens.series)]
        share = f"{100 * line.points[-1][1]:.0f}\u00a0%"
        parts.append(svg.circle(right + 7, y - 4, 3.4, hue))
        parts.append(svg.text(right + 14, y, share, tokens.text, weight=600))
        parts.append(svg.text(right + 47, y, fit(line.words, room - 47), tokens.text, weight=600 if line.key == chosen else 400))
    return parts


def _hue(lines: Sequence[Line], key: str, tokens: Tokens) -> str:
    return next(tokens.series[line.hue % len(tokens.series)] for line in lines if line.key == key)


def _mark(told: Told, x_of: Scale, y: float, hue: str, tokens: Tokens) -> str:
    """Draw an upright full triangle for what supports, an inverted hollow one for what contradicts, with their number above one."""
    x = x_of(told.t_s) + (-6.0 if told.supports else 6.0)
    n = svg.number
    if told.supports:
        drawn = svg.path(f"M{n(x - 5)} {n(y + 4)}L{n(x)} {n(y - 5)}L{n(x + 5)} {n(y + 4)}Z", fill=hue, stroke=hue, width=1.2)
    else:
        drawn = svg.path(f"M{n(x - 5)} {n(y - 4)}L{n(x)} {n(y + 5)}L{n(x + 5)} {n(y - 4)}Z", fill=tokens.surface, stroke=hue, width=1.4)
    return svg.marked(drawn, (x - 6, y - 7, 12, 14), f"{told.t_s:.0f}", told.says)


def _clock(moments: Sequence[float], x_of: Scale, y: float, clock: Clock, tokens: Tokens) -> list[str]:
    parts, low = [], -1e9
    last = x_of(moments[-1])
    for t_s in moments:
        x = x_of(t_s)
        if x - low < _APART or (t_s != moments[-1] and last - x < _APART):
            continue
        low = x
        parts.append(svg.text(x, y, f"{clock.at(t_s):%H:%M}", tokens.muted, anchor="middle"))
    return parts


def _moments(lines: Sequence[Line], moments: Sequence[float], x_of: Scale, right: float, clock: Clock) -> list[str]:
    """Lay what a click takes over the curves: a band a moment, from it to the next."""
    parts = []
    for place, t_s in enumerate(moments):
        x = x_of(t_s)
        end = x_of(moments[place + 1]) if place + 1 < len(moments) else right
        sure = [f"{line.words} {100 * dict(line.points)[t_s]:.0f}\u00a0%" for line in lines if t_s in dict(line.points)]
        says = f"As of {clock.at(t_s):%H:%M:%S}: {', '.join(sure) or 'no cause was named'}"
        parts.append(svg.marked("", (x, _TOP, max(end - x, 2.0), _TALL), f"{t_s:.0f}", says))
    return parts
