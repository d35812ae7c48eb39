"""What stored runs say about serving, read once: runs never change."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
import polars as pl

from app import state
from app.charts import breakdown, lanes, slots, stages

SPAN_S: Final = 900.0
GRID_S: Final = 300.0
BOUNDS: Final = {"ttft_s": "ttft_slo_s", "atgt_s": "atgt_slo_s"}
NO_PLACEMENTS: Final = pl.DataFrame(
    schema={
        "t_s": pl.Float64,
        "arrive_s": pl.Float64,
        "prompt_tokens": pl.Int32,
        "instance": pl.Int16,
        "feasible": pl.Int32,
        "reason": pl.String,
    }
)


@dataclass(frozen=True, slots=True)
class Span:
    """What the page is about: the shown run, the one it is held against, and a quarter of an hour on the 5-minute grid."""

    home: str
    run_id: str
    other: str | None
    from_s: float
    to_s: float
    clock_text: str


def span() -> Span:
    """Return the span of the context: the last whole quarter of an hour at the cursor, the first one of the run before that."""
    now = state.context()
    begin_s = state.run(now.run_id or "").brief.begin_s
    to_s = max(now.t_s // GRID_S * GRID_S, begin_s + SPAN_S)
    other = now.today if now.shown == "candidate" else None
    return Span(str(state.home()), now.run_id or "", other, to_s - SPAN_S, to_s, now.clock.at(to_s).strftime("%H:%M"))


@lru_cache(maxsize=16)
def specs(home: str, run_id: str) -> dict[str, dict[str, Any]]:
    """Return the endpoints of a run's scenario by id."""
    return {endpoint["id"]: endpoint for endpoint in state.run(run_id).manifest["scenario"]["serving"]["endpoints"]}


@lru_cache(maxsize=16)
def objectives(home: str, run_id: str) -> dict[str, dict[str, float]]:
    """Return the objectives of each endpoint by latency."""
    return {name: {column: float(spec[key]) for column, key in BOUNDS.items()} for name, spec in specs(home, run_id).items()}


@lru_cache(maxsize=8)
def instances(home: str, run_id: str) -> pl.DataFrame:
    """Return the instances table as ``slots.slots`` gives it."""
    return slots.slots(state.table(run_id, "instances"), specs(home, run_id))


@lru_cache(maxsize=8)
def counts(home: str, run_id: str) -> dict[tuple[str, int], pl.DataFrame]:
    """Return the instances on over time by endpoint and role."""
    return lanes.counts(instances(home, run_id))


@lru_cache(maxsize=8)
def decisions(home: str, run_id: str) -> dict[tuple[str, int], pl.DataFrame]:
    """Return the scaling decisions by endpoint and role."""
    return lanes.decisions(state.table(run_id, "events"), instances(home, run_id), state.run(run_id).brief.begin_s)


@lru_cache(maxsize=8)
def workers(home: str, run_id: str) -> dict[str, int]:
    """Return the CPU cores that prepare the images of each endpoint that reads images."""
    from twin.serving import images

    found = {
        name: slots.servers(specs(home, run_id)[name], count) for name, count in slots.counted(state.table(run_id, "instances")).items()
    }
    seeing = [name for name, spec in specs(home, run_id).items() if images.vision(spec["model"]) is not None]
    return {name: images.preprocess_workers(count) for name in seeing if (count := found.get(name))}


@lru_cache(maxsize=8)
def _prepare_s(home: str, run_id: str) -> dict[str, np.ndarray]:
    """Return what preparing 0, 1, 2, … images takes on one CPU core, by endpoint; more images than the last take no longer."""
    from twin.serving import images

    found = {}
    for name, spec in specs(home, run_id).items():
        vision = images.vision(spec["model"])
        if vision is not None:
            found[name] = images.tiles(vision, np.arange(vision.most_tiles + 1)) * vision.preprocess_s_per_tile
    return found


@lru_cache(maxsize=8)
def _asked(home: str, run_id: str, from_s: float, to_s: float) -> pl.DataFrame:
    return breakdown.asked(state.run(run_id).tables["requests"], from_s, to_s)


@lru_cache(maxsize=8)
def parts(home: str, run_id: str, from_s: float, to_s: float) -> pl.DataFrame:
    """Return the requests of an interval with the parts of their time to the first token."""
    return breakdown.split(_asked(home, run_id, from_s, to_s), _prepare_s(home, run_id))


@lru_cache(maxsize=64)
def means(home: str, run_id: str, from_s: float, to_s: float) -> pl.DataFrame:
    """Return the breakdown of an interval by endpoint and kind of request."""
    return breakdown.breakdown(parts(home, run_id, from_s, to_s))


@lru_cache(maxsize=64)
def pipeline(home: str, run_id: str, from_s: float, to_s: float) -> pl.DataFrame:
    """Return the stages of an interval."""
    return stages.pipeline(
        stages.inside(state.table(run_id, "endpoints"), from_s, to_s),
        stages.inside(instances(home, run_id), from_s, to_s),
        parts(home, run_id, from_s, to_s),
        specs(home, run_id),
        workers(home, run_id),
    )


def arrived(now: Span) -> int:
    """Return how many requests arrived in the span of the shown run."""
    return len(_asked(now.home, now.run_id, now.from_s, now.to_s))


def has_stage_times(run_id: str) -> bool:
    """Return whether a run recorded the times of the stages; runs from before it are still shown."""
    return breakdown.recorded(state.run(run_id).tables["requests"])


@lru_cache(maxsize=32)
def quantiles(home: str, run_id: str, endpoint: str) -> dict[str, pl.DataFrame]:
    """Return the quantile tables of an endpoint's latencies over the run."""
    tables = state.run(run_id).tables
    return stages.quantiles(tables["requests"], tables.get("token_gaps"), endpoint)


def placements(run_id: str, endpoint: str, to_s: float) -> pl.DataFrame:
    """Return the last placements of an endpoint up to a moment, the newest first; none in a run from before they were recorded."""
    frame = state.table(run_id, "placements")
    if frame.is_empty():
        return NO_PLACEMENTS
    return frame.filter((pl.col("endpoint_id") == endpoint) & (pl.col("t_s") <= to_s)).sort("t_s", descending=True).head(15)


@lru_cache(maxsize=64)
def router(home: str, run_id: str, endpoint: str, t_s: float) -> str:
    """Return the name of the system that routes an endpoint's requests at a moment."""
    from policies.catalogue import cards

    known = cards()
    steps: list[Mapping[str, Any]] = [step for step in state.run(run_id).manifest["schedule"] if step["from_s"] < t_s]
    stack = steps[-1]["policy"].get("request_routing", []) if steps else []
    for held in stack:
        # A guard only narrows: who chooses is the first holder after it.
        card = known.get(held["system"])
        if card is not None and card.levers.get("request_routing") == "holder" and _covers(held.get("scope") or [], endpoint):
            return card.name
    return "its router"


def _covers(scope: list[Any], endpoint: str) -> bool:
    named = [item["id"] for item in scope if isinstance(item, Mapping) and item.get("kind") == "endpoint"]
    return not named or endpoint in named
