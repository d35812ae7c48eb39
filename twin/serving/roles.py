"""What each instance does, which model it holds, and what is wanted."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from twin.serving import images, latency
from twin.serving.layout import Endpoint, Layout
from twin.serving.levers import DECODE, IMAGE, PREFILL, WHOLE
from twin.stack import State

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
_ARRAYS: Final = ("role", "variant", "wanted_role", "wanted_variant")


class Roles:
    """Roles and variants of every instance, shape I: those in force and those wanted."""

    def __init__(self, place: Layout, specs: tuple[Endpoint, ...]) -> None:
        self._place, self._specs = place, specs
        count = len(place.ids)
        self.role, self.variant = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
        self.wanted_role, self.wanted_variant = self.role.copy(), self.variant.copy()
        self._fits: Bools = np.asarray(~np.isnan(place.profiles).any(axis=2))

    def reload_s(self, r: int) -> float:
        """Return how long an instance takes to load the model in force."""
        choice = self._specs[int(self._place.endpoint[r])].choices[int(self.variant[r])]
        vision = images.vision(choice.model)
        beside = 0 if vision is None else vision.encoder_weight_bytes
        return latency.reload_s(choice.model, choice.precision, int(self._place.gpus[r]), beside)

    @property
    def changing(self) -> Bools:
        """Return which instances are to become something else, shape I."""
        return np.asarray((self.role != self.wanted_role) | (self.variant != self.wanted_variant))

    @property
    def will_prefill(self) -> Bools:
        """Return which instances are to prefill, shape I."""
        return _prefills(self.wanted_role)

    def lay(self, role: Ints) -> bool:
        """Take wanted roles; return whether anything is new. Roles that leave no way through an endpoint become WHOLE."""
        wanted = np.clip(np.asarray(role, dtype=np.int64), WHOLE, DECODE)
        for index, spec in enumerate(self._specs):
            part = self._place.part(index)
            wanted[part] = _whole_way(wanted[part], spec.vision is not None)
        new = not np.array_equal(wanted, self.wanted_role)
        self.wanted_role = wanted
        return new

    def hold(self, variant: Ints) -> bool:
        """Take wanted variants; return whether anything is new. Where one does not fit, the configured model stays."""
        wanted = np.clip(np.asarray(variant, dtype=np.int64), 0, len(self._fits) - 1)
        wanted = np.where(self._fits[wanted, np.arange(len(wanted))], wanted, 0)
        new = not np.array_equal(wanted, self.wanted_variant)
        self.wanted_variant = wanted
        return new

    def turn(self, which: Bools) -> None:
        """Let instances be what is wanted of them."""
        self.role[which], self.variant[which] = self.wanted_role[which], self.wanted_variant[which]

    def without_a_way(self, turning: Bools) -> Bools:
        """Return which of the ``turning`` instances must wait: those that prefill, where nobody of the endpoint would any more."""
        before, after = _prefills(self.role), _prefills(np.where(turning, self.wanted_role, self.role))
        left = np.bincount(self._place.endpoint[after], minlength=len(self._specs))
        return np.asarray(turning & before & (left == 0)[self._place.endpoint])

    def key(self) -> Ints:
        """Return a number per instance for what it must have loaded: encoders and language models differ."""
        return np.asarray(self.variant * 2 + (self.role == IMAGE))

    def snapshot(self) -> State:
        """Return roles and variants."""
        return {name: getattr(self, name).copy() for name in _ARRAYS}

    def restore(self, state: State) -> None:
        """Take back what ``snapshot`` gave."""
        for name in _ARRAYS:
            setattr(self, name, np.array(state[name]))


def _prefills(role: Ints) -> Bools:
    return np.asarray((role == WHOLE) | (role == PREFILL))


def _whole_way(role: Ints, reads_images: bool) -> Ints:
    """Return roles that lead from prefill to decode: what cannot stand alone becomes WHOLE."""
    out = role.copy()
    if not reads_images:
        out[out == IMAGE] = WHOLE
    if not (out == PREFILL).any():
        out[out == DECODE] = WHOLE
    if not (out == DECODE).any():
        out[out == PREFILL] = WHOLE
    if len(out) and (out == IMAGE).all():
        out[:] = WHOLE
    return out
