# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, disallow-incomplete-defs=False
"""Slices of VMs on pool devices, handed out and freed: the compiled part.

Semantics (a plain stepper in the tests gives the same):

* Slices of a VM that begins are handed out one by one: the rule picks among the devices that the host still reaches. A choice
  without room is counted, and the first device with room taken instead.
* Where the rule picks none and moving is allowed, the shortest path over devices is searched, from one that the host reaches
  to one with room: each step moves a slice of a VM of some host from the device before to the next one that its host reaches
  too. It is found breadth first, so as few slices move as can be. Without a path no assignment whatever holds the slice beside
  those that are held (a path is an augmenting path of the flow from hosts to devices). As many slices go along a path at once
  as fit; one by one they would take the same path.
* What finds no room overflows: it lies in the host's own memory until the VM ends.
* Device loads never pass the capacity, in the middle of a move neither: paths are walked from their end.

All state lies in plain arrays that are passed as arguments; see twin.serving.batching for why.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, Final

import numba
from numba import types

# Columns of `slots`, int64: one row per VM that stands; `held` beside it has its slices by place of reach.
HOST: Final = 0
NEXT: Final = 1  # on the same host, or the next free slot
PREVIOUS: Final = 2
SPILLED: Final = 3  # slices that found no room
VM: Final = 4  # -1 where the slot is free
LOST: Final = 5  # slices that a fault took, until they are placed again
SLOT_COLUMNS: Final = 6
NONE: Final = -1

# Columns of `hosts`, int64.
FIRST: Final = 0  # slot of the VM that began last
POOLED: Final = 1  # slices on devices
OVERFLOWN: Final = 2  # slices that should be
LOCAL_BYTES: Final = 3  # what is never pooled
PEAK_BYTES: Final = 4  # most of all memory since peaks were last begun
PEAK_LOCAL_BYTES: Final = 5  # most of what lay in the host itself, with what overflowed
PEAK_UNPOOLED_BYTES: Final = 6  # most of what is never pooled
PEAK_WANTED: Final = 7  # most slices, on devices or overflown
HOST_COLUMNS: Final = 8

# Columns of `pods`, int64.
WANTED: Final = 0  # slices, on devices or overflown
PEAK_OF_POD: Final = 1
MIGRATED: Final = 2  # slices moved aside so far
OVERFLOW_EVENTS: Final = 3  # VMs of which some slice found no room
OVERFLOW_SLICES: Final = 4
MISPLACED: Final = 5  # picks of devices without room
POD_COLUMNS: Final = 6

# Columns of `search`, int64, one row per device: the search of a path.
SEEN: Final = 0  # number of the latest search that came here
QUEUE: Final = 1
BEFORE: Final = 2  # device
BY: Final = 3  # host whose slices move
OUT: Final = 4  # place of the device before in its reach
INTO: Final = 5  # and of this one
SEARCH_COLUMNS: Final = 6

# `cursor`: first free slot, number of searches, and events that make no sense.
FREE: Final = 0
SEARCHES: Final = 1
SENSELESS: Final = 2
CURSOR_PLACES: Final = 3

# A compiled rule: pick(reach, used, room, score) -> place in reach, or -1. `reach` are devices; the others go by device.
PICK_SIGNATURE: Final = types.int64(types.int64[::1], types.int64[::1], types.int64[::1], types.float64[::1])
PICK_TYPE: Final = types.FunctionType(PICK_SIGNATURE)

# Nothing here makes an array or keeps one, so references to the arguments need no counting.
OPTIONS: Final[dict[str, bool]] = {"cache": True, "_nrt": False}
_njit: Any = numba.njit
_compiled: Any = _njit(**OPTIONS, no_cpython_wrapper=True, no_cfunc_wrapper=True)


@_compiled
def _load(used, room, peak, d, count):
    """Put slices on a device, or take them off."""
    used[d] += count
    room[d] -= count
    peak[d] = max(peak[d], used[d])


@_compiled
def _shift(slots, held, links, hosts, g, out, into, count):
    """Let slices of VMs of host ``g`` go from one place of its reach to another."""
    links[g, out] -= count
    links[g, into] += count
    s = hosts[g, FIRST]
    while count > 0:
        moved = min(held[s, out], count)
        held[s, out] -= moved
        held[s, into] += moved
        count -= moved
        s = slots[s, NEXT]


@_compiled
def _path(h, live, lives, open_reach, device_hosts, device_places, links, room, search, cursor):
    """Return the device with room at the end of the shortest path from those of host ``h``, or -1; `search` holds the way."""
    cursor[SEARCHES] += 1
    turn = cursor[SEARCHES]
    tail = 0
    for q in range(lives[h]):
        d = open_reach[h, q]
        search[d, SEEN], search[d, BEFORE], search[d, INTO] = turn, NONE, live[h, q]
        if room[d] > 0:
            return d
        search[tail, QUEUE] = d
        tail += 1
    head = 0
    while head < tail:
        d = search[head, QUEUE]
        head += 1
        for i in range(device_hosts.shape[1]):
            g = device_hosts[d, i]
            if g < 0:
                break
            if links[g, device_places[d, i]] == 0:
                continue
            for q in range(lives[g]):
                e = open_reach[g, q]
                if search[e, SEEN] == turn:
                    continue
                search[e, SEEN], search[e, BEFORE], search[e, BY] = turn, d, g
                search[e, OUT], search[e, INTO] = device_places[d, i], live[g, q]
                if room[e] > 0:
                    return e
                search[tail, QUEUE] = e
                tail += 1
    return NONE


@_compiled
def _make_room(h, s, wanted, slots, held, hosts, links, used, room, peak, pods, pod, end, search):
    """Move slices along a path that ends at device ``end``, and put slices of slot ``s`` where it begins; return how many."""
    count = min(wanted, room[end])
    e = end
    while search[e, BEFORE] >= 0:
        count = min(count, links[search[e, BY], search[e, OUT]])
        e = search[e, BEFORE]
    e = end
    while search[e, BEFORE] >= 0:
        d = search[e, BEFORE]
        _shift(slots, held, links, hosts, search[e, BY], search[e, OUT], search[e, INTO], count)
        _load(used, room, peak, d, -count)
        _load(used, room, peak, e, count)
        pods[pod, MIGRATED] += count
        e = d
    held[s, search[e, INTO]] += count
    links[h, search[e, INTO]] += count
    _load(used, room, peak, e, count)
    return count


@_compiled
def _place(
    h, s, wanted, live, lives, open_reach, host_pods, device_hosts, device_places, slots, held, hosts, links, used, room, peak, pods,
    search, cursor, score, migrate, pick,
):  # fmt: skip
    """Find devices for slices of the VM in slot ``s``; what finds none overflows. Returns how many overflow."""
    pod, left, open_count = host_pods[h], wanted, lives[h]
    while left > 0:
        place = NONE
        if open_count > 0:
            q = pick(open_reach[h, :open_count], used, room, score)
            if q >= 0:
                if q >= open_count or room[open_reach[h, q]] <= 0:
                    pods[pod, MISPLACED] += 1
                    q = 0
                    while q < open_count and room[open_reach[h, q]] <= 0:
                        q += 1
                if q < open_count:
                    place = live[h, q]
                    held[s, place] += 1
                    links[h, place] += 1
                    _load(used, room, peak, open_reach[h, q], 1)
                    left -= 1
        if place < 0:
            end = NONE
            if migrate != 0:
                end = _path(h, live, lives, open_reach, device_hosts, device_places, links, room, search, cursor)
            if end < 0:
                break
            left -= _make_room(h, s, left, slots, held, hosts, links, used, room, peak, pods, pod, end, search)
    hosts[h, POOLED] += wanted - left
    if left > 0:
        slots[s, SPILLED] += left
        hosts[h, OVERFLOWN] += left
        pods[pod, OVERFLOW_EVENTS] += 1
        pods[pod, OVERFLOW_SLICES] += left
    return left


@_compiled
def _note_peaks(h, hosts, slice_bytes):
    local = hosts[h, LOCAL_BYTES] + slice_bytes * hosts[h, OVERFLOWN]
    hosts[h, PEAK_UNPOOLED_BYTES] = max(hosts[h, PEAK_UNPOOLED_BYTES], hosts[h, LOCAL_BYTES])
    hosts[h, PEAK_LOCAL_BYTES] = max(hosts[h, PEAK_LOCAL_BYTES], local)
    hosts[h, PEAK_BYTES] = max(hosts[h, PEAK_BYTES], local + slice_bytes * hosts[h, POOLED])
    hosts[h, PEAK_WANTED] = max(hosts[h, PEAK_WANTED], hosts[h, POOLED] + hosts[h, OVERFLOWN])


@_compiled
def _end(s, reach, slice_bytes, memory_bytes, wanted, slots, held, hosts, links, host_pods, used, room, peak, pods, cursor):
    """Free all that the VM in slot ``s`` holds, and the slot."""
    h, v = slots[s, HOST], slots[s, VM]
    for place in range(held.shape[1]):
        count = held[s, place]
        if count > 0:
            held[s, place] = 0
            links[h, place] -= count
            hosts[h, POOLED] -= count
            _load(used, room, peak, reach[h, place], -count)
    hosts[h, OVERFLOWN] -= slots[s, SPILLED]
    hosts[h, LOCAL_BYTES] -= memory_bytes[v]
    if host_pods[h] >= 0:
        hosts[h, LOCAL_BYTES] += wanted[v] * slice_bytes
        pods[host_pods[h], WANTED] -= wanted[v]
    before, after = slots[s, PREVIOUS], slots[s, NEXT]
    if before >= 0:
        slots[before, NEXT] = after
    else:
        hosts[h, FIRST] = after
    if after >= 0:
        slots[after, PREVIOUS] = before
    slots[s, VM], slots[s, NEXT], slots[s, SPILLED] = NONE, cursor[FREE], 0
    cursor[FREE] = s


def _advance(
    edges, vm, host, begins, slice_bytes, memory_bytes, wanted, slot_of, reach, live, lives, open_reach, host_pods, device_hosts,
    device_places, slots, held, hosts, links, used, room, peak, pods, search, cursor, score, migrate, pick, device_series, host_series,
):  # fmt: skip
    """Take the events from edge to edge; the series (if they have rows) say how many slices there are at each edge but the first."""
    for k in range(edges.shape[0] - 1):
        for i in range(edges[k], edges[k + 1]):
            v, h = vm[i], host[i]
            s = slot_of[v]
            if (begins[i] != 0) == (s >= 0) or (s >= 0 and slots[s, HOST] != h):
                cursor[SENSELESS] += 1
                continue
            if s >= 0:
                _end(s, reach, slice_bytes, memory_bytes, wanted, slots, held, hosts, links, host_pods, used, room, peak, pods, cursor)
                slot_of[v] = NONE
                continue
            s = cursor[FREE]
            cursor[FREE] = slots[s, NEXT]
            slot_of[v], first, pod = s, hosts[h, FIRST], host_pods[h]
            slots[s, HOST], slots[s, NEXT], slots[s, PREVIOUS], slots[s, SPILLED], slots[s, VM] = h, first, NONE, 0, v
            if first >= 0:
                slots[first, PREVIOUS] = s
            hosts[h, FIRST] = s
            hosts[h, LOCAL_BYTES] += memory_bytes[v]
            if pod >= 0:
                hosts[h, LOCAL_BYTES] -= wanted[v] * slice_bytes
                pods[pod, WANTED] += wanted[v]
                pods[pod, PEAK_OF_POD] = max(pods[pod, PEAK_OF_POD], pods[pod, WANTED])
                _place(
                    h, s, wanted[v], live, lives, open_reach, host_pods, device_hosts, device_places, slots, held, hosts, links, used,
                    room, peak, pods, search, cursor, score, migrate, pick,
                )  # fmt: skip
            _note_peaks(h, hosts, slice_bytes)
        if k < device_series.shape[0]:
            for d in range(used.shape[0]):
                device_series[k, d] = used[d]
            for h in range(hosts.shape[0]):
                host_series[k, h] = hosts[h, POOLED] + hosts[h, OVERFLOWN]


def _evacuate(
    shut, lost, slice_bytes, reach, live, lives, open_reach, host_pods, device_hosts, device_places, slots, held, hosts, links, used, room,
    peak, pods, search, cursor, score, migrate, pick,
):  # fmt: skip
    """Take slices off the places that are shut, and place them anew once all are off; ``lost`` (H, 2) counts VMs and slices."""
    for h in range(hosts.shape[0]):
        s = hosts[h, FIRST]
        while s >= 0:
            slots[s, LOST] = 0
            for place in range(held.shape[1]):
                if shut[h, place] != 0 and held[s, place] > 0:
                    slots[s, LOST] += held[s, place]
                    links[h, place] -= held[s, place]
                    _load(used, room, peak, reach[h, place], -held[s, place])
                    held[s, place] = 0
            if slots[s, LOST] > 0:
                lost[h, 0] += 1
                lost[h, 1] += slots[s, LOST]
                hosts[h, POOLED] -= slots[s, LOST]
            s = slots[s, NEXT]
    for h in range(hosts.shape[0]):
        s = hosts[h, FIRST]
        while s >= 0:
            if slots[s, LOST] > 0:
                _place(
                    h, s, slots[s, LOST], live, lives, open_reach, host_pods, device_hosts, device_places, slots, held, hosts, links, used,
                    room, peak, pods, search, cursor, score, migrate, pick,
                )  # fmt: skip
            s = slots[s, NEXT]
        _note_peaks(h, hosts, slice_bytes)


_ONE, _TWO = types.int64[::1], types.int64[:, ::1]
_GRAPH = (_TWO, _TWO, _ONE, _TWO, _ONE, _TWO, _TWO)
_STATE = (_TWO, _TWO, _TWO, _TWO, _ONE, _ONE, _ONE, _TWO, _TWO, _ONE)
_RULE = (types.float64[::1], types.int64, PICK_TYPE)


@cache
def advance() -> Callable[..., None]:
    """Return the compiled kernel of events; compiled at the first call and kept on disk.

    It is the entry itself, without numba's look at the types of the arguments: arrays of other types must not be handed over.
    """
    events = (_ONE, _ONE, _ONE, types.uint8[::1], types.int64, _ONE, _ONE, _ONE)
    return _entry(types.void(*events, *_GRAPH, *_STATE, *_RULE, _TWO, _TWO), _advance)


@cache
def evacuate() -> Callable[..., None]:
    """Return the compiled kernel of faults, in the same way."""
    return _entry(types.void(types.uint8[:, ::1], _TWO, types.int64, *_GRAPH, *_STATE, *_RULE), _evacuate)


def _entry(signature: Any, body: Callable[..., None]) -> Callable[..., None]:
    kernel: Any = _njit(signature, **OPTIONS)(body)
    compiled: Callable[..., None] = kernel.get_compile_result(signature).entry_point
    return compiled
