"""Power of GPUs, servers and hosts."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.plant import power
from twin.plant.hardware import server_model

_WEIGHT_BYTES = {"llama2-70b": 138e9, "bloom-176b": 352e9}
_A100_BYTES_PER_S = 2.039e12


def test_decode_power_is_what_splitwise_measured_by_batch_and_parallelism(test_data: Path) -> None:
    """Mutinifni/splitwise-sim, perf_model.csv: A100 rows; bandwidth in use from weight bytes per GPU over time per token."""
    rows = pl.read_csv(test_data / "profiles" / "splitwise_perf_model.csv").filter(
        (pl.col("hardware") == "a100-80gb") & (pl.col("average_power") > 0) & (pl.col("prompt_size") <= 2048)
    )
    weights = np.array([_WEIGHT_BYTES[name] for name in rows["model"]])
    bandwidth = weights / rows["tensor_parallel"].to_numpy() / _A100_BYTES_PER_S / (rows["token_time"].to_numpy() / 1e3)
    a100 = server_model("a100")
    error = power.decode_power_w(a100, rows["batch_size"].to_numpy(), bandwidth) / a100.tdp_w - rows["average_power"].to_numpy()
    assert len(error) == 220
    assert np.sqrt((error**2).mean()) < 0.016
    assert np.abs(error).max() < 0.036


@pytest.mark.parametrize(("name", "share"), [("a100", 0.72), ("h100", 0.62)])
def test_typical_decode_power_is_what_was_measured_at_a_batch_of_ten(name: str, share: float) -> None:
    model = server_model(name)
    assert power.decode_power_w(model, 10.0, model.decode_bandwidth_share) / model.tdp_w == pytest.approx(share, abs=0.01)


def test_a_lower_clock_saves_the_energy_that_was_measured_on_a100() -> None:
    """Memory-bound decode at 810 of 1,410 MHz: energy -37 % at about the same run time (facts: mertside/ai-inference-energy)."""
    model = server_model("a100")
    idle_w = power.idle_power_w(model, 1.0)
    busy_w = power.busy_power_w(model, idle_w, 0.0, 1.0, 0.0, power.decode_power_w(model, 1.0, 0.6))
    saved = 1.0 - power.gpu_power_w(model, idle_w, busy_w, 810 / 1410) / power.gpu_power_w(model, idle_w, busy_w, 1.0)
    assert saved == pytest.approx(0.37, abs=0.03)


@pytest.mark.parametrize("name", ["a100", "h100", "h200"])
def test_a_server_at_full_load_stays_within_its_nameplate(name: str) -> None:
    model = server_model(name)
    most_w = power.server_power_w(model, 1.0, 8 * model.tdp_w, 1.0)
    assert 0.85 * model.nameplate_w < most_w <= model.nameplate_w


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["a100", "h100", "h200"]),
    st.tuples(*[st.floats(0, 1)] * 3),
    st.floats(0, 256),
    st.floats(0, 1),
    st.floats(0, 1),
    st.booleans(),
)
def test_gpu_power_lies_between_idle_and_tdp(
    name: str, shares: tuple[float, float, float], batch: float, bandwidth: float, clock: float, resident: bool
) -> None:
    model = server_model(name)
    idle_w = power.idle_power_w(model, float(resident))
    busy_w = power.busy_power_w(model, idle_w, *shares, power.decode_power_w(model, batch, bandwidth))
    assert idle_w - 1e-9 <= power.gpu_power_w(model, idle_w, busy_w, clock) <= model.tdp_w


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(["a100", "h100", "h200"]), st.floats(1, 255), st.floats(0.05, 0.9), st.floats(0.2, 0.99))
def test_power_rises_with_batch_bandwidth_and_clock(name: str, batch: float, bandwidth: float, clock: float) -> None:
    model = server_model(name)
    here = power.decode_power_w(model, batch, bandwidth)
    assert power.decode_power_w(model, batch + 1.0, bandwidth) > here
    assert power.decode_power_w(model, batch, bandwidth + 0.05) > here
    assert power.gpu_power_w(model, 80.0, 250.0, clock + 0.01) > power.gpu_power_w(model, 80.0, 250.0, clock)


def test_an_unknown_server_model_is_named_with_those_that_exist() -> None:
    with pytest.raises(ValueError, match=r"'b300' is unknown; it is one of h100, a100, h200"):
        server_model("b300")
