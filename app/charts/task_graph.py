"""Task graphs in layers: who does which stage, and on what."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from app.charts import svg
from app.charts.tokens import LABEL_PX, Tokens
from twin.workflows.graph import Graph

WIDTH: Final = 368.0
_GAP: Final = 12.0
_BETWEEN: Final = 22.0
_WIDEST: Final = 228.0
_PASSING: Final = 14.0
_LINE: Final = 16.0
_PAD: Final = 8.0
_TOP: Final = 22.0
# How wide a letter of the labels is on average; words are cut by it, so that none leaves its box.
_LETTER: Final = 6.1


@dataclass(frozen=True, slots=True)
class Node:
    """A stage as it is drawn: lines below its title, what it says when pointed at, and how today's policy does it where that differs."""

    id: str
    title: str
    lines: tuple[str, ...]
    says: str
    today: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stage stands: the middle of its box, its size."""

    x: float
    y: float
    width: float
    height: float


def layers(graph: Graph) -> list[list[str]]:
    """Return stages by layer: each one below all that it reads from, as far up as it can be.

    A name such as ``a>b`` stands for an edge that passes through a layer. Neighbours are in the order of what they read from.
    """
    depth: dict[str, int] = {}
    for stage in graph.stages:
        depth[stage.id] = 1 + max((depth[name] for name in stage.after), default=-1)
    found: list[list[str]] = [[] for _ in range(1 + max(depth.values(), default=-1))]
    for stage in graph.stages:
        found[depth[stage.id]].append(stage.id)
        for name in stage.after:
            for layer in range(depth[name] + 1, depth[stage.id]):
                found[layer].append(f"{name}>{stage.id}")
    number = {stage.id: index for index, stage in enumerate(graph.stages)}
    after = {stage.id: stage.after for stage in graph.stages}
    for index in range(1, len(found)):
        above = {name: place for place, name in enumerate(found[index - 1])}

        def key(name: str, above: dict[str, int] = above) -> tuple[bool, float, int]:
            start, passing, end = name.partition(">")
            sources = (start, f"{start}>{end}") if passing else tuple(s for one in after[name] for s in (one, f"{one}>{name}"))
            places = [above[one] for one in sources if one in above]
            # What only passes goes by at the side, as a road does.
            return bool(passing), sum(places) / len(places) if places else 0.0, number[start]

        found[index].sort(key=key)
    return found


def places(graph: Graph, nodes: Sequence[Node], width: float = WIDTH) -> dict[str, Place]:
    """Return where each stage stands by its name, and where edges pass by theirs and the layer, such as ``a>b@2``."""
    lines = {node.id: 1 + len(node.lines) + bool(node.today) for node in nodes}
    found: dict[str, Place] = {}
    y = _TOP
    for index, layer in enumerate(layers(graph)):
        real = [name for name in layer if ">" not in name]
        passing = len(layer) - len(real)
        room = width - _GAP * (len(layer) - 1) - _PASSING * passing
        wide = min(room / max(len(real), 1), _WIDEST)
        height = _PAD * 1.5 + _LINE * max(lines[name] for name in real)
        total = wide * len(real) + _PASSING * passing + _GAP * (len(layer) - 1)
        x = (width - total) / 2
        for name in layer:
            mine = _PASSING if ">" in name else wide
            found[f"{name}@{index}" if ">" in name else name] = Place(x + mine / 2, y + height / 2, mine, height)
            x += mine + _GAP
        y += height + _BETWEEN
    return found


def task_graph_svg(graph: Graph, nodes: Sequence[Node], tokens: Tokens, title: str, *, chosen: str = "", width: float = WIDTH) -> str:
    """Draw a task graph from what comes in at the top to the goal at the bottom; a stage carries its id for a click."""
    where = places(graph, nodes, width)
    parts = [svg.text(width / 2, 12, " + ".join(graph.inputs), tokens.muted, anchor="middle")]
    first = [stage.id for stage in graph.stages if not stage.after]
    parts += [_edge((width / 2, 16.0), _above(where[name]), tokens) for name in first]
    for stage in graph.stages:
        for name in stage.after:
            parts.append(_edges(name, stage.id, where, tokens))
    for index, node in enumerate(nodes):
        drawn = _box(node, where[node.id], tokens.series[index % len(tokens.series)], node.id == chosen, tokens)
        place = where[node.id]
        box = (place.x - place.width / 2 - 2, place.y - place.height / 2 - 2, place.width + 4, place.height + 4)
        parts.append(svg.marked(drawn, box, node.id, node.says))
    height = max((place.y + place.height / 2 for place in where.values()), default=_TOP) + 4
    return svg.document(width, height, parts, title)


def _above(place: Place) -> tuple[float, float]:
    return place.x, place.y - place.height / 2


def _edges(start: str, end: str, where: dict[str, Place], tokens: Tokens) -> str:
    stops = sorted((place for name, place in where.items() if name.startswith(f"{start}>{end}@")), key=lambda place: place.y)
    drawn, at = [], (where[start].x, where[start].y + where[start].height / 2)
    for stop in stops:
        drawn.append(_edge(at, _above(stop), tokens))
        at = (stop.x, stop.y + stop.height / 2)
        drawn.append(svg.line(*_above(stop), *at, tokens.control, width=1.2))
    return "".join((*drawn, _edge(at, _above(where[end]), tokens)))


def _edge(start: tuple[float, float], end: tuple[float, float], tokens: Tokens) -> str:
    n, middle = svg.number, (start[1] + end[1]) / 2
    curve = f"M{n(start[0])} {n(start[1])}C{n(start[0])} {n(middle)} {n(end[0])} {n(middle)} {n(end[0])} {n(end[1])}"
    return svg.path(curve, stroke=tokens.control, width=1.2)


def _box(node: Node, place: Place, hue: str, chosen: bool, tokens: Tokens) -> str:
    left, top = place.x - place.width / 2, place.y - place.height / 2
    fill, edge = (tokens.candidate_fill, tokens.candidate) if chosen else (tokens.page, tokens.hairline)
    parts = [
        svg.rect(left, top, place.width, place.height, fill, stroke=edge, radius=4),
        svg.rect(left, top, 4, place.height, hue, radius=2),
    ]
    room = place.width - 2 * _PAD - 4
    y = top + _LINE
    parts.append(svg.text(left + _PAD + 4, y, fit(node.title, room), tokens.text, weight=600))
    for words in node.lines:
        y += _LINE
        parts.append(svg.text(left + _PAD + 4, y, fit(words, room), tokens.text if words == node.lines[0] else tokens.muted))
    if node.today:
        y += _LINE
        parts.append(svg.line(left + _PAD + 4, y - 4, left + _PAD + 16, y - 4, tokens.today, width=1.5, dash="4 3"))
        parts.append(svg.text(left + _PAD + 20, y, fit(node.today, room - 16), tokens.muted))
    return "".join(parts)


def fit(words: str, room_px: float, letter_px: float = _LETTER * LABEL_PX / 12) -> str:
    """Return words cut to what fits.

    >>> fit("Speech to text", 200), fit("Speech to text", 60)
    ('Speech to text', 'Speech t…')
    """
    most = max(int(room_px / letter_px), 1)
    return words if len(words) <= most else words[: most - 1].rstrip() + "…"
