"""How fast the negotiation is, in CPU seconds: 100,000 VMs with a hint every ten minutes each for a day.

VMs come and go on CPU hosts as on an ordinary day, the twelve classes of workloads in the survey's shares. Regular customers to
come take more and less of the cores, and some rows have little power, so that VMs are evicted, resized, slowed and shut down. The
rest of the world is left out: what it would say is made from what VMs hold, and does not count.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

_ROOT = Path(__file__).resolve().parents[2]
_VMS, _HELD_SHARE = 100_000, 0.76
_HOSTS_PER_ROW, _VCPU_W, _IDLE_W = 384, 9.25, 180.0
_ROW_BUDGET_W, _TIGHT_ROWS, _TIGHT_BUDGET_W = 160_000.0, 3, 118_000.0
_DAY_S, _TICK_S, _FINE_S = 86_400.0, 60.0, 15.0
# From when on hints are followed to their grants, and a stretch is gone over again at shorter ticks.
_LOOK_S, _STRETCH_S, _FOLLOWED = 46_800.0, 3_600.0, 1_000
_SEED = 7
_LOAD = {"mean_share": 0.35, "swing_share": 0.15, "peak_hour": 14.0, "spread_share": 0.1, "spread_h": 1.0}


@dataclass
class Watch:
    """CPU seconds by part; a part that is called inside another one counts there no more."""

    spent_s: Counter[str] = field(default_factory=Counter)
    hints: int = 0
    _inside_s: float = 0.0

    def timed(self, part: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def run(*given: Any) -> Any:
            outer_s, self._inside_s, begin = self._inside_s, 0.0, time.process_time()
            try:
                return work(*given)
            finally:
                took_s = time.process_time() - begin
                self.spent_s[part] += took_s - self._inside_s
                self._inside_s = outer_s + took_s

        return run


def _fleet(hosts: int) -> Any:
    from twin.fleet_file import build
    from twin.fleet_spec import FleetSpec

    rows = hosts // _HOSTS_PER_ROW
    host = {"kind": "host", "racks": 24, "per_rack": 16, "model": "cpu-host", "aisle": "aisle-1"}
    row = [
        {
            **host,
            "id": f"row-{r}",
            "first_rack": f"r{r}-rack-1",
            "first_server": f"r{r}-host-1",
            "power_budget_w": _TIGHT_BUDGET_W if r < _TIGHT_ROWS else _ROW_BUDGET_W,
        }
        for r in range(rows)
    ]
    # A site has a GPU server; nothing runs on this one.
    gpus = {"kind": "gpu", "racks": 1, "per_rack": 1, "model": "a100", "aisle": "aisle-1", "power_budget_w": 10_000.0}
    last = {**gpus, "id": f"row-{rows}", "first_rack": f"r{rows}-rack-1", "first_server": "server-1"}
    spec = {"name": "bench", "site_power_budget_w": 1e7, "aisle": [{"id": "aisle-1"}], "row": [*row, last]}
    return build(FleetSpec.model_validate(spec))


def _population(shares: dict[str, float], hosts: int, clock: Any) -> tuple[Any, Any]:
    """Return the VMs that come and go, and the host of each (-1 where none had room)."""
    from twin.chance import stream
    from twin.workloads import hosting
    from twin.workloads.host_population import host_vcpus, populate_hosts
    from twin.workloads.host_streams import HostDrawn, HostStream, draw

    vcpus = hosts * host_vcpus()
    streams = [HostStream(workload=name, vcpus_share=_HELD_SHARE * share, load=_LOAD) for name, share in shares.items()]
    parts = [draw(each, each.mean_rate_per_s(vcpus), clock, _DAY_S, _SEED, each.workload) for each in streams]
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in HostDrawn.__slots__}
    order = np.argsort(columns["arrive_s"], kind="stable")
    of = np.repeat(np.arange(len(parts)), [len(part.arrive_s) for part in parts])[order]
    drawn = HostDrawn(**{name: values[order] for name, values in columns.items()})
    free = np.full(hosts, host_vcpus())
    place = hosting.place(drawn.arrive_s, drawn.end_s, drawn.vcpus, free, stream(_SEED, "bench", "hosts"), _DAY_S)
    return populate_hosts((), streams, of, drawn), place


def _site(vms: int) -> tuple[Any, Any, Any, Any, Any]:
    """Return the negotiation of so many VMs on average, whose they are, their hosts, the fleet and a clock."""
    from twin.clock import Clock
    from twin.workloads.host_population import host_vcpus
    from twin.workloads.host_streams import HostStream
    from twin.workloads.negotiation.classes import named
    from twin.workloads.negotiation.model import Negotiation
    from twin.workloads.negotiation.settings import Settings, Tenant
    from twin.workloads.population import populate
    from twin.workloads.settings import Settings as Nobody

    cores = vms * HostStream(workload="any", vcpus_share=1.0).mean_vcpus / _HELD_SHARE
    fleet = _fleet(_HOSTS_PER_ROW * max(1, round(cores / host_vcpus() / _HOSTS_PER_ROW)))
    clock = Clock.of(datetime(2026, 7, 14), "America/Phoenix")  # noqa: DTZ001  (the zone is attached by Clock.of)
    classes = named("survey")
    vms_on_hosts, place = _population({name: each.share for name, each in classes.items()}, len(fleet.host_ids), clock)
    tenants = tuple(Tenant.model_validate({"id": name, "class": name, "deployments": 4}) for name in classes)
    settings, on_servers = Settings(tenants=tenants), populate(Nobody(), fleet, clock, _DAY_S, _SEED)
    negotiation = Negotiation(settings, on_servers, vms_on_hosts, fleet, clock, _DAY_S, _SEED)
    return negotiation, vms_on_hosts, place, fleet, clock


class Bench:
    """A negotiation with its holder, and what stands in for the world around it."""

    def __init__(self, vms: int, folder: Path) -> None:
        from policies.system import Surroundings
        from policies.systems.workload_intelligence import SYSTEM
        from twin.spool import Spool
        from twin.tables import Sink
        from twin.workloads.host_population import host_vcpus

        self.model, self.vms, self.place, fleet, self.clock = _site(vms)
        nobody = Surroundings(fleet.row_ids, (), (), (), (), (), 1, 0.0)
        self.holder = SYSTEM.build(SYSTEM.knobs(), nobody)
        self.row, self.rows = fleet.rack_rows[fleet.host_racks], len(fleet.row_ids)
        self.budget_w, self.host_vcpus, self.hosts = fleet.row_power_budgets_w, host_vcpus(), len(self.row)
        names = self.model.tenants
        self.sink = Sink({"row": fleet.row_ids, "tenant": names.workload_ids, "tenant_vm": names.vm_ids()}, Spool(folder))
        self.watch, self.stood = Watch(), []
        self._watched()

    def _watched(self) -> None:
        hearing = self.model.hearing
        send = hearing.bus.send

        def counted(said: Any) -> Any:
            self.watch.hints += len(said)
            return send(said)

        hearing.bus.send = counted
        for name in ("begin", "speak", "hear", "say"):
            setattr(hearing, name, self.watch.timed("hints", getattr(hearing, name)))

    def tick(self, t_s: float, until_s: float) -> Any:
        """Let everybody talk at the beginning of a tick and bill it; return what was seen."""
        standing, spare = self._world(t_s)
        timed, model = self.watch.timed, self.model
        seen = timed("observed", model.observe)(t_s, until_s, standing, spare)
        wanted = timed("offered", self.holder.offer)(seen)
        timed("acted", model.act)(seen, wanted, standing)
        timed("billed", model.account)(until_s, seen)
        timed("written", model.record)(self.sink)
        self.stood.append(len(seen.vm))
        return seen

    def _world(self, t_s: float) -> tuple[Any, Any]:
        """Return who stands where, how busy, and what is spare: the same as the world says of VMs on hosts."""
        from twin.workloads.levers import Spare
        from twin.workloads.load import kept_wave, wave_share
        from twin.workloads.negotiation.model import Standing

        vms, platform = self.vms, self.model.platform
        vm = np.flatnonzero((vms.arrive_s <= t_s) & (vms.end_s > t_s) & (self.place >= 0))
        place, cores = self.place[vm], vms.vcpus[vm]
        mean, swing = kept_wave(vms.mean_share[vm], vms.swing_share[vm])
        busy = wave_share(mean, swing, vms.peak_hour[vm], float(self.clock.hour(t_s)))
        here, size, clock = platform.taken[vm] == 0, platform.size_share[vm], platform.clock_share[vm]
        load = busy * np.where(size > 1.0, size, np.minimum(size / np.maximum(busy, 1e-6), 1.0)) * clock * cores * here
        rented, used = (np.bincount(place, each, self.hosts) for each in (cores * here * size, load))
        row_w = np.bincount(self.row, _IDLE_W + used * _VCPU_W, self.rows)
        total = float(self.hosts * self.host_vcpus)
        now, coming = self.model.reserve_cores(t_s, total)
        spare = Spare(
            total_cores=np.array([total, 8.0]),
            reserve_cores=np.array([now, 0.0]),
            coming_cores=np.array([coming, 0.0]),
            host_free_vcpus=np.maximum(self.host_vcpus - rented, 0.0),
            host_idle_vcpus=np.maximum(np.minimum(rented, self.host_vcpus) - used, 0.0),
            host_free_memory_bytes=np.full(self.hosts, 64 << 30),
            row_power_w=row_w,
            row_budget_w=self.budget_w,
            carbon_kg_per_kwh=0.4,
        )
        return Standing(vm, place, self.row[place], busy, load * _VCPU_W, np.ones(12, dtype=np.bool_)), spare


def _follow(bench: Bench, t_s: float, tick_s: float) -> dict[str, float]:
    """Let some VMs say at any time within a tick that their work may wait; return after how many ticks that held and was granted."""
    from twin.workloads.negotiation import hint, keys
    from twin.workloads.negotiation.treatments import OVERSUBSCRIBED, UNDERCLOCKED

    model, vms, random = bench.model, bench.vms, np.random.default_rng(_SEED)
    seen = bench.tick(t_s, t_s + tick_s)
    stays = (vms.end_s[model.tenants.outer[seen.vm]] > t_s + 10.0 * tick_s) & (seen.hints["delay_tolerance_s"] == 0.0)
    able = seen.vm[stays & (seen.granted == 0)]
    vm = random.choice(able, min(_FOLLOWED, len(able)), replace=False)
    at_s, whole = np.sort(t_s + tick_s * random.random(len(vm))), np.ones(len(vm), dtype=np.int64)
    key = whole * keys.INDEX["delay_tolerance_s"]
    model.receive(hint.Hints(at_s, whole * keys.SCOPES.index("vm"), vm, key, 3_600.0 * whole, whole * hint.OUTSIDE))
    held, granted = np.full((2, len(vm)), np.inf)
    for ticks in range(1, 6):
        seen = bench.tick(t_s + ticks * tick_s, t_s + (ticks + 1) * tick_s)
        heard = seen.hints["delay_tolerance_s"][np.searchsorted(seen.vm, vm)] > 0.0
        held[heard & np.isinf(held)] = ticks
        has = (model.platform.granted[vm] & (UNDERCLOCKED | OVERSUBSCRIBED)) != 0
        granted[has & np.isinf(granted)] = ticks
    return {
        "hint_in_force_ticks_p99": float(np.quantile(held, 0.99)),
        "hint_granted_ticks_p99": float(np.quantile(granted, 0.99)),
        "hint_granted_ticks_worst": float(granted.max()),
    }


def _day(vms: int = _VMS, day_s: float = _DAY_S) -> dict[str, float]:
    """Go through a day at ticks of a minute, then once more through an hour of the afternoon at shorter ones."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(vms, Path(folder))
        stretch_s = min(_LOOK_S, day_s - _STRETCH_S)
        kept: tuple[Any, Any] = ({}, {})
        for t_s in np.arange(0.0, day_s, _TICK_S).tolist():
            if t_s == stretch_s:
                kept = (bench.model.snapshot(), bench.holder.snapshot())
            bench.tick(t_s, t_s + _TICK_S)
        watch = bench.watch
        watch.timed("written", bench.model.close)(bench.sink)
        spent_s = sum(watch.spent_s.values())
        counts = {table: float(frame.select("t_s").collect().height) for table, frame in bench.sink.tables().items()}
        found = {
            "day_cpu_s": spent_s,
            **{f"day_{part}_cpu_s": each_s for part, each_s in watch.spent_s.items()},
            "vms_at_once": float(np.mean(bench.stood)),
            "vms_of_the_day": float(len(bench.vms.vcpus)),
            "hints": float(watch.hints),
            "hints_per_cpu_s": watch.hints / spent_s,
            "notices": counts.get("notices", 0.0),
            "grants": counts.get("grants", 0.0),
        }
        bench.sink.discard()
        bench.model.restore(kept[0])
        bench.holder.restore(kept[1])
        watch.spent_s.clear()
        for t_s in np.arange(stretch_s, stretch_s + _STRETCH_S, _FINE_S).tolist():
            bench.tick(t_s, t_s + _FINE_S)
        found["day_at_15_s_ticks_cpu_s"] = sum(watch.spent_s.values()) * _DAY_S / _STRETCH_S
        found |= _follow(bench, stretch_s + _STRETCH_S, _TICK_S)
        bench.sink.discard()
    return found | {"peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0}


# Name or its end, unit, and where there is one the target; lower is better there.
_FIGURES = (
    ("day_cpu_s", "s", 60.0),
    ("hints_per_cpu_s", "hints/s", None),
    ("hint_in_force_ticks_p99", "ticks", 1.0),
    ("hint_granted_ticks_p99", "ticks", 1.0),
    ("ticks_worst", "ticks", None),
    ("_cpu_s", "s", None),
    ("vms_at_once", "VMs", None),
    ("vms_of_the_day", "VMs", None),
    ("hints", "hints", None),
    ("notices", "notices", None),
    ("grants", "grants", None),
    ("_bytes", "bytes", None),
)


def _row(name: str, value: float) -> dict[str, Any]:
    unit, target = next((unit, target) for end, unit, target in _FIGURES if name.endswith(end))
    meets = None if target is None else value <= target
    better = "higher" if name == "hints_per_cpu_s" else "lower"
    return {"domain": "workloads", "name": name, "value": value, "unit": unit, "target": target, "better": better, "meets": meets}


def measure() -> list[dict[str, Any]]:
    """Return one row per figure."""
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    # The first time, with few VMs for an hour or so, compiles what it needs.
    for part in (("2000", "7200"), (str(_VMS), str(_DAY_S))):
        done = subprocess.run([sys.executable, __file__, *part], env=environment, capture_output=True, text=True, check=True)
    return [_row(name, value) for name, value in json.loads(done.stdout).items()]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_day(int(sys.argv[1]), float(sys.argv[2]))))
