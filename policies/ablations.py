"""TAPAS part by part: policy sets that hold some of its levers."""

from itertools import combinations
from typing import Any, Final

from policies import catalogue
from policies.policy import TODAY, Held, PolicySet

SYSTEM: Final = "tapas"
# Such runs answer a question of research: the console does not take them for candidates unless they are asked for.
PREFIX: Final = "Ablation: "


# How large the site is belongs to the world that parts are compared in, not to what is compared.
_CAPACITY: Final = "capacity"


def ablations(asked: PolicySet = TODAY) -> dict[str, PolicySet]:
    """Return today's policy, each part of TAPAS alone, in pairs, and all, on a site of the size that the ``asked`` policy makes it."""
    parts = catalogue.card(SYSTEM).parts
    stack = asked.levers.get(_CAPACITY, ())
    size = {_CAPACITY: stack} if any(held.system != catalogue.levers()[_CAPACITY].baseline for held in stack) else {}
    # A system has the same knobs on every lever that it holds.
    knobs = next((held.knobs for held in stack if held.system == SYSTEM), {})
    found = {"today": PolicySet(name=f"{PREFIX}today", levers=size) if size else TODAY}
    for count in range(1, len(parts) + 1):
        for names in combinations(parts, count):
            label = "all" if count == len(parts) else " + ".join(names)
            held = {lever: (Held(system=SYSTEM, knobs=knobs),) for name in names for lever in parts[name]}
            found[label] = PolicySet(name=f"{PREFIX}{label}", levers={**held, **size})
    return found


def canonical(asked: PolicySet = TODAY) -> dict[str, dict[str, Any]]:
    """Return how a run's manifest writes each ablation: its policy set, every lever named."""
    return {label: catalogue.as_run(policy).canonical() for label, policy in ablations(asked).items()}
