"""Memory: a pod lit by the pointer, designed by sliders, broken by clicks, taken away as files."""

import csv
import re
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]

FIGURE, MATRIX = ".st-key-panel-pod-topology", ".st-key-panel-pod-incidence"
FAILURES, PROPERTIES = ".st-key-panel-pod-failures", ".st-key-panel-pod-properties"


def _opened(ready: Any, context: Any, address: str = "/memory") -> Page:
    page = ready.open(context.new_page(), address)
    page.wait_for_selector(f"{MATRIX} svg[role=img] text", state="attached")
    expect(page.locator(PROPERTIES)).not_to_contain_text("…", timeout=60_000)
    return ready.settled(page)


def _middle(page: Page, node: str) -> tuple[float, float]:
    box = page.locator(f"{FIGURE} [data-node='{node}']").bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_the_pointer_lights_a_host_and_its_peers_in_figure_and_matrix_without_asking(ready: Any) -> None:
    before = len(ready.complaints)
    with ready.context() as context:
        page = context.new_page()
        traffic: list[str] = []
        page.on("websocket", lambda socket: socket.on("framesent", lambda _: traffic.append("socket")))
        ready.open(page, "/memory?pod=islands-96x8n4&host=37")
        page.wait_for_selector(f"{MATRIX} svg[role=img] text", state="attached")
        expect(page.locator(PROPERTIES)).not_to_contain_text("…", timeout=60_000)
        ready.settled(page)
        expect(page.locator(f"{FIGURE} h2")).to_have_text(re.compile(r"Host 37 reaches 24 hosts in one hop, 9\d in two"))
        assert page.locator(f"{FIGURE} circle.lit").count() == 25
        traffic.clear()
        page.mouse.move(*_middle(page, "h4"))
        expect(page.locator(f"{FIGURE} .says")).to_have_text("host-5: 8 devices, 24 hosts in one hop")
        assert page.locator(f"{FIGURE} path.own").count() == 8
        assert page.locator(f"{MATRIX} rect.row.picked").get_attribute("data-node") == "h4"
        assert page.locator(f"{MATRIX} rect.cell.own").count() == 8
        page.mouse.move(*_middle(page, "d0"))
        expect(page.locator(f"{FIGURE} .says")).to_have_text(re.compile(r"device-1: shared by host-\d+, host-\d+, host-\d+, host-\d+"))
        page.mouse.move(10, 10)
        expect(page.locator(f"{FIGURE} .says")).to_contain_text("host-37")
        assert traffic == []
    assert ready.complaints[before:] == []


def test_a_click_looks_at_a_host_and_the_link_says_so(ready: Any) -> None:
    with ready.context() as context:
        page = _opened(ready, context, "/memory?pod=block-design-25x8n4")
        page.mouse.click(*_middle(page, "h11"))
        expect(page.locator(f"{FIGURE} h2")).to_have_text("Host 12 reaches all 24 others in one hop")
        expect(page).to_have_url(re.compile("host=12"))
        ready.settled(page)
        page.get_by_role("combobox", name="Host").first.focus()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        expect(page).not_to_have_url(re.compile("host=12(&|$)"))


def test_a_device_is_taken_out_by_a_click_and_put_back(ready: Any) -> None:
    with ready.context() as context:
        page = _opened(ready, context, "/memory?pod=block-design-25x8n4")
        expect(page.locator(f"{FAILURES} h2")).to_contain_text("Nothing is lost")
        page.mouse.click(*_middle(page, "d6"))
        expect(page.locator(f"{FAILURES} h2")).to_have_text(
            re.compile(r"Losing device 7 costs four hosts a way to memory and six one-hop pairs; devices must be [\d.]+.% larger")
        )
        expect(page).to_have_url(re.compile("lost=device-7"))
        ready.shoot(page, "memory-failure")
        cell = page.locator(f"{MATRIX} rect.cell[data-a='h2']").nth(1)
        cell.click()
        expect(page.locator(f"{FAILURES} h2")).to_contain_text("Losing 2 parts")
        page.get_by_role("button", name="Put all back").click()
        expect(page.locator(f"{FAILURES} h2")).to_contain_text("Nothing is lost")


def test_a_switch_takes_a_way_from_every_host(ready: Any) -> None:
    with ready.context() as context:
        page = _opened(ready, context, "/memory?pod=switch-24x8n1-p32&lost=switch-2")
        expect(page.locator(f"{FAILURES} h2")).to_have_text(
            re.compile(r"Losing switch 2 costs 24 hosts a way to memory and no one-hop pairs; devices must be 14\.\d.% larger"),
            timeout=30_000,
        )


def test_sliders_answer_at_once_and_refuse_with_the_nearest_designs(ready: Any, capsys: pytest.CaptureFixture[str]) -> None:
    taken = []
    with ready.context() as context:
        page = _opened(ready, context, "/memory?pod=block-design-25x8n4")
        title = page.locator("h1.iw-title")
        hosts = page.get_by_role("slider", name="Hosts")
        hosts.focus()
        for key, words in (("ArrowLeft", "No pod of these numbers"), ("ArrowRight", "A pod of 25 hosts"), ("ArrowRight", "No pod")):
            begun = time.perf_counter()
            page.keyboard.press(key)
            expect(title).to_contain_text(words)
            taken.append(time.perf_counter() - begun)
            page.wait_for_timeout(300)
        refused = page.locator(".st-key-panel-pod-refused")
        expect(refused).to_contain_text("25 others, 3 on each device: 25 is no multiple of 3")
        ready.shoot(page, "memory-refused")
        assert refused.get_by_role("button").count() == 3
        refused.get_by_role("button").first.click()
        expect(title).to_contain_text("A pod of 25 hosts")
        expect(page).to_have_url(re.compile("pod=block-design-25x8n4"))
    with capsys.disabled():
        print(f"\nfrom the key to the new title: {', '.join(f'{one:.2f}' for one in taken)} s")  # noqa: T201


def test_the_layout_is_shown_as_soon_as_it_is_there(ready: Any) -> None:
    with ready.context() as context:
        page = ready.open(context.new_page(), "/memory?pod=biregular-88x8n4&slack=0.1")
        expect(page.locator(f"{FIGURE} h2")).to_contain_text("Host 1 reaches")
        words = re.compile(r"drawn at random, (costs|holds the demand for) 1.\d{3} USD a host")
        expect(page.locator("h1.iw-title")).to_contain_text(words, timeout=30_000)
        expect(page.locator(f"{PROPERTIES} tr", has_text="Longest cable")).to_contain_text(re.compile(r"1\.\d\d"))


def test_a_link_reproduces_the_draft(ready: Any) -> None:
    with ready.context() as context:
        page = _opened(ready, context, "/memory")
        page.get_by_role("combobox", name="Kind").focus()
        page.keyboard.press("ArrowDown")
        page.get_by_role("option", name="Fully connected").click()
        expect(page.locator("h1.iw-title")).to_contain_text("A fully connected pod of 8 hosts")
        page.get_by_role("slider", name="Cable slack, m").focus()
        page.keyboard.press("ArrowRight")
        expect(page).to_have_url(re.compile("slack=0.05"))
        ready.settled(page)
        expect(page.locator("h1.iw-title")).to_contain_text("demand", timeout=30_000)
        link, words = page.url, page.locator("h1.iw-title").inner_text()
    with ready.context() as other:
        page = _opened(ready, other, link.removeprefix(ready.base))
        expect(page.locator("h1.iw-title")).to_have_text(words, timeout=30_000)
        assert page.url == link


def test_the_wiring_list_the_matrix_and_the_figure_are_taken_away_as_files(ready: Any, tmp_path: Path) -> None:
    with ready.context() as context:
        page = _opened(ready, context, "/memory?pod=block-design-13x4n4&lost=device-2")
        found = {}
        for name in ("Wiring list, 52 cables", "Matrix CSV", "SVG"):
            with page.expect_download() as waiting:
                page.get_by_role("button", name=name).first.click()
            path = tmp_path / waiting.value.suggested_filename
            waiting.value.save_as(path)
            found[name] = path
        wiring = list(csv.DictReader(found["Wiring list, 52 cables"].open()))
        assert len(wiring) == 52
        assert {"from", "from_rack", "from_unit", "to", "to_rack", "to_unit", "to_slot", "length_m"} <= set(wiring[0])
        assert all(0.6 <= float(row["length_m"]) <= 1.5 for row in wiring)
        matrix = list(csv.DictReader(found["Matrix CSV"].open()))
        assert [sum(int(row[f"device-{d + 1}"]) for d in range(13)) for row in matrix] == [4] * 13
        drawn = ElementTree.parse(found["SVG"]).getroot()
        assert sum(node.get("data-a") is not None for node in drawn.iter()) == 52


def test_a_phone_shows_the_pod_whole(ready: Any) -> None:
    with ready.context("narrow", "dark") as context:
        page = _opened(ready, context, "/memory?pod=islands-96x8n4&host=37&lost=device-7")
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
        for panel in (FIGURE, MATRIX):
            box = page.locator(f"{panel} svg[role=img]").bounding_box()
            assert box is not None
            assert box["width"] >= 300
            assert box["x"] + box["width"] <= 390
        page.locator(FIGURE).scroll_into_view_if_needed()
        ready.shoot(page, "memory-phone")
