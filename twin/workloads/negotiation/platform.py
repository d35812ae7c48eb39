"""The platform: sends notices, hears answers, acts when they are due."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.sources import calibration
from twin.stack import State
from twin.tables import Sink
from twin.workloads.levers import LEAVE, MOVE, OffersAction, OffersObservation
from twin.workloads.negotiation.agents import Agents, Situation
from twin.workloads.negotiation.chains import Chains
from twin.workloads.negotiation.grants import Grants
from twin.workloads.negotiation.maintenance import Maintenance, Site
from twin.workloads.negotiation.messages import MessageLog
from twin.workloads.negotiation.noticeboard import (
    CLOCK,
    DONE,
    HOST,
    LAPSED,
    MOVING,
    NOBODY,
    REFUSED,
    SIZE,
    SLOTS,
    TAKE,
    UNPERMITTED,
    WITHDRAWN,
    NoticeBoard,
)
from twin.workloads.negotiation.sending import RESTARTED_WITH, Sending
from twin.workloads.negotiation.settings import Settings
from twin.workloads.negotiation.telling import Telling
from twin.workloads.negotiation.tenants import Tenants
from twin.workloads.negotiation.wishes import RESTARTED, InForce, Tick, wishes

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Done:
    """What was done to VMs at the beginning of a tick, by their numbers: who stopped, came back, went to another region or home again.

    ``away`` and ``moved`` leave their places idle; ``back`` are those of either kind that run here again.
    """

    away: Ints
    back: Ints
    resized: Ints
    clocked: Ints
    moved: Ints


class Platform:
    """Does to VMs what a holder wants, as far as their hints allow, with the notices that it takes; see ``Done``.

    First what was noticed earlier and is due: it is held against what is wanted and allowed now. Then those come back that are left alone
    again, and new notices go out. A lead time counts from when the notice reaches the VM, and its event takes place at the
    first tick that begins when it is over, or as soon as the workload has agreed.
    """

    def __init__(
        self, tenants: Tenants, settings: Settings, log: MessageLog, seed: int, *, site: Site, reach_s: Callable[[float, Ints], Floats]
    ) -> None:
        count = len(tenants)
        self.agents, self.board = Agents(tenants, seed), NoticeBoard(tenants)
        self._grants = Grants(tenants, log)
        self._now = InForce(self._grants.granted, np.ones(count), np.ones(count), np.zeros(count, dtype=np.int64))
        self._telling = Telling(tenants, Chains(log, site, tenants.workload_ids))
        maintenance = Maintenance(site, settings.maintenance_per_day, seed)
        self._sending = Sending(self.board, self.agents, self._telling, maintenance, reach_s)
        self._reach_s = reach_s
        self._lasts_s = float(calibration("negotiation")["maintenance"]["lasts_s"]["value"])
        self._until_s = np.full(count, np.inf)
        self._at, self._every = np.full(count, NOBODY, dtype=np.int64), slice(None)

    # -- how VMs are treated, shape V --------------------------------------------

    @property
    def granted(self) -> Ints:
        """Return the treatments of every VM, sums of powers of two."""
        return self._now.granted

    @property
    def size_share(self) -> Floats:
        """Return the cores that every VM has over those that it asked for."""
        return self._now.size_share

    @property
    def clock_share(self) -> Floats:
        """Return the clock of every VM."""
        return self._now.clock_share

    @property
    def taken(self) -> Ints:
        """Return LEAVE, EVICT, SHUT or MOVE for every VM, or ``wishes.RESTARTED`` while its place restarts."""
        return self._now.taken

    @property
    def running(self) -> Bools:
        """Return which VMs are not evicted, shut down or restarted; one that was moved runs elsewhere."""
        return np.asarray((self._now.taken == LEAVE) | self.gone)

    def runs(self, vm: Ints) -> Bools:
        """Return which of these VMs run, here or in another region, in their order."""
        taken = self._now.taken.take(vm)
        return np.asarray((taken == LEAVE) | (taken == MOVE))

    @property
    def gone(self) -> Bools:
        """Return which VMs run in another region."""
        return np.asarray(self._now.taken == MOVE)

    @property
    def noticed(self) -> Bools:
        """Return which VMs have an open notice that they will be evicted or shut down."""
        return self.board.open_at(TAKE, self._every)

    def declined(self, t_s: float, vm: Ints | slice = slice(None)) -> Bools:
        """Return which VMs, all or these, have asked lately that another one be taken."""
        return self.board.held(TAKE, vm, t_s)

    def stays(self, t_s: float, vm: Ints | slice = slice(None)) -> Bools:
        """Return which VMs, all or these, have declined another region, and are not asked again yet."""
        return self.board.held(MOVING, vm, t_s)

    # -- who comes and goes -------------------------------------------------------

    def admit(self, vm: Ints, t_s: float) -> None:
        """Take VMs that get a place: nothing is granted to them yet."""
        self.release(vm, t_s)

    def release(self, vm: Ints, t_s: float) -> None:
        """Let VMs go that have ended; their open notices lapse."""
        if len(vm) == 0:
            return
        for slot in range(len(SLOTS)):
            self.board.close(slot, vm[self.board.open_at(slot, vm)], t_s, LAPSED)
        now = self._now
        now.granted[vm], now.size_share[vm], now.clock_share[vm], now.taken[vm] = 0, 1.0, 1.0, LEAVE
        self.board.forget(vm)
        self.agents.forget(vm)
        self._until_s[vm] = np.inf

    def told(self, t_s: float, vm: Ints, kind: int, answer: int, message: int = NOBODY) -> Ints:
        """Take an answer from outside (ACCEPTED or DECLINED) to open notices of VMs, and return whose it was.

        It may be to those of one ``kind`` or of one ``message`` alone; -1 is any.
        """
        return self.board.tell(vm, kind, answer, t_s, message)

    # -- the tick -------------------------------------------------------------------

    def act(self, t_s: float, seen: OffersObservation, action: OffersAction, fares: Situation) -> Done:
        """Do what is due and wanted at the beginning of a tick, and send the notices of what is wanted next."""
        self._telling.chains.effects(seen)
        self._grants.change(t_s, seen.vm, action.granted, float(self._reach_s(t_s, seen.vm[:1]).max(initial=t_s)))
        self._at.fill(NOBODY)
        self._at[seen.vm] = np.arange(len(seen.vm))
        tick = Tick(t_s, seen, fares, wishes(seen, action), self._at)
        done = {slot: self._settle(slot, tick) for slot in range(len(SLOTS))}
        back = self._back(tick)
        at_once = {slot: self._at_once(slot, tick) for slot in (SIZE, CLOCK)}
        for slot in (TAKE, MOVING, SIZE, CLOCK):
            self._sending.offer(slot, self._now, tick)
        self._sending.announce(self._now, tick)
        self._telling.over(tick)
        return Done(
            away=np.concatenate([done[TAKE], done[HOST]]),
            back=back,
            resized=np.concatenate([done[SIZE], at_once[SIZE]]),
            clocked=np.concatenate([done[CLOCK], at_once[CLOCK]]),
            moved=done[MOVING],
        )

    def _settle(self, slot: int, tick: Tick) -> Ints:
        """End the notices of a slot that are declined, no longer wanted, or due; return the VMs whose event takes place."""
        vm = self.board.standing(slot)
        if len(vm) == 0 or len(vm := vm[tick.at[vm] >= 0]) == 0:
            return vm
        board, at, t_s = self.board, tick.at[vm], tick.t_s
        self._telling.heard(board, slot, vm, tick)
        refused = board.refused(slot, vm, t_s)
        wanted = tick.wish.kinds(slot, at, self._now) == board.get("kind", slot, vm)
        if slot == HOST:
            wanted &= (self._now.granted[vm] & RESTARTED_WITH) != 0
        go = ~refused & wanted & board.due(slot, vm, t_s)
        board.close(slot, vm[refused], t_s, REFUSED)
        barred = tick.wish.barred[at]
        for outcome, which in ((WITHDRAWN, ~barred), (UNPERMITTED, barred)):
            self._drop(slot, vm[~refused & ~wanted & which], outcome, tick)
        if go.any():
            self._do(slot, vm[go], tick)
        return np.asarray(vm[go])

    def _drop(self, slot: int, vm: Ints, outcome: int, tick: Tick) -> None:
        if len(vm):
            self._telling.dropped(self.board, slot, vm, outcome, tick)
            self.board.close(slot, vm, tick.t_s, outcome)

    def _do(self, slot: int, vm: Ints, tick: Tick) -> None:
        """Let the event of notices take place."""
        now, at, lost_s = self._now, tick.at[vm], 0.0
        before = now.size_share[vm].copy()
        if slot in (SIZE, CLOCK):
            held, wanted = (now.size_share, tick.wish.size_share) if slot == SIZE else (now.clock_share, tick.wish.clock_share)
            meant, want = self.board.get("to_share", slot, vm), wanted[at]
            held[vm] = np.where(want < held[vm], np.maximum(want, meant), np.minimum(want, meant))
        else:
            now.taken[vm] = RESTARTED if slot == HOST else tick.wish.take[at]
            self._until_s[vm] = tick.t_s + self._lasts_s if slot == HOST else np.inf
            lost_s = self.agents.taken(at, tick.fares)
            if slot == MOVING:
                self.agents.back(vm, tick.t_s)
        self._telling.did(self.board, slot, vm, now, before, lost_s, tick)
        self.board.close(slot, vm, tick.t_s, DONE)

    def _back(self, tick: Tick) -> Ints:
        """Let VMs run again that nobody wants away any more; return them."""
        taken: Ints = (self._now.taken != LEAVE).nonzero()[0]
        taken = taken[tick.at[taken] >= 0]
        if len(taken) == 0:
            return taken
        left = tick.wish.take[tick.at[taken]] == LEAVE
        restarted = self._now.taken[taken] == RESTARTED
        back = taken[np.where(restarted, self._until_s[taken] <= tick.t_s, left)]
        if len(back):
            self._now.taken[back], self._until_s[back] = LEAVE, np.inf
            self.agents.back(back, tick.t_s)
            self._telling.returned(back, tick)
        return back

    def _at_once(self, slot: int, tick: Tick) -> Ints:
        """Set sizes or clocks that need no notice; return the VMs."""
        at = tick.wish.at_once(slot, tick.wish.changed(slot, self._now), self._now)
        vm = tick.wish.vm[at]
        if slot == SIZE:
            self._now.size_share[vm] = tick.wish.size_share[at]
        else:
            self._now.clock_share[vm] = tick.wish.clock_share[at]
        return vm

    # -- what is kept -----------------------------------------------------------------

    def write(self, sink: Sink) -> None:
        """Hand over notices that have ended and grants that have changed since the last time."""
        self.board.write(sink)
        self._grants.write(sink)

    def snapshot(self) -> State:
        """Return how VMs are treated, what is open, what agents do, and what is not written yet."""
        now = self._now
        held = {"size_share": now.size_share, "clock_share": now.clock_share, "taken": now.taken, "until_s": self._until_s}
        return {name: values.copy() for name, values in held.items()} | {name: part.snapshot() for name, part in self._parts().items()}

    def restore(self, state: State) -> None:
        """Take back a snapshot's state."""
        now = self._now
        held = {"size_share": now.size_share, "clock_share": now.clock_share, "taken": now.taken, "until_s": self._until_s}
        for name, values in held.items():
            values[:] = state[name]
        for name, part in self._parts().items():
            part.restore(state[name])

    def _parts(self) -> dict[str, Grants | NoticeBoard | Telling | Agents | Sending]:
        return {"grants": self._grants, "board": self.board, "telling": self._telling, "agents": self.agents, "sending": self._sending}
