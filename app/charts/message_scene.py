"""Where messages stand: lanes, a window of time, what is chosen."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Final

import polars as pl

from app.charts import svg
from app.charts.curve_above import Curve
from app.charts.statements import plainly
from app.charts.tokens import Tokens
from twin.clock import Clock
from twin.units import show

MANAGERS: Final[Mapping[str, str]] = {"platform": "Platform", "global": "Global manager", "local": "Local managers"}
# Hints whose value is a moment of the run, in words; a negative value is not said.
_MOMENTS: Final[Mapping[str, str]] = {"checkpointed_at_s": "work saved at", "idle_until_s": "idle until"}
_MOMENT: Final = re.compile(r"\b(checkpointed_at_s|idle_until_s) = (\d[\d.e+]*)")
# With more messages than this in a window, hints of others are short strokes, and only what happened is in words.
CROWD: Final = 60


@dataclass(frozen=True, slots=True)
class Scene:
    """What is drawn: messages (already filtered), the workloads' lanes, the window, the chosen chain, the curve above, the cursor."""

    messages: pl.DataFrame
    workloads: Sequence[str]
    window: tuple[float, float]
    clock: Clock
    chain: int | None = None
    curve: Curve | None = None
    cursor_s: float | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """Where things stand: width, where lanes begin, how far apart they are, and whether their names stand above them."""

    width: float
    left: float
    pitch: float
    above: bool

    @property
    def right(self) -> float:
        """Return where lanes end."""
        return self.width - 12.0


WIDE: Final = Frame(760.0, 116.0, 27.0, False)
NARROW: Final = Frame(358.0, 4.0, 36.0, True)


def x_of(scene: Scene, frame: Frame, t_s: float) -> float:
    """Return where a moment stands; what lies outside of the window stands at its edge."""
    first, last = scene.window
    share = (min(max(t_s, first), last) - first) / max(last - first, 1e-9)
    return frame.left + 4.0 + share * (frame.right - frame.left - 4.0)


def lane_of(row: Mapping[str, Any], end: str, lanes: Mapping[str, float]) -> float:
    """Return the height of the lane of a message's ``sender`` or ``receiver``."""
    name = str(row[end])
    if name == "workload":
        return lanes.get(str(row["workload_id"]), lanes["local"])
    return lanes.get(name, lanes["platform"])


def haloed(x: float, y: float, words: str, ink: str, tokens: Tokens, weight: int) -> str:
    """Return words that stay readable over lines; the pointer goes through them."""
    halo = f'stroke="{tokens.surface}" stroke-width="3" paint-order="stroke" pointer-events="none"'
    return f'<text x="{svg.number(x)}" y="{svg.number(y)}" fill="{ink}" font-weight="{weight}" {halo}>{escape(words)}</text>'


def worded(words: str, clock: Clock) -> str:
    """Return what a message says with ids as people say them, and moments and stretches of time as a clock shows them.

    >>> from datetime import UTC, datetime
    >>> worded("overclock offer to 7 VMs, in 0 s", Clock(datetime(2026, 7, 14, tzinfo=UTC)))
    'overclock offer to 7 VMs, at once'
    """
    words = plainly(words).replace(", in 0 s", ", at once")
    words = re.sub(r", in (\d{2,}) s\b", lambda m: f", in {show(float(m[1]), 'x_s')}", words)
    return re.sub(_MOMENT, lambda m: f"{_MOMENTS[m[1]]} {clock.at(float(m[2])):%H:%M:%S}", words)


def short(words: str, most: int) -> str:
    """Return words cut to so many characters."""
    return words if len(words) <= most else f"{words[: most - 1].rstrip()}…"
