"""Narrower slots on the same GPUs, where clocks leave a row too little."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from policies.systems.tapas.demand import CLOCKS, Demand
from policies.systems.tapas.knobs import TapasKnobs
from policies.systems.tapas.profiles import BATCHES, Profiles, hotter_c, working_share
from policies.systems.tapas.reconfigure import Allowed
from policies.systems.tapas.thermal import PRIOR
from twin.serving.levers import DRAINING, ON, STARTING, WHOLE, ServingObservation
from twin.stack import State

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
_NONE: Final = -1
# A need is met once it has lasted this many windows, and is over when there is this much more room than it takes.
_WINDOWS: Final = 2
_ROOM: Final = 1.25
_EASED_SHARE: Final = 0.1
# Models whose answers are this good beside the present ones are the same model in another precision.
_SAME_MODEL: Final = 0.95
_SLOTS: Final = ("_wide", "_asked", "_calm_s")


class Widths:
    """Swaps wide slots for narrower ones on the same GPUs, and back.

    A slot whose row leaves it too little at any clock that serves its part of the demand, and in any precision of its model,
    makes way for as many narrower ones as it takes to serve that part within the power that the row leaves; of those the profile
    table's highest goodput is taken (the model is the same, and so is its quality). The GPUs that are left over stand empty. Need
    must last; few turn at once, and only while the others carry the demand: each swap drains one slot and starts another. They
    turn back when their row has had room for the wide ones for a while, or when the endpoint cannot do without them.
    Shapes: I slots.
    """

    def __init__(self, knobs: TapasKnobs) -> None:
        self._knobs = knobs
        self._begin(0)

    def _begin(self, slots: int) -> None:
        # The wide slot that each narrow one stands in for, by its place; -1 for none.
        self._wide = np.full(slots, _NONE, dtype=np.int64)
        self._asked = np.zeros(slots, dtype=np.int64)
        self._calm_s = np.zeros(slots)

    def pending(self, slots: int) -> Bools:
        """Return which wide slots are swapped or about to be, shape I: their models are left alone meanwhile."""
        return self._asked + self._away() > 0 if len(self._wide) == slots else np.zeros(slots, dtype=np.bool_)

    def _away(self) -> Bools:
        away = np.zeros(len(self._wide), dtype=np.bool_)
        away[self._wide[self._wide != _NONE]] = True
        return away

    def narrow(self, seen: ServingObservation, wanted: Bools, allowed: Allowed, demand: Demand, room_w: Floats) -> Bools:
        """Return the slots that are to be on; ``room_w`` is what each slot's row has left within its bound, shape I."""
        if len(self._wide) != len(wanted):
            self._begin(len(wanted))
        # What is no longer wanted below is no longer ours to stand in for.
        self._wide[(self._wide != _NONE) & ~wanted[self._wide]] = _NONE
        for endpoint in range(len(seen.endpoint_ids)):
            # The table knows neither images nor stages of their own.
            plain = (seen.role == WHOLE) & (seen.encode_s == 0.0).all(axis=1)
            members = np.flatnonzero((seen.instance_endpoint == endpoint) & plain)
            away = self._away()[members]
            needs = wanted[members] & allowed.short[members]
            if not demand.known(endpoint) or not (needs | away).any() or len(np.unique(seen.instance_gpus[members])) < 2:
                self._asked[members] = 0
                continue
            self._endpoint(seen, _Choice.of(seen, endpoint, members, away, allowed, demand), needs & ~away, room_w)
        out, swapped = wanted.copy(), self._wide != _NONE
        out[self._away()] = False
        out[swapped] = True
        return out

    def _endpoint(self, seen: ServingObservation, choice: "_Choice", needs: Bools, room_w: Floats) -> None:
        knobs, members = self._knobs, choice.members
        found = {int(at): choice.narrower(int(at), knobs) for at in np.flatnonzero(needs & (seen.state[members] == ON))}
        asked = np.isin(np.arange(len(members)), [at for at, slots in found.items() if len(slots)])
        self._asked[members] = np.where(asked, self._asked[members] + 1, 0)
        places = (choice.serving & (self._wide[members] == _NONE)) | choice.away
        most = max(1, int(knobs.turn_share * int(places.sum())))
        ready = np.flatnonzero(self._asked[members] >= _WINDOWS)[:most]
        for at in ready[: choice.spared(ready)]:
            self._wide[members[found[int(at)]]] = members[at]
            self._asked[members[at]], self._calm_s[members[at]] = 0, 0.0
        self._back(seen, choice, room_w, most)

    def _back(self, seen: ServingObservation, choice: "_Choice", room_w: Floats, most: int) -> None:
        """Give wide slots their GPUs back where their row has had room for them for a while, as far as it has."""
        members, left_w = choice.members, room_w[choice.members].copy()
        rows, turned = seen.instance_row[members], 0
        for at in np.flatnonzero(choice.away):
            instead = np.flatnonzero(self._wide[members] == members[at])
            extra_w = _ROOM * choice.extra_w(int(at), instead)
            roomy = extra_w <= left_w[at] and choice.eased(instead, self._knobs.lowest_clock_share + _EASED_SHARE)
            self._calm_s[members[at]] = self._calm_s[members[at]] + seen.window_s if roomy else 0.0
            hold_s = self._knobs.quality_hold_s if choice.carried else _WINDOWS * seen.window_s
            # Where the others cannot do without, one at a time must be enough.
            able = choice.spared(instead) == len(instead) or (choice.settled and not turned)
            if self._calm_s[members[at]] > hold_s and turned < most and able:
                self._wide[members[instead]] = _NONE
                left_w[rows == rows[at]] -= extra_w
                turned += 1

    def snapshot(self) -> State:
        """Return what the next decision depends on."""
        return {name.lstrip("_"): getattr(self, name).copy() for name in _SLOTS}

    def restore(self, state: State) -> None:
        """Take back a snapshot."""
        for name in _SLOTS:
            setattr(self, name, np.array(state[name.lstrip("_")]))


@dataclass(frozen=True, slots=True)
class _Choice:
    """The slots of one endpoint in one window, of every width (n), and the profile table at CLOCKS.

    ``part_per_s`` is what each would carry if the demand were divided by what those that serve can do; ``per_s`` is the demand
    as it is, ``carried`` whether it is served at full clock with room to spare. ``on`` are those that take requests now, ``settled``
    is whether none is on its way.
    """

    members: Ints
    first_gpu: Ints
    away: Bools
    serving: Bools
    on: Bools
    settled: bool
    variant: Ints
    limit: Ints
    clock_at: Ints
    allowed_w: Floats
    allowed_c: Floats
    unmet: Bools
    clock_share: Floats
    per_s: float
    part_per_s: Floats
    carried: bool
    table: Profiles

    @classmethod
    def of(cls, seen: ServingObservation, endpoint: int, members: Ints, away: Bools, allowed: Allowed, demand: Demand) -> "_Choice":
        quality = seen.variant_quality_share[endpoint]
        limit = np.maximum(np.searchsorted(BATCHES, seen.configured_max_batch[members], side="right") - 1, 0)
        latency = seen.variant_latency[: len(quality), members]
        gpus, tdp_w = seen.instance_gpus[members], seen.gpu_tdp_w[members]
        table = Profiles.of(latency, quality, tdp_w, demand.mix(seen, endpoint), CLOCKS, allowed.rise[members], gpus)
        serving = np.isin(seen.state[members], (ON, STARTING)) & allowed.asked[members] & ~away
        clock = np.minimum(allowed.clock_share[members], np.maximum(seen.speed_share[members], CLOCKS[0]))
        variant, each = seen.variant[members], np.arange(len(members))
        full = table.goodput_per_s[variant, -1, limit, each]
        per_s = demand.now_per_s(seen, endpoint) + float(seen.queued[members].sum()) / seen.window_s
        return cls(
            members=members,
            first_gpu=seen.instance_first_gpu[members],
            away=away,
            serving=serving,
            on=serving & (seen.state[members] == ON),
            settled=not np.isin(seen.state[members], (STARTING, DRAINING)).any(),
            variant=variant,
            limit=limit,
            clock_at=np.maximum(np.searchsorted(CLOCKS, clock + 1e-9, side="right") - 1, 0),
            allowed_w=allowed.gpu_w[members],
            allowed_c=allowed.rise_c[members],
            unmet=allowed.unmet[members],
            clock_share=allowed.clock_share[members],
            per_s=per_s,
            part_per_s=per_s * full / max(float(full[serving].sum()), 1e-9),
            carried=bool(full[serving].sum() >= _ROOM * per_s),
            table=table,
        )

    def narrower(self, at: int, knobs: TapasKnobs) -> Ints:
        """Return the slots to turn on instead of a wide one, none where it can stay or nothing narrower would do."""
        none = np.zeros(0, dtype=np.int64)
        own, needed = int(self.variant[at]), self.part_per_s[at] * (1.0 + knobs.goodput_headroom_share)
        quality = np.nan_to_num(self.table.quality_share)
        alike = np.flatnonzero(quality >= _SAME_MODEL * quality[own])
        clocks = knobs.lowest_clock_share - 1e-9 <= CLOCKS
        # Clocks and precision come first.
        if any(self._goodput(np.array([at]), int(each), needed, at)[clocks].any() for each in alike):
            return none
        best, most = none, 0.0
        for slots in self._offers(at):
            # Power is needed now, and clocks of few GPUs may stay where they are.
            goodput = float(self._goodput(slots, own, needed, at)[clocks].max())
            if goodput > most + 1e-9:
                best, most = slots, goodput
        return best

    def _offers(self, at: int) -> Iterator[Ints]:
        """Yield sets of narrower slots on the GPUs of a wide one, the fewest GPUs first, which leave at least one of them free."""
        gpus = self.table.gpus
        end = self.first_gpu + gpus
        inside = (self.first_gpu >= self.first_gpu[at]) & (end <= end[at]) & (gpus < gpus[at])
        for width in np.unique(gpus[inside]):
            slots = np.flatnonzero(inside & (gpus == width))
            for count in range(1, len(slots) + 1):
                if count * width < gpus[at]:
                    yield slots[:count]

    def _goodput(self, slots: Ints, variant: int, needed_per_s: float, at: int) -> Floats:
        """Return what slots on the GPUs of ``at`` finish at each clock, zero where that is too little, too hot or too much power."""
        full = self.table.goodput_per_s[variant][:, self.limit[slots], slots].sum(axis=1)
        fits = self.place_w(slots, variant, needed_per_s, at) <= self.allowed_w[at] * self.table.gpus[at]
        # Narrow slots that never ran are known by what was learned of the wide one, and stand hotter than it.
        share = self._drawn_w(slots, variant, needed_per_s).max(axis=1) / self.table.tdp_w[at]
        learned = (self.table.rise_line[slots] != np.array(PRIOR)).any(axis=1).all()
        line = self.table.rise_line[slots].max(axis=0) if learned else self.table.rise_line[at]
        extra_c = 0.0 if learned else hotter_c(self._working(slots, at))
        cool = line[0] + line[1] * share + extra_c <= self.allowed_c[at]
        return np.asarray(np.where((full >= needed_per_s) & fits & cool, full, 0.0))

    def _working(self, slots: Ints, at: int) -> float:
        return float(self.table.gpus[slots].sum() / self.table.gpus[at])

    def _drawn_w(self, slots: Ints, variant: int, per_s: float) -> Floats:
        """Return what a GPU of each slot draws at each clock while they share this demand, F x slots."""
        goodput, gpu_w = (each[variant][:, self.limit[slots], slots] for each in (self.table.goodput_per_s, self.table.gpu_w))
        used = np.minimum(per_s / np.maximum(goodput.sum(axis=1), 1e-9), 1.0)[:, None]
        return np.asarray(self.table.idle_w[slots] + used * (gpu_w - self.table.idle_w[slots]))

    def place_w(self, slots: Ints, variant: int, per_s: float, at: int) -> Floats:
        """Return what all GPUs of a wide slot draw at each clock while ``slots`` on them serve this demand, shape F.

        By the plant's power model, and by the assumed share of servers on which fewer GPUs work where that is more.
        """
        gpus, wide = self.table.gpus, self.table.gpus[at]
        drawn = (self._drawn_w(slots, variant, per_s) * gpus[slots]).sum(axis=1)
        modelled = drawn + (wide - gpus[slots].sum()) * self.table.empty_w[at]
        used = np.minimum(per_s / np.maximum(self.table.goodput_per_s[variant][:, self.limit[slots], slots].sum(axis=1), 1e-9), 1.0)
        full_w = wide * (self.table.idle_w[at] + used * (self.table.gpu_w[variant, :, self.limit[at], at] - self.table.idle_w[at]))
        return np.asarray(np.maximum(modelled, working_share(self._working(slots, at)) * full_w))

    def extra_w(self, at: int, instead: Ints) -> float:
        """Return how much more a wide slot would draw at full clock for what is asked of those that stand in for it."""
        per_s = float(self.part_per_s[instead].sum())
        wide = float(self.place_w(np.array([at]), int(self.variant[at]), per_s, at)[-1])
        narrow = self.place_w(instead, int(self.variant[at]), per_s, at)
        return max(wide - float(narrow[int(self.clock_at[instead].min())]), 0.0)

    def eased(self, slots: Ints, clock_share: float) -> bool:
        """Return whether slots run above a clock and nothing asks for less."""
        return bool((~self.unmet[slots] & (self.clock_share[slots] > clock_share)).all())

    def spared(self, at: Ints) -> int:
        """Return how many of these the others can do without meanwhile, at the clocks in force."""
        each = np.arange(len(self.members))
        now = np.where(self.on, self.table.goodput_per_s[self.variant, self.clock_at, self.limit, each], 0.0)
        return int((now.sum() - np.cumsum(now[at]) >= self.per_s).sum())
