"""Hints that gave trouble, five minutes at a time."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from twin.stack import State
from twin.tables import Sink
from twin.workloads.negotiation.hint import Hints
from twin.workloads.negotiation.keys import KEYS, SCOPES
from twin.workloads.negotiation.tables import CONFLICTS
from twin.workloads.negotiation.tenants import Tenants

Ints = NDArray[np.int64]
GRID_S: Final = 300.0
KINDS: Final = ("stale", "limited", "contradictory", "flapping")
_WORKLOAD, _DEPLOYMENT, _VM = range(len(SCOPES))


class Conflicts:
    """Counts hints that were not taken, by workload, key and kind of trouble."""

    def __init__(self, tenants: Tenants) -> None:
        self._tenants = tenants
        cells = len(tenants.workload_ids) * len(KEYS) * len(KINDS)
        self._hints = np.zeros(cells, dtype=np.int64)
        # Scope and number of the first that they were about.
        self._first = np.zeros((cells, 2), dtype=np.int64)
        self._ended_s = 0.0
        self._rows: list[Ints] = []

    def note(self, kind: str, hints: Hints) -> None:
        """Count hints in their order; ``kind`` is one of KINDS."""
        if not len(hints):
            return
        cells = (self._workloads(hints) * len(KEYS) + hints.key) * len(KINDS) + KINDS.index(kind)
        found, first, counts = np.unique(cells, return_index=True, return_counts=True)
        fresh = self._hints[found] == 0
        self._first[found[fresh]] = np.stack([hints.scope, hints.of], axis=1)[first[fresh]]
        self._hints[found] += counts

    def _workloads(self, hints: Hints) -> Ints:
        """Return whose hints they are, shape B."""
        whose = hints.of.copy()
        for scope, owner in ((_DEPLOYMENT, self._tenants.deployment_workload), (_VM, self._tenants.workload)):
            chosen = hints.scope == scope
            whose[chosen] = owner[hints.of[chosen]]
        return whose

    def advance(self, until_s: float) -> None:
        """End the rows of the five minutes that a tick has finished."""
        edge_s = until_s // GRID_S * GRID_S
        if edge_s > self._ended_s:
            self.close(edge_s)
            self._ended_s = edge_s

    def close(self, t_s: float) -> None:
        """End the rows now."""
        cells = np.flatnonzero(self._hints)
        if len(cells):
            self._rows.append(np.column_stack([np.full(len(cells), int(t_s)), cells, self._hints[cells], self._first[cells]]))
            self._hints[:] = 0

    def write(self, sink: Sink) -> None:
        """Hand over the rows that have ended."""
        if not self._rows:
            return
        t_s, cells, hints, scope, of = np.concatenate(self._rows).T
        tenants = self._tenants
        named = (tenants.workload_ids, tenants.deployment_ids, tenants.vm_ids())
        ids = [named[kind][index] for kind, index in zip(scope.tolist(), of.tolist(), strict=True)]
        rows = {
            "t_s": t_s.astype(np.float64),
            "workload_id": cells // (len(KEYS) * len(KINDS)),
            "key": np.array([KEYS[index].name for index in (cells // len(KINDS) % len(KEYS)).tolist()], dtype=object),
            "kind": np.array(KINDS, dtype=object)[cells % len(KINDS)],
            "hints": hints,
            "of_id": np.array(ids, dtype=object),
        }
        sink.append(CONFLICTS, rows)
        self._rows = []

    def snapshot(self) -> State:
        """Return what is counted and not written yet."""
        rows = np.concatenate(self._rows) if self._rows else np.zeros((0, 5), dtype=np.int64)
        return {"hints": self._hints.copy(), "first": self._first.copy(), "ended_s": self._ended_s, "rows": rows}

    def restore(self, state: State) -> None:
        """Take back a snapshot's state."""
        self._hints, self._first = (np.array(state[name], dtype=np.int64) for name in ("hints", "first"))
        self._ended_s = float(state["ended_s"])
        self._rows = [np.array(state["rows"], dtype=np.int64)] if len(state["rows"]) else []
