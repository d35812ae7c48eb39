"""What every reader is: text and site in, one reading out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from policies.intent.interpret.words import published_levers
from policies.intent.model import Finding, Intent, Span
from policies.intent.references import References, references
from twin.memory.settings import Settings as MemorySettings


@dataclass(frozen=True, slots=True)
class Site:
    """What a reader may know of the site: names and limits, never state.

    ``entities`` gives the ids of each scope kind; ``levers`` the holders of each lever that the vocabulary has;
    ``limits`` known bounds in the metric's unit, keyed ``row-2/plant.row_power_peak_w`` (an empty id for the whole site);
    ``image_endpoints`` the endpoints whose models read images; ``memory`` how it pools memory, with the prices of pods;
    ``tenants`` the workloads whose VMs negotiate, None where that is not known.
    """

    entities: Mapping[str, tuple[str, ...]]
    levers: Mapping[str, tuple[str, ...]] = field(default_factory=published_levers)
    limits: Mapping[str, float] = field(default_factory=dict)
    image_endpoints: tuple[str, ...] = ()
    memory: MemorySettings = field(default_factory=MemorySettings)
    tenants: tuple[str, ...] | None = None

    @property
    def references(self) -> References:
        """Return what looks up the values that changes are taken of at this site, where that is not today's policy."""
        return references(self.memory)

    def limit(self, metric: str, ids: Sequence[str] = ()) -> float | None:
        """Return the one limit that holds over the named places, None where there is none or they differ."""
        keys = [f"{name}/{metric}" for name in ids] or [f"/{metric}"]
        found = {self.limits.get(key) for key in keys}
        return found.pop() if len(found) == 1 else None


@dataclass(frozen=True, slots=True)
class Reading:
    """What one reader understood. ``spans`` maps a path in the intent to its place in the text; ``raw`` is a model's reply."""

    intent: Intent
    findings: tuple[Finding, ...]
    reader: str
    spans: Mapping[str, Span] = field(default_factory=dict)
    raw: str = ""

    @property
    def blocked(self) -> bool:
        """Whether the request is refused."""
        return any(finding.severity == "block" for finding in self.findings)

    @property
    def open_questions(self) -> tuple[Finding, ...]:
        """The findings that wait for an answer."""
        return tuple(finding for finding in self.findings if finding.severity == "question")


class Reader(Protocol):
    """Text in, one reading out; never raises on any text."""

    @property
    def id(self) -> str:
        """Name and version of the reader, as the audit trail keeps it."""

    def read(self, text: str, site: Site) -> Reading:
        """Return what was understood."""
