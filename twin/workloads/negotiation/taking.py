# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, disallow-incomplete-defs=False
"""Hints taken one after the other: the compiled part of the store."""

from functools import cache
from typing import Any, Final, NamedTuple

import numpy as np
from numba import njit
from numba.extending import register_jitable
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
# As ``store.OUTCOMES`` has them.
TAKEN, CONFIRMED, STALE, CONTRADICTORY, LIMITED, FLAPPING = range(6)
HOUR_S: Final = 3600.0
WORKLOAD, DEPLOYMENT, VM = range(3)
# Nothing here makes an array or keeps one, so references to the arguments need no counting: it would take as long as the rest.
COMPILED: Final[Any] = njit(cache=True, _nrt=False)  # type: ignore[call-overload]
_jitable: Any = register_jitable(_nrt=False)


class Slots(NamedTuple):
    """What each workload, deployment and VM (a row each, in this order) has said last of each key, shape (S, K).

    ``changes`` counts those of a static key in the ``hour``.
    """

    value: Floats
    said_s: Floats
    version: NDArray[np.int32]
    sayer: NDArray[np.int8]
    changes: NDArray[np.int32]
    hour: NDArray[np.int32]


class Around(NamedTuple):
    """Whose a VM is. ``first`` row of each scope; ``rows`` (V, 3) of a VM; ``members`` from ``starts`` on are a wider row's VMs."""

    first: Ints
    rows: Ints
    members: Ints
    starts: Ints


class Terms(NamedTuple):
    """What holds for keys: defaults and kind (K); ``rules`` (R, 2) name a key and the one whose value within ``bounds`` overrules it.

    ``budget_key`` is no VM's to say.
    """

    default: Floats
    runtime: NDArray[np.bool_]
    rules: Ints
    bounds: Floats
    budget_key: int
    flapping_per_h: int


class Held(NamedTuple):
    """What is in force, shape (K, V), and per VM: rules that overrule one of its hints, those where both were said, what is new."""

    value: Floats
    overruled: NDArray[np.uint8]
    clashing: NDArray[np.uint8]
    changed: NDArray[np.bool_]


class Batch(NamedTuple):
    """Hints, shape B; see ``hint.Hints``."""

    t_s: Floats
    scope: Ints
    of: Ints
    key: Ints
    value: Floats
    sayer: Ints


@_jitable
def _source(value, around, terms, v, k):
    """Return the row whose value of a key holds at a VM, the narrowest scope's; -1 where nobody says anything."""
    row = around.first[VM] + v
    if not np.isnan(value[row, k]) and k != terms.budget_key:
        return row
    for scope in (DEPLOYMENT, WORKLOAD):
        row = around.rows[v, scope]
        if not np.isnan(value[row, k]):
            return row
    return -1


@_jitable
def _said(value, around, terms, v, k):
    row = _source(value, around, terms, v, k)
    return value[row, k] if row >= 0 else terms.default[k]


@_jitable
def _bit(bits, r, on):
    return bits | np.uint8(1 << r) if on else bits & np.uint8(255 - (1 << r))


@_jitable
def _settle(value, around, terms, held, v, k):
    """Put the value in force of a key at a VM: the narrowest scope's, the default where another key overrules it."""
    now = _said(value, around, terms, v, k)
    for r in range(len(terms.rules)):
        if terms.rules[r, 0] != k:
            continue
        against = terms.rules[r, 1]
        other = _said(value, around, terms, v, against)
        bites = now > terms.default[k] and terms.bounds[r, 0] <= other <= terms.bounds[r, 1]
        held.overruled[v] = _bit(held.overruled[v], r, bites)
        held.clashing[v] = _bit(held.clashing[v], r, bites and _source(value, around, terms, v, against) >= 0)
    for r in range(len(terms.rules)):
        if terms.rules[r, 0] == k and held.overruled[v] & (1 << r):
            now = terms.default[k]
    held.changed[v] |= held.value[k, v] != now
    held.value[k, v] = now


@_jitable
def _refresh(value, around, terms, held, v, k):
    """Bring a key up to date at a VM, and keys that it may overrule; return whether it has a part in a contradiction."""
    _settle(value, around, terms, held, v, k)
    contradicts = False
    for r in range(len(terms.rules)):
        if terms.rules[r, 1] == k:
            _settle(value, around, terms, held, v, terms.rules[r, 0])
        if k == terms.rules[r, 0] or k == terms.rules[r, 1]:
            contradicts |= (held.clashing[v] & (1 << r)) != 0
    return contradicts


@_jitable
def _restless(slots, terms, row, k, t_s):
    """Count a change of a static key; return whether there were too many in this hour."""
    now = np.int32(t_s / HOUR_S)
    if slots.hour[row, k] != now:
        slots.hour[row, k], slots.changes[row, k] = now, 0
    if slots.changes[row, k] >= terms.flapping_per_h:
        return True
    slots.changes[row, k] += 1
    return False


@_jitable
def _spread(slots, around, terms, held, scope, of, k):
    """Let a new value reach the VMs that it is about; return whether it contradicts another at one of them."""
    row, contradicts = around.first[scope] + of, False
    low, high = (of, of + 1) if scope == VM else (around.starts[row], around.starts[row + 1])
    for m in range(low, high):
        v = m if scope == VM else around.members[m]
        clashes = _refresh(slots.value, around, terms, held, v, k)
        contradicts |= clashes and _source(slots.value, around, terms, v, k) == row
    return contradicts


def _take(batch: Batch, slots: Slots, around: Around, terms: Terms, held: Held, outcome: NDArray[np.int8]) -> None:
    for i in range(len(batch.t_s)):
        row, k, t_s, new = around.first[batch.scope[i]] + batch.of[i], batch.key[i], batch.t_s[i], batch.value[i]
        if t_s < slots.said_s[row, k]:
            outcome[i] = STALE
            continue
        was = slots.value[row, k]
        same = was == new or (np.isnan(was) and np.isnan(new))
        if not same and not terms.runtime[k] and _restless(slots, terms, row, k, t_s):
            outcome[i] = FLAPPING
            continue
        slots.said_s[row, k], slots.sayer[row, k], slots.value[row, k] = t_s, batch.sayer[i], new
        slots.version[row, k] += 1
        if same:
            outcome[i] = CONFIRMED
            continue
        contradicts = _spread(slots, around, terms, held, batch.scope[i], batch.of[i], k)
        outcome[i] = CONTRADICTORY if contradicts else TAKEN


def _renew(value: Floats, around: Around, terms: Terms, held: Held) -> None:
    for v in range(len(around.rows)):
        for k in range(len(terms.default)):
            _settle(value, around, terms, held, v, k)


def _first_wrong(batch: Batch, sizes: Ints, low: Floats, high: Floats, whole: NDArray[np.bool_]) -> int:
    for i in range(len(batch.t_s)):
        scope, key, value = batch.scope[i], batch.key[i], batch.value[i]
        if not (0 <= scope < len(sizes) and 0 <= key < len(low) and 0.0 <= batch.t_s[i] < np.inf and 0 <= batch.of[i] < sizes[scope]):
            return i
        if not (np.isnan(value) or (low[key] <= value <= high[key] and not (whole[key] and value != np.floor(value)))):
            return i
    return -1


@cache
def finder() -> Any:
    """Return the compiled ``first_wrong(batch, sizes, low, high, whole)``: the first hint of what there is not or beyond bounds, or -1."""
    return COMPILED(_first_wrong)


@cache
def taker() -> Any:
    """Return the compiled ``take(batch, slots, around, terms, held, outcome)``: hints in their order, what became of each."""
    return COMPILED(_take)


@cache
def renewer() -> Any:
    """Return the compiled ``renew(value, around, terms, held)``: everything in force anew from what was said."""
    return COMPILED(_renew)
