"""How sure one may be over time: as steps, with what came in below."""

import re
from datetime import UTC, datetime
from itertools import pairwise

from app.charts import tokens
from app.charts.certainty import Line, Told, certainty_svg, y_of
from twin.clock import Clock

CLOCK = Clock(datetime(2026, 7, 14, tzinfo=UTC))
MOMENTS = (3600.0, 3720.0, 4200.0, 7200.0)
FAN = Line("air_handler_lost@aisle-2", "aisle-2: air handler lost", 0, tuple(zip(MOMENTS, (0.28, 0.47, 0.66, 0.81), strict=True)))
SURGE = Line("traffic_burst@<b>chat</b>", "<b>chat</b>: burst", 1, ((3600.0, 0.36), (4200.0, 0.1)))


def _drawn(*lines: Line, told: tuple[Told, ...] = (), at_s: float = 7200.0) -> str:
    return certainty_svg(lines, told, MOMENTS, tokens.LIGHT, CLOCK, "title", at_s=at_s)


def test_a_confidence_holds_from_one_moment_to_the_next() -> None:
    path = re.search(r'<path d="([^"]+)"[^>]*stroke="#6B4FCC"', _drawn(FAN))
    assert path is not None
    ys = [float(y) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", path[1])]
    assert ys[::2] == ys[1::2] == [round(y_of(share), 2) for _, share in FAN.points]
    assert path[1].count("M") == 1


def test_a_cause_that_was_not_named_at_a_moment_has_a_gap_there() -> None:
    path = re.search(r'<path d="([^"]+)"[^>]*stroke="#275D5F"', _drawn(FAN, SURGE))
    assert path is not None
    assert path[1].count("M") == 2


def test_every_moment_is_a_click_and_says_how_sure_one_was() -> None:
    drawn = _drawn(FAN)
    assert [float(t) for t in re.findall(r'data-pick="(\d+)"', drawn)] == list(MOMENTS)
    assert "As of 01:02:00: aisle-2: air handler lost 47\u00a0%" in drawn


def test_early_moments_stand_wider_apart_than_late_ones() -> None:
    xs = sorted({float(x) for x in re.findall(r'<g data-pick="\d+"[^>]*><rect x="([\d.]+)"', _drawn(FAN))})
    assert (xs[1] - xs[0]) / 120.0 > (xs[3] - xs[2]) / 3000.0


def test_what_supports_is_full_and_what_contradicts_hollow_and_names_are_escaped() -> None:
    told = (Told(3600.0, SURGE.key, True, 1, "for <i>it</i>"), Told(3600.0, SURGE.key, False, 2, "against"))
    drawn = _drawn(SURGE, told=told)
    fills = re.findall(r'data-says="(for|against)[^>]*>.*?<path[^>]*fill="(#\w+)"', drawn)
    assert fills == [("for", "#275D5F"), ("against", "#FFFFFF")]
    assert "<b>" not in drawn
    assert "<i>" not in drawn


def test_labels_at_the_end_never_lie_on_each_other() -> None:
    near = [Line(f"a@{place}", f"a-{place}", place, ((3600.0, 0.5), (7200.0, 0.02 * place))) for place in range(4)]
    ys = sorted(float(y) for y in re.findall(r'<text x="[\d.]+" y="([\d.]+)"[^>]*font-weight="600">\d+', _drawn(*near)))
    assert len(ys) == 4
    assert all(low + 14.9 <= high for low, high in pairwise(ys))


def test_one_moment_alone_is_drawn() -> None:
    drawn = certainty_svg([Line("a@b", "b: a", 0, ((60.0, 0.5),))], (), (60.0,), tokens.DARK, CLOCK, "title", at_s=60.0)
    assert "50\u00a0%" in drawn
