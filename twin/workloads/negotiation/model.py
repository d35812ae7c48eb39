"""The negotiation of a run: hints in, offers decided outside, notices out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twin.clock import Clock
from twin.faults import Fault
from twin.fleet import Fleet
from twin.stack import State, read_only
from twin.tables import Sink
from twin.workloads.host_population import HostPopulation
from twin.workloads.levers import MOVE, OffersAction, OffersObservation, Spare
from twin.workloads.negotiation import hint, keys
from twin.workloads.negotiation.bills import Bills, Treated
from twin.workloads.negotiation.capacity import Pools
from twin.workloads.negotiation.hearing import Hearing
from twin.workloads.negotiation.maintenance import Site
from twin.workloads.negotiation.messages import MessageLog
from twin.workloads.negotiation.notices import kinds
from twin.workloads.negotiation.platform import Done, Platform
from twin.workloads.negotiation.receiving import Receiving
from twin.workloads.negotiation.requirements import Requirements
from twin.workloads.negotiation.reserve import Reserve
from twin.workloads.negotiation.session import Answers
from twin.workloads.negotiation.settings import Settings
from twin.workloads.negotiation.situation import situation
from twin.workloads.negotiation.tenants import SERVERS, Tenants, tenants
from twin.workloads.population import Population

__all__ = ["Done", "Negotiation", "Standing"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
_WRITTEN_EVERY_S: Final = 300.0
# What holds of VMs that carry an endpoint, whatever they say: serving lays its instances out on them for the whole run. Only clocks
# are left to them.
_SERVING: Final = {"preemptible": 0.0, "preemptibility_share": 0.0, "region_independence": keys.NONE, "scale_up_down": 0.0}
_SERVING_NINES: Final = 4.0


@dataclass(frozen=True, slots=True)
class Standing:
    """VMs that negotiate and have a place, shape N, by number: where, how busy, and what they draw beyond an idle machine.

    ``objective_met`` (W) says of workloads that serve whether their objectives held lately; True for all others.
    """

    vm: Ints
    place: Ints
    row: Ints
    busy_share: Floats
    power_w: Floats
    objective_met: Bools


class Negotiation:
    """Keeps what workloads say, what they are granted, what they are told and what they are billed, tick by tick.

    A tick is ``observe``, then ``act`` on what the holder of offers wants, then ``account`` of the time until its end. What is
    said while it lasts is heard at the beginning of the next one. Shapes: N VMs that have a place, V VMs of the run.
    """

    def __init__(
        self,
        settings: Settings,
        on_servers: Population,
        on_hosts: HostPopulation,
        fleet: Fleet,
        clock: Clock,
        horizon_s: float,
        seed: int,
    ) -> None:
        self.settings = settings
        self.tenants = tenants(settings, on_servers, on_hosts, seed)
        self._serves = _serving(self.tenants, on_servers)
        self.log = MessageLog()
        self.hearing = Hearing(settings, self.tenants, self.log, horizon_s, seed)
        site = Site(fleet.row_ids, (fleet.host_ids, fleet.server_ids))
        self.platform = Platform(self.tenants, settings, self.log, seed, site=site, reach_s=self.hearing.bus.reach_s)
        self._receiving = Receiving(settings.messages, self.tenants)
        self._reserve = Reserve(settings, clock, horizon_s, seed)
        self._taken_off = settings.taken_off()
        self._bills = Bills(self.tenants, self._taken_off)
        self._requirements = Requirements(self.tenants)
        self._lead_s = max(kinds()[name].lead_s for name in ("eviction", "scale_down_request"))
        self._standing = np.zeros(len(self.tenants), dtype=np.bool_)
        self._begun = False
        self._why: NDArray[np.signedinteger[Any]] | None = None
        self.t_s = 0.0

    def strike(self, faults: Sequence[Fault]) -> None:
        """Let faults of hints happen, before the first tick; those of other kinds are left alone."""
        self.hearing.flood(faults)

    def reserve_cores(self, t_s: float, total_cores: float) -> tuple[float, float]:
        """Return what regular customers who are yet to come ask for now, and at most until an eviction that begins now is done."""
        if self.settings.surplus == "unlimited":
            return 0.0, 0.0
        coming = self._reserve.highest(t_s, t_s + self._lead_s + 60.0)
        return self._reserve.share(t_s) * total_cores, coming * total_cores

    def receive(self, said: hint.Hints, answers: Answers | None = None) -> None:
        """Take hints and answers of programs outside; they are on their way when the next tick begins."""
        self._receiving.receive(said, answers)

    def standing(self) -> Ints:
        """Return the VMs that have a place, by number."""
        return np.flatnonzero(self._standing)

    def observe(self, t_s: float, until_s: float, standing: Standing, spare: Spare) -> OffersObservation:
        """Return what the holder of offers may see at the beginning of a tick: everything that was heard by then."""
        if not self._begun:
            self.hearing.begin()
            self._begun = True
        here = np.zeros(len(self.tenants), dtype=np.bool_)
        here[standing.vm] = True
        came, went = np.flatnonzero(here & ~self._standing), np.flatnonzero(self._standing & ~here)
        self._standing, self.t_s = here, t_s
        self.platform.release(went, t_s)
        self.platform.admit(came, t_s)
        self._heed(t_s)
        self.hearing.speak(t_s, until_s, came, here)
        self.hearing.hear(t_s)
        seen = self._seen(t_s, until_s, standing, spare)
        self.hearing.store.settle()
        return seen

    def _heed(self, t_s: float) -> None:
        """Send hints from outside on their way, and take answers to open notices."""
        said, answers = self._receiving.until(t_s)
        self.hearing.say(said)
        for i in range(len(answers)):
            vm = self._receiving.vms_of(int(answers.scope[i]), int(answers.of[i]))
            kind, message = int(answers.notice[i]), int(answers.message[i])
            self.platform.told(float(answers.t_s[i]), vm, kind, int(answers.answer[i]), message)

    def _seen(self, t_s: float, until_s: float, standing: Standing, spare: Spare) -> OffersObservation:
        vm, platform, whole = standing.vm, self.platform, self.tenants
        # Key by key side by side: an index of columns alone would leave the values of a VM side by side, slow for all who look at a key.
        values = self.hearing.store.in_force().take(vm, axis=1)
        if len(serving := np.flatnonzero(self._serves[vm])):
            for name, held in _SERVING.items():
                values[keys.INDEX[name], serving] = held
            nines = values[keys.INDEX["availability_nines"]]
            nines[serving] = np.maximum(nines[serving], _SERVING_NINES)
        values.flags.writeable = False
        return OffersObservation(
            t_s=t_s,
            tick_s=until_s - t_s,
            workload_ids=whole.workload_ids,
            vm=read_only(vm),
            workload=_sealed(whole.workload.take(vm)),
            deployment=_sealed(deployment := whole.deployment.take(vm)),
            pool=_sealed(whole.pool.take(vm)),
            place=read_only(standing.place),
            row=read_only(standing.row),
            cores=_sealed(whole.cores.take(vm)),
            memory_bytes=_sealed(whole.memory_bytes.take(vm)),
            arrive_s=_sealed(whole.arrive_s.take(vm)),
            hints=dict(zip(keys.INDEX, values, strict=True)),
            granted=_sealed(platform.granted.take(vm)),
            size_share=_sealed(platform.size_share.take(vm)),
            clock_share=_sealed(platform.clock_share.take(vm)),
            running=_sealed(platform.runs(vm)),
            moved=_sealed(platform.taken.take(vm) == MOVE),
            noticed=_sealed(platform.noticed.take(vm)),
            declined=_sealed(platform.declined(t_s, vm)),
            busy_share=read_only(standing.busy_share),
            peak_share=_sealed(whole.peak_share.take(vm)),
            power_w=read_only(standing.power_w),
            changed=_sealed(self.hearing.store.changed.take(vm)),
            deployment_vms=_sealed(np.bincount(deployment, minlength=len(whole.deployment_ids)).astype(np.int64)),
            surplus_unlimited=self.settings.surplus == "unlimited",
            spare=spare,
            taken_off=self._taken_off,
            stays=_sealed(platform.stays(t_s, vm)),
        )

    def act(self, seen: OffersObservation, wanted: OffersAction, standing: Standing) -> Done:
        """Tell VMs what is wanted of them, take their answers, and do what is due; return whose treatment changed."""
        fares = situation(seen, standing.objective_met)
        done = self.platform.act(seen.t_s, seen, wanted, fares)
        # What agents of VMs that were left say of the coming tick is on its way while it lasts.
        self.hearing.say(self.platform.agents.hints(seen.t_s, seen.t_s + seen.tick_s, fares))
        self._why = wanted.why
        return done

    def account(self, until_s: float, seen: OffersObservation) -> None:
        """Bill the tick that ends at ``until_s``, and hold what happened against what hints demand."""
        vm, platform, spare = seen.vm, self.platform, seen.spare
        self._requirements.account(seen.t_s, until_s, seen, platform)
        treated = Treated(
            vm=vm,
            granted=platform.granted[vm],
            size_share=platform.size_share[vm],
            clock_share=platform.clock_share[vm],
            running=platform.runs(vm),
            moved=platform.taken.take(vm) == MOVE,
            busy_share=seen.busy_share,
            why=self._why,
            carbon_kg_per_kwh=spare.carbon_kg_per_kwh,
            pools=Pools(spare.total_cores, spare.others_cores, spare.reserve_cores),
        )
        self._bills.account(seen.t_s, until_s, treated, self._requirements.broken)
        self.t_s = until_s

    def broken_vms(self) -> Ints:
        """Return how many VMs of each workload (W) had a requirement broken in the hour that runs."""
        broken = self._requirements.broken(self.t_s)
        return np.bincount(self.tenants.workload[broken], minlength=len(self.tenants.workload_ids))

    # -- what is kept -----------------------------------------------------------

    def record(self, sink: Sink) -> None:
        """Write what was said, told, granted and billed, at the grid of snapshots: a few rows at a time would cost more than the rest."""
        if self.t_s % _WRITTEN_EVERY_S < 1e-6:
            self._write(sink)

    def close(self, sink: Sink) -> None:
        """Write what is held back."""
        self.hearing.conflicts.close(self.t_s)
        self._requirements.close(self.t_s)
        self._bills.close(self.t_s, self._requirements.broken)
        self._write(sink)

    def _write(self, sink: Sink) -> None:
        for part in (self.log, self.hearing, self.platform, self._bills, self._requirements):
            part.write(sink)

    def snapshot(self) -> State:
        """Return everything that the next tick depends on, and what is not written yet."""
        return {
            "t_s": self.t_s,
            "begun": self._begun,
            "standing": np.flatnonzero(self._standing),
            "log": self.log.snapshot(),
            "hearing": self.hearing.snapshot(),
            "receiving": self._receiving.snapshot(),
            "platform": self.platform.snapshot(),
            "bills": self._bills.snapshot(),
            "requirements": self._requirements.snapshot(),
        }

    def restore(self, state: State) -> None:
        """Take back a snapshot's state."""
        self.t_s, self._begun = float(state["t_s"]), bool(state["begun"])
        self._standing[:] = False
        self._standing[np.array(state["standing"], dtype=np.int64)] = True
        self.log.restore(state["log"])
        self.hearing.restore(state["hearing"])
        self._receiving.restore(state["receiving"])
        self.platform.restore(state["platform"])
        self._bills.restore(state["bills"])
        self._requirements.restore(state["requirements"])


def _serving(of: Tenants, on_servers: Population) -> Bools:
    """Return which VMs carry a serving endpoint, shape V."""
    serves = np.zeros(len(of), dtype=np.bool_)
    mine = np.flatnonzero(of.pool == SERVERS)
    serves[mine] = ~on_servers.opaque[of.outer[mine]]
    return serves


def _sealed(array: NDArray[Any]) -> NDArray[Any]:
    """Return a new array that nobody writes to any more."""
    array.flags.writeable = False
    return array
