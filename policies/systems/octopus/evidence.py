"""What the claims are computed from: prices, latency, cables, demand."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import numpy as np

from policies.systems.octopus.options import Site
from twin.memory import cost, designs, latency, planning, prices, saving, sizing, wiring
from twin.memory.levers import TopologyObservation
from twin.memory.optimum import least_peak
from twin.memory.pods import Pod
from twin.memory.saving import Baseline, Saving

Numbers = Mapping[str, float | None]
SMALL: Final = "block-design-25x8n4"
LARGE: Final = "islands-96x8n4"
CONNECTED: Final = "fully-connected-8x8n8"
SWITCHED: Final = "switch-24x8n1-p32"
# Pods of four-port devices, by the ports that a host gives.
PODS: Final = ("block-design-13x4n4", "block-design-16x5n4", SMALL, "islands-64x8n4", LARGE)
TABLES: Final = ("v1-calibrated", "v3-recalled")
HEADROOMS: Final = (0.0, 0.02, 0.05, 0.1)
HEADROOM: Final = 0.05
SLACKS_M: Final = (0.0, 0.15, 0.25)
SEEDS: Final = (1, 2, 3)
# One cable for all, as the published pair can be reproduced with: at this length both tables ask the same.
CABLE_M: Final = 0.75
WORDS: Final[Mapping[Baseline, str]] = {"sum_of_peaks": "every host at its own peak", "uniform_sku": "every host as the worst one"}

HOSTS_RATIO: Final = "hosts of (25,4,1) over hosts of the fully connected pod"
COST_CHANGE: Final = "change of cost per host, v1-calibrated, all cables alike"
RDMA_RATIO: Final = "call by RDMA over call on a shared device"
SWITCH_RATIO: Final = "call through a switch over call on a shared device"
NET: Final = "net saving of server cost, six islands of 16"
SWITCH_NET: Final = "net cost of a switch pod, share of server cost"
LONGEST: Final = "longest cable, no slack, m"
EVEN: Final = "least largest device load over the even share"
GREEDY: Final = "least loaded without moving, (25,4,1): share of the ideal saving"
MOVED: Final = "moved on overflow, 5 % headroom, (25,4,1): share of the ideal saving"


def built(name: str) -> Pod:
    """Return a pod by the name of its design."""
    return designs.parse(name).build()


def hosts_ratio(seen: TopologyObservation) -> Numbers:
    """Return how many more hosts the 25-host block design has than the fully connected pod of as many ports a host."""
    del seen
    large, small = built(SMALL), built(CONNECTED)
    counts = {"hosts of (25,4,1)": float(large.hosts), "hosts of the fully connected pod": float(small.hosts)}
    return {HOSTS_RATIO: large.hosts / small.hosts, **counts, "devices two hosts of (25,4,1) share": float(_shared(large))}


def cost_change(seen: TopologyObservation) -> Numbers:
    """Return the change of cost per host from the fully connected pod to the block design, under each table of prices."""
    found: dict[str, float | None] = {}
    for name in TABLES:
        table = prices.table(name)
        ways: dict[str, Any] = {
            "all cables alike": lambda pod: CABLE_M,
            "own layout": lambda pod: wiring.lay(pod, seen.settings.cable_slack_m),
        }
        for way, laid in ways.items():
            mine, other = (cost.cost_of(pod, table, laid(pod)).per_host_usd for pod in (built(SMALL), built(CONNECTED)))
            found[f"change of cost per host, {name}, {way}"] = mine / other - 1.0
            found[f"(25,4,1), {name}, {way}, USD per host"] = mine
            found[f"fully connected, {name}, {way}, USD per host"] = other
    found["price of eight ports over four, v1-calibrated"] = _ratio("v1-calibrated")
    found["price of eight ports over four, v3-recalled"] = _ratio("v3-recalled")
    return found


def calls(seen: TopologyObservation) -> Numbers:
    """Return how much longer a call takes by RDMA and through a switch than over a shared device, and over the told ranges."""
    del seen
    low_s, high_s = (latency.rpc_s(1, access_s) for access_s in latency.bounds_s("device_4_s"))
    slow_s, slower_s = (latency.rpc_s(1, access_s) for access_s in latency.bounds_s("switch_s"))
    own_s = latency.rpc_s()
    return {
        RDMA_RATIO: latency.rpc_rdma_s() / own_s,
        SWITCH_RATIO: latency.rpc_switch_s() / own_s,
        "call on a shared device, ns": 1e9 * own_s,
        "call by RDMA, ns": 1e9 * latency.rpc_rdma_s(),
        "call through a switch, ns": 1e9 * latency.rpc_switch_s(),
        "RDMA ratio at the slowest device told": latency.rpc_rdma_s() / high_s,
        "RDMA ratio at the fastest device told": latency.rpc_rdma_s() / low_s,
        "switch ratio at the fastest switch told": slow_s / own_s,
        "switch ratio at the slowest switch told": slower_s / own_s,
    }


def net(seen: TopologyObservation) -> Numbers:
    """Return what pods save of a server's cost, with the DRAM they save on past demand, and with the saving that was fitted.

    Pods that are larger than the site are left out.
    """
    site, plain, replacing = Site.of(seen, HEADROOM, True), cost.server(), cost.server_with_expansion()
    table = prices.table(seen.settings.prices)
    found: dict[str, float | None] = {}
    for name, label in ((LARGE, "six islands of 16"), (SMALL, "(25,4,1)"), (SWITCHED, "switch pod of 24")):
        pod = built(name)
        if pod.hosts > site.past.hosts:
            continue
        usd = cost.cost_of(pod, table, wiring.lay(pod, seen.settings.cable_slack_m)).per_host_usd
        found[f"cost of {label}, USD per host"] = usd
        for against, words in WORDS.items():
            share = _saved(pod, site, HEADROOM, against).total_share
            found[f"DRAM saved, {label}, against {words}"] = share
            found[f"net saving, {label}, against {words}"] = cost.net_saving_share(share, usd, plain)
        fitted = cost.fitted_dram_saving_share()
        found[f"net saving, {label}, with the fitted saving"] = cost.net_saving_share(fitted, usd, plain)
        found[f"net saving, {label}, with the fitted saving and replaced expansion"] = cost.net_saving_share(fitted, usd, replacing)
    words = WORDS[seen.settings.saving_against]
    switch = found.get(f"net saving, switch pod of 24, against {words}")
    ours = {NET: found.get(f"net saving, six islands of 16, against {words}"), SWITCH_NET: None if switch is None else -switch}
    return {**ours, **found}


def cables(seen: TopologyObservation) -> Numbers:
    """Return the longest cable of 96 hosts without slack, the worst of three layouts, and how many are too long with slack."""
    del seen
    pod = built(LARGE)
    found: dict[str, float | None] = {}
    for slack_m in SLACKS_M:
        laid = [wiring.lay(pod, slack_m, seed=seed) for seed in SEEDS]
        label = f"slack {slack_m:g} m"
        found[f"longest cable, {label}, m"] = max(each.longest_m for each in laid)
        found[f"cables over {laid[0].limit_m:g} m, {label}, share"] = max(each.too_long / len(each.cable_m) for each in laid)
        found[f"mean cable, {label}, m"] = float(np.mean([each.cable_m.mean() for each in laid]))
    return {LONGEST: found["longest cable, slack 0 m, m"], **found}


def topology(seen: TopologyObservation) -> Numbers:
    """Return by how much the best split of each pod's fullest moment exceeds an even one: what topology alone loses."""
    site = Site.of(seen, HEADROOM, True)
    found: dict[str, float | None] = {}
    for name in PODS:
        found[f"{EVEN}, {_short(name)}"] = _uneven(built(name), site)
    known = [value for value in found.values() if value is not None]
    return {EVEN: max(known, default=None), **found}


def allocators(seen: TopologyObservation) -> Numbers:
    """Return what least loaded filling and moving on overflow reach of the ideal saving, over pods, headrooms and both baselines."""
    site = Site.of(seen, HEADROOM, True)
    found: dict[str, float | None] = {}
    for name in PODS:
        pod = built(name)
        if pod.hosts > site.past.hosts:
            continue
        plain = _replayed(pod, site, None)
        for against, words in WORDS.items():
            found[f"{_short(name)}, ideal pooled saving against {words}"] = saving.saving(plain, against).ideal_pooled_share
            found[f"{_short(name)}, least loaded, never moved: of the ideal against {words}"] = saving.saving(plain, against).of_ideal
        for headroom_share in HEADROOMS:
            label = f"{_short(name)}, moved on overflow, {headroom_share:.0%} headroom"
            for against, words in WORDS.items():
                found[f"{label}: of the ideal against {words}"] = _saved(pod, site, headroom_share, against).of_ideal
            done = _replayed(pod, site, headroom_share)
            found[f"{label}: moved a day, share of the pool"] = done.migrated_share_per_day
            found[f"{label}: VMs without room a day"] = float(done.overflow_events.sum()) / done.days
    own = WORDS["sum_of_peaks"]
    return {
        GREEDY: found.get(f"{_short(SMALL)}, least loaded, never moved: of the ideal against {own}"),
        MOVED: found.get(f"{_short(SMALL)}, moved on overflow, {HEADROOM:.0%} headroom: of the ideal against {own}"),
        **found,
    }


def _replayed(pod: Pod, site: Site, headroom_share: float | None) -> planning.Replay:
    """Return past demand on a pod: with devices of each pod's size and slices moved on overflow, or without either."""
    from policies.baselines import pickers  # compiles its rules when it is loaded

    replay = partial(planning.replay, pod, site.past, site.terms, pickers.least_loaded)
    if headroom_share is None:
        return replay(False, None)
    return replay(True, sizing.pod_slices(pod, site.past, site.terms, headroom_share))


def _saved(pod: Pod, site: Site, headroom_share: float, against: Baseline) -> Saving:
    return saving.saving(_replayed(pod, site, headroom_share), against)


def _uneven(pod: Pod, site: Site) -> float | None:
    """Return the least largest load over the even one at the fullest sample, the worst of all repeated pods; None without demand."""
    if pod.hosts > site.past.hosts:
        return None
    done = _replayed(pod, site, None)
    ratios = []
    for host in range(0, done.tiling.pods * pod.hosts, pod.hosts):
        asked = done.host_series[:, host : host + pod.hosts]
        fullest = asked[int(asked.sum(axis=1).argmax())].astype(np.float64)
        if fullest.any():
            ratios.append(least_peak(pod.reach, pod.devices, fullest)[0] / (fullest.sum() / pod.devices))
    return max(ratios, default=None)


def _short(name: str) -> str:
    design = designs.parse(name)
    return f"({design.hosts},{design.device_ports},1)" if design.kind == "block_design" else f"{design.islands} islands of 16"


def _ratio(name: str) -> float:
    table = prices.table(name)
    return table.device(8) / table.device(4)


def _shared(pod: Pod) -> int:
    return int(pod.overlap[np.triu_indices(pod.hosts, 1)].max())
