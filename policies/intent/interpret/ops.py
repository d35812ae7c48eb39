"""Words that say how: comparison, negation, change, holding, wishing."""

import re
from typing import Final

from policies.intent.interpret.canon import Board, Mark
from policies.intent.interpret.words import rule

HOLD: Final = (rule("ops.hold"),)
CHANGE: Final = rule("ops.change")
FACTOR: Final = (
    (rule("ops.halve"), -0.5),
    (re.compile(r"(?<!\w)(?:doubl(?:e|es|ed|ing)|twice(?: (?:as (?:many|much)|the))?|two ?fold)(?!\w)"), 1.0),
    (re.compile(r"(?<!\w)(?:tripl(?:e|es|ed|ing)|treble|thrice|three ?fold)(?!\w)"), 2.0),
    (re.compile(r"(?<!\w)(?:quadrupl(?:e|es|ed|ing)|four ?fold)(?!\w)"), 3.0),
)  # fmt: skip
TODAY: Final = rule("ops.today")
SHOULD: Final = rule("ops.should")

_COMPARE: Final = rule("ops.compare")
NEGATION: Final = rule("ops.negation")
NONE: Final = rule("ops.none")
MINIMIZE: Final = rule("ops.minimize")
MAXIMIZE: Final = rule("ops.maximize")
OPTIMISE: Final = rule("ops.optimise")
TO: Final = rule("ops.to")
PERMIT: Final = rule("ops.permit")


def compare(board: Board) -> list[Mark]:
    """Return the words of comparison: ``<=``, ``>=``, ``better`` or ``worse``; longest first at a place."""
    names = {"upper": "<=", "lower": ">=", "truer": "better", "falser": "worse"}
    found = []
    for match in _COMPARE.finditer(board.rest):
        name = next(key for key in names if match[key] is not None)
        found.append(Mark("compare", match.start(), match.end(), names[name]))
    return found
