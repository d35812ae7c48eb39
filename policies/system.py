"""The card of one idea: what it is, its levers, what it claims."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from policies.claim import Claim
from policies.policy import ScopeSpec
from twin.clock import Window
from twin.metrics import Scope

Role = Literal["holder", "guard"]


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


@dataclass(frozen=True, slots=True)
class System:
    """The card. ``build(knobs, surroundings)`` returns a fresh holder object for one run.

    ``serves`` names the metrics that its levers move for the better, ``costs`` those that it may worsen;
    ``paper`` is a key of sources.toml, None for a plain baseline; a baseline that ``enforces`` bounds gets targets as systems do.
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
    enforces: bool = False
