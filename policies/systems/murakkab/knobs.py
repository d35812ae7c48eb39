"""What an operator can set on Murakkab, with bounds."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from policies.system import Knobs
from policies.systems.murakkab.pins import parse


class MurakkabKnobs(Knobs):
    """Which objective is planned for, how full instances are, what surplus is used, and choices that are pinned.

    ``targets`` on makespan, energy, cost and quality of a job are limits beside those of the workflow itself. How full instances are
    planned is fitted to the second paper's ratios (data/calibration/executors.toml); all else was proposed, not tuned.
    """

    objective: Annotated[
        Literal["declared", "MIN_COST", "MIN_LATENCY", "MIN_ENERGY", "MAX_QUALITY"],
        Field(description="what to plan for; declared takes what each workflow asks for"),
    ] = "declared"
    utilisation_share: Annotated[float, Field(ge=0.1, le=0.95, description="how full instances are on average, at most")] = 0.82
    front_points: Annotated[int, Field(ge=2, le=40, description="makespans at which the trade-off front is looked at")] = 8
    surplus: Annotated[
        bool, Field(description="do stages of jobs without a limit on time on spot GPUs and harvested cores where they cost less")
    ] = True
    surplus_share: Annotated[float, Field(ge=0, le=1, description="of the surplus there is now, how much is planned with at most")] = 0.5
    workflow: Annotated[str, Field(max_length=40, description="whose trade-off front is told; empty is the first workflow")] = ""
    plan: Annotated[
        tuple[Annotated[str, Field(max_length=160)], ...],
        Field(max_length=400, description="choices pinned, such as video.transcript=whisper@cpu4*16/1; others stay free"),
    ] = ()

    @field_validator("plan")
    @classmethod
    def _can_be_read(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            parse(each)
        return value
