"""Past demand replayed over a pod: what hosts and devices would have held."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from twin.memory import slices as s
from twin.memory.allocation import Pool, Rule
from twin.memory.demand import Floats, HostEvents, Ints, PastDemand
from twin.memory.pods import Pod
from twin.memory.terms import Terms
from twin.memory.tiling import Tiling

_DAY_S: Final = 86400.0


@dataclass(frozen=True, slots=True)
class Replay:
    """What a replay came to, over H hosts, and the M devices of P pods; hosts that fill no pod are among the H.

    Peaks are those since ``from_s``, at the level of events: of each host all its memory, what lay in the host itself (with what
    overflowed), what of it is never pooled, and the slices asked for; of each device and pod slices. The series (T) are what
    there was at ``t_s``, the ends of samples: slices on each device, and slices asked for by each host's VMs. By pod and since
    ``from_s``: slices moved aside, VMs that found too little room, and for how many slices.
    """

    tiling: Tiling
    terms: Terms
    device_slices: Ints | None
    days: float
    host_peak_bytes: Ints
    host_peak_local_bytes: Ints
    host_peak_unpooled_bytes: Ints
    host_peak_slices: Ints
    device_peak_slices: Ints
    pod_peak_slices: Ints
    t_s: Floats
    device_series: Ints
    host_series: Ints
    migrated_slices: Ints
    overflow_events: Ints
    overflow_slices: Ints

    @property
    def mean_slices(self) -> float:
        """Mean of the slices asked for by all hosts in pods."""
        return float(self.host_series.sum(axis=1).mean()) if len(self.t_s) else 0.0

    @property
    def migrated_share_per_day(self) -> float:
        """Slices moved aside in a day, as a share of those in use."""
        moved = float(self.migrated_slices.sum())
        return moved / self.mean_slices / self.days if moved else 0.0


def replay(  # noqa: PLR0913 - what a replay is: a pod, demand, terms, a rule, a size, a span
    pod: Pod | None, past: PastDemand, terms: Terms, rule: Any, migrate: bool, device_slices: int | Ints | None, from_s: float = 0.0,
    sample_s: float = 300.0,
) -> Replay:  # fmt: skip
    """Replay past demand over a pod that is repeated over the hosts.

    ``device_slices`` is the capacity of every device, of each pod's (P), or of each device (M); None is no limit. ``rule`` is
    made by ``allocation.picker``; its score is zero everywhere. What happens before ``from_s`` only warms the pool up.
    Raises ValueError where nothing is left after it.
    """
    if not 0.0 <= from_s < past.span_s:
        raise ValueError(f"replay: from_s {from_s:g} lies outside the past of {past.span_s:g} s; choose an earlier time")
    tiling = Tiling(pod, past.hosts)
    capacity = _by_device(tiling, device_slices)
    pool = Pool(tiling, terms, past.vms.memory_bytes, capacity)
    how = Rule(rule, np.zeros(tiling.devices), migrate)
    events, none = past.events, np.zeros((0, 0), dtype=np.int64)
    first = int(np.searchsorted(events.t_s, from_s, side="right"))
    pool.walk(_part(events, 0, first), np.array([0, first]), how, none, none)
    pool.begin_peaks()
    before = pool.pods.copy()
    t_s = np.append(np.arange(from_s + sample_s, past.span_s, sample_s), past.span_s)
    edges = np.append(0, np.searchsorted(events.t_s[first:], t_s, side="right"))
    devices, hosts = np.zeros((len(t_s), tiling.devices), dtype=np.int64), np.zeros((len(t_s), tiling.hosts), dtype=np.int64)
    pool.walk(_part(events, first, len(events)), edges, how, devices, hosts)
    counted = pool.pods - before
    return Replay(
        tiling=tiling,
        terms=terms,
        device_slices=capacity,
        days=(past.span_s - from_s) / _DAY_S,
        host_peak_bytes=pool.hosts[:, s.PEAK_BYTES].copy(),
        host_peak_local_bytes=pool.hosts[:, s.PEAK_LOCAL_BYTES].copy(),
        host_peak_unpooled_bytes=pool.hosts[:, s.PEAK_UNPOOLED_BYTES].copy(),
        host_peak_slices=pool.hosts[:, s.PEAK_WANTED].copy(),
        device_peak_slices=pool.peak.copy(),
        pod_peak_slices=pool.pods[:, s.PEAK_OF_POD].copy(),
        t_s=t_s,
        device_series=devices,
        host_series=hosts,
        migrated_slices=counted[:, s.MIGRATED],
        overflow_events=counted[:, s.OVERFLOW_EVENTS],
        overflow_slices=counted[:, s.OVERFLOW_SLICES],
    )


def _by_device(tiling: Tiling, device_slices: int | Ints | None) -> Ints | None:
    """Return the capacity of each device, shape (M)."""
    if device_slices is None:
        return None
    given = np.asarray(device_slices, dtype=np.int64)
    if given.shape == (tiling.pods,):
        given = np.repeat(given, tiling.devices // max(tiling.pods, 1))
    return np.broadcast_to(given, (tiling.devices,)).copy()


def _part(events: HostEvents, low: int, high: int) -> HostEvents:
    return HostEvents(events.t_s[low:high], events.vm[low:high], events.host[low:high], events.begins[low:high])
