"""What hangs on what around an entity: ways, cones, who would suffer."""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

import polars as pl

DEPENDS_ON: Final = "depends_on"


class Edge(NamedTuple):
    """``source`` suffers when ``target`` does."""

    source: str
    target: str
    kind: str


class Surroundings:
    """A topology (columns of ``case.TABLES``), walked in both directions."""

    def __init__(self, topology: pl.DataFrame, kinds: Mapping[str, str]) -> None:
        self.kinds = kinds
        self._below: dict[str, list[Edge]] = {}
        self._above: dict[str, list[Edge]] = {}
        for source, target, kind in topology.select("source", "target", "kind").unique().sort("source", "target", "kind").iter_rows():
            edge = Edge(source, target, kind)
            self._below.setdefault(source, []).append(edge)
            self._above.setdefault(target, []).append(edge)

    def __contains__(self, entity: str) -> bool:
        return entity in self._below or entity in self._above or entity in self.kinds

    def around(self, entity: str, direction: str, hops: int) -> list[tuple[Edge, int]]:
        """Return the edges that lead from an entity, with the hops to their farther end; nearest first."""
        down = direction == DEPENDS_ON
        known, front, found = {entity}, [entity], list[tuple[Edge, int]]()
        for hop in range(1, hops + 1):
            following = []
            for edge in self._from(front, down):
                found.append((edge, hop))
                far = edge.target if down else edge.source
                if far not in known:
                    known.add(far)
                    following.append(far)
            front = following
        return found

    def distances(self, entity: str, direction: str) -> dict[str, int]:
        """Return hops from an entity to each that can be reached, with itself at 0; nearest first."""
        down = direction == DEPENDS_ON
        found, front = {entity: 0}, [entity]
        while front:
            far = dict.fromkeys(edge.target if down else edge.source for edge in self._from(front, down))
            following = [name for name in far if name not in found]
            found.update({name: found[front[0]] + 1 for name in following})
            front = following
        return found

    def ways(self, entity: str, to: str, direction: str, hops: int) -> list[tuple[Edge, int]]:
        """Return the edges of all shortest ways from an entity to another, at most ``hops`` long; empty where none leads there."""
        down = direction == DEPENDS_ON
        here = self.distances(entity, direction)
        if to not in here or here[to] > hops:
            return []
        there = self.distances(to, "depended_on_by" if down else DEPENDS_ON)
        found = []
        for edge in self._from([name for name in here if name in there], down):
            near, far = (edge.source, edge.target) if down else (edge.target, edge.source)
            if far in there and here[near] + 1 + there[far] == here[to]:
                found.append((edge, here[near] + 1))
        return sorted(found, key=lambda item: (item[1], item[0]))

    def _from(self, entities: Iterable[str], down: bool) -> list[Edge]:
        edges = self._below if down else self._above
        return [edge for entity in entities for edge in edges.get(entity, ())]
