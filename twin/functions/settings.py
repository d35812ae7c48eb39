"""The functions of a scenario as its file writes them."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Trigger = Literal["http", "queue", "event", "orchestration", "timer", "storage", "others"]
Language = Literal["go", "python", "node", "jvm"]


class Function(BaseModel):
    """One function: who calls it how often, what a call takes, and what it is written in.

    ``run_median_s`` is the time of its own work (lognormal, ``run_cv``), the same under every runtime; ``cpu_mean_s`` what of it
    needs a core (lognormal, ``cpu_cv``). Calls come by the law of their trigger: HTTP at random over a daily wave, timers by the clock,
    queues and events in bursts. ``trace`` (``import:NAME``) replays recorded calls instead.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=40)]
    trigger: Trigger = "http"
    rate_per_s: Annotated[float, Field(ge=0, le=1_000_000)] = 1.0
    run_median_s: Annotated[float, Field(gt=0, le=3600)] = 600e-6
    run_cv: Annotated[float, Field(ge=0, le=10)] = 0.12
    cpu_mean_s: Annotated[float, Field(gt=0, le=3600)] = 60e-6
    cpu_cv: Annotated[float, Field(ge=0, le=10)] = 1.0
    memory_bytes: Annotated[int, Field(ge=1 << 20, le=1 << 40)] = 128 << 20
    language: Language = "go"
    trace: Annotated[str, Field(pattern=r"^(|import:[a-z0-9][a-z0-9-]*)$")] = ""


class Settings(BaseModel):
    """Functions and the hosts that run them: each of ``hosts`` (which a group of VMs of ``workload`` fills) gives them ``cores``.

    An instance that nobody called for ``keep_alive_s`` is given up; the next call then waits for a start. A function has at most
    ``instances_at_most`` at a host. ``generated`` functions are added to the named ones, of the published mix of triggers and
    popularity. A site without functions runs none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    functions: tuple[Function, ...] = ()
    generated: Annotated[int, Field(ge=0, le=10_000)] = 0
    generated_rate_per_s: Annotated[float, Field(ge=0, le=1_000_000)] = 0.0
    hosts: tuple[str, ...] = ()
    workload: Annotated[str, Field(max_length=60)] = ""
    cores: Annotated[int, Field(ge=1, le=256)] = 4
    keep_alive_s: Annotated[float, Field(ge=0, le=86_400)] = 600.0
    instances_at_most: Annotated[int, Field(ge=1, le=10_000)] = 1_000
    cached: bool = True

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if (self.functions or self.generated) and not self.hosts:
            raise ValueError("functions need hosts; write hosts and the workload whose VMs fill them")
        names = [function.id for function in self.functions]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"{twice[0]!r} is written twice; keep one")
        if self.generated and (theirs := [name for name in names if name.startswith("synthetic-")]):
            raise ValueError(f"{theirs[0]!r} is a name of generated ones, which begin with synthetic-; rename it")
        if self.generated and "generated_rate_per_s" not in self.model_fields_set:
            raise ValueError(
                f"generated = {self.generated} goes with generated_rate_per_s; write how often all of them are called together"
            )
        return self
