"""Block designs: pods in which any two hosts share exactly one device."""

from collections.abc import Callable
from functools import partial
from itertools import combinations, product
from math import isqrt
from typing import Final

import numpy as np

from twin.memory.fields import Field, field
from twin.memory.pods import NO_ISLAND, Ints, Pod, PodKind


def spelled(kind: PodKind, hosts: int, host_ports: int, device_ports: int, suffix: str = "", seed: int = 1) -> str:
    """Return the name of a pod: its kind, hosts x ports a host, n ports a device, then what tells it from others of these numbers.

    >>> spelled("block_design", 25, 8, 4), spelled("biregular", 96, 8, 4, seed=2)
    ('block-design-25x8n4', 'biregular-96x8n4-s2')
    """
    drawn = "" if seed == 1 else f"-s{seed}"
    return f"{kind.replace('_', '-')}-{hosts}x{host_ports}n{device_ports}{suffix}{drawn}"


def wired(name: str, kind: PodKind, members: Ints, host_islands: Ints | None = None, device_islands: Ints | None = None) -> Pod:
    """Return the pod whose device m is cabled to the hosts ``members[m]`` (shape M, N), once its overlap has been verified.

    Two hosts of a block design or a complete pod share exactly one device, of any other pod at most one; a construction that
    breaks this raises ValueError.
    """
    devices, device_ports = members.shape
    hosts = int(members.max()) + 1
    device_of = np.repeat(np.arange(devices), device_ports)
    order = np.lexsort((device_of, members.ravel()))
    host_ports = members.size // hosts
    if members.size % hosts or np.any(members.ravel()[order] != np.repeat(np.arange(hosts), host_ports)):
        raise ValueError(f"pod {name}: its hosts do not all have the same number of ports; correct the construction")
    reach = device_of[order].reshape(hosts, host_ports)
    reach.flags.writeable = False
    islands = np.full(hosts, NO_ISLAND) if host_islands is None else host_islands
    groups = np.full(devices, NO_ISLAND) if device_islands is None else device_islands
    pod = Pod(name, kind, reach, devices, host_ports, device_ports, islands, groups)
    shared = pod.overlap[~np.eye(hosts, dtype=bool)]
    least = 1 if kind in {"block_design", "complete"} else 0
    if np.any(pod.incidence.sum(axis=0) != device_ports) or shared.min() < least or shared.max() > 1:
        raise ValueError(f"pod {name}: two hosts share {shared.min()} to {shared.max()} devices; correct the construction")
    return pod


def develop(moduli: tuple[int, ...], base: tuple[tuple[int, ...], ...]) -> Ints:
    """Return all translates of the base blocks over the group Z_m1 x Z_m2 .., shape (b, k), each block once.

    An element is written as one number in the mixed base of the moduli: in Z_5 x Z_5, 12 is (2, 2).
    """
    strides = np.array([int(np.prod(moduli[place + 1 :])) for place in range(len(moduli))])
    group = np.array(list(product(*(range(modulus) for modulus in moduli))))
    blocks = group[np.array(base)]
    moved = (blocks[:, None] + group[None, :, None]) % np.array(moduli)
    return np.unique(np.sort((moved @ strides).reshape(-1, len(base[0])), axis=1), axis=0)


def affine_plane(order: int) -> Ints:
    """Return the lines y = m x + c and x = c of AG(2, q): 2-(q^2, q, 1), shape (q^2 + q, q)."""
    f = field(order)
    x = np.arange(order)
    slope, offset = (grid.ravel() for grid in np.meshgrid(x, x, indexing="ij"))
    slanted = x * order + f.sums[f.products[slope[:, None], x], offset[:, None]]
    return np.concatenate([slanted, x[:, None] * order + x])


def _points(f: Field, dimension: int) -> Ints:
    """Points of PG(d, q): the vectors whose first coordinate that is not zero is one."""
    vectors = np.array(list(product(range(f.order), repeat=dimension + 1)))[1:]
    leading = np.take_along_axis(vectors, np.argmax(vectors != 0, axis=1)[:, None], axis=1)
    return np.asarray(vectors[leading[:, 0] == 1])


def projective_lines(order: int, dimension: int = 2) -> Ints:
    """Return the lines of PG(d, q): 2-((q^(d+1) - 1)/(q - 1), q + 1, 1), shape (b, q + 1)."""
    f = field(order)
    points = _points(f, dimension)
    places = order ** np.arange(dimension, -1, -1)
    index = np.full(order ** (dimension + 1), -1)
    index[points @ places] = np.arange(len(points))
    pairs = np.array(list(combinations(range(len(points)), 2)))
    # The other points of the line through a and b are b + t a with t over the field; they are scaled to lead with one.
    scaled = f.products[np.arange(order)[:, None, None], points[pairs[:, 0]]]
    spanned = f.sums[scaled, points[pairs[:, 1]]]
    leading = np.take_along_axis(spanned, np.argmax(spanned != 0, axis=2)[..., None], axis=2)
    found = index[f.products[f.inverses[leading], spanned] @ places]
    return np.unique(np.sort(np.concatenate([pairs[:, :1].T, found]).T, axis=1), axis=0)


def hermitian_unital(order: int) -> Ints:
    """Return the 2-(q^3 + 1, q + 1, 1) of the points with x^(q+1) + y^(q+1) + z^(q+1) = 0 in PG(2, q^2) and their secants."""
    f = field(order * order)
    norms = f.power(_points(f, 2), order + 1)
    on_curve = f.sums[f.sums[norms[:, 0], norms[:, 1]], norms[:, 2]] == 0
    lines = projective_lines(order * order)
    met = on_curve[lines]
    secants = lines[met.sum(axis=1) == order + 1]
    points = np.cumsum(on_curve) - 1
    return np.asarray(points[secants[on_curve[secants]]]).reshape(-1, order + 1)


# (hosts, device ports) -> its construction. Difference families: Colbourn and Dinitz, Handbook of Combinatorial Designs.
CONSTRUCTIONS: Final[dict[tuple[int, int], Callable[[], Ints]]] = {
    (7, 3): partial(develop, (7,), ((0, 1, 3),)),
    (9, 3): partial(affine_plane, 3),
    (13, 3): partial(develop, (13,), ((0, 1, 4), (0, 2, 7))),
    (15, 3): partial(projective_lines, 2, 3),
    (19, 3): partial(develop, (19,), ((0, 1, 8), (0, 2, 5), (0, 4, 13))),
    (13, 4): partial(develop, (13,), ((0, 1, 3, 9),)),
    (16, 4): partial(affine_plane, 4),
    (25, 4): partial(develop, (5, 5), ((0, 1, 5, 12), (0, 2, 10, 24))),
    (28, 4): partial(hermitian_unital, 3),
    (37, 4): partial(develop, (37,), ((0, 1, 3, 24), (0, 4, 9, 15), (0, 7, 17, 25))),
    (40, 4): partial(projective_lines, 3, 3),
    (21, 5): partial(projective_lines, 4),
    (25, 5): partial(affine_plane, 5),
    (31, 6): partial(projective_lines, 5),
    (49, 7): partial(affine_plane, 7),
    (57, 8): partial(projective_lines, 7),
    (64, 8): partial(affine_plane, 8),
}


def host_ports_of(hosts: int, device_ports: int) -> int:
    """Return how many ports a host of a block design needs, r = (v - 1)/(k - 1), rounded down where it is no whole number."""
    return (hosts - 1) // (device_ports - 1)


def why_not(hosts: int, device_ports: int) -> str:
    """Return why there is no block design of so many hosts and ports a device ("" where there is one): the counting laws first."""
    v, k = hosts, device_ports
    if (v, k) in CONSTRUCTIONS:
        return ""
    if k < 2 or v <= k:
        return f"a block design needs at least 2 ports a device and more hosts than that, not {v} hosts on {k}"
    if (v - 1) % (k - 1):
        return f"a host meets {v - 1} others, {k - 1} on each device: {v - 1} is no multiple of {k - 1}"
    if v * (v - 1) % (k * (k - 1)):
        return f"the {v * (v - 1) // 2} pairs of hosts do not fill whole devices of {k * (k - 1) // 2} pairs"
    if (v - 1) // (k - 1) < k:
        return f"a block design has at least as many devices as hosts (Fisher), here {v * (v - 1) // (k * (k - 1))} for {v}"
    order = k - 1
    if v == order * order + order + 1 and _bruck_ryser(order):
        return f"there is no projective plane of order {order} (Bruck and Ryser)"
    if v == k * k and _bruck_ryser(k):
        return f"there is no affine plane of order {k} (Bruck and Ryser)"
    return f"no construction for {v} hosts and {k} ports a device is built in"


def _bruck_ryser(order: int) -> bool:
    """A plane of order 1 or 2 modulo 4 exists only where the order is a sum of two squares."""
    squares = {a * a for a in range(isqrt(order) + 1)}
    return order % 4 in {1, 2} and not any(order - square in squares for square in squares)


def block_design(hosts: int, device_ports: int) -> Pod:
    """Return the pod of a 2-(hosts, device_ports, 1) design; ValueError with the reason where none is built in.

    >>> pod = block_design(25, 4)
    >>> pod.devices, pod.host_ports
    (50, 8)
    """
    reason = why_not(hosts, device_ports)
    if reason:
        raise ValueError(f"block design of {hosts} hosts: {reason}; designs.check names the nearest")
    members = CONSTRUCTIONS[hosts, device_ports]()
    return wired(spelled("block_design", hosts, host_ports_of(hosts, device_ports), device_ports), "block_design", members)
