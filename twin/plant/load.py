"""What drives the plant, and what its servers are rated for."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.fleet import GPUS_PER_SERVER
from twin.plant.driving import Load
from twin.plant.records import Layout
from twin.stack import read_only

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ratings:
    """What servers (shape S) and GPUs (shape G) are rated for; ``busy_power_share`` is what rented work draws above idle at most.

    ``server_idle_w`` is a server without work, its fans apart. ``busy_power_share`` is a share of a GPU's rating, mean of the fleet.
    """

    server_nameplate_w: Floats
    server_idle_w: Floats
    server_airflow_max_m3_per_s: Floats
    gpu_tdp_w: Floats
    busy_power_share: float


@dataclass(frozen=True, slots=True)
class GpuLoad:
    """What every GPU (shape G) and CPU host (shape H) does until the next tick.

    Shares are of time; ``decode_batch`` is the mean batch while decoding, ``clock_share`` the clock that its owner set.
    ``decode_bandwidth_share`` is the share of memory bandwidth in use while decoding; None takes the model's typical one.
    """

    prefill_share: Floats
    decode_share: Floats
    decode_batch: Floats
    opaque_share: Floats
    resident: NDArray[np.bool_]
    clock_share: Floats
    host_share: Floats
    decode_bandwidth_share: Floats | None = None


def _exact(part: Floats) -> Floats:
    return np.ascontiguousarray(part, np.float64)


def carried(load: GpuLoad, clock_cap_share: Floats, typical_bandwidth_share: Floats, hosts: int) -> Load:
    """Check shapes and hand a load over as the kernel takes it; ``typical_bandwidth_share`` (G) stands in where it names none."""
    bandwidth = typical_bandwidth_share if load.decode_bandwidth_share is None else load.decode_bandwidth_share
    handed = Load(
        _exact(load.prefill_share),
        _exact(load.decode_share),
        _exact(load.decode_batch),
        _exact(bandwidth),
        _exact(load.opaque_share),
        np.ascontiguousarray(load.resident, np.bool_),
        _exact(load.clock_share),
        _exact(clock_cap_share),
        _exact(load.host_share),
    )
    gpus = len(typical_bandwidth_share)
    if [part.shape for part in handed] != [(gpus,)] * (len(handed) - 1) + [(hosts,)]:
        raise ValueError(f"the plant's load must have {gpus} GPUs and {hosts} hosts in every array")
    return handed


def ratings(arrays: Layout) -> Ratings:
    """Return what the servers of these arrays are rated for."""
    mine = arrays.models[arrays.servers["model"].astype(np.int64)]
    busy = mine["opaque_power_share"] - mine["idle_w"] / mine["tdp_w"]
    return Ratings(
        server_nameplate_w=read_only(mine["nameplate_w"].copy()),
        server_idle_w=read_only(mine["base_w"] + GPUS_PER_SERVER * mine["idle_w"]),
        server_airflow_max_m3_per_s=read_only(mine["airflow_max_m3_per_s"].copy()),
        gpu_tdp_w=read_only(np.repeat(mine["tdp_w"], GPUS_PER_SERVER)),
        busy_power_share=float(busy.mean()) if len(busy) else 0.0,
    )
