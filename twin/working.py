"""Functions and workflows in the world: whom they ask, what they stand on."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from twin.fleet import GPUS_PER_SERVER, expand
from twin.functions import model as functions_model
from twin.functions.levers import RuntimeAction
from twin.metrics import Scope
from twin.negotiating import Negotiating
from twin.plant import model as plant_model
from twin.scenario import Scenario
from twin.serving import model as serving_model
from twin.stack import Holding, Phase, State
from twin.tables import Sink
from twin.workflows import model as workflows_model
from twin.workflows.levers import Plan, PlanAction
from twin.workloads import model as workloads_model
from twin.workloads.host_population import host_vcpus

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_RUNTIME: Final = "function_runtime"
_PLAN: Final = "workflow_plan"
# How much the latest answer counts among those before it, and from when on one is so late that nothing is foreseen of it.
_LATEST_SHARE: Final = 0.3
_LATE: Final = 3.0
_LATE_S: Final = 30.0


class _Asked(NamedTuple):
    """A request under way: to what, by which executor, its row there, and since when."""

    kind: str
    target: str
    executor: str
    row: int
    t_s: float


class Working:
    """Runs functions on their hosts and jobs on their servers and hosts; both are load of the VMs that fill these.

    A stage that asks an endpoint is a request to serving, one that asks a function a call of it; what these take, it takes.
    Shapes: S servers, G GPUs, H hosts of the fleet.
    """

    def __init__(
        self,
        scenario: Scenario,
        workloads: workloads_model.Model,
        serving: serving_model.Model,
        plant: plant_model.Model,
        negotiating: Negotiating,
        phase: Phase,
        seed: int,
    ) -> None:
        self._workloads, self._serving, self._plant, self._negotiating = workloads, serving, plant, negotiating
        spec, fleet, clock, horizon_s = scenario.spec, scenario.fleet, scenario.clock, scenario.horizon_s
        self._fleet = fleet
        self._function_hosts = np.array([fleet.host_ids.index(name) for name in expand(spec.functions.hosts)], dtype=np.int64)
        storms = scenario.faults_of("functions")
        self.functions = functions_model.Model(spec.functions, expand(spec.functions.hosts), clock, horizon_s, seed, storms)
        self.workflows = workflows_model.Model(spec.workflows, site_of(scenario, self.functions.function_ids), clock, horizon_s, seed)
        if self.functions.holds:
            self.functions.run(_runtime(phase, self.functions))
        self._asked: dict[int, _Asked] = {}
        self._took_s: dict[str, float] = {}
        self._planned_by = ""
        self._slowdown = np.zeros(len(fleet.host_ids))

    @property
    def holds(self) -> bool:
        """Whether there is anything to run."""
        return self.functions.holds or self.workflows.holds

    def slow(self, slowdown: Floats) -> None:
        """Take by how much longer hosts (H) take for the same work because memory is pooled, as a share."""
        self._slowdown = slowdown

    # -- a tick -----------------------------------------------------------------

    def step(self, phase: Phase, t_s: float, until_s: float) -> None:
        """Let jobs and calls go on until a time, which serving has reached already; what they ask of it, it begins then."""
        if not self.holds:
            return
        self._answer(until_s)
        if self.workflows.holds:
            surplus = self._surplus()
            self.workflows.meet(surplus)
            # Another planner plans at once, not when the epoch of the one before it ends.
            by = _planner(phase)
            if self.workflows.opens_epoch or by != self._planned_by:
                self.workflows.plan(self._planned(phase))
                self._planned_by = by
            self.workflows.advance(until_s, surplus, self._foreseen(t_s))
            self._ask(t_s, until_s)
        if self.functions.holds:
            self.functions.advance(until_s, self._cores(), 1.0 / (1.0 + self._slowdown[self._function_hosts]))

    def _cores(self) -> Floats:
        """Return the cores that calls have on each host of functions: none in a dark row, a share where more spin than it has left."""
        own = float(self.functions.settings.cores)
        lit = self._plant.observe().row_live[self._fleet.rack_rows[self._fleet.host_racks[self._function_hosts]]]
        # Cores that spin and cores of calls that do not fit side by side take turns.
        turns = np.minimum(host_vcpus() / (own + self.functions.spinning()), 1.0)
        return np.asarray(np.where(lit, own * turns, 0.0))

    def _planned(self, phase: Phase) -> PlanAction:
        """Return the plans of the holders: for each workflow that of the first whose scope it is in."""
        plant = self._plant.observe()
        rows = np.unique(self._fleet.server_rows[self.workflows.site.server_gpus > 0])
        room_w = float(np.maximum(plant.row_budget_w - plant.row_power_w, 0.0)[rows].min(initial=np.inf))
        seen = self.workflows.observe(room_w, self._targets_s())
        plans: dict[str, Plan] = {}
        refused: dict[str, str] = {}
        upcoming: dict[str, float] = {}
        free = set(self.workflows.workflow_ids)
        for holding in phase.stack(_PLAN):
            mine = {name for name in free if _within(holding.scope, name)}
            if not mine:
                continue
            free -= mine
            own = replace(seen, demanded=tuple(each for each in seen.demanded if each.workflow in mine))
            action: PlanAction = holding.holder.plan(own)
            plans |= {name: plan for name, plan in action.plans.items() if name in mine}
            refused |= {name: why for name, why in action.refused.items() if name in mine}
            upcoming = {name: upcoming.get(name, 0.0) + action.upcoming.get(name, 0.0) for name in (*upcoming, *action.upcoming)}
        return PlanAction(plans, refused, upcoming)

    def _targets_s(self) -> dict[str, float]:
        """Return how long requests to each target took lately, as planners see it: the mean of the executors that ask it."""
        found: dict[str, list[float]] = {}
        for executor in self.workflows.library:
            if executor.id in self._took_s:
                found.setdefault(executor.target, []).append(self._took_s[executor.id])
        return {target: float(np.mean(took)) for target, took in found.items()}

    def _surplus(self) -> workflows_model.Surplus:
        """Return what nobody else has now: GPUs without a VM, and vCPUs that are free beyond what regular customers ask for.

        Servers and hosts of a row without power stand still.
        """
        site, spare = self.workflows.site, self._negotiating.spare
        cores = np.zeros(len(site.host_cores), dtype=np.int64)
        if spare is not None:
            free = spare.host_free_vcpus
            left = max(1.0 - spare.coming_cores[0] / max(float(free.sum()), 1e-9), 0.0)
            cores = np.floor(free * left).astype(np.int64)
        plant, fleet = self._plant.observe(), self._fleet
        slowest = plant.gpu_clock_share.reshape(-1, GPUS_PER_SERVER).min(axis=1) * plant.row_live[fleet.server_rows]
        hosts = plant.row_live[fleet.rack_rows[fleet.host_racks]] / (1.0 + self._slowdown)
        return workflows_model.Surplus(self._workloads.gpus_free.copy(), cores, slowest, hosts)

    def row_coming_w(self) -> Floats:
        """Return the power that each row (R) is to keep free for jobs that are coming, as their planner told the cluster."""
        gpus = self.workflows.site.server_gpus
        by_row = np.bincount(self._fleet.server_rows, weights=gpus, minlength=len(self._fleet.row_ids))
        return np.asarray(by_row * self.workflows.coming_w / max(float(gpus.sum()), 1.0))

    # -- whom stages ask ------------------------------------------------------------

    def _ask(self, t_s: float, until_s: float) -> None:
        """Send what stages ask: to endpoints from the end of the tick on, where serving is, to functions when they ask it."""
        for request in self.workflows.wanted():
            target = self.workflows.settings.asks.get(request.target, request.target)
            by_endpoint = request.kind == "endpoint"
            if by_endpoint:
                tokens = (np.array([request.prompt_tokens]), np.array([request.output_tokens]))
                (number,) = self._serving.inject(target, np.array([max(request.t_s, until_s)]), *tokens)
            else:
                (number,) = self.functions.call(target, np.array([max(request.t_s, t_s)]))
            self._asked[request.id] = _Asked(request.kind, target, request.executor, int(number), until_s if by_endpoint else request.t_s)

    def _answer(self, until_s: float) -> None:
        """Hand answers that have come to the stages that asked."""
        done: list[tuple[int, float]] = []
        for number, asked in self._asked.items():
            if asked.kind == "endpoint":
                _, end = self._serving.outcome(asked.target, np.array([asked.row]))
            else:
                end = self.functions.outcome(np.array([asked.row]))
            # Infinite is not yet; not-a-number was turned away.
            if end[0] > until_s:
                continue
            done.append((number, min(float(end[0]), self.workflows.t_s)))
            if np.isfinite(end[0]):
                took_s, before_s = float(end[0]) - asked.t_s, self._took_s.get(asked.executor)
                self._took_s[asked.executor] = took_s if before_s is None else before_s + _LATEST_SHARE * (took_s - before_s)
        for number, _ in done:
            del self._asked[number]
        if done:
            self.workflows.done(np.array([number for number, _ in done]), np.array([end for _, end in done]))

    def _foreseen(self, t_s: float) -> dict[str, float]:
        """Return how long requests of each executor took lately; none of one that has waited for much longer, whose answer must come."""
        late = {
            asked.executor for asked in self._asked.values() if t_s - asked.t_s > _LATE * self._took_s.get(asked.executor, np.inf) + _LATE_S
        }
        return {executor: took_s for executor, took_s in self._took_s.items() if executor not in late}

    # -- load -------------------------------------------------------------------

    def gpu_share(self) -> Floats | None:
        """Return the load of jobs on each GPU, shape G, even over what a server has for them; None where there are no workflows."""
        if not self.workflows.holds:
            return None
        return np.repeat(np.minimum(self.workflows.busy_gpus / GPUS_PER_SERVER, 1.0), GPUS_PER_SERVER)

    def host_share(self) -> Floats | None:
        """Return the load of calls and jobs on each host, shape H; None where there are neither."""
        if not self.holds:
            return None
        cores = self.workflows.busy_cores.copy() if self.workflows.holds else np.zeros(len(self._fleet.host_ids))
        cores[self._function_hosts] += self.functions.load()
        return np.asarray(cores / host_vcpus())

    # -- what is kept -----------------------------------------------------------

    def record(self, sink: Sink) -> None:
        """Write what has ended."""
        self.functions.record(sink)
        self.workflows.record(sink)

    def close(self, sink: Sink) -> None:
        """Write what is held back."""
        self.functions.close(sink)
        self.workflows.close(sink)

    def snapshot(self) -> State:
        """Return the state of both, and who waits for whose answer."""
        if not self.holds:
            return {}
        return {
            "functions": self.functions.snapshot(),
            "workflows": self.workflows.snapshot(),
            "asked": [[number, *asked] for number, asked in self._asked.items()],
            "took_s": dict(self._took_s),
            "planned_by": self._planned_by,
            "slowdown": self._slowdown.copy(),
        }

    def restore(self, state: State) -> None:
        """Take back a snapshot."""
        if self.holds and state:
            self.functions.restore(state["functions"])
            self.workflows.restore(state["workflows"])
            self._asked = {int(number): _Asked(*asked) for number, *asked in state["asked"]}
            self._took_s = {str(executor): float(took_s) for executor, took_s in state["took_s"].items()}
            self._planned_by = str(state["planned_by"])
            self._slowdown = np.array(state["slowdown"], dtype=np.float64)


def site_of(scenario: Scenario, function_ids: tuple[str, ...]) -> workflows_model.Site:
    """Return what workflows may run on: all GPUs of their servers, and what other servers have to spare now and then."""
    fleet, settings = scenario.fleet, scenario.spec.workflows
    held = np.zeros(len(fleet.server_ids), dtype=np.int64)
    held[[fleet.server_ids.index(name) for name in expand(settings.servers)]] = GPUS_PER_SERVER
    cores = np.zeros(len(fleet.host_ids), dtype=np.int64)
    cores[[fleet.host_ids.index(name) for name in expand(settings.hosts)]] = host_vcpus()
    return workflows_model.Site(
        server_gpus=held,
        server_hardware=tuple(fleet.model_names[model] for model in fleet.server_models),
        host_cores=cores,
        endpoints=_named(tuple(endpoint.id for endpoint in scenario.spec.serving.endpoints), settings.asks),
        functions=_named(function_ids, settings.asks),
    )


def _named(ids: tuple[str, ...], asks: Mapping[str, str]) -> tuple[str, ...]:
    """Return ids of the site, and what a library calls them."""
    own = (name for name in ids if asks.get(name, name) in ids)
    return (*own, *(name for name, meant in asks.items() if meant in ids and name not in ids))


def _within(scopes: tuple[Scope, ...], workflow: str) -> bool:
    return not scopes or any(scope.kind == "workflow" and scope.id == workflow for scope in scopes)


def _planner(phase: Phase) -> str:
    """Return by which planner and which of its settings jobs are planned in a phase."""
    return json.dumps(phase.spec.get(_PLAN), sort_keys=True, default=str)


def _runtime(phase: Phase, functions: functions_model.Model) -> RuntimeAction:
    holding: Holding = next(holding for holding in phase.stack(_RUNTIME) if not holding.guard)
    action: RuntimeAction = holding.holder.choose(functions.observe())
    return action
