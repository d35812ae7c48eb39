"""The Workflows page on jobs by hand: graph, trade-off, one job, the day, what is shared and refused, the library."""

import json
import re
import runpy
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from streamlit.testing.v1 import AppTest

from app import jobs, later, plans, work
from app.later import Answer
from app.views.workflows import Figures, gantt, later_words, reading, shared, tradeoff, tries
from policies.system import Answer as Answered
from policies.system import Option

MADE = runpy.run_path(str(Path(__file__).resolve().parents[2] / "worked.py"))
PAGE = "from app import state\nfrom app.views import workflows\nstate.publish()\nworkflows.show()\n"
DECLARED = {
    "workload": "agents",
    "servers": ["server-153", "server-154"],
    "hosts": ["host-91", "host-92"],
    "workflows": [
        {"id": "video", "job": "video-understanding", "items": 4, "rate_per_h": 6.0, "limits": {"makespan_s": 120.0}},
        {"id": "report", "job": "report", "items": 1, "rate_per_h": 6.0, "constraint": "MIN_LATENCY"},
    ],
}
PINS = ("video.scenes=frame-extractor@cpu1*1/1", "video.transcript=whisper@a100x1*1/1", "video.*=held")


def _option(name: str, time_s: float, usd: float, quality: float = 1.0) -> Option:
    metrics = {
        "workflows.makespan_p50_s": time_s, "workflows.cost_usd_per_job": usd, "workflows.energy_j_per_job": 1e5 * usd,
        "workflows.quality_min_share": quality,
    }  # fmt: skip
    return Option(name, f"{name} in words", metrics, knobs={"plan": PINS})


FRONT = (_option("video-1", 40.0, 2.0), _option("video-2", 50.0, 1.0), _option("video-3", 90.0, 0.2, 0.93))
ANSWER = Answered(FRONT, FRONT[1], "video-2 is the best of 30 plans for MIN_COST", None, 30)


def _declare(folder: Path, workflows: dict[str, Any]) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["scenario"]["workflows"] = workflows
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.fixture(scope="module")
def worked(store: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The small store, whose runs got the tables of jobs by hand."""
    home = tmp_path_factory.mktemp("workflows") / "home"
    shutil.copytree(store.home, home)
    for run_id, today in ((store.today, True), (store.candidate, False)):
        for name, frame in MADE["frames"](today).items():
            frame.write_parquet(home / "runs" / run_id / f"{name}.parquet")
        _declare(home / "runs" / run_id, DECLARED)
    return home, store.candidate


@pytest.fixture
def home(worked: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("INTENTWIN_HOME", str(worked[0]))
    monkeypatch.setattr(plans, "front", lambda *_: ANSWER)
    return worked[0]


def _opened(worked: tuple[Path, str], **query: str) -> AppTest:
    at = AppTest.from_string(PAGE, default_timeout=120)
    for key, value in {"run": worked[1], "t": "610", **query}.items():
        at.query_params[key] = value
    at.run()
    assert not at.exception
    if 'data-waiting="1"' in _html(at):
        at.run()
    assert not at.exception
    return at


def _html(at: AppTest) -> str:
    return " ".join(element.proto.body for element in at.get("html"))


def _words(at: AppTest) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", _html(at)))


def _sent(at: AppTest, name: str) -> list[dict[str, Any]]:
    return [json.loads(element.proto.json)[0] for element in at.get("bidi_component") if element.proto.component_name == name]


def _rows(at: AppTest, key: str) -> list[dict[str, Any]]:
    return next(sent["rows"] for sent in _sent(at, "intentwin.rows") if any(column["key"] == key for column in sent["columns"]))


def _svg(at: AppTest, has: str) -> str:
    return next(sent["svg"] for sent in _sent(at, "intentwin.talk") if has in sent["svg"])


def test_without_a_run_the_page_says_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path))
    assert "Nothing has run" in _words(AppTest.from_string(PAGE, default_timeout=60).run())


def test_a_scenario_without_workflows_says_what_would_be_here(store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    shutil.copytree(store.home, home)
    for run_id in (store.today, store.candidate):
        _declare(home / "runs" / run_id, {"workflows": []})
    monkeypatch.setenv("INTENTWIN_HOME", str(home))
    words = _words(_opened((home, store.candidate)))
    assert "No workflow runs in this scenario" in words
    assert "[[workflows.workflows]]" in words


def test_a_library_that_is_gone_is_said_in_one_line(store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    shutil.copytree(store.home, home)
    for run_id in (store.today, store.candidate):
        _declare(home / "runs" / run_id, {**DECLARED, "library": "import:gone"})
    monkeypatch.setenv("INTENTWIN_HOME", str(home))
    words = _words(_opened((home, store.candidate)))
    assert "The workflows of this run cannot be read" in words
    assert "gone" in words


def test_the_title_says_what_a_job_takes_and_how_that_stands_against_today(worked: tuple[Path, str], home: Path) -> None:
    words = _words(_opened(worked))
    # The median of 50 and 60 s beside 110 s, the mean of 1.0 and 1.1 USD beside 4.
    assert "A job of video takes 55.0 s and 1.05 USD: 2 times faster and 3.81 times cheaper than today" in words
    assert "4 items a job · asks for least cost, within 2.00 min" in words


def test_jobs_that_are_faster_in_the_median_alone_are_told_with_their_slowest() -> None:
    today, mine = Figures(288.0, 9.2, 1.0, 308.0), Figures(163.0, 0.35, 1.0, 3336.0)
    assert later_words(mine, today).replace("\u00a0", " ") == "; the slowest hundredth take 55.6 min, today 5.13 min"
    assert later_words(mine._replace(late_s=300.0), today) == ""


def test_the_graph_names_executors_and_todays_way_where_it_differs(worked: tuple[Path, str], home: Path) -> None:
    svg = _svg(_opened(worked), 'data-pick="transcript"')
    assert svg.count("data-pick=") == 7
    assert "Whisper speech to text" in svg
    assert "4 × 4 cores" in svg
    assert svg.count("today: ") == 2
    assert "today: 1 A100" in svg
    assert "today:" not in _svg(_opened(worked, show="today"), 'data-pick="transcript"')


def test_the_planners_words_stand_under_the_graph_with_the_hours_they_hold_for(worked: tuple[Path, str], home: Path) -> None:
    assert "00:00–01:00: cheapest within 60 s." in _words(_opened(worked))


def test_the_stage_looked_at_lists_who_could_do_it_and_marks_who_does(worked: tuple[Path, str], home: Path) -> None:
    found = _rows(_opened(worked, stage="transcript"), "energy")
    assert [(row["where"], row["who"]["lead"].strip()) for row in found] == [("1 A100", ""), ("4 cores", "✓")]
    assert found[0]["item"] == "2.00\u00a0s"
    today = _rows(_opened(worked, stage="transcript", show="today"), "energy")
    assert [row["who"]["lead"].strip() for row in today] == ["✓", ""]


def test_a_stage_alone_uses_what_it_holds_and_works() -> None:
    from app.views.workflows.stage import alone
    from twin.workflows.library import library

    (gpu, cpu) = next(each for each in library("packaged") if each.id == "whisper").profiles
    # 2 s on one A100 of 95.2 W at rest and 225 W of work; 8.9 s on 4 cores of 3.5 W.
    assert alone(gpu) == pytest.approx((640.4, 2 * 3.4 / 3600))
    assert alone(cpu) == pytest.approx((124.6, 8.9 * 4 * 0.05 / 3600))


def test_the_trade_off_is_drawn_with_the_planned_one_and_what_runs_measured(worked: tuple[Path, str], home: Path) -> None:
    at = _opened(worked)
    words = _words(at)
    assert "From 40.0 s for 2.00 USD to 1.50 min for 0.200 USD: three plans that none beats" in words
    spec = next(json.loads(each.proto.spec) for each in at.get("plotly_chart") if "video-1" in each.proto.spec)
    assert [trace["marker"]["symbol"] for trace in spec["data"] if "symbol" in trace["marker"]] == ["diamond-open", "diamond-open"]
    assert "planned" in json.dumps(spec["layout"])
    assert "limit" in json.dumps(spec["layout"]) or "makespan" in json.dumps(spec["layout"])


def test_a_plan_that_is_taken_says_what_it_changes_and_can_be_tried(worked: tuple[Path, str], home: Path) -> None:
    at = _opened(worked, take="video-1")
    (row,) = _rows(at, "then")
    assert row["stage"] == "Speech to text"
    assert row["now"] == "Whisper speech to text, 4 × 4 cores"
    assert row["then"] == "Whisper speech to text, 1 A100"
    assert "Try it on the twin" in [button.label for button in at.button]


def test_where_no_plan_keeps_the_limits_the_one_that_binds_is_named(
    worked: tuple[Path, str], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    near = replace(FRONT[0], misses=("makespan_s: 40 s, asked is 10 s",))
    none = Answered((), None, "makespan: at most 10 s is asked, the least here is 40 s", near, 30)
    monkeypatch.setattr(reading, "front", lambda _: Answer(("plans", 0), none))
    assert "Refused, makespan: at most 10 s is asked, the least here is 40 s." in _words(_opened(worked))


def test_a_front_that_cannot_be_worked_out_says_why(worked: tuple[Path, str], home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "front", lambda _: Answer(("plans", 0), why="run x: library changed since it was made"))
    assert "No plans: run x: library changed since it was made" in _words(_opened(worked))


def test_one_job_is_drawn_in_both_runs_on_one_scale_with_its_limit(worked: tuple[Path, str], home: Path) -> None:
    at = _opened(worked)
    assert "Job video-1 took 50.0 s, under today’s policy 1.83 min" in _words(at)
    svg = _svg(at, "Today’s policy")
    assert svg.index("Candidate: 50.0") < svg.index("Today’s policy: 1.83")
    assert "limit 2.00\u00a0min" in svg
    assert "GPUs: 10 of 10 held" in svg or "GPUs: 8 of 10 held" in svg
    assert "waiting 1.00\u00a0s" in svg


def test_a_job_that_today_refuses_says_so(worked: tuple[Path, str], home: Path) -> None:
    words = _words(_opened(worked, job="video-2"))
    assert "Job video-2 took 1.00 min; today’s policy refuses it" in words
    assert "refused gpus: stage summary needs 8 a100" in words


def test_an_instance_counts_once_however_many_items_it_does_at_once() -> None:
    rows = {"instance_id": ["m#1", "m#1", "m#2"], "gpus": [8, 8, 8], "start_s": [10.0, 12.0, 11.0], "t_s": [20.0, 22.0, 15.0]}
    assert gantt.steps(pl.DataFrame(rows), "gpus", 10.0) == ((0.0, 8.0), (1.0, 16.0), (5.0, 8.0), (12.0, 0.0))


def test_the_day_counts_jobs_and_what_is_held(worked: tuple[Path, str], home: Path) -> None:
    words = _words(_opened(worked))
    assert "2 jobs take 55.0 s in the median, today 1.83 min" in words
    assert "Workflows hold 10 GPUs on average, of which 5 work; today’s policy holds 16" in words


def test_instances_that_two_workflows_use_are_said_to_be_shared(worked: tuple[Path, str], home: Path) -> None:
    at = _opened(worked)
    assert "Workflows share the instances of 1 of 6 models" in _words(at)
    first = _rows(at, "whose")[0]
    assert first["whose"] == "report, video"
    assert "Workflows share no instances: each has its own" in _words(_opened(worked, show="today"))


def test_overlapping_work_of_an_instance_is_not_counted_twice(worked: tuple[Path, str], home: Path) -> None:
    frame = shared.used(str(home), worked[1])
    busy = dict(frame.select("executors", "busy_share").iter_rows())
    assert all(0.0 < share <= 1.0 for share in busy.values())


def test_refusals_are_listed_by_the_limit_that_binds(worked: tuple[Path, str], home: Path) -> None:
    at = _opened(worked)
    assert "No job was refused; today’s policy refuses 1" in _words(at)
    (row,) = _rows(at, "limit")
    assert (row["limit"], row["jobs"], row["policy"]) == ("gpus", "1", "today’s")
    assert row["why"] == "video: stage summary needs 8 a100 and more for its load, 0 are left"
    assert "1 job was refused, most for gpus" in _words(_opened(worked, show="today"))


def test_the_library_tells_source_and_strength_of_each_profile(worked: tuple[Path, str], home: Path) -> None:
    found = _rows(_opened(worked), "strength")
    assert {row["strength"] for row in found} == {"fitted", "proposed"}
    assert all(row["source"] for row in found)


def test_another_workflow_has_its_own_graph_and_jobs(worked: tuple[Path, str], home: Path) -> None:
    at = _opened(worked, workflow="report")
    assert "from topic to report" in _words(at)
    assert "Job report-1 took 20.0 s" in _words(at)


def test_a_link_to_what_is_not_there_falls_back_to_what_is(worked: tuple[Path, str], home: Path) -> None:
    words = _words(_opened(worked, workflow="gone", job="gone-7", stage="gone", take="gone", trade="gone"))
    assert "Job video-1 took" in words


def test_a_pinned_plan_keeps_what_the_policy_pinned_for_other_workflows() -> None:
    before = [{"system": "murakkab", "knobs": {"surplus": False, "plan": ["report.notes=a@cpu1*1/1", "video.scenes=b@cpu1*1/1"]}}]
    (held,) = plans.levers_with(before, {"plan": list(PINS)})[plans.LEVER]
    assert held["knobs"] == {"surplus": False, "plan": ["report.notes=a@cpu1*1/1", *PINS]}
    (fresh,) = plans.levers_with([{"system": "sequential", "knobs": {}}], {"plan": list(PINS)})[plans.LEVER]
    assert fresh == {"system": "murakkab", "knobs": {"plan": list(PINS)}}


def test_the_job_runs_the_same_world_with_the_plan_pinned(store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    shutil.copytree(store.home, home)
    monkeypatch.setenv("INTENTWIN_HOME", str(home))
    workflow = json.loads((home / "runs" / store.today / "manifest.json").read_text())["scenario"]["workflows"]["workflows"][0]["id"]
    told = plans.front(store.today, workflow, 0.0, home)
    offered = told.chosen or told.nearest
    assert offered is not None
    levers = plans.levers_with([], {"plan": list(offered.knobs["plan"])})
    place = tmp_path / "job"
    place.mkdir()
    spec = {"run_id": store.today, "workflow": workflow, "levers": levers, "name": "plan tried"}
    answer = work.KINDS["plan"](spec, home, jobs.Reporter(place))["run_id"]
    manifest = json.loads((home / "runs" / answer / "manifest.json").read_text())
    assert manifest["exogenous"] == json.loads((home / "runs" / store.today / "manifest.json").read_text())["exogenous"]
    (held,) = manifest["schedule"][0]["policy"]["workflow_plan"]
    assert tuple(held["knobs"]["plan"]) == tuple(offered.knobs["plan"])
    planned = pl.read_parquet(home / "runs" / answer / "workflow_plans.parquet").filter(pl.col("workflow_id").cast(pl.String) == workflow)
    wanted = {pin.stage: pin.executor for pin in map(tradeoff.parse, offered.knobs["plan"]) if pin.stage != "*"}
    assert dict(planned.select("stage_id", pl.col("executor_id").cast(pl.String)).unique().iter_rows()) == wanted
    assert "was" in tries.compared(store.today, answer, workflow) or "no job" in tries.compared(store.today, answer, workflow)


def test_plans_are_asked_for_once_an_epoch(worked: tuple[Path, str], home: Path) -> None:
    seen: list[Any] = []
    original = later.ask

    def heard(family: str, about: Any, make: Any, **more: Any) -> Answer:
        seen.append((family, about))
        return original(family, about, make, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(later, "ask", heard)
        _opened(worked, t="100")
        _opened(worked, t="2000")
    assert len(set(seen)) == 1
