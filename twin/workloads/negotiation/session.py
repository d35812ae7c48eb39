"""What a program outside said in a live session: kept, and said again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from twin.sources import imported, imported_table
from twin.spool import write_table
from twin.stack import State
from twin.workloads.negotiation import hint, keys, notices
from twin.workloads.negotiation.outside import SCHEMA, checked, near
from twin.workloads.negotiation.tenants import Tenants

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
KIND: Final = "hints-log"
# A session that said more is no session of a program that negotiates.
MOST_ROWS: Final = 1_000_000
_ANSWERS: Final[Mapping[str, int]] = {"accepted": notices.ACCEPTED, "declined": notices.DECLINED}


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers to notices in the order in which they were given, shape B.

    ``scope`` and ``of`` say whose VMs answer, as in ``hint.Hints``. ``notice`` is the kind (an index of ``notices.NAMES``) and -1
    where a message is answered, ``message`` its number and -1 where a kind is: every open notice of that kind to these VMs.
    ``answer`` is ``notices.ACCEPTED`` or ``notices.DECLINED``.
    """

    t_s: Floats
    scope: Ints
    of: Ints
    notice: Ints
    message: Ints
    answer: Ints

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.t_s)

    def taken(self, chosen: slice) -> "Answers":
        """Return some of them."""
        return Answers(*(getattr(self, field.name)[chosen] for field in fields(self)))


class Recording:
    """Takes down a session as it goes, to be written as a log and replayed."""

    def __init__(self) -> None:
        self._rows: list[tuple[Any, ...]] = []

    def __len__(self) -> int:
        """Return how many hints and answers were taken down."""
        return len(self._rows)

    def hint(self, t_s: float, scope: keys.Scope, of_id: str, key: str, said: Any) -> float:
        """Take down a hint and return its value as a number; None takes it back. ValueError, one line, where it is none."""
        return self.hints(t_s, [(scope, of_id, key, said)])[0]

    def hints(self, t_s: float, said: Sequence[tuple[keys.Scope, str, str, Any]]) -> list[float]:
        """Take down hints (scope, id, key, value) as ``hint`` does, all of them or none."""
        values = [None if value is None else keys.value(key, value) for _, _, key, value in said]
        rows = [(float(t_s), "hint", *about[:3], value, None, None) for about, value in zip(said, values, strict=True)]
        self._add(*rows)
        return [float("nan") if value is None else value for value in values]

    def answer(self, t_s: float, scope: keys.Scope, of_id: str, notice: str | int, said: Literal["accepted", "declined"]) -> None:
        """Take down an answer to a message, by its number, or to all open notices of a kind. ValueError where it is none."""
        self.answers(t_s, [(scope, of_id, notice, said)])

    def answers(self, t_s: float, given: Sequence[tuple[keys.Scope, str, str | int, str]]) -> None:
        """Take down answers (scope, id, notice, answer) as ``answer`` does, all of them or none."""
        self._add(*((float(t_s), "answer", scope, of_id, None, None, str(notice), said) for scope, of_id, notice, said in given))

    def latest(self) -> dict[tuple[keys.Scope, str, str], tuple[float, float]]:
        """Return when and what was said last by scope, id and key; what is taken back is not a number."""
        hints = (row for row in self._rows if row[1] == "hint")
        return {row[2:5]: (row[0], float("nan") if row[5] is None else row[5]) for row in hints}

    def frame(self) -> pl.DataFrame:
        """Return the log so far, checked, in the order of time."""
        return checked(pl.DataFrame(self._rows, schema=SCHEMA, orient="row"), "session")

    def write(self, path: Path) -> None:
        """Write the log as Parquet; equal sessions give equal files."""
        write_table(path, self.frame())

    def _add(self, *rows: tuple[Any, ...]) -> None:
        if len(self._rows) + len(rows) > MOST_ROWS:
            raise ValueError(f"session: {MOST_ROWS:,} hints and answers, no log holds more; save it and begin another")
        checked(pl.DataFrame(rows, schema=SCHEMA, orient="row"), "session")
        self._rows.extend(rows)


class Replay:
    """Says again, at its time, what a log holds.

    ``log`` has the columns of ``outside.SCHEMA`` in the order of time. ValueError, one line, names the first row that is about a
    workload, deployment or VM which the run does not have.
    """

    def __init__(self, log: pl.DataFrame, tenants: Tenants, place: str = "log") -> None:
        log = checked(log, place)
        rows = {what: log.with_row_index("row").filter(pl.col("what") == what) for what in ("hint", "answer")}
        numbers = _numbers(log, tenants, place)
        said, given = rows["hint"], rows["answer"]
        times_s, scopes, values = said["t_s"].to_numpy(), _codes(said["scope"], keys.SCOPES), said["value"].fill_null(np.nan).to_numpy()
        sayers = np.full(said.height, hint.OUTSIDE, dtype=np.int64)
        of = numbers[said["row"].to_numpy()]
        self._hints = hint.Hints(times_s, scopes, of, _codes(said["key"], list(keys.INDEX)), values, sayers)
        message = given["notice"].str.to_integer(strict=False).fill_null(-1).to_numpy().astype(np.int64)
        kind, answer = _codes(given["notice"], notices.NAMES), _codes(given["answer"], list(_ANSWERS), list(_ANSWERS.values()))
        scopes = _codes(given["scope"], keys.SCOPES)
        self._answers = Answers(given["t_s"].to_numpy(), scopes, numbers[given["row"].to_numpy()], kind, message, answer)
        self._until_s = -np.inf

    def until(self, t_s: float) -> tuple[hint.Hints, Answers]:
        """Return the hints and answers of the log up to a time that were not returned before."""
        span = (self._until_s, t_s)
        since, until = np.searchsorted(self._hints.t_s, span, side="right")
        answered, answering = np.searchsorted(self._answers.t_s, span, side="right")
        self._until_s = max(self._until_s, t_s)
        return self._hints.taken(slice(since, until)), self._answers.taken(slice(answered, answering))

    def snapshot(self) -> State:
        """Return up to when it has said everything."""
        return {"until_s": self._until_s}

    def restore(self, state: State) -> None:
        """Take back a snapshot's state."""
        self._until_s = float(state["until_s"])


def replay(setting: str, tenants: Tenants) -> Replay:
    """Return the replay that a scenario's ``messages`` names (``import:NAME``), one that says nothing where it is empty."""
    if not setting:
        return Replay(pl.DataFrame(schema=SCHEMA), tenants)
    name = setting.removeprefix("import:")
    return Replay(imported_table(imported(KIND, name)), tenants, f"{KIND} {name}")


def beyond(setting: str, horizon_s: float) -> tuple[int, int]:
    """Return how many rows of the log that ``messages`` names are never said, as a run ends before or with their time; and of how many."""
    if not setting:
        return 0, 0
    times_s = imported_table(imported(KIND, setting.removeprefix("import:")))["t_s"]
    return int((times_s.cast(pl.Float64) >= horizon_s).sum()), len(times_s)


def _codes(values: pl.Series, names: Sequence[str], codes: Sequence[int] | None = None) -> Ints:
    """Return the place of each value among names, or what stands for it; -1 where it is none of them."""
    places = dict(zip(names, codes or range(len(names)), strict=True))
    found: Ints = values.replace_strict(places, default=-1, return_dtype=pl.Int64).to_numpy()
    return found


def _numbers(log: pl.DataFrame, tenants: Tenants, place: str) -> Ints:
    """Return the number of the workload, deployment or VM that each row is about."""
    found = np.full(log.height, -1, dtype=np.int64)
    known = {"workload": lambda: tenants.workload_ids, "deployment": lambda: tenants.deployment_ids, "vm": tenants.vm_ids}
    for scope, ids in known.items():
        if not (mine := (log["scope"] == scope).to_numpy()).any():
            continue
        there = ids()
        found[mine] = _codes(log["of_id"].filter(mine), there)
        if (lost := mine & (found < 0)).any():
            row = int(np.argmax(lost))
            raise ValueError(
                f"{place}: row {row + 1}, column of_id: no {scope} is called {log['of_id'][row]!r}; {near(log['of_id'][row], there)}"
            )
    return found
