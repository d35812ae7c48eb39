"""What the site has for workflows, and what it has to spare now."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Site:
    """What workflows may run on, for the whole run. S servers, H hosts, in the order of the world's own choosing.

    ``server_gpus`` are the GPUs held for workflows at each server (0 where one only has some to spare now and then),
    ``server_hardware`` their kind (``a100``, ``h100``), ``host_cores`` the cores at each host. ``endpoints`` and ``functions`` are
    the ids that stages may ask.
    """

    server_gpus: Ints
    server_hardware: tuple[str, ...]
    host_cores: Ints
    endpoints: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Surplus:
    """What others leave now (GPUs by server S, cores by host H), and how fast servers and hosts are against their full speed."""

    spot_gpus: Ints
    harvest_cores: Ints
    server_speed: Floats
    host_speed: Floats

    def same(self, other: "Surplus") -> bool:
        """Return whether two are equal."""
        return all(np.array_equal(getattr(self, name), getattr(other, name)) for name in self.__slots__)

    @classmethod
    def none(cls, site: Site) -> "Surplus":
        """Return no surplus, at full speed."""
        servers, hosts = len(site.server_gpus), len(site.host_cores)
        return cls(np.zeros(servers, dtype=np.int64), np.zeros(hosts, dtype=np.int64), np.ones(servers), np.ones(hosts))
