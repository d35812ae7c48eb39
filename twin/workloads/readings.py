"""The tables that workloads write."""

from collections.abc import Mapping
from typing import Final

import polars as pl

from twin.metrics import Reading
from twin.tables import Column, Table

VMS: Final = Table(
    "vms",
    "one row per VM, at its placement",
    (
        Column("t_s", pl.Float64, "seconds since the start of the run"),
        Column("vm_id", pl.String, "the VM"),
        Column("workload_id", pl.String, "whose it is"),
        Column("kind", pl.String, "iaas (opaque) or saas (carries serving instances)"),
        Column("place_id", pl.String, "server or host that carries it"),
    ),
    telemetry=False,
)

TABLES: Final = (VMS,)
READINGS: Final[Mapping[str, Reading]] = {}
