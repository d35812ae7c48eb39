"""What each endpoint is asked, its peaks, and which clock serves it."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from policies.systems.tapas.profiles import BATCHES, Mix, Profiles
from twin.serving.levers import ServingObservation
from twin.stack import State

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
# Rates are smoothed over about five windows; a rise counts at once where it matters.
_SMOOTHING: Final = 0.2
# The highest rate of the past is forgotten with this time constant.
_PEAK_TAU_S: Final = 3600.0
CLOCKS: Final = np.array([0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])


class Demand:
    """Requests, prompt tokens and output tokens per second of E endpoints, shape E x 3, and the highest recent request rates."""

    def __init__(self, endpoints: int) -> None:
        self.rates = np.zeros((endpoints, 3))
        self.highest_per_s = np.zeros(endpoints)
        self._learned_s = -1.0

    def learn(self, seen: ServingObservation) -> None:
        """Take the rates of the last window, once."""
        if seen.t_s == self._learned_s or seen.t_s <= 0.0:
            return
        self._learned_s = seen.t_s
        rates = np.stack([seen.endpoint_arrivals_per_s, seen.endpoint_prompt_tokens_per_s, seen.endpoint_output_tokens_per_s], axis=1)
        self.rates = np.where(self.rates > 0.0, self.rates + _SMOOTHING * (rates - self.rates), rates)
        self.highest_per_s = np.maximum(rates[:, 0], self.highest_per_s * np.exp(-seen.window_s / _PEAK_TAU_S))

    def known(self, endpoint: int) -> bool:
        """Return whether anything was asked of an endpoint yet."""
        return bool(self.rates[endpoint].all())

    def mix(self, seen: ServingObservation, endpoint: int) -> Mix:
        """Return the mean request of an endpoint and its objectives."""
        per_s, prompt, output = self.rates[endpoint]
        slo = float(seen.endpoint_ttft_slo_s[endpoint]), float(seen.endpoint_atgt_slo_s[endpoint])
        return Mix(prompt / per_s, max(output / per_s, 1.0), *slo)

    def now_per_s(self, seen: ServingObservation, endpoint: int) -> float:
        """Return what an endpoint is asked: smoothed, and more at once where the last window was asked more."""
        return max(float(self.rates[endpoint, 0]), float(seen.endpoint_arrivals_per_s[endpoint]))

    def snapshot(self) -> State:
        """Return the rates and the peaks."""
        return {"rates": self.rates.copy(), "highest_per_s": self.highest_per_s.copy(), "learned_s": self._learned_s}

    def restore(self, state: State) -> None:
        """Take back the rates and the peaks."""
        self.rates, self.highest_per_s = np.array(state["rates"]), np.array(state["highest_per_s"])
        self._learned_s = float(state["learned_s"])


def goodput_per_s(seen: ServingObservation, members: Ints, mix: Mix, clock_share: Floats) -> Floats:
    """Return what each member finishes within its endpoint's objectives with the model that it holds, F x n.

    ``clock_share`` holds F clocks for all, or is F x n.
    """
    clock = np.broadcast_to(np.reshape(clock_share, (len(clock_share), -1)), (len(clock_share), len(members)))
    # Instances of one server model with one model loaded at one clock are alike.
    marks = np.column_stack([seen.latency[members], seen.gpu_tdp_w[members], seen.configured_max_batch[members], clock.T])
    _, first, back = np.unique(np.nan_to_num(marks), axis=0, return_index=True, return_inverse=True)
    alike, back = members[first], back.reshape(-1)
    table = Profiles.of(seen.latency[alike][None], np.ones(1), seen.gpu_tdp_w[alike], mix, clock[:, first])
    limit = np.maximum(np.searchsorted(BATCHES, seen.configured_max_batch[alike], side="right") - 1, 0)
    return np.asarray(table.goodput_per_s[0][:, limit, np.arange(len(alike))][:, back])


def serving_clock(goodput: Floats, needed_per_s: float) -> float:
    """Return the lowest clock of CLOCKS (goodput F x n) at which the members together finish this much; 1 where none does."""
    enough = goodput.sum(axis=1) >= needed_per_s
    return float(CLOCKS[np.argmax(enough)]) if enough.any() else 1.0
