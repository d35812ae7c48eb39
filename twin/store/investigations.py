"""Investigations: each an immutable folder, there whole or not at all."""

import errno
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import lru_cache
from hashlib import sha256
from math import isfinite
from pathlib import Path
from typing import Any, Final

from twin.incidents import trajectory_json
from twin.incidents.case import Incident
from twin.incidents.levers import ConfidenceAction
from twin.incidents.tools import ErrorKind, Reply
from twin.incidents.trajectory import Investigation
from twin.spool import room
from twin.store import files

FORMAT: Final = 1
MOST_ROWS: Final = 50
_FOLDER: Final = "investigations"
_MANIFEST: Final = "manifest.json"
_STEPS: Final = "steps.jsonl"
_EVIDENCE: Final = "evidence.jsonl"
_ID: Final = re.compile(r"^[0-9a-f]{12}$")
_NOTHING: Final[Mapping[str, Any]] = {}


@dataclass(frozen=True)
class Evidence:
    """What one tool answered, as it is kept: at most 50 of its rows. What JSON has no word for is None or text."""

    evidence_id: str
    tool: str
    arguments: Mapping[str, Any]
    ok: bool
    words: str
    sql: str
    from_s: float
    to_s: float
    truncated: bool
    error: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    error_kind: ErrorKind = ""


@dataclass(frozen=True)
class Moment:
    """What was found as of one moment; ``confidence`` is one for each of the first hypotheses, in their order."""

    as_of_s: float
    investigation: Investigation
    confidence: tuple[ConfidenceAction, ...]
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True)
class Investigated:
    """One incident looked into at several moments. ``policy`` is the two levers that were asked, as JSON has a policy set.

    ``basis`` says what was known besides the run: how many resolved incidents and labels, how texts were compared.
    """

    investigation_id: str
    run_id: str
    incident: Incident
    policy: Mapping[str, Any]
    moments: tuple[Moment, ...]
    basis: Mapping[str, Any] = field(default_factory=dict)


def id_of(
    run_id: str, incident_id: str, policy: Mapping[str, Any], moments_s: Sequence[float], code: str, basis: Mapping[str, Any] = _NOTHING
) -> str:
    """Return the id of what an investigation answers: 12 hex digits. The same question has the same id."""
    question = {
        "run_id": run_id, "incident_id": incident_id, "policy": plain(policy), "moments_s": [float(t_s) for t_s in moments_s],
        "code": code, "basis": plain(basis), "format": FORMAT,
    }  # fmt: skip
    return sha256(files.canonical(question).encode()).hexdigest()[:12]


def evidence_of(reply: Reply) -> Evidence:
    """Return what is kept of a reply."""
    rows = reply.rows.head(MOST_ROWS)
    return Evidence(
        evidence_id=reply.evidence_id,
        tool=reply.tool,
        arguments=plain(reply.arguments),
        ok=reply.ok,
        words=reply.words,
        sql=reply.sql,
        from_s=float(reply.from_s),
        to_s=float(reply.to_s),
        truncated=reply.truncated or reply.rows.height > MOST_ROWS,
        error=reply.error,
        columns=tuple(rows.columns),
        rows=tuple(tuple(plain(value) for value in row) for row in rows.iter_rows()),
        error_kind=reply.error_kind,
    )


def save(investigated: Investigated, home: Path) -> Path:
    """Write an investigation aside and rename it into place; return its folder. One that is there already is left."""
    target = folder_of(investigated.investigation_id, home)
    with room(target.parent), files.aside(target.parent) as aside:
        _write(investigated, aside)
        try:
            aside.rename(target)
        except OSError as error:
            if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                raise
        else:
            files.sync(target.parent)
    return target


def exists(investigation_id: str, home: Path) -> bool:
    """Return whether an investigation is stored."""
    return (folder_of(investigation_id, home) / _MANIFEST).is_file()


def load(investigation_id: str, home: Path) -> Investigated:
    """Return a stored investigation; ValueError where there is none, or it is damaged."""
    folder = folder_of(investigation_id, home)
    if not exists(investigation_id, home):
        raise ValueError(f"investigation {investigation_id} is not stored; see `intentwin investigate`")
    told = files.read_json(folder / _MANIFEST)
    if told.get("format", FORMAT) > FORMAT:
        raise ValueError(f"investigation {investigation_id} was written by a newer Intentwin; upgrade to read it")
    try:
        return _read(told, folder)
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"investigation {investigation_id} is damaged ({error}); move its folder away and investigate again") from None


def folder_of(investigation_id: str, home: Path) -> Path:
    """Return where an investigation lies, or would; the id is checked, so that it can never lead elsewhere."""
    if not _ID.match(investigation_id):
        raise ValueError(f"{investigation_id!r} is not the id of an investigation; it is 12 hex digits")
    return home / _FOLDER / investigation_id


def of_run(run_id: str, home: Path) -> tuple[str, ...]:
    """Return the ids of a run's investigations, the last one stored at the end."""
    return tuple(name for name, run, _ in _stored(home) if run == run_id)


def latest(run_id: str, incident_id: str, home: Path) -> Investigated | None:
    """Return what was found last of an incident; None where nobody looked into it."""
    known = [name for name, run, incident in _stored(home) if (run, incident) == (run_id, incident_id)]
    return load(known[-1], home) if known else None


def asked_again(investigation_id: str, home: Path) -> None:
    """Make a stored investigation the last one of its incident: it was asked for anew, and the answer is the same."""
    os.utime(folder_of(investigation_id, home) / _MANIFEST)


def _stored(home: Path) -> list[tuple[str, str, str]]:
    """Return id, run and incident of every readable investigation, by when it was stored."""
    found: list[tuple[int, str, str, str]] = []
    try:
        names = os.listdir(home / _FOLDER)
    except FileNotFoundError:
        return []
    for name in names:
        path = home.absolute() / _FOLDER / name / _MANIFEST
        if _ID.match(name):
            try:
                found.append((path.stat().st_mtime_ns, name, *_about(path, path.stat().st_ino)))
            except (ValueError, KeyError, TypeError, OSError):
                continue
    return [(name, run, incident) for _, name, run, incident in sorted(found)]


# A stored investigation never changes, so what was read of it once holds for as long as the file is the same.
@lru_cache(maxsize=8192)
def _about(path: Path, inode: int) -> tuple[str, str]:
    told = files.read_json(path)
    return str(told["run_id"]), str(told["incident"]["incident_id"])


def _write(investigated: Investigated, folder: Path) -> None:
    head = {
        "format": FORMAT,
        "investigation_id": investigated.investigation_id,
        "run_id": investigated.run_id,
        "incident": asdict(investigated.incident),
        "policy": investigated.policy,
        "basis": investigated.basis,
        "moments": [
            {"as_of_s": moment.as_of_s, "confidence": [asdict(each) for each in moment.confidence], "evidence": len(moment.evidence)}
            for moment in investigated.moments
        ],
    }
    steps = "".join(trajectory_json.dumps(moment.investigation) for moment in investigated.moments)
    evidence = "".join(files.canonical(plain(asdict(each))) + "\n" for moment in investigated.moments for each in moment.evidence)
    files.write_bytes(folder / _STEPS, steps.encode("utf-8", "replace"))
    files.write_bytes(folder / _EVIDENCE, evidence.encode())
    files.write_json(folder / _MANIFEST, plain(head))


def _read(told: Mapping[str, Any], folder: Path) -> Investigated:
    # Lines end at line feeds alone: texts from outside may hold other characters that look like an end of line.
    found = list(trajectory_json.read_all(_lines(folder / _STEPS)))
    evidence = iter([_evidence(json.loads(line)) for line in _lines(folder / _EVIDENCE)])
    moments = tuple(
        Moment(
            as_of_s=float(moment["as_of_s"]),
            investigation=investigation,
            confidence=tuple(_confidence(each) for each in moment["confidence"]),
            evidence=tuple(next(evidence) for _ in range(moment["evidence"])),
        )
        for moment, investigation in zip(told["moments"], found, strict=True)
    )
    incident = Incident(**{**told["incident"], "affected": tuple(told["incident"]["affected"])})
    return Investigated(told["investigation_id"], told["run_id"], incident, told["policy"], moments, told["basis"])


def _lines(path: Path) -> Iterable[str]:
    return [line for line in path.read_text(encoding="utf-8").split("\n") if line]


def _evidence(given: Mapping[str, Any]) -> Evidence:
    rows = tuple(tuple(row) for row in given["rows"])
    return Evidence(**{**given, "columns": tuple(given["columns"]), "rows": rows})


def _confidence(given: Mapping[str, Any]) -> ConfidenceAction:
    known = {each.name: given[each.name] for each in fields(ConfidenceAction)}
    filled: dict[str, Any] = {name: float("nan") if value is None else value for name, value in known.items()}
    return ConfidenceAction(**filled)


def plain(value: Any) -> Any:
    """Return a value as JSON has it and as it comes back: what is not finite is None, what is no plain value its text."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not isfinite(value):
        return None
    # What cannot be written as UTF-8 came from outside and must not stop the rest.
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    return value if value is None or isinstance(value, bool | int | float) else str(value)
