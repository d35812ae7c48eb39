"""The stages of an image endpoint and the placement, as a browser shows them."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]

STAGES = ("preprocess", "encode", "prefill", "decode")


def _texts(page: Page, panel: str) -> list[str]:
    """Return the words of the drawings of a panel that can be seen, in their order."""
    found = page.locator(f".st-key-panel-{panel} svg[role=img] text")
    expect(found.filter(visible=True).first).to_be_visible()
    return [
        text.replace("\u00a0", " ")
        for text in found.evaluate_all("nodes => nodes.filter((n) => n.getBoundingClientRect().width).map((n) => n.textContent)")
    ]


def _opened(ready: Any, context: Any, address: str) -> Page:
    page = ready.open(context.new_page(), address)
    page.wait_for_selector(".st-key-panel-stages svg[role=img] text", state="attached")
    return page


def test_an_image_endpoint_has_all_four_stages_and_the_others_skip_two(ready: Any) -> None:
    before = len(ready.complaints)
    with ready.context() as context:
        page = _opened(ready, context, "/serving?t=43200")
        words = _texts(page, "stages")
        assert tuple(words[:4]) == STAGES
        image = words[words.index("vision-11b") :]
        assert sum(text.endswith("of TTFT") for text in image) == 3
        assert any(text.endswith("CPU cores") for text in image)
        assert any(re.match(r"\d+ × 4 GPUs", text) for text in image)
        assert words.count("no images, skipped") == 3
        assert "Images of vision-11b" in _texts(page, "waits")
    assert ready.complaints[before:] == []


def test_a_phone_shows_the_whole_pipeline_without_scrolling_sideways(ready: Any) -> None:
    with ready.context("narrow") as context:
        page = _opened(ready, context, "/serving?t=43200")
        words = _texts(page, "stages")
        image = words[words.index("vision-11b") :]
        assert [text for text in image if text in STAGES] == list(STAGES)
        inside = page.locator(".st-key-panel-stages .drawing").first.evaluate("node => node.scrollWidth <= node.clientWidth")
        assert inside


def test_the_placement_follows_the_endpoint_and_marks_who_took_the_last_request(ready: Any) -> None:
    with ready.context() as context:
        page = _opened(ready, context, "/serving?t=43200&show=today")
        page.get_by_role("radio", name="vision-11b").click()
        expect(page.locator(".st-key-panel-placement h2")).to_contain_text("vision-11b")
        ready.settled(page)
        words = _texts(page, "placement")
        assert any(re.match(r"all stages, \d+ × 4 GPUs", text) for text in words), words
        assert {"KV cache", "ATGT budget"} <= set(words)
        taker = [text.removeprefix("▸") for text in words if text.startswith("▸")]
        assert len(taker) == 1
        note = page.locator(".st-key-panel-placement .iw-note").inner_text()
        assert "took the last request before 12:00: by the rule of" in note
        first = page.locator(".st-key-panel-placement tbody tr").first.inner_text()
        assert f"no.\u00a0{taker[0]}" in first
