import numpy as np
import polars as pl
import pytest

from app.charts.distribution import at, distribution, nines, quantile_table
from app.charts.tokens import DARK, LIGHT


def test_an_axis_of_nines_gives_each_nine_the_same_room() -> None:
    assert nines(np.array([0.9, 0.99, 0.999])) == pytest.approx([1.0, 2.0, 3.0])


def test_quantiles_are_those_of_the_sample() -> None:
    values = pl.Series(np.random.default_rng(1).lognormal(size=20_000))
    table = quantile_table(values)
    assert table["value"].to_numpy() == pytest.approx(np.quantile(values.to_numpy(), table["share"].to_numpy()))
    assert at(table, 0.99) == pytest.approx(float(values.quantile(0.99, "linear")), rel=0.02)


def test_a_small_sample_claims_no_tail() -> None:
    table = quantile_table(pl.Series(np.linspace(1.0, 2.0, 50)))
    assert float(table["share"].max()) < 0.99
    assert at(table, 0.999) is None


def test_requests_without_a_value_are_left_out() -> None:
    assert quantile_table(pl.Series([None, float("nan")], dtype=pl.Float32)).is_empty()


@pytest.mark.parametrize("tokens", [LIGHT, DARK])
def test_the_bound_is_a_short_red_stroke_across_the_99_per_cent_line(tokens) -> None:
    table = quantile_table(pl.Series(np.random.default_rng(2).lognormal(-1.0, 0.5, 5000)))
    fig = distribution(table, table, "ttft_s", tokens, bound=2.0)
    stroke = fig.layout.shapes[0]
    assert stroke.line.color == tokens.limit
    assert stroke.y0 < 2.0 < stroke.y1
    assert stroke.y1 - stroke.y0 < 1.0
    assert (fig.data[0].line.color, fig.data[1].line.color) == (tokens.today, tokens.candidate)
    assert "bound 2.00\u00a0s" in [note.text for note in fig.layout.annotations]
    assert fig.layout.xaxis.type == "log"


def test_a_narrow_figure_has_no_more_than_three_ticks() -> None:
    table = pl.DataFrame({"share": [0.1, 0.99, 0.999], "value": [0.001, 10.0, 1000.0]})
    assert 1 < len(distribution(None, table, "ttft_s", LIGHT).layout.xaxis.tickvals) <= 3


@pytest.mark.parametrize(("slow", "side", "above"), [(1.2, "left", "top"), (900.0, "right", "bottom")])
def test_the_words_of_the_99th_percentile_keep_clear_of_the_axis(slow: float, side: str, above: str) -> None:
    table = pl.DataFrame({"share": [0.1, 0.99, 0.999], "value": [1.0, slow, 1000.0]})
    (note,) = distribution(None, table, "ttft_s", LIGHT).layout.annotations
    assert (note.xanchor, note.yanchor) == (side, above)


@pytest.mark.parametrize("slow", [1.2, 900.0])
def test_the_words_of_the_bound_stand_at_its_other_end(slow: float) -> None:
    table = pl.DataFrame({"share": [0.1, 0.99, 0.999], "value": [1.0, slow, 1000.0]})
    point, bound = distribution(None, table, "ttft_s", LIGHT, bound=slow * 1.1).layout.annotations
    assert {point.yanchor, bound.yanchor} == {"top", "bottom"}
    assert (bound.y > point.y) == (bound.yanchor == "bottom")
