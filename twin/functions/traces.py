"""Recorded calls of functions, as an import holds them.

Columns of the import ``function-trace``: ``t_s`` (seconds from the trace's beginning, when a call began, or a minute did whose calls
were counted), ``function_id``, ``calls``, ``span_s`` (0 where the time is exact, 60 for a minute), ``duration_s`` (the run of a call
without any start, null where it is not known).
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twin import chance
from twin.sources import imported, imported_table

Floats = NDArray[np.float64]
KIND: Final = "function-trace"
COLUMNS: Final = ("t_s", "function_id", "calls", "span_s", "duration_s")
_MINUTE_S: Final = 60.0


def replayed(setting: str, function_id: str, seed: int) -> tuple[Floats, Floats, float]:
    """Return when calls come (N, ascending), how long each runs (N, below 0 where not known), and after what time it all repeats.

    ``setting`` is ``import:NAME``. Calls are those of the function of that id where the trace has one, else of all its functions.
    Counted calls are spread at random within their minute. ValueError, one line, where there is no such import.
    """
    frame = imported_table(imported(KIND, setting.removeprefix("import:")))
    # The whole trace comes back at once: who was called at nine is called at nine again.
    period_s = _period_s(*(frame[name].cast(float).to_numpy() for name in ("t_s", "span_s"))) if frame.height else math.inf
    if (frame["function_id"] == function_id).any():
        frame = frame.filter(frame["function_id"] == function_id)
    calls = frame["calls"].to_numpy().astype(np.int64)
    begin_s, span_s = (np.repeat(frame[name].to_numpy().astype(np.float64), calls) for name in ("t_s", "span_s"))
    run_s = np.repeat(frame["duration_s"].cast(float).fill_null(-1.0).to_numpy(), calls)
    if not len(begin_s):
        return begin_s, run_s, period_s
    random = chance.stream(seed, "functions", "replay", setting, function_id)
    times = begin_s + span_s * random.random(len(begin_s))
    order = np.argsort(times, kind="stable")
    return times[order], run_s[order], period_s


def _period_s(begin_s: Floats, span_s: Floats) -> float:
    """Return the whole minutes that hold all calls: one that is counted ends by the end of its minute, an exact one within it."""
    minutes = (begin_s + span_s) / _MINUTE_S
    return float(np.where(span_s > 0.0, np.ceil(minutes), np.floor(minutes) + 1.0).max()) * _MINUTE_S
