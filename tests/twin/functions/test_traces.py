"""Recorded calls: times, runs, and which function they are of."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from twin.functions.levers import Runtime
from twin.functions.settings import Function
from twin.functions.traces import replayed


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Import two functions: one call by call, one counted by the minute."""
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path))
    folder = tmp_path / "imports" / "function-trace"
    folder.mkdir(parents=True)
    rows = {
        "t_s": [5.0, 65.0, 0.0, 120.0],
        "function_id": ["exact", "exact", "counted", "counted"],
        "calls": [1, 1, 30, 60],
        "span_s": [0.0, 0.0, 60.0, 60.0],
        "duration_s": [0.5, 2.0, None, 0.1],
    }
    pl.DataFrame(rows, schema_overrides={"duration_s": pl.Float64}).write_parquet(folder / "day.parquet")
    return folder


def test_calls_come_when_they_were_recorded(kept: Path) -> None:
    times, runs, period_s = replayed("import:day", "exact", 1)
    assert times.tolist() == [5.0, 65.0]
    assert runs.tolist() == [0.5, 2.0]
    assert period_s == 180.0, "the trace comes back as a whole"
    times, runs, period_s = replayed("import:day", "counted", 1)
    assert np.histogram(times, [0, 60, 120, 180])[0].tolist() == [30, 0, 60]
    assert (runs[:30] < 0).all()
    assert (runs[30:] == 0.1).all()
    assert period_s == 180.0
    assert len(replayed("import:day", "whoever", 1)[0]) == 92


def test_a_function_replays_its_trace_again_and_again(kept: Path, drive: Any, containerd: Runtime) -> None:
    run = drive([Function(id="exact", trace="import:day", rate_per_s=0.0)], containerd).go(600.0)
    rows = run.tables()["functions"]
    # At 5 and 65 s of each 180.
    assert rows["arrived"].to_list() == [4, 3]
    # Runs are 0.5 and 2 s in turn.
    assert rows["latency_mean_s"].mean() == pytest.approx(1.25, rel=0.35)


def test_a_trace_that_is_not_there_is_named(kept: Path, drive: Any, containerd: Runtime) -> None:
    with pytest.raises(ValueError, match="no imported function-trace is called 'night'"):
        drive([Function(id="f", trace="import:night")], containerd)
