"""How long a prefill and a decode iteration take, and what memory holds.

Linear models fitted to composed kernel measurements (data/calibration/serving.toml, source ``aiconfigurator``)::

    prefill = max(floor, c0 + c1 * sum(l) + c2 * sum(l^2))      l: prompt tokens of each request of the iteration
    decode  = d0 + d1 * B + d2 * S                              B: requests, S: context tokens of the batch

The sum of squares is taken per request (attention does not cross requests). The fits carry no engine overhead;
``overhead_s`` is added to every iteration. Mean errors are 1 to 7 %; measured engines deviate more (up to 45 % in TTFT).
"""

from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twin.sources import calibration

Floats = NDArray[np.float64]

# Columns of a coefficient table, one row per instance.
FLOOR_S: Final = 0
PREFILL_S: Final = 1
PREFILL_PER_TOKEN_S: Final = 2
PREFILL_PER_SQUARED_TOKEN_S: Final = 3
DECODE_S: Final = 4
DECODE_PER_REQUEST_S: Final = 5
DECODE_PER_CONTEXT_TOKEN_S: Final = 6
OVERHEAD_S: Final = 7
KV_TOKENS: Final = 8
COLUMNS: Final = (
    "floor_s", "prefill_s", "prefill_per_token_s", "prefill_per_squared_token_s",
    "decode_s", "decode_per_request_s", "decode_per_context_token_s", "overhead_s", "kv_tokens",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Profile:
    """Latency of one model on ``tp`` GPUs of one kind; ``coefficients`` has the columns above.

    ``*_error_share`` are mean and largest relative errors of the fit.
    """

    gpu: str
    engine: str
    model: str
    tp: int
    coefficients: tuple[float, ...]
    prefill_error_share: tuple[float, float]
    decode_error_share: tuple[float, float]
    source: str


@cache
def profiles() -> dict[tuple[str, str, str, int], Profile]:
    """Return the built-in table by (gpu, engine, model, tp)."""
    return {(row["gpu"], row["engine"], row["model"], row["tp"]): _profile(row) for row in calibration("serving")["latency"]}


def _profile(row: dict[str, Any]) -> Profile:
    per_token, per_square = row["c1"] / 1e6, row["c2"] / 1e9
    coefficients = (
        row["floor"] / 1e3, row["c0"] / 1e3, per_token, per_square,
        row["d0"] / 1e3, row["d1"] / 1e3, row["d2"] / 1e6,
        0.0, float(kv_capacity_tokens(row["gpu"], row["model"], row["tp"])),
    )  # fmt: skip
    prefill, decode = row["prefill_error_share"], row["decode_error_share"]
    return Profile(
        row["gpu"], row["engine"], row["model"], row["tp"], coefficients, (prefill[0], prefill[1]), (decode[0], decode[1]), row["source"]
    )


def profile(gpu: str, engine: str, model: str, tp: int) -> Profile:
    """Return one profile; ValueError names what there is.

    >>> p = profile("h100", "vllm", "70b", 8)
    >>> round(1e3 * float(prefill_s(p.coefficients, 2048, 2048**2)), 1), round(1e3 * float(decode_s(p.coefficients, 64, 65536)), 1)
    (86.8, 12.5)
    """
    try:
        return profiles()[gpu, engine, model, tp]
    except KeyError:
        sizes = sorted(key[3] for key in profiles() if key[:3] == (gpu, engine, model))
        if sizes:
            raise ValueError(
                f"no latency profile of {model} on {tp} x {gpu} with {engine}; tp can be {', '.join(map(str, sizes))}"
            ) from None
        known = sorted({" ".join(key[:3]) for key in profiles()})
        raise ValueError(
            f"no latency profile of {model} on {gpu} with {engine}; there are (gpu engine model): {'; '.join(known)}"
        ) from None


def kv_bytes_per_token(model: str) -> int:
    """Return what keys and values of one token take, all ranks together."""
    return int(calibration("serving")["model"][model]["kv_bytes_per_token"])


def kv_capacity_tokens(gpu: str, model: str, tp: int) -> int:
    """Return how many tokens fit in what weights leave of the usable GPU memory; activations are not counted."""
    data = calibration("serving")
    usable = data["engine"]["memory_utilisation_share"] * data["gpu"][gpu]["memory_bytes"] * tp
    return max(0, int((usable - data["model"][model]["weight_bytes"]) // data["model"][model]["kv_bytes_per_token"]))


def prefill_s(coefficients: Floats | tuple[float, ...], tokens: Any, squared_tokens: Any) -> Floats:
    """Return the time of a prefill iteration; ``tokens`` and ``squared_tokens`` are sums over its requests."""
    c = np.asarray(coefficients)
    linear = c[..., PREFILL_S] + c[..., PREFILL_PER_TOKEN_S] * tokens + c[..., PREFILL_PER_SQUARED_TOKEN_S] * squared_tokens
    return np.asarray(np.maximum(c[..., FLOOR_S], linear) + c[..., OVERHEAD_S])


def decode_s(coefficients: Floats | tuple[float, ...], batch: Any, context_tokens: Any) -> Floats:
    """Return the time of a decode iteration of ``batch`` requests that hold ``context_tokens`` together."""
    c = np.asarray(coefficients)
    return np.asarray(
        c[..., DECODE_S] + c[..., DECODE_PER_REQUEST_S] * batch + c[..., DECODE_PER_CONTEXT_TOKEN_S] * context_tokens + c[..., OVERHEAD_S]
    )
