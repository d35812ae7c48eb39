"""Models and tools that do stages of jobs, and what each takes to do so."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["model", "tool", "endpoint", "function"]
Hardware = Literal["cpu", "a100", "h100", "endpoint", "function"]


@dataclass(frozen=True, slots=True)
class Profile:
    """What one instance of an executor takes on some hardware.

    ``item_s`` is the time of one item alone; of ``b`` at once each takes ``item_s (1 + batch_slowdown (b - 1))``, up to ``batch_at_most``.
    ``active_w`` is what each of its GPUs draws above idle while it works, ``core_w`` each of its cores. ``start_s`` is how long it takes to
    be warm. ``usd_per_h`` 0 leaves the price to the hardware's tariff, ``idle_w`` 0 what each held GPU draws at rest to the hardware's.
    ``source`` and ``strength`` say where the numbers are from.
    """

    hardware: Hardware
    gpus: int
    cores: int
    item_s: float
    batch_at_most: int
    batch_slowdown: float
    active_w: float
    core_w: float
    start_s: float
    usd_per_h: float
    source: str
    strength: str
    idle_w: float = 0.0


@dataclass(frozen=True, slots=True)
class Executor:
    """One model or tool: what it reads and gives (types of data), how good it is, and its profiles.

    A *model* with the same ``model`` name as another executor's can share instances with it. An *endpoint* sends each item as a
    request of ``prompt_tokens`` and ``output_tokens`` to a serving endpoint, a *function* as a call of a function; these take what
    serving and functions take.
    """

    id: str
    title: str
    kind: Kind
    reads: tuple[str, ...]
    gives: tuple[str, ...]
    quality_share: float
    profiles: tuple[Profile, ...]
    model: str = ""
    target: str = ""
    prompt_tokens: int = 0
    output_tokens: int = 0
