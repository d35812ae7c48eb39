"""What past VMs drew: the template shows, the run's own draws do not."""

import numpy as np
import pytest

from twin.workloads.history import past_vms
from twin.workloads.settings import Settings

ASKED = Settings.model_validate(
    {
        "vms": [{"workload": "chat", "kind": "saas", "count": 1, "load": {"mean_share": 0.6, "swing_share": 0.2, "noise_share": 0.02}}],
        "arrivals": [
            {
                "workload": "rented",
                "gpus_share": 0.3,
                "load": {"mean_share": 0.5, "swing_share": 0.3, "weekend_share": 0.5, "peak_hour": 15},
            }
        ],
    }
)
HOURS = np.arange(168)
DAY = 0.6 + 0.4 * np.cos((HOURS % 24 - 20.0) * np.pi / 12.0)


def _past(seed: int = 1):
    return past_vms(ASKED, ("chat", "rented"), {"chat": DAY}, 0.8, seed)


def test_rented_vms_show_their_day_and_their_weekend():
    mean = _past().mean_share[1]
    assert np.argmax(mean[:24]) in range(13, 17)
    assert mean[:24].max() == pytest.approx(0.8 * 0.8, rel=0.05)
    assert mean[120:].mean() == pytest.approx(0.5 * mean[:120].mean(), rel=0.05)


def test_serving_vms_have_their_endpoints_day_and_their_declared_peak():
    past = _past()
    assert np.argmax(past.mean_share[0][:24]) in range(19, 22)
    assert past.mean_share[0].max() == pytest.approx(0.8 * 0.8, rel=0.05)


def test_the_highest_is_no_less_than_the_mean_and_both_are_shares():
    past = _past()
    assert (past.highest_share >= past.mean_share).all()
    assert (past.mean_share >= 0.0).all()
    assert (past.highest_share <= 0.8 + 1e-12).all()
    assert np.array_equal(past.mean_share, _past().mean_share)
    assert not np.array_equal(past.mean_share, _past(2).mean_share)
