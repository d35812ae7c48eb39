"""Five dots on a line: cause, notices, answers, what was done, effect."""

from collections.abc import Sequence

from app.charts import svg
from app.charts.chains import Step
from app.charts.message_scene import short
from app.charts.tokens import Tokens
from twin.clock import Clock

_CHAR_PX = 5.7
_HEAVY_PX = 7.4


def chain_svg(steps: Sequence[Step], clock: Clock, tokens: Tokens, *, narrow: bool = False) -> str:
    """Draw the steps of a chain; the last dot is hollow: it was measured, not decided. What did not happen has a dashed ring."""
    return _down(steps, clock, tokens) if narrow else _across(steps, clock, tokens)


def _across(steps: Sequence[Step], clock: Clock, tokens: Tokens) -> str:
    width = 760.0
    pitch = width / max(len(steps), 1)
    most, heavy = int((pitch - 8) / _CHAR_PX), int((pitch - 8) / _HEAVY_PX)
    parts = []
    for index, step in enumerate(steps):
        x = index * pitch + 7.0
        if index + 1 < len(steps):
            parts.append(svg.line(x + 8, 9, x + pitch - 12, 9, tokens.candidate if steps[index + 1].t_s is not None else tokens.hairline))
        parts.append(_dot(step, x, 9.0, index + 1 == len(steps), tokens))
        if step.t_s is not None:
            parts.append(svg.text(x - 7, 30, f"{clock.at(step.t_s):%H:%M:%S}", tokens.muted))
        parts.append(svg.text(x - 7, 48, short(step.title, heavy), tokens.text, weight=600, size=14))
        for line, words in enumerate(_lines(step.under, most)):
            parts.append(svg.text(x - 7, 65 + 15 * line, words, tokens.muted))
    return svg.document(width, 86.0, parts, "; ".join(f"{step.title}: {step.under}" for step in steps))


def _down(steps: Sequence[Step], clock: Clock, tokens: Tokens) -> str:
    parts, pitch = [], 42.0
    for index, step in enumerate(steps):
        y = 10.0 + index * pitch
        if index + 1 < len(steps):
            parts.append(svg.line(7, y + 8, 7, y + pitch - 9, tokens.candidate if steps[index + 1].t_s is not None else tokens.hairline))
        parts.append(_dot(step, 7.0, y, index + 1 == len(steps), tokens))
        parts.append(svg.text(24, y + 5, short(step.title, 30), tokens.text, weight=600, size=14))
        if step.t_s is not None:
            parts.append(svg.text(358, y + 4, f"{clock.at(step.t_s):%H:%M:%S}", tokens.muted, anchor="end"))
        parts.append(svg.text(24, y + 21, short(step.under, 52), tokens.muted))
    return svg.document(358.0, 10.0 + pitch * len(steps), parts, "; ".join(f"{step.title}: {step.under}" for step in steps))


def _dot(step: Step, x: float, y: float, last: bool, tokens: Tokens) -> str:
    if step.t_s is None:
        ring = f"M{svg.number(x - 5)} {svg.number(y)}a5 5 0 1 1 10 0a5 5 0 1 1 -10 0"
        return svg.path(ring, stroke=tokens.control, width=1.4, dash="2.4 2")
    return svg.circle(x, y, 5.5, tokens.surface if last else tokens.candidate, stroke=tokens.candidate, width=2.0)


def _lines(words: str, most: int) -> list[str]:
    """Return words on two lines at most, broken between words."""
    if len(words) <= most:
        return [words]
    cut = words.rfind(" ", 0, most + 1)
    cut = cut if cut > 0 else most
    return [words[:cut], short(words[cut:].lstrip(), most)]
