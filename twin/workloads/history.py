"""What past VMs of each workload drew, for placement to predict from."""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twin.chance import stream
from twin.workloads.levers import HOURS_OF_WEEK, PastVms
from twin.workloads.load import Load, wave_share
from twin.workloads.settings import Settings

Floats = NDArray[np.float64]
# Past VMs of each template, and the weeks that each was seen for.
VMS: Final = 12
WEEKS: Final = 4


def past_vms(settings: Settings, workload_ids: tuple[str, ...], expected: Mapping[str, Floats], power_share: float, seed: int) -> PastVms:
    """Return the history by hour of the week, Monday 00:00 first, shape (W, 168).

    Drawn from the same templates as the run's own VMs and from none of its draws. ``expected`` gives the demand that is expected
    of each endpoint in those hours, in any unit; its VMs' peak is their declared load. ``power_share`` is the power over idle
    of a fully busy GPU as a share of its rating.
    """
    mean, highest = np.zeros((len(workload_ids), HOURS_OF_WEEK)), np.zeros((len(workload_ids), HOURS_OF_WEEK))
    for index, workload in enumerate(workload_ids):
        random = stream(seed, "workloads", "history", workload)
        rented = [group.load for group in settings.vms if group.workload == workload and group.kind == "iaas"]
        rented += [asked.load for asked in settings.arrivals if asked.workload == workload]
        seen = [_seen(_wave(load, random), load, random) for load in rented]
        for group in settings.vms:
            if group.workload == workload and group.kind == "saas":
                seen.append(_seen(_served(group.load, expected[group.endpoint or group.workload], random), group.load, random))
        share = np.concatenate(seen)
        mean[index], highest[index] = share.mean(axis=(0, 1)), share.max(axis=(0, 1))
    return PastVms(power_share * mean, power_share * highest)


def _wave(load: Load, random: np.random.Generator) -> Floats:
    """Return the template of each past VM without noise, shape (VMS, 168): the middle of each hour stands for it."""
    mean = load.mean_share + load.spread_share * random.standard_normal((VMS, 1))
    peak = load.peak_hour + load.spread_h * random.standard_normal((VMS, 1))
    hours = np.arange(HOURS_OF_WEEK)
    weekday = wave_share(mean, np.full((1, 1), load.swing_share), peak, hours % 24 + 0.5)
    return np.asarray(weekday * np.where(hours // 24 >= 5, load.weekend_share, 1.0))


def _served(load: Load, expected: Floats, random: np.random.Generator) -> Floats:
    """Return the template of each past VM of an endpoint, shape (VMS, 168)."""
    declared = min(1.0, load.mean_share + load.swing_share) + load.spread_share * random.standard_normal((VMS, 1))
    return np.asarray(declared * expected / expected.max())


def _seen(wave: Floats, load: Load, random: np.random.Generator) -> Floats:
    """Return hourly means with noise, shape (VMS, WEEKS, 168)."""
    noise = load.noise_share * random.standard_normal((VMS, WEEKS, HOURS_OF_WEEK))
    return np.asarray(np.clip(wave[:, None, :] + noise, 0.0, 1.0))
