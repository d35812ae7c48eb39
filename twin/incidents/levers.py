"""What a holder of the incident levers may see and say."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from twin.incidents.case import Incident
from twin.incidents.tools import Toolbox
from twin.incidents.trajectory import Investigation
from twin.stack import Lever

LEVERS: Final = (
    Lever("investigation", "incidents", "afterwards", "nearest", "what caused an incident, and how one knows", "investigate"),
    Lever("confidence", "incidents", "afterwards", "raw_score", "how sure one may be of a named cause", "confide"),
)


@dataclass(frozen=True, slots=True)
class InvestigationObservation:
    """An incident and the tools to look into it, as of the tools' moment."""

    incident: Incident
    tools: Toolbox


class Investigator(Protocol):
    """Holder of ``investigation``."""

    def investigate(self, seen: InvestigationObservation) -> Investigation:
        """Return what caused an incident; an inconclusive answer is an answer. Never raises for what a case lacks."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """One named cause, by whatever predictor: what ``confidence`` is asked about. ``score`` is the predictor's own, NaN without one."""

    incident: Incident
    predictor: str
    text: str
    cause: str
    entity_id: str
    score: float
    investigation: Investigation | None = None


@dataclass(frozen=True, slots=True)
class Labelled:
    """A prediction on an earlier incident, whether it was right, and when that became known (seconds since 1970)."""

    prediction: Prediction
    right: bool
    known: float
    sufficient: float
    likely: float


@dataclass(frozen=True, slots=True)
class ConfidenceObservation:
    """A prediction, the tools to look into its incident (history above all), and labels that were known when it began."""

    prediction: Prediction
    tools: Toolbox
    labelled: Sequence[Labelled]


@dataclass(frozen=True, slots=True)
class ConfidenceAction:
    """How sure one may be, 0 to 1.

    ``sufficient`` says whether the history tells (share of samples), ``likely`` whether this cause is right.
    ``calibrated`` is False below 30 labels; ``labels`` is how many it was fitted on, ``words`` says why it is what it is.
    """

    confidence: float
    sufficient: float
    likely: float
    calibrated: bool
    labels: int
    words: str


class Confider(Protocol):
    """Holder of ``confidence``."""

    def confide(self, seen: ConfidenceObservation) -> ConfidenceAction:
        """Return how sure one may be of a prediction."""
