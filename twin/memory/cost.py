"""What a pod costs by host, what it saves net, and what it draws."""

import math
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twin.memory.cabling import cables
from twin.memory.pods import Pod
from twin.memory.prices import Prices
from twin.memory.wiring import Layout
from twin.sources import calibration

Floats = NDArray[np.float64]
# Numbers of calibration [server] that were chosen so that the published net saving comes out.
FITTED: Final = ("dram_saving_share", "replaced_usd")


@dataclass(frozen=True, slots=True)
class Cost:
    """What one pod costs, USD."""

    hosts: int
    devices_usd: float
    switches_usd: float
    cables_usd: float

    @property
    def per_host_usd(self) -> float:
        """Cost of the whole pod by host, USD."""
        return (self.devices_usd + self.switches_usd + self.cables_usd) / self.hosts


@dataclass(frozen=True, slots=True)
class Server:
    """The server that a net saving is a share of.

    ``dram_share`` of its price is DRAM; ``replaced_usd`` is CXL expansion that it has without a pod and does not need with one.
    """

    price_usd: float
    dram_share: float
    replaced_usd: float


def cost_of(pod: Pod, prices: Prices, laid: Layout | float) -> Cost:
    """Return what a pod costs: devices, switches and cables::

        per host = (X / N) x device + cables / H                    X: ports of a host, N: of a device, H: hosts

    and behind switches (of the fewest ports that hosts and devices fill) X / H of each switch and of its devices. ``laid`` is the
    layout, or one length (m) for every cable. ValueError, one line, for what the table has no price of.
    """
    ends = cables(pod)
    lengths, limit_m = (laid.cable_m, laid.limit_m) if isinstance(laid, Layout) else (np.full(len(ends), float(laid)), math.inf)
    _, price = prices.cables(lengths, limit_m)
    if np.isnan(price).any():
        raise ValueError(
            f"pod {pod.name}: prices {prices.name} have no cable of {lengths.max():.2f} m, the longest is {prices.cable_m[-1]:g} m; "
            "take a smaller pod, less slack or another table of prices"
        )
    switches = pod.switches * prices.switch_usd[_switch_ports(pod, prices)] if pod.switches else 0.0
    return Cost(pod.hosts, pod.devices * prices.device(pod.device_ports), switches, float(price.sum()))


def _switch_ports(pod: Pod, prices: Prices) -> int:
    return prices.switch_ports(pod.hosts + -(-pod.devices // pod.switches))


def server() -> Server:
    """Return the server of the calibration, one that has no CXL expansion to be replaced."""
    numbers = calibration("memory")["server"]
    return Server(float(numbers["price_usd"]["value"]), float(numbers["dram_share"]["value"]), float(numbers["replaced_usd"]["low"]))


def server_with_expansion() -> Server:
    """Return the same server with expansion of its own that a pod replaces: what was fitted to the upper end of the published range."""
    return replace(server(), replaced_usd=float(calibration("memory")["server"]["replaced_usd"]["value"]))


def fitted_dram_saving_share() -> float:
    """Return the DRAM saving that was fitted to the published net saving; what a pod saves on demand is ``saving``'s."""
    return float(calibration("memory")["server"]["dram_saving_share"]["value"])


def net_saving_share(dram_saving_share: float, cost_per_host_usd: float, of: Server | None = None) -> float:
    """Return what a pod saves of a server's price after its own cost; negative where it costs more than the DRAM::

        (saving x DRAM share x server - (CXL per host - replaced)) / server

    >>> round(net_saving_share(0.163, 1548.0, Server(30_000.0, 0.5, 0.0)), 4)
    0.0299
    """
    reference = of or server()
    saved_usd = dram_saving_share * reference.dram_share * reference.price_usd
    return (saved_usd - (cost_per_host_usd - reference.replaced_usd)) / reference.price_usd


def device_power_w(pod: Pod, device_bytes: int, prices: Prices | None = None) -> float:
    """Return what one device draws, W: its controller and its DRAM, by the byte. An own table may say what the controller draws."""
    numbers = _power()
    own = prices.device_power_w.get(pod.device_ports) if prices else None
    controller_w = float(numbers["controller_w"]["value"]) if own is None else own
    return controller_w + device_bytes / float(numbers["dimm_bytes"]["value"]) * float(numbers["dimm_w"]["value"])


def switch_power_w(pod: Pod, prices: Prices | None = None) -> float:
    """Return what one switch of a pod draws, W; 0 where it has none."""
    if not pod.switches:
        return 0.0
    own = prices.switch_power_w if prices else {}
    ports = _switch_ports(pod, prices) if prices and own else 0
    return float(own.get(ports, _power()["switch_w"]["value"]))


def power_w(pod: Pod, device_bytes: int, prices: Prices | None = None) -> float:
    """Return what all devices and switches of a pod draw, W."""
    return pod.devices * device_power_w(pod, device_bytes, prices) + pod.switches * switch_power_w(pod, prices)


def _power() -> Any:
    return calibration("memory")["power"]
