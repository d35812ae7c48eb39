"""What images are to a model: tiles, tokens, encoding, preprocessing.

Tables are in data/calibration/multimodal.toml, each with its source; most of it is from memory or proposed, and says so.
A cross-attention model reads image tokens beside its decoder's sequence, a decoder-only model inside it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Literal

import numba
import numpy as np
from numba import types
from numpy.typing import NDArray

from twin.sources import calibration

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_FIELDS: Final = ("attention", "encoder", "decoder_tokens", "cross_tokens", "single_image_tiles", "most_tiles")


@dataclass(frozen=True, slots=True)
class Vision:
    """The images of one model. ``decoder_tokens`` and ``cross_tokens`` are per tile, one of them is 0.

    ``preprocess_s_per_tile`` is on one CPU core; ``encoder_weight_bytes`` lie on every instance that encodes.
    """

    model: str
    attention: Literal["cross", "decoder"]
    encoder: str
    decoder_tokens: int
    cross_tokens: int
    single_image_tiles: int
    most_tiles: int
    encoder_weight_bytes: int
    preprocess_s_per_tile: float

    @property
    def tile_tokens(self) -> int:
        """What the encoder gives of one tile, whoever reads it."""
        return self.decoder_tokens + self.cross_tokens


@cache
def visions() -> dict[str, Vision]:
    """Return every model that takes images, by id."""
    data = calibration("multimodal")
    return {model: _vision(model, row, data["encoder"][row["encoder"]]) for model, row in data["model"].items()}


def _vision(model: str, row: dict[str, Any], encoder: dict[str, Any]) -> Vision:
    preprocess_s = calibration("multimodal")["preprocessing"]["s_per_megapixel"] * encoder["tile_pixels"] / 1e6
    given: dict[str, Any] = {name: row[name] for name in _FIELDS}
    return Vision(model=model, encoder_weight_bytes=encoder["weight_bytes"], preprocess_s_per_tile=preprocess_s, **given)


def vision(model_id: str) -> Vision | None:
    """Return what images are to a model; None where it takes none.

    >>> vision("internvl-2.5-26b").tile_tokens, vision("8b")
    (256, None)
    """
    return visions().get(model_id)


def tiles(vision: Vision, images: Ints) -> Ints:
    """Return the tiles of requests by their number of images (proposed).

    One image is cut into the model's usual number of tiles; of several each takes one, together at least as many as a
    single image. A request holds ``most_tiles`` at most: what is beyond does not fit in the context and is left out.

    >>> tiles(vision("llava-ov-7b"), np.array([0, 1, 3, 9, 500])).tolist()
    [0, 5, 5, 9, 39]
    """
    counted = np.clip(images, vision.single_image_tiles, vision.most_tiles)
    return np.where(images > 0, counted, 0).astype(np.int64)


def image_tokens(vision: Vision, tiles: Ints) -> Ints:
    """Return what the encoder gives for requests: the load of an image instance, and what is handed on."""
    return np.asarray(tiles * vision.tile_tokens)


def prompt_tokens(vision: Vision, text_tokens: Ints, tiles: Ints) -> Ints:
    """Return the decoder's prompt: text, and image tokens only where the model is decoder-only."""
    return np.asarray(text_tokens + tiles * vision.decoder_tokens)


def text_tokens(context_tokens: Ints, images: Ints) -> Ints:
    """Return what of a published context is text (proposed): 85 tokens are taken off per image, 16 at least are left.

    >>> text_tokens(np.array([793, 1408, 100]), np.array([0, 1, 4])).tolist()
    [793, 1323, 16]
    """
    row = calibration("multimodal")["context"]
    left = np.maximum(context_tokens - images * row["tokens_per_image"], row["min_text_tokens"])
    return np.where(images > 0, left, context_tokens).astype(np.int64)


def encode_s(vision: Vision, gpu: str, tp: int) -> tuple[float, float]:
    """Return base and per-tile time of encoding on ``tp`` GPUs; ValueError names the kinds of GPU there are.

    Tiles take tp^-0.5 of their time on one GPU, never less than half (proposed); the base does not shrink.

    >>> encode_s(vision("llama-3.2-11b"), "h100", 1)
    (0.00175, 0.00434)
    """
    data = calibration("multimodal")
    rows = {row["gpu"]: row for row in data["latency"] if row["encoder"] == vision.encoder}
    if gpu not in rows:
        raise ValueError(f"no encoder latency of {vision.encoder} on {gpu}; there are {', '.join(sorted(rows))}")
    if tp < 1:
        raise ValueError(f"{vision.model}: tp is {tp}; encode on one GPU at least")
    scaling = data["tensor_parallel"]
    share = max(scaling["floor_share"], tp ** -scaling["exponent"])
    return rows[gpu]["base"] / 1e3, rows[gpu]["per_tile"] / 1e3 * share


def transfer_s(network: Literal["rdma", "ethernet"]) -> float:
    """Return how long image tokens take to a text instance on another server (second-hand: a 99th percentile)."""
    return float(calibration("multimodal")["transfer"][f"{network}_s"])


def handover_s() -> float:
    """Return how long image tokens take to a text instance on the same server (proposed)."""
    return float(calibration("multimodal")["handover"]["server_s"])


def preprocess_workers(servers: int) -> int:
    """Return the CPU workers of an endpoint's servers together (proposed)."""
    return servers * int(calibration("multimodal")["preprocessing"]["workers_per_server"])


def preprocess(arrive_s: Floats, tiles: Ints, workers: int, per_tile_s: float) -> Floats:
    """Return when the images of requests are prepared, shape N; first come, first served on ``workers`` CPU cores.

    ``arrive_s`` rises. The images of one request are prepared one after the other on one core. Requests without tiles
    take no core and are ready when they arrive.
    """
    if workers < 1:
        raise ValueError(f"preprocessing has {workers} workers; give it one at least")
    if len(arrive_s) != len(tiles):
        raise ValueError(f"preprocessing got {len(arrive_s)} arrivals and {len(tiles)} tile counts; give one count per request")
    if not math.isfinite(per_tile_s) or per_tile_s < 0.0:
        raise ValueError(f"preprocessing takes {per_tile_s} s a tile; give a time of 0 or more")
    ready_s = np.array(arrive_s, dtype=np.float64)
    some = np.flatnonzero(tiles)
    if len(some):
        if (np.diff(ready_s[some]) < 0.0).any():
            raise ValueError("preprocessing: requests are not in the order of arrival; sort them")
        ready_s[some] = _first_come()(ready_s[some], np.multiply(tiles[some], per_tile_s, dtype=np.float64), np.zeros(workers))
    return ready_s


def _serve(arrive_s, takes_s, free_s):  # type: ignore[no-untyped-def]
    """Give each request the worker that is free first; ``free_s`` is a heap of when each is."""
    ready_s = np.empty_like(arrive_s)
    for i in range(arrive_s.shape[0]):
        end = max(arrive_s[i], free_s[0]) + takes_s[i]
        ready_s[i] = end
        at = 0
        while True:
            child = 2 * at + 1
            if child >= free_s.shape[0]:
                break
            if child + 1 < free_s.shape[0] and free_s[child + 1] < free_s[child]:
                child += 1
            if free_s[child] >= end:
                break
            free_s[at] = free_s[child]
            at = child
        free_s[at] = end
    return ready_s


@cache
def _first_come() -> Callable[[Floats, Floats, Floats], Floats]:
    """Return the compiled queue; compiled at the first call and kept on disk."""
    column = types.float64[::1]
    kernel: Any = numba.njit(column(column, column, column), cache=True)(_serve)
    compiled: Callable[[Floats, Floats, Floats], Floats] = kernel
    return compiled
