"""What the clauses gave so far: drafts, objectives, questions."""

from dataclasses import dataclass, field
from typing import Final

from policies.intent.interpret import bounds
from policies.intent.interpret.canon import Board, Mark
from policies.intent.interpret.clauses import Clause
from policies.intent.interpret.reader import Site
from policies.intent.model import Finding

_ZEROED: Final = {
    "plant.thermal_throttle_events", "plant.power_throttle_events", "plant.throttled_gpu_share",
    "workloads.evictions", "workloads.broken_requirements",
    "memory.overflow_events", "memory.migrated_bytes", "functions.cold_start_share", "memory.stranded_share",
}  # fmt: skip


@dataclass(slots=True)
class Draft:
    """One expectation in the making; ``quantity`` and ``concept`` are where it was read."""

    metric: str
    bound: bounds.Bound
    clause: int
    quantity: Mark | None
    concept: Mark | None
    narrative: bool = False
    compared: bool = True


@dataclass(frozen=True, slots=True)
class Doubt:
    """A question that falls away where another clause answers it: the same metric, bounded there."""

    clause: int
    metric: str
    text: str
    concept: Mark | None = None


@dataclass(slots=True)
class Draughts:
    """Everything that the clauses gave: drafts, objectives, findings."""

    board: Board
    site: Site
    clauses: list[Clause]
    words: list[bounds.Words]
    drafts: list[Draft] = field(default_factory=list)
    objectives: list[tuple[str, str, Mark]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    used: set[int] = field(default_factory=set)
    spoken: set[int] = field(default_factory=set)
    asked: set[int] = field(default_factory=set)
    doubts: list[Doubt] = field(default_factory=list)
    asked_at: dict[str, Mark] = field(default_factory=dict)

    def ask(self, clause: int, about: str, text: str, mark: Mark | None = None) -> None:
        """Ask about a part once; what is asked about yields no expectation. ``mark`` is what an answer would replace."""
        self.asked.add(clause)
        if mark is not None:
            self.asked_at.setdefault(about, mark)
        if not any(item.about == about and item.text == text for item in self.findings):
            self.findings.append(Finding(severity="question", about=about, text=text))

    def inform(self, about: str, text: str) -> None:
        """Tell about a default that was taken."""
        if text and not any(item.text == text for item in self.findings):
            self.findings.append(Finding(severity="info", about=about, text=text))

    def scope_kinds(self, clause: int) -> set[str]:
        """Return the kinds of place that a clause speaks of, else those that the whole text does."""
        own = {kind for mark in self.clauses[clause].scopes for kind in mark.value.kinds}
        return own or {kind for mark in self.board.ordered("scope") for kind in mark.value.kinds}

    def percentile(self, clause: int, near: int) -> str | None:
        """Return the percentile named in a clause, the nearest to a place."""
        found = self.clauses[clause].percentiles
        return str(min(found, key=lambda mark: abs(mark.start - near)).value) if found else None


def zeroed(metric: str) -> bool:
    """Return whether "no X" says that a metric is zero."""
    return metric in _ZEROED
