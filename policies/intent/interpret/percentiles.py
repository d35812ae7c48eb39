"""Percentiles in a sentence: p99, the median, the average."""

import re
from typing import Final

from policies.intent.interpret.canon import Board
from policies.intent.interpret.words import rule

_PERCENTILE: Final = rule("percentiles.percentile")
# An average that is part of a metric's name says nothing about a percentile.
_NAMED_MEAN: Final = rule("percentiles.named_mean")
_MEAN_AFTER: Final = re.compile(r"(?:diagnos\w*|hypothes\w*|cause|quality|gpus?)\b[^.;]*$")


def mark(board: Board) -> None:
    """Mark every percentile on the board by its name: ``p50``, ``p99``, another ``pN``, ``mean``."""
    for match in list(_PERCENTILE.finditer(board.rest)):
        number = match["p"] or match["th"] or match["after"]
        if number is not None:
            name = f"p{float(number):g}"
        elif match["median"]:
            name = "p50"
        elif match["worst"]:
            continue
        else:
            if _NAMED_MEAN.match(board.rest[match.end() :]) or _MEAN_AFTER.search(board.rest[: match.start()]):
                continue
            name = "mean"
        board.take("percentile", match.start(), match.end(), name)
