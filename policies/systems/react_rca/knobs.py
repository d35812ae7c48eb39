"""What an operator can set on the investigator, with bounds."""

from typing import Annotated, Literal

from pydantic import Field

from policies.system import Knobs

Variant = Literal["react", "react_retrieval", "chain_of_thought", "interleaved_retrieval", "retrieval"]


class ReactRcaKnobs(Knobs):
    """Who investigates, what it may use, and how much it may take.

    Windows and thresholds are proposed, not fitted. The variants are the paper's comparisons; they need a language model.
    """

    driver: Annotated[
        Literal["embedded", "model"],
        Field(description="rules and statistics inside the product, or the language model that INTENTWIN_MODEL names"),
    ] = "embedded"
    model: Annotated[str, Field(max_length=120, description="the language model, as LiteLLM names it; empty takes INTENTWIN_MODEL")] = ""
    variant: Annotated[
        Variant,
        Field(
            description="of a language model: all tools (react), details and history alone (react_retrieval), the incident's text alone "
            "(chain_of_thought), thoughts and searches in turn (interleaved_retrieval), the nearest incidents at once (retrieval)"
        ),
    ] = "react"
    neighbours: Annotated[int, Field(ge=1, le=50, description="resolved incidents that are looked up")] = 10
    discussions: Annotated[bool, Field(description="a language model also reads what was checked and said in resolved incidents")] = False
    lead_s: Annotated[float, Field(ge=60, le=86_400, description="how long before the symptom causes are looked for")] = 1_800.0
    normal_s: Annotated[float, Field(ge=600, le=604_800, description="how long before that counts as normal")] = 14_400.0
    team_tools: Annotated[
        str, Field(max_length=400, description="folder of a team's tools; empty takes the folder tools of the product's home")
    ] = ""
    most_tokens: Annotated[int, Field(ge=1_000, le=5_000_000, description="tokens that a language model may take, in and out")] = 200_000
    budget_usd: Annotated[float, Field(gt=0, le=100, description="money that it may cost")] = 1.0
    timeout_s: Annotated[float, Field(gt=0, le=3_600, description="seconds that it may take")] = 300.0
