"""ModServe decides: how many instances of which stage, where, and when."""

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from policies.system import Surroundings
from policies.systems.modserve.bounds import IMAGE_TTFT, TTFT, Bounds
from policies.systems.modserve.knobs import ModServeKnobs
from policies.systems.modserve.load import OUTPUT, PROMPT, TILES, USUAL, Load
from policies.systems.modserve.placement import NONE, Present, Readiness, Slots, towards
from policies.systems.modserve.pools import Asked, Endpoint, usual
from policies.systems.modserve.profile import token_s
from policies.systems.modserve.sizing import Sizing, Terms
from twin.serving.levers import DECODE, DRAINING, IMAGE, OFF, ON, PREFILL, STARTING, WHOLE, LayoutAction, ScalingAction, ServingObservation
from twin.stack import State

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
_ARRAYS: Final = ("_held", "_target", "_sized_s", "_begun_s")
_NEVER: Final = -1e18


class ModServe:
    """Gives images and text pools of their own: sized by token load over profiled capacity, laid on servers, routed by tokens.

    Where whole instances of the best width need no more GPUs by the same profile it leaves an endpoint to them. Before anything
    runs it lays out every endpoint for usual requests; the first window's figures then correct that.

    Every ``interval_s`` it sizes the pools; every window it looks for bursts and takes the next step towards the layout. Until
    it has seen an endpoint for as long as the cool-down it releases nothing and only divides what there is. So it does where
    another policy scales; where another one lays the roles it scales the instances of each role as they are.
    """

    def __init__(self, knobs: ModServeKnobs, surroundings: Surroundings) -> None:
        self._knobs = knobs
        self._bounds = Bounds(knobs.targets, surroundings, knobs.interval_s)
        self._endpoints = len(surroundings.endpoint_ids)
        self.image_pieces = knobs.image_pieces
        self._decided_s = -1.0
        self._lays = self._scales = False
        self._begin(0)

    @property
    def route(self) -> object:
        """Return the compiled rule; imported here, because its module compiles when it is loaded."""
        from policies.systems.modserve.routes import fewest_tokens

        return fewest_tokens

    def _begin(self, slots: int) -> None:
        self._load = Load(self._endpoints, self._knobs.lookback_s)
        self._sizing = Sizing(self._knobs, self._endpoints)
        self._held = np.full(slots, NONE, dtype=np.int64)
        self._target = np.full(slots, NONE, dtype=np.int64)
        self._sized_s = np.full(self._endpoints, _NEVER)
        self._begun_s = np.full(self._endpoints, _NEVER)

    # -- levers ----------------------------------------------------------------

    def lay(self, seen: ServingObservation) -> LayoutAction:
        """Return the roles for the next window."""
        self._lays = True
        self._decide(seen)
        # What is off has no stage; what is given up keeps its own until it is.
        rest = np.where((seen.state == OFF) & self._scales, WHOLE, seen.role)
        return LayoutAction(np.where(self._held != NONE, self._held, rest))

    def scale(self, seen: ServingObservation) -> ScalingAction:
        """Return the wanted instances for the next window."""
        self._decide(seen)
        self._scales = True
        return ScalingAction(self._held != NONE)

    def refresh(self, seen: ServingObservation) -> Floats:
        """Return how long each instance takes over a prompt token, shape I x 1."""
        each = token_s(seen.latency)
        return np.where(np.isnan(each), 1.0, each)[:, None]

    # -- each window -------------------------------------------------------------

    def _decide(self, seen: ServingObservation) -> None:
        if seen.t_s == self._decided_s:
            return
        first = self._decided_s < 0.0 or len(self._held) != len(seen.state)
        self._decided_s = seen.t_s
        if first:
            self._begin(len(seen.state))
            self._held = np.where(np.isin(seen.state, (ON, STARTING)), seen.role, NONE)
            self._target = self._held.copy()
            if self._lays and seen.t_s == 0.0:
                self._foresee(seen)
            return
        if not self._lays:
            self._held = np.where(self._held != NONE, seen.role, NONE)
        if not self._scales:
            self._held = np.where(seen.state == OFF, NONE, np.where(self._held == NONE, seen.role, self._held))
        if seen.t_s > 0.0:
            self._load.see(seen)
        asked = self._objectives(seen)
        most = self._bounds.most_gpus(seen.t_s, self._sizing.asked_gpus, _usd_per_gpu_h(seen))
        for index in range(self._endpoints):
            members = np.flatnonzero(seen.instance_endpoint == index)
            if len(members) and (self._begun_s[index] != _NEVER or self._load.known(index)):
                self._size(seen, index, members, asked[:, index], float(most[index]))
                self._step(seen, members)

    def _foresee(self, seen: ServingObservation) -> None:
        """Lay out every endpoint for usual requests before any has come: what is wanted at the very start stands there at once.

        Roles are laid before instances are counted. If another policy scales, what it has on keeps the role that is laid here.
        """
        asked = self._objectives(seen)
        for index in range(self._endpoints):
            members = np.flatnonzero(seen.instance_endpoint == index)
            if not len(members):
                continue
            able = seen.configured[members] | self._knobs.choose_width
            endpoint = Endpoint.of(seen, members, np.asarray(able))
            mix = USUAL if endpoint.reads_images else replace(USUAL, image_share=0.0)
            nothing = Present(np.full(len(members), NONE), np.ones(len(members), dtype=np.bool_))
            expected = usual(Asked(np.zeros(3), mix, *asked[:, index].tolist()))
            laid = self._sizing.size(index, endpoint, expected, nothing, Terms(seen.t_s, True, np.inf, None))
            if laid is not None:
                self._held[members] = self._target[members] = laid
        self._sizing.forget()

    def _objectives(self, seen: ServingObservation) -> Floats:
        """Return the time to first token of all and of image requests and the time per token that hold now, shape 3 x E."""
        ttft_s = self._bounds.tightened_s(TTFT, seen.endpoint_ttft_slo_s, seen.t_s)
        image_s = self._bounds.tightened_s(IMAGE_TTFT, ttft_s, seen.t_s)
        return np.stack([ttft_s, image_s, seen.endpoint_atgt_slo_s])

    def _size(self, seen: ServingObservation, index: int, members: Ints, goals: Floats, most_gpus: float) -> None:
        """Size the pools of an endpoint if it is time, or at once if there is a burst."""
        knobs = self._knobs
        due = seen.t_s - self._sized_s[index] >= knobs.interval_s - 1e-6
        waiting = _waiting(seen, members)
        burst = self._bursts(seen, index, members, waiting)
        if not due and not burst:
            return
        if self._begun_s[index] == _NEVER:
            self._begun_s[index] = seen.t_s
        releases = knobs.autoscale and self._scales
        settled = bool(seen.t_s - self._begun_s[index] >= knobs.cool_down_s)
        endpoint = Endpoint.of(seen, members, self._usable(seen, members))
        fill = not releases or not settled
        per_s = self._load.high_per_s(index)
        if burst:
            per_s = np.maximum(per_s, self._load.latest_per_s(index))
        # What waits asks for more instances, but a division of all that there are by what waits would swing: it moves the queue.
        if not fill:
            per_s = per_s + waiting / (knobs.burst_drain_s if burst else knobs.interval_s)
        asked = Asked(per_s, self._load.mix(index), *goals.tolist())
        # In a burst it is the idle instances of the other stages that are borrowed.
        busy = seen.outstanding[members] > 0 if burst else np.ones(len(members), dtype=np.bool_)
        terms = Terms(seen.t_s, fill, most_gpus, None if self._lays else seen.role[members])
        laid = self._sizing.size(index, endpoint, asked, Present(self._held[members], busy), terms)
        if laid is not None:
            self._target[members] = laid
        if due:
            self._sized_s[index] = seen.t_s

    def _bursts(self, seen: ServingObservation, index: int, members: Ints, waiting: Floats) -> bool:
        """Return whether a pool is asked more than it was sized for, or more work waits there than the slack.

        Work is counted in the time that the instances that are on need for it.
        """
        wanted, on = self._target[members], seen.state[members] == ON
        latest = self._load.latest_per_s(index)
        for column, roles in ((TILES, (IMAGE,)), (PROMPT, (WHOLE, PREFILL)), (OUTPUT, (DECODE,))):
            for role in roles:
                each = float(self._sizing.capacity[index, role])
                if each <= 0.0:
                    continue
                late = waiting[column] > self._knobs.burst_slack_s * each * max(1, int((on & (self._held[members] == role)).sum()))
                if late or latest[column] > each * int((wanted == role).sum()):
                    return True
        return False

    def _usable(self, seen: ServingObservation, members: Ints) -> Bools:
        """Return which slots may be chosen: all, those as configured, or those that another policy has on; shape n."""
        if not self._scales:
            on = seen.state[members] != OFF
            return on if on.any() else seen.configured[members]
        return np.ones(len(members), dtype=np.bool_) if self._knobs.choose_width else seen.configured[members]

    def _step(self, seen: ServingObservation, members: Ints) -> None:
        held, state = self._held[members], seen.state[members]
        if np.array_equal(held, self._target[members]):
            return
        slots = Slots.of(seen, members)
        ready = Readiness((state == ON) & (seen.role[members] == held), np.isin(state, (STARTING, DRAINING)))
        turn = max(1, int(self._knobs.turn_share * slots.all_gpus))
        self._held[members] = towards(slots, held, self._target[members], ready, turn)

    # -- memory ------------------------------------------------------------------

    def snapshot(self) -> State:
        """Return everything that the next decision depends on."""
        return {
            **{name.lstrip("_"): getattr(self, name).copy() for name in _ARRAYS},
            "decided_s": self._decided_s,
            "lays": self._lays,
            "scales": self._scales,
            "load": self._load.snapshot(),
            "sizing": self._sizing.snapshot(),
        }

    def restore(self, state: State) -> None:
        """Take back a snapshot."""
        self._begin(len(state["held"]))
        for name in _ARRAYS:
            setattr(self, name, np.array(state[name.lstrip("_")]))
        self._decided_s = float(state["decided_s"])
        self._lays, self._scales = bool(state["lays"]), bool(state["scales"])
        self._load.restore(state["load"])
        self._sizing.restore(state["sizing"])


def _waiting(seen: ServingObservation, members: Ints) -> Floats:
    """Return the tiles and prompt tokens that wait, in the columns of the rates."""
    waiting = np.zeros(3)
    waiting[TILES], waiting[PROMPT] = seen.pending_tiles[members].sum(), seen.pending_tokens[members].sum()
    return waiting


def _usd_per_gpu_h(seen: ServingObservation) -> Floats:
    """Return the mean price of a GPU of each endpoint, shape E."""
    endpoints = len(seen.endpoint_ids)
    usd = np.bincount(seen.instance_endpoint, weights=seen.instance_usd_per_h, minlength=endpoints)
    gpus = np.bincount(seen.instance_endpoint, weights=seen.instance_gpus, minlength=endpoints)
    return np.asarray(usd / np.maximum(gpus, 1.0))
