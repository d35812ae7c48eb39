"""What is written of VMs on hosts: who began, ended, or found none."""

import numpy as np
from numpy.typing import NDArray

from twin.fleet import Fleet
from twin.tables import Sink
from twin.workloads.host_population import HostPopulation
from twin.workloads.hosting import HostEvents
from twin.workloads.readings import VM_ENDS, VM_WAITS, VMS

Ints = NDArray[np.int64]


def write(sink: Sink, fleet: Fleet, vms: HostPopulation, events: HostEvents, refused: Ints) -> None:
    """Write the events of VMs without a named host, and the VMs that were turned away when they arrived."""
    streamed = events.vm >= vms.named
    begun, ended = streamed & events.begins, streamed & ~events.begins
    if begun.any():
        _write_begun(sink, fleet, vms, events.vm[begun], events.host[begun])
    if ended.any():
        who = _of(vms, events.vm[ended])
        sink.append(VM_ENDS, {"t_s": events.t_s[ended], **who, "reason": _words("departed", len(who["vm_id"]))})
    if len(refused):
        none = np.zeros(len(refused))
        sink.append(
            VM_WAITS,
            {
                "t_s": vms.arrive_s[refused],
                **_of(vms, refused),
                "gpus": none.astype(np.int64),
                "vcpus": vms.vcpus[refused],
                "waited_s": none,
                "outcome": _words("turned away", len(refused)),
            },
        )


def _write_begun(sink: Sink, fleet: Fleet, vms: HostPopulation, vm: Ints, host: Ints) -> None:
    arrive_s = vms.arrive_s[vm]
    sink.append(
        VMS,
        {
            "t_s": arrive_s,
            "arrive_s": arrive_s,
            **_of(vms, vm),
            "kind": _words("iaas", len(vm)),
            "place_id": np.array([fleet.host_ids[index] for index in host.tolist()], dtype=object),
            "gpus": np.zeros(len(vm), dtype=np.int64),
            "first_gpu": np.full(len(vm), -1, dtype=np.int64),
            "vcpus": vms.vcpus[vm],
            "memory_bytes": vms.memory_bytes[vm],
        },
    )


def _of(vms: HostPopulation, vm: Ints) -> dict[str, NDArray[np.object_]]:
    owners = [vms.workload_ids[index] for index in vms.workload[vm].tolist()]
    return {"vm_id": np.array([vms.ids[index] for index in vm.tolist()], dtype=object), "workload_id": np.array(owners, dtype=object)}


def _words(word: str, count: int) -> NDArray[np.object_]:
    return np.full(count, word, dtype=object)
