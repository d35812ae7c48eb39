"""Demand: rates, curves, lengths, and imported traces."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from twin.clock import Clock
from twin.serving.demand import Requests, Synthetic, Trace, _drawn, bursts, daily_curve, draw, quantiles

CLOCK = Clock.of(datetime(2026, 7, 14, tzinfo=UTC), "America/Phoenix")
DAY_S = 86_400.0


def test_the_median_conversation_asks_1020_tokens_for_129() -> None:
    """AzurePublicDataset, conversation trace of 2023."""
    half = np.array([0.5])
    assert (quantiles("conv", "prompt", half)[0], quantiles("conv", "output", half)[0]) == (1020, 129)
    assert (quantiles("code", "prompt", half)[0], quantiles("code", "output", half)[0]) == (1469, 13)
    assert quantiles("image", "prompt", half)[0] == 1408


def test_lengths_follow_the_published_quantiles() -> None:
    asked = draw(Synthetic(rate_per_s=3.0, burst_factor=1.0), CLOCK, DAY_S, 3, "chat")
    assert np.percentile(asked.prompt_tokens, [50, 90, 99]) == pytest.approx([1020, 2734, 4142], rel=0.05)
    assert np.percentile(asked.output_tokens, [50, 90, 99]) == pytest.approx([129, 424, 601], rel=0.05)
    assert asked.prompt_tokens.mean() == pytest.approx(1155, rel=0.12)


def test_the_mean_rate_is_kept_by_curve_and_bursts() -> None:
    plain = draw(Synthetic(rate_per_s=4.0, burst_factor=1.0, peak_to_mean=2.0), CLOCK, DAY_S, 1, "chat")
    assert len(plain) / DAY_S == pytest.approx(4.0, rel=0.01)
    burst = [len(draw(Synthetic(rate_per_s=1.0, burst_factor=4.0), CLOCK, DAY_S, seed, "chat")) / DAY_S for seed in range(8)]
    assert np.mean(burst) == pytest.approx(1.0, rel=0.03)


def test_the_day_peaks_at_its_hour_and_averages_one() -> None:
    hours = np.arange(0, 24, 0.01)
    for ratio in (1.0, 1.2, 2.0, 5.0):
        curve = daily_curve(hours, 15.0, ratio)
        assert curve.mean() == pytest.approx(1.0, abs=1e-6)
        assert curve.max() == pytest.approx(ratio, rel=1e-6)
        assert ratio == 1.0 or hours[curve.argmax()] == pytest.approx(15.0)


def test_bursts_take_their_share_of_time() -> None:
    demand = Synthetic(burst_factor=3.0, burst_time_share=0.2, burst_mean_s=100.0)
    starts_s, levels = bursts(demand, 40 * DAY_S, 2, "chat")
    length_s = np.diff(starts_s)
    in_burst = length_s[1::2].sum() / length_s.sum()
    assert in_burst == pytest.approx(0.2, abs=0.02)
    assert levels[1] / levels[0] == pytest.approx(3.0)


def equal(a: Requests, b: Requests) -> bool:
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in ("arrive_s", "prompt_tokens", "output_tokens", "images"))


def test_the_same_seed_gives_the_same_requests_and_another_gives_others() -> None:
    demand = Synthetic(rate_per_s=0.5, image_share=0.3)
    once = draw(demand, CLOCK, 7200, 1, "chat")
    _drawn.cache_clear()
    again = draw(demand, CLOCK, 7200, 1, "chat")
    assert again is not once
    assert equal(once, again)
    assert not equal(draw(demand, CLOCK, 7200, 1, "chat"), draw(demand, CLOCK, 7200, 2, "chat"))
    assert not equal(draw(demand, CLOCK, 7200, 1, "chat"), draw(demand, CLOCK, 7200, 1, "code"))


def test_hours_that_are_only_counted_leave_the_others_as_they_were() -> None:
    demand = Synthetic(rate_per_s=2.0, image_share=0.3)
    whole, late = draw(demand, CLOCK, 20_000, 1, "chat"), draw(demand, CLOCK, 20_000, 1, "chat", from_s=8000.0)
    assert late.first == np.searchsorted(whole.arrive_s, 7200.0) > 0
    assert len(late) == len(whole)
    for name in ("arrive_s", "prompt_tokens", "output_tokens", "images"):
        assert (getattr(late, name)[late.first :] == getattr(whole, name)[late.first :]).all()


def test_a_longer_horizon_leaves_the_shared_hours_alone() -> None:
    demand = Synthetic(rate_per_s=0.5)
    short, long = draw(demand, CLOCK, 5400, 1, "chat"), draw(demand, CLOCK, 20_000, 1, "chat")
    assert np.array_equal(short.arrive_s, long.arrive_s[long.arrive_s < 5400])
    assert np.array_equal(short.output_tokens, long.output_tokens[: len(short)])


def test_requests_come_in_order_and_inside_their_limits() -> None:
    asked = draw(Synthetic(rate_per_s=2, image_share=0.5, max_prompt_tokens=3000, max_output_tokens=200), CLOCK, 9000, 1, "vision")
    assert (np.diff(asked.arrive_s) >= 0).all()
    assert asked.arrive_s[-1] < 9000
    assert asked.prompt_tokens.max() == 3000
    assert asked.output_tokens.max() == 200
    assert (asked.images > 0).mean() == pytest.approx(0.5, abs=0.03)
    assert (asked.images[asked.images > 0] == 1).mean() == pytest.approx(0.66, abs=0.03)


@pytest.fixture
def imported_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    folder = tmp_path / "imports" / "llm-trace"
    folder.mkdir(parents=True)
    columns = {"t_s": [0.0, 10.0, 20.0], "prompt_tokens": [5, 6, 7], "output_tokens": [1, 2, 900], "images": [0, 0, 1]}
    pl.DataFrame(columns).write_parquet(folder / "tiny.parquet")
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path))
    return "tiny"


def test_a_trace_is_replayed_faster_and_over_again(imported_trace: str) -> None:
    once = draw(Trace(kind="trace", name=imported_trace, repeat=False), CLOCK, 1000, 1, "chat")
    assert once.arrive_s.tolist() == [0, 10, 20]
    assert once.images.tolist() == [0, 0, 1]
    twice = draw(Trace(kind="trace", name=imported_trace, rate_scale=2.0, max_output_tokens=10), CLOCK, 28, 1, "chat")
    assert twice.arrive_s.tolist() == [0, 5, 10, 15, 20, 25]
    assert twice.output_tokens.tolist() == [1, 2, 10, 1, 2, 10]


def test_a_trace_that_was_not_imported_says_how(imported_trace: str) -> None:
    with pytest.raises(ValueError, match=r"there are: tiny\); run `intentwin import llm-trace"):
        draw(Trace(kind="trace", name="absent"), CLOCK, 100, 1, "chat")
