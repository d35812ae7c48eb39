"""What the history of incidents says of a prediction: its neighbours."""

import re
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twin.incidents.causes import CAUSES
from twin.incidents.levers import Prediction
from twin.incidents.tools import Toolbox

Floats = NDArray[np.float64]
SEARCH: Final = "history_search"
_WORD: Final = re.compile(r"[a-z0-9]+")
# Words that texts share whatever they are about.
_EMPTY_WORDS: Final = frozenset(
    ("a", "an", "and", "are", "as", "at", "by", "for", "from", "in", "is", "it", "of", "on", "or", "the", "to", "was", "with")
)


@dataclass(frozen=True)
class References:
    """The K nearest resolved incidents: ids, causes, texts, how near (0 to 1, shape K), and how much each had the predicted cause.

    ``matches`` (0 to 1, shape K) is 1 or 0 where the prediction names a class of cause, else how many words the texts share.
    """

    incident_ids: tuple[str, ...]
    causes: tuple[str, ...]
    texts: tuple[str, ...]
    similarity: Floats
    matches: Floats


def references(prediction: Prediction, tools: Toolbox, count: int) -> References:
    """Return what the search of the history finds for the words of an incident; nothing where it finds nothing or fails."""
    incident = prediction.incident
    asked = " ".join(part for part in (incident.title, incident.text) if part)
    reply = tools.call(SEARCH, {"query": asked, "k": count})
    rows = [row for row in reply.rows.to_dicts() if row.get("incident_id") != incident.incident_id] if reply.ok else []
    causes = tuple(str(row.get("cause") or "") for row in rows)
    return References(
        incident_ids=tuple(str(row.get("incident_id") or "") for row in rows),
        causes=causes,
        texts=tuple(_text(row) for row in rows),
        similarity=np.array([_share(row.get("similarity")) for row in rows], dtype=np.float64),
        matches=_matches(prediction, causes, rows),
    )


def alike(one: str, other: str) -> float:
    """Return the share of words that two texts have in common, the cosine of their sets of words.

    >>> alike("memory leak in cart", "cart: a leak of memory")
    1.0
    >>> alike("memory leak", "expired certificate")
    0.0
    """
    first, second = _words(one), _words(other)
    return len(first & second) / float(np.sqrt(len(first) * len(second))) if first and second else 0.0


def _matches(prediction: Prediction, causes: tuple[str, ...], rows: list[dict[str, Any]]) -> Floats:
    if prediction.cause in CAUSES or prediction.cause in causes:
        return np.array([float(cause == prediction.cause) for cause in causes], dtype=np.float64)
    said = f"{prediction.cause} {prediction.text}"
    return np.array([alike(said, f"{row.get('cause') or ''} {row.get('mechanism') or ''}") for row in rows], dtype=np.float64)


def _text(row: dict[str, Any]) -> str:
    return ". ".join(str(row[name]) for name in ("title", "text", "mechanism") if row.get(name))


def _share(value: Any) -> float:
    return float(np.clip(value, 0.0, 1.0)) if isinstance(value, int | float) and np.isfinite(value) else 0.0


def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text.lower().replace("_", " "))) - _EMPTY_WORDS
