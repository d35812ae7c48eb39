"""What a run's tables say of the negotiation, read once."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import polars as pl

from app import state
from app.charts import chains as story

_TEXT: Final = (pl.Categorical, pl.Enum)


def negotiates(run_id: str) -> bool:
    """Return whether any workload of a run negotiates, or did."""
    return bool(tenants(run_id)) or not table(run_id, "bills").is_empty()


def settings(run_id: str) -> Mapping[str, Any]:
    """Return what a run's scenario says of the negotiation; empty where it says nothing."""
    found: Mapping[str, Any] = (state.run(run_id).manifest["scenario"].get("workloads") or {}).get("negotiation") or {}
    return found


def tenants(run_id: str) -> list[Mapping[str, Any]]:
    """Return the workloads that negotiate, as the scenario writes them."""
    return list(settings(run_id).get("tenants") or ())


def table(run_id: str, name: str) -> pl.DataFrame:
    """Return a table of the negotiation with its names as plain text; empty where the run has none."""
    return _table(str(state.home()), run_id, name)


@lru_cache(maxsize=32)
def _table(home: str, run_id: str, name: str) -> pl.DataFrame:
    frame = state.table(run_id, name)
    coded = [column for column, dtype in frame.schema.items() if isinstance(dtype, _TEXT) or dtype in _TEXT]
    return frame.with_columns(pl.col(coded).cast(pl.String)) if coded else frame


@lru_cache(maxsize=16)
def chains(home: str, run_id: str) -> pl.DataFrame:
    """Return the chains of a run, a row each."""
    return story.summary(_table(home, run_id, "messages"))
