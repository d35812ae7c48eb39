"""Serving tables to the pipeline of each endpoint."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import polars as pl

from app.charts.breakdown import PARTS
from app.charts.distribution import binned_table, quantile_table
from app.charts.slots import DECODE, IMAGE, PREFILL, SERVES, WHOLE, pool_words

LATENCIES: Final = ("ttft_s", "atgt_s", "e2e_s")
_IMAGE_STAGES: Final = ("preprocess", "encode")
_QUEUED_AT: Final[Mapping[str, tuple[int, ...]]] = {"encode": (IMAGE,), "prefill": (WHOLE, PREFILL), "decode": (DECODE,)}
_STAGE_COLUMNS: Final[Mapping[str, Any]] = {
    "endpoint_id": pl.String,
    "stage": pl.String,
    "skipped": pl.Boolean,
    "pool": pl.String,
    "roles": pl.String,
    "instances": pl.Float64,
    "gpus": pl.Float64,
    "requests_per_s": pl.Float64,
    "tokens_per_s": pl.Float64,
    "use_share": pl.Float64,
    "use": pl.String,
    "time_share": pl.Float64,
    "waiting": pl.Float64,
    "batch": pl.Float64,
    "ttft_share": pl.Float64,
    "ttft_waiting_share": pl.Float64,
    "e2e_share": pl.Float64,
}


def quantiles(requests: pl.LazyFrame, gaps: pl.LazyFrame | None, endpoint: str) -> dict[str, pl.DataFrame]:
    """Return the quantile tables of one endpoint: ``ttft_s``, ``tbt_s`` (of every gap between tokens), ``atgt_s``, ``e2e_s``."""
    asked = requests.filter(pl.col("endpoint_id") == endpoint).select(LATENCIES).collect()
    found = {name: quantile_table(asked[name]) for name in LATENCIES}
    mine = pl.DataFrame() if gaps is None else gaps.filter(pl.col("endpoint_id") == endpoint).collect()
    return {"ttft_s": found["ttft_s"], "tbt_s": binned_table(mine), "atgt_s": found["atgt_s"], "e2e_s": found["e2e_s"]}


def pipeline(
    windows: pl.DataFrame,
    instances: pl.DataFrame,
    parts: pl.DataFrame,
    specs: Mapping[str, Mapping[str, Any]],
    workers: Mapping[str, int],
) -> pl.DataFrame:
    """Return what the pipeline draws over an interval: a row per endpoint and stage (preprocess, encode, prefill, decode).

    ``windows`` are the rows of the endpoints table in it, ``instances`` those of ``slots.slots``, ``parts`` what
    ``breakdown.split`` gives, ``specs`` the endpoints of the scenario, ``workers`` the CPU workers of each where they are
    known. ``use_share`` is what runs out first: time of the CPU workers, the encoders and the prefill; batch limit or KV
    cache of decode, which is busy whenever anybody is served. Stages that no request of the interval needed are ``skipped``.
    """
    rows: list[dict[str, Any]] = []
    for (endpoint,), mine in windows.with_columns(pl.col("endpoint_id").cast(pl.String)).group_by("endpoint_id", maintain_order=True):
        name = str(endpoint)
        flow = _flow(mine)
        held = instances.filter(pl.col("endpoint_id") == name)
        times = parts.filter(pl.col("endpoint_id") == name)
        flow["images_per_s"] = float((times["kind"] == "image").sum()) / flow["covered_s"] if len(times) else 0.0
        rows.append(_preprocess(flow, times, workers.get(name)))
        rows += [_stage(stage, flow, held, times, specs[name]) for stage in ("encode", "prefill", "decode")]
        for row in rows[-4:]:
            row["endpoint_id"] = name
            row["skipped"] = row["stage"] in _IMAGE_STAGES and flow["images_per_s"] == 0.0
    return pl.DataFrame([{name: row.get(name) for name in _STAGE_COLUMNS} for row in rows], schema=_STAGE_COLUMNS)


def _flow(windows: pl.DataFrame) -> dict[str, float]:
    covered_s = float(windows["window_s"].cast(pl.Float64).sum())
    means = windows.select(pl.col("prompt_tokens_per_s", "output_tokens_per_s").cast(pl.Float64).mean()).row(0, named=True)
    return {"covered_s": covered_s, "requests_per_s": float(windows["arrivals"].cast(pl.Int64).sum()) / covered_s, **means}


def _preprocess(flow: Mapping[str, float], times: pl.DataFrame, workers: int | None) -> dict[str, Any]:
    """Return the row of preparing images on CPUs: its queue by Little's law, busy where its workers are known."""
    spent = _spent(times, ("preprocess",))
    busy = None if not workers or spent is None else spent["running_s"] / (workers * flow["covered_s"])
    return {
        "stage": "preprocess",
        "pool": "CPU" if not workers else f"{workers}\u00a0CPU\u00a0cores",
        "roles": "cpu",
        "requests_per_s": flow["images_per_s"],
        "use_share": busy,
        "use": "busy",
        "time_share": busy,
        "waiting": None if spent is None else spent["waiting_s"] / flow["covered_s"],
        **_shares(times, ("preprocess",)),
    }


def _stage(stage: str, flow: Mapping[str, float], held: pl.DataFrame, times: pl.DataFrame, spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of a stage on GPUs."""
    pool = _pool(stage, held)
    rows, on = max(held["t_s"].n_unique(), 1), float(pool["on_share"].cast(pl.Float64).sum())
    busy = _busy(stage, pool) / on if on else 0.0
    queued = held.filter(pl.col("role").is_in(_QUEUED_AT[stage]) & (pl.col("on_share") > 0))
    row: dict[str, Any] = {
        "stage": stage,
        "pool": pool_words(pool, rows),
        "roles": ",".join(str(role) for role in sorted(pool["role"].unique().to_list())),
        "instances": on / rows,
        "gpus": float((pool["on_share"].cast(pl.Float64) * pool["gpus"]).sum()) / rows,
        "requests_per_s": flow["images_per_s" if stage == "encode" else "requests_per_s"],
        "tokens_per_s": {"prefill": flow["prompt_tokens_per_s"], "decode": flow["output_tokens_per_s"]}.get(stage),
        "use_share": busy,
        "use": "busy",
        "time_share": busy,
        "waiting": float(queued["queue_mean"].cast(pl.Float64).sum()) / rows if len(queued) else None,
    }
    if stage != "decode":
        return row | _shares(times, (stage, None) if stage == "encode" else (stage,))
    return row | _full(pool, int(spec.get("max_batch") or 0)) | {"e2e_share": _after_first(times)}


def _pool(stage: str, held: pl.DataFrame) -> pl.DataFrame:
    """Return the instances that serve a stage: those of its role; others only where they took part."""
    can = held.filter(pl.col("role").is_in([role for role, stages in SERVES.items() if stage in stages]) & (pl.col("on_share") > 0))
    if stage == "encode" and (can["role"] == IMAGE).any():
        return can.filter((pl.col("role") == IMAGE) | (pl.col("encode_share").sum().over("instance_id") > 0))
    return can


def _busy(stage: str, pool: pl.DataFrame) -> float:
    """Return instances times their share of time in a stage; what is encoded within a prefill counts as encoding."""
    inside = pl.when(pl.col("role") == IMAGE).then(0.0).otherwise(pl.col("encode_share"))
    value = {"encode": pl.col("encode_share"), "prefill": pl.col("prefill_share") - inside, "decode": pl.col("decode_share")}[stage]
    return float(pool.select(value.cast(pl.Float64).clip(0.0).sum()).item() or 0.0)


def _full(pool: pl.DataFrame, max_batch: int) -> dict[str, Any]:
    """Return how full decode is: by its batch limit or its KV cache (the fullest instance's), whichever is nearer."""
    kv = float(pool["kv_share"].max() or 0.0)  # type: ignore[arg-type]
    decoding = float(pool["decode_share"].cast(pl.Float64).sum())
    batch = float((pool["batch_mean"].cast(pl.Float64) * pool["decode_share"]).sum()) / decoding if decoding else 0.0
    of_limit = batch / max_batch if max_batch else 0.0
    use = {"use_share": of_limit, "use": "of limit"} if of_limit > kv else {"use_share": kv, "use": "of KV"}
    return {"batch": batch, **use}


def _spent(times: pl.DataFrame, stages: Sequence[str | None]) -> dict[str, float] | None:
    """Return the seconds that all requests together waited and ran in some stages; None where no request is known."""
    if times.is_empty():
        return None
    out = {"waiting_s": 0.0, "running_s": 0.0}
    for part, (stage, waits) in PARTS.items():
        if stage in stages:
            out["waiting_s" if waits else "running_s"] += float(times[part].sum())
    return out


def _shares(times: pl.DataFrame, stages: Sequence[str | None]) -> dict[str, Any]:
    """Return what part of all requests' time to the first token passes in some stages, and in waiting there."""
    spent, total = _spent(times, stages), float(times["ttft_s"].sum()) if len(times) else 0.0
    if spent is None or not total:
        return {}
    return {"ttft_share": (spent["waiting_s"] + spent["running_s"]) / total, "ttft_waiting_share": spent["waiting_s"] / total}


def _after_first(times: pl.DataFrame) -> float | None:
    over = times.filter(pl.col("e2e_s").is_not_null()) if "e2e_s" in times.columns else times.clear()
    total = float(over["e2e_s"].sum()) if len(over) else 0.0
    return 1.0 - float(over["ttft_s"].sum()) / total if total else None


def cost(endpoints: pl.DataFrame) -> pl.DataFrame:
    """Return ``t_s`` and ``usd_per_h`` of all endpoints together."""
    return endpoints.group_by("t_s").agg(pl.col("usd_per_h").cast(pl.Float64).sum()).sort("t_s")


def spent(endpoints: pl.DataFrame, from_s: float, to_s: float) -> pl.DataFrame:
    """Return per endpoint the mean ``gpus_on`` and ``usd_per_h`` of an interval, and the quality of what finished in it."""
    finished = pl.col("finished").cast(pl.Float64)
    quality = (pl.col("quality_share").fill_nan(None).cast(pl.Float64) * finished).sum() / finished.sum()
    return (
        inside(endpoints, from_s, to_s)
        .with_columns(pl.col("endpoint_id").cast(pl.String))
        .group_by("endpoint_id")
        .agg(pl.col("gpus_on").mean(), pl.col("usd_per_h").mean(), quality.alias("quality_share"))
        .sort("endpoint_id")
    )


def inside(frame: pl.DataFrame, from_s: float, to_s: float) -> pl.DataFrame:
    """Return the rows whose ``t_s`` lies in an interval."""
    return frame.filter((pl.col("t_s") >= from_s) & (pl.col("t_s") < to_s))
