"""Paired differences: changes against today, on one scale a row."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from app.charts import svg
from app.charts.marks import mark
from app.charts.quantity import Measure
from app.charts.tokens import Tokens
from twin.units import NARROW_SPACE

CELL_PX = 88
NARROW_CELL_PX = 56  # of three candidates and more, so that the last one is seen without scrolling
HEIGHT_PX = 24


@dataclass(frozen=True, slots=True)
class Change:
    """A candidate's change against today in the metric's unit (or as a share of today where the row is relative).

    ``low`` and ``high`` bound the interval, None where one seed was run; ``better`` is None where zero lies inside it.
    """

    value: float
    low: float | None
    high: float | None
    better: bool | None
    past_bound: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One metric: today's value, the bound of an intent in words and as a change, and every candidate's change."""

    domain: str
    label: str
    metric: str
    measure: Measure
    change_measure: Measure
    today: float | None
    bound_words: str
    bound_change: float | None
    changes: tuple[Change | None, ...]
    group: str = ""

    def extent(self) -> tuple[float, float]:
        """Return the scale that all candidates of the row share; today is always on it."""
        values = [0.0] if self.bound_change is None else [0.0, self.bound_change]
        for change in self.changes:
            if change is not None:
                values += [value for value in (change.value, change.low, change.high) if value is not None]
        return min(values), max(values)


def interval(change: Change | None, row: Row, tokens: Tokens, *, recommended: bool, width_px: int = CELL_PX) -> str:
    """Return one cell: grey dashes are today, red is the bound, the dot is the change with its interval."""
    low, high = row.extent()
    span = high - low

    def x(value: float) -> float:
        return width_px / 2 if span <= 0 else 8 + (value - low) / span * (width_px - 16)

    middle = HEIGHT_PX / 2
    parts = [svg.line(x(0.0), 0, x(0.0), HEIGHT_PX, tokens.today, dash="3 2")]
    if row.bound_change is not None:
        parts.append(svg.line(x(row.bound_change), 3, x(row.bound_change), HEIGHT_PX - 3, tokens.limit))
    if change is not None:
        colour = tokens.candidate if recommended else tokens.muted
        if change.low is not None and change.high is not None:
            parts.append(svg.line(x(change.low), middle, x(change.high), middle, colour, width=1.6))
            parts += [svg.line(x(end), middle - 3, x(end), middle + 3, colour, width=1.2) for end in (change.low, change.high)]
        fill = colour if recommended else tokens.surface
        parts.append(svg.circle(x(change.value), middle, 4, fill, stroke=colour))
    size = f'width="{width_px}" height="{HEIGHT_PX}" viewBox="0 0 {width_px} {HEIGHT_PX}"'
    return f'<svg {size} aria-hidden="true" style="display:block">{"".join(parts)}</svg>'


def words(change: Change | None, row: Row, tokens: Tokens) -> str:
    """Return the change with its sign; green or red only where the interval excludes zero, a cross past the bound."""
    if change is None:
        return '<span class="m">no evidence</span>'
    colour = tokens.muted if change.better is None else tokens.good_text if change.better else tokens.broken_text
    cross = f' {mark("broken", tokens)}<span class="sr">past the bound</span>' if change.past_bound else ""
    # A relative bound is answered in per cent of today's value, whatever the unit of the row.
    unit = f"{NARROW_SPACE}%" if row.change_measure.unit == "%" != row.measure.unit else ""
    text = row.change_measure.signed(change.value) + unit
    title = (
        "" if change.low is None else f' title="{row.change_measure.signed(change.low)} to {row.change_measure.signed(change.high)}{unit}"'
    )
    return f'<span style="color:{colour}"{title}>{text}</span>{cross}'


def table(rows: Sequence[Row], names: Sequence[str], recommended: int | None, tokens: Tokens) -> str:
    """Return the table of Compare: one row a metric, two columns a candidate, the recommended one on its weak fill."""
    heads = "".join(f'<th colspan="2"{_on(i == recommended)}>{escape(name)}</th>' for i, name in enumerate(names))
    width_px = CELL_PX if len(names) < 3 else NARROW_CELL_PX
    lines, last = [], ""
    for row in rows:
        cells = "".join(
            f'<td class="fig{" on" if i == recommended else ""}">'
            f"{interval(change, row, tokens, recommended=i == recommended, width_px=width_px)}</td>"
            f'<td class="n{" on b" if i == recommended else ""}">{words(change, row, tokens)}</td>'
            for i, change in enumerate(row.changes)
        )
        group = row.group or row.domain
        first = group if group != last else ""
        last = group
        unit = f", {escape(row.measure.unit)}" if row.measure.unit else ""
        lines.append(
            f'<tr{" class=first" if first else ""} id="{escape(row.metric)}"><td class="m s dom">{escape(first.capitalize())}</td>'
            f'<td class="label" title="{escape(row.metric)}">{escape(row.label)}{unit}</td>'
            f'<td class="n m">{row.measure.plain(row.today)}</td>'
            f'<td class="n m bnd">{escape(row.bound_words)}</td>{cells}</tr>'
        )
    head = f'<tr><th class="dom"></th><th>Metric, unit</th><th class="n">Today</th><th class="n bnd">Bound</th>{heads}</tr>'
    return f'<table class="iw diff"><thead>{head}</thead><tbody>{"".join(lines)}</tbody></table>'


def _on(yes: bool) -> str:
    return ' class="on"' if yes else ""
