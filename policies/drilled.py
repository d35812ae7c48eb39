"""Drills by the hundred: what holders said of them, labelled and counted."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan
from pathlib import Path
from typing import Final, Literal

import numpy as np

from policies import drill, pool
from policies.drill import OURS, Drilled, Question, Said
from policies.systems.pace.combining import fit
from twin.incidents import calibration
from twin.incidents.causes import CAUSES
from twin.incidents.drills import Use
from twin.incidents.levers import Labelled, Prediction
from twin.incidents.trajectory import Investigation, Status
from twin.scenario import Scenario

# What is learnt from lies on one site, what is judged on another and later. So many drills, so that 500 of the later are noticed.
EARLIER: Final = "drill-a"
LATER: Final = "drill-b"
EARLIER_DRILLS: Final = 300
LATER_DRILLS: Final = 720
# The investigator was tuned on the first drills of the earlier scenario; labels come from those behind.
_FIRST: Final[Mapping[Use, int]] = {"history": 0, "fit": 1_000, "held-out": 0}


def asked(  # noqa: PLR0913 - the question has five parts, the rest is how it is watched
    base: str,
    use: Use,
    count: int,
    home: Path,
    *,
    seed: int = 1,
    workers: int = 1,
    progress: pool.Report | None = None,
    cancel: pool.Cancel | None = None,
) -> list[Drilled]:
    """Return what comes of ``count`` drills of a use on a scenario, in their order; what is kept is not simulated again.

    Those of the use "fit" begin behind the ones that the investigator was tuned on.
    """
    questions = [Question(base, use, number, seed, home) for number in range(_FIRST[use], _FIRST[use] + count)]
    return pool.answer(drill.ask, questions, workers=workers, progress=progress, cancel=cancel)


@dataclass(frozen=True)
class Harness:
    """Implements ``policies.reproduce.ScoredIncidents`` over drills: so many processes, progress and cancelling as in ``policies.pool``."""

    workers: int = 1
    progress: pool.Report | None = None
    cancel: pool.Cancel | None = None
    earlier_drills: int = EARLIER_DRILLS
    later_drills: int = LATER_DRILLS

    def __call__(self, part: Literal["earlier", "later"], scenario: Scenario, seed: int, home: Path) -> list[Labelled]:
        """Return labelled predictions; the later ones are of the scenario, the earlier ones of another and of days before."""
        base, use, count = (EARLIER, "fit", self.earlier_drills) if part == "earlier" else (scenario.name, "held-out", self.later_drills)
        use_: Use = "fit" if use == "fit" else "held-out"
        found = asked(base, use_, count, home, seed=seed, workers=self.workers, progress=self.progress, cancel=self.cancel)
        return [label for each in found for label in labelled(each)]


def labelled(found: Drilled) -> list[Labelled]:
    """Return what each holder said of a drill as labelled predictions; where nobody noticed there are none.

    Who named nothing is not right, and has no score.
    """
    incident = found.incident
    if incident is None:
        return []
    out = []
    for said in found.said:
        investigation = Investigation(
            incident.incident_id, incident.detected_s, said.holder, "", (), (), _status(said), (), "", said.claims, said.unsupported
        )  # fmt: skip
        text = CAUSES[said.cause].title if said.cause in CAUSES else said.cause
        prediction = Prediction(incident, said.holder, text, said.cause, said.entity_id, said.score, investigation)
        out.append(Labelled(prediction, said.right, found.known, said.sufficient, said.likely))
    return out


def _status(said: Said) -> Status:
    return "confirmed" if said.status == "confirmed" else "likely" if said.status == "likely" else "inconclusive"


@dataclass(frozen=True, slots=True)
class Figures:
    """How well a holder did on drills. Shares are None where there is nothing to take one of.

    ``noticed`` of the ``provable`` opened an incident; ``top1`` and ``top3`` of these have the right cause and place first or among
    three, where the answer is not inconclusive for the first; ``accused`` of the ``unprovable`` that were noticed named somebody
    who had done nothing. ``confused`` counts causes and what was said instead.
    """

    drills: int
    provable: int
    noticed: int
    top1: float | None
    first: float | None
    top3: float | None
    unprovable: int
    accused: float | None
    cpu_s: float | None
    confused: tuple[tuple[str, str, int], ...]


def figures(found: Sequence[Drilled], holder: str = OURS) -> Figures:
    """Return how well a holder did on drills."""
    provable = [each for each in found if each.provable]
    answered = [said for each in provable for said in each.said if said.holder == holder]
    unproven = [said for each in found if not each.provable for said in each.said if said.holder == holder]
    firm = [said.right and said.status != "inconclusive" for said in answered]
    wrong = Counter(
        (each.kind, _instead(said))
        for each in provable
        for said in each.said
        if said.holder == holder and not (said.right and said.status != "inconclusive")
    )
    return Figures(
        drills=len(found),
        provable=len(provable),
        noticed=len(answered),
        top1=_share(firm),
        first=_share([said.right for said in answered]),
        top3=_share([said.third for said in answered]),
        unprovable=len(unproven),
        accused=_share([said.status != "inconclusive" and not said.right for said in unproven]),
        cpu_s=float(np.mean([said.cpu_s for said in (*answered, *unproven)])) if answered or unproven else None,
        confused=tuple((kind, what, count) for (kind, what), count in wrong.most_common()),
    )


def _instead(said: Said) -> str:
    firm = "" if said.status != "inconclusive" else " (inconclusive)"
    return f"{said.cause or 'nobody'} at {said.entity_id}{firm}" if said.cause else "nobody"


def _share(held: Sequence[bool]) -> float | None:
    return sum(held) / len(held) if held else None


@dataclass(frozen=True, slots=True)
class Confidence:
    """How good PACE is on later drills, fitted on earlier ones; ``base_brier`` is of a constant that knows how many are right."""

    labels: int
    judged: int
    right_share: float
    brier: float
    base_brier: float
    auroc: float
    ece_width: float


def confidence(earlier: Sequence[Drilled], later: Sequence[Drilled], holder: str = OURS) -> Confidence | None:
    """Return it for one holder; None where no earlier or no later answer has a score."""
    taught, judged = ([label for each in found for label in labelled(each) if _asked_of(label, holder)] for found in (earlier, later))
    if not taught or not judged:
        return None
    fitted = fit(taught)
    sufficient, likely = (np.array([getattr(each, name) for each in judged]) for name in ("sufficient", "likely"))
    right = np.array([each.right for each in judged], dtype=np.float64)
    told = calibration.measures(fitted.confidence(sufficient, likely), right, bins=calibration.BINS)
    return Confidence(
        len(taught),
        len(judged),
        float(right.mean()),
        told.brier,
        float(right.mean() * (1.0 - right.mean())),
        told.auroc if np.isfinite(told.auroc) else nan,
        told.ece_width,
    )


def _asked_of(label: Labelled, holder: str) -> bool:
    return label.prediction.predictor == holder and bool(np.isfinite([label.prediction.score, label.sufficient, label.likely]).all())
