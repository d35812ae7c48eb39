"""Serving's levers, window by window: holders in order, then guards."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from twin.plant.levers import CLOCK_HIGH, CLOCK_LOW
from twin.serving import model as serving_model
from twin.serving.levers import BATCH_HIGH, BATCH_LOW, ConfigAction, ScalingAction, ServingObservation
from twin.stack import Clips, Phase, guards, shares

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class Deciding:
    """Asks the holders of serving's levers and hands the model what they choose, inside its bounds; what is clipped is counted."""

    def __init__(self, serving: serving_model.Model, clips: Clips) -> None:
        self.serving, self.clips = serving, clips

    def decide(self, phase: Phase, look: Callable[[], ServingObservation]) -> None:
        """Ask the windowed and compiled levers where a window opens; ``look`` gives what holders see now."""
        seen, members = look(), self.serving.members
        if self.serving.lay(self._lay(phase, seen)):
            # Who counts instances by what they do must know it: at the start all of them turn at once.
            seen = look()
        count = len(self.serving.instance_server)
        wanted = np.ones(count, dtype=np.bool_)
        stack = phase.stack("instance_scaling")
        for holding, mine in shares(stack, members, count):
            wanted[mine] = holding.holder.scale(seen).wanted[mine]
        for holding, mine in guards(stack, members):
            narrowed = np.asarray(holding.holder.narrow_scaling(seen, ScalingAction(wanted.copy())).wanted, dtype=np.bool_)
            wanted = self._swapped(holding.system, wanted, np.where(mine, narrowed, wanted))
        self.serving.scale(wanted)
        self.serving.configure(self._config(phase, seen))
        self._route(phase, seen)

    def _swapped(self, system: str, wanted: Bools, narrowed: Bools) -> Bools:
        """Return what a guard leaves of the wanted slots: it may turn on only what lies on GPUs that it has just given up.

        What it adds beyond that is dropped and counted; of what it adds no GPU is given twice.
        """
        kept, added = wanted & narrowed, np.flatnonzero(narrowed & ~wanted)
        if not len(added):
            return kept
        first, end = self.serving.instance_first_gpu, self.serving.instance_first_gpu + self.serving.instance_gpus
        free = np.zeros(int(end.max()), dtype=np.bool_)
        for slots, given in ((wanted & ~narrowed, True), (kept, False)):
            for slot in np.flatnonzero(slots):
                free[first[slot] : end[slot]] = given
        for slot in added:
            kept[slot] = free[first[slot] : end[slot]].all()
            free[first[slot] : end[slot]] &= not kept[slot]
        self.clips.count("instance_scaling", system, int((~kept[added]).sum()))
        return kept

    def _lay(self, phase: Phase, seen: ServingObservation) -> NDArray[np.int64]:
        role = seen.role.copy()
        for holding, mine in shares(phase.stack("stage_layout"), self.serving.members, len(role)):
            role[mine] = holding.holder.lay(seen).role[mine]
        return role

    def _config(self, phase: Phase, seen: ServingObservation) -> ConfigAction:
        members, stack = self.serving.members, phase.stack("instance_config")
        clock = np.ones(len(seen.state))
        batch, variant = seen.max_batch.copy(), seen.variant.copy()
        for holding, mine in shares(stack, members, len(clock)):
            action = holding.holder.configure(seen)
            if action.variant is not None:
                variant[mine] = action.variant[mine]
            bounded = self.clips.clip("instance_config", holding.system, action.clock_share, CLOCK_LOW, CLOCK_HIGH)
            limits = self.clips.clip("instance_config", holding.system, action.max_batch.astype(np.float64), BATCH_LOW, BATCH_HIGH)
            clock[mine], batch[mine] = bounded[mine], limits[mine].astype(np.int64)
        for holding, mine in guards(stack, members):
            narrowed = holding.holder.narrow_config(seen, ConfigAction(clock.copy(), batch.copy(), variant.copy()))
            bounded = self.clips.clip("instance_config", holding.system, narrowed.clock_share, CLOCK_LOW, CLOCK_HIGH)
            clock[mine] = np.minimum(clock, bounded)[mine]
            batch[mine] = np.clip(np.minimum(batch, narrowed.max_batch), BATCH_LOW, BATCH_HIGH)[mine]
            if narrowed.variant is not None:
                variant[mine] = narrowed.variant[mine]
        return ConfigAction(clock, batch, variant)

    def _route(self, phase: Phase, seen: ServingObservation) -> None:
        members, stack = self.serving.members, phase.stack("request_routing")
        allowed = np.ones(len(seen.state), dtype=np.bool_)
        for holding, mine in guards(stack, members):
            allowed[mine] &= np.asarray(holding.holder.admit(seen), dtype=np.bool_)[mine]
        scores: dict[str, Floats] = {}
        free = np.ones(len(seen.endpoint_ids), dtype=np.bool_)
        for holding, mine in shares(stack, members, len(allowed)):
            for endpoint in np.unique(seen.instance_endpoint[mine]):
                if not free[endpoint]:
                    continue
                free[endpoint] = False
                if holding.system not in scores:
                    scores[holding.system] = np.asarray(holding.holder.refresh(seen), dtype=np.float64)
                self.serving.route(int(endpoint), holding.holder, scores[holding.system], allowed)
