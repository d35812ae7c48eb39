"""What workloads can tell the platform: hint keys, values and defaults."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

# A hint of a narrower scope wins over one of a wider scope.
Scope = Literal["workload", "deployment", "vm"]
SCOPES: Final[tuple[Scope, ...]] = ("workload", "deployment", "vm")
LEVELS: Final = ("none", "partial", "full")
NONE, PARTIAL, FULL = 0.0, 1.0, 2.0


@dataclass(frozen=True, slots=True)
class HintKey:
    """One thing that a workload can say. ``default`` is today's conservative treatment, which holds while nothing is said.

    Values are numbers in the canonical unit: levels are 0 none, 1 partial, 2 full; yes and no are 1 and 0. ``runtime`` keys
    change while a VM runs; the others come with a deployment, though a VM may say otherwise for itself.
    """

    name: str
    kind: Literal["level", "flag", "number"]
    default: float
    low: float
    high: float
    meaning: str
    runtime: bool = False


KEYS: Final = (
    HintKey("stateless", "level", NONE, 0, 2, "how much of the workload keeps no state"),
    HintKey("scale_out_in", "flag", 0, 0, 1, "more or fewer VMs can do its work"),
    HintKey("scale_up_down", "flag", 0, 0, 1, "its VMs can have more or fewer cores"),
    HintKey("deploy_time_s", "number", 60, 0, 86_400, "how long a new VM may take to be there"),
    HintKey("availability_nines", "number", 4, 1, 6, "availability that it needs, in nines"),
    HintKey("preemptibility_share", "number", 0, 0, 1, "share of a deployment's VMs that may be evicted at once"),
    HintKey("preemptible", "flag", 0, 0, 1, "this VM may be evicted"),
    HintKey("delay_tolerance_s", "number", 0, 0, 604_800, "how much later its work may be done; 0 is not at all"),
    HintKey("region_independence", "level", NONE, 0, 2, "whether it may run in another region"),
    HintKey("data_residency", "flag", 0, 0, 1, "its data must stay in the region"),
    HintKey("vm_priority", "number", 50, 0, 100, "the lowest is evicted first", runtime=True),
    HintKey("eviction_ready", "flag", 0, 0, 1, "it has drained and can be evicted at once", runtime=True),
    HintKey(
        "checkpointed_at_s", "number", -1, -1, 5_184_000, "when it last saved its work, seconds since the start of the run", runtime=True
    ),
    HintKey("idle_until_s", "number", -1, -1, 5_184_000, "until when it has nothing to do", runtime=True),
    HintKey("want_boost", "flag", 0, 0, 1, "a higher clock would serve it", runtime=True),
    HintKey("load_forecast_share", "number", -1, -1, 1, "the load that it expects, of its cores; -1 is not said", runtime=True),
)
INDEX: Final[Mapping[str, int]] = {key.name: index for index, key in enumerate(KEYS)}
STRICT_DEPLOY_S: Final = 60.0
RELAXED_DEPLOY_S: Final = 300.0


def value(name: str, said: Any) -> float:
    """Return a hint's value as a number; ValueError, one line, where the key or the value is none.

    >>> value("stateless", "partial"), value("preemptible", True), value("availability_nines", 3)
    (1.0, 1.0, 3.0)
    """
    if name not in INDEX:
        near = difflib.get_close_matches(str(name), INDEX, 1)
        raise ValueError(
            f"hint {str(name)[:40]!r} is unknown; " + (f"did you mean {near[0]}?" if near else f"there are: {', '.join(INDEX)}")
        )
    key = KEYS[INDEX[name]]
    if key.kind == "level" and said in LEVELS:
        return float(LEVELS.index(said))
    if key.kind == "flag" and isinstance(said, bool):
        return float(said)
    if (
        isinstance(said, (int, float))
        and not isinstance(said, bool)
        and key.low <= said <= key.high
        and (key.kind == "number" or float(said).is_integer())
    ):
        return float(said)
    wanted = {"level": "none, partial or full", "flag": "true or false"}.get(key.kind, f"a number from {key.low:g} to {key.high:g}")
    raise ValueError(f"hint {name}: {str(said)[:40]!r} is not {wanted}")


def shown(name: str, number: float) -> str:
    """Return a hint's value in words.

    >>> shown("stateless", 1.0), shown("preemptible", 1.0), shown("availability_nines", 3.0)
    ('partial', 'yes', '3')
    """
    key = KEYS[INDEX[name]]
    if key.kind == "level":
        return LEVELS[int(number)]
    return ("no", "yes")[int(number)] if key.kind == "flag" else f"{number:g}"
