"""Workflows: who does each stage and why, a job as it went, a plan that is clicked, adopted and answered by the twin."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from policies import study
from policies.policy import TODAY, Held, PolicySet
from twin.scenario import read
from twin.sources import data_dir, toml

pytestmark = [pytest.mark.browser, pytest.mark.slow]

GRAPH, TRADE, STAGE = ".st-key-panel-workflows-graph", ".st-key-panel-workflows-trade", ".st-key-panel-workflows-stage"
GANTT, JOBS, USE = ".st-key-panel-workflows-gantt", ".st-key-panel-workflows-jobs", ".st-key-panel-workflows-use"
POOLS, LIBRARY = ".st-key-panel-workflows-pools", ".st-key-panel-workflows-library"
# Where the plan with this place on the front is drawn.
PLACE = """(at) => {
    const drawn = document.querySelector('.st-key-fig-workflows-trade .js-plotly-plot'), box = drawn.getBoundingClientRect();
    const { xaxis: x, yaxis: y } = drawn._fullLayout, front = drawn._fullData[0];
    return [box.left + x._offset + x.d2p(front.x[at]), box.top + y._offset + y.d2p(front.y[at])];
}"""


@pytest.fixture(scope="module")
def planned(ready: Any) -> str:
    """Two hours of jobs under today's policy and as Murakkab plans them; the address of the page."""
    scenario = read({**toml(data_dir() / "scenarios" / "example.toml"), "name": "jobs", "horizon_s": "2 h"})
    murakkab = PolicySet(name="planned jobs", levers={"workflow_plan": (Held(system="murakkab"),)})
    runs = [study.run(scenario, policy, scenario.seed, ready.home) for policy in (TODAY, murakkab)]
    return f"/workflows?scenario=jobs&run={runs[1]}&workflow=video-understanding"


def _opened(ready: Any, context: Any, address: str) -> Page:
    page = ready.open(context.new_page(), address)
    expect(page.locator(f"{TRADE} .js-plotly-plot")).to_be_visible(timeout=60_000)
    expect(page.locator(f"{TRADE} h2")).to_contain_text("that none beats", timeout=60_000)
    return ready.settled(page)


def test_the_page_shows_who_does_each_stage_and_how_a_job_went(ready: Any, planned: str) -> None:
    before = len(ready.complaints)
    with ready.context() as context:
        page = _opened(ready, context, planned)
        expect(page.locator("h1.iw-title")).to_have_text(re.compile(r"A job of video-understanding takes .* than today"))
        graph, gantt = (page.locator(f"{panel} svg:has([data-pick])").first for panel in (GRAPH, GANTT))
        for stage in ("Frame extraction", "Speech to text", "Object detection", "Scene summary", "Embedding", "Answer"):
            expect(graph).to_contain_text(stage)
        expect(graph).to_contain_text("today: ")
        expect(page.locator(GRAPH)).to_contain_text(re.compile(r"costs the least of \d+ plans"))
        for words in ("Candidate: ", "Today’s policy: ", "GPUs: ", "Cores: "):
            expect(gantt).to_contain_text(words)
        graph.locator("[data-pick=transcript]").click(force=True)
        expect(page).to_have_url(re.compile(r"stage=transcript"))
        expect(page.locator(f"{STAGE} h2")).to_contain_text("Speech to text by")
        ready.settled(page)
        ready.shoot(page, "workflows-wide")
    assert ready.complaints[before:] == []


def test_a_plan_that_is_clicked_is_adopted_and_the_twin_answers(ready: Any, planned: str) -> None:
    before = len(ready.complaints)
    with ready.context(theme="dark") as context:
        page = _opened(ready, context, planned)
        page.mouse.click(*page.evaluate(PLACE, 0))
        expect(page).to_have_url(re.compile(r"take=video-understanding-"))
        expect(page.locator(TRADE)).to_contain_text("In the plan")
        page.get_by_role("button", name="Try it on the twin").click()
        line = page.locator(f"{TRADE} [class*=st-key-plan-line]")
        expect(line).to_contain_text(re.compile(r"time .* \(was .*\) · cost .* · energy "), timeout=180_000)
        line.get_by_role("button", name="Open").click()
        expect(page).not_to_have_url(re.compile(planned.split("run=")[1].partition("&")[0]))
        ready.settled(page)
        expect(page.locator(TRADE)).to_contain_text("this run")
        ready.shoot(page, "workflows-dark")
    assert ready.complaints[before:] == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_phone_shows_everything_within_its_width(ready: Any, planned: str, theme: str) -> None:
    with ready.context("narrow", theme) as context:
        page = _opened(ready, context, planned)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
        for panel in (GRAPH, TRADE, STAGE, GANTT, JOBS, USE, POOLS, LIBRARY):
            box = page.locator(panel).bounding_box()
            assert box is not None
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= 390
        cut = page.locator(f"{STAGE} td").evaluate_all(
            "(all) => all.filter((each) => each.offsetParent && each.scrollWidth > each.clientWidth + 1).map((each) => each.textContent)"
        )
        assert cut == [], "every cell of the stage's table can be read"
        ready.shoot(page, f"workflows-phone-{theme}")
