"""How large the site is: the capacity lever is asked once, before a run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twin.metrics import Scope
from twin.plant.hardware import server_models
from twin.plant.levers import CapacityObservation
from twin.scenario import Scenario
from twin.stack import Holding, read_only, shares

_LEVER: Final = "capacity"


@dataclass(frozen=True, slots=True)
class Sized:
    """What the holders of capacity decided: servers beyond those that were built, row by row, and how often it was clipped."""

    extra_servers: tuple[int, ...]
    clips: Mapping[str, int] = field(default_factory=dict)


def sized(scenario: Scenario, stack: tuple[Holding, ...]) -> Sized:
    """Ask the holders of capacity about a site as it was built; a row takes from none to as many again as it has."""
    fleet = scenario.fleet
    rows = len(fleet.row_ids)
    servers = np.bincount(fleet.server_rows, minlength=rows)
    nameplate_w = np.bincount(fleet.server_rows, weights=server_models(fleet)["nameplate_w"][fleet.server_models], minlength=rows)
    seen = CapacityObservation(fleet.row_ids, read_only(servers), read_only(nameplate_w), read_only(fleet.row_power_budgets_w))
    extra, clips = np.zeros(rows, dtype=np.int64), {}

    def members(scopes: tuple[Scope, ...]) -> NDArray[np.bool_]:
        named = {scope.id for scope in scopes if scope.kind == "row"}
        return np.array([not scopes or row in named for row in fleet.row_ids], dtype=np.bool_)

    for holding, mine in shares(stack, members, rows):
        wanted = np.asarray(holding.holder.size(seen).extra_servers, dtype=np.int64)
        if wanted.shape != (rows,):
            raise ValueError(f"{_LEVER}: {holding.system} answers with shape {wanted.shape}, the fleet has {rows} rows")
        bounded = np.clip(wanted, 0, servers)
        changed = int(np.count_nonzero((bounded != wanted) & mine))
        if changed:
            clips[f"{_LEVER}/{holding.system}"] = changed
        extra[mine] = bounded[mine]
    return Sized(tuple(int(count) for count in extra), clips)
