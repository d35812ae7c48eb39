"""What each class of cause looks like: a table of signs with reasons."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Literal

Where = Literal["metric", "log", "change"]


@dataclass(frozen=True, slots=True)
class Sign:
    """One thing that speaks for (or, with a negative weight, against) a class of cause.

    ``pattern`` is searched in the metric's name, the event's kind or log's template, the change's kind. ``way`` is the direction of a
    metric: +1 rose, -1 fell, 0 either. Of a ``key`` sign at least one must be there. ``why`` is the physics of it.
    """

    where: Where
    pattern: str
    weight: float
    why: str
    way: int = 0
    key: bool = False


@dataclass(frozen=True, slots=True)
class Signature:
    """The signs of one class of cause on entities of some kinds, and how it brings symptoms about."""

    cause: str
    kinds: tuple[str, ...]
    mechanism: str
    signs: tuple[Sign, ...]


def _key(where: Where, pattern: str, weight: float, why: str, way: int = 0) -> Sign:
    return Sign(where, pattern, weight, why, way, key=True)


# Weights are proposed: the decisive sign of a class alone makes it likelier than not, two together nearly certain.
SIGNATURES: Final = (
    Signature(
        "air_handler_lost",
        ("aisle", "air handler", "ahu"),
        "less cold air reaches the aisle, hot exhaust comes back to the inlets, GPUs get hot and clock down",
        (
            _key("metric", r"supply_m3_per_s", 0.7, "an air handler that stops gives no air", -1),
            Sign("metric", r"recirculated_share", 0.15, "what the handlers lack is drawn from the exhaust", +1),
            Sign("metric", r"inlet_max_c", 0.1, "inlets warm with what comes back", +1),
            _key("log", r"capacity_lost|ahu|air.?handler|fan_(lost|fail)", 0.5, "its controller says so"),
        ),
    ),
    Signature(
        "chiller_lost",
        ("site",),
        "supply air warms everywhere, GPUs get hot and clock down",
        (
            _key("metric", r"supply_c", 0.55, "without the chiller supply air follows the outside", +1),
            _key("log", r"capacity_lost|chiller", 0.6, "its controller says so"),
            Sign("metric", r"outside_c|wet_bulb_c", -0.25, "a hot day warms the supply too", +1),
        ),
    ),
    Signature(
        "ups_lost",
        ("ups",),
        "the units that are left carry the load; over their rating rows brake or go dark",
        (
            _key("metric", r"feeds\.(live|rated_w)", 0.8, "a unit that is out has no rating", -1),
            _key("log", r"capacity_lost|ups|feed", 0.5, "its controller says so"),
        ),
    ),
    Signature(
        "pdu_lost",
        ("pdu",),
        "rows behind it lose a feed; they brake or go dark",
        (
            _key("metric", r"feeds\.(live|rated_w)", 0.8, "a unit that is out has no rating", -1),
            _key("log", r"capacity_lost|pdu|feed|breaker", 0.5, "its controller says so"),
        ),
    ),
    Signature(
        "rack_blocked",
        ("rack",),
        "too little air gets through the rack, its GPUs get hot and clock down though its inlets are as cool as before",
        (
            _key("metric", r"racks\.gpu_temp_max_c", 0.6, "its GPUs get hot", +1),
            Sign("metric", r"throttled_gpu_share", 0.2, "they throttle", +1),
            Sign("metric", r"racks\.inlet_c", -0.35, "warm air would explain it", +1),
            Sign("metric", r"racks\.power_w", -0.25, "more load would explain it", +1),
        ),
    ),
    Signature(
        "sensor_drift",
        ("server",),
        "who believes the sensor acts on a temperature that is not there",
        (
            _key("metric", r"inlet_sensor_c|sensor", 0.65, "the reading drifts"),
            Sign("metric", r"servers\.inlet_c", -0.5, "where the air itself warms, the sensor is right"),
            Sign("metric", r"gpu_temp_max_c|throttled", -0.2, "where the GPUs warm, so does the air"),
        ),
    ),
    Signature(
        "gpu_throttled",
        ("server", "gpu"),
        "its GPUs clock down by themselves, its instances take longer for each token",
        (
            _key("metric", r"clock_min_share", 0.5, "the clock falls", -1),
            _key("metric", r"throttled_gpu_share", 0.4, "GPU time is spent throttled", +1),
            Sign("metric", r"gpu_temp_max_c|power_w", 0.15, "slower GPUs draw less and cool down", -1),
            Sign("metric", r"inlet_c", -0.35, "warm air would explain it", +1),
            Sign("metric", r"gpu_temp_max_c", -0.6, "GPUs that got hot clock down for that", +1),
        ),
    ),
    Signature(
        "gpu_lost",
        ("server", "instance", "gpu"),
        "an instance without one of its GPUs serves nothing; the others queue",
        (
            _key("log", r"xid|off the bus|off_bus|gpu_lost", 0.8, "the driver lost the GPU"),
            Sign("metric", r"on_share|tokens_per_s", 0.15, "its instance stops", -1),
            Sign("metric", r"power_w", 0.05, "it draws less", -1),
        ),
    ),
    Signature(
        "instance_lost",
        ("instance",),
        "what it served goes to the others; they queue",
        (
            _key("metric", r"instances\.on_share", 0.55, "its GPUs are no longer held", -1),
            _key("log", r"instance.*(lost|loss|fail|crash|down)", 0.6, "serving says so"),
            Sign("metric", r"tokens_per_s|arrivals", 0.15, "it generates nothing", -1),
            Sign("log", r"xid|off the bus|off_bus", -0.4, "a GPU that fell off explains it"),
        ),
    ),
    Signature(
        "power_cap_wrong",
        ("row",),
        "the row brakes though its feeds could carry it; its GPUs clock down",
        (
            _key("metric", r"budget_w", 0.55, "the budget in force fell", -1),
            _key("change", r"cap|budget|power", 0.45, "a cap was changed just before"),
            Sign("metric", r"throttled_gpu_share|braking|power_brakes", 0.2, "GPUs are braked", +1),
            Sign("metric", r"rows\.power_w", 0.1, "power is held down", -1),
        ),
    ),
    Signature(
        "policy_change_wrong",
        ("site", "endpoint", "row"),
        "a policy decides otherwise than before",
        (
            _key("change", r"policy", 0.6, "a policy was switched just before"),
            Sign("metric", r".", 0.1, "something of it moved"),
        ),
    ),
    Signature(
        "slow_nic",
        ("host",),
        "each call to and from the host takes longer, its callers wait",
        (
            _key("metric", r"network_latency_s", 0.75, "calls to and from it take longer", +1),
            Sign("log", r"retransmi|nic|link|packet", 0.2, "the network says so"),
        ),
    ),
    Signature(
        "noisy_neighbour",
        ("host",),
        "another tenant takes the host's cores, its services queue",
        (
            _key("metric", r"steal_share", 0.75, "cores are stolen", +1),
            Sign("metric", r"latency", 0.1, "what runs there slows", +1),
        ),
    ),
    Signature(
        "memory_leak",
        ("service",),
        "memory grows until collections take the cores and the instance restarts",
        (
            _key("metric", r"memory_share", 0.65, "memory grows, which load alone hardly moves", +1),
            Sign("metric", r"restarts", 0.2, "it restarts at the limit", +1),
            Sign("log", r"out of memory|oom|garbage|collection|heap", 0.3, "it says so"),
        ),
    ),
    Signature(
        "bad_deployment",
        ("service",),
        "the new version needs more time or fails; callers wait and retry",
        (
            _key("change", r"deploy|release|rollout|version", 0.5, "it was deployed just before"),
            Sign("metric", r"services\.(cpu_share|error_share)", 0.25, "it needs more or fails", +1),
            Sign("metric", r"latency", 0.15, "it answers later", +1),
            Sign("log", r"exception|panic|error|fail", 0.1, "it says so"),
            Sign("metric", r"offered_per_s", -0.25, "more requests would explain it", +1),
        ),
    ),
    Signature(
        "certificate_expired",
        ("service",),
        "every call to it fails at the handshake; callers err and retry",
        (
            _key("log", r"certificate|x509|tls", 0.8, "callers do not take its certificate"),
            Sign("metric", r"error_share", 0.1, "calls fail", +1),
            Sign("metric", r"(requests|offered)_per_s|cpu_share", 0.1, "nothing reaches it", -1),
        ),
    ),
    Signature(
        "traffic_burst",
        ("service", "endpoint"),
        "more is asked than it can serve; it queues",
        (
            _key("metric", r"offered_per_s|endpoints\.arrivals|prompt_tokens_per_s", 0.6, "more is asked of it", +1),
            Sign("metric", r"cpu_share|queue|kv_share", 0.15, "it is busier", +1),
            Sign("metric", r"retries_per_s", -0.15, "retries would explain it", +1),
            Sign("change", r"deploy|release|rollout", -0.15, "a deployment just before would explain it"),
        ),
    ),
    Signature(
        "retry_storm",
        ("service",),
        "time-outs are tried again; the retries keep it overloaded after the trigger is gone",
        (
            _key("metric", r"retries_per_s", 0.5, "calls are tried again", +1),
            Sign("metric", r"offered_per_s", 0.15, "more is asked of it", +1),
            Sign("metric", r"error_share", 0.1, "calls fail", +1),
        ),
    ),
    Signature(
        "cxl_link_lost",
        ("host",),
        "the host reaches fewer pool devices; memory is moved and spills",
        (
            _key("log", r"cxl.*link|link.*(down|lost|loss)", 0.75, "the port went down"),
            Sign("metric", r"spilled_bytes|local_bytes", 0.2, "memory is held on the host instead", +1),
            Sign("metric", r"pooled_bytes", 0.1, "less of it is pooled", -1),
        ),
    ),
    Signature(
        "cxl_device_lost",
        ("device",),
        "what lay on the device is placed again; hosts spill",
        (
            _key("metric", r"capacity_bytes", 0.75, "a lost device holds nothing", -1),
            _key("log", r"device.*(lost|loss|down)", 0.6, "the fabric says so"),
            Sign("metric", r"used_bytes", 0.1, "nothing lies there", -1),
        ),
    ),
    Signature(
        "cxl_switch_lost",
        ("switch",),
        "all ways through the switch are gone; hosts spill",
        (_key("log", r"switch", 0.8, "the fabric says so"),),
    ),
    Signature(
        "cold_start_storm",
        ("function",),
        "warm instances are gone, calls wait for starts",
        (
            _key("metric", r"cold_starts", 0.6, "calls wait for a start", +1),
            Sign("metric", r"functions\.instances", 0.2, "warm instances are gone", -1),
            Sign("metric", r"arrived", -0.35, "more calls need more starts", +1),
        ),
    ),
    Signature(
        "hint_flood",
        ("workload",),
        "hints beyond all limits crowd out the others'",
        (
            _key("metric", r"hints", 0.7, "it hints far more than before", +1),
            _key("log", r"hint", 0.6, "too many of its hints came"),
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Match:
    """How well one class fits one entity: 0 to 1, the rows that speak for it and those against, and when the first of them was."""

    signature: Signature
    score: float
    spoken: tuple[tuple[Sign, Mapping[str, Any]], ...]
    against: tuple[tuple[Sign, Mapping[str, Any]], ...]
    onset_s: float

    @property
    def deciding_metric(self) -> str:
        """Return the metric that decides, empty where a log or a change does."""
        metrics = [(sign.weight, str(row["metric"])) for sign, row in self.spoken if sign.where == "metric"]
        return max(metrics)[1] if metrics else ""


def matches(kind: str, rows: Mapping[Where, Sequence[Mapping[str, Any]]]) -> tuple[Match, ...]:
    """Return the classes that fit an entity of a kind, the best first.

    ``rows`` are what is known of it: rows of a scan that moved (with ``way`` and ``strength``), of events and logs, of changes just
    before. An unknown kind is held against every signature.
    """
    found = []
    for signature in SIGNATURES:
        if kind and kind not in signature.kinds:
            continue
        hits = [(sign, row) for sign in signature.signs if (row := _first(sign, rows.get(sign.where, ()))) is not None]
        if not any(sign.key for sign, _ in hits):
            continue
        spoken = tuple(hit for hit in hits if hit[0].weight > 0.0)
        score = sum(sign.weight * float(row.get("strength", 1.0)) for sign, row in hits)
        times = [_time(sign, row) for sign, row in spoken if sign.key]
        against = tuple(hit for hit in hits if hit[0].weight < 0.0)
        found.append(Match(signature, min(max(score, 0.0), 1.0), spoken, against, min(times)))
    return tuple(sorted(found, key=lambda item: (-item.score, item.signature.cause)))


def _first(sign: Sign, rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the row that shows a sign most clearly."""
    field, pattern = ("metric" if sign.where == "metric" else "kind"), _compiled(sign.pattern)
    fits = [row for row in rows if pattern.search(str(row[field])) and (sign.where != "metric" or sign.way in (0, row["way"]))]
    return max(fits, key=lambda row: float(row.get("strength", 1.0))) if fits else None


def _time(sign: Sign, row: Mapping[str, Any]) -> float:
    told = row["onset_s"] if sign.where == "metric" else row["time"]
    return float("inf") if told is None else float(told)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)
