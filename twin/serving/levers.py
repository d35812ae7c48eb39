"""What a holder of a serving lever may see and move."""

from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from twin.serving.batching import ROUTE_MEMORY as ROUTE_MEMORY
from twin.serving.batching import ROUTE_SIGNATURE as ROUTE_SIGNATURE
from twin.serving.batching import ROUTE_TYPE as ROUTE_TYPE
from twin.stack import Lever

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
CLOCK_LOW: Final = 0.2
CLOCK_HIGH: Final = 1.0
BATCH_LOW: Final = 1
BATCH_HIGH: Final = 256

LEVERS: Final = (
    Lever("instance_config", "serving", "by window", "static", "clock and batch limit of each instance", "configure", "narrow_config"),
    Lever("instance_scaling", "serving", "by window", "static_peak", "which instances are on", "scale", "narrow_scaling"),
    Lever("request_routing", "serving", "compiled", "least_outstanding", "which instance takes a request", "refresh", "admit"),
)

# States of an instance.
OFF: Final = 0
STARTING: Final = 1
ON: Final = 2
DRAINING: Final = 3


@dataclass(frozen=True, slots=True)
class ServingObservation:
    """Serving and the plant around it at the end of the last window; arrays are read-only.

    Shapes: I instances, E endpoints, R rows. An instance is one model replica on ``instance_gpus`` GPUs of one server.
    Per-window figures (``*_share``, ``*_per_s``, ``batch_mean``) are averages over the last ``window_s``.
    ``gpu_temp_max_c`` is the hottest GPU of the instance now, ``gpu_temp_window_max_c`` over the window,
    ``gpu_power_w`` the mean power of one of its GPUs, ``speed_share`` what its slowest GPU really runs at.
    ``max_batch`` is the batch limit in force, ``configured_max_batch`` the scenario's.
    ``latency`` holds the coefficients of the latency profile of each instance, columns as in ``twin.serving.latency``.
    """

    t_s: float
    window_s: float
    hour: float
    outside_c: float
    # topology
    instance_endpoint: Ints
    instance_server: Ints
    instance_row: Ints
    instance_gpus: Ints
    gpu_tdp_w: Floats
    latency: Floats
    endpoint_ids: tuple[str, ...]
    row_ids: tuple[str, ...]
    instance_usd_per_h: Floats
    # serving
    state: Ints
    clock_share: Floats
    speed_share: Floats
    max_batch: Ints
    configured_max_batch: Ints
    outstanding: Ints
    queued: Ints
    batch_mean: Floats
    kv_share: Floats
    prefill_share: Floats
    decode_share: Floats
    endpoint_arrivals_per_s: Floats
    endpoint_prompt_tokens_per_s: Floats
    endpoint_output_tokens_per_s: Floats
    endpoint_ttft_slo_s: Floats
    endpoint_atgt_slo_s: Floats
    # plant, filled by the world
    gpu_temp_max_c: Floats
    gpu_temp_window_max_c: Floats
    gpu_limit_c: Floats
    gpu_power_w: Floats
    inlet_c: Floats
    row_power_w: Floats
    row_budget_w: Floats


@dataclass(frozen=True, slots=True)
class PlantAtInstances:
    """What the plant tells serving at the end of a window; fields as in ServingObservation, shapes I and R."""

    outside_c: float
    speed_share: Floats
    gpu_tdp_w: Floats
    gpu_temp_max_c: Floats
    gpu_temp_window_max_c: Floats
    gpu_limit_c: Floats
    gpu_power_w: Floats
    inlet_c: Floats
    row_power_w: Floats
    row_budget_w: Floats


@dataclass(frozen=True, slots=True)
class ConfigAction:
    """Clock (0.2 to 1) and batch limit (1 to 256) of each instance, shape I, until the next window."""

    clock_share: Floats
    max_batch: Ints


@dataclass(frozen=True, slots=True)
class ScalingAction:
    """Which instances are wanted on, shape I. One that is no longer wanted drains; one newly wanted starts."""

    wanted: Bools


class InstanceConfig(Protocol):
    """Clock and batch limit of each instance, by window."""

    def configure(self, seen: ServingObservation) -> ConfigAction:
        """Return the settings for the next window."""


class ConfigGuard(Protocol):
    """Narrows what the holder below it set."""

    def narrow_config(self, seen: ServingObservation, action: ConfigAction) -> ConfigAction:
        """Return settings that are nowhere higher than those given."""


class InstanceScaling(Protocol):
    """Which instances are on, by window."""

    def scale(self, seen: ServingObservation) -> ScalingAction:
        """Return the wanted instances for the next window."""


class RequestRouting(Protocol):
    """Which instance takes a request: a compiled rule, refreshed each window."""

    route: Any  # an @njit(ROUTE_SIGNATURE, cache=True) function

    def refresh(self, seen: ServingObservation) -> Floats:
        """Return one score per instance, shape I, for the compiled rule to use until the next window."""


class RoutingGuard(Protocol):
    """Strikes out instances before the router chooses."""

    def admit(self, seen: ServingObservation) -> Bools:
        """Return which instances may take new requests, shape I."""
