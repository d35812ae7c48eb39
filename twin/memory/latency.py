"""How long a load from pooled memory takes, and a call over it.

Idle, unloaded values of data/calibration/memory.toml, most of them from memory. A device answers slower the more ports it has:
233, 250 and 267 ns for 1, 2 and 4 ports lie on one line over the doublings, which is taken on to 3, 5 and 8.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.memory.pods import Pod
from twin.sources import Strength, calibration

Floats = NDArray[np.float64]


def _entry(name: str) -> Any:
    return calibration("memory")["latency"][name]


def _value(name: str) -> float:
    return float(_entry(name)["value"])


def bounds_s(name: str) -> tuple[float, float]:
    """Return the lowest and the highest value that is told of a latency (``switch_s``, ``device_4_s``, ...), s."""
    entry = _entry(name)
    return float(entry.get("low", entry["value"])), float(entry.get("high", entry["value"]))


def local_s() -> float:
    """Load-to-use latency of a host's own DRAM, s."""
    return _value("local_s")


def device_s(ports: int) -> float:
    """Load-to-use latency of a device of ``ports`` ports that a host is cabled to, s.

    >>> [round(1e9 * device_s(ports)) for ports in (1, 2, 4, 8)]
    [233, 250, 267, 284]
    """
    if f"device_{ports}_s" in calibration("memory")["latency"]:
        return _value(f"device_{ports}_s")
    return _value("device_1_s") + _value("per_doubling_s") * math.log2(ports)


def switch_s() -> float:
    """Load-to-use latency of an expansion device behind a switch, s."""
    return _value("switch_s")


def access_s(pod: Pod) -> float:
    """Load-to-use latency of a pod's devices, s."""
    return switch_s() if pod.switches else device_s(pod.device_ports)


def access_strength(pod: Pod) -> Strength:
    """Return how strong the evidence for ``access_s`` is."""
    name = "switch_s" if pod.switches else f"device_{pod.device_ports}_s"
    strength: Strength = calibration("memory")["latency"].get(name, _entry("per_doubling_s"))["strength"]
    return strength


def rpc_s(hops: int = 1, device_access_s: float | None = None) -> float:
    """Return how long a remote procedure call takes over shared devices, s; ``hops`` devices, and a host between two that passes it on::

        hops x (4 x access + 130 ns) + (hops - 1) x 300 ns

    ``device_access_s`` is by default that of a device of four ports.

    >>> round(1e9 * rpc_s())
    1198
    """
    access = device_s(4) if device_access_s is None else device_access_s
    return hops * (_value("rpc_accesses") * access + _value("rpc_overhead_s")) + (hops - 1) * _value("rpc_forward_s")


def rpc_switch_s() -> float:
    """Return how long the same call takes over a device behind a switch, s."""
    return rpc_s(1, switch_s())


def rpc_rdma_s() -> float:
    """Return how long a small call takes by RDMA within the rack, s. From memory, not from the published ratio."""
    return _value("rpc_rdma_s")


def slowdown_share(memory_bound_share: Floats, pooled_share: Floats | float, access_latency_s: float) -> Floats:
    """Return by which share work takes longer when part of its memory is pooled, any shape::

        memory bound x pooled x (access / local - 1)

    The time that waits for memory grows with the mean latency of its accesses, which are taken to fall on pooled and local
    memory by the bytes of each: an upper bound where hot pages stay local. An own model, strength "proposed"; no published
    measurement was fitted.
    """
    return np.asarray(memory_bound_share * pooled_share * (access_latency_s / local_s() - 1.0), dtype=np.float64)
