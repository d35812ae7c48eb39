"""How long a prefill and a decode iteration take, and what memory holds.

Linear models fitted to composed kernel measurements (data/calibration/serving.toml, source ``aiconfigurator``)::

    prefill = max(floor, c0 + c1 * sum(l) + c2 * sum(l^2))      l: prompt tokens of each request of the iteration
    decode  = d0 + d1 * B + d2 * S                              B: requests, S: context tokens of the batch

The sum of squares is taken per request (attention does not cross requests). The fits carry no engine overhead;
``overhead_s`` is added to every iteration. Mean errors are 1 to 7 %; measured engines deviate more (up to 45 % in TTFT).
Measured are the 8B and the 70B model on A100 and H100 with vLLM and TensorRT-LLM, and on H200 with vLLM only.
Models and precisions that were not measured are scaled from those that were; a user's own measurements replace all of it
(``twin.serving.profiling``).
"""

import re
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twin.sources import calibration, imported, imported_table

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

IMPORTED: Final = re.compile(r"^imported:([a-z0-9-]{1,40})$")
BUILT_IN: Final = "built-in"


@dataclass(frozen=True, slots=True)
class Profile:
    """Latency of one model on ``tp`` GPUs of one kind; ``coefficients`` has the columns above.

    ``*_error_share`` are mean and largest relative errors of the fit. ``scaled_from`` names the model whose measurements
    were scaled; what the scaling misses is not in the errors.
    """

    gpu: str
    engine: str
    model: str
    tp: int
    coefficients: tuple[float, ...]
    prefill_error_share: tuple[float, float]
    decode_error_share: tuple[float, float]
    source: str
    precision: str = "bf16"
    scaled_from: str = ""


@cache
def profiles() -> dict[tuple[str, str, str, int], Profile]:
    """Return what was measured by (gpu, engine, model, tp), in bf16."""
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


def model_names() -> tuple[str, ...]:
    """Return the ids of all models, measured or scaled."""
    return tuple(calibration("serving")["model"])


def precisions() -> tuple[str, ...]:
    """Return the precisions that weights can have."""
    return tuple(calibration("serving")["precision"])


def _model(model: str) -> dict[str, Any]:
    found: dict[str, Any] | None = calibration("serving")["model"].get(model)
    if found is None:
        raise ValueError(f"model {model!r} is unknown; there are: {', '.join(model_names())}")
    return found


def _precision(precision: str) -> dict[str, Any]:
    found: dict[str, Any] | None = calibration("serving")["precision"].get(precision)
    if found is None:
        raise ValueError(f"precision {precision!r} is unknown; there are: {', '.join(precisions())}")
    return found


def profile(gpu: str, engine: str, model: str, tp: int, precision: str = "bf16", extra_bytes: int = 0) -> Profile:
    """Return one built-in profile, scaled where the model or the precision was not measured; ValueError names what there is.

    ``extra_bytes`` is what else stands in the memory of these GPUs: the image encoder's weights.

    >>> p = profile("h100", "vllm", "70b", 8)
    >>> round(1e3 * float(prefill_s(p.coefficients, 2048, 2048**2)), 1), round(1e3 * float(decode_s(p.coefficients, 64, 65536)), 1)
    (86.8, 12.5)
    """
    known = _model(model)
    _check_heads(model, tp)
    base = _measured(gpu, engine, model, tp, str(known.get("like", model)))
    factors = _model_factors(known) * _precision_factors(gpu, precision)
    return _scaled(replace(base, model=model, scaled_from=str(known.get("like", ""))), factors, precision, extra_bytes)


def _check_heads(model: str, tp: int) -> None:
    heads = int(_model(model)["attention_heads"])
    if tp < 1 or heads % tp:
        fitting = ", ".join(str(width) for width in (1, 2, 4, 8) if heads % width == 0)
        raise ValueError(f"{model} has {heads} attention heads, which {tp} GPUs cannot share evenly; tp can be {fitting}")


def _measured(gpu: str, engine: str, model: str, tp: int, like: str) -> Profile:
    try:
        return profiles()[gpu, engine, like, tp]
    except KeyError:
        heads = int(_model(model)["attention_heads"])
        sizes = sorted(key[3] for key in profiles() if key[:3] == (gpu, engine, like) and heads % key[3] == 0)
        if sizes:
            raise ValueError(
                f"no latency profile of {model} on {tp} x {gpu} with {engine}; tp can be {', '.join(map(str, sizes))}"
            ) from None
        others = sorted({key[1] for key in profiles() if (key[0], key[2]) == (gpu, like)})
        if others:
            raise ValueError(
                f"no latency profile of {model} on {gpu} with {engine}: {gpu} was measured with {' and '.join(others)} only; "
                "take that engine or measure your own (intentwin import latency-profile)"
            ) from None
        known = sorted({" ".join(key[:3]) for key in profiles()})
        raise ValueError(
            f"no latency profile of {model} on {gpu} with {engine}; there are (gpu engine model): {'; '.join(known)}"
        ) from None


def _model_factors(known: dict[str, Any]) -> Floats:
    """Return what a model's coefficients are to those of the model it is scaled from; shape of COLUMNS up to DECODE_*."""
    if "like" not in known:
        return np.ones(OVERHEAD_S)
    prefill, decode = known["prefill_scale"], known["decode_scale"]
    return np.array([
        decode, prefill, prefill, known["prefill_squared_scale"],
        decode, known["decode_per_request_scale"], known["decode_per_context_scale"],
    ])  # fmt: skip


def _precision_factors(gpu: str, precision: str) -> Floats:
    """Return what a precision does to the coefficients of bf16 on one kind of GPU."""
    if precision == "bf16":
        return np.ones(OVERHEAD_S)
    known = _precision(precision)
    if gpu not in known:
        on = ", ".join(name for name, value in known.items() if isinstance(value, dict))
        raise ValueError(f"precision {precision} has no scale on {gpu}; there are: {on}")
    prefill, decode = known[gpu]["prefill_scale"], known[gpu]["decode_scale"]
    return np.array([decode, prefill, prefill, prefill, decode, 1.0, 1.0])


def _scaled(base: Profile, factors: Floats, precision: str, extra_bytes: int) -> Profile:
    values = [float(value * factor) for value, factor in zip(base.coefficients[:OVERHEAD_S], factors, strict=True)]
    capacity = float(kv_capacity_tokens(base.gpu, base.model, base.tp, precision, extra_bytes))
    return replace(base, coefficients=(*values, base.coefficients[OVERHEAD_S], capacity), precision=precision)


def import_name(latency: str) -> str | None:
    """Return the name of the imported profile that an endpoint's ``latency`` asks for; None for the built-in ones.

    >>> import_name("imported:my-cluster"), import_name("built-in")
    ('my-cluster', None)
    """
    if latency == BUILT_IN:
        return None
    found = IMPORTED.match(latency)
    if found is None:
        raise ValueError(f"latency {latency!r} is neither {BUILT_IN!r} nor 'imported:NAME' (a-z, 0-9 and '-')")
    return found[1]


def imported_profiles(name: str) -> tuple[Profile, ...]:
    """Return the profiles that were imported under a name, one per (gpu, engine, model, tp), as they were measured."""
    path = imported("latency-profile", name)
    return _imported(path, path.stat().st_mtime_ns)


# Every slot of an endpoint asks for its profile; a file that has changed is read again.
@lru_cache(maxsize=16)
def _imported(path: Path, changed_ns: int) -> tuple[Profile, ...]:
    found = []
    for row in imported_table(path).iter_rows(named=True):
        capacity = float(kv_capacity_tokens(row["gpu"], row["model"], row["tp"], row["precision"]))
        found.append(
            Profile(
                row["gpu"], row["engine"], row["model"], row["tp"],
                (*(row[column] for column in COLUMNS[:OVERHEAD_S]), 0.0, capacity),
                (row["prefill_error_mean_share"], row["prefill_error_max_share"]),
                (row["decode_error_mean_share"], row["decode_error_max_share"]),
                f"imported:{path.stem}", row["precision"],
            )
        )  # fmt: skip
    return tuple(found)


def resolve(latency: str, gpu: str, engine: str, model: str, tp: int, precision: str = "bf16", extra_bytes: int = 0) -> Profile:
    """Return the profile that an endpoint's ``latency`` names: ``built-in`` or ``imported:NAME``.

    An imported one holds for the GPU, engine, model and tp it was measured on, and only there; another precision than the
    measured one is scaled as the built-in ones are. ValueError names what there is.
    """
    name = import_name(latency)
    if name is None:
        return profile(gpu, engine, model, tp, precision, extra_bytes)
    there = imported_profiles(name)
    for found in there:
        if (found.gpu, found.engine, found.model, found.tp) == (gpu, engine, model, tp):
            factors = _precision_factors(gpu, precision) / _precision_factors(gpu, found.precision)
            return _scaled(found, factors, precision, extra_bytes)
    known = "; ".join(f"{each.model} on {each.tp} x {each.gpu} with {each.engine}" for each in there)
    raise ValueError(f"{latency} has no measurement of {model} on {tp} x {gpu} with {engine}; it has: {known}")


def weight_bytes(model: str, precision: str = "bf16") -> float:
    """Return the bytes of a model's weights (of a multimodal one: without its image encoder)."""
    return float(_model(model)["weight_bytes"] * _precision(precision)["weight_share"])


def quality_share(model: str, precision: str = "bf16") -> float:
    """Return the answer quality relative to the largest model of its family in bf16."""
    _model(model)
    return float(calibration("serving")["quality_share"][model] * _precision(precision)["quality_share"])


def context_tokens(model: str) -> int:
    """Return the longest context, prompt and output together."""
    return int(_model(model)["context_tokens"])


def kv_bytes_per_token(model: str) -> int:
    """Return what keys and values of one token take, all ranks together."""
    return int(_model(model)["kv_bytes_per_token"])


def kv_capacity_tokens(gpu: str, model: str, tp: int, precision: str = "bf16", extra_bytes: int = 0) -> int:
    """Return how many tokens fit in what weights leave of the usable GPU memory; activations are not counted."""
    data = calibration("serving")
    if gpu not in data["gpu"]:
        raise ValueError(f"GPU {gpu!r} is unknown; there are: {', '.join(data['gpu'])}")
    usable = data["engine"]["memory_utilisation_share"] * data["gpu"][gpu]["memory_bytes"] * tp
    return max(0, int((usable - weight_bytes(model, precision) - extra_bytes) // kv_bytes_per_token(model)))


def reload_s(model: str, precision: str = "bf16", tp: int = 1, extra_bytes: int = 0) -> float:
    """Return how long it takes to bring a model's weights into the memory of ``tp`` GPUs of one server.

    >>> reload_s("70b", "bf16", 2), reload_s("70b", "fp8", 8)
    (14.11, 3.5275)
    """
    known = calibration("serving")["reload"]
    return float((weight_bytes(model, precision) + extra_bytes) / min(tp * known["gpu_bytes_per_s"], known["server_bytes_per_s"]))


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
