"""What is written of VMs: placements, ends and waits."""

import numpy as np

from twin.fleet import Fleet
from twin.stack import State
from twin.tables import Sink
from twin.workloads.population import Population
from twin.workloads.readings import VM_ENDS, VM_WAITS, VMS

_OUTCOMES = ("placed", "gave up", "turned away", "waits")


class Book:
    """Keeps what happened since the last write, as rows of numbers. ``filling`` are vCPUs and memory of a VM that fills a host."""

    def __init__(self, vms: Population, fleet: Fleet, filling: tuple[int, int]) -> None:
        self._vms, self._fleet, self._filling = vms, fleet, filling
        self._placed: list[tuple[float, ...]] = []
        self._ended: list[tuple[float, ...]] = []
        self._waited: list[tuple[float, ...]] = []

    def stands(self, vm: int, kind: int, place: int) -> None:
        """Take note of a VM with a named place; ``kind`` is 0 for a server and 1 for a host."""
        self._placed.append((0.0, vm, kind, place, -1.0 if kind else 0.0))

    def placed(self, vm: int, server: int, first_gpu: int, t_s: float) -> None:
        """Take note of a placement, and of how long the VM waited for it where that is longer than it took to look."""
        self._placed.append((t_s, vm, 0, server, first_gpu))
        self._waited.append((t_s, vm, _OUTCOMES.index("placed")))

    def ended(self, vm: int, t_s: float) -> None:
        """Take note of a departure."""
        self._ended.append((t_s, vm))

    def waited(self, vm: int, t_s: float, outcome: str) -> None:
        """Take note of how a wait ended."""
        self._waited.append((t_s, vm, _OUTCOMES.index(outcome)))

    def write(self, sink: Sink) -> None:
        """Hand over the rows that were kept."""
        if self._placed:
            self._write_placed(sink)
        if self._ended:
            t_s, vm = _columns(self._ended)
            sink.append(VM_ENDS, {"t_s": t_s, **self._of(vm), "reason": np.full(len(t_s), "departed", dtype=object)})
        if self._waited:
            t_s, vm, outcome = _columns(self._waited)
            since_s = self._vms.arrive_s[vm.astype(np.int64)]
            words = np.array(_OUTCOMES, dtype=object)[outcome.astype(np.int64)]
            gpus = self._vms.gpus[vm.astype(np.int64)]
            asked = {"gpus": gpus, "vcpus": np.zeros_like(gpus)}
            sink.append(VM_WAITS, {"t_s": t_s, **self._of(vm), **asked, "waited_s": t_s - since_s, "outcome": words})
        self._placed, self._ended, self._waited = [], [], []

    def _write_placed(self, sink: Sink) -> None:
        t_s, vm, kind, place, first = _columns(self._placed)
        index = vm.astype(np.int64)
        names = (self._fleet.server_ids, self._fleet.host_ids)
        sink.append(
            VMS,
            {
                "t_s": t_s,
                "arrive_s": self._vms.arrive_s[index],
                **self._of(vm),
                "kind": np.where(self._vms.opaque[index], "iaas", "saas").astype(object),
                "place_id": np.array([names[int(k)][int(p)] for k, p in zip(kind, place, strict=True)], dtype=object),
                "gpus": self._vms.gpus[index],
                "first_gpu": first.astype(np.int64),
                "vcpus": np.where(kind == 1, self._filling[0], 0),
                "memory_bytes": np.where(kind == 1, self._filling[1], 0),
            },
        )

    def _of(self, vm: np.ndarray) -> dict[str, np.ndarray]:
        workloads = [self._vms.workload_ids[self._vms.workload[int(i)]] for i in vm]
        ids = [self._vms.ids[int(i)] for i in vm]
        return {"vm_id": np.array(ids, dtype=object), "workload_id": np.array(workloads, dtype=object)}

    def snapshot(self) -> State:
        """Return what is not written yet."""
        kept = {"placed": (self._placed, 5), "ended": (self._ended, 2), "waited": (self._waited, 3)}
        return {name: np.array(rows, dtype=np.float64).reshape(-1, width) for name, (rows, width) in kept.items()}

    def restore(self, state: State) -> None:
        """Take back a snapshot's state."""
        self._placed, self._ended, self._waited = (
            [tuple(float(value) for value in row) for row in state[name]] for name in ("placed", "ended", "waited")
        )


def _columns(rows: list[tuple[float, ...]]) -> list[np.ndarray]:
    return list(np.array(rows, dtype=np.float64).T)
