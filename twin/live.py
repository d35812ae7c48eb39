"""A world stepped on demand, so that a program can negotiate with it."""

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from twin.scenario import Scenario
from twin.stack import Phase
from twin.tables import Sink, Table
from twin.workloads.negotiation import hint, keys, notices, session, treatments
from twin.workloads.negotiation.noticeboard import SLOTS
from twin.workloads.negotiation.outside import near
from twin.workloads.negotiation.tables import MESSAGES, TABLES
from twin.world import World

Ints = NDArray[np.int64]
# The latest notices are remembered, each with the first of its VMs by id.
REMEMBERED: Final = 20_000
NAMED_VMS: Final = 1_000
_ROUNDING_S: Final = 1e-9
_ANSWERS: Final = {"accepted": notices.ACCEPTED, "declined": notices.DECLINED}


@dataclass(frozen=True, slots=True)
class Said:
    """A hint from outside: ``value`` is a number, level or flag as ``keys.value`` takes it; None takes the hint back."""

    scope: keys.Scope
    of_id: str
    key: str
    value: Any


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


class Live:
    """A scenario under a schedule of holders that goes on when it is told to, tick by tick, as a Run of it would.

    What is said bears the present time and is on its way when the next tick begins. ``log`` is what was said: a Run of the scenario
    with that log as its ``messages`` grants and tells the same. Its tables are let go, unless it is to ``keep`` those of the
    negotiation. ValueError where nobody negotiates.
    """

    def __init__(self, scenario: Scenario, phases: Sequence[Phase], seed: int | None = None, *, keep: bool = False) -> None:
        self.scenario = scenario.grown(phases[0].extra_servers)
        self.seed = scenario.seed if seed is None else seed
        if not scenario.spec.workloads.negotiation.tenants:
            raise ValueError(f"scenario {scenario.name}: nobody negotiates; name tenants in workloads.negotiation")
        self._world = World(self.scenario, phases, self.seed)
        scenario.check_inputs()
        negotiation = self._world.negotiating.model
        assert negotiation is not None
        self._negotiation, self._tenants = negotiation, negotiation.tenants
        self._vm_ids = negotiation.tenants.vm_ids()
        self._numbers: dict[str, dict[str, int]] = {}
        self._recording = session.Recording()
        ids = {"tenant": self._tenants.workload_ids, "tenant_vm": self._vm_ids}
        self._sink = _Listening(ids, {table.name for table in TABLES} if keep else set())
        self._notices: deque[Notice] = deque(maxlen=REMEMBERED)
        self._heard = -1

    @property
    def t_s(self) -> float:
        """Return the present time, seconds since the start."""
        return self._world.t_s

    @property
    def horizon_s(self) -> float:
        """Return when it ends."""
        return self.scenario.horizon_s

    @property
    def workload_ids(self) -> tuple[str, ...]:
        """Return who negotiates."""
        return self._tenants.workload_ids

    # -- time ---------------------------------------------------------------------

    def next_s(self) -> float:
        """Return when the coming tick ends."""
        return self._world.next_s(self.horizon_s)

    def tick(self) -> None:
        """Advance by one tick; nothing at the end."""
        if self.t_s < self.horizon_s - _ROUNDING_S:
            self._world.step(self.next_s(), self._sink)
            self._listen()

    def advance(self, to_s: float, until: Callable[[], bool] | None = None) -> float:
        """Advance tick by tick to the end of the one that reaches ``to_s``, or until something is so; return the present time."""
        if not self.t_s <= to_s <= self.horizon_s:
            raise ValueError(f"to_s: {to_s:g} is not ahead; write a time from {self.t_s:g}, the present, to {self.horizon_s:g}, the end")
        while self.t_s < to_s - _ROUNDING_S and not (until is not None and until()):
            self.tick()
        return self.t_s

    # -- what programs say ----------------------------------------------------------

    def say(self, said: Sequence[Said]) -> list[float]:
        """Give hints, all of them or, with a ValueError of one line, none; return their values as numbers."""
        of = [self._number(each.scope, each.of_id) for each in said]
        values = self._recording.hints(self.t_s, [(each.scope, each.of_id, each.key, each.value) for each in said])
        self._negotiation.receive(
            hint.Hints(
                t_s=np.full(len(said), self.t_s),
                scope=np.array([keys.SCOPES.index(each.scope) for each in said], dtype=np.int64),
                of=np.array(of, dtype=np.int64),
                key=np.array([keys.INDEX[each.key] for each in said], dtype=np.int64),
                value=np.array(values, dtype=np.float64),
                sayer=np.full(len(said), hint.OUTSIDE, dtype=np.int64),
            )
        )
        return values

    def answer(self, notice: int | str, answer: Literal["accepted", "declined"], scope: keys.Scope, of_id: str) -> int:
        """Answer a notice by its number, or all of a kind, for the VMs of a scope; return for how many of them one is open."""
        of = self._number(scope, of_id)
        if isinstance(notice, int) and not 0 <= notice <= self._heard:
            raise ValueError(f"notice: none has the number {notice}; see the notices")
        self._recording.answer(self.t_s, scope, of_id, notice, answer)
        number, kind = (notice, -1) if isinstance(notice, int) else (-1, notices.INDEX[notice])
        one = (np.array([value], dtype=np.int64) for value in (keys.SCOPES.index(scope), of, kind, number, _ANSWERS[answer]))
        self._negotiation.receive(hint.none(), session.Answers(np.array([self.t_s]), *one))
        return self._open(keys.SCOPES.index(scope), of, kind, number)

    def log(self) -> pl.DataFrame:
        """Return what was said so far, in the columns of ``outside.SCHEMA``."""
        return self._recording.frame()

    def write_log(self, path: Path) -> None:
        """Write what was said so far as a log that can be imported."""
        self._recording.write(path)

    def tables(self) -> dict[str, pl.DataFrame]:
        """Return the tables of the negotiation by name, as a Run up to now has them; it ends the session. Empty where they are not kept."""
        self._world.close(self._sink)
        return self._sink.frames()

    @property
    def said(self) -> int:
        """Return how many hints and answers were given."""
        return len(self._recording)

    def _number(self, scope: keys.Scope, of_id: str) -> int:
        """Return the number of a workload, deployment or VM."""
        if not self._numbers:
            ids = (self._tenants.workload_ids, self._tenants.deployment_ids, self._vm_ids)
            self._numbers = {
                name: {each: number for number, each in enumerate(there)} for name, there in zip(keys.SCOPES, ids, strict=True)
            }
        if scope not in self._numbers:
            raise ValueError(f"scope: {str(scope)[:40]!r} is none; write one of {', '.join(keys.SCOPES)}")
        if of_id not in self._numbers[scope]:
            raise ValueError(f"of_id: no {scope} is called {str(of_id)[:40]!r}; {near(str(of_id), list(self._numbers[scope]))}")
        return self._numbers[scope][of_id]

    # -- what programs see ------------------------------------------------------------

    def notices(self, after: int = -1, workload_id: str | None = None, most: int | None = None) -> list[Notice]:
        """Return the notices with a higher number than ``after``, in order; of one workload, and the first so many where it is said."""
        held = list(self._notices)
        since = bisect_right(held, after, key=lambda each: each.notice_id)
        found = [each for each in held[since:] if workload_id in (None, each.workload_id)]
        return found[:most]

    @property
    def last_notice(self) -> int:
        """Return the number of the latest notice; -1 where none was sent."""
        return self._notices[-1].notice_id if self._notices else -1

    def grants(self, workload_id: str | None = None) -> list[Grant]:
        """Return how each VM that has a place is treated now; those of one workload where it is named."""
        tenants, platform = self._tenants, self._negotiation.platform
        there = self._negotiation.standing()
        if workload_id is not None:
            there = there[tenants.workload[there] == self._number("workload", workload_id)]
        granted, regular = platform.granted[there], tenants.usd_per_h[there]
        price = regular * treatments.price_share(granted, self.scenario.spec.workloads.negotiation.taken_off())
        columns = (there, granted, platform.size_share[there], platform.clock_share[there], platform.running[there], price, regular)
        return [
            Grant(
                vm_id=self._vm_ids[vm],
                workload_id=tenants.workload_ids[tenants.workload[vm]],
                deployment_id=tenants.deployment_ids[tenants.deployment[vm]],
                granted=tuple(each.name for index, each in enumerate(treatments.TREATMENTS) if held >> index & 1),
                size_share=size,
                clock_share=clock,
                running=running,
                usd_per_h=usd,
                regular_usd_per_h=full,
            )
            for vm, held, size, clock, running, usd, full in zip(*(each.tolist() for each in columns), strict=True)
        ]

    def _open(self, scope: int, of: int, kind: int, number: int) -> int:
        board, count = self._negotiation.platform.board, 0
        mine = (self._tenants.workload, self._tenants.deployment, np.arange(len(self._tenants)))[scope] == of
        for slot in range(len(SLOTS)):
            vm = board.standing(slot)
            vm = vm[mine[vm]]
            fits = np.isin(board.get("kind", slot, vm), kind if kind >= 0 else range(len(notices.NAMES)))
            count += int((fits & ((board.get("message", slot, vm) == number) | (number < 0))).sum())
        return count

    def _listen(self) -> None:
        """Take note of the notices that were sent in the last tick."""
        rows = [row for row in (*self._sink.taken(), *self._negotiation.log.unwritten()) if row["message_id"] > self._heard]
        if not rows:
            return
        self._heard = rows[-1]["message_id"]
        told = [row for row in rows if row["kind"] == "notice"]
        vms = self._told({row["message_id"] for row in told})
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

    def _told(self, numbers: set[int]) -> dict[int, list[int]]:
        """Return the VMs that open notices with such numbers are to."""
        board, found = self._negotiation.platform.board, dict[int, list[int]]()
        for slot in range(len(SLOTS)):
            vm = board.standing(slot)
            message = board.get("message", slot, vm)
            new = np.isin(message, list(numbers))
            for number, each in zip(message[new].tolist(), vm[new].tolist(), strict=True):
                found.setdefault(number, []).append(each)
        return found


class _Listening(Sink):
    """Listens to the messages of a run, and keeps the tables that it is to keep."""

    def __init__(self, ids: Mapping[str, Sequence[str]], kept: set[str]) -> None:
        super().__init__(ids)
        self._kept = kept
        self._messages: list[dict[str, Any]] = []

    def append(self, table: Table, columns: Mapping[str, NDArray[Any]]) -> None:
        """Take rows of a table."""
        if table.name == MESSAGES.name:
            names = list(columns)
            rows = zip(*(columns[name].tolist() for name in names), strict=True)
            self._messages.extend(dict(zip(names, row, strict=True)) for row in rows)
        if table.name in self._kept:
            super().append(table, columns)

    def taken(self) -> list[dict[str, Any]]:
        """Return the messages that were written since the last time."""
        taken, self._messages = self._messages, []
        return taken
