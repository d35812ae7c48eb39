"""The card of one idea: what it is, its levers, what it claims."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from policies.claim import Claim
from policies.policy import ScopeSpec
from twin.clock import Clock, Window
from twin.metrics import Scope

Role = Literal["holder", "guard"]
# How large the devices of a pod are, where that is not left to past demand.
DeviceBytes = Annotated[
    tuple[Annotated[int, Field(ge=1 << 20, le=1 << 50)], ...],
    Field(max_length=5_000, description="capacity of each device, one for all or one for each pod; empty sizes them by past demand"),
]
_MONDAY: Final = datetime(2024, 1, 1, tzinfo=UTC)


class Target(BaseModel):
    """An expectation as a system receives it: enforce this bound, there and then. Absolute, in the metric's unit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    metric: str
    op: Literal["<=", ">="]
    bound: Annotated[float, Field(allow_inf_nan=False)]
    scope: tuple[ScopeSpec, ...] = ()
    from_hour: Annotated[float, Field(ge=0, le=24)] | None = None
    to_hour: Annotated[float, Field(ge=0, le=24)] | None = None
    days: tuple[Annotated[int, Field(ge=0, le=6)], ...] = ()

    @property
    def window(self) -> Window | None:
        """Return the hours in which the target holds, None for always."""
        if self.from_hour is None and self.to_hour is None and not self.days:
            return None
        return Window(self.from_hour, self.to_hour, self.days)

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """Return the twin's own scopes."""
        return tuple(spec.scope() for spec in self.scope)

    def bounds(self, endpoint_ids: Sequence[str]) -> NDArray[np.bool_]:
        """Return which endpoints it is for, shape E: all without a scope, else those it names; a place is no endpoint."""
        named = {spec.id for spec in self.scope if spec.kind == "endpoint"}
        return np.array([not self.scope or name in named for name in endpoint_ids], dtype=np.bool_)

    def in_force(self, clock: Clock, t_s: float, ahead_s: float = 0.0) -> bool:
        """Return whether it holds now or within ``ahead_s``, by whole minutes, as windows are written; one that has begun counts."""
        minute_s = 60.0 * (t_s // 60.0)
        times_s = np.append(np.arange(minute_s, minute_s + ahead_s, 60.0), minute_s + max(ahead_s, 59.0))
        return bool(clock.inside(times_s, self.window).any())


class Knobs(BaseModel):
    """Base of every system's knobs: frozen, strict, each field with bounds, a default and a description.

    ``targets`` carries the expectations that the system serves.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    targets: tuple[Target, ...] = ()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a system may know of the site when it is built: names, never state."""

    row_ids: tuple[str, ...]
    rack_ids: tuple[str, ...]
    server_ids: tuple[str, ...]
    endpoint_ids: tuple[str, ...]
    server_racks: tuple[int, ...]
    server_rows: tuple[int, ...]
    start_weekday: int
    start_hour: float

    @property
    def clock(self) -> Clock:
        """Return a clock of the site: its date is not known, weekday and hour are."""
        return Clock(_MONDAY + timedelta(days=self.start_weekday, hours=self.start_hour))


@dataclass(frozen=True, slots=True)
class Option:
    """One design that could be built: its name, what it is in words, and what it comes to.

    ``metrics`` are of the vocabulary (as predicted, not yet run), ``details`` whatever else is known, units in the names.
    ``misses`` says in words which limits it does not keep and by how much; ``knobs`` are those of its system that build this one and
    no other, whatever demand they are run on.
    """

    name: str
    title: str
    metrics: Mapping[str, float]
    details: Mapping[str, float] = field(default_factory=dict)
    misses: tuple[str, ...] = ()
    knobs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a system would build: the options that none beats (within the limits), the one it chooses, and why.

    Where none keeps every limit, ``chosen`` is None, ``front`` is empty, and ``nearest`` misses by the least. ``considered``
    counts the designs that were looked at; ``refused`` names those that cannot be built, each with the reason.
    """

    front: tuple[Option, ...]
    chosen: Option | None
    why: str
    nearest: Option | None = None
    considered: int = 0
    refused: Mapping[str, str] = field(default_factory=dict)

    def told(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class System:
    """The card. ``build(knobs, surroundings)`` returns a fresh holder object for one run.

    ``serves`` names the metrics that its levers move for the better, ``costs`` those that it may worsen;
    ``enforces`` names those of both whose bounds its holder keeps in view: only they reach it as targets. Whatever else it serves it
    moves the right way, and the twin shows how far. ``paper`` is a key of sources.toml, None for a plain baseline.
    ``parts`` names what its paper takes apart, each with the levers that it is: ablations hold some of them.
    ``on_request`` are levers that no intent gives it unless it names them: there it changes nothing until a knob says so.
    ``answer(knobs, seen)`` is what a functional intent is answered with, where its holder decides a design at the start.
    ``pins`` are the knobs that name one design: at their defaults the holder chooses, run by run.
    """

    id: str
    name: str
    question: str
    levers: Mapping[str, Role]
    serves: tuple[str, ...]
    costs: tuple[str, ...]
    knobs: type[Knobs]
    build: Callable[[Any, Surroundings], Any]
    paper: str | None = None
    watch: tuple[str, ...] = ()
    claims: tuple[Claim, ...] = ()
    enforces: tuple[str, ...] = ()
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    on_request: tuple[str, ...] = ()
    answer: Callable[[Any, Any], Answer] | None = None
    pins: tuple[str, ...] = ()
