"""Where instances stand: GPUs of servers, cores of hosts, never too many."""

import numpy as np

from twin.stack import State
from twin.workflows.pools import Pool
from twin.workflows.site import Floats, Ints, Site, Surplus

_NOBODY = -1


class Places:
    """What of the site is taken. Spot instances and harvest cores are counted apart from what workflows hold."""

    def __init__(self, site: Site) -> None:
        self.site, self.surplus = site, Surplus.none(site)
        self.used: Ints = np.zeros(len(site.server_gpus), dtype=np.int64)
        self.spot_used: Ints = np.zeros(len(site.server_gpus), dtype=np.int64)
        self.cores_used: Ints = np.zeros(len(site.host_cores), dtype=np.int64)
        self.harvest_used: Ints = np.zeros(len(site.host_cores), dtype=np.int64)
        # The workflow that holds a server whole, -1 for none.
        self.owner: Ints = np.full(len(site.server_gpus), _NOBODY, dtype=np.int64)
        self._hardware = np.array(site.server_hardware, dtype=object)

    def server_for(self, pool: Pool, *, still: bool = False) -> int:
        """Return the server for one more instance of a pool: the fullest that has room, its owner's own before others; -1 for none.

        One that stands still, as without power, takes none; with ``still`` it counts, too.
        """
        free = self.surplus.spot_gpus - self.spot_used if pool.spot else self.site.server_gpus - self.used
        free = free if still else np.where(self.surplus.server_speed > 0.0, free, 0)
        fits = (free >= pool.gpus) & (self._hardware == pool.hardware)
        if not pool.spot:
            fits &= self.owner == pool.owner if pool.owner >= 0 else self.owner == _NOBODY
            if pool.owner >= 0 and not fits.any():
                fits = (self.owner == _NOBODY) & (self.used == 0) & (free >= pool.gpus) & (self._hardware == pool.hardware)
        if not fits.any():
            return -1
        return int(np.argmin(np.where(fits, free, np.iinfo(np.int64).max)))

    def lacking(self, pool: Pool) -> str:
        """Return what a pool's next instance lacks in words; empty where there is room, or where surplus or power may still come."""
        if not pool.gpus:
            most = int(self.site.host_cores.max(initial=0))
            short = pool.cores > most and not pool.spot
            return f"cores: {pool.name} needs {pool.cores} at one host, the largest has {most}" if short else ""
        if pool.spot or self.server_for(pool, still=True) >= 0:
            return ""
        free = np.where((self.owner == _NOBODY) & (self._hardware == pool.hardware), self.site.server_gpus - self.used, 0)
        return f"gpus: {pool.name} needs {pool.gpus} {pool.hardware} at one server, at most {int(free.max(initial=0))} are free"

    def take(self, pool: Pool, server: int) -> None:
        """Take a server's GPUs for an instance."""
        if pool.spot:
            self.spot_used[server] += pool.gpus
            return
        self.used[server] += pool.gpus
        if pool.owner >= 0:
            self.owner[server] = pool.owner

    def leave(self, pool: Pool, server: int) -> None:
        """Give an instance's GPUs back; a server that its owner has left is anybody's again."""
        if pool.spot:
            self.spot_used[server] -= pool.gpus
            return
        self.used[server] -= pool.gpus
        if not self.used[server]:
            self.owner[server] = _NOBODY

    def host_for(self, pool: Pool) -> int:
        """Return the host with the most free cores that has enough of them, -1 for none."""
        free = self.surplus.harvest_cores - self.harvest_used if pool.spot else self.site.host_cores - self.cores_used
        if not len(free):
            return -1
        free = np.where(self.surplus.host_speed > 0.0, free, 0)
        host = int(np.argmax(free))
        return host if free[host] >= max(pool.cores, 1) else -1

    def work(self, pool: Pool, host: int, begins: bool) -> None:
        """Take a host's cores for as long as an instance works, or give them back."""
        taken = self.harvest_used if pool.spot else self.cores_used
        taken[host] += pool.cores if begins else -pool.cores

    def speed_at(self, pool: Pool, place: int) -> float:
        """Return how fast an instance gets on at its place."""
        if place < 0:
            return 1.0
        return float((self.surplus.server_speed if pool.gpus else self.surplus.host_speed)[place])

    @property
    def held(self) -> Ints:
        """GPUs held at each server (S), surplus ones apart: those of instances, and all of a server that is held whole."""
        return np.where(self.owner >= 0, self.site.server_gpus, self.used)

    def rest(self, owner: int) -> list[tuple[str, int]]:
        """Return the GPUs that a workflow holds without an instance on them, as (hardware, count)."""
        mine = np.flatnonzero(self.owner == owner)
        return [(self.site.server_hardware[server], int(self.site.server_gpus[server] - self.used[server])) for server in mine]

    @property
    def free_cores(self) -> Floats:
        """Cores that nobody works on, by host (H)."""
        return np.asarray(self.site.host_cores - self.cores_used, dtype=np.float64)

    def snapshot(self) -> State:
        """Return what is taken."""
        surplus = self.surplus
        return {
            **{name: getattr(self, name).copy() for name in _TAKEN},
            **{name: getattr(surplus, name).copy() for name in ("spot_gpus", "harvest_cores", "server_speed", "host_speed")},
        }

    def restore(self, state: State) -> None:
        """Take back a snapshot."""
        for name in _TAKEN:
            setattr(self, name, np.array(state[name], dtype=np.int64))
        self.surplus = Surplus(
            np.array(state["spot_gpus"], dtype=np.int64), np.array(state["harvest_cores"], dtype=np.int64),
            np.array(state["server_speed"], dtype=np.float64), np.array(state["host_speed"], dtype=np.float64),
        )  # fmt: skip


_TAKEN = ("used", "spot_used", "cores_used", "harvest_used", "owner")
