"""The tables that the negotiation writes."""

from typing import Final

import polars as pl

from twin.tables import Column, Table

_TIME: Final = Column("t_s", pl.Float64, "seconds since the start of the run")
_HOUR: Final = Column("t_s", pl.Float64, "end of the hour, seconds since the start of the run")
_WHOSE: Final = Column("workload_id", pl.String, "workload", "tenant")
_VM: Final = Column("vm_id", pl.String, "the VM", "tenant_vm")

MESSAGES: Final = Table(
    "messages",
    "one row per tick, cause, kind and workload: what was said, how many VMs it concerns",
    (
        _TIME,
        Column("message_id", pl.Int64, "number of the message"),
        Column("cause_id", pl.Int64, "the message that led to it; -1 where it is the first of its chain"),
        Column("chain_id", pl.Int64, "the first message of its chain"),
        Column("kind", pl.String, "event (something happened), hint, notice, answer, action (it was done), effect (what it brought)"),
        Column("sender", pl.String, "platform, global, local, workload"),
        Column("receiver", pl.String, "platform, global, local, workload"),
        Column("name", pl.String, "hint key, kind of notice, or what happened"),
        Column("workload_id", pl.String, "whose VMs; empty for the platform's own"),
        Column("vms", pl.Int64, "VMs that it concerns; 0 for the platform's own"),
        Column("value", pl.Float64, "the hint's value, the answer's number, watts of an effect; not-a-number where it has none"),
        Column("reached_s", pl.Float64, "when the last of them was reached"),
        Column("due_s", pl.Float64, "when a notice's event is due; not-a-number for others"),
        Column("place_id", pl.String, "row or host that it is about; empty for none"),
        Column("words", pl.String, "what it says"),
    ),
    telemetry=False,
)
NOTICES: Final = Table(
    "notices",
    "one row per VM and notice, when it ended",
    (
        Column("t_s", pl.Float64, "when it ended: its event, or its withdrawal"),
        Column("sent_s", pl.Float64, "when it was sent"),
        Column("reached_s", pl.Float64, "when it reached the VM"),
        Column("due_s", pl.Float64, "when its event was due"),
        Column("event_s", pl.Float64, "when its event took place; not-a-number where it was withdrawn"),
        Column("lead_s", pl.Float64, "how long before its event it must reach the VM"),
        _VM,
        _WHOSE,
        Column("kind", pl.String, "kind of notice"),
        Column("cause", pl.String, "what it was for: capacity, power, region, hint, calm"),
        Column("answer", pl.String, "accepted, declined, ignored"),
        Column("answered_s", pl.Float64, "when it was answered; not-a-number where it was ignored"),
        Column(
            "outcome", pl.String, "done, withdrawn (the reason was gone), declined, lapsed (the VM ended), unpermitted (its hints changed)"
        ),
        Column("honoured", pl.Boolean, "whether it came at least its lead time before its event, or nothing happened"),
        Column("message_id", pl.Int64, "the message that it was part of"),
    ),
    telemetry=False,
)
HINTS: Final = Table(
    "hints",
    "one row per hint that came from outside, changed what is in force, or was refused; those that confirm are only counted",
    (
        Column("t_s", pl.Float64, "when it was said"),
        Column("heard_s", pl.Float64, "when it reached the store"),
        _WHOSE,
        Column("scope", pl.String, "workload, deployment, vm"),
        Column("of_id", pl.String, "the workload, deployment or VM that it is about"),
        Column("key", pl.String, "hint key"),
        Column("value", pl.Float64, "what it says, as a number; not-a-number takes it back"),
        Column("sayer", pl.String, "template (with the deployment), agent, outside"),
        Column("outcome", pl.String, "taken, stale (a later one holds), limited (too many), contradictory, flapping"),
    ),
    telemetry=False,
)
GRANTS: Final = Table(
    "grants",
    "one row per VM whenever the treatments granted to it change",
    (_TIME, _VM, _WHOSE, Column("granted", pl.String, "treatments joined by +; empty for none")),
    telemetry=False,
)
BILLS: Final = Table(
    "bills",
    "one row per hour and workload",
    (
        _HOUR,
        _WHOSE,
        Column("vm_hours", pl.Float64, "hours of VMs that had a place"),
        Column("core_hours", pl.Float64, "cores, as they were asked for, times the hours that they ran"),
        Column("regular_usd", pl.Float64, "what the hours that they ran would cost at the regular price"),
        Column("billed_usd", pl.Float64, "what they are billed"),
        Column("carbon_kg", pl.Float64, "emissions of their power, where and at the clock they ran"),
        Column("regular_carbon_kg", pl.Float64, "the same work done by opaque VMs"),
        Column("away_vm_hours", pl.Float64, "VM-hours evicted or shut down"),
        Column("broken_vm_hours", pl.Float64, "VM-hours in which a requirement was violated; they are billed at the regular price"),
    ),
    telemetry=False,
)
VM_BILLS: Final = Table(
    "vm_bills",
    "one row per hour and VM",
    (
        _HOUR,
        _VM,
        _WHOSE,
        Column("vm_hours", pl.Float32, "part of the hour in which it had a place"),
        Column("regular_usd", pl.Float32, "at the regular price"),
        Column("billed_usd", pl.Float32, "as billed"),
        Column("granted", pl.Int32, "its treatments at the end of the hour, a sum of powers of two"),
    ),
    telemetry=False,
)
OFFERS: Final = Table(
    "offers",
    "one row per hour, workload, optimisation and reason",
    (
        _HOUR,
        _WHOSE,
        Column("optimisation", pl.String, "name of the treatment"),
        Column("state", pl.String, "granted, better (another one has its slot), missing (a hint), short (of capacity or power), forbidden"),
        Column("key", pl.String, "the missing or forbidding hint; empty for none"),
        Column("vm_hours", pl.Float64, "VM-hours"),
        Column("saved_usd", pl.Float64, "what it took off, in the order of application; 0 where it is not granted"),
    ),
    telemetry=False,
)
CAPACITY: Final = Table(
    "vm_capacity",
    "one row per five minutes and pool: means",
    (
        Column("t_s", pl.Float64, "end of the five minutes, seconds since the start of the run"),
        Column("pool", pl.String, "hosts (in vCPUs), servers (in GPUs)"),
        Column("total_cores", pl.Float64, "all of them"),
        Column("regular_cores", pl.Float64, "held by VMs at their regular size or below"),
        Column("spot_cores", pl.Float64, "held by spot VMs"),
        Column("harvest_cores", pl.Float64, "held by harvest VMs at the size that they have now"),
        Column("reserve_cores", pl.Float64, "asked for by customers who are yet to come"),
        Column("turned_away_cores", pl.Float64, "of the reserve, what found no room"),
        Column("surplus_cores", pl.Float64, "what nobody holds or asks for"),
        Column("evicted_cores", pl.Float64, "of VMs that wait for room or power again"),
    ),
    telemetry=False,
)
REQUIREMENTS: Final = Table(
    "requirements",
    "one row per hour, workload and requirement",
    (
        _HOUR,
        _WHOSE,
        Column("requirement", pl.String, "availability, eviction budget, notice lead, residency, delay"),
        Column("bound", pl.Float64, "what the hints allow, in the requirement's unit"),
        Column("now", pl.Float64, "the worst of the hour"),
        Column("broken_vm_hours", pl.Float64, "VM-hours of the hour in which it was violated"),
    ),
    telemetry=False,
)
CONFLICTS: Final = Table(
    "hint_conflicts",
    "one row per five minutes, workload, key and kind of trouble",
    (
        _TIME,
        _WHOSE,
        Column("key", pl.String, "hint key"),
        Column("kind", pl.String, "stale, limited, contradictory, flapping"),
        Column("hints", pl.Int64, "how many"),
        Column("of_id", pl.String, "the first of those that it was about"),
    ),
)
TABLES: Final = (MESSAGES, NOTICES, HINTS, GRANTS, BILLS, VM_BILLS, OFFERS, CAPACITY, REQUIREMENTS, CONFLICTS)
