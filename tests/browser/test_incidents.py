"""Incidents: what broke, how sure one may be, the query behind a step, an answer kept, an intent proposed; on a phone, too."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from policies import study
from policies.investigate import OURS, investigate
from policies.policy import TODAY
from twin.scenario import load
from twin.store.case_of_run import incidents_of

pytestmark = [pytest.mark.browser, pytest.mark.slow]

LISTED, CERTAIN, CAUSES = ".st-key-panel-incidents-listed", ".st-key-panel-incidents-certainty", ".st-key-panel-incidents-causes"
PATH, STEPS, ANSWER = ".st-key-panel-incidents-path", ".st-key-panel-incidents-steps", ".st-key-panel-incidents-answer"
ALIKE, PROPOSE, BELIEVED = ".st-key-panel-incidents-alike", ".st-key-panel-incidents-propose", ".st-key-panel-incidents-believed"


@pytest.fixture(scope="module")
def stormy(ready: Any) -> str:
    """A retry storm that was looked into; the address of the page."""
    scenario = load("retry-storm")
    run_id = study.run(scenario, TODAY, scenario.seed, ready.home)
    investigate(run_id, incidents_of(run_id, ready.home)[0].incident_id, OURS, ready.home)
    return f"/incidents?scenario=retry-storm&today={run_id}"


def _opened(ready: Any, context: Any, address: str) -> Page:
    page = ready.open(context.new_page(), address)
    expect(page.locator(f"{STEPS} tbody tr").first).to_be_visible(timeout=60_000)
    return ready.settled(page)


def test_a_step_opens_its_query_and_a_moment_goes_back_in_time(ready: Any, stormy: str) -> None:
    before = len(ready.complaints)
    with ready.context() as context:
        page = _opened(ready, context, stormy)
        expect(page.locator("h1.iw-title")).to_have_text(re.compile(r"retry storm that outlives its trigger, ledger, \d+\s% sure"))
        ready.shoot(page, "incidents-wide")
        page.locator(f"{STEPS} tbody tr", has_text="anomaly_scan").first.click()
        expect(page).to_have_url(re.compile(r"evidence=E\d+"))
        expect(page.locator(f"{STEPS} [data-testid=stCode]")).to_contain_text("SELECT")
        ready.settled(page)
        page.locator(f"{CERTAIN} [data-pick]").locator("visible=true").first.click(force=True)
        expect(page.locator(".iw-under").first).to_contain_text("as of 14:03:00")
        ready.settled(page)
        page.locator(f"{CAUSES} tbody tr").nth(1).click()
        expect(page).to_have_url(re.compile(r"blamed="))
    assert ready.complaints[before:] == []


def test_an_answer_is_kept_under_a_name_and_changes_the_list(ready: Any, stormy: str) -> None:
    before = len(ready.complaints)
    with ready.context(theme="dark") as context:
        page = _opened(ready, context, stormy)
        expect(page.locator(LISTED)).to_contain_text("1 open")
        page.locator(ANSWER).get_by_text("Yes, that was it").click()
        page.locator(ANSWER).get_by_label("Your name").fill("mara")
        page.get_by_role("button", name="Keep the answer").click()
        expect(page.locator(ANSWER)).to_contain_text("confirmed said by mara")
        expect(page.locator(LISTED)).to_contain_text("none open")
        expect(page.locator(BELIEVED)).to_contain_text("Uncalibrated, one label")
        ready.settled(page)
        ready.shoot(page, "incidents-dark")
    assert ready.complaints[before:] == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_phone_shows_everything_within_its_width(ready: Any, stormy: str, theme: str) -> None:
    with ready.context("narrow", theme) as context:
        page = _opened(ready, context, stormy)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
        for panel in (LISTED, CERTAIN, CAUSES, PATH, STEPS, ANSWER, ALIKE, PROPOSE, BELIEVED):
            box = page.locator(panel).bounding_box()
            assert box is not None
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= 390
        ready.shoot(page, f"incidents-phone-{theme}")
