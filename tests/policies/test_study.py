"""The composition root: same world on both sides, nothing simulated twice."""

import pytest

from policies import pool, study
from policies.paired import paired
from policies.policy import TODAY, Held, PolicySet, Schedule, Step
from policies.sweep import sweep
from policies.worlds import same_world
from twin.run import Cancelled
from twin.store import runs
from twin.store.ledger import Ledger

ROUND_ROBIN = PolicySet(name="round robin", levers={"request_routing": (Held(system="round_robin"),)})
TAPAS = PolicySet(name="tapas", levers={lever: (Held(system="tapas"),) for lever in ("request_routing", "instance_config", "emergency")})


@pytest.fixture(scope="module")
def comparison(tiny_scenario, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    return home, study.compare(tiny_scenario, {"today": TODAY, "candidate": ROUND_ROBIN}, (1, 2), home)


def test_every_lever_of_the_twin_is_held_exactly_once_without_a_scope(tiny_scenario):
    (phase,) = study.phases(Schedule.of(TAPAS), tiny_scenario)
    for lever in ("emergency", "instance_config", "instance_scaling", "request_routing"):
        assert [h.guard for h in phase.stack(lever)].count(False) == 1


def test_one_object_of_a_system_holds_all_its_levers(tiny_scenario):
    (phase,) = study.phases(Schedule.of(TAPAS), tiny_scenario)
    assert len({id(h.holder) for h in phase.holdings if h.system == "tapas"}) == 1


def test_a_system_that_stays_through_a_switch_keeps_what_it_learned(tiny_scenario):
    both = PolicySet(levers={**TAPAS.levers, "instance_scaling": (Held(system="reactive"),)})
    first, second = study.phases(Schedule(steps=(Step(policy=TAPAS), Step(from_s=600.0, policy=both))), tiny_scenario)
    assert first.holders()["tapas"] is second.holders()["tapas"]


def test_schedules_begin_at_zero_and_go_forward(tiny_scenario):
    with pytest.raises(ValueError, match="begins at 0 s"):
        study.phases(Schedule(steps=(Step(from_s=60.0, policy=TODAY),)), tiny_scenario)


def test_policies_are_compared_in_the_same_worlds(comparison):
    home, found = comparison
    for index in range(2):
        worlds = {runs.manifest_of(ids[index], home)["exogenous"] for ids in found.run_ids.values()}
        assert len(worlds) == 1
    assert len({r for ids in found.run_ids.values() for r in ids}) == 4


def test_differences_are_paired_and_have_an_interval(comparison):
    _, found = comparison
    gap = found.difference("serving.ttft_p99_s", "candidate")
    assert gap.n == 2
    assert gap.low <= gap.difference <= gap.high
    assert found.difference("serving.gpus_mean", "candidate").difference == 0.0


def test_one_seed_gives_no_interval():
    gap = paired([2.0], [3.0])
    assert (gap.difference, gap.low, gap.high, gap.share) == (1.0, None, None, 0.5)


def test_what_is_stored_is_not_simulated_again(comparison, tiny_scenario):
    home, found = comparison

    def never(now):
        raise AssertionError("it simulated")

    assert study.run(tiny_scenario, TODAY, 1, home, progress=never) == found.run_ids["today"][0]
    with Ledger(home).transaction() as ledger:
        assert len(ledger.run_log(found.run_ids["today"][0])) == 1


def test_a_window_is_screened_from_where_todays_policy_is(comparison, tiny_scenario):
    home, _ = comparison
    screened = [study.run(tiny_scenario, policy, 1, home, window_s=(700.0, 1200.0)) for policy in (TODAY, ROUND_ROBIN)]
    for run_id in screened:
        manifest = runs.manifest_of(run_id, home)
        assert (manifest["begin_s"], manifest["end_s"]) == (600.0, 1200.0)
    started = {runs.manifest_of(run_id, home)["started_from"]["run_id"] for run_id in screened}
    assert len(started) == 1


def test_a_window_from_midnight_does_not_stand_in_the_way_of_a_later_one(tiny_scenario, tmp_path):
    first = study.run(tiny_scenario, TODAY, 1, tmp_path, window_s=(0.0, 300.0))
    later = study.run(tiny_scenario, TODAY, 1, tmp_path, window_s=(300, 600))
    assert runs.manifest_of(later, tmp_path)["started_from"]["run_id"] != first
    assert study.run(tiny_scenario, TODAY, 1, tmp_path, window_s=(300.0, 600.0)) == later


def test_a_cancelled_run_leaves_nothing(tiny_scenario, tmp_path):
    with pytest.raises(Cancelled):
        study.run(tiny_scenario, TODAY, 1, tmp_path, cancel=lambda: True)
    assert runs.run_ids(tmp_path) == []


def test_fresh_processes_give_the_same_answers(comparison, tiny_scenario, tmp_path):
    _, found = comparison
    again = study.compare(tiny_scenario, {"today": TODAY, "candidate": ROUND_ROBIN}, (1,), tmp_path, workers=2)
    assert again.run_ids["candidate"][0] == found.run_ids["candidate"][0]
    assert again.values["serving.ttft_p99_s"]["candidate"][0] == found.values["serving.ttft_p99_s"]["candidate"][0]


def test_worlds_that_differ_are_never_compared(comparison):
    home, found = comparison
    mixed = {"a": found.run_ids["today"][:1], "b": found.run_ids["today"][1:]}
    with pytest.raises(RuntimeError, match="arrivals or weather differ"):
        same_world(mixed, (1,), home)


def test_a_sweep_runs_each_point_of_its_grid(tmp_path):
    file = tmp_path / "sweep.toml"
    file.write_text(
        'scenarios = ["tiny"]\nseeds = [1]\n[[policy]]\nname = "today"\n[[policy]]\nname = "scaled"\n'
        '[[policy.levers.instance_scaling]]\nsystem = "reactive"\n[grid]\n"reactive.floor_share" = [0.25, 1.0]\n'
    )
    rows = sweep(file, tmp_path)
    assert [(row.policy, dict(row.knobs)) for row in rows] == [
        ("today", {}),
        ("scaled", {"reactive.floor_share": 0.25}),
        ("scaled", {"reactive.floor_share": 1.0}),
    ]
    assert all("serving.ttft_p99_s" in row.metrics for row in rows)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('scenarios = ["tiny"]\n', "policy: field required"),
        ('scenarios = ["tinny"]\n[[policy]]\nname = "a"\n', "did you mean tiny"),
        ('scenarios = ["tiny"]\nseed = [1]\n[[policy]]\nname = "a"\n', "seed: extra inputs"),
        ('scenarios = ["tiny"]\nseeds = [-1]\n[[policy]]\nname = "a"\n', "seeds.0: input should be greater than or equal to 0"),
        ('scenarios = ["tiny"]\n[[policy]]\nname = "a"\n[grid]\n"static.clock_share" = [0.5]\n', "'static.clock_share' turns no knob"),
        ('scenarios = ["tiny"]\n[[policy]]\nname = "a"\n[grid]\n"static.clock_share" = []\n', "at least 1 item"),
        ('scenarios = ["tiny"]\nwindow_s = [2400, 3000]\n[[policy]]\nname = "a"\n', "2400 to 3000 s is no part of tiny"),
        ('scenarios = ["tiny"]\nwindow_s = [600, 300]\n[[policy]]\nname = "a"\n', "write the begin first"),
        ('scenarios = ["tiny"]\n[[policy]]\nname = "a"\n[[policy.levers.instance_scaling]]\nsystem = "reactiv"\n', "did you mean reactive"),
    ],
)
def test_a_wrong_sweep_is_one_line(tmp_path, text, words):
    file = tmp_path / "sweep.toml"
    file.write_text(text)
    with pytest.raises(ValueError, match=words):
        sweep(file, tmp_path)


def test_an_unknown_backend_is_one_line():
    with pytest.raises(ValueError, match="backend 'ray' is not supported; it is one of local, dask"):
        pool.answer(study.ask, [], backend="ray")
