"""Whether stated confidences come true: share right by what was said."""

from collections.abc import Sequence
from typing import Final

from app.charts import svg
from app.charts.tokens import Tokens, translucent
from twin.incidents.calibration import Bin

WIDTH: Final = 328.0
_LEFT: Final = 44.0
_TOP: Final = 10.0
_TALL: Final = 132.0
_COUNTS: Final = 30.0


def reliability_svg(bins: Sequence[Bin], tokens: Tokens, title: str, *, width: float = WIDTH) -> str:
    """Draw how many were right of those that were said to be so sure, with 95 % intervals, and below how many there are in each bin."""
    right, base = width - 12.0, _TOP + _TALL

    def x_of(share: float) -> float:
        return _LEFT + 8 + (right - _LEFT - 8) * share

    def y_of(share: float) -> float:
        return base - _TALL * share

    parts = []
    for share in (0.0, 0.5, 1.0):
        parts.append(svg.line(_LEFT, y_of(share), right, y_of(share), tokens.control if share == 0.0 else tokens.grid))
        parts.append(svg.text(_LEFT - 4, y_of(share) + 4, f"{100 * share:.0f}\u00a0%", tokens.muted, anchor="end"))
    parts.append(svg.line(x_of(0.0), y_of(0.0), x_of(1.0), y_of(1.0), tokens.today, width=1.2, dash="4 3"))
    parts.append(svg.text(x_of(0.0) + 2, _TOP + 8, "share right", tokens.muted))
    parts.append(svg.text(x_of(0.60), y_of(0.60) + 22, "perfect", tokens.muted))
    foot = base + 8.0 + _COUNTS
    most = max((each.count for each in bins), default=1)
    for each in bins:
        x, y = x_of(each.confidence), y_of(each.right_share)
        says = (
            f"Said {100 * each.confidence:.0f}\u00a0%: {100 * each.right_share:.0f}\u00a0% of {each.count} were right "
            f"(95\u00a0% interval {100 * each.low_share:.0f} to {100 * each.high_share:.0f}\u00a0%)"
        )
        tall = _COUNTS * each.count / most
        drawn = [
            svg.line(x, y_of(each.low_share), x, y_of(each.high_share), tokens.candidate, width=1.6),
            svg.circle(x, y, 4.0, tokens.candidate, stroke=tokens.surface, width=1.0),
            svg.rect(x - 6, foot - tall, 12, tall, translucent(tokens.today, 0.6)),
        ]
        parts.append(svg.marked("".join(drawn), (x - 8, _TOP, 16, foot - _TOP), f"{each.confidence:.3f}", says))
    parts += [svg.line(_LEFT, foot, right, foot, tokens.control), svg.text(_LEFT - 4, foot, "n", tokens.muted, anchor="end")]
    for share in (0.0, 0.5, 1.0):
        anchor = "start" if not share else "end" if share == 1.0 else "middle"
        parts.append(svg.text(x_of(share), foot + 14, f"{100 * share:.0f}\u00a0%", tokens.muted, anchor=anchor))
    parts.append(svg.text(x_of(0.5), foot + 29, "stated confidence", tokens.muted, anchor="middle"))
    return svg.document(width, foot + 34, parts, title)
