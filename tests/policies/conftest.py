"""Observations as the twin hands them over, for tests of single decisions."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from policies.system import Surroundings
from twin.plant.levers import PlantObservation
from twin.serving.latency import profile
from twin.serving.levers import ON, Finished, ServingObservation
from twin.stack import read_only

INSTANCES = 8


@pytest.fixture(scope="session")
def around() -> Surroundings:
    """Two rows of two servers with eight GPUs each; one endpoint."""
    return Surroundings(
        row_ids=("row-1", "row-2"),
        rack_ids=("rack-1", "rack-2"),
        server_ids=("server-1", "server-2", "server-3", "server-4"),
        endpoint_ids=("chat",),
        server_racks=(0, 0, 1, 1),
        server_rows=(0, 0, 1, 1),
        start_weekday=0,
        start_hour=0.0,
    )


def finished(prompt_tokens: Sequence[int], output_tokens: int = 200, tiles: int = 0) -> Finished:
    """Return requests of the first endpoint that have finished, all alike but for their prompts."""
    count = len(prompt_tokens)
    same = {"output_tokens": np.full(count, output_tokens), "tiles": np.full(count, tiles)}
    times = {"ttft_s": np.full(count, 0.5), "atgt_s": np.full(count, 0.02)}
    none = np.zeros(count, dtype=np.int64)
    return Finished(endpoint=none, instance=none, prompt_tokens=np.array(prompt_tokens, dtype=np.int64), **same, **times)


@pytest.fixture(scope="session")
def serving_seen() -> Callable[..., ServingObservation]:
    """Eight instances of four GPUs on four servers, all on, half busy, cool; change what the test is about."""
    n = INSTANCES
    calm = {
        "t_s": 600.0,
        "window_s": 60.0,
        "hour": 0.17,
        "outside_c": 25.0,
        "instance_endpoint": np.zeros(n, dtype=np.int64),
        "instance_server": np.arange(n) // 2,
        "instance_row": np.arange(n) // 4,
        "instance_first_gpu": np.arange(n) * 4,
        "instance_gpus": np.full(n, 4),
        "configured": np.ones(n, dtype=np.bool_),
        "gpu_tdp_w": np.full(n, 700.0),
        "latency": np.tile(np.array(profile("h100", "vllm", "70b", 8).coefficients), (n, 1)),
        "variant_latency": np.tile(np.array(profile("h100", "vllm", "70b", 8).coefficients), (1, n, 1)),
        "variant_quality_share": np.ones((1, 1)),
        "encode_s": np.zeros((n, 2)),
        "endpoint_ids": ("chat",),
        "row_ids": ("row-1", "row-2"),
        "instance_usd_per_h": np.full(n, 10.0),
        "state": np.full(n, ON),
        "role": np.zeros(n, dtype=np.int64),
        "variant": np.zeros(n, dtype=np.int64),
        "clock_share": np.ones(n),
        "speed_share": np.ones(n),
        "max_batch": np.full(n, 256),
        "configured_max_batch": np.full(n, 256),
        "outstanding": np.full(n, 8),
        "queued": np.zeros(n, dtype=np.int64),
        "batch_mean": np.full(n, 8.0),
        "kv_share": np.full(n, 0.2),
        "prefill_share": np.full(n, 0.1),
        "decode_share": np.full(n, 0.8),
        "encode_share": np.zeros(n),
        "prefill_iterations": np.zeros(n, dtype=np.int64),
        "prompt_tokens": np.zeros(n, dtype=np.int64),
        "squared_prompt_tokens": np.zeros(n, dtype=np.int64),
        "decode_iterations": np.zeros(n, dtype=np.int64),
        "decoded_tokens": np.zeros(n, dtype=np.int64),
        "decoded_context_tokens": np.zeros(n, dtype=np.int64),
        "preemptions": np.zeros(n, dtype=np.int64),
        "pending_tokens": np.zeros(n, dtype=np.int64),
        "pending_tiles": np.zeros(n, dtype=np.int64),
        "endpoint_arrivals_per_s": np.array([4.0]),
        "endpoint_overflows": np.zeros(1, dtype=np.int64),
        "endpoint_image_arrivals_per_s": np.zeros(1),
        "endpoint_tiles_per_s": np.zeros(1),
        "endpoint_tokens_per_tile": np.zeros(1),
        "endpoint_prompt_tokens_per_s": np.array([4000.0]),
        "endpoint_output_tokens_per_s": np.array([800.0]),
        "endpoint_ttft_slo_s": np.array([2.0]),
        "endpoint_atgt_slo_s": np.array([0.1]),
        "endpoint_decodes_beside": np.zeros(1, dtype=np.bool_),
        "finished": lambda: finished(prompt_tokens=()),
        "gpu_temp_max_c": np.full(n, 55.0),
        "gpu_temp_window_max_c": np.full(n, 55.0),
        "gpu_limit_c": np.full(n, 87.0),
        "gpu_power_w": np.full(n, 400.0),
        "inlet_c": np.full(n, 25.0),
        "row_power_w": np.array([20_000.0, 20_000.0]),
        "row_budget_w": np.array([30_000.0, 30_000.0]),
        "aisle_airflow_share": np.full(n, 0.6),
    }

    def make(**changes: Any) -> ServingObservation:
        return _locked(ServingObservation(**{**calm, **changes}))

    return make


@pytest.fixture(scope="session")
def plant_seen() -> Callable[..., PlantObservation]:
    """Thirty-two GPUs on four servers in two rows, cool and inside their budgets; change what the test is about."""
    g = 32
    calm = {
        "t_s": 600.0,
        "tick_s": 10.0,
        "outside_c": 25.0,
        "gpu_temp_c": np.full(g, 60.0),
        "gpu_limit_c": np.full(g, 87.0),
        "gpu_power_w": np.full(g, 500.0),
        "gpu_clock_share": np.ones(g),
        "gpu_servers": np.repeat(np.arange(4), 8),
        "gpu_opaque": np.repeat(np.array([False, True, False, True]), 8),
        "server_rows": np.array([0, 0, 1, 1]),
        "inlet_c": np.full(4, 25.0),
        "server_power_w": np.full(4, 6_000.0),
        "row_power_w": np.array([12_000.0, 12_000.0]),
        "row_budget_w": np.array([15_000.0, 15_000.0]),
        "aisle_airflow_share": np.full(1, 0.6),
        "aisle_airflow_m3_per_s": np.full(1, 0.9),
        "aisle_supply_m3_per_s": np.full(1, 1.5),
        "ups_load_w": np.full(4, 6_000.0),
        "ups_rated_w": np.full(4, 10_000.0),
        "pdu_load_w": np.full(4, 6_000.0),
        "pdu_rated_w": np.full(4, 10_000.0),
        "row_live": np.ones(2, dtype=np.bool_),
        "row_pdus": np.array([[0, 1], [2, 3]]),
        "pdu_ups_share": np.full((4, 4), 0.25),
    }

    def make(**changes: Any) -> PlantObservation:
        return _locked(PlantObservation(**{**calm, **changes}))

    return make


def _locked(seen: Any) -> Any:
    arrays = {name: read_only(getattr(seen, name)) for name in seen.__slots__ if isinstance(getattr(seen, name), np.ndarray)}
    return replace(seen, **arrays)
