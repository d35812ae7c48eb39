"""The pools of an endpoint: stages, widths, what they sustain and need."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

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


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The slots of one endpoint (shape n), those of them that may be used, and for text at present, and their coefficients."""

    slots: Slots
    usable: Bools
    for_text: Bools
    latency: Floats
    encode_s: Floats
    max_batch: Ints

    @classmethod
    def of(cls, seen: ServingObservation, members: Ints, usable: Bools, for_text: Bools) -> "Endpoint":
        """Return the endpoint of the instances ``members``; ``usable`` and ``for_text`` have their shape."""
        fits = ~np.isnan(seen.latency[members]).any(axis=1)
        batch = seen.configured_max_batch[members]
        return cls(Slots.of(seen, members), usable & fits, for_text & fits, seen.latency[members], seen.encode_s[members], batch)

    @property
    def reads_images(self) -> bool:
        """Return whether its model encodes images at all."""
        return bool((self.encode_s[:, 1] > 0.0).any())

    def capacity(self, role: int, apart: bool, asked: Asked, knobs: ModServeKnobs) -> Capacity:
        """Return what each slot sustains in a role; ``apart`` says that images are encoded elsewhere, in their share of the time."""
        images = asked.mix.image_share > 0.0 and self.reads_images
        text_s = min(asked.ttft_s, asked.image_ttft_s) if images else asked.ttft_s
        if images and apart:
            text_s = min(text_s, asked.image_ttft_s * (1.0 - knobs.encode_ttft_share))
        goals = Objectives(text_s, asked.atgt_s, knobs.busy_limit_share)
        encode_s = self.encode_s if images and not apart else None
        match role:
            case levers.IMAGE:
                budget_s = asked.image_ttft_s * knobs.encode_ttft_share
                return encode_capacity(self.encode_s, asked.mix, knobs.image_pieces, budget_s, knobs.busy_limit_share)
            case levers.PREFILL:
                return prefill_capacity(self.latency, asked.mix, goals, encode_s)
            case levers.DECODE:
                return decode_capacity(self.latency, asked.mix, goals, self.max_batch)
            case _:
                return whole_capacity(self.latency, asked.mix, goals, self.max_batch, encode_s)


def width_of(endpoint: Endpoint, capacity: Capacity, able: Bools, before: int, gain_share: float) -> int:
    """Return the GPUs per instance with the best capacity per GPU; objectives that hold come first.

    The width ``before`` (0 where there was none) stays unless another is better by ``gain_share``.
    """
    ranks: dict[int, tuple[bool, float]] = {}
    for width in np.unique(endpoint.slots.gpus[able]):
        mine = able & (endpoint.slots.gpus == width)
        ranks[int(width)] = (bool(capacity.fits[mine].all()), float(capacity.per_s[mine].mean()) / int(width))
    best = max(ranks, key=lambda width: (*ranks[width], -width))
    if before in ranks and ranks[before][0] == ranks[best][0] and ranks[best][1] < ranks[before][1] * (1.0 + gain_share):
        return before
    return best


def roles_of(images: bool, split: bool) -> tuple[int, ...]:
    """Return the stages of an endpoint that are separate."""
    text = (PREFILL, DECODE) if split else (WHOLE,)
    return (IMAGE, *text) if images else (WHOLE,)


def pools_of(
    endpoint: Endpoint, roles: Sequence[int], asked: Asked, knobs: ModServeKnobs, before: Mapping[int, int], given: Ints | None
) -> list[Pool]:
    """Return one pool per role, without what is held; ``before`` are their widths so far.

    ``given`` are roles that somebody else lays (shape n): a pool then has no other slots than those of its role.
    """
    pools = []
    patient = replace(asked, ttft_s=np.inf, image_ttft_s=np.inf)
    widths = np.unique(endpoint.slots.gpus[endpoint.usable])
    # Every other stage needs room for one instance of the narrowest kind.
    room = endpoint.slots.all_gpus - (len(roles) - 1) * int(widths.min())
    for role in roles:
        capacity = endpoint.capacity(role, IMAGE in roles, asked, knobs)
        able = (endpoint.usable if role == IMAGE else endpoint.for_text) & (capacity.per_s > 0.0)
        narrow = able & (endpoint.slots.gpus <= room)
        able = narrow if narrow.any() else able
        if given is not None:
            able = able & (given == role)
        if not able.any():
            continue
        width = width_of(endpoint, capacity, able, before.get(role, 0), knobs.width_gain_share)
        able = able & (endpoint.slots.gpus == width)
        need = asked.load(role) * (1.0 + knobs.headroom_share)
        most = endpoint.capacity(role, IMAGE in roles, patient, knobs).per_s[able].mean()
        pools.append(Pool(role, width, able, float(capacity.per_s[able].mean()), float(most), bool(capacity.fits[able].all()), need, need))
    return pools
