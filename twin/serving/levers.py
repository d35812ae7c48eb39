"""What a holder of a serving lever may see and move."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from twin.serving.batching import ROUTE_MEMORY as ROUTE_MEMORY
from twin.serving.batching import ROUTE_SIGNATURE as ROUTE_SIGNATURE
from twin.serving.batching import ROUTE_TYPE as ROUTE_TYPE
from twin.serving.batching import router as router
from twin.stack import Lever

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
CLOCK_LOW: Final = 0.2
CLOCK_HIGH: Final = 1.0
BATCH_LOW: Final = 1
BATCH_HIGH: Final = 256

LEVERS: Final = (
    Lever("stage_layout", "serving", "by window", "monolithic", "which stages each instance serves", "lay"),
    Lever(
        "instance_config", "serving", "by window", "static", "model, clock and batch limit of each instance", "configure", "narrow_config"
    ),
    Lever("instance_scaling", "serving", "by window", "static_peak", "which instances are on", "scale", "narrow_scaling"),
    Lever("request_routing", "serving", "compiled", "least_outstanding", "which instance takes a request", "refresh", "admit"),
)

# States of an instance.
OFF: Final = 0
STARTING: Final = 1
ON: Final = 2
DRAINING: Final = 3

# Roles of an instance: which stages it serves. One that prefills also encodes the images that no image instance has encoded.
WHOLE: Final = 0  # prefill and decode
IMAGE: Final = 1  # encodes images, nothing else
PREFILL: Final = 2  # hands requests over after their first token
DECODE: Final = 3  # takes them over
ROLE_NAMES: Final = ("whole", "image", "prefill", "decode")

# What a router may leave behind of its last placement in these places of its memory, and the reasons in words.
PLACED_FEASIBLE: Final = 1
PLACED_REASON: Final = 2
# And where it counts the requests that no instance could hold; ``endpoint_overflows`` says how many there were in a window.
PLACED_OVERFLOWS: Final = 3
PLACEMENT_REASONS: Final = (
    "by its rule",
    "fullest worker that holds",
    "no worker holds it, least loaded",
    "fewest pending tokens",
    "under-running worker first",
)


@dataclass(frozen=True, slots=True)
class Finished:
    """The requests that finished in the last window, one entry each; what is not known (ATGT of one token) is not a number.

    ``instance`` is the one that gave the last token. ``prompt_tokens`` are those of the language model, images included.
    """

    endpoint: Ints
    instance: Ints
    prompt_tokens: Ints
    output_tokens: Ints
    tiles: Ints
    ttft_s: Floats
    atgt_s: Floats


@dataclass(frozen=True, slots=True)
class ServingObservation:
    """Serving and the plant around it at the end of the last window; arrays are read-only.

    Shapes: I instances, E endpoints, R rows, V variants. An instance is a slot: ``instance_gpus`` neighbouring GPUs of one
    server, from ``instance_first_gpu`` on, that hold one model replica while it is on. Slots that share GPUs exclude each
    other; ``configured`` are those of the width that the scenario asks for. ``role`` says which stages it serves, ``variant``
    which model of the endpoint's list it holds.
    Per-window figures (``*_share``, ``*_per_s``, ``batch_mean``) are averages over the last ``window_s``.
    ``gpu_temp_max_c`` is the hottest GPU of the instance now, ``gpu_temp_window_max_c`` over the window,
    ``gpu_power_w`` the mean power of one of its GPUs, ``speed_share`` what its slowest GPU really runs at,
    ``aisle_airflow_share`` what the servers of its aisle draw of the air that there is (above 1 they draw exhaust).
    ``max_batch`` is the batch limit in force, ``configured_max_batch`` the scenario's.
    ``latency`` holds the coefficients of the latency profile of each instance, columns as in ``twin.serving.latency``,
    ``variant_latency`` the same of every variant (not a number where it does not fit), ``variant_quality_share`` their
    quality, shape E x V. ``encode_s`` is base and per-tile time of encoding, shape I x 2, zeros where there are no images.
    ``prefill_iterations`` ended in the window and read ``prompt_tokens``, in squares (per request) ``squared_prompt_tokens``.
    ``decode_iterations`` had no prefill; ``decoded_tokens`` and ``decoded_context_tokens`` sum their batches and what these held.
    ``endpoint_decodes_beside`` says where batches decode beside a prefill too, in its iteration.
    ``pending_tokens`` are prompt tokens that wait for prefill, ``pending_tiles`` tiles that wait for an image instance.
    ``finished()`` gives the requests that finished in the last window.
    """

    t_s: float
    window_s: float
    hour: float
    outside_c: float
    # topology
    instance_endpoint: Ints
    instance_server: Ints
    instance_row: Ints
    instance_first_gpu: Ints
    instance_gpus: Ints
    configured: Bools
    gpu_tdp_w: Floats
    latency: Floats
    variant_latency: Floats
    variant_quality_share: Floats
    encode_s: Floats
    endpoint_ids: tuple[str, ...]
    row_ids: tuple[str, ...]
    instance_usd_per_h: Floats
    # serving
    state: Ints
    role: Ints
    variant: Ints
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
    encode_share: Floats
    prefill_iterations: Ints
    prompt_tokens: Ints
    squared_prompt_tokens: Ints
    decode_iterations: Ints
    decoded_tokens: Ints
    decoded_context_tokens: Ints
    preemptions: Ints
    pending_tokens: Ints
    pending_tiles: Ints
    endpoint_overflows: Ints
    endpoint_arrivals_per_s: Floats
    endpoint_image_arrivals_per_s: Floats
    endpoint_tiles_per_s: Floats
    endpoint_tokens_per_tile: Floats
    endpoint_prompt_tokens_per_s: Floats
    endpoint_output_tokens_per_s: Floats
    endpoint_ttft_slo_s: Floats
    endpoint_atgt_slo_s: Floats
    endpoint_decodes_beside: Bools
    finished: Callable[[], Finished]
    # plant, filled by the world
    gpu_temp_max_c: Floats
    gpu_temp_window_max_c: Floats
    gpu_limit_c: Floats
    gpu_power_w: Floats
    inlet_c: Floats
    row_power_w: Floats
    row_budget_w: Floats
    aisle_airflow_share: Floats


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
    aisle_airflow_share: Floats


@dataclass(frozen=True, slots=True)
class LayoutAction:
    """The role of each instance, shape I. One whose role changes drains, loads what it needs and comes back.

    Where an endpoint would be left without a way from prefill to decode its instances stay WHOLE.
    """

    role: Ints


@dataclass(frozen=True, slots=True)
class ConfigAction:
    """Clock (0.2 to 1) and batch limit (1 to 256) of each instance, shape I, until the next window.

    ``variant`` is the model that each should hold, by its place in the endpoint's list; None leaves them. One whose variant
    changes drains, loads the other model and comes back.
    """

    clock_share: Floats
    max_batch: Ints
    variant: Ints | None = None


@dataclass(frozen=True, slots=True)
class ScalingAction:
    """Which instances are wanted on, shape I. One that is no longer wanted drains; one newly wanted starts.

    Of wanted instances that share GPUs the first keeps them; one newly wanted waits until the GPUs are free.
    """

    wanted: Bools


class StageLayout(Protocol):
    """Which stages each instance serves, by window."""

    def lay(self, seen: ServingObservation) -> LayoutAction:
        """Return the roles for the next window."""


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


class ScalingGuard(Protocol):
    """Narrows which instances are on, or swaps them for others on the same GPUs."""

    def narrow_scaling(self, seen: ServingObservation, action: ScalingAction) -> ScalingAction:
        """Return the wanted instances without some of them; others may be added whose GPUs all belong to those taken out.

        What is added beyond that is dropped and counted.
        """


class RequestRouting(Protocol):
    """Which instance takes a request: a compiled rule, refreshed each window.

    A holder may also have ``route_decode`` (the rule at the hand-over to decode instances, by default ``route``),
    ``route_memory`` (how many integers its rules keep per endpoint and stage, ROUTE_MEMORY at least) and ``image_pieces``
    (over how many image instances the tiles of one request may be split, by default 1). Image instances always take the
    next piece by the fewest pending image tokens.
    """

    route: Any  # a function decorated with ``router``

    def refresh(self, seen: ServingObservation) -> Floats:
        """Return scores for the compiled rule to use until the next window, shape I or I x any number."""


class RoutingGuard(Protocol):
    """Strikes out instances before the router chooses; they are back from the next tick on once those that are left have queues."""

    def admit(self, seen: ServingObservation) -> Bools:
        """Return which instances may take new requests, shape I."""
