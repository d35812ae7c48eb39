"""The hint store: what was said last of each key, and what is in force."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from twin.sources import calibration
from twin.stack import State
from twin.workloads.negotiation import hint, keys, taking
from twin.workloads.negotiation.tenants import Tenants

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
# What becomes of a hint, by its number in ``taking``. Limited ones never come here: the bus refuses them.
OUTCOMES: Final = ("taken", "confirmed", "stale", "contradictory", "limited", "flapping")
# A hint that another one contradicts is not followed: key, the key against it, and the values of that which are against it.
RULES: Final = (
    ("preemptible", "availability_nines", 4.0, np.inf),
    ("preemptible", "preemptibility_share", -np.inf, 0.0),
    ("want_boost", "delay_tolerance_s", float(np.nextafter(0.0, 1.0)), np.inf),
    ("region_independence", "data_residency", 1.0, 1.0),
)
# What is known of a key at a place lies side by side, 32 bytes: hints come from anywhere, and each reads and writes all of it.
_SLOT: Final = np.dtype(
    [("value", "f8"), ("said_s", "f8"), ("version", "i4"), ("changes", "i4"), ("hour", "i4"), ("sayer", "i1")], align=True
)

_LOW, _HIGH = (np.array([getattr(key, edge) for key in keys.KEYS]) for edge in ("low", "high"))
_WHOLE: Final = np.array([key.kind != "number" for key in keys.KEYS])


class Said(NamedTuple):
    """What somebody said last of a key: a number, how often it was said, when, and by whom (an index of ``hint.SAYERS``)."""

    value: float
    version: int
    t_s: float
    sayer: int


class Store:
    """Hints by scope and key, and the value in force of each key at each VM.

    Of one scope the last writer wins, by the time at which it was said and then by order; the narrower scope wins over the wider.
    What is not said has its default, and so has what contradicts something else (RULES): both mean the careful treatment of
    today. A static key that is changed more than ``flapping_per_h`` times within an hour stays as it is for the rest of it.
    How many VMs of a deployment may be evicted at once (``preemptibility_share``) is not for one of its VMs to say.
    """

    def __init__(self, tenants: Tenants) -> None:
        vms, names = len(tenants), [key.name for key in keys.KEYS]
        self._sizes = np.array([len(tenants.workload_ids), len(tenants.deployment_ids), vms])
        self._around = _around(tenants, self._sizes)
        self._terms = taking.Terms(
            np.array([key.default for key in keys.KEYS]),
            np.array([key.runtime for key in keys.KEYS]),
            np.array([[names.index(key), names.index(against)] for key, against, _, _ in RULES]),
            np.array([[low, high] for _, _, low, high in RULES]),
            names.index("preemptibility_share"),
            int(calibration("negotiation")["hints"]["flapping_per_h"]["value"]),
        )
        shape = (int(self._sizes.sum()), len(names))
        table = np.zeros(shape, _SLOT)
        table["value"] = np.nan
        self._slots = taking.Slots(*(table[name] for name in taking.Slots._fields))
        force = np.repeat(self._terms.default[:, None], vms, axis=1)
        self._held = taking.Held(force, np.zeros(vms, np.uint8), np.zeros(vms, np.uint8), np.zeros(vms, np.bool_))

    def put(self, said: hint.Hints) -> NDArray[np.int8]:
        """Take hints in their order and return what became of each, shape B: an index of OUTCOMES.

        A contradictory one is kept, as it may hold once the other is taken back, but not followed. ValueError where one is none.
        """
        check(said, self._sizes)
        outcome = np.zeros(len(said), dtype=np.int8)
        if len(said):
            taking.taker()(_batch(said), self._slots, self._around, self._terms, self._held, outcome)
        return outcome

    def in_force(self) -> Floats:
        """Return the value in force of every key at every VM, shape (K, V): a read-only view that goes along."""
        view = self._held.value.view()
        view.flags.writeable = False
        return view

    @property
    def changed(self) -> Bools:
        """Whether something in force changed at a VM since ``settle``, shape V: a read-only view that goes along."""
        view = self._held.changed.view()
        view.flags.writeable = False
        return view

    def settle(self) -> None:
        """Begin to mark changes anew."""
        self._held.changed[:] = False

    def contradictory(self) -> tuple[Ints, Ints]:
        """Return VMs and keys that were said and are not followed, as something else that was said is against them; by VM and key."""
        found = [(np.flatnonzero(self._held.clashing & (1 << r)), int(key)) for r, (key, _) in enumerate(self._terms.rules)]
        pairs = np.concatenate([np.stack([vm, np.full(len(vm), key)], axis=1) for vm, key in found])
        vm, key = np.unique(pairs, axis=0).T
        return vm, key

    def overruled(self, vm: int) -> dict[str, tuple[str, ...]]:
        """Return the keys of a VM that are said and not followed, each with those against it, said or by default."""
        against: dict[str, tuple[str, ...]] = {}
        for r, (key, other, _, _) in enumerate(RULES):
            if self._held.overruled[vm] & (1 << r):
                against[key] = (*against.get(key, ()), other)
        return against

    def said_of(self, scope: int, of: int) -> dict[str, Said]:
        """Return what is said of one workload, deployment or VM (an index of ``keys.SCOPES`` and its number), by key."""
        row = int(self._around.first[scope]) + of
        value, said_s, version, sayer = (getattr(self._slots, name)[row] for name in ("value", "said_s", "version", "sayer"))
        return {
            key.name: Said(float(value[k]), int(version[k]), float(said_s[k]), int(sayer[k]))
            for k, key in enumerate(keys.KEYS)
            if not np.isnan(value[k])
        }

    def snapshot(self) -> State:
        """Return what was said; what is in force follows from it."""
        return {**{name: values.copy() for name, values in self._slots._asdict().items()}, "changed": self._held.changed.copy()}

    def restore(self, state: State) -> None:
        """Take back a snapshot's state."""
        for name, values in self._slots._asdict().items():
            values[:] = state[name]
        taking.renewer()(self._slots.value, self._around, self._terms, self._held)
        self._held.changed[:] = state["changed"]


def check(said: hint.Hints, sizes: Ints) -> None:
    """Refuse hints of what there is not, and values beyond their bounds; ``sizes`` counts workloads, deployments and VMs."""
    if not len(said):
        return
    i = int(taking.finder()(_batch(said), sizes, _LOW, _HIGH, _WHOLE))
    if i < 0:
        return
    scope, of, key, t_s = int(said.scope[i]), int(said.of[i]), int(said.key[i]), float(said.t_s[i])
    where = f"hint {i + 1} of {len(said)}: scope {scope}, of {of}, key {key}, at {t_s:g} s"
    if 0 <= scope < len(sizes) and 0 <= key < len(keys.KEYS) and 0 <= of < sizes[scope] and 0.0 <= t_s < np.inf:
        name = keys.KEYS[key]
        raise ValueError(f"{where}: {name.name} cannot be {said.value[i]:g}; give a value from {name.low:g} to {name.high:g}")
    raise ValueError(f"{where}: there is no such key, time, workload, deployment or VM; name one of the run")


def _batch(said: hint.Hints) -> taking.Batch:
    numbers = (np.ascontiguousarray(getattr(said, name), dtype=np.int64) for name in ("scope", "of", "key", "sayer"))
    scope, of, key, sayer = numbers
    t_s, value = (np.ascontiguousarray(each, dtype=np.float64) for each in (said.t_s, said.value))
    return taking.Batch(t_s, scope, of, key, value, sayer)


def _around(tenants: Tenants, sizes: Ints) -> taking.Around:
    first = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
    rows = np.stack([tenants.workload, first[1] + tenants.deployment, first[2] + np.arange(len(tenants))], axis=1).astype(np.int64)
    members = np.concatenate([np.argsort(rows[:, scope], kind="stable") for scope in (0, 1)])
    starts = np.concatenate([[0], np.cumsum(np.bincount(rows[:, :2].ravel(), minlength=int(first[2])))])
    return taking.Around(first, np.ascontiguousarray(rows), members.astype(np.int64), starts.astype(np.int64))
