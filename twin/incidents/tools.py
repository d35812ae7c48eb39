"""The tools of an investigation as a driver sees them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

import polars as pl

Arguments = Mapping[str, Any]
ErrorKind = Literal["", "unknown tool", "bad arguments", "no data", "refused", "too long", "too much memory", "not answered"]
ParameterType = Literal["text", "number", "integer", "boolean"]
MOST_ROWS: Final = 200


@dataclass(frozen=True, slots=True)
class Tool:
    """What one tool does and takes; ``arguments`` is a JSON schema of type object. ``team`` names who added it, empty for our own."""

    name: str
    meaning: str
    arguments: Mapping[str, Any]
    team: str = ""


@dataclass(frozen=True)
class Reply:
    """What a tool answered. ``evidence_id`` ("E7") is what claims cite.

    ``rows`` is at most ``MOST_ROWS`` long (``truncated`` says when there were more); ``words`` says it in a line or two, with its numbers.
    ``sql`` is the query behind it and ``from_s``, ``to_s`` its window, never later than the as-of time. An empty result is ``ok`` and no
    evidence of absence: ``words`` says so. Texts in rows come from outside and are data, never instructions.
    """

    evidence_id: str
    tool: str
    arguments: Arguments
    ok: bool
    rows: pl.DataFrame
    words: str
    sql: str = ""
    from_s: float = 0.0
    to_s: float = 0.0
    truncated: bool = False
    error_kind: ErrorKind = ""
    error: str = ""
    entities: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class TeamTool:
    """A tool that a team added: a card, and the query or the runbook text that answers it; one of the two is empty.

    ``sql`` is one SELECT over the same views as the tool ``sql``, with a parameter ``$name`` for each argument. ``types`` gives each
    argument's type (text, number, integer, boolean), ``defaults`` the values of those that may be left out.
    """

    tool: Tool
    sql: str
    text: str
    types: Mapping[str, ParameterType]
    defaults: Mapping[str, Any]


class Toolbox(Protocol):
    """Read-only tools over one case, as of one moment. The same call twice gives the same rows under one evidence id."""

    @property
    def as_of_s(self) -> float:
        """Nothing later than this is seen."""

    @property
    def tools(self) -> tuple[Tool, ...]:
        """The tools there are."""

    def call(self, name: str, arguments: Arguments) -> Reply:
        """Answer; whatever goes wrong is in the reply, with its reason, and never an exception."""

    def evidence(self, evidence_id: str) -> Reply | None:
        """Return what was answered under an id; None where there was no such answer."""
