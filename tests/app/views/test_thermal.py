import json
import re
from pathlib import Path

import numpy as np
from streamlit.testing.v1 import AppTest

from app import floors
from app.charts.cube import unpack

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
    assert "would trip first" in _words(at)
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
