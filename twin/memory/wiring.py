"""Racks, slots and cables of a pod, within reach of passive copper.

Three racks stand side by side: servers of one unit each in the outer two, devices (four to a unit) and switches in the middle one.
A cable is as long as its ends are apart, rack pitch and height, and its service loop::

    length = 0.6 m x racks apart + 44.45 mm x units apart + slack

Heights are searched (``placing``). This is the pod's own group of racks; which racks of the site's floor it takes is not looked at.
"""

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from twin.memory import placing
from twin.memory.cabling import cables, ranks
from twin.memory.pods import Pod

if TYPE_CHECKING:
    import polars as pl

    from twin.memory.prices import Prices

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
MIDDLE_RACK: Final = 2
# Swaps tried for each cable; more find little that is shorter.
_TRIES_PER_CABLE: Final = 8_000


@dataclass(frozen=True)
class Layout:
    """Where hosts (H), devices (M) and switches (S) of a pod stand, and how long its cables (C) are; all read-only.

    Racks are 1 to 3, units count from 1 at the bottom, a device's slot in its unit from 1.
    """

    pod_name: str
    slack_m: float
    limit_m: float
    host_rack: Ints
    host_unit: Ints
    device_rack: Ints
    device_unit: Ints
    device_slot: Ints
    switch_rack: Ints
    switch_unit: Ints
    cable_m: Floats

    @cached_property
    def longest_m(self) -> float:
        """Length of the longest cable with its slack, m."""
        return float(self.cable_m.max())

    @cached_property
    def too_long(self) -> int:
        """How many cables are longer than the limit."""
        return placing.too_long(self.cable_m, self.limit_m)


def lay(pod: Pod, slack_m: float, *, seed: int = 1, iterations: int | None = None, limit_m: float | None = None) -> Layout:
    """Return a layout of a pod whose cables keep to ``limit_m`` where one was found, and are short in all.

    The same pod and slack give the same layout, and the answer is kept. ``iterations`` are the swaps tried (by default 8,000 for
    each cable; up to six times as many where the first leave a few cables too long); ``limit_m`` is by default the reach of passive
    copper. ValueError, one line, where hosts or devices do not fit the racks, or slack or limit is no length.
    """
    limit = float(placing.number("limit_m")) if limit_m is None else float(limit_m)
    _check_lengths(pod, float(slack_m), limit)
    _check_room(pod)
    tries = _TRIES_PER_CABLE * pod.hosts * pod.host_ports if iterations is None else iterations
    key = np.ascontiguousarray(pod.reach, dtype=np.int64).tobytes()
    return _laid(_Graph(pod, key), float(slack_m), limit, tries, seed)


def require(layout: Layout) -> Layout:
    """Return the layout; ValueError, one line, where a cable of it is longer than the limit.

    That none was found does not prove that there is none.
    """
    if layout.too_long:
        remedy = "take a smaller pod or less slack" if layout.slack_m > 0.0 else "take a smaller pod"
        raise ValueError(
            f"pod {layout.pod_name}: {layout.too_long:,} of {len(layout.cable_m):,} cables are longer than {layout.limit_m:g} m, "
            f"the longest {layout.longest_m:.2f} m, with {layout.slack_m:g} m of slack, in the best layout that was found by search "
            f"(a heuristic: none that fits was found, which does not prove that there is none); {remedy}"
        )
    return layout


class _Graph:
    """A pod as a key: two with the same name and the same links are the same."""

    def __init__(self, pod: Pod, links: bytes) -> None:
        self.pod = pod
        self._key = (pod.name, pod.devices, pod.switches, links)

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Graph) and self._key == other._key


def _check_lengths(pod: Pod, slack_m: float, limit_m: float) -> None:
    if not (math.isfinite(slack_m) and slack_m >= 0.0):
        raise ValueError(f"pod {pod.name}: {slack_m:g} m of slack is no length of cable; write metres from 0 up")
    if not (math.isfinite(limit_m) and limit_m > 0.0):
        raise ValueError(f"pod {pod.name}: cables of at most {limit_m:g} m are no limit; write metres above 0, such as 1.5")


def _check_room(pod: Pod) -> None:
    units, middle = int(placing.number("rack_units")), placing.middle_units(pod)
    hosts_most = len(placing.OUTER_RACKS) * units
    if pod.hosts > hosts_most:
        raise ValueError(
            f"pod {pod.name}: {pod.hosts:,} hosts do not fit two racks of {units} units; take at most {hosts_most} hosts in a pod"
        )
    if middle > units:
        raise ValueError(
            f"pod {pod.name}: {pod.devices:,} devices{f' and {pod.switches} switches' if pod.switches else ''} need {middle} units of the "
            f"middle rack, which has {units}; take a smaller pod or devices of more ports"
        )


@lru_cache(maxsize=512)
def _laid(graph: _Graph, slack_m: float, limit_m: float, tries: int, seed: int) -> Layout:
    pod = graph.pod
    at = placing.place(pod, slack_m, limit_m, tries, seed)
    cable_m = placing.lengths(pod, at, slack_m)
    cable_m.flags.writeable = False
    return Layout(
        pod.name, slack_m, limit_m,
        _frozen(np.take(placing.OUTER_RACKS, ranks(at.host))), _frozen(at.host + 1),
        _frozen(np.full(pod.devices, MIDDLE_RACK)), _frozen(at.device + 1), _frozen(ranks(at.device) + 1),
        _frozen(np.full(pod.switches, MIDDLE_RACK)), _frozen(at.switch + 1), cable_m,
    )  # fmt: skip


def _frozen(values: Any) -> Ints:
    array = np.ascontiguousarray(values, dtype=np.int64)
    array.flags.writeable = False
    return array


def rows(pod: Pod, layout: Layout, prices: "Prices") -> "pl.DataFrame":
    """Return the wiring list, a row per cable: its ends (port, rack, unit), its length, the length to order and its price.

    Hosts, devices and switches are numbered from 1 within the pod, as are ports. ``order_length_m`` and ``price_usd`` are null
    where the table has no cable that long.
    """
    import polars as pl

    ends = cables(pod)
    to_switch = (ends.host >= 0) & (ends.switch >= 0)
    from_host = ends.host >= 0
    order_m, price_usd = prices.cables(layout.cable_m, layout.limit_m)

    def named(kind: str, index: Ints) -> list[str]:
        return [f"{kind}-{number + 1}" for number in index.tolist()]

    def picked(mask: Any, yes: Any, no: Any) -> Any:
        return np.where(mask, yes, no)

    def at(values: Ints, index: Ints) -> Ints:
        return values[index] if len(values) else np.zeros(len(index), dtype=np.int64)

    return pl.DataFrame(
        {
            "cable": np.arange(1, len(ends) + 1),
            "from": picked(from_host, named("host", ends.host), named("switch", ends.switch)),
            "from_port": ends.near_port + 1,
            "from_rack": picked(from_host, at(layout.host_rack, ends.host), at(layout.switch_rack, ends.switch)),
            "from_unit": picked(from_host, at(layout.host_unit, ends.host), at(layout.switch_unit, ends.switch)),
            "to": picked(to_switch, named("switch", ends.switch), named("device", ends.device)),
            "to_port": ends.far_port + 1,
            "to_rack": picked(to_switch, at(layout.switch_rack, ends.switch), at(layout.device_rack, ends.device)),
            "to_unit": picked(to_switch, at(layout.switch_unit, ends.switch), at(layout.device_unit, ends.device)),
            "to_slot": picked(to_switch, 0, at(layout.device_slot, ends.device)),
            "length_m": np.round(layout.cable_m, 3),
            "order_length_m": order_m,
            "price_usd": price_usd,
        },
        strict=False,
    ).with_columns(pl.col("order_length_m", "price_usd").fill_nan(None), pl.col("to_slot").replace(0, None))
