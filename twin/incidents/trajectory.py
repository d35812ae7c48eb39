"""What an investigator did and found, step by step, as plain data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from twin.incidents.tools import Arguments, ErrorKind

Status = Literal["confirmed", "likely", "inconclusive"]
MOST_STEPS: Final = 20


@dataclass(frozen=True, slots=True)
class Step:
    """One thought, one action, one observation. ``observation`` is what the driver was shown."""

    number: int
    thought: str
    action: str
    arguments: Arguments
    observation: str
    evidence_id: str
    ok: bool
    error_kind: ErrorKind = ""
    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: float = 0.0


@dataclass(frozen=True, slots=True)
class Statement:
    """One claim of fact: words, whom it is about, what it cites; ``supported`` and ``why`` are the verifier's, not the driver's."""

    words: str
    entity_id: str
    evidence_ids: tuple[str, ...]
    supports: bool = True
    supported: bool | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One possible cause. ``cause`` is a class of ``twin.incidents.causes``; ``path`` runs from the cause to the symptom.

    ``score`` is the driver's own, 0 to 1, not calibrated; ``confidence`` is what a holder of the lever ``confidence`` made of it, None
    before. ``statements`` speak for and against it.
    """

    entity_kind: str
    entity_id: str
    cause: str
    mechanism: str
    path: tuple[str, ...]
    onset_s: float
    score: float
    statements: tuple[Statement, ...] = ()
    confidence: float | None = None
    calibrated: bool = False


@dataclass(frozen=True)
class Investigation:
    """What came of an investigation as of one moment: hypotheses, the first the most likely, and how it got there.

    ``claims`` and ``unsupported`` count statements before the verifier dropped those that cite nothing which says so.
    """

    incident_id: str
    as_of_s: float
    holder: str
    driver: str
    steps: tuple[Step, ...]
    hypotheses: tuple[Hypothesis, ...]
    status: Status
    ruled_out: tuple[str, ...]
    stop_reason: str
    claims: int
    unsupported: int
    similar: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
