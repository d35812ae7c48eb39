"""From cause to effect: how notices, answers and actions are told."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twin.stack import State
from twin.workloads.levers import CAUSES, POOLS, OffersObservation
from twin.workloads.negotiation import notices
from twin.workloads.negotiation.maintenance import Restart, Site
from twin.workloads.negotiation.messages import MessageLog
from twin.workloads.negotiation.notices import ACCEPTED, IGNORED

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
CALM, CAPACITY, POWER, REGION, HINT = range(len(CAUSES))
# Causes that last: what is done under one of them belongs to one chain until it is over.
_LASTING: Final = (CAPACITY, POWER, REGION)
_SAID: Final = {
    CALM: ("offers", "what its VMs have hinted"),
    REGION: ("region", "another region is cheaper or cleaner"),
    HINT: ("hint", "hints in force have changed"),
}
_ANSWERED: Final = {ACCEPTED: "accepted by", IGNORED: "no answer from"}
_NO: Final = -1


@dataclass(slots=True)
class Root:
    """A cause that lasts: its first message, what it is about, and the watts of its row when it began."""

    message: int
    cause: int
    place: int
    before_w: float
    since_w: float = np.nan
    action: int = _NO


@dataclass(slots=True)
class Chains:
    """Says what the platform does as messages, one by workload and tick, each with the one that led to it."""

    log: MessageLog
    site: Site
    workload_ids: tuple[str, ...]
    roots: dict[tuple[int, int], Root] = field(default_factory=dict)

    # -- causes ---------------------------------------------------------------

    def cause(self, seen: OffersObservation, cause: int, place: int) -> int:
        """Return the message that began the chain of a cause: a row's power, a pool's capacity, or what is new in this tick."""
        if (known := self.roots.get((cause, place))) is not None:
            return known.message
        root = self._began(seen, cause, place)
        if cause in _LASTING:
            self.roots[cause, place] = root
        return root.message

    def _began(self, seen: OffersObservation, cause: int, place: int) -> Root:
        spare, t_s = seen.spare, seen.t_s
        if cause == POWER:
            draws_w, budget_w, row = float(spare.row_power_w[place]), float(spare.row_budget_w[place]), self.site.row_ids[place]
            words = f"{row} draws {draws_w / 1e3:.1f} of {budget_w / 1e3:.1f} kW"
            message = self.log.say(t_s, "event", "platform", "global", "power_emergency", value=draws_w, place=row, words=words)
            return Root(message, cause, place, draws_w)
        if cause == CAPACITY:
            asked = float(max(spare.reserve_cores[place], spare.coming_cores[place]))
            words = f"{asked:.0f} of {spare.total_cores[place]:.0f} cores of {POOLS[place]} are asked for at the regular price"
            message = self.log.say(t_s, "event", "platform", "global", "capacity_short", value=asked, words=words)
            return Root(message, cause, place, np.nan)
        name, words = _SAID[cause]
        return Root(self.log.say(t_s, "event", "platform", "global", name, words=words), cause, place, np.nan)

    def restart(self, t_s: float, restart: Restart) -> int:
        """Say that a place will restart, and return the message."""
        place = self.site.place_ids[restart.pool][restart.place]
        words = f"{place} restarts in {(restart.start_s - t_s) / 60:.0f} min"
        return self.log.say(t_s, "event", "platform", "global", "maintenance", due_s=restart.start_s, place=place, words=words)

    def place_id(self, cause: int, place: int) -> str:
        """Return the id of the row that a cause is about; empty for the others."""
        return self.site.row_ids[place] if cause == POWER else ""

    def over(self, active: set[tuple[int, int]]) -> None:
        """Forget causes that nothing is done for any more."""
        self.roots = {key: root for key, root in self.roots.items() if key in active or root.action >= 0}

    # -- what is said ------------------------------------------------------------

    def notice(self, t_s: float, kind: int, workload: int, reached_s: Floats, due_s: Floats, *, root: int, place: str) -> int:
        """Say that VMs of a workload are told of something, and return the message."""
        name, count = notices.NAMES[kind], len(reached_s)
        words = f"{_words(name)} to {vms(count)}" + (f", in {due_s.max() - t_s:.0f} s" if np.isfinite(due_s).any() else "")
        words += "; without an answer they go, as they have hinted that they may" if name == "region_move_offer" else ""
        whose = self.workload_ids[workload]
        return self.log.say(
            t_s,
            "notice",
            "global",
            "workload",
            name,
            workload=whose,
            vms=count,
            reached_s=float(reached_s.max()),
            due_s=float(due_s.max()),
            place=place,
            words=words,
            cause=root,
        )

    def answer(self, t_s: float, kind: int, workload: int, answer: int, count: int, cause: int) -> int:
        """Say what VMs of a workload answered to a notice, and return the message."""
        words = f"{_ANSWERED.get(answer, 'declined by')} {vms(count)}"
        parts = {"workload": self.workload_ids[workload], "value": float(answer), "words": words, "cause": cause}
        return self.log.say(t_s, "answer", "workload", "global", notices.NAMES[kind], vms=count, **parts)  # type: ignore[arg-type]

    def action(self, t_s: float, name: str, workload: int, count: int, *, words: str, place: str, cause: int) -> int:
        """Say that something was done to VMs of a workload, and return the message."""
        whose = self.workload_ids[workload]
        return self.log.say(t_s, "action", "local", "workload", name, workload=whose, vms=count, words=words, place=place, cause=cause)

    def acted(self, seen: OffersObservation, cause: int, place: int, action: int, cores: float) -> None:
        """Take note of what was last done for a cause; cores that it returned are told at once, watts when they are measured."""
        root = self.roots.get((cause, place))
        if root is None:
            return
        if cause == POWER:
            root.action, root.since_w = action, float(seen.spare.row_power_w[place])
        elif cores > 0.0:
            words = f"{cores:.0f} cores returned"
            self.log.say(seen.t_s, "effect", "global", "platform", "cores_returned", value=cores, words=words, cause=action)

    def effects(self, seen: OffersObservation) -> None:
        """Say what the actions of the last tick brought: watts of their row before and after."""
        for root in self.roots.values():
            if root.action < 0:
                continue
            now_w, row = float(seen.spare.row_power_w[root.place]), self.site.row_ids[root.place]
            back_w = root.since_w - now_w
            words = f"{back_w / 1e3:.1f} kW returned: {root.since_w / 1e3:.1f} before, {now_w / 1e3:.1f} after"
            self.log.say(
                seen.t_s, "effect", "global", "platform", "power_returned", value=back_w, place=row, words=words, cause=root.action
            )
            root.action = _NO

    def snapshot(self) -> State:
        """Return the causes that last."""
        rows = [[root.message, root.cause, root.place, root.before_w, root.since_w, root.action] for root in self.roots.values()]
        return {"roots": np.array(rows, dtype=np.float64).reshape(-1, 6)}

    def restore(self, state: State) -> None:
        """Take back a snapshot's state."""
        self.roots = {
            (int(cause), int(place)): Root(int(message), int(cause), int(place), float(before_w), float(since_w), int(action))
            for message, cause, place, before_w, since_w, action in state["roots"]
        }


def groups(*columns: Ints) -> Iterator[tuple[tuple[int, ...], Ints]]:
    """Return each combination of values of whole-number columns that occurs, in order, with the positions where it does."""
    if len(columns[0]) == 0:
        return
    order = np.lexsort(columns[::-1])
    sorted_columns = [column[order] for column in columns]
    new = np.zeros(len(order), dtype=np.bool_)
    new[0] = True
    for column in sorted_columns:
        new[1:] |= column[1:] != column[:-1]
    bounds = np.append(np.flatnonzero(new), len(order))
    for begin, end in pairwise(bounds):
        yield tuple(int(column[begin]) for column in sorted_columns), order[begin:end]


def _words(name: str) -> str:
    return name.replace("_", " ")


def vms(count: int) -> str:
    """Return so many VMs in words."""
    return "1 VM" if count == 1 else f"{count} VMs"
