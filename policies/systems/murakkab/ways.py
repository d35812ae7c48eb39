"""The ways to do each stage of a job, and what each of them takes."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

from policies.baselines.instances import busy, items_of, needed, pool_of
from policies.systems.murakkab.pins import Pin, where
from twin.workflows.executors import Executor, Profile
from twin.workflows.graph import Graph, Stage
from twin.workflows.levers import Choice
from twin.workflows.library import Terms
from twin.workflows.making import candidates
from twin.workflows.timing import batch_of, slowdown, transfer_s

HOUR_S = 3600.0
_SERVER_GPUS = 8
_DOUBLINGS = 4
Counts = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Shared:
    """Instances that others hold warm and that may be used too: how many, and how many of them are busy."""

    pool: str
    instances: int
    busy: float


@dataclass(frozen=True, slots=True)
class Ground:
    """What one workflow is planned on: GPUs and surplus by kind, cores, instances of others, what others answer in."""

    gpus: Counts
    gpus_in_all: int
    spot_gpus: Counts
    cores: float
    harvest_cores: float
    shared: tuple[Shared, ...] = ()
    endpoint_s: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Work:
    """Jobs of one workflow as they are planned. ``sized_per_h`` is the rate that instances are sized for, ``pins`` what is fixed.

    ``holds`` and ``starts`` are whether instances may be held between jobs, and whether they may be started for each.
    """

    graph: Graph
    items: int
    rate_per_h: float
    sized_per_h: float
    utilisation_share: float
    surplus: bool
    library: tuple[Executor, ...]
    pins: tuple[Pin, ...] = ()
    holds: bool = True
    starts: bool = True


@dataclass(frozen=True, slots=True)
class Way:
    """One way of doing one stage: the choice, its pool ("" where others answer), times, and what it takes of that pool.

    ``first_s`` is when the first item is done after it came, ``work_s`` when all are that came together. ``burst`` is how many instances
    it needs at least, ``busy`` how many it keeps busy on average. ``worked_j`` and ``worked_usd`` are of a job's work, ``held_w`` and
    ``held_usd_per_h`` of one instance for as long as it is held.
    """

    stage: int
    choice: Choice
    pool: str
    profile: Profile
    quality_share: float
    first_s: float
    work_s: float
    transfer_s: float
    burst: int
    busy: float
    worked_j: float
    worked_usd: float
    held_w: float
    held_usd_per_h: float


def ways(work: Work, ground: Ground, terms: Terms) -> list[Way]:
    """Return all ways that there is room for, in the order of stages and of the library."""
    pins = {pin.stage: pin for pin in work.pins}
    found: list[Way] = []
    for number, stage in enumerate(work.graph.stages):
        for executor in candidates(stage, work.library):
            for index in range(len(executor.profiles)):
                pin = pins.get(stage.id)
                if pin is not None and (pin.executor != executor.id or pin.where != where(executor, index)):
                    continue
                found += list(_of_profile(number, stage, executor, index, work, ground, terms, pin))
    return found


def _of_profile(  # noqa: PLR0913 - a stage, who does it, and what there is
    number: int, stage: Stage, executor: Executor, index: int, work: Work, ground: Ground, terms: Terms, pin: Pin | None
) -> Iterator[Way]:
    profile, items = executor.profiles[index], round(items_of(stage, work.items))
    moved_s = transfer_s(stage, terms.network_bytes_per_s)
    if executor.kind in {"endpoint", "function"}:
        item_s = max(dict(ground.endpoint_s).get(executor.target, profile.item_s), 0.0)
        used_j, usd = terms.asked(executor, item_s)
        usd += item_s * profile.usd_per_h / HOUR_S
        choice, work_j, work_usd = Choice(executor.id, index, 1, 1), items * used_j, items * usd
        yield Way(number, choice, "", profile, executor.quality_share, item_s, item_s, moved_s, 1, 0.0, work_j, work_usd, 0.0, 0.0)
        return
    for spot in (False, True):
        if (spot and not (work.surplus or pin)) or (pin is not None and pin.spot != spot):
            continue
        for batch in [batch_of(profile, pin.batch)] if pin else _batches(profile):
            load = busy(profile, batch, items, work.sized_per_h)
            least = needed(load, work.utilisation_share)
            for instances in [pin.instances] if pin else _counts(profile, least, ceil(items / batch), ground, spot):
                choice = Choice(executor.id, index, instances, batch, spot)
                burst = instances if pin or instances > least else 1
                yield _way(number, choice, executor, profile, items, work, terms, burst, load, moved_s)


def _way(  # noqa: PLR0913 - all that a way is made of
    number: int, choice: Choice, executor: Executor, profile: Profile, items: int, work: Work, terms: Terms,
    burst: int, load: float, moved_s: float,
) -> Way:  # fmt: skip
    under_way = work.sized_per_h / HOUR_S * items * profile.item_s
    together = min(choice.batch, max(ceil(items / choice.instances), ceil(under_way / choice.instances)))
    each_s = profile.item_s * slowdown(together, profile.batch_slowdown)
    instance_s = items * each_s / together
    price = (terms.spot_price_share if profile.gpus else terms.harvest_price_share) if choice.spot else 1.0
    held = profile.usd_per_h or profile.gpus * terms.gpu_usd_per_h.get(profile.hardware, 0.0)
    by_core = 0.0 if profile.gpus else (profile.usd_per_h or profile.cores * terms.core_usd_per_h)
    return Way(
        stage=number, choice=choice, pool=pool_of(executor, profile, choice.spot), profile=profile, quality_share=executor.quality_share,
        first_s=each_s, work_s=max(each_s, instance_s / choice.instances), transfer_s=moved_s, burst=burst, busy=load,
        worked_j=instance_s * (profile.gpus * profile.active_w + profile.cores * profile.core_w),
        worked_usd=instance_s * by_core * price / HOUR_S,
        held_w=profile.gpus * (profile.idle_w or terms.idle_w.get(profile.hardware, 0.0)),
        held_usd_per_h=held * price if profile.gpus else 0.0,
    )  # fmt: skip


def _batches(profile: Profile) -> list[int]:
    most = profile.batch_at_most
    return sorted({1, most // 2 or 1, most} if most >= 4 else {1, most})


def _counts(profile: Profile, least: int, useful: int, ground: Ground, spot: bool) -> list[int]:
    """Return how many instances may be tried: what the demand needs, and twice as many each time while that is of use."""
    if profile.gpus:
        there = dict(ground.spot_gpus if spot else ground.gpus).get(profile.hardware, 0)
        room = 0 if profile.gpus > _SERVER_GPUS else there // profile.gpus
        most, first = min(room, max(useful, least)), least
    else:
        cores = ground.harvest_cores if spot else ground.cores
        room = int(cores // profile.cores) if profile.cores else useful
        # Cores are taken only while something is done on them: fewer instances save nothing.
        most = min(room, max(useful, least))
        first = max(least, most >> 2)
    counts = [first << doubling for doubling in range(_DOUBLINGS + 1) if first << doubling < most]
    return [*counts, most] if most >= least else []
