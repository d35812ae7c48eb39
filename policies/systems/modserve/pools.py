"""The pools of an endpoint: stages, widths, what they sustain and need."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from policies.systems.modserve.knobs import ModServeKnobs
from policies.systems.modserve.load import OUTPUT, PROMPT, TILES
from policies.systems.modserve.placement import Pool, Slots
from policies.systems.modserve.profile import (
    Capacity,
    Mix,
    Objectives,
    decode_capacity,
    encode_capacity,
    prefill_capacity,
    whole_capacity,
)
from twin.serving import levers
from twin.serving.levers import DECODE, IMAGE, PREFILL, WHOLE, ServingObservation

# Sets of images per request that are still believed; prompts that are yet to be read are not counted.
_MOST_IMAGES: Final = 8.0
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of one endpoint: loads (columns of the rates) and the mix, and the objectives in force."""

    per_s: Floats
    mix: Mix
    ttft_s: float
    image_ttft_s: float
    atgt_s: float

    def load(self, role: int) -> float:
        """Return the load of a stage: tiles, prompt tokens or output tokens per second.

        Output that outgrows its prompts counts for whole instances as the prompts that usually come with it.
        """
        if role == IMAGE:
            return float(self.per_s[TILES])
        if role == DECODE:
            return float(self.per_s[OUTPUT])
        prompts = self.per_s[OUTPUT] * self.mix.prompt_tokens / self.mix.output_tokens if role == WHOLE else 0.0
        return float(max(self.per_s[PROMPT], prompts))

    def together(self) -> "Asked":
        """Return the same with as many images per request as the loads have beside one another: in a burst more than usual."""
        requests = self.load(WHOLE) / max(self.mix.prompt_tokens, 1.0)
        if requests <= 0.0:
            return self
        share = float(self.per_s[TILES]) / max(self.mix.tiles, 1e-9) / requests
        return replace(self, mix=replace(self.mix, image_share=min(share, _MOST_IMAGES)))


def usual(asked: Asked) -> Asked:
    """Return what is asked if one usual request comes each second."""
    mix = asked.mix
    return replace(asked, per_s=np.array([mix.image_share * mix.tiles, mix.prompt_tokens, mix.output_tokens]))


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The slots of one endpoint (shape n), which of them may be used, and their coefficients.

    Most slots are alike: ``kind`` is the kind of each, and coefficients, batch limits and GPUs are those of the kinds.
    """

    slots: Slots
    usable: Bools
    kind: Ints
    latency: Floats
    encode_s: Floats
    max_batch: Ints
    gpus: Ints

    @classmethod
    def of(cls, seen: ServingObservation, members: Ints, usable: Bools) -> "Endpoint":
        """Return the endpoint of the instances ``members``; ``usable`` has their shape."""
        latency, encode_s = seen.latency[members], seen.encode_s[members]
        batch, gpus = seen.configured_max_batch[members], seen.instance_gpus[members]
        fits = ~np.isnan(latency).any(axis=1)
        rows = np.column_stack([gpus, batch, encode_s, latency])
        _, first, kind = np.unique(rows, axis=0, return_index=True, return_inverse=True, equal_nan=True)
        slots = Slots.of(seen, members)
        return cls(slots, usable & fits, kind.reshape(-1), latency[first], encode_s[first], batch[first], gpus[first])

    @property
    def reads_images(self) -> bool:
        """Return whether its model encodes images at all."""
        return bool((self.encode_s[:, 1] > 0.0).any())

    def capacity(self, kinds: Ints, instances: Floats, role: int, apart: bool, asked: Asked, knobs: ModServeKnobs) -> Capacity:
        """Return what each of some instances of these kinds sustains in a role (shapes alike).

        ``apart`` says that images are encoded elsewhere, in their share of the time.
        """
        images = asked.mix.image_share > 0.0 and self.reads_images
        text_s = min(asked.ttft_s, asked.image_ttft_s) if images else asked.ttft_s
        if images and apart:
            text_s = min(text_s, asked.image_ttft_s * (1.0 - knobs.encode_ttft_share))
        goals = Objectives(text_s, asked.atgt_s, knobs.busy_limit_share)
        latency, batch = self.latency[kinds], self.max_batch[kinds]
        encode_s = self.encode_s[kinds] if images and not apart else None
        match role:
            case levers.IMAGE:
                budget_s = asked.image_ttft_s * knobs.encode_ttft_share
                return encode_capacity(self.encode_s[kinds], asked.mix, knobs.image_pieces, budget_s, knobs.busy_limit_share, instances)
            case levers.PREFILL:
                return prefill_capacity(latency, asked.mix, goals, encode_s, instances)
            case levers.DECODE:
                return decode_capacity(latency, asked.mix, goals, batch)
            case _:
                return whole_capacity(latency, asked.mix, goals, batch, encode_s, instances)

    def pool(self, role: int, apart: bool, able: Bools, asked: Asked, knobs: ModServeKnobs) -> Pool:
        """Return the pool of a role on the ``able`` slots, which have one width, without what is held."""
        kinds, counts = np.unique(self.kind[able], return_counts=True)
        most = int(counts.sum())
        each = np.tile(kinds, (most, 1))
        instances = np.repeat(np.arange(1.0, most + 1.0), len(kinds))
        found = self.capacity(each.ravel(), instances, role, apart, asked, knobs)
        capacities = found.per_s.reshape(each.shape) @ (counts / most)
        need = asked.load(role) * (1.0 + knobs.headroom_share)
        return Pool(role, int(self.gpus[kinds[0]]), able, capacities, bool(found.fits.all()), need, need)


def widest_gain(pools: Sequence[Pool], before: int, gain_share: float, fill: bool, room: int) -> Pool:
    """Return the pool with the width that needs the fewest GPUs, or with ``fill`` carries the most on all; who is in time comes first.

    The width ``before`` (0 where there was none) stays unless another is better by ``gain_share``.
    """

    def cost(pool: Pool) -> float:
        if fill:
            count = max(1, min(room // pool.width, len(pool.capacities)))
            return 1.0 / max(pool.carries(count) / count / pool.width, 1e-12)
        return float(pool.width * pool.instances(pool.need))

    def rank(pool: Pool) -> tuple[bool, float, float]:
        return (not pool.fits, cost(pool), -pool.carries(pool.instances(pool.need)) / pool.width if not fill else 0.0)

    best = min(pools, key=rank)
    for pool in pools:
        if pool.width == before and pool.fits == best.fits and cost(pool) <= cost(best) * (1.0 + gain_share):
            return pool
    return best


def roles_of(images: bool, split: bool) -> tuple[int, ...]:
    """Return the stages of an endpoint that are separate."""
    text = (PREFILL, DECODE) if split else (WHOLE,)
    return (IMAGE, *text) if images else (WHOLE,)


def pools_of(
    endpoint: Endpoint,
    roles: Sequence[int],
    asked: Asked,
    knobs: ModServeKnobs,
    before: Mapping[int, int],
    given: Ints | None,
    fill: bool,
) -> list[Pool]:
    """Return one pool per role, without what is held; ``before`` are their widths so far.

    ``given`` are roles that somebody else lays (shape n): a pool then has no other slots than those of its role.
    """
    chosen = []
    apart = IMAGE in roles
    asked = asked if apart else asked.together()
    widths = np.unique(endpoint.slots.gpus[endpoint.usable])
    # Every other stage needs room for one instance of the narrowest kind.
    room = endpoint.slots.all_gpus - (len(roles) - 1) * int(widths.min(initial=1))
    for role in roles:
        able = endpoint.usable & ((endpoint.slots.gpus <= room) | (given is not None))
        if not able.any():
            able = endpoint.usable
        if given is not None:
            able = able & (given == role)
        found = [
            endpoint.pool(role, apart, able & (endpoint.slots.gpus == width), asked, knobs)
            for width in np.unique(endpoint.slots.gpus[able])
        ]
        found = [pool for pool in found if pool.capacities[0] > 0.0]
        if found:
            chosen.append(widest_gain(found, before.get(role, 0), knobs.width_gain_share, fill, room))
    return chosen
