"""The VMs of a scenario as its file writes them."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from twin.clock import HOUR_S
from twin.workloads.host_streams import HostStream
from twin.workloads.host_trace import HostTrace
from twin.workloads.load import Load
from twin.workloads.negotiation.settings import Settings as Negotiation
from twin.workloads.streams import VmStream


class VmGroup(BaseModel):
    """VMs of one workload: one on each named server or host, or ``count`` VMs of eight GPUs that look for a server each.

    ``iaas`` VMs are opaque: their load is the template's. ``saas`` VMs carry the instances of a serving endpoint; these are
    laid out at the start of a run, so they live as long as it, and one that finds no place then is never served from. What the
    operator expects of a ``saas`` VM before it runs has the endpoint's daily curve, and its peak is that of ``load``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    workload: Annotated[str, Field(min_length=1, max_length=60)]
    kind: Literal["iaas", "saas"] = "iaas"
    endpoint: str | None = None
    servers: tuple[str, ...] = ()
    count: Annotated[int | None, Field(ge=1, le=100_000)] = None
    load: Load = Load()

    @model_validator(mode="after")
    def _placed_once(self) -> Self:
        if bool(self.servers) == (self.count is not None):
            raise ValueError(f"{self.workload}: write servers, or count for VMs that look for a place")
        return self


class Settings(BaseModel):
    """The VMs of a scenario: groups that stay, ``arrivals`` of opaque VMs on GPU servers, and VMs on CPU hosts:
    ``host_streams`` of them, or those of a recorded trace.

    ``noise_hold_s`` is how long a VM's random deviation lasts. With ``follow_capacity`` a site that was given more servers than
    it was built for also carries as many more VMs and requests; without it the same demand finds more room. ``negotiation`` says
    whose VMs give hints and are offered other treatments.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    vms: tuple[VmGroup, ...] = ()
    arrivals: tuple[VmStream, ...] = ()
    host_streams: tuple[HostStream, ...] = ()
    host_trace: HostTrace | None = None
    noise_hold_s: Annotated[float, Field(ge=60)] = HOUR_S
    follow_capacity: bool = False
    negotiation: Negotiation = Negotiation()

    @property
    def coming(self) -> tuple[tuple[str, str], ...]:
        """Return the owners of VMs that come and go: where the file writes them, and the workload."""
        return (
            *(("arrivals", each.workload) for each in self.arrivals),
            *(("host_streams", each.workload) for each in self.host_streams),
            *(("host_trace", name) for name in (self.host_trace.workloads if self.host_trace else ())),
        )

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if self.host_streams and self.host_trace is not None:
            raise ValueError("write host_streams or host_trace, one of them")
        return self
