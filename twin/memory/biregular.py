"""Random pods in which two hosts share at most one device."""

from typing import Final

import numpy as np

from twin import chance
from twin.memory.blocks import spelled, wired
from twin.memory.packing import packed
from twin.memory.plain import HOSTS_ON_TWO_PORTS
from twin.memory.pods import Ints, Pod

# Draws before the search gives up.
_DRAWS = 4
# Ports a device -> largest share of the other hosts that a host may meet (or a device of other devices) for a draw to come off;
# measured for up to 16 ports a host: every pod up to here was found for seeds 1 to 3.
TIGHTEST_SHARE: Final = {2: 0.99, 3: 0.85, 4: 0.74, 5: 0.6, 6: 0.48, 7: 0.4, 8: 0.35}


def why_not(hosts: int, host_ports: int, device_ports: int) -> str:
    """Return why no pod of these numbers is drawn ("" where one is): counting first, then what a draw can reach."""
    if device_ports not in TIGHTEST_SHARE or host_ports < 2 or hosts <= device_ports:
        return f"drawn pods have 2 ports a host or more and 2 to {max(TIGHTEST_SHARE)} ports a device, fewer than hosts"
    if hosts * host_ports % device_ports:
        return f"{hosts} hosts x {host_ports} ports are no multiple of {device_ports} ports a device (H X = M N)"
    if device_ports == 2 and hosts > HOSTS_ON_TWO_PORTS:
        return f"two-port pods of more than {HOSTS_ON_TWO_PORTS} hosts expand too poorly"
    met, devices = host_ports * (device_ports - 1), hosts * host_ports // device_ports
    beside = device_ports * (host_ports - 1)
    if met > hosts - 1:
        return f"without four-cycles a host meets {met} others on its {host_ports} devices, but there are only {hosts - 1}"
    if beside > devices - 1:
        return f"without four-cycles the hosts of a device reach {beside} other devices, but there are only {devices - 1}"
    if max(met / (hosts - 1), beside / (devices - 1)) > TIGHTEST_SHARE[device_ports]:
        return f"a host would meet {met} of {hosts - 1} others: too near to a block design for a random draw to come off"
    return ""


def drawn(met: Ints, ports: int, device_ports: int, seed: int, name: str) -> Ints:
    """Return the hosts of each device so that no two meet twice; ValueError where no draw comes off."""
    for draw in range(_DRAWS):
        members = packed(met, ports, device_ports, chance.stream(seed, "memory", name, str(draw)))
        if members is not None:
            return members
    raise ValueError(f"pod {name}: no wiring without four-cycles in {_DRAWS} draws; choose another seed, more hosts or fewer ports")


def biregular(hosts: int, host_ports: int, device_ports: int, seed: int = 1) -> Pod:
    """Return a random pod of H X / N devices in which two hosts share at most one; ValueError with the reason where none is drawn.

    >>> biregular(96, 8, 4).devices
    192
    """
    reason = why_not(hosts, host_ports, device_ports)
    if reason:
        raise ValueError(f"biregular pod of {hosts} hosts: {reason}; designs.check names the nearest")
    name = spelled("biregular", hosts, host_ports, device_ports, seed=seed)
    members = drawn(np.zeros((hosts, hosts), dtype=np.int64), host_ports, device_ports, seed, name)
    return wired(name, "biregular", members)
