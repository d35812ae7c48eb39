"""A world stepped on demand is told, grants and replays what a Run does."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from policies import study
from policies.policy import TODAY, Held, PolicySet, Schedule
from twin.live import Answered, Live, Said
from twin.run import simulate
from twin.scenario import Scenario, read
from twin.sources import toml
from twin.stack import Phase
from twin.store.importers import import_file

WI = PolicySet(name="hints heard", levers={"offers": (Held(system="workload_intelligence"),)})
TOLD = ("messages", "notices", "grants", "hints")
Negotiated = Callable[..., Scenario]
Talk = Sequence[tuple[float, str, tuple[Any, ...]]]


@pytest.fixture(scope="module")
def negotiated(rented_toml: Path) -> Negotiated:
    """``negotiated(**negotiation)``: twenty minutes of two workloads on the example's hosts, one of which hints nothing by itself."""

    def made(**negotiation: Any) -> Scenario:
        raw = toml(rented_toml)
        raw["horizon_s"] = "20 min"
        raw["workloads"]["host_streams"] = [{"workload": name, "vcpus_share": 0.35} for name in ("jobs", "books")]
        tenants = [{"id": "jobs", "class": "big-data", "deployments": 2}, {"id": "books", "class": "databases", "agent": "silent"}]
        reserve = {"mean_share": 0.3, "sd_share": 0.3, "return_s": 300.0}
        raw["workloads"]["negotiation"] = {"tenants": tenants, "reserve": reserve, **negotiation}
        return read(raw)

    return made


def _phases(scenario: Scenario, policy: PolicySet = WI) -> tuple[Phase, ...]:
    return study.phases(Schedule.of(policy), scenario)


def _live(scenario: Scenario, policy: PolicySet = WI, keep: bool = False) -> Live:
    return Live(scenario, _phases(scenario, policy), keep=keep)


def _open_up(live: Live, scope: str = "workload", of_id: str = "books") -> None:
    said = {"availability_nines": 1, "scale_up_down": True, "stateless": "full", "delay_tolerance_s": 3600, "preemptibility_share": 1.0}
    live.say([Said(scope, of_id, key, value) for key, value in {**said, "preemptible": True}.items()])  # type: ignore[arg-type]


def test_steps_end_where_ticks_do_and_go_no_further_than_the_end(negotiated: Negotiated) -> None:
    live = _live(negotiated())
    assert live.advance(90.0) == 120.0
    assert live.advance(120.0) == 120.0
    with pytest.raises(ValueError, match=r"to_s: 60 is not ahead; write a time from 120, the present, to 1200, the end"):
        live.advance(60.0)
    assert live.advance(1200.0) == 1200.0
    live.tick()
    assert live.t_s == 1200.0


def test_a_scenario_where_nobody_negotiates_is_refused(rented: Scenario) -> None:
    with pytest.raises(ValueError, match=r"scenario rented: nobody negotiates; name tenants in workloads.negotiation"):
        _live(rented)


def test_a_hint_that_is_said_now_is_granted_at_the_next_ticks(negotiated: Negotiated) -> None:
    live = _live(negotiated())
    live.advance(300.0)
    assert not any(grant.granted for grant in live.grants("books"))
    _open_up(live)
    live.advance(live.t_s + 120.0)
    granted = [grant for grant in live.grants("books") if grant.granted]
    assert granted
    assert all(grant.usd_per_h < grant.regular_usd_per_h for grant in granted)
    told = [notice for notice in live.notices() if notice.workload_id == "books"]
    assert {notice.kind for notice in told} >= {"price_change"}
    assert live.notices(told[0].notice_id, "books")[:1] == told[1:2]


def test_notices_name_the_vms_that_they_are_to(negotiated: Negotiated) -> None:
    live = _live(negotiated())
    live.advance(600.0)
    here = {grant.vm_id for grant in live.grants()}
    single = [notice for notice in live.notices() if notice.kind in {"scale_down_request", "eviction", "scale_up_offer"}]
    assert single
    for notice in single:
        assert len(notice.vm_ids) == notice.vms
        assert notice.due_s >= notice.reached_s >= notice.t_s
    assert {vm for notice in single[-3:] for vm in notice.vm_ids} <= here | {vm for notice in live.notices() for vm in notice.vm_ids}
    numbers = [notice.notice_id for notice in live.notices()]
    assert numbers == sorted(set(numbers))
    assert live.notices(live.last_notice) == []


def test_who_declines_keeps_what_it_has(negotiated: Negotiated) -> None:
    outcomes = {}
    for answer in ("accepted", "declined"):
        live = _live(negotiated(), keep=True)
        while live.t_s < live.horizon_s:
            after = live.last_notice
            live.tick()
            for notice in live.notices(after):
                if notice.may_decline and notice.vm_ids:
                    assert live.answer([Answered(notice.notice_id, answer, "workload", notice.workload_id)]) == [notice.vms]  # type: ignore[arg-type]
        outcomes[answer] = set(live.tables()["notices"].filter(kind="eviction")["outcome"].to_list())
    assert "declined" in outcomes["declined"]
    assert "declined" not in outcomes["accepted"]
    assert "done" in outcomes["accepted"]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (("workload", "nobody", "stateless", "full"), "of_id: no workload is called 'nobody'; there are: jobs, books"),
        (("workload", "boks", "stateless", "full"), "of_id: no workload is called 'boks'; did you mean books"),
        (("rack", "books", "stateless", "full"), "scope: 'rack' is none; write one of workload, deployment, vm"),
        (("workload", "books", "statless", "full"), "hint 'statless' is unknown; did you mean stateless"),
        (("workload", "books", "stateless", "very"), "hint stateless: 'very' is not none, partial or full"),
        (("workload", "books", "availability_nines", float("nan")), "hint availability_nines: 'nan' is not a number from 1 to 6"),
    ],
)
def test_what_cannot_be_said_is_refused_whole(negotiated: Negotiated, said: tuple[Any, ...], told: str) -> None:
    live = _live(negotiated())
    with pytest.raises(ValueError, match=told):
        live.say([Said("workload", "books", "stateless", "full"), Said(*said)])
    assert live.said == 0
    with pytest.raises(ValueError, match="notice: none has the number 7; see the notices"):
        live.answer([Answered("eviction", "accepted", "workload", "books"), Answered(7, "accepted", "workload", "books")])
    assert live.said == 0


def _talk(live: Live, talk: Talk) -> None:
    """Say so many things at so many times, then go on to the end; every other notice is answered as it comes."""
    for at_s, what, parts in talk:
        while live.t_s < at_s:
            after = live.last_notice
            live.tick()
            for notice in [each for each in live.notices(after) if each.notice_id % 2]:
                said: Any = "declined" if notice.may_decline else "accepted"
                live.answer([Answered(notice.notice_id, said, "workload", live.workload_of(notice.notice_id))])
        if what == "hint":
            live.say([Said(*parts)])
        else:
            live.answer([Answered(*parts)])
    live.advance(live.horizon_s)


TALK: Talk = (
    (0.0, "hint", ("workload", "books", "preemptibility_share", 1.0)),
    (0.0, "hint", ("workload", "books", "availability_nines", 1)),
    (60.0, "hint", ("deployment", "books/deployment-1", "scale_up_down", True)),
    (60.0, "hint", ("workload", "books", "delay_tolerance_s", 0.1 + 0.2)),
    (120.0, "hint", ("workload", "books", "preemptible", True)),
    (180.0, "hint", ("workload", "jobs", "delay_tolerance_s", None)),
    (300.0, "hint", ("workload", "jobs", "vm_priority", 1)),
    (480.0, "answer", ("eviction", "accepted", "workload", "jobs")),
    (600.0, "hint", ("workload", "books", "preemptible", None)),
    (600.0, "answer", ("scale_up_offer", "declined", "deployment", "jobs/deployment-2")),
)


def test_a_run_that_replays_a_session_grants_and_tells_the_same(
    negotiated: Negotiated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path))
    live = _live(negotiated(), keep=True)
    _talk(live, TALK)
    live.write_log(tmp_path / "monday.parquet")
    import_file("hints-log", tmp_path / "monday.parquet", "monday", tmp_path)
    scenario = negotiated(messages="import:monday")
    run = simulate(scenario, _phases(scenario), snapshots_at=(300.0,))
    tables = {name: table.collect() for name, table in run.tables.items()}
    assert tables["hints"].filter(sayer="outside").height == 8
    assert tables["grants"].filter(pl.col("workload_id") == "books").height > 0
    mine = live.tables()
    for name in TOLD:
        assert_frame_equal(mine[name], tables[name])
    without = simulate(negotiated(), _phases(negotiated()))
    assert not without.tables["grants"].collect().equals(tables["grants"])


@pytest.mark.slow
@settings(max_examples=5, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from((0.0, 60.0, 420.0)),
            st.sampled_from(("jobs", "books")),
            st.sampled_from((("stateless", 2), ("availability_nines", 2.5), ("preemptibility_share", 1 / 3), ("delay_tolerance_s", 7.7))),
        ),
        max_size=12,
    )
)
def test_whatever_is_said_its_replay_is_the_same(negotiated: Negotiated, said: list[tuple[float, str, tuple[str, float]]]) -> None:
    from twin.workloads.negotiation import receiving, session

    live = _live(negotiated())
    _talk(live, [(at_s, "hint", ("workload", of_id, *hint)) for at_s, of_id, hint in sorted(said)])
    again = _live(negotiated())
    log = session.Replay(live.log(), again._tenants)
    again._negotiation._receiving = receiving.Receiving("", again._tenants)
    again._negotiation._receiving._replay = log
    again.advance(again.horizon_s)
    assert again.grants() == live.grants()
    assert again.notices() == live.notices()


def test_nobody_is_granted_anything_today(negotiated: Negotiated) -> None:
    live = _live(negotiated(), TODAY)
    _open_up(live)
    live.advance(300.0)
    assert {grant.granted for grant in live.grants()} == {()}
    assert {grant.usd_per_h / grant.regular_usd_per_h for grant in live.grants()} == {1.0}
