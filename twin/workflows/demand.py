"""When jobs come: at random over a daily wave, or at given times."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from twin import chance
from twin.clock import HOUR_S, Clock
from twin.workflows.settings import Workflow
from twin.workflows.site import Floats, Ints

_STEPS: Final = 60


@dataclass(frozen=True, slots=True)
class Arrivals:
    """All jobs of a run in the order in which they come (J): when, and of which workflow."""

    t_s: Floats
    workflow: Ints


def rate_per_h(workflow: Workflow, clock: Clock, t_s: Floats) -> Floats:
    """Return how often a workflow is asked at some times: a cosine over the day around its mean."""
    wave = np.cos(2.0 * np.pi * (clock.hour(t_s) - workflow.peak_hour) / 24.0)
    return np.asarray(workflow.rate_per_h * (1.0 + workflow.swing_share * wave))


def drawn(workflows: Sequence[Workflow], clock: Clock, horizon_s: float, seed: int) -> Arrivals:
    """Draw every job of a run. A workflow's jobs are its own draw: what others ask changes nothing."""
    times, owners = [], []
    for number, workflow in enumerate(workflows):
        own = _drawn(workflow, clock, horizon_s, seed)
        times.append(own)
        owners.append(np.full(len(own), number, dtype=np.int64))
    if not times:
        return Arrivals(np.zeros(0), np.zeros(0, dtype=np.int64))
    t_s, owner = np.concatenate(times), np.concatenate(owners)
    order = np.argsort(t_s, kind="stable")
    return Arrivals(t_s[order], owner[order])


def _drawn(workflow: Workflow, clock: Clock, horizon_s: float, seed: int) -> Floats:
    if workflow.at_s:
        given = np.sort(np.array(workflow.at_s, dtype=np.float64))
        return np.asarray(given[given < horizon_s])
    rng = chance.stream(seed, "workflows", "arrivals", workflow.id)
    highest = workflow.rate_per_h * (1.0 + workflow.swing_share)
    count = rng.poisson(highest * horizon_s / HOUR_S)
    t_s = np.sort(rng.uniform(0.0, horizon_s, count))
    # Thinning: of a steady stream at the highest rate as many stay as the rate says.
    return np.asarray(t_s[rng.random(count) * highest < rate_per_h(workflow, clock, t_s)])


def expected_per_h(workflow: Workflow, clock: Clock, t_s: float, epoch_s: float) -> float:
    """Return how often a workflow will be asked in the coming epoch, as its owner declares it; given times are counted."""
    if workflow.at_s:
        coming = np.array(workflow.at_s)
        return float(((coming >= t_s) & (coming < t_s + epoch_s)).sum()) * HOUR_S / epoch_s
    middles = t_s + (np.arange(_STEPS) + 0.5) / _STEPS * epoch_s
    return float(rate_per_h(workflow, clock, middles).mean())


def peak_per_h(workflow: Workflow, epoch_s: float) -> float:
    """Return how often a workflow is asked at its busiest, as its owner knows it: in the fullest epoch where times are given."""
    if workflow.at_s:
        epochs = np.floor(np.array(workflow.at_s) / epoch_s).astype(np.int64)
        return float(np.bincount(epochs).max()) * HOUR_S / epoch_s
    return workflow.rate_per_h * (1.0 + workflow.swing_share)
