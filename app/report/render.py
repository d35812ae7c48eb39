"""A study as one file: HTML, Markdown, or a bundle with its tables."""

import base64
import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from app.charts.difference import interval
from app.charts.marks import mark, state
from app.charts.tokens import FAMILY, LIGHT
from app.report.bundle import pack
from app.report.evidence import Evidence, gather
from app.report.story import Story, tell

FORMATS: Final = ("html", "md", "zip")
_TEMPLATES: Final = Path(__file__).resolve().parent / "templates"
_MARKDOWN: Final = re.compile(r"([\\`*_{}\[\]()#+!|<>~$:])")


def report(home: Path, study: str, fmt: str, *, notes: str = "") -> bytes:
    """Return a report on a run (its id or the beginning of it) or on an intent with its evidence, as a file's bytes.

    The same stored runs, decisions and notes give the same bytes: nothing in it is read off a clock.
    Raises ValueError for an unknown format or study.
    """
    if fmt not in FORMATS:
        raise ValueError(f"format {fmt!r} is not written yet; it is one of {', '.join(FORMATS)}")
    evidence = gather(home, study)
    return render(evidence, tell(evidence, notes), fmt)


def render(evidence: Evidence, story: Story, fmt: str) -> bytes:
    """Return a story in one of the formats."""
    writers: Mapping[str, Callable[[], bytes]] = {
        "html": lambda: html(story).encode(),
        "md": lambda: markdown(story).encode(),
        "zip": lambda: pack(evidence, {"report.html": html(story).encode(), "report.md": markdown(story).encode()}),
    }
    return writers[fmt]()


def html(story: Story) -> str:
    """Return one self-contained page: it works offline and its own policy forbids every request."""
    environment = _environment()
    script = environment.get_template("report.js").render(t=LIGHT)
    fingerprint = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template("report.html.j2").render(
        story=story,
        style=_drawn(environment.get_template("report.css").render(t=LIGHT, family=FAMILY)),
        script=_drawn(script),
        script_hash=_drawn(f"sha256-{fingerprint}"),
        cells=[_drawn(interval(row.changes[0], row, LIGHT, recommended=True)) for row in story.rows],
        mark=lambda name, words: _drawn(state(name, LIGHT, words) if words else mark(name, LIGHT)),
    )


def markdown(story: Story) -> str:
    """Return the story for a pull request; nothing that a person wrote can become a link, an image or markup."""
    return _environment().get_template("report.md.j2").render(story=story)


def _drawn(markup: str) -> Markup:
    # Our own markup only; every word inside a drawing is escaped where it is drawn.
    return Markup(markup)  # noqa: S704


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=select_autoescape(enabled_extensions=("html.j2",), default=False),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters["md"] = lambda text: _MARKDOWN.sub(r"\\\1", " ".join(str(text).split()))
    return environment
