"""Text to frozen values: a question put to the twin."""

import difflib
import json
import math
import re
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, Union, get_args, get_origin
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from twin.clock import Clock
from twin.faults import Fault
from twin.fleet import Fleet, expand, grown
from twin.fleet_file import named as named_fleet
from twin.fleet_file import path_of as path_of_fleet
from twin.functions import model as functions_model
from twin.incidents import model as incidents_model
from twin.memory import model as memory_model
from twin.memory import prices
from twin.plant import carbon, weather
from twin.plant import model as plant_model
from twin.serving import latency
from twin.serving import model as serving_model
from twin.serving.readings import REQUESTS
from twin.sources import data_dir, digest, imported, toml
from twin.units import parse, suffix_of
from twin.workflows import model as workflows_model
from twin.workloads import model as workloads_model
from twin.workloads.host_population import host_vcpus
from twin.workloads.negotiation import checking as negotiating

# Temperatures under such names are differences: 9 F of them are 5 C.
_DIFFERENCE = re.compile(r"(offset|swing|noise|spread|rise|preheat|hysteresis|margin|approach|blend|near_air_handler)")
# Snapshots fall on these times; serving's windows divide them, so that a run goes on at the beginning of a window.
SNAPSHOT_GRID_S: Final = 300.0


class ScenarioSpec(BaseModel):
    """A scenario file. ``start`` is local to ``timezone``; ``horizon_s`` is how long the run lasts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=40)]
    title: Annotated[str, Field(max_length=120)] = ""
    about: Annotated[str, Field(max_length=2000)] = ""
    fleet: Annotated[str, Field(pattern=r"^(import:)?[a-z0-9][a-z0-9-]*$", max_length=47)]
    start: datetime
    timezone: str = "UTC"
    horizon_s: Annotated[float, Field(ge=60, le=60 * 86400)]
    tick_s: Annotated[float, Field(ge=1, le=300)] = 10.0
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 1
    plant: plant_model.Settings = plant_model.Settings()
    serving: serving_model.Settings = serving_model.Settings()
    workloads: workloads_model.Settings = workloads_model.Settings()
    memory: memory_model.Settings = memory_model.Settings()
    faults: tuple[Fault, ...] = ()
    functions: functions_model.Settings = functions_model.Settings()
    workflows: workflows_model.Settings = workflows_model.Settings()
    incidents: incidents_model.Settings = incidents_model.Settings()

    @field_validator("start")
    @classmethod
    def _local(cls, value: datetime) -> datetime:
        if value.tzinfo is not None:
            raise ValueError("write the local time without an offset; the zone is given by timezone")
        return value

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{value!r} is not a time zone; write one such as America/Phoenix") from None
        return value


FAULT_OWNERS: Mapping[str, str] = {
    **dict.fromkeys(plant_model.FAULT_KINDS, "plant"),
    **dict.fromkeys(serving_model.FAULT_KINDS, "serving"),
    **dict.fromkeys(workloads_model.FAULT_KINDS, "workloads"),
    **dict.fromkeys(memory_model.FAULT_KINDS, "memory"),
    **dict.fromkeys(functions_model.FAULT_KINDS, "functions"),
    **dict.fromkeys(incidents_model.FAULT_KINDS, "incidents"),
}


@dataclass(frozen=True)
class Scenario:
    """A scenario ready to run: frozen values, no paths. It holds no policy.

    ``asked`` is the specification as it was written, where a site with more servers is also asked more (``grown``).
    """

    spec: ScenarioSpec
    fleet: Fleet
    clock: Clock
    inputs: Mapping[str, str]
    asked: ScenarioSpec | None = None

    @property
    def name(self) -> str:
        """Name of the scenario."""
        return self.spec.name

    @property
    def seed(self) -> int:
        """Seed that a run takes when none is given."""
        return self.spec.seed

    @property
    def horizon_s(self) -> float:
        """Length of a run in seconds."""
        return self.spec.horizon_s

    def check_inputs(self) -> None:
        """Refuse imports that have changed since the scenario was read: a run must stand on what names it."""
        now = _imports(self.spec)
        if changed := sorted(name for name, was in self.inputs.items() if name in now and now[name] != was):
            raise ValueError(f"import {changed[0]} has changed since scenario {self.name} was read; run it again")

    def canonical(self) -> dict[str, Any]:
        """Return the values that name a run: the specification and the digests of every file it draws on."""
        spec = json.loads((self.asked or self.spec).model_dump_json(exclude={"seed", "title", "about"}))
        return {**spec, "inputs": dict(sorted(self.inputs.items()))}

    def grown(self, extra_servers: Sequence[int]) -> "Scenario":
        """Return the scenario on a site with so many more servers in each row; demand grows along where ``follow_capacity`` says so.

        It is the same question still: how large the site is belongs to the policy.
        """
        if not any(extra_servers):
            return self
        larger = replace(self, fleet=grown(self.fleet, extra_servers))
        if not self.spec.workloads.follow_capacity:
            return larger
        carried = workloads_model.carried(self.spec.workloads, self.fleet), workloads_model.carried(self.spec.workloads, larger.fleet)
        endpoints = [
            endpoint.model_copy(update={"demand": endpoint.demand.times(carried[1][endpoint.id] / carried[0][endpoint.id])})
            for endpoint in self.spec.serving.endpoints
        ]
        serving = self.spec.serving.model_copy(update={"endpoints": tuple(endpoints)})
        return replace(larger, spec=self.spec.model_copy(update={"serving": serving}), asked=self.spec)

    def faults_of(self, domain: str) -> tuple[Fault, ...]:
        """Return the faults that one domain's model owns."""
        return tuple(fault for fault in self.spec.faults if FAULT_OWNERS[fault.kind] == domain)

    def entities(self) -> dict[str, tuple[str, ...]]:
        """Return every id that a scope may name, by kind."""
        # The VMs that functions and workflows stand on are the platform's own, nobody's workload.
        own = {self.spec.functions.workload, self.spec.workflows.workload}
        rented = [group.workload for group in self.spec.workloads.vms if group.kind == "iaas" and group.workload not in own]
        names = tuple(dict.fromkeys(rented + [owner for _, owner in self.spec.workloads.coming]))
        return {
            **{kind: self.fleet.ids(kind) for kind in ("row", "rack", "server", "host")},
            "endpoint": tuple(endpoint.id for endpoint in self.spec.serving.endpoints),
            "workload": names,
            "function": tuple(function.id for function in self.spec.functions.functions),
            "workflow": tuple(workflow.id for workflow in self.spec.workflows.workflows),
        }


def names() -> tuple[str, ...]:
    """Return the packaged scenarios."""
    return tuple(sorted(path.stem for path in (data_dir() / "scenarios").glob("*.toml")))


def load(name: str | Path) -> Scenario:
    """Read a packaged scenario by name or a file by its path.

    Raises ValueError, one line: file, key, what is wrong and the nearest valid key.
    """
    path = Path(name)
    if path.suffix != ".toml":
        if str(name) not in names():
            near = difflib.get_close_matches(str(name), names(), 1)
            hint = f"; did you mean {near[0]}?" if near else f"; there are: {', '.join(names())}"
            raise ValueError(f"scenario {str(name)!r} is unknown{hint}")
        path = data_dir() / "scenarios" / f"{name}.toml"
    return read(toml(path), f"scenarios/{path.name}")


def read(raw: Mapping[str, Any], place: str = "scenario") -> Scenario:
    """Turn a mapping, as TOML or JSON gives it, into a scenario."""
    values = _with_units(raw, place)
    try:
        spec = ScenarioSpec.model_validate(values)
    except ValidationError as error:
        raise ValueError(f"{place}: {_first_problem(error)}") from None
    for fault in spec.faults:
        if fault.kind not in FAULT_OWNERS:
            near = difflib.get_close_matches(fault.kind, FAULT_OWNERS, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(sorted(FAULT_OWNERS))}"
            raise ValueError(f"{place}: faults: kind {fault.kind!r} is unknown; {hint}")
    try:
        inputs = {"fleet": digest(path_of_fleet(spec.fleet).read_bytes()), **_imports(spec)}
        scenario = Scenario(spec, named_fleet(spec.fleet), Clock.of(spec.start, spec.timezone), inputs)
        carbon.intensity(spec.plant.cooling.carbon_kg_per_kwh, scenario.clock, spec.horizon_s)  # refuses hours that it does not have
        _check_places(scenario)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None
    return scenario


def _imports(spec: ScenarioSpec) -> dict[str, str]:
    """Return the digest of every imported file that the scenario draws on."""
    traces = {endpoint.demand.name for endpoint in spec.serving.endpoints if endpoint.demand.kind == "trace"}
    profiles = {name for endpoint in spec.serving.endpoints if (name := latency.import_name(endpoint.latency))}
    named = [("llm-trace", name) for name in sorted(traces)] + [("latency-profile", name) for name in sorted(profiles)]
    if (mine := prices.import_name(spec.memory.prices)) is not None:
        named.append(("device-prices", mine))
    site = (("weather", weather.import_name(spec.plant.weather)), ("grid-carbon", carbon.import_name(spec.plant.cooling.carbon_kg_per_kwh)))
    named += [(kind, name) for kind, name in site if name is not None]
    start = spec.plant.start_from
    sensed = {spec.plant.telemetry, spec.plant.replay, start.telemetry if start else None} - {None}
    named += [("telemetry", str(name)) for name in sorted(map(str, sensed))]
    named += [("vm-trace", spec.workloads.host_trace.name)] if spec.workloads.host_trace else []
    named += [("function-trace", name) for name in sorted({each.trace.removeprefix("import:") for each in spec.functions.functions} - {""})]
    named += [("executors", spec.workflows.library.removeprefix("import:"))] if spec.workflows.library != "packaged" else []
    named += negotiating.inputs(spec.workloads.negotiation)
    return {f"{kind}/{name}": digest(imported(kind, name).read_bytes()) for kind, name in named}


def _check_places(scenario: Scenario) -> None:
    """Refuse VMs without a place, VMs for endpoints that do not exist, endpoints without a server, and what would go unheard."""
    workloads_model.check_room(scenario.spec.workloads, scenario.fleet, scenario.horizon_s)
    memory_model.check_faults(scenario.faults_of("memory"), scenario.fleet.host_ids)
    prices.table(scenario.spec.memory.prices)  # refuses one that there is not
    _check_unheard(scenario)
    _check_hosts(scenario)
    _check_filled(scenario)
    _check_asked(scenario)
    endpoints = {endpoint.id for endpoint in scenario.spec.serving.endpoints}
    carried = {group.endpoint or group.workload for group in scenario.spec.workloads.vms if group.kind == "saas"}
    for unknown in sorted(carried - endpoints):
        near = difflib.get_close_matches(unknown, endpoints, 1)
        raise ValueError(f"workloads.vms: endpoint {unknown!r} is unknown" + (f"; did you mean {near[0]}?" if near else ""))
    for empty in sorted(endpoints - carried):
        raise ValueError(f"serving.endpoints: {empty!r} has no server; add a saas group to workloads.vms")
    # What past VMs of a name drew, and a burst or a holder by that name, must not be of both kinds.
    serving = carried | {group.workload for group in scenario.spec.workloads.vms if group.kind == "saas"}
    for key, owner in scenario.spec.workloads.coming:
        if owner in serving:
            raise ValueError(f"workloads.{key}: {owner!r} is an endpoint; VMs that come and go are rented, give them another name")
    negotiating.check(scenario.spec.workloads.negotiation, scenario.entities()["workload"], endpoints)
    if mixed := serving & {group.workload for group in scenario.spec.workloads.vms if group.kind == "iaas"}:
        raise ValueError(f"workloads.vms: {min(mixed)!r} is an endpoint; iaas VMs are rented, give them another name")


def _check_hosts(scenario: Scenario) -> None:
    """Refuse hosts and cores of functions that the fleet does not have."""
    functions, known = scenario.spec.functions, scenario.fleet.host_ids
    for name in expand(functions.hosts):
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(known[:5]) or 'none'}"
            raise ValueError(f"functions.hosts: {name!r} is no CPU host of the fleet; {hint}")
    if functions.hosts and functions.cores > (most := host_vcpus()):
        raise ValueError(f"functions.cores: {functions.cores} are more than the {most} vCPUs of a host; lower them or add hosts")


def _check_filled(scenario: Scenario) -> None:
    """Refuse functions and workflows on places that no VMs of theirs fill: their load is that of these VMs."""
    spec = scenario.spec
    workflows = (*spec.workflows.servers, *spec.workflows.hosts)
    for key, workload, places in (
        ("functions", spec.functions.workload, spec.functions.hosts),
        ("workflows", spec.workflows.workload, workflows),
    ):
        named = expand(places)
        if twice := [name for name in named if named.count(name) > 1]:
            raise ValueError(f"{key}: {twice[0]} is written twice; keep one")
        groups = [group for group in spec.workloads.vms if group.workload == workload and group.kind == "iaas"]
        filled = {name for group in groups for name in expand(group.servers)}
        if missing := [name for name in named if name not in filled]:
            raise ValueError(
                f"{key}: {missing[0]} is filled by no VM of {workload or 'a workload'!r}; add a group of that workload with servers = "
                f'["{missing[0]}"] and load = {{ mean_share = 0, swing_share = 0, noise_share = 0 }} to workloads.vms'
            )
        if any(group.load.mean_share or group.load.noise_share for group in groups if places):
            raise ValueError(
                f"workloads.vms: {workload}: its load is that of {key}; write load = {{ mean_share = 0, swing_share = 0, noise_share = 0 }}"
            )


def _check_asked(scenario: Scenario) -> None:
    """Refuse endpoints and functions that stages would ask in vain."""
    known = (*scenario.entities()["endpoint"], *scenario.entities()["function"])
    for name, meant in scenario.spec.workflows.asks.items():
        if meant not in known:
            near = difflib.get_close_matches(meant, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(known) or 'none'}"
            raise ValueError(f"workflows.asks: {name}: no endpoint or function is called {meant!r}; {hint}")


def _check_unheard(scenario: Scenario) -> None:
    """Refuse what no model would notice: bursts of nobody, tariffs of no GPU, windows that snapshots do not fall on."""
    serving, owners = scenario.spec.serving, scenario.entities()["workload"]
    for fault in scenario.faults_of("workloads"):
        # Who hints is checked where those who negotiate are known.
        if fault.kind == "traffic_burst" and fault.target not in owners:
            raise ValueError(f"faults: {fault.kind}: no workload is called {fault.target!r}; there are: {', '.join(owners) or 'none'}")
    for gpu in serving.tariff_usd_per_h:
        if gpu not in scenario.fleet.model_names:
            raise ValueError(f"serving.tariff_usd_per_h: GPU {gpu!r} is unknown; it is one of {', '.join(scenario.fleet.model_names)}")
    asked = scenario.horizon_s * sum(each.demand.mean_rate_per_s for each in serving.endpoints if each.demand.kind == "synthetic")
    if asked > REQUESTS.max_rows:
        raise ValueError(
            f"serving.endpoints: {asked:,.0f} requests, the limit is {REQUESTS.max_rows:,}; shorten horizon_s or lower rate_per_s"
        )
    if SNAPSHOT_GRID_S % serving.window_s:
        raise ValueError(f"serving.window_s: {serving.window_s:g} s does not divide {SNAPSHOT_GRID_S:g} s; write 10, 30, 60 or 300")


def _with_units(value: Any, place: str, key: str = "") -> Any:
    if isinstance(value, Mapping):
        return {name: _with_units(item, place, f"{key}.{name}" if key else str(name)) for name, item in value.items()}
    if isinstance(value, list):
        return [_with_units(item, place, key) for item in value]
    if isinstance(value, str) and suffix_of(key) and not value.startswith("import:"):
        try:
            return parse(value, suffix_of(key), difference=bool(_DIFFERENCE.search(key.rpartition(".")[2])))
        except ValueError as error:
            raise ValueError(f"{place}: {key}: {error}") from None
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{place}: {key}: {value} is not a number to work with; write a finite one")
    return value


def _first_problem(error: ValidationError) -> str:
    problem = error.errors()[0]
    location = [part for part in problem["loc"]]
    key = ".".join(str(part) for part in location)
    if problem["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(location[-1]), _fields_at(ScenarioSpec, location[:-1]), 1, 0.5)
        return f"{key} is unknown" + (f"; did you mean {near[0]}?" if near else "; remove it")
    if problem["type"] == "missing":
        return f"{key} is missing; add it"
    message = problem["msg"].removeprefix("Value error, ")
    # A rule between several keys is told of their whole table, of which the beginning says nothing.
    given = "" if isinstance(problem.get("input"), Mapping) else f" (it is {problem.get('input')!r:.60})"
    return f"{key}: {message[0].lower()}{message[1:]}{given}"


def _fields_at(model: Any, location: list[Any]) -> list[str]:
    """Return the field names that are valid at a place of nested pydantic models."""
    for part in location:
        if isinstance(part, int):
            continue
        if isinstance(model, type) and issubclass(model, BaseModel) and part in model.model_fields:
            model = _inner(model.model_fields[part].annotation)
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []


def _inner(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in {tuple, list, Union, types.UnionType, Annotated}:
        for argument in get_args(annotation):
            found = _inner(argument)
            if found is not None:
                return found
    return None
