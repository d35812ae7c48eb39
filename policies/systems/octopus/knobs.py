"""What an operator can set on Octopus, with bounds."""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from policies.system import DeviceBytes, Knobs


class OctopusKnobs(Knobs):
    """Which pods are looked at, which of them is taken, and how devices are sized and filled.

    ``targets`` on hosts in a pod, its cost per host, the DRAM that it saves and its latency are limits: a pod that misses one is
    not built. The paper's pods have eight ports a host and four a device; headroom and the preference were proposed, not tuned.
    """

    design: Annotated[str, Field(max_length=60, description="pod to build, such as block-design-25x8n4; empty chooses one")] = ""
    device_bytes: DeviceBytes = ()
    prefer: Annotated[
        Literal["saving", "cost", "hosts"],
        Field(description="of the pods within the limits take the one that saves the most DRAM, costs the least or has the most hosts"),
    ] = "saving"
    hosts_at_least: Annotated[int, Field(ge=2, le=10_000, description="hosts that a pod has at least")] = 2
    hosts_at_most: Annotated[int, Field(ge=2, le=10_000, description="hosts that a pod has at most")] = 10_000
    host_ports_at_most: Annotated[int, Field(ge=1, le=64, description="CXL ports that a host can give")] = 8
    device_ports: Annotated[
        tuple[Annotated[int, Field(ge=2, le=64)], ...],
        Field(min_length=1, max_length=8, description="CXL ports of the devices that can be bought"),
    ] = (2, 4, 8)
    headroom_share: Annotated[
        float, Field(ge=0, le=1, description="how much larger devices are than the past peak of their pod asks, evenly spread")
    ] = 0.05
    migrate: Annotated[bool, Field(description="move slices of other VMs aside where none of a host's devices has room")] = True

    @field_validator("design")
    @classmethod
    def _there_is_such_a_pod(cls, value: str) -> str:
        if value:
            from twin.memory import designs  # most knobs name none

            designs.parse(value)
        return value

    @field_validator("device_bytes")
    @classmethod
    def _of_a_design(cls, value: tuple[int, ...], info: ValidationInfo) -> tuple[int, ...]:
        if value and not info.data.get("design"):
            raise ValueError("sizes are of the devices of one pod; name it as design, or leave them out")
        return value
