"""Plans of a workflow in words and rows: the chosen one, or why none."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from twin.units import show

# Column -> metric, in the order in which an operator compares plans.
COLUMNS: Final[Mapping[str, str]] = {
    "makespan": "workflows.makespan_p50_s",
    "energy": "workflows.energy_j_per_job",
    "cost": "workflows.cost_usd_per_job",
    "quality": "workflows.quality_min_share",
}
_LIMITS: Final[Mapping[str, str]] = {
    "makespan_s": "makespan", "energy_j": "energy of a job", "cost_usd": "cost of a job", "quality_share": "quality", "gpus": "GPUs",
}  # fmt: skip
BASIS: Final = "of one job, as predicted for the busiest epoch on an idle site; a run plans anew each epoch, for all workflows together"


def statement(front: Mapping[str, Any]) -> str:
    """Return in one line which plan a workflow would have, or that none keeps every bound."""
    chosen = front["chosen"]
    if chosen is None:
        return f"No plan keeps every bound for {front['workflow']}"
    return f"{front['workflow']}: {chosen['title']}"


def cells(option: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a plan's figures by column."""
    metrics = option["metrics"]
    return tuple(show(metrics[name], name) if name in metrics else "–" for name in COLUMNS.values())


def table(front: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Return the plans that none beats, the chosen one marked, or the nearest where there is none: mark, name, figures."""
    options: Sequence[Mapping[str, Any]] = front["front"] or ([front["nearest"]] if front["nearest"] else [])
    chosen = front["chosen"]["name"] if front["chosen"] else ""
    return [("chosen" if each["name"] == chosen else "" if chosen else "nearest", each["name"], *cells(each)) for each in options]


def misses(front: Mapping[str, Any]) -> list[str]:
    """Return what the nearest plan misses, in words."""
    return [in_words(each) for each in front["nearest"]["misses"]] if front["chosen"] is None and front["nearest"] else []


def in_words(missed: str) -> str:
    """Return a missed limit with the limit's name as it is read.

    >>> in_words("quality_share: 93 %, asked is 99 %")
    'quality: 93 %, asked is 99 %'
    """
    name, colon, figures = missed.partition(":")
    return f"{_LIMITS.get(name, name)}{colon}{figures}"
