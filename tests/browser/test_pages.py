"""Every page at both widths and themes, its keys, its links, its scrubbing."""

import re
import statistics
import time
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from app.rail import FIRST, VIEWS

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PAGES = {name: title for views in VIEWS.values() for name, title, *_ in views}
CLOCK = ".st-key-context-bar .clock"
# Pairs of words in one drawing whose boxes share more than the leading of a line.
LYING_ON = """() => {
    const found = [];
    const look = (root) => [...root.querySelectorAll('*')].forEach((node) => {
        if (node.shadowRoot) look(node.shadowRoot);
        if (node.tagName.toLowerCase() !== 'svg' || node.parentElement?.closest('svg')) return;
        const words = [...node.querySelectorAll('text')].map((text) => [text.textContent, text.getBoundingClientRect()])
            .filter(([text, box]) => text.trim() && box.width && box.height);
        words.forEach(([one, a], i) => words.slice(i + 1).forEach(([other, b]) => {
            const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
            const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
            if (across > 2 && down > 4.5) found.push([one, other]);
        }));
    });
    look(document);
    return found;
}"""
MODES = [(size, theme) for size in ("wide", "narrow") for theme in ("light", "dark")]


def _asked_about(page: Page) -> tuple[str, str, str]:
    """Return what a page shows: its title, the moment, and which run."""
    expect(page.locator(CLOCK)).not_to_be_empty()
    shown = page.locator(".st-key-context-bar button[aria-checked=true], .st-key-context-bar .iw-only-today").first
    return page.inner_text("h1.iw-title"), page.locator(CLOCK).inner_text(), shown.inner_text()


@pytest.mark.parametrize(("size", "theme"), MODES)
def test_every_page_stands(ready: Any, size: str, theme: str) -> None:
    before = len(ready.complaints)
    with ready.context(size, theme) as context:
        page = context.new_page()
        for name in PAGES:
            ready.open(page, f"/{name}")
            assert page.locator("[data-testid=stException]").count() == 0, name
            width = page.evaluate("() => document.documentElement.scrollWidth")
            assert width <= page.viewport_size["width"], name
            ready.shoot(page, f"{name}-{size}-{theme}")
    assert ready.complaints[before:] == []


@pytest.mark.parametrize("size", ["wide", "narrow"])
def test_no_words_of_a_drawing_lie_on_others(ready: Any, size: str) -> None:
    with ready.context(size) as context:
        page = context.new_page()
        for name in PAGES:
            ready.open(page, f"/{name}?t=50400")
            page.wait_for_timeout(1000)
            assert page.evaluate(LYING_ON) == [], name


def test_what_a_finger_presses_is_large_enough(ready: Any) -> None:
    with ready.context("narrow") as context:
        page = context.new_page()
        for name in PAGES:
            ready.open(page, f"/{name}")
            small = page.evaluate(
                """() => [...document.querySelectorAll('[data-testid=stMainBlockContainer] button, [data-testid=stBottom] button')]
                .filter((node) => node.offsetParent).map((node) => [node.innerText, Math.round(node.getBoundingClientRect().height)])
                .filter(([, height]) => height > 0 && height < 40)"""
            )
            assert small == [], name


def test_the_clock_keeps_clear_of_the_run_switch(ready: Any) -> None:
    with ready.context("narrow") as context:
        page = ready.open(context.new_page())
        clock = page.locator(CLOCK).bounding_box()
        switch = page.locator(".st-key-context-bar [role=radiogroup], .st-key-context-bar .iw-only-today").first.bounding_box()
        assert switch["x"] + switch["width"] <= clock["x"]
        assert clock["x"] + clock["width"] <= 390


def test_pages_switch_and_keep_the_moment(ready: Any, capsys: pytest.CaptureFixture[str]) -> None:
    taken = []
    with ready.context() as context:
        page = ready.open(context.new_page(), "/?t=43200")
        for name in [*list(PAGES)[1:], FIRST] * 2:
            begun = time.perf_counter()
            page.get_by_role("link", name=PAGES[name], exact=True).click()
            page.wait_for_url(f"**/{name}?*" if name != FIRST else f"{ready.base}/?*")
            ready.settled(page)
            taken.append(time.perf_counter() - begun)
            expect(page.locator(CLOCK), name).to_have_text("12:00")
    with capsys.disabled():
        print(f"\npage switch: median {statistics.median(taken):.2f} s, longest {max(taken):.2f} s, of {len(taken)}")  # noqa: T201


def test_arrow_keys_move_the_moment_on_every_page(ready: Any) -> None:
    with ready.context() as context:
        page = context.new_page()
        for name in PAGES:
            ready.open(page, f"/{name}?t=43200")
            expect(page.locator(CLOCK), name).to_have_text("12:00")
            page.locator("h1.iw-title").click()
            page.keyboard.press("ArrowRight")
            expect(page.locator(CLOCK), name).to_have_text("12:10")
            expect(page, name).to_have_url(re.compile("t=43800"))
            page.keyboard.press("ArrowLeft")
            expect(page, name).to_have_url(re.compile("t=43200"))


def test_a_link_reproduces_the_view(ready: Any) -> None:
    with ready.context() as context:
        page = ready.open(context.new_page(), "/thermal?t=50400&show=today")
        here, link = _asked_about(page), page.url
    with ready.context() as other:
        page = other.new_page()
        page.goto(link)
        ready.settled(page)
        assert _asked_about(page) == here
        assert page.url == link


def test_scrubbing_the_floor_asks_nothing_of_the_server(ready: Any) -> None:
    with ready.context() as context:
        page = context.new_page()
        traffic: list[str] = []
        page.on("websocket", lambda socket: socket.on("framesent", lambda _: traffic.append("socket")))
        page.on("request", lambda request: traffic.append(request.url))
        ready.open(page, "/thermal?t=43200")
        page.wait_for_function(
            "() => [...document.querySelectorAll('*')].some((node) => node.shadowRoot?.querySelector('.floor')?.dataset.frames)"
        )
        page.wait_for_timeout(800)
        box = page.locator("canvas.track").bounding_box()
        across, down = box["x"] + box["width"] * 0.3, box["y"] + box["height"] / 2
        frames = int(page.locator(".floor").get_attribute("data-frames"))
        page.mouse.move(across, down)
        page.mouse.down()
        traffic.clear()
        for step in range(60):
            page.mouse.move(across + step * box["width"] * 0.006, down)
        quiet, drawn = list(traffic), int(page.locator(".floor").get_attribute("data-frames"))
        page.mouse.up()
        page.wait_for_url("**t=*")
        page.wait_for_function("() => !location.search.includes('t=43200')")
        assert quiet == []
        assert drawn > frames
        assert traffic
