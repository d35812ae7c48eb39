"""Pods without a search: fully connected, switched, complete."""

from itertools import combinations

import numpy as np

from twin.memory.blocks import spelled, wired
from twin.memory.pods import NO_ISLAND, Pod

# Two-port devices tie hosts so loosely that larger pods than this pool badly: measured on Azure's VMs (facts: expansion .90 and more).
HOSTS_ON_TWO_PORTS = 9


def complete(hosts: int) -> Pod:
    """Return the pod with one two-port device for each pair of hosts; ValueError outside 2 to 9 hosts.

    >>> complete(9).host_ports
    8
    """
    reason = why_not_complete(hosts)
    if reason:
        raise ValueError(f"complete pod of {hosts} hosts: {reason}")
    return wired(spelled("complete", hosts, hosts - 1, 2), "complete", np.array(list(combinations(range(hosts), 2)), dtype=np.int64))


def why_not_complete(hosts: int) -> str:
    """Return why there is no complete pod of so many hosts ("" where there is one)."""
    if hosts < 2:
        return "a device is shared by 2 hosts at least"
    return f"two-port pods of more than {HOSTS_ON_TWO_PORTS} hosts expand too poorly" if hosts > HOSTS_ON_TWO_PORTS else ""


def fully_connected(hosts: int, host_ports: int) -> Pod:
    """Return the pod of ``host_ports`` devices that every host reaches; each device has a port for each host."""
    if hosts < 2 or host_ports < 1:
        raise ValueError(f"fully connected pod of {hosts} hosts x {host_ports} ports: choose at least 2 hosts and 1 port")
    reach = np.tile(np.arange(host_ports), (hosts, 1))
    reach.flags.writeable = False
    name = spelled("fully_connected", hosts, host_ports, hosts)
    return Pod(name, "fully_connected", reach, host_ports, host_ports, hosts, _none(hosts), _none(host_ports))


def switched(hosts: int, host_ports: int, switch_ports: int = 32) -> Pod:
    """Return the pod of ``host_ports`` switches, each cabled to every host and, by the ports that are left, to devices of its own.

    Device m hangs behind switch m // (devices a switch); every host reaches every device. ValueError when no port is left.

    >>> switched(24, 8, 32).devices
    64
    """
    reason = why_not_switched(hosts, host_ports, switch_ports)
    if reason:
        raise ValueError(f"switch pod of {hosts} hosts: {reason}")
    devices = host_ports * (switch_ports - hosts)
    reach = np.tile(np.arange(devices), (hosts, 1))
    reach.flags.writeable = False
    name = spelled("switch", hosts, host_ports, 1, f"-p{switch_ports}")
    return Pod(name, "switch", reach, devices, host_ports, 1, _none(hosts), _none(devices), switches=host_ports)


def why_not_switched(hosts: int, host_ports: int, switch_ports: int) -> str:
    """Return why there is no such switch pod ("" where there is one)."""
    if hosts < 2 or host_ports < 1:
        return "it needs at least 2 hosts and 1 port a host"
    if switch_ports <= hosts:
        return f"a switch of {switch_ports} ports has none left for devices; put at most {switch_ports - 1} hosts on it"
    return ""


def _none(count: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.full(count, NO_ISLAND, dtype=np.int64)
