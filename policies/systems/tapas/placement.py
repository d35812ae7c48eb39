"""Where a new VM goes: what air and power will bear, then what is cool."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from policies.systems.tapas.history import ServerHistory, per_server
from policies.systems.tapas.knobs import TapasKnobs
from policies.systems.tapas.templates import Templates, hours_ahead
from twin.workloads.levers import HOURS_OF_WEEK, PlacementObservation, VmAsked

Floats = NDArray[np.float64]
Hourly = NDArray[np.float32]
Ints = NDArray[np.int64]
_HARMLESS = 1e-9
# What passes the validators ranks above all that does not, whatever the preferences say.
_PASSES = 1e3


@dataclass(frozen=True, slots=True)
class _Known:
    """What does not change during a run. Shapes: S servers, W workloads, R rows, A aisles; lists hold the servers of each."""

    history: ServerHistory
    templates: Templates
    peak: Hourly  # W x 168
    server_gpus: Ints
    row_servers: tuple[Ints, ...]
    aisle_servers: tuple[Ints, ...]
    inlet_c: Floats  # at the hottest hour and the highest load of the past
    kind: Ints  # servers with the same row, aisle and coefficients, S

    @classmethod
    def of(cls, seen: PlacementObservation, knobs: TapasKnobs) -> "_Known":
        history = ServerHistory.of(seen.past_plant(), seen.plant)
        templates = Templates.of(seen.past_vms(), knobs.doubt_share)
        marks = np.column_stack([seen.server_rows, seen.server_aisles, history.power_w, history.airflow_m3_per_s])
        return cls(
            history=history,
            templates=templates,
            peak=templates.peak_share.astype(np.float32),
            server_gpus=np.full(len(seen.gpus_free), history.gpu.shape[1], dtype=np.int64),
            row_servers=_members(seen.server_rows, len(seen.plant.row_budget_w)),
            aisle_servers=_members(seen.server_aisles, len(seen.plant.aisle_supply_m3_per_s)),
            inlet_c=history.inlet_c(history.hottest_outside_c, history.highest_load_share),
            kind=np.asarray(np.unique(marks, axis=0, return_inverse=True)[1].reshape(-1)),
        )


class Placement:
    """Ranks servers for a VM by predicted peaks, as TAPAS's allocator does: validators first, preferences among what passes.

    Validators: at every hour that the VM may see, the airflow of its aisle and the power of its row, summed over the
    templates of the VMs that are there, stay within what there is. Preferences: rows and aisles with little of the VM's own
    kind (opaque or managed), rows with much power left, cool servers for hot VMs and warm ones for the others, and the fewest
    free GPUs left. Where nothing passes, the least predicted excess ranks highest.

    It remembers nothing that its observation does not say again: sums by hour are kept as long as VMs stay where they are.
    """

    def __init__(self, knobs: TapasKnobs) -> None:
        self._knobs = knobs
        self._known: _Known | None = None
        self._counts = np.zeros((0, 0), dtype=np.float32)

    def rank(self, seen: PlacementObservation, asked: VmAsked) -> Floats:
        """Return how good each server is, shape S; minus infinity where the VM does not fit."""
        if self._known is None or len(self._known.kind) != len(seen.gpus_free):
            self._known, self._counts = _Known.of(seen, self._knobs), np.zeros((0, 0), dtype=np.float32)
        known = self._known
        self._add_up(seen, known)
        rank = np.full(len(seen.gpus_free), -np.inf)
        able = np.flatnonzero(seen.gpus_free >= asked.gpus)
        if not len(able):
            return rank
        excess, filled = self._predicted(seen, known, asked, able)
        liking = self._liking(seen, known, asked, able) - self._knobs.row_weight * filled
        failing = -np.inf if self._knobs.refuse else liking - _PASSES * (1.0 + excess)
        rank[able] = np.where(excess <= _HARMLESS, liking, failing)
        return rank

    # -- sums by hour ----------------------------------------------------------

    def _add_up(self, seen: PlacementObservation, known: _Known) -> None:
        """Sum predicted peaks over the VMs of each row and aisle, where any came or went since the last time."""
        servers, workloads = len(seen.gpus_free), len(known.peak)
        at = seen.vm_server * workloads + seen.vm_workload
        counts = np.bincount(at, weights=seen.vm_gpus, minlength=servers * workloads).reshape(servers, workloads).astype(np.float32)
        if self._counts.shape != counts.shape:
            self._begin(known, servers)
            changed = np.arange(servers)
        else:
            changed = np.flatnonzero((counts != self._counts).any(axis=1))
        self._counts = counts
        if not len(changed):
            return
        load = (counts[changed] / known.server_gpus[changed, None].astype(np.float32)) @ known.peak
        power, air = (k[changed].astype(np.float32)[:, :, None] for k in (known.history.power_w, known.history.airflow_m3_per_s))
        self._load[changed] = load
        self._power_w[changed] = power[:, 0] + load * (power[:, 1] + load * power[:, 2])
        self._air[changed] = air[:, 0] + air[:, 1] * load
        # Whole sums, never differences: they must not depend on what came before.
        for row in np.unique(seen.server_rows[changed]):
            self._row_w[row] = self._power_w[known.row_servers[row]].sum(axis=0)
        for aisle in np.unique(seen.server_aisles[changed]):
            self._aisle_air[aisle] = self._air[known.aisle_servers[aisle]].sum(axis=0)

    def _begin(self, known: _Known, servers: int) -> None:
        self._load, self._power_w, self._air = (np.zeros((servers, HOURS_OF_WEEK), dtype=np.float32) for _ in range(3))
        self._row_w = np.zeros((len(known.row_servers), HOURS_OF_WEEK), dtype=np.float32)
        self._aisle_air = np.zeros((len(known.aisle_servers), HOURS_OF_WEEK), dtype=np.float32)

    # -- validators --------------------------------------------------------------

    def _predicted(self, seen: PlacementObservation, known: _Known, asked: VmAsked, able: Ints) -> tuple[Floats, Floats]:
        """Return by how much (as a share) the worse of row and aisle would be over, and how full the row, shape of ``able``."""
        # Empty servers of one kind answer alike: one of each is enough.
        empty = ~self._counts[able].any(axis=1)
        key = np.where(empty, known.kind[able], known.kind.max() + 1 + able)
        _, first, back = np.unique(key, return_index=True, return_inverse=True)
        chosen, hours = able[first], hours_ahead(seen.hour_of_week, self._knobs.placement_hours)
        # A whole week is taken as it lies: copies of parts cost more than they spare.
        part = slice(None) if len(hours) == HOURS_OF_WEEK else hours
        added = known.peak[asked.workload, part] * np.float32(asked.gpus / known.server_gpus[0])
        keep = 1.0 - self._knobs.placement_margin_share
        power = known.history.power_w[chosen].astype(np.float32)
        more_w = (power[:, 1:2] + power[:, 2:3] * (added + 2.0 * self._load[chosen][:, part])) * added
        more_w += self._row_w[seen.server_rows[chosen]][:, part]
        row = more_w.max(axis=1) / (keep * seen.plant.row_budget_w[seen.server_rows[chosen]])
        slope = known.history.airflow_m3_per_s[chosen, 1].astype(np.float32)
        aisles = seen.server_aisles[chosen]
        pairs, which = np.unique(np.column_stack([aisles, slope]), axis=0, return_inverse=True)
        flow = [(self._aisle_air[int(aisle), part] + each * added).max() for aisle, each in pairs]
        aisle = np.array(flow)[which.reshape(-1)] / np.maximum(keep * seen.plant.aisle_supply_m3_per_s[aisles], _HARMLESS)
        over = np.maximum(np.maximum(row, aisle) - 1.0, 0.0)
        back = back.reshape(-1)
        return np.asarray(over[back], dtype=np.float64), np.asarray(row[back], dtype=np.float64)

    # -- preferences -------------------------------------------------------------

    def _liking(self, seen: PlacementObservation, known: _Known, asked: VmAsked, able: Ints) -> Floats:
        knobs = self._knobs
        alike = seen.vm_opaque == asked.opaque
        there = np.bincount(seen.vm_server[alike], weights=seen.vm_gpus[alike], minlength=len(seen.gpus_free))
        mix = np.zeros(len(able))
        for place, count in ((seen.server_rows, len(known.row_servers)), (seen.server_aisles, len(known.aisle_servers))):
            size = np.bincount(place, weights=known.server_gpus, minlength=count)
            mix += (np.bincount(place, weights=there, minlength=count) / np.maximum(size, 1.0))[place[able]]
        hot = self._heat_of(known, asked.workload)
        cool = _places(self._room_c(seen, known, asked))[able]
        left = (seen.gpus_free[able] - asked.gpus) / known.server_gpus[able]
        return np.asarray(-knobs.mix_weight * 0.5 * mix + knobs.heat_weight * (2.0 * hot - 1.0) * cool - knobs.fit_weight * left)

    def _heat_of(self, known: _Known, workload: int) -> float:
        """Return the place of a workload's peak among all, 0 the calmest and 1 the hottest."""
        highest = known.templates.peak_share.max(axis=1)
        below, equal = (highest < highest[workload]).sum(), (highest == highest[workload]).sum()
        return float((below + 0.5 * (equal - 1)) / max(len(highest) - 1, 1)) if len(highest) > 1 else 1.0

    def _room_c(self, seen: PlacementObservation, known: _Known, asked: VmAsked) -> Floats:
        """Return how far below its limit the hottest GPU of each server would stay at the VM's peak, shape S."""
        hours = hours_ahead(seen.hour_of_week, self._knobs.placement_hours)
        share = known.history.idle_share + known.templates.highest_share(asked.workload, hours)
        hottest_c = known.history.hottest_gpu_c(known.inlet_c, share * per_server(seen.plant.gpu_tdp_w, len(share)))
        return np.asarray(per_server(seen.plant.gpu_limit_c, len(share)) - hottest_c)


def _members(of: Ints, count: int) -> tuple[Ints, ...]:
    return tuple(np.flatnonzero(of == index) for index in range(count))


def _places(values: Floats) -> Floats:
    """Return the place of each value in their order, from 0 for the lowest to 1."""
    places = np.empty(len(values))
    places[np.argsort(values, kind="stable")] = np.arange(len(values))
    return places / max(len(values) - 1, 1)
