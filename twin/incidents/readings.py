"""The tables that services write, and what is read off them."""

from collections.abc import Mapping
from typing import Final

import polars as pl

from twin.incidents.topology import ENTITIES, TOPOLOGY
from twin.incidents.truth import FAULTS_TRUTH
from twin.incidents.watching import ALERTS, INCIDENTS
from twin.metrics import Reading
from twin.tables import Column, Table

_END: Final = Column("t_s", pl.Float64, "end of the window, seconds since the start of the run")
SERVICES: Final = Table(
    "services",
    "one row per window and service, as measured",
    (
        _END,
        Column("service_id", pl.String, "service", "service"),
        Column("requests_per_s", pl.Float64, "requests that were served, whoever still waited for them"),
        Column("offered_per_s", pl.Float64, "attempts that reached it"),
        Column("latency_p50_s", pl.Float64, "median of what an answer takes, its calls included; empty where nothing was served"),
        Column("latency_p99_s", pl.Float64, "99th percentile of it"),
        Column("error_share", pl.Float64, "attempts without a good answer; time-outs of whoever asked are not among them"),
        Column("cpu_share", pl.Float64, "of its cores, in use"),
        Column("memory_share", pl.Float64, "of the memory of its fullest instance, held"),
        Column("retries_per_s", pl.Float64, "attempts that reached it and were repetitions"),
        Column("restarts", pl.Int64, "instances that were started anew"),
    ),
)
SERVICE_HOSTS: Final = Table(
    "service_hosts",
    "one row per window and host that runs services, as measured",
    (
        _END,
        Column("host_id", pl.String, "host", "host"),
        Column("cpu_share", pl.Float64, "of the cores that services have been given there, in use by them"),
        Column("steal_share", pl.Float64, "of those cores, taken by others"),
        Column("network_latency_s", pl.Float64, "the host's part of a call there and back"),
    ),
)
LOGS: Final = Table(
    "logs",
    "one row per window, entity and template",
    (
        _END,
        Column("entity_kind", pl.String, "service or host"),
        Column("entity_id", pl.String, "who said it"),
        Column("level", pl.String, "info, warning or error"),
        Column("template", pl.String, "the line without what varies in it"),
        Column("count", pl.Int64, "how often in the window"),
        Column("words", pl.String, "one of the lines"),
    ),
    telemetry=False,
)
CHANGES: Final = Table(
    "changes",
    "one row per entry of the change log",
    (
        Column("t_s", pl.Float64, "when, seconds since the start of the run"),
        Column("entity_kind", pl.String, "service, host, endpoint or function"),
        Column("entity_id", pl.String, "what was changed"),
        Column("kind", pl.String, "deployment, setting, certificate or maintenance"),
        Column("actor", pl.String, "who changed it"),
        Column("words", pl.String, "what was changed"),
    ),
    telemetry=False,
)
TABLES: Final = (SERVICES, SERVICE_HOSTS, LOGS, CHANGES, ALERTS, INCIDENTS, TOPOLOGY, ENTITIES, FAULTS_TRUTH)
READINGS: Final[Mapping[str, Reading]] = {}


def by_service(services: pl.LazyFrame, from_s: float, to_s: float) -> pl.DataFrame:
    """Return one row per service over windows that end in (from_s, to_s], as the page shows it, in order of id.

    Columns: service_id, requests_per_s (mean), latency_p99_s (worst window), error_share (of attempts), cpu_share (mean), memory_share
    (highest), retries_per_s (mean), restarts (sum).
    """
    attempts = pl.col("offered_per_s")
    failed = (pl.col("error_share") * attempts).sum() / attempts.sum()
    return (
        services.filter((pl.col("t_s") > from_s) & (pl.col("t_s") <= to_s))
        .group_by(pl.col("service_id").cast(pl.String))
        .agg(
            pl.col("requests_per_s").mean(),
            pl.col("latency_p99_s").fill_nan(None).max(),
            pl.when(attempts.sum() > 0.0).then(failed).otherwise(pl.col("error_share").max()).alias("error_share"),
            pl.col("cpu_share").mean(),
            pl.col("memory_share").max(),
            pl.col("retries_per_s").mean(),
            pl.col("restarts").sum(),
        )
        .sort("service_id")
        .collect()
    )


def by_template(logs: pl.LazyFrame, from_s: float, to_s: float) -> pl.DataFrame:
    """Return entity_id, level, template, count and first_s of lines in (from_s, to_s], the most frequent first."""
    return (
        logs.filter((pl.col("t_s") > from_s) & (pl.col("t_s") <= to_s))
        .group_by("entity_id", "level", "template")
        .agg(pl.col("count").sum(), pl.col("t_s").min().alias("first_s"))
        .sort(["count", "entity_id", "template"], descending=[True, False, False])
        .collect()
    )
