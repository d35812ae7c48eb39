"""Whether a verdict on a named cause makes sense."""

import math
import re
from typing import Final

from twin.incidents.causes import CAUSES
from twin.store.records import Verdict

# Our own classes of causes, and those of whoever imports incidents.
_CAUSE: Final = re.compile(r"^[a-z][a-z0-9_ -]{0,59}$")
_LONGEST: Final = 2_000


def check(verdict: Verdict) -> None:
    """Raise ValueError, one line, for a verdict that contradicts itself or says nothing."""
    who = f"verdict on incident {verdict.incident_id!r}"
    if not verdict.incident_id or not verdict.actor:
        raise ValueError("a verdict needs an incident and whoever says it")
    for name in ("cause", "predicted_cause"):
        value = getattr(verdict, name)
        if value and not _CAUSE.match(value):
            raise ValueError(f"{who}: {name} {value!r:.80} is no class of cause; name one such as {next(iter(CAUSES))}")
    if not verdict.predicted_cause and verdict.right:
        raise ValueError(f"{who}: no cause was named, so none was right; say what it was instead")
    if verdict.right and (verdict.cause, verdict.entity_id) != (verdict.predicted_cause, verdict.predicted_entity_id):
        raise ValueError(f"{who}: right, but another cause or entity is given than was named; say that it was wrong")
    if not verdict.right and verdict.cause and (verdict.cause, verdict.entity_id) == (verdict.predicted_cause, verdict.predicted_entity_id):
        raise ValueError(f"{who}: wrong, but the cause given is the one that was named; say that it was right")
    if not math.isfinite(verdict.known) or (verdict.confidence is not None and not 0.0 <= verdict.confidence <= 1.0):
        raise ValueError(f"{who}: needs the time at which its cause was known, and a confidence from 0 to 1 or none")
    if len(verdict.note) > _LONGEST:
        raise ValueError(f"{who}: a note of {len(verdict.note)} characters, at most {_LONGEST} are kept; shorten it")
