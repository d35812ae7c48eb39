"""What a program outside says, and what it is shown of the negotiation."""

from bisect import bisect_right
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from twin.tables import Sink, Table
from twin.workloads.negotiation import keys, notices, treatments
from twin.workloads.negotiation.model import Negotiation
from twin.workloads.negotiation.noticeboard import SLOTS
from twin.workloads.negotiation.tables import MESSAGES, TABLES

Ints = NDArray[np.int64]
# The latest notices are remembered, each with the first of its VMs by id.
REMEMBERED: Final = 20_000
NAMED_VMS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Said:
    """A hint from outside: ``value`` is a number, level or flag as ``keys.value`` takes it; None takes the hint back."""

    scope: keys.Scope
    of_id: str
    key: str
    value: Any


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer from outside, for the VMs of a scope: to a notice by its number, or to all open ones of a kind."""

    notice: int | str
    answer: Literal["accepted", "declined"]
    scope: keys.Scope
    of_id: str


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice that was sent to a workload: ``t_s`` when, ``due_s`` its event (not-a-number where it has none), ``vms`` how many it is to.

    ``vm_ids`` names the first NAMED_VMS of them; none where the notice is about no single VM, as for prices.
    """

    notice_id: int
    t_s: float
    kind: str
    workload_id: str
    vms: int
    vm_ids: tuple[str, ...]
    reached_s: float
    due_s: float
    may_decline: bool
    place_id: str
    words: str


@dataclass(frozen=True, slots=True)
class Grant:
    """How a VM that has a place is treated now; ``usd_per_h`` is its price with that, ``regular_usd_per_h`` without."""

    vm_id: str
    workload_id: str
    deployment_id: str
    granted: tuple[str, ...]
    size_share: float
    clock_share: float
    running: bool
    usd_per_h: float
    regular_usd_per_h: float


@dataclass(frozen=True, slots=True)
class Heard:
    """What became of a hint from outside; ``value`` is not a number where it takes one back.

    ``state`` is *on its way*, *heard*, *limited* (too many at once: not heeded), *stale* (a later one was there), *flapping* (changed too
    often in an hour: not heeded) or *overruled* (heard, and another hint stands ``against`` it at some VM). It is about ``vms``
    that have a place, and what is in force is its value at ``in_force_vms`` of them: a narrower scope may say otherwise.
    """

    scope: str
    of_id: str
    key: str
    value: float
    t_s: float
    workload_id: str
    state: str
    against: tuple[str, ...]
    vms: int
    in_force_vms: int


def heard(negotiation: Negotiation, about: tuple[keys.Scope, str, int], key: str, t_s: float, value: float) -> Heard:
    """Return what became of a hint that was said at a time; ``about`` is its scope, whose it is, and that one's number."""
    scope, of_id, of = about
    level = keys.SCOPES.index(scope)
    tenants, hearing, index = negotiation.tenants, negotiation.hearing, keys.INDEX[key]
    mine = tenants.workload if level == 0 else tenants.deployment if level == 1 else np.arange(len(tenants))
    vm = negotiation.standing()
    vm = vm[mine[vm] == of]
    workload = of if level == 0 else int((tenants.deployment_workload if level == 1 else tenants.workload)[of])
    became = (hearing.became or {}).get((level, of, index, t_s, str(value)), "on its way")
    against = tuple(dict.fromkeys(name for each in vm.tolist() for name in hearing.store.overruled(each).get(key, ())))
    state = {"taken": "heard", "confirmed": "heard", "contradictory": "overruled"}.get(became, became)
    state = "overruled" if state == "heard" and against and value == value else state
    wanted = keys.KEYS[index].default if value != value else value
    holds = int((hearing.store.in_force()[index, vm] == wanted).sum())
    names = (scope, of_id, key, value, t_s, tenants.workload_ids[workload])
    return Heard(*names, state, against if state == "overruled" else (), len(vm), holds)


def grants(negotiation: Negotiation, vm: Ints, vm_ids: Sequence[str]) -> list[Grant]:
    """Return how VMs, by number, are treated now."""
    tenants, platform = negotiation.tenants, negotiation.platform
    granted, regular = platform.granted[vm], tenants.usd_per_h[vm]
    price = regular * treatments.price_share(granted, negotiation.settings.taken_off())
    columns = (vm, granted, platform.size_share[vm], platform.clock_share[vm], platform.running[vm], price, regular)
    return [
        Grant(
            vm_id=vm_ids[number],
            workload_id=tenants.workload_ids[tenants.workload[number]],
            deployment_id=tenants.deployment_ids[tenants.deployment[number]],
            granted=tuple(each.name for index, each in enumerate(treatments.TREATMENTS) if held >> index & 1),
            size_share=size,
            clock_share=clock,
            running=running,
            usd_per_h=usd,
            regular_usd_per_h=full,
        )
        for number, held, size, clock, running, usd, full in zip(*(each.tolist() for each in columns), strict=True)
    ]


class Ear(Sink):
    """Takes what a world writes: it remembers the notices, keeps the tables of the negotiation if it is to, and lets the others go."""

    def __init__(self, negotiation: Negotiation, ids: Mapping[str, Sequence[str]], *, keep: bool) -> None:
        super().__init__(ids)
        self._negotiation, self._vm_ids = negotiation, ids["tenant_vm"]
        self._kept = {table.name for table in TABLES} if keep else set[str]()
        self._messages: list[dict[str, Any]] = []
        self._notices: deque[Notice] = deque(maxlen=REMEMBERED)
        self.heard = -1

    def append(self, table: Table, columns: Mapping[str, NDArray[Any]]) -> None:
        """Take rows of a table."""
        if table.name == MESSAGES.name:
            names = list(columns)
            rows = zip(*(columns[name].tolist() for name in names), strict=True)
            self._messages.extend(dict(zip(names, row, strict=True)) for row in rows)
        if table.name in self._kept:
            super().append(table, columns)
        else:
            self.show(table, columns)

    def listen(self) -> None:
        """Take note of the notices that were sent in the tick that has ended."""
        written, self._messages = self._messages, []
        rows = [row for row in (*written, *self._negotiation.log.unwritten()) if row["message_id"] > self.heard]
        if not rows:
            return
        self.heard = rows[-1]["message_id"]
        told = [row for row in rows if row["kind"] == "notice"]
        vms = self._told(np.array([row["message_id"] for row in told], dtype=np.int64))
        for row in told:
            self._notices.append(
                Notice(
                    notice_id=row["message_id"],
                    t_s=row["t_s"],
                    kind=row["name"],
                    workload_id=row["workload_id"],
                    vms=row["vms"],
                    vm_ids=tuple(self._vm_ids[vm] for vm in vms.get(row["message_id"], ())[:NAMED_VMS]),
                    reached_s=row["reached_s"],
                    due_s=row["due_s"],
                    may_decline=notices.kinds()[row["name"]].may_decline,
                    place_id=row["place_id"],
                    words=row["words"],
                )
            )

    def notices(self, after: int, workload_id: str | None, most: int | None) -> list[Notice]:
        """Return remembered notices with a higher number than ``after``, in order; of one workload, and the first so many if said."""
        if after >= self.last:
            return []
        held = list(self._notices)
        since = bisect_right(held, after, key=lambda each: each.notice_id)
        return [each for each in held[since:] if workload_id in (None, each.workload_id)][:most]

    @property
    def last(self) -> int:
        """Return the number of the latest notice; -1 where none was sent."""
        return self._notices[-1].notice_id if self._notices else -1

    def workload_of(self, notice_id: int) -> str:
        """Return whose notice that is; ValueError where it is none, or one of long ago."""
        found = self.notices(notice_id - 1, None, 1)
        if not found or found[0].notice_id != notice_id:
            raise ValueError(f"notice: none has the number {notice_id}; see the notices")
        return found[0].workload_id

    def open_for(self, scope: int, of: int, kind: int, message: int) -> int:
        """Return how many VMs of a scope have an open notice of a kind and a message (-1: any)."""
        tenants, board, count = self._negotiation.tenants, self._negotiation.platform.board, 0
        mine = (tenants.workload, tenants.deployment, np.arange(len(tenants)))[scope] == of
        for slot in range(len(SLOTS)):
            vm = board.standing(slot)
            vm = vm[mine[vm]]
            of_kind, of_message = board.get("kind", slot, vm) == kind, board.get("message", slot, vm) == message
            count += int(((of_kind | (kind < 0)) & (of_message | (message < 0))).sum())
        return count

    def _told(self, messages: Ints) -> dict[int, list[int]]:
        """Return the VMs whose open notices were told of by these messages."""
        board, found = self._negotiation.platform.board, dict[int, list[int]]()
        for slot in range(len(SLOTS)):
            vm = board.standing(slot)
            message = board.get("message", slot, vm)
            new = np.isin(message, messages)
            for number, each in zip(message[new].tolist(), vm[new].tolist(), strict=True):
                found.setdefault(number, []).append(each)
        return found
