"""Latency profiles: published checks, and the measurements they were fitted to."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from twin.serving import latency
from twin.sources import calibration, sources


def test_one_long_prompt_on_eight_h100_takes_87_ms() -> None:
    """6.9 + 38.5 x 2.048 + 0.227 x 4.19 = 86.8 ms; 64 requests of 1 k context decode in 12.5 ms."""
    coefficients = latency.profile("h100", "vllm", "70b", 8).coefficients
    assert float(latency.prefill_s(coefficients, 2048, 2048**2)) == pytest.approx(0.0868, abs=1e-4)
    assert float(latency.decode_s(coefficients, 64, 65_536)) == pytest.approx(0.0125, abs=1e-4)


def test_an_8b_model_leaves_427_thousand_tokens_on_an_a100() -> None:
    """(0.9 x 80 GB - 16.06 GB) / 131,072 bytes."""
    assert latency.kv_capacity_tokens("a100", "8b", 1) == 426_788
    assert latency.kv_bytes_per_token("70b") == 2 * 80 * 8 * 128 * 2


def test_141_gb_of_an_h200_leave_39_times_the_keys_of_a_70b_model() -> None:
    """On two GPUs: (0.9 x 2 x 141 GB - 141.1 GB) against (0.9 x 2 x 80 GB - 141.1 GB), both over 327,680 bytes."""
    assert latency.kv_capacity_tokens("h200", "70b", 2) == 343_933
    assert latency.kv_capacity_tokens("h100", "70b", 2) == 8_850


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


MODELS = (
    "8b", "70b", "llama-2-7b", "llama-2-13b", "llama-2-70b", "llama-3.2-11b", "llama-3.2-90b", "llava-ov-7b", "llava-ov-72b",
    "internvl-2.5-26b", "nvlm-d-72b",
)  # fmt: skip


def test_every_model_has_its_facts_and_a_profile_that_grows_with_work() -> None:
    assert latency.model_names() == MODELS
    for model in MODELS:
        tp = 4
        found = latency.profile("h100", "vllm", model, tp)
        assert (found.model, found.tp) == (model, tp)
        c = found.coefficients
        assert len(c) == len(latency.COLUMNS)
        assert c[latency.KV_TOKENS] == latency.kv_capacity_tokens("h100", model, tp)
        assert float(latency.prefill_s(c, 100, 100**2)) <= float(latency.prefill_s(c, 4000, 4000**2))
        assert float(latency.decode_s(c, 1, 500)) < float(latency.decode_s(c, 2, 500)) < float(latency.decode_s(c, 2, 5000))
        assert 0.5 < latency.quality_share(model) <= 1.0
        assert latency.context_tokens(model) >= 4096


def test_llama_2_7b_prefills_in_095_of_llama_3_8b_and_holds_four_times_the_keys() -> None:
    ours, base = (np.array(latency.profile("a100", "vllm", model, 1).coefficients) for model in ("llama-2-7b", "8b"))
    assert latency.prefill_s(ours, 4000, 4000**2) == pytest.approx(0.95 * latency.prefill_s(base, 4000, 4000**2))
    assert ours[latency.DECODE_PER_CONTEXT_TOKEN_S] == pytest.approx(4 * base[latency.DECODE_PER_CONTEXT_TOKEN_S])
    assert latency.kv_bytes_per_token("llama-2-7b") == 524_288
    assert latency.kv_bytes_per_token("llama-2-13b") == 819_200


def test_llama_2_70b_is_within_3_percent_of_llama_3_70b() -> None:
    for gpu, tp in (("a100", 8), ("h100", 4), ("h200", 2)):
        ours, base = (np.array(latency.profile(gpu, "vllm", model, tp).coefficients) for model in ("llama-2-70b", "70b"))
        assert latency.prefill_s(ours, 2048, 2048**2) == pytest.approx(latency.prefill_s(base, 2048, 2048**2), rel=0.03)
        assert latency.decode_s(ours, 32, 32_768) == pytest.approx(latency.decode_s(base, 32, 32_768), rel=0.03)


# Layers, width, query heads, key-value heads (of 128), MLP width, vocabulary; as the models' makers publish them.
SHAPES = {
    "8b": (32, 4096, 32, 8, 14336, 128_256), "70b": (80, 8192, 64, 8, 28672, 128_256), "llama-2-7b": (32, 4096, 32, 32, 11008, 32_000),
    "llama-2-13b": (40, 5120, 40, 40, 13824, 32_000), "llama-2-70b": (80, 8192, 64, 8, 28672, 32_000),
    "llava-ov-7b": (28, 3584, 28, 4, 18944, 152_064), "llava-ov-72b": (80, 8192, 64, 8, 29568, 152_064),
    "internvl-2.5-26b": (48, 6144, 48, 8, 16384, 92_544), "nvlm-d-72b": (80, 8192, 64, 8, 29568, 152_064),
}  # fmt: skip


def test_weights_keys_and_scales_follow_from_the_published_shapes() -> None:
    """Parameters of the layers, and of layers and output head; the vision projectors are under 1 % more."""
    layers, read = {}, {}
    for model, (count, width, heads, kv_heads, mlp, vocabulary) in SHAPES.items():
        layers[model] = count * (2 * width * heads * 128 + 2 * width * kv_heads * 128 + 3 * width * mlp)
        read[model] = layers[model] + vocabulary * width
        assert latency.weight_bytes(model) == pytest.approx(2 * (read[model] + vocabulary * width), rel=0.01)
        assert latency.kv_bytes_per_token(model) == 2 * 2 * count * kv_heads * 128
    known = calibration("serving")["model"]
    for model in set(SHAPES) - {"8b", "70b"}:
        like = known[model]["like"]
        assert known[model]["prefill_scale"] == pytest.approx(layers[model] / layers[like], rel=0.03)
        assert known[model]["decode_scale"] == pytest.approx(read[model] / read[like], rel=0.002)
        assert known[model]["decode_per_context_scale"] == pytest.approx(
            latency.kv_bytes_per_token(model) / latency.kv_bytes_per_token(like), rel=1e-9
        )


def test_28_heads_cannot_be_shared_by_eight_gpus() -> None:
    """Qwen2-7B has 28 query heads."""
    with pytest.raises(ValueError, match=r"llava-ov-7b has 28 attention heads, which 8 GPUs cannot share evenly; tp can be 1, 2, 4$"):
        latency.profile("h100", "vllm", "llava-ov-7b", 8)
    with pytest.raises(ValueError, match="there are: 8b, 70b, llama-2-7b"):
        latency.profile("h100", "vllm", "9b", 1)
    with pytest.raises(ValueError, match=r"no latency profile of nvlm-d-72b on 1 x a100 with vllm; tp can be 2, 4, 8$"):
        latency.profile("a100", "vllm", "nvlm-d-72b", 1)


def test_fp8_halves_the_weights_and_speeds_prefill_up_where_the_gpu_computes_in_it() -> None:
    for gpu, prefill_share in (("a100", 1.0), ("h100", 0.6), ("h200", 0.6)):
        full, half = (latency.profile(gpu, "vllm", "70b", 4, precision).coefficients for precision in ("bf16", "fp8"))
        assert latency.prefill_s(half, 4000, 4000**2) == pytest.approx(prefill_share * latency.prefill_s(full, 4000, 4000**2))
        assert half[latency.DECODE_S] == pytest.approx(0.55 * full[latency.DECODE_S])
        assert half[latency.DECODE_PER_CONTEXT_TOKEN_S] == full[latency.DECODE_PER_CONTEXT_TOKEN_S]
        more = (half[latency.KV_TOKENS] - full[latency.KV_TOKENS]) * latency.kv_bytes_per_token("70b")
        assert more == pytest.approx(0.5 * 141.1e9, rel=1e-3)
    assert latency.quality_share("70b", "fp8") == pytest.approx(0.99)
    with pytest.raises(ValueError, match="precision 'fp4' is unknown; there are: bf16, fp8"):
        latency.profile("h100", "vllm", "70b", 4, "fp4")


def test_an_encoder_beside_the_model_takes_its_bytes_from_the_keys() -> None:
    alone, beside = (latency.profile("h100", "vllm", "llama-3.2-11b", 2, extra_bytes=extra).coefficients for extra in (0, 1_720_000_000))
    assert alone[: latency.KV_TOKENS] == beside[: latency.KV_TOKENS]
    assert alone[latency.KV_TOKENS] - beside[latency.KV_TOKENS] == pytest.approx(1.72e9 / 131_072, abs=1)


def test_a_70b_model_loads_in_14_seconds_on_two_gpus_and_no_faster_than_its_server_reads() -> None:
    """141.1 GB at 5 GB/s per GPU, at most 20 GB/s a server."""
    assert latency.reload_s("70b", tp=2) == pytest.approx(14.11)
    assert latency.reload_s("70b", tp=4) == latency.reload_s("70b", tp=8) == pytest.approx(7.055)
    assert latency.reload_s("70b", "fp8", 2) == pytest.approx(7.055)
    assert latency.reload_s("70b", tp=2, extra_bytes=10**9) == pytest.approx(14.21)


def test_what_is_neither_built_in_nor_imported_is_refused() -> None:
    assert latency.resolve("built-in", "h100", "vllm", "8b", 1) == latency.profile("h100", "vllm", "8b", 1)
    assert latency.import_name("imported:mine") == "mine"
    for wrong in ("", "imported:", "imported:../x", "imported:Mine", "mine"):
        with pytest.raises(ValueError, match="is neither 'built-in' nor 'imported:NAME'"):
            latency.resolve(wrong, "h100", "vllm", "8b", 1)


# The fitted range (facts: prefill of 256 to 16 k tokens together, decode of up to 600 k tokens of context), and what rounding
# to three and two digits leaves of the errors that a profile states.
_ROUNDED = np.array([0.0006, 0.006])


def test_the_fits_are_as_close_to_the_measured_grid_as_they_say(test_data: Path) -> None:
    grid = pl.read_csv(test_data / "profiles" / "aiconfigurator_llama31_grid.csv").with_columns(tokens=pl.col("batch") * pl.col("seqlen"))
    for (gpu, engine, model, tp), profile in latency.profiles().items():
        rows = grid.filter(
            pl.col("system").str.starts_with(gpu)
            & (pl.col("backend") == engine)
            & pl.col("model").str.to_lowercase().str.ends_with(f"-{model}")
            & (pl.col("tp") == tp)
        )
        prefill = rows.filter((pl.col("phase") == "prefill") & pl.col("tokens").is_between(256, 16_384))
        decode = rows.filter((pl.col("phase") == "decode") & (pl.col("tokens") <= 600_000))
        assert (prefill.height, decode.height) == (37, 96), (gpu, engine, model, tp)
        squares = prefill["tokens"].to_numpy() * prefill["seqlen"].to_numpy()
        ours_s = (
            latency.prefill_s(profile.coefficients, prefill["tokens"].to_numpy(), squares),
            latency.decode_s(profile.coefficients, decode["batch"].to_numpy(), decode["tokens"].to_numpy()),
        )
        for found_s, measured, stated in zip(
            ours_s, (prefill, decode), (profile.prefill_error_share, profile.decode_error_share), strict=True
        ):
            error = np.abs(1e3 * found_s / measured["ms"].to_numpy() - 1)
            assert (np.array([error.mean(), error.max()]) <= np.array(stated) + _ROUNDED).all(), (gpu, engine, model, tp)


def test_an_h200_with_tensorrt_llm_is_refused_with_what_was_measured_and_what_can_be_done() -> None:
    """The kernels' source holds the H200 with vLLM alone."""
    assert {engine for gpu, engine, *_ in latency.profiles() if gpu == "h200"} == {"vllm"}
    with pytest.raises(
        ValueError,
        match=r"no latency profile of 70b on h200 with trtllm: h200 was measured with vllm only; .* import latency-profile",
    ):
        latency.profile("h200", "trtllm", "70b", 8)
