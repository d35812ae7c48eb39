"""Memory on runs: what hosts and devices held, every pod by cost and saving, allocators by budget; worked out once and kept."""

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from policies import study
from policies.policy import TODAY, Held, PolicySet
from twin.scenario import read
from twin.sources import data_dir, toml

pytestmark = [pytest.mark.browser, pytest.mark.slow]

OPENINGS = 10
TWO_FRAMES = "() => new Promise((told) => requestAnimationFrame(() => requestAnimationFrame(told)))"
FRONT, UNBEATEN, FILLINGS = ".st-key-panel-pod-front", ".st-key-panel-pod-unbeaten", ".st-key-panel-pod-fillings"
PLACE = """(name) => {
    const drawn = document.querySelector('.st-key-fig-pod-front .js-plotly-plot'), box = drawn.getBoundingClientRect();
    const { xaxis: x, yaxis: y } = drawn._fullLayout;
    for (const trace of drawn._fullData) {
        const at = (trace.customdata || []).findIndex((told) => told[0] === name);
        if (at >= 0) return [box.left + x._offset + x.d2p(trace.x[at]), box.top + y._offset + y.d2p(trace.y[at])];
    }
}"""


def _opened(ready: Any, context: Any, address: str) -> Page:
    page = ready.open(context.new_page(), address)
    expect(page.locator(".st-key-panel-pod-properties")).not_to_contain_text("…", timeout=60_000)
    return ready.settled(page)


def _worked_out(ready: Any, page: Page) -> None:
    """Have the front and the allocators of the drafted pod worked out, where nobody has asked for them before."""
    for panel, words in ((FRONT, "Work out every pod"), (FILLINGS, "Compare allocators")):
        button = page.locator(panel).get_by_role("button", name=words, exact=True)
        if button.count():
            button.click()
        expect(page.locator(f"{panel} .js-plotly-plot")).to_be_visible(timeout=120_000)
        ready.settled(page)


def _chosen(page: Page, panel: Locator, steps: int) -> None:
    """Choose from a panel's list by key; one that was shut by something that moved under it is opened anew."""
    field = panel.get_by_role("combobox")
    options = page.locator("[role=listbox]").get_by_role("option")
    for _ in range(OPENINGS):
        field.focus()
        # Focus scrolls, and a list shuts where the page scrolls after it was opened: the scroll is told by the second frame.
        page.evaluate(TWO_FRAMES)
        if not options.count():
            page.keyboard.press("ArrowDown")
        try:
            expect(options.first).to_be_visible(timeout=3_000)
        except AssertionError:
            continue
        for _ in range(steps - 1):
            page.keyboard.press("ArrowDown")
        if options.count():
            page.keyboard.press("Enter")
            return
    pytest.fail(f"the list did not stay open in {OPENINGS} tries")


@pytest.fixture(scope="module")
def lossy(ready: Any) -> str:
    """Two hours with pods, of which a device and a cable are lost for a while; return the scenario's name."""
    raw = {**toml(data_dir() / "scenarios" / "example.toml"), "name": "lossy", "title": "A pool with losses", "horizon_s": "2 h"}
    losses = [
        {"kind": "cxl_device_loss", "target": "device-7", "from_s": 1800, "until_s": 3600},
        {"kind": "cxl_link_loss", "target": "host-3/port-2", "from_s": 2400, "until_s": 6000},
    ]
    scenario = read({**raw, "faults": losses})
    held = Held(system="octopus", knobs={"design": "block-design-25x8n4"})
    pods = PolicySet(name="pods of 25", levers={"pod_topology": (held,), "pool_allocation": (held,)})
    for policy in (TODAY, pods):
        study.run(scenario, policy, scenario.seed, Path(ready.home))
    return scenario.spec.name


def test_todays_policy_has_no_pool_and_the_page_says_what_hosts_need(ready: Any) -> None:
    before = len(ready.complaints)
    with ready.context() as context:
        page = _opened(ready, context, "/memory?t=50400&show=today")
        panel = page.locator(".st-key-panel-pool-hosts")
        expect(panel).to_contain_text("has no pool: this is what hosts need")
        expect(panel.locator("h2")).to_contain_text(re.compile(r"\d+ hosts need [\d.]+\sTB together at most, at \d\d:\d\d"))
        _chosen(page, panel, 1)
        expect(page).to_have_url(re.compile(r"device=host-1(&|$)"))
        panel.scroll_into_view_if_needed()
        ready.settled(page)
        ready.shoot(page, "memory-hosts")
    assert ready.complaints[before:] == []


def test_every_pod_is_worked_out_once_and_a_click_or_a_key_shows_one(ready: Any) -> None:
    before = len(ready.complaints)
    with ready.context() as context:
        page = _opened(ready, context, "/memory?pod=block-design-25x8n4")
        _worked_out(ready, page)
        expect(page.locator(f"{FRONT} h2")).to_contain_text(re.compile(r"% of DRAM saved against each host’s own peaks at best"))
        expect(page.locator(FRONT)).to_contain_text(re.compile(r"Of \d+ pods \d+ are beaten by none"))
        started = len(list((ready.home / "jobs").glob("*/spec.json")))
        page.locator(FRONT).scroll_into_view_if_needed()
        page.mouse.click(*page.evaluate(PLACE, "fully-connected-8x8n8"))
        expect(page.locator("h1.iw-title")).to_contain_text("A fully connected pod of 8 hosts")
        ready.settled(page)
        ready.shoot(page, "memory-front")
        page.locator(f"{UNBEATEN} tr[role=button]", has_text="13 hosts").focus()
        page.keyboard.press("Enter")
        expect(page).to_have_url(re.compile("pod=block-design-13x4n4"))
        expect(page.locator(".st-key-panel-pod-topology h2")).to_contain_text("Host 1 reaches all 12 others")
        ready.settled(page)
        _chosen(page, page.locator(FRONT), 2)
        expect(page).not_to_have_url(re.compile("pod=block-design-13x4n4"))
        page.reload()
        ready.settled(page)
        expect(page.locator(f"{FRONT} .js-plotly-plot")).to_be_visible()
        assert len(list((ready.home / "jobs").glob("*/spec.json"))) == started
    assert ready.complaints[before:] == []


def test_the_migration_budget_picks_the_allocator(ready: Any) -> None:
    with ready.context() as context:
        page = _opened(ready, context, "/memory?pod=block-design-25x8n4")
        _worked_out(ready, page)
        panel = page.locator(FILLINGS)
        expect(panel.locator("h2")).to_contain_text(re.compile(r"Moving on overflow at 5.% headroom reaches \d+.% of the ideal"))
        expect(panel).to_contain_text("headroom with moving on overflow")
        panel.scroll_into_view_if_needed()
        ready.shoot(page, "memory-allocators")
        page.get_by_role("slider", name="Migration budget, GB a day").focus()
        page.keyboard.press("Home")
        expect(panel).to_contain_text("Without moving anything: least loaded")
        expect(page).to_have_url(re.compile("budget=0"))
        ready.settled(page)
        panel.locator("tr[role=button]", has_text="Moved, 10").focus()
        page.keyboard.press("Enter")
        expect(panel).to_contain_text(re.compile(r"a day: 10.% headroom with moving on overflow"))


def test_a_run_with_pods_shows_its_pool_its_devices_and_what_was_lost(ready: Any, lossy: str) -> None:
    before = len(ready.complaints)
    with ready.context(theme="dark") as context:
        page = _opened(ready, context, f"/memory?scenario={lossy}&t=3000&device=device-8")
        expect(page.locator(".st-key-panel-pool h2")).to_contain_text(re.compile(r"The pool is \d+.% full at most, at \d\d:\d\d"))
        expect(page.locator(".st-key-panel-pool")).to_contain_text("Three pods of 25 hosts and 50 devices")
        expect(page.locator(".st-key-panel-pool-devices")).to_contain_text("Device 8:")
        marks = """() => document.querySelector('.st-key-fig-pool .js-plotly-plot')._fullData
            .filter((trace) => trace.name === 'events').flatMap((trace) => trace.customdata.map((told) => told[0]))"""
        told = page.evaluate(marks)
        assert "memory device-7 lost" in told
        assert "CXL link host-3/port-2 lost: over" in told or "CXL link host 3/port-2 lost: over" in told
        page.locator(".st-key-panel-pool").scroll_into_view_if_needed()
        ready.shoot(page, "memory-pool")
    assert ready.complaints[before:] == []


def test_a_phone_shows_runs_and_pods_without_scrolling_sideways(ready: Any, lossy: str) -> None:
    with ready.context("narrow") as context:
        page = _opened(ready, context, f"/memory?scenario={lossy}&t=3000&pod=block-design-25x8n4")
        _worked_out(ready, page)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
        for panel in (FRONT, UNBEATEN, ".st-key-panel-pool", ".st-key-panel-pool-devices", FILLINGS):
            box = page.locator(panel).bounding_box()
            assert box is not None
            assert box["x"] + box["width"] <= 390
        page.locator(FRONT).scroll_into_view_if_needed()
        ready.shoot(page, "memory-front-phone")
