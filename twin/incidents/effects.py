"""What each class of cause brings about: symptoms, side effects, remedies."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

Way = int
# What opens an incident: (kind of entity, metric, direction), as alerts name them; warm racks and odd sensors are reported by people.
Symptom = tuple[str, str, Way]

_GPU_HOT: Final = ("server", "servers.gpu_temp_max_c", 1)
_RACK_HOT: Final = ("rack", "racks.inlet_c", 1)
_ROW_SLOW: Final = ("row", "rows.throttled_gpu_share", 1)
_ROW_OVER: Final = ("row", "rows.power_w", 1)
_OBJECTIVE: Final = ("endpoint", "endpoints.slo_share", -1)
_UNIT: Final = ("unit", "feeds.lost_share", 1)
_LATE: Final = ("service", "services.latency_p99_s", 1)
_ERRS: Final = ("service", "services.error_share", 1)
_CALLS_LATE: Final = ("function", "functions.latency_p99_s", 1)
_SPILLS: Final = ("host", "memory_hosts.spilled_bytes", 1)
_BROKEN: Final = ("workload", "requirements.broken_vms", 1)
_NOTICE: Final = ("workload", "notices.late", 1)
_REFUSED: Final = ("workload", "hint_conflicts.hints", 1)


@dataclass(frozen=True, slots=True)
class Effect:
    """What one class of cause brings about.

    ``frequency`` weighs it against the others (incidents a year of a site of some hundred servers). ``opened_by`` says which symptoms
    open its incidents and how often; ``seen`` what else moves (metric, direction) and how often whoever opens the incident has noticed
    it. ``critical`` is the share of critical incidents, ``hours`` the median time until it is resolved. ``taken_for`` are the
    classes that it is wrongly recorded as. ``mechanism`` and ``checked`` are told with ``{at}``, the entity at fault, and ``{of}``, that of
    the symptom.
    """

    frequency: float
    opened_by: tuple[tuple[Symptom, float], ...]
    seen: tuple[tuple[str, Way, float], ...]
    critical: float
    hours: float
    taken_for: tuple[str, ...]
    mechanism: tuple[str, ...]
    checked: tuple[str, ...]


_HEAT_SIDE: Final = (("racks.inlet_c", 1, 0.6), ("servers.gpu_temp_max_c", 1, 0.6), ("servers.clock_min_share", -1, 0.35))
_HEAT_OPENS: Final = ((_GPU_HOT, 0.5), (_ROW_SLOW, 0.25), (_OBJECTIVE, 0.25))
_POOL_OPENS: Final = ((_SPILLS, 0.75), (_LATE, 0.25))

# Directions follow from the twin's physics; frequencies, shares and hours are proposed, of the order that operators report: changes and
# load more often than hardware, hardware more often than plant.
EFFECTS: Final[Mapping[str, Effect]] = {
    "air_handler_lost": Effect(
        3, _HEAT_OPENS, (*_HEAT_SIDE, ("aisles.recirculated_share", 1, 0.35), ("aisles.supply_m3_per_s", -1, 0.2)), 0.5, 3.0,
        ("chiller_lost", "rack_blocked"),
        ("a fan unit of {at} stopped, exhaust came back to the inlets of {of}", "{at} got less cold air than its servers drew"),
        ("inlets along the aisle compared", "airflow that {at} is given", "supply temperature, unchanged", "controller of the unit"),
    ),
    "chiller_lost": Effect(
        1.5, _HEAT_OPENS, (*_HEAT_SIDE, ("site.supply_c", 1, 0.35), ("site.pue", -1, 0.1)), 0.6, 4.0, ("air_handler_lost",),
        ("supply air warmed with the outside, everywhere at once", "the plant's compressor tripped; supply followed the wet bulb"),
        ("other aisles, warm too", "supply temperature against the outside", "compressor's controller"),
    ),
    "ups_lost": Effect(
        1.5, ((_UNIT, 0.4), (_ROW_OVER, 0.25), (_ROW_SLOW, 0.25), (_OBJECTIVE, 0.1)),
        (("rows.braking", 1, 0.6), ("feeds.power_w", 1, 0.4), ("servers.clock_min_share", -1, 0.3), ("feeds.live", -1, 0.2)), 0.6, 5.0,
        ("pdu_lost", "power_cap_wrong"),
        ("{at} went out, the units left carried its load and rows braked", "load moved off {at}; {of} passed its share and braked"),
        ("feeds of the row", "load of the units left", "budget in force, unchanged", "log of the unit"),
    ),
    "pdu_lost": Effect(
        2, ((_UNIT, 0.4), (_ROW_OVER, 0.25), (_ROW_SLOW, 0.25), (_OBJECTIVE, 0.1)),
        (("rows.braking", 1, 0.6), ("feeds.power_w", 1, 0.3), ("servers.power_w", -1, 0.3), ("feeds.live", -1, 0.25)), 0.55, 4.0,
        ("ups_lost", "power_cap_wrong"),
        ("{at} opened, {of} hung on its other feed alone", "one of two feeds of {of} was gone with {at}"),
        ("feeds of the row, one dead", "other rows, unhurt", "breaker's position"),
    ),
    "rack_blocked": Effect(
        4, ((_GPU_HOT, 0.7), (_RACK_HOT, 0.2), (_OBJECTIVE, 0.1)), _HEAT_SIDE, 0.15, 2.5, ("air_handler_lost", "sensor_drift"),
        ("{at} breathed its own exhaust", "panels before {at} held back its air"),
        ("neighbouring racks, cool", "airflow of the aisle, unchanged", "somebody went to look"),
    ),
    "sensor_drift": Effect(
        5, ((_RACK_HOT, 0.7), (("server", "servers.inlet_sensor_c", 1), 0.3)), (("servers.inlet_sensor_c", 1, 0.5),), 0.05, 6.0,
        ("rack_blocked", "none"),
        ("the probe of {at} read what was not there", "{at} reported a temperature that its GPUs did not feel"),
        ("GPU temperatures beside it, unchanged", "sensor against its neighbours", "hand-held thermometer"),
    ),
    "gpu_throttled": Effect(
        6, ((_ROW_SLOW, 0.2), (_OBJECTIVE, 0.8)),
        (("servers.clock_min_share", -1, 0.35), ("servers.power_w", -1, 0.25), ("endpoints.queue", 1, 0.45),
         ("endpoints.ttft_p99_s", 1, 0.4)),
        0.15, 5.0,
        ("gpu_lost", "rack_blocked"),
        ("GPUs of {at} clocked down without being hot", "{at} ran at a fraction of its clock, its instances fell behind"),
        ("inlet and GPU temperature, cool", "clock of each server", "power cap, none", "other instances of the endpoint"),
    ),
    "gpu_lost": Effect(
        5, ((_OBJECTIVE, 1.0),),
        (("endpoints.queue", 1, 0.5), ("endpoints.ttft_p99_s", 1, 0.4), ("instances.on_share", -1, 0.3), ("servers.power_w", -1, 0.2)),
        0.35, 3.0,
        ("instance_lost", "gpu_throttled"),
        ("an accelerator of {at} vanished and its instance served nothing", "the driver of {at} lost a device; the others queued"),
        ("instances of the endpoint, one silent", "driver's log on {at}", "arrivals, as usual"),
    ),
    "instance_lost": Effect(
        8, ((_OBJECTIVE, 1.0),), (("endpoints.queue", 1, 0.55), ("endpoints.ttft_p99_s", 1, 0.4), ("instances.on_share", -1, 0.35)),
        0.3, 1.5,
        ("gpu_lost", "traffic_burst"),
        ("{at} stopped and its requests went to the rest", "the process of {at} ended; {of} had too few instances"),
        ("instances of the endpoint, one gone", "driver's log, clean", "arrivals, as usual", "started it again"),
    ),
    "power_cap_wrong": Effect(
        3, ((_ROW_SLOW, 0.5), (_OBJECTIVE, 0.3), (_ROW_OVER, 0.2)),
        (("rows.braking", 1, 0.5), ("rows.budget_w", -1, 0.25), ("servers.clock_min_share", -1, 0.4)), 0.3, 2.0,
        ("pdu_lost", "policy_change_wrong"),
        ("a limit far below what {at} needs was in force and its servers braked", "{at} was held under a budget meant for another"),
        ("feeds of the row, all live", "budget before and after", "change log of the row"),
    ),
    "policy_change_wrong": Effect(
        5, ((_OBJECTIVE, 0.7), (_ROW_OVER, 0.15), (_GPU_HOT, 0.15)),
        (("endpoints.queue", 1, 0.4), ("endpoints.ttft_p99_s", 1, 0.4), ("rows.power_w", 1, 0.2), ("instances.kv_share", 1, 0.2)), 0.2, 2.0,
        ("traffic_burst", "power_cap_wrong"),
        ("decisions since the switch put load where it did not fit", "the new rules were worse on this load than the old"),
        ("what was switched and when", "the same hour of the day before", "hardware, unhurt", "switched back"),
    ),
    "slow_nic": Effect(
        5, ((_LATE, 0.8), (_CALLS_LATE, 0.1), (_ERRS, 0.1)),
        (("services.retries_per_s", 1, 0.3), ("service_hosts.network_latency_s", 1, 0.2), ("services.latency_p50_s", 1, 0.4)), 0.2, 4.0,
        ("noisy_neighbour", "bad_deployment"),
        ("packets to and from {at} were late, so were all that lived on it", "the card of {at} sent segments again"),
        ("all services of one host late", "core time, unchanged", "round trips of {at}", "counters of the card"),
    ),
    "noisy_neighbour": Effect(
        7, ((_LATE, 0.9), (_CALLS_LATE, 0.1)),
        (("services.cpu_share", 1, 0.4), ("service_hosts.steal_share", 1, 0.2), ("services.latency_p50_s", 1, 0.4)), 0.1, 3.0,
        ("slow_nic", "bad_deployment"),
        ("others took the cores of {at}", "guests beside {of} on {at} left it too few cores"),
        ("all services of one host late", "network of {at}, as usual", "cores that the host gives"),
    ),
    "memory_leak": Effect(
        9, ((_LATE, 0.6), (_ERRS, 0.4)),
        (
            ("services.memory_share", 1, 0.35), ("services.restarts", 1, 0.3), ("services.cpu_share", 1, 0.3),
            ("services.retries_per_s", 1, 0.2),
        ),
        0.25, 6.0, ("bad_deployment", "traffic_burst"),
        ("{at} held what it should have freed until it was killed", "collections took the cores of {at}, then it started anew"),
        ("callees of {at}, well", "memory over the last day", "load, as usual", "restarted, rose again"),
    ),
    "bad_deployment": Effect(
        20, ((_LATE, 0.5), (_ERRS, 0.5)),
        (
            ("services.cpu_share", 1, 0.4), ("services.error_share", 1, 0.35), ("services.retries_per_s", 1, 0.3),
            ("services.latency_p50_s", 1, 0.3),
        ),
        0.3, 1.5, ("memory_leak", "traffic_burst"),
        ("the new version of {at} needed more time for each request", "the version of {at} that had just gone out failed requests"),
        ("load, as usual", "change log of {at}", "versions before and after", "rolled back"),
    ),
    "certificate_expired": Effect(
        3, ((_ERRS, 0.9), (_LATE, 0.1)),
        (("services.retries_per_s", 1, 0.45), ("services.requests_per_s", -1, 0.45), ("services.cpu_share", -1, 0.3)), 0.6, 1.5,
        ("bad_deployment",),
        ("callers refused {at} at the handshake", "nobody could open a connection to {at} since its validity ended"),
        ("{at} idle though asked", "log lines of its callers", "validity of what it shows"),
    ),
    "traffic_burst": Effect(
        14, ((_LATE, 0.35), (_OBJECTIVE, 0.5), (_ERRS, 0.15)),
        (("services.offered_per_s", 1, 0.4), ("endpoints.arrivals", 1, 0.4), ("endpoints.queue", 1, 0.3), ("services.cpu_share", 1, 0.3)),
        0.2, 1.0, ("retry_storm", "bad_deployment", "none"),
        ("more was asked of {at} than it can serve", "the outside asked {at} several times as much as on other days"),
        ("what is asked against the week before", "where it comes from", "change log, nothing", "instances added"),
    ),
    "retry_storm": Effect(
        4, ((_ERRS, 0.5), (_LATE, 0.5)),
        (("services.retries_per_s", 1, 0.6), ("services.offered_per_s", 1, 0.45), ("services.cpu_share", 1, 0.3)), 0.6, 2.0,
        ("traffic_burst", "bad_deployment"),
        ("calls that had timed out were made again and kept {at} too busy to answer in time", "{at} did work that nobody waited for"),
        ("what is asked by people, as usual", "repetitions against first attempts", "what came before it", "callers held back"),
    ),
    "cxl_link_lost": Effect(
        4, _POOL_OPENS, (("memory_pool.overflow_events", 1, 0.5), ("memory_hosts.pooled_bytes", -1, 0.4)), 0.2, 5.0, ("cxl_device_lost",),
        ("{at} reached fewer devices and kept memory itself", "a port of {at} went down; what lay behind was placed again"),
        ("other hosts of the pod, well", "devices, all there", "ports of {at}"),
    ),
    "cxl_device_lost": Effect(
        3, _POOL_OPENS, (("memory_pool.overflow_events", 1, 0.5), ("memory_devices.capacity_bytes", -1, 0.3)), 0.35, 6.0,
        ("cxl_link_lost", "cxl_switch_lost"),
        ("what lay on {at} was placed again on what was left", "{at} answered no more; hosts that reached it kept memory themselves"),
        ("hosts that spill, all reach one device", "capacity of devices", "log of the fabric"),
    ),
    "cxl_switch_lost": Effect(
        1.5, _POOL_OPENS, (("memory_pool.overflow_events", 1, 0.6), ("memory_hosts.pooled_bytes", -1, 0.5)), 0.6, 6.0, ("cxl_device_lost",),
        ("all ways through {at} were gone at once", "with {at} every device behind it was out of reach"),
        ("hosts that spill, a whole side of the pod", "devices, several at once", "log of the fabric"),
    ),
    "cold_start_storm": Effect(
        6, ((_CALLS_LATE, 0.95), (_LATE, 0.05)), (("functions.cold_starts", 1, 0.55), ("functions.instances", -1, 0.35)), 0.15, 1.5,
        ("traffic_burst",),
        ("warm instances of {at} were taken away as fast as they came", "each call to {at} waited for a fresh instance"),
        ("calls, as many as usual", "warm instances over the hour", "host of {at}, idle"),
    ),
    "hint_flood": Effect(
        3, ((_REFUSED, 0.6), (_BROKEN, 0.2), (_NOTICE, 0.2)), (("messages.count", 1, 0.4), ("notices.late", 1, 0.2)),
        0.1, 2.0, ("traffic_burst",),
        ("{at} said far more than its limits allow and crowded out the rest", "what others asked for waited behind messages of {at}"),
        ("who says how much", "limits of each tenant", "treatments of the others"),
    ),
    "none": Effect(
        9, ((_LATE, 0.35), (_OBJECTIVE, 0.25), (_GPU_HOT, 0.2), (_CALLS_LATE, 0.2)), (("endpoints.arrivals", 1, 0.1),), 0.02, 1.0,
        ("traffic_burst", "noisy_neighbour"),
        ("it went away by itself; nothing was found", "an ordinary peak just above the bound"),
        ("dependencies, well", "change log, nothing that fits", "the same hour of other days, much alike"),
    ),
}  # fmt: skip
