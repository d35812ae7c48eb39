"""Parts of a system against today's policy: numbers, changes, a dot each."""

import math
from collections.abc import Mapping, Sequence
from typing import Final

from app.charts import svg
from app.charts.tokens import Tokens
from twin.metrics import METRICS
from twin.units import MINUS, show, show_change, split

# metric -> head of its column, with the unit where every value of it has the same one
COLUMNS: Final[Mapping[str, str]] = {
    "plant.gpu_temp_max_c": "Hottest GPU",
    "plant.row_power_peak_w": "Peak row power",
    "throttle_events": "Throttle events",
    "serving.ttft_p99_s": "TTFT p99",
    "serving.quality_mean_share": "Answer quality",
}
TODAY: Final = "today"
# A smaller part of today's value than this is no change.
LEAST_SHARE: Final = 1e-3
_WIDTH: Final = 1150.0
_NARROW: Final = 320.0
_NAME: Final = 150.0
_PITCH: Final = 32.0

Values = Mapping[str, float]


def values_of(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return the columns of one run from its metrics; throttle events are those on heat and on power, per day."""
    found = {name: metrics[name] for name in COLUMNS if name in metrics}
    events = [metrics[name] for name in ("plant.thermal_throttle_events", "plant.power_throttle_events") if name in metrics]
    return {**found, "throttle_events": sum(events)} if events else found


def sense(name: str, change: float) -> str:
    """Return better, worse, or nothing for a change too small to be shown."""
    if abs(change) < 1e-9:
        return ""
    lower = name == "throttle_events" or METRICS[name].better == "lower"
    return "better" if (change < 0) == lower else "worse"


def ablation_title(runs: Mapping[str, Values]) -> str:
    """Return which part does most against heat, and what all of it comes to."""
    today, key = runs.get(TODAY, {}), "plant.gpu_temp_max_c"
    others = {label: values[key] - today[key] for label, values in runs.items() if label != TODAY and key in values and key in today}
    if not others:
        return "What each part of TAPAS does, against today’s policy"
    best = min(others, key=lambda label: others[label])
    if others[best] > -0.05:
        return "No part of TAPAS makes the hottest GPU cooler here"
    name = "All of TAPAS" if best == "all" else f"TAPAS {best}"
    words = f"{name} makes the hottest GPU {show(-others[best], 'x_c')} cooler"
    before, after = today.get("throttle_events"), runs[best].get("throttle_events")
    if before is not None and after is not None and (before or after):
        words += f"; throttle events go from {_number(before, 'throttle_events')} to {_number(after, 'throttle_events')} a day"
    return words


def ablation_svg(runs: Mapping[str, Values], tokens: Tokens, *, narrow: bool = False) -> str:
    """Draw a line per policy and a column per metric: the value, its change against today, and where it lies between least and most."""
    names = [name for name in COLUMNS if any(name in values for values in runs.values())]
    parts = _phone(runs, names, tokens) if narrow else _table(runs, names, tokens)
    height = len(names) * (26 + 22 * len(runs)) if narrow else 24 + len(runs) * _PITCH
    return svg.document(_NARROW if narrow else _WIDTH, height, parts, ablation_title(runs))


def _table(runs: Mapping[str, Values], names: Sequence[str], tokens: Tokens) -> list[str]:
    wide = (_WIDTH - _NAME) / max(len(names), 1)
    parts = [svg.text(_NAME + i * wide + 64, 12, COLUMNS[name], tokens.muted) for i, name in enumerate(names)]
    for line, (label, values) in enumerate(runs.items()):
        y = 24 + line * _PITCH
        parts.append(svg.line(0, y, _WIDTH, y, tokens.grid))
        parts.append(svg.text(0, y + 20, _named(label), tokens.text, weight=600 if label in {TODAY, "all"} else 400, size=14))
        for index, name in enumerate(names):
            x = _NAME + index * wide
            parts += _track(runs, name, label, (x + 4, y + 16, 44.0), tokens)
            parts.append(svg.text(x + 64, y + 20, _number(values.get(name), name), tokens.text, size=14))
            words, ink = _change(runs, label, name, tokens)
            parts.append(svg.text(x + wide - 12, y + 20, words, ink, anchor="end"))
    return parts


def _phone(runs: Mapping[str, Values], names: Sequence[str], tokens: Tokens) -> list[str]:
    parts, y = [], 0.0
    for name in names:
        parts.append(svg.text(0, y + 14, COLUMNS[name], tokens.text, weight=600))
        y += 20
        for label, values in runs.items():
            parts.append(svg.line(0, y, _NARROW, y, tokens.grid))
            parts.append(svg.text(0, y + 15, _named(label), tokens.text if label == TODAY else tokens.muted))
            parts += _track(runs, name, label, (108, y + 11, 40.0), tokens)
            parts.append(svg.text(226, y + 15, _number(values.get(name), name), tokens.text, anchor="end", weight=600))
            words, ink = _change(runs, label, name, tokens)
            parts.append(svg.text(_NARROW, y + 15, words, ink, anchor="end"))
            y += 22
        y += 6
    return parts


def _track(runs: Mapping[str, Values], name: str, label: str, box: tuple[float, float, float], tokens: Tokens) -> list[str]:
    """Return the place of a value between the least and the most of its column, today's as a grey tick."""
    known = [values[name] for values in runs.values() if name in values and math.isfinite(values[name])]
    value = runs[label].get(name)
    if value is None or not known:
        return []
    x, y, wide = box
    low, high = min(known), max(known)
    if high - low <= LEAST_SHARE * abs(high):
        low = high

    def at(number: float) -> float:
        return x + (0.5 if high - low < 1e-12 else (number - low) / (high - low)) * wide

    parts = [svg.rect(x, y - 1, wide, 2, tokens.grid)]
    if name in runs.get(TODAY, {}):
        parts.append(svg.rect(at(runs[TODAY][name]) - 1, y - 6, 2, 12, tokens.today))
    if label != TODAY:
        parts.append(svg.circle(at(value), y, 4, tokens.candidate))
    return parts


def _change(runs: Mapping[str, Values], label: str, name: str, tokens: Tokens) -> tuple[str, str]:
    value, before = runs[label].get(name), runs.get(TODAY, {}).get(name)
    if label == TODAY or value is None or before is None:
        return "", tokens.muted
    change = value - before
    if name == "throttle_events":
        change = float(round(change))
        words = f"{'+' if change > 0 else ''}{change:,.0f}".replace("-", MINUS).replace(",", "\u00a0")
    else:
        words = show_change(change, name)
    if abs(change) <= LEAST_SHARE * abs(before):
        return "as today", tokens.muted
    found = sense(name, change)
    return f"{words} {found}", tokens.good_text if found == "better" else tokens.broken_text


def _named(label: str) -> str:
    return {"today": "Today’s policy", "all": "All of TAPAS"}.get(label, label)


def _number(value: float | None, name: str) -> str:
    if value is None or not math.isfinite(value):
        return "–"
    if name == "throttle_events":
        return f"{round(value):,}".replace(",", "\u00a0")
    return "\u00a0".join(part for part in split(value, name) if part)
