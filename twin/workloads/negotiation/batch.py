"""A batch scheduler's agent: jobs of tasks, checkpoints, and patience."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from twin.chance import stream
from twin.sources import calibration
from twin.stack import State
from twin.workloads.negotiation import keys
from twin.workloads.negotiation.hint import AGENT, Hints, none
from twin.workloads.negotiation.notices import ACCEPTED, DECLINED
from twin.workloads.negotiation.situation import Situation

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Answers = tuple[Ints, Floats]
_VM: Final = keys.SCOPES.index("vm")
# A worker refuses as soon as it has the notice: it only looks at its last checkpoint.
_LOOKS_S: Final = 1.0


def hinted(t_s: Floats, scope: int, of: Ints, key: str, value: Floats) -> Hints:
    """Return hints of one key that an agent gives."""
    count = len(of)
    if count == 0:
        return none()
    return Hints(t_s, _whole(scope, count), of, _whole(keys.INDEX[key], count), value, _whole(AGENT, count))


def _whole(number: int, count: int) -> Ints:
    return np.full(count, number, dtype=np.int64)


class Batch:
    """Workers of a Hadoop-like scheduler, one a VM: each runs one task after the other and saves its work every so often.

    A worker *runs* until a notice of eviction finds much work unsaved; then it declines once, *saves* (which takes a while), says
    when it has and that it is *ready*, and lets itself be taken. With little unsaved it accepts and lets its task come to an end
    as far as the lead time reaches. What is not saved when it is taken is lost and done again. While it is away its work stands still.
    """

    def __init__(self, count: int, seed: int) -> None:
        says = {name: float(entry["value"]) for name, entry in calibration("negotiation")["agent"]["batch"].items()}
        self._every_s, self._takes_s, self._old_s = says["checkpoint_every_s"], says["checkpoint_takes_s"], says["old_s"]
        draws = stream(seed, "workloads", "batch_tasks")
        self._task_s = says["task_s"] * np.exp(says["task_spread"] * draws.standard_normal(count))
        # Work by VM in seconds of running. A worker that joins is somewhere between two checkpoints of its job.
        self._worked_s = draws.random(count) * self._every_s
        self._saved_s = np.zeros(count)
        # When a worker that declined will have saved; when it stops being ready.
        self._saves_s, self._ready_s = np.full(count, np.inf), np.full(count, np.inf)
        self._busy: Ints = np.zeros(0, dtype=np.int64)
        self._holds_s = float(calibration("negotiation")["hints"]["conflict_holds_s"]["value"])

    def unsaved_s(self, vm: Ints) -> Floats:
        """Return the work of VMs since their last checkpoint, in seconds of running."""
        return np.asarray(self._worked_s[vm] - self._saved_s[vm])

    def advance(self, from_s: float, to_s: float, ran: Ints) -> list[Hints]:
        """Let those workers work that run, and return what they say: each checkpoint, and who is ready or no longer so."""
        self._worked_s[ran] += to_s - from_s
        full = ran[self.unsaved_s(ran) >= self._every_s]
        self._saved_s[full] += self._every_s * np.floor(self.unsaved_s(full) / self._every_s)
        at_s = to_s - self.unsaved_s(full)
        said = [hinted(at_s, _VM, full, "checkpointed_at_s", at_s.copy())]
        return said + self._readiness(from_s, to_s) if len(self._busy) else said

    def _readiness(self, from_s: float, to_s: float) -> list[Hints]:
        """Return what workers say that save, or are ready."""
        busy = self._busy
        saved = busy[self._saves_s[busy] <= to_s]
        at_s = np.maximum(self._saves_s[saved], from_s)
        self._saved_s[saved] = np.maximum(self._saved_s[saved], self._worked_s[saved] - (to_s - at_s))
        self._saves_s[saved], self._ready_s[saved] = np.inf, at_s + self._holds_s
        over = busy[self._ready_s[busy] <= to_s]
        end_s = np.maximum(self._ready_s[over], from_s)
        self._ready_s[over] = np.inf
        self._busy = busy[np.isfinite(self._saves_s[busy]) | np.isfinite(self._ready_s[busy])]
        return [
            hinted(at_s, _VM, saved, "checkpointed_at_s", at_s.copy()),
            hinted(at_s, _VM, saved, "eviction_ready", np.ones(len(saved))),
            hinted(end_s, _VM, over, "eviction_ready", np.zeros(len(over))),
        ]

    def answers(self, reached_s: Floats, at: Ints, taking: bool, lead_s: float, may_decline: Bools, fares: Situation) -> Answers:
        """Return the answers of VMs (positions in ``fares``) to notices, and after how long; ``taking`` them stops their work."""
        vm = fares.vm[at]
        if not taking:
            return np.full(len(at), ACCEPTED), np.full(len(at), _LOOKS_S)
        ready = np.isfinite(self._ready_s[vm])
        declines = may_decline & ~ready & (self.unsaved_s(vm) > self._old_s)
        refusing = vm[declines]
        self._saves_s[refusing] = reached_s[declines] + _LOOKS_S + self._takes_s
        self._busy = np.union1d(self._busy, refusing)
        rest_s = np.minimum(self._task_s[vm] - self._worked_s[vm] % self._task_s[vm], lead_s)
        after_s = np.where(declines | ready, np.minimum(_LOOKS_S, lead_s), rest_s)
        return np.where(declines, DECLINED, ACCEPTED), after_s

    def taken(self, vm: Ints) -> Floats:
        """Return the work that VMs lose as they are taken, in seconds of running; they go on from their checkpoints."""
        lost_s = self.unsaved_s(vm)
        self._worked_s[vm] = self._saved_s[vm]
        return lost_s

    def snapshot(self) -> State:
        """Return how far every worker is."""
        arrays = {
            "worked_s": self._worked_s,
            "saved_s": self._saved_s,
            "saves_s": self._saves_s,
            "ready_s": self._ready_s,
            "busy": self._busy,
        }
        return {name: values.copy() for name, values in arrays.items()}

    def restore(self, state: State) -> None:
        """Take back a snapshot's state."""
        self._worked_s, self._saved_s, self._saves_s, self._ready_s = (
            np.array(state[name], dtype=np.float64) for name in ("worked_s", "saved_s", "saves_s", "ready_s")
        )
        self._busy = np.array(state["busy"], dtype=np.int64)
