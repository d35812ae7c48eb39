"""What follows from a pod: layout, cost, latency, demand; each once."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np

from app import later, state
from app.later import Answer
from app.pods import FIRST, Ask, Draft, Found, of, parse
from policies.intent.references import plain_pod_usd_per_host
from twin.memory import annealing, cost, latency, prices, wiring
from twin.memory.designs import parse as parse_design
from twin.memory.pods import Pod
from twin.memory.reach import Reach, reach_of
from twin.memory.settings import Settings

# Numba is imported with this page, in its own thread: of two threads that do it at once, one can meet half a module.
_COMPILED: Final = annealing
LOST_SHARE: Final = 0.1
_DRAWS: Final = 4
_FALLING: Final = (FIRST, *(of(parse_design(name)) for name in ("block-design-25x8n4", "block-design-13x4n4", "fully-connected-8x8n8")))


@dataclass(frozen=True, slots=True)
class Figures:
    """What one pod comes to; None where it is not known yet or cannot be (``why`` then says why)."""

    one_hop_share: float
    two_hop_share: float
    blast_hosts: int
    access_s: float
    rpc_s: float
    rpc_two_hops_s: float
    longest_m: float | None
    too_long: int
    cost_usd: float | None
    why: str = ""


class _Same:
    """A pod as a key: two with the same name and the same links are the same."""

    def __init__(self, pod: Pod) -> None:
        self.pod = pod
        self._key = (pod.name, pod.reach.tobytes())

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self._key == other._key


def settings_of(now: state.Context) -> Settings:
    """Return how the scenario of the run that is shown pools memory; the defaults where none is stored."""
    if now.run_id is None:
        return Settings()
    written: Mapping[str, Any] = state.run(now.run_id).manifest["scenario"].get("memory") or {}
    return Settings.model_validate(dict(written))


def first_of(now: state.Context) -> Ask:
    """Return the pod that the page opens on: that of the run that is shown, else one that its hosts fill."""
    if now.run_id is None:
        return FIRST
    built = state.table(now.run_id, "pods")
    if not built.is_empty() and (ask := parse(str(built["design"][0]))) is not None:
        return ask
    hosts = len(state.run(now.run_id).manifest.get("entities", {}).get("host", ()))
    fitting = [ask for ask in _FALLING if ask.hosts <= hosts]
    return fitting[0] if fitting else FIRST


@lru_cache(maxsize=128)
def _reach(same: _Same) -> Reach:
    return reach_of(same.pod)


def reach(pod: Pod) -> Reach:
    """Return who reaches whom in how many hops."""
    return _reach(_Same(pod))


def laid(pod: Pod, slack_m: float) -> Answer:
    """Return a pod's layout in its racks, or why there is none; at once where it is ready within a blink."""
    return later.ask("layout", (pod.name, slack_m), lambda: wiring.lay(pod, slack_m), wait_s=later.BLINK_S)


def figures(pod: Pod, draft: Draft) -> tuple[Figures, Answer]:
    """Return what a pod comes to, as far as it is known, and the layout that it waits for."""
    hops, found = reach(pod), laid(pod, draft.slack_m)
    access_s, layout, why, paid = latency.access_s(pod), found.value, found.why, None
    if layout is not None:
        try:
            paid = cost.cost_of(pod, prices.table(draft.prices), layout).per_host_usd
        except ValueError as error:
            why = str(error)
    longest, too_long = (layout.longest_m, layout.too_long) if layout else (None, 0)
    calls_s = latency.rpc_s(1, access_s), latency.rpc_s(2, access_s)
    return Figures(hops.one_hop_share, hops.two_hop_share, hops.blast_hosts, access_s, *calls_s, longest, too_long, paid, why), found


def plain_usd(draft: Draft) -> float | None:
    """Return what a host costs in the fully connected pod of eight hosts, by the same prices; None where it has no price."""
    try:
        return plain_pod_usd_per_host(draft.prices, draft.slack_m)
    except ValueError:
        return None


def seen(now: state.Context) -> Any:
    """Return the hosts of the run that is shown as a holder of topology sees them, with what stood on them before; slow at first."""
    return _seen(str(state.home()), now.scenario, now.run_id, now.seed)


@lru_cache(maxsize=4)
def _seen(home: str, name: str, run_id: str | None, seed: int) -> Any:
    from pathlib import Path

    from policies import study, variants
    from twin.scenario import load

    scenario = variants.scenario_of(run_id, Path(home)) if run_id else load(name)
    return study.topology_seen(scenario, seed)


def peak_demand(now: state.Context, pod: Pod, pooled_share: float) -> Answer:
    """Return what the hosts of the fullest pod (H) asked of it at its peak before the run, in bytes."""
    settings = settings_of(now)
    key, home, run_id, seed, name = (pod.name, pooled_share, now.run_id), str(state.home()), now.run_id, now.seed, now.scenario

    def work() -> Any:
        from twin.memory.failures import demand_at_peak
        from twin.memory.terms import Terms

        past = _seen(home, name, run_id, seed).past()
        if past.hosts < pod.hosts:
            raise ValueError(f"the pod has {pod.hosts} hosts and the fleet {past.hosts}; take a smaller one")
        return demand_at_peak(pod, past, Terms(pooled_share, settings.slice_bytes))

    return later.ask("peak", key, work)


def need(now: state.Context, pod: Pod, pooled_share: float) -> Answer:
    """Return how much larger devices must be with a tenth of them lost: the worst of a few draws, as a factor."""
    demand = peak_demand(now, pod, pooled_share)
    if not demand.ready or demand.why:
        return demand

    def work() -> float:
        from twin.memory.failures import more_capacity

        return 1.0 + float(np.max(more_capacity(pod, demand.value, LOST_SHARE, _DRAWS)))

    return later.ask("need", demand.key[1], work)


def option(now: state.Context, design_name: str, draft: Draft) -> Answer:
    """Return what a design would have come to on the demand before the run: DRAM saved, overflow, bytes moved."""
    settings = settings_of(now).model_copy(
        update={"pooled_share": draft.pooled_share, "prices": draft.prices, "cable_slack_m": draft.slack_m}
    )
    home, run_id, seed, name = str(state.home()), now.run_id, now.seed, now.scenario

    def work() -> Any:
        from dataclasses import replace

        from policies.systems.octopus import options
        from policies.systems.octopus.knobs import OctopusKnobs
        from twin.memory.designs import parse

        knobs = OctopusKnobs()
        around = replace(_seen(home, name, run_id, seed), settings=settings)
        return options.option(parse(design_name), options.Site.of(around, knobs.headroom_share, knobs.migrate))

    return later.ask("option", (design_name, draft.pooled_share, draft.prices, draft.slack_m, run_id), work)


def asked(now: state.Context, draft: Draft, found: Found) -> list[Answer]:
    """Return what several parts of the page show of a pod: its layout, and what it would have come to."""
    if found.pod is None or found.design is None:
        return []
    return [laid(found.pod, draft.slack_m), option(now, found.design.name, draft)]
