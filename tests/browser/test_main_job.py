"""From words to an approved policy and a report, in one browser session."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]

WORDS = "keep every GPU under 80 C this afternoon and cut serving cost 10 %, p99 time to first token no worse"
NOTE = "Agreed in the change meeting."
EVIDENCE = "[class*='st-key-panel-evidence'] tbody tr"


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text.replace("\u00a0", " ").replace("\u2212", "-")).strip()


def _rows(page: Page, selector: str) -> list[list[str]]:
    return [[_plain(cell) for cell in row.locator("td").all_inner_texts()] for row in page.locator(selector).all()]


def _title(page: Page) -> str:
    return _plain(page.inner_text("h1.iw-title"))


def _await_version(page: Page, number: int) -> None:
    page.wait_for_function(f"() => document.querySelector('.iw-under')?.textContent.startsWith('Version {number} ')", timeout=30_000)


def _set_bound(console: Any, page: Page, text: str) -> None:
    page.get_by_role("button", name=re.compile("^bound ≤")).first.click()
    field = page.get_by_label("Value with its unit")
    field.fill(text)
    field.press("Tab")
    console.settled(page)
    expect(field).to_have_value(text)
    page.get_by_role("button", name="Change", exact=True).click()


def test_an_operator_asks_reads_tries_approves_and_takes_the_report_away(console: Any) -> None:
    with console.context() as context:
        page = context.new_page()
        page.goto(console.base)
        _first_run(console, page)
        _asked(console, page)
        _edited(console, page)
        _tried(console, page)
        _approved(console, page)
        today, candidate = _compared(console, page)
        _reported(console, page, (today, candidate))
        page.get_by_role("link", name="Overview").click()
        page.wait_for_selector(".st-key-overview-tiles")
        console.settled(page)
        assert "I-01 holds" in _title(page)
        assert page.locator(".st-key-panel-decisions").count() == 0
        console.shoot(page, "job-8-overview")
    assert console.complaints == []


def _first_run(console: Any, page: Page) -> None:
    # Where the example takes longer than the server's start, as it should, its progress is what one sees first.
    page.wait_for_selector(".st-key-panel-fresh [role=progressbar], .st-key-overview-tiles", timeout=60_000)
    console.shoot(page, "job-1-first-page")
    page.wait_for_selector(".st-key-overview-tiles", timeout=180_000)
    console.settled(page)
    assert page.locator(".tile").count() == 8


def _asked(console: Any, page: Page) -> None:
    bar = page.locator("[data-testid=stChatInput] textarea")
    bar.fill(WORDS)
    bar.press("Enter")
    page.wait_for_selector(".st-key-intent-head")
    console.settled(page)
    chips = [_plain(" ".join(line.locator("button").all_inner_texts())) for line in page.locator("[class*='st-key-chips-I-01-1-']").all()]
    assert len(chips) == 3
    assert "metric hottest GPU" in chips[0]
    assert "bound ≤ 80.0 °C" in chips[0]
    assert "window 12:00 to 18:00" in chips[0]
    assert "metric serving cost" in chips[1]
    assert "-10.0 % against today" in chips[1]
    assert "metric TTFT p99" in chips[2]
    assert "bound no higher than today" in chips[2]
    console.shoot(page, "job-2-read-back")


def _edited(console: Any, page: Page) -> None:
    _set_bound(console, page, "81 °C")
    _await_version(page, 2)
    expect(page.locator("[class*='st-key-panel-said-I-01-2']")).to_contain_text(re.compile(r"81\.0\s°C"), timeout=30_000)
    # What is typed into a page that is still being redrawn is lost with the old one.
    console.settled(page)
    _set_bound(console, page, "80 °C")
    _await_version(page, 3)
    expect(page.locator("[class*='st-key-panel-said-I-01-3']")).to_contain_text(re.compile(r"80\.0\s°C"), timeout=30_000)
    console.settled(page)


def _tried(console: Any, page: Page) -> None:
    page.get_by_role("button", name="Try it on the twin").click()
    page.wait_for_selector("[class*='st-key-panel-running'] [role=progressbar]")
    console.shoot(page, "job-3-on-the-twin")
    page.wait_for_selector(EVIDENCE, timeout=300_000)
    console.settled(page)
    found = {row[0]: row for row in _rows(page, EVIDENCE)}
    for metric in ("Hottest GPU, 12:00–18:00", "Serving cost, 12:00–18:00", "TTFT p99, 12:00–18:00"):
        today, candidate = found[metric][1:3]
        assert re.match(r"[\d.]+ ", today)
        assert re.match(r"[\d.]+ ", candidate)
        assert found[metric][-1] in {"met", "at risk"}
    assert float(found["Hottest GPU, 12:00–18:00"][2].split()[0]) <= 80.0
    assert "Row power peak" in found
    console.shoot(page, "job-4-evidence")


def _approved(console: Any, page: Page) -> None:
    assert "waits for approval" in _title(page)
    page.get_by_label("Note for the record").fill(NOTE)
    page.get_by_label("Note for the record").press("Tab")
    console.settled(page)
    page.get_by_role("button", name="Approve and roll out").click()
    page.wait_for_function("() => document.querySelector('h1.iw-title')?.textContent.includes('is in force')")
    console.settled(page)
    assert NOTE in page.inner_text("[class*='st-key-panel-approval']")
    console.shoot(page, "job-5-approved")


def _compared(console: Any, page: Page) -> tuple[str, str]:
    page.get_by_role("link", name="Compare").click()
    page.wait_for_url("**/compare*")
    console.settled(page)
    page.wait_for_selector("[class*='st-key-panel-']")
    words = _plain(page.inner_text("[data-testid=stMainBlockContainer]"))
    cells = " ".join(_plain(text) for text in page.locator("td").all_inner_texts())
    for what in ("hottest GPU", "serving cost", "TTFT p99", "site power peak"):
        assert what.lower() in f"{words} {cells}".lower()
    console.shoot(page, "job-6-compare")
    query = dict(part.split("=", 1) for part in page.url.partition("?")[2].split("&"))
    return query.get("today", ""), query.get("run", "")


def _reported(console: Any, page: Page, run_ids: tuple[str, str]) -> None:
    page.get_by_role("link", name="Reports").click()
    page.wait_for_url("**/reports*")
    console.settled(page)
    with page.expect_download(timeout=60_000) as waited:
        page.get_by_role("button", name="Download HTML").click()
    path = waited.value.path()
    report = path.read_text(encoding="utf-8")
    assert waited.value.suggested_filename == "intentwin-I-01.html"
    assert len(report) > 10_000
    assert WORDS in report
    assert all(run_id in report for run_id in run_ids if run_id)
    assert not re.findall(r"""(?:src|href)=["'](?:https?:)?//""", report)
    console.shoot(page, "job-7-report")
    # On its own, with every request refused, the file shows what it says.
    alone = page.context.new_page()
    alone.route("**/*", lambda route: route.continue_() if route.request.url.startswith(("file:", "data:", "blob:")) else route.abort())
    asked: list[str] = []
    alone.on("requestfailed", lambda request: asked.append(request.url))
    alone.set_content(report)
    alone.wait_for_timeout(500)
    assert asked == []
    assert WORDS in alone.inner_text("body")
    alone.close()
