"""A report is one self-contained file, the same bytes each time."""

import io
import json
import re
import zipfile
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from app.report.evidence import gather
from app.report.render import html, markdown, report
from app.report.story import Story, tell

NASTY = '</script><script>alert(1)</script><img src="https://elsewhere.example/x.png"> ![x](https://elsewhere.example/y.png) {{ 7*7 }}'


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def story(store: Any) -> Story:
    return tell(gather(store.home, "I-01"), NASTY)


@pytest.mark.parametrize("fmt", ["html", "md", "zip"])
def test_two_builds_give_the_same_bytes(store: Any, fmt: str) -> None:
    assert report(store.home, "I-01", fmt, notes="for the board") == report(store.home, "I-01", fmt, notes="for the board")


def test_a_report_asks_nothing_of_any_network(story: Story) -> None:
    tags = _Tags()
    page = html(story)
    tags.feed(page)
    assert not [tag for tag, _ in tags.found if tag in {"link", "img", "iframe", "object", "embed", "form", "a", "button", "input"}]
    assert not [value for _, names in tags.found for name, value in names.items() if name in {"src", "href", "action", "srcset"}]
    policy = next(names["content"] for tag, names in tags.found if names.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert "unsafe-inline" not in policy.partition("script-src")[2].partition(";")[0]
    for word in ("sendToCloud", "plotly", "cloud."):
        assert word not in page


def test_what_people_wrote_is_never_markup(story: Story) -> None:
    page = html(story)
    tags = _Tags()
    tags.feed(page)
    assert sum(tag == "script" for tag, _ in tags.found) == 1
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "{{ 7*7 }}" in page
    text = markdown(story)
    assert "![" not in text
    assert "<script" not in text.replace("\\<", "")


def test_a_report_says_what_was_asked_understood_decided_and_found(store: Any, story: Story) -> None:
    page = html(story)
    for words in (
        "What was asked",
        "How it was understood",
        "What changes",
        "What was checked",
        "Risks and open questions",
        "Who asked and who decided",
    ):
        assert words in page
    assert "mara" in page
    assert "hottest GPU" in page
    assert "waiting for a decision" in page
    assert store.candidate in page
    assert "One seed only" in page


def test_no_number_of_a_figure_is_missing_from_its_table(story: Story) -> None:
    assert {figure.key for figure in story.figures} == {"hottest-gpu", "row-power", "ttft", "serving-cost"}
    for figure in story.figures:
        data = re.search(r'data-figure="([^"]*)"', figure.svg)
        assert data is not None
        drawn = json.loads(data[1].replace("&quot;", '"').replace("&amp;", "&"))
        shown = {cell for row in figure.rows for cell in row}
        for curve in drawn["curves"]:
            assert {value for value in curve["y"] if value is not None} <= shown


def test_the_bundle_holds_what_it_takes_to_look_again(store: Any) -> None:
    archive = zipfile.ZipFile(io.BytesIO(report(store.home, "I-01", "zip")))
    names = set(archive.namelist())
    assert {"report.html", "report.md", "README.md", "scenario.json", "policy-today.json", "policy-candidate.json", "intent.json"} <= names
    assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    rows = pl.read_parquet(io.BytesIO(archive.read(f"tables/{store.candidate}/rows.parquet")))
    assert rows.height
    assert json.loads(archive.read("provenance.json"))["manifest"]["code"]
    assert archive.read("metrics.csv").decode().startswith("policy,seed,run_id,metric,value")


def test_todays_policy_alone_makes_a_report_too(store: Any) -> None:
    page = report(store.home, store.today, "html").decode()
    assert "nothing, this is today’s policy" in page


@pytest.mark.parametrize(
    ("study", "fmt", "said"),
    [
        ("I-01", "pdf", "not written yet"),
        ("I-02", "html", "not been tried"),
        ("I-99", "html", "unknown"),
        ("0" * 12, "html", "no stored run"),
    ],
)
def test_what_cannot_be_reported_is_refused_in_a_line(store: Any, study: str, fmt: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        report(store.home, study, fmt)
    assert "\n" not in str(caught.value)


def test_a_report_needs_no_clock(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    before = report(store.home, "I-01", "html")
    monkeypatch.setattr(time, "time", lambda: 4e9)
    assert report(store.home, "I-01", "html") == before


def test_the_templates_are_part_of_the_package() -> None:
    folder = Path(__file__).resolve().parents[3] / "app" / "report" / "templates"
    assert sorted(path.name for path in folder.iterdir()) == ["report.css", "report.html.j2", "report.js", "report.md.j2"]
