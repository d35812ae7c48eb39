"""Notices as they are sent: when they reach VMs, and how agents answer."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from twin.stack import State
from twin.workloads.levers import LEAVE
from twin.workloads.negotiation import notices
from twin.workloads.negotiation.agents import Agents
from twin.workloads.negotiation.chains import CALM
from twin.workloads.negotiation.maintenance import Maintenance, Restart
from twin.workloads.negotiation.noticeboard import HOST, NOBODY, SIZE, NoticeBoard, Notices
from twin.workloads.negotiation.notices import OPEN
from twin.workloads.negotiation.telling import Telling
from twin.workloads.negotiation.treatments import MA, SURPLUS
from twin.workloads.negotiation.wishes import MOVES, OVER, RESTARTS, UP, InForce, Tick

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
# Who has sold availability is restarted with its place; all others are moved live, as today.
RESTARTED_WITH = MA | SURPLUS
# Offers that are not made again for a while where they were declined.
_OFFERS = (UP, OVER, MOVES)


class Sending:
    """Sends notices of what is wanted and not yet told, and of places that will restart; agents answer as they hear of them."""

    def __init__(
        self, board: NoticeBoard, agents: Agents, telling: Telling, maintenance: Maintenance, reach_s: Callable[[float, Ints], Floats]
    ) -> None:
        self._board, self._agents, self._telling, self._maintenance, self._reach_s = board, agents, telling, maintenance, reach_s
        self._leads_s = np.array([notices.kinds()[name].lead_s for name in notices.NAMES])
        self._may = np.array([notices.kinds()[name].may_decline for name in notices.NAMES])
        self._offers = np.isin(np.arange(len(notices.NAMES)), _OFFERS)
        self._announced_s = -np.inf

    def offer(self, slot: int, now: InForce, tick: Tick) -> None:
        """Send the notices of a slot that are wanted and not open yet."""
        at = tick.wish.changed(slot, now)
        if len(at) == 0 or len(at := at[~self._board.open_at(slot, tick.wish.vm[at])]) == 0:
            return
        kind = tick.wish.kinds(slot, at, now)
        held = self._board.held(slot, tick.wish.vm[at], tick.t_s)
        sent = (kind != NOBODY) & ~(held & self._offers[kind])
        for each in np.unique(kind[sent]).tolist():
            self._send(slot, each, at[sent & (kind == each)], tick)

    def _send(self, slot: int, kind: int, at: Ints, tick: Tick, restart: Restart | None = None) -> None:
        """Send notices of one kind to VMs (positions) and let their agents answer."""
        vm, t_s, lead_s = tick.wish.vm[at], tick.t_s, float(self._leads_s[kind])
        reached_s = self._reach_s(t_s, vm)
        due_s = reached_s + lead_s if restart is None else np.full(len(vm), restart.start_s)
        may = self._may[kind] & ~self._board.held(slot, vm, t_s)
        answer, after_s = self._agents.answers(kind, at, reached_s, lead_s, may, tick.fares)
        # An answer counts that is there before the event, which waits for a tick to begin.
        in_time = reached_s + after_s <= np.maximum(due_s, t_s + tick.seen.tick_s)
        cause = np.full(len(vm), CALM) if slot == HOST else tick.wish.cause[at]
        share = tick.wish.size_share if slot == SIZE else tick.wish.clock_share
        sent = Notices(
            sent_s=np.full(len(vm), t_s),
            reached_s=reached_s,
            due_s=due_s,
            lead_s=np.full(len(vm), lead_s),
            answered_s=np.where(in_time, reached_s + after_s, np.nan),
            to_share=share[at],
            kind=np.full(len(vm), kind),
            cause=cause,
            answer=np.where(in_time, answer, OPEN),
            message=np.full(len(vm), NOBODY),
        )
        self._telling.sent(sent, kind, at, tick, restart)
        self._board.put(slot, vm, sent)

    def announce(self, now: InForce, tick: Tick) -> None:
        """Tell VMs of restarts of their places that are a lead time and a tick ahead; those before the first are not for them."""
        seen, until_s = tick.seen, tick.t_s + float(self._leads_s[RESTARTS]) + tick.seen.tick_s + 1.0
        from_s = until_s - tick.seen.tick_s if np.isinf(self._announced_s) else self._announced_s
        self._announced_s = max(until_s, from_s)
        for restart in self._maintenance.starting(from_s, until_s):
            there = np.flatnonzero((seen.pool == restart.pool) & (seen.place == restart.place))
            vm = seen.vm[there]
            sold = (now.taken[vm] == LEAVE) & ((now.granted[vm] & RESTARTED_WITH) != 0)
            told = there[sold & ~self._board.open_at(HOST, vm)]
            if len(told):
                self._send(HOST, RESTARTS, told, tick, restart)

    def snapshot(self) -> State:
        """Return up to when restarts were announced."""
        return {"announced_s": self._announced_s}

    def restore(self, state: State) -> None:
        """Take back a snapshot's state."""
        self._announced_s = float(state["announced_s"])
