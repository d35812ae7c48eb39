"""Paired differences share one scale a row and say past the bound in words."""

import re
import xml.etree.ElementTree as ET

from app.charts.difference import CELL_PX, Change, Row, interval, table
from app.charts.quantity import Measure
from app.charts.tokens import DARK, LIGHT

HOT = "plant.gpu_temp_max_c"


def _row(*changes: Change | None, bound: float | None = -3.9) -> Row:
    measure = Measure.of(HOT, 83.9)
    return Row("plant", "hottest GPU", HOT, measure, measure, 83.9, "≤ 80.0 °C", bound, changes)


def _places(svg: str, tag: str, key: str) -> list[float]:
    return [float(node.attrib[key]) for node in ET.fromstring(svg) if node.tag == tag]


def test_candidates_of_a_row_share_its_scale() -> None:
    near, far = Change(-2.0, -2.5, -1.5, True, True), Change(-8.0, -9.0, -7.0, True, False)
    row = _row(near, far)
    places = [_places(interval(change, row, LIGHT, recommended=True), "circle", "cx")[0] for change in (near, far)]
    todays = {_places(interval(change, row, LIGHT, recommended=True), "line", "x1")[0] for change in (near, far)}
    assert places[1] < places[0] < CELL_PX
    assert len(todays) == 1


def test_only_the_recommended_one_is_blue() -> None:
    change = Change(-5.1, None, None, True, False)
    assert LIGHT.candidate in interval(change, _row(change), LIGHT, recommended=True)
    assert LIGHT.candidate not in interval(change, _row(change), LIGHT, recommended=False)


def test_the_table_writes_signs_crosses_and_missing_evidence() -> None:
    page = table([_row(Change(-2.3, -3.0, -1.6, True, True), None)], ["cooler <b>", "other"], 0, DARK)
    assert "−2.3" in page
    assert "past the bound" in page
    assert "no evidence" in page
    assert "cooler &lt;b&gt;" in page


def test_an_unmoved_metric_stands_in_the_middle_without_a_sign() -> None:
    change = Change(0.0, 0.0, 0.0, None, False)
    row = _row(change, bound=None)
    assert _places(interval(change, row, LIGHT, recommended=True), "circle", "cx") == [CELL_PX / 2]
    assert ">0<" in table([row], ["same"], None, LIGHT)


def test_the_drawings_of_three_candidates_are_narrower_than_those_of_two() -> None:
    measure = Measure.of("plant.gpu_temp_max_c", 84.0)
    change = Change(-2.0, None, None, True, False)

    def widths(count: int) -> set[str]:
        row = Row("plant", "hottest GPU", "plant.gpu_temp_max_c", measure, measure, 84.0, "", None, (change,) * count)
        return set(re.findall(r'<svg width="(\d+)"', table([row], ["candidate"] * count, None, LIGHT)))

    assert widths(2) == {"88"}
    assert widths(3) == {"56"}
