"""What the API takes: every body, checked."""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from app.api.refusals import Refused

FASTEST: float = 3600.0
MOST_AT_ONCE: int = 1000
_Scope = Literal["workload", "deployment", "vm"]
_Id = Annotated[StrictStr, Field(min_length=1, max_length=200)]
_Name = Annotated[StrictStr, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
_Pace = Annotated[float, Field(ge=0, le=FASTEST, strict=True)]
_Time = Annotated[float, Field(ge=0, le=5_184_000, strict=True)]


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Begin(_Body):
    """A new session: ``policy`` is *today*, the id of a policy or an intent in the ledger, or a policy set."""

    scenario: _Name
    policy: Annotated[StrictStr, Field(pattern=r"^[A-Za-z0-9-]{1,40}$")] | dict[str, Any] = "today"
    seed: Annotated[StrictInt, Field(ge=0, lt=2**31)] | None = None
    speed: _Pace = 0.0


class Advance(_Body):
    """How to go on: to a time or by some seconds, at once; or at a pace, seconds of the twin a second, 0 to stand still."""

    to_s: _Time | None = None
    by_s: _Time | None = None
    speed: _Pace | None = None
    until_notice: StrictBool = False

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(each is not None for each in (self.to_s, self.by_s, self.speed)) != 1:
            raise ValueError("write one of to_s, by_s and speed")
        return self


class HintBody(_Body):
    """A hint: ``value`` is a number, level or flag, null takes the hint back."""

    scope: _Scope
    of: _Id
    key: Annotated[StrictStr, Field(max_length=60)]
    value: StrictBool | StrictInt | StrictFloat | Annotated[StrictStr, Field(max_length=40)] | None


class AnswerBody(_Body):
    """An answer to a notice by its number, for all of its VMs unless ``scope`` and ``of`` narrow them; or to a kind of notice."""

    notice: Annotated[StrictInt, Field(ge=0)] | Annotated[StrictStr, Field(max_length=60)]
    answer: Literal["accepted", "declined"]
    scope: _Scope | None = None
    of: _Id | None = None

    @model_validator(mode="after")
    def _whose(self) -> Self:
        if (self.scope is None) != (self.of is None):
            raise ValueError("write scope and of, or neither")
        if self.scope is None and isinstance(self.notice, str):
            raise ValueError("an answer to a kind of notice says whose: write scope and of")
        return self


class Close(_Body):
    """The end of a session; its log is imported as ``name``."""

    name: _Name | None = None


HINTS: TypeAdapter[list[HintBody]] = TypeAdapter(Annotated[list[HintBody], Field(min_length=1, max_length=MOST_AT_ONCE)])
ANSWERS: TypeAdapter[list[AnswerBody]] = TypeAdapter(Annotated[list[AnswerBody], Field(min_length=1, max_length=MOST_AT_ONCE)])


def checked(kind: Any, value: Any) -> Any:
    """Return a body as its type has it; what is wrong is one line with its place."""
    try:
        return (kind if isinstance(kind, TypeAdapter) else TypeAdapter(kind)).validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the body"
        raise Refused(422, f"{place[:120]}: {first['msg'].removeprefix('Value error, ')[:200]}") from None
