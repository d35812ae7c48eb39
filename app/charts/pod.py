"""A pod as a figure: hosts, devices, switches and every cable."""

from collections.abc import Iterable, Iterator

import numpy as np

from app.charts import svg
from app.charts.rings import HEIGHT, WIDTH, Places, Word, cables, places
from app.charts.tokens import Tokens, translucent
from twin.memory.pods import Pod

_NAMES = {"h": "host", "d": "device", "s": "switch", "i": "island"}


def name_of(node: str) -> str:
    """Return a node's id as the twin writes it.

    >>> name_of("h36"), name_of("d0")
    ('host-37', 'device-1')
    """
    return f"{_NAMES[node[0]]}-{int(node[1:]) + 1}"


def node_of(name: str) -> str | None:
    """Return the node of an id; None for what is no host, device or switch.

    >>> node_of("host-37"), node_of("row-1")
    ('h36', None)
    """
    kind, _, number = name.partition("-")
    letter = next((letter for letter, word in _NAMES.items() if word == kind), None)
    return f"{letter}{int(number) - 1}" if letter and number.isdigit() and int(number) > 0 else None


def links(pod: Pod) -> dict[str, tuple[str, str]]:
    """Return the cable of every host port: ``host-3/port-2`` -> (h2, node at its other end)."""
    found = {}
    for host in range(pod.hosts):
        ends = [f"s{switch}" for switch in range(pod.switches)] if pod.switches else [f"d{device}" for device in pod.reach[host].tolist()]
        found |= {f"host-{host + 1}/port-{port + 1}": (f"h{host}", end) for port, end in enumerate(ends)}
    return found


def lit_by(pod: Pod, host: int) -> tuple[list[tuple[str, str]], list[tuple[str, str]], set[str]]:
    """Return what a host lights: its own cables (with those behind its switches), its one-hop peers' cables, and every node on them."""
    own = [pair for pair in cables(pod) if pair[0] == f"h{host}" or pair[0][0] == "s"]
    if pod.switches:
        return own, [], {node for pair in own for node in pair} | {f"h{other}" for other in range(pod.hosts)}
    ends = {other for _, other in own}
    peers = [pair for pair in cables(pod) if pair[1] in ends and pair[0] != f"h{host}"]
    return own, peers, {node for pair in (*own, *peers) for node in pair}


def pod_svg(pod: Pod, tokens: Tokens, *, host: int | None = None, lost: Iterable[str] = ()) -> str:
    """Draw a pod. ``host`` is lit with its devices and one-hop peers; ``lost`` names devices, switches and host ports that are gone.

    Nodes carry ``data-node``, cables ``data-a`` and ``data-b``, so that the page can light others without asking.
    """
    where = places(pod)
    gone = list(lost)
    parts = [svg.path(plate, fill=translucent(tokens.today, 0.10)) for plate in where.plates]
    faint = translucent(tokens.today, 0.34 if pod.hosts * pod.host_ports > 300 else 0.55)
    parts += [f'<g class="cables" fill="none" stroke="{faint}" stroke-width="0.7">', *_cables(pod, where), "</g>", '<g class="over">']
    own, peers, lit = lit_by(pod, host) if host is not None else ([], [], set())
    parts += [_lit(where, pair, tokens, 0.8, 0.75) for pair in peers] + [_lit(where, pair, tokens, 1.6, 1.0) for pair in own]
    parts += ["</g>", *_nodes(pod, where, tokens, lit, None if host is None else f"h{host}"), '<g class="gone">']
    parts += [_gone(pod, where, name, tokens) for name in gone]
    parts += ["</g>", *(_word(word, tokens, word.node in _with_islands(pod, host)) for word in where.words)]
    return svg.document(WIDTH, HEIGHT, parts, title(pod))


def title(pod: Pod) -> str:
    """Return what a screen reader says of the figure."""
    behind = f", {pod.switches} switches" if pod.switches else ""
    return f"{pod.hosts} hosts, {pod.devices} devices{behind}, {sum(1 for _ in cables(pod))} cables"


def _cables(pod: Pod, where: Places) -> Iterator[str]:
    for one, other in cables(pod):
        yield f'<path class="cable" data-a="{one}" data-b="{other}" d="{where.cable(one, other)}"/>'


def _lit(where: Places, pair: tuple[str, str], tokens: Tokens, width: float, opacity: float) -> str:
    return svg.path(where.cable(*pair), stroke=translucent(tokens.candidate, opacity), width=width)


def _nodes(pod: Pod, where: Places, tokens: Tokens, lit: set[str], picked: str | None) -> Iterator[str]:
    half = float(np.clip(0.34 * where.gaps[1], 1.0, 4.0))
    radius = float(np.clip(0.40 * where.gaps[0], 1.8, 6.0))
    for index, (x, y) in enumerate(where.devices.tolist()):
        yield _square(f"d{index}", x, y, half, tokens.candidate if f"d{index}" in lit else tokens.muted)
    for index, (x, y) in enumerate(where.switches.tolist()):
        yield _square(f"s{index}", x, y, 6.0, tokens.candidate if f"s{index}" in lit else tokens.text)
    for index, (x, y) in enumerate(where.hosts.tolist()):
        node = f"h{index}"
        fill = tokens.candidate if node in lit else tokens.surface
        edge = tokens.candidate if node in lit else tokens.muted
        size = radius + (1.6 if node == picked else 0.0)
        island = int(pod.host_islands[index])
        group = f' data-island="i{island}"' if island >= 0 else ""
        yield (
            f'<circle class="host" data-node="{node}"{group} cx="{x:.1f}" cy="{y:.1f}" r="{size:.1f}" fill="{fill}" stroke="{edge}" '
            f'stroke-width="1.2"><title>{name_of(node)}</title></circle>'
        )


def _square(node: str, x: float, y: float, half: float, fill: str) -> str:
    kind = _NAMES[node[0]]
    size = f'width="{2 * half:.1f}" height="{2 * half:.1f}"'
    place = f'x="{x - half:.1f}" y="{y - half:.1f}"'
    return f'<rect class="{kind}" data-node="{node}" {place} {size} fill="{fill}"><title>{name_of(node)}</title></rect>'


def _gone(pod: Pod, where: Places, name: str, tokens: Tokens) -> str:
    """Return a red cross over a lost node, or a red dashed cable."""
    pair = links(pod).get(name)
    if pair is not None:
        return svg.path(where.cable(*pair), stroke=tokens.limit, width=1.6, dash="3 2")
    node = node_of(name)
    if node is None:
        return ""
    x, y = where.point(node)
    cross = f"M{x - 5:.1f} {y - 5:.1f}L{x + 5:.1f} {y + 5:.1f}M{x + 5:.1f} {y - 5:.1f}L{x - 5:.1f} {y + 5:.1f}"
    return svg.circle(x, y, 7.5, tokens.surface, stroke=tokens.limit, width=1.2) + svg.path(cross, stroke=tokens.limit, width=1.8)


def _with_islands(pod: Pod, host: int | None) -> set[str]:
    return set() if host is None else {f"h{host}", f"i{int(pod.host_islands[host])}"}


def _word(word: Word, tokens: Tokens, lit: bool) -> str:
    ink, heavy = (tokens.candidate, 600) if lit else (tokens.muted, 400)
    text = svg.text(word.x, word.y, word.text, ink, anchor=word.anchor, weight=heavy)
    return f'<g data-word="{word.node}">{text}</g>' if word.node else text
