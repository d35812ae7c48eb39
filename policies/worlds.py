"""Whether runs met the same arrivals and weather, so that they compare."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from twin.store import runs


def same_world(run_ids: Mapping[str, Sequence[str]], seeds: Sequence[int], home: Path) -> None:
    """Raise RuntimeError unless all policies faced the same arrivals and weather, seed by seed.

    Where the scenario lets demand follow capacity, sites of different size are asked different things: that is what was asked
    for. Then only runs of one size must have met the same.
    """
    for index, seed in enumerate(seeds):
        found = {label: runs.manifest_of(ids[index], home) for label, ids in run_ids.items()}
        for one, other in combinations(found, 2):
            if found[one]["exogenous"] != found[other]["exogenous"] and _comparable(found[one], found[other]):
                told = ", ".join(f"{label} {run_ids[label][index]}" for label in (one, other))
                raise RuntimeError(f"seed {seed}: arrivals or weather differ between {told}; their difference would not be the policy's")


def _comparable(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether two runs must have met the same world: not where demand follows capacity and they differ in size."""
    follows = one["scenario"].get("workloads", {}).get("follow_capacity", False)
    return not follows or one.get("extra_servers", {}) == other.get("extra_servers", {})
