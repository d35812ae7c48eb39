"""Sizes, loads and shares are looked for in runs: bounded, paired, and moving with what they depend on."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from policies import study
from policies.claim import Capacity, Claim, Contender, Measured, Objective, Search, Sizing, over, steps
from policies.probes import Branch, Outcome, counted, limit_of, one_world, points_of, seek, sought
from policies.reproduce import check
from policies.trial import Trial, settled
from twin.metrics import Scope
from twin.run import Cancelled
from twin.scenario import Scenario
from twin.store import runs
from twin.variation import varied

RATE = "serving.endpoints[chat-70b].demand.rate_per_s"
CLOCKED = {"levers": {"instance_config": [{"system": "static"}]}}
ROBIN = {"levers": {"instance_config": [{"system": "static"}], "request_routing": [{"system": "round_robin"}]}}
SIZES = steps("static.clock_share", (round(0.2 + 0.1 * step, 1) for step in range(9)))


def tokens_within(bound_s: float) -> tuple[Objective, ...]:
    return (Objective("serving.atgt_p99_s", "<=", bound_s, ("chat-70b",)),)


def clock_search(bound_s: float, **changes: object) -> Search:
    """The least energy at which tokens come in time, over the clock of all instances."""
    find = Sizing(tokens_within(bound_s), "plant.energy_j")
    contenders = {
        "ours": Contender(CLOCKED, sizes=SIZES),
        "full": Contender(ROBIN, tries=({"static.max_batch": 256}, {"static.max_batch": 64}), sizes=SIZES[-1:]),
    }
    return replace(Search(find, contenders, "ours", ("full",), probes=8), **changes)


@pytest.fixture(scope="module")
def short(tiny_scenario: Scenario) -> Scenario:
    return varied(tiny_scenario, {"horizon_s": 600.0})


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("probes")


@pytest.fixture(scope="module")
def bounds(short: Scenario, home: Path) -> tuple[float, float, float]:
    """Objectives on the time per token: hardly met at full clock, met at half of it, met by nobody."""
    made = [study.run(short, settled(CLOCKED, {"static.clock_share": share}, "plain"), 1, home) for share in (1.0, 0.4)]
    full, half = (study.value(run_id, home, "serving.atgt_p99_s", (Scope("endpoint", "chat-70b"),)) for run_id in made)
    assert full < half
    return 1.02 * full, 1.02 * half, 0.5 * full


def best(search: Search, scenario: Scenario, home: Path, label: str = "ours") -> dict:
    outcome = next(o for o in sought(search, scenario, (1,), home) if o.label == label)
    return dict(outcome.answers[0].chosen)


def test_the_least_size_is_found_and_a_looser_objective_takes_less(short, home, bounds):
    tight, loose = (best(clock_search(bound_s), short, home)["static.clock_share"] for bound_s in bounds[:2])
    assert loose < tight


def test_what_was_found_holds_and_the_size_below_does_not(short, home, bounds):
    search = clock_search(bounds[1])
    found = best(search, short, home)["static.clock_share"]
    below = SIZES[[size["static.clock_share"] for size in SIZES].index(found) - 1]
    only = replace(search.contenders["ours"], sizes=(below,))
    outcome = seek(Branch(replace(search, contenders={"ours": only}), "ours", points_of(search)[0], short, (1,), home), None, None)
    assert outcome.answers[0].value is None


def test_every_try_is_run_and_a_losing_one_costs_little(short, home, bounds):
    outcome = next(o for o in sought(clock_search(bounds[1]), short, (1,), home) if o.label == "full")
    assert outcome.answers[0].chosen["static.clock_share"] == 1.0
    assert outcome.answers[0].probes == 2


def test_a_budget_bounds_the_runs_and_says_that_it_ended(short, home, bounds):
    search = clock_search(bounds[1], probes=1)
    outcomes = sought(search, short, (1,), home)
    assert counted(outcomes) <= limit_of(search, (1,)) == 2
    assert not all(outcome.answers[0].exact for outcome in outcomes)


def test_the_highest_load_is_found_and_a_looser_objective_carries_more(short, home):
    scales = (1.0, 2.0, 3.0, 4.0, 4.5, 5.0, 6.0, 8.0)
    plain = {"plain": Contender(CLOCKED)}
    found = []
    for bound_s in (1.5, 60.0):
        objectives = (Objective("serving.ttft_p99_s", "<=", bound_s, ("chat-70b",)),)
        search = Search(Capacity(objectives, (RATE,), scales), plain, "plain", form="value", probes=8)
        found.append(sought(search, short, (1,), home)[0].answers[0].value)
    assert None not in found
    assert found[0] < found[1]
    assert set(found) <= set(scales)


def prompts(tables) -> float | None:
    asked = tables["requests"].select(pl.col("prompt_tokens").mean()).collect().item()
    return None if asked is None else float(asked)


def test_a_share_is_read_off_stored_tables_and_moves_with_the_scenario(short, home):
    search = Search(Measured(prompts), {"plain": Contender(CLOCKED)}, "plain", form="value")
    long, cut = (
        sought(replace(search, vary=vary), short, (1,), home)[0].answers[0]
        for vary in ({}, {"serving.endpoints[0].demand.max_prompt_tokens": 200, "serving.endpoints[1].demand.max_prompt_tokens": 200})
    )
    assert cut.value <= 200 < long.value
    assert long.probes == 1


def test_what_was_probed_is_not_simulated_again_and_only_the_answer_is_stored_whole(short, tmp_path, bounds):
    search = clock_search(bounds[1])
    first = sought(search, short, (1,), tmp_path)
    assert set(runs.run_ids(tmp_path)) == {outcome.answers[0].run_id for outcome in first}
    probed = list((tmp_path / "probes").iterdir())
    assert len(probed) == counted(first)
    written = {path: path.stat().st_mtime_ns for path in probed}
    assert [outcome.answers for outcome in sought(search, short, (1,), tmp_path)] == [outcome.answers for outcome in first]
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "probes").iterdir()} == written


def test_a_search_can_be_cancelled_and_tells_its_runs(short, tmp_path, bounds):
    said = []
    with pytest.raises(Cancelled):
        sought(clock_search(bounds[1]), short, (1,), tmp_path, progress=said.append, cancel=lambda: len(said) >= 2)
    assert "run 2 of at most 8" in said[-1].text
    assert all(0.0 <= now.done_share <= 1.0 for now in said)


def test_contenders_that_met_other_arrivals_are_not_compared(short, home):
    point = points_of(clock_search(0.03))[0]
    worlds = [Outcome(label, point, (), {"seed 1, load x 1": world}) for label, world in (("one", "a"), ("other", "b"))]
    with pytest.raises(RuntimeError, match="seed 1, load x 1: arrivals or weather differ between one and other"):
        one_world("", worlds)
    one_world("", worlds[:1])


def test_a_run_that_met_other_arrivals_than_those_before_it_ends_the_search(short, home, bounds):
    worlds: dict[str, str] = {}
    trial = Trial(clock_search(bounds[1]), "full", short, 1, home, worlds, None, None)
    trial.probe(0, 0)
    assert set(worlds) == {"seed 1, load x 1"}
    worlds["seed 1, load x 1"] = "another"
    with pytest.raises(RuntimeError, match=r"seed 1, load x 1: run .* of full met other arrivals or weather"):
        trial.probe(1, 0)


def test_two_processes_find_what_one_does(short, home, bounds):
    search = clock_search(bounds[1])
    said = []
    alone, together = (sought(search, short, (1,), home, workers=workers, progress=said.append) for workers in (1, 2))
    assert said[-1].text == "2 of 2 searches of at most 8 runs each"
    assert [[(a.value, a.probes, a.chosen) for a in o.answers] for o in alone] == [
        [(a.value, a.probes, a.chosen) for a in o.answers] for o in together
    ]


def test_a_knob_of_nobody_is_refused():
    with pytest.raises(ValueError, match=r"static_peak\.instances turns no knob; it holds static"):
        settled(CLOCKED, {"static_peak.instances": 3}, "plain")


def claim_of(search: Search) -> Claim:
    return Claim("energy", "saves energy", "plant.energy_j", -0.1, "share of the full clock's", "tapas: nowhere", 0.5, 0,
                 "made up for this test", "tiny", search, seeds=(1, 2))  # fmt: skip


def test_a_searched_claim_tells_its_points_its_runs_and_where_it_holds(short, home, bounds):
    sweep = over("requests per second", 1.5, RATE, (0.75, 1.5))
    verdict, told = check(claim_of(clock_search(bounds[1], sweeps=(sweep,))), short, home)
    own, other = told["points"]
    assert own["own"]
    assert own["ours"] == verdict.ours < 0.0
    assert own["low"] <= own["ours"] <= own["high"]
    assert other["x"] == 0.75
    assert set(other["labels"]) == {"ours", "full"}
    assert 0 < told["probes"] <= told["probes_limit"] == 8 * 2 * 2 * 2
    assert "over requests per second" in verdict.why


def test_where_the_baseline_holds_and_ours_does_not_the_claim_fails(short, home, bounds):
    search = clock_search(1.3 * bounds[0])
    slow = replace(search.contenders["ours"], sizes=SIZES[:1])
    verdict, told = check(claim_of(replace(search, contenders={**search.contenders, "ours": slow})), short, home)
    assert verdict.word == "not reproduced"
    assert "no size that was tried holds the objective for ours" in verdict.why
    assert told["points"][0]["failed"] == ["ours"]


def test_where_nobody_holds_there_is_nothing_to_compare(short, home, bounds):
    verdict, _ = check(claim_of(clock_search(bounds[2])), short, home)
    assert verdict.word == "not comparable"
