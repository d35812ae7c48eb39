"""What a scenario says of hints, classes of workloads and surplus."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from twin.sources import calibration
from twin.workloads.negotiation import keys, treatments

Share = Annotated[float, Field(ge=0, le=1)]


def _default(section: str, name: str) -> Any:
    return Field(default_factory=lambda: float(calibration("negotiation")[section][name]["value"]))


class Hints(BaseModel):
    """Hints that go with a workload's deployments, by key, over those of its class. They are checked like any other hint."""

    model_config = ConfigDict(frozen=True, extra="allow")

    @model_validator(mode="after")
    def _known(self) -> Self:
        for name, said in (self.model_extra or {}).items():
            keys.value(name, said)
        return self

    def values(self) -> dict[str, float]:
        """Return each key with its value as a number."""
        return {name: keys.value(name, said) for name, said in (self.model_extra or {}).items()}


class Tenant(BaseModel):
    """One workload of the site as the negotiation sees it: its class says what it hints and how it answers.

    ``id`` is a workload that rents VMs, or a serving endpoint. ``agent`` other than that of its class answers for it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    id: Annotated[str, Field(min_length=1, max_length=60)]
    workload_class: Annotated[str, Field(alias="class", min_length=1, max_length=60)]
    deployments: Annotated[int, Field(ge=1, le=100)] = 2
    agent: Literal["batch", "microservices", "functions", "endpoint", "silent"] | None = None
    hints: Hints = Hints()


class Reserve(BaseModel):
    """Capacity that customers who are yet to come will ask for at the regular price, as a share of all cores.

    It wanders about its mean (an Ornstein-Uhlenbeck process): what it takes is not there for spot and harvest VMs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mean_share: Share = _default("reserve", "mean_share")
    sd_share: Share = _default("reserve", "sd_share")
    return_s: Annotated[float, Field(ge=60)] = _default("reserve", "return_s")
    swing_share: Share = _default("reserve", "swing_share")
    peak_hour: Annotated[float, Field(ge=0, lt=24)] = _default("reserve", "peak_hour")


class Settings(BaseModel):
    """The negotiation of a scenario: without ``tenants`` there is none, and every VM is opaque.

    ``classes`` is *survey* (the twelve of the packaged table) or ``import:NAME``. With ``surplus`` unlimited nobody is ever
    short of capacity, as in the closed form. ``discounts`` replaces some of the packaged ones. ``hints_per_h`` is how often a
    running VM says something. ``messages`` names a log of hints and answers from outside (``import:NAME``), which are replayed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    classes: Annotated[str, Field(pattern=r"^(survey|import:[a-z0-9][a-z0-9-]*)$")] = "survey"
    tenants: tuple[Tenant, ...] = ()
    partial_share: Share = _default("hints", "partial_share")
    hints_per_h: Annotated[float, Field(ge=0, le=3600)] = _default("hints", "per_h")
    surplus: Literal["finite", "unlimited"] = "finite"
    reserve: Reserve = Reserve()
    regular_usd_per_vcpu_h: Annotated[float, Field(gt=0)] = _default("tariff", "vcpu_h_usd")
    regular_usd_per_gpu_h: Annotated[float, Field(gt=0)] = _default("tariff", "gpu_h_usd")
    discounts: dict[str, Share] = {}
    maintenance_per_day: Annotated[float, Field(ge=0, le=10)] = _default("maintenance", "per_place_day")
    messages: Annotated[str, Field(pattern=r"^(|import:[a-z0-9][a-z0-9-]*)$")] = ""

    @field_validator("discounts")
    @classmethod
    def _known(cls, value: dict[str, float]) -> dict[str, float]:
        unknown = sorted(set(value) - set(treatments.INDEX))
        if unknown:
            raise ValueError(f"{unknown[0]!r} is no optimisation; there are: {', '.join(treatments.INDEX)}")
        return value

    @model_validator(mode="after")
    def _once(self) -> Self:
        names = [tenant.id for tenant in self.tenants]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"tenants: {twice[0]!r} is written twice; keep one")
        return self

    def taken_off(self) -> dict[str, float]:
        """Return the share that each treatment takes off, the packaged ones where nothing else is said."""
        return {**treatments.discounts(), **self.discounts}
