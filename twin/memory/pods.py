"""A pod: which memory devices each host reaches over its CXL ports."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
PodKind = Literal["fully_connected", "block_design", "biregular", "islands", "switch", "complete"]
NO_ISLAND = -1


@dataclass(frozen=True)
class Pod:
    """A bipartite graph of H hosts and M devices; no state.

    ``reach`` (H, R) lists the devices that each host can load from and store to, ascending. Without a switch R is the number of
    CXL ports of a host (X) and every entry is a cable; behind switches R is larger: each host has a cable to each of X switches,
    and each switch cables to its devices. ``device_ports`` (N) is how many hosts, or switches, a device is cabled to.
    ``host_islands`` (H) and ``device_islands`` (M) group them, ``NO_ISLAND`` where they belong to none (external devices).
    """

    name: str
    kind: PodKind
    reach: Ints
    devices: int
    host_ports: int
    device_ports: int
    host_islands: Ints
    device_islands: Ints
    switches: int = 0

    def __post_init__(self) -> None:
        """Hold the counts against each other: without a switch every host port meets a device port, H X = M N."""
        hosts, reached = self.reach.shape
        if not self.switches and (reached != self.host_ports or hosts * self.host_ports != self.devices * self.device_ports):
            raise ValueError(
                f"pod {self.name}: {hosts} hosts x {self.host_ports} ports do not match {self.devices} devices x {self.device_ports}; "
                "choose hosts x host ports = devices x device ports"
            )

    @property
    def hosts(self) -> int:
        """Number of hosts, H."""
        return len(self.reach)

    @cached_property
    def incidence(self) -> NDArray[np.bool_]:
        """Which host reaches which device, shape (H, M)."""
        out = np.zeros((self.hosts, self.devices), dtype=np.bool_)
        np.put_along_axis(out, self.reach, True, axis=1)
        return out

    @cached_property
    def overlap(self) -> Ints:
        """How many devices two hosts share, shape (H, H); the diagonal is how many a host reaches."""
        linked = self.incidence.astype(np.float64)
        return np.asarray(linked @ linked.T).astype(np.int64)
