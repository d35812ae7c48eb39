"""junctiond's claims: the published numbers, what each rests on, and that they move with it."""

from dataclasses import replace

import polars as pl
import pytest

from policies.claim import Computed, judge
from policies.reproduce import check
from policies.systems.junctiond import evidence, spread
from policies.systems.junctiond.claims import CLAIMS
from twin.functions.levers import Runtime
from twin.scenario import load

CLAIM = {claim.id: claim for claim in CLAIMS}


@pytest.fixture(scope="module")
def drawn() -> dict[str, float | None]:
    return dict(evidence.low_load(None))


def test_median_and_tail_fall_by_what_was_published(drawn):
    """arXiv:2403.03377, abstract: 37.33 % and 63.42 %; over 12 seeds of 100,000 calls within 0.5 and 2 points."""
    assert drawn[evidence.MEDIAN] == pytest.approx(-0.3733, abs=0.005)
    assert drawn[evidence.P99] == pytest.approx(-0.6342, abs=0.02)
    for end in ("least", "most"):
        assert drawn[f"{evidence.P99}, {end} of 12 seeds"] == pytest.approx(-0.6342, abs=0.03)


def test_without_kept_metadata_both_fall_by_less(drawn):
    without = ", metadata looked up at each call"
    assert drawn[evidence.MEDIAN] < drawn[evidence.MEDIAN + without] < 0.0
    assert drawn[evidence.P99] < drawn[evidence.P99 + without] < 0.0


@pytest.mark.parametrize("name", ["median", "p99"])
def test_whole_runs_come_to_the_same(name, tmp_path, drawn):
    claim = CLAIM[name]
    verdict, told = check(replace(claim, evidence=replace(claim.evidence, sweeps=()), seeds=(1,)), load("junctiond"), tmp_path)
    assert verdict.word == "reproduced"
    assert verdict.ours == pytest.approx(drawn[evidence.MEDIAN if name == "median" else evidence.P99], abs=0.01)
    assert told["points"][0]["labels"].keys() == {"junctiond", "containerd"}


def test_a_tail_of_too_few_calls_is_no_evidence():
    few = {"function_latency": pl.LazyFrame({"low_s": [1e-3, 2e-3], "calls": [50_000, 49_999]})}
    enough = {"function_latency": pl.LazyFrame({"low_s": [1e-3, 2e-3], "calls": [98_000, 2_000]})}
    assert evidence.p99_s(few) is None
    assert evidence.p99_s({}) is None
    assert evidence.p99_s(enough) == pytest.approx(2e-3, rel=0.003)


def test_five_times_the_calls_fill_the_cores_and_less_where_the_polling_core_is_one_of_them():
    found = evidence.throughput(None)
    assert 4.8 < found[evidence.THROUGHPUT] < 5.2
    assert found["the same ratio where the polling core is one of the four"] == pytest.approx(0.75 * found[evidence.THROUGHPUT])
    # 1 / (510 - 102) microseconds.
    assert found["calls a second on a host from which junctiond burns fewer cores"] == pytest.approx(1e6 / 408.0)


def test_at_five_times_the_load_median_and_tail_are_what_was_published():
    found = evidence.loaded(None)
    assert 1.8 < found[evidence.LOADED_MEDIAN] < 2.2
    assert 3.2 < found[evidence.LOADED_P99] < 3.9
    tails = [found[f"{words}: P99, containerd over junctiond"] for words in ("85.0% busy", "92.5% busy", "10 cores, 90% busy")]
    assert tails[0] < found[evidence.LOADED_P99] < tails[1], "the busier, the more it is worth"
    assert tails[2] < found[evidence.LOADED_P99], "more cores wait less"


def test_the_second_version_takes_its_own_fitted_number():
    assert evidence.version_2(None)[evidence.THROUGHPUT_2] == pytest.approx(10.0)
    assert CLAIM["throughput-v2"].fitted_parameters == CLAIM["throughput"].fitted_parameters + 1


def test_equal_hops_leave_nothing(monkeypatch):
    before, _ = evidence.pair()

    def alike(kernel: str = "version-1", *, cached: bool = True) -> tuple[Runtime, Runtime]:
        return replace(before, cached=cached), replace(before, cached=cached)

    monkeypatch.setattr(evidence, "pair", alike)
    assert evidence.low_load(None)[evidence.MEDIAN] == 0.0
    assert evidence.low_load(None)[evidence.P99] == 0.0
    assert evidence.execution(None)[evidence.EXECUTION_P99] == 0.0
    assert evidence.throughput(None)[evidence.THROUGHPUT] == 1.0
    assert evidence.loaded(None)[evidence.LOADED_P99] == 1.0


def test_a_hundred_calls_say_little_of_a_tail_and_tens_of_thousands_are_needed(monkeypatch):
    monkeypatch.setattr(spread, "_POOL", 1_000_000)
    found = spread.spread(None)
    assert 0.15 < found[spread.OF_100] < 0.22
    assert 10_000 < found[spread.NEEDED] < 100_000
    assert found["mean P99 figure of 100 calls, which is off"] > -0.60, "the slowest of few are not slow enough"
    deviations = [found[f"{calls:,} calls, P99"] for calls in (100, 1_000, 10_000)]
    assert deviations == sorted(deviations, reverse=True)
    assert deviations[1] / deviations[2] == pytest.approx(10**0.5, rel=0.2), "as a square root"
    assert found["100 calls, median, standard deviation"] == pytest.approx(0.011, rel=0.1)


def test_what_was_not_fitted_comes_out_less_and_is_said():
    for name, label in (("execution-median", evidence.EXECUTION_MEDIAN), ("execution-p99", evidence.EXECUTION_P99)):
        verdict = judge(CLAIM[name], evidence.execution(None)[label])
        assert verdict.word == "direction only"
        assert CLAIM[name].explained


def test_fitted_numbers_are_counted():
    assert {CLAIM[name].fitted_parameters for name in ("median", "p99", "median-drawn", "p99-drawn")} == {3}
    assert {CLAIM[name].fitted_parameters for name in ("median-loaded", "p99-loaded")} == {8}
    assert all("nothing was" in claim.setup or "chosen" in claim.setup or "fitted" in claim.setup for claim in CLAIMS)
    assert all(claim.seeds == (1,) for claim in CLAIMS if isinstance(claim.evidence, Computed)), "they draw their own seeds"
