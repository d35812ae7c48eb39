"""Policy sets as the twin takes them: holders, phases, the site's size."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any, Final

from policies import catalogue
from policies.policy import PolicySet, Schedule
from policies.system import Answer, Knobs, Surroundings
from twin import pooling
from twin.memory.levers import TopologyAction, TopologyObservation
from twin.placing import before
from twin.scenario import Scenario
from twin.sizing import Sized, sized
from twin.stack import Holding, Phase
from twin.workloads.levers import PastPlant, PlantAtServers

_CAPACITY: Final = "capacity"
_TOPOLOGY: Final = "pod_topology"


def surroundings(scenario: Scenario) -> Surroundings:
    """Return what a system may know of the site when it is built."""
    fleet = scenario.fleet
    return Surroundings(
        row_ids=fleet.row_ids,
        rack_ids=fleet.rack_ids,
        server_ids=fleet.server_ids,
        endpoint_ids=scenario.entities()["endpoint"],
        server_racks=tuple(int(i) for i in fleet.server_racks),
        server_rows=tuple(int(i) for i in fleet.server_rows),
        start_weekday=int(scenario.clock.weekday(0.0)),
        start_hour=float(scenario.clock.hour(0.0)),
    )


def holdings(policy_set: PolicySet, scenario: Scenario) -> tuple[Holding, ...]:
    """Return a fresh holder for every lever; raises ValueError where the policy set does not fit the twin."""
    return phases(Schedule.of(policy_set), scenario)[0].holdings


def phases(schedule: Schedule, scenario: Scenario) -> tuple[Phase, ...]:
    """Return the schedule as the twin takes it.

    A system that keeps its knobs from one policy set to the next keeps its holder object, and so what it has learned.
    How large the site is is decided once, by the first policy set; a later one that asks for another size is refused.
    """
    times = [step.from_s for step in schedule.steps]
    if times[0] != 0.0 or any(later <= earlier for earlier, later in pairwise(times)):
        raise ValueError("schedule: the first policy set begins at 0 s and each one later than the one before")
    entities, size = scenario.entities(), capacity(schedule.steps[0].policy, scenario)
    for step in schedule.steps[1:]:
        if _CAPACITY in step.policy.levers and capacity(step.policy, scenario).extra_servers != size.extra_servers:
            raise ValueError(
                f"schedule: the policy set from {step.from_s:g} s on asks for another number of servers than the first one, and capacity "
                "is decided before a run; hold it in the first policy set alone"
            )
        if _TOPOLOGY in step.policy.levers and _builds(step.policy) != _builds(schedule.steps[0].policy):
            raise ValueError(
                f"schedule: the policy set from {step.from_s:g} s on asks for another memory pod than the first one, and a pod is built "
                "before a run; hold it in the first policy set alone"
            )
    around = surroundings(scenario.grown(size.extra_servers))
    out: list[Phase] = []
    built: dict[str, tuple[Knobs, Any]] = {}
    for step in schedule.steps:
        catalogue.check(step.policy, entities)
        whole = catalogue.as_run(step.policy)
        knobs = catalogue.knobs_of(whole)
        kept = {system: pair for system, pair in built.items() if system in knobs and pair[0] == knobs[system]}
        built = {system: kept.get(system) or (mine, catalogue.card(system).build(mine, around)) for system, mine in knobs.items()}
        out.append(Phase(step.from_s, _holdings(whole, built), whole.canonical()))
    return (replace(out[0], extra_servers=size.extra_servers, clips=size.clips), *out[1:])


def _builds(policy_set: PolicySet) -> tuple[Any, ...]:
    """Return who decides the pod of a policy set, with every knob."""
    whole = catalogue.complete(policy_set)
    return tuple((held.system, tuple(sorted(held.knobs.items(), key=str))) for held in whole.levers[_TOPOLOGY])


def capacity(policy_set: PolicySet, scenario: Scenario) -> Sized:
    """Return how large a policy set makes the site: its holder of capacity is asked about the site as it was built.

    It is a first object of its system; the one that decides in the run is built for the larger site.
    """
    catalogue.check(policy_set, scenario.entities())
    whole, around = catalogue.complete(policy_set), surroundings(scenario)
    only = PolicySet(levers={_CAPACITY: whole.levers[_CAPACITY]})
    mine = {held.system: catalogue.knobs_of(whole)[held.system] for held in only.levers[_CAPACITY]}
    built = {system: (knobs, catalogue.card(system).build(knobs, around)) for system, knobs in mine.items()}
    return sized(scenario, _holdings(only, built))


def past_plant(scenario: Scenario, seed: int) -> tuple[PastPlant, PlantAtServers]:
    """Return the plant's readings of the weeks before a run, and its site, as a holder of placement sees them."""
    return before(scenario, seed)


def topology_seen(scenario: Scenario, seed: int) -> TopologyObservation:
    """Return the hosts that a pod is chosen for before a run, and what stood on them, as a holder of topology sees them."""
    return pooling.topology_seen(scenario, seed)


def pod(policy_set: PolicySet, scenario: Scenario, seed: int) -> TopologyAction:
    """Return the pod that a policy set would have before a run; its holder is asked once, by a first object of its system."""
    holding = next(holding for holding in holdings(policy_set, scenario) if holding.lever == _TOPOLOGY)
    action: TopologyAction = holding.holder.design(topology_seen(scenario, seed))
    return action


def design(policy_set: PolicySet, scenario: Scenario, seed: int) -> Answer | None:
    """Return what a functional intent is answered with: the designs that the holder of topology would choose from, and why.

    None where the holder chooses among nothing, as baselines do.
    """
    catalogue.check(policy_set, scenario.entities())
    whole = catalogue.complete(policy_set)
    card = catalogue.card(whole.levers[_TOPOLOGY][0].system)
    return None if card.answer is None else card.answer(catalogue.knobs_of(whole)[card.id], topology_seen(scenario, seed))


def _holdings(whole: PolicySet, built: Mapping[str, tuple[Knobs, Any]]) -> tuple[Holding, ...]:
    return tuple(
        Holding(
            lever=lever,
            system=held.system,
            holder=built[held.system][1],
            scope=tuple(spec.scope() for spec in held.scope),
            guard=catalogue.card(held.system).levers[lever] == "guard",
        )
        for lever, stack in whole.levers.items()
        for held in stack
    )
