"""Costs of hops as edited: into the URL and back, into a runtime, and what calls take with them."""

import numpy as np
import pytest

from app import hops
from twin.functions.runtimes import named
from twin.functions.settings import Function

PAPER = Function(id="aes")


@pytest.mark.parametrize("name", hops.RUNTIMES)
def test_a_runtime_as_calibrated_is_told_and_made_again(name: str) -> None:
    assert hops.of(name, hops.told(named(name))) == named(name)
    assert hops.of(name, {}, cached=False) == named(name, cached=False)


def test_an_edited_cost_changes_that_cost_alone() -> None:
    mine, plain = hops.of("junctiond", {"stack_us": 30.0, "polling": 2.0}), named("junctiond")
    assert mine.hop.stack_median_s == pytest.approx(30e-6)
    assert mine.polling_cores == 2.0
    assert (mine.hop.spike_share, mine.hop.cpu_s) == pytest.approx((plain.hop.spike_share, plain.hop.cpu_s))
    assert mine.cold_median_s == plain.cold_median_s


def test_edits_go_through_the_url_and_back() -> None:
    edits = {"containerd": {"cpu_us": 160.0}, "junctiond": {"spike_percent": 0.55, "polling_each": 1.0}}
    assert hops.parse(hops.written(edits)) == edits


@pytest.mark.parametrize(
    "text", ["", "junctiond", "junctiond.stack_us:much", "junctiond.stack_us:-1", "junctiond.stack_us:nan", "x.stack_us:1"]
)
def test_what_a_url_has_wrong_is_left_out(text: str) -> None:
    assert hops.parse(text) == {}


def test_a_cost_as_calibrated_is_no_edit() -> None:
    assert hops.parse("junctiond.stack_us:24.75") == {}


def test_alone_the_papers_function_loses_its_median_and_tail_as_published() -> None:
    # Saurez et al. 2024, arXiv 2403.03377: -37.33 % of the median, -63.42 % of the 99th percentile.
    slow, fast = (hops.alone(named(name), PAPER) for name in hops.RUNTIMES)
    assert 1.0 - fast.latency_p50_s / slow.latency_p50_s == pytest.approx(0.3733, abs=0.005)
    assert 1.0 - fast.latency_p99_s / slow.latency_p99_s == pytest.approx(0.6342, abs=0.02)


def test_segments_add_up_to_the_latency_and_equal_costs_leave_no_difference() -> None:
    slow = hops.alone(named("containerd"), PAPER)
    same = hops.alone(
        hops.of("junctiond", {key: hops.told(named("containerd"))[key] for key in ("stack_us", "spike_percent", "spike_us", "cpu_us")}),
        PAPER,
    )
    assert sum(slow.mean_s) == pytest.approx(float(np.mean(slow.latencies)))
    assert sum(slow.tail_s) > slow.latency_p99_s
    assert np.array_equal(slow.latencies, same.latencies)


def test_a_hundred_calls_say_little_of_a_99th_percentile() -> None:
    slow, fast = (hops.alone(named(name), PAPER) for name in hops.RUNTIMES)
    low, high = hops.published_spread(slow, fast)
    assert low < 0.6342 < high
    assert high - low > 0.2


def test_a_job_calls_at_rising_loads_and_keeps_little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hops, "SAMPLE", 20_000)
    monkeypatch.setattr(hops, "LOADS", (0.1, 0.9))
    told: list[tuple[float, str]] = []
    spec = {"function": PAPER.model_dump(mode="json"), "cores": 4, "cached": True, "settings": {name: {} for name in hops.RUNTIMES}}
    found = hops.curves(spec, lambda share, text: told.append((share, text)))["runtimes"]
    assert [round(share, 3) for share, _ in told] == [0.0, 0.25, 0.5, 0.75]
    slow, fast = (found[name] for name in hops.RUNTIMES)
    assert fast["saturation_per_s"] / slow["saturation_per_s"] == pytest.approx(5.0, abs=0.01)
    for each in (slow, fast):
        idle, busy = each["points"]
        assert idle["latency_p99_s"] < busy["latency_p99_s"]
        assert busy["busy_cores"] == pytest.approx(3.6, rel=0.05)
        assert busy["segments_s"]["queue"] > idle["segments_s"]["queue"]
        assert busy["values_s"] == sorted(busy["values_s"])
    assert slow["points"][1]["latency_p99_s"] / fast["points"][1]["latency_p99_s"] > 2.0
