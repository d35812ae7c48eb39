"""The site of a run: limits and budgets that its numbers are held against."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from twin.fleet import Fleet, grown
from twin.fleet_file import named
from twin.plant.hardware import server_models
from twin.sources import home_dir


@dataclass(frozen=True, slots=True)
class Limits:
    """What must not be passed: GPU temperature and power by row, power at the meter, time to first token by endpoint."""

    gpu_c: Mapping[str, float]
    row_w: Mapping[str, float]
    site_w: float
    ttft_s: Mapping[str, float]


def fleet(name: str) -> Fleet:
    """Return a packaged or imported fleet by name."""
    return _fleet(name, str(home_dir()))


@cache
def _fleet(name: str, home: str) -> Fleet:
    # Imports never change under their name, but every store has its own.
    return named(name)


def fleet_of(manifest: Mapping[str, Any]) -> Fleet:
    """Return the fleet of a stored run, with the servers that its policy put there beyond those that were built."""
    built, extra = fleet(manifest["scenario"]["fleet"]), manifest.get("extra_servers", {})
    return grown(built, [extra.get(row, 0) for row in built.row_ids])


def limits(manifest: Mapping[str, Any]) -> Limits:
    """Return the limits of a run's site, from its fleet, the calibration of its servers and its endpoints' objectives."""
    place = fleet(manifest["scenario"]["fleet"])
    gpu_c: dict[str, float] = {}
    for server, row in enumerate(place.server_rows):
        # Where models are mixed, the first to reach its limit speaks for the row.
        limit_c = float(server_models(place)["limit_c"][place.server_models[server]])
        gpu_c[place.row_ids[row]] = min(limit_c, gpu_c.get(place.row_ids[row], limit_c))
    endpoints = manifest["scenario"]["serving"]["endpoints"]
    return Limits(
        gpu_c=gpu_c,
        row_w=dict(zip(place.row_ids, map(float, place.row_power_budgets_w), strict=True)),
        site_w=place.site_power_budget_w,
        ttft_s={endpoint["id"]: float(endpoint["ttft_slo_s"]) for endpoint in endpoints},
    )
