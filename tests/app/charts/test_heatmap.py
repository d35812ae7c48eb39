import numpy as np
import polars as pl
import pytest

from app.charts.heatmap import QUANTITIES, Plan, floor_plan_svg, plan_of, ramp, scale_svg
from app.charts.tokens import DARK, HEAT, LIGHT
from twin.fleet import grown
from twin.fleet_file import named

GPU = QUANTITIES[0]


def _frame(plan: Plan, hot: dict[str, float]) -> pl.DataFrame:
    ids = [f"{server}/gpu-{slot}" for server in plan.server_ids for slot in range(8)]
    return pl.DataFrame({"gpu_id": ids, "value": [hot.get(name, 60.0) for name in ids]})


def test_the_plan_holds_the_gpu_rows_as_they_stand(plan: Plan) -> None:
    assert [row.id for row in plan.rows] == ["row-1", "row-2", "row-3", "row-4"]
    assert [row.aisle for row in plan.rows] == ["aisle-1", "aisle-1", "aisle-2", "aisle-2"]
    assert all(len(row.racks) == 10 and all(rack.servers == 4 for rack in row.racks) for row in plan.rows)
    row, rack = plan.rack_of("rack-36")
    assert (row.id, plan.server_ids[rack.first_server]) == ("row-4", "server-141")
    with pytest.raises(ValueError, match="rack-99"):
        plan.rack_of("rack-99")


def test_colours_run_from_the_coolest_stop_to_the_limit_and_never_beyond() -> None:
    assert ramp(np.array([0.0, 1.0, 5.0, -1.0])) == [HEAT[0], HEAT[-1], HEAT[-1], HEAT[0]]


@pytest.mark.parametrize("tokens", [LIGHT, DARK])
def test_only_a_cell_over_its_limit_is_red_and_outlined(plan: Plan, tokens) -> None:
    limits = np.full(1280, 87.0)
    calm = floor_plan_svg(_frame(plan, {"server-143/gpu-5": 86.9}), plan, GPU, tokens, limits=limits)
    hot = floor_plan_svg(_frame(plan, {"server-143/gpu-5": 88.4}), plan, GPU, tokens, limits=limits)
    outlined = f'fill="{tokens.hot}" stroke="{tokens.hot_outline}"'
    assert outlined not in calm
    assert hot.count(outlined) == 1
    assert "1 over the limit" in hot
    assert "88.4\u00a0°C" in hot


def test_the_scale_does_not_follow_the_frame(plan: Plan) -> None:
    def fills(value: float) -> set[str]:
        drawn = floor_plan_svg(_frame(plan, {"server-1/gpu-0": value}), plan, GPU, LIGHT)
        return {part.split('"')[0] for part in drawn.split('<path d="')[1].split('fill="')[1:2]}

    assert fills(40.0) != fills(80.0)
    assert ramp((60.0 - GPU.low) / (GPU.top - GPU.low))[0] in floor_plan_svg(_frame(plan, {"server-1/gpu-0": 86.0}), plan, GPU, LIGHT)


def test_row_power_says_what_is_free_of_the_budget(plan: Plan) -> None:
    power = pl.DataFrame({"row_id": ["row-4"], "power_w": [196_000.0], "today_w": [200_000.0]})
    drawn = floor_plan_svg(_frame(plan, {}), plan, GPU, LIGHT, power=power)
    assert "12.0\u00a0kW free" in drawn
    assert "196\u00a0kW of 208\u00a0kW" in drawn


def test_words_in_a_drawing_are_escaped(plan: Plan) -> None:
    assert "<b>" not in scale_svg(GPU, LIGHT, "limit <b>87</b>")


def test_servers_beyond_those_that_were_built_stand_at_the_end_of_their_row() -> None:
    plan = plan_of(grown(named("example"), [6, 0, 0, 0, 0]))
    assert [rack.servers for rack in plan.rows[0].racks] == [4] * 11 + [2]
    assert plan.server_ids[plan.rows[0].racks[10].first_server] == "server-161"
    assert [len(row.racks) for row in plan.rows] == [12, 10, 10, 10]
