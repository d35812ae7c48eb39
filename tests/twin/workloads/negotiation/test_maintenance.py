"""Maintenance: restarts come at their rate, whoever asks for them and however long the windows are."""

import numpy as np
import pytest

from twin.workloads.negotiation.maintenance import Maintenance, Site

SITE = Site(("row-1",), (tuple(f"host-{i}" for i in range(300)), tuple(f"server-{i}" for i in range(100))))


def test_a_place_restarts_as_often_as_is_said() -> None:
    found = Maintenance(SITE, 0.5, 3).starting(0.0, 40 * 86_400.0)
    # Forty days of four hundred places at half a time a day: 8,000 give or take three standard deviations.
    assert len(found) == pytest.approx(8000, abs=270)
    assert np.bincount([each.pool for each in found]) / len(found) == pytest.approx([0.75, 0.25], abs=0.02)


@pytest.mark.parametrize("window_s", [15.0, 700.0, 100_000.0])
def test_windows_of_any_length_find_the_same_restarts(window_s: float) -> None:
    whole = Maintenance(SITE, 0.5, 3).starting(0.0, 200_000.0)
    parts, drawn = [], Maintenance(SITE, 0.5, 3)
    for from_s in np.arange(0.0, 200_000.0, window_s):
        parts += drawn.starting(from_s, min(from_s + window_s, 200_000.0))
    assert parts == whole
