"""Plans become pools: who does each stage, on which instances."""

from collections.abc import Mapping, Sequence

from twin.workflows.executors import Executor, Profile
from twin.workflows.graph import Graph
from twin.workflows.levers import Choice, Plan
from twin.workflows.library import Terms
from twin.workflows.pools import Pool
from twin.workflows.shapes import Doing
from twin.workflows.timing import batch_of, executors_of

OUTSIDE = ("endpoint", "function")


def doing(graph: Graph, plan: Plan, library: Mapping[str, Executor], workflow: int, shared: bool) -> Doing:
    """Return how a workflow's jobs are done under a plan; ValueError, one line, for a plan that does not fit its graph."""
    chosen = list(executors_of(graph, plan, library).values())
    owner = workflow if plan.dedicated or not shared else -1
    number = {name: index for index, name in enumerate(library)}
    return Doing(
        open=True,
        why="",
        one_by_one=plan.one_by_one,
        pools=["" if executor.kind in OUTSIDE else _key(executor, profile, choice, owner) for executor, profile, choice in chosen],
        item_s=[profile.item_s for _, profile, _ in chosen],
        executors=[number[executor.id] for executor, _, _ in chosen],
        profiles=[choice.profile for _, _, choice in chosen],
    )


class Staffing:
    """Keeps the pools that plans ask for."""

    def __init__(self, library: Mapping[str, Executor], terms: Terms) -> None:
        self._library, self._terms = library, terms

    def apply(self, plans: Mapping[int, Plan], graphs: Sequence[Graph], how: Sequence[Doing], pools: dict[str, Pool]) -> None:
        """Set what each pool is to be under the plans, by workflow number; ``how`` is what is done now of every workflow.

        A pool that nobody asks for any more is to have no instances; it goes when its last task is done.
        """
        before = {key: (pool.wanted, pool.batch) for key, pool in pools.items()}
        for pool in pools.values():
            pool.wanted, pool.batch, pool.hold = 0, 1, False
        for workflow, plan in plans.items():
            named = executors_of(graphs[workflow], plan, self._library)
            for stage, key in zip(graphs[workflow].stages, how[workflow].pools, strict=True):
                if key:
                    self._ask(key, named[stage.id], workflow, plan, pools)
        for number, each in enumerate(how):
            for key in set(each.pools) - {""}:
                if number not in plans:
                    # Its jobs under way are still done as they were.
                    was, batch = before[key]
                    pools[key].wanted, pools[key].batch = max(pools[key].wanted, was), max(pools[key].batch, batch)
                if number not in pools[key].users:
                    pools[key].users.append(number)
        for pool in pools.values():
            pool.users = sorted(user for user in pool.users if pool.key in how[user].pools) or pool.users

    def _ask(
        self, key: str, named: tuple[Executor, Profile, Choice], workflow: int, plan: Plan, pools: dict[str, Pool]
    ) -> None:  # fmt: skip
        executor, profile, choice = named
        if key not in pools:
            pools[key] = self._pool(key, executor, profile, choice, workflow if plan.dedicated else -1)
        pool = pools[key]
        pool.wanted = max(pool.wanted, choice.instances, 1)
        pool.batch = max(pool.batch, batch_of(profile, choice.batch))
        pool.batch_slowdown = max(pool.batch_slowdown, profile.batch_slowdown)
        pool.hold = pool.hold or plan.hold

    def _pool(self, key: str, executor: Executor, profile: Profile, choice: Choice, owner: int) -> Pool:
        terms = self._terms
        held = profile.usd_per_h or profile.gpus * terms.gpu_usd_per_h.get(profile.hardware, 0.0)
        by_core = profile.usd_per_h if not profile.gpus and profile.usd_per_h else profile.cores * terms.core_usd_per_h
        return Pool(
            key=key, name=executor.model or executor.id, hardware=profile.hardware, gpus=profile.gpus, cores=profile.cores,
            spot=choice.spot, owner=owner, start_s=profile.start_s,
            active_w=profile.gpus * profile.active_w + profile.cores * profile.core_w,
            idle_w=profile.gpus * (profile.idle_w or terms.idle_w.get(profile.hardware, 0.0)),
            active_usd_per_h=0.0 if profile.gpus else by_core * (terms.harvest_price_share if choice.spot else 1.0),
            held_usd_per_h=held * (terms.spot_price_share if choice.spot else 1.0) if profile.gpus else 0.0,
        )  # fmt: skip


def _key(executor: Executor, profile: Profile, choice: Choice, owner: int) -> str:
    where = f"{profile.hardware}x{profile.gpus}" if profile.gpus else f"cpu{profile.cores}"
    apart = f"{'/spot' if choice.spot else ''}{f'/{owner}' if owner >= 0 else ''}"
    return f"{executor.model or executor.id}/{where}{apart}"
