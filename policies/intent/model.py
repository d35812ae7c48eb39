"""Intent: what the operator wants, as data; its read-back and chips."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, field_validator, model_validator

from policies.intent.readback import bound_words, read_back, scope_words
from policies.policy import KnobValue, ScopeSpec
from twin.clock import DAYS, Window, hour_of
from twin.metrics import METRICS, Scope

__all__ = [
    "TEXT_LIMIT", "Chip", "Expectation", "Finding", "Intent", "Objective", "Question", "Span", "WindowSpec",
    "chips", "hours", "read_back", "spans_overlap",
]  # fmt: skip
TEXT_LIMIT = 600
Severity = Literal["info", "question", "block"]
Op = Literal["<=", ">="]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Span = tuple[int, int]
_Clock = Annotated[str, Field(pattern=r"^(([01]\d|2[0-3]):[0-5]\d|24:00)$")]
_Metric = Annotated[str, Field(max_length=60)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, serialize_by_alias=True)


def _known(metric: str) -> str:
    if metric not in METRICS:
        raise ValueError(f"{metric} is not a metric of the vocabulary; see `intentwin metrics`")
    return metric


class WindowSpec(_Frozen):
    """Local hours of some days; ``to`` below ``from`` runs overnight, hours that are not named are null."""

    from_: Annotated[_Clock | None, Field(alias="from")] = None
    to: _Clock | None = None
    days: tuple[Day, ...] | None = None

    @model_validator(mode="after")
    def _sane(self) -> "WindowSpec":
        if (self.from_ is None) != (self.to is None):
            raise ValueError("a window names both of its hours or neither; write 00:00 or 24:00 for an open end")
        if self.from_ is None and not self.days:
            raise ValueError("a window names hours or days; use null for always")
        if self.from_ is not None and self.from_ == self.to:
            raise ValueError("a window that begins when it ends is empty; use null for always")
        return self

    def window(self) -> Window:
        """Return the twin's own window."""
        return Window.of(self.from_, self.to, self.days)

    def words(self) -> str:
        """Return the window as an operator says it."""
        hours = "" if self.from_ is None else f"from {self.from_} to {self.to}"
        if not self.days:
            return hours
        short = {("sat", "sun"): "at weekends", DAYS[:5]: "on weekdays"}
        days = short.get(tuple(self.days), "on " + ", ".join(day.capitalize() for day in self.days))
        return f"{hours} {days}".strip()


class Expectation(_Frozen):
    """One bound on one metric; ``relative`` values are the change against today's policy as a share."""

    metric: _Metric
    op: Op
    value: Annotated[float, Field(strict=True, allow_inf_nan=False)]
    relative: StrictBool = False
    strength: Literal["must", "should"] = "must"
    scope: tuple[ScopeSpec, ...] | None = None
    window: WindowSpec | None = None

    @field_validator("metric")
    @classmethod
    def _metric_known(cls, metric: str) -> str:
        return _known(metric)


class Objective(_Frozen):
    """The one metric to push as far as the expectations allow."""

    sense: Literal["minimize", "maximize"]
    metric: _Metric

    @field_validator("metric")
    @classmethod
    def _metric_known(cls, metric: str) -> str:
        return _known(metric)


class Question(_Frozen):
    """What the operator must be asked; ``about`` is a metric, a lever, scope, window, value or meaning."""

    about: Annotated[str, Field(min_length=1, max_length=60)]
    text: Annotated[str, Field(min_length=1, max_length=400)]


class Finding(_Frozen):
    """Something that a guard or a check has to say; a question waits for an answer, a block refuses."""

    severity: Severity
    about: Annotated[str, Field(min_length=1, max_length=60)]
    text: Annotated[str, Field(min_length=1, max_length=400)]


class Intent(_Frozen):
    """What the operator wants, in the vocabulary's words; a scope or window on an expectation overrides the intent's."""

    text: Annotated[str, Field(max_length=TEXT_LIMIT)] = ""
    kind: Literal["operational", "functional"] = "operational"
    objective: Objective | None = None
    expectations: Annotated[tuple[Expectation, ...], Field(max_length=20)] = ()
    scope: Annotated[tuple[ScopeSpec, ...], Field(max_length=400)] = ()
    window: WindowSpec | None = None
    settings: dict[str, dict[str, KnobValue]] = Field(default_factory=dict)
    questions: Annotated[tuple[Question, ...], Field(max_length=20)] = ()

    @field_validator("settings")
    @classmethod
    def _names_system(cls, settings: dict[str, dict[str, KnobValue]]) -> dict[str, dict[str, KnobValue]]:
        for lever, choice in settings.items():
            if not isinstance(choice.get("system"), str):
                raise ValueError(f'settings.{lever} names no system; write {{"system": …}}')
        return settings

    def scope_of(self, expectation: Expectation) -> tuple[Scope, ...]:
        """Return where an expectation holds: its own scope or the intent's, less the kinds that its metric lacks."""
        chosen = self.scope if expectation.scope is None else expectation.scope
        kinds = METRICS[expectation.metric].scopes
        return tuple(spec.scope() for spec in chosen if spec.kind in kinds)

    def window_of(self, expectation: Expectation) -> WindowSpec | None:
        """Return when an expectation holds: its own window or the intent's."""
        return self.window if expectation.window is None else expectation.window

    def empty(self) -> bool:
        """Return whether nothing is asked for."""
        return not self.expectations and self.objective is None and not self.settings

    def json_dict(self) -> dict[str, Any]:
        """Return exactly the JSON of the vocabulary."""
        return self.model_dump(mode="json", by_alias=True)


class Chip(_Frozen):
    """One part of a reading that can be edited: its slot, its value as shown, where it came from, the path to change."""

    slot: str
    value: str
    span: Span | None = None
    path: str


def hours(window: WindowSpec | None) -> list[tuple[float, float]]:
    """Return the pieces of a day that a window covers, in hours; the whole day where it names none."""
    if window is None or window.from_ is None or window.to is None:
        return [(0.0, 24.0)]
    begin, end = hour_of(window.from_), hour_of(window.to)
    return [(begin, end)] if begin < end else [(begin, 24.0), (0.0, end)]


def spans_overlap(one: WindowSpec | None, other: WindowSpec | None) -> bool:
    """Return whether two windows share any time; overnight windows count on both of their days."""
    if one is not None and other is not None and one.days and other.days and not set(one.days) & set(other.days):
        return False
    return any(a < d and c < b for a, b in hours(one) for c, d in hours(other))


def chips(intent: Intent, spans: Mapping[str, Span] | None = None) -> tuple[Chip, ...]:
    """Return the parts of an intent that can be edited one by one; ``spans`` maps a path to its place in the text."""
    where = spans or {}
    out = [Chip(slot="kind", value=intent.kind, span=where.get("kind"), path="kind")]
    if intent.objective is not None:
        value = f"{intent.objective.sense} {METRICS[intent.objective.metric].label}"
        out.append(Chip(slot="objective", value=value, span=where.get("objective"), path="objective"))
    for index, wish in enumerate(intent.expectations):
        path = f"expectations/{index}"
        out.append(Chip(slot="metric", value=METRICS[wish.metric].label, span=where.get(f"{path}/metric"), path=f"{path}/metric"))
        out.append(Chip(slot="bound", value=bound_words(wish), span=where.get(f"{path}/value"), path=f"{path}/value"))
        if wish.strength == "should":
            out.append(Chip(slot="strength", value="if possible", span=where.get(f"{path}/strength"), path=f"{path}/strength"))
        if wish.scope is not None:
            out.append(Chip(slot="scope", value=scope_words(wish.scope), span=where.get(f"{path}/scope"), path=f"{path}/scope"))
        if wish.window is not None:
            out.append(Chip(slot="window", value=wish.window.words(), span=where.get(f"{path}/window"), path=f"{path}/window"))
    out.append(Chip(slot="scope", value=scope_words(intent.scope), span=where.get("scope"), path="scope"))
    always = "always" if intent.window is None else intent.window.words()
    out.append(Chip(slot="window", value=always, span=where.get("window"), path="window"))
    for lever, choice in intent.settings.items():
        out.append(Chip(slot=lever, value=str(choice["system"]), span=where.get(f"settings/{lever}"), path=f"settings/{lever}"))
    return tuple(out)
