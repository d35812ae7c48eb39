"""What a holder of the function lever may see and move."""

from dataclasses import dataclass
from typing import Final, Protocol

from twin.functions.settings import Settings
from twin.stack import Lever

LEVERS: Final = (Lever("function_runtime", "functions", "at the start", "containerd", "which path an invocation takes", "choose"),)


@dataclass(frozen=True, slots=True)
class Hop:
    """What one message costs on its way: time on the stack (lognormal), and now and then a spike of interference (exponential)."""

    stack_median_s: float
    stack_cv: float
    spike_share: float
    spike_mean_s: float
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Runtime:
    """One way to run functions.

    Every invocation makes six hops (gateway, provider and function, there and back). ``lookup_s`` is what one of ``lookups``
    metadata look-ups takes where ``cached`` is False. A cold start takes ``cold_median_s`` (lognormal, ``cold_p99_s``) and then what
    the function's language takes. ``polling_cores`` spin on each host whatever its load, ``polling_cores_each`` for each instance.
    ``instance_bytes`` is the memory of a warm instance beyond its program's.
    """

    name: str
    hop: Hop
    cached: bool
    lookups: int
    lookup_s: float
    cold_median_s: float
    cold_p99_s: float
    polling_cores: float
    polling_cores_each: float
    instance_bytes: int


@dataclass(frozen=True, slots=True)
class RuntimeObservation:
    """What is known before the run: the functions and the hosts that they run on."""

    settings: Settings
    hosts: int


@dataclass(frozen=True, slots=True)
class RuntimeAction:
    """The runtime of every host, for the whole run."""

    runtime: Runtime


class FunctionRuntime(Protocol):
    """Which runtime functions have, decided once at the start."""

    def choose(self, seen: RuntimeObservation) -> RuntimeAction:
        """Return the runtime."""
