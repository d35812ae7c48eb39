"""Workloads: messages read, followed and filtered, the day scrubbed, hints edited in place and tried on the twin."""

import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from policies import study
from policies.policy import Held, PolicySet
from twin.scenario import read
from twin.sources import data_dir, toml

pytestmark = [pytest.mark.browser, pytest.mark.slow]

LANES, CHAIN, MATRIX = ".st-key-panel-workloads-said", ".st-key-panel-workloads-chain", ".st-key-panel-workloads-offers"
HINTS, DAY = ".st-key-panel-workloads-hints", ".st-key-workloads-day"


@pytest.fixture(scope="module")
def talked(ready: Any) -> str:
    """Half an hour of a small scenario's negotiation under Workload Intelligence, beside today's policy; the address of its page."""
    raw = {**toml(data_dir() / "scenarios" / "example.toml"), "name": "talk", "horizon_s": "30 min"}
    policy = PolicySet(name="hints", levers={"offers": (Held(system="workload_intelligence"),)})
    scenario = read(raw)
    run = study.run(scenario, policy, scenario.seed, ready.home)
    return f"/workloads?scenario=talk&run={run}"


def _opened(ready: Any, context: Any, address: str) -> Page:
    page = ready.open(context.new_page(), address)
    page.wait_for_selector(f"{LANES} svg[role=img] text", state="attached")
    return ready.settled(page)


def _drawn(page: Page, panel: str) -> Locator:
    """Return the messages or squares of a panel's drawing that is shown at this width."""
    return page.locator(f"{panel} [data-pick]").locator("visible=true")


def test_a_message_says_itself_to_the_pointer_and_a_click_follows_its_chain(ready: Any, talked: str) -> None:
    before = len(ready.complaints)
    with ready.context() as context:
        page = _opened(ready, context, f"{talked}&t=60&said=notices+and+answers")
        # The one on top: what is drawn first may lie under others.
        one = _drawn(page, LANES).last
        one.hover(force=True)
        expect(page.locator(f"{LANES} .says").first).to_have_text(re.compile(r"^00:\d\d:\d\d .+ → .+: (notice|answer)"))
        chain = one.get_attribute("data-pick")
        one.click(force=True)
        expect(page).to_have_url(re.compile(f"chain={chain}(&|$)"))
        ready.settled(page)
        expect(page.locator(f"{CHAIN} h2")).not_to_be_empty()
        expect(page.locator(f"{CHAIN} svg[role=img]").first).to_be_visible()
        expect(page.locator(f"{CHAIN} tbody tr").first).to_be_visible()
        ready.shoot(page, "workloads-chain")
    assert ready.complaints[before:] == []


def test_messages_are_read_and_picked_by_key(ready: Any, talked: str) -> None:
    with ready.context() as context:
        page = _opened(ready, context, f"{talked}&t=60")
        place = page.locator(f"{LANES} .talk").first
        place.focus()
        page.keyboard.press("ArrowRight")
        first = page.locator(f"{LANES} .says").first.inner_text()
        assert "→" in first
        page.keyboard.press("ArrowRight")
        expect(page.locator(f"{LANES} .says").first).not_to_have_text(first)
        page.keyboard.press("Enter")
        expect(page).to_have_url(re.compile(r"chain=\d+"))


def test_the_day_is_scrubbed_by_pointer_and_key(ready: Any, talked: str) -> None:
    with ready.context() as context:
        page = _opened(ready, context, f"{talked}&t=60")
        scale = page.locator(f"{DAY} .scale").locator("visible=true")
        box = scale.bounding_box()
        assert box is not None
        page.mouse.click(box["x"] + box["width"] * 0.75, box["y"] + 10)
        expect(page).to_have_url(re.compile(r"[?&]t=13[0-9]{2}(&|$)"))
        ready.settled(page)
        page.locator(f"{DAY} .scale").locator("visible=true").focus()
        page.keyboard.press("ArrowLeft")
        expect(page).to_have_url(re.compile(r"[?&]t=10[0-9]{2}(&|$)"))


def test_a_square_of_the_matrix_takes_its_workload_into_focus(ready: Any, talked: str) -> None:
    with ready.context() as context:
        page = _opened(ready, context, talked)
        square = page.locator(f"{MATRIX} [data-pick=search]").locator("visible=true").first
        square.hover(force=True)
        expect(page.locator(f"{MATRIX} .says")).to_contain_text("search: of its VM-hours")
        square.click(force=True)
        expect(page).to_have_url(re.compile("whose=search"))
        expect(page.locator(f"{HINTS} h2")).to_contain_text("Search")


def test_an_edited_hint_is_quoted_at_once_tried_on_the_twin_and_opened(ready: Any, talked: str) -> None:
    before = len(ready.complaints)
    with ready.context() as context:
        page = _opened(ready, context, f"{talked}&whose=databases")
        expect(page.locator(f"{HINTS} h2")).to_contain_text("Databases would pay 0.0")
        field = page.locator(HINTS).get_by_role("combobox", name="VMs may be evicted")
        field.focus()
        page.keyboard.press("ArrowDown")
        page.locator("[role=listbox]").get_by_role("option", name="yes", exact=True).click()
        expect(page).to_have_url(re.compile("edit="))
        expect(page.locator(f"{HINTS} h2")).to_contain_text("databases would pay 85.0", timeout=10_000)
        ready.settled(page)
        page.locator(HINTS).get_by_role("button", name="Try it on the twin").click()
        told = page.locator(f"{HINTS} .iw-said", has_text=re.compile(r"price .+\(was .+better\)"))
        expect(told).to_be_visible(timeout=180_000)
        ready.settled(page)
        page.locator(f"{HINTS} [class*=st-key-hints-open-] button").click()
        expect(page).to_have_url(re.compile("scenario=talk-hints-"), timeout=30_000)
        ready.settled(page)
        expect(page.locator("h1.iw-title")).to_contain_text("less")
        ready.shoot(page, "workloads-tried")
    assert ready.complaints[before:] == []


def test_today_nobody_is_told_anything_and_everybody_pays_the_regular_price(ready: Any) -> None:
    with ready.context() as context:
        page = _opened(ready, context, "/workloads?show=today")
        expect(page.locator("h1.iw-title")).to_contain_text("Workloads pay the regular price")
        expect(page.locator(".st-key-panel-workloads-prices h2")).to_have_text("Everybody pays the regular price")


def test_on_a_phone_nothing_is_wider_than_the_screen(ready: Any, talked: str) -> None:
    for theme in ("light", "dark"):
        with ready.context("narrow", theme) as context:
            page = _opened(ready, context, f"{talked}&t=60")
            assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= 390
            assert page.locator(f"{LANES} .narrow svg").first.is_visible()
            ready.shoot(page, f"workloads-narrow-{theme}")
