"""Claims at a glance: the paper's number, its tolerance band, ours."""

from app.charts import svg
from app.charts.tokens import Tokens

WIDTH_PX = 96
HEIGHT_PX = 20


def spark(
    paper: float,
    tolerance: float,
    ours: float | None,
    tokens: Tokens,
    spread: tuple[float, float] | None = None,
    paper_high: float | None = None,
) -> str:
    """Return a small figure: dashes are the paper (its range where ``paper_high`` is given), the band its tolerance (a share of it).

    Blue is ours with its spread over seeds.
    """
    ends = (paper, paper if paper_high is None else paper_high)
    first, last = min(ends) - abs(min(ends)) * tolerance, max(ends) + abs(max(ends)) * tolerance
    values = [0.0, first, last, *([] if ours is None else [ours]), *(spread or ())]
    low, high = min(values), max(values)
    span = (high - low) or 1.0

    def x(value: float) -> float:
        return 6 + (value - low) / span * (WIDTH_PX - 12)

    middle = HEIGHT_PX / 2
    parts = [
        svg.rect(x(first), 3, x(last) - x(first), HEIGHT_PX - 6, tokens.hairline),
        *(svg.line(x(end), 2, x(end), HEIGHT_PX - 2, tokens.muted, dash="3 2") for end in dict.fromkeys(ends)),
        svg.line(x(0.0), middle - 2, x(0.0), middle + 2, tokens.control),
    ]
    if spread is not None:
        parts.append(svg.line(x(spread[0]), middle, x(spread[1]), middle, tokens.candidate, width=1.6))
    if ours is not None:
        parts.append(svg.circle(x(ours), middle, 3.5, tokens.candidate))
    size = f'width="{WIDTH_PX}" height="{HEIGHT_PX}" viewBox="0 0 {WIDTH_PX} {HEIGHT_PX}"'
    return f'<svg {size} aria-hidden="true" style="display:block">{"".join(parts)}</svg>'


def squares(rank: int, tokens: Tokens, of: int = 6) -> str:
    """Return the strength of evidence as squares, all filled for the strongest."""
    parts = [svg.rect(9.0 * i, 1, 7, 7, tokens.candidate if i < rank else tokens.hairline, radius=1) for i in range(of)]
    return f'<svg width="{9 * of}" height="9" viewBox="0 0 {9 * of} 9" aria-hidden="true">{"".join(parts)}</svg>'
