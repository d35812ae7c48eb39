import polars as pl

from app.charts.dots import gpu_dots_svg
from app.charts.pareto import front, pareto
from app.charts.tokens import LIGHT

X, Y = "serving.cost_usd_per_h", "serving.slo_attainment_share"
FOUND = pl.DataFrame(
    {
        "name": ["today", "a", "b", "c"],
        X: [1800.0, 1500.0, 1400.0, 1600.0],
        Y: [0.99, 0.995, 0.98, 0.97],
        "meets": [False, True, False, False],
        "is_today": [True, False, False, False],
    }
)


def test_the_front_follows_each_metrics_direction_of_better() -> None:
    assert front(FOUND, X, Y).to_list() == [False, True, True, False]


def test_a_candidate_that_meets_its_bounds_is_filled_and_others_are_hollow() -> None:
    fig = pareto(FOUND, X, Y, LIGHT, bounds={X: 1550.0})
    candidates = next(trace for trace in fig.data if trace.marker.symbol == "circle")
    assert list(candidates.marker.color) == [LIGHT.candidate, LIGHT.surface, LIGHT.surface]
    assert fig.layout.shapes[0].line.color == LIGHT.limit
    assert "serving cost" in fig.layout.annotations[0].text


def test_a_gpu_over_its_limit_is_a_red_outlined_dot() -> None:
    drawn = gpu_dots_svg([70.0, 86.0, float("nan")], 85.0, LIGHT)
    assert drawn.count(f'fill="{LIGHT.hot}" stroke="{LIGHT.hot_outline}"') == 1
    assert drawn.count(f'fill="{LIGHT.candidate}"') == 1
    assert "limit 85.0\u00a0°C" in drawn
