"""The tables that workloads write, and the metrics read off them."""

from collections.abc import Mapping
from typing import Final

import polars as pl

from twin.metrics import Reading
from twin.tables import Column, Table
from twin.workloads.negotiation import readings as negotiation_readings
from twin.workloads.negotiation import tables as negotiation_tables

_TIME: Final = Column("t_s", pl.Float64, "seconds since the start of the run")
_WHO: Final = (Column("vm_id", pl.String, "the VM"), Column("workload_id", pl.String, "whose it is"))

VMS: Final = Table(
    "vms",
    "one row per VM, at its placement",
    (
        _TIME,
        Column("arrive_s", pl.Float64, "when it began to look for a place"),
        *_WHO,
        Column("kind", pl.String, "iaas (opaque) or saas (carries serving instances)"),
        Column("place_id", pl.String, "server or host that carries it"),
        Column("gpus", pl.Int64, "GPUs that it owns; 0 on a host"),
        Column("first_gpu", pl.Int64, "the lowest of them on its server; -1 on a host"),
        Column("vcpus", pl.Int64, "vCPUs that it has on a host; 0 on a server"),
        Column("memory_bytes", pl.Int64, "memory that it has on a host; 0 on a server"),
    ),
    telemetry=False,
)
VM_ENDS: Final = Table(
    "vm_ends",
    "one row per VM that left",
    (_TIME, *_WHO, Column("reason", pl.String, "why: departed")),
    telemetry=False,
)
VM_WAITS: Final = Table(
    "vm_waits",
    "one row per VM that looked for a place on servers, when that ended, and per VM that no host had room for",
    (
        _TIME,
        *_WHO,
        Column("gpus", pl.Int64, "GPUs that it asked for; 0 on a host"),
        Column("vcpus", pl.Int64, "vCPUs that it asked for on a host; 0 on a server"),
        Column("waited_s", pl.Float64, "how long it looked; up to a tick where there was room at once"),
        Column(
            "outcome",
            pl.String,
            "placed; gave up: its time was over; turned away: serving is laid out at the start, and hosts have room or not; waits: still",
        ),
    ),
    telemetry=False,
)

TABLES: Final = (VMS, VM_ENDS, VM_WAITS, *negotiation_tables.TABLES)
READINGS: Final[Mapping[str, Reading]] = negotiation_readings.READINGS
