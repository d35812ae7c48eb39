"""Which CPU host takes a VM, and the VMs that begin and end on hosts."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numba
import numpy as np
from numba import types
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
NO_HOST: Final = -1
# Best fit looks at so many hosts, drawn by chance: a scheduler of a large fleet does not look at all of them.
SAMPLED: Final = 8


@dataclass(frozen=True, slots=True)
class HostEvents:
    """VMs that begin or end on a host, shape E, in the order of time; at one time ends come before begins.

    ``vm`` is an index of the population, ``host`` of the fleet's hosts.
    """

    t_s: Floats
    vm: Ints
    host: Ints
    begins: Bools

    def __len__(self) -> int:
        """Return how many events there are."""
        return len(self.t_s)

    def part(self, first: int, end: int) -> "HostEvents":
        """Return the events from one position to another."""
        return HostEvents(self.t_s[first:end], self.vm[first:end], self.host[first:end], self.begins[first:end])


def place(arrive_s: Floats, end_s: Floats, vcpus: Ints, free_vcpus: Ints, random: np.random.Generator, until_s: float = np.inf) -> Ints:
    """Give every VM a host when it arrives: best fit on vCPUs, the fullest of eight sampled hosts that fit, else the first that fits.

    ``arrive_s``, ``end_s`` (later than the arrival) and ``vcpus`` have shape V; VMs are numbered as they arrive, and those that
    arrive at one time ask in their order. ``free_vcpus`` (H) is what hosts have to give at the beginning. Returns the host of
    each VM, ``NO_HOST`` where none had room or the VM came after ``until_s``; a later ``until_s`` changes nothing before.
    """
    hosts = np.full(len(arrive_s), NO_HOST, dtype=np.int64)
    if len(free_vcpus) and len(arrive_s):
        _, vm, begins = _in_order(arrive_s, end_s, until_s)
        samples = random.integers(0, len(free_vcpus), (len(arrive_s), SAMPLED))
        _placer()(vm, begins, vcpus.astype(np.int64), samples, free_vcpus.astype(np.int64), hosts)
    return hosts


def events_of(arrive_s: Floats, end_s: Floats, hosts: Ints, until_s: float = np.inf) -> HostEvents:
    """Return what the VMs with a host do up to a time, in order."""
    t_s, vm, begins = _in_order(arrive_s, end_s, until_s)
    kept = hosts[vm] != NO_HOST
    return HostEvents(t_s[kept], vm[kept], hosts[vm[kept]], begins[kept])


def _in_order(arrive_s: Floats, end_s: Floats, until_s: float) -> tuple[Floats, Ints, Bools]:
    """Return time, VM and kind of arrivals and ends in the order of time; at one time ends first, then by number."""
    t_s = np.concatenate([arrive_s, end_s])
    vm = np.concatenate([np.arange(len(arrive_s))] * 2).astype(np.int64)
    begins = np.arange(len(t_s)) < len(arrive_s)
    order = np.lexsort((begins, t_s))
    order = order[t_s[order] <= until_s]
    return t_s[order], vm[order], begins[order]


def _place(vm, begins, vcpus, samples, free, hosts):  # type: ignore[no-untyped-def]  # compiled
    """Fill ``hosts`` event by event; ``free`` is what every host has left."""
    for event in range(len(vm)):
        v = vm[event]
        if not begins[event]:
            if hosts[v] >= 0:
                free[hosts[v]] += vcpus[v]
            continue
        best = -1
        for draw in range(samples.shape[1]):
            host = samples[v, draw]
            if free[host] >= vcpus[v] and (best < 0 or free[host] < free[best]):
                best = host
        if best < 0:
            for host in range(len(free)):
                if free[host] >= vcpus[v]:
                    best = host
                    break
        hosts[v] = best
        if best >= 0:
            free[best] -= vcpus[v]


@cache
def _placer() -> Callable[..., None]:
    """Return the compiled placement; compiled at the first call and kept on disk."""
    numbers = types.int64[::1]
    kernel: Any = numba.njit(types.void(numbers, types.boolean[::1], numbers, types.int64[:, ::1], numbers, numbers), cache=True)(_place)
    placer: Callable[..., None] = kernel
    return placer
