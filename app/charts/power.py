"""Power tree: utility, UPS, PDU, rows, racks, each with load and rating."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Final, Literal

import numpy as np

from app.charts import svg
from app.charts.statements import named, plainly
from app.charts.tokens import Tokens
from twin.fleet import Fleet
from twin.units import show

Kind = Literal["utility", "ups", "pdu", "row", "rack"]
LAYERS: Final[Mapping[str, str]] = {"utility": "Utility", "ups": "UPS", "pdu": "PDU", "row": "Rows", "rack": "Racks"}
UTILITY: Final = "utility"
NEAR_SHARE: Final = 0.05
# More than this many places of a layer are too many to draw; those with the least room are kept.
MOST: Final = 24
_WIDTH: Final = 1160.0
_NARROW: Final = 320.0
_COLUMN: Final = 176.0
_TALL: Final = 38.0
_PITCH: Final = 44.0
_HEAD: Final = 24.0


@dataclass(frozen=True, slots=True)
class Node:
    """One place of the tree. ``rated_w`` is not a number where nothing trips there; ``live`` False where it is lost.

    ``trip_s`` is after how long an overloaded UPS or PDU opens at this load; infinite where it carries it without end.
    """

    id: str
    kind: Kind
    load_w: float
    rated_w: float = math.nan
    live: bool = True
    parents: tuple[str, ...] = ()
    trip_s: float = math.inf

    @property
    def free_share(self) -> float:
        """Return the room below the rating as a share of it; not a number where one of the two is not known."""
        return 1.0 - self.load_w / self.rated_w if self.rated_w > 0 else math.nan

    @property
    def state(self) -> str:
        """Return lost, broken (over the rating), at risk (less than 5 % free) or nothing."""
        if not self.live:
            return "lost"
        return "broken" if self.free_share < 0 else "at risk" if self.free_share < NEAR_SHARE else ""


Feed = tuple[float, float, bool]


def tree(
    fleet: Fleet,
    site_w: float,
    rows: Mapping[str, tuple[float, float]],
    feeds: Mapping[str, Feed],
    racks: Mapping[str, float],
    open_row: str,
    ride_through: Mapping[str, float] | None = None,
) -> tuple[Node, ...]:
    """Return the tree at one moment, layer by layer, with the racks of one row.

    ``rows`` gives power and budget, ``feeds`` power, rating and whether it is live by UPS or PDU (empty in runs that are older
    than that table: rows then hang on the utility), ``racks`` power by rack; all in W. ``ride_through`` holds the settings of
    ``twin.plant.tree.PowerTree``: how long a unit carries an overload. Without it nothing is said to trip.
    """
    nodes = [Node(UTILITY, "utility", site_w, fleet.site_power_budget_w)]
    nodes += [_fed(unit, "ups", feeds[unit], (UTILITY,)) for unit in fleet.ups_ids if unit in feeds]
    for index, pdu in enumerate(fleet.pdu_ids):
        if pdu in feeds:
            above = tuple(unit for unit, share in zip(fleet.ups_ids, fleet.pdu_ups_share[index], strict=True) if share > 0)
            nodes.append(_fed(pdu, "pdu", feeds[pdu], above))
    for index, row in enumerate(fleet.row_ids):
        if row in rows:
            above = tuple(dict.fromkeys(fleet.pdu_ids[int(pdu)] for pdu in fleet.row_pdus[index])) if feeds else (UTILITY,)
            nodes.append(Node(row, "row", *rows[row], parents=above))
    for index, rack in enumerate(fleet.rack_ids):
        if rack in racks and fleet.row_ids[int(fleet.rack_rows[index])] == open_row:
            nodes.append(Node(rack, "rack", racks[rack], parents=(open_row,)))
    return _timed(nodes, ride_through) if ride_through else tuple(nodes)


def _timed(nodes: Sequence[Node], ride_through: Mapping[str, float]) -> tuple[Node, ...]:
    """Return the places with the time after which each overloaded UPS and PDU trips, fresh, at this load."""
    carried = ride_through["continuous_share"]
    if not any(node.live and node.kind in {"ups", "pdu"} and node.load_w > carried * node.rated_w for node in nodes):
        return tuple(nodes)
    from twin.plant.tree import first_to_trip as in_time

    found = {}
    for kind in ("ups", "pdu"):
        mine = [node for node in nodes if node.kind == kind]
        load_w, rated_w = (np.array([getattr(node, name) for node in mine]) for name in ("load_w", "rated_w"))
        overload = (ride_through[f"{kind}_overload_share"], ride_through[f"{kind}_overload_s"])
        found |= {node.id: float(s) for node, s in zip(mine, in_time(load_w, rated_w, carried, *overload).trip_s, strict=True)}
    return tuple(replace(node, trip_s=found[node.id]) if node.live and node.id in found else node for node in nodes)


def _fed(name: str, kind: Kind, feed: Feed, above: tuple[str, ...]) -> Node:
    return Node(name, kind, feed[0], feed[1], feed[2], above)


def first_to_trip(nodes: Sequence[Node]) -> Node | None:
    """Return the live place that gives way first.

    It is the overloaded unit with the least time to its trip; where none is, the place with the least room below its rating, which
    would be the first if load rose everywhere alike.
    """
    able = [node for node in nodes if node.live and math.isfinite(node.free_share)]
    return min(able, key=lambda node: (node.trip_s, node.free_share), default=None)


def tree_title(nodes: Sequence[Node]) -> str:
    """Return who would give way first, how, and who is lost, in one sentence."""
    first, lost = first_to_trip(nodes), [node for node in nodes if not node.live]
    if first is None:
        return "No power was recorded"
    words = _standing(first)
    if not lost:
        return words
    return f"{words}; {', '.join(plainly(node.id) for node in lost[:2])}{' and more' if len(lost) > 2 else ''} lost"


def _standing(node: Node) -> str:
    """Return how a place stands: units trip, rows brake, and at the utility's budget nothing gives way by itself."""
    name = "The utility feed" if node.kind == "utility" else named(node.id, node.kind)
    room, used = show(abs(node.rated_w - node.load_w), "x_w"), f"{100 * (1 - node.free_share):.0f}\u00a0%"
    if math.isfinite(node.trip_s):
        return f"{name} carries {used} of its rating and trips in {show(node.trip_s, 'x_s')}"
    if node.free_share < 0:
        what = {"row": "draws {} of its budget", "utility": "draws {} of the site’s budget"}.get(node.kind, "carries {} of its rating")
        return f"{name} {what.format(used)}, {room} too much"
    does = {"row": "would brake first", "utility": "is nearest its limit"}.get(node.kind, "would trip first")
    return f"{name} {does}: {100 * node.free_share:.0f}\u00a0% free, {room}"


def tree_svg(nodes: Sequence[Node], tokens: Tokens, *, shown: str, chosen: Sequence[str] = (), narrow: bool = False) -> str:
    """Draw the tree over the width of a page, layers from left to right, or from top to bottom for a phone.

    ``shown`` says whose load it is (today or candidate), ``chosen`` are the ids outlined; rows and racks carry ``data-pick``.
    """
    first = first_to_trip(nodes)
    layers = [(kind, _kept([node for node in nodes if node.kind == kind])) for kind in LAYERS]
    layers = [(kind, layer) for kind, layer in layers if layer[0]]
    place = _stacked(layers) if narrow else _columns(layers)
    width = _NARROW if narrow else _WIDTH
    height = max(y for _, y in place.values()) + _TALL + 6
    parts = [] if narrow else _edges(nodes, place, tokens)
    wide = (_NARROW - 12) / 2 if narrow else _COLUMN
    for kind, (layer, left_out) in layers:
        x, y = place[layer[0].id]
        top = y - 8 if narrow else 12
        words = LAYERS[kind] if kind != "rack" else f"Racks of {layer[0].parents[0]}"
        if left_out:
            words += f", {len(layer)} with least room of {len(layer) + left_out}"
        parts.append(svg.text(0 if narrow else x, top, words, tokens.muted))
        for node in layer:
            parts.append(_node(node, place[node.id], wide, tokens, shown, node is first, node.id in chosen))
    return svg.document(width, height, parts, tree_title(nodes))


def _kept(layer: list[Node]) -> tuple[list[Node], int]:
    if len(layer) <= MOST:
        return layer, 0
    least = sorted(layer, key=lambda node: (node.live, node.free_share if math.isfinite(node.free_share) else -node.load_w))[:MOST]
    return [node for node in layer if node in least], len(layer) - MOST


Layers = Sequence[tuple[str, tuple[list[Node], int]]]


def _columns(layers: Layers) -> dict[str, tuple[float, float]]:
    """Place layers side by side; a place stands in the middle of those that hang on it alone, where they do not crowd."""
    pitch = (_WIDTH - _COLUMN) / max(len(layers) - 1, 1)
    most = max(len(layer) for _, (layer, _) in layers)
    found: dict[str, tuple[float, float]] = {}
    for column, (_, (layer, _)) in enumerate(layers):
        gap = _PITCH * most / len(layer)
        for index, node in enumerate(layer):
            found[node.id] = (column * pitch, _HEAD + gap * (index + 0.5) - _PITCH / 2)
    return found


def _stacked(layers: Layers) -> dict[str, tuple[float, float]]:
    found, y, half = {}, 20.0, (_NARROW + 12) / 2
    for _, (layer, _) in layers:
        for index, node in enumerate(layer):
            found[node.id] = ((index % 2) * half, y + (index // 2) * _PITCH)
        y += math.ceil(len(layer) / 2) * _PITCH + 22
    return found


def _edges(nodes: Sequence[Node], place: Mapping[str, tuple[float, float]], tokens: Tokens) -> list[str]:
    """Return the lines between layers. They share one upright between two layers, so that many to many reads as one bus."""
    by_id, drawn = {node.id: node for node in nodes}, {}
    for node in nodes:
        for above in node.parents:
            if node.id in place and above in place:
                (x1, y1), (x2, y2) = place[above], place[node.id]
                a, b, middle = y1 + _TALL / 2, y2 + _TALL / 2, (x1 + _COLUMN + x2) / 2
                live = by_id[above].live and node.live
                if live:
                    drawn[f"M{svg.number(middle)} {svg.number(a)}V{svg.number(b)}"] = True
                drawn[f"M{svg.number(x1 + _COLUMN)} {svg.number(a)}H{svg.number(middle)}"] = by_id[above].live
                drawn[f"M{svg.number(middle)} {svg.number(b)}H{svg.number(x2)}"] = node.live
    return [
        svg.path(commands, stroke=tokens.control if live else tokens.limit, width=1.0, dash="" if live else "3 3")
        for commands, live in drawn.items()
    ]


def _node(node: Node, at: tuple[float, float], wide: float, tokens: Tokens, shown: str, first: bool, chosen: bool) -> str:
    x, y = at
    known = math.isfinite(node.free_share)
    ink = tokens.broken_text if node.state in {"broken", "lost"} else tokens.text
    share = "✕ lost" if not node.live else f"{100 * (1 - node.free_share):.0f}\u00a0%" if known else ""
    if node.state == "broken":
        share = f"✕ {share}"
    elif node.state == "at risk":
        share = f"△ {share}"
    load = show(node.load_w, "x_w") if math.isfinite(node.load_w) else "–"
    words = f"{load} of {show(node.rated_w, 'x_w')}" if known else load
    edge = tokens.limit if node.state in {"broken", "lost"} else tokens.text if chosen or first else tokens.hairline
    box = (
        f'x="{svg.number(x + 0.75)}" y="{svg.number(y + 0.75)}" width="{svg.number(wide - 1.5)}" height="{svg.number(_TALL - 1.5)}" rx="4"'
    )
    dashed = "" if node.live else ' stroke-dasharray="3 3"'
    parts = [
        f'<rect {box} fill="{tokens.surface}" stroke="{edge}" stroke-width="{1.5 if chosen or first else 1}"{dashed}/>',
        svg.text(x + 7, y + 13, node.id, ink, weight=600),
        svg.text(x + wide - 7, y + 13, share, tokens.risk_text if node.state == "at risk" else ink, anchor="end", weight=600),
        svg.text(x + 7, y + 26, words, tokens.muted, size=11),
    ]
    trips = math.isfinite(node.trip_s)
    if first or trips:
        word = f"trips in {show(node.trip_s, 'x_s')}" if trips else "first"
        hue = tokens.broken_text if trips else tokens.risk_text
        parts.append(svg.text(x + wide - 7, y + 26, word, hue, anchor="end", weight=600, size=11))
    if known and node.live:
        room, used = wide - 14, min(1.0, node.load_w / node.rated_w)
        own = tokens.candidate if shown == "candidate" else tokens.today
        parts.append(svg.rect(x + 7, y + 31, room, 3, tokens.grid))
        parts.append(svg.rect(x + 7, y + 31, room * used, 3, tokens.hot if node.free_share < 0 else own))
        parts.append(svg.rect(x + 7 + room - 1, y + 29, 1, 7, tokens.limit))
    gives_way = f", trips in {show(node.trip_s, 'x_s')}" if trips else ", the first to give way" if first else ""
    said = f"{node.id}: {words}{', lost' if not node.live else ''}{gives_way}"
    if node.kind in {"row", "rack"}:
        return f'<g data-pick="{escape(node.id)}" aria-label="{escape(said)}">{"".join(parts)}</g>'
    return f'<g aria-label="{escape(said)}">{"".join(parts)}</g>'
