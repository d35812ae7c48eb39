"""Levers and the stacks of holders that decide them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from twin.metrics import Scope

LeverKind = Literal["at the start", "each tick", "by window", "compiled", "afterwards"]
# What a model, a holder or the world gives when asked for its state: plain values and arrays, nothing executable.
State = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Lever:
    """One decision point of the datacenter.

    ``decides`` names the method that a holder must have, ``guards`` the one of a holder that only narrows.
    """

    name: str
    domain: str
    kind: LeverKind
    baseline: str
    meaning: str
    decides: str
    guards: str | None = None


@dataclass(frozen=True, slots=True)
class Holding:
    """A holder of one lever, where it decides, and whether it only narrows what the next one may choose."""

    lever: str
    system: str
    holder: Any
    scope: tuple[Scope, ...] = ()
    guard: bool = False


@dataclass(frozen=True, slots=True)
class Phase:
    """From ``from_s`` on these holdings are in force. ``spec`` is the canonical JSON that the run is named by.

    What the capacity lever decided before the run stands in the first phase: ``extra_servers`` row by row (empty as built),
    and in ``clips`` how often that was clipped.
    """

    from_s: float
    holdings: tuple[Holding, ...]
    spec: Mapping[str, Any] = field(default_factory=dict)
    extra_servers: tuple[int, ...] = ()
    clips: Mapping[str, int] = field(default_factory=dict)

    def stack(self, lever: str) -> tuple[Holding, ...]:
        """Return the holdings of one lever in their order."""
        return tuple(holding for holding in self.holdings if holding.lever == lever)

    def holders(self) -> dict[str, Any]:
        """Return each holder object once, by the id of its system."""
        return {holding.system: holding.holder for holding in self.holdings}


class Stateful(Protocol):
    """A holder that remembers something between its decisions."""

    def snapshot(self) -> State:
        """Return the state as plain values and arrays."""

    def restore(self, state: State) -> None:
        """Take back a state that ``snapshot`` gave."""


@dataclass(slots=True)
class Clips:
    """Counts actions that were clipped to their bounds, by lever and system."""

    counts: dict[str, int] = field(default_factory=dict)

    def clip(self, lever: str, system: str, wanted: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
        """Return the action inside its bounds; not-a-number becomes the upper bound. Every change is counted."""
        if ((wanted >= low) & (wanted <= high)).all():
            return wanted
        clean = np.where(np.isnan(wanted), high, wanted)
        bounded = np.clip(clean, low, high)
        self.count(lever, system, int(np.count_nonzero(bounded != wanted)))
        return bounded

    def count(self, lever: str, system: str, changed: int) -> None:
        """Count so many changes of what a system wanted."""
        if changed:
            key = f"{lever}/{system}"
            self.counts[key] = self.counts.get(key, 0) + changed


def shares(
    holdings: Sequence[Holding], members: Callable[[tuple[Scope, ...]], NDArray[np.bool_]], size: int
) -> Iterable[tuple[Holding, NDArray[np.bool_]]]:
    """Yield each deciding holder with the members that are its own: the first whose scope matches decides."""
    free = np.ones(size, dtype=np.bool_)
    for holding in holdings:
        if holding.guard:
            continue
        mine = free & members(holding.scope)
        free &= ~mine
        if mine.any():
            yield holding, mine


def guards(
    holdings: Sequence[Holding], members: Callable[[tuple[Scope, ...]], NDArray[np.bool_]]
) -> Iterable[tuple[Holding, NDArray[np.bool_]]]:
    """Yield each guard with the members it narrows, in stack order."""
    for holding in holdings:
        if holding.guard:
            yield holding, members(holding.scope)


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """Return a view that a holder cannot write to."""
    view = array.view()
    view.setflags(write=False)
    return view


AFTERWARDS: Final = "afterwards"
