"""What workloads say: with deployments, of single VMs, while they run."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twin.chance import stream
from twin.clock import HOUR_S
from twin.workloads.negotiation import hint, keys
from twin.workloads.negotiation.classes import Classes, Levels
from twin.workloads.negotiation.hint import AGENT, TEMPLATE, Hints
from twin.workloads.negotiation.ordering import in_order
from twin.workloads.negotiation.settings import Settings, Tenant
from twin.workloads.negotiation.tenants import Tenants

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
DEPLOYMENT, VM = keys.SCOPES.index("deployment"), keys.SCOPES.index("vm")
# Columns of marks: which part of a workload a partial hint of each covers, and how much its owner values a VM.
_STATELESS, _AVAILABILITY, _PREEMPTION, _REGION, _VALUED = range(5)
_NINES: Final = (4.0, 3.0, 2.0)
# A VM that may be evicted needs no more nines than this itself.
_EVICTED_NINES: Final = 2.0
_RELAXED_DEPLOY_S: Final = 600.0
_TOLERATED_S: Final = 3600.0
# What VMs say while they run is drawn window by window for so many VMs at a time, about so many hints at most.
_BLOCK: Final = 4096
_WINDOWS_S: Final = (300.0, 60.0, 10.0)
_MOST_PER_VM: Final = 2.0
_WANDERS: Final = 20.0
_MARKS: Final = 4
_Said = tuple[str, Bools, float]


class Saying:
    """Every hint that comes from the workloads' own side, and would come under any policy. It keeps no state.

    A deployment's template says what holds for all of its VMs; where only a part of them can do with less, the template says the
    conservative value and these VMs say the other one for themselves. What a scenario's ``hints`` say of a key replaces both; a level
    that is *partial* there covers the same part of the VMs as that of a class. While it runs, a VM says now and then how much it
    is worth to its owner (``vm_priority``), around a level of its own; times and levels are drawn by windows of time.
    """

    def __init__(self, tenants: Tenants, settings: Settings, classes: Classes, horizon_s: float, seed: int) -> None:
        self._tenants, self._horizon_s, self._seed, self._per_h = tenants, horizon_s, seed, settings.hints_per_h
        self._window_s = next((w for w in _WINDOWS_S if self._per_h * w / HOUR_S <= _MOST_PER_VM), _WINDOWS_S[-1])
        self._windows: dict[int, tuple[Floats, Ints, Floats]] = {}
        levels = [classes[tenant.workload_class].levels for tenant in settings.tenants]
        self._templates = [_template(each, tenant, settings.partial_share) for each, tenant in zip(levels, settings.tenants, strict=True)]
        self._own = {
            name: np.full(len(tenants), np.nan) for name in ("stateless", "availability_nines", "preemptible", "region_independence")
        }
        for index, (each, tenant) in enumerate(zip(levels, settings.tenants, strict=True)):
            mine = np.flatnonzero(tenants.workload == index)
            for name, covered, value in _of_vms(each, tenant, settings.partial_share, tenants.marks[mine]):
                self._own[name][mine[covered]] = value
        said = np.array(["vm_priority" in tenant.hints.values() for tenant in settings.tenants] + [True], dtype=np.bool_)
        self._speaks = ~said[tenants.workload]
        self._blocks = _blocks(tenants.pool)

    def templates(self) -> Hints:
        """Return what deployments say at the start of the run: hints of that scope, a deployment's in the order of the keys."""
        owner = self._tenants.deployment_workload.tolist()
        rows = [(number, keys.INDEX[name], value) for number, of in enumerate(owner) for name, value in self._templates[of].items()]
        rows.sort(key=lambda row: row[:2])
        of, key = (np.array([row[column] for row in rows], dtype=np.int64) for column in (0, 1))
        return _said(0.0, DEPLOYMENT, of, key, np.array([row[2] for row in rows], dtype=np.float64), TEMPLATE)

    def born(self, vm: Ints, t_s: float) -> Hints:
        """Return what VMs that get a place at a time say of themselves: only what is otherwise than their deployment says."""
        parts = [(keys.INDEX[name], vm[~np.isnan(values[vm])], values) for name, values in self._own.items()]
        key = np.concatenate([np.full(len(of), index, dtype=np.int64) for index, of, _ in parts])
        value = np.concatenate([values[of] for _, of, values in parts])
        return _said(t_s, VM, np.concatenate([of for _, of, _ in parts]), key, value, TEMPLATE)

    def runtime(self, from_s: float, to_s: float, standing: Bools) -> Hints:
        """Return what VMs that stand (shape V) say from one time (included) to another (excluded)."""
        parts = []
        for t_s, vm, value in self._between(from_s, to_s):
            speaks = standing[vm]
            of = vm[speaks]
            parts.append(_said(t_s[speaks], VM, of, np.full(len(of), keys.INDEX["vm_priority"], dtype=np.int64), value[speaks], AGENT))
        return hint.joined(parts)

    def _between(self, from_s: float, to_s: float) -> Iterator[tuple[Floats, Ints, Floats]]:
        """Yield times, VMs and values of the windows that a time reaches into."""
        to_s = min(to_s, self._horizon_s)
        if not self._per_h or to_s <= from_s:
            return
        first, last = int(from_s // self._window_s), int(np.ceil(to_s / self._window_s))
        # What lies behind is not asked for again.
        self._windows = {window: drawn for window, drawn in self._windows.items() if window >= first}
        for window in range(first, last):
            if window not in self._windows:
                self._windows[window] = self._drawn(window)
            t_s, vm, value = self._windows[window]
            part = slice(*np.searchsorted(t_s, (from_s, to_s)).tolist())
            yield t_s[part], vm[part], value[part]

    def _drawn(self, window: int) -> tuple[Floats, Ints, Floats]:
        """Draw one window for VMs by the block, so that those of a longer run leave the others' draws as they are.

        Blocks and VMs that say nothing then are left out: they have not come yet, have gone, or never speak.
        """
        tenants, parts = self._tenants, []
        mean = _BLOCK * self._per_h * self._window_s / HOUR_S
        for pool, block, mine in self._blocks:
            if tenants.arrive_s[mine].min() >= (window + 1) * self._window_s or tenants.end_s[mine].max() <= window * self._window_s:
                continue
            random = stream(self._seed, "workloads", "hints", str(window), str(pool), str(block))
            count = int(random.poisson(mean))
            nth = random.integers(0, _BLOCK, count)
            t_s, level = (window + random.random(count)) * self._window_s, random.random(count)
            there = np.flatnonzero(nth < len(mine))
            vm, at_s = mine[nth[there]], t_s[there]
            said = self._speaks[vm] & (tenants.arrive_s[vm] <= at_s) & (at_s < tenants.end_s[vm])
            parts.append((at_s[said], vm[said], level[there[said]]))
        t_s, level = (np.concatenate([np.zeros(0), *(part[column] for part in parts)]) for column in (0, 2))
        vm = np.concatenate([np.zeros(0, dtype=np.int64), *(part[1] for part in parts)])
        order = in_order(t_s)
        value = np.clip(np.rint(100.0 * tenants.marks[vm, _VALUED] + _WANDERS * (2.0 * level - 1.0)), 0.0, 100.0)
        return t_s[order], vm[order], value[order]


def _blocks(pool: Ints) -> list[tuple[int, int, Ints]]:
    """Return pool, number and VMs of each block of VMs of a pool."""
    by_pool = [(each, np.flatnonzero(pool == each)) for each in np.unique(pool).tolist()]
    return [(each, at // _BLOCK, mine[at : at + _BLOCK]) for each, mine in by_pool for at in range(0, len(mine), _BLOCK)]


def _said(t_s: float | Floats, scope: int, of: Ints, key: Ints, value: Floats, sayer: int) -> Hints:
    shape = len(of)
    times = np.full(shape, t_s, dtype=np.float64)
    return Hints(times, np.full(shape, scope, dtype=np.int64), of, key, value, np.full(shape, sayer, dtype=np.int64))


def _with(levels: Levels, tenant: Tenant) -> tuple[Levels, dict[str, float]]:
    """Return a class's levels with those levels that the scenario says, and what else it says, by key."""
    said = tenant.hints.values()
    changed = {
        level: int(said.pop(name)) for name, level in (("stateless", "stateless"), ("region_independence", "region")) if name in said
    }
    return levels.model_copy(update=changed), said


def handed(levels: Levels, tenant: Tenant, partial_share: float) -> list[tuple[str, float, float]]:
    """Return what a workload's owner says: key, value, and the share of VMs that it is said of; 1 is the deployment's own template.

    Of what is said of one key the later one holds; partial hints of different kinds cover different VMs.
    """
    both = np.stack([np.zeros(_MARKS), np.ones(_MARKS)])
    own = _of_vms(levels, tenant, min(partial_share, 1.0), both) if partial_share else []
    parts = [(name, value, 1.0 if covered.all() else partial_share) for name, covered, value in own]
    return [*((name, value, 1.0) for name, value in _template(levels, tenant, partial_share).items()), *parts]


def _template(levels: Levels, tenant: Tenant, partial_share: float) -> dict[str, float]:
    """Return what a deployment says for all of its VMs, by key."""
    now, said = _with(levels, tenant)
    hints = {"deploy_time_s": _RELAXED_DEPLOY_S if levels.deploy else keys.STRICT_DEPLOY_S}
    hints["availability_nines"] = _NINES[2] if levels.availability == 2 else _NINES[0]
    for level, name in ((now.stateless, "stateless"), (now.region, "region_independence")):
        hints |= {name: keys.FULL} if level == keys.FULL else {}
    hints |= {"scale_out_in": 1.0, "scale_up_down": 1.0} if levels.stateless else {}
    hints |= {"preemptibility_share": 1.0 if levels.preemption == 2 else partial_share} if levels.preemption else {}
    hints |= {"preemptible": 1.0} if levels.preemption == 2 else {}
    hints |= {"delay_tolerance_s": _TOLERATED_S} if levels.delay else {}
    return {**hints, **said}


def _of_vms(levels: Levels, tenant: Tenant, partial_share: float, marks: Floats) -> list[_Said]:
    """Return what part of the VMs (shape N, as their marks) say for themselves: key, which of them, value; the later one holds."""
    now, said = _with(levels, tenant)
    every = np.ones(len(marks), dtype=np.bool_)
    part = marks[:, :_MARKS] < partial_share
    own: list[_Said] = [
        (name, part[:, column], keys.FULL)
        for name, level, column in (("stateless", now.stateless, _STATELESS), ("region_independence", now.region, _REGION))
        if level == keys.PARTIAL
    ]
    if levels.availability == 1:
        own.append(("availability_nines", part[:, _AVAILABILITY], _NINES[1]))
    if levels.preemption and "preemptible" not in said:
        evicted = part[:, _PREEMPTION] if levels.preemption == 1 else every
        own += [("preemptible", evicted, 1.0)] if levels.preemption == 1 else []
        own += [("availability_nines", evicted, _EVICTED_NINES)] if levels.availability < 2 else []
    return [each for each in own if each[0] not in said]
