"""VMs: who owns which server, and how busy opaque ones are."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from twin.chance import stream
from twin.clock import HOUR_S, Clock
from twin.faults import Fault
from twin.fleet import GPUS_PER_SERVER, Fleet, expand
from twin.stack import State
from twin.tables import Sink
from twin.workloads.readings import VMS

Floats = NDArray[np.float64]
FAULT_KINDS: Final = ("traffic_burst",)
_NO_OWNER: Final = -1


class Load(BaseModel):
    """How busy a VM is over the day, as a share: a daily wave with noise that is drawn before the run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mean_share: Annotated[float, Field(ge=0, le=1)] = 0.6
    swing_share: Annotated[float, Field(ge=0, le=1)] = 0.2
    peak_hour: Annotated[float, Field(ge=0, lt=24)] = 15.0
    weekend_share: Annotated[float, Field(ge=0, le=1)] = 1.0
    noise_share: Annotated[float, Field(ge=0, le=0.5)] = 0.08


class VmGroup(BaseModel):
    """VMs of one workload, one on each named server or host.

    ``iaas`` VMs are opaque: their load is the template's. ``saas`` VMs carry the instances of a serving endpoint.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    workload: Annotated[str, Field(min_length=1, max_length=60)]
    kind: Literal["iaas", "saas"] = "iaas"
    endpoint: str | None = None
    servers: tuple[str, ...]
    load: Load = Load()


class Settings(BaseModel):
    """The VMs of a scenario. ``noise_hold_s`` is how long a VM's random deviation lasts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    vms: tuple[VmGroup, ...] = ()
    noise_hold_s: Annotated[float, Field(ge=60)] = HOUR_S


def place(settings: Settings, fleet: Fleet) -> tuple[list[int], list[tuple[int, int]]]:
    """Return each VM's group and its place: (0, server index) or (1, host index). ValueError names a place that is not free."""
    places = {name: (0, i) for i, name in enumerate(fleet.server_ids)} | {name: (1, i) for i, name in enumerate(fleet.host_ids)}
    taken: set[tuple[int, int]] = set()
    groups: list[int] = []
    chosen: list[tuple[int, int]] = []
    for index, group in enumerate(settings.vms):
        for name in expand(group.servers):
            if name not in places:
                raise ValueError(f"workloads.vms: {group.workload}: the fleet has no server or host {name!r}")
            if places[name] in taken:
                raise ValueError(f"workloads.vms: {group.workload}: {name} is taken already; each carries one VM")
            taken.add(places[name])
            groups.append(index)
            chosen.append(places[name])
    return groups, chosen


class Model:
    """Owns every server and host: at most one VM each, and the load of opaque ones.

    Shapes: S servers, H hosts, V VMs. Ownership is the contract that placement, offers and evictions will move.
    """

    def __init__(self, settings: Settings, fleet: Fleet, clock: Clock, horizon_s: float, faults: Sequence[Fault], seed: int) -> None:
        self.settings, self.fleet, self.clock = settings, fleet, clock
        self._bursts = [fault for fault in faults if fault.kind in FAULT_KINDS]
        self.workload_ids = tuple(dict.fromkeys(group.workload for group in settings.vms))
        groups, self._places = place(settings, fleet)
        self.server_vms = np.full(len(fleet.server_ids), _NO_OWNER, dtype=np.int64)
        self.host_vms = np.full(len(fleet.host_ids), _NO_OWNER, dtype=np.int64)
        for vm, (kind, index) in enumerate(self._places):
            (self.host_vms if kind else self.server_vms)[index] = vm
        self._vm_groups = np.array(groups, dtype=np.int64)
        self.vm_ids = tuple(f"{settings.vms[group].workload}/vm-{i}" for i, group in enumerate(groups))
        self._template(horizon_s, seed)
        self._written = False

    def _template(self, horizon_s: float, seed: int) -> None:
        loads = [self.settings.vms[group].load for group in self._vm_groups]
        self._mean = np.array([load.mean_share for load in loads])
        self._swing = np.array([load.swing_share for load in loads])
        self._peak = np.array([load.peak_hour for load in loads])
        self._weekend = np.array([load.weekend_share for load in loads])
        holds = int(np.ceil(horizon_s / self.settings.noise_hold_s)) + 2
        draws = stream(seed, "workloads", "load").standard_normal((holds, len(loads)))
        self._noise = draws * np.array([load.noise_share for load in loads])
        opaque = np.array([self.settings.vms[group].kind == "iaas" for group in self._vm_groups], dtype=np.bool_)
        on_gpu = np.array([kind == 0 for kind, _ in self._places], dtype=np.bool_)
        index = np.array([place for _, place in self._places], dtype=np.int64)
        self._opaque_vms = np.flatnonzero(opaque & on_gpu)
        self._opaque_servers = index[self._opaque_vms]
        self._host_vms = np.flatnonzero(~on_gpu)
        self._hosts = index[self._host_vms]
        self.server_opaque = np.zeros(len(self.fleet.server_ids), dtype=np.bool_)
        self.server_opaque[self._opaque_servers] = True
        # Which GPUs belong to VMs whose inside cannot be reached, shape G.
        self.gpu_opaque = np.repeat(self.server_opaque, GPUS_PER_SERVER)

    @property
    def placements(self) -> Mapping[str, tuple[int, ...]]:
        """Return the servers that carry each serving endpoint's VMs, in the order they were named."""
        out: dict[str, list[int]] = {}
        for (kind, place), group_index in zip(self._places, self._vm_groups, strict=True):
            group = self.settings.vms[group_index]
            if group.kind == "saas" and kind == 0:
                out.setdefault(group.endpoint or group.workload, []).append(place)
        return {endpoint: tuple(servers) for endpoint, servers in out.items()}

    def advance(self, until_s: float) -> None:
        """Set every VM's load for the tick that ends at ``until_s``."""
        hour, weekday = float(self.clock.hour(until_s)), int(self.clock.weekday(until_s))
        position = until_s / self.settings.noise_hold_s
        whole = int(position)
        # Linear between draws, so that a shorter tick sees the same load.
        noise = self._noise[whole] + (position - whole) * (self._noise[whole + 1] - self._noise[whole])
        wave = self._mean + self._swing * np.cos((hour - self._peak) * (2.0 * np.pi / 24.0))
        share = wave * (self._weekend if weekday >= 5 else 1.0) + noise
        for fault in self._bursts:
            if fault.active(until_s):
                share = np.where(self._of_workload(fault.target), share + fault.severity, share)
        self._share = np.clip(share, 0.0, 1.0)

    def _of_workload(self, workload: str) -> NDArray[np.bool_]:
        return np.array([self.settings.vms[group].workload == workload for group in self._vm_groups], dtype=np.bool_)

    def gpu_share(self) -> Floats:
        """Return the load of opaque VMs on each GPU, shape G, zero elsewhere."""
        share = np.zeros(len(self.fleet.server_ids))
        share[self._opaque_servers] = self._share[self._opaque_vms]
        return np.repeat(share, GPUS_PER_SERVER)

    def host_share(self) -> Floats:
        """Return the load of each CPU host, shape H."""
        share = np.zeros(len(self.fleet.host_ids))
        share[self._hosts] = self._share[self._host_vms]
        return share

    def record(self, sink: Sink) -> None:
        """Write who owns what, once."""
        if self._written or not self.vm_ids:
            return
        self._written = True
        names = (self.fleet.server_ids, self.fleet.host_ids)
        sink.append(
            VMS,
            {
                "t_s": np.zeros(len(self.vm_ids)),
                "vm_id": np.array(self.vm_ids, dtype=object),
                "workload_id": np.array([self.settings.vms[group].workload for group in self._vm_groups], dtype=object),
                "kind": np.array([self.settings.vms[group].kind for group in self._vm_groups], dtype=object),
                "place_id": np.array([names[kind][index] for kind, index in self._places], dtype=object),
            },
        )

    def snapshot(self) -> State:
        """Return the state; the load is a function of time, so only what was written is kept."""
        return {"written": self._written}

    def restore(self, state: State) -> None:
        """Take back a snapshot's state."""
        self._written = bool(state["written"])
