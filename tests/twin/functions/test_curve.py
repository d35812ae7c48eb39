"""One host at a steady load: closed forms of queues, the published ratios."""

import math

import numpy as np
import pytest

from twin.functions import path
from twin.functions.curve import curve, measured
from twin.functions.levers import Runtime
from twin.functions.readings import SEGMENTS
from twin.functions.settings import Function

AES = Function(id="aes")
QUEUE = SEGMENTS.index("queue")


def _erlang_c(cores: int, load: float) -> float:
    """Return the share of calls that wait in M/M/k, by Erlang's formula; ``load`` is offered, in cores."""
    last = load**cores / math.factorial(cores) * cores / (cores - load)
    return last / (sum(load**n / math.factorial(n) for n in range(cores)) + last)


@pytest.mark.parametrize("cv", [0.0, 0.5, 1.0])
def test_one_core_waits_as_pollaczek_and_khinchine_say(junctiond: Runtime, cv: float) -> None:
    """Exact for M/G/1: W = rho (1 + cv2) / 2 D / (1 - rho)."""
    function, load = AES.model_copy(update={"cpu_cv": cv}), 0.6
    needed_s = path.cpu_s(junctiond, function)
    found = measured(junctiond, function, 1, load / needed_s, calls=1_000_000)
    assert found.segments_s[QUEUE] == pytest.approx(load * (1 + cv**2) / 2 * needed_s / (1 - load), rel=0.03)


@pytest.mark.parametrize("load", [0.5, 0.8, 0.9])
def test_more_cores_wait_as_allen_and_cunneen_say(junctiond: Runtime, load: float) -> None:
    """An approximation within a few percent: W = C(k, rho) (1 + cv2) / 2 D / (k (1 - rho))."""
    needed_s = path.cpu_s(junctiond, AES)
    found = measured(junctiond, AES, 4, load * 4 / needed_s, calls=1_000_000)
    assert found.segments_s[QUEUE] == pytest.approx(_erlang_c(4, 4 * load) * needed_s / (4 * (1 - load)), rel=0.08)


def test_cores_are_as_busy_as_the_load_says(containerd: Runtime) -> None:
    found = measured(containerd, AES, 4, 0.7 * 4 / 510e-6, calls=400_000)
    assert found.busy_cores == pytest.approx(2.8, rel=0.01)
    assert found.polling_cores == 0.0


def test_at_nine_tenths_of_the_load_five_times_the_calls_come_back_twice_as_fast(containerd: Runtime, junctiond: Runtime) -> None:
    """Published: 5x throughput at 2x lower median and 3.5x lower tail; the set-up of four cores at 0.9 is chosen for it."""
    before = measured(containerd, AES, 4, 0.9 * path.saturation_per_s(containerd, AES, 4), calls=800_000)
    after = measured(junctiond, AES, 4, 0.9 * path.saturation_per_s(junctiond, AES, 4), calls=800_000)
    assert after.rate_per_s / before.rate_per_s == pytest.approx(5.0)
    assert 1.8 < before.latency_p50_s / after.latency_p50_s < 2.2
    assert 3.2 < before.latency_p99_s / after.latency_p99_s < 3.9


def test_latency_never_falls_as_the_load_grows(containerd: Runtime) -> None:
    found = curve(containerd, AES, 4, [0.2, 0.5, 0.8, 0.9], calls=100_000)
    assert (np.diff([each.latency_p50_s for each in found]) > 0).all()
    assert (np.diff([each.latency_mean_s for each in found]) > 0).all()


def test_a_load_beyond_all_cores_is_refused(containerd: Runtime) -> None:
    with pytest.raises(ValueError, match=r"7843\.14 calls a second that 4 cores can do"):
        measured(containerd, AES, 4, 8_000.0)
