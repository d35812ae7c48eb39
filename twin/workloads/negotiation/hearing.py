"""How hints come to be in force: said, carried, taken, and written down."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from twin.faults import Fault
from twin.stack import State
from twin.tables import Sink
from twin.workloads.negotiation import hint, keys
from twin.workloads.negotiation.bus import Bus
from twin.workloads.negotiation.classes import named as classes_named
from twin.workloads.negotiation.conflicts import Conflicts
from twin.workloads.negotiation.flooding import Floods
from twin.workloads.negotiation.messages import MessageLog
from twin.workloads.negotiation.saying import Saying
from twin.workloads.negotiation.settings import Settings
from twin.workloads.negotiation.store import OUTCOMES, Store
from twin.workloads.negotiation.tables import HINTS
from twin.workloads.negotiation.tenants import Tenants

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
_RUNTIME = np.array([key.runtime for key in keys.KEYS])
_REFUSED = ("stale", "limited", "contradictory", "flapping")
_TAKEN, _CONFIRMED, _LIMITED = (OUTCOMES.index(name) for name in ("taken", "confirmed", "limited"))
_WORKLOAD, _DEPLOYMENT, _VM = range(len(keys.SCOPES))


class Hearing:
    """Takes what templates, agents and programs outside say to the store, and keeps what of it is to be written.

    What an agent says of a single VM as it runs is counted, not written, unless it is refused: there would be millions of rows.
    """

    def __init__(self, settings: Settings, tenants: Tenants, log: MessageLog, horizon_s: float, seed: int) -> None:
        self._tenants, self._log = tenants, log
        self.store, self.bus = Store(tenants), Bus(tenants, seed)
        self.saying = Saying(tenants, settings, classes_named(settings.classes), horizon_s, seed)
        self.conflicts = Conflicts(tenants)
        self._floods = Floods((), tenants)
        self._rows: list[tuple[hint.Hints, Floats, NDArray[np.int8]]] = []
        # What became of each hint from outside (scope, of, key, time, value as text), where a live session asks for it; no part of a run.
        self.became: dict[tuple[int, int, int, float, str], str] | None = None

    def flood(self, faults: Sequence[Fault]) -> None:
        """Let workloads flood the managers with hints as the faults say; ValueError, one line, for one that does not negotiate."""
        self._floods = Floods(faults, self._tenants)

    def begin(self) -> None:
        """Take what deployments say with their request."""
        self._send(self.saying.templates())
        self.hear(0.0)

    def say(self, said: hint.Hints) -> None:
        """Send hints of agents and programs on their way; those that change what others are told get a message."""
        if not len(said):
            return
        self._send(said)
        loud = (said.sayer == hint.OUTSIDE) | ~_RUNTIME[said.key] | (said.key != keys.INDEX["vm_priority"])
        self._tell(said.taken(loud & (said.sayer != hint.TEMPLATE)))

    def speak(self, from_s: float, until_s: float, new: Ints, standing: Bools) -> None:
        """Let VMs that just got a place, and those that run, say what they have to say between two times."""
        if len(new):
            self._send(self.saying.born(new, from_s))
        said, flooded = self.saying.runtime(from_s, until_s, standing), self._floods.between(from_s, until_s)
        self._send(hint.joined((said, flooded)) if len(flooded) else said)

    def hear(self, until_s: float) -> None:
        """Take to the store what has come by a time."""
        said, heard_s = self.bus.due(until_s)
        if len(said):
            outcome = self.store.put(said)
            if (outcome > _CONFIRMED).any():
                for name in _REFUSED:
                    self.conflicts.note(name, said.taken(outcome == OUTCOMES.index(name)))
            self._keep(said, heard_s, outcome)
        self.conflicts.advance(until_s)

    def _send(self, said: hint.Hints) -> None:
        if not len(said):
            return
        carried = self.bus.send(said)
        if not carried.all():
            over = said.taken(~carried)
            self.conflicts.note("limited", over)
            self._keep(over, over.t_s, np.full(len(over), _LIMITED, dtype=np.int8))

    def _keep(self, said: hint.Hints, heard_s: Floats, outcome: NDArray[np.int8]) -> None:
        heeded = (outcome == _TAKEN) | (outcome == _CONFIRMED)
        often = (said.scope == _VM) & _RUNTIME[said.key] & heeded
        kept = (said.sayer == hint.OUTSIDE) | ((outcome != _CONFIRMED) & ~often)
        if self.became is not None:
            mine = said.taken(said.sayer == hint.OUTSIDE)
            columns = (mine.scope, mine.of, mine.key, mine.t_s, mine.value, outcome[said.sayer == hint.OUTSIDE])
            for scope, of, key, t_s, value, which in zip(*(each.tolist() for each in columns), strict=True):
                self.became[scope, of, key, t_s, str(value)] = OUTCOMES[which]
        if kept.any():
            self._rows.append((said.taken(kept), heard_s[kept], outcome[kept]))

    def _tell(self, said: hint.Hints) -> None:
        """Put a message in the log for each workload and key that something was said of."""
        if not len(said):
            return
        whose = self.workload_of(said)
        for cell in np.unique(whose * len(keys.KEYS) + said.key).tolist():
            workload, key = divmod(cell, len(keys.KEYS))
            mine = np.flatnonzero((whose == workload) & (said.key == key))
            value, name = float(said.value[mine[-1]]), keys.KEYS[key].name
            self._log.say(
                float(said.t_s[mine[0]]),
                "hint",
                "workload",
                "global",
                name,
                workload=self._tenants.workload_ids[workload],
                vms=int((said.scope[mine] == _VM).sum()),
                value=value,
                words=f"{name} = {keys.shown(name, value)}" if np.isfinite(value) else f"{name} taken back",
            )

    def workload_of(self, said: hint.Hints) -> Ints:
        """Return whose hints they are, shape B."""
        whose = said.of.copy()
        for scope, owner in ((_DEPLOYMENT, self._tenants.deployment_workload), (_VM, self._tenants.workload)):
            chosen = said.scope == scope
            whose[chosen] = owner[said.of[chosen]]
        return whose

    # -- what is kept -----------------------------------------------------------

    def write(self, sink: Sink) -> None:
        """Hand over the rows that are kept."""
        for said, heard_s, outcome in self._rows:
            sink.append(
                HINTS,
                {
                    "t_s": said.t_s,
                    "heard_s": heard_s,
                    "workload_id": self.workload_of(said),
                    "scope": np.array(keys.SCOPES, dtype=object)[said.scope],
                    "of_id": self._ids(said),
                    "key": np.array(list(keys.INDEX), dtype=object)[said.key],
                    "value": said.value,
                    "sayer": np.array(hint.SAYERS, dtype=object)[said.sayer],
                    "outcome": np.array(OUTCOMES, dtype=object)[outcome],
                },
            )
        self._rows = []
        self.conflicts.write(sink)

    def _ids(self, said: hint.Hints) -> NDArray[np.object_]:
        names = (self._tenants.workload_ids, self._tenants.deployment_ids, self._tenants.vm_ids())
        return np.array([names[scope][of] for scope, of in zip(said.scope.tolist(), said.of.tolist(), strict=True)], dtype=object)

    def snapshot(self) -> State:
        """Return what was said, what is on its way, and what is not written yet."""
        rows = [
            {"said": {name: getattr(said, name) for name in hint.Hints.__slots__}, "heard_s": heard_s, "outcome": outcome}
            for said, heard_s, outcome in self._rows
        ]
        return {"store": self.store.snapshot(), "bus": self.bus.snapshot(), "conflicts": self.conflicts.snapshot(), "rows": rows}

    def restore(self, state: State) -> None:
        """Take back a snapshot's state."""
        self.store.restore(state["store"])
        self.bus.restore(state["bus"])
        self.conflicts.restore(state["conflicts"])
        self._rows = [
            (
                hint.Hints(**{name: np.array(values) for name, values in row["said"].items()}),
                np.array(row["heard_s"]),
                np.array(row["outcome"]),
            )
            for row in state["rows"]
        ]
