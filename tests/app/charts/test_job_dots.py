"""Jobs over the day: the chosen one is ringed where the candidate did it."""

from datetime import UTC, datetime

import polars as pl

from app.charts.job_dots import job_dots
from app.charts.timeline import Span
from app.charts.tokens import LIGHT
from twin.clock import Clock


def _jobs(makespan_s: float) -> pl.DataFrame:
    return pl.DataFrame(
        {"job_id": ["video-1"], "items": [4], "outcome": ["done"], "submit_s": [600.0], "makespan_s": [makespan_s], "why": [""]}
    )


def test_the_chosen_job_is_ringed_at_what_the_candidate_took() -> None:
    span = Span(Clock(datetime(2026, 7, 14, tzinfo=UTC)), 86_400.0)
    fig = job_dots({"today": _jobs(300.0), "candidate": _jobs(40.0)}, "makespan_s", LIGHT, span, chosen="video-1")
    (ring,) = [trace for trace in fig.data if trace.marker.size == 15]
    assert list(ring.y) == [40.0]
