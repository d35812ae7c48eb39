"""Racks, slots and cables of a pod, within reach of passive copper.

Three racks stand side by side: servers of one unit each in the outer two, devices (four to a unit) and switches in the middle one.
A cable is as long as its ends are apart, rack pitch and height, and its service loop::

    length = 0.6 m x racks apart + 44.45 mm x units apart + slack

This is the pod's own group of racks; which racks of the site's floor it takes is not looked at.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from twin.memory.cabling import cables, device_switches, ranks
from twin.memory.pods import Pod
from twin.sources import calibration

if TYPE_CHECKING:
    import polars as pl

    from twin.memory.prices import Prices

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
MIDDLE_RACK: Final = 2
_OUTER_RACKS: Final = (1, 3)
_TOLERANCE_M: Final = 1e-9
# Swaps tried for each cable; more find little that is shorter.
_TRIES_PER_CABLE: Final = 8_000
# What a cable that is too long weighs beside the length of all: once, and by each unit too far. Lengths weigh one by unit.
_TOO_LONG: Final = 10


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
        return int((self.cable_m > self.limit_m + _TOLERANCE_M).sum())


def lay(pod: Pod, slack_m: float, *, seed: int = 1, iterations: int | None = None, limit_m: float | None = None) -> Layout:
    """Return a layout of a pod whose cables keep to ``limit_m`` where one was found, and are short in all.

    The same pod and slack give the same layout, and the answer is kept. ``iterations`` are the swaps tried (by default 8,000 for
    each cable); ``limit_m`` is by default the reach of passive copper. ValueError where hosts or devices do not fit the racks.
    """
    limit = float(_number("limit_m")) if limit_m is None else limit_m
    tries = _TRIES_PER_CABLE * pod.hosts * pod.host_ports if iterations is None else iterations
    _check_room(pod)
    key = np.ascontiguousarray(pod.reach, dtype=np.int64).tobytes()
    return _laid(_Graph(pod, key), float(slack_m), float(limit), tries, seed)


def require(layout: Layout) -> Layout:
    """Return the layout; ValueError, one line, where a cable of it is longer than the limit."""
    if layout.too_long:
        remedy = "take a smaller pod or less slack" if layout.slack_m > 0.0 else "take a smaller pod"
        raise ValueError(
            f"pod {layout.pod_name}: {layout.too_long:,} of {len(layout.cable_m):,} cables are longer than {layout.limit_m:g} m, "
            f"the longest {layout.longest_m:.2f} m, with {layout.slack_m:g} m of slack; {remedy}"
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


def _number(name: str) -> Any:
    return calibration("memory")["layout"][name]["value"]


def _check_room(pod: Pod) -> None:
    units, each = int(_number("rack_units")), int(_number("devices_per_unit"))
    hosts_most, middle = len(_OUTER_RACKS) * units, _middle_units(pod, each)
    if pod.hosts > hosts_most:
        raise ValueError(
            f"pod {pod.name}: {pod.hosts:,} hosts do not fit two racks of {units} units; take at most {hosts_most} hosts in a pod"
        )
    if middle > units:
        raise ValueError(
            f"pod {pod.name}: {pod.devices:,} devices{f' and {pod.switches} switches' if pod.switches else ''} need {middle} units of the "
            f"middle rack, which has {units}; take a smaller pod or devices of more ports"
        )


def _middle_units(pod: Pod, each: int) -> int:
    if not pod.switches:
        return -(-pod.devices // each)
    return int((1 - (-np.bincount(device_switches(pod), minlength=pod.switches) // each)).sum())


@lru_cache(maxsize=512)
def _laid(graph: _Graph, slack_m: float, limit_m: float, tries: int, seed: int) -> Layout:
    pod, each = graph.pod, int(_number("devices_per_unit"))
    middle, rows = _middle_units(pod, each), -(-pod.hosts // len(_OUTER_RACKS))
    # Both blocks are as dense as can be and stand at the same middle height, from the floor up.
    tall = max(middle, rows)
    host_unit = np.arange(pod.hosts, dtype=np.int64) // len(_OUTER_RACKS) + (tall - rows) // 2
    if pod.switches:
        switch_unit, device_unit = _behind_switches(pod, each, (tall - middle) // 2)
    else:
        switch_unit = np.zeros(0, dtype=np.int64)
        device_unit = np.arange(pod.devices, dtype=np.int64) // each + (tall - middle) // 2
        _shorten(pod, host_unit, device_unit, _reach_units(slack_m, limit_m), tries, seed)
    return Layout(
        pod.name, slack_m, limit_m,
        _frozen(np.take(_OUTER_RACKS, ranks(host_unit))), _frozen(host_unit + 1),
        _frozen(np.full(pod.devices, MIDDLE_RACK)), _frozen(device_unit + 1), _frozen(ranks(device_unit) + 1),
        _frozen(np.full(pod.switches, MIDDLE_RACK)), _frozen(switch_unit + 1),
        _lengths(pod, host_unit, device_unit, switch_unit, slack_m),
    )  # fmt: skip


def _frozen(values: Any) -> Ints:
    array = np.ascontiguousarray(values, dtype=np.int64)
    array.flags.writeable = False
    return array


def _reach_units(slack_m: float, limit_m: float) -> int:
    """Return how many units apart the ends of a cable may be."""
    return int(np.floor((limit_m - slack_m - _number("rack_pitch_m") + _TOLERANCE_M) / _number("unit_m")))


def _behind_switches(pod: Pod, each: int, bottom: int) -> tuple[Ints, Ints]:
    """Return the units of switches and devices: each switch with its devices right above it."""
    behind = device_switches(pod)
    units = 1 - (-np.bincount(behind, minlength=pod.switches) // each)
    switch_unit = (bottom + np.cumsum(units) - units).astype(np.int64)
    return switch_unit, switch_unit[behind] + 1 + ranks(behind) // each


def _shorten(pod: Pod, host_unit: Ints, device_unit: Ints, reach_units: int, tries: int, seed: int) -> None:
    from twin.memory import annealing  # numba loads slowly; who only reads a layout must not wait for it

    of_host = np.ascontiguousarray(pod.reach, dtype=np.int64)
    if (np.bincount(of_host.ravel(), minlength=pod.devices) != pod.device_ports).any():
        raise ValueError(f"pod {pod.name}: its devices are not cabled to {pod.device_ports} hosts each; give every port a host")
    of_device = np.argsort(of_host.ravel(), kind="stable").reshape(pod.devices, pod.device_ports) // pod.host_ports
    apart = np.arange(int(_number("rack_units")), dtype=np.int64)
    costs = apart + np.where(apart > reach_units, _TOO_LONG * (1 + apart - reach_units), 0)
    annealing.anneal(host_unit, device_unit, (of_host, np.ascontiguousarray(of_device)), costs, tries, seed)


def _lengths(pod: Pod, host_unit: Ints, device_unit: Ints, switch_unit: Ints, slack_m: float) -> Floats:
    ends, unit_m, pitch_m = cables(pod), float(_number("unit_m")), float(_number("rack_pitch_m"))
    far = np.where(ends.device >= 0, device_unit[ends.device], 0)
    if pod.switches:
        far = np.where(ends.host >= 0, switch_unit[ends.switch], far)
        near = np.where(ends.host >= 0, host_unit[ends.host], switch_unit[ends.switch])
    else:
        near = host_unit[ends.host]
    # A device hangs on a switch of its own rack.
    lengths = np.where(ends.host >= 0, pitch_m, 0.0) + unit_m * np.abs(near - far) + slack_m
    lengths.flags.writeable = False
    return np.asarray(lengths)


def rows(pod: Pod, layout: Layout, prices: "Prices") -> "pl.DataFrame":
    """Return the wiring list, a row per cable: its ends (port, rack, unit), its length, the length to order and its price.

    Hosts, devices and switches are numbered from 1 within the pod, as are ports. ``order_length_m`` and ``price_usd`` are null
    where the table has no cable that long.
    """
    import polars as pl

    ends = cables(pod)
    to_switch = (ends.host >= 0) & (ends.switch >= 0)
    from_host = ends.host >= 0
    order_m, price_usd = prices.cables(layout.cable_m)

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
