"""A share with the band of its sample, and other shares beside it."""

from collections.abc import Mapping

from app.charts import svg
from app.charts.tokens import Tokens, translucent


def band_svg(points: Mapping[str, float], band: tuple[float, float], tokens: Tokens, *, narrow: bool = False) -> str:
    """Draw shares on one scale from 0 up: the band shaded, *paper* dashed, *this run* solid blue, others as hollow dots with a word."""
    width = 358.0 if narrow else 430.0
    top = max(*points.values(), band[1], 0.6)
    # Words are as wide as they are; the last one must not leave the drawing.
    scale = (width - 56.0) / top

    def x(share: float) -> float:
        return 4.0 + share * scale

    middle = 26.0
    parts = [
        svg.line(x(0.0), middle, x(top), middle, tokens.hairline),
        svg.rect(x(band[0]), middle - 8, x(band[1]) - x(band[0]), 16, translucent(tokens.today, 0.35)),
    ]
    for tick in range(0, int(top * 100) + 1, 20):
        parts.append(svg.text(x(tick / 100), 62, f"{tick}\u00a0%" if tick else "0", tokens.muted, anchor="middle" if tick else "start"))
        parts.append(svg.line(x(tick / 100), middle - 3, x(tick / 100), middle + 3, tokens.control))
    taken: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
    for name, share in sorted(points.items(), key=lambda item: (item[0] != "this run", item[0] != "paper", item[1])):
        own, at = name == "this run", x(share)
        if name == "paper":
            parts.append(svg.line(at, middle - 12, at, middle + 12, tokens.muted, width=1.5, dash="3 2"))
        else:
            parts.append(
                svg.circle(at, middle, 5.0, tokens.candidate if own else tokens.surface, stroke=tokens.candidate if own else tokens.text)
            )
        words = f"{name} {100 * share:.1f}"
        half = 3.1 * len(words)
        place = min(max(at, half), width - half)
        # Above the line where there is room, else below it.
        for above in (True, False):
            if all(place + half < low or place - half > high for low, high in taken[above]):
                taken[above].append((place - half, place + half))
                ink = tokens.candidate if own else tokens.muted
                parts.append(svg.text(place, 10.0 if above else 48.0, words, ink, anchor="middle", weight=600 if own else 400))
                break
    return svg.document(width, 66.0, parts, "price cuts")
