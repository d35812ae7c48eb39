"""A world stepped on demand, so that a program can negotiate with it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from twin.scenario import Scenario
from twin.stack import Phase
from twin.workloads.negotiation import hint, keys, notices, session
from twin.workloads.negotiation.counterpart import Answered, Ear, Grant, Heard, Notice, Said, grants, heard
from twin.workloads.negotiation.outside import near
from twin.world import World

__all__ = ["Answered", "Grant", "Heard", "Live", "Notice", "Said"]
_ROUNDING_S: Final = 1e-9
_ANSWERS: Final = {"accepted": notices.ACCEPTED, "declined": notices.DECLINED}


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
        negotiation.hearing.became = {}
        self._vm_ids = negotiation.tenants.vm_ids()
        self._numbers: dict[str, dict[str, int]] = {}
        self._recording = session.Recording()
        ids = {"tenant": self._tenants.workload_ids, "tenant_vm": self._vm_ids}
        self._ear = Ear(negotiation, ids, keep=keep)

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

    @property
    def vms(self) -> int:
        """Return how many VMs negotiate, whenever they come."""
        return len(self._tenants)

    # -- time ---------------------------------------------------------------------

    def next_s(self) -> float:
        """Return when the coming tick ends."""
        return self._world.next_s(self.horizon_s)

    def tick(self) -> None:
        """Advance by one tick; nothing at the end."""
        if self.t_s < self.horizon_s - _ROUNDING_S:
            self._world.step(self.next_s(), self._ear)
            self._ear.listen()

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

    def answer(self, given: Sequence[Answered]) -> list[int]:
        """Answer notices, all of them or, with a ValueError of one line, none; return for how many VMs each is open."""
        of = [self._number(each.scope, each.of_id) for each in given]
        for each in given:
            if isinstance(each.notice, int) and not 0 <= each.notice <= self._ear.heard:
                raise ValueError(f"notice: none has the number {each.notice}; see the notices")
        self._recording.answers(self.t_s, [(each.scope, each.of_id, each.notice, each.answer) for each in given])
        scope = [keys.SCOPES.index(each.scope) for each in given]
        kind = [-1 if isinstance(each.notice, int) else notices.INDEX[each.notice] for each in given]
        message = [each.notice if isinstance(each.notice, int) else -1 for each in given]
        columns = (scope, of, kind, message, [_ANSWERS[each.answer] for each in given])
        whole = session.Answers(np.full(len(given), self.t_s), *(np.array(column, dtype=np.int64) for column in columns))
        self._negotiation.receive(hint.none(), whole)
        return [self._ear.open_for(*about) for about in zip(scope, of, kind, message, strict=True)]

    def log(self) -> pl.DataFrame:
        """Return what was said so far, in the columns of ``outside.SCHEMA``."""
        return self._recording.frame()

    def write_log(self, path: Path) -> None:
        """Write what was said so far as a log that can be imported."""
        self._recording.write(path)

    def tables(self) -> dict[str, pl.DataFrame]:
        """Return the tables of the negotiation by name, as a Run up to now has them; it ends the session. Empty where they are not kept."""
        self._world.close(self._ear)
        return self._ear.frames()

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
        return self._ear.notices(after, workload_id, most)

    def heard(self, workload_id: str | None = None) -> list[Heard]:
        """Return what became of the latest hint of each key that was given, by whom it is about; of one workload's where it is named."""
        found = []
        for (scope, of_id, key), (t_s, value) in self._recording.latest().items():
            found.append(heard(self._negotiation, (scope, of_id, self._number(scope, of_id)), key, t_s, value))
        return [each for each in found if workload_id in (None, each.workload_id)]

    def workload_of(self, notice_id: int) -> str:
        """Return whose notice that is; ValueError where it is none, or one of long ago."""
        return self._ear.workload_of(notice_id)

    @property
    def last_notice(self) -> int:
        """Return the number of the latest notice; -1 where none was sent."""
        return self._ear.last

    def grants(self, workload_id: str | None = None, since: int = 0, most: int | None = None) -> list[Grant]:
        """Return how each VM that has a place is treated now; those of one workload where it is named, ``most`` from ``since`` on."""
        return grants(self._negotiation, self._standing(workload_id)[since:][:most], self._vm_ids)

    def standing(self, workload_id: str | None = None) -> int:
        """Return how many VMs have a place, of one workload where it is named."""
        return len(self._standing(workload_id))

    def _standing(self, workload_id: str | None) -> NDArray[np.int64]:
        there = self._negotiation.standing()
        return there if workload_id is None else there[self._tenants.workload[there] == self._number("workload", workload_id)]
