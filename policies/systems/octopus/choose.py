"""Which pod to build: those that can be, priced, tried on past demand."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from policies.system import Answer, Option, Target
from policies.systems.octopus import options
from policies.systems.octopus.knobs import OctopusKnobs
from policies.systems.octopus.limits import COST, HOSTS, LATENCY, SAVING, bound, limits_of, said, shortfall
from policies.systems.octopus.options import Site
from policies.systems.octopus.unbeaten import SITE_SAVING, Figures, beats, figures
from twin.memory import designs, latency
from twin.memory.designs import Design
from twin.memory.levers import TopologyObservation
from twin.memory.saving import BASELINES
from twin.metrics import METRICS
from twin.units import show

_WISH: Final = {"saving": "saves the most DRAM on the site", "cost": "costs the least per host", "hosts": "has the most hosts"}
# A pod that needs more DRAM than it saves is never chosen; who wants it names it.
_SAVES: Final = Target(metric=SAVING, op=">=", bound=0.0)


def answer(knobs: OctopusKnobs, seen: TopologyObservation) -> Answer:
    """Return the pods that none beats in cost, hosts and saving (in pods, on the site), the one to build, and why; or why there is none.

    The designs of the most hosts are laid out first; one that costs more than a pod which is better in all, whatever its cables,
    is not laid out. ValueError, one line, where a pod is named that cannot be built.
    """
    site = Site.of(seen, knobs.headroom_share, knobs.migrate, knobs.device_bytes)
    limits = limits_of(knobs)
    if knobs.design:
        return _named(knobs.design, site, limits, len(seen.host_ids))
    able = _feasible(knobs, limits, len(seen.host_ids))
    if not able:
        hosts = f"{len(seen.host_ids)} host{'' if len(seen.host_ids) == 1 else 's'}"
        return Answer((), None, f"no pod of at most {knobs.host_ports_at_most} ports a host fits a site of {hosts}")
    search = _Search(site, tuple(dict.fromkeys((*limits, _SAVES))))
    hopeful = [design for design in able if search.may_keep(design)]
    found = search.assess(hopeful)
    kept = [each for each in found if not shortfall(each.metrics, search.limits)]
    if kept:
        front = _front(kept)
        chosen = min(front, key=_ORDER[knobs.prefer])
        why = _chosen_words(chosen, front, knobs.prefer, site, search, len(able))
        return Answer(front, chosen, why, None, len(able), search.refused)
    # Nothing keeps every limit: say what comes nearest, wherever it is.
    found = search.assess(able, whole=True)
    nearest = _nearest(found, search.limits)
    return Answer((), None, _none_words(found, nearest, search), nearest, len(able), search.refused)


def _feasible(knobs: OctopusKnobs, limits: Sequence[Target], hosts: int) -> tuple[Design, ...]:
    """Return every design of the ports that can be had; drawn ones are proposed at the least hosts that are asked for, too."""
    least = math.ceil(bound(limits, HOSTS, ">=") or 2)
    most = min(hosts, designs.HOSTS_IN_THREE_RACKS)
    starts = (2, least) if least <= most else (2,)
    found = [designs.feasible(knobs.host_ports_at_most, knobs.device_ports, start, most) for start in starts]
    return tuple(dict.fromkeys(design for each in found for design in each))


class _Search:
    """Designs on their way to options, and why some cannot be built."""

    def __init__(self, site: Site, limits: Sequence[Target]) -> None:
        self.site, self.limits = site, limits
        self.refused: dict[str, str] = {}

    def may_keep(self, design: Design) -> bool:
        """Return whether a design can keep the limits that need neither demand nor layout; one without a price cannot."""
        try:
            least_usd = options.least_usd(design, self.site)
        except ValueError as error:
            self.refused[design.name] = str(error)
            return False
        known = {HOSTS: float(design.hosts), COST: least_usd, LATENCY: latency.access_s(design.build())}
        return not shortfall(known, [limit for limit in self.limits if limit.metric in known])

    def assess(self, able: Iterable[Design], *, whole: bool = False) -> list[Option]:
        """Return the options of designs, the most saving first; those that another one beats for certain are left out."""
        mine = [design for design in able if design.name not in self.refused]
        mine.sort(key=lambda design: (-options.saved(design, self.site).total_share, options.least_usd(design, self.site), design.name))
        out: list[Option] = []
        for design in mine:
            least = {
                HOSTS: float(design.hosts),
                COST: options.least_usd(design, self.site),
                SAVING: options.saved(design, self.site).total_share,
                SITE_SAVING: options.saved(design, self.site).site_share,
            }
            if not whole and (shortfall({**least, LATENCY: 0.0}, self._of(SAVING)) or any(beats(_figures(each), least) for each in out)):
                continue
            try:
                out.append(options.option(design, self.site))
            except ValueError as error:
                self.refused[design.name] = str(error)
        return out

    def _of(self, metric: str) -> list[Target]:
        return [limit for limit in self.limits if limit.metric == metric]


def _figures(each: Option) -> Figures:
    return figures(each.metrics, each.details)


def _front(kept: Sequence[Option]) -> tuple[Option, ...]:
    front = [each for each in kept if not any(beats(_figures(other), _figures(each)) for other in kept)]
    return tuple(sorted(front, key=lambda each: (each.metrics[COST], each.name)))


# What is preferred for its saving is the one that saves the most on the site.
_ORDER: Final[Mapping[str, Callable[[Option], tuple[Any, ...]]]] = {
    "saving": lambda each: (-each.details[SITE_SAVING], each.metrics[COST], each.name),
    "cost": lambda each: (each.metrics[COST], -each.details[SITE_SAVING], each.name),
    "hosts": lambda each: (-each.metrics[HOSTS], -each.details[SITE_SAVING], each.name),
}


def _nearest(found: Sequence[Option], limits: Sequence[Target]) -> Option | None:
    """Return the option that misses the fewest limits, of these the one whose worst miss is the least, with its misses in words."""
    if not found:
        return None

    def far(each: Option) -> tuple[int, float, float, str]:
        missed = shortfall(each.metrics, limits)
        return len(missed), max(missed.values()), each.metrics[COST], each.name

    nearest = min(found, key=far)
    missed = list(shortfall(nearest.metrics, limits))
    # That DRAM is saved at all goes without saying where a bound on it is missed, too.
    told = [limit for limit in missed if limit != _SAVES or sum(other.metric == SAVING for other in missed) == 1]
    return replace(nearest, misses=tuple(said(nearest.metrics, limit) for limit in told))


def _named(name: str, site: Site, limits: Sequence[Target], hosts: int) -> Answer:
    """Return the answer that is one pod, named by the policy set; it is built even where it misses a limit of the policy set."""
    design = designs.parse(name)
    if design.hosts > hosts:
        raise ValueError(f"octopus.design: {name} has {design.hosts} hosts and the site {hosts}; choose a pod of at most so many")
    chosen = options.option(design, site)
    misses = tuple(said(chosen.metrics, limit) for limit in shortfall(chosen.metrics, limits))
    told = f"; it misses {len(misses)} of the limits: {'; '.join(misses)}" if misses else ""
    chosen = replace(chosen, misses=misses)
    return Answer((chosen,), chosen, f"{chosen.name} is named by the policy set ({_sum_words(chosen, site)}){told}", None, 1)


def _sum_words(each: Option, site: Site) -> str:
    saved, everywhere = (show(share, SAVING) for share in (each.metrics[SAVING], each.details[SITE_SAVING]))
    against = BASELINES[site.settings.saving_against]
    # Hosts that fill no whole pod save nothing.
    site_words = f" ({everywhere} on the site, hosts in no pod included)" if each.details["hosts_without_pod"] else ""
    return (
        f"{saved} of DRAM saved against {against}{site_words}, {show(each.metrics[COST], COST)} per host by prices {site.settings.prices}"
    )


def _chosen_words(chosen: Option, front: Sequence[Option], prefer: str, site: Site, search: _Search, able: int) -> str:
    within = " within the limits" if set(search.limits) - {_SAVES} else ""
    beaten = f"; {len(front)} are beaten by none in cost, saving (in pods and on the site) and hosts at once" if len(front) > 1 else ""
    left = f"; {len(search.refused)} cannot be built here" if search.refused else ""
    return f"{chosen.name} ({chosen.title}) {_WISH[prefer]} of {able} designs{within}: {_sum_words(chosen, site)}{beaten}{left}"


def _none_words(found: Sequence[Option], nearest: Option | None, search: _Search) -> str:
    if nearest is None:
        return "no pod can be built here" + "".join(f": {name}: {_reason(search, name)}" for name in list(search.refused)[:1])
    alone = [limit for limit in search.limits if any(set(shortfall(each.metrics, search.limits)) == {limit} for each in found)]
    words = [_limit_words(limit) for limit in alone]
    none_saves = all(each.metrics[SAVING] < 0.0 for each in found)
    binds = (
        f"; it is {_limit_words(_SAVES)} that binds: none saves any here"
        if none_saves
        else f"; it is {' or '.join(words)} that binds: without it there is one"
        if alone
        else "; more than one limit binds"
    )
    missed = f"Nearest is {nearest.name} ({nearest.title}): {'; '.join(nearest.misses)}"
    none = f"none of {len(found)} pods keeps" if len(found) > 1 else "the one pod that fits does not keep"
    return f"{none} to all limits{binds}. {missed}{_refused_words(search)}"


def _refused_words(search: _Search) -> str:
    """Return why a pod that has the hosts which are asked for cannot be built, "" where there is none: it may be what is missing."""
    hosts = [limit for limit in search.limits if limit.metric == HOSTS]
    able = [name for name in search.refused if not shortfall({HOSTS: float(designs.parse(name).hosts)}, hosts)]
    if not able:
        return ""
    more = f", nor {len(able) - 1} more of such hosts" if len(able) > 1 else ""
    return f". {able[0]} cannot be built here{more}: {_reason(search, able[0])}"


def _reason(search: _Search, name: str) -> str:
    return search.refused[name].removeprefix(f"pod {name}: ")


def _limit_words(limit: Target) -> str:
    return f"{METRICS[limit.metric].label} {'at most' if limit.op == '<=' else 'at least'} {show(limit.bound, limit.metric)}"
