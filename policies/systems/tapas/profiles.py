"""The profile table: what each setting of an instance gives and draws."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from policies.systems.tapas.thermal import PRIOR
from twin.fleet import GPUS_PER_SERVER
from twin.plant.hardware import server_models
from twin.plant.power import busy_power_w, decode_power_w, gpu_power_w
from twin.serving.latency import KV_TOKENS, decode_s, prefill_s
from twin.sources import calibration

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
BATCHES: Final = np.array([1, 2, 4, 8, 16, 32, 64, 128, 256], dtype=np.int64)
# Decoding is memory bound: it slows down only below this share of the top clock (facts of TAPAS, 5a).
_DECODE_KNEE_SHARE: Final = 0.6


@dataclass(frozen=True, slots=True)
class Mix:
    """What the requests of an endpoint are like on average, and what was promised to them."""

    prompt_tokens: float
    output_tokens: float
    ttft_s: float
    atgt_s: float


@dataclass(frozen=True, slots=True)
class Profiles:
    """Every point that the instances of an endpoint offer. Axes: V models, F clocks, B batch limits, n instances.

    ``goodput_per_s`` is how many requests an instance finishes at most while both objectives hold for the mean request;
    ``gpu_w`` what one of its GPUs draws then, ``rise_c`` how far its hottest GPU settles above the inlet
    by what was learned (``rise_line``), ``idle_w`` (n) what it draws without requests; ``quality_share`` (V) is that of
    the models. Points where a model does not fit, or no batch meets the objectives, have no goodput. Precisions are models of
    their own here, as they are in the endpoint's list; the width of an instance is that of its slot.
    """

    clock_share: Floats
    goodput_per_s: Floats
    gpu_w: Floats
    idle_w: Floats
    quality_share: Floats
    rise_c: Floats
    rise_line: Floats
    tdp_w: Floats
    gpus: Ints
    empty_w: Floats

    @classmethod
    def of(
        cls,
        latency: Floats,
        quality_share: Floats,
        tdp_w: Floats,
        mix: Mix,
        clock_share: Floats,
        rise: Floats | None = None,
        gpus: Ints | None = None,
    ) -> "Profiles":
        """Compute the table from latency coefficients (V x n x columns) at some clocks (F, or F x n).

        ``rise`` holds what was learned of each instance's heat (n x 2: C at no power, C more at rated power), ``gpus`` their
        widths (n), whole servers where nothing is said.
        """
        clock = np.broadcast_to(np.reshape(clock_share, (len(clock_share), -1)), (len(clock_share), latency.shape[1]))
        c, f, b = latency[:, None, None], clock[None, :, None], BATCHES[None, None, :, None].astype(np.float64)
        held = mix.prompt_tokens + 0.5 * mix.output_tokens
        read_s = prefill_s(c, mix.prompt_tokens, mix.prompt_tokens**2) / f
        step_s = decode_s(c, b, b * held) / np.minimum(1.0, f / _DECODE_KNEE_SHARE)
        # Engines stall decoding while they read prompts: a request takes its prompt's time and its part of the iterations.
        per_s = 1.0 / (read_s + mix.output_tokens * step_s / b)
        reading = per_s * read_s
        left = np.maximum(1.0 - reading, 1e-9)
        meets = (step_s / left <= mix.atgt_s) & (read_s / left <= mix.ttft_s) & (b * held <= c[..., KV_TOKENS])
        per_s = np.where(meets, per_s, 0.0)
        gpu_w, idle_w, empty_w = _power_w(tdp_w, f, b, reading)
        # A limit allows every smaller batch: what it gives is the best of them.
        best = np.maximum.accumulate(per_s, axis=2)
        at = np.maximum.accumulate(np.where(per_s >= best, np.arange(len(BATCHES))[None, None, :, None], 0), axis=2)
        drawn = np.take_along_axis(np.broadcast_to(gpu_w, best.shape), at, axis=2)
        line = np.tile(np.array(PRIOR), (len(tdp_w), 1)) if rise is None else rise
        wide = np.full(len(tdp_w), GPUS_PER_SERVER) if gpus is None else gpus
        return cls(clock, best, drawn, idle_w, quality_share, _line_c(line, drawn / tdp_w), line, tdp_w, wide, empty_w)

    def power_w(self, per_s: Floats) -> Floats:
        """Return what a GPU draws at every point if its instance is asked this many requests per second (n)."""
        used = np.minimum(per_s / np.maximum(self.goodput_per_s, 1e-9), 1.0)
        return np.asarray(self.idle_w + used * (self.gpu_w - self.idle_w))

    def rise_at(self, power_w: Floats) -> Floats:
        """Return how far above the inlet the hottest GPU settles at such powers; the last axis is n."""
        return _line_c(self.rise_line, power_w / self.tdp_w)


def _line_c(line: Floats, load_share: Floats) -> Floats:
    return np.asarray(line[:, 0] + line[:, 1] * load_share)


def working_share(gpus_share: float) -> float:
    """Return the power of a server of which this share of the GPUs works, as a share of that of all (assumed)."""
    return _by_share("server_power_share", gpus_share)


def hotter_c(gpus_share: float) -> float:
    """Return how much hotter the hottest GPU is where only this share of a server's GPUs works (assumed)."""
    return _by_share("hottest_rise_c", gpus_share)


def _by_share(name: str, gpus_share: float) -> float:
    known = calibration("serving")["width"]
    return float(np.interp(gpus_share, known["working_gpus_share"], known[name]))


def _power_w(tdp_w: Floats, clock: Floats, batch: Floats, reading: Floats) -> tuple[Floats, Floats, Floats]:
    """Return what a GPU draws that reads this share of its time and decodes the rest, and idle (n) with and without a model."""
    known = server_models()
    gpu_w, idle_w = np.zeros(np.broadcast_shapes(reading.shape, clock.shape, batch.shape)), np.zeros(len(tdp_w))
    empty_w = np.zeros(len(tdp_w))
    for rating in np.unique(tdp_w):
        # The server model is not told, its rating is; models of one rating draw alike.
        model = known[int(np.argmin(np.abs(known["tdp_w"] - rating)))]
        mine = tdp_w == rating
        share, f = reading[..., mine], np.broadcast_to(clock, (*clock.shape[:-1], len(tdp_w)))[..., mine]
        decoding_w = decode_power_w(model, batch, model.decode_bandwidth_share)
        busy_w = busy_power_w(model, model.resident_w, share, 1.0 - share, 0.0, decoding_w)
        gpu_w[..., mine] = gpu_power_w(model, model.resident_w, busy_w, f)
        idle_w[mine], empty_w[mine] = model.resident_w, model.idle_w
    return gpu_w, idle_w, empty_w
