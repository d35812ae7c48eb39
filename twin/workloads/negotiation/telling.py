"""What the platform says as it acts: by workload, with what led to it."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from twin.stack import State
from twin.workloads.levers import EVICT
from twin.workloads.negotiation.chains import CAPACITY, POWER, Chains, groups, vms
from twin.workloads.negotiation.maintenance import Restart
from twin.workloads.negotiation.noticeboard import CLOCK, HOST, MOVING, NOBODY, OUTCOMES, SIZE, TAKE, NoticeBoard, Notices
from twin.workloads.negotiation.notices import IGNORED, OPEN
from twin.workloads.negotiation.tenants import Tenants
from twin.workloads.negotiation.wishes import InForce, Tick

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_DONE: Final = {MOVING: "moved", SIZE: "resized", CLOCK: "clocked", HOST: "restarted"}
_MINUTE_S: Final = 60.0


class Telling:
    """Puts what happens to single VMs together into one message by workload, kind and cause, in the chain of what led to it."""

    def __init__(self, tenants: Tenants, chains: Chains) -> None:
        self.chains, self._workload, self._cores = chains, tenants.workload, tenants.cores
        # The message that told of a VM being taken: its coming back follows from it.
        self._taken_by = np.full(len(tenants), NOBODY, dtype=np.int64)

    @staticmethod
    def _places(cause: Ints, at: Ints, tick: Tick) -> Ints:
        """Return what the causes are about: the row where it is power, the pool where it is capacity."""
        return np.where(cause == POWER, tick.seen.row[at], np.where(cause == CAPACITY, tick.seen.pool[at], 0))

    def sent(self, sent: Notices, kind: int, at: Ints, tick: Tick, restart: Restart | None) -> None:
        """Say that notices of a kind go out to VMs (positions); their numbers are put into ``sent.message``."""
        said = None if restart is None else self.chains.restart(tick.t_s, restart)
        place = "" if restart is None else self.chains.site.place_ids[restart.pool][restart.place]
        about = self._places(sent.cause, at, tick)
        for (cause, where, workload), which in groups(sent.cause, about, self._workload[tick.wish.vm[at]]):
            root = said if said is not None else self.chains.cause(tick.seen, cause, where)
            times = (sent.reached_s[which], sent.due_s[which])
            of = place or self.chains.place_id(cause, where)
            sent.message[which] = self.chains.notice(tick.t_s, kind, workload, *times, root=root, place=of)

    def heard(self, board: NoticeBoard, slot: int, vm: Ints, tick: Tick) -> None:
        """Say which answers have come since the last tick, and who has given none by the time of the event."""
        answer, due = board.answered(slot, vm, tick.t_s), board.due(slot, vm, tick.t_s)
        told = np.where((answer == OPEN) & due, IGNORED, answer)
        new = np.flatnonzero((board.get("reply", slot, vm) == NOBODY) & (told != OPEN))
        if len(new) == 0:
            return
        vm, told = vm[new], told[new]
        kinds, at_s = board.get("kind", slot, vm), np.fmin(board.get("answered_s", slot, vm), tick.t_s)
        for (message, answered, workload), which in groups(board.get("message", slot, vm), told, self._workload[vm]):
            when_s = tick.t_s if answered == IGNORED else float(at_s[which].max())
            reply = self.chains.answer(when_s, int(kinds[which[0]]), workload, answered, len(which), message)
            board.replied(slot, vm[which], np.full(len(which), reply))

    @staticmethod
    def _led(board: NoticeBoard, slot: int, vm: Ints) -> Ints:
        """Return the message that an action follows from: the answer, else the notice."""
        reply = board.get("reply", slot, vm)
        return np.where(reply == NOBODY, board.get("message", slot, vm), reply)

    def dropped(self, board: NoticeBoard, slot: int, vm: Ints, outcome: int, tick: Tick) -> None:
        """Say that notices are taken back."""
        words = "is not needed any more" if OUTCOMES[outcome] == "withdrawn" else "is not allowed by the hints any more"
        for (led, workload), which in groups(self._led(board, slot, vm), self._workload[vm]):
            said = f"{vms(len(which))}: it {words}"
            self.chains.action(tick.t_s, OUTCOMES[outcome], workload, len(which), words=said, place="", cause=led)

    def did(self, board: NoticeBoard, slot: int, vm: Ints, now: InForce, before: Floats, lost_s: float, tick: Tick) -> None:
        """Say what was done to VMs; ``before`` are their sizes until now, ``lost_s`` is work to be done again."""
        at = tick.at[vm]
        evicted = now.taken[vm] == EVICT
        name = np.where(evicted, 1, 0) if slot == TAKE else np.zeros(len(vm), dtype=np.int64)
        cause = board.get("cause", slot, vm)
        about = self._places(cause, at, tick)
        cores = self._cores[vm] * (before if slot in (TAKE, MOVING) else np.maximum(before - now.size_share[vm], 0.0) * (slot == SIZE))
        returned: dict[tuple[int, int], tuple[int, float]] = {}
        keys = (cause, about, self._led(board, slot, vm), name, self._workload[vm])
        for (of, where, led, which_name, workload), which in groups(*keys):
            does = ("shut_down", "evicted")[which_name] if slot == TAKE else _DONE[slot]
            words = self._words(does, slot, vm[which], now, before[which])
            message = self.chains.action(
                tick.t_s, does, workload, len(which), words=words, place=self.chains.place_id(of, where), cause=led
            )
            self._taken_by[vm[which]] = message
            returned[of, where] = message, returned.get((of, where), (0, 0.0))[1] + float(cores[which].sum())
        for (of, where), (message, freed) in returned.items():
            self.chains.acted(tick.seen, of, where, message, freed)
        if lost_s >= _MINUTE_S:
            words = f"{lost_s / _MINUTE_S:.0f} min of work is lost and will be done again"
            self.chains.log.say(tick.t_s, "effect", "workload", "global", "work_lost", value=lost_s, words=words, cause=message)

    def _words(self, does: str, slot: int, vm: Ints, now: InForce, before: Floats) -> str:
        count, said = vms(len(vm)), does.replace("_", " ")
        cores = self._cores[vm]
        if slot == SIZE:
            return f"{count}: {float((cores * before).sum()):.0f} cores become {float((cores * now.size_share[vm]).sum()):.0f}"
        if slot == CLOCK:
            return f"{count} at {100 * float(now.clock_share[vm].mean()):.0f} % of the rated clock"
        return f"{count} {said}, {float((cores * before).sum()):.0f} cores idle"

    def returned(self, vm: Ints, tick: Tick) -> None:
        """Say that VMs are back."""
        for (led, workload), which in groups(self._taken_by[vm], self._workload[vm]):
            words = f"{vms(len(which))} back"
            self.chains.action(tick.t_s, "back", workload, len(which), words=words, place="", cause=led)

    def over(self, tick: Tick) -> None:
        """Forget the causes for which nothing is wanted any more."""
        if not self.chains.roots:
            return
        wish = tick.wish
        at = np.flatnonzero(wish.cause)
        at = at[(wish.take[at] != 0) | (wish.clock_share[at] < 1.0) | (wish.size_share[at] < 1.0)]
        cause = wish.cause[at]
        self.chains.over({key for key, _ in groups(cause, self._places(cause, at, tick))})  # type: ignore[misc]

    def snapshot(self) -> State:
        """Return the causes that last, and what told of VMs being taken."""
        return {"chains": self.chains.snapshot(), "taken_by": self._taken_by.copy()}

    def restore(self, state: State) -> None:
        """Take back a snapshot's state."""
        self.chains.restore(state["chains"])
        self._taken_by[:] = state["taken_by"]
