"""Workflows: jobs that come, how they are done, what that holds and uses."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from heapq import heappop, heappush
from typing import Final, NamedTuple

import numpy as np

from twin.clock import Clock
from twin.stack import State
from twin.tables import Sink
from twin.workflows import keeping, library, staffing
from twin.workflows.demand import Arrivals, drawn, expected_per_h, peak_per_h
from twin.workflows.execution import Execution
from twin.workflows.executors import Executor
from twin.workflows.jobs import graph_of
from twin.workflows.levers import Available, Demanded, Plan, PlanAction, PlanObservation
from twin.workflows.recording import Recorder, Row
from twin.workflows.settings import Settings
from twin.workflows.shapes import Shape
from twin.workflows.shortage import Shortage, short
from twin.workflows.site import Floats, Ints, Site, Surplus

__all__ = ["Model", "Request", "Settings", "Site", "Surplus"]

_MINUTE_S: Final = 60.0
_MOST_TASKS: Final = 20_000_000
_TOLD: Final = ("gpus", "spot_gpus", "cores", "power_w", "gpu_power_w")


class Request(NamedTuple):
    """What a stage asks of a serving endpoint (``endpoint``) or a function (``function``), called ``target``, by which executor."""

    id: int
    kind: str
    target: str
    executor: str
    t_s: float
    prompt_tokens: int
    output_tokens: int


class Model:
    """Jobs of all workflows of a scenario. W workflows, S servers and H hosts of the site.

    Each tick: ``plan`` where ``opens_epoch``, ``advance``, then ``wanted`` goes to endpoints and functions and what they answered
    comes back by ``done``, before the next tick. A scenario without workflows has a model that does nothing.
    """

    def __init__(self, settings: Settings, site: Site, clock: Clock, horizon_s: float, seed: int) -> None:
        self.settings, self.site, self.t_s, self._clock = settings, site, 0.0, clock
        self.terms = library.terms()
        self.library = usable(library.library(settings.library), site) if settings.workflows else ()
        self._by_id = {each.id: each for each in self.library}
        self.workflow_ids = tuple(each.id for each in settings.workflows)
        self.graphs = tuple(graph_of(each, self.library) for each in settings.workflows)
        pairs = zip(self.graphs, settings.workflows, strict=True)
        shapes = [Shape.of(graph, workflow.items, self.terms.network_bytes_per_s) for graph, workflow in pairs]
        self._arrivals = drawn(settings.workflows, clock, horizon_s, seed)
        self._next = 0
        _check_size(self.workflow_ids, self._arrivals, shapes)
        self._staffing = staffing.Staffing(self._by_id, self.terms)
        self.execution = Execution(shapes, self.library, site, self.terms)
        self._recorder = Recorder(self.execution, [graph.ids for graph in self.graphs], self._job_ids())
        # Of which epoch the plans are, -1 before the first.
        self._planned = -1
        self._shortage = Shortage()
        # What the planner told the cluster of this epoch, and what work drew over the last tick.
        self._told: dict[str, float] = {}
        self._drawn_w = 0.0
        # Answers that are foreseen, the next one first, and what was asked since the last look.
        self._answers: list[tuple[float, int]] = []
        self._wanted: list[Request] = []
        self._taken_s: Mapping[str, float] = {}
        # Over the last tick, by server (S) and host (H): GPUs and cores at work.
        self.busy_gpus: Floats = np.zeros(len(site.server_gpus))
        self.busy_cores: Floats = np.zeros(len(site.host_cores))

    def _job_ids(self) -> list[str]:
        counted = [0] * len(self.workflow_ids)
        names = []
        for workflow in self._arrivals.workflow.tolist():
            counted[workflow] += 1
            names.append(f"{self.workflow_ids[workflow]}-{counted[workflow]}")
        return names

    @property
    def holds(self) -> bool:
        """Whether there is any workflow."""
        return bool(self.workflow_ids)

    @property
    def held_gpus(self) -> Ints:
        """GPUs held now at each server (S), surplus ones apart."""
        return self.execution.places.held

    @property
    def spot_gpus(self) -> Ints:
        """Surplus GPUs that instances stand on now, at each server (S)."""
        return self.execution.places.spot_used

    @property
    def coming_w(self) -> float:
        """What GPUs held for workflows will draw on average in this epoch beyond what work draws now, as the planner told it."""
        return max(self._told.get("gpu_power_w", 0.0) - self._drawn_w, 0.0)

    # -- plans ------------------------------------------------------------------

    @property
    def opens_epoch(self) -> bool:
        """Whether plans are due now: at each epoch, and where tasks wait for surplus that is gone."""
        return self.holds and (self._epoch != self._planned or self._shortage.overdue(self.t_s))

    @property
    def _epoch(self) -> int:
        return int(self.t_s / self.settings.epoch_s + 1e-9)

    def observe(self, power_room_w: float = float("inf"), endpoint_s: Mapping[str, float] | None = None) -> PlanObservation:
        """Return what a planner sees; the world says what power rows have left and what endpoints took."""
        epoch_s = self.settings.epoch_s
        demanded = tuple(
            Demanded(
                workflow.id, graph, workflow.constraint,
                {name: float(value) for name, value in workflow.limits.model_dump().items() if value is not None},
                expected_per_h(workflow, self._clock, self.t_s, epoch_s), float(workflow.items), peak_per_h(workflow, epoch_s),
            )
            for workflow, graph in zip(self.settings.workflows, self.graphs, strict=True)
        )  # fmt: skip
        available = self._available(power_room_w, endpoint_s or {})
        return PlanObservation(self.t_s, epoch_s, demanded, self.library, available, self.settings.shared)

    def _available(self, power_room_w: float, endpoint_s: Mapping[str, float]) -> Available:
        places, gpus = self.execution.places, self.site.server_gpus
        spare = places.surplus if self.settings.surplus else Surplus.none(self.site)
        prices = [self.terms.gpu_usd_per_h.get(kind, 0.0) for kind in self.site.server_hardware]
        return Available(
            gpus=int(gpus.sum()),
            cores=int(self.site.host_cores.sum()),
            idle_gpus=int((gpus - places.held).sum()),
            idle_cores=int(places.free_cores.sum()),
            spot_gpus=int(spare.spot_gpus.sum()),
            harvest_cores=int(spare.harvest_cores.sum()),
            power_room_w=power_room_w,
            gpu_usd_per_h=float(np.average(prices, weights=gpus)) if gpus.sum() else 0.0,
            core_usd_per_h=self.terms.core_usd_per_h,
            endpoint_s=dict(endpoint_s),
            gpus_of=self._by_kind(gpus),
            spot_gpus_of=self._by_kind(spare.spot_gpus),
        )

    def _by_kind(self, gpus: Ints) -> dict[str, int]:
        counted = dict.fromkeys(sorted(set(self.site.server_hardware)), 0)
        for kind, count in zip(self.site.server_hardware, gpus.tolist(), strict=True):
            counted[kind] += count
        return counted

    def plan(self, action: PlanAction) -> None:
        """Do jobs by these plans from now on; ValueError, one line, for a plan that does not fit its workflow."""
        if unknown := sorted(set(action.plans) - set(self.workflow_ids)):
            raise ValueError(f"workflow_plan: there is no workflow {unknown[0]}; plan {', '.join(self.workflow_ids) or 'none'}")
        self._planned, execution, rows = self._epoch, self.execution, list[Row]()
        self._shortage.planned(self.t_s)
        plans: dict[int, Plan] = {}
        for number, name in enumerate(self.workflow_ids):
            plan = action.plans.get(name)
            if plan is None:
                why = action.refused.get(name, "the planner has no plan for it")
                execution.how[number].open, execution.how[number].why = False, why
                rows.append((self.t_s, number, "", "", "", 0, 0, 0, 0, False, *(float("nan"),) * 3, why))
                continue
            plans[number] = plan
            execution.how[number] = staffing.doing(self.graphs[number], plan, self._by_id, number, self.settings.shared)
            rows += self._rows(number, plan)
        self._staffing.apply(plans, self.graphs, execution.how, execution.pools)
        execution.holding.pass_time(self.t_s, execution.pools.values())
        execution.reroute()
        self._recorder.plan(rows)
        self._told = {name: float(action.upcoming.get(name, 0.0)) for name in _TOLD} if action.upcoming else {}
        if self._told:
            self._recorder.coming((self.t_s, *self._told.values()))

    def _rows(self, number: int, plan: Plan) -> list[Row]:
        foreseen = tuple(float(plan.predicted.get(name, float("nan"))) for name in ("makespan_s", "energy_j", "cost_usd"))
        rows: list[Row] = []
        for stage in self.graphs[number].ids:
            choice = plan.stages[stage]
            profile = self._by_id[choice.executor].profiles[choice.profile]
            count = choice.instances
            about = (profile.hardware, count, choice.batch, profile.gpus * count, profile.cores * count, choice.spot)
            rows.append((self.t_s, number, stage, choice.executor, *about, *foreseen, plan.why))
        return rows

    # -- time -------------------------------------------------------------------

    def meet(self, surplus: Surplus) -> None:
        """Take note of what others leave from now on, before plans are made on it."""
        self.execution.change(surplus)

    def advance(self, until_s: float, surplus: Surplus | None = None, taken_s: Mapping[str, float] | None = None) -> None:
        """Let jobs come and go on until a time, with what others leave in this tick (None: nothing, at full speed).

        ``taken_s`` says of executors that ask endpoints or functions how long their requests took lately: so long the next ones
        are waited for, as ticks are longer than many answers. Who is not in it waits for its own answer, by ``done``.
        """
        execution, begin_s = self.execution, self.t_s
        self._taken_s = taken_s or {}
        gpu_s, core_s, worked_j = execution.busy_gpu_s.copy(), execution.busy_core_s.copy(), execution.worked_j
        execution.change(surplus if surplus is not None else Surplus.none(self.site))
        while self.t_s < until_s:
            edge_s = min((np.floor(self.t_s / _MINUTE_S + 1e-9) + 1.0) * _MINUTE_S, until_s)
            self._run(float(edge_s))
        execution.settle()
        self._shortage.watch(until_s, short(execution.pools.values(), execution.starved))
        if until_s > begin_s:
            self.busy_gpus = (execution.busy_gpu_s - gpu_s) / (until_s - begin_s)
            self.busy_cores = (execution.busy_core_s - core_s) / (until_s - begin_s)
            self._drawn_w = (execution.worked_j - worked_j) / (until_s - begin_s)

    def _run(self, until_s: float) -> None:
        execution, times = self.execution, self._arrivals.t_s
        while True:
            self._ask()
            comes_s = float(times[self._next]) if self._next < len(times) else math.inf
            answered_s = self._answers[0][0] if self._answers else math.inf
            event_s = execution.events[0][0] if execution.events else math.inf
            now_s = min(comes_s, answered_s, event_s)
            if now_s >= until_s:
                break
            # What happens at a time may ask for more, which is answered before what comes later.
            execution.run(max(now_s, execution.t_s))
            if answered_s <= now_s:
                end_s, number = heappop(self._answers)
                execution.answer(number, end_s)
            elif comes_s <= now_s:
                execution.submit(self._next, int(self._arrivals.workflow[self._next]))
                self._next += 1
        execution.run(until_s)
        self._ask()
        self.t_s = until_s
        if abs(until_s / _MINUTE_S - round(until_s / _MINUTE_S)) < 1e-9:
            execution.settle()
            self._recorder.minute(until_s)

    # -- others' work --------------------------------------------------------------

    def _ask(self) -> None:
        """Put what stages ask now among what is wanted; where it is known how long that takes, it is answered then."""
        for number in self.execution.unasked:
            *_, who, _, t_s = self.execution.asked[number]
            executor = self.library[who]
            # One that was lost is asked for again, from now on.
            asked_s = max(t_s, self.execution.t_s)
            tokens = (executor.prompt_tokens, executor.output_tokens)
            self._wanted.append(Request(number, executor.kind, executor.target, executor.id, asked_s, *tokens))
            if executor.id in self._taken_s:
                heappush(self._answers, (asked_s + self._taken_s[executor.id], number))
        self.execution.unasked = []

    def wanted(self) -> list[Request]:
        """Return what stages ask of endpoints and functions, each once."""
        self._ask()
        asked, self._wanted = self._wanted, []
        return asked

    def done(self, ids: Ints, t_s: Floats) -> None:
        """Take answers: when each request was done (not later than now; not-a-number for one that was lost, which is asked again).

        What comes after them begins now: an answer is known at the end of the tick in which it came. Those that were foreseen
        have been, or will be, waited for as long as it was foreseen.
        """
        foreseen = {number for _, number in self._answers}
        for number, end_s in zip(ids.tolist(), t_s.tolist(), strict=True):
            if number in self.execution.asked and number not in foreseen:
                self.execution.answer(number, end_s)

    # -- what is kept ---------------------------------------------------------------

    def record(self, sink: Sink) -> None:
        """Write what happened since the last call."""
        if self.holds:
            self._recorder.write(sink)

    def close(self, sink: Sink) -> None:
        """Write what is held back."""
        if self.holds:
            self.execution.settle()
            self._recorder.close(sink)

    def snapshot(self) -> State:
        """Return the state; only after ``record``."""
        return {
            "t_s": self.t_s,
            "next": self._next,
            "planned": self._planned,
            "shortage": self._shortage.snapshot(),
            "told": dict(self._told),
            "drawn_w": self._drawn_w,
            "execution": keeping.kept(self.execution),
            "answers": [list(each) for each in self._answers],
            "wanted": [list(each) for each in self._wanted],
            "recorder": self._recorder.snapshot(),
            "busy_gpus": self.busy_gpus.copy(),
            "busy_cores": self.busy_cores.copy(),
        }

    def restore(self, state: State) -> None:
        """Take back a snapshot."""
        self.t_s, self._next, self._planned = float(state["t_s"]), int(state["next"]), int(state["planned"])
        self._told, self._drawn_w = {name: float(state["told"][name]) for name in _TOLD if name in state["told"]}, float(state["drawn_w"])
        self._shortage.restore(state["shortage"])
        keeping.restore(self.execution, state["execution"])
        self._answers = [(float(end_s), int(number)) for end_s, number in state["answers"]]
        self._wanted = [Request(*each) for each in state["wanted"]]
        self._recorder.restore(state["recorder"])
        self.busy_gpus, self.busy_cores = (np.array(state[name], dtype=np.float64) for name in ("busy_gpus", "busy_cores"))


def _check_size(names: Sequence[str], arrivals: Arrivals, shapes: Sequence[Shape]) -> None:
    """Refuse more tasks than a run gets through in reasonable time and memory."""
    tasks = np.bincount(arrivals.workflow, minlength=len(names)) * np.array([shape.tasks for shape in shapes], dtype=np.int64)
    if tasks.sum() > _MOST_TASKS:
        most = int(np.argmax(tasks))
        raise ValueError(
            f"workflows: {tasks.sum():,} tasks in this run, {tasks[most]:,} of them of {names[most]}; the limit is {_MOST_TASKS:,}: "
            "lower its rate_per_h or items, or run a shorter time"
        )


def usable(executors: tuple[Executor, ...], site: Site) -> tuple[Executor, ...]:
    """Return what of a library can be used on a site: executors that have hardware there, or an endpoint or function to ask."""
    there = {*site.server_hardware, *(["cpu"] if len(site.host_cores) else [])}
    kept = []
    for each in executors:
        if each.kind in staffing.OUTSIDE:
            if each.target in (site.endpoints if each.kind == "endpoint" else site.functions):
                kept.append(each)
        elif profiles := tuple(profile for profile in each.profiles if profile.hardware in there):
            kept.append(replace(each, profiles=profiles))
    return tuple(kept)
