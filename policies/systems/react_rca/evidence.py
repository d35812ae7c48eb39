"""What the claims are computed from: labelled predictions of all holders."""

from collections.abc import Mapping, Sequence
from typing import Final

from twin.incidents.levers import Labelled

Numbers = Mapping[str, float | None]
OURS: Final = "react_rca"
GAIN: Final = "gain"
BASELINES: Final = ("nearest", "retrieval_k10", "no_tools", "loudest")


def unsupported(earlier: Sequence[Labelled], later: Sequence[Labelled]) -> Numbers:
    """Return of each holder the share of its claims that its evidence does not say; None where it claimed nothing."""
    del earlier
    return {who: _unsupported(later, who) for who in (OURS, *BASELINES)}


def right_over_best(earlier: Sequence[Labelled], later: Sequence[Labelled]) -> Numbers:
    """Return our share of right causes over that of the best baseline, and each holder's share."""
    del earlier
    shares = {who: _right(later, who) for who in (OURS, *BASELINES)}
    known = [share for who in BASELINES if (share := shares[who])]
    mine = shares[OURS]
    ratio = mine / max(known) if known and mine is not None else None
    return {OURS: ratio, **{f"right, {who}": share for who, share in shares.items()}}


def discussed(earlier: Sequence[Labelled], later: Sequence[Labelled]) -> Numbers:
    """Return what reading discussions gains: nothing is known of it where no holder reads any, beside our share of right causes."""
    del earlier
    return {GAIN: None, "right without them": _right(later, OURS)}


def _unsupported(later: Sequence[Labelled], who: str) -> float | None:
    told = [each.prediction.investigation for each in later if each.prediction.predictor == who and each.prediction.investigation]
    claims = sum(each.claims for each in told)
    return sum(each.unsupported for each in told) / claims if claims else None


def _right(later: Sequence[Labelled], who: str) -> float | None:
    told = [each.right for each in later if each.prediction.predictor == who]
    return sum(told) / len(told) if told else None
