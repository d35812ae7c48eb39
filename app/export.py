"""A policy set as real systems take it: flags, clocks, router rules."""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from policies.catalogue import card, complete, knobs_of, target_words
from policies.policy import Held, PolicySet
from policies.study import capacity
from policies.system import Knobs
from twin.fleet import expand
from twin.scenario import Scenario
from twin.sources import calibration
from twin.workloads.model import carried

_SCRIPT: Final = """#!/bin/sh
# Run it on every server; it does what belongs to the server it runs on, or to the one named as its argument.
case "${{1:-$(hostname)}}" in
{cases}
  *) echo "no clocks for this server" >&2; exit 1 ;;
esac
"""
_README: Final = """# {name}, for the site of scenario {scenario}

Policy {policy_id}. Nothing here was sent anywhere: a person applies it, one step at a time, and watches.

What it keeps:
{limits}

To apply:
1. `engines.json`: start each endpoint's engine with its flags; scale its instances as `scaling` says, up to `instances_at_most`.
2. `clocks-apply.sh`: allow each server its range of GPU clocks; the controller moves inside the range only.
3. `router.json`: give the router its rule; where a guard is named, strike instances out first, with its margins.
4. `limits.json`: give the controller the bounds with their places and local hours.
{pods}
{unknown}To undo: run `clocks-undo.sh`, put the router back to its former rule, restart the engines with their former flags.

What it is not: levers that act inside the controller (emergency caps, places of new VMs) need that controller beside the plant;
their knobs stand in `policy.json`. Clock ranges are shares of the highest clock: compare them with `nvidia-smi -q -d SUPPORTED_CLOCKS`.
"""


@dataclass(frozen=True, slots=True)
class Place:
    """One server that carries an endpoint, with what a scope may name it by."""

    server: str
    rack: str
    row: str
    gpu: str
    endpoint: str

    def within(self, held: Held) -> bool:
        """Return whether a holder's scope takes this server in."""
        mine = {("server", self.server), ("rack", self.rack), ("row", self.row), ("endpoint", self.endpoint)}
        return not held.scope or any((spec.kind, spec.id) in mine for spec in held.scope)


def files(policy: PolicySet, scenario: Scenario) -> dict[str, bytes]:
    """Return what each real system would take for a policy set on a scenario's site, by file name."""
    policy = _settled(policy, scenario)
    whole = complete(policy)
    knobs = knobs_of(whole)
    extra = capacity(policy, scenario).extra_servers
    scenario = scenario.grown(extra)
    places, vms = _places(scenario), carried(scenario.spec.workloads, scenario.fleet)
    pods, wired = _pods(whole, scenario)
    offered, negotiated = _offers(policy, scenario, 6 if wired else 5)
    said, working = _working(policy, scenario, 5 + bool(wired) + bool(negotiated))
    unnamed = [*_unplaced(scenario, places), *_extra(scenario, extra)]
    clocks = [_clock(place, whole.levers["instance_config"], knobs) for place in places]
    return {
        "README.md": _readme(policy, scenario, knobs, unnamed, pods + offered + said).encode(),
        "policy.json": _json(whole.model_dump(mode="json")),
        "engines.json": _json([_engine(endpoint, vms[endpoint.id], places, whole, knobs) for endpoint in scenario.spec.serving.endpoints]),
        "router.json": _json([_router(endpoint.id, whole, knobs) for endpoint in scenario.spec.serving.endpoints]),
        "limits.json": _json(_limits(knobs)),
        "clocks.csv": _csv(("server", "row", "gpu", "endpoint", "low_mhz", "high_mhz", "held_by"), clocks),
        "clocks-apply.sh": _script((server, f"nvidia-smi -lgc {low},{high}") for server, _, _, _, low, high, _ in clocks),
        "clocks-undo.sh": _script((server, "nvidia-smi -rgc") for server, *_ in clocks),
        **wired,
        **negotiated,
        **working,
    }


def _settled(policy: PolicySet, scenario: Scenario) -> PolicySet:
    """Return a policy set with the pod that it would build written down: the files and the knobs speak of the same one."""
    from policies.intent.pinning import asks_for_design, pinned, pins

    if not asks_for_design(policy) or pins(policy):
        return policy
    from policies.intent.designed import designed  # most policy sets build none

    return pinned(policy, designed(scenario, policy, scenario.seed))


def _pods(whole: PolicySet, scenario: Scenario) -> tuple[str, dict[str, bytes]]:
    """Return what the README says of the pods that a policy set builds, and the list of their cables, every pod's."""
    if whole.levers["pod_topology"][0].system == "none":
        return "", {}
    # Imported here: most policy sets build none.
    from policies.study import pod as built
    from twin.memory import prices, tiling, wiring

    action, hosts, settings = built(whole, scenario, scenario.seed), scenario.fleet.host_ids, scenario.spec.memory
    pod = action.pod
    if pod is None:
        return f"\nNo pod is built: {action.why}\n", {}
    layout = wiring.lay(pod, settings.cable_slack_m)
    wiring.require(layout)
    cables, tiled = wiring.rows(pod, layout, prices.table(settings.prices)), tiling.Tiling(pod, len(hosts))
    counts = {"host": pod.hosts, "device": pod.devices, "switch": pod.switches}

    def named(end: str, place: int) -> str:
        # Numbered within one pod there, over all pods here; a host has its own name.
        kind, _, number = end.partition("-")
        index = place * counts[kind] + int(number)
        return hosts[index - 1] if kind == "host" else f"{kind}-{index}"

    rows = [
        (tiled.pod_ids[place], *({**row, "from": named(row["from"], place), "to": named(row["to"], place)}).values())
        for place in range(tiled.pods)
        for row in cables.iter_rows(named=True)
    ]
    alone = len(hosts) - tiled.pods * pod.hosts
    sizes = [f"{size / 2**30:g}" for size in action.pod_bytes(tiled.pods)]
    parts = [
        (name, pod.name, pod.devices, size, hosts[place * pod.hosts], hosts[(place + 1) * pod.hosts - 1])
        for place, (name, size) in enumerate(zip(tiled.pod_ids, sizes, strict=True))
    ]
    words = (
        "5. `pods.csv`, `wiring.csv`: build each pod of so many devices and cable it so; racks count from the left of the three that it "
        f"takes. {alone} hosts fill no whole pod and keep to themselves.\n"
    )
    heads = ("pod", "design", "devices", "device_gib", "first_host", "last_host")
    return words, {"pods.csv": _csv(heads, parts), "wiring.csv": _csv(("pod", *cables.columns), rows)}


def _offers(policy: PolicySet, scenario: Scenario, step: int) -> tuple[str, dict[str, bytes]]:
    """Return what the README says of who negotiates, and the lists of their hints and offers; nothing where nobody does."""
    # Imported here: in most scenarios nobody negotiates.
    from app import hinted

    said = hinted.hints(scenario)
    if not said:
        return "", {}
    words = (
        f"{step}. `hints.csv`, `offers.csv`: put the hints where owners of workloads keep them, by deployment and for the share of its VMs "
        "that is named, and give the platform the optimisations with their prices. Shares are by hints, with room for everybody: a run "
        "may grant less.\n"
    )
    offered = hinted.offers(policy, scenario)
    return words, {"hints.csv": _csv(hinted.HINT_HEADS, said), "offers.csv": _csv(hinted.OFFER_HEADS, offered)}


def _working(policy: PolicySet, scenario: Scenario, step: int) -> tuple[str, dict[str, bytes]]:
    """Return what the README says of functions and jobs, and how they are run; nothing where there are none."""
    # Imported here: most scenarios have neither.
    from app import worked_files

    words, found = "", {}
    if called := worked_files.functions(policy, scenario):
        words += (
            f"{step}. `functions.csv`: give the functions' hosts their runtime and cores before any function runs there; set keep-alive "
            "and the most instances in the provider, and leave the polling cores to nobody else.\n"
        )
        found["functions.csv"] = _csv(worked_files.FUNCTION_HEADS, called)
        step += 1
    if plans := worked_files.plans(policy, scenario):
        words += (
            f"{step}. `workflow_plans.json`: give the orchestrator each workflow's plan: by stage the executor, its hardware, how many "
            "instances and how many items at once; `asks` names the endpoint or function that a stage calls. It is the plan of the busiest "
            "epoch on an idle site. Whoever plans anew each epoch needs that planner beside the orchestrator. A refused workflow names the "
            "limit that binds.\n"
        )
        found["workflow_plans.json"] = _json(plans)
    return words, found


def _places(scenario: Scenario) -> list[Place]:
    fleet = scenario.fleet
    carried: dict[str, str] = {}
    for group in scenario.spec.workloads.vms:
        if group.kind == "saas":
            carried |= dict.fromkeys(expand(group.servers), group.endpoint or group.workload)
    return [
        Place(
            server=name,
            rack=fleet.rack_ids[int(fleet.server_racks[index])],
            row=fleet.row_ids[int(fleet.server_rows[index])],
            gpu=fleet.model_names[int(fleet.server_models[index])],
            endpoint=carried[name],
        )
        for index, name in enumerate(fleet.server_ids)
        if name in carried
    ]


def _unplaced(scenario: Scenario, places: Sequence[Place]) -> list[str]:
    """Say of which VMs no file can name the servers: those that a holder of vm_placement gives them in a run."""
    named, settings = Counter(place.endpoint for place in places), scenario.spec.workloads
    vms = carried(settings, scenario.fleet)
    lines = [
        f"- endpoint {endpoint}: {count - named[endpoint]} of its {count} servers; give them its range of clocks once they are known"
        for endpoint, count in vms.items()
        if count > named[endpoint]
    ]
    rented = [group.workload for group in settings.vms if group.kind == "iaas" and group.count]
    rented += [stream.workload for stream in settings.arrivals]
    return lines + [f"- workload {name}: its VMs are opaque, nobody sets their clocks" for name in dict.fromkeys(rented)]


def _extra(scenario: Scenario, extra: Sequence[int]) -> list[str]:
    """Say which servers the policy puts beyond those that the site was built for."""
    rows = zip(scenario.fleet.row_ids, extra, strict=True)
    return [f"- {row}: {count} more servers than it was built for, which the policy counts on" for row, count in rows if count]


def _clock(place: Place, stack: Sequence[Held], knobs: Mapping[str, Knobs]) -> tuple[str, str, str, str, int, int, str]:
    """Return the range of clocks that the holders of a server's configuration may set, in MHz."""
    mine = [held for held in stack if place.within(held)]
    guards = [held for held in mine if card(held.system).levers["instance_config"] == "guard"]
    holder = next(held for held in mine if held not in guards)
    high = float(getattr(knobs[holder.system], "clock_share", 1.0))
    low = min([high, *(float(getattr(knobs[held.system], "lowest_clock_share", high)) for held in guards)])
    named = ", ".join(held.system for held in (*guards, holder))
    return place.server, place.row, place.gpu, place.endpoint, _mhz(place.gpu, low), _mhz(place.gpu, high), named


def _mhz(gpu: str, share: float) -> int:
    """Return a clock that a driver takes: a share of the highest, on its grid."""
    known = calibration("clocks")[gpu]
    highest, step = int(known["highest_mhz"]["value"]), int(known["step_mhz"]["value"])
    return min(highest, round(highest * share / step) * step)


def _engine(endpoint: Any, count: int, places: Sequence[Place], whole: PolicySet, knobs: Mapping[str, Knobs]) -> dict[str, Any]:
    """Return an endpoint's flags; ``count`` is the number of its VMs, each on a whole server."""
    mine = [place for place in places if place.endpoint == endpoint.id]
    config = _holder(whole.levers["instance_config"], endpoint.id, "instance_config")
    scaling = _holder(whole.levers["instance_scaling"], endpoint.id, "instance_scaling")
    batch = getattr(knobs[config.system], "max_batch", None) or endpoint.max_batch
    names = {
        "vllm": ("--tensor-parallel-size", "--max-num-seqs", "--gpu-memory-utilization"),
        "trtllm": ("--tp_size", "--max_batch_size", "--kv_cache_free_gpu_memory_fraction"),
    }[endpoint.engine]
    memory = calibration("serving")["engine"]["memory_utilisation_share"]
    return {
        "endpoint": endpoint.id,
        "engine": endpoint.engine,
        "model": endpoint.model,
        "flags": f"{names[0]} {endpoint.tp} {names[1]} {batch} {names[2]} {memory:g}",
        "instances_at_most": count * (8 // endpoint.tp),
        "servers": [place.server for place in mine],
        "servers_known_in_a_run_only": count - len(mine),
        "scaling": {"system": scaling.system, "knobs": _chosen(knobs[scaling.system])},
        "objectives": {"ttft_s": endpoint.ttft_slo_s, "atgt_s": endpoint.atgt_slo_s},
    }


def _router(endpoint: str, whole: PolicySet, knobs: Mapping[str, Knobs]) -> dict[str, Any]:
    stack = whole.levers["request_routing"]
    base = _holder(stack, endpoint, "request_routing")
    guards = [held for held in stack if card(held.system).levers["request_routing"] == "guard" and _takes(held, endpoint)]
    return {
        "endpoint": endpoint,
        "rule": base.system,
        "rule_knobs": _chosen(knobs[base.system]),
        "strike_out_first": [
            {"system": held.system, "scope": [s.model_dump() for s in held.scope], "knobs": _chosen(knobs[held.system])} for held in guards
        ],
    }


def _holder(stack: Iterable[Held], endpoint: str, lever: str) -> Held:
    return next(held for held in stack if card(held.system).levers[lever] == "holder" and _takes(held, endpoint))


def _takes(held: Held, endpoint: str) -> bool:
    # A holder of some rows or racks decides for the endpoint's instances there; the file says where.
    return not held.scope or any(spec.kind != "endpoint" or spec.id == endpoint for spec in held.scope)


def _chosen(knobs: Knobs) -> dict[str, Any]:
    return knobs.model_dump(mode="json", exclude={"targets"})


def _limits(knobs: Mapping[str, Knobs]) -> list[dict[str, Any]]:
    return [
        {"system": system, "says": target_words(target.model_dump(mode="json")), **target.model_dump(mode="json")}
        for system, mine in sorted(knobs.items())
        for target in mine.targets
    ]


def _readme(policy: PolicySet, scenario: Scenario, knobs: Mapping[str, Knobs], unnamed: Sequence[str], pods: str) -> str:
    unknown = "\n".join(["Not in these files, because their places are known in a run only:", *unnamed, "", ""]) if unnamed else ""
    limits = [f"- {entry['says']}" for entry in _limits(knobs)] or ["- none beyond the hardware's limits and the rows' budgets"]
    words = {"limits": "\n".join(limits), "unknown": unknown, "pods": pods}
    return _README.format(name=policy.name, scenario=scenario.name, policy_id=policy.policy_id, **words)


def _script(commands: Iterable[tuple[str, str]]) -> bytes:
    cases = "\n".join(f"  {server}) {command} ;;" for server, command in commands)
    return _SCRIPT.format(cases=cases).encode()


def _csv(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(heads)
    writer.writerows(rows)
    return out.getvalue().encode()


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True) + "\n").encode()
