"""One pod repeated over a fleet's hosts."""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twin.memory.cabling import device_switches
from twin.memory.pods import Ints, Pod

Floats = NDArray[np.float64]
NONE: Final = -1


@dataclass(frozen=True)
class Tiling:
    """The pods of a fleet with H hosts: the first hosts are pod 1, the next ones pod 2; those left over keep to themselves.

    ``pod`` None is no pool at all. Devices (M) and switches are numbered over all pods, in the order of the pods; R is how many
    devices a host reaches.
    """

    pod: Pod | None
    hosts: int

    def __post_init__(self) -> None:
        """Refuse a pod that the fleet cannot fill once."""
        if self.pod is not None and self.pod.hosts > self.hosts:
            raise ValueError(
                f"pod_topology: pod {self.pod.name} has {self.pod.hosts:,} hosts and the fleet {self.hosts:,}; choose a smaller pod"
            )

    @property
    def pods(self) -> int:
        """Number of pods."""
        return 0 if self.pod is None else self.hosts // self.pod.hosts

    @property
    def pod_devices(self) -> int:
        """Number of devices of one pod."""
        return 0 if self.pod is None else self.pod.devices

    @property
    def devices(self) -> int:
        """Number of devices of all pods, M."""
        return self.pods * self.pod_devices

    @property
    def switches(self) -> int:
        """Number of switches of all pods."""
        return 0 if self.pod is None else self.pods * self.pod.switches

    @cached_property
    def pod_ids(self) -> tuple[str, ...]:
        """Ids of the pods: ``pod-1`` and on."""
        return tuple(f"pod-{number}" for number in range(1, self.pods + 1))

    @cached_property
    def device_ids(self) -> tuple[str, ...]:
        """Ids of the devices of all pods: ``device-1`` and on."""
        return tuple(f"device-{number}" for number in range(1, self.devices + 1))

    @cached_property
    def host_pods(self) -> Ints:
        """Pod of each host, shape H; ``NONE`` where it belongs to none."""
        pods = np.arange(self.hosts) // (1 if self.pod is None else self.pod.hosts)
        return np.where(pods < self.pods, pods, NONE).astype(np.int64)

    @cached_property
    def pooled(self) -> NDArray[np.bool_]:
        """Which hosts belong to a pod, shape H."""
        return np.asarray(self.host_pods != NONE)

    @cached_property
    def reach(self) -> Ints:
        """Devices that each host reaches, shape (H, R), numbered over all pods; a row of ``NONE`` where a host has no pod."""
        if self.pod is None:
            return np.full((self.hosts, 0), NONE, dtype=np.int64)
        out = np.full((self.hosts, self.pod.reach.shape[1]), NONE, dtype=np.int64)
        first = np.arange(self.pods)[:, None, None] * self.pod.devices
        out[self.pooled] = (self.pod.reach[None] + first).reshape(-1, out.shape[1])
        return out

    @cached_property
    def device_switches(self) -> Ints:
        """Switch between each device and its hosts, shape M, numbered over all pods; ``NONE`` where there is none."""
        if self.pod is None or not self.pod.switches:
            return np.full(self.devices, NONE, dtype=np.int64)
        first = np.repeat(np.arange(self.pods) * self.pod.switches, self.pod.devices)
        return np.tile(device_switches(self.pod), self.pods) + first

    @cached_property
    def _device_hosts(self) -> Ints:
        """How many hosts reach each device, shape M."""
        return np.bincount(self.reach[self.pooled].ravel(), minlength=self.devices)

    def by_host(self, device_w: Floats) -> Floats:
        """Return watts per host, shape H: what each device draws (M) is split evenly over the hosts that reach it."""
        out = np.zeros(self.hosts)
        if self.devices:
            out[self.pooled] = (device_w / self._device_hosts)[self.reach[self.pooled]].sum(axis=1)
        return out
