"""VMs on GPU servers over a run: who owns which GPUs, how busy they are."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twin.clock import Clock
from twin.faults import Fault
from twin.fleet import GPUS_PER_SERVER
from twin.stack import State
from twin.workloads.population import Population
from twin.workloads.running import Running
from twin.workloads.vm_load import VmLoad

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
NOBODY: Final = -1


class Servers:
    """Who owns which GPUs, and the load of opaque VMs. ``settle`` once all that came and went in a tick did so.

    A VM can be away: it keeps its GPUs, and its load is gone until it is back. Shapes: S servers, G GPUs, V VMs, N of them.
    """

    def __init__(self, vms: Population, servers: int, clock: Clock, hold_s: float, bursts: Sequence[Fault]) -> None:
        self.vms, self.running = vms, Running(len(vms.ids))
        self.gpu_vm = np.full(servers * GPUS_PER_SERVER, NOBODY, dtype=np.int64)
        self.gpus_free = np.full(servers, GPUS_PER_SERVER, dtype=np.int64)
        self.vm_server = np.full(len(vms.ids), NOBODY, dtype=np.int64)
        self.load = VmLoad(vms, clock, hold_s, bursts)
        self.settle()

    def own(self, vm: int, server: int) -> int:
        """Give a VM the lowest free GPUs of a server; return the first of them on the server. It has enough of them."""
        first = server * GPUS_PER_SERVER
        free = np.flatnonzero(self.gpu_vm[first : first + GPUS_PER_SERVER] == NOBODY)[: int(self.vms.gpus[vm])]
        self.gpu_vm[first + free] = vm
        self.gpus_free[server] -= len(free)
        self.vm_server[vm] = server
        return int(free[0])

    def leave(self, vm: int) -> bool:
        """Take back the GPUs of a VM that ends; return whether it had any."""
        server = int(self.vm_server[vm])
        if server == NOBODY:
            return False
        mine = slice(server * GPUS_PER_SERVER, (server + 1) * GPUS_PER_SERVER)
        self.gpu_vm[mine][self.gpu_vm[mine] == vm] = NOBODY
        self.gpus_free[server] += self.vms.gpus[vm]
        self.vm_server[vm] = NOBODY
        self.running.forget(np.array([vm]))
        return True

    def settle(self) -> None:
        """Take note of whose the GPUs are now."""
        self.load.settle(self.gpu_vm, self.vm_server)
        # Which GPUs belong to VMs whose inside cannot be reached, shape G.
        self.gpu_opaque = self.load.gpu_opaque
        self._owned = np.flatnonzero(self.gpu_vm != NOBODY)

    def standing(self) -> tuple[Ints, Ints]:
        """Return the VMs that stand, by number, and the server of each."""
        vm = np.flatnonzero(self.vm_server != NOBODY)
        return vm, self.vm_server[vm]

    def placements(self) -> dict[str, tuple[int, ...]]:
        """Return the servers that carry each serving endpoint's VMs, in the order of the VMs."""
        out: dict[str, list[int]] = {}
        for vm, endpoint in self.vms.endpoints.items():
            if self.vm_server[vm] != NOBODY:
                out.setdefault(endpoint, []).append(int(self.vm_server[vm]))
        return {endpoint: tuple(servers) for endpoint, servers in out.items()}

    # -- what is done to VMs ------------------------------------------------------

    def _check(self, vm: Ints) -> None:
        if (self.vm_server[vm] == NOBODY).any():
            raise ValueError(f"{self.vms.ids[int(vm[np.argmin(self.vm_server[vm])])]} stands on no server now; leave it out")

    def set_away(self, vm: Ints, away: bool) -> None:
        """Let VMs that stand leave, or come back."""
        self._check(vm)
        self.running.away[vm] = away

    def set_work(self, vm: Ints, share: Floats) -> None:
        """Let VMs that stand carry so much of their load."""
        self._check(vm)
        self.running.work[vm] = share

    def set_clock(self, vm: Ints, share: Floats) -> None:
        """Give VMs that stand such a clock."""
        self._check(vm)
        self.running.clock[vm] = share

    # -- what it comes to, GPU by GPU and VM by VM ------------------------------------

    def share(self) -> Floats:
        """Return the load of opaque VMs on each GPU, shape G, zero elsewhere and where a VM is away."""
        return self.load.gpu_share(len(self.gpu_vm), self.running.carried())

    def caps(self) -> Floats:
        """Return the clock that each GPU's VM is given, shape G, 1 where nothing was said."""
        return np.append(self.running.clock, 1.0)[self.gpu_vm]

    def away(self) -> Bools:
        """Return which GPUs belong to VMs that are away, shape G."""
        return np.append(self.running.away, False)[self.gpu_vm]

    def busy(self, vm: Ints) -> Floats:
        """Return the load now of VMs, before what they carry, shape N; NaN for those of endpoints."""
        return self.load.of(vm)

    def over_gpus(self, vm: Ints, values: Floats) -> Floats:
        """Return the sum of a quantity (G) over the GPUs of VMs that stand, shape N."""
        sums = np.bincount(self.gpu_vm[self._owned], weights=values[self._owned].astype(np.float64), minlength=len(self.vm_server))
        return np.asarray(sums[vm], dtype=np.float64)

    # -- what is kept -------------------------------------------------------------

    def snapshot(self) -> State:
        """Return who owns which GPUs, and what was done to VMs."""
        return {"gpu_vm": self.gpu_vm.copy(), "running": self.running.snapshot()}

    def restore(self, state: State) -> None:
        """Take back a snapshot's state."""
        self.gpu_vm = np.array(state["gpu_vm"], dtype=np.int64)
        owned = np.flatnonzero(self.gpu_vm != NOBODY)
        self.vm_server[:] = NOBODY
        self.vm_server[self.gpu_vm[owned]] = owned // GPUS_PER_SERVER
        self.gpus_free = np.sum(self.gpu_vm.reshape(-1, GPUS_PER_SERVER) == NOBODY, axis=1).astype(np.int64)
        self.running.restore(state["running"])
        self.settle()
