"""What a holder of the workflow lever may see and move."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from twin.stack import Lever
from twin.workflows.executors import Executor
from twin.workflows.graph import Graph

LEVERS: Final = (
    Lever("workflow_plan", "workflows", "by window", "sequential", "which executor does which stage of a job, and how", "plan"),
)


@dataclass(frozen=True, slots=True)
class Available:
    """What the cluster has for workflows now, and what it would cost: filled by the world.

    ``gpus`` and ``cores`` are held for workflows, of them ``idle_gpus`` and ``idle_cores`` free; ``spot_gpus`` and
    ``harvest_cores`` could be had beside, as long as nobody else wants them; ``power_room_w`` is what the rows of these GPUs still
    have under their budgets. ``gpu_usd_per_h`` and ``core_usd_per_h`` are what they are billed. ``endpoint_s`` is how long one
    request of a reference size took at each serving endpoint in the last window, not-a-number where nobody asked. ``gpus_of`` and
    ``spot_gpus_of`` are GPUs by kind; where they say nothing every kind counts as all.
    """

    gpus: int
    cores: int
    idle_gpus: int
    idle_cores: int
    spot_gpus: int
    harvest_cores: int
    power_room_w: float
    gpu_usd_per_h: float
    core_usd_per_h: float
    endpoint_s: Mapping[str, float]
    gpus_of: Mapping[str, int] = field(default_factory=dict)
    spot_gpus_of: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Demanded:
    """One workflow as the planner sees it: its graph, how often it is asked, its objective and its limits.

    ``constraint`` is MIN_COST, MIN_LATENCY, MIN_ENERGY or MAX_QUALITY; ``limits`` are upper bounds of makespan_s, energy_j,
    cost_usd, gpus, and the lower bound quality_share. ``rate_per_h`` is what is expected of the coming epoch, ``items`` the mean
    number of items of a job, ``peak_rate_per_h`` what its owner expects of the busiest time.
    """

    workflow: str
    graph: Graph
    constraint: str
    limits: Mapping[str, float]
    rate_per_h: float
    items: float
    peak_rate_per_h: float = 0.0


@dataclass(frozen=True, slots=True)
class PlanObservation:
    """The workflows and what there is to run them, at the beginning of an epoch. Nothing else of the run.

    ``shared`` is whether workflows use one instance of a model together.
    """

    t_s: float
    epoch_s: float
    demanded: tuple[Demanded, ...]
    library: tuple[Executor, ...]
    available: Available
    shared: bool = True


@dataclass(frozen=True, slots=True)
class Choice:
    """How one stage is done: an executor, on which profile of its list, with how many instances, batching how many items.

    Stages that share instances (one model on one profile) name the size of the whole pool: the largest named counts. ``batch`` is
    how many items one instance does at once at most. ``spot`` instances stand on surplus capacity and may be taken away.
    """

    executor: str
    profile: int
    instances: int = 1
    batch: int = 1
    spot: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """How one workflow is done from now on: a choice by stage, whether items go through one after the other, and why.

    ``hold`` keeps its instances (and their GPUs) warm between jobs. A ``dedicated`` plan shares nothing with other workflows and holds
    the servers that its instances stand on whole, as VMs of its own. ``predicted`` are makespan_s, energy_j, cost_usd, gpus, cores and
    quality_share of one job, as the planner expects them.
    """

    stages: Mapping[str, Choice]
    one_by_one: bool = False
    hold: bool = True
    dedicated: bool = False
    predicted: Mapping[str, float] = field(default_factory=dict)
    why: str = ""


@dataclass(frozen=True, slots=True)
class PlanAction:
    """A plan for each workflow of the observation. A workflow without one is refused until the next epoch; ``refused`` says why.

    ``upcoming`` tells the cluster what the epoch will need on average: gpus, spot_gpus, cores and power_w above idle, of it
    gpu_power_w on GPUs held for workflows. The table ``workflow_coming`` has it, and rows keep that power free.
    """

    plans: Mapping[str, Plan]
    refused: Mapping[str, str] = field(default_factory=dict)
    upcoming: Mapping[str, float] = field(default_factory=dict)


class WorkflowPlan(Protocol):
    """How jobs are done, epoch by epoch."""

    def plan(self, seen: PlanObservation) -> PlanAction:
        """Return a plan for each workflow."""
