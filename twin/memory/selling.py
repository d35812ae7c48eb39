"""How many vCPUs each host has sold, and the least of it over a while."""

import numpy as np
from numpy.typing import NDArray

from twin.memory.demand import HostEvents
from twin.stack import State

Ints = NDArray[np.int64]
_NEVER = np.iinfo(np.int64).max


class Selling:
    """Follows the vCPUs of the VMs on every host (H), event by event."""

    def __init__(self, vm_vcpus: Ints, hosts: int) -> None:
        self._vm_vcpus = vm_vcpus
        self.vcpus = np.zeros(hosts, dtype=np.int64)
        self._least = np.full(hosts, _NEVER)

    def follow(self, events: HostEvents, since_s: float) -> None:
        """Take the events of a tick that began at ``since_s``."""
        moved = np.where(events.begins, 1, -1) * self._vm_vcpus[events.vm]
        early = events.t_s <= since_s + 1e-9
        np.add.at(self.vcpus, events.host[early], moved[early])
        np.minimum(self._least, self.vcpus, out=self._least)
        if early.all():
            return
        late = np.flatnonzero(~early)
        late = late[np.argsort(events.host[late], kind="stable")]
        host, t_s, steps = events.host[late], events.t_s[late], np.cumsum(moved[late])
        first = np.searchsorted(host, host)
        sold = self.vcpus[host] + steps - (steps - moved[late])[first]
        # What happens on a host at one instant happens at once: only where it leads counts.
        last = np.append((host[1:] != host[:-1]) | (t_s[1:] != t_s[:-1]), True)
        np.minimum.at(self._least, host[last], sold[last])
        np.add.at(self.vcpus, host, moved[late])

    def sold_out(self, host_vcpus: int) -> NDArray[np.bool_]:
        """Return which hosts had sold all their vCPUs throughout, shape H."""
        return np.asarray((self._least >= host_vcpus) & (self._least != _NEVER))

    def begin(self) -> None:
        """Begin a new while."""
        self._least[:] = _NEVER

    def snapshot(self) -> State:
        """Return what is sold, and the least so far."""
        return {"vcpus": self.vcpus.copy(), "least": self._least.copy()}

    def restore(self, state: State) -> None:
        """Take back a snapshot's state."""
        self.vcpus, self._least = (np.array(state[name], dtype=np.int64) for name in ("vcpus", "least"))
