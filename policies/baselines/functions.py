"""The plain holder of functions: containers on the kernel's network stack."""

from typing import Final

from policies.system import Knobs, Surroundings, System
from twin.functions.levers import RuntimeAction, RuntimeObservation
from twin.functions.runtimes import named


class Containerd:
    """Runs every function in a container behind a gateway and a provider; every message crosses the kernel's stack."""

    def __init__(self, knobs: Knobs, surroundings: Surroundings) -> None:
        del knobs, surroundings

    def choose(self, seen: RuntimeObservation) -> RuntimeAction:
        """Return containerd, with metadata cached where the scenario has it so."""
        return RuntimeAction(named("containerd", cached=seen.settings.cached))


BASELINES: Final = (
    System(
        id="containerd",
        name="containerd",
        question="What if functions run in containers and every message crosses the kernel's network stack?",
        levers={"function_runtime": "holder"},
        serves=(),
        costs=(),
        knobs=Knobs,
        build=Containerd,
    ),
)
