"""VMs on CPU hosts as a recorded trace has them."""

from dataclasses import dataclass
from typing import Annotated, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from twin.chance import stream
from twin.clock import DAY_S, HOUR_S
from twin.sources import imported, imported_table
from twin.workloads.host_streams import HostLifetime
from twin.workloads.load import Load
from twin.workloads.streams import calibrated, varied_load

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
KIND: Final = "vm-trace"


class HostTrace(BaseModel):
    """An imported trace of VMs on CPU hosts, of which a run plays the part from ``from_s`` on; what comes before is the past.

    Where nobody stands at a trace's beginning its first days only fill the hosts up: the default leaves three days for that and three
    more to design from. With less past devices are sized for hosts that are half empty, and overflow.

    Of the trace's tenants so many are kept, whole and by chance, that their VMs hold ``vcpus_share`` of the vCPUs of the fleet's
    hosts on average over the part from ``from_s`` to its end; the same tenants for every policy. ``workloads`` are the names that
    tenants are dealt to. A VM that was cut off by the end of the recording lives on as long as VMs of such an age do
    (``continue``: the default law of lifetimes, one draw a tenant) or ends there (``end``).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
    from_s: Annotated[float, Field(ge=HOUR_S)] = 6 * DAY_S
    vcpus_share: Annotated[float, Field(gt=0, le=1)] = 0.85
    workloads: Annotated[tuple[Annotated[str, Field(min_length=1, max_length=60)], ...], Field(min_length=1, max_length=1000)]
    cut_off: Literal["continue", "end"] = "continue"
    memory_bound_share: Annotated[float, Field(ge=0, le=1)] = calibrated("host_memory_bound.share")
    load: Load = Field(default_factory=varied_load)

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        if len(set(self.workloads)) < len(self.workloads):
            raise ValueError("workloads names one twice; remove one")
        return self


@dataclass(frozen=True, slots=True)
class Trace:
    """VMs of a trace by arrival, shape N, with every time drawn that the trace gives only a range for. ``span_s`` is how long it is."""

    arrive_s: Floats
    end_s: Floats
    vcpus: Ints
    memory_bytes: Ints
    tenant: Ints
    span_s: float

    def kept(self, mask: Bools) -> "Trace":
        """Return only the VMs of a mask."""
        return Trace(self.arrive_s[mask], self.end_s[mask], self.vcpus[mask], self.memory_bytes[mask], self.tenant[mask], self.span_s)

    def held_vcpus(self, from_s: float) -> float:
        """Return the mean number of vCPUs held from a time to the end of the trace."""
        inside_s = np.clip(self.end_s, from_s, self.span_s) - np.clip(self.arrive_s, from_s, self.span_s)
        return float((self.vcpus * inside_s).sum() / (self.span_s - from_s))


def read(name: str, seed: int, cut_off: str = "continue") -> Trace:
    """Read an imported VM trace and draw what it gives only a range for: ``read("azure-v1", 7)``."""
    frame = imported_table(imported(KIND, name))
    columns = {column: frame[column].to_numpy() for column in frame.columns}
    random = stream(seed, "workloads", "trace", name)
    arrive_s = columns["arrive_s"] + random.random(frame.height) * columns["arrive_within_s"]
    life_s = columns["life_s"] + random.random(frame.height) * (columns["life_longest_s"] - columns["life_s"])
    tenant, cut = columns["tenant"].astype(np.int64), columns["cut_off"]
    if cut_off == "continue" and cut.any():
        level = random.random(int(tenant.max()) + 1)[tenant[cut]]
        life_s[cut] = HostLifetime().later_s(columns["life_s"][cut], level)
    end_s = arrive_s + np.maximum(life_s, 1.0)
    span_s = float((columns["arrive_s"] + columns["arrive_within_s"]).max())
    order = np.argsort(arrive_s, kind="stable")
    vcpus, memory_bytes = (columns[column].astype(np.int64)[order] for column in ("vcpus", "memory_bytes"))
    return Trace(arrive_s[order], end_s[order], vcpus, memory_bytes, tenant[order], span_s)


def thinned(trace: Trace, vcpus: float, from_s: float, seed: int) -> Trace:
    """Keep whole tenants by chance, so many that their VMs hold ``vcpus`` on average from a time on; all where that is not enough."""
    share = min(1.0, vcpus / max(trace.held_vcpus(from_s), 1e-9))
    tenants = int(trace.tenant.max()) + 1 if len(trace.tenant) else 0
    return trace.kept((stream(seed, "workloads", "trace-tenants").random(tenants) < share)[trace.tenant])


def played(asked: HostTrace, vcpus: int, seed: int) -> tuple[Trace, Ints]:
    """Return the VMs of a trace that go to hosts of so many vCPUs in all, and the index of each one's workload."""
    trace = thinned(read(asked.name, seed, asked.cut_off), asked.vcpus_share * vcpus, asked.from_s, seed)
    tenants = int(trace.tenant.max()) + 1 if len(trace.tenant) else 0
    dealt = stream(seed, "workloads", "trace-owners").integers(0, len(asked.workloads), tenants)
    return trace, dealt[trace.tenant].astype(np.int64)
