"""One tick of the plant in a compiled kernel, composed of its stages."""

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from numba import njit, typeof
from numba.extending import register_jitable

from twin.plant.driving import Around, Load, draw_power, drive_fans, mix_air, set_clocks, spread_air, sum_servers
from twin.plant.metering import began, gather, meter
from twin.plant.records import Layout
from twin.plant.tree import carry, switch
from twin.plant.warming import settle_servers, warm

_KERNEL_ROOMS = (
    *("airflow", "cooling", "driving", "heat", "inlet", "liquid", "metering", "power", "records", "room", "step"),
    *("throttling", "tree", "warming"),
)


@register_jitable
def _step(stamp: int, lay: Layout, load: Load, around: Around) -> float:
    """Advance every array by one tick; return how many GPUs and rows began to be held back, and feeds are overloaded."""
    switch(lay)
    drive_fans(lay, around.dt_s)
    set_clocks(lay.gpus, load)
    for r in range(len(lay.runs)):
        draw_power(lay.gpus, load, lay.models[lay.runs[r, 0]], lay.runs[r, 1], lay.runs[r, 2])
    sum_servers(lay, load)
    mix_air(lay, load, around)
    spread_air(lay)
    for r in range(len(lay.runs)):
        warm(lay.gpus, lay.models[lay.runs[r, 0]], around.dt_s, lay.runs[r, 1], lay.runs[r, 2])
    settle_servers(lay, load, around.dt_s)
    gather(lay, load, around)
    overloaded = carry(lay, around.dt_s)
    meter(lay, around)
    return began(lay) + overloaded


@cache
def compiled() -> Any:
    """Return the step as numba compiles it, once per machine and version.

    The on-disk cache of compiled code looks at the entry's own file and closure only; the stamp over all rooms makes a
    change in any of them compile afresh.
    """
    rooms = "".join((Path(__file__).parent / f"{room}.py").read_text(encoding="utf-8") for room in _KERNEL_ROOMS)
    stamp = int(hashlib.sha256(rooms.encode()).hexdigest()[:12], 16)

    @njit(cache=True, error_model="numpy")
    def step(lay: Layout, load: Load, around: Around) -> float:
        return _step(stamp, lay, load, around)

    return step


def entry(lay: Layout, load: Load, around: Around) -> Callable[[Layout, Load, Around], float]:
    """Return the step for arguments of these types, and no others.

    Numba looks at the type of every array at each call of a compiled function, which here takes longer than the step.
    """
    type_of: Any = typeof
    found: Callable[[Layout, Load, Around], float] = compiled().compile((type_of(lay), type_of(load), type_of(around)))
    return found
