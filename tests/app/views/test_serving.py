import json
import re
from pathlib import Path

from streamlit.testing.v1 import AppTest

PAGE = "from app.views import serving\nserving.show()\n"


def _words(at: AppTest) -> str:
    return re.sub(r"<[^>]+>", " ", " ".join(element.proto.body for element in at.get("html")))


def _figures(at: AppTest) -> list[dict]:
    return [json.loads(element.proto.spec) for element in at.get("plotly_chart")]


def test_the_page_says_who_waits_and_for_how_long(stored: Path) -> None:
    at = AppTest.from_string(PAGE, default_timeout=120).run()
    assert not at.exception
    assert re.search(r"waits for prefill: \d+\u00a0% of the|Requests hardly wait: \S+ longest", _words(at))
    assert re.search(r"(keeps its objectives|breaks its)", _words(at))
    assert "USD/h" in _words(at)


def test_distributions_lanes_and_cost_are_drawn(stored: Path) -> None:
    at = AppTest.from_string(PAGE, default_timeout=120).run()
    figures = _figures(at)
    assert len(figures) == 5
    assert all("cloud.plotly" not in element.proto.config for element in at.get("plotly_chart"))
    labels = next(
        figure["layout"]["yaxis"]["ticktext"] for figure in figures if "ticktext" in figure["layout"]["yaxis"] and len(figure["data"]) > 3
    )
    assert labels == ["chat-70b", "chat-8b", "code-70b", "vision-11b"]


def test_another_endpoint_can_be_chosen(stored: Path) -> None:
    at = AppTest.from_string(PAGE, default_timeout=120).run()
    at.session_state["serving-endpoint"] = "code-70b"
    at.run()
    assert not at.exception
    assert re.search(r"code-70b (keeps its objectives|breaks its|finished too few)", _words(at))


def test_without_a_run_the_page_says_what_would_be_here(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path))
    at = AppTest.from_string(PAGE, default_timeout=60).run()
    assert not at.exception
    assert "Nothing has run" in _words(at)
