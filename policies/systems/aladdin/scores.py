"""What the compiled rule is told of each worker."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from policies.systems.aladdin import routes
from policies.systems.aladdin.lengths import Sizes
from policies.systems.aladdin.plan import Aims
from twin.serving import latency as lat
from twin.serving.batching import TICKS_PER_S
from twin.serving.levers import IMAGE, ON, Floats, Ints, ServingObservation

# Decode is memory bound: it slows down only below this share of the top clock (facts sheet on heat and power, 5a).
_DECODE_KNEE_SHARE: Final = 0.6
_SLOWEST: Final = 0.2
# An error never counts for more than this share of a worker's KV cache.
_ERROR_SHARE: Final = 0.25


def slowed(seen: ServingObservation, coefficients: Floats) -> Floats:
    """Return latency coefficients of each slot at the speed at which its GPUs run, shape I x columns."""
    found = np.array(coefficients, dtype=np.float64)
    speed = np.clip(seen.speed_share, _SLOWEST, 1.0)[:, None]
    found[:, lat.FLOOR_S : lat.DECODE_S] /= speed
    found[:, lat.DECODE_S : lat.OVERHEAD_S] /= np.minimum(1.0, speed / _DECODE_KNEE_SHARE)
    return found


def encoding(seen: ServingObservation) -> Floats:
    """Return base and per-tile time of encoding of each slot at its speed, shape I x 2; zeros where image instances do it."""
    apart = np.zeros(len(seen.endpoint_ids), dtype=np.bool_)
    apart[seen.instance_endpoint[(seen.role == IMAGE) & (seen.state == ON)]] = True
    slowed_s = seen.encode_s / np.clip(seen.speed_share, _SLOWEST, 1.0)[:, None]
    return np.asarray(np.where(apart[seen.instance_endpoint][:, None], 0.0, slowed_s))


@dataclass(frozen=True, slots=True)
class Packing:
    """How far workers may be filled: share of the KV cache, share of the ATGT objective, and how many schedulers fill them."""

    theta: float
    gamma: float
    schedulers: int


@dataclass(frozen=True, slots=True)
class Learned:
    """What requests were like: means by endpoint, output by endpoint and bucket, and by how much each slot's ran over.

    ``encoder_s`` is base and per-tile time of encoding of each slot at its speed, shape I x 2, zeros where it encodes nothing.
    """

    sizes: Sizes
    encoder_s: Floats
    output_tokens: Floats
    drift_tokens: Floats


def table(coefficients: Floats, endpoint: Ints, batch: Ints, aims: Aims, learned: Learned, packing: Packing) -> Floats:
    """Return the score of each slot, shape I x SCORE_COLUMNS.

    ``coefficients`` are those at present speeds, ``endpoint`` and ``batch`` limit of each slot have shape I. Columns are named
    in ``routes``: shares are reciprocals of limits, times are in ticks.
    """
    c, sizes = coefficients, learned.sizes
    gamma = packing.gamma * aims.atgt_share
    out = np.zeros((len(c), routes.SCORE_COLUMNS))
    kv_tokens = np.maximum(c[:, lat.KV_TOKENS], 1.0)
    prompt, squared = sizes.prompt_tokens[endpoint], sizes.squared_prompt_tokens[endpoint]
    overhead = c[:, lat.OVERHEAD_S]
    times_s = {
        routes.TTFT: aims.ttft_s,
        routes.ATGT: gamma * aims.atgt_s,
        routes.PREFILL_BASE: c[:, lat.PREFILL_S] + overhead,
        routes.PREFILL_PER_TOKEN: c[:, lat.PREFILL_PER_TOKEN_S],
        routes.PREFILL_PER_SQUARE: c[:, lat.PREFILL_PER_SQUARED_TOKEN_S],
        routes.WAITING_PER_TOKEN: c[:, lat.PREFILL_PER_TOKEN_S] + c[:, lat.PREFILL_PER_SQUARED_TOKEN_S] * squared / np.maximum(prompt, 1.0),
        routes.ENCODE_BASE: learned.encoder_s[:, 0],
        routes.ENCODE_PER_TILE: learned.encoder_s[:, 1],
        routes.USUAL_ENCODE: sizes.encode_s(learned.encoder_s, endpoint)[0],
    }
    for column, time_s in times_s.items():
        out[:, column] = time_s * TICKS_PER_S
    decode_s = {
        routes.SLOW_BASE: c[:, lat.DECODE_S] + overhead,
        routes.SLOW_PER_REQUEST: c[:, lat.DECODE_PER_REQUEST_S],
        routes.SLOW_PER_TOKEN: c[:, lat.DECODE_PER_CONTEXT_TOKEN_S],
    }
    for column, time_s in decode_s.items():
        out[:, column] = time_s / (gamma * aims.atgt_s)
    out[:, routes.BATCH_SHARE] = 1.0 / np.maximum(batch, 1)
    out[:, routes.KV_SHARE] = 1.0 / (packing.theta * kv_tokens)
    out[:, routes.ERROR] = np.clip(learned.drift_tokens, -_ERROR_SHARE * kv_tokens, _ERROR_SHARE * kv_tokens)
    out[:, routes.STALL_WEIGHT] = aims.stall_weight
    out[:, routes.SLACK] = 1.0 / gamma
    out[:, routes.SCHEDULERS] = packing.schedulers
    out[:, routes.USUAL_PROMPT] = np.rint(prompt)
    out[:, routes.USUAL_OUTPUT] = np.rint(sizes.output_tokens[endpoint])
    whole = np.maximum(np.rint(learned.output_tokens), 1.0)
    out[:, routes.BIN_TOKENS] = np.ceil((whole.max(axis=1) + 1.0) / routes.BINS)[endpoint]
    out[:, routes.TABLE :] = whole[endpoint]
    return out
