"""Libraries of executors from outside: models, tools, their profiles."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from twin.workflows.executors import Executor, Hardware, Kind

_ACCEPTED: Final = "JSON (a list of executors with their profiles) or CSV (a row a profile)"
_MOST: Final = 1_000
_LISTS: Final = ("reads", "gives")
_Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$", max_length=60)]
_GPU: Final = ("a100", "h100")


class _Profile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    hardware: Hardware
    gpus: Annotated[int, Field(ge=0, le=64)] = 0
    cores: Annotated[int, Field(ge=0, le=1024)] = 0
    item_s: Annotated[float, Field(gt=0, le=1e6)]
    batch_at_most: Annotated[int, Field(ge=1, le=4096)] = 1
    batch_slowdown: Annotated[float, Field(ge=0, le=10)] = 0.0
    active_w: Annotated[float, Field(ge=0, le=5000)] = 0.0
    core_w: Annotated[float, Field(ge=0, le=500)] = 0.0
    start_s: Annotated[float, Field(ge=0, le=86_400)] = 0.0
    usd_per_h: Annotated[float, Field(ge=0, le=1e5)] = 0.0
    idle_w: Annotated[float, Field(ge=0, le=2000)] = 0.0
    source: Annotated[str, Field(max_length=60)] = "import"
    strength: Literal["measured", "published", "second-hand", "memory", "fitted", "proposed"] = "measured"


class _Executor(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: _Name
    title: Annotated[str, Field(max_length=120)] = ""
    kind: Kind
    reads: Annotated[list[_Name], Field(min_length=1)]
    gives: Annotated[list[_Name], Field(min_length=1)]
    quality_share: Annotated[float, Field(ge=0, le=1)]
    model: Annotated[str, Field(max_length=60)] = ""
    target: Annotated[str, Field(max_length=60)] = ""
    prompt_tokens: Annotated[int, Field(ge=0, le=10_000_000)] = 0
    output_tokens: Annotated[int, Field(ge=0, le=10_000_000)] = 0
    profiles: Annotated[list[_Profile], Field(min_length=1)]


def read(path: Path) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Read executors, as a row each with their profiles as JSON; ValueError, one line, names file, place and remedy."""
    text = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    try:
        told = text.decode()
    except UnicodeDecodeError:
        raise ValueError(f"{path.name}: not text in UTF-8; write it as {_ACCEPTED}") from None
    entries = _of_json(path.name, told) if told.lstrip()[:1] in {"[", "{"} else _of_csv(path.name, told)
    if not 1 <= len(entries) <= _MOST:
        raise ValueError(f"{path.name}: {len(entries)} executors; write 1 to {_MOST}")
    executors = [_checked(path.name, place, entry) for place, entry in entries]
    names = [each.id for each in executors]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{path.name}: executor {twice[0]} is there twice; keep one of them")
    frame = pl.DataFrame(
        [
            {**each.model_dump(exclude={"profiles"}), "title": each.title or each.id, "profiles": _json(each.profiles)}
            for each in sorted(executors, key=lambda each: each.id)
        ],
        schema_overrides={"reads": pl.List(pl.String), "gives": pl.List(pl.String)},
    )
    profiles = sum(len(each.profiles) for each in executors)
    types = sorted({name for each in executors for name in each.gives})
    return frame, (f"{profiles:,} profiles; they give {', '.join(types)[:200]}",)


def as_json(executors: Sequence[Executor]) -> str:
    """Return a library as text that ``read`` takes again, to be edited."""
    return json.dumps([asdict(each) for each in executors], indent=2) + "\n"


def _json(profiles: Sequence[_Profile]) -> str:
    return json.dumps([each.model_dump() for each in profiles], separators=(",", ":"))


def _of_json(name: str, text: str) -> list[tuple[str, Any]]:
    try:
        told = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{name}: line {error.lineno}: not valid JSON ({error.msg}); write it as {_ACCEPTED}") from None
    entries = told.get("executors") if isinstance(told, dict) else told
    if not isinstance(entries, list):
        raise ValueError(f"{name}: no list of executors; write it as {_ACCEPTED}")
    return [(f"executor {index + 1}", entry) for index, entry in enumerate(entries)]


def _of_csv(name: str, text: str) -> list[tuple[str, Any]]:
    """Return the executors of rows; one's own columns are taken from its first row, types in a list are parted by ';'."""
    rows = list(csv.DictReader(io.StringIO(text)))
    if not rows or "id" not in rows[0]:
        raise ValueError(f"{name}: no column id below a header; write it as {_ACCEPTED}")
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    for number, row in enumerate(rows, start=2):
        if None in row:
            raise ValueError(f"{name}: row {number}: more values than columns; part types in a list by ';'")
        told = {key.strip(): value.strip() for key, value in row.items() if value and value.strip()}
        profile = {key: told.pop(key) for key in list(told) if key in _Profile.model_fields}
        own = {key: [part.strip() for part in value.split(";")] if key in _LISTS else value for key, value in told.items()}
        _, entry = found.setdefault(told.get("id", ""), (f"row {number}", {**own, "profiles": []}))
        entry["profiles"].append(profile)
    return list(found.values())


def _checked(name: str, place: str, entry: Mapping[str, Any]) -> _Executor:
    try:
        executor = _Executor.model_validate(entry)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part + 1) if isinstance(part, int) else part for part in first["loc"])
        raise ValueError(f"{name}: {place}, {where or 'as a whole'}: {first['msg'].lower()}; write it as {_ACCEPTED}") from None
    if executor.kind in {"endpoint", "function"} and not executor.target:
        raise ValueError(f"{name}: {place}: an executor of kind {executor.kind} needs a target; name the {executor.kind} that it asks")
    for number, profile in enumerate(executor.profiles, start=1):
        on_gpus = profile.hardware in _GPU
        if on_gpus != (profile.gpus > 0) or (profile.hardware == "cpu" and profile.cores < 1):
            raise ValueError(f"{name}: {place}, profile {number}: {profile.hardware} with {profile.gpus} gpus and {profile.cores} cores; "
                             "give GPUs to GPU hardware and cores to cpu")  # fmt: skip
        if (profile.hardware in {"endpoint", "function"}) != (executor.kind in {"endpoint", "function"}):
            raise ValueError(f"{name}: {place}, profile {number}: a {executor.kind} on {profile.hardware}; make both agree")
    return executor
