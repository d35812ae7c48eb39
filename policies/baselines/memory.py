"""The plain holders of memory: no pool, plain pods, least loaded device."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Final, Literal

import numpy as np
from pydantic import Field

from policies.system import DeviceBytes, Knobs, Surroundings, System
from twin.memory import plain, sizing
from twin.memory.levers import PoolAction, PoolObservation, TopologyAction, TopologyObservation
from twin.memory.pods import Pod
from twin.memory.terms import Terms


class NoPool:
    """Builds no pod: all memory is local."""

    def __init__(self, knobs: Knobs, surroundings: Surroundings) -> None:
        del knobs, surroundings

    def design(self, seen: TopologyObservation) -> TopologyAction:
        """Return that there is no pod."""
        del seen
        return TopologyAction(None)


class PlainPodKnobs(Knobs):
    """What plain pods have in common: ports of a host, and how much larger devices are than past demand asks."""

    host_ports: Annotated[int, Field(ge=1, le=16, description="CXL ports of each host")] = 8
    headroom_share: Annotated[float, Field(ge=0, le=1, description="how much larger devices are than the past peak of their pod asks")] = (
        0.05
    )
    device_bytes: DeviceBytes = ()


class FullyConnectedKnobs(PlainPodKnobs):
    """How many hosts share every device of the pod."""

    hosts: Annotated[Literal[2, 4, 8], Field(description="hosts in the pod, and ports of each device")] = 8


class SwitchKnobs(PlainPodKnobs):
    """How many hosts stand behind the switches; the ports that they leave are the devices'."""

    hosts: Annotated[int, Field(ge=2, le=31, description="hosts in the pod")] = 24
    switch_ports: Annotated[Literal[24, 32], Field(description="ports of each switch")] = 32


class FullyConnected:
    """Builds pods in which every host reaches every device: as many hosts as a device has ports."""

    def __init__(self, knobs: FullyConnectedKnobs, surroundings: Surroundings) -> None:
        del surroundings
        self._knobs = knobs

    def design(self, seen: TopologyObservation) -> TopologyAction:
        """Return the pod, its devices as large as past demand asks."""
        knobs = self._knobs
        return _sized(seen, knobs.hosts, partial(plain.fully_connected, knobs.hosts, knobs.host_ports), knobs)


class Switch:
    """Builds pods in which every host reaches every device through switches, one for each of its ports."""

    def __init__(self, knobs: SwitchKnobs, surroundings: Surroundings) -> None:
        del surroundings
        self._knobs = knobs

    def design(self, seen: TopologyObservation) -> TopologyAction:
        """Return the pod, its devices as large as past demand asks; ValueError where the hosts leave no port for devices."""
        knobs = self._knobs
        build = partial(plain.switched, knobs.hosts, knobs.host_ports, knobs.switch_ports)
        return _sized(seen, knobs.hosts, build, knobs)


def _sized(seen: TopologyObservation, hosts: int, build: Callable[[], Pod], knobs: PlainPodKnobs) -> TopologyAction:
    if hosts > len(seen.host_ids):
        return TopologyAction(None, why=f"the site has {len(seen.host_ids)} hosts, a pod of {hosts} needs more")
    pod, settings = build(), seen.settings
    if knobs.device_bytes:
        return TopologyAction(pod, knobs.device_bytes[0] if len(knobs.device_bytes) == 1 else knobs.device_bytes)
    terms = Terms(settings.pooled_share, settings.slice_bytes)
    return TopologyAction(pod, sizing.bought_bytes(pod, seen.past(), terms, knobs.headroom_share, settings.saving_against))


class LeastLoaded:
    """Takes the device with the fewest slices in use, and moves none later."""

    def __init__(self, knobs: Knobs, surroundings: Surroundings) -> None:
        del knobs, surroundings

    @property
    def pick(self) -> Any:
        """Return the compiled rule."""
        # Imported here: the module compiles its rules when it is loaded.
        from policies.baselines import pickers

        return pickers.least_loaded

    def refresh(self, seen: PoolObservation) -> PoolAction:
        """Return that nothing is scored and nothing is moved."""
        return PoolAction(np.zeros(len(seen.device_ids)), migrate=False)


BASELINES: Final = (
    System(
        id="none",
        name="no pool",
        question="What if every host keeps its memory to itself?",
        levers={"pod_topology": "holder"},
        serves=(),
        costs=(),
        knobs=Knobs,
        build=NoPool,
    ),
    System(
        id="fully_connected",
        name="fully connected pod",
        question="What if a pod has as many hosts as a device has ports, and every host reaches every device?",
        levers={"pod_topology": "holder"},
        serves=("memory.dram_saving_share",),
        costs=("memory.cost_usd_per_host",),
        knobs=FullyConnectedKnobs,
        build=FullyConnected,
        watch=("memory.dram_saving_share", "memory.cost_usd_per_host"),
        pins=("device_bytes",),
    ),
    System(
        id="switch",
        name="switch pod",
        question="What if CXL switches let every host of a larger pod reach every device?",
        levers={"pod_topology": "holder"},
        serves=("memory.dram_saving_share", "memory.pod_hosts"),
        costs=("memory.cost_usd_per_host", "memory.access_latency_s"),
        knobs=SwitchKnobs,
        build=Switch,
        watch=("memory.dram_saving_share", "memory.cost_usd_per_host", "memory.access_latency_s"),
        pins=("device_bytes",),
    ),
    System(
        id="least_loaded",
        name="least loaded device",
        question="What if every slice goes to the device with the fewest in use and stays there?",
        levers={"pool_allocation": "holder"},
        serves=(),
        costs=(),
        knobs=Knobs,
        build=LeastLoaded,
    ),
)
