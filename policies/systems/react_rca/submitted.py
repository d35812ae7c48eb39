"""What a language model submits, read strictly into hypotheses."""

from collections.abc import Mapping
from math import nan
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from twin.incidents.causes import CAUSES
from twin.incidents.trajectory import Hypothesis, Statement, Status

_Name = Annotated[str, Field(max_length=120)]
_Words = Annotated[str, Field(max_length=600)]


class _Said(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    words: _Words
    entity: _Name = ""
    evidence: Annotated[tuple[_Name, ...], Field(max_length=20)] = ()
    supports: bool = True


class _Cause(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    entity: _Name
    cause: _Name
    mechanism: _Words = ""
    path: Annotated[tuple[_Name, ...], Field(max_length=20)] = ()
    onset_s: Annotated[float, Field(allow_inf_nan=False)] | None = None
    score: Annotated[float, Field(ge=0, le=1)]
    statements: Annotated[tuple[_Said, ...], Field(max_length=20)] = ()


class Submission(BaseModel):
    """Ranked causes, how firm they are, what was ruled out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hypotheses: Annotated[tuple[_Cause, ...], Field(max_length=5)]
    status: Status
    ruled_out: Annotated[tuple[_Words, ...], Field(max_length=20)] = ()

    def found(self) -> tuple[Hypothesis, ...]:
        """Return the hypotheses, the likeliest first."""
        return tuple(_hypothesis(item) for item in sorted(self.hypotheses, key=lambda item: -item.score))


def read(given: Mapping[str, Any]) -> Submission:
    """Read what was submitted; ValueError says in one line what cannot be used."""
    try:
        told = Submission.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from None
    for item in told.hypotheses:
        if item.cause not in CAUSES:
            raise ValueError(f"cause {item.cause!r} is no class of cause; take one of {', '.join(CAUSES)}")
    return told


def _hypothesis(item: _Cause) -> Hypothesis:
    return Hypothesis(
        entity_kind=CAUSES[item.cause].entity_kind,
        entity_id=item.entity,
        cause=item.cause,
        mechanism=item.mechanism,
        path=item.path,
        onset_s=nan if item.onset_s is None else item.onset_s,
        score=item.score,
        statements=tuple(Statement(said.words, said.entity, said.evidence, said.supports) for said in item.statements),
    )
