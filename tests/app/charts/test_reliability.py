"""Stated confidences against what came true."""

import re

import numpy as np

from app.charts import tokens
from app.charts.reliability import reliability_svg
from twin.incidents.calibration import reliability


def test_each_bin_is_a_point_with_its_count_and_interval() -> None:
    bins = reliability([0.2] * 10 + [0.8] * 20, [1.0] * 2 + [0.0] * 8 + [1.0] * 16 + [0.0] * 4, bins=5)
    drawn = reliability_svg(bins, tokens.LIGHT, "title")
    assert "Said 20\u00a0%: 20\u00a0% of 10 were right (95\u00a0% interval 6 to 51\u00a0%)" in drawn
    assert "Said 80\u00a0%: 80\u00a0% of 20 were right" in drawn
    bars = [float(tall) for tall in re.findall(r'<rect x="[\d.]+" y="[\d.]+" width="12" height="([\d.]+)"', drawn)]
    assert np.isclose(bars[0] / bars[1], 0.5)


def test_what_is_calibrated_lies_on_the_diagonal() -> None:
    drawn = reliability_svg(reliability([0.5] * 40, [1.0, 0.0] * 20), tokens.LIGHT, "title")
    line = re.search(r'<line x1="([\d.]+)" y1="([\d.]+)" x2="([\d.]+)" y2="([\d.]+)"[^>]*dash', drawn)
    point = re.search(r'<circle cx="([\d.]+)" cy="([\d.]+)"', drawn)
    assert line is not None
    assert point is not None
    (x1, y1, x2, y2), (x, y) = map(float, line.groups()), map(float, point.groups())
    assert np.isclose((x - x1) / (x2 - x1), 0.5)
    assert np.isclose((y - y1) / (y2 - y1), 0.5)


def test_no_bin_draws_the_axes_alone() -> None:
    assert "<circle" not in reliability_svg((), tokens.DARK, "title")
