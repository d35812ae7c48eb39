"""Thermal & power: a what-if from the click to its run and back, places picked by key, a phone."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]

HEADS = {name: f".st-key-panel-{name} h2" for name in ("rack", "server", "power-tree", "aisles", "what-if")}


def _opened(ready: Any, context: Any, address: str) -> Page:
    page = ready.open(context.new_page(), address)
    page.wait_for_selector(".st-key-panel-power-tree svg[role=img] text", state="attached")
    return ready.settled(page)


def test_titles_say_who_trips_first_and_who_wants_air(ready: Any) -> None:
    before = len(ready.complaints)
    with ready.context() as context:
        page = _opened(ready, context, "/thermal?t=50400")
        expect(page.locator(HEADS["power-tree"])).to_contain_text(
            re.compile(r"would (trip|brake) first|nearest its limit|of its (rating|budget)")
        )
        expect(page.locator(HEADS["aisles"])).to_contain_text(re.compile(r"Aisle \d wants \d+"))
        ready.shoot(page, "thermal-tree")
    assert ready.complaints[before:] == []


def test_rows_racks_and_servers_are_picked_by_key(ready: Any) -> None:
    with ready.context() as context:
        page = _opened(ready, context, "/thermal?t=50400")
        tree = page.locator(".st-key-panel-power-tree .wide")
        tree.locator("[data-pick='row-3']").focus()
        page.keyboard.press("Enter")
        rack = tree.locator("[data-pick='rack-25']")
        expect(rack).to_be_visible()
        ready.settled(page)
        rack.focus()
        page.keyboard.press("Enter")
        expect(page.locator(HEADS["rack"])).to_contain_text("Rack 25")
        expect(page.locator(HEADS["server"])).to_contain_text(re.compile(r"Server (97|98|99|100): GPU"))
        ready.settled(page)
        page.locator(".st-key-rack-servers tr[role=button]").nth(1).focus()
        page.keyboard.press("Enter")
        expect(page.locator(HEADS["server"])).to_contain_text("Server 98: GPU")


def test_a_what_if_runs_once_is_found_after_a_reload_opens_and_leads_back(ready: Any) -> None:
    with ready.context() as context:
        page = _opened(ready, context, "/thermal?t=6000&show=today")
        line = page.locator(".st-key-decision-what-if-ahu_loss-aisle-1")
        line.get_by_role("button", name="Lose an AHU").click()
        expect(line.get_by_role("button", name="Open")).to_be_visible(timeout=180_000)
        started = len([place for place in (ready.home / "jobs").iterdir() if place.is_dir()])
        expect(line.get_by_role("button", name="Lose an AHU")).to_be_disabled()
        page.reload()
        ready.settled(page)
        expect(line).to_contain_text(re.compile(r"(met|at risk|broken)"))
        expect(line).to_contain_text(re.compile(r"\d+\.\d\s°C"))
        assert len([place for place in (ready.home / "jobs").iterdir() if place.is_dir()]) == started
        line.get_by_role("button", name="Open").click()
        expect(page.locator(".st-key-thermal-back")).to_contain_text("lose an AHU, aisle-1 at 01:40, 01:40 to 02:40")
        page.get_by_role("button", name="Back to the whole run").click()
        expect(page.locator(".st-key-thermal-back")).to_have_count(0)
        expect(page).to_have_url(re.compile("t=6000"))


def test_a_phone_shows_all_of_it_without_scrolling_sideways(ready: Any) -> None:
    with ready.context("narrow") as context:
        page = _opened(ready, context, "/thermal?t=50400")
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
        drawings = page.locator(".stMain .drawing").filter(visible=True)
        assert drawings.count() >= 6
        assert all(drawings.evaluate_all("nodes => nodes.map((node) => node.scrollWidth <= node.clientWidth + 1)"))
        expect(page.locator(".st-key-panel-power-tree .narrow [data-pick='row-4']")).to_be_visible()
