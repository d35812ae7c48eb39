"""The Functions page: what bypass buys one function, and what functions did in stored runs."""

import json
import re
import shutil
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from streamlit.testing.v1 import AppTest

from app import hops, jobs, state, work
from app.views.functions import day, kept, load, path, reading, what_if
from policies import study, variants
from policies.policy import Held, PolicySet
from twin.functions.settings import Settings

PAGE = "from app import state\nfrom app.views import functions\nstate.publish()\nfunctions.show()\n"


@pytest.fixture(scope="module")
def called(store: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The small store with a third run: functions under junctiond."""
    home = tmp_path_factory.mktemp("functions") / "home"
    shutil.copytree(store.home, home)
    scenario = variants.scenario_of(store.today, home)
    policy = PolicySet(name="bypass", levers={"function_runtime": (Held(system="junctiond"),)})
    return home, study.run(scenario, policy, scenario.seed, home)


@pytest.fixture
def home(called: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("INTENTWIN_HOME", str(called[0]))
    # No page of a test starts a worker by itself.
    monkeypatch.setattr(jobs, "_spawn", lambda place: None)
    return called[0]


def _opened(**query: str) -> AppTest:
    at = AppTest.from_string(PAGE, default_timeout=120)
    for key, value in query.items():
        at.query_params[key] = value
    until_s = time.monotonic() + 60.0
    while True:
        at.run()
        assert not at.exception
        if 'data-waiting="0"' in _html(at) or time.monotonic() > until_s:
            return at
        time.sleep(0.1)


def _html(at: AppTest) -> str:
    return " ".join(element.proto.body for element in at.get("html"))


def _words(at: AppTest) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", _html(at))).replace("\u00a0", " ")


def _sent(at: AppTest, name: str) -> list[dict[str, Any]]:
    return [json.loads(element.proto.json)[0] for element in at.get("bidi_component") if element.proto.component_name == name]


def _answered(asked: dict[str, Any], home: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Leave a curve in the store, as a worker does, from fewer calls."""
    monkeypatch.setattr(hops, "SAMPLE", 20_000)
    shutil.rmtree(home / "jobs", ignore_errors=True)
    place = jobs.folder(home) / "20260714-001500-abcdef"
    place.mkdir()
    jobs.write(place / "spec.json", {"kind": kept.KIND, "spec": json.loads(json.dumps(asked)), "home": str(home), "created_s": 1.0})
    report = jobs.Reporter(place)
    result = work.KINDS[kept.KIND](asked, home, report)
    report.put("done", done_share=1.0, text="done", result=result)
    return result


def _trace(run: str, shown: state.Shown = "candidate", today: str | None = None, **edits: dict[str, float]) -> reading.Tracing:
    now = state.Context("example", today, run, shown, 7, 0.0, 2400.0, state.run(run).clock, None)
    settings = reading.settings_of(run)
    ids = reading.busiest(str(state.home()), run)
    function = next(each for each in settings.functions if each.id == "send-mail")
    return reading.Tracing(now, run, today, settings, ids, function, settings.cores, 15.0, 1.0, edits)


def test_without_a_run_the_page_answers_for_the_papers_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path))
    monkeypatch.setattr(jobs, "_spawn", lambda place: None)
    words = _words(_opened())
    says = r"Kernel bypass cuts the median of the paper’s function by 37\.\d %, its p99 by 6\d\.\d % and carries 5 times the calls"
    assert re.search(says, words)
    assert "Nothing has run on the twin yet" in words
    assert "−37.33 % and −63.42 %" in words
    assert re.search(r"nine in ten would cut p99 by \d\d to \d\d %", words)


def test_a_run_without_functions_says_what_would_be_here(store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    shutil.copytree(store.home, home)
    for run in (store.today, store.candidate):
        folder = home / "runs" / run
        manifest = json.loads((folder / "manifest.json").read_text())
        manifest["scenario"]["functions"] = Settings().model_dump(mode="json")
        (folder / "manifest.json").write_text(json.dumps(manifest))
        for table in folder.glob("function*.parquet"):
            table.unlink()
    monkeypatch.setenv("INTENTWIN_HOME", str(home))
    monkeypatch.setattr(jobs, "_spawn", lambda place: None)
    words = _words(_opened(show="today"))
    assert "No function was called in this run" in words
    assert "[[functions.functions]]" in words
    assert "Kernel bypass cuts the median of the paper’s function" in words


def test_the_page_opens_on_the_function_whose_way_weighs_most(called: tuple[Path, str], home: Path) -> None:
    words = _words(_opened(run=called[1]))
    assert re.search(r"Kernel bypass cuts the median of send-mail by 37\.\d %, its p99 by 6\d\.\d % and carries 5 times the calls", words)
    assert "677 µs of a call, 52.8 %, are its way through containerd; junctiond takes 74." in words
    assert "this run: junctiond" in words


def test_a_slow_function_gains_little_and_the_title_says_so(called: tuple[Path, str], home: Path) -> None:
    words = _words(_opened(run=called[1], function="resize-image"))
    assert re.search(r"Kernel bypass cuts the median of resize-image by 2\.\d+ %, its p99 by .* and carries no more calls", words)


def test_paths_of_both_runs_stand_beside_those_where_nobody_waits(called: tuple[Path, str], home: Path) -> None:
    svg = next(sent["svg"] for sent in _sent(_opened(run=called[1]), "intentwin.talk"))
    for words in ("Where nobody waits: a call on average", "In this run: a call on average", "In this run: the slowest hundredth of calls"):
        assert words in svg
    assert svg.count(">containerd</text>") == svg.count(">junctiond</text>") == 4
    short = next(sent["svg"] for sent in _sent(_opened(run=called[1], own="0"), "intentwin.talk"))
    assert "containerd: its own work" in svg
    assert "containerd: its own work" not in short


def test_recorded_paths_add_up_to_the_mean_latency(called: tuple[Path, str], home: Path) -> None:
    rows = state.table(called[1], "functions").with_columns(pl.col("function_id").cast(pl.String))
    for name in ("send-mail", "resize-image"):
        mine = rows.filter(pl.col("function_id") == name).fill_nan(0.0)
        mean = float((mine["latency_mean_s"] * mine["completed"]).sum()) / float(mine["completed"].sum())
        found = reading.recorded_path(str(home), called[1], name)
        assert sum(found["mean"].values()) == pytest.approx(mean, rel=1e-6)
        assert sum(found["tail"].values()) > mean


def test_the_curve_is_begun_once_by_itself_and_an_edited_one_waits_to_be_asked_for(called: tuple[Path, str], home: Path) -> None:
    shutil.rmtree(home / "jobs", ignore_errors=True)
    _opened(run=called[1], hops="containerd.cpu_us:160")
    assert not jobs.list_jobs(home)
    _opened(run=called[1])
    _opened(run=called[1])
    assert [job.kind for job in jobs.list_jobs(home)] == [kept.KIND]


def test_the_curve_that_is_kept_is_drawn_and_a_load_is_looked_at(
    called: tuple[Path, str], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = _trace(called[1])
    result = _answered(kept.spec(trace), home, monkeypatch)
    at = _opened(run=called[1], busy="0.9")
    words = _words(at)
    assert re.search(r"Eight cores take 78 400 calls a second instead of 15 700; at 90 % busy p99 is \d\.\d times lower", words)
    assert re.search(r"At 90 % busy 99 of 100 calls are answered within [\d.]+ ms under containerd, [\d.]+ ms under junctiond", words)
    assert "calls a second and host" in " ".join(chart.proto.spec for chart in at.get("plotly_chart"))
    frame = load.table(result["runtimes"])
    assert len(frame) == 2 * len(hops.LOADS)
    assert (frame["latency_p50_s"] < frame["latency_p99_s"]).all()


def test_an_older_curve_says_with_which_costs_it_was_worked_out(
    called: tuple[Path, str], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _answered(kept.spec(_trace(called[1])), home, monkeypatch)
    at = _opened(run=called[1], hops="containerd.cpu_us:160")
    assert "Worked out with containerd core time 75; the fields above say otherwise now" in _words(at)
    assert "Work it out with these costs" in [button.label for button in at.button]


def test_runs_stand_on_the_curve_at_the_load_of_their_cores(called: tuple[Path, str], home: Path, store: Any) -> None:
    runtimes = {name: {"saturation_per_s": most, "points": []} for name, most in (("containerd", 15_000.0), ("junctiond", 78_000.0))}
    found = load.standing(_trace(called[1], today=store.today), runtimes)
    assert [each.name for each in found] == ["containerd", "junctiond"]
    assert all(0.0 < each.rate_per_s < 0.1 * runtimes[each.name]["saturation_per_s"] for each in found)


def test_edited_costs_answer_at_once(called: tuple[Path, str], home: Path) -> None:
    words = _words(_opened(run=called[1], hops="containerd.cpu_us:160"))
    assert re.search(r"With these costs bypass cuts the median by 37\.\d %, p99 by 6\d\.\d % and carries 10 times the calls", words)


def test_a_field_writes_the_url_and_a_preset_takes_it_back(called: tuple[Path, str], home: Path) -> None:
    at = _opened(run=called[1])
    field = next(each for each in at.number_input if each.label == "Stack, µs a hop, junctiond")
    field.set_value(95.0).run()
    assert at.query_params["hops"] == "junctiond.stack_us:95"
    next(each for each in at.button if each.label == "As calibrated").click().run()
    assert "hops" not in at.query_params


def test_equal_hops_buy_nothing(called: tuple[Path, str], home: Path) -> None:
    at = _opened(run=called[1])
    next(each for each in at.button if each.label == "Equal hops").click().run()
    words = _words(at)
    assert "Kernel bypass buys send-mail nothing" in words
    assert "Equal costs of hops: bypass buys nothing" in words
    lines = {line.label: line for line in what_if.lines(*_both(called[1], at))}
    for label in ("Median latency", "99th percentile", "Core time a call"):
        assert what_if.change(lines[label]) == "0"


def _both(run: str, at: AppTest) -> tuple[reading.Tracing, dict[str, Any]]:
    trace = _trace(run, **hops.parse(str(at.query_params["hops"])))
    known = {name: reading.alone(trace, trace.runtime(name)) for name in hops.RUNTIMES}
    while not all(answer.ready for answer in known.values()):
        known = {name: reading.alone(trace, trace.runtime(name)) for name in hops.RUNTIMES}
    return trace, known


def test_worse_costs_are_told_as_worse(called: tuple[Path, str], home: Path) -> None:
    words = _words(_opened(run=called[1], hops="junctiond.stack_us:500"))
    assert re.search(r"With these costs bypass answers send-mail later: median \+\d+ %", words)


@pytest.mark.parametrize(
    ("values", "times", "told"),
    [
        ((2.0, 1.0), False, "−50.0\u00a0%"), ((1.0, 5.0), True, "5×"), ((0.0, 2.0), False, "+2"),
        ((3.0, 3.0), False, "0"), ((None, 1.0), False, "–"),
    ],
)  # fmt: skip
def test_a_change_is_a_share_or_how_many_times(values: tuple[float | None, float | None], times: bool, told: str) -> None:
    assert what_if.change(what_if.Line("x", values, lambda value: f"{value:g}", times=times)) == told


def test_the_day_tells_cold_starts_cores_and_room(called: tuple[Path, str], home: Path, store: Any) -> None:
    words = _words(_opened(run=called[1]))
    assert re.search(r"[\d ]+ of [\d ]+ calls waited for a start, [\d ]+ today", words)
    assert re.search(r"Functions burn 2\.\d+ cores on average, 2 of them only spin; 0\.\d+ today", words)
    assert re.search(r"At most [\d.]+ % of what its cores can do, at \d\d:\d\d", words)
    shown, today = day.frames(_trace(called[1], today=store.today))
    assert today is not None
    rows = state.table(called[1], "function_hosts")
    assert shown["busy_cores"].sum() == pytest.approx(rows["busy_cores"].sum())
    assert (shown["arrived"] == today["arrived"]).all()


def test_todays_view_shows_todays_runtime_alone(called: tuple[Path, str], home: Path) -> None:
    at = _opened(run=called[1], show="today")
    words = _words(at)
    assert "this run: containerd" in words
    assert "none spins" in words
    svg = next(sent["svg"] for sent in _sent(at, "intentwin.talk"))
    assert svg.count(">junctiond</text>") == 2


def test_functions_are_listed_with_what_tables_say_of_each(called: tuple[Path, str], home: Path) -> None:
    sent = next(sent for sent in _sent(_opened(run=called[1]), "intentwin.rows"))
    found = {row["id"]: row for row in sent["rows"]}
    assert set(found) == {"send-mail", "resize-image", reading.PAPER_ID}
    assert sent["chosen"] == "send-mail"
    assert re.fullmatch(r"1\.[12]\d\u00a0ms", found["send-mail"]["p99"])


def test_titles_of_days_without_calls_and_without_room_are_sentences() -> None:
    none = pl.DataFrame({"cold_starts": [0], "arrived": [0], "window_s": [300.0], "busy_cores": [0.0], "polling_cores": [0.0]})
    assert day.cold_title(none, None) == "Nobody called a function"
    assert day.cold_title(none.with_columns(pl.lit(5).alias("arrived")), None) == "No call waited for a start"
    assert day.cores_title(none, None) == "Functions burn 0 cores on average"


def test_what_is_not_known_yet_is_waited_for(called: tuple[Path, str], home: Path) -> None:
    trace = _trace(called[1])
    waiting = {name: reading.Answer(("alone", name), ready=False) for name in hops.RUNTIMES}
    assert path.path_title(trace, waiting) == "Where the microseconds go"
    assert path.cut(waiting, "latency_p50_s") is None
    assert what_if.title(trace, waiting) == "As calibrated: being worked out"
