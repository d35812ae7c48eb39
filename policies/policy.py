"""PolicySet: who holds each lever, where and with which knobs."""

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from twin.metrics import Scope, ScopeKind

KnobValue = bool | int | float | str | None | tuple[Any, ...] | dict[str, Any]


class ScopeSpec(BaseModel):
    """One entity in a scope, as it is written in JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: ScopeKind
    id: Annotated[str, Field(min_length=1, max_length=80)]

    def scope(self) -> Scope:
        """Return the twin's own scope."""
        return Scope(self.kind, self.id)


class Held(BaseModel):
    """One holder in a lever's stack: a system, where it decides, and its knobs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    system: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=40)]
    scope: tuple[ScopeSpec, ...] = ()
    knobs: dict[str, KnobValue] = Field(default_factory=dict)


class PolicySet(BaseModel):
    """Lever to stack of holders; a lever left out is held by its baseline. Never code."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=80)] = "unnamed"
    levers: dict[str, tuple[Held, ...]] = Field(default_factory=dict)

    def canonical(self) -> dict[str, Any]:
        """Return what decides behaviour, in one order; the name is left out."""
        levers = self.model_dump(mode="json")["levers"]
        return {lever: levers[lever] for lever in sorted(levers)}

    @property
    def policy_id(self) -> str:
        """Return the first 12 hex digits of the hash of what decides behaviour."""
        text = json.dumps(self.canonical(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def difference(self, other: "PolicySet") -> dict[str, tuple[tuple[Held, ...], tuple[Held, ...]]]:
        """Return the levers whose stacks differ: lever to (mine, the other's)."""
        names = sorted(set(self.levers) | set(other.levers))
        mine: Mapping[str, tuple[Held, ...]] = self.levers
        return {n: (mine.get(n, ()), other.levers.get(n, ())) for n in names if mine.get(n, ()) != other.levers.get(n, ())}


TODAY = PolicySet(name="today")


class Step(BaseModel):
    """From a time of the run on, this policy set is in force."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    from_s: Annotated[float, Field(ge=0)] = 0.0
    policy: PolicySet


class Schedule(BaseModel):
    """Policy sets over a run, in the order of their times; the first begins at 0."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: Annotated[tuple[Step, ...], Field(min_length=1)]

    @classmethod
    def of(cls, policy: PolicySet) -> "Schedule":
        """Return the schedule that holds one policy set throughout."""
        return cls(steps=(Step(policy=policy),))
