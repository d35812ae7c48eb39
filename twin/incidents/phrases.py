"""How engineers write of incidents: many words for the same symptoms."""

from collections.abc import Mapping
from typing import Final

# What moved, by metric and direction; {e} is of whom it is told. None of it names a cause.
SAID: Final[Mapping[tuple[str, int], tuple[str, ...]]] = {
    ("servers.gpu_temp_max_c", 1): ("GPUs of {e} above their limit", "{e} runs hot", "GPU temperature on {e} climbing"),
    ("servers.inlet_sensor_c", 1): ("{e} reports a warm inlet", "inlet reading of {e} high", "temperature reading at {e} far up"),
    ("servers.clock_min_share", -1): ("clocks are down on {e}", "{e} has lowered its clocks", "GPUs there run slower than they were set"),
    ("servers.power_w", -1): ("{e} draws less than usual", "power of {e} fell"),
    ("racks.inlet_c", 1): ("inlets of {e} too warm", "{e} breathes warm air", "inlet temperature at {e} past its bound"),
    ("rows.power_w", 1): ("{e} over its power budget", "power of {e} beyond what it may draw", "{e} draws too much"),
    ("rows.throttled_gpu_share", 1): ("GPUs of {e} throttled", "much of the GPU time in {e} is throttled", "throttling across {e}"),
    ("rows.braking", 1): ("servers brake", "power brake came on", "brakes on in {e}"),
    ("rows.budget_w", -1): ("budget in force is lower than it was", "less power is allowed there"),
    ("aisles.recirculated_share", 1): ("warm air comes round to the front", "exhaust at the inlets"),
    ("aisles.supply_m3_per_s", -1): ("less air arrives than is drawn", "airflow into the aisle fell"),
    ("site.supply_c", 1): ("supply air is warmer than it is set", "supply temperature rising"),
    ("site.pue", -1): ("PUE is lower than usual",),
    ("feeds.power_w", 1): ("a feed carries more than before", "load of the feeds is uneven"),
    ("feeds.live", -1): ("one feed shows nothing", "a feed reads zero"),
    ("endpoints.slo_share", -1): ("{e} misses its objectives", "attainment of {e} dropped", "too few requests of {e} within objectives"),
    ("endpoints.ttft_p99_s", 1): (
        "first tokens of {e} come late",
        "{e} is slow to its first token",
        "time to first token at {e} up",
    ),
    ("endpoints.queue", 1): ("requests queue", "the queue of the endpoint grows", "waiting requests pile up"),
    ("endpoints.arrivals", 1): ("more requests arrive than usual", "arrivals are up"),
    ("instances.on_share", -1): ("fewer instances answer", "one instance gives no sign"),
    ("instances.kv_share", 1): ("KV caches are nearly full", "cache use is up"),
    ("services.latency_p99_s", 1): ("{e} answers late", "p99 of {e} above its objective", "slow responses from {e}", "{e} latency is up"),
    ("services.latency_p50_s", 1): ("even the median is up", "all requests are slower, not just the tail"),
    ("services.error_share", 1): ("{e} returns errors", "errors at {e}", "requests to {e} fail", "error rate of {e} over its objective"),
    ("services.cpu_share", 1): ("its cores are busier", "CPU is up"),
    ("services.cpu_share", -1): ("its cores are idle", "CPU fell"),
    ("services.memory_share", 1): ("memory is higher than in the morning", "memory use is up"),
    ("services.restarts", 1): ("an instance started anew", "it restarted"),
    ("services.retries_per_s", 1): ("callers retry", "many repeated attempts", "retries are up"),
    ("services.offered_per_s", 1): ("more attempts reach it", "request rate is up"),
    ("services.requests_per_s", -1): ("it serves hardly anything", "served requests fell"),
    ("service_hosts.network_latency_s", 1): ("round trips to its host take longer", "network latency there is up"),
    ("service_hosts.steal_share", 1): ("steal time on its host", "its host gives fewer cores"),
    ("functions.latency_p99_s", 1): ("calls of {e} take long", "p99 of {e} is up", "{e} is slow"),
    ("functions.cold_starts", 1): ("many calls wait for a start", "cold starts are up"),
    ("functions.instances", -1): ("few instances are warm", "warm instances fell"),
    ("memory_pool.overflow_events", 1): ("VMs find no room in the pool", "the pool overflows", "more hosts of the pod spill"),
    ("memory_hosts.spilled_bytes", 1): ("pooled memory of {e} is held locally", "{e} holds memory that should be pooled", "{e} spills"),
    ("memory_hosts.pooled_bytes", -1): ("less memory is pooled", "pooled memory fell"),
    ("memory_devices.capacity_bytes", -1): ("the pool is smaller than before", "capacity of the pool fell"),
    ("feeds.lost_share", 1): ("{e} reports that capacity is gone", "{e} gives less than it is rated for", "{e} shows a fault"),
    ("requirements.broken_vms", 1): (
        "requirements of {e} broken",
        "{e} does not get what was agreed",
        "VMs of {e} short of what they need",
    ),
    ("notices.late", 1): ("notices to {e} come too late", "{e} was told too late", "late notices to VMs of {e}"),
    ("hint_conflicts.hints", 1): ("hints of {e} are refused", "many refusals for {e}", "{e} is told no again and again"),
    ("messages.count", 1): ("more messages than usual", "message rate is up"),
}

TITLES: Final = ("{what}", "{what} ({site})", "[{severity}] {what}", "{what} since {hour}", "{site}: {what}", "ALERT {metric}: {what}")
OPENINGS: Final = (
    "Since {hour} {what}.", "Alert on {metric}: {what}.", "On call was paged at {hour}, {what}.", "{what}, first seen at {hour}.",
    "Users complained before the alert; {what}.", "{metric} of {e} crossed its bound at {hour}; {what}.",
)  # fmt: skip
ALSO: Final = ("Also: {also}.", "At the same time {also}.", "We also see: {also}.", "Noticed beside it: {also}.")
ENDINGS: Final = (
    "", "", "No ticket is open for it.", "Nothing planned for today.", "Dashboards of other teams look normal.", "Not seen last week.",
    "Others may be hit too.", "Please look.", "Handed over from the night shift.", "Went on for more than ten minutes before the page.",
)  # fmt: skip
# What somebody always sees, whatever is wrong.
ASIDES: Final = (
    "a job of the batch team started at about that time", "one host was patched in the morning", "the dashboard was slow to load",
    "a feature flag changed yesterday", "another row had a short spike", "backup ran at the hour", "it was the time of the daily peak",
    "a log line about clock skew came up", "an unrelated service restarted once", "the weather was warm",
)  # fmt: skip
