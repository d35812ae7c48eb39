"""Which VMs run, how much of their load they carry, at which clock."""

import numpy as np
from numpy.typing import NDArray

from twin.stack import State

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Running:
    """What was done to the VMs of one population, shape V; to begin with nothing was: they run with their whole load at the top clock.

    ``away`` marks VMs that keep their place and do not run. ``work`` is what a VM's load is multiplied with while it runs, ``clock``
    the share of the top clock that it is given.
    """

    def __init__(self, vms: int) -> None:
        self.away: Bools = np.zeros(vms, dtype=np.bool_)
        self.work: Floats = np.ones(vms)
        self.clock: Floats = np.ones(vms)

    def forget(self, vm: Ints) -> None:
        """Leave nothing of VMs that ended."""
        self.away[vm], self.work[vm], self.clock[vm] = False, 1.0, 1.0

    def carried(self) -> Floats:
        """Return what each VM's load is multiplied with now, shape V; 0 for one that is away."""
        return np.where(self.away, 0.0, self.work)

    def snapshot(self) -> State:
        """Return the VMs to which something was done."""
        working, clocked = np.flatnonzero(self.work != 1.0), np.flatnonzero(self.clock != 1.0)
        return {
            "away": np.flatnonzero(self.away),
            "working": working,
            "work": self.work[working],
            "clocked": clocked,
            "clock": self.clock[clocked],
        }

    def restore(self, state: State) -> None:
        """Take back a snapshot's state."""
        self.away[:], self.work[:], self.clock[:] = False, 1.0, 1.0
        self.away[np.array(state["away"], dtype=np.int64)] = True
        self.work[np.array(state["working"], dtype=np.int64)] = state["work"]
        self.clock[np.array(state["clocked"], dtype=np.int64)] = state["clock"]
