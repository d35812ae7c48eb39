"""Pools of instances on the site: made, given up, taken away, put to work."""

from collections.abc import Sequence
from heapq import heappush
from typing import Final

import numpy as np

from twin.workflows.executors import Executor
from twin.workflows.holding import Holding
from twin.workflows.library import Terms
from twin.workflows.places import Places
from twin.workflows.pools import HOUR_S, Instance, Pool, Running, Task
from twin.workflows.shapes import Doing, JobState
from twin.workflows.site import Floats, Site, Surplus
from twin.workflows.told import Told

FINISH, WARM, READY = range(3)
Event = tuple[float, int, int, int, int, int]
_NOWHERE: Final = -1


class Crews:
    """Keeps each pool at what is wanted of it, and lets instances take tasks from its queue.

    Times are seconds of the run; events at one time go in the order in which they were made.
    """

    def __init__(self, workflows: int, library: Sequence[Executor], site: Site, terms: Terms) -> None:
        self.library, self.t_s, self.told = tuple(library), 0.0, Told()
        self.places = Places(site)
        self.holding = Holding(workflows, self.places, terms)
        self.pools: dict[str, Pool] = {}
        self.how: list[Doing] = [Doing() for _ in range(workflows)]
        self.jobs: dict[int, JobState] = {}
        self.events: list[Event] = []
        self.count = self.instances_made = 0
        # By server and host: how long GPUs and cores worked so far; what work drew and cost.
        self.busy_gpu_s: Floats = np.zeros(len(site.server_gpus))
        self.busy_core_s: Floats = np.zeros(len(site.host_cores))
        self.worked_j = self.worked_usd = 0.0
        self.found: dict[int, tuple[Pool, Instance]] = {}
        # Whether an instance has gone since somebody looked.
        self.room_made = False
        # Pools on cores that found none.
        self.starved: set[str] = set()

    def settle(self) -> None:
        """Count what is at work until now; what is held too."""
        for pool in self.pools.values():
            for instance in pool.instances:
                self._settle(pool, instance)
        self.holding.pass_time(self.t_s, self.pools.values())

    def _push(self, t_s: float, kind: int, first: int, second: int = 0, third: int = 0) -> None:
        self.count += 1
        heappush(self.events, (t_s, self.count, kind, first, second, third))

    def _settle(self, pool: Pool, instance: Instance) -> None:
        worked_s = pool.settle(instance, self.t_s)
        if worked_s:
            busy, each = (self.busy_gpu_s, pool.gpus) if pool.gpus else (self.busy_core_s, pool.cores)
            if instance.place >= 0:
                busy[instance.place] += worked_s * each
            self.worked_j += worked_s * pool.active_w
            self.worked_usd += worked_s * pool.active_usd_per_h / HOUR_S

    # -- work ---------------------------------------------------------------------

    def _dispatch(self, pool: Pool) -> None:
        while pool.queue:
            instance = pool.pick()
            if instance is None or not self._stand(pool, instance):
                return
            self._start(pool, instance, pool.queue.popleft())

    def _stand(self, pool: Pool, instance: Instance) -> bool:
        """Find cores for an instance that begins to work on cores; those on GPUs have their place."""
        if pool.gpus or instance.items or not pool.cores:
            return True
        host = self.places.host_for(pool)
        if host == _NOWHERE:
            self.starved.add(pool.key)
            return False
        self.places.work(pool, host, begins=True)
        instance.place, instance.speed = host, self.places.speed_at(pool, host)
        return True

    def _start(self, pool: Pool, instance: Instance, task: Task) -> None:
        self._settle(pool, instance)
        job = self.jobs[task.job]
        if job.start_s != job.start_s:
            job.start_s = self.t_s
        how = self.how[job.workflow]
        alone_s, executor = how.item_s[task.stage], how.executors[task.stage]
        here = (task.ready_s, self.t_s, instance.given_j, instance.given_usd)
        end = instance.work_s + alone_s
        heappush(instance.items, Running(end, task.number, task.job, task.stage, task.item, *here, alone_s, executor))
        self._expect(pool, instance)

    def _expect(self, pool: Pool, instance: Instance) -> None:
        """Expect the first of an instance's items to be done, as things are now."""
        instance.version += 1
        end_s = pool.end_s(instance, self.t_s)
        if end_s < float("inf"):
            self._push(end_s, FINISH, instance.number, instance.version)

    def _left(self, pool: Pool, instance: Instance) -> None:
        """Let an instance go on after an item, or give back what it needed for working."""
        self._expect(pool, instance)
        if instance.items:
            return
        if not pool.gpus and instance.place >= 0:
            self.places.work(pool, instance.place, begins=False)
            instance.place = _NOWHERE
            self._feed()
        if instance.draining:
            self.remove(pool, instance)
            self.reconcile()

    def _feed(self) -> None:
        """Let those look for cores again that found none."""
        hungry, self.starved = sorted(self.starved), set()
        for key in hungry:
            if key in self.pools:
                self._dispatch(self.pools[key])

    @staticmethod
    def _charge(job: JobState, instance: Instance, each: Running) -> None:
        job.energy_j += instance.given_j - each.from_j
        job.cost_usd += instance.given_usd - each.from_usd

    # -- pools --------------------------------------------------------------------

    def reconcile(self) -> None:
        """Make and give up instances until each pool has what is wanted of it, as far as there is room."""
        for pool in sorted(self.pools.values(), key=lambda each: (each.owner < 0, -each.gpus, each.key)):
            wanted = pool.wanted if pool.hold or any(self.holding.under_way[user] for user in pool.users) else 0
            extra = pool.staying - wanted
            if extra > 0:
                self._drain(pool, extra)
            elif extra < 0:
                self._grow(pool, -extra)

    def _drain(self, pool: Pool, count: int) -> None:
        staying = [instance for instance in pool.instances if not instance.draining]
        # The idle ones first, of them the youngest.
        for instance in sorted(staying, key=lambda each: (len(each.items), -each.number))[:count]:
            instance.draining = True
            if not instance.items:
                self.remove(pool, instance)

    def _grow(self, pool: Pool, count: int) -> None:
        for instance in pool.instances:
            if instance.draining and count:
                instance.draining, count = False, count - 1
        for _ in range(count):
            server = self.places.server_for(pool) if pool.gpus else _NOWHERE
            if pool.gpus and server == _NOWHERE:
                break
            self._make(pool, server)
        self._dispatch(pool)

    def _make(self, pool: Pool, server: int) -> None:
        self.holding.pass_time(self.t_s, self.pools.values())
        self.instances_made += 1
        # Those of the first plan stood before the run began.
        warm_s = self.t_s + (pool.start_s if self.t_s > 0.0 else 0.0)
        used = {instance.name for instance in pool.instances}
        name = next(name for index in range(len(used) + 1) if (name := f"{pool.key}/{index + 1}") not in used)
        instance = Instance(self.instances_made, name, server, warm_s, self.t_s, self.places.speed_at(pool, server))
        pool.instances.append(instance)
        self.found[instance.number] = (pool, instance)
        if pool.gpus:
            self.places.take(pool, server)
        if warm_s > self.t_s:
            self._push(warm_s, WARM, instance.number)
        else:
            instance.warm = True

    def remove(self, pool: Pool, instance: Instance) -> None:
        """Give an idle instance up."""
        self.holding.pass_time(self.t_s, self.pools.values())
        self._settle(pool, instance)
        pool.instances.remove(instance)
        self.room_made = True
        del self.found[instance.number]
        if pool.gpus:
            self.places.leave(pool, instance.place)

    def change(self, surplus: Surplus) -> None:
        """Take note of what others leave now and how fast things are.

        What stood on surplus that is gone, or on a server or host that stands still, begins again elsewhere.
        """
        if surplus.same(self.places.surplus):
            return
        self.places.surplus = surplus
        for pool in list(self.pools.values()):
            for instance in list(pool.instances):
                speed = self.places.speed_at(pool, instance.place)
                if speed != instance.speed:
                    self._settle(pool, instance)
                    instance.speed = speed
                    self._expect(pool, instance)
        self._take_away()
        self.reconcile()
        self._feed()

    def _take_away(self) -> None:
        places = self.places
        for pool in sorted(self.pools.values(), key=lambda each: each.key):
            for instance in sorted(pool.instances, key=lambda each: -each.number):
                used, there = (
                    (places.spot_used, places.surplus.spot_gpus) if pool.gpus else (places.harvest_used, places.surplus.harvest_cores)
                )
                if instance.place >= 0 and instance.speed <= 0.0:
                    self._evict(pool, instance, "place_lost")
                elif pool.spot and instance.place >= 0 and used[instance.place] > there[instance.place]:
                    self._evict(pool, instance, "surplus_taken")

    def _evict(self, pool: Pool, instance: Instance, why: str) -> None:
        self._settle(pool, instance)
        lost = sorted(instance.items, key=lambda each: -each.number)
        for each in lost:
            self._charge(self.jobs[each.job], instance, each)
            pool.queue.appendleft(Task(each.ready_s, each.number, each.job, each.stage, each.item))
        instance.items = []
        instance.version += 1
        self.told.events.append((self.t_s, why, instance.name, float(len(lost))))
        if not pool.gpus:
            self.places.work(pool, instance.place, begins=False)
            instance.place = _NOWHERE
            self.starved.add(pool.key)
        else:
            self.remove(pool, instance)
