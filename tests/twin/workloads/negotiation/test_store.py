"""The hint store against a plain one that works a hint at a time."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.store import states
from twin.workloads.negotiation import hint, keys
from twin.workloads.negotiation.hint import AGENT, OUTSIDE, TEMPLATE, Hints
from twin.workloads.negotiation.store import OUTCOMES, Said, Store
from twin.workloads.negotiation.tenants import Tenants

Told = tuple[float, int, int, int, float, int]
Few = Callable[..., Tenants]
WORKLOAD, DEPLOYMENT, VM = range(3)
# Written out, not taken from the code under test.
AGAINST = {
    "preemptible": (("availability_nines", lambda other: other >= 4.0), ("preemptibility_share", lambda other: other <= 0.0)),
    "want_boost": (("delay_tolerance_s", lambda other: other > 0.0),),
    "region_independence": (("data_residency", lambda other: other == 1.0),),
}


class Plain:
    """Dictionaries, one hint at a time; what is in force is worked out anew whenever it is asked for."""

    def __init__(self, tenants: Tenants) -> None:
        self.tenants = tenants
        self.slots: dict[tuple[int, int, str], Said] = {}
        self.changes: dict[tuple[int, int, str, int], int] = {}

    def put(self, t_s: float, scope: int, of: int, key: int, value: float, sayer: int) -> str:
        name = keys.KEYS[key].name
        slot = (scope, of, name)
        was = self.slots.get(slot, Said(math.nan, 0, -math.inf, 0))
        if t_s < was.t_s:
            return "stale"
        same = was.value == value or (math.isnan(was.value) and math.isnan(value))
        if not same and not keys.KEYS[key].runtime:
            hour = (*slot, int(t_s // 3600.0))
            if self.changes.get(hour, 0) >= 30:
                return "flapping"
            self.changes[hour] = self.changes.get(hour, 0) + 1
        self.slots[slot] = Said(value, was.version + 1, t_s, sayer)
        if same:
            return "confirmed"
        if any(self.source(vm, name) == (scope, of) and self.clashes(vm, name) for vm in range(len(self.tenants))):
            return "contradictory"
        return "taken"

    def source(self, vm: int, name: str) -> tuple[int, int] | None:
        of = (int(self.tenants.workload[vm]), int(self.tenants.deployment[vm]), vm)
        for scope in (VM, DEPLOYMENT, WORKLOAD):
            if name == "preemptibility_share" and scope == VM:
                continue
            if (scope, of[scope], name) in self.slots and not math.isnan(self.slots[scope, of[scope], name].value):
                return scope, of[scope]
        return None

    def said(self, vm: int, name: str) -> float:
        source = self.source(vm, name)
        return keys.KEYS[keys.INDEX[name]].default if source is None else self.slots[*source, name].value

    def bites(self, vm: int, name: str) -> list[str]:
        if self.said(vm, name) <= 0.0:
            return []
        return [other for other, against in AGAINST.get(name, ()) if against(self.said(vm, other))]

    def clashes(self, vm: int, name: str) -> bool:
        pairs = [(key, other) for key in AGAINST for other in self.bites(vm, key) if self.source(vm, other) is not None]
        return any(name in pair for pair in pairs)

    def in_force(self) -> np.ndarray:
        vms = range(len(self.tenants))
        return np.array([[0.0 if self.bites(vm, key.name) else self.said(vm, key.name) for vm in vms] for key in keys.KEYS])

    def contradictory(self) -> list[tuple[int, int]]:
        return [
            (vm, keys.INDEX[name])
            for vm in range(len(self.tenants))
            for name in sorted(AGAINST, key=lambda each: keys.INDEX[each])
            if any(self.source(vm, other) is not None for other in self.bites(vm, name))
        ]


def hints(*told: tuple[float, int, int, str, float]) -> Hints:
    return batch([(t_s, scope, of, keys.INDEX[key], value, AGENT) for t_s, scope, of, key, value in told])


def batch(told: list[Told]) -> Hints:
    if not told:
        return hint.none()
    t_s, scope, of, key, value, sayer = (np.array(column) for column in zip(*told, strict=True))
    return Hints(t_s.astype(float), scope, of, key, value.astype(float), sayer)


def force(store: Store, vm: int, key: str) -> float:
    return float(store.in_force()[keys.INDEX[key], vm])


def outcomes(store: Store, said: Hints) -> list[str]:
    return [OUTCOMES[index] for index in store.put(said)]


def test_what_nobody_said_is_the_careful_default(few: Few) -> None:
    store = Store(few())
    assert np.array_equal(store.in_force(), np.repeat([[key.default] for key in keys.KEYS], 7, axis=1))
    assert not store.changed.any()
    assert store.said_of(VM, 0) == {}


def test_the_narrower_scope_wins_whenever_it_was_said(few: Few) -> None:
    store = Store(few())
    store.put(hints((9.0, VM, 2, "stateless", 2.0), (10.0, DEPLOYMENT, 1, "stateless", 1.0), (11.0, WORKLOAD, 0, "stateless", 0.0)))
    assert [force(store, vm, "stateless") for vm in range(7)] == [0.0, 0.0, 2.0, 1.0, 1.0, 0.0, 0.0]
    store.put(hints((12.0, VM, 2, "stateless", np.nan)))
    assert force(store, 2, "stateless") == 1.0
    store.put(hints((13.0, DEPLOYMENT, 1, "stateless", np.nan), (13.0, WORKLOAD, 0, "stateless", 1.0)))
    assert [force(store, vm, "stateless") for vm in range(7)] == [1.0] * 5 + [0.0] * 2


def test_within_a_scope_the_last_writer_wins_by_time_then_by_order(few: Few) -> None:
    store = Store(few())
    said = hints((50.0, VM, 0, "vm_priority", 10.0), (40.0, VM, 0, "vm_priority", 90.0), (50.0, VM, 0, "vm_priority", 30.0))
    assert outcomes(store, said) == ["taken", "stale", "taken"]
    assert store.said_of(VM, 0) == {"vm_priority": Said(30.0, 2, 50.0, AGENT)}


def test_whoever_confirms_is_the_last_writer_too(few: Few) -> None:
    store = Store(few())
    said = hints((10.0, VM, 0, "vm_priority", 20.0), (60.0, VM, 0, "vm_priority", 20.0), (30.0, VM, 0, "vm_priority", 80.0))
    assert outcomes(store, said) == ["taken", "confirmed", "stale"]
    assert force(store, 0, "vm_priority") == 20.0


def test_changes_are_marked_until_they_are_settled(few: Few) -> None:
    store = Store(few())
    store.put(hints((1.0, DEPLOYMENT, 1, "delay_tolerance_s", 60.0)))
    assert store.changed.tolist() == [False, False, True, True, True, False, False]
    store.settle()
    store.put(hints((2.0, DEPLOYMENT, 1, "delay_tolerance_s", 60.0), (2.0, WORKLOAD, 0, "delay_tolerance_s", 60.0)))
    assert store.changed.tolist() == [True, True, False, False, False, False, False]


@pytest.mark.parametrize(
    ("first", "second", "key", "calmed"),
    [
        (("availability_nines", 5.0), ("preemptible", 1.0), "preemptible", ("availability_nines", 3.0)),
        (("delay_tolerance_s", 60.0), ("want_boost", 1.0), "want_boost", ("delay_tolerance_s", 0.0)),
        (("data_residency", 1.0), ("region_independence", 2.0), "region_independence", ("data_residency", np.nan)),
    ],
)
def test_hints_that_contradict_one_another_are_not_followed(
    few: Few, first: tuple[str, float], second: tuple[str, float], key: str, calmed: tuple[str, float]
) -> None:
    store = Store(few())
    store.put(hints((0.0, DEPLOYMENT, 1, "preemptibility_share", 0.5)))
    assert outcomes(store, hints((1.0, VM, 3, *first), (2.0, VM, 3, *second))) == ["taken", "contradictory"]
    assert force(store, 3, key) == keys.KEYS[keys.INDEX[key]].default
    assert [found.tolist() for found in store.contradictory()] == [[3], [keys.INDEX[key]]]
    assert store.overruled(3) == {key: (first[0],)}
    assert outcomes(store, hints((3.0, VM, 3, *calmed))) == ["taken"]
    assert force(store, 3, key) == second[1]
    assert store.contradictory()[0].size == 0


def test_a_vm_may_be_evicted_only_where_its_deployment_says_how_many_at_once(few: Few) -> None:
    store = Store(few())
    assert outcomes(store, hints((1.0, VM, 3, "availability_nines", 2.0), (1.0, VM, 3, "preemptible", 1.0))) == ["taken", "taken"]
    assert force(store, 3, "preemptible") == 0.0
    assert store.overruled(3) == {"preemptible": ("preemptibility_share",)}
    store.put(hints((2.0, VM, 3, "preemptibility_share", 1.0)))
    assert force(store, 3, "preemptible") == force(store, 3, "preemptibility_share") == 0.0
    store.put(hints((3.0, DEPLOYMENT, 1, "preemptibility_share", 0.4)))
    assert (force(store, 3, "preemptible"), force(store, 3, "preemptibility_share")) == (1.0, 0.4)
    assert outcomes(store, hints((4.0, WORKLOAD, 0, "preemptibility_share", 0.0))) == ["taken"]
    assert outcomes(store, hints((5.0, DEPLOYMENT, 1, "preemptibility_share", 0.0))) == ["contradictory"]
    assert force(store, 3, "preemptible") == 0.0


def test_a_static_hint_that_flaps_stays_for_the_rest_of_the_hour(few: Few) -> None:
    store = Store(few())
    said = hints(*((float(second), VM, 0, "stateless", float(second % 2)) for second in range(40)))
    assert outcomes(store, said) == ["taken"] * 30 + ["flapping", "confirmed"] * 5
    assert force(store, 0, "stateless") == 1.0
    assert outcomes(store, hints((3600.0, VM, 0, "stateless", 2.0))) == ["taken"]
    restless = hints(*((float(second), VM, 0, "want_boost", float(second % 2)) for second in range(100)))
    assert "flapping" not in outcomes(store, restless)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ((1.0, VM, 7, 0, 1.0, AGENT), "hint 1 of 1: scope 2, of 7, .* name one of the run"),
        ((1.0, 3, 0, 0, 1.0, AGENT), "name one of the run"),
        ((1.0, VM, 0, 16, 1.0, AGENT), "name one of the run"),
        ((math.nan, VM, 0, 0, 1.0, AGENT), "name one of the run"),
        ((-1.0, VM, 0, 0, 1.0, AGENT), "name one of the run"),
        ((1.0, VM, 0, 0, 3.0, AGENT), "stateless cannot be 3; give a value from 0 to 2"),
        ((1.0, VM, 0, 0, 0.5, AGENT), "stateless cannot be 0.5"),
        ((1.0, VM, 0, 4, math.inf, AGENT), "availability_nines cannot be inf; give a value from 1 to 6"),
    ],
)
def test_a_hint_of_nothing_is_refused_and_nothing_is_taken(few: Few, told: Told, said: str) -> None:
    store = Store(few())
    with pytest.raises(ValueError, match=said):
        store.put(batch([told]))
    assert store.said_of(VM, 0) == {}


@st.composite
def told(draw: st.DrawFn) -> Told:
    key = draw(st.integers(0, len(keys.KEYS) - 1))
    scope = draw(st.sampled_from((WORKLOAD, DEPLOYMENT, VM, VM)))
    name = keys.KEYS[key]
    low, high = int(name.low), int(min(name.high, 6.0))
    value = draw(st.one_of(st.just(math.nan), st.integers(low, high).map(float)))
    of = draw(st.integers(0, (1, 2, 6)[scope]))
    return float(draw(st.integers(0, 7200))), scope, of, key, value, draw(st.sampled_from((TEMPLATE, AGENT, OUTSIDE)))


@settings(max_examples=60, deadline=None)
@given(said=st.lists(told(), max_size=40), pieces=st.integers(1, 4))
def test_it_says_what_a_plain_store_says_however_hints_come_in_pieces(few: Few, said: list[Told], pieces: int) -> None:
    _same(few(), said, max(len(said) // pieces, 1))


def test_ten_thousand_random_sequences_break_nothing(few: Few) -> None:
    tenants, rng = few(), np.random.default_rng(7)
    low, high = (np.array([getattr(key, edge) for key in keys.KEYS]) for edge in ("low", "high"))
    for sequence in range(10_000):
        count = int(rng.integers(1, 12))
        # Few keys and times, so that hints meet.
        key, scope = rng.integers(4 if sequence % 2 else 0, 10 if sequence % 2 else len(keys.KEYS), count), rng.integers(0, 3, count)
        value = np.minimum(low[key] + rng.integers(0, 6, count), high[key]).astype(float)
        value[rng.random(count) < 0.2] = np.nan
        of = rng.integers(0, np.array([2, 3, 7])[scope])
        said = list(zip(rng.integers(0, 9, count) * 900.0, scope, of, key, value, rng.integers(0, 3, count), strict=True))
        _same(tenants, said, count, looks=sequence % 50 == 0)


def _same(tenants: Tenants, said: list[Told], step: int, looks: bool = True) -> None:
    store, plain = Store(tenants), Plain(tenants)
    for begin in range(0, len(said), step):
        part = said[begin : begin + step]
        before = store.in_force().copy()
        store.settle()
        assert outcomes(store, batch(part)) == [plain.put(float(t), int(s), int(o), int(k), float(v), int(w)) for t, s, o, k, v, w in part]
        assert store.changed[(store.in_force() != before).any(axis=0)].all()
    in_force = store.in_force()
    _lawful(in_force)
    if looks:
        assert np.array_equal(in_force, plain.in_force())
        assert [tuple(pair) for pair in np.stack(store.contradictory(), axis=1).tolist()] == plain.contradictory()
        for (scope, of, name), slot in plain.slots.items():
            assert store.said_of(scope, of).get(name) == (None if math.isnan(slot.value) else slot)


def _lawful(in_force: np.ndarray) -> None:
    row = {name: in_force[index] for name, index in keys.INDEX.items()}
    evictable = row["preemptible"] > 0.0
    assert (row["availability_nines"][evictable] < 4.0).all()
    assert (row["preemptibility_share"][evictable] > 0.0).all()
    assert not (row["want_boost"] * row["delay_tolerance_s"]).any()
    assert not (row["region_independence"] * row["data_residency"]).any()


def test_a_store_that_goes_on_from_a_snapshot_is_the_same(few: Few) -> None:
    tenants = few()
    said = [
        (float(second), VM, second % 7, (0, 4, 6, 14, 7)[second % 5], float(second % 2 + (second % 5 == 1) * 3), AGENT)
        for second in range(200)
    ]
    said.insert(0, (0.0, DEPLOYMENT, 1, keys.INDEX["preemptibility_share"], 0.5, TEMPLATE))
    whole, first, second = Store(tenants), Store(tenants), Store(tenants)
    expected = whole.put(batch(said))
    got = first.put(batch(said[:120]))
    second.restore(states.unpack(states.pack(first.snapshot())))
    assert np.array_equal(second.changed, first.changed)
    assert np.array_equal(np.concatenate([got, second.put(batch(said[120:]))]), expected)
    assert np.array_equal(second.in_force(), whole.in_force())
    assert [found.tolist() for found in second.contradictory()] == [found.tolist() for found in whole.contradictory()]
    assert states.pack(second.snapshot()) == states.pack(whole.snapshot())
    assert {OUTCOMES[index] for index in expected} == {"taken", "contradictory"}


def test_what_is_in_force_cannot_be_written_by_who_reads_it(few: Few) -> None:
    store = Store(few())
    with pytest.raises(ValueError, match="read-only"):
        store.in_force()[0, 0] = 2.0
    with pytest.raises(ValueError, match="read-only"):
        store.changed[0] = True


def test_nobody_negotiates_without_vms(few: Few) -> None:
    store = Store(few(of_deployment=()))
    assert outcomes(store, hints((0.0, DEPLOYMENT, 1, "stateless", 2.0), (1.0, WORKLOAD, 0, "stateless", 2.0))) == ["taken", "taken"]
    assert store.in_force().shape == (len(keys.KEYS), 0)


@settings(max_examples=40, deadline=None)
@given(said=st.lists(told(), max_size=20), own=told())
def test_a_hint_changes_only_the_vms_that_it_is_about(few: Few, said: list[Told], own: Told) -> None:
    tenants = few()
    store = Store(tenants)
    store.put(batch(said))
    before = store.in_force().copy()
    store.settle()
    store.put(batch([own]))
    mine = (tenants.workload, tenants.deployment, np.arange(len(tenants)))[own[1]] == own[2]
    assert not (store.in_force() != before).any(axis=0)[~mine].any()
    assert not store.changed[~mine].any()
