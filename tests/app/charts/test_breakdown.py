import numpy as np
import polars as pl
import pytest

from app.charts.breakdown import PARTS, asked, breakdown, longest_wait, recorded, split
from app.charts.tokens import DARK, LIGHT
from app.charts.waits import waits_svg

NAN = float("nan")
REQUESTS = pl.DataFrame(
    {
        "arrive_s": [1.0, 2.0, 3.0, 950.0],
        "endpoint_id": ["vision", "vision", "vision", "vision"],
        "images": [0, 2, 1, 0],
        "ttft_s": [0.5, 2.0, NAN, 0.5],
        "e2e_s": [2.0, 4.0, NAN, 1.0],
        "prepare_s": [0.0, 0.6, 0.3, 0.0],
        "encode_wait_s": [0.0, 0.4, 0.0, 0.0],
        "encode_s": [0.0, 0.25, NAN, 0.0],
        "transfer_s": [0.0, 0.05, 0.0, 0.0],
        "queue_s": [0.1, 0.2, NAN, 0.1],
    }
)
# Preparing 0, 1, 2 images takes 0, 0.2, 0.4 s.
PREPARE = {"vision": np.array([0.0, 0.2, 0.4])}


def _parts() -> pl.DataFrame:
    return split(asked(REQUESTS.lazy(), 0.0, 900.0), PREPARE)


def test_the_parts_of_a_request_add_up_to_its_first_token() -> None:
    parts = _parts()
    assert len(parts) == 2
    assert parts.select(pl.sum_horizontal(list(PARTS))).to_series().to_list() == pytest.approx(parts["ttft_s"].to_list())
    image = parts.filter(pl.col("kind") == "image").row(0, named=True)
    assert (image["preprocess_wait_s"], image["preprocess_s"]) == pytest.approx((0.2, 0.4))
    assert image["prefill_s"] == pytest.approx(2.0 - 0.6 - 0.4 - 0.25 - 0.05 - 0.2)


def test_what_preparing_takes_is_all_work_where_it_is_not_known() -> None:
    image = split(asked(REQUESTS.lazy(), 0.0, 900.0), {}).filter(pl.col("kind") == "image").row(0, named=True)
    assert (image["preprocess_wait_s"], image["preprocess_s"]) == pytest.approx((0.0, 0.6))


def test_more_images_than_are_known_take_as_long_as_the_most() -> None:
    many = REQUESTS.with_columns(pl.lit(9).alias("images"))
    assert split(asked(many.lazy(), 0.0, 900.0), PREPARE)["preprocess_s"].to_list() == pytest.approx([0.0, 0.4])


def test_rounding_leaves_no_prefill_below_zero() -> None:
    short = REQUESTS.with_columns(pl.lit(1.4999).alias("ttft_s"))
    assert split(asked(short.lazy(), 0.0, 900.0), PREPARE)["prefill_s"].to_list() == pytest.approx([1.3999, 0.0])


def test_runs_without_stage_times_have_no_parts() -> None:
    old = REQUESTS.drop("prepare_s", "encode_wait_s", "encode_s", "transfer_s", "queue_s", "images")
    assert not recorded(old.lazy())
    assert breakdown(split(asked(old.lazy(), 0.0, 900.0), PREPARE)).is_empty()
    assert longest_wait(breakdown(_parts().clear())) is None


def test_a_percentile_is_the_mean_of_the_requests_around_it() -> None:
    ttft = np.arange(1.0, 1001.0)
    zeros = np.zeros(1000)
    parts = pl.DataFrame({"endpoint_id": ["a"] * 1000, "kind": ["text"] * 1000, "ttft_s": ttft, **dict.fromkeys(PARTS, zeros)})
    rows = {row["at"]: row["ttft_s"] for row in breakdown(parts).iter_rows(named=True)}
    assert rows["mean"] == pytest.approx(500.5)
    assert rows["p50"] == pytest.approx(500.5, rel=0.002)
    assert rows["p99"] == pytest.approx(990.5, rel=0.002)


def test_few_requests_claim_no_percentile() -> None:
    assert breakdown(_parts())["at"].to_list() == ["mean", "mean"]


def test_the_longest_wait_names_endpoint_kind_and_stage() -> None:
    worst = longest_wait(breakdown(_parts()))
    assert worst is not None
    assert (worst["endpoint_id"], worst["kind"], worst["part"], worst["both"]) == ("vision", "image", "encode_wait_s", True)
    assert worst["wait_s"] == pytest.approx(0.4)


def _bars(run: str, ttft_s: float) -> pl.DataFrame:
    parts = {name: 0.0 for name in PARTS} | {"prefill_s": ttft_s}
    rows = [{"endpoint_id": "a", "kind": "text", "at": at, "requests": 200, "ttft_s": ttft_s, "run": run, **parts} for at in ("p50", "p99")]
    return pl.DataFrame(rows)


@pytest.mark.parametrize("tokens", [LIGHT, DARK])
def test_a_bound_is_drawn_where_it_is_near_and_written_where_it_is_far(tokens) -> None:
    near, far = (waits_svg(_bars("today", 1.0), {"a": bound}, tokens) for bound in (1.5, 20.0))
    assert "<line" in near
    assert "bound 1.50\u00a0s<" in near
    assert "<line" not in far
    assert "bound 20.0\u00a0s →" in far


def test_today_is_the_thin_bar_above() -> None:
    both = pl.concat([_bars("today", 1.0), _bars("candidate", 2.0)])
    assert "thin: today" in waits_svg(both, {}, LIGHT)
    assert "thin: today" not in waits_svg(_bars("today", 1.0), {}, LIGHT)
