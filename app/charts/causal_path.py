"""From a cause to its symptom, layer by layer, on what hangs on what."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from app.charts import svg
from app.charts.task_graph import fit
from app.charts.tokens import Tokens

WIDTH: Final = 328.0
_X: Final = 58.0
_LAYER: Final = 58.0
_WITH_OTHERS: Final = 22.0
_TOP: Final = 16.0
_RADIUS: Final = 7.0
_DOT: Final = 11.0
_MOST: Final = 12


@dataclass(frozen=True, slots=True)
class Beside:
    """Something else that hangs on the same: it would have suffered, too; ``hit`` where the incident says that it did."""

    entity_id: str
    hit: bool


@dataclass(frozen=True, slots=True)
class Stop:
    """One entity on the way from cause to symptom.

    ``edge`` is how it hangs on the one before ("calls"), empty where the topology does not say. ``beside`` are others that hang on the
    same one before. ``when`` and ``cites`` are what stands left and right of it.
    """

    entity_id: str
    words: str
    says: str
    edge: str = ""
    when: str = ""
    cites: str = ""
    beside: tuple[Beside, ...] = ()


def causal_path_svg(stops: Sequence[Stop], tokens: Tokens, title: str, *, hue: int = 0, width: float = WIDTH) -> str:
    """Draw the path from the cause at the top to the symptom at the bottom, a layer an entity.

    A dashed arrow is a step that the topology does not have. Dots are the others in a layer, full where the incident names them too.
    """
    colour = tokens.series[hue % len(tokens.series)]
    parts: list[str] = []
    y = y_before = _TOP
    for place, stop in enumerate(stops):
        if place:
            parts += _arrow(y_before, y, stop.edge, colour, tokens)
        # Drawn before its node, so that lines end under it.
        if stop.beside:
            parts += _others(stop, y_before, y, width, colour, tokens)
        parts.append(_node(stop, y, width, colour, tokens, full=place == 0, last=place == len(stops) - 1))
        y_before = y
        y += _LAYER + (_WITH_OTHERS if place + 1 < len(stops) and stops[place + 1].beside else 0.0)
    return svg.document(width, y_before + 26.0, parts, title)


def _arrow(start: float, end: float, edge: str, colour: str, tokens: Tokens) -> list[str]:
    top, tip = start + _RADIUS + 1, end - _RADIUS - 2
    n = svg.number
    head = f"M{n(_X - 4)} {n(tip - 6)}L{n(_X)} {n(tip)}L{n(_X + 4)} {n(tip - 6)}"
    return [svg.line(_X, top, _X, tip, colour, width=1.6, dash="" if edge else "4 3"), svg.path(head, stroke=colour, width=1.6)]


def _node(stop: Stop, y: float, width: float, colour: str, tokens: Tokens, *, full: bool, last: bool) -> str:
    drawn = [
        svg.circle(_X, y, _RADIUS, colour if full else tokens.surface, stroke=colour, width=2.0),
        svg.text(_X + 18, y, fit(stop.entity_id, width - _X - 66), tokens.text, weight=600),
        svg.text(_X + 18, y + 15, fit(_under(stop), width - _X - 22), tokens.muted),
    ]
    if last:
        drawn.append(svg.circle(_X, y, 2.4, colour))
    if stop.when:
        drawn.append(svg.text(_X - 16, y + 4, stop.when, tokens.muted, anchor="end"))
    if stop.cites:
        drawn.append(svg.text(width - 2, y, fit(stop.cites, 46), tokens.muted, anchor="end"))
    return svg.marked("".join(drawn), (0, y - 14, width, 34), stop.entity_id, stop.says)


def _under(stop: Stop) -> str:
    return f"{stop.edge} it · {stop.words}" if stop.edge else stop.words


def _others(stop: Stop, above: float, y: float, width: float, colour: str, tokens: Tokens) -> list[str]:
    """Draw what else hangs on the entity above as a row of dots, and say how many."""
    row, parts, n = y - 20.0, [], svg.number
    shown = stop.beside[:_MOST]
    for place, other in enumerate(shown):
        x = _X + 24 + _DOT * place
        curve = f"C{n(_X)} {n(row - 6)} {n(x)} {n(above + 24)} {n(x)} {n(row - 3)}"
        parts.append(svg.path(f"M{n(_X)} {n(above + _RADIUS)}{curve}", stroke=tokens.hairline))
        fill = colour if other.hit else tokens.surface
        dot = svg.circle(x, row, 3.2, fill, stroke=colour if other.hit else tokens.control, width=1.0)
        words = "the incident names it, too" if other.hit else "nothing was reported of it"
        parts.append(svg.marked(dot, (x - 5, row - 5, 10, 10), other.entity_id, f"{other.entity_id} hangs on the same: {words}"))
    left = len(stop.beside) - len(shown)
    words = f"+ {left} more" if left else "others" if len(shown) > 1 else "other"
    x = _X + 24 + _DOT * len(shown)
    parts.append(svg.text(x, row + 4, fit(words, width - x), tokens.muted))
    return parts
