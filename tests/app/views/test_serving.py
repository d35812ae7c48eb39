import json
import re
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from streamlit.testing.v1 import AppTest

from app.charts.breakdown import PARTS
from app.views.serving import instances, placement, reading, waiting

PAGE = "from app.views import serving\nserving.show()\n"
AT = "from app import state\nstate.publish()\n" + PAGE
OLD = {
    "requests": ["images", "prepare_s", "encode_wait_s", "encode_s", "transfer_s", "queue_s"],
    "instances": ["role", "encode_share", "preemptions", "atgt_budget_share"],
}


def _words(at: AppTest) -> str:
    return re.sub(r"<[^>]+>", " ", " ".join(element.proto.body for element in at.get("html")))


def _figures(at: AppTest) -> list[dict]:
    return [json.loads(element.proto.spec) for element in at.get("plotly_chart")]


def _drawings(at: AppTest) -> str:
    found = [element.proto for element in at.get("bidi_component") if element.proto.component_name == "intentwin.drawing"]
    return " ".join(json.loads(proto.json)[0]["svg"] for proto in found)


def _opened(endpoint: str | None = None, **query: str) -> AppTest:
    at = AppTest.from_string(AT, default_timeout=120)
    for name, value in query.items():
        at.query_params[name] = value
    if endpoint:
        at.session_state["serving-endpoint"] = endpoint
    at.run()
    assert not at.exception
    return at


def test_the_page_says_who_waits_and_for_how_long(stored: Path) -> None:
    words = _words(_opened())
    assert re.search(r"waits? for \w+: \d+\u00a0% of the|Requests hardly wait: .+ longest|No request waits anywhere", words)
    assert re.search(r"(keeps its objectives|breaks its)", words)
    assert re.search(r"is nearest to full: (<\u00a0)?\d+\u00a0%", words)
    assert "USD/h" in words


def test_every_endpoint_has_its_stages_and_text_skips_those_of_images(stored: Path) -> None:
    drawn = _drawings(_opened())
    for words in ("vision-11b", "CPU\u00a0cores", "% of TTFT", "same pool", "no images, skipped", "p99", "Images of vision-11b"):
        assert words in drawn


def test_distributions_lanes_and_cost_are_drawn(stored: Path) -> None:
    at = _opened()
    figures = _figures(at)
    assert len(figures) == 6
    assert all("cloud.plotly" not in element.proto.config for element in at.get("plotly_chart"))
    labels = next(found for figure in figures if (found := figure["layout"]["yaxis"].get("ticktext")) and "%" not in found[0])
    assert labels == ["chat-70b", "chat-8b", "code-70b", "vision-11b"]


def test_another_endpoint_can_be_chosen(stored: Path) -> None:
    words = _words(_opened("code-70b"))
    assert re.search(r"code-70b (keeps its objectives|breaks its|finished too few)", words)
    assert re.search(r"instances of code-70b", words)


def test_the_placement_says_which_instance_took_the_last_request_and_why(stored: Path) -> None:
    at = _opened("chat-70b", show="today")
    assert "▸" in _drawings(at)
    assert re.search(r"took the last request before \d\d:\d\d: by the rule of least", _words(at))
    assert "Listed: the last request of each window" in _words(at)


def test_a_guard_of_the_routing_is_not_taken_for_the_router(stored: Path) -> None:
    words = _words(_opened("chat-70b", show="candidate"))
    assert re.search(r"took the last request before \d\d:\d\d: by the rule of least", words)


def test_placements_are_those_up_to_the_moment_the_newest_first(stored: Path, store: Any) -> None:
    times = reading.placements(store.today, "chat-70b", 1200.0)["t_s"].to_list()
    assert times[0] == 1200.0
    assert times == sorted(times, reverse=True)


def test_a_router_of_some_endpoints_is_not_that_of_the_others() -> None:
    scope = [{"kind": "endpoint", "id": "chat-70b"}]
    assert [reading._covers(found, "code-70b") for found in (scope, [])] == [False, True]
    assert reading._covers(scope, "chat-70b")


def test_a_moment_before_the_first_quarter_of_an_hour_shows_that_one(stored: Path) -> None:
    assert "up to 00:15" in _words(_opened(t="0"))


@pytest.fixture
def older(store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The small store as it would be from before stages were recorded."""
    shutil.copytree(store.home, tmp_path / "old")
    for run in (tmp_path / "old" / "runs").iterdir():
        (run / "placements.parquet").unlink(missing_ok=True)
        for table, columns in OLD.items():
            path = run / f"{table}.parquet"
            frame = pl.read_parquet(path).drop(columns)
            path.unlink()
            frame.write_parquet(path)
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path / "old"))
    return tmp_path / "old"


def test_a_run_from_before_stages_were_recorded_is_still_shown(older: Path) -> None:
    at = _opened("chat-70b")
    words = _words(at)
    assert "older than the times of the stages" in words
    assert "The times of the stages are not in this run" in words
    assert "does not say where requests went" in words
    assert "chat-70b" in _drawings(at)


@pytest.fixture
def crowded(store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The small store with twelve requests of chat-8b put back in the last five minutes of each run."""
    shutil.copytree(store.home, tmp_path / "crowded")
    for path in (tmp_path / "crowded" / "runs").glob("*/instances.parquet"):
        frame = pl.read_parquet(path)
        hit = (pl.col("instance_id").cast(pl.String) == "chat-8b/1") & (pl.col("t_s") == pl.col("t_s").max())
        path.unlink()
        frame.with_columns(pl.when(hit).then(12).otherwise(0).cast(pl.Int32).alias("preemptions")).write_parquet(path)
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path / "crowded"))
    return tmp_path / "crowded"


def test_requests_put_back_are_a_warning_and_a_column(crowded: Path) -> None:
    at = _opened("chat-8b", t="2400", show="today")
    assert "12 requests put back in this quarter of an hour, 12 since the start, most at chat-8b" in _words(at)
    assert "put back" in _drawings(at)
    assert "put back" not in _words(_opened("chat-8b", t="1200", show="today"))


def test_without_a_run_the_page_says_what_would_be_here(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path))
    at = AppTest.from_string(PAGE, default_timeout=60).run()
    assert not at.exception
    assert "Nothing has run" in _words(at)


def _tail(kind: str, ttft_s: float) -> dict:
    return {"endpoint_id": "vision", "kind": kind, "at": "p99", "requests": 200, "ttft_s": ttft_s, **dict.fromkeys(PARTS, 0.0)}


def test_the_first_token_title_names_who_is_nearest_to_the_bound_or_beyond() -> None:
    both = pl.DataFrame([_tail("image", 3.0), _tail("text", 0.4)])
    assert (
        waiting.first_token_title(both, {"vision": 4.0}) == "Images of vision come nearest to the bound: 3.00\u00a0s of 4.00\u00a0s at p99"
    )
    assert waiting.first_token_title(both, {"vision": 2.0}) == "Images of vision break the bound: 3.00\u00a0s at p99 against 2.00\u00a0s"
    assert waiting.first_token_title(both.filter(pl.col("kind") == "text"), {"vision": 0.2}).startswith("vision breaks the bound")
    assert waiting.first_token_title(both.clear(), {"vision": 2.0}) == "Too few requests for a 99th percentile"


def test_the_instances_title_counts_what_is_on_and_what_was_decided() -> None:
    steps = {("a", 0): pl.DataFrame({"t_s": [0.0, 300.0], "count": [4.0, 6.0]})}
    still = {("a", 0): pl.DataFrame({"t_s": [0.0, 300.0], "count": [4.0, 4.0]})}
    assert instances.instances_title(still, 0, 0.0, "00:00") == "All 4 instances stay on throughout"
    assert instances.instances_title(steps, 1, 400.0, "00:06") == "6 instances on at 00:06, 4 to 6 over the day; 1 scaling decision"


def test_the_placement_title_counts_workers_and_names_the_fullest() -> None:
    frame = pl.DataFrame(
        {"role": [0, 0], "busy_share": [0.5, 0.0], "kv_share": [0.2, 0.0], "batch_share": [0.1, 0.0], "atgt_budget_share": [0.7, 0.0]}
    )
    assert placement.placement_title("a", frame) == "1 of 2 instances of a hold work; the fullest is at 70\u00a0% of its ATGT budget"
    over = frame.with_columns(pl.Series("atgt_budget_share", [1.2, 0.0]))
    assert placement.placement_title("a", over) == "1 of 2 instances of a had a request over the ATGT budget"
    assert placement.placement_title("a", frame.with_columns(pl.lit(0.0).alias("busy_share"))) == "All 2 instances of a stand empty"
