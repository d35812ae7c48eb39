"""The bundle: report, tables, scenario, policies, intent, provenance."""

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from app.report.checks import provenance
from app.report.evidence import Evidence

# A fixed date, the earliest that a zip can hold: the time of writing must not reach the bytes.
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
MOST_BYTES: Final = 16_000_000
_SHARES: Final = (*(round(0.01 * step, 2) for step in range(1, 100)), 0.995, 0.999, 0.9999)
_README: Final = """# What is in this bundle

- `report.html`: the report; opens offline in any browser. `report.md`: the same without figures.
- `scenario.json`: the question that was put to the twin.
- `policy-today.json`, `policy-candidate.json`: who held each lever, with every knob written out.
- `intent.json`: what was asked, how it was understood, who decided what.
- `metrics.csv`: every metric of every run, one line per run and metric, in the unit that its name carries.
- `tables/<run id>/*.parquet`: what happened, per entity and time, for the runs whose day is drawn. A table above 16 MB
  stays in the store, under the same run id; `latency_quantiles.parquet` then stands for the single requests.
- `provenance.json`: seeds, hashes of code and inputs, versions of what computed it.

The same stored runs give this bundle again, byte for byte.
"""


def pack(evidence: Evidence, reports: Mapping[str, bytes]) -> bytes:
    """Return the bundle as a zip; members in a fixed order with a fixed date."""
    members = {**reports, **_documents(evidence)}
    for run in evidence.runs:
        for name, frame in sorted(run.tables.items()):
            content = _parquet(frame)
            if len(content) <= MOST_BYTES:
                members[f"tables/{run.run_id}/{name}.parquet"] = content
        if "requests" in run.tables:
            members[f"tables/{run.run_id}/latency_quantiles.parquet"] = _parquet(quantiles(run.tables["requests"]))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(members):
            info = zipfile.ZipInfo(name, _EPOCH)
            info.external_attr = 0o644 << 16
            # Parquet is compressed already.
            kind = zipfile.ZIP_STORED if name.endswith(".parquet") else zipfile.ZIP_DEFLATED
            archive.writestr(info, members[name], kind, 6)
    return buffer.getvalue()


def quantiles(requests: pl.LazyFrame) -> pl.LazyFrame:
    """Return the latencies of requests by endpoint, quantity and share: what single requests come to."""
    columns = [name for name in ("ttft_s", "atgt_s", "e2e_s") if name in requests.collect_schema().names()]
    asked = [
        pl.col(name).cast(pl.Float64).fill_nan(None).quantile(share, "linear").alias(f"{name}@{share}")
        for name in columns
        for share in _SHARES
    ]
    wide = requests.group_by(pl.col("endpoint_id").cast(pl.String)).agg(pl.len().alias("requests"), *asked)
    long = wide.unpivot(index=["endpoint_id", "requests"], variable_name="at", value_name="value_s")
    parts = pl.col("at").str.split_exact("@", 1).struct
    named = long.with_columns(parts.field("field_0").alias("quantity"), parts.field("field_1").cast(pl.Float64).alias("share"))
    return named.select("endpoint_id", "quantity", "share", "value_s", "requests").sort("endpoint_id", "quantity", "share")


def _documents(evidence: Evidence) -> dict[str, bytes]:
    run = evidence.shown_run
    found = {
        "README.md": _README.encode(),
        "scenario.json": _json(run.manifest["scenario"]),
        "provenance.json": _json({"manifest": _plain(run.manifest), "summary": dict(provenance(evidence))}),
        "metrics.csv": _metrics(evidence),
    }
    if evidence.world.today is not None:
        found["policy-today.json"] = _json(evidence.world.today.schedule.model_dump(mode="json"))
    if evidence.candidate is not None:
        found["policy-candidate.json"] = _json(evidence.candidate.schedule.model_dump(mode="json"))
    if evidence.asked:
        found["intent.json"] = _json([_intent(item) for item in evidence.asked])
    return found


def _plain(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in manifest.items() if name not in {"scenario", "entities", "tables"}}


def _intent(item: Any) -> dict[str, Any]:
    version = item.version
    return {
        "intent_id": version.intent_id,
        "version": version.version,
        "state": version.state,
        "actor": version.actor,
        "created_at": version.created_at.isoformat(),
        "intent": dict(version.intent),
        "findings": list(version.findings),
        "policy": None if version.policy is None else dict(version.policy),
        "decisions": [
            {"decision": d.decision, "actor": d.actor, "role": d.role, "note": d.note, "policy_id": d.policy_id, "at": d.at.isoformat()}
            for d in item.approvals
        ],
        "audit": [{"seq": e.seq, "at": e.at.isoformat(), "actor": e.actor, "action": e.action, "hash": e.hash} for e in item.trail],
    }


def _metrics(evidence: Evidence) -> bytes:
    lines = ["policy,seed,run_id,metric,value"]
    for label, held in (("today", evidence.world.today), ("candidate", evidence.candidate)):
        if held is None:
            continue
        for seed, run_id in sorted(held.run_ids.items()):
            lines += [f"{label},{seed},{run_id},{name},{value!r}" for name, value in sorted(held.metrics[seed].items())]
    return ("\n".join(lines) + "\n").encode()


def _parquet(frame: pl.LazyFrame) -> bytes:
    buffer = io.BytesIO()
    frame.collect().rechunk().write_parquet(buffer, compression="zstd", compression_level=3, statistics=True)
    return buffer.getvalue()


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()
