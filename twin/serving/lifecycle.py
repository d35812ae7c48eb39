"""Instances come and go: off, starting, on, draining, lost."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twin.faults import Fault
from twin.serving import batching as b
from twin.serving.accounts import Accounts
from twin.serving.engine import Engine, ticks
from twin.serving.layout import Layout
from twin.serving.levers import DRAINING, OFF, ON, STARTING
from twin.stack import State

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_ARRAYS: Final = ("state", "wanted", "lost", "slowed", "admitted", "_ready_at")


class Lifecycle:
    """The state of every instance, shape I, and what follows from it for the engines.

    A draining instance finishes its requests and goes off; a starting one takes requests after the start-up delay. A lost
    instance's requests go to the endpoint's other instances, with the tokens they already have. Requests that wait at an
    instance that is off are placed anew as soon as another is on or starting. A fault of severity below 1 leaves the
    instance on and slower by that share.
    """

    def __init__(self, place: Layout, engines: Sequence[Engine], accounts: Accounts, faults: Sequence[Fault], start_delay_s: float) -> None:
        self._place, self._engines, self._accounts = place, engines, accounts
        self._faults = [(fault, _target(fault, place.ids)) for fault in faults]
        self._edges = sorted({ticks(t_s) for fault in faults for t_s in fault.edges_s()})
        self._start_delay = ticks(start_delay_s)
        count = len(place.ids)
        self.state = np.full(count, ON, dtype=np.int64)
        self.wanted = np.ones(count, dtype=np.bool_)
        self.lost = np.zeros(count, dtype=np.bool_)
        self.slowed = np.ones(count)
        self.admitted = np.ones(count, dtype=np.bool_)
        self._ready_at = np.full(count, b.FOREVER, dtype=np.int64)
        self._in_between = False

    def outstanding(self) -> Ints:
        """Return the requests at each instance, shape I."""
        return np.concatenate([engine.outstanding for engine in self._engines]) if self._engines else np.zeros(0, dtype=np.int64)

    def next_change(self, now: int) -> int:
        """Return the tick at which an instance becomes ready or a fault begins or ends."""
        edge = min((edge for edge in self._edges if edge > now), default=b.FOREVER)
        if not self._in_between:
            return edge
        ready = self._ready_at[self.state == STARTING]
        return min(int(ready.min()), edge) if len(ready) else edge

    def scale(self, wanted: Bools, now: int) -> None:
        """Start what is newly wanted, drain what no longer is."""
        state = self.state
        self.wanted = np.array(wanted, dtype=np.bool_)
        self._note(now, "instance_stop", ~self.wanted & ((state == ON) | (state == STARTING)))
        state[~self.wanted & (state == STARTING)] = OFF
        state[~self.wanted & (state == ON)] = DRAINING
        state[self.wanted & (state == DRAINING)] = ON
        self._start(self.wanted & (state == OFF) & ~self.lost, now)
        self.settle(now)

    def admit(self, endpoint: int, allowed: Bools) -> None:
        """Set which instances (shape I) the guards of one endpoint's router allow."""
        part = self._place.part(endpoint)
        self.admitted[part] = allowed[part]
        self._open(endpoint)

    def held(self, since: int, now: int) -> Ints:
        """Return how long GPUs were held since a tick, shape I; draining instances that are empty by now go off."""
        held = np.where(self.state != OFF, now - since, 0)
        draining = self.state == DRAINING
        if self._in_between and draining.any():
            emptied = draining & (self.outstanding() == 0)
            empty_since = np.concatenate([engine.instances[:, b.EMPTY_SINCE] for engine in self._engines])
            held[emptied] = np.maximum(empty_since[emptied] - since, 0)
        return held

    def reach(self, now: int) -> None:
        """Let happen what is due at a tick."""
        if now in self._edges:
            self.meet_faults(now)
        elif self._in_between:
            due = bool(((self.state == STARTING) & (self._ready_at <= now)).any())
            if due or bool((self.state == DRAINING).any()):
                self.settle(now)

    def settle(self, now: int) -> None:
        """Let states follow from the time and the work left, and place anew what nobody would serve."""
        self.state[(self.state == STARTING) & (self._ready_at <= now)] = ON
        self.state[(self.state == DRAINING) & (self.outstanding() == 0)] = OFF
        live = (self.state == ON) | (self.state == DRAINING)
        coming = (self.state == ON) | (self.state == STARTING)
        for index, engine in enumerate(self._engines):
            part = self._place.part(index)
            engine.set_live(live[part], now)
            if coming[part].any():
                for r in np.flatnonzero((self.state[part] == OFF) & (engine.outstanding > 0)):
                    engine.lose(int(r))
            self._open(index)
        self._note_in_between()

    def _note_in_between(self) -> None:
        """Remember whether any instance is starting or draining: mostly none is, and a tick has nothing to look after."""
        self._in_between = bool(((self.state == STARTING) | (self.state == DRAINING)).any())

    def meet_faults(self, now: int) -> None:
        """Take instances away, slow them or give them back as the faults of this moment say."""
        t_s = now / b.TICKS_PER_S
        lost = np.zeros(len(self.lost), dtype=np.bool_)
        self.slowed[:] = 1.0
        for fault, target in self._faults:
            if fault.from_s <= t_s and (fault.until_s is None or now < ticks(fault.until_s)):
                lost[target] |= fault.severity >= 1.0
                self.slowed[target] *= 1.0 if fault.severity >= 1.0 else 1.0 - fault.severity
        gone, back = lost & ~self.lost, self.lost & ~lost
        self.lost = lost
        self._note(now, "instance_lost", gone)
        for r in np.flatnonzero(gone):
            index = int(self._place.endpoint[r])
            moved = self._engines[index].lose(int(r - self._place.first[index]))
            self._accounts.note(now, "requests_requeued", [(self._place.ids[r], float(moved))])
        self.state[gone] = OFF
        self._start(back & self.wanted, now)
        self.settle(now)

    def _start(self, which: Bools, now: int) -> None:
        self._note(now, "instance_start", which)
        self.state[which] = STARTING
        self._ready_at[which] = now + self._start_delay

    def _open(self, index: int) -> None:
        """Say which instances may take new requests: on and admitted; else on; else starting; else any that is not lost."""
        part = self._place.part(index)
        on = self.state[part] == ON
        allowed = self._engines[index].allowed
        allowed[:] = 1
        for choice in (on & self.admitted[part], on, self.state[part] == STARTING, ~self.lost[part]):
            if choice.any():
                allowed[:] = choice
                return

    def _note(self, now: int, kind: str, which: Bools) -> None:
        self._accounts.note(now, kind, [(self._place.ids[r], float(self._place.gpus[r])) for r in np.flatnonzero(which)])

    def snapshot(self) -> State:
        """Return the state of the instances."""
        return {name: getattr(self, name).copy() for name in _ARRAYS}

    def restore(self, state: State) -> None:
        """Take back what ``snapshot`` gave."""
        for name in _ARRAYS:
            setattr(self, name, np.array(state[name]))
        self._note_in_between()


def _target(fault: Fault, ids: tuple[str, ...]) -> int:
    if fault.target not in ids:
        raise ValueError(
            f"faults: {fault.kind}: no instance is called {fault.target!r}; write endpoint/number, such as {', '.join(ids[:3])}"
        )
    return ids.index(fault.target)
