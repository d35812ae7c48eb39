"""Latency profiles: published checks, and the measurements they were fitted to."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from twin.serving import latency
from twin.sources import sources


def test_one_long_prompt_on_eight_h100_takes_87_ms() -> None:
    """6.9 + 38.5 x 2.048 + 0.227 x 4.19 = 86.8 ms; 64 requests of 1 k context decode in 12.5 ms."""
    coefficients = latency.profile("h100", "vllm", "70b", 8).coefficients
    assert float(latency.prefill_s(coefficients, 2048, 2048**2)) == pytest.approx(0.0868, abs=1e-4)
    assert float(latency.decode_s(coefficients, 64, 65_536)) == pytest.approx(0.0125, abs=1e-4)


def test_an_8b_model_leaves_427_thousand_tokens_on_an_a100() -> None:
    """(0.9 x 80 GB - 16.06 GB) / 131,072 bytes."""
    assert latency.kv_capacity_tokens("a100", "8b", 1) == 426_788
    assert latency.kv_bytes_per_token("70b") == 2 * 80 * 8 * 128 * 2


def test_a_70b_model_does_not_fit_one_gpu() -> None:
    assert latency.kv_capacity_tokens("h100", "70b", 1) == 0
    with pytest.raises(ValueError, match="tp can be 2, 4, 8"):
        latency.profile("h100", "vllm", "70b", 1)


def test_an_unknown_gpu_names_what_there_is() -> None:
    with pytest.raises(ValueError, match="a100 trtllm 70b; a100 trtllm 8b"):
        latency.profile("v100", "vllm", "8b", 1)


def test_every_profile_has_a_source_and_grows_with_work() -> None:
    assert len(latency.profiles()) == 35
    for profile in latency.profiles().values():
        assert profile.source in sources()
        c = profile.coefficients
        assert len(c) == len(latency.COLUMNS)
        assert float(latency.prefill_s(c, 100, 100**2)) <= float(latency.prefill_s(c, 4000, 4000**2))
        assert float(latency.decode_s(c, 1, 500)) < float(latency.decode_s(c, 2, 500)) < float(latency.decode_s(c, 2, 5000))


def test_faster_gpus_and_more_of_them_are_faster() -> None:
    for model, tp in (("8b", 1), ("8b", 8), ("70b", 4)):
        a100, h100, h200 = (latency.profile(gpu, "vllm", model, tp).coefficients for gpu in ("a100", "h100", "h200"))
        assert latency.decode_s(a100, 32, 32_000) > latency.decode_s(h100, 32, 32_000) > latency.decode_s(h200, 32, 32_000)
        assert latency.prefill_s(a100, 4000, 4000**2) > latency.prefill_s(h100, 4000, 4000**2)


def test_the_fits_are_as_close_to_the_measured_grid_as_they_say(test_data: Path) -> None:
    grid = pl.read_csv(test_data / "profiles" / "aiconfigurator_llama31_grid.csv")
    checked = 0
    for (gpu, engine, model, tp), profile in latency.profiles().items():
        rows = grid.filter(
            (pl.col("system").str.to_lowercase().str.starts_with(gpu))
            & (pl.col("backend") == engine)
            & (pl.col("model").str.to_lowercase().str.contains(model))
            & (pl.col("tp") == tp)
            & (pl.col("phase").str.starts_with("dec") | pl.col("phase").str.starts_with("gen"))
            & (pl.col("batch") * pl.col("seqlen") <= 600_000)
        )
        if rows.is_empty():
            continue
        batch, context = rows["batch"].to_numpy(), (rows["batch"] * rows["seqlen"]).to_numpy()
        ours_ms = 1e3 * latency.decode_s(profile.coefficients, batch, context)
        error = np.abs(ours_ms / rows["ms"].to_numpy() - 1)
        assert error.mean() < profile.decode_error_share[0] + 0.02
        checked += 1
    assert checked >= 20
