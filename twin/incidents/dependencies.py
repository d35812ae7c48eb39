"""Who calls whom: a graph of dependencies, its distances and cones."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Dependencies:
    """``ids`` of N entities and edges from ``caller`` to ``callee`` (index arrays, (M,)). Trouble travels from callee to caller."""

    ids: tuple[str, ...]
    caller: Ints
    callee: Ints

    def __post_init__(self) -> None:
        ends = np.concatenate([self.caller, self.callee])
        if len(self.caller) != len(self.callee) or (len(ends) and not 0 <= int(ends.min()) <= int(ends.max()) < len(self.ids)):
            raise ValueError(f"an edge names an entity outside the {len(self.ids)} known ones; correct caller and callee")

    @property
    def calls(self) -> Bools:
        """Adjacency (N, N): row calls column."""
        matrix = np.zeros((len(self.ids), len(self.ids)), dtype=np.bool_)
        matrix[self.caller, self.callee] = True
        return matrix

    def distances(self, start: int, backward: bool = False, through: Bools | None = None) -> Ints:
        """Return hops from ``start`` along calls (against them with ``backward``) to each entity (N,), -1 where none leads there.

        ``through`` (N,) limits which entities may be passed; the last one of a path need not be among them.
        """
        tails, heads = (self.callee, self.caller) if backward else (self.caller, self.callee)
        found = np.full(len(self.ids), -1, dtype=np.int64)
        found[start], hops = 0, 0
        front = np.zeros(len(self.ids), dtype=np.bool_)
        front[start] = True
        while front.any():
            hops += 1
            reached = np.zeros_like(front)
            reached[heads[front[tails]]] = True
            reached &= found < 0
            found[reached] = hops
            front = reached if through is None else reached & through
        return found

    def cone(self, start: int) -> Bools:
        """Return which entities ``start`` depends on, itself among them (N,)."""
        return self.distances(start) >= 0

    def impact(self, start: int) -> Bools:
        """Return which entities depend on ``start``, itself among them (N,)."""
        return self.distances(start, backward=True) >= 0

    def path(self, start: int, end: int, through: Bools | None = None) -> tuple[int, ...]:
        """Return a shortest path of calls from ``start`` to ``end``, both included; empty where none leads there."""
        hops = self.distances(start, through=through)
        if hops[end] < 0:
            return ()
        steps = [end]
        while steps[-1] != start:
            callers = self.caller[self.callee == steps[-1]]
            nearer = callers[hops[callers] == hops[steps[-1]] - 1]
            steps.append(int((nearer if through is None else nearer[(nearer == start) | through[nearer]]).min()))
        return tuple(reversed(steps))


def from_edges(edges: Iterable[tuple[str, str]], ids: Iterable[str] = ()) -> Dependencies:
    """Make a graph of (caller, callee) names and of ``ids`` that may have no edge; ids come out sorted, edges once each."""
    pairs = sorted({(caller, callee) for caller, callee in edges if caller != callee})
    names = tuple(sorted({name for pair in pairs for name in pair} | set(ids)))
    at = {name: place for place, name in enumerate(names)}
    ends = np.array([(at[caller], at[callee]) for caller, callee in pairs], dtype=np.int64).reshape(-1, 2)
    return Dependencies(names, ends[:, 0].copy(), ends[:, 1].copy())
