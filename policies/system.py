"""The card of one idea: what it is, its levers, what it claims."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from policies.policy import ScopeSpec
from twin.clock import Window
from twin.metrics import Scope

Role = Literal["holder", "guard"]
VerdictWord = Literal["reproduced", "direction only", "not reproduced", "not comparable"]


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
class Verdict:
    """Ours beside the paper's."""

    ours: float | None
    word: VerdictWord
    why: str
    details: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Claim:
    """A published number, its set-up, and how ours is computed from runs.

    ``setup`` says in words what was fixed before tuning; ``policies`` are the policy sets to run on ``scenario`` by label;
    ``read`` is a pure function of the metrics of those runs: label -> metric -> value per seed.
    ``tolerance`` is the share of the paper's number within which ours counts as reproduced.
    """

    id: str
    text: str
    metric: str
    paper: float
    unit: str
    source: str
    tolerance: float
    fitted_parameters: int
    setup: str
    scenario: str
    policies: Mapping[str, Any]
    metrics: tuple[str, ...]
    read: Callable[[Mapping[str, Mapping[str, tuple[float, ...]]]], float | None]
    better: Literal["lower", "higher"] = "higher"
    seeds: tuple[int, ...] = (1, 2, 3)
    comparable: str = ""


@dataclass(frozen=True, slots=True)
class System:
    """The card. ``build(knobs, surroundings)`` returns a fresh holder object for one run.

    ``serves`` names the metrics that its levers move for the better, ``costs`` those that it may worsen;
    ``paper`` is a key of sources.toml, None for a plain baseline.
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


def judge(claim: Claim, ours: float | None) -> Verdict:
    """Hold our number against the paper's: inside the tolerance, right direction only, or neither."""
    if claim.comparable:
        return Verdict(ours, "not comparable", claim.comparable)
    if ours is None:
        return Verdict(None, "not comparable", "the runs hold no evidence for it")
    gap = abs(ours - claim.paper)
    allowed = abs(claim.paper) * claim.tolerance
    if gap <= allowed:
        return Verdict(ours, "reproduced", f"within {claim.tolerance:.0%} of the paper's number")
    if ours * claim.paper > 0:
        return Verdict(ours, "direction only", f"same direction, off by {gap / abs(claim.paper):.0%} of the paper's number")
    return Verdict(ours, "not reproduced", "the effect is absent or points the other way")
