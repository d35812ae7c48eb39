"""The incidents section of a scenario: services, changes, rules."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Id = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")]


class Call(BaseModel):
    """A service asks another one, an endpoint or a function (``kind``) ``times`` for each request; it waits for the answer.

    After ``timeout_s`` it gives up and tries again, ``retries`` times at most, and at most ``retry_budget_share`` repetitions for each
    call over all of them (10: no budget); a request whose calls all fail is an error.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    to: Annotated[str, Field(max_length=80)]
    kind: Literal["service", "endpoint", "function"] = "service"
    times: Annotated[float, Field(gt=0, le=100)] = 1.0
    timeout_s: Annotated[float, Field(gt=0, le=600)] = 2.0
    retries: Annotated[int, Field(ge=0, le=10)] = 2
    retry_budget_share: Annotated[float, Field(ge=0, le=10)] = 0.2


class Service(BaseModel):
    """A service on CPU hosts: requests from outside, what one costs, whom it asks.

    ``rate_per_s`` comes from outside (0: only from other services), with the swing of the day. ``cores`` is of each instance, one on each
    host of ``hosts``. ``service_s`` is the core time of a request, ``latency_p99_objective_s`` and ``error_objective_share`` what an
    alert holds it to. ``memory_bytes`` is of an instance. A request waits ``queue_s`` at most before it is turned away; who asks from
    outside gives up after ``client_timeout_s`` and asks again, ``client_retries`` times at most and within ``client_retry_budget_share``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Id
    hosts: Annotated[tuple[str, ...], Field(min_length=1)]
    rate_per_s: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    swing_share: Annotated[float, Field(ge=0, le=1)] = 0.3
    peak_hour: Annotated[float, Field(ge=0, lt=24)] = 14.0
    cores: Annotated[float, Field(gt=0, le=256)] = 2.0
    service_s: Annotated[float, Field(gt=0, le=60)] = 0.004
    queue_s: Annotated[float, Field(gt=0, le=3600)] = 30.0
    client_timeout_s: Annotated[float, Field(gt=0, le=600)] = 5.0
    client_retries: Annotated[int, Field(ge=0, le=10)] = 1
    client_retry_budget_share: Annotated[float, Field(ge=0, le=10)] = 0.2
    memory_bytes: Annotated[int, Field(ge=1 << 20, le=1 << 44)] = 4 << 30
    latency_p99_objective_s: Annotated[float, Field(gt=0, le=600)] = 0.5
    error_objective_share: Annotated[float, Field(gt=0, le=1)] = 0.01
    calls: tuple[Call, ...] = ()


class PlannedChange(BaseModel):
    """One entry of the change log that a scenario plans; it does nothing to any model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at_s: Annotated[float, Field(ge=0)]
    entity_kind: Annotated[str, Field(max_length=40)]
    entity_id: Annotated[str, Field(max_length=80)]
    kind: Annotated[str, Field(max_length=40)] = "setting"
    actor: Annotated[str, Field(max_length=80)] = "operator"
    words: Annotated[str, Field(max_length=400)]


class Settings(BaseModel):
    """Services and what happens around them. ``changes_per_day`` are innocent changes in the log, drawn; ``changes`` are those that
    are planned; ``site`` names it in histories."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    services: tuple[Service, ...] = ()
    changes_per_day: Annotated[float, Field(ge=0, le=1000)] = 6.0
    changes: tuple[PlannedChange, ...] = ()
    window_s: Annotated[float, Field(ge=15, le=600)] = 60.0
    site: Annotated[str, Field(max_length=40)] = ""
    alerts: bool = True

    @model_validator(mode="after")
    def _known(self) -> Self:
        ids = [service.id for service in self.services]
        if twice := sorted({name for name in ids if ids.count(name) > 1}):
            raise ValueError(f"services: {twice[0]!r} is there twice; rename one")
        for service in self.services:
            for call in service.calls:
                if call.kind == "service" and call.to not in ids:
                    raise ValueError(f"services.{service.id}: calls {call.to!r}, which is no service; there are: {', '.join(ids)}")
                if call.to == service.id:
                    raise ValueError(f"services.{service.id}: calls itself; leave that out")
        return self
