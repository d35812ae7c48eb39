"""How often the true cause is among the first: AC@1, AC@3, Avg@5."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.incidents.blame import USUAL, Blame, Parameters, blame
from twin.incidents.cases import LabelledCase


def solve(case: LabelledCase, onset_known: bool = True, parameters: Parameters = USUAL) -> Blame:
    """Rank the entities of one case; its truth is not looked at."""
    onset_s = case.onset_s if onset_known else None
    return blame(case.series, case.graph, case.symptom, case.normal, case.window, onset_s, parameters)


def evaluate(cases: Iterable[LabelledCase], onset_known: bool = True, parameters: Parameters = USUAL) -> dict[str, Any]:
    """Score the method: ``{"n", "ac_at_1", "ac_at_3", "avg_at_5", "splits": {name: the same}, "cases": [...]}``.

    Avg@5 is the mean of AC@1 to AC@5. A case's ``rank`` is that of the true cause, 0 where neither series nor graph know it.
    ValueError without a case.
    """
    told = []
    for case in cases:
        found = solve(case, onset_known, parameters)
        names = [each.entity_id for each in found.ranking]
        rank = names.index(case.truth) + 1 if case.truth in names else 0
        told.append(
            {
                "case_id": case.case_id,
                "split": case.split,
                "kind": case.kind,
                "symptom": list(case.symptom),
                "truth": case.truth,
                "rank": rank,
                "accused": found.accused,
                "onset_error_s": None if found.onset_s is None else found.onset_s - case.onset_s,
                "top": [{"entity_id": each.entity_id, "score": each.score, "reasons": list(each.reasons)} for each in found.ranking[:5]],
                "path": list(found.path),
            }
        )
    if not told:
        raise ValueError("no case to score; give at least one")
    ranks = np.array([each["rank"] for each in told])
    splits = sorted({str(each["split"]) for each in told})
    of = {split: np.array([each["rank"] for each in told if each["split"] == split]) for split in splits}
    return {**_accuracy(ranks), "splits": {split: _accuracy(part) for split, part in of.items()}, "cases": told}


def _accuracy(ranks: NDArray[np.int64]) -> dict[str, float | int]:
    within = [float(((ranks > 0) & (ranks <= k)).mean()) for k in range(1, 6)]
    return {"n": len(ranks), "ac_at_1": within[0], "ac_at_3": within[2], "avg_at_5": float(np.mean(within))}
