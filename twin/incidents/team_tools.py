"""Tools that a team adds by a folder of cards: read and checked."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from twin import sources
from twin.incidents.tools import ParameterType, TeamTool, Tool
from twin.incidents.toolset import TOOLS

MOST_TOOLS: Final = 32
_SELECT: Final = re.compile(r"\s*(select|with)\b", re.IGNORECASE)
_PARAMETER: Final = re.compile(r"\$([a-z][a-z0-9_]*)")
_LITERAL: Final = re.compile(r"'(?:[^']|'')*'")
_SCHEMA: Final[Mapping[str, str]] = {"text": "string", "number": "number", "integer": "integer", "boolean": "boolean"}
_PYTHON: Final[Mapping[str, tuple[type, ...]]] = {"text": (str,), "number": (int, float), "integer": (int,), "boolean": (bool,)}


class _Argument(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    type: ParameterType
    meaning: Annotated[str, Field(max_length=300)] = ""
    default: str | int | float | bool | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        wrong = self.default is not None and not isinstance(self.default, _PYTHON[self.type])
        if wrong or (isinstance(self.default, bool) and self.type != "boolean"):
            raise ValueError(f"default {self.default!r} is no {self.type}")
        return self


class _Card(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,39}$")]
    team: Annotated[str, Field(min_length=1, max_length=80)]
    meaning: Annotated[str, Field(min_length=1, max_length=600)]
    arguments: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")], _Argument] = Field(default_factory=dict)
    sql: Annotated[str, Field(max_length=20_000)] = ""
    runbook: Annotated[str, Field(max_length=50_000)] = ""

    @model_validator(mode="after")
    def _answers(self) -> Self:
        if bool(self.sql.strip()) == bool(self.runbook.strip()):
            raise ValueError("give either sql or runbook")
        if self.runbook and self.arguments:
            raise ValueError("a runbook takes no arguments; leave them out or give sql")
        bare = _LITERAL.sub("''", self.sql)
        if self.sql and (not _SELECT.match(bare) or ";" in bare.rstrip().removesuffix(";")):
            raise ValueError("sql must be one SELECT")
        used, known = set(_PARAMETER.findall(bare)), set(self.arguments)
        if missing := sorted(used - known):
            raise ValueError(f"sql uses ${missing[0]}, which is no argument; declare [arguments.{missing[0]}]")
        if idle := sorted(known - used):
            raise ValueError(f"argument {idle[0]!r} is not used by the sql; use ${idle[0]} or leave it out")
        return self


def default_folder() -> Path:
    """Return the folder that is read where no other is named: ``$INTENTWIN_HOME/tools``."""
    return sources.home_dir() / "tools"


def read(folder: Path | None = None) -> tuple[TeamTool, ...]:
    """Return the tools of a folder's ``*.toml`` cards, by file name; none where the default folder is not there.

    Raises ValueError, one line that names file and place, for a card that cannot be used, for a name that is taken, and where a folder
    that was named is not there.
    """
    at = default_folder() if folder is None else folder
    if not at.is_dir():
        if folder is None:
            return ()
        raise ValueError(f"{folder}: no such folder of tools; make it or leave the knob empty")
    files = sorted(at.glob("*.toml"))
    if len(files) > MOST_TOOLS:
        raise ValueError(f"{at.name}: {len(files)} tools, at most {MOST_TOOLS} are offered to an investigator; remove some")
    taken = {tool.name: "our own tools" for tool in TOOLS}
    found: list[TeamTool] = []
    for file in files:
        card = _card(file, sources.toml(file))
        if card.name in taken:
            raise ValueError(f"{file.name}: name {card.name!r} is taken by {taken[card.name]}; choose another")
        taken[card.name] = file.name
        found.append(_tool(card))
    return tuple(found)


def _card(file: Path, given: Mapping[str, Any]) -> _Card:
    try:
        return _Card.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "card"
        raise ValueError(f"{file.name}: {place}: {first['msg'].removeprefix('Value error, ')}") from None


def _tool(card: _Card) -> TeamTool:
    properties: dict[str, dict[str, Any]] = {
        name: {"type": _SCHEMA[argument.type], "description": argument.meaning}
        | ({} if argument.default is None else {"default": argument.default})
        for name, argument in card.arguments.items()
    }
    required = [name for name, argument in card.arguments.items() if argument.default is None]
    schema = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    return TeamTool(
        tool=Tool(card.name, card.meaning, schema, card.team),
        sql=card.sql.strip().removesuffix(";").strip(),
        text=card.runbook.strip(),
        types={name: argument.type for name, argument in card.arguments.items()},
        defaults={name: argument.default for name, argument in card.arguments.items() if argument.default is not None},
    )
