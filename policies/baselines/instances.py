"""How many instances of a model or tool so many jobs keep busy."""

from math import ceil

from twin.workflows.executors import Executor, Profile
from twin.workflows.graph import Stage
from twin.workflows.timing import batch_of, items_per_s

_HOUR_S = 3600.0


def pool_of(executor: Executor, profile: Profile, spot: bool = False) -> str:
    """Return the name of the instances that a stage shares with all others on the same model, hardware and kind of capacity."""
    where = f"{profile.hardware}x{profile.gpus}" if profile.gpus else f"{profile.hardware}{profile.cores}"
    return f"{executor.model or executor.id}@{where}{'+spot' if spot else ''}"


def items_of(stage: Stage, items: float) -> float:
    """Return how many items a stage of one job has."""
    return items if stage.per == "item" else 1.0


def busy(profile: Profile, batch: int, items: float, jobs_per_h: float) -> float:
    """Return how many instances are busy on average with so many jobs of so many items each, at full batches."""
    return jobs_per_h / _HOUR_S * items / items_per_s(profile, batch_of(profile, batch))


def needed(busy_instances: float, utilisation_share: float) -> int:
    """Return how many instances are no fuller than that; at least one.

    >>> needed(3.2, 0.8), needed(3.21, 0.8), needed(0.0, 0.8)
    (4, 5, 1)
    """
    return max(1, ceil(busy_instances / utilisation_share - 1e-9))
