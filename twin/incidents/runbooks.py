"""Runbooks: what to check for a family of symptoms, step by step."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from twin import sources
from twin.incidents.toolset import TOOLS

MOST_RUNBOOKS: Final = 200
_LONGEST: Final = 50_000
_NAME: Final = re.compile(r"^[a-z0-9][a-z0-9_-]{0,79}$")
_STEP: Final = re.compile(r"^\s*\d+[.)]\s+(?:`(?P<tool>[a-z_]+)`\s+)?(?P<words>.+)$")
_LISTED: Final = re.compile(r"^(?P<what>Metrics|Causes):\s*(?P<items>.*)$")


@dataclass(frozen=True, slots=True)
class Check:
    """One step: the tool to ask (empty where a person acts) and what to find out."""

    tool: str
    words: str


@dataclass(frozen=True, slots=True)
class Runbook:
    """A plan for a family of symptoms: where it applies (metrics, classes of cause), what it is about, what to check in which order."""

    name: str
    title: str
    about: str
    metrics: tuple[str, ...]
    causes: tuple[str, ...]
    checks: tuple[Check, ...]
    text: str


def read(own: Path | None = None) -> Mapping[str, Runbook]:
    """Return all runbooks by name: those packaged, and a site's own from ``own`` (``$INTENTWIN_HOME/runbooks`` where None).

    A site's own takes the place of a packaged one of the same name. ValueError, one line, names the file at fault, and the folder where
    one was named and is not there.
    """
    if own is not None and not own.is_dir():
        raise ValueError(f"{own}: no such folder of runbooks; make it")
    folders = (sources.data_dir() / "incidents" / "runbooks", sources.home_dir() / "runbooks" if own is None else own)
    files = {file.stem: file for folder in folders for file in sorted(folder.glob("*.md"))}
    if len(files) > MOST_RUNBOOKS:
        raise ValueError(f"{len(files)} runbooks, at most {MOST_RUNBOOKS} are searched; remove some from {folders[1].name}")
    return {name: parse(name, _text(files[name])) for name in sorted(files)}


def texts(own: Path | None = None) -> dict[str, str]:
    """Return the texts of all runbooks by name, as a case holds them."""
    return {name: runbook.text for name, runbook in read(own).items()}


def parse(name: str, text: str) -> Runbook:
    """Return the runbook that a text in Markdown holds: a heading, what it is about, lines ``Metrics:`` and ``Causes:``, numbered steps.

    A step may begin with the name of a tool in backquotes. Only steps are asked for; ValueError where there is none, and for a name or a
    length that cannot be.
    """
    if not _NAME.match(name):
        raise ValueError(f"{name[:80]}.md: a runbook's name is lower-case letters, digits and hyphens; rename it")
    if len(text) > _LONGEST:
        raise ValueError(f"{name}.md: {len(text)} characters, at most {_LONGEST}; divide it")
    listed: dict[str, tuple[str, ...]] = {}
    title, about, checks = "", "", []
    for line in (line.strip() for line in text.splitlines()):
        if found := _STEP.match(line):
            checks.append(_check(found["tool"] or "", found["words"]))
        elif found := _LISTED.match(line):
            listed[found["what"]] = tuple(item.strip() for item in found["items"].split(",") if item.strip())
        elif line.startswith("#"):
            title = title or line.lstrip("# ")
        elif line and not about:
            about = line
    if not checks:
        raise ValueError(f"{name}.md: no steps; number them, one a line, such as '1. `change_log` What was deployed before?'")
    return Runbook(name, title or name, about, listed.get("Metrics", ()), listed.get("Causes", ()), tuple(checks), text)


def _check(tool: str, words: str) -> Check:
    """Return a step; what stands in backquotes and is no tool of ours is part of the words, a team's tool or a command."""
    if tool and tool not in {item.name for item in TOOLS}:
        return Check("", f"`{tool}` {words}")
    return Check(tool, words)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{file.name}: cannot be read as UTF-8 text ({type(error).__name__}); save it as such") from None
