"""Incidents whose cause is known, with what was measured about them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.incidents.dependencies import Dependencies
from twin.incidents.series import Series

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class LabelledCase:
    """One incident of a data set.

    ``series`` holds normal times (rows ``normal``, (T,)) and the incident's surroundings (rows ``window``); they may overlap
    where what precedes an incident is all that is known of normal times. ``symptom`` is an entity and its metric, ``onset_s`` when
    the incident is said to have begun, ``truth`` the entity at fault: for the judge alone.
    """

    case_id: str
    split: str
    series: Series
    graph: Dependencies
    symptom: tuple[str, str]
    onset_s: float
    normal: Bools
    window: Bools
    truth: str
    kind: str = ""
