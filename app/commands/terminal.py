"""What commands share: answers, aligned text, progress, who asks and when."""

import getpass
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from twin.run import Progress

LONGEST_INPUT = 100_000


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command says: the same thing as JSON and as lines for people, and the exit code; ``silent`` has said it already."""

    value: Any
    lines: Sequence[str] = field(default_factory=tuple)
    code: int = 0
    silent: bool = False


def now() -> datetime:
    """Return the wall clock; nothing below the command line reads it."""
    return datetime.now(UTC)


def login() -> str:
    """Return the name of whoever runs the command."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "operator"


def home() -> Path:
    """Return the store's folder."""
    from twin.sources import home_dir

    return home_dir()


def as_json(value: Any) -> str:
    """Return JSON as scripts expect it: no not-a-number, text as it is."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, default=str)


def table(rows: Iterable[Sequence[object]], heads: Sequence[str] = (), right: Iterable[int] = ()) -> list[str]:
    """Return rows as aligned columns; ``right`` names the columns that are aligned at their right end.

    >>> table([("a", 1), ("bc", 23)], ("id", "n"), right=[1])
    ['id   n', 'a    1', 'bc  23']
    """
    cells = [[str(cell) for cell in row] for row in ([heads, *rows] if heads else rows)]
    if not cells:
        return []
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    ends = set(right)
    return [
        "  ".join(
            cell.rjust(width) if i in ends else cell.ljust(width) for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]


def progress_bar() -> "Callable[[Progress], None] | None":
    """Return what draws a progress bar on standard error; None where that is not a terminal."""
    if not sys.stderr.isatty():
        return None

    def draw(now: "Progress") -> None:
        bar(now.done_share, now.text)

    return draw


def bar(share: float, text: str) -> None:
    """Draw one state of a progress bar over the last one."""
    filled = round(24 * min(max(share, 0.0), 1.0))
    line = f"\r[{'#' * filled}{'.' * (24 - filled)}] {share:4.0%} {text[:60]:<60}"
    sys.stderr.write(line + ("\r" + " " * len(line) + "\r" if share >= 1.0 else ""))
    sys.stderr.flush()


def say(line: str) -> None:
    """Write a line of progress or context where it does not mix with the answer."""
    sys.stderr.write(line + "\n")


def read_text(path: Path, what: str) -> str:
    """Return a text file; what cannot be read is one line that names it."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ValueError(f"{what} {path}: no such file; check the path") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{what} {path}: cannot be read ({getattr(error, 'strerror', None) or 'not UTF-8 text'})") from None
    return text


def read_json(path: Path, what: str) -> Any:
    """Return a JSON file; what is wrong is one line with file, line and column."""
    try:
        return json.loads(read_text(path, what))
    except json.JSONDecodeError as error:
        raise ValueError(f"{what} {path}: line {error.lineno}, column {error.colno}: {error.msg}; it must be JSON") from None
    except RecursionError:
        raise ValueError(f"{what} {path}: nested too deeply; it must be the JSON that `intentwin policies --json` shows") from None
