"""The plain holders of incidents: who names a cause, and how firmly."""

from typing import Final

from policies.baselines.confidence import RAW_SCORE
from policies.system import System

BASELINES: Final[tuple[System, ...]] = (RAW_SCORE,)
