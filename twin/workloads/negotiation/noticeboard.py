"""Notices that stand open, by VM and what they are about; how each ended."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twin.sources import calibration
from twin.stack import State
from twin.tables import Sink
from twin.workloads.levers import CAUSES
from twin.workloads.negotiation import notices, tables
from twin.workloads.negotiation.notices import ACCEPTED, ANSWERS, DECLINED, IGNORED, OPEN
from twin.workloads.negotiation.tenants import Tenants

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
# A VM has at most one notice of each: its place, its region, its cores, its clock, its host's restart.
SLOTS: Final = ("take", "move", "size", "clock", "host")
TAKE, MOVING, SIZE, CLOCK, HOST = range(len(SLOTS))
OUTCOMES: Final = ("done", "withdrawn", "declined", "lapsed", "unpermitted")
DONE, WITHDRAWN, REFUSED, LAPSED, UNPERMITTED = range(len(OUTCOMES))
NOBODY: Final = -1
# Offers: where they are declined they are not made again while the answer holds.
OFFERED: Final = ("scale_up_offer", "overclock_offer", "region_move_offer")
_FLOATS: Final = ("sent_s", "reached_s", "due_s", "lead_s", "answered_s", "to_share")
_INTS: Final = ("kind", "cause", "answer", "message", "reply")
# Times are sums of seconds and latencies: so much is rounding.
_ROUNDING_S: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Notices:
    """Notices to be opened, shape B. ``to_share`` is the size or clock that is meant; ``answered_s`` of an answer may lie ahead.

    ``kind`` is an index of ``notices.NAMES``, ``cause`` one of CAUSES, ``message`` what told of it.
    """

    sent_s: Floats
    reached_s: Floats
    due_s: Floats
    lead_s: Floats
    answered_s: Floats
    to_share: Floats
    kind: Ints
    cause: Ints
    answer: Ints
    message: Ints


@dataclass(frozen=True, slots=True)
class Leads:
    """Of notices whose event took place: the VM, how long before it they had to come, how long they came; and if they were honoured."""

    vm: Ints
    lead_s: Floats
    had_s: Floats
    honoured: Bools


class NoticeBoard:
    """Notices of V VMs, one of each slot at a time; an answer that lies ahead holds from its time on."""

    def __init__(self, tenants: Tenants) -> None:
        self.tenants = tenants
        self._ended: list[dict[str, NDArray[Any]]] = []
        self._leads: list[Leads] = []
        shape = (len(SLOTS), len(self.tenants))
        self._at: dict[str, NDArray[Any]] = {name: np.full(shape, np.nan) for name in _FLOATS}
        self._at |= {name: np.full(shape, NOBODY, dtype=np.int64) for name in _INTS}
        self._open = np.zeros(shape, dtype=np.bool_)
        # Until when a notice of each slot that was declined is not sent again, and which kinds may be declined.
        self._holds_until_s = np.full(shape, -np.inf)
        self._may = np.array([notices.kinds()[name].may_decline for name in notices.NAMES])
        says = calibration("negotiation")["hints"]
        # How long an answer holds, by kind: offers are made to be taken or left, and the answer to one is no whim.
        self._holds_s = np.full(len(notices.NAMES), float(says["conflict_holds_s"]["value"]))
        self._holds_s[[notices.INDEX[name] for name in OFFERED]] = float(says["offer_holds_s"]["value"])
        self._holds_leads = float(says["declined_leads"]["value"])

    def standing(self, slot: int) -> Ints:
        """Return the VMs whose notice of a slot is open, by number."""
        return np.asarray(self._open[slot].nonzero()[0])

    def open_at(self, slot: int, vm: Ints | slice) -> Bools:
        """Return which of these VMs have an open notice of a slot."""
        return np.asarray(self._open[slot, vm])

    def get(self, name: str, slot: int, vm: Ints) -> NDArray[Any]:
        """Return one column of the open notices of these VMs."""
        return np.asarray(self._at[name][slot, vm])

    def put(self, slot: int, vm: Ints, sent: Notices) -> None:
        """Open notices of VMs that have none of the slot."""
        for name in (*_FLOATS, *_INTS):
            if name != "reply":
                self._at[name][slot, vm] = getattr(sent, name)
        self._at["reply"][slot, vm] = NOBODY
        self._open[slot, vm] = True

    def answered(self, slot: int, vm: Ints, t_s: float) -> Ints:
        """Return what these VMs have answered by a time: OPEN, ACCEPTED or DECLINED."""
        early = self._at["answered_s"][slot, vm] <= t_s + _ROUNDING_S
        return np.where(early, self._at["answer"][slot, vm], OPEN)

    def replied(self, slot: int, vm: Ints, message: Ints) -> None:
        """Keep the message that told of an answer."""
        self._at["reply"][slot, vm] = message

    def tell(self, vm: Ints, kind: int, answer: int, t_s: float, message: int = NOBODY) -> Ints:
        """Take answers from outside to open notices, before their event, which waits for a tick to begin; return who gave one.

        They are to notices of a kind and of a message, to those of any where either is -1.
        """
        gave = np.zeros(len(vm), dtype=np.bool_)
        for slot in range(len(SLOTS)):
            fits = self._open[slot, vm].copy()
            fits &= (self._at["kind"][slot, vm] == kind) | (kind == NOBODY)
            fits &= (self._at["message"][slot, vm] == message) | (message == NOBODY)
            told = vm[fits]
            self._at["answer"][slot, told], self._at["answered_s"][slot, told], self._at["reply"][slot, told] = answer, t_s, NOBODY
            gave |= fits
        return vm[gave]

    def held(self, slot: int, vm: Ints | slice, t_s: float) -> Bools:
        """Return which of these VMs declined a notice of a slot so short a while ago that they may not decline another one."""
        return np.asarray(self._holds_until_s[slot, vm] > t_s)

    def refused(self, slot: int, vm: Ints, t_s: float) -> Bools:
        """Return whose open notices are declined, where their kind may be and the one before it was not."""
        at, sent_s = self._at, self._at["sent_s"][slot, vm]
        free = self._may[at["kind"][slot, vm]] & (sent_s >= self._holds_until_s[slot, vm])
        return np.asarray(free & (self.answered(slot, vm, t_s) == DECLINED))

    def forget(self, vm: Ints) -> None:
        """Forget what VMs declined."""
        self._holds_until_s[:, vm] = -np.inf

    def due(self, slot: int, vm: Ints, t_s: float) -> Bools:
        """Return which notices' events may take place: their time has come, or the workload has agreed to sooner."""
        agreed = self.answered(slot, vm, t_s) == ACCEPTED
        return np.asarray(agreed | (self._at["due_s"][slot, vm] <= t_s + _ROUNDING_S))

    def close(self, slot: int, vm: Ints, t_s: float, outcome: int) -> None:
        """End open notices; the event of those that are done takes place now."""
        if len(vm) == 0:
            return
        row = {name: self._at[name][slot, vm] for name in (*_FLOATS, *_INTS)}
        answer = self.answered(slot, vm, t_s)
        done = outcome == DONE
        if outcome == REFUSED:
            self._holds_until_s[slot, vm] = row["answered_s"] + np.maximum(self._holds_s[row["kind"]], self._holds_leads * row["lead_s"])
        event_s = np.full(len(vm), t_s if done else np.nan)
        honoured = np.ones(len(vm), dtype=np.bool_)
        if done:
            had_s = t_s - row["reached_s"]
            honoured = (had_s >= row["lead_s"] - _ROUNDING_S) | (answer == ACCEPTED)
            self._leads.append(Leads(vm, row["lead_s"], had_s, honoured))
        row |= {"answer": np.where(answer == OPEN, IGNORED, answer), "answered_s": np.where(answer == OPEN, np.nan, row["answered_s"])}
        row |= {"vm": vm, "t_s": np.full(len(vm), t_s), "event_s": event_s, "honoured": honoured, "outcome": np.full(len(vm), outcome)}
        self._ended.append(row)
        self._open[slot, vm] = False

    def leads(self) -> list[Leads]:
        """Return the leads of events since the last call."""
        taken, self._leads = self._leads, []
        return taken

    def write(self, sink: Sink) -> None:
        """Hand over the notices that have ended since the last time."""
        for row in self._ended:
            plain = {name: row[name] for name in ("t_s", "sent_s", "reached_s", "due_s", "event_s", "lead_s", "answered_s", "honoured")}
            words = {
                "kind": _named(notices.NAMES, row["kind"]),
                "cause": _named(CAUSES, row["cause"]),
                "answer": _named(ANSWERS, row["answer"]),
                "outcome": _named(OUTCOMES, row["outcome"]),
            }
            whose = {"vm_id": row["vm"], "workload_id": self.tenants.workload[row["vm"]], "message_id": row["message"]}
            sink.append(tables.NOTICES, {**plain, **words, **whose})
        self._ended = []

    def snapshot(self) -> State:
        """Return the open notices and those that are not written yet."""
        slot, vm = np.nonzero(self._open)
        held = {name: values[slot, vm] for name, values in self._at.items()}
        leads = [{"vm": each.vm, "lead_s": each.lead_s, "had_s": each.had_s, "honoured": each.honoured} for each in self._leads]
        return {
            "slot": slot,
            "vm": vm,
            "held": held,
            "holds_until_s": self._holds_until_s.copy(),
            "ended": [dict(row) for row in self._ended],
            "leads": leads,
        }

    def restore(self, state: State) -> None:
        """Take back a snapshot's state."""
        slot, vm = np.asarray(state["slot"], dtype=np.int64), np.asarray(state["vm"], dtype=np.int64)
        self._open[:] = False
        self._open[slot, vm] = True
        for name, values in self._at.items():
            values[slot, vm] = state["held"][name]
        self._holds_until_s[:] = state["holds_until_s"]
        self._ended = [{name: np.asarray(values) for name, values in row.items()} for row in state["ended"]]
        self._leads = [Leads(**{name: np.asarray(values) for name, values in row.items()}) for row in state["leads"]]


def _named(names: tuple[str, ...], index: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(np.array(names, dtype=object)[index])
