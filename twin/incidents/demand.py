"""What the outside asks of services, drawn before a run begins."""

import math

import numpy as np
from numpy.typing import NDArray

from twin.chance import stream
from twin.clock import Clock
from twin.incidents.calibrated import number
from twin.incidents.settings import Settings

Floats = NDArray[np.float64]


def rates(settings: Settings, clock: Clock, horizon_s: float, seed: int) -> Floats:
    """Return requests per second from outside, window by window (W, S), each request counted once.

    A cosine of the day times a noise that lasts (AR(1) in its logarithm) times the chance of counts. A longer run begins as a shorter
    one of the same seed does; a service more shifts nobody else's draws.
    """
    window_s, services = settings.window_s, settings.services
    windows = math.ceil(horizon_s / window_s)
    middle_s = (np.arange(windows) + 0.5) * window_s
    hours = clock.hour(middle_s)
    keep = math.exp(-window_s / number("demand.noise_tau_s"))
    spread = number("demand.noise_share")
    found = np.zeros((windows, len(services)))
    for column, service in enumerate(services):
        if service.rate_per_s <= 0.0:
            continue
        drawn = stream(seed, "incidents", "demand", service.id).standard_normal((windows + 1, 2))
        waver = np.empty(windows)
        at = drawn[0, 0]
        for w, shock in enumerate(drawn[1:, 0] * math.sqrt(1.0 - keep * keep)):
            at = keep * at + shock
            waver[w] = at
        swing = 1.0 + service.swing_share * np.cos((hours - service.peak_hour) * math.pi / 12.0)
        mean = service.rate_per_s * swing * np.exp(spread * waver - 0.5 * spread * spread)
        found[:, column] = np.maximum(mean + drawn[1:, 1] * np.sqrt(mean / window_s), 0.0)
    return found
