"""DRAM that a pool saves, against a baseline that is always named."""

from dataclasses import dataclass
from typing import Final, Literal

from twin.memory.demand import Ints
from twin.memory.planning import Replay

Baseline = Literal["sum_of_peaks", "uniform_sku"]
BASELINES: Final[dict[str, str]] = {
    "sum_of_peaks": "every host with the DRAM of its own peak",
    "uniform_sku": "every host with the DRAM of the worst one",
}


@dataclass(frozen=True, slots=True)
class Saving:
    """DRAM that hosts in pods need, with and without the pool, and shares of it that are not bought.

    ``total_share`` is of all their DRAM, ``pooled_share`` of the part that is pooled alone, ``site_share`` of the DRAM of all hosts,
    those outside of pods included, which save nothing. The ideal ones are those of devices
    that just hold the pod's peak, filled evenly. Bytes are ``baseline_bytes`` without a pool, ``local_bytes`` in hosts and
    ``device_bytes`` on devices with it.
    """

    against: Baseline
    total_share: float
    pooled_share: float
    site_share: float
    ideal_total_share: float
    ideal_pooled_share: float
    baseline_bytes: int
    local_bytes: int
    device_bytes: int

    @property
    def of_ideal(self) -> float:
        """How much of what an ideal pool saves of the pooled part is saved; not-a-number where that is nothing."""
        return self.pooled_share / self.ideal_pooled_share if self.ideal_pooled_share > 0 else float("nan")


def provisioned(host_bytes: Ints, against: Baseline) -> int:
    """Return the DRAM bytes that hosts of these peaks (H) are built with: each its own, or each the worst one's."""
    return int(host_bytes.sum()) if against == "sum_of_peaks" else len(host_bytes) * int(host_bytes.max(initial=0))


def saved_share(host_peak_bytes: Ints, host_peak_local_bytes: Ints, pool_bytes: int, against: Baseline) -> float:
    """Return the share of DRAM not bought: without a pool hosts hold all themselves, with it their local part beside the pool."""
    without = provisioned(host_peak_bytes, against)
    return 1.0 - (provisioned(host_peak_local_bytes, against) + pool_bytes) / without if without else 0.0


def saving(done: Replay, against: Baseline) -> Saving:
    """Return what a replay saved on the hosts in pods.

    Without a limit of capacity devices are as large as the fullest of their pod has been (sum of peaks), or of all pods
    (uniform). The ideal is each pod's peak, or that of the fullest one. Raises ValueError where there is no pod.
    """
    tiling, size = done.tiling, done.terms.slice_bytes
    if tiling.pod is None:
        raise ValueError("saving: there is no pod, so nothing is saved; choose one first")
    inside = tiling.host_pods >= 0
    peaks, local, unpooled = (
        values[inside] for values in (done.host_peak_bytes, done.host_peak_local_bytes, done.host_peak_unpooled_bytes)
    )
    pool, best = size * _slices(_largest(done), tiling.pod.devices, against), size * _slices(done.pod_peak_slices, 1, against)
    without = provisioned(size * done.host_peak_slices[inside], against)
    overflown = provisioned(local, against) - provisioned(unpooled, against)
    alone, bought = provisioned(peaks, against), provisioned(local, against) + pool
    # Whoever is in no pod keeps the DRAM that the baseline gives them.
    everywhere = provisioned(done.host_peak_bytes, against)
    return Saving(
        against=against,
        total_share=saved_share(peaks, local, pool, against),
        pooled_share=1.0 - (pool + overflown) / without if without else 0.0,
        site_share=1.0 - (bought + everywhere - alone) / everywhere if everywhere else 0.0,
        ideal_total_share=saved_share(peaks, unpooled, best, against),
        ideal_pooled_share=1.0 - best / without if without else 0.0,
        baseline_bytes=alone,
        local_bytes=provisioned(local, against),
        device_bytes=pool,
    )


def _largest(done: Replay) -> Ints:
    """Return the slices that each device of a pod (P) is built for: its capacity, or the most that the fullest one held."""
    slices = done.device_peak_slices if done.device_slices is None else done.device_slices
    largest: Ints = slices.reshape(done.tiling.pods, -1).max(axis=1)
    return largest


def _slices(each: Ints, devices: int, against: Baseline) -> int:
    """Return the slices of all pods: each its own (P) for so many devices, or each the largest pod's."""
    return devices * (int(each.sum()) if against == "sum_of_peaks" else len(each) * int(each.max()))
