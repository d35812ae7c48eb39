"""Aladdin decides: which worker, how many, and which request goes where."""

from dataclasses import replace
from typing import Any, Final

import numpy as np

from policies.system import Surroundings
from policies.systems.aladdin import routes, scores
from policies.systems.aladdin.calibration import Calibration
from policies.systems.aladdin.goals import Goals
from policies.systems.aladdin.knobs import AladdinKnobs
from policies.systems.aladdin.lengths import Drift, Lengths, Sizes
from policies.systems.aladdin.plan import Aims, Capacity, Duty, Mix, capacity
from policies.systems.aladdin.refit import Refit
from policies.systems.aladdin.scaling import Need, Workers, pools_of
from twin.serving.latency import decode_s
from twin.serving.levers import (
    DECODE,
    IMAGE,
    PREFILL,
    ROLE_NAMES,
    WHOLE,
    Bools,
    ConfigAction,
    Floats,
    Ints,
    ScalingAction,
    ServingObservation,
)
from twin.stack import State

_ROLES: Final = len(ROLE_NAMES)
# Requests of an endpoint that must have finished before its workers are counted.
_EVIDENCE: Final = 30.0
# A worker that starts takes about this long, so that objectives are met from the begin of their hours.
_AHEAD_S: Final = 180.0
_SMOOTHING: Final = 0.3
_FEW: Final = 1.25
_ARRAYS: Final = ("_batch", "_arrivals_per_s")


class Aladdin:
    """Sizes workers and their number for the objectives, and packs requests on as few of them as hold.

    What was decided for a window is decided once, whichever lever asks first.
    """

    route_memory: Final = routes.MEMORY

    def __init__(self, knobs: AladdinKnobs, surroundings: Surroundings) -> None:
        self._knobs = knobs
        self._around = surroundings
        self._goals = Goals(knobs.targets, surroundings)
        self.route: Any = routes.best_fit
        self.route_decode: Any = routes.best_fit_decode
        self._begin(0)

    def _begin(self, instances: int) -> None:
        endpoints = len(self._around.endpoint_ids)
        self._lengths = Lengths(endpoints, self._knobs.prior_output_tokens)
        self._sizes = Sizes(endpoints, self._knobs.prior_output_tokens)
        self._drift = Drift(instances, self._knobs.heartbeat_s)
        self._workers = Workers(self._knobs.cool_down_s)
        self._batch = np.zeros(instances, dtype=np.int64)
        self._calibration = Calibration(endpoints)
        self._refit = Refit(instances)
        self._arrivals_per_s = np.zeros(endpoints)
        self._decided_s = self._configured_s = self._began_s = -1.0
        self._beat_s = -np.inf

    # -- levers ----------------------------------------------------------------

    def scale(self, seen: ServingObservation) -> ScalingAction:
        """Return the wanted workers for the next window."""
        self._decide(seen)
        return ScalingAction(self._workers.wanted.copy())

    def configure(self, seen: ServingObservation) -> ConfigAction:
        """Return full clock and the batch that the objectives allow each worker; models are left."""
        self._decide(seen)
        self._configured_s = seen.t_s
        return ConfigAction(np.ones(len(seen.state)), self._batch.copy())

    def refresh(self, seen: ServingObservation) -> Floats:
        """Return what the placement rule needs of each worker, shape I x SCORE_COLUMNS."""
        self._decide(seen)
        # Where another system sets batch limits, those in force count.
        batch = self._batch if self._configured_s == seen.t_s else seen.max_batch
        packing = scores.Packing(self._knobs.theta, self._knobs.gamma, self._knobs.schedulers)
        learned = scores.Learned(self._sizes, scores.encoding(seen), self._lengths.table(), self._drift.tokens)
        coefficients = scores.slowed(seen, self._refit.of(seen.latency))
        return scores.table(coefficients, seen.instance_endpoint, batch, self._aims(seen, 0.0), learned, packing)

    # -- what is learned --------------------------------------------------------

    def _decide(self, seen: ServingObservation) -> None:
        if len(self._batch) != len(seen.state):
            self._begin(len(seen.state))
            self._began_s = seen.t_s
            self._workers.begin(seen, len(seen.endpoint_ids) * _ROLES)
            self._workers.wanted = self._at_first(seen)
        if seen.t_s == self._decided_s:
            return
        self._learn(seen)
        self._decided_s = seen.t_s
        if seen.t_s - self._beat_s >= self._knobs.heartbeat_s - 1e-6:
            self._beat(seen)
            self._beat_s = seen.t_s

    def _learn(self, seen: ServingObservation) -> None:
        done = seen.finished()
        error = self._lengths.learn(done, seen.window_s)
        self._sizes.learn(done, seen.window_s)
        self._drift.learn(done.instance, error, seen.window_s)
        self._refit.learn(seen)
        now = seen.endpoint_arrivals_per_s
        eased = self._arrivals_per_s + _SMOOTHING * (now - self._arrivals_per_s)
        self._arrivals_per_s = np.where(self._sizes.seen > 0.0, np.maximum(eased, 0.0), now).astype(np.float64)
        targets = self._targets(seen, 0.0)
        self._calibration.count(done, targets[0], targets[1])

    # -- the heartbeat ------------------------------------------------------------

    def _beat(self, seen: ServingObservation) -> None:
        """Decide anew on coefficients, widths, batch limits and numbers of workers."""
        self._refit.beat()
        profile = self._refit.of(seen.latency)
        if self._knobs.calibrate:
            self._calibration.adjust(self._targets(seen, 0.0)[2])
        limit = self._limit(seen)
        rated = self._capacity(seen, profile, limit)
        self._batch = np.asarray(rated.batch, dtype=np.int64)
        actual = self._capacity(seen, scores.slowed(seen, profile), limit)
        # Width by what a worker is rated for, number by what it does at the speed it runs.
        plain = self._capacity(seen, profile, limit, learned=False)
        found = Capacity(rated.batch, np.minimum(actual.rate_per_s, rated.rate_per_s), rated.meets)
        pools = pools_of(seen, _ROLES)
        for pool in np.unique(pools):
            endpoint, role = divmod(int(pool), _ROLES)
            if role == IMAGE or not self._known(seen, endpoint):
                continue
            members = np.flatnonzero(pools == pool)
            self._workers.decide(seen, int(pool), members, found.of(members), plain.of(members), self._need(seen, endpoint, members))

    def _need(self, seen: ServingObservation, endpoint: int, members: Ints) -> Need:
        arriving = max(float(seen.endpoint_arrivals_per_s[endpoint]), float(self._arrivals_per_s[endpoint]))
        # What waits is to be gone by the next heartbeat; what no worker could hold came beside what the others hold.
        waiting = float(seen.queued[members].sum()) / self._knobs.heartbeat_s
        over = float(seen.endpoint_overflows[endpoint]) / seen.window_s
        return Need(self._knobs.peak_factor * arriving + max(waiting, over), self._knobs.workers, self._knobs.tp)

    def _capacity(self, seen: ServingObservation, coefficients: Floats, limit: Ints, learned: bool = True) -> Capacity:
        """Return what workers do; without what was ``learned`` of misses, which depends on how many there are."""
        endpoint, sizes = seen.instance_endpoint, self._sizes
        means = (sizes.prompt_tokens, sizes.squared_prompt_tokens, sizes.output_tokens, sizes.context_tokens)
        prompt, squared, output, context = (mean[endpoint] for mean in means)
        mix = Mix(prompt, squared, output, context, *sizes.encode_s(scores.encoding(seen), endpoint))
        duty = Duty(np.isin(seen.role, (WHOLE, PREFILL)), np.isin(seen.role, (WHOLE, DECODE)))
        knobs = self._knobs
        aims = self._aims(seen, _AHEAD_S)
        if not learned:
            one = np.ones(len(endpoint))
            aims = replace(aims, ttft_s=self._targets(seen, _AHEAD_S)[0][endpoint], atgt_share=one, stall_weight=one)
        return capacity(coefficients, mix, aims, duty, knobs.theta, knobs.gamma, limit)

    def _limit(self, seen: ServingObservation) -> Ints:
        return seen.configured_max_batch if self._knobs.max_batch is None else np.full(len(seen.state), self._knobs.max_batch)

    def _aims(self, seen: ServingObservation, ahead_s: float) -> Aims:
        endpoint = seen.instance_endpoint
        ttft_s, atgt_s, tail = self._targets(seen, ahead_s)
        room = self._calibration
        # Never so narrow that an iteration of a few requests would not fit.
        alone_s = _FEW * decode_s(self._refit.of(seen.latency), 1, self._sizes.context_tokens[endpoint])
        least = np.nan_to_num(alone_s / (self._knobs.gamma * atgt_s[endpoint]), nan=1.0)
        share = np.maximum(room.atgt_share[endpoint], np.minimum(least, 1.0))
        return Aims((ttft_s * room.ttft_share)[endpoint], atgt_s[endpoint], tail[endpoint], share, room.stall_weight[endpoint])

    def _targets(self, seen: ServingObservation, ahead_s: float) -> tuple[Floats, Floats, Floats]:
        """Return bounds on the time to the first token and per token, and the share that may miss them, shape E each."""
        goals, t_s = self._goals, seen.t_s
        ttft_s = goals.ttft_s(seen.endpoint_ttft_slo_s, t_s, ahead_s)
        atgt_s = goals.atgt_s(seen.endpoint_atgt_slo_s, t_s, ahead_s)
        return ttft_s, atgt_s, goals.tail_share(self._knobs.tail_share, len(seen.endpoint_ids), t_s, ahead_s)

    def _known(self, seen: ServingObservation, endpoint: int) -> bool:
        """Whether enough has finished to count workers; an endpoint that nobody asks is known to need one."""
        idle = seen.t_s - self._began_s >= self._knobs.cool_down_s and not self._sizes.seen[endpoint]
        return bool(self._sizes.seen[endpoint] >= _EVIDENCE or idle)

    def _at_first(self, seen: ServingObservation) -> Bools:
        """Return what is wanted before anything was seen: every slot of the width for usual requests, or what knobs fix."""
        width, workers = self._knobs.tp, self._knobs.workers
        wanted = self._of_best_width(seen) if width is None else np.asarray(seen.instance_gpus == width)
        for endpoint, name in enumerate(seen.endpoint_ids):
            members = np.flatnonzero(seen.instance_endpoint == endpoint)
            if len(members) and not wanted[members].any():
                able = ", ".join(str(int(gpus)) for gpus in np.unique(seen.instance_gpus[members]))
                raise ValueError(f"aladdin.tp: endpoint {name} has no instances of {width} GPUs but of {able}; add it to its tp_choices")
            if workers is not None:
                able_ids = members[wanted[members]]
                line = able_ids[np.lexsort((seen.instance_first_gpu[able_ids], seen.instance_server[able_ids]))]
                wanted[line[workers:]] = False
        return wanted

    def _of_best_width(self, seen: ServingObservation) -> Bools:
        """Return the slots of the width that is best for usual requests; image instances as the scenario has them."""
        rated = self._capacity(seen, np.asarray(seen.latency), self._limit(seen), learned=False)
        wanted, pools = seen.configured.copy(), pools_of(seen, _ROLES)
        for pool in np.unique(pools):
            members = np.flatnonzero(pools == pool)
            if int(pool) % _ROLES != IMAGE:
                wanted[members] = self._workers.choose(seen, int(pool), members, rated.of(members))
        return wanted

    # -- memory --------------------------------------------------------------------

    def snapshot(self) -> State:
        """Return everything that the next decision depends on."""
        kept = {name.lstrip("_"): getattr(self, name).copy() for name in _ARRAYS}
        times = {name: getattr(self, f"_{name}") for name in ("decided_s", "configured_s", "began_s", "beat_s")}
        parts = {"lengths": self._lengths.snapshot(), "sizes": self._sizes.snapshot(), "workers": self._workers.snapshot()}
        parts["calibration"], parts["refit"] = self._calibration.snapshot(), self._refit.snapshot()
        return {**kept, **times, **parts, "drift_tokens": self._drift.tokens.copy()}

    def restore(self, state: State) -> None:
        """Take back a snapshot."""
        self._begin(len(state["batch"]))
        for name in _ARRAYS:
            setattr(self, name, np.array(state[name.lstrip("_")]))
        for name in ("decided_s", "configured_s", "began_s", "beat_s"):
            setattr(self, f"_{name}", float(state[name]))
        self._lengths.restore(state["lengths"])
        self._sizes.restore(state["sizes"])
        self._workers.restore(state["workers"])
        self._calibration.restore(state["calibration"])
        self._refit.restore(state["refit"])
        self._drift.tokens = np.array(state["drift_tokens"], dtype=np.float64)
