import math

from app.charts.aisles import Aisle, aisles_svg, aisles_title
from app.charts.tokens import LIGHT


def _aisle(name: str, wants: float, has: float, back: float = 0.03) -> Aisle:
    return Aisle(name, wants, has, 20.1, back, 27.0)


def test_the_aisle_that_wants_more_than_it_gets_is_told_first() -> None:
    found = [_aisle("aisle-1", 30.0, 40.0), _aisle("aisle-2", 41.6, 40.0, 0.07)]
    assert aisles_title(found) == "Aisle 2 wants 104\u00a0% of its air; hot air recirculates"
    assert [aisle.state for aisle in found] == ["met", "broken"]
    drawn = aisles_svg(found, LIGHT, shown="candidate")
    assert "✕ wants 104\u00a0%" in drawn
    assert "41.6 of 40.0\u00a0m³/s at 20.1\u00a0°C" in drawn
    assert drawn.count(LIGHT.hot) >= 1


def test_where_every_aisle_has_enough_the_one_that_uses_most_is_named() -> None:
    assert aisles_title([_aisle("aisle-1", 30.0, 40.0), _aisle("aisle-2", 38.5, 40.0)]).startswith("Aisle 2 wants 96")
    assert _aisle("aisle-2", 38.5, 40.0).state == "at risk"


def test_an_aisle_without_supply_has_no_air_at_all() -> None:
    lost = _aisle("aisle-1", 30.0, 0.0)
    assert math.isinf(lost.wanted_share)
    assert aisles_title([lost]) == "Aisle 1 has no air at all; hot air recirculates"
    assert "no air" in aisles_svg([lost], LIGHT, shown="today")
    assert aisles_title([]) == "No airflow was recorded"
