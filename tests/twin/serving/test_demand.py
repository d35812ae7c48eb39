"""Demand: rates, curves, lengths, and imported traces."""

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from twin.clock import Clock
from twin.serving.demand import ImageRequests, Requests, Synthetic, Trace, _drawn, bursts, daily_curve, draw, image_bursts, quantiles

CLOCK = Clock.of(datetime(2026, 7, 14, tzinfo=UTC), "America/Phoenix")
DAY_S = 86_400.0
COLUMNS = ("arrive_s", "prompt_tokens", "output_tokens", "images", "text_tokens")
# Text and images of the 2025 multimodal trace.
BOTH = Synthetic(rate_per_s=0.83, lengths="text", burst_factor=1.0, peak_to_mean=1.3, images=ImageRequests())


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
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in COLUMNS)


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


def test_image_and_text_requests_follow_the_digitised_quantiles(test_data: Path) -> None:
    """Azure multimodal trace of 2025, read off its published plots (3 %; images per request are squares, 2 to 11 % low)."""
    published = json.loads((test_data / "traces" / "azure_lmm2025_digitised_quantiles.json").read_text())
    busy = BOTH.model_copy(update={"images": ImageRequests(calm_rate_per_s=1.0, max_images=10_000), "max_prompt_tokens": 1_000_000})
    asked = draw(busy, CLOCK, 2 * DAY_S, 3, "vision")
    pictured = asked.images > 0
    wanted = {
        "input_tokens_text": asked.prompt_tokens[~pictured],
        "input_tokens_image": asked.prompt_tokens[pictured],
        "generated_tokens_text": asked.output_tokens[~pictured],
        "generated_tokens_image": asked.output_tokens[pictured],
    }
    for name, ours in wanted.items():
        for level in (5, 10, 25, 50, 75, 90, 95):
            # A token more or less is much of a short answer.
            assert np.percentile(ours, level) == pytest.approx(published[name][str(level)], rel=0.08, abs=1.5), (name, level)
    for level, images in published["images_per_image_request_image"].items():
        # Between the levels of the table and at its steps a percentile may fall on either side.
        low, high = np.percentile(asked.images[pictured], [float(level) - 1.0, min(100.0, float(level) + 1.0)])
        assert low * 0.88 <= images <= high * 1.03, level


def test_larger_contexts_carry_more_images() -> None:
    asked = draw(BOTH, CLOCK, 4 * DAY_S, 3, "vision")
    pictured = asked.images > 0
    one, many = asked.prompt_tokens[asked.images == 1], asked.prompt_tokens[asked.images >= 25]
    assert np.median(many) > 3 * np.median(one)
    # Mean of the whole trace, text and images half each: 2,912.
    assert 0.5 * (asked.prompt_tokens[pictured].mean() + asked.prompt_tokens[~pictured].mean()) == pytest.approx(2912, rel=0.1)


def test_over_weeks_about_half_of_the_requests_carry_images() -> None:
    assert BOTH.images is not None
    assert BOTH.images.rate_per_s / BOTH.mean_rate_per_s == pytest.approx(0.5, abs=0.01)
    shares = []
    for seed in range(40):
        starts_s, level = image_bursts(BOTH.images, 7 * DAY_S, seed, "vision")
        images = (np.diff(np.minimum(starts_s, 7 * DAY_S)) * level[:-1]).sum()
        shares.append(images / (images + 7 * DAY_S * BOTH.rate_per_s))
    assert np.mean(shares) == pytest.approx(0.5, abs=0.02)


def test_bursts_of_images_are_sharp_and_have_nothing_to_do_with_those_of_text() -> None:
    own = BOTH.model_copy(update={"burst_factor": 4.0, "peak_to_mean": 1.0})
    sharp = own.model_copy(update={"images": ImageRequests(calm_mean_s=3600.0, burst_mean_s=600.0)})
    asked = draw(sharp, CLOCK, 4 * DAY_S, 1, "vision")
    minutes = np.arange(0, 4 * DAY_S + 60, 60)
    pictured = np.histogram(asked.arrive_s[asked.images > 0], minutes)[0]
    text = np.histogram(asked.arrive_s[asked.images == 0], minutes)[0]
    assert abs(np.corrcoef(pictured, text)[0, 1]) < 0.08
    assert np.percentile(pictured, 50) == pytest.approx(40, rel=0.1)
    assert 150 < np.percentile(pictured, 95) < 450


def test_text_is_asked_as_it_was_before_images_came_and_the_other_way_round() -> None:
    both, alone = draw(BOTH, CLOCK, 20_000, 1, "vision"), draw(BOTH.model_copy(update={"images": None}), CLOCK, 20_000, 1, "vision")
    text = both.images == 0
    for name in COLUMNS:
        assert np.array_equal(getattr(both, name)[text], getattr(alone, name))
    busier = draw(BOTH.model_copy(update={"rate_per_s": 3.0}), CLOCK, 20_000, 1, "vision")
    assert np.array_equal(both.arrive_s[~text], busier.arrive_s[busier.images > 0])
    assert np.array_equal(both.text_tokens[~text], busier.text_tokens[busier.images > 0])


def test_image_requests_are_the_same_again_and_in_a_longer_run() -> None:
    once = draw(BOTH, CLOCK, 9000, 1, "vision")
    _drawn.cache_clear()
    assert equal(once, draw(BOTH, CLOCK, 9000, 1, "vision"))
    long, late = draw(BOTH, CLOCK, 30_000, 1, "vision"), draw(BOTH, CLOCK, 30_000, 1, "vision", from_s=8000.0)
    assert late.first == np.searchsorted(long.arrive_s, 7200.0) > 0
    for name in COLUMNS:
        assert np.array_equal(getattr(once, name), getattr(long, name)[: len(once)])
        assert np.array_equal(getattr(late, name)[late.first :], getattr(long, name)[late.first :])


def test_of_an_image_request_text_is_what_its_images_leave() -> None:
    asked = draw(BOTH, CLOCK, DAY_S, 1, "vision")
    pictured = asked.images > 0
    assert asked.images.max() == 64
    assert np.array_equal(asked.text_tokens[~pictured], asked.prompt_tokens[~pictured])
    few = pictured & (asked.images < 64) & (asked.prompt_tokens < 32_768)
    assert np.array_equal(asked.text_tokens[few], np.maximum(16, asked.prompt_tokens[few] - 85 * asked.images[few]))
    # Images above the limit do not turn into text.
    many = asked.images == 64
    assert (asked.text_tokens[many] < asked.prompt_tokens[many] - 85 * 64).mean() > 0.5
    assert asked.text_tokens[pictured].min() >= 16


def test_a_plain_endpoint_keeps_no_second_column_of_tokens() -> None:
    asked = draw(Synthetic(rate_per_s=0.5), CLOCK, 7200, 1, "chat")
    assert asked.text is None
    assert np.array_equal(asked.text_tokens, asked.prompt_tokens)


def test_images_are_set_in_one_way_and_in_order() -> None:
    with pytest.raises(ValidationError, match="image_share and images are both set; give one of them"):
        Synthetic(image_share=0.5, images=ImageRequests())
    with pytest.raises(ValidationError, match="burst_rate_low_per_s lies above burst_rate_high_per_s; swap them"):
        ImageRequests(burst_rate_low_per_s=9.0)
    with pytest.raises(ValidationError, match="calm_per_min"):
        Synthetic.model_validate({"images": {"calm_per_min": 40}})


def test_known_requests_stay_known() -> None:
    """The first requests of a seed, as every release so far has drawn them."""
    asked = draw(Synthetic(rate_per_s=0.5, image_share=0.3), CLOCK, 7200, 1, "chat")
    assert len(asked) == 2173
    assert asked.arrive_s[:2] == pytest.approx([11.07612575, 13.17420447], abs=1e-8)
    assert [asked.prompt_tokens[:3].tolist(), asked.output_tokens[:3].tolist()] == [[710, 73, 1089], [259, 414, 166]]
    assert asked.images[:3].tolist() == [1, 0, 0]


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
    assert once.text_tokens.tolist() == [5, 6, 16]
    twice = draw(Trace(kind="trace", name=imported_trace, rate_scale=2.0, max_output_tokens=10), CLOCK, 28, 1, "chat")
    assert twice.arrive_s.tolist() == [0, 5, 10, 15, 20, 25]
    assert twice.output_tokens.tolist() == [1, 2, 10, 1, 2, 10]


def test_a_trace_that_was_not_imported_says_how(imported_trace: str) -> None:
    with pytest.raises(ValueError, match=r"there are: tiny\); run `intentwin import llm-trace"):
        draw(Trace(kind="trace", name="absent"), CLOCK, 100, 1, "chat")
