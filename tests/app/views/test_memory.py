"""The Memory page answers what is drafted: figures, refusals, failures, bounds."""

import json
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from app import later, pods
from app.later import Answer
from app.views.memory import controls, designer, failures, named, properties, topology
from app.views.memory.properties import Line, _row, properties_title
from policies.intent.model import Expectation
from twin.memory import designs
from twin.memory.failures import what_if
from twin.memory.reach import Reach

PAGE = "from app import state\nfrom app.views import memory\nstate.publish()\nmemory.show()\n"


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
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", _html(at)))


def _sent(at: AppTest, name: str) -> list[dict[str, Any]]:
    return [json.loads(element.proto.json)[0] for element in at.get("bidi_component") if element.proto.component_name == name]


def test_the_page_says_what_the_pod_is_and_whether_it_holds_the_demand(stored: Path) -> None:
    at = _opened(pod="block-design-25x8n4", host="4")
    words = _words(at)
    assert re.search(r"A pod of 25 hosts, any two on one device, (holds the demand for|costs) 1.277 USD a host", words)
    assert "50 devices with 4 ports, 200 cables" in words
    assert "Host 4 reaches all 24 others in one hop" in words
    figure, matrix = _sent(at, "intentwin.pod")
    assert figure["host"] == matrix["host"] == "h3"
    table = next(sent["html"] for sent in _sent(at, "intentwin.sheet") if "Property, unit" in sent["html"])
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", table)]
    found = {row[0]: row[1:4] for row in rows if row}
    assert found["Cost a host, USD"][:2] == ["1\u00a0277", "2\u00a0882"]
    assert found["One-hop pairs, %"][:2] == ["100", "100"]
    assert found["Pooled access, ns"][0] == "267"
    assert "every host with the DRAM of its own peak" in words


def test_calls_over_one_and_two_hops_stand_beside_who_is_how_many_hops_away(stored: Path) -> None:
    """A call takes four accesses of 267 ns and 130 ns a device, and 300 ns in a host that passes it on (facts sheet on CXL pods)."""
    at = _opened(pod="islands-96x8n4")
    table = next(sent["html"] for sent in _sent(at, "intentwin.sheet") if "Property, unit" in sent["html"])
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", table)]
    found = {row[0]: row[1] for row in rows if row}
    assert (found["One-hop call, µs"], found["Two-hop call, µs"]) == ("1.20", "2.70")
    assert "Of all pairs of hosts 25.3 % are one hop apart, 74.6 % two, 0.154 % three." in _words(at)
    alone = properties.hops_words(Reach(np.array([[0, 1, 4], [1, 0, 4], [4, 4, 0]]), 0.0, 2, 3))
    assert alone.replace("\u00a0", " ") == "Of all pairs of hosts 33.3 % are one hop apart, 66.7 % farther or not tied at all."


def test_the_page_opens_without_any_run_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path))
    at = AppTest.from_string(PAGE, default_timeout=120).run()
    assert not at.exception
    assert "A pod of 96 hosts in six islands" in _words(at)


def test_a_pod_that_cannot_be_is_refused_with_buttons_of_the_nearest(stored: Path) -> None:
    at = _opened(pod="block-design-24x7n4")
    assert "A host meets 23 others, 3 on each device: 23 is no multiple of 3" in _words(at)
    nearest = next(button for button in at.button if button.label.startswith("25 hosts, any two share one device; 8 ports"))
    nearest.click()
    at.run()
    assert at.query_params["pod"] == "block-design-25x8n4"
    assert "A pod of 25 hosts" in _words(at)


def test_moving_a_slider_drafts_another_pod_and_the_url_says_which(stored: Path) -> None:
    at = _opened(pod="islands-96x8n4")
    islands = next(slider for slider in at.slider if slider.label == "Islands")
    islands.set_value(4)
    at.run()
    assert at.query_params["pod"] == "islands-64x8n4-i4"
    assert "A pod of 64 hosts in four islands" in _words(at)
    next(slider for slider in at.slider if slider.label == "Pooled share of DRAM, %").set_value(70)
    at.run()
    assert at.query_params["pooled"] == "0.7"


def test_what_is_lost_is_told_and_can_be_put_back(stored: Path) -> None:
    at = _opened(pod="block-design-25x8n4", lost="device-7")
    assert "Losing device 7 costs four hosts a way to memory and six one-hop pairs" in _words(at)
    told = next(sent["html"] for sent in _sent(at, "intentwin.sheet") if "While it is gone" in sent["html"])
    assert re.search(r"Hosts that lose a device</td><td[^>]*>4 of 25<", told)
    assert re.search(r"One-hop pairs lost</td><td[^>]*>6<", told)
    next(button for button in at.button if button.label == "Put back device 7").click()
    at.run()
    assert "lost" not in at.query_params
    assert "Nothing is lost" in _words(at)


@pytest.mark.parametrize(
    ("text", "ask"),
    [
        ("islands-96x8n4", pods.FIRST),
        ("islands-95x8n4-i6", pods.Ask("islands", 95, 8, 4, 6)),
        ("block-design-24x7n4", pods.Ask("block_design", 24, 7, 4)),
        ("switch-24x8n1-p64", pods.Ask("switch", 24, 8, 1, switch_ports=64)),
        ("no pod", None),
        ("row-4x4n4", None),
    ],
)
def test_links_are_read_whether_the_pod_can_be_built_or_not(text: str, ask: pods.Ask | None) -> None:
    assert pods.parse(text) == ask


def test_every_kind_begins_with_a_pod_that_can_be_built_and_is_read_back_from_its_link() -> None:
    for ask in pods.OF_KIND.values():
        found = pods.find(ask)
        assert found.pod is not None, found.why
        assert pods.parse(ask.text) == ask
        assert named(found).startswith("A ")


def test_every_built_in_design_survives_the_url() -> None:
    for design in designs.BUILT_IN:
        again = pods.find(pods.parse(design.name) or pods.FIRST).design
        assert again == design


def test_a_pod_of_more_hosts_than_stand_there_says_so_where_demand_is_asked(stored: Path) -> None:
    words = _words(_opened(pod="fully-connected-130x8n130"))
    assert "96" in words
    assert re.search(r"smaller (one|pod)|at most 96", words)


def test_failures_are_counted_from_names() -> None:
    pod = pods.find(pods.OF_KIND["switch"]).pod
    assert pod is not None
    gone = failures.gone(pod, ("switch-2", "device-1", "host-3/port-8"))
    assert gone == {"devices": [0], "switches": [1], "links": [(2, 7)]}
    failure = what_if(pod, np.full(24, 1 << 35), **gone)
    words = failures.failures_title(("switch-2",), Answer(("x", 0), failure))
    assert words.startswith("Losing switch 2 costs 24 hosts a way to memory and no one-hop pairs; devices must be")
    assert failures.told(failure)[0]["who"].endswith("and 16 more")


def test_a_bound_of_an_intent_gives_a_property_its_state() -> None:
    line = Line("Cost a host, USD", 1340.0, 2882.0, lambda usd: f"{usd:.0f}", "lower", "memory.cost_usd_per_host")
    asks = [("I-1", Expectation(metric="memory.cost_usd_per_host", op="<=", value=bound)) for bound in (3000.0, 1200.0)]
    assert _row(line, [])["state"] == ""
    assert _row(line, asks[:1])["state"] == "met"
    broken = _row(line, asks)
    assert (broken["bound"], broken["state"], broken["change"]["sense"]) == ("≤ 1200", "broken", "better")
    assert properties_title([broken], asks) == "It breaks a bound: cost a host"
    close = _row(Line("Longest cable, m", 1.49, 0.7, lambda m: f"{m:.2f}", "lower", limit=1.5), [])
    assert properties_title([close], []) == "It keeps its bounds; longest cable is close"


def test_a_control_that_is_gone_moves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[int] = []
    monkeypatch.setattr("app.views.memory.controls.st.session_state", {"pod-hosts": 96})
    controls.moved("pod-hosts", 96, heard.append)
    controls.moved("pod-hosts", 90, heard.append)
    assert heard == [96]


def test_the_matrix_as_a_table_has_a_row_a_host_and_a_one_for_each_port() -> None:
    pod = pods.find(pods.OF_KIND["block_design"]).pod
    assert pod is not None
    frame = topology.matrix_frame(pod)
    assert frame.shape == (25, 51)
    assert frame.drop("host").to_numpy().sum() == 200


def test_prices_say_how_strong_they_are() -> None:
    assert "from memory" in designer._price_words("v3-recalled")
    assert "fitted" in designer._price_words("v1-calibrated")


def test_later_answers_once_and_keeps_refusals() -> None:
    asked: list[int] = []

    def work() -> int:
        asked.append(1)
        return 7

    def refuse() -> int:
        raise ValueError("no such thing; choose another")

    assert later.ask("test", 1, work, wait_s=5.0).value == 7
    assert later.ask("test", 1, work, wait_s=5.0).value == 7
    assert asked == [1]
    refused = later.ask("test", 2, refuse, wait_s=5.0)
    assert (refused.value, refused.why, refused.ready) == (None, "no such thing; choose another", True)
