"""The tools of an investigation over one case, as of one moment."""

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

import polars as pl

from twin.incidents.answers import Found, Refused, quoted
from twin.incidents.arguments import checked
from twin.incidents.case import TABLES, Case
from twin.incidents.similar import Lexical, Similar
from twin.incidents.surroundings import Surroundings
from twin.incidents.tools import MOST_ROWS, Arguments, ErrorKind, Reply, TeamTool, Tool
from twin.incidents.toolset import TOOLS
from twin.store.case_frames import CaseFrames, LongReadings, Readings, small
from twin.store.tool_readings import ReadingTools
from twin.store.tool_records import RecordTools
from twin.store.tool_sql import SqlTool

TIMEOUT_S: Final = 5.0
# What texts consist of is the same for every toolbox: worked out once.
_LEXICAL: Final = Lexical()


class CaseToolbox:
    """Implements ``twin.incidents.tools.Toolbox``.

    Every tool sees what was known at ``as_of_s`` alone, and incidents that were resolved before this one began. ``similar`` compares texts
    (words and their pieces where none is given), ``team`` are tools that a team added, ``person`` answers questions, None where
    nobody is there. ``timeout_s`` bounds a query of the tool ``sql``. Close it, or use it as a context: it keeps files aside.
    """

    def __init__(
        self,
        case: Case,
        as_of_s: float,
        *,
        similar: Similar | None = None,
        team: Sequence[TeamTool] = (),
        person: Callable[[str], str | None] | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._as_of_s = float(as_of_s)
        self._aside = tempfile.TemporaryDirectory(prefix="case-", ignore_cleanup_errors=True)
        self._team = {each.tool.name: each for each in team}
        self._tools = (*TOOLS, *(each.tool for each in team))
        self._by_name = {tool.name: tool for tool in self._tools}
        self._person = person
        self._said: dict[tuple[str, str], Reply] = {}
        self._under: dict[str, Reply] = {}
        tables = small(case.frames, [name for name in TABLES if name != "telemetry"], self._as_of_s)
        kinds = {entity: kind or "" for entity, kind in tables["entities"].sort("entity", "kind").iter_rows() if entity is not None}
        around = Surroundings(tables["topology"].drop_nulls(["source", "target"]), kinds)
        readings = _readings(case, Path(self._aside.name), self._as_of_s)
        self._readings = ReadingTools(readings, around, case.incident, self._as_of_s)
        self._records = RecordTools(case, tables, around, self._as_of_s, similar or _LEXICAL)
        everything = {**tables, "history": self._records.history}
        self._sql = SqlTool(readings, everything, Path(self._aside.name), self._as_of_s, timeout_s)

    @property
    def as_of_s(self) -> float:
        """Nothing later than this is seen."""
        return self._as_of_s

    @property
    def tools(self) -> tuple[Tool, ...]:
        """Our own tools, then the teams'."""
        return self._tools

    def call(self, name: str, arguments: Arguments) -> Reply:
        """Answer; whatever goes wrong is in the reply, with its reason, and never an exception. The same call has the same answer."""
        try:
            taken = self._taken(name, arguments)
            key = (name, _canonical(taken))
        except Refused as refused:
            key = (str(name), _canonical(arguments))
            return self._said.get(key) or self._keep(key, self._refusal(str(name), _plain(arguments), refused.kind, str(refused)))
        return self._said.get(key) or self._keep(key, self._answered(name, taken))

    def evidence(self, evidence_id: str) -> Reply | None:
        """Return what was answered under an id; None where there was no such answer."""
        return self._under.get(evidence_id)

    def answered(self) -> tuple[Reply, ...]:
        """Return all that was answered, in the order in which it was asked first."""
        return tuple(self._under.values())

    def close(self) -> None:
        """Let the database and the files aside go; answers that were given stay."""
        self._readings.close()
        self._aside.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _keep(self, key: tuple[str, str], reply: Reply) -> Reply:
        self._said[key] = self._under[reply.evidence_id] = reply
        return reply

    def _taken(self, name: str, arguments: Arguments) -> dict[str, Any]:
        tool = self._by_name.get(name) if isinstance(name, str) else None
        if tool is None:
            raise Refused("unknown tool", f"there is no tool {quoted(str(name))}; there are {', '.join(self._by_name)}")
        try:
            return checked(tool, arguments)
        except ValueError as error:
            raise Refused("bad arguments", str(error)) from None

    def _answered(self, name: str, arguments: Mapping[str, Any]) -> Reply:
        try:
            found = self._found(name, arguments)
        except Refused as refused:
            return self._refusal(name, arguments, refused.kind, str(refused))
        except MemoryError:
            return self._refusal(name, arguments, "too much memory", "the answer does not fit into memory; ask for less")
        except Exception as error:  # an investigation goes on without this answer, and says so
            return self._refusal(name, arguments, "refused", " ".join(str(error).split())[:300] or type(error).__name__)
        rows = found.rows.head(MOST_ROWS)
        cut = found.cut or found.rows.height > MOST_ROWS
        return Reply(
            evidence_id=self._next_id(),
            tool=name,
            arguments=arguments,
            ok=True,
            rows=rows,
            words=found.words + (f"; {rows.height} rows of them" if cut else ""),
            sql=found.sql,
            from_s=found.from_s,
            to_s=found.to_s,
            truncated=cut,
            entities=found.entities,
        )

    def _found(self, name: str, arguments: Mapping[str, Any]) -> Found:
        if name in self._team:
            return self._sql.team(self._team[name], arguments)
        if name in ("change_log", "events"):
            window, only = self._readings.window(arguments, 0.0), self._readings.only(arguments)
            return (self._records.change_log if name == "change_log" else self._records.events)(arguments, window, only)
        if name == "sql":
            return self._sql.sql(arguments["query"])
        if name == "ask_person":
            return self._asked(arguments["question"])
        if name == "submit":
            return Found(pl.DataFrame({"status": [arguments["status"]]}), f"submitted: {arguments['status']}")
        holder: object = self._readings if hasattr(self._readings, name) else self._records
        answer: Callable[[Mapping[str, Any]], Found] = getattr(holder, name)
        return answer(arguments)

    def _asked(self, question: str) -> Found:
        answer = self._person(question) if self._person else None
        if not answer:
            raise Refused("not answered", "nobody is there to answer; go on without" if self._person is None else "no answer came")
        return Found(pl.DataFrame({"answer": [answer]}), f"a person answered {quoted(answer)}", "", 0.0, self._as_of_s)

    def _refusal(self, name: str, arguments: Mapping[str, Any], kind: ErrorKind, text: str) -> Reply:
        return Reply(self._next_id(), name, arguments, False, pl.DataFrame(), "", error_kind=kind, error=text)

    def _next_id(self) -> str:
        return f"E{len(self._said) + 1}"


def _readings(case: Case, folder: Path, as_of_s: float) -> Readings:
    """Return a case's readings where they lie; those in memory are written aside, up to the as-of time."""
    if isinstance(case.frames, CaseFrames):
        return case.frames.readings
    path = folder / "telemetry.parquet"
    small(case.frames, ["telemetry"], as_of_s)["telemetry"].write_parquet(path)
    return LongReadings(path)


def _plain(arguments: Any) -> Mapping[str, Any]:
    return dict(arguments) if isinstance(arguments, Mapping) else {}


def _canonical(arguments: Any) -> str:
    return json.dumps(arguments, sort_keys=True, default=repr, skipkeys=True)
