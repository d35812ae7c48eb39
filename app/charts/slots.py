"""Instances as slots: their GPUs, roles, names and colours."""

from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from app.charts.tokens import Tokens, stage_colour
from twin.fleet import GPUS_PER_SERVER

# As in twin.serving.levers; here again because that loads numba.
WHOLE, IMAGE, PREFILL, DECODE = range(4)
# What each role is called on a lane, and in the order in which a request passes them.
ROLES: Final[Mapping[int, str]] = {WHOLE: "all stages", IMAGE: "images", PREFILL: "prefill", DECODE: "decode"}
ORDER: Final = (IMAGE, PREFILL, WHOLE, DECODE)
# The stages that an instance of a role can serve.
SERVES: Final[Mapping[int, tuple[str, ...]]] = {
    WHOLE: ("encode", "prefill", "decode"),
    IMAGE: ("encode",),
    PREFILL: ("encode", "prefill"),
    DECODE: ("decode",),
}
_STAGE_OF: Final = {IMAGE: "encode", PREFILL: "prefill", DECODE: "decode"}
# The first four hues of the series belong to the stages; instances that serve them all take the next.
_WHOLE_HUE: Final = 4
# What runs from before a column was recorded are given in its place.
_LATER: Final[Mapping[str, pl.Expr]] = {
    "role": pl.lit(WHOLE, pl.UInt8),
    "encode_share": pl.lit(0.0, pl.Float32),
    "preemptions": pl.lit(0, pl.Int32),
    "atgt_budget_share": pl.lit(None, pl.Float32),
}


def role_colour(tokens: Tokens, role: int) -> str:
    """Return the hue of a role: that of its stage, one of its own where it serves them all."""
    return stage_colour(tokens, _STAGE_OF[role]) if role in _STAGE_OF else tokens.series[_WHOLE_HUE]


def servers(spec: Mapping[str, Any], slots: int) -> int | None:
    """Return on how many servers an endpoint's slots lie, by its widths; None where the numbers do not fit together."""
    whole, rest = divmod(slots, sum(GPUS_PER_SERVER // width for width in _widths(spec)))
    return None if rest else whole


def slot_gpus(spec: Mapping[str, Any], slots: int) -> list[int]:
    """Return the GPUs of each slot in the order of their numbers: those of the own width first (``twin.serving.layout``).

    >>> slot_gpus({"tp": 4, "tp_choices": [2]}, 6)
    [4, 4, 2, 2, 2, 2]
    """
    found = servers(spec, slots)
    if found is None:
        return [int(spec["tp"])] * slots
    return [width for width in _widths(spec) for _ in range(found * (GPUS_PER_SERVER // width))]


def _widths(spec: Mapping[str, Any]) -> list[int]:
    own = int(spec["tp"])
    return [own, *sorted({int(width) for width in spec.get("tp_choices", ())} - {own})]


def counted(instances: pl.DataFrame) -> dict[str, int]:
    """Return how many slots each endpoint has, by the ids of the instances table."""
    ids = instances.select(pl.col("instance_id").cast(pl.String).unique().str.split("/").list.first().alias("endpoint_id"))
    return dict(ids.group_by("endpoint_id").len().iter_rows())


def slots(instances: pl.DataFrame, specs: Mapping[str, Mapping[str, Any]]) -> pl.DataFrame:
    """Return the instances table with ``endpoint_id``, ``number`` and ``gpus``, without the slots that were never on.

    ``specs`` are the endpoints of the run's scenario by id. Columns that an old run lacks are filled in: every instance whole,
    nothing encoded, nobody put back, budget not known.
    """
    missing = [default.alias(name) for name, default in _LATER.items() if name not in instances.columns]
    ever = pl.col("on_share").max().over("instance_id") > 0
    frame = instances.with_columns(missing).filter(ever).with_columns(pl.col("instance_id").cast(pl.String))
    parts = pl.col("instance_id").str.split("/")
    frame = frame.with_columns(parts.list.first().alias("endpoint_id"), parts.list.last().cast(pl.Int32).alias("number"))
    sizes = [
        (endpoint, number, gpus)
        for endpoint, count in counted(instances).items()
        for number, gpus in enumerate(slot_gpus(specs[endpoint], count), start=1)
    ]
    schema = {"endpoint_id": pl.String, "number": pl.Int32, "gpus": pl.Int32}
    return frame.join(pl.DataFrame(sizes, schema=schema, orient="row"), on=["endpoint_id", "number"], how="left")


def pool_words(instances: pl.DataFrame, rows: int = 1) -> str:
    """Return what a pool is made of over an interval, such as 8 × 4 GPUs; the mean number where it changed.

    ``instances`` has ``gpus`` and ``on_share`` of each of its times at which it is there, ``rows`` is how many times the interval has.
    """
    held = instances.group_by("gpus").agg(pl.col("on_share").cast(pl.Float64).sum() / rows).sort("gpus", descending=True)
    found = [(gpus, on) for gpus, on in held.iter_rows() if on > 0.005]
    if not found:
        return "none on"
    words = [f"{_count(on)}\u00a0×\u00a0{gpus}" for gpus, on in found]
    return f"{' + '.join(words)}\u00a0GPU{'' if len(found) == 1 and found[0][0] == 1 else 's'}"


def _count(value: float) -> str:
    return f"{value:.0f}" if abs(value - round(value)) < 0.05 else f"{value:.1f}"
