"""Instances come and go: off, starting, on, draining, lost, loaded anew."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twin.faults import Fault
from twin.fleet import GPUS_PER_SERVER
from twin.serving import batching as b
from twin.serving.accounts import Accounts
from twin.serving.engine import ticks
from twin.serving.layout import Layout
from twin.serving.levers import DRAINING, OFF, ON, STARTING
from twin.serving.pipeline import Pipeline
from twin.serving.roles import Roles
from twin.stack import State

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

# The driver lost GPUs of a server (an NVIDIA driver reports XID 79).
OFF_BUS: Final = "gpu_off_bus"
# So many waiting requests at each instance are a queue.
_QUEUE: Final = 2
_ARRAYS: Final = ("state", "wanted", "lost", "slowed", "admitted", "_ready_at", "_loaded")


class Lifecycle:
    """The state of every instance, shape I, and what follows from it for the engines.

    A draining instance finishes its requests and goes off; a starting one takes requests after the start-up delay. A lost
    instance's requests go to the endpoint's other instances, with the tokens they already have; one that holds a GPU which fell
    off the bus is lost whole. Requests that wait at an
    instance that is off are placed anew as soon as another is on or starting. A fault of severity below 1 leaves the
    instance on and slower by that share. An instance whose role or model is to change drains first; it is back after the
    time that loading takes, or at once where it holds the weights already. Where all of an endpoint change, half of them go on
    until others are back; the only one of an endpoint stops at once, and its requests wait with the tokens they have. The last
    one that prefills waits with its change until another one prefills. Of instances that share GPUs only one is on.
    """

    def __init__(
        self,
        place: Layout,
        pipelines: Sequence[Pipeline],
        accounts: Accounts,
        faults: Sequence[tuple[Fault, Ints]],
        start_delay_s: float,
        roles: Roles,
    ) -> None:
        self._place, self._pipelines, self._accounts, self.roles = place, pipelines, accounts, roles
        self._faults = tuple(faults)
        self._edges = sorted({ticks(t_s) for fault, _ in faults for t_s in fault.edges_s()})
        self._start_delay = ticks(start_delay_s)
        self._rivals = place.rivals()
        count = len(place.ids)
        # The GPUs of all slots one after the other, and whose they are.
        self._slot = np.repeat(np.arange(count), place.gpus)
        ends = np.cumsum(place.gpus)
        self._flat = np.arange(len(self._slot)) + np.repeat(place.first_gpu - (ends - place.gpus), place.gpus)
        self._gpus = int(self._flat.max()) + 1 if count else 0
        self.state = np.where(place.configured, ON, OFF).astype(np.int64)
        self.wanted = place.configured.copy()
        self.lost = np.zeros(count, dtype=np.bool_)
        self.slowed = np.ones(count)
        self.admitted = np.ones(count, dtype=np.bool_)
        self._ready_at = np.full(count, b.FOREVER, dtype=np.int64)
        # What the GPUs of a slot hold, as a key of roles and model; -1 for nothing.
        self._loaded = np.where(place.configured, 0, -1).astype(np.int64)
        self._in_between = False

    def outstanding(self) -> Ints:
        """Return the requests at each instance, shape I."""
        return self._of_all("outstanding")

    def _of_all(self, name: str) -> Ints:
        none = np.zeros(0, dtype=np.int64)
        return np.concatenate([none, *(getattr(pipeline.stages, name) for pipeline in self._pipelines)])

    def next_change(self, now: int) -> int:
        """Return the tick at which an instance becomes ready or a fault begins or ends."""
        edge = min((edge for edge in self._edges if edge > now), default=b.FOREVER)
        if not self._in_between:
            return edge
        ready = self._ready_at[self.state == STARTING]
        return min(int(ready.min()), edge) if len(ready) else edge

    def lay(self, role: Ints, now: int) -> bool:
        """Take the wanted roles, shape I; return whether anything is new."""
        new = self.roles.lay(role)
        if new:
            self.settle(now)
        return new

    def hold(self, variant: Ints, now: int) -> None:
        """Take the wanted variants, shape I."""
        if self.roles.hold(variant):
            self.settle(now)

    def scale(self, wanted: Bools, now: int) -> None:
        """Start what is newly wanted, drain what no longer is."""
        state, wanted = self.state, self._without_rivals(np.array(wanted, dtype=np.bool_))
        # Where all stay as they are and nobody has work left that is off, there is nothing to settle.
        if not self._in_between and np.array_equal(wanted, self.wanted) and not (self.outstanding()[state == OFF] > 0).any():
            return
        self.wanted = wanted
        self._note(now, "instance_stop", ~self.wanted & ((state == ON) | (state == STARTING)))
        state[~self.wanted & (state == STARTING)] = OFF
        state[~self.wanted & (state == ON)] = DRAINING
        self.settle(now)

    def _without_rivals(self, wanted: Bools) -> Bools:
        """Return the wanted slots, of those that share GPUs the first one only."""
        if self._rivals and (self._holders(wanted) > 1).any():
            for index, rivals in self._rivals.items():
                if wanted[index] and wanted[rivals[rivals < index]].any():
                    wanted[index] = False
        return wanted

    def _holders(self, which: Bools) -> Ints:
        """Return how many of some slots each GPU belongs to."""
        of_gpu = np.zeros(self._gpus, dtype=np.int64)
        np.add.at(of_gpu, self._flat[which[self._slot]], 1)
        return of_gpu

    def admit(self, endpoint: int, allowed: Bools) -> None:
        """Set which instances (shape I) the guards of one endpoint's router allow."""
        part = self._place.part(endpoint)
        # All else that decides who takes new requests is settled, which opens anew.
        if not np.array_equal(self.admitted[part], allowed[part]):
            self.admitted[part] = allowed[part]
            self._open(endpoint)

    def relieve(self) -> None:
        """Let those that guards struck out take requests again at endpoints where the others have queues; guards speak once a window."""
        if self.admitted.all():
            return
        for endpoint, pipeline in enumerate(self._pipelines):
            part = self._place.part(endpoint)
            on, admitted = self.state[part] == ON, self.admitted[part]
            if not (on & ~admitted).any():
                continue
            queued = pipeline.stages.queued[on & admitted]
            if queued.sum() > _QUEUE * len(queued):
                self.admitted[part] = True
                self._open(endpoint)

    def held(self, since: int, now: int) -> Ints:
        """Return how long GPUs were held since a tick, shape I; draining instances that are empty by now go off."""
        held = np.where(self.state != OFF, now - since, 0)
        draining = self.state == DRAINING
        if self._in_between and draining.any():
            emptied = draining & (self.outstanding() == 0)
            # One that comes back in another role keeps its GPUs.
            emptied &= ~(self.roles.changing & self.wanted)
            held[emptied] = np.maximum(self._of_all("empty_since")[emptied] - since, 0)
        return held

    def reach(self, now: int) -> None:
        """Let happen what is due at a tick."""
        if now in self._edges:
            self.meet_faults(now)
        elif self._in_between:
            due = bool(((self.state == STARTING) & (self._ready_at <= now)).any())
            waits = bool((self.wanted & (self.state == OFF) & ~self.lost).any())
            if due or waits or bool((self.state == DRAINING).any()):
                self.settle(now)

    def settle(self, now: int) -> None:
        """Let states follow from the time and the work left, and place anew what nobody would serve."""
        state, changing = self.state, self.roles.changing
        state[(state == STARTING) & (self._ready_at <= now)] = ON
        # One that drains for another role goes on draining.
        state[self.wanted & (state == DRAINING) & ~changing] = ON
        state[changing & (state == ON)] = DRAINING
        emptied = (state == DRAINING) & ((self.outstanding() == 0) | self._alone())
        # One that has not begun may change its mind at once; those that nobody relieves of the prefills stay what they are.
        starting = changing & (state == STARTING)
        stay = self.roles.without_a_way(changing & (emptied | starting | (state == OFF)))
        state[emptied & ~(stay & self.wanted)] = OFF
        state[starting & ~stay] = OFF
        self._turn(changing & (state == OFF) & ~stay)
        due = self.wanted & (state == OFF) & ~self.lost
        if due.any():
            self._start(due & self._free(), starting, now)
        # GPUs that are given back hold nothing.
        self._loaded[state == OFF] = -1
        live = (state == ON) | (state == DRAINING)
        coming = (state == ON) | (state == STARTING)
        for index, pipeline in enumerate(self._pipelines):
            part = self._place.part(index)
            pipeline.stages.set_live(live[part], now)
            if coming[part].any():
                for r in np.flatnonzero((state[part] == OFF) & (pipeline.stages.outstanding > 0)):
                    pipeline.stages.lose(int(r))
            pipeline.look_for_encoders(state[part] != OFF)
            self._open(index)
        self._note_in_between()

    def _alone(self) -> Bools:
        """Return the slots that drain for a change and whose endpoint has no other to serve meanwhile, shape I.

        All that comes would come to them, and they would never be empty.
        """
        there = (self.state != OFF) | (self.wanted & ~self.lost)
        slots = np.bincount(self._place.endpoint[there], minlength=len(self._pipelines))
        return np.asarray(self.roles.changing & self.wanted & (self.state == DRAINING) & (slots[self._place.endpoint] == 1))

    def _free(self) -> Bools:
        """Return the slots whose GPUs no other slot holds, shape I."""
        free = np.ones(len(self.state), dtype=np.bool_)
        if self._rivals:
            held = self._holders(self.state != OFF)[self._flat] > (self.state != OFF)[self._slot]
            free[self._slot[held]] = False
        return free

    def _turn(self, which: Bools) -> None:
        """Give slots that are off the role and the model that is wanted of them."""
        if not which.any():
            return
        self.roles.turn(which)
        for index, pipeline in enumerate(self._pipelines):
            part = self._place.part(index)
            # What waited there until it is on again is placed anew.
            for r in np.flatnonzero(which[part] & (pipeline.stages.outstanding > 0)):
                pipeline.stages.lose(int(r))
            if which[part].any():
                before = pipeline.stages.seen(b.KV_LIMIT).copy()
                pipeline.become(which[part], self.roles.role[part], self.roles.variant[part])
                self._accounts.resize(part, before, pipeline.stages.seen(b.KV_LIMIT))

    def _note_in_between(self) -> None:
        """Remember whether any instance is on its way: mostly none is, and a tick has nothing to look after."""
        going = (self.state == STARTING) | (self.state == DRAINING) | (self.wanted & (self.state == OFF) & ~self.lost)
        self._in_between = bool((going | self.roles.changing).any())

    def meet_faults(self, now: int) -> None:
        """Take instances away, slow them or give them back as the faults of this moment say."""
        lost = np.zeros(len(self.lost), dtype=np.bool_)
        self.slowed[:] = 1.0
        for fault, target in self._faults:
            if ticks(fault.from_s) <= now and (fault.until_s is None or now < ticks(fault.until_s)):
                whole = fault.severity >= 1.0 or fault.kind == OFF_BUS
                lost[target] |= whole
                self.slowed[target] *= 1.0 if whole else 1.0 - fault.severity
        gone = lost & ~self.lost
        self.lost = lost
        self._note(now, "instance_lost", gone)
        for r in np.flatnonzero(gone):
            index = int(self._place.endpoint[r])
            moved = self._pipelines[index].stages.lose(int(r - self._place.first[index]))
            self._accounts.note(now, "requests_requeued", [(self._place.ids[r], float(moved))])
        self.state[gone] = OFF
        self.settle(now)

    def _start(self, which: Bools, starting: Bools, now: int) -> None:
        """Start slots: cold ones take the start-up delay, those that keep their GPUs what loading other weights takes.

        Those that were ``starting`` as something else take what was left of that at least.
        """
        if not which.any():
            return
        self._note(now, "instance_start", which)
        key = self.roles.key()
        self.state[which] = STARTING
        for r in np.flatnonzero(which):
            # What is wanted at the very start stands there already.
            delay = self._start_delay if now > 0 else 0
            if self._loaded[r] >= 0 and now > 0:
                delay = 0 if self._loaded[r] == key[r] else ticks(float(self.roles.reload_s(int(r))))
                delay = max(delay, int(self._ready_at[r]) - now) if starting[r] else delay
            self._ready_at[r] = now + delay
            self._loaded[r] = key[r]
        self.state[which & (self._ready_at <= now)] = ON

    def _open(self, index: int) -> None:
        """Say which instances may take new requests: on and admitted; else on; else by turns; else starting; else one to wait at.

        One that drains takes new ones only where there is no other, or it would never be empty.
        """
        on = self.state[self._place.part(index)] == ON
        self._pipelines[index].stages.open(on, partial(self._choices, index, on))

    def _choices(self, index: int, on: Bools) -> Iterator[Bools]:
        part = self._place.part(index)
        state, there = self.state[part], ~self.lost[part]
        yield on & self.admitted[part]
        yield on
        yield self._in_turn(index)
        yield state == STARTING
        # What waits for its GPUs comes sooner than what nobody wants.
        yield (state == STARTING) | (self.wanted[part] & there)
        yield (state == OFF) & there
        yield there

    def _in_turn(self, index: int) -> Bools:
        """Return of an endpoint's slots that prefill and drain for a change those that go on meanwhile, shape n.

        Half of all that change stay, so that the others are empty some time; those that will prefill go first, as they relieve
        the rest once they are back.
        """
        part = self._place.part(index)
        staying = (self.state[part] == DRAINING) & self.wanted[part] & self._pipelines[index].stages.in_text
        order = np.flatnonzero(staying)
        order = order[np.argsort(~self.roles.will_prefill[part][order], kind="stable")]
        gone = int(np.count_nonzero((self.state[part] == STARTING) & self.wanted[part]))
        staying[order[: max(0, (len(order) + gone) // 2 - gone)]] = False
        return np.asarray(staying)

    def _note(self, now: int, kind: str, which: Bools) -> None:
        self._accounts.note(now, kind, [(self._place.ids[r], float(self._place.gpus[r])) for r in np.flatnonzero(which)])

    def snapshot(self) -> State:
        """Return the state of the instances."""
        return {"roles": self.roles.snapshot(), **{name: getattr(self, name).copy() for name in _ARRAYS}}

    def restore(self, state: State) -> None:
        """Take back what ``snapshot`` gave."""
        self.roles.restore(state["roles"])
        for name in _ARRAYS:
            setattr(self, name, np.array(state[name]))
        self._note_in_between()


def aimed(faults: Sequence[Fault], place: Layout, server_ids: Sequence[str]) -> list[tuple[Fault, Ints]]:
    """Return each fault with the instances that it strikes; ValueError, one line, for a target that is not there.

    Of GPUs that fall off the bus ``severity`` is the share of the server's, rounded up, the first ones of it; whoever holds one of
    them is struck. A server may carry no instance, where others have its GPUs: then nobody is.
    """
    return [(fault, _off_bus(fault, place, server_ids) if fault.kind == OFF_BUS else _target(fault, place.ids)) for fault in faults]


def _off_bus(fault: Fault, place: Layout, server_ids: Sequence[str]) -> Ints:
    if fault.target not in server_ids:
        raise ValueError(f"faults: {fault.kind}: no server is called {fault.target!r}; write one such as {', '.join(server_ids[:3])}")
    first = GPUS_PER_SERVER * list(server_ids).index(fault.target)
    last = first + int(np.ceil(fault.severity * GPUS_PER_SERVER - 1e-9))
    return np.flatnonzero((place.first_gpu < last) & (place.first_gpu + place.gpus > first))


def _target(fault: Fault, ids: tuple[str, ...]) -> Ints:
    if fault.target not in ids:
        raise ValueError(
            f"faults: {fault.kind}: no instance is called {fault.target!r}; write endpoint/number, such as {', '.join(ids[:3])}"
        )
    return np.array([ids.index(fault.target)])
