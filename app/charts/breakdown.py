"""What the time to the first token is made of, stage by stage."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import polars as pl

STAGE_TIMES: Final = ("prepare_s", "encode_wait_s", "encode_s", "transfer_s", "queue_s")
# Parts in the order of a request's way: column, stage (None on the way between two), and whether it waits there.
PARTS: Final[Mapping[str, tuple[str | None, bool]]] = {
    "preprocess_wait_s": ("preprocess", True),
    "preprocess_s": ("preprocess", False),
    "encode_wait_s": ("encode", True),
    "encode_s": ("encode", False),
    "transfer_s": (None, True),
    "prefill_wait_s": ("prefill", True),
    "prefill_s": ("prefill", False),
}
# Whose mean stands for a percentile: the requests between these shares, and how many an endpoint needs for it.
BANDS: Final[Mapping[str, tuple[float, float, int]]] = {"p50": (0.45, 0.55, 10), "p99": (0.985, 0.995, 100)}
_SHOWN: Final[Mapping[str, Any]] = {
    "endpoint_id": pl.String,
    "kind": pl.String,
    "at": pl.String,
    "requests": pl.Int64,
    "ttft_s": pl.Float64,
    "e2e_s": pl.Float64,
    **dict.fromkeys(PARTS, pl.Float64),
}


def recorded(requests: pl.LazyFrame) -> bool:
    """Return whether a run's requests carry the times of the stages; older runs do not."""
    return set(STAGE_TIMES) <= set(requests.collect_schema().names())


def asked(requests: pl.LazyFrame, from_s: float, to_s: float) -> pl.DataFrame:
    """Return the requests that arrived in an interval: ``endpoint_id``, ``images``, latencies and the times of their stages."""
    names = requests.collect_schema().names()
    images = pl.col("images") if "images" in names else pl.lit(0, pl.Int16).alias("images")
    stages = STAGE_TIMES if recorded(requests) else ()
    inside = requests.filter((pl.col("arrive_s") >= from_s) & (pl.col("arrive_s") < to_s))
    return (
        inside.select("endpoint_id", images, "ttft_s", "e2e_s", *stages)
        .with_columns(pl.col("endpoint_id").cast(pl.String), pl.col("ttft_s", "e2e_s", *stages).fill_nan(None).cast(pl.Float64))
        .collect()
    )


def split(requests: pl.DataFrame, prepare_s: Mapping[str, np.ndarray]) -> pl.DataFrame:
    """Return the requests with a first token and their ``PARTS``, which add up to ``ttft_s``; nothing of runs without stage times.

    ``prepare_s`` is, by endpoint, what preparing 0, 1, 2, … images takes on a CPU; the rest of a request's time there was a wait.
    """
    if not set(STAGE_TIMES) <= set(requests.columns):
        return pl.DataFrame(schema={"endpoint_id": pl.String, "kind": pl.String, "ttft_s": pl.Float64, **dict.fromkeys(PARTS, pl.Float64)})
    known = requests.filter(pl.col("ttft_s").is_not_null() & pl.col("queue_s").is_not_null())
    work_s = np.full(len(known), np.inf)
    for endpoint, table in prepare_s.items():
        mine = (known["endpoint_id"] == endpoint).to_numpy()
        work_s[mine] = table[np.minimum(known["images"].to_numpy()[mine], len(table) - 1)]
    prepared = pl.min_horizontal("prepare_s", pl.Series("work_s", work_s))
    return known.with_columns(
        pl.when(pl.col("images") > 0).then(pl.lit("image")).otherwise(pl.lit("text")).alias("kind"),
        prepared.alias("preprocess_s"),
        (pl.col("prepare_s") - prepared).alias("preprocess_wait_s"),
        pl.col("queue_s").alias("prefill_wait_s"),
        (pl.col("ttft_s") - pl.sum_horizontal(STAGE_TIMES)).clip(0.0).alias("prefill_s"),
    ).drop("prepare_s", "queue_s")


def breakdown(parts: pl.DataFrame) -> pl.DataFrame:
    """Return the mean ``PARTS`` by endpoint and kind (image, text): of all requests (``at`` mean) and around p50 and p99.

    A percentile's parts are the mean of the requests around it (``BANDS``), because only means add up; where too few
    arrived for one, its row is left out.
    """
    rows: list[dict[str, Any]] = []
    for (endpoint, kind), group in parts.group_by("endpoint_id", "kind", maintain_order=True):
        ordered, count = group.sort("ttft_s"), len(group)
        head = {"endpoint_id": endpoint, "kind": kind, "requests": count}
        rows.append({**head, "at": "mean", **_means(ordered)})
        for name, (low, high, least) in BANDS.items():
            if count >= least:
                first = int(low * count)
                rows.append({**head, "at": name, **_means(ordered.slice(first, max(1, int(np.ceil(high * count)) - first)))})
    return pl.DataFrame([{name: row.get(name) for name in _SHOWN} for row in rows], schema=_SHOWN).sort("endpoint_id", "kind", "at")


def _means(group: pl.DataFrame) -> dict[str, float | None]:
    columns = [name for name in ("ttft_s", "e2e_s", *PARTS) if name in group.columns]
    return group.select(pl.col(columns).mean()).row(0, named=True)


def who(endpoint: str, kind: str, both: bool) -> str:
    """Return whose time it is: an endpoint, or its images or texts where it has both."""
    return endpoint if not both else f"{'Images' if kind == 'image' else 'Text'} of {endpoint}"


def longest_wait(means: pl.DataFrame) -> dict[str, Any] | None:
    """Return the endpoint, kind and part that wait longest on average: with ``part``, ``wait_s``, ``ttft_s`` and ``both`` kinds."""
    found = None
    for row in means.filter(pl.col("at") == "mean").iter_rows(named=True):
        for part, (_, waits) in PARTS.items():
            if waits and (found is None or (row[part] or 0.0) > found["wait_s"]):
                found = {**row, "part": part, "wait_s": row[part] or 0.0}
    if found is None:
        return None
    kinds = means.filter(pl.col("endpoint_id") == found["endpoint_id"])["kind"].n_unique()
    return {**found, "both": kinds > 1}
