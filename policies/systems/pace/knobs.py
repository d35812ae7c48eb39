"""What an operator can set on PACE, with bounds."""

from typing import Annotated, Literal

from pydantic import Field

from policies.system import Knobs


class PaceKnobs(Knobs):
    """Who judges, how often, and by how many resolved incidents.

    How many neighbours and samples the paper takes is not known; these are proposed, not tuned.
    """

    judge: Annotated[
        Literal["embedded", "model"],
        Field(description="who gives both scores: resampled evidence, or the language model that INTENTWIN_MODEL names"),
    ] = "embedded"
    neighbours: Annotated[int, Field(ge=1, le=50, description="resolved incidents that a cause is held against")] = 10
    samples: Annotated[int, Field(ge=5, le=500, description="judgements from resampled evidence that are averaged")] = 60
    model_samples: Annotated[int, Field(ge=1, le=50, description="judgements of a language model that are averaged")] = 5
    budget_usd: Annotated[float, Field(gt=0, le=100, description="money that the judgements on one prediction may cost")] = 0.5
    timeout_s: Annotated[float, Field(gt=0, le=3_600, description="seconds that they may take together")] = 180.0
    seed: Annotated[int, Field(ge=0, le=1_000_000, description="seed of the resampling")] = 1
