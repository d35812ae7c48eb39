"""Islands: block designs side by side, tied together by devices outside."""

import numpy as np

from twin.memory import blocks
from twin.memory.biregular import TIGHTEST_SHARE, drawn
from twin.memory.pods import NO_ISLAND, Pod

# Where each device outside joins every island, a draw comes off only further from the limit: measured like TIGHTEST_SHARE.
_ALL_ISLANDS = 0.55


def why_not(islands: int, island_hosts: int, device_ports: int, external_ports: int) -> str:
    """Return why there is no such pod ("" where there is one)."""
    reason = blocks.why_not(island_hosts, device_ports)
    if reason:
        return f"an island of {island_hosts} hosts: {reason}"
    hosts = islands * island_hosts
    if external_ports < 1:
        return "islands without ports outside are pods of their own; leave a port outside"
    if hosts * external_ports % device_ports:
        return f"{hosts} hosts x {external_ports} ports outside are no multiple of {device_ports} ports a device (H X = M N)"
    if islands < device_ports:
        return f"a device outside joins {device_ports} islands, but there are only {islands}"
    met, others = external_ports * (device_ports - 1), hosts - island_hosts
    tightest = TIGHTEST_SHARE[device_ports] * (_ALL_ISLANDS if islands == device_ports else 1.0)
    if met > tightest * others:
        return f"a host would meet {met} of {others} hosts on other islands: too many for a random draw to come off"
    return ""


def natural_hosts(hosts: int, host_ports: int, device_ports: int) -> int:
    """Return the island size that leaves the fewest ports outside (0 where none divides the hosts and leaves a port)."""
    sizes = [
        v
        for v, k in blocks.CONSTRUCTIONS
        if k == device_ports and hosts % v == 0 and not why_not(hosts // v, v, k, host_ports - blocks.host_ports_of(v, k))
    ]
    return max(sizes, default=0)


def named(count: int, island_hosts: int, device_ports: int, external_ports: int, seed: int = 1) -> str:
    """Return the pod's name; the number of islands is spelled out where the same ports would allow larger ones.

    >>> named(6, 16, 4, 3), named(16, 13, 4, 4)
    ('islands-96x8n4', 'islands-208x8n4-i16')
    """
    hosts, host_ports = count * island_hosts, blocks.host_ports_of(island_hosts, device_ports) + external_ports
    islands = "" if natural_hosts(hosts, host_ports, device_ports) == island_hosts else f"-i{count}"
    return blocks.spelled("islands", hosts, host_ports, device_ports, islands, seed)


def islands(count: int, island_hosts: int, device_ports: int, external_ports: int, seed: int = 1) -> Pod:
    """Return ``count`` block designs of ``island_hosts`` whose hosts have ``external_ports`` more on devices outside.

    A device outside joins hosts of different islands, no two of which meet on another one. ValueError with the reason where
    there is no such pod.

    >>> islands(6, 16, 4, 3).devices
    192
    """
    reason = why_not(count, island_hosts, device_ports, external_ports)
    if reason:
        raise ValueError(f"{count} islands: {reason}; designs.check names the nearest")
    inside = blocks.CONSTRUCTIONS[island_hosts, device_ports]()
    hosts = count * island_hosts
    host_islands = np.repeat(np.arange(count), island_hosts)
    name = named(count, island_hosts, device_ports, external_ports, seed)
    outside = drawn((host_islands[:, None] == host_islands).astype(np.int64), external_ports, device_ports, seed, name)
    offsets = np.arange(0, hosts, island_hosts)
    members = np.concatenate([(inside[None] + offsets[:, None, None]).reshape(-1, device_ports), outside])
    device_islands = np.concatenate([np.repeat(np.arange(count), len(inside)), np.full(len(outside), NO_ISLAND)])
    return blocks.wired(name, "islands", members, host_islands, device_islands)
