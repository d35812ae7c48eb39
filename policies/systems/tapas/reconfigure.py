"""What clocks cannot do alone: smaller batches, then other models."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from policies.systems.tapas.demand import Demand
from policies.systems.tapas.knobs import TapasKnobs
from policies.systems.tapas.profiles import BATCHES, Mix, Profiles
from twin.serving.levers import BATCH_HIGH, CLOCK_LOW, OFF, ON, STARTING, ConfigAction, ServingObservation
from twin.stack import State

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
_OWN: Final = -1
# An emergency is met once it has lasted this many windows, and ends when it would stay ended with this much more to do.
_WINDOWS: Final = 2
_ROOM: Final = 1.25
_EASED_SHARE: Final = 0.1
# Batches are limited to what carries a sudden peak of this much: the next window comes late for a queue.
_BATCH_ROOM: Final = 3.0
# Another model must carry this much more to be worth a reload.
_WORTH_IT: Final = 1.1
_INSTANCES: Final = ("_variant", "_base", "_batch", "_asked", "_calm_s")


@dataclass(frozen=True, slots=True)
class Allowed:
    """What the bounds leave, shape I: the clock in force, watts per GPU for the row's sake, C above the inlet; whether even the
    lowest clock takes more, for the sake of heat or row (``unmet``) or of the row (``short``); whom routing asks; and what is
    known of heat (``rise``, I x 2, see Profiles).
    """

    clock_share: Floats
    gpu_w: Floats
    rise_c: Floats
    unmet: Bools
    short: Bools
    asked: Bools
    rise: Floats


class Reconfiguration:
    """Chooses points of the profile table where the bounds leave an endpoint too little.

    Clocks come first and are set elsewhere. Where the lowest is not low enough for a row's power, batches are limited at once
    to what full instances may draw, as far as the demand is carried (heat does not ask for it: the hottest is a burst of
    prompts, whatever the batch). If need lasts, models of the endpoint's list take over: of those whose power fits and that
    carry the demand the best answers, else the highest goodput times quality. Where clocks are low enough but the endpoint
    cannot carry its demand at them within its objectives, just as many instances change as it takes, those with the most to
    gain first. What was changed is changed back when the plain setting has been enough, with room to spare, for a while: every
    change drains an instance and loads weights.
    Shapes: I instances, E endpoints.
    """

    def __init__(self, knobs: TapasKnobs, endpoints: int) -> None:
        self._knobs = knobs
        self.demand = Demand(endpoints)
        self._begin(0)

    def _begin(self, instances: int) -> None:
        self._variant = np.full(instances, _OWN, dtype=np.int64)
        self._base = np.full(instances, _OWN, dtype=np.int64)
        self._batch = np.full(instances, BATCH_HIGH, dtype=np.int64)
        self._asked = np.zeros(instances, dtype=np.int64)
        self._calm_s = np.zeros(instances)

    def narrow(self, seen: ServingObservation, action: ConfigAction, allowed: Allowed, pending: Bools | None = None) -> ConfigAction:
        """Return the action with the clocks that are allowed, and batches and models where those are not enough.

        Those that are ``pending`` (shape I) change their width first and keep their models meanwhile.
        """
        if len(self._variant) != len(seen.state):
            self._begin(len(seen.state))
        below = seen.variant if action.variant is None else action.variant
        self._decide(seen, below, allowed, np.zeros(len(below), dtype=np.bool_) if pending is None else pending)
        variant = np.where(self._variant != _OWN, self._variant, np.where(self._base != _OWN, self._base, below))
        clock = np.minimum(action.clock_share, allowed.clock_share)
        same = action.variant is None and bool((variant == seen.variant).all())
        return ConfigAction(clock, np.minimum(action.max_batch, self._batch), None if same else variant)

    # -- each window -----------------------------------------------------------

    def _decide(self, seen: ServingObservation, below: Ints, allowed: Allowed, pending: Bools) -> None:
        changed = self._variant != _OWN
        # Who holds the lever below sees what is loaded and leaves it: what was there before is remembered until it is back.
        self._base = np.where(changed & (below != seen.variant) & (below != self._variant), below, self._base)
        self._base[~changed & (seen.variant == self._base)] = _OWN
        self._batch[:] = BATCH_HIGH
        if seen.t_s <= 0.0:
            return
        self.demand.learn(seen)
        bound = (allowed.clock_share < 1.0) | allowed.unmet
        for endpoint in range(len(seen.endpoint_ids)):
            members = np.flatnonzero((seen.instance_endpoint == endpoint) & (seen.state != OFF))
            if (bound[members] | changed[members]).any() and self.demand.known(endpoint):
                now = np.where(self._base[members] != _OWN, self._base[members], below[members])
                task = _Task.of(seen, endpoint, members, now, allowed, self.demand.mix(seen, endpoint))
                self._endpoint(seen, task, pending[members])
            else:
                self._asked[members] = 0

    def _endpoint(self, seen: ServingObservation, task: "_Task", pending: Bools) -> None:
        """Change instances of one endpoint that have needed it for long enough, and back those that no longer do."""
        knobs, members = self._knobs, task.members
        per_s = self.demand.now_per_s(seen, task.endpoint) + float(seen.queued[members].sum()) / seen.window_s
        changed = self._variant[members] != _OWN
        variant, batch = task.plan(per_s * (1.0 + knobs.goodput_headroom_share), changed, knobs)
        needed, _ = task.plan(per_s * (1.0 + knobs.goodput_headroom_share) * _ROOM, changed, knobs)
        # While clocks are still near the lowest the emergency goes on: the plain setting would only bring it back.
        eased = ~task.unmet & (task.table.clock_share[0] > knobs.lowest_clock_share + _EASED_SHARE)
        self._batch[members] = np.where(changed, BATCH_HIGH, batch)
        self._asked[members] = np.where((variant != _OWN) & ~changed & ~pending, self._asked[members] + 1, 0)
        self._calm_s[members] = np.where(changed & (needed == _OWN) & eased, self._calm_s[members] + seen.window_s, 0.0)
        most = max(1, int(knobs.turn_share * len(members)))
        asked = np.flatnonzero(self._asked[members] >= _WINDOWS)[:most]
        for at in asked[: task.spared(asked, per_s)]:
            if self._base[members[at]] == _OWN:
                self._base[members[at]] = task.now[at]
            self._variant[members[at]] = variant[at]
        over = np.flatnonzero(self._calm_s[members] > knobs.quality_hold_s)[:most]
        self._variant[members[over]] = _OWN
        self._calm_s[members[over]] = 0.0

    # -- memory ------------------------------------------------------------------

    def snapshot(self) -> State:
        """Return what the next decision depends on."""
        return {**{name.lstrip("_"): getattr(self, name).copy() for name in _INSTANCES}, "demand": self.demand.snapshot()}

    def restore(self, state: State) -> None:
        """Take back a snapshot."""
        for name in _INSTANCES:
            setattr(self, name, np.array(state[name.lstrip("_")]))
        self.demand.restore(state["demand"])


@dataclass(frozen=True, slots=True)
class _Task:
    """One endpoint in one window: n members, the models they would hold undisturbed, and the table at the clocks in force."""

    endpoint: int
    members: Ints
    now: Ints
    bound: Bools
    unmet: Bools
    short: Bools
    allowed_w: Floats
    allowed_c: Floats
    serving: Bools
    limit: Ints
    table: Profiles

    @classmethod
    def of(cls, seen: ServingObservation, endpoint: int, members: Ints, now: Ints, allowed: Allowed, mix: Mix) -> "_Task":
        quality = seen.variant_quality_share[endpoint]
        # Caps and brakes hold some below the clock that was set.
        clock = np.minimum(allowed.clock_share[members], np.maximum(seen.speed_share[members], CLOCK_LOW))
        latency = seen.variant_latency[: len(quality), members]
        return cls(
            endpoint=endpoint,
            members=members,
            now=now,
            bound=(clock < 1.0) | allowed.unmet[members],
            unmet=allowed.unmet[members],
            short=allowed.short[members],
            allowed_w=allowed.gpu_w[members],
            allowed_c=allowed.rise_c[members],
            serving=np.isin(seen.state[members], (ON, STARTING)) & allowed.asked[members],
            limit=np.maximum(np.searchsorted(BATCHES, seen.configured_max_batch[members], side="right") - 1, 0),
            table=Profiles.of(
                latency, quality, seen.gpu_tdp_w[members], mix, clock[None], allowed.rise[members], seen.instance_gpus[members]
            ),
        )

    def plan(self, needed_per_s: float, changed: Bools, knobs: TapasKnobs) -> tuple[Ints, Ints]:
        """Return the model that each should hold instead of its own (-1: none), and its batch limit, shape n."""
        each = np.arange(len(self.members))
        goodput, power_w = self.table.goodput_per_s[:, 0], self.table.power_w(np.full(len(each), self._share_per_s(needed_per_s)))[:, 0]
        able = self._able(knobs, goodput[:, self.limit, each])
        full, drawn_w = goodput[:, self.limit, each], power_w[:, self.limit, each]
        fit = (drawn_w <= self.allowed_w) & (self.table.rise_at(power_w)[:, self.limit, each] <= self.allowed_c)
        variant, batch = np.full(len(each), _OWN, dtype=np.int64), np.full(len(each), BATCH_HIGH, dtype=np.int64)
        for at in np.flatnonzero(self.unmet & ~fit[self.now, each]):
            # At once and without worse answers: no batch that draws more than there is, as far as a sudden peak is carried. Then
            # whoever serves for less.
            fits = self.table.gpu_w[self.now[at], 0, :, at] <= self.allowed_w[at]
            carries = goodput[self.now[at], :, at] >= _BATCH_ROOM * self._share_per_s(needed_per_s)
            if self.short[at] and carries.any():
                batch[at] = max(BATCHES[fits].max(initial=1), BATCHES[carries].min())
            variant[at] = self._cooler(int(at), able[:, at], full[:, at], drawn_w[:, at], fit[:, at], self._share_per_s(needed_per_s))
        self._carry(needed_per_s, changed, able, full, variant)
        return variant, batch

    def spared(self, at: Ints, per_s: float) -> int:
        """Return how many of these may turn at once: as many as the others can do without, and one in any case."""
        full = np.where(
            self.serving, self.table.goodput_per_s[:, 0, self.limit, np.arange(len(self.now))][self.now, np.arange(len(self.now))], 0.0
        )
        return max(1, int((full.sum() - np.cumsum(full[at]) >= per_s).sum()))

    def _share_per_s(self, per_s: float) -> float:
        """Return what comes to each of the instances that serve."""
        return per_s / max(int(self.serving.sum()), 1)

    def _able(self, knobs: TapasKnobs, full: Floats) -> Bools:
        """Return which models each instance could hold, V x n."""
        quality = np.nan_to_num(self.table.quality_share, nan=-1.0)
        return np.asarray((quality >= knobs.least_quality_share)[:, None] & (quality >= 0.0)[:, None] & (full > 0.0))

    def _cooler(self, at: int, able: Bools, full: Floats, drawn_w: Floats, fit: Bools, share_per_s: float) -> int:
        """Return the model with the best answers whose power and heat fit and that carries its share; else the best there is."""
        quality, own = np.nan_to_num(self.table.quality_share), int(self.now[at])
        able = able & (np.arange(len(able)) != own)
        fits = able & fit
        for which, worth in ((fits & (full >= share_per_s), quality), (fits, full * quality), (able & (drawn_w < drawn_w[own]), -drawn_w)):
            if which.any():
                return int(np.argmax(np.where(which, worth, -np.inf)))
        return _OWN

    def _carry(self, needed_per_s: float, changed: Bools, able: Bools, full: Floats, variant: Ints) -> None:
        """Add to ``variant`` as many changes as it takes to carry the demand, with as good answers as that allows."""
        each, quality = np.arange(len(variant)), np.nan_to_num(self.table.quality_share)
        held = np.where(variant != _OWN, variant, self.now)
        short = needed_per_s - float(np.where(self.serving | changed, full[held, each], 0.0).sum())
        free = (self.bound | changed) & (variant == _OWN)
        if short <= 0.0 or not free.any():
            return
        gains = np.where(able & free & (full > _WORTH_IT * full[held, each]), full - full[held, each], 0.0)
        enough = gains.sum(axis=1) >= short
        worth = np.where(enough, 1e9 + quality, (full * quality[:, None] * (gains > 0.0)).sum(axis=1))
        best = int(np.argmax(worth))
        for at in np.lexsort((each, -gains[best], ~changed)):
            if short > 0.0 and gains[best, at] > 0.0:
                variant[at] = best
                short -= float(gains[best, at])
