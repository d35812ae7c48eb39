import math
import re

import pytest

from app.charts.power import MOST, Node, first_to_trip, tree, tree_svg, tree_title
from app.charts.tokens import LIGHT
from twin.fleet import Fleet
from twin.fleet_file import named
from twin.plant.tree import PowerTree


@pytest.fixture
def fleet() -> Fleet:
    return named("example")


def _feeds(fleet: Fleet, lost: str = "") -> dict[str, tuple[float, float, bool]]:
    ups = {unit: (200e3, 282e3, unit != lost) for unit in fleet.ups_ids}
    return ups | {pdu: (25e3, float(fleet.pdu_rated_w[i]), True) for i, pdu in enumerate(fleet.pdu_ids)}


def _rows(fleet: Fleet) -> dict[str, tuple[float, float]]:
    return {row: (0.6 * budget, budget) for row, budget in zip(fleet.row_ids, fleet.row_power_budgets_w.tolist(), strict=True)}


def test_the_tree_hangs_rows_on_pdus_pdus_on_ups_and_ups_on_the_utility(fleet: Fleet) -> None:
    nodes = {node.id: node for node in tree(fleet, 900e3, _rows(fleet), _feeds(fleet), {"rack-1": 20e3, "rack-11": 21e3}, "row-1")}
    assert nodes["ups-1"].parents == ("utility",)
    assert nodes["row-1-pdu-a"].parents == fleet.ups_ids
    assert nodes["row-1"].parents == ("row-1-pdu-a", "row-1-pdu-b")
    assert nodes["rack-1"].parents == ("row-1",)
    assert "rack-11" not in nodes
    assert nodes["utility"].free_share == pytest.approx(1 - 900 / 1600)


def test_without_the_table_of_feeds_rows_hang_on_the_utility(fleet: Fleet) -> None:
    nodes = tree(fleet, 900e3, _rows(fleet), {}, {}, "row-1")
    assert {node.kind for node in nodes} == {"utility", "row"}
    assert all(node.parents == ("utility",) for node in nodes if node.kind == "row")


def test_the_place_with_the_least_share_free_trips_first_and_a_lost_one_cannot(fleet: Fleet) -> None:
    feeds = _feeds(fleet, lost="ups-2") | {"ups-2": (0.0, 0.0, False), "ups-3": (270e3, 282e3, True)}
    nodes = tree(fleet, 900e3, _rows(fleet), feeds, {}, "row-1")
    first = first_to_trip(nodes)
    assert first is not None
    assert first.id == "ups-3"
    assert first.state == "at risk"
    assert tree_title(nodes) == "UPS 3 would trip first: 4\u00a0% free, 12.0\u00a0kW; UPS 2 lost"


def test_a_place_over_its_rating_is_told_with_what_is_too_much(fleet: Fleet) -> None:
    nodes = tree(fleet, 900e3, _rows(fleet) | {"row-4": (220e3, 208e3)}, _feeds(fleet), {}, "row-1")
    assert tree_title(nodes) == "Row 4 draws 106\u00a0% of its budget, 12.0\u00a0kW too much"
    assert tree_title(tree(fleet, math.nan, {}, {}, {}, "row-1")) == "No power was recorded"


@pytest.mark.parametrize("narrow", [False, True])
def test_every_place_is_drawn_inside_the_picture_and_rows_and_racks_can_be_picked(fleet: Fleet, narrow: bool) -> None:
    racks = dict.fromkeys(fleet.rack_ids, 20e3)
    nodes = tree(fleet, 900e3, _rows(fleet), _feeds(fleet, lost="ups-2"), racks, "row-1")
    drawn = tree_svg(nodes, LIGHT, shown="candidate", chosen=("row-1",), narrow=narrow)
    width, height = map(float, re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', drawn).groups())  # type: ignore[union-attr]
    boxes = re.findall(r'<rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"', drawn)
    assert len(boxes) > len(nodes)
    assert all(float(x) + float(w) <= width + 0.01 and float(y) + float(h) <= height + 0.01 for x, y, w, h in boxes)
    assert set(re.findall(r'data-pick="([^"]+)"', drawn)) == {node.id for node in nodes if node.kind in {"row", "rack"}}
    assert "✕ lost" in drawn


def test_of_a_large_site_the_places_with_least_room_are_drawn() -> None:
    rows = tuple(Node(f"row-{i}", "row", 100.0 + i, 300.0, parents=("utility",)) for i in range(60))
    drawn = tree_svg((Node("utility", "utility", 8000.0, 20_000.0), *rows), LIGHT, shown="today")
    assert f"{MOST} with least room of 60" in drawn
    assert ">row-59<" in drawn
    assert ">row-0<" not in drawn


def test_an_overloaded_unit_gives_way_before_a_fuller_row_and_its_time_to_trip_is_told(fleet: Fleet) -> None:
    ride_through = dict(PowerTree())
    # 1.19 is half-way from what a UPS carries without end (1.05) to 1.33, which it carries for 10 s: 20 s.
    feeds = _feeds(fleet) | {"ups-1": (1.19 * 282e3, 282e3, True), "ups-4": (1.33 * 282e3, 282e3, True)}
    rows = _rows(fleet) | {"row-2": (500e3, 326.4e3)}
    nodes = tree(fleet, 900e3, rows, feeds, {}, "row-1", ride_through)
    found = {node.id: node.trip_s for node in nodes}
    assert (found["ups-1"], found["ups-4"], found["row-2"]) == (pytest.approx(20.0), pytest.approx(10.0), math.inf)
    assert first_to_trip(nodes).id == "ups-4"  # type: ignore[union-attr]
    assert tree_title(nodes) == "UPS 4 carries 133\u00a0% of its rating and trips in 10.0\u00a0s"
    drawn = tree_svg(nodes, LIGHT, shown="today")
    assert ">trips in 20" in drawn
    assert "ups-4: 375\u00a0kW of 282\u00a0kW, trips in 10" in drawn
    # What a unit carries without end trips never, however little room is left.
    assert all(math.isinf(node.trip_s) for node in tree(fleet, 900e3, rows, _feeds(fleet), {}, "row-1", ride_through))


def test_rows_brake_units_trip_and_places_of_a_site_of_ones_own_keep_their_names() -> None:
    assert tree_title((Node("north", "row", 38e3, 40e3),)) == "Row north would brake first: 5\u00a0% free, 2.00\u00a0kW"
    assert tree_title((Node("row-1-pdu-a", "pdu", 38e3, 40e3),)) == "PDU a of row 1 would trip first: 5\u00a0% free, 2.00\u00a0kW"
    assert tree_title((Node("utility", "utility", 38e3, 40e3),)) == "The utility feed is nearest its limit: 5\u00a0% free, 2.00\u00a0kW"
