"""What a pod is by its design: price, latency, cables, power, reach."""

from dataclasses import dataclass

from twin.memory import cost, latency, prices, wiring
from twin.memory.pods import Pod
from twin.memory.reach import reach_of
from twin.memory.settings import Settings


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures of one pod; ``power_w`` is of all its devices and switches."""

    access_latency_s: float
    local_latency_s: float
    devices_usd: float
    switches_usd: float
    cables_usd: float
    cost_usd_per_host: float
    longest_cable_m: float
    power_w: float
    one_hop_share: float
    two_hop_share: float
    expansion_share: float
    blast_hosts: int


def power_w(pod: Pod, device_bytes: int, settings: Settings) -> float:
    """Return what all devices and switches of a pod draw, W, with devices of so many bytes."""
    return cost.power_w(pod, device_bytes, prices.table(settings.prices))


def figures_of(pod: Pod, device_bytes: int, settings: Settings) -> Figures:
    """Return what a pod is with devices of so many bytes; ValueError, one line, where it cannot be wired or has no price."""
    layout = wiring.lay(pod, settings.cable_slack_m)
    wiring.require(layout)
    paid, reach = cost.cost_of(pod, prices.table(settings.prices), layout), reach_of(pod)
    return Figures(
        access_latency_s=latency.access_s(pod),
        local_latency_s=latency.local_s(),
        devices_usd=paid.devices_usd,
        switches_usd=paid.switches_usd,
        cables_usd=paid.cables_usd,
        cost_usd_per_host=paid.per_host_usd,
        longest_cable_m=layout.longest_m,
        power_w=power_w(pod, device_bytes, settings),
        one_hop_share=reach.one_hop_share,
        two_hop_share=reach.two_hop_share,
        expansion_share=reach.expansion,
        blast_hosts=reach.blast_hosts,
    )
