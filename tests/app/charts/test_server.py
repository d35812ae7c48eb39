import re
from datetime import datetime

import numpy as np
from numpy.testing import assert_allclose

from app.charts.server import Line, Scale, Span, lines_svg, thinned
from app.charts.tokens import LIGHT
from twin.clock import Clock

OVER = Span(Clock.of(datetime(2026, 7, 14), "America/Phoenix"), 0.0, 86_400.0, 43_200.0)  # noqa: DTZ001 - Clock.of attaches the zone


def test_a_thinned_curve_keeps_the_highest_of_each_stretch() -> None:
    values = np.array([1.0, 5.0, np.nan, 2.0, np.nan, np.nan])
    assert_allclose(thinned(values, 3), [5.0, 2.0, np.nan])
    assert thinned(values, 10) is values


def _drawn(lines: list[Line], **wishes: bool) -> str:
    return lines_svg(lines, OVER, Scale(1.0, "°C", 87.0, "limit 87.0\u00a0°C"), LIGHT, "GPUs", width=326.0, height=190.0, **wishes)


def test_eight_gpus_are_named_at_their_ends_without_lying_on_each_other() -> None:
    lines = [Line(f"GPU {gpu}", LIGHT.series[gpu], np.full(1440, 60.0 + 0.1 * gpu)) for gpu in range(8)]
    drawn = _drawn(lines)
    levels = sorted(float(y) for y in re.findall(r'y="([\d.]+)"[^>]*>GPU \d<', drawn))
    assert len(levels) == 8
    assert min(np.diff(levels)) >= 10.9
    assert levels[-1] <= 190.0
    assert "limit 87.0" in drawn


def test_a_curve_above_the_limit_stays_inside_the_picture() -> None:
    drawn = _drawn([Line("", LIGHT.candidate, np.linspace(60.0, 95.0, 1440))])
    ys = [float(y) for path in re.findall(r'<path d="([^"]+)"', drawn) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", path)]
    assert min(ys) >= 0.0
    assert max(ys) <= 190.0


def test_of_a_clock_the_lowest_is_kept() -> None:
    values = np.ones(1440)
    values[700] = 0.5
    low, high = (_drawn([Line("", LIGHT.candidate, values * 100)], lowest=lowest) for lowest in (True, False))
    assert low != high


def test_without_a_reading_the_drawing_says_so() -> None:
    assert "Nothing was recorded" in _drawn([Line("GPU 0", LIGHT.candidate, np.full(10, np.nan))])
