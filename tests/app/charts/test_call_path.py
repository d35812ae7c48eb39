"""Bars of a call's path: on one scale within a group, every segment told."""

import re
from xml.etree import ElementTree

from app.charts.call_path import WORDS, Bar, Group, call_path_svg, colour
from app.charts.tokens import DARK, LIGHT
from twin.functions.readings import SEGMENTS

SLOW = Bar("containerd", True, {"gateway": 200e-6, "provider": 200e-6, "interference": 100e-6, "run": 500e-6})
FAST = Bar("junctiond", False, {"gateway": 50e-6, "run": 450e-6, "queue": 0.0})


def drawn(width: float = 700.0) -> str:
    return call_path_svg([Group("on average", (SLOW, FAST))], LIGHT, "path", width=width)


def _widths(svg: str) -> dict[str, float]:
    root = ElementTree.fromstring(svg)
    found = {}
    for node in root.iter():
        if node.get("data-says"):
            found[node.get("data-says")] = float(next(iter(node)).get("width"))
    return found


def test_every_segment_has_a_word_and_a_hue_of_its_own() -> None:
    assert set(WORDS) == set(SEGMENTS)
    for tokens in (LIGHT, DARK):
        assert len({colour(tokens, name) for name in SEGMENTS}) == len(SEGMENTS)


def test_bars_of_a_group_are_on_one_scale_and_end_before_their_totals() -> None:
    widths = _widths(drawn())
    slow = sum(width for said, width in widths.items() if said.startswith("containerd"))
    fast = sum(width for said, width in widths.items() if said.startswith("junctiond"))
    assert abs(fast / slow - 0.5) < 0.01
    assert abs(slow - (700.0 - 84.0 - 66.0)) < 0.1


def test_a_part_says_whose_it_is_and_how_long() -> None:
    assert any(said == "containerd: interference 100\u00a0µs" for said in _widths(drawn()))


def test_the_legend_names_what_is_drawn_and_nothing_else_and_stays_inside_a_phone() -> None:
    svg = drawn(330.0)
    assert "its own work" in svg
    assert ">queue<" not in svg
    assert ">cold start<" not in svg
    rights = [float(x) for x in re.findall(r'<rect x="([\d.]+)"', svg)]
    assert max(rights) < 330.0


def test_nothing_to_draw_is_no_error() -> None:
    assert "<svg" in call_path_svg([Group("nobody", (Bar("containerd", True, {}),))], LIGHT, "empty")
