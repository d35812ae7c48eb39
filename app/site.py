"""The site of a run: limits and budgets that its numbers are held against."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from twin.fleet import Fleet, grown
from twin.fleet_file import named, path_of
from twin.plant.hardware import server_models
from twin.sources import digest, home_dir


class OtherFleet(ValueError):
    """The fleet that a stored run stood on is gone, or another one has its name by now."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What must not be passed: GPU temperature and power by row, power at the meter, time to first token by endpoint."""

    gpu_c: Mapping[str, float]
    row_w: Mapping[str, float]
    site_w: float
    ttft_s: Mapping[str, float]


def fleet(name: str) -> Fleet:
    """Return a packaged or imported fleet by name."""
    return _fleet(name, str(home_dir()), path_of(name).stat().st_mtime_ns)


@lru_cache(maxsize=32)
def _fleet(name: str, home: str, changed_ns: int) -> Fleet:
    # Imports never change under their name unless somebody removes one; every store has its own.
    return named(name)


def fleet_of(manifest: Mapping[str, Any]) -> Fleet:
    """Return the fleet of a stored run, with the servers that its policy put there beyond those that were built."""
    built, extra = _stood_on(manifest), manifest.get("extra_servers", {})
    return grown(built, [extra.get(row, 0) for row in built.row_ids])


def _stood_on(manifest: Mapping[str, Any]) -> Fleet:
    """Return the fleet that a stored run stood on; OtherFleet where the import of that name is gone or another one by now."""
    name, was = str(manifest["scenario"]["fleet"]), manifest["scenario"].get("inputs", {}).get("fleet")
    try:
        now = digest(path_of(name).read_bytes())
    except ValueError as error:
        raise OtherFleet(f"the fleet that this run stood on cannot be read: {error}") from None
    if name.startswith("import:") and was and now != was:
        raise OtherFleet(
            f"the fleet {name} is not the one that this run stood on: it was imported anew since; import the former file "
            "under this name again, or run the scenario anew"
        )
    return fleet(name)


def limits(manifest: Mapping[str, Any]) -> Limits:
    """Return the limits of a run's site, from its fleet, the calibration of its servers and its endpoints' objectives."""
    place = _stood_on(manifest)
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
