"""Hourly bills: what VMs cost as they were treated, and what took it off."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from twin.clock import HOUR_S
from twin.stack import State
from twin.tables import Sink
from twin.workloads.negotiation.billing import Hour, columns, write
from twin.workloads.negotiation.capacity import Capacity, Pools, holders
from twin.workloads.negotiation.carbon import Draw, drawn_w, regions, watts
from twin.workloads.negotiation.taking import COMPILED
from twin.workloads.negotiation.tenants import Tenants
from twin.workloads.negotiation.treatments import TREATMENTS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
GRID_S: Final = 300.0
LOOK_S: Final = 60.0
# Which VMs had a requirement broken in the hour that ends then, shape V.
Broken = Callable[[float], Bools]
_STANDS, _RUNS, _GRANTED = 1, 2, 2
_TREATMENTS: Final = len(TREATMENTS)
_NO_WHY: Final = np.zeros((0, _TREATMENTS), dtype=np.int16)
# Reasons of a VM lie in whole words of eight bytes, so that a change of any of them shows in few comparisons.
_WHY_WIDTH: Final = -(-len(TREATMENTS) // 4) * 4


@dataclass(frozen=True, slots=True)
class Treated:
    """How the VMs that have a place were treated during a tick, shape N, those included that are away or were moved.

    ``granted`` to ``running`` are in force, ``moved`` marks VMs that run in another region, ``busy_share`` is the load of a VM's
    cores before sizes and clocks. ``why`` (N, T) is the holder's, as in ``OffersAction``. ``carbon_kg_per_kwh`` is the site's.
    """

    vm: Ints
    granted: Ints
    size_share: Floats
    clock_share: Floats
    running: Bools
    moved: Bools
    busy_share: Floats
    why: NDArray[np.signedinteger[Any]] | None
    carbon_kg_per_kwh: float
    pools: Pools


class _Part(NamedTuple):
    """Stretches of time of VMs under one treatment, shape M."""

    vm: Ints
    state: Ints
    hours: Floats
    why: NDArray[np.int16]


class Bills:
    """Bills VMs by the hours that they run under each grant; an hour in which a requirement of theirs was broken is regular.

    An hour while a VM is away is neither billed nor counted at the regular price, so that evictions save nothing. Carbon is
    counted the same way, from loads that are looked at once a minute. Grants count from the second on; the reasons of what is
    not granted are heard every five minutes. Rows of ``bills``, ``vm_bills`` and ``offers`` come hour by hour, those of
    ``vm_capacity`` every five minutes; what is left at the end of a run is a shorter row.

    An hour is billed as a whole when it ends, by a run that goes on from a snapshot within it as well: what was counted before is in
    the snapshot, so that its rows are those of a run that was never interrupted.
    """

    def __init__(self, tenants: Tenants, taken_off: Mapping[str, float]) -> None:
        self._tenants, self._taken_off = tenants, dict(taken_off)
        self._draw, self._watts = Draw(taken_off), watts(tenants.cores, tenants.pool)
        self._away_share = regions()[0].carbon_share
        count = len(tenants)
        self._state, self._since_s = np.zeros(count, dtype=np.int64), np.zeros(count)
        # One more than what the holder says, so that 0 is that it says nothing.
        self._why = np.zeros((count, _WHY_WIDTH), dtype=np.int16)
        # The VMs that stood in the last tick, and in which look each was seen last.
        self._stood, self._looked_at, self._looks = np.zeros(0, dtype=np.int64), np.zeros(count, dtype=np.int64), 0
        # Kilograms by workload: as treated, and as opaque VMs that do the same work.
        self._carbon_kg = np.zeros((2, len(tenants.workload_ids)))
        # The five minutes and the minute in which reasons and loads were looked at last; a snapshot begins new ones.
        self._heard = self._looked = -1.0
        self._parts: list[_Part] = []
        self._rows: dict[str, list[dict[str, NDArray[np.generic]]]] = {}
        self._capacity = Capacity()

    def account(self, from_s: float, until_s: float, treated: Treated, broken: Broken) -> None:
        """Count a tick; where an hour ends in it, ``broken`` is asked and the hour is billed."""
        self._note(from_s, treated)
        self._look(from_s, treated)
        for begin_s, end_s in _pieces(from_s, until_s):
            self._carbon_kg += self._kg_per_s * (end_s - begin_s)
            self._capacity.add(end_s - begin_s, treated.pools, self._held)
            if end_s % GRID_S == 0.0:
                self._capacity.close(end_s)
            if end_s % HOUR_S == 0.0:
                self._bill(end_s, broken)

    def close(self, t_s: float, broken: Broken) -> None:
        """Bill what is left at the end of the run."""
        self._capacity.close(t_s)
        if t_s % HOUR_S:
            self._bill(t_s, broken)

    def _note(self, t_s: float, treated: Treated) -> None:
        """Take note of who is treated otherwise from a time on."""
        vm, why = treated.vm, _NO_WHY if treated.why is None else treated.why
        fresh, self._heard = t_s // GRID_S != self._heard, t_s // GRID_S
        found, at, state = np.empty((3, len(vm) + len(self._stood)), dtype=np.int64)
        self._looks += 1
        noted = (self._state, self._why, self._looked_at, self._looks, fresh)
        count = _noter()(vm, treated.granted, treated.running, why, self._stood, noted, (found, at, state))
        order = np.argsort(found[:count])
        other, at, state = found[order], at[order], state[order]
        self._end(other, t_s)
        self._state[other] = state
        here = at >= 0
        self._why[other[here]] = _packed(treated.why, at[here])
        self._stood = vm

    def _end(self, vm: Ints, t_s: float) -> None:
        """End the stretches of some VMs, and begin new ones."""
        hours = (t_s - self._since_s[vm]) / HOUR_S
        stood = ((self._state[vm] & _STANDS) != 0) & (hours > 0.0)
        ended = vm[stood]
        if len(ended):
            self._parts.append(_Part(ended, self._state[ended], hours[stood], self._why[ended]))
        self._since_s[vm] = t_s

    def _look(self, t_s: float, treated: Treated) -> None:
        """Look at loads and holders: once a minute, for shorter ticks see the same."""
        if t_s // LOOK_S == self._looked:
            return
        self._looked = t_s // LOOK_S
        vm, workloads = treated.vm, len(self._tenants.workload_ids)
        now = (vm, treated.granted, treated.size_share, treated.running, treated.moved)
        self._held = holders(self._tenants, treated.pools, *now)
        draws, alike = self._draw.shares(treated.granted, treated.size_share, treated.clock_share, treated.busy_share)
        if treated.moved.any():
            draws = draws * np.where(treated.moved, self._away_share, 1.0)
        power_w = drawn_w((vm, treated.running, draws, alike), self._watts, self._tenants.workload, workloads)
        self._kg_per_s = power_w / 1000.0 / HOUR_S * treated.carbon_kg_per_kwh

    def _bill(self, t_s: float, broken: Broken) -> None:
        """Make the rows of an hour that has ended."""
        self._end(np.flatnonzero(self._state), t_s)
        if self._parts:
            vm, state, hours, why = (np.concatenate(each) for each in zip(*self._parts, strict=True))
            ran = np.where(state & _RUNS, hours, 0.0)
            hour = Hour(t_s, vm, state >> _GRANTED, hours, ran, why[:, : len(TREATMENTS)].astype(np.int64) - 1, broken(t_s)[vm])
            for table, rows in columns(hour, self._tenants, self._taken_off, self._carbon_kg).items():
                self._rows.setdefault(table, []).append(rows)
        self._parts = []
        self._carbon_kg[:] = 0.0

    # -- what is kept -----------------------------------------------------------

    def write(self, sink: Sink) -> None:
        """Hand over the rows of hours and five minutes that have ended."""
        for table, parts in self._rows.items():
            for rows in parts:
                write(sink, table, rows)
        self._rows = {}
        self._capacity.write(sink)

    def snapshot(self) -> State:
        """Return what is counted and not written yet."""
        return {
            "state": self._state.copy(),
            "since_s": self._since_s.copy(),
            "why": self._why.copy(),
            "carbon_kg": self._carbon_kg.copy(),
            "parts": [{name: value.copy() for name, value in part._asdict().items()} for part in self._parts],
            "rows": {table: [dict(rows) for rows in parts] for table, parts in self._rows.items()},
            "capacity": self._capacity.snapshot(),
        }

    def restore(self, state: State) -> None:
        """Take back a snapshot's state."""
        self._state, self._since_s = np.array(state["state"], dtype=np.int64), np.array(state["since_s"])
        self._why, self._carbon_kg = np.array(state["why"], dtype=np.int16), np.array(state["carbon_kg"])
        self._stood = np.flatnonzero(self._state)
        self._parts = [_Part(*(np.array(part[name]) for name in _Part._fields)) for part in state["parts"]]
        self._rows = {
            table: [{name: np.array(values) for name, values in rows.items()} for rows in parts] for table, parts in state["rows"].items()
        }
        self._capacity.restore(state["capacity"])


def _note(vm: Ints, granted: Ints, running: Bools, why: Any, stood: Ints, noted: Any, changed: Any) -> int:
    """Find VMs that are treated otherwise than noted, or have gone: number, position (-1: gone) and new state; return how many."""
    state, kept, looked_at, look, fresh = noted
    found, at, states = changed
    count, says = 0, len(why) > 0
    for i in range(len(vm)):
        v = vm[i]
        now = (granted[i] << _GRANTED) | (_RUNS | _STANDS if running[i] else _STANDS)
        looked_at[v] = look
        other = now != state[v]
        if fresh and not other:
            for k in range(_TREATMENTS):
                other |= kept[v, k] != (why[i, k] + 1 if says else 0)
        if other:
            found[count], at[count], states[count] = v, i, now
            count += 1
    for v in stood:
        if looked_at[v] != look:
            found[count], at[count], states[count] = v, -1, 0
            count += 1
    return count


@cache
def _noter() -> Any:
    return COMPILED(_note)


def _packed(why: NDArray[np.signedinteger[Any]] | None, seen: Ints) -> NDArray[np.int16]:
    """Return some VMs' reasons one higher and in whole words, shape (M, _WHY_WIDTH): 0 is that a holder says nothing."""
    packed = np.zeros((len(seen), _WHY_WIDTH), dtype=np.int16)
    if why is not None:
        np.add(why[seen], 1, out=packed[:, : len(TREATMENTS)], casting="unsafe")
    return packed


def _pieces(from_s: float, until_s: float) -> Iterator[tuple[float, float]]:
    """Return a tick in pieces that end where five minutes do."""
    begin_s = from_s
    while begin_s < until_s:
        end_s = min(until_s, (begin_s // GRID_S + 1.0) * GRID_S)
        yield begin_s, end_s
        begin_s = end_s
