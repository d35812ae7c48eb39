"""A hall of any size without serving: rows of H100 servers under a stream of opaque VMs. For long runs, tests and benchmarks."""

from dataclasses import replace
from typing import Any

from twin.fleet import Fleet
from twin.fleet_file import build
from twin.fleet_spec import FleetSpec
from twin.scenario import Scenario, read

SERVERS_PER_ROW = 40
_RACK = 4
# Two fifths of the nameplate stand in nobody's way: a hall that never brakes shows what a plain tick costs.
_BUDGET_W = 9_500.0


def fleet_of(servers: int) -> Fleet:
    """Return rows of 40 servers, two to an aisle; ``servers`` is a multiple of 40."""
    rows = servers // SERVERS_PER_ROW
    row = {
        "kind": "gpu", "racks": SERVERS_PER_ROW // _RACK, "per_rack": _RACK, "model": "h100", "power_budget_w": SERVERS_PER_ROW * _BUDGET_W,
    }  # fmt: skip
    specs = [
        {"id": f"row-{r}", "aisle": f"aisle-{r // 2}", "first_rack": f"r{r}-rack-1", "first_server": f"r{r}-server-1", **row}
        for r in range(rows)
    ]
    aisles = [{"id": f"aisle-{a}"} for a in range((rows + 1) // 2)]
    budget_w = rows * SERVERS_PER_ROW * _BUDGET_W
    return build(FleetSpec.model_validate({"name": "hall", "site_power_budget_w": budget_w, "aisle": aisles, "row": specs}))


def hall(servers: int, horizon_s: float, **spec: Any) -> Scenario:
    """Return a scenario of a hall in which three customers' VMs hold four fifths of the GPUs on average."""
    arrivals = [
        {"workload": "training", "gpus_share": 0.4, "load": {"mean_share": 0.75, "swing_share": 0.1, "peak_hour": 2.0}},
        {"workload": "inference", "gpus_share": 0.3, "load": {"mean_share": 0.5, "swing_share": 0.25, "peak_hour": 15.0}},
        {"workload": "research", "gpus_share": 0.1},
    ]
    raw = {
        "name": "hall", "fleet": "tiny", "start": "2026-07-14T00:00:00", "timezone": "America/Phoenix", "horizon_s": horizon_s,
        "workloads": {"arrivals": arrivals}, "plant": {"weather": {"climate": "phoenix"}}, **spec,
    }  # fmt: skip
    return replace(read(raw), fleet=fleet_of(servers))
