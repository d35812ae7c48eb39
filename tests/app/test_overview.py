"""The Overview opens on what is stored and shows the run's own numbers."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from twin.store import runs
from twin.units import show, split

NASTY = "<b>now</b>"


def _component(at: AppTest, name: str) -> Mapping[str, Any]:
    found = [item.proto for item in at.get("bidi_component") if item.proto.component_name == f"intentwin.{name}"]
    assert found, name
    return dict(json.loads(found[0].json)[0])


def _words(at: AppTest) -> str:
    return "\n".join(item.proto.body for item in at.get("html"))


def test_the_tiles_show_the_numbers_of_the_run_that_is_shown(console: AppTest, store: Any) -> None:
    at = console.run()
    assert not at.exception
    tiles = {tile["label"]: tile for tile in _component(at, "tiles")["tiles"]}
    metrics = runs.load(store.candidate, store.home).metrics
    assert len(tiles) == 8
    assert tiles["Hottest GPU"]["value"] == split(metrics["plant.gpu_temp_max_c"], "plant.gpu_temp_max_c")[0]
    assert tiles["Serving cost"]["value"] == split(metrics["serving.cost_usd_per_h"], "serving.cost_usd_per_h")[0]
    assert tiles["Hottest GPU"]["state"] == "met"
    assert any(value is not None for value in tiles["Site peak power"]["today"])


def test_today_alone_is_shown_without_a_change(console: AppTest, store: Any) -> None:
    console.query_params["show"] = "today"
    at = console.run()
    assert not at.exception
    assert store.today in _words(at) or "against today" in _words(at)
    assert all(tile["change"] == "" for tile in _component(at, "tiles")["tiles"])


def test_what_the_negotiation_comes_to_is_shown_where_workloads_negotiate(console: AppTest) -> None:
    at = console.run()
    assert "Workloads pay the regular price" in _words(at)
    found = [dict(json.loads(item.proto.json)[0]) for item in at.get("bidi_component") if item.proto.component_name == "intentwin.rows"]
    rows = {row["id"]: row for table in found for row in table["rows"] if str(row.get("id", "")).startswith("workloads.")}
    assert [row["value"] for row in rows.values()] == ["0\u00a0%", "0 a day", "0 a day", "none due"]
    assert rows["workloads.price_cut_share"]["change"]["text"] == "as today"
    assert rows["workloads.notices_honoured_share"]["change"] is None


def test_functions_and_jobs_are_shown_where_a_run_has_any(console: AppTest, store: Any) -> None:
    at = console.run()
    metrics = runs.load(store.candidate, store.home).metrics
    assert f"99 of 100 calls of functions are answered within {show(metrics['functions.latency_p99_s'], 'x_s')}" in _words(at)
    found = [dict(json.loads(item.proto.json)[0]) for item in at.get("bidi_component") if item.proto.component_name == "intentwin.rows"]
    rows = {row["id"]: row["value"] for table in found for row in table["rows"] if {"id", "value"} <= row.keys()}
    for metric in ("functions.latency_p99_s", "functions.cold_start_share", "workflows.makespan_p50_s", "workflows.cost_usd_per_job"):
        assert rows[metric].startswith(show(metrics[metric], metric)), metric


def test_the_expectations_of_intents_are_held_against_the_run(console: AppTest) -> None:
    at = console.run()
    rows = _component(at, "rows")["rows"]
    states = {row["intent"]["text"]: row["state"] for row in rows}
    assert states["Hottest GPU"] == "met"
    assert states["Serving cost"] == "broken"
    assert "2 expectations: 1 broken, 1 met" in _words(at)


def test_what_an_operator_wrote_is_never_markup(console: AppTest) -> None:
    at = console.run()
    assert "<b>now" not in _words(at)
    assert "cut latency &lt;b&gt;now" in _words(at)
    assert all(NASTY not in item.value for item in at.markdown)


def test_a_fresh_install_says_what_will_be_here_and_offers_to_start_it(fresh: AppTest) -> None:
    at = fresh.run()
    assert not at.exception
    assert at.button(key="run-example").label == "Run the example day"
    assert "Three steps" in _words(at)


@pytest.mark.parametrize("asked", ["123456789abc", "../../etc/passwd", "<script>"])
def test_a_link_to_a_run_that_is_not_there_opens_on_what_is(console: AppTest, store: Any, asked: str) -> None:
    console.query_params["run"] = asked
    at = console.run()
    assert not at.exception
    assert _component(at, "tiles")["tiles"][0]["value"] != "–"
