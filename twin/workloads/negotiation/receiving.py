"""What reaches a run from outside: replayed from a log, or said live."""

from dataclasses import fields

import numpy as np

from twin.stack import State
from twin.workloads.negotiation import hint, keys
from twin.workloads.negotiation.session import Answers, Ints, replay
from twin.workloads.negotiation.tenants import Tenants

_WORKLOAD, _DEPLOYMENT, _VM = range(len(keys.SCOPES))


class Receiving:
    """Hands over hints and answers of programs outside at the beginning of the first tick that begins when they were said or later.

    What a log holds and what is received takes one way, so that a run that replays a live session is told the same at the same ticks.
    """

    def __init__(self, setting: str, tenants: Tenants) -> None:
        self._tenants, self._replay = tenants, replay(setting, tenants)
        self._hints: list[hint.Hints] = []
        self._answers: list[Answers] = []

    def receive(self, said: hint.Hints, answers: Answers | None = None) -> None:
        """Take what is said now; it is handed over when the next tick begins."""
        self._hints.append(said)
        if answers is not None:
            self._answers.append(answers)

    def until(self, t_s: float) -> tuple[hint.Hints, Answers]:
        """Return what was said up to a time and was not handed over before: that of the log first, then that received."""
        said, answers = self._replay.until(t_s)
        hints, given = [said, *self._hints], [answers, *self._answers]
        self._hints, self._answers = [], []
        if len(given) > 1:
            answers = Answers(*(np.concatenate([getattr(part, field.name) for part in given]) for field in fields(Answers)))
        return (hint.joined(hints) if len(hints) > 1 else said), answers

    def vms_of(self, scope: int, of: int) -> Ints:
        """Return the VMs of a workload or deployment, or the one VM, by number."""
        tenants = self._tenants
        if scope == _VM:
            return np.array([of], dtype=np.int64)
        return np.flatnonzero((tenants.deployment if scope == _DEPLOYMENT else tenants.workload) == of)

    def snapshot(self) -> State:
        """Return how far the log was said. What was received and not handed over is no part of a run."""
        return self._replay.snapshot()

    def restore(self, state: State) -> None:
        """Take back a snapshot's state."""
        self._replay.restore(state)
