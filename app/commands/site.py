"""What readers may know of a scenario's site, without loading any model."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from policies.intent.interpret.reader import Site
from twin.clock import Clock
from twin.fleet import Fleet
from twin.fleet_file import named
from twin.memory.settings import Settings as MemorySettings
from twin.sources import calibration, data_dir, toml
from twin.units import parse

if TYPE_CHECKING:
    from policies.intent.model import WindowSpec


class Place:
    """A scenario as far as words about it need: names, limits, calendar. The models, which take seconds to import, stay out."""

    def __init__(self, name: str) -> None:
        path = Path(name) if name.endswith(".toml") else data_dir() / "scenarios" / f"{name}.toml"
        try:
            raw = toml(path)
            fleet = named(raw["fleet"])
            self.site = _site(raw, fleet)
            self._clock = Clock.of(raw["start"], raw.get("timezone", "UTC"))
            self._horizon_s = parse(raw["horizon_s"], "_s")
            assert isinstance(raw["start"], datetime)
        except (ValueError, KeyError, TypeError, AttributeError, AssertionError, LookupError, OSError) as error:
            from twin.scenario import load as load_whole

            load_whole(name)  # says in one line what is wrong with it
            raise ValueError(f"scenario {name!r} cannot be read: {error}") from None

    def covers(self) -> "Callable[[WindowSpec], bool]":
        """Return what tells whether the scenario's run has any time inside a window."""
        times = np.arange(0.0, self._horizon_s, 300.0)
        return lambda spec: bool(self._clock.inside(times, spec.window()).any())


def _site(raw: dict[str, Any], fleet: Fleet) -> Site:
    workloads = raw.get("workloads", {})
    own = {raw.get(name, {}).get("workload") for name in ("functions", "workflows")}
    rented = [each for each in workloads.get("vms", []) if each.get("kind", "iaas") == "iaas" and each["workload"] not in own]
    rented += [*workloads.get("arrivals", []), *workloads.get("host_streams", [])]
    rented += [{"workload": name} for name in workloads.get("host_trace", {}).get("workloads", [])]
    entities = {
        **{kind: fleet.ids(kind) for kind in ("row", "rack", "server", "host")},
        "endpoint": tuple(str(endpoint["id"]) for endpoint in raw.get("serving", {}).get("endpoints", [])),
        "workload": tuple(dict.fromkeys(str(each["workload"]) for each in rented)),
        "function": tuple(str(each["id"]) for each in raw.get("functions", {}).get("functions", [])),
        "workflow": tuple(str(each["id"]) for each in raw.get("workflows", {}).get("workflows", [])),
    }
    limits = {f"{row}/plant.row_power_peak_w": float(watts) for row, watts in zip(fleet.row_ids, fleet.row_power_budgets_w, strict=True)}
    limits["/plant.site_power_peak_w"] = float(fleet.site_power_budget_w)
    # By the table of models alone: what reads an image is compiled code.
    seeing = calibration("multimodal")["model"]
    reading = tuple(str(item["id"]) for item in raw.get("serving", {}).get("endpoints", []) if item.get("model") in seeing)
    memory = MemorySettings.model_validate(raw.get("memory", {}))
    tenants = tuple(str(each["id"]) for each in workloads.get("negotiation", {}).get("tenants", []))
    return Site(entities, limits=limits, image_endpoints=reading, memory=memory, tenants=tenants)
