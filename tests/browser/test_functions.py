"""Functions: what bypass buys one function, costs edited in place, loads looked at, the day of a run under both runtimes."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from policies import study
from policies.policy import TODAY, Held, PolicySet
from twin.scenario import read
from twin.sources import data_dir, toml

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PATH, LOAD, SPREAD = ".st-key-panel-functions-path", ".st-key-panel-functions-load", ".st-key-panel-functions-spread"
WHAT_IF, LISTED = ".st-key-panel-functions-what-if", ".st-key-panel-functions-listed"
PLACE = """([name, share]) => {
    const drawn = document.querySelector('.st-key-fig-functions-load .js-plotly-plot'), box = drawn.getBoundingClientRect();
    const { xaxis: x, yaxis: y } = drawn._fullLayout;
    const trace = drawn._fullData.find((each) => each.name === name);
    const at = trace.customdata.findIndex((told) => told[0] === share);
    return [box.left + x._offset + x.d2p(trace.x[at]), box.top + y._offset + y.d2p(trace.y[at])];
}"""


@pytest.fixture(scope="module")
def called(ready: Any) -> str:
    """Half an hour of functions under both runtimes; the address of the page."""
    scenario = read({**toml(data_dir() / "scenarios" / "example.toml"), "name": "called", "horizon_s": "30 min"})
    bypass = PolicySet(name="bypass", levers={"function_runtime": (Held(system="junctiond"),)})
    runs = [study.run(scenario, policy, scenario.seed, ready.home) for policy in (TODAY, bypass)]
    return f"/functions?scenario=called&run={runs[1]}"


def _opened(ready: Any, context: Any, address: str) -> Page:
    page = ready.open(context.new_page(), address)
    expect(page.locator(f"{LOAD} .js-plotly-plot")).to_be_visible(timeout=120_000)
    expect(page.locator(WHAT_IF)).not_to_contain_text("…", timeout=30_000)
    return ready.settled(page)


def test_the_page_works_the_curve_out_by_itself_and_a_point_is_a_load(ready: Any, called: str) -> None:
    before = len(ready.complaints)
    with ready.context() as context:
        page = _opened(ready, context, called)
        expect(page.locator("h1.iw-title")).to_have_text(re.compile(r"Kernel bypass cuts the median of send-mail by 37\.\d\s%"))
        expect(page.locator(f"{LOAD} h2")).to_contain_text("at 90 % busy")
        ready.shoot(page, "functions-wide")
        page.locator(LOAD).scroll_into_view_if_needed()
        page.mouse.click(*page.evaluate(PLACE, ["junctiond p99", "0.5"]))
        expect(page).to_have_url(re.compile(r"busy=0\.5(&|$)"))
        expect(page.locator(f"{SPREAD} h2")).to_contain_text("At 50 % busy")
    assert ready.complaints[before:] == []


def test_a_cost_is_edited_and_the_answer_is_there_at_once(ready: Any, called: str) -> None:
    before = len(ready.complaints)
    with ready.context() as context:
        page = _opened(ready, context, called)
        field = page.get_by_role("spinbutton", name="Stack, µs a hop, junctiond")
        field.fill("95")
        field.press("Enter")
        expect(page).to_have_url(re.compile(r"hops=junctiond\.stack_us(:|%3A)95"))
        expect(page.locator(f"{WHAT_IF} h2")).to_contain_text("With these costs")
        expect(page.locator(LOAD)).to_contain_text("Worked out with junctiond stack 24.75")
        page.get_by_role("button", name="Equal hops").click()
        expect(page.locator("h1.iw-title")).to_have_text("Kernel bypass buys send-mail nothing")
        page.get_by_role("button", name="As calibrated").click()
        expect(page.locator("h1.iw-title")).to_have_text(re.compile(r"the median of send-mail by 37\.\d"))
        assert "hops=" not in page.url
    assert ready.complaints[before:] == []


def test_a_part_of_the_path_says_itself_and_another_function_is_picked(ready: Any, called: str) -> None:
    with ready.context(theme="dark") as context:
        page = _opened(ready, context, called)
        page.locator(f"{PATH} [data-says]").locator("visible=true").first.hover(force=True)
        expect(page.locator(f"{PATH} .says").first).to_have_text(re.compile(r"containerd: gateway [\d.]+\s[µm]s"))
        page.locator(f"{LISTED} tbody tr", has_text="resize-image").click()
        expect(page).to_have_url(re.compile(r"function=resize-image"))
        expect(page.locator("h1.iw-title")).to_contain_text("resize-image")
        ready.settled(page)
        ready.shoot(page, "functions-dark")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_phone_shows_everything_within_its_width(ready: Any, called: str, theme: str) -> None:
    with ready.context("narrow", theme) as context:
        page = _opened(ready, context, called)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
        for panel in (PATH, LOAD, SPREAD, WHAT_IF, LISTED):
            box = page.locator(panel).bounding_box()
            assert box is not None
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= 390
        fields = page.locator(f"{WHAT_IF} .st-key-functions-hop-stack_us input")
        tops = {round(fields.nth(place).bounding_box()["y"]) for place in range(2)}  # type: ignore[index]
        assert len(tops) == 1, "both runtimes' fields stand on one line"
        ready.shoot(page, f"functions-phone-{theme}")
