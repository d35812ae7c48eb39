"""Images: tiles, tokens, encoder latency, preprocessing."""

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.serving import images
from twin.sources import calibration, sources

SIX = ("llama-3.2-11b", "llama-3.2-90b", "llava-ov-7b", "llava-ov-72b", "internvl-2.5-26b", "nvlm-d-72b")
IN_CSV = {"vit-h-14": "CLIP/ViT-H14-like", "siglip-so400m": "SigLIP-SO400M", "internvit-6b": "InternViT-6B"}


def known(model: str) -> images.Vision:
    found = images.vision(model)
    assert found is not None
    return found


def test_an_image_of_llama_vision_is_6404_tokens_beside_the_sequence() -> None:
    """Four tiles of 1,601 tokens: 40 x 40 patches of 14 pixels and one of the class."""
    llama = known("llama-3.2-11b")
    assert llama.attention == "cross"
    assert llama.cross_tokens == (560 // 14) ** 2 + 1
    one = images.tiles(llama, np.array([1]))
    assert images.image_tokens(llama, one).tolist() == [6404]
    assert images.prompt_tokens(llama, np.array([300]), one).tolist() == [300]


def test_an_image_of_a_decoder_only_model_lengthens_its_prompt() -> None:
    """LLaVA-OneVision: 27 x 27 patches a crop; InternVL: 1,024 patches of a tile shuffled into 256 tokens."""
    assert known("llava-ov-7b").decoder_tokens == (384 // 14) ** 2
    assert known("internvl-2.5-26b").decoder_tokens == (448 // 14) ** 2 // 4
    nvlm = known("nvlm-d-72b")
    one = images.tiles(nvlm, np.array([1]))
    assert images.prompt_tokens(nvlm, np.array([300]), one).tolist() == [300 + 7 * 256]


def test_there_are_six_models_and_each_reads_its_images_in_one_place() -> None:
    assert tuple(images.visions()) == SIX
    for name, model in images.visions().items():
        assert (model.decoder_tokens > 0) == (model.attention == "decoder")
        assert (model.cross_tokens > 0) == (model.attention == "cross")
        assert model.most_tiles * model.decoder_tokens + 4096 <= calibration("serving")["model"][name]["context_tokens"]
        assert model.most_tiles >= model.single_image_tiles
    assert images.vision("70b") is None


def test_every_number_of_the_table_says_how_strong_it_is() -> None:
    data = calibration("multimodal")
    rows = [*data["model"].values(), *data["encoder"].values(), *data["latency"]]
    rows += [data[name] for name in ("tensor_parallel", "preprocessing", "transfer", "context", "correlation")]
    for row in rows:
        assert row["source"] in sources()
        assert row["strength"] in ("measured", "published", "second-hand", "memory", "fitted", "proposed")
    assert all(row["strength"] == "proposed" for row in data["latency"] if row["gpu"] == "h200")


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=20))
@settings(max_examples=30, deadline=None)
def test_more_images_are_never_fewer_tiles(counts: list[int]) -> None:
    asked = np.sort(np.array(counts))
    for model in images.visions().values():
        tiles = images.tiles(model, asked)
        assert (np.diff(tiles) >= 0).all()
        assert (tiles <= model.most_tiles).all()
        assert ((tiles == 0) == (asked == 0)).all()
        assert (tiles[asked > 0] >= model.single_image_tiles).all()


def test_of_a_published_context_85_tokens_an_image_are_not_text() -> None:
    context, count = np.array([793, 1408, 9620, 22270, 100]), np.array([0, 1, 25, 190, 4])
    assert images.text_tokens(context, count).tolist() == [793, 1323, 7495, 6120, 16]


def test_encoding_takes_what_the_composed_kernels_take(test_data: Path) -> None:
    with (test_data / "profiles" / "vit_encoder_latency_derived.csv").open() as file:
        rows = list(csv.DictReader(file))
    for model in images.visions().values():
        mine = [row for row in rows if row["encoder"].startswith(IN_CSV[model.encoder])]
        assert len(mine) == 9
        for gpu, column, mean in (("h100", "h100_ms", 0.045), ("a100", "a100_ms_est", 0.05)):
            base_s, per_tile_s = images.encode_s(model, gpu, 1)
            ours = np.array([base_s + per_tile_s * int(row["tiles"]) for row in mine])
            theirs = np.array([float(row[column]) for row in mine]) / 1e3
            assert np.abs(ours / theirs - 1.0).mean() < mean, (model.encoder, gpu)


def test_more_gpus_help_an_encoder_little_and_an_h200_is_taken_as_an_h100() -> None:
    llama = known("llama-3.2-11b")
    times = [images.encode_s(llama, "h100", tp) for tp in (1, 2, 4, 8)]
    assert {base for base, _ in times} == {0.00175}
    assert [per_tile / 0.00434 for _, per_tile in times] == pytest.approx([1.0, 0.7071, 0.5, 0.5], abs=1e-4)
    assert images.encode_s(llama, "h200", 2) == images.encode_s(llama, "h100", 2)
    with pytest.raises(ValueError, match=r"no encoder latency of vit-h-14 on b200; there are a100, h100, h200"):
        images.encode_s(llama, "b200", 1)
    with pytest.raises(ValueError, match="encode on one GPU at least"):
        images.encode_s(llama, "h100", 0)


def test_handing_over_takes_5_ms_by_rdma_and_180_by_ethernet() -> None:
    """Second-hand digest of ModServe; 99th percentiles."""
    assert (images.transfer_s("rdma"), images.transfer_s("ethernet")) == (0.005, 0.180)
    assert images.handover_s() < images.transfer_s("rdma")
    assert images.preprocess_workers(2) == 64


def test_one_core_prepares_one_request_after_the_other_and_leaves_text_alone() -> None:
    ready = images.preprocess(np.array([0.0, 0.5, 1.0, 9.0]), np.array([2, 0, 1, 4]), 1, 1.0)
    assert ready.tolist() == [2.0, 0.5, 3.0, 13.0]


@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 5)), max_size=40),
    st.integers(1, 6),
    st.sampled_from([0.0, 0.5, 1.0, 0.0078125]),
)
@settings(max_examples=60, deadline=None)
def test_preprocessing_is_first_come_first_served(asked: list[tuple[int, int]], workers: int, per_tile_s: float) -> None:
    asked = sorted(asked, key=lambda one: one[0])
    arrive, tiles = np.array([one[0] for one in asked], dtype=np.float64), np.array([one[1] for one in asked], dtype=np.int64)
    free, plain = [0.0] * workers, []
    for at, count in zip(arrive.tolist(), tiles.tolist(), strict=True):
        if count == 0:
            plain.append(at)
            continue
        core = free.index(min(free))
        free[core] = max(at, free[core]) + count * per_tile_s
        plain.append(free[core])
    assert images.preprocess(arrive, tiles, workers, per_tile_s).tolist() == plain


def test_preprocessing_says_what_is_wrong_with_what_it_is_given() -> None:
    two = np.array([1.0, 0.0])
    with pytest.raises(ValueError, match="give it one at least"):
        images.preprocess(two, np.array([1, 1]), 0, 0.1)
    with pytest.raises(ValueError, match="one count per request"):
        images.preprocess(two, np.array([1]), 1, 0.1)
    with pytest.raises(ValueError, match="order of arrival"):
        images.preprocess(two, np.array([1, 1]), 1, 0.1)
    with pytest.raises(ValueError, match="0 or more"):
        images.preprocess(two, np.array([1, 1]), 1, float("nan"))
