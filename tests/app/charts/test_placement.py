import polars as pl
import pytest

from app.charts.placement import AT_MOST, drawn, placement_svg, workers
from app.charts.slots import DECODE, IMAGE, PREFILL
from app.charts.tokens import DARK, LIGHT

COUNT = 40
INSTANCES = pl.DataFrame(
    {
        "t_s": [0.0] * COUNT,
        "number": list(range(1, COUNT + 1)),
        "gpus": [4] * COUNT,
        "role": pl.Series([IMAGE, PREFILL] + [DECODE] * (COUNT - 2), dtype=pl.UInt8),
        "on_share": [1.0] * (COUNT - 1) + [0.0],
        "encode_share": [0.5] + [0.0] * (COUNT - 1),
        "prefill_share": [0.0, 0.25] + [0.0] * (COUNT - 2),
        "decode_share": [0.0, 0.0] + [0.9] * (COUNT - 2),
        "batch_mean": [0.0, 0.0] + [float(i) for i in range(COUNT - 2)],
        "queue_mean": [0.0] * COUNT,
        "kv_share": [0.0] * COUNT,
        "clock_share": [1.0] * COUNT,
        "preemptions": [0] * COUNT,
        "atgt_budget_share": [0.0] * (COUNT - 2) + [1.66, 0.0],
    }
)


def test_what_fills_up_depends_on_the_role() -> None:
    frame = workers(INSTANCES, 0.0, 64, 3)
    assert len(frame) == COUNT - 1
    assert frame["load_share"][:2].to_list() == pytest.approx([0.5, 0.25])
    assert frame.filter(pl.col("number") == 10)["load_share"].item() == pytest.approx(7.0 / 64.0)
    assert frame.filter(pl.col("took"))["number"].to_list() == [3]


def test_of_a_large_pool_the_fullest_are_drawn_and_the_one_that_took_the_request() -> None:
    pool = workers(INSTANCES, 0.0, 64, 3).filter(pl.col("role") == DECODE)
    shown = drawn(pool)
    assert len(shown) == AT_MOST - 1
    assert 3 in shown["number"].to_list()
    assert pool.sort("load_share")["number"][-1] in shown["number"].to_list()
    assert "more, filled to" in placement_svg(workers(INSTANCES, 0.0, 64, 3), LIGHT, 64)


@pytest.mark.parametrize("tokens", [LIGHT, DARK])
def test_a_budget_overdrawn_is_red_and_the_taker_is_marked(tokens) -> None:
    text = placement_svg(workers(INSTANCES, 0.0, 64, 3), tokens, 64)
    assert "166\u00a0%" in text
    assert tokens.broken_text in text
    assert "▸3" in text
    assert "▸" not in placement_svg(workers(INSTANCES, 0.0, 64, None), tokens, 64)


def test_requests_put_back_take_the_place_of_the_clock() -> None:
    some = INSTANCES.with_columns(pl.Series("preemptions", [0] * (COUNT - 2) + [12, 0]))
    text = placement_svg(workers(some, 0.0, 64, None), LIGHT, 64)
    assert "put back" in text
    assert "clock" not in text
    assert "clock" in placement_svg(workers(INSTANCES, 0.0, 64, None), LIGHT, 64)


def test_an_old_run_says_that_its_budget_is_not_known() -> None:
    old = INSTANCES.with_columns(pl.lit(None, pl.Float32).alias("atgt_budget_share"))
    assert "not known" in placement_svg(workers(old, 0.0, 64, None), LIGHT, 64)
