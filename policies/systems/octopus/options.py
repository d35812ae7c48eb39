"""What a pod would come to at a site: price, cables, and past demand."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Final, get_args

import numpy as np

from policies.system import Option
from policies.systems.octopus.limits import COST, HOSTS, LATENCY, SAVING
from policies.systems.octopus.unbeaten import SITE_SAVING
from twin.memory import cost, latency, planning, prices, saving, sizing
from twin.memory.demand import PastDemand
from twin.memory.designs import Design
from twin.memory.figures import figures_of
from twin.memory.levers import TopologyObservation
from twin.memory.settings import Settings
from twin.memory.terms import Terms

MIGRATED: Final = "memory.migrated_bytes"
OVERFLOWS: Final = "memory.overflow_events"
_DAY_S: Final = 86400.0


@dataclass(frozen=True)
class Site:
    """What a pod is judged by: the site's settings, what stood on its hosts before, and how devices are sized and filled.

    Two sites are the same where their settings and every event are.
    """

    settings: Settings
    headroom_share: float
    migrate: bool
    past: PastDemand = field(compare=False, repr=False)
    digest: str = ""
    device_bytes: tuple[int, ...] = ()

    @classmethod
    def of(cls, seen: TopologyObservation, headroom_share: float, migrate: bool, device_bytes: tuple[int, ...] = ()) -> "Site":
        """Return the site that a holder of topology sees; ``device_bytes`` where devices are bought already, one size or one a pod."""
        past = seen.past()
        digested = hashlib.sha256(repr((past.hosts, past.span_s)).encode())
        for part in (past.events.t_s, past.events.vm, past.events.host, past.events.begins, past.vms.memory_bytes):
            digested.update(np.ascontiguousarray(part).tobytes())
        return cls(seen.settings, headroom_share, migrate, past, digested.hexdigest(), device_bytes)

    @property
    def terms(self) -> Terms:
        """How VMs' memory is pooled."""
        return Terms(self.settings.pooled_share, self.settings.slice_bytes)

    @cached_property
    def prices(self) -> prices.Prices:
        """The site's table of prices."""
        return prices.table(self.settings.prices)


def least_usd(design: Design, site: Site) -> float:
    """Return what a pod costs per host if its shortest cables all do: no layout is cheaper. ValueError where it has no price."""
    return cost.cost_of(design.build(), site.prices, min(site.prices.cable_m)).per_host_usd


@lru_cache(maxsize=512)
def device_bytes(design: Design, site: Site) -> int | tuple[int, ...]:
    """Return the capacity of devices, of all or by pod as the site buys DRAM: what past demand asked, with headroom.

    Where they are bought already, that. ValueError, one line, where their number is not that of the site's pods.
    """
    if site.device_bytes:
        pods = site.past.hosts // design.hosts
        if len(site.device_bytes) not in {1, pods}:
            raise ValueError(
                f"octopus.device_bytes: {len(site.device_bytes)} sizes of devices for {pods} pods of {design.name}; "
                "give one, or one for each pod, or leave them out to size them by past demand"
            )
        return site.device_bytes[0] if len(site.device_bytes) == 1 else site.device_bytes
    return sizing.bought_bytes(design.build(), site.past, site.terms, site.headroom_share, site.settings.saving_against)


@lru_cache(maxsize=512)
def replayed(design: Design, site: Site) -> planning.Replay:
    """Return past demand on the pod, its devices sized by that demand."""
    from policies.baselines import pickers  # compiles its rules when it is loaded

    slices = np.array(device_bytes(design, site)) // site.settings.slice_bytes
    return planning.replay(design.build(), site.past, site.terms, pickers.least_loaded, site.migrate, slices)


def saved(design: Design, site: Site) -> saving.Saving:
    """Return the DRAM that would not be bought, against the site's baseline: by the hosts in pods, as a run says it, and on the site."""
    return saving.saving(replayed(design, site), site.settings.saving_against)


@lru_cache(maxsize=512)
def option(design: Design, site: Site) -> Option:
    """Return what a design comes to. ValueError, one line, where it has no price or its cables are too long."""
    pod, done = design.build(), replayed(design, site)
    sizes = device_bytes(design, site)
    bytes_mean = float(np.mean(sizes))
    figures = figures_of(pod, round(bytes_mean), site.settings)
    by_day = 1.0 / max(done.days, 1.0 / _DAY_S)
    metrics = {
        HOSTS: float(pod.hosts),
        COST: figures.cost_usd_per_host,
        SAVING: saved(design, site).total_share,
        LATENCY: figures.access_latency_s,
        MIGRATED: float(done.migrated_slices.sum()) * site.settings.slice_bytes * by_day,
        OVERFLOWS: float(done.overflow_events.sum()) * by_day,
    }
    built = {
        "devices": float(pod.devices),
        "host_ports": float(pod.host_ports),
        "device_ports": float(pod.device_ports),
        "device_bytes": bytes_mean,
        "pods": float(done.tiling.pods),
        "hosts_without_pod": float(done.tiling.hosts - done.tiling.pods * pod.hosts),
        "longest_cable_m": figures.longest_cable_m,
        "devices_usd": figures.devices_usd,
        "switches_usd": figures.switches_usd,
        "cables_usd": figures.cables_usd,
        "power_w": figures.power_w,
        "one_hop_share": figures.one_hop_share,
        "two_hop_share": figures.two_hop_share,
        "expansion_share": figures.expansion_share,
        "blast_hosts": float(figures.blast_hosts),
        SITE_SAVING: saved(design, site).site_share,
        "rpc_s": latency.rpc_s(1, figures.access_latency_s),
    }
    knobs = {"design": design.name, "device_bytes": sizes if isinstance(sizes, tuple) else (sizes,)}
    return Option(design.name, design.title, metrics, {**built, **_savings(done), **_net(metrics)}, knobs=knobs)


def _savings(done: planning.Replay) -> Mapping[str, float]:
    """Return what is saved on the hosts in pods, against each baseline by its name."""
    if not done.host_peak_bytes.any():
        return {}
    found = {against: saving.saving(done, against) for against in get_args(saving.Baseline)}
    return {
        f"in_pods_{against}_{name}": getattr(each, name)
        for against, each in found.items()
        for name in ("total_share", "pooled_share", "ideal_pooled_share")
    }


def _net(metrics: Mapping[str, float]) -> Mapping[str, float]:
    return {"net_saving_share": cost.net_saving_share(metrics[SAVING], metrics[COST])}
