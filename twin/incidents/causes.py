"""Classes of causes: what can break, and in whose domain."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Cause:
    """One class of cause: its name for people, the kind of entity that it strikes, the domain whose state it changes.

    ``faults`` are the kinds of fault (``twin.faults.Fault.kind``) that bring it about; empty where no injected fault does.
    """

    title: str
    entity_kind: str
    domain: str
    faults: tuple[str, ...]


CAUSES: Final[Mapping[str, Cause]] = {
    "air_handler_lost": Cause("air handler lost", "aisle", "plant", ("ahu_loss",)),
    "chiller_lost": Cause("chiller lost", "site", "plant", ("chiller_loss",)),
    "ups_lost": Cause("UPS lost", "ups", "plant", ("ups_loss",)),
    "pdu_lost": Cause("PDU lost", "pdu", "plant", ("pdu_loss",)),
    "rack_blocked": Cause("air of a rack blocked", "rack", "plant", ("rack_blocked",)),
    "sensor_drift": Cause("sensor drifts", "server", "plant", ("sensor_drift",)),
    "gpu_throttled": Cause("GPUs throttle by themselves", "server", "plant", ("gpu_throttle",)),
    "gpu_lost": Cause("GPU fell off the bus", "server", "serving", ("gpu_off_bus",)),
    "instance_lost": Cause("instance lost", "instance", "serving", ("instance_loss",)),
    "power_cap_wrong": Cause("power cap set too low", "row", "plant", ("power_cap_wrong",)),
    "policy_change_wrong": Cause("policy change", "site", "policies", ()),
    "slow_nic": Cause("network card slow", "host", "incidents", ("slow_nic",)),
    "noisy_neighbour": Cause("noisy neighbour", "host", "incidents", ("noisy_neighbour",)),
    "memory_leak": Cause("memory leak", "service", "incidents", ("memory_leak",)),
    "bad_deployment": Cause("bad deployment", "service", "incidents", ("bad_deployment",)),
    "certificate_expired": Cause("certificate expired", "service", "incidents", ("certificate_expired",)),
    "traffic_burst": Cause("burst of traffic", "service", "workloads", ("traffic_burst", "request_burst")),
    "retry_storm": Cause("retry storm that outlives its trigger", "service", "incidents", ()),
    "cxl_link_lost": Cause("CXL link lost", "host", "memory", ("cxl_link_loss",)),
    "cxl_device_lost": Cause("CXL device lost", "device", "memory", ("cxl_device_loss",)),
    "cxl_switch_lost": Cause("CXL switch lost", "switch", "memory", ("cxl_switch_loss",)),
    "cold_start_storm": Cause("instances of functions evicted", "function", "functions", ("cold_start_storm",)),
    "hint_flood": Cause("flood of hints", "workload", "workloads", ("hint_flood",)),
    "none": Cause("no fault: chance or ordinary load", "", "", ()),
}
