"""The pool: which device holds which slices of which VM."""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numba
import numpy as np
from numba.core.types.function_type import CompileResultWAP

from twin.memory import slices as s
from twin.memory.demand import Bools, Floats, HostEvents, Ints
from twin.memory.slices import PICK_SIGNATURE
from twin.memory.terms import Terms
from twin.memory.tiling import Tiling

UNLIMITED: Final = 1 << 40
_STATE: Final = ("slots", "held", "hosts", "links", "used", "capacity", "peak", "pods", "cursor", "slot_of", "open_links", "open_devices")


def picker(rule: Callable[..., int]) -> Any:
    """Let a rule be compiled when it is first given to a pool, once for all processes: a decorator.

    ``rule(reach, used, room, score)`` returns a place in ``reach``, or -1 for none; see PICK_SIGNATURE. What was compiled before
    the pool's own code changed is dropped, as for routers.
    """
    source, elsewhere = Path(rule.__code__.co_filename), os.environ.get("NUMBA_CACHE_DIR")
    places = [source.parent / "__pycache__", *([Path(elsewhere)] if elsewhere else [])]
    changed_s = Path(s.__file__).stat().st_mtime
    for index in (found for place in places for found in place.rglob(f"{source.stem}.*.nbi")):
        with suppress(OSError):
            if index.stat().st_mtime < changed_s:
                index.unlink()
    jit: Any = numba.njit
    return jit(**s.OPTIONS)(rule)


@cache
def entry(pick: Any) -> Any:
    """Return a rule, compiled, in the form that the kernel takes fastest."""
    return CompileResultWAP(pick.get_compile_result(PICK_SIGNATURE))


@dataclass(frozen=True, slots=True)
class Rule:
    """How slices find devices: a picker, its score by device (M), and whether slices of others are moved aside (``PoolAction``)."""

    pick: Any
    score: Floats
    migrate: bool


@dataclass(frozen=True, slots=True)
class Lost:
    """What a fault took from VMs that stand: VMs hit and slices lost, by host (H). The slices have been placed anew, or overflow."""

    vms: Ints
    slices: Ints


class Pool:
    """Slices of the VMs on H hosts, on the M devices of a tiling; read the arrays, do not write them.

    ``memory_bytes`` are those of all VMs there can be (V). ``device_slices`` is the capacity of each device or of each one its
    own (M); None is no limit. Columns of ``hosts`` and ``pods`` are named in ``twin.memory.slices``.
    """

    def __init__(self, tiling: Tiling, terms: Terms, memory_bytes: Ints, device_slices: int | Ints | None) -> None:
        hosts, devices, places = tiling.hosts, tiling.devices, tiling.reach.shape[1]
        self.tiling, self.terms = tiling, terms
        self.pooled = tiling.host_pods >= 0
        self._reach = np.ascontiguousarray(tiling.reach, dtype=np.int64)
        self._device_hosts, self._device_places = _turned_round(self._reach, devices)
        self.memory_bytes = np.ascontiguousarray(memory_bytes, dtype=np.int64)
        self.wanted = terms.slices(self.memory_bytes)
        self.slot_of = np.full(len(memory_bytes), s.NONE)
        self.slots, self.held = np.zeros((0, s.SLOT_COLUMNS), dtype=np.int64), np.zeros((0, places), dtype=np.int64)
        self.hosts = np.zeros((hosts, s.HOST_COLUMNS), dtype=np.int64)
        self.hosts[:, s.FIRST] = s.NONE
        self.links = np.zeros((hosts, places), dtype=np.int64)
        self.capacity = np.zeros(devices, dtype=np.int64) + (UNLIMITED if device_slices is None else device_slices)
        self.used, self.peak = np.zeros(devices, dtype=np.int64), np.zeros(devices, dtype=np.int64)
        self.pods = np.zeros((tiling.pods, s.POD_COLUMNS), dtype=np.int64)
        self.cursor = np.array([s.NONE, 0, 0], dtype=np.int64)
        self.open_links = np.repeat(self.pooled[:, None], places, axis=1)
        self.open_devices = np.ones(devices, dtype=np.bool_)
        self._search = np.zeros((devices, s.SEARCH_COLUMNS), dtype=np.int64)
        self._open()

    def _open(self) -> None:
        """Say of each host which places of its reach are open, those first, and of each device how much room it has."""
        stands = self.open_links & np.append(self.open_devices, False)[self._reach]
        self._live = np.argsort(~stands, axis=1, kind="stable")
        self._lives = stands.sum(axis=1)
        self._open_reach = np.take_along_axis(self._reach, self._live, axis=1)
        self.room = np.where(self.open_devices, self.capacity - self.used, 0)

    def _graph(self) -> tuple[Ints, ...]:
        around = (self._device_hosts, self._device_places)
        return self._reach, self._live, self._lives, self._open_reach, np.ascontiguousarray(self.tiling.host_pods), *around

    def _state(self) -> tuple[Ints, ...]:
        return (
            self.slots, self.held, self.hosts, self.links, self.used, self.room, self.peak, self.pods, self._search, self.cursor,
        )  # fmt: skip

    def _how(self, rule: Rule) -> tuple[Floats, int, Any]:
        """Return a rule as the kernels take it: they trust every shape."""
        score = np.ascontiguousarray(rule.score, dtype=np.float64)
        if score.shape != self.used.shape:
            raise ValueError(f"pool_allocation: a score for {score.size} devices, and there are {len(self.used)}; give one for each")
        return score, int(rule.migrate), entry(rule.pick)

    def advance(self, events: HostEvents, rule: Rule) -> None:
        """Take all events, in their order; raises ValueError where a VM ends that does not stand, or begins twice."""
        none = np.zeros((0, 0), dtype=np.int64)
        self.walk(events, np.array([0, len(events)]), rule, none, none)

    def walk(self, events: HostEvents, edges: Ints, rule: Rule, device_series: Ints, host_series: Ints) -> None:
        """Take the events from edge to edge (places in the events, K + 1).

        What each device holds and what is asked for by the VMs of each host (slices, on devices or overflown) at the end of each
        span is written to the series, (K, M) and (K, H), where they have rows.
        """
        self._grow(events)
        vm, host = np.ascontiguousarray(events.vm, dtype=np.int64), np.ascontiguousarray(events.host, dtype=np.int64)
        begins = np.ascontiguousarray(events.begins, dtype=np.bool_).view(np.uint8)
        asked = (self.terms.slice_bytes, self.memory_bytes, self.wanted, self.slot_of)
        s.advance()(
            edges, vm, host, begins, *asked, *self._graph(), *self._state(), *self._how(rule),
            device_series, host_series,
        )  # fmt: skip
        if self.cursor[s.SENSELESS]:
            raise ValueError(f"host events: {self.cursor[s.SENSELESS]} VMs begin twice, or end where they do not stand")

    def _grow(self, events: HostEvents) -> None:
        """Make slots for the most VMs that can stand at once."""
        most = int((self.slots[:, s.VM] != s.NONE).sum()) + int(np.cumsum(2 * events.begins.astype(np.int64) - 1).max(initial=0))
        more = max(most - len(self.slots), 0)
        if not more:
            return
        more += len(self.slots)
        fresh = np.zeros((more, s.SLOT_COLUMNS), dtype=np.int64)
        fresh[:, s.VM] = s.NONE
        fresh[:, s.NEXT] = np.append(np.arange(1, more) + len(self.slots), self.cursor[s.FREE])
        self.cursor[s.FREE] = len(self.slots)
        self.slots = np.concatenate([self.slots, fresh])
        self.held = np.concatenate([self.held, np.zeros((more, self.held.shape[1]), dtype=np.int64)])

    def stand(self, vm: Ints, host: Ints, rule: Rule) -> None:
        """Begin VMs that stand already, in this order."""
        self.advance(HostEvents(np.zeros(len(vm)), vm, host, np.ones(len(vm), dtype=np.bool_)), rule)

    def reopen(self, open_links: Bools, open_devices: Bools, rule: Rule) -> Lost:
        """Set which links (H, R) and devices (M) work from now on; slices on others are lost and placed anew on what is left."""
        self.open_links, self.open_devices = open_links & self.pooled[:, None], open_devices.copy()
        lost = np.zeros((self.tiling.hosts, 2), dtype=np.int64)
        self._open()
        shut = ~(self.open_links & np.append(self.open_devices, False)[self._reach])
        s.evacuate()(
            shut.view(np.uint8), lost, self.terms.slice_bytes, *self._graph(), *self._state(), *self._how(rule),
        )  # fmt: skip
        self.room = np.where(self.open_devices, self.capacity - self.used, 0)
        return Lost(lost[:, 0].copy(), lost[:, 1].copy())

    def begin_peaks(self) -> None:
        """Forget peaks of devices, hosts and pods: what is there now is the most so far."""
        hosts = self.hosts
        local = hosts[:, s.LOCAL_BYTES] + self.terms.slice_bytes * hosts[:, s.OVERFLOWN]
        hosts[:, s.PEAK_UNPOOLED_BYTES] = hosts[:, s.LOCAL_BYTES]
        hosts[:, s.PEAK_LOCAL_BYTES] = local
        hosts[:, s.PEAK_BYTES] = local + self.terms.slice_bytes * hosts[:, s.POOLED]
        hosts[:, s.PEAK_WANTED] = hosts[:, s.POOLED] + hosts[:, s.OVERFLOWN]
        self.pods[:, s.PEAK_OF_POD] = self.pods[:, s.WANTED]
        self.peak[:] = self.used

    def standing(self) -> tuple[Ints, Ints, Ints, Ints]:
        """Return the VMs that stand, by number: VM, host, slices on devices, slices that overflow."""
        rows = np.flatnonzero(self.slots[:, s.VM] != s.NONE)
        rows = rows[np.argsort(self.slots[rows, s.VM])]
        table = self.slots[rows]
        return table[:, s.VM], table[:, s.HOST], self.held[rows].sum(axis=1), table[:, s.SPILLED]

    def snapshot(self) -> dict[str, Any]:
        """Return the state as arrays."""
        return {name: getattr(self, name).copy() for name in _STATE}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a snapshot of a pool of the same tiling and VMs."""
        for name in _STATE:
            setattr(self, name, state[name].copy())
        self._open()


def _turned_round(reach: Ints, devices: int) -> tuple[Ints, Ints]:
    """Return the hosts that reach each device, -1 behind the last one, and the place that it has in their reach, each (M, K)."""
    at = np.flatnonzero(reach >= 0)
    at = at[np.argsort(reach.ravel()[at], kind="stable")]
    device = reach.ravel()[at]
    counts = np.bincount(device, minlength=devices)
    hosts = np.full((devices, int(counts.max(initial=0))), s.NONE)
    places = hosts.copy()
    rank = np.arange(len(at)) - (np.cumsum(counts) - counts)[device]
    hosts[device, rank], places[device, rank] = np.divmod(at, max(reach.shape[1], 1))
    return hosts, places
