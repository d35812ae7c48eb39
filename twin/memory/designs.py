"""Which pods there are: all that fit, one by its name, the nearest to one."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import log
from typing import Final

from twin.memory import biregular, blocks
from twin.memory import islands as side_by_side
from twin.memory.kinds import HOST_PORTS_AT_MOST, HOSTS_AT_MOST, KINDS, SEED_AT_MOST, Design, why_not
from twin.memory.plain import HOSTS_ON_TWO_PORTS, complete, fully_connected, switched
from twin.memory.pods import PodKind

__all__ = ["BUILT_IN", "KINDS", "Design", "Infeasible", "check", "complete", "feasible", "fully_connected", "nearest", "parse", "switched"]

# More hosts than that span more than the three racks that copper reaches across: they may be looked at, and are never proposed.
HOSTS_IN_THREE_RACKS = 96
SWITCH_PORTS = 32
_HOSTS_ON_A_SWITCH = 24
_USUAL_DEVICE_PORTS = 4
# Sizes at which drawn pods are proposed, besides the least that is asked for.
_DRAWN_HOSTS = (48, 64, 96)
_NAME = re.compile(r"([a-z]+(?:-[a-z]+)?)-(\d{1,4})x(\d{1,4})n(\d{1,4})(?:-i(\d{1,4}))?(?:-p(\d{1,4}))?(?:-s(\d{1,9}))?")


class Infeasible(ValueError):
    """No such pod: ``reason`` says why, ``nearest`` are the designs that come nearest, the nearest first."""

    def __init__(self, asked: str, reason: str, near: tuple[Design, ...]) -> None:
        super().__init__(f"{asked}: {reason}; nearest: {', '.join(design.name for design in near)}")
        self._asked, self.reason, self.nearest = asked, reason, near

    def __reduce__(self) -> tuple[type["Infeasible"], tuple[str, str, tuple[Design, ...]]]:
        """Let a refusal pass between processes: jobs raise it in another one."""
        return Infeasible, (self._asked, self.reason, self.nearest)


def _design(
    kind: PodKind, hosts: int, host_ports: int, device_ports: int, islands: int = 0, switch_ports: int = 0, seed: int = 1
) -> Design:
    """Return the design with what follows from its numbers filled in; islands 0 are as large as they can be."""
    if kind == "switch":
        return Design(kind, hosts, host_ports, device_ports, switch_ports=switch_ports)
    if kind == "biregular":
        return Design(kind, hosts, host_ports, device_ports, seed=seed)
    if kind != "islands":
        return Design(kind, hosts, host_ports, device_ports)
    size = hosts // islands if islands > 0 else side_by_side.natural_hosts(hosts, host_ports, device_ports)
    if not size:
        return Design(kind, hosts, host_ports, device_ports, seed=seed)
    external_ports = host_ports - blocks.host_ports_of(size, device_ports) if device_ports > 1 else 0
    return Design(kind, hosts, host_ports, device_ports, islands or hosts // size, external_ports, seed=seed)


def check(
    kind: PodKind, hosts: int, host_ports: int, device_ports: int, islands: int = 0, switch_ports: int = SWITCH_PORTS, seed: int = 1
) -> Design:
    """Return the design of these numbers; Infeasible (a ValueError) with the reason and the nearest ones where there is none.

    ``islands`` 0 takes the largest islands that the ports allow; ``switch_ports`` matter to switch pods alone, ``seed`` to what is
    drawn. Nothing is built.
    """
    if kind not in KINDS:
        raise ValueError(f"{kind} is no kind of pod; choose one of {', '.join(KINDS)}")
    design = _design(kind, hosts, host_ports, device_ports, islands, switch_ports, seed)
    reason = why_not(design)
    if reason:
        asked = f"{kind.replace('_', ' ')} pod of {hosts} hosts x {host_ports} ports on devices of {device_ports}"
        raise Infeasible(asked, reason, nearest(design))
    return design


def parse(name: str) -> Design:
    """Return the design of a name; ValueError for what is no name, Infeasible for a pod that there is not.

    >>> parse("islands-96x8n4").islands
    6
    """
    found = _NAME.fullmatch(name)
    kind = found[1].replace("-", "_") if found else ""
    known = [known for known in KINDS if known == kind]
    if not found or not known:
        raise ValueError(f"{name} names no pod; write kind-HOSTSxPORTSnDEVICEPORTS, such as block-design-25x8n4 or islands-96x8n4")
    hosts, host_ports, device_ports = int(found[2]), int(found[3]), int(found[4])
    islands, switch_ports, seed = int(found[5] or 0), int(found[6] or SWITCH_PORTS), int(found[7] or 1)
    return check(known[0], hosts, host_ports, device_ports, islands, switch_ports, seed)


def feasible(
    host_ports_at_most: int, device_ports: Sequence[int], hosts_at_least: int = 2, hosts_at_most: int = HOSTS_IN_THREE_RACKS
) -> tuple[Design, ...]:
    """Return every built-in design that fits, by hosts; nothing is built.

    Block designs and complete pods have the ports that their numbers ask for, if the hosts have as many. The others use all ports
    of a host, so that pods are compared at equal bandwidth; drawn pods have fewer where all would tie the hosts too closely. Drawn
    pods come in a few sizes and in the one asked for. Switch pods hang one-port devices: they come with 1 in ``device_ports``.
    """
    ports_at_most = min(host_ports_at_most, HOST_PORTS_AT_MOST)
    found = [
        design
        for n in sorted(set(device_ports))
        for design in _proposed(ports_at_most, n, max(hosts_at_least, 2), hosts_at_most)
        if hosts_at_least <= design.hosts <= hosts_at_most and design.host_ports <= ports_at_most and not why_not(design)
    ]
    return tuple(sorted(found, key=lambda design: (design.hosts, design.host_ports, design.device_ports, design.kind)))


def _proposed(host_ports: int, device_ports: int, least: int, most: int) -> Iterator[Design]:
    n = device_ports
    if n == 1:
        yield _design("switch", max(_HOSTS_ON_A_SWITCH, least), host_ports, 1, switch_ports=SWITCH_PORTS)
        if most < _HOSTS_ON_A_SWITCH:
            yield _design("switch", most, host_ports, 1, switch_ports=SWITCH_PORTS)
        return
    yield _design("fully_connected", n, host_ports, n)
    if n == 2:
        yield from (_design("complete", hosts, hosts - 1, 2) for hosts in range(3, HOSTS_ON_TWO_PORTS + 1))
        return
    for v, k in blocks.CONSTRUCTIONS:
        if k == n:
            yield _design("block_design", v, blocks.host_ports_of(v, k), k)
    for hosts in sorted({least, *_DRAWN_HOSTS}):
        for ports in range(host_ports, host_ports // 2, -1):
            design = _design("biregular", hosts, ports, n)
            if not why_not(design):
                yield design
                break
    sizes = [v for v, k in blocks.CONSTRUCTIONS if k == n and blocks.host_ports_of(v, k) < host_ports]
    if sizes:
        yield from (_design("islands", hosts, host_ports, n) for hosts in range(max(sizes) * n, most + 1, max(sizes)))


def nearest(design: Design, count: int = 3) -> tuple[Design, ...]:
    """Return the feasible designs nearest to one: the nearest of its own kind first (where it has any), then by distance.

    Distance counts hosts and ports a device by their ratio, ports a host by their difference, and a little for another kind.
    """

    def far(other: Design) -> tuple[float, str]:
        hosts = abs(log(other.hosts / max(design.hosts, 1)))
        ports = abs(other.host_ports - design.host_ports) / 8
        devices = abs(log(other.device_ports / max(design.device_ports, 1)))
        return hosts + ports + devices / 2 + (0.1 if other.kind != design.kind else 0.0), other.name

    near = sorted({other for other in _around(design) if other != design and not why_not(other)}, key=far)
    own = [other for other in near if other.kind == design.kind][:1]
    return tuple([*own, *(other for other in near if other not in own)][:count])


def _around(design: Design) -> Iterator[Design]:
    """Designs of every kind whose numbers are not far away, feasible or not."""
    hosts = min(max(design.hosts, 2), HOSTS_AT_MOST)
    x = min(max(design.host_ports, 1), HOST_PORTS_AT_MOST)
    n = max(design.device_ports, 1)
    yield from (_design("block_design", v, blocks.host_ports_of(v, k), k) for v, k in blocks.CONSTRUCTIONS)
    yield from (_design("complete", size, size - 1, 2) for size in range(2, HOSTS_ON_TWO_PORTS + 1))
    yield from (_design("fully_connected", size, x, size) for size in {hosts, min(max(n, 2), HOSTS_AT_MOST)})
    if design.kind == "switch":
        ports = design.switch_ports if design.switch_ports > 2 else SWITCH_PORTS
        yield _design("switch", min(hosts, ports - 1), x, 1, switch_ports=ports)
        yield _design("switch", min(_HOSTS_ON_A_SWITCH, hosts), x, 1, switch_ports=SWITCH_PORTS)
    for size in range(max(3, hosts // 2), min(HOSTS_AT_MOST, max(2 * hosts, 96)) + 1):
        yield from (replace(drawn, seed=min(max(design.seed, 0), SEED_AT_MOST)) for drawn in _drawn(size, x, n))


def _drawn(hosts: int, host_ports: int, device_ports: int) -> Iterator[Design]:
    own = min(max(device_ports, 2), max(biregular.TIGHTEST_SHARE))
    for n in {own, _USUAL_DEVICE_PORTS}:
        for ports in range(max(2, host_ports - 3), min(host_ports + 1, HOST_PORTS_AT_MOST) + 1):
            yield _design("biregular", hosts, ports, n)
            yield _design("islands", hosts, ports, n)


BUILT_IN: Final = (
    *(_design("fully_connected", hosts, 8, hosts) for hosts in (2, 4, 8)),
    *(_design("complete", hosts, hosts - 1, 2) for hosts in range(3, HOSTS_ON_TWO_PORTS + 1)),
    *(_design("block_design", v, blocks.host_ports_of(v, k), k) for v, k in blocks.CONSTRUCTIONS),
    _design("switch", _HOSTS_ON_A_SWITCH, 8, 1, switch_ports=SWITCH_PORTS),
    *(_design("biregular", hosts, 8, 4) for hosts in _DRAWN_HOSTS),
    *(_design("islands", hosts, 8, 4) for hosts in (64, 96)),
)
