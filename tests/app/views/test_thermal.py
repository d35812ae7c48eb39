import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from streamlit.testing.v1 import AppTest

from app import floors, jobs, state, work
from app.charts.cube import unpack
from app.views.thermal import ablation, reading, what_if
from policies import ablations, study, variants
from twin.fleet_file import named

PAGE = "from app.views import thermal\nthermal.show()\n"


def _words(at: AppTest) -> str:
    return re.sub(r"<[^>]+>", " ", " ".join(element.proto.body for element in at.get("html")))


def _sent(at: AppTest, name: str) -> dict:
    found = [element.proto for element in at.get("bidi_component") if element.proto.component_name == name]
    assert found, f"{name} is not on the page"
    return json.loads(found[0].json)[0]


def test_the_page_opens_on_what_the_day_comes_to(stored: Path) -> None:
    at = AppTest.from_string(PAGE, default_timeout=120).run()
    assert not at.exception
    assert re.search(r"Row \d runs [\d.]+\u00a0kW under its budget and reaches [\d.]+\u00a0°C at 00:\d\d", _words(at))
    assert re.search(r"would (brake|trip) first|nearest its limit", _words(at))
    assert re.search(r"Rack \d+ is [\d.]+\u00a0°C under its limit", _words(at))


def test_the_browser_gets_every_gpu_of_every_minute(stored: Path) -> None:
    at = AppTest.from_string(PAGE, default_timeout=120).run()
    day = _sent(at, "intentwin.floor")
    assert [quantity["name"] for quantity in day["quantities"]] == [
        "gpu_temp_c", "inlet_c", "server_power_w", "airflow_share", "throttled_share",
    ]  # fmt: skip
    codes = unpack(day["quantities"][0]["codes"], 1280)
    assert codes.shape == (40, 1280)
    assert not np.any(codes == 255)
    assert day["shown"] == "candidate"
    assert set(day["power"]) == {"today", "candidate"}


def test_the_table_holds_what_the_canvas_shows(stored: Path) -> None:
    AppTest.from_string(PAGE, default_timeout=120).run()
    run_id = next(path.name for path in (stored / "runs").iterdir() if path.is_dir())
    frame = floors.servers_at(str(stored), run_id, 5)
    assert frame.height == 160
    day = floors.day_in(str(stored), run_id)
    assert frame.filter(frame["server_id"] == "server-1")["gpu_temp_max_c"][0] == day.values["gpu_temp_c"][5, :8].max()
    assert f"run_id = '{run_id}'" in floors.servers_sql(run_id, day, 5)
    assert "t_s = 360" in floors.servers_sql(run_id, day, 5)


def test_without_a_run_the_page_says_what_would_be_here(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path))
    at = AppTest.from_string(PAGE, default_timeout=60).run()
    assert not at.exception
    assert "Nothing has run" in _words(at)


def test_the_power_tree_names_who_would_trip_first_and_the_aisles_what_they_want(stored: Path) -> None:
    words = _words(AppTest.from_string(PAGE, default_timeout=120).run())
    first = r"(Row \d would brake|UPS \d would trip|PDU . of row \d would trip) first|The utility feed is nearest its limit"
    assert re.search(rf"({first}): \d+\u00a0% free", words)
    assert re.search(r"Aisle \d wants \d+\u00a0% of its air", words)
    assert "older than" not in words


def test_a_server_shows_its_gpus_and_whose_it_is(stored: Path) -> None:
    at = AppTest.from_string(PAGE, default_timeout=120).run()
    assert re.search(r"Server \d+: GPU \d comes to [\d.]+\u00a0°C at 00:\d\d", _words(at))
    at.session_state["_thermal_rack"], at.session_state["_thermal_server"] = "rack-1", "server-2"
    at.run()
    assert "Server 2: GPU" in _words(at)
    assert "GPU temperature in server-2, by GPU" in _words(at)
    assert re.search(r"VMs? at 00:\d\d, serving", _words(at))


def test_what_can_be_lost_follows_the_site_and_what_the_plant_knows() -> None:
    fleet = named("example")
    found = what_if.buttons(fleet, frozenset({"ahu_loss", "ups_loss"}))
    assert [(item.kind, item.target) for item in found] == [
        ("ahu_loss", "aisle-1"), ("ahu_loss", "aisle-2"), ("ups_loss", "ups-1"), ("outside", ""),
    ]  # fmt: skip
    assert "chiller_loss" in {item.kind for item in what_if.buttons(fleet, frozenset({"chiller_loss"}))}


def test_a_limit_a_throttle_or_a_bound_breaks_and_little_room_is_a_risk(stored: Path) -> None:
    run_id = next(path.name for path in (stored / "runs").iterdir() if path.is_dir())
    day = floors.day_in(str(stored), run_id)
    assert what_if.standing(day, -1.4, 0, []) == ("broken", "a GPU is 1.4\u00a0°C over its limit")
    assert what_if.standing(day, 9.0, 3, []) == ("broken", "GPUs or rows are slowed down")
    assert what_if.standing(day, 9.0, 0, ["I-01"]) == ("broken", "past what I-01 asks")
    assert what_if.standing(day, 2.0, 0, [])[0] == "at risk"
    assert what_if.standing(day, 9.0, 0, []) == ("met", "")
    for minutes, word in ((1, "at risk"), (2, "broken")):
        power = day.row_power_w.copy()
        power[5 : 5 + minutes, 0] = 1.1 * day.row_budget_w[0, 0]
        assert what_if.standing(replace(day, row_power_w=power), 9.0, 0, [])[0] == word


def _answered(store: Any, home: Path) -> str:
    """Leave the answer to a what-if in a copy of the store, as a worker does; return its run."""
    shutil.copytree(store.home, home)
    spec = {
        "run_id": store.candidate,
        "kind": "ahu_loss",
        "target": "aisle-1",
        "t_s": 900.0,
        "name": "cooler: lose an AHU, aisle-1 at 00:15",
    }
    place = jobs.folder(home) / "20260714-001500-abcdef"
    place.mkdir()
    jobs.write(place / "spec.json", {"kind": "what_if", "spec": spec, "home": str(home), "created_s": 1.0})
    result = work.what_if(spec, home, jobs.Reporter(place))
    jobs.Reporter(place).put("done", done_share=1.0, text="done", result=result)
    return str(result["run_id"])


def test_an_answer_is_found_again_opens_on_the_page_and_leads_back(store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    answer = _answered(store, home)
    monkeypatch.setenv("INTENTWIN_HOME", str(home))
    at = AppTest.from_string("from app import state\nstate.publish()\n" + PAGE, default_timeout=120)
    at.query_params["t"] = "900"
    at.run()
    assert not at.exception
    assert "What if something fails at 00:15?" in _words(at)
    assert re.search(r"[\d.]+\u00a0°C\s+[+−]?[\d.]+\u00a0°C\s+no throttle events · \d+\u00a0s", _words(at))
    assert at.button(key="what-if-ahu_loss-aisle-1").disabled
    at.button(key="what-if-open-ahu_loss-aisle-1").click().run()
    assert not at.exception
    assert answer in at.query_params["run"]
    assert "What if · cooler: lose an AHU, aisle-1 at 00:15, 00:15 to 00:40" in _words(at)
    assert re.search(r"VMs? at 00:\d\d, ", _words(at))  # placed before this run begins
    at.button(key="what-if-back").click().run()
    assert store.candidate in at.query_params["run"]
    assert "What if ·" not in _words(at)


def test_runs_of_parts_are_known_by_their_policy_whoever_made_them(stored: Path, store: Any) -> None:
    at = AppTest.from_string(PAGE, default_timeout=120).run()
    assert [button.label for button in at.button if button.key == "ablation-run"] == ["Compare the parts of TAPAS"]
    assert ablation.stored(store.candidate) == {"today": store.today}


def test_runs_of_parts_do_not_push_the_candidate_aside(stored: Path, store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    shutil.copytree(store.home, home)
    part = study.run(variants.scenario_of(store.today, home), ablations.ablations()["Route"], state.run(store.today).brief.seed, home)
    monkeypatch.setenv("INTENTWIN_HOME", str(home))
    at = AppTest.from_string(PAGE, default_timeout=120).run()
    assert _sent(at, "intentwin.floor")["version"] == f"{store.today}-{store.candidate}-candidate"
    assert ablation.stored(store.candidate) == {"today": store.today, "Route": part}
    assert "TAPAS Route" in _words(at) or "No part of TAPAS makes" in _words(at)


def test_throttling_is_counted_over_the_hour_that_was_asked_and_told_beside_that_of_the_run(stored: Path, store: Any) -> None:
    rows = pl.read_parquet(stored / "runs" / store.today / "rows.parquet")
    assert reading.throttles(store.today, 0.0, 2400.0) == rows["power_brakes"].cast(pl.Int64).sum()
    job = jobs.Job("j", "what_if", {"t_s": 900.0}, "done", 1.0, "", None, 0.0, {"took_s": 4.0}, None)
    now = state.Context("example", store.today, None, "today", 7, 900.0, 2400.0, state.run(store.today).clock, None)
    for before, words in ((1, "one throttle event, as without it"), (0, "one throttle event · 4"), (3, "one throttle event, 3 without it")):
        assert words in what_if._told(what_if.Outcome(80.1, 0.1, 1, before, "broken", ""), job, now)
