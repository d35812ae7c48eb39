"""The GPUs of one server against their limit, a dot each."""

import math
from collections.abc import Sequence

from app.charts import svg
from app.charts.tokens import Tokens
from twin.units import show

WIDTH = 280
HEIGHT = 132


def gpu_dots_svg(temps_c: Sequence[float], limit_c: float, tokens: Tokens) -> str:
    """Draw GPU 0 to 7 of a server: blue below the limit, red and outlined above it. The limit carries its value."""
    known = [value for value in temps_c if math.isfinite(value)]
    low = min([*known, limit_c]) - 3.0
    high = max([*known, limit_c]) + 3.0
    top, bottom, left = 8.0, HEIGHT - 22.0, 44.0

    def y(value: float) -> float:
        return bottom - (value - low) / (high - low) * (bottom - top)

    pitch = (WIDTH - left - 12) / max(len(temps_c) - 1, 1)
    parts = []
    step = next(size for size in (2, 5, 10, 20, 50) if (high - low) / size <= 4)
    for tick in range(math.ceil(low / step) * step, math.floor(high) + 1, step):
        if abs(y(tick) - y(limit_c)) > 8:
            parts += [svg.line(left - 6, y(tick), WIDTH, y(tick), tokens.grid), svg.text(0, y(tick) + 4, f"{tick}\u00a0°C", tokens.muted)]
    parts.append(svg.line(left - 6, y(limit_c), WIDTH, y(limit_c), tokens.limit))
    parts.append(svg.text(left - 4, y(limit_c) - 4, f"limit {show(limit_c, 'limit_c')}", tokens.broken_text))
    for index, value in enumerate(temps_c):
        x = left + 6 + index * pitch
        parts.append(svg.text(x, HEIGHT - 4, str(index), tokens.muted, anchor="middle"))
        if math.isfinite(value):
            over = value > limit_c
            parts.append(svg.line(x, y(value) + 5, x, bottom, tokens.grid))
            parts.append(
                svg.circle(x, y(value), 4.5, tokens.hot if over else tokens.candidate, stroke=tokens.hot_outline if over else "none")
            )
    return svg.document(WIDTH, HEIGHT, parts, f"GPU temperatures, highest {show(max(known, default=None), 'temp_c')}")
