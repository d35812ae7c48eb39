"""What was said and done, message by message, each with what led to it."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twin.stack import State
from twin.tables import Sink
from twin.workloads.negotiation.tables import MESSAGES

KINDS: Final = ("event", "hint", "notice", "answer", "action", "effect")
PARTIES: Final = ("platform", "global", "local", "workload")
# Whose chains are remembered: so many messages back. Older ones begin a chain by their own number.
REMEMBERED: Final = 1 << 16
_NUMBERS: Final = {
    "t_s": np.float64,
    "message_id": np.int64,
    "cause_id": np.int64,
    "chain_id": np.int64,
    "vms": np.int64,
    "value": np.float64,
    "reached_s": np.float64,
    "due_s": np.float64,
}
_COLUMNS: Final = tuple(column.name for column in MESSAGES.columns)


class MessageLog:
    """Numbers messages and keeps them until they are written. A message is in the chain of the one that led to it."""

    def __init__(self) -> None:
        self._rows: list[tuple[Any, ...]] = []
        self._next = 0
        self._chains = np.full(REMEMBERED, -1, dtype=np.int64)

    def say(  # noqa: PLR0913 - a message has that many parts, most of them empty
        self,
        t_s: float,
        kind: str,
        sender: str,
        receiver: str,
        name: str,
        *,
        workload: str = "",
        vms: int = 0,
        value: float = np.nan,
        reached_s: float | None = None,
        due_s: float = np.nan,
        place: str = "",
        words: str = "",
        cause: int = -1,
    ) -> int:
        """Take note of a message of one of KINDS between two of PARTIES and return its number; ``cause`` is that of the one before it.

        ``reached_s`` is ``t_s`` where nothing is said. ValueError for another kind or party, and for a cause that is yet to come.
        """
        if kind not in KINDS or sender not in PARTIES or receiver not in PARTIES:
            raise ValueError(
                f"message {name}: {kind} from {sender} to {receiver}; kinds are {', '.join(KINDS)}, parties {', '.join(PARTIES)}"
            )
        if not -1 <= cause < self._next:
            raise ValueError(f"message {name}: no message has the number {cause}; name one that was said before, or -1")
        number, chain = self._next, self._chain(cause)
        self._chains[number % REMEMBERED], self._next = (number if cause < 0 else chain), number + 1
        reached = t_s if reached_s is None else reached_s
        chained = (float(t_s), number, int(cause), int(self._chains[number % REMEMBERED]))
        sizes = (int(vms), float(value), float(reached), float(due_s))
        self._rows.append((*chained, kind, sender, receiver, name, workload, *sizes, place, words))
        return number

    def _chain(self, cause: int) -> int:
        return int(self._chains[cause % REMEMBERED]) if cause >= max(self._next - REMEMBERED, 0) else cause

    def unwritten(self) -> list[dict[str, Any]]:
        """Return the messages since the last writing, in the columns of the table."""
        return [dict(zip(_COLUMNS, row, strict=True)) for row in self._rows]

    def write(self, sink: Sink) -> None:
        """Write what was said since the last time."""
        if self._rows:
            sink.append(MESSAGES, _columns(self._rows))
            self._rows = []

    def snapshot(self) -> State:
        """Return the number of the next message, the chains of those remembered, and what is not written yet."""
        remembered = self._chains[: min(self._next, REMEMBERED)].copy()
        return {"next": self._next, "chains": remembered, "rows": [list(row) for row in self._rows]}

    def restore(self, state: State) -> None:
        """Take back a snapshot's state."""
        self._next, self._rows = int(state["next"]), [tuple(row) for row in state["rows"]]
        self._chains[:] = -1
        self._chains[: len(state["chains"])] = state["chains"]


def _columns(rows: list[tuple[Any, ...]]) -> dict[str, NDArray[Any]]:
    columns = zip(_COLUMNS, zip(*rows, strict=True), strict=True)
    return {name: np.array(values, dtype=_NUMBERS.get(name, object)) for name, values in columns}
