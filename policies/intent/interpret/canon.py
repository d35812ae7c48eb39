"""The text as a reader works on it, with the way back to what was typed."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from policies.intent.guards import clean
from policies.intent.model import Span

# One private character per kind of mark; a recognised stretch is overwritten with it, so that later rules see its kind.
FILL: Final = {
    "scope": "\ue000", "window": "\ue001", "percentile": "\ue002", "quantity": "\ue003", "per": "\ue004", "system": "\ue005",
    "lever": "\ue006", "taken": "\ue007",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Canon:
    """A rewritten text and, for each of its characters, the stretch of the original that it stands for."""

    text: str
    origin: tuple[Span, ...]

    @classmethod
    def of(cls, original: str) -> "Canon":
        """Return the cleaned, lower-case text."""
        text, places = clean(original)
        lowered = "".join(char.lower() if len(char.lower()) == 1 else char for char in text)
        return cls(lowered, tuple((place, place + 1) for place in places))

    def sub(self, pattern: re.Pattern[str], write: Callable[[re.Match[str]], str | None]) -> "Canon":
        """Return the text with each match rewritten; None from ``write`` leaves a match as it is."""
        parts: list[str] = []
        origin: list[Span] = []
        last = 0
        for match in pattern.finditer(self.text):
            new = write(match)
            if new is None or match.start() == match.end():
                continue
            parts += [self.text[last : match.start()], new]
            origin += self.origin[last : match.start()]
            origin += [self.span(match.start(), match.end())] * len(new)
            last = match.end()
        parts.append(self.text[last:])
        origin += self.origin[last:]
        return Canon("".join(parts), tuple(origin))

    def span(self, start: int, end: int) -> Span:
        """Return the stretch of the original that a stretch of this text came from."""
        if start >= end or not self.origin:
            return (0, 0)
        return min(s for s, _ in self.origin[start:end]), max(e for _, e in self.origin[start:end])


@dataclass(frozen=True, slots=True)
class Mark:
    """A recognised stretch of the text: its kind, place and value."""

    kind: str
    start: int
    end: int
    value: Any = None


@dataclass(slots=True)
class Board:
    """The text under recognition: what is taken is overwritten, what was found is kept as marks."""

    canon: Canon
    rest: str
    marks: list[Mark] = field(default_factory=list)

    @classmethod
    def of(cls, canon: Canon) -> "Board":
        """Return a board with nothing recognised yet."""
        return cls(canon, canon.text)

    def take(self, kind: str, start: int, end: int, value: Any = None) -> Mark:
        """Record a mark and overwrite its stretch."""
        mark = Mark(kind, start, end, value)
        self.marks.append(mark)
        if kind in FILL:
            self.rest = self.rest[:start] + FILL[kind] * (end - start) + self.rest[end:]
        return mark

    def ordered(self, *kinds: str) -> list[Mark]:
        """Return the marks of some kinds (of all, where none is named) from left to right."""
        return sorted((mark for mark in self.marks if not kinds or mark.kind in kinds), key=lambda mark: (mark.start, -mark.end))
