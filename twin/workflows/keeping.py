"""Snapshots of jobs under way and of the instances that do them."""

from collections import deque
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twin.stack import State
from twin.workflows.execution import Execution
from twin.workflows.pools import Instance, Pool, Running, Task
from twin.workflows.shapes import Doing, JobState

_PLAIN: Final = ("t_s", "count", "instances_made", "worked_j", "worked_usd", "room_made")
_BUSY: Final = ("busy_gpu_s", "busy_core_s")
_INSTANCE: Final = tuple(name for name in Instance.__slots__ if name != "items")
_POOL: Final = tuple(name for name in Pool.__slots__ if name not in {"users", "queue", "instances"})


def kept(execution: Execution) -> State:
    """Return the state of an execution whose news have been written down."""
    return {
        **{name: getattr(execution, name) for name in _PLAIN},
        **{name: getattr(execution, name).copy() for name in _BUSY},
        "places": execution.places.snapshot(),
        "holding": execution.holding.snapshot(),
        "pools": [_pool(pool) for pool in execution.pools.values()],
        "how": [how.snapshot() for how in execution.how],
        "jobs": [job.snapshot() for job in execution.jobs.values()],
        "events": _table(execution.events, 6),
        "asked": _table([(number, *about) for number, about in execution.asked.items()], 7),
        "unasked": list(execution.unasked),
        "pending": _table(execution.pending, 3),
        "starved": sorted(execution.starved),
    }


def restore(execution: Execution, state: State) -> None:
    """Take back a state."""
    for name in _PLAIN:
        setattr(execution, name, state[name])
    for name in _BUSY:
        setattr(execution, name, np.array(state[name], dtype=np.float64))
    execution.places.restore(state["places"])
    execution.holding.restore(state["holding"])
    execution.pools = {each["key"]: _pool_of(each) for each in state["pools"]}
    execution.found = {each.number: (pool, each) for pool in execution.pools.values() for each in pool.instances}
    execution.how = [Doing.restored(how) for how in state["how"]]
    execution.jobs = {each["number"]: JobState.restored(each) for each in state["jobs"]}
    # Rows of a heap stay in their places.
    execution.events = [(t_s, int(a), int(b), int(c), int(d), int(e)) for t_s, a, b, c, d, e in state["events"].tolist()]
    execution.asked = {int(number): (int(a), int(b), int(c), int(d), int(e), t_s) for number, a, b, c, d, e, t_s in state["asked"].tolist()}
    execution.unasked = list(state["unasked"])
    execution.pending = [(int(number), int(workflow), submit_s) for number, workflow, submit_s in state["pending"].tolist()]
    execution.starved = set(state["starved"])


def _table(rows: Any, width: int) -> NDArray[np.float64]:
    return np.array(rows, dtype=np.float64).reshape(-1, width)


def _pool(pool: Pool) -> State:
    instances = [
        {**{name: getattr(each, name) for name in _INSTANCE}, "items": _table(each.items, len(Running._fields))} for each in pool.instances
    ]
    return {
        **{name: getattr(pool, name) for name in _POOL},
        "users": list(pool.users),
        "queue": _table(list(pool.queue), len(Task._fields)),
        "instances": instances,
    }


def _pool_of(state: State) -> Pool:
    instances = [
        Instance(**{name: each[name] for name in _INSTANCE}, items=[_running(row) for row in each["items"].tolist()])
        for each in state["instances"]
    ]
    queue = deque(Task(row[0], *(int(value) for value in row[1:])) for row in state["queue"].tolist())
    return Pool(**{name: state[name] for name in _POOL}, users=list(state["users"]), queue=queue, instances=instances)


def _running(row: list[float]) -> Running:
    whole = {"number", "job", "stage", "item", "executor"}
    fields: dict[str, Any] = {name: int(value) if name in whole else value for name, value in zip(Running._fields, row, strict=True)}
    return Running(**fields)
