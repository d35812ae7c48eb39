"""Tasks of jobs on shared instances, event by event."""

from collections.abc import Sequence
from heapq import heappop

from twin.workflows.crews import READY, WARM, Crews
from twin.workflows.executors import Executor
from twin.workflows.library import Terms
from twin.workflows.pools import HOUR_S, SAME_S, Instance, Pool, Running, Task
from twin.workflows.shapes import JobState, Place, Shape
from twin.workflows.site import Site
from twin.workflows.told import TaskRow


class Execution(Crews):
    """Runs jobs. A task waits in the queue of its pool until an instance takes it; its items share the instance's pace."""

    def __init__(self, shapes: Sequence[Shape], library: Sequence[Executor], site: Site, terms: Terms) -> None:
        super().__init__(len(shapes), library, site, terms)
        self._terms = terms
        self.shapes = tuple(shapes)
        # Asked from outside: by number (job, stage, item, executor, profile, ready_s), and those that nobody has taken yet.
        self.asked: dict[int, tuple[int, int, int, int, int, float]] = {}
        self.unasked: list[int] = []
        # Jobs that wait for room: number, workflow, since when.
        self.pending: list[tuple[int, int, float]] = []

    def run(self, until_s: float) -> None:
        """Let everything happen that is due by a time."""
        events = self.events
        while events and events[0][0] <= until_s:
            t_s, _, kind, first, second, third = heappop(events)
            self.t_s = max(self.t_s, t_s)
            if kind == READY:
                if first in self.jobs:
                    self._ready(first, second, third)
            elif first in self.found:
                pool, instance = self.found[first]
                if kind == WARM:
                    instance.warm = True
                    self._dispatch(pool)
                elif instance.version == second:
                    self._finish(pool, instance)
            if self.room_made and self.pending:
                self._admit()
        self.t_s = until_s

    # -- jobs -------------------------------------------------------------------

    def submit(self, number: int, workflow: int) -> None:
        """Let a job come now: it begins where there is room, waits where there will be, and is refused where its workflow is."""
        if not self._begin(number, workflow, self.t_s):
            self.pending.append((number, workflow, self.t_s))

    def _begin(self, number: int, workflow: int, submit_s: float) -> bool:
        """Begin a job or refuse it; False where it has to wait for room.

        It begins with all that it needs, so that no two block each other.
        """
        how, shape = self.how[workflow], self.shapes[workflow]
        job = JobState.of(shape, number, workflow, submit_s, how.one_by_one)
        if not how.open:
            self.told.jobs.append((self.t_s, job, "refused", how.why))
            return True
        self.holding.pass_time(self.t_s, self.pools.values())
        self.holding.under_way[workflow] += 1
        self.reconcile()
        if why := self._no_room(workflow):
            leaving = self._leaving()
            self.holding.under_way[workflow] -= 1
            self.reconcile()
            if not leaving:
                self.told.jobs.append((self.t_s, job, "refused", why))
            return not leaving
        job.energy_j, job.cost_usd = self.holding.waited(workflow)
        job.held_j, job.held_usd = float(self.holding.share_j[workflow]), float(self.holding.share_usd[workflow])
        self.jobs[number] = job
        for place in job.first(shape):
            self._release(job, place)
        return True

    def _admit(self) -> None:
        """Let jobs begin that waited for room, in their order."""
        self.room_made = False
        waiting, self.pending = self.pending, []
        self.pending = [each for each in waiting if not self._begin(*each)]
        # What a job that could not begin gave back is no new room.
        self.room_made = False

    def _leaving(self) -> bool:
        """Say whether GPUs will be free without a new plan: instances that end their last items, or stand for jobs under way alone."""
        busy = any(not pool.hold and any(self.holding.under_way[user] for user in pool.users) for pool in self._on_gpus())
        return bool(self.jobs) and (busy or any(each.draining for pool in self._on_gpus() for each in pool.instances))

    def _on_gpus(self) -> list[Pool]:
        return [pool for pool in self.pools.values() if pool.gpus and pool.instances]

    def _no_room(self, workflow: int) -> str:
        """Return what a job of a workflow lacks: a pool has no instance and there is no room for one; empty where nothing is."""
        for key in self.how[workflow].pools:
            pool = self.pools[key] if key else None
            if pool is not None and not (pool.gpus and pool.instances) and (why := self.places.lacking(pool)):
                return why
        return ""

    def _release(self, job: JobState, place: Place) -> None:
        stage, item = place
        wait_s = self.shapes[job.workflow].transfer_s[stage]
        if wait_s > 0.0:
            self._push(self.t_s + wait_s, READY, job.number, stage, item)
        else:
            self._ready(job.number, stage, item)

    def _ready(self, number: int, stage: int, item: int) -> None:
        job = self.jobs[number]
        key = self.how[job.workflow].pools[stage]
        self.count += 1
        task = Task(self.t_s, self.count, number, stage, item)
        if not key:
            self._ask(task)
            return
        pool = self.pools[key]
        pool.queue.append(task)
        self._dispatch(pool)

    def _ask(self, task: Task) -> None:
        """Let others do a task."""
        job = self.jobs[task.job]
        how = self.how[job.workflow]
        who = how.executors[task.stage], how.profiles[task.stage]
        self.asked[task.number] = (task.job, task.stage, task.item, *who, task.ready_s)
        self.unasked.append(task.number)
        if job.start_s != job.start_s:
            job.start_s = self.t_s

    def answer(self, number: int, end_s: float) -> None:
        """Take an answer from outside; one that was lost (not-a-number) is asked for again."""
        if end_s != end_s:
            self.unasked.append(number)
            return
        asked, stage, item, who, profile, ready_s = self.asked.pop(number)
        job, executor, took_s = self.jobs[asked], self.library[who], end_s - ready_s
        used_j, spent_usd = self._terms.asked(executor, took_s)
        job.energy_j += used_j
        job.cost_usd += spent_usd + executor.profiles[profile].usd_per_h * took_s / HOUR_S
        row = (job.workflow, job.number, stage, item, 1, executor.id, executor.target, 0, 0)
        self.told.tasks.append(TaskRow(end_s, ready_s, ready_s, *row))
        self.done(job, stage, item, took_s, who)

    def done(self, job: JobState, stage: int, item: int, alone_s: float, executor: int) -> None:
        """Go on with a job after one of its tasks, which takes so long alone."""
        job.quality_share = min(job.quality_share, self.library[executor].quality_share)
        free = job.finish(self.shapes[job.workflow], stage, item, alone_s)
        for place in free:
            self._release(job, place)
        if not job.left:
            self._end(job)

    def _end(self, job: JobState) -> None:
        self.holding.pass_time(self.t_s, self.pools.values())
        self.bill(job)
        self.holding.under_way[job.workflow] -= 1
        del self.jobs[job.number]
        self.told.jobs.append((self.t_s, job, "done", ""))
        self.reconcile()

    def close(self) -> None:
        """Let jobs under way bear what they have had so far, their items at work included. Nothing goes on after that."""
        for pool in self.pools.values():
            for instance in pool.instances:
                for each in instance.items:
                    self._charge(self.jobs[each.job], instance, each)
        for job in self.jobs.values():
            self.bill(job)

    def bill(self, job: JobState) -> None:
        """Add a job's part of what was held while it was under way."""
        share_j, share_usd = float(self.holding.share_j[job.workflow]), float(self.holding.share_usd[job.workflow])
        job.energy_j += share_j - job.held_j
        job.cost_usd += share_usd - job.held_usd
        job.held_j, job.held_usd = share_j, share_usd

    def _finish(self, pool: Pool, instance: Instance) -> None:
        self._settle(pool, instance)
        over = [heappop(instance.items)]
        while instance.items and instance.items[0].end_work_s <= instance.work_s + SAME_S:
            over.append(heappop(instance.items))
        self._tell(pool, instance, over)
        self._left(pool, instance)
        for each in over:
            job = self.jobs[each.job]
            self._charge(job, instance, each)
            self.done(job, each.stage, each.item, each.alone_s, each.executor)
        self._dispatch(pool)

    def _tell(self, pool: Pool, instance: Instance, over: Sequence[Running]) -> None:
        together: dict[tuple[int, int, float], list[Running]] = {}
        for each in over:
            together.setdefault((each.job, each.stage, each.start_s), []).append(each)
        for (number, stage, start_s), group in together.items():
            workflow = self.jobs[number].workflow
            executor, ready_s = self.library[group[0].executor].id, max(each.ready_s for each in group)
            row = (workflow, number, stage, min(each.item for each in group), len(group), executor, instance.name, pool.gpus, pool.cores)
            self.told.tasks.append(TaskRow(self.t_s, ready_s, start_s, *row))

    def reroute(self) -> None:
        """Send tasks that wait to the pools that their stages have now; drop pools that nobody needs."""
        waiting = [(task, key) for key, pool in self.pools.items() for task in pool.queue]
        for pool in self.pools.values():
            pool.queue.clear()
        for task, _ in sorted(waiting):
            key = self.how[self.jobs[task.job].workflow].pools[task.stage]
            if key:
                self.pools[key].queue.append(task)
            else:
                self._ask(task)
        self.reconcile()
        for key in [key for key, pool in self.pools.items() if not pool.wanted and not pool.instances and not pool.queue]:
            del self.pools[key]
        for pool in list(self.pools.values()):
            self._dispatch(pool)
        self._admit()
