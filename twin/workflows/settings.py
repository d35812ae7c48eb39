"""The workflows of a scenario as its file writes them."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Constraint = Literal["MIN_COST", "MIN_LATENCY", "MIN_ENERGY", "MAX_QUALITY"]


class Limits(BaseModel):
    """What a job must keep: upper bounds, and of its weakest stage's quality a lower one. None is no limit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    makespan_s: Annotated[float | None, Field(gt=0)] = None
    energy_j: Annotated[float | None, Field(gt=0)] = None
    cost_usd: Annotated[float | None, Field(gt=0)] = None
    gpus: Annotated[int | None, Field(ge=0)] = None
    quality_share: Annotated[float | None, Field(ge=0, le=1)] = None


class Workflow(BaseModel):
    """One workflow as its owner declares it: what is wanted, of what, how often; nothing of models, vendors or hardware.

    ``job`` is a packaged job (``video-understanding``, ``code-generation``, ``math-qa``, ``report``); without one ``description``,
    ``inputs`` (types of data), ``goal`` (a type) and optional ``tasks`` in words make the graph. ``items`` is how many scenes,
    files or questions a job has. Jobs come at random over a daily wave; ``at_s`` gives times instead.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=40)]
    job: Annotated[str, Field(max_length=60)] = ""
    description: Annotated[str, Field(max_length=500)] = ""
    inputs: tuple[str, ...] = ()
    goal: Annotated[str, Field(max_length=60)] = ""
    tasks: tuple[Annotated[str, Field(max_length=200)], ...] = ()
    constraint: Constraint = "MIN_COST"
    limits: Limits = Limits()
    items: Annotated[int, Field(ge=1, le=10_000)] = 16
    rate_per_h: Annotated[float, Field(ge=0, le=100_000)] = 0.0
    peak_hour: Annotated[float, Field(ge=0, lt=24)] = 14.0
    swing_share: Annotated[float, Field(ge=0, le=1)] = 0.6
    at_s: tuple[Annotated[float, Field(ge=0)], ...] = ()

    @model_validator(mode="after")
    def _declared(self) -> Self:
        if not self.job and not (self.description and self.inputs and self.goal):
            raise ValueError(f"{self.id}: write job, or description, inputs and goal")
        if self.job and (told := next((name for name in ("inputs", "goal", "tasks") if getattr(self, name)), "")):
            raise ValueError(f"{self.id}: job {self.job} says its {told} already; leave out {told}, or job")
        return self


class Settings(BaseModel):
    """Workflows, and what they run on: GPUs of ``servers`` and cores of ``hosts``, which groups of VMs of ``workload`` fill.

    ``library`` is *packaged* or ``import:NAME``; ``asks`` says which endpoint or function of the site it means by a target, such as
    ``chat = "chat-70b"``. With ``shared`` several workflows use one instance of a model together. A plan holds
    for ``epoch_s``, or until tasks have waited a minute for surplus that is gone. A site without workflows plans none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    workflows: tuple[Workflow, ...] = ()
    servers: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    workload: Annotated[str, Field(max_length=60)] = ""
    library: Annotated[str, Field(pattern=r"^(packaged|import:[a-z0-9][a-z0-9-]*)$")] = "packaged"
    asks: dict[Annotated[str, Field(max_length=60)], Annotated[str, Field(max_length=60)]] = {}
    epoch_s: Annotated[float, Field(ge=300, le=86_400)] = 3600.0
    shared: bool = True
    surplus: bool = True

    @model_validator(mode="after")
    def _apart(self) -> Self:
        for name, ids in (("workflows", [each.id for each in self.workflows]), ("servers", self.servers), ("hosts", self.hosts)):
            if twice := next((each for each in ids if list(ids).count(each) > 1), ""):
                raise ValueError(f"{name}: {twice} is there twice; give one of them another id, or leave it out")
        return self
