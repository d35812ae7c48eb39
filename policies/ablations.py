"""TAPAS part by part: policy sets that hold some of its levers."""

from collections.abc import Mapping
from itertools import combinations
from typing import Any, Final

from policies import catalogue
from policies.policy import TODAY, Held, PolicySet

SYSTEM: Final = "tapas"
# Such runs answer a question of research: the console does not take them for candidates unless they are asked for.
PREFIX: Final = "Ablation: "
# What each part of the system holds; one part, two parts, all of them.
PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    "Place": ("vm_placement",),
    "Route": ("request_routing",),
    "Config": ("instance_config", "emergency"),
}


def ablations() -> dict[str, PolicySet]:
    """Return today's policy, each part of TAPAS alone, in pairs, and all; parts whose levers the system does not hold are left out."""
    held = catalogue.card(SYSTEM).levers
    found = {"today": TODAY}
    for count in range(1, len(PARTS) + 1):
        for names in combinations(PARTS, count):
            if all(any(lever in held for lever in PARTS[name]) for name in names):
                label = "all" if count == len(PARTS) else " + ".join(names)
                levers = {lever: (Held(system=SYSTEM),) for name in names for lever in PARTS[name] if lever in held}
                found[label] = PolicySet(name=f"{PREFIX}{label}", levers=levers)
    return found


def canonical() -> dict[str, dict[str, Any]]:
    """Return how a run's manifest writes each ablation: its policy set, every lever named."""
    return {label: catalogue.complete(policy).canonical() for label, policy in ablations().items()}
