"""Which treatments VMs have: what changes is written and told."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.stack import State
from twin.tables import Sink
from twin.workloads.negotiation import notices, tables
from twin.workloads.negotiation.messages import MessageLog
from twin.workloads.negotiation.tenants import Tenants
from twin.workloads.negotiation.treatments import RIGHTSIZED, TREATMENTS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def named(granted: Ints) -> NDArray[Any]:
    """Return each grant in words, its treatments joined by a plus sign; empty for none.

    >>> named(np.array([0, 3])).tolist()
    ['', 'harvest+spot']
    """
    values, where = np.unique(granted, return_inverse=True)
    words = ["+".join(each.name for index, each in enumerate(TREATMENTS) if value >> index & 1) for value in values.tolist()]
    return np.array(words, dtype=object)[where]


@dataclass(slots=True)
class Grants:
    """What is granted to each VM, shape V. Grants and their prices hold at once.

    A notice of a price is due as it is sent; a recommendation of a smaller size has no event, as a VM's fewer cores have their own
    notice, and is due never.
    """

    tenants: Tenants
    log: MessageLog
    granted: Ints = field(init=False)
    _rows: list[dict[str, NDArray[Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.granted = np.zeros(len(self.tenants), dtype=np.int64)

    def change(self, t_s: float, vm: Ints, granted: Ints, reached_s: float) -> None:
        """Let VMs have such treatments from now on; their workloads are told of prices, and of VMs larger than they need."""
        other = np.flatnonzero(self.granted[vm] != granted)
        if len(other) == 0:
            return
        whose, new = vm[other], granted[other]
        rightsized = (new & ~self.granted[whose] & RIGHTSIZED) != 0
        self.granted[whose] = new
        workload = self.tenants.workload[whose]
        self._rows.append({"t_s": np.full(len(whose), t_s), "vm_id": whose, "workload_id": workload, "granted": new})
        self._tell(t_s, "price_change", workload, "what {} billed changes", reached_s)
        self._tell(t_s, "rightsize_recommendation", workload[rightsized], "{} larger than its peak needs", reached_s)

    def _tell(self, t_s: float, name: str, workload: Ints, words: str, reached_s: float) -> None:
        due_s = t_s + notices.kinds()[name].lead_s if name == "price_change" else np.nan
        for index, count in enumerate(np.bincount(workload).tolist()):
            if count:
                said = words.format("1 VM is" if count == 1 else f"{count} VMs are")
                whose = self.tenants.workload_ids[index]
                self.log.say(
                    t_s, "notice", "global", "workload", name, workload=whose, vms=count, words=said, reached_s=reached_s, due_s=due_s
                )

    def write(self, sink: Sink) -> None:
        """Hand over what has changed since the last time."""
        for row in self._rows:
            sink.append(tables.GRANTS, {**row, "granted": named(row["granted"])})
        self._rows = []

    def snapshot(self) -> State:
        """Return what is granted, and what is not written yet."""
        return {"granted": self.granted.copy(), "rows": [dict(row) for row in self._rows]}

    def restore(self, state: State) -> None:
        """Take back a snapshot's state."""
        self.granted[:] = state["granted"]
        self._rows = [{name: np.asarray(values) for name, values in row.items()} for row in state["rows"]]
