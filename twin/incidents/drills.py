"""Drills: scenarios with a fault, or none, drawn with its ground truth."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import numpy as np

from twin.chance import stream
from twin.faults import Fault
from twin.fleet import Fleet, expand
from twin.incidents.case import Truth
from twin.incidents.truth import cause_of, entity_of
from twin.units import parse

Use = Literal["history", "fit", "held-out"]
USES: Final = ("history", "fit", "held-out")
_MOST: Final = 100_000
# Days after the base scenario's beginning on which drills of a use are held: no two uses share one, and later ones lie later.
_DAYS: Final[Mapping[str, tuple[int, int]]] = {"history": (0, 60), "fit": (60, 90), "held-out": (90, 120)}
_NONE: Final = "none"


@dataclass(frozen=True, slots=True)
class Kind:
    """How one kind of fault is drawn: how often against the others, and its severity where data can prove it and where they cannot.

    ``faint`` None: there is no such fault that cannot be seen. Severities are even between low and high.
    """

    frequency: float
    strong: tuple[float, float]
    faint: tuple[float, float] | None = (0.002, 0.01)


# Frequencies and severities are proposed: services break more often than machines, machines more often than plant. Chillers are left
# out: the drills' sites are cooled by outside air all day, where losing one is felt by nobody.
KINDS: Final[Mapping[str, Kind]] = {
    _NONE: Kind(10.0, (1.0, 1.0), None),
    "bad_deployment": Kind(14.0, (0.5, 1.0), (0.0002, 0.0008)),
    "memory_leak": Kind(9.0, (0.7, 1.0)),
    "request_burst": Kind(9.0, (0.7, 1.0)),
    "certificate_expired": Kind(5.0, (0.6, 1.0), None),
    "slow_nic": Kind(8.0, (0.7, 1.0), (0.0002, 0.001)),
    "noisy_neighbour": Kind(8.0, (0.9, 1.0)),
    "gpu_throttle": Kind(7.0, (0.4, 0.75), None),
    "gpu_off_bus": Kind(6.0, (1.0, 1.0), None),
    "instance_loss": Kind(4.0, (1.0, 1.0), None),
    "power_cap_wrong": Kind(5.0, (0.6, 0.8), (0.002, 0.01)),
    "rack_blocked": Kind(4.0, (0.6, 0.9), (0.001, 0.004)),
    "ahu_loss": Kind(4.0, (0.6, 0.9), (0.001, 0.004)),
    "ups_loss": Kind(2.0, (1.0, 1.0), None),
    "pdu_loss": Kind(2.0, (1.0, 1.0), None),
    "cold_start_storm": Kind(4.0, (0.6, 1.0), None),
    "hint_flood": Kind(3.0, (0.4, 1.0), None),
}
# One strong fault of so many is faint instead, where its kind can be.
FAINT_SHARE: Final = 0.12
# What passes for strong of kinds that are not drawn.
_STRONG_SHARE: Final = 0.1
# None, one or two things that look like a cause and are none.
_CONFOUNDERS: Final = (0.35, 0.4, 0.25)
_INNOCENT: Final = (
    ("setting", "service owner", "log level of {id} set to warning"),
    ("deployment", "release pipeline", "{id} rolled out again, same version"),
    ("setting", "service owner", "feature flag of {id} on for 5 % of users"),
)


@dataclass(frozen=True)
class Drill:
    """A scenario, as ``twin.scenario.read`` takes it, and what was done in it. ``confounders`` says what only looks like a cause."""

    use: str
    number: int
    scenario: Mapping[str, Any]
    truth: Truth
    fault: Fault | None
    confounders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Moment:
    """When it happens: the run's length, the fault's beginning."""

    horizon_s: float
    from_s: float


def targets(base: Mapping[str, Any], fleet: Fleet) -> dict[str, tuple[str, ...]]:
    """Return what each kind of fault can strike in a scenario (as its file writes it) on its fleet; kinds without any are left out."""
    services = list(base.get("incidents", {}).get("services", ()))
    workloads = base.get("workloads", {})
    serving = [name for group in workloads.get("vms", ()) if group.get("kind") == "saas" for name in expand(group.get("servers", []))]
    gpu_rows = dict.fromkeys(fleet.row_ids[int(row)] for row in fleet.server_rows)
    racks = dict.fromkeys(fleet.rack_ids[int(fleet.server_racks[fleet.server_ids.index(name)])] for name in serving)
    aisles = dict.fromkeys(fleet.aisle_ids[int(aisle)] for aisle in fleet.server_aisles)
    hosts = dict.fromkeys(name for service in services for name in service["hosts"])
    ids = tuple(str(service["id"]) for service in services)
    asked = tuple(str(service["id"]) for service in services if service.get("rate_per_s", 0.0) > 0.0)
    endpoints = [str(endpoint["id"]) for endpoint in base.get("serving", {}).get("endpoints", ())]
    tenants = workloads.get("negotiation", {}).get("tenants", ())
    found: dict[str, Sequence[str]] = {
        **dict.fromkeys(("bad_deployment", "memory_leak", "certificate_expired"), ids),
        "request_burst": asked,
        **dict.fromkeys(("slow_nic", "noisy_neighbour"), tuple(hosts)),
        **dict.fromkeys(("gpu_throttle", "gpu_off_bus"), serving),
        "instance_loss": [f"{name}/1" for name in endpoints],
        "power_cap_wrong": tuple(gpu_rows),
        "rack_blocked": tuple(racks),
        "ahu_loss": tuple(aisles),
        "ups_loss": fleet.ups_ids,
        "pdu_loss": fleet.pdu_ids,
        "cold_start_storm": [str(function["id"]) for function in base.get("functions", {}).get("functions", ())],
        "hint_flood": [str(tenant["id"]) for tenant in tenants],
        _NONE: ("",),
    }
    return {kind: tuple(found[kind]) for kind in KINDS if found[kind]}


def drawn(base: Mapping[str, Any], fleet: Fleet, use: Use, number: int, seed: int = 1, kinds: Sequence[str] = ()) -> Drill:
    """Return one drill of a use. The same arguments give the same drill; drills of two uses share neither draws, run seeds nor days.

    ``base`` is a scenario as its file writes it, ``fleet`` the one that it names, ``kinds`` those to draw from (empty for all that
    it has a target for). ValueError for a use or number that there is not, and where no kind has a target.
    """
    if use not in USES:
        raise ValueError(f"there is no use {use!r} of drills; it is one of {', '.join(USES)}")
    if not 0 <= number < _MOST:
        raise ValueError(f"drill {number} is not one of {_MOST:,}; count from 0")
    random = stream(seed, "incidents", "drills", str(base["name"]), use, str(number))
    struck = {kind: ids for kind, ids in targets(base, fleet).items() if not kinds or kind in kinds}
    if not struck:
        raise ValueError(f"drills on {base['name']}: nothing there can be struck by {', '.join(kinds)}")
    weights = np.array([KINDS[kind].frequency for kind in struck])
    kind = list(struck)[int(random.choice(len(struck), p=weights / weights.sum()))]
    horizon_s = float(parse(base["horizon_s"], "_s"))
    moment = _Moment(horizon_s, float(np.round(horizon_s * random.uniform(0.5, 0.75))))
    fault, provable = (None, False) if kind == _NONE else _fault(kind, struck[kind], moment, random)
    faults, changes, words = _confounders(base, fleet, fault, moment, random)
    truth = Truth("", _NONE, moment.from_s, provable=False)
    if fault is not None:
        truth = Truth(entity_of(fault), cause_of(fault), fault.from_s, provable, (), _also(fault))
        faults = [*faults, fault]
    return Drill(use, number, _scenario(base, use, number, faults, changes, random), truth, fault, tuple(words))


def _fault(kind: str, ids: Sequence[str], moment: _Moment, random: np.random.Generator) -> tuple[Fault, bool]:
    """Return a fault of a kind, and whether it is strong enough to be seen."""
    how, target = KINDS[kind], ids[int(random.integers(len(ids)))]
    level, is_faint = float(random.random()), bool(random.random() < FAINT_SHARE)
    low, high = how.faint if is_faint and how.faint is not None else how.strong
    lasts_s, ends = float(random.uniform(1500.0, 3000.0)), bool(random.random() < 0.4)
    until_s = float(np.round(moment.from_s + lasts_s))
    fault = Fault(
        kind=kind,
        target=target,
        from_s=moment.from_s,
        until_s=until_s if ends and until_s < moment.horizon_s else None,
        severity=low + (high - low) * level,
    )
    return fault, not (is_faint and how.faint is not None)


def strong(fault: Fault) -> bool:
    """Return whether a fault is of a size that data can prove: that of the strong ones of its kind, a tenth where none is drawn."""
    how = KINDS.get(fault.kind)
    if how is None:
        return fault.severity >= _STRONG_SHARE
    return how.faint is None or fault.severity > how.faint[1]


def _also(fault: Fault) -> tuple[str, ...]:
    """Return what is as right an answer: an aisle that lost air and its handlers are one place."""
    return (f"{fault.target}/air-handler-1",) if fault.kind == "ahu_loss" else ()


def _confounders(
    base: Mapping[str, Any], fleet: Fleet, fault: Fault | None, moment: _Moment, random: np.random.Generator
) -> tuple[list[Fault], list[dict[str, Any]], list[str]]:
    """Return small bursts and loud but harmless things elsewhere, innocent changes just before, and words for each."""
    there = targets(base, fleet)
    rented = [str(group["workload"]) for group in base.get("workloads", {}).get("vms", ()) if group.get("kind", "iaas") == "iaas"]
    own = {str(base.get(section, {}).get("workload", "")) for section in ("functions", "workflows")}
    loud = [name for name in dict.fromkeys(rented) if name not in own]
    taken = "" if fault is None else fault.target
    options = {
        "change": [name for name in there.get("bad_deployment", ()) if name != taken],
        "burst": [name for name in there.get("request_burst", ()) if name != taken],
        "loud": loud,
        "drift": [name for name in fleet.server_ids if name != taken],
    }
    kinds = [kind for kind, ids in options.items() if ids]
    count = min(int(random.choice(len(_CONFOUNDERS), p=_CONFOUNDERS)), len(kinds))
    faults, changes, words = list[Fault](), list[dict[str, Any]](), list[str]()
    for kind in random.permutation(kinds)[:count].tolist():
        name = options[kind][int(random.integers(len(options[kind])))]
        at_s = float(np.round(moment.from_s - random.uniform(120.0, 1200.0)))
        if kind == "change":
            what, actor, said = _INNOCENT[int(random.integers(len(_INNOCENT)))]
            told = {"kind": what, "actor": actor, "words": said.format(id=name)}
            changes.append({"at_s": at_s, "entity_kind": "service", "entity_id": name, **told})
        else:
            injected, least, most = {"burst": ("request_burst", 0.02, 0.05), "loud": ("traffic_burst", 0.2, 0.35)}.get(
                kind, ("sensor_drift", 0.3, 0.6)
            )
            until_s = min(float(np.round(at_s + random.uniform(300.0, 900.0))), moment.horizon_s)
            severity = float(random.uniform(least, most))
            faults.append(Fault(kind=injected, target=name, from_s=at_s, until_s=until_s, severity=severity))
        words.append(f"{kind} at {name}, {moment.from_s - at_s:.0f} s before")
    return faults, changes, words


def _scenario(
    base: Mapping[str, Any], use: str, number: int, faults: Sequence[Fault], changes: Sequence[dict[str, Any]], random: np.random.Generator
) -> dict[str, Any]:
    """Return the base with a name, a day and a seed of the drill's own, and what is injected into it."""
    first, last = _DAYS[use]
    start = base["start"] if isinstance(base["start"], datetime) else datetime.fromisoformat(str(base["start"]))
    # In the hours of work, when there is load enough for a fault to be felt.
    begun = start.replace(hour=int(random.integers(8, 19)), tzinfo=None) + timedelta(days=int(random.integers(first, last)))
    out: dict[str, Any] = copy.deepcopy(dict(base))
    out |= {"name": f"{base['name']}-{use}-{number}", "start": begun, "seed": _MOST * (1 + USES.index(use)) + number}
    injected = [fault.model_dump(exclude_none=True) for fault in sorted(faults, key=lambda each: each.from_s)]
    out["faults"] = [*out.get("faults", ()), *injected]
    incidents = dict(out.get("incidents", {}))
    if changes:
        incidents["changes"] = [*incidents.get("changes", ()), *changes]
    return out | {"incidents": incidents}
