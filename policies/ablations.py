"""TAPAS part by part: policy sets that hold some of its levers."""

from itertools import combinations
from typing import Any, Final

from policies import catalogue
from policies.policy import TODAY, Held, PolicySet

SYSTEM: Final = "tapas"
# Such runs answer a question of research: the console does not take them for candidates unless they are asked for.
PREFIX: Final = "Ablation: "


def ablations() -> dict[str, PolicySet]:
    """Return today's policy, each part of TAPAS alone, in pairs, and all."""
    parts = catalogue.card(SYSTEM).parts
    found = {"today": TODAY}
    for count in range(1, len(parts) + 1):
        for names in combinations(parts, count):
            label = "all" if count == len(parts) else " + ".join(names)
            levers = {lever: (Held(system=SYSTEM),) for name in names for lever in parts[name]}
            found[label] = PolicySet(name=f"{PREFIX}{label}", levers=levers)
    return found


def canonical() -> dict[str, dict[str, Any]]:
    """Return how a run's manifest writes each ablation: its policy set, every lever named."""
    return {label: catalogue.complete(policy).canonical() for label, policy in ablations().items()}
