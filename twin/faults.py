"""Faults as every domain takes them: what, where, when, how badly."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Fault(BaseModel):
    """One injected fault. It changes only the state of the model that owns ``kind``; effects travel through the twin.

    ``target`` is an id of the fleet or the scenario. ``severity`` is the share of the capability that is lost (1 is all).
    ``until_s`` None means that it lasts to the end of the run.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Annotated[str, Field(pattern=r"^[a-z_]+$", max_length=40)]
    target: Annotated[str, Field(max_length=80)]
    from_s: Annotated[float, Field(ge=0)]
    until_s: float | None = None
    severity: Annotated[float, Field(gt=0, le=1)] = 1.0

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        if self.until_s is not None and self.until_s <= self.from_s:
            raise ValueError(f"until_s is {self.until_s:g}, not after from_s, {self.from_s:g}; leave it out to last to the end")
        return self

    def active(self, t_s: float) -> bool:
        """Return whether the fault is on at a time (begin included, end excluded)."""
        return self.from_s <= t_s and (self.until_s is None or t_s < self.until_s)

    def edges_s(self) -> tuple[float, ...]:
        """Return the times at which the fault begins and ends."""
        return (self.from_s,) if self.until_s is None else (self.from_s, self.until_s)
