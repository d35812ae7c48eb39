"""The way of hints and notices: rate limits and latency of the managers."""

import math
from collections.abc import Callable
from dataclasses import fields
from functools import cache
from typing import Any, Final

import numpy as np
from numba.extending import register_jitable
from numpy.typing import NDArray

from twin.chance import stream
from twin.sources import calibration
from twin.stack import State
from twin.workloads.negotiation import hint
from twin.workloads.negotiation.ordering import in_order
from twin.workloads.negotiation.store import check
from twin.workloads.negotiation.taking import COMPILED, VM
from twin.workloads.negotiation.tenants import Tenants

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
# Below it lie ninety-nine of a hundred standard normal draws.
_P99: Final = 2.3263478740408408


class Bus:
    """Carries hints up to the store and notices down to VMs.

    A VM's hints go through its server's manager to the global one, those of a deployment or workload to the global one at once.
    Whoever says more than ``rate_per_s`` beyond a ``burst`` is not heard. What comes with a deployment's request (the template)
    is there with it. How long a hint takes depends on the seed, on whom and what it is about and on when it is said, and on
    nothing else: neither ticks nor other hints move it.
    """

    def __init__(self, tenants: Tenants, seed: int) -> None:
        sheet = calibration("negotiation")
        times = {name: float(entry["value"]) for name, entry in sheet["latency"].items()}
        self._sizes = np.array([len(tenants.workload_ids), len(tenants.deployment_ids), len(tenants)])
        self._first = np.concatenate([[0], np.cumsum(self._sizes)[:-1]]).astype(np.int64)
        rate_per_s, burst = (float(sheet["hints"][name]["value"]) for name in ("rate_per_s", "burst"))
        spread = math.log(times["global_p99_s"] / times["global_median_s"]) / _P99
        self._agreed = (rate_per_s, burst, times["global_median_s"], spread, times["local_s"])
        self._down_s = times["fan_out_s"] + times["local_s"]
        self._salt = np.uint64(stream(seed, "workloads", "hint_latency").integers(2**63))
        # A bucket each of workloads, deployments and VMs: hints left, and when they were counted.
        self._buckets = np.zeros((int(self._sizes.sum()), 2))
        self._buckets[:, 0] = burst
        self._way: list[tuple[hint.Hints, Floats]] = []

    def send(self, said: hint.Hints) -> Bools:
        """Take hints, in the order in which they were said, and return which are carried, shape B. ValueError where one is none."""
        check(said, self._sizes)
        if not len(said):
            return np.zeros(0, dtype=np.bool_)
        row = self._first[said.scope] + said.of
        accepted, heard_s = np.zeros(len(said), dtype=np.bool_), said.t_s.astype(np.float64)
        numbers = tuple(np.ascontiguousarray(each, dtype=np.int64) for each in (row, said.scope, said.key, said.sayer))
        _carrier()(numbers, self._salt, self._agreed, self._buckets, accepted, heard_s)
        self._way.append((said, heard_s) if accepted.all() else (said.taken(accepted), heard_s[accepted]))
        return accepted

    def due(self, until_s: float) -> tuple[hint.Hints, Floats]:
        """Return the hints that are heard by a time and were not before, in that order, and when; at one time as they were sent."""
        if not self._way:
            return hint.none(), np.zeros(0)
        said, heard_s = hint.together([said for said, _ in self._way]), np.concatenate([heard_s for _, heard_s in self._way])
        now = heard_s <= until_s
        self._way = [] if now.all() else [(said.taken(~now), heard_s[~now])]
        order = now.nonzero()[0]
        order = order[in_order(heard_s[order])]
        return said.taken(order), heard_s[order]

    def reach_s(self, t_s: float, vm: Ints) -> Floats:
        """Return when notices that the global manager sends at a time reach VMs, same shape."""
        return np.full(len(vm), t_s + self._down_s)

    def _columns(self) -> list[list[NDArray[Any]]]:
        return [[getattr(said, field.name) for said, _ in self._way] for field in fields(hint.Hints)]

    def snapshot(self) -> State:
        """Return what is on its way and what everybody may still say."""
        on_way = {field.name: np.concatenate(parts) for field, parts in zip(fields(hint.Hints), self._columns(), strict=True) if parts}
        heard_s = np.concatenate([np.zeros(0), *(heard for _, heard in self._way)])
        return {"buckets": self._buckets.copy(), "on_way": on_way, "heard_s": heard_s}

    def restore(self, state: State) -> None:
        """Take back a snapshot's state."""
        self._buckets = np.array(state["buckets"], dtype=np.float64)
        said = {name: np.array(values) for name, values in state["on_way"].items()}
        self._way = [(hint.Hints(**said), np.array(state["heard_s"], dtype=np.float64))] if said else []


@register_jitable
def _mixed(number: Any) -> Any:
    """Return a well mixed 64-bit number (splitmix64; Steele, Lea and Flood, OOPSLA 2014)."""
    number = (number ^ (number >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    number = (number ^ (number >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return number ^ (number >> np.uint64(31))


@register_jitable
def _even(number: Any) -> float:
    """Return an even draw above 0 and up to 1."""
    return (float(number >> np.uint64(11)) + 1.0) * 2.0**-53


@register_jitable
def _normal(salt: Any, row: int, key: int, t_s: float) -> float:
    """Return a standard normal draw of its own for a row, a key and a time to the microsecond (Box and Muller 1958)."""
    step = np.uint64(0x9E3779B97F4A7C15)
    mixed = _mixed(np.uint64(salt) + step * np.uint64(row + 1))
    mixed = _mixed(mixed + step * np.uint64(key + 1))
    mixed = _mixed(mixed + step * np.uint64(t_s * 1e6 + 1.0))
    return math.sqrt(-2.0 * math.log(_even(mixed))) * math.cos(2.0 * math.pi * _even(_mixed(mixed + step)))


def _carry(numbers: Any, salt: Any, agreed: Any, buckets: Floats, accepted: Bools, heard_s: Floats) -> None:
    """Say which hints are carried, and turn when they were said into when they are heard."""
    row, scope, key, sayer = numbers
    rate_per_s, burst, median_s, spread, local_s = agreed
    for i in range(len(row)):
        t_s = heard_s[i]
        if sayer[i] == hint.TEMPLATE:
            accepted[i] = True
            continue
        left, counted_s = buckets[row[i]]
        if t_s > counted_s:
            left, counted_s = min(burst, left + (t_s - counted_s) * rate_per_s), t_s
        accepted[i] = left >= 1.0
        buckets[row[i], 0], buckets[row[i], 1] = left - accepted[i], counted_s
        heard_s[i] = t_s + median_s * math.exp(spread * _normal(salt, row[i], key[i], t_s)) + local_s * (scope[i] == VM)


@cache
def _carrier() -> Callable[..., None]:
    """Return the compiled carrying; compiled at the first call and kept on disk."""
    carrier: Callable[..., None] = COMPILED(_carry)
    return carrier
