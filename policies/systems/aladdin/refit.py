"""Refit of the latency coefficients at the heartbeat, where workers drift.

What iterations took in recent windows is held against what the coefficients in force say of as many iterations of as many
tokens. Where the two differ by more than the models' own error is reported to be, the coefficients are fitted anew: their
fixed and their growing part by least squares if the load varied enough to tell them apart, else both by one factor
(facts sheet: "refit k, c, h, j if drift"; how is proposed). Where they do not differ, they stay what they are to the last digit.
Each worker has its own factors, because one worker may be slow among quick ones. One of which nothing is known lately
takes the median of those of its kind.

KV growth (h, j) is not refitted: the cache is counted in tokens, of which each request holds as many as it has. Where batches
decode beside a prefill, what the prefill alone takes is not to be seen, and only decode is refitted.
"""

from typing import Final

import numpy as np

from policies.systems.aladdin.scores import slowed
from twin.serving import latency as lat
from twin.serving.levers import Bools, Floats, ServingObservation
from twin.stack import State

# Reported error of the paper's models: what lies within it is not drift.
DRIFT_SHARE: Final = 0.1
_HALF_LIFE_S: Final = 300.0
# Iterations of a phase that must be known of a worker.
_EVIDENCE: Final = 100.0
# A window in which a worker's speed changed by more tells nothing: only the speed at its end is known.
_STEADY_SHARE: Final = 0.02
# Standard deviation of the fixed part's share from which on the two parts are told apart, and how far they may lie apart.
_VARIED: Final = 0.05
_APART: Final = 2.0
_PREFILL, _DECODE = range(2)
_FIXED: Final = ((lat.FLOOR_S, lat.PREFILL_S), (lat.DECODE_S,))
_GROWING: Final = (
    (lat.PREFILL_PER_TOKEN_S, lat.PREFILL_PER_SQUARED_TOKEN_S),
    (lat.DECODE_PER_REQUEST_S, lat.DECODE_PER_CONTEXT_TOKEN_S),
)
# Sums of weighted products of the fixed part, the growing part and what was taken; and iterations.
_FF, _FG, _GG, _FT, _GT, _COUNT = range(6)
_ARRAYS: Final = ("factors", "_sums", "_lately", "_latency", "_speed")


class Refit:
    """Factors on the profile's coefficients: of each slot, by phase (prefill, decode), of the fixed and the growing part."""

    def __init__(self, instances: int) -> None:
        self.factors = np.ones((instances, 2, 2))
        self._sums = np.zeros((instances, 2, 6))
        self._lately = np.zeros((instances, 2))
        self._latency = np.full((instances, len(lat.COLUMNS)), np.nan)
        self._speed = np.zeros(instances)

    def of(self, latency: Floats) -> Floats:
        """Return coefficients as they were refitted, shape I x columns."""
        found = np.array(latency, dtype=np.float64)
        for phase in (_PREFILL, _DECODE):
            for part, columns in enumerate((_FIXED[phase], _GROWING[phase])):
                found[:, columns] *= self.factors[:, phase, part, None]
        return found

    def learn(self, seen: ServingObservation) -> None:
        """Take in what the iterations of the last window took."""
        same = (seen.latency == self._latency).all(axis=1)
        self.factors[~same], self._sums[~same], self._lately[~same] = 1.0, 0.0, 0.0
        known = same & (np.abs(seen.speed_share - self._speed) <= _STEADY_SHARE * self._speed)
        self._latency, self._speed = np.array(seen.latency), np.array(seen.speed_share)
        fade = 0.5 ** (seen.window_s / _HALF_LIFE_S)
        self._sums *= fade
        self._lately *= fade
        for phase, (count, fixed_s, growing_s, took_s) in enumerate((_prefills(seen), _decodes(seen))):
            said_s = fixed_s + growing_s
            usable = known & (count > 0) & np.isfinite(said_s) & (said_s > 0.0)
            # Errors of a sum grow with its root, so windows weigh less the longer they were busy.
            products = (fixed_s**2, fixed_s * growing_s, growing_s**2, fixed_s * took_s, growing_s * took_s, count * said_s)
            self._sums[usable, phase] += np.stack(products, axis=1)[usable] / said_s[usable, None]
            self._lately[usable, phase] += count[usable]

    def beat(self) -> None:
        """Refit where what was taken differs from what the coefficients in force say."""
        ff, fg, gg, taken = (self._sums[..., place] for place in (_FF, _FG, _GG, _FT))
        taken = taken + self._sums[..., _GT]
        said = self.factors[..., 0] * (ff + fg) + self.factors[..., 1] * (fg + gg)
        drifts = (self._sums[..., _COUNT] >= _EVIDENCE) & (np.abs(taken - said) > DRIFT_SHARE * said)
        self.factors[drifts] = _fitted(self._sums[drifts])
        # What came before is explained; from here on only what is new counts.
        self._sums[drifts] = 0.0
        self._share(self._lately >= _EVIDENCE)

    def _share(self, known: Bools) -> None:
        """Give slots of which nothing is known lately the median of those of their kind."""
        _, kind = np.unique(self._latency, axis=0, return_inverse=True)
        kind = kind.reshape(-1)
        for phase in (_PREFILL, _DECODE):
            for alike in np.unique(kind[known[:, phase]]):
                mine = kind == alike
                middle = np.median(self.factors[mine & known[:, phase], phase], axis=0)
                self.factors[mine & ~known[:, phase], phase] = middle

    def snapshot(self) -> State:
        """Return factors and what they are judged by."""
        return {name.lstrip("_"): getattr(self, name).copy() for name in _ARRAYS}

    def restore(self, state: State) -> None:
        """Take back what ``snapshot`` gave."""
        for name in _ARRAYS:
            setattr(self, name, np.array(state[name.lstrip("_")], dtype=np.float64))


def _fitted(sums: Floats) -> Floats:
    """Return the factors of fixed and growing part that explain the sums (N x 6), shape N x 2."""
    ff, fg, gg, ft, gt, _ = sums.T
    said = ff + 2.0 * fg + gg
    whole = (ft + gt) / said
    # As the profile says after all: then exactly.
    whole = np.where(np.abs(whole - 1.0) <= DRIFT_SHARE, 1.0, whole)
    # Weighted variance of the fixed part's share of an iteration.
    varied = ff / said - ((ff + fg) / said) ** 2 > _VARIED**2
    det = np.where(varied, ff * gg - fg**2, 1.0)
    parts = np.stack([ft * gg - gt * fg, gt * ff - ft * fg], axis=1) / det[:, None]
    near = ((parts < _APART * whole[:, None]) & (parts > whole[:, None] / _APART)).all(axis=1)
    return np.where((varied & near & (whole != 1.0))[:, None], parts, whole[:, None])


def _prefills(seen: ServingObservation) -> tuple[Floats, Floats, Floats, Floats]:
    """Return each slot's prefills: how many, what fixed and growing part of the profile say of them, and what they took, shape I."""
    c, count = slowed(seen, seen.latency), seen.prefill_iterations.astype(np.float64)
    growing = c[:, lat.PREFILL_PER_TOKEN_S] * seen.prompt_tokens + c[:, lat.PREFILL_PER_SQUARED_TOKEN_S] * seen.squared_prompt_tokens
    fixed = np.maximum(c[:, lat.PREFILL_S] * count, c[:, lat.FLOOR_S] * count - growing)
    took = (seen.prefill_share - seen.encode_share) * seen.window_s - c[:, lat.OVERHEAD_S] * count
    return np.where(seen.endpoint_decodes_beside[seen.instance_endpoint], 0.0, count), fixed, growing, took


def _decodes(seen: ServingObservation) -> tuple[Floats, Floats, Floats, Floats]:
    """Return the same of decode iterations."""
    c, count = slowed(seen, seen.latency), seen.decode_iterations.astype(np.float64)
    growing = c[:, lat.DECODE_PER_REQUEST_S] * seen.decoded_tokens + c[:, lat.DECODE_PER_CONTEXT_TOKEN_S] * seen.decoded_context_tokens
    return count, c[:, lat.DECODE_S] * count, growing, seen.decode_share * seen.window_s - c[:, lat.OVERHEAD_S] * count
