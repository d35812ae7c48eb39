"""How large pool devices are: past peaks, and room above them."""

import numpy as np

from twin.memory.demand import Ints, PastDemand
from twin.memory.pods import Pod
from twin.memory.terms import Terms
from twin.memory.tiling import Tiling


def pod_slices(pod: Pod, past: PastDemand, terms: Terms, headroom_share: float, *, from_s: float = 0.0) -> Ints:
    """Return for each pod (P) how many slices its devices need: its peak filled evenly, or that of one host over its own devices.

    At least ``headroom_share`` comes on top, up to whole slices; what is before ``from_s`` is left out. Without headroom no
    assignment fits into less, and almost always one fits into this (see ``optimum``).
    """
    tiling = Tiling(pod, past.hosts)
    inside = tiling.host_pods[past.events.host] >= 0
    vm, host = past.events.vm[inside], past.events.host[inside]
    change = np.where(past.events.begins[inside], 1, -1) * terms.slices(past.vms.memory_bytes)[vm]
    late = int(np.searchsorted(past.events.t_s[inside], from_s, side="right"))
    of_pod = _peaks(tiling.host_pods[host], change, tiling.pods, late)
    of_host = _peaks(host, change, tiling.pods * pod.hosts, late).reshape(tiling.pods, -1).max(axis=1)
    exact = np.maximum(of_pod / pod.devices, of_host / pod.reach.shape[1])
    # A share such as 0.1 is a little more than it says, and must not ask for one slice more than that.
    need: Ints = np.maximum(np.ceil(exact * (1.0 + headroom_share) - 1e-9), 1.0).astype(np.int64)
    return need


def host_peaks(past: PastDemand, terms: Terms) -> tuple[Ints, Ints]:
    """Return the highest memory of each host (H) before a run, bytes: all of it, and what of it is not to be pooled."""
    events, ones = past.events, np.where(past.events.begins, 1, -1)
    pooled = terms.slices(past.vms.memory_bytes) * terms.slice_bytes
    whole, local = (
        _peaks(events.host, ones * size[events.vm], past.hosts, 0) for size in (past.vms.memory_bytes, past.vms.memory_bytes - pooled)
    )
    return whole, local


def device_bytes(pod: Pod, past: PastDemand, terms: Terms, headroom_share: float, *, from_s: float = 0.0) -> int:
    """Return the bytes of every device, one size for all: what the pod that needs the most does."""
    return int(pod_slices(pod, past, terms, headroom_share, from_s=from_s).max()) * terms.slice_bytes


def bought_bytes(pod: Pod, past: PastDemand, terms: Terms, headroom_share: float, against: str) -> int | tuple[int, ...]:
    """Return the bytes of devices as DRAM is bought on the site: one size for all (uniform_sku), or each pod its own (sum_of_peaks)."""
    if against == "uniform_sku":
        return device_bytes(pod, past, terms, headroom_share)
    return tuple(int(slices) * terms.slice_bytes for slices in pod_slices(pod, past, terms, headroom_share))


def _peaks(group: Ints, change: Ints, groups: int, late: int) -> Ints:
    """Return the largest running sum of each group (G) from place ``late`` on; what it is at that place counts."""
    order = np.argsort(group, kind="stable")
    sizes = np.bincount(group, minlength=groups)
    ends = np.cumsum(sizes)
    sums = np.cumsum(change[order])
    sums -= np.repeat(np.append(0, sums)[ends - sizes], sizes)
    standing = np.bincount(group[:late], weights=change[:late], minlength=groups).astype(np.int64)
    out = standing
    after = order >= late
    np.maximum.at(out, group[order[after]], sums[after])
    return out
