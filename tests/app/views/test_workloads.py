"""The Workloads page on a negotiation by hand: lanes, chain, prices, requirements, hints."""

import json
import re
import runpy
import shutil
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from streamlit.testing.v1 import AppTest

from app import jobs, state, work
from app.views.workloads import granted, hints, lanes, pools, prices, reading, requirements, tries

MADE = runpy.run_path(str(Path(__file__).resolve().parents[2] / "negotiated.py"))
BEGIN_S = 900.0
CLASSES = ("microservices", "big-data", "batch-training", "dev-test", "search", "databases")
PAGE = "from app import state\nfrom app.views import workloads\nstate.publish()\nworkloads.show()\n"


def _negotiate(folder: Path, tenants: list[dict[str, Any]]) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["scenario"]["workloads"]["negotiation"] = {"classes": "survey", "tenants": tenants}
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.fixture(scope="module")
def talked(store: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The small store, whose candidate's run got the tables of a negotiation by hand; in today's nobody negotiates."""
    home = tmp_path_factory.mktemp("workloads") / "home"
    shutil.copytree(store.home, home)
    opaque = home / "runs" / store.today
    for name in MADE["frames"](BEGIN_S, hours=1):
        (opaque / f"{name}.parquet").unlink(missing_ok=True)
    _negotiate(opaque, [])
    folder = home / "runs" / store.candidate
    for name, frame in MADE["frames"](BEGIN_S, hours=1).items():
        frame.write_parquet(folder / f"{name}.parquet")
    _negotiate(folder, [{"id": name, "class": of, "deployments": 2} for name, of in zip(MADE["WORKLOADS"], CLASSES, strict=True)])
    return home, store.candidate


@pytest.fixture
def home(talked: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("INTENTWIN_HOME", str(talked[0]))
    return talked[0]


def _opened(talked: tuple[Path, str], **query: str) -> AppTest:
    at = AppTest.from_string(PAGE, default_timeout=120)
    for key, value in {"run": talked[1], "t": f"{BEGIN_S:.0f}", **query}.items():
        at.query_params[key] = value
    until_s = time.monotonic() + 60.0
    while True:
        at.run()
        assert not at.exception
        if 'data-waiting="0"' in _html(at) or "data-waiting" not in _html(at) or time.monotonic() > until_s:
            return at
        time.sleep(0.1)


def _html(at: AppTest) -> str:
    return " ".join(element.proto.body for element in at.get("html"))


def _words(at: AppTest) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", _html(at)))


def _plain(text: str) -> str:
    return text.replace("\u00a0", " ")


def _sent(at: AppTest, name: str) -> list[dict[str, Any]]:
    return [json.loads(element.proto.json)[0] for element in at.get("bidi_component") if element.proto.component_name == name]


def _lanes(at: AppTest) -> str:
    return next(sent["svg"] for sent in _sent(at, "intentwin.talk") if "Global manager" in sent["svg"])


def test_a_run_in_which_nobody_negotiates_says_what_would_be_here(talked: tuple[Path, str], home: Path) -> None:
    words = _words(_opened(talked, show="today"))
    assert "Nobody negotiates in this run" in words
    assert "[[workloads.negotiation.tenants]]" in words


def test_without_a_run_the_page_says_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path))
    at = AppTest.from_string(PAGE, default_timeout=60).run()
    assert "Nothing has run" in _words(at)


def test_the_page_opens_on_the_emergency_with_its_watts_and_the_price_cut(talked: tuple[Path, str], home: Path) -> None:
    words = _words(_opened(talked))
    assert "Workloads gave 10.0 kW back to row 4 and pay 66.2 % less" in words
    assert "From cause to effect: four notices brought 10.0 kW back in 3.83 min" in words
    assert "Together they cut prices by 66.2 %" in words
    assert "No requirement is broken" in words


def test_messages_stand_in_the_lanes_of_who_sends_them_and_the_chain_is_blue(talked: tuple[Path, str], home: Path) -> None:
    svg = _lanes(_opened(talked))
    for lane in ("Platform", "Global manager", "Local managers", *MADE["WORKLOADS"]):
        assert f">{lane}</text>" in svg
    assert svg.count('data-pick="0"') == 14
    assert "row 4 forecast 291 kW" in svg
    assert "00:15:22 ml-training → Global manager" not in svg
    assert "ml-training → Global manager: answer declined, power emergency · needs 80 s · two VMs" in svg
    assert "Row 4, kW" in svg


def test_filters_let_through_kinds_one_workload_and_one_answer(talked: tuple[Path, str], home: Path) -> None:
    only = _lanes(_opened(talked, said="notices and answers"))
    assert only.count('data-pick="0"') == 9
    mine = _lanes(_opened(talked, whose="search"))
    assert ">search</text>" in mine
    assert ">dev-test</text>" not in mine
    assert mine.count('data-pick="0"') == 5
    assert _lanes(_opened(talked, answer="ignored")).count("hint, vm priority") == 0


def test_the_chain_tells_who_answered_what_and_how_long_notices_stood(talked: tuple[Path, str], home: Path) -> None:
    tables = _sent(_opened(talked), "intentwin.rows")
    chain = next(sent["rows"] for sent in tables if sent["columns"][1]["key"] == "notice")
    found = {row["workload"]: row for row in chain}
    assert found["web-frontend"]["answer"] == {"text": "declined", "lead": "✕"}
    assert found["web-frontend"]["lead"] == "–"
    assert found["dev-test"]["lead"] == "30"
    assert found["dev-test"]["done"] == "6 of 9 VMs evicted"


def test_requirements_stand_beside_price_cuts(talked: tuple[Path, str], home: Path) -> None:
    tables = _sent(_opened(talked), "intentwin.rows")
    found = {row["workload"]: row for row in next(sent["rows"] for sent in tables if sent["columns"][1]["key"] == "cut")}
    assert found["telemetry-batch"]["cut"] == "91.0"
    assert found["databases"]["cut"] == "0.0"
    assert {str(row["state"]) for row in found.values()} == {"{'word': 'met', 'text': 'kept'}"}


def test_a_broken_requirement_is_what_the_panel_says() -> None:
    kept = requirements.Kept("search", "availability", 0.999, 0.9998, 0.0)
    broken = requirements.Kept("dev-test", "notice lead", 30.0, 12.0, 3.0)
    assert kept.state == "met"
    assert broken.state == "broken"
    assert requirements.title((kept, broken)) == "Requirements of dev-test are broken"
    close = requirements.Kept("search", "availability", 0.999, 0.99905, 0.0)
    assert requirements.title((close,)) == "No requirement is broken; search is close"


def test_the_matrix_says_which_hint_is_missing(talked: tuple[Path, str], home: Path) -> None:
    at = _opened(talked)
    svg = next(sent["svg"] for sent in _sent(at, "intentwin.talk") if "No pre-provisioning" in sent["svg"])
    assert "Spot VMs, web-frontend: of its VM-hours 40 % have it, 60 % lack preemptible" in _plain(svg)
    assert "Spot VMs, databases: of its VM-hours 100 % forbid it by availability_nines" in _plain(svg)
    assert "All but databases get an optimisation; the hint most often missing: work may wait" in _words(at)


def test_an_edited_hint_is_quoted_at_once_and_offered_to_the_twin(talked: tuple[Path, str], home: Path) -> None:
    at = _opened(talked, whose="databases")
    assert "Databases would pay 0.0 % less by its hints" in _words(at)
    assert next(button for button in at.button if button.label == "Try it on the twin").disabled
    edited = _opened(talked, whose="databases", edit="databases:preemptible=yes")
    words = _words(edited)
    assert "With these hints databases would pay 85.0 % less instead of 0.0 %" in words
    assert re.search(r"All workloads together: −[\d.]+ % → −[\d.]+ % quoted, [\d.]+ points cheaper", words)
    assert not next(button for button in edited.button if button.label == "Try it on the twin").disabled


@pytest.mark.slow
def test_hints_are_tried_in_the_same_world_under_a_name_of_their_own(store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    shutil.copytree(store.home, home)
    monkeypatch.setenv("INTENTWIN_HOME", str(home))
    place = tmp_path / "job"
    place.mkdir()
    asked = {"run_id": store.candidate, "edits": "databases:preemptible=yes", "name": "what if"}
    answer = work.KINDS["hints"](asked, home, jobs.Reporter(place))["run_id"]
    before, after = state.run(store.candidate), state.run(answer)
    assert after.brief.scenario.startswith(f"{before.brief.scenario}-hints-")
    assert (after.brief.world, after.brief.seed) == (before.brief.world, before.brief.seed)
    said = {each["id"]: each for each in reading.tenants(answer)}
    assert said["databases"]["hints"] == {"preemptible": True, "preemptibility_share": 1.0, "availability_nines": 3.0}
    others = [{**each, "hints": {}} for name, each in said.items() if name != "databases"]
    assert others == [{**each, "hints": {}} for each in reading.tenants(store.candidate) if each["id"] != "databases"]


def test_one_more_permissive_hint_never_raises_a_quoted_price(talked: tuple[Path, str], home: Path) -> None:
    for edit in ("databases:delay_tolerance_s=3600", "databases:region_independence=full", "search:preemptible=yes"):
        words = _words(_opened(talked, whose="databases", edit=edit))
        assert "points dearer" not in words


def test_what_capacity_turned_away_is_said(talked: tuple[Path, str], home: Path) -> None:
    frame = MADE["frames"](hours=24)["vm_capacity"]
    hosts = frame.filter(pl.col("pool") == "hosts")
    assert _plain(pools.title(hosts, "hosts", "vCPUs")) == "Spot and harvest hold 21 % of the hosts; at worst 40 vCPUs are turned away"
    assert "no regular customer is turned away" in _words(_opened(talked))


def test_titles_count_what_was_said_and_what_it_took_off(talked: tuple[Path, str], home: Path) -> None:
    assert prices.price_title(0.0, "") == "Everybody pays the regular price"
    assert _plain(prices.price_title(48.8, "search")) == "Search: together they cut prices by 48.8 %"
    assert granted.title({}, ()) == "Nobody gets an optimisation"
    assert reading.window_of(100.0, 600.0, (0.0, 2400.0)) == (0.0, 600.0)
    assert lanes.said_title(pl.DataFrame(), _listening(talked)).startswith("Nothing was said")
    assert tries.told(talked[1], talked[1]).startswith("price <b>−66.2")
    assert hints.words_now("preemptible", reading_class("search"), {}) == "a part of them"


def reading_class(name: str) -> Any:
    from twin.workloads.negotiation.classes import named

    return named("survey")[name]


def _listening(talked: tuple[Path, str]) -> Any:
    brief = state.run(talked[1]).brief
    now = state.Context(brief.scenario, None, talked[1], "candidate", brief.seed, BEGIN_S, brief.end_s, brief.clock, None)
    return reading.Listening(now, str(talked[0]), talked[1], None, (600.0, 1200.0), 0, reading.EVERYTHING, "", "")
