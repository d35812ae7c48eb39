"""The figure of a sweep tells every value, found or not, and where the paper stands."""

from app.charts.sweep import Mark, sweep
from app.charts.tokens import LIGHT
from app.published import quantity

MARKS = (Mark("10", -0.25, -0.3, -0.2, False), Mark("80", -0.15, -0.15, -0.15, True), Mark("160", None, None, None, False))


def drawn(marks=MARKS, paper=(-0.71, -0.71)) -> str:
    return sweep(marks, paper, "requests per second", lambda value: quantity(value, "share of the baseline's GPUs"), LIGHT)


def test_it_says_what_it_shows():
    title = drawn().partition("<title>")[2].partition("</title>")[0]
    assert title == "Ours over requests per second: 10 −25.0\u00a0%; 80 −15.0\u00a0%; 160 not found"


def test_the_claims_own_point_is_full_and_the_others_are_hollow():
    figure = drawn()
    assert figure.count(f'fill="{LIGHT.candidate}"') == 1
    assert figure.count(f'fill="{LIGHT.surface}"') == 1
    assert figure.count(f'stroke="{LIGHT.broken}"') == 1, "a cross where nothing was found"


def test_a_range_has_two_dashed_lines_and_a_number_one():
    assert drawn().count("stroke-dasharray") == 1
    assert drawn(paper=(-0.413, -0.25)).count("stroke-dasharray") == 2


def test_words_of_a_set_up_are_escaped():
    assert "<b>" not in drawn((Mark("<b>", 0.1, None, None, True),))
