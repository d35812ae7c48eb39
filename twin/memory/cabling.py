"""The cables of a pod: which port of what goes to which port of what."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.memory.pods import Pod

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Cables:
    """The cables of a pod, shape C: first those of hosts, by host and port, then behind switches those of devices.

    ``host`` is -1 where the cable ends at no host, ``switch`` -1 where at no switch, ``device`` -1 where at no device. Ports count
    from 0: ``near_port`` is the host's (or of a device's cable the switch's), ``far_port`` the device's (or the switch's).
    """

    host: Ints
    switch: Ints
    device: Ints
    near_port: Ints
    far_port: Ints

    def __len__(self) -> int:
        """Return how many cables there are."""
        return len(self.host)


def device_switches(pod: Pod) -> Ints:
    """Return the switch that each device hangs on, shape (M,): as many on each, in their order; -1 without switches."""
    if not pod.switches:
        return np.full(pod.devices, -1, dtype=np.int64)
    return np.arange(pod.devices, dtype=np.int64) * pod.switches // pod.devices


def cables(pod: Pod) -> Cables:
    """Return the cables of a pod and the ports they go to."""
    host = np.repeat(np.arange(pod.hosts, dtype=np.int64), pod.host_ports)
    port = np.tile(np.arange(pod.host_ports, dtype=np.int64), pod.hosts)
    none = np.full(len(host), -1, dtype=np.int64)
    if not pod.switches:
        device = pod.reach.astype(np.int64).ravel()
        return Cables(host, none, device, port, ranks(device))
    if pod.host_ports != pod.switches:
        raise ValueError(f"pod {pod.name}: {pod.host_ports} ports a host and {pod.switches} switches; give each port a switch")
    behind, of_device = device_switches(pod), np.arange(pod.devices, dtype=np.int64)
    no_host = np.full(pod.devices, -1, dtype=np.int64)
    return Cables(
        np.concatenate([host, no_host]), np.concatenate([port, behind]), np.concatenate([none, of_device]),
        np.concatenate([port, pod.hosts + ranks(behind)]), np.concatenate([host, np.zeros(pod.devices, dtype=np.int64)]),
    )  # fmt: skip


def ranks(values: Ints) -> Ints:
    """Return the how-manieth of its value each entry is, from 0."""
    order = np.argsort(values, kind="stable")
    counts = np.bincount(values)
    ranks = np.empty(len(values), dtype=np.int64)
    ranks[order] = np.arange(len(values)) - np.repeat(np.cumsum(counts) - counts, counts)
    return ranks
