"""Marks, sparks and squares: shape and word say the same as the colour."""

import xml.etree.ElementTree as ET

import pytest

from app.charts.marks import OF_VERDICT, mark, state
from app.charts.spark import spark, squares
from app.charts.tokens import DARK, LIGHT


def test_four_states_have_four_shapes() -> None:
    assert len({mark(name, LIGHT).replace(LIGHT.muted, "") for name in ("met", "at risk", "broken", "waiting")}) == 4


@pytest.mark.parametrize("name", ["met", "at risk", "broken", "waiting"])
def test_a_state_is_written_beside_its_mark(name: str) -> None:
    assert f"> {name}</span>" in state(name, DARK)
    assert "&lt;" in state(name, DARK, "<7>")


def test_every_verdict_has_a_mark() -> None:
    assert set(OF_VERDICT) == {"reproduced", "direction only", "not reproduced", "not comparable"}


@pytest.mark.parametrize("ours", [None, -0.15, 0.4, 0.0])
def test_a_spark_keeps_band_paper_and_ours_inside(ours: float | None) -> None:
    root = ET.fromstring(spark(-0.17, 0.35, ours, LIGHT, (-0.2, -0.1)))
    places = [float(value) for node in root for key, value in node.attrib.items() if key in {"x", "x1", "x2", "cx"}]
    assert all(0 <= place <= 96 for place in places)
    assert len([node for node in root if node.tag == "circle"]) == (ours is not None)


def test_squares_fill_up_with_strength() -> None:
    assert [squares(rank, LIGHT).count(LIGHT.candidate) for rank in (1, 3, 6)] == [1, 3, 6]


@pytest.mark.parametrize(("paper", "high", "ends"), [(2.0, None, (1.8, 2.2)), (3.3, 5.5, (2.97, 6.05)), (-0.25, -0.413, (-0.4543, -0.225))])
def test_the_band_spans_the_papers_range_and_its_tolerance(paper: float, high: float | None, ends: tuple[float, float]) -> None:
    figure = spark(paper, 0.1, None, LIGHT, paper_high=high)
    assert figure.count("stroke-dasharray") == (1 if high is None else 2)
    band, *lines = (node.attrib for node in ET.fromstring(figure))
    nought = float(lines[-1]["x1"])
    first, width = float(band["x"]), float(band["width"])
    assert (first - nought) / (first + width - nought) == pytest.approx(ends[0] / ends[1], rel=0.02)
