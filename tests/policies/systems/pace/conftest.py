"""Synthetic forecasters, and tools with a history of few lines."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
import pytest

from twin.incidents.case import Incident
from twin.incidents.levers import Labelled, Prediction
from twin.incidents.tools import Arguments, Reply, Tool

BEGAN = 1.7e9


class History:
    """Answers the search of the history with the rows that it was given, and nothing else."""

    as_of_s = 600.0
    tools: tuple[Tool, ...] = ()

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self._rows = rows

    def call(self, name: str, arguments: Arguments) -> Reply:
        if name != "history_search" or not self._rows:
            return Reply("", name, arguments, ok=False, rows=pl.DataFrame(), words="", error_kind="no data", error="no history")
        return Reply("E1", name, arguments, ok=True, rows=pl.DataFrame(self._rows[: arguments["k"]]), words="")

    def evidence(self, evidence_id: str) -> Reply | None:
        return None


def incident(name: str = "now", began: float = BEGAN) -> Incident:
    return Incident(name, "cart slow", "memory of cart grows", "major", "service", "cart", "latency_p99_s", 300.0, 360.0, began)


def past(cause: str, similarity: float, name: str = "old") -> dict[str, Any]:
    return {
        "incident_id": name,
        "cause": cause,
        "similarity": similarity,
        "title": "slow",
        "text": "p99 above its objective",
        "mechanism": f"{cause.replace('_', ' ')} was found",
    }


def prediction(cause: str = "memory_leak", score: float = 0.9, **more: Any) -> Prediction:
    given = {"incident": incident(), "predictor": "rival", "text": "the heap grows", "entity_id": "cart"} | more
    return Prediction(cause=cause, score=score, **given)


def labelled(number: int, known: float, right: bool, sufficient: float, likely: float, score: float, predictor: str = "rival") -> Labelled:
    about = prediction(score=score, incident=incident(f"i-{number}", known - 0.5), predictor=predictor)
    return Labelled(about, right, known, sufficient, likely)


@pytest.fixture
def overconfident() -> Callable[..., list[Labelled]]:
    """Return labels of a predictor that says 0.85 on average and is right less than half of the time; both scores know a part of it."""

    def made(count: int, seed: int = 1, first: float = 0.0, predictor: str = "rival") -> list[Labelled]:
        random = np.random.default_rng(seed)
        case, history = random.standard_normal((2, count))
        right = random.random(count) < 1.0 / (1.0 + np.exp(0.3 - 1.2 * case - 0.6 * history))
        sufficient = np.clip(0.5 + 0.2 * history + 0.1 * random.standard_normal(count), 0.0, 1.0)
        likely = np.clip(0.75 + 0.12 * case + 0.05 * random.standard_normal(count), 0.0, 1.0)
        own = np.clip(0.85 + 0.1 * case, 0.0, 1.0)
        return [
            labelled(int(first) + i, first + i, bool(right[i]), float(sufficient[i]), float(likely[i]), float(own[i]), predictor)
            for i in range(count)
        ]

    return made
