"""Writes jobs, tasks, plans and what workflows hold and use."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twin.stack import State
from twin.tables import EVENTS, Sink, event_columns
from twin.workflows.execution import Execution
from twin.workflows.readings import COMING, JOBS, PLANS, TASKS, USE
from twin.workflows.shapes import JobState

Row = tuple[Any, ...]
_MINUTE_S: Final = 60.0
_NAN: Final = float("nan")


class Recorder:
    """Collects rows between two calls of ``write``. A minute of use is the difference of two readings of the same counters."""

    def __init__(self, execution: Execution, stage_ids: Sequence[Sequence[str]], job_ids: Sequence[str]) -> None:
        self._execution, self._stages, self._job_ids = execution, stage_ids, job_ids
        self._use: list[Row] = []
        self._plans: list[Row] = []
        self._coming: list[Row] = []
        self._before = self._counters()
        self._from_s = 0.0

    def plan(self, rows: Sequence[Row]) -> None:
        """Take note of plans, in the order of the columns of PLANS."""
        self._plans += rows

    def coming(self, row: Row) -> None:
        """Take note of what the cluster was told, in the order of the columns of COMING."""
        self._coming.append(row)

    def minute(self, t_s: float) -> None:
        """End a minute of use (at the end of the run a part of one)."""
        span_s = t_s - self._from_s
        if span_s <= 0.0:
            return
        execution, now = self._execution, self._counters()
        held, spot, gpus, cores, drawn_j, paid_usd = ((now - self._before) / span_s).tolist()
        waiting = sum(len(pool.queue) for pool in execution.pools.values())
        self._use.append(
            (t_s, held + spot, gpus, cores, spot, waiting, len(execution.jobs) + len(execution.pending), drawn_j, paid_usd * 3600.0)
        )
        self._before, self._from_s = now, t_s

    def write(self, sink: Sink) -> None:
        """Write what there is."""
        told = self._execution.told
        _append(sink, JOBS, [self._job(*row) for row in told.jobs])
        tasks = [
            (
                row.t_s, row.ready_s, row.start_s, row.workflow, self._job_ids[row.job], self._stages[row.workflow][row.stage],
                row.first_item, row.items, row.executor, row.instance, row.gpus, row.cores,
            )
            for row in told.tasks
        ]  # fmt: skip
        _append(sink, TASKS, tasks)
        _append(sink, PLANS, self._plans)
        _append(sink, USE, self._use)
        _append(sink, COMING, self._coming)
        if told.events:
            sink.append(
                EVENTS, event_columns([(t_s, "workflows", kind, "instance", name, value) for t_s, kind, name, value in told.events])
            )
        told.jobs, told.tasks, told.events = [], [], []
        self._use, self._plans, self._coming = [], [], []

    def close(self, sink: Sink) -> None:
        """Write jobs that are under way, and the last part of a minute."""
        execution = self._execution
        self.minute(execution.t_s)
        execution.close()
        for job in execution.jobs.values():
            execution.told.jobs.append((execution.t_s, job, "under way", ""))
        for number, workflow, submit_s in execution.pending:
            job = JobState.of(execution.shapes[workflow], number, workflow, submit_s, False)
            execution.told.jobs.append((execution.t_s, job, "under way", ""))
        self.write(sink)

    def _job(self, t_s: float, job: JobState, outcome: str, why: str) -> Row:
        done = outcome == "done"
        return (
            t_s, job.submit_s, job.start_s, job.workflow, self._job_ids[job.number], self._execution.shapes[job.workflow].items, outcome,
            t_s - job.submit_s if done else _NAN, job.energy_j, job.cost_usd, job.quality_share if done else _NAN,
            job.critical_path_s if done else _NAN, why,
        )  # fmt: skip

    def _counters(self) -> NDArray[np.float64]:
        execution, holding = self._execution, self._execution.holding
        busy_gpu_s, busy_core_s = float(execution.busy_gpu_s.sum()), float(execution.busy_core_s.sum())
        drawn_j, paid_usd = holding.drawn_j + execution.worked_j, holding.paid_usd + execution.worked_usd
        return np.array([holding.held_gpu_s, holding.spot_gpu_s, busy_gpu_s, busy_core_s, drawn_j, paid_usd])

    def snapshot(self) -> State:
        """Return where the minute began."""
        return {"before": self._before.copy(), "from_s": self._from_s}

    def restore(self, state: State) -> None:
        """Take back a snapshot."""
        self._before, self._from_s = np.array(state["before"], dtype=np.float64), float(state["from_s"])


def _append(sink: Sink, table: Any, rows: Sequence[Row]) -> None:
    if not rows:
        return
    columns = {}
    for column, values in zip(table.columns, zip(*rows, strict=True), strict=True):
        text = str(column.dtype) == "String" and column.entity is None
        columns[column.name] = np.array(values, dtype=object) if text else np.array(values)
    sink.append(table, columns)
