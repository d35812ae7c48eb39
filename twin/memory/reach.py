"""Who reaches whom in a pod: hops over shared devices, expansion, blast."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from twin.memory.pods import Ints, Pod

# What ``hops`` gives for hosts that more than three shared devices in a row, or none, tie together.
BEYOND = 4


@dataclass(frozen=True)
class Reach:
    """How a pod's hosts reach each other.

    ``hops`` (H, H) is how many devices a message passes from host to host: 0 to itself, 1 over a shared device, 2 and 3 forwarded
    by hosts between, ``BEYOND`` for more. ``expansion`` is the second singular value of the incidence over the first: the nearer
    to 0, the better a load spreads; 0 where all hosts reach all devices. ``blast_hosts`` is how many hosts lose a port (behind a
    switch: a device) when a device fails, at most. ``links`` counts the cables, those of switches to devices included.
    """

    hops: Ints
    expansion: float
    blast_hosts: int
    links: int

    def _share(self, hops: int) -> float:
        hosts = len(self.hops)
        return float(((self.hops <= hops).sum() - hosts) / (hosts * (hosts - 1))) if hosts > 1 else 1.0

    @cached_property
    def one_hop_share(self) -> float:
        """Share of the pairs of hosts that share a device."""
        return self._share(1)

    @cached_property
    def two_hop_share(self) -> float:
        """Share of the pairs of hosts that share a device, or a host that shares one with each."""
        return self._share(2)

    def one_hop_of(self, host: int) -> NDArray[np.bool_]:
        """Return which other hosts share a device with this one, shape (H,)."""
        return np.asarray(self.hops[host] == 1)


def hops_of(incidence: NDArray[np.bool_]) -> Ints:
    """Return the hops between hosts of an incidence (H, M), such as one with devices or links taken out; see ``Reach``."""
    linked = incidence.astype(np.float64)
    one = (linked @ linked.T > 0).astype(np.float64)
    out = np.full(one.shape, BEYOND, dtype=np.int64)
    out[one @ one @ one > 0] = 3
    out[one @ one > 0] = 2
    out[one > 0] = 1
    np.fill_diagonal(out, 0)
    return out


def reach_of(pod: Pod) -> Reach:
    """Return how a pod's hosts reach each other.

    >>> from twin.memory.blocks import block_design
    >>> reach_of(block_design(25, 4)).one_hop_share
    1.0
    """
    # The squares of the singular values are the eigenvalues of the overlap, ascending.
    squares = np.linalg.eigvalsh(pod.overlap.astype(np.float64))
    second = max(float(squares[-2]), 0.0) if len(squares) > 1 else 0.0
    behind = pod.devices * pod.device_ports if pod.switches else 0
    return Reach(
        hops=hops_of(pod.incidence),
        expansion=(second / float(squares[-1])) ** 0.5,
        blast_hosts=int(pod.incidence.sum(axis=0).max()),
        links=pod.hosts * pod.host_ports + behind,
    )
