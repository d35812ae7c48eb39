"""Incidents in the world: what services feel, what monitoring sees of all."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from twin.faults import Fault
from twin.fleet import GPUS_PER_SERVER, expand
from twin.incidents import drills, truth
from twin.incidents import model as incidents_model
from twin.incidents import topology as graph
from twin.incidents.alerts import Watched
from twin.incidents.elsewhere import Elsewhere
from twin.incidents.watching import Watching
from twin.memory.tiling import NONE
from twin.negotiating import Negotiating
from twin.plant import model as plant_model
from twin.pooling import Pooling
from twin.scenario import Scenario
from twin.serving import model as serving_model
from twin.serving.levers import ServingObservation
from twin.stack import State, read_only
from twin.tables import Sink
from twin.working import Working
from twin.workloads import model as workloads_model
from twin.workloads.host_population import host_vcpus

Floats = NDArray[np.float64]
Columns = Mapping[str, NDArray[Any]]
# Monitoring counts what negotiations refuse and miss over so long, which is how often they write it.
_COUNTED_S: Final = 300.0
# A function's p99 is unusual at so many times what it usually is; of fewer calls in a window there is no 99th percentile. Proposed.
_UNUSUAL: Final = 3.0
_CALLS: Final = 100
_LATEST_SHARE: Final = 0.2
_SITE: Final = (graph.SITE,)


class Others(NamedTuple):
    """All other domains as the world has them."""

    workloads: workloads_model.Model
    serving: serving_model.Model
    plant: plant_model.Model
    pooling: Pooling
    negotiating: Negotiating
    working: Working


class Happening:
    """Runs the services of a site on its hosts, watches every domain as its monitoring does, and keeps what really was done to it.

    Monitoring reads what domains say of themselves at the end of a tick and the rows that they write; it changes nothing.
    Shapes: H hosts, S servers, E endpoints, F functions, W workloads.
    """

    def __init__(self, scenario: Scenario, others: Others, seed: int) -> None:
        spec, fleet = scenario.spec, scenario.fleet
        self._scenario = scenario
        self._workloads, self._serving, self._plant, self._pooling, self._negotiating, self._working = others
        serving, working = others.serving, others.working
        functions, faults = working.functions.function_ids, scenario.faults_of("incidents")
        self.services = incidents_model.Model(
            spec.incidents, fleet.host_ids, serving.endpoint_ids, functions, scenario.clock, scenario.horizon_s, faults, seed
        )
        self._asks = any(call.kind == "endpoint" for service in spec.incidents.services for call in service.calls)
        self._elsewhere = Elsewhere(spec.incidents.changes, spec.faults, scenario.horizon_s)
        self._host_rows = fleet.rack_rows[fleet.host_racks]
        parts = _parts(scenario, serving, others.pooling, functions)
        self._topology, self._entities = graph.topology(parts), graph.entities(parts)
        self._watching = self._watch() if spec.incidents.alerts else None
        # What endpoints and functions took lately, as their last windows say, and what is usual of functions.
        self._e2e_s, self._met = np.full(len(serving.endpoint_ids), np.nan), np.full(len(serving.endpoint_ids), np.nan)
        self._function_s, self._usual_s = np.full(len(functions), np.nan), np.full(len(functions), np.nan)
        self._heard: dict[str, Floats] = {}
        self._begun = False
        self._sink: Sink | None = None
        self._opened: list[tuple[float, str]] = []

    # -- a tick -----------------------------------------------------------------

    def look(self, seen: Callable[[], ServingObservation]) -> None:
        """Take note, at a window's edge, of how long endpoints took to answer in it, where services ask any."""
        if not self._asks:
            return
        done = seen().finished()
        gaps = np.maximum(done.output_tokens - 1, 0)
        took_s = done.ttft_s + np.where(gaps > 0, done.atgt_s * gaps, 0.0)
        known = np.isfinite(took_s)
        count = np.bincount(done.endpoint[known], minlength=len(self._e2e_s))
        total_s = np.bincount(done.endpoint[known], weights=took_s[known], minlength=len(self._e2e_s))
        self._e2e_s = np.divide(total_s, count, out=np.full(len(self._e2e_s), np.nan), where=count > 0)

    def listen(self, sink: Sink) -> None:
        """Hear what domains write from now on."""
        if self._sink is sink:
            return
        self._sink = sink
        sink.listeners |= {
            "endpoints": self._hear_endpoints,
            "functions": self._hear_functions,
            "memory_hosts": self._hear_memory,
            "notices": self._hear_notices,
            "hint_conflicts": self._hear_conflicts,
            "incidents": self._hear_incidents,
        }

    def fall_silent(self) -> None:
        """Hear no more; what is written and who heard it must not hold each other."""
        if self._sink is not None:
            self._sink.listeners.clear()
            self._sink = None

    def step(self, t_s: float, until_s: float, sink: Sink) -> None:
        """Let services go on until a time that all other domains have reached and written; watch and write."""
        if not self._begun:
            # A run that goes on from another one is a run of its own: what hangs on what stands in it too.
            self._begin(sink)
        self._begun = True
        self.services.advance(until_s, self._felt())
        self.services.record(sink)
        self._elsewhere.record(sink, t_s, until_s)
        if self._watching is not None:
            self._watching.advance(until_s, self._watched(t_s, until_s))
            self._watching.record(sink)
        self._heard.clear()

    def host_share(self) -> Floats | None:
        """Return the load of services on each host, shape H; None where there are none."""
        return self.services.host_cores() / host_vcpus() if self.services.holds else None

    def _begin(self, sink: Sink) -> None:
        for table, frame in ((graph.TOPOLOGY, self._topology), (graph.ENTITIES, self._entities)):
            if frame.height:
                sink.append(table, {name: frame[name].to_numpy() for name in frame.columns})

    def _felt(self) -> incidents_model.Felt:
        plant, most = self._plant.observe(), float(host_vcpus())
        live = plant.row_live[self._host_rows]
        calls = self._working.host_share()
        others = self._workloads.host_share() + (0.0 if calls is None else calls)
        return incidents_model.Felt(
            host_live=live,
            host_speed=1.0 / (1.0 + self._pooling.memory.slowdown),
            host_free_cores=np.maximum(1.0 - others, 0.0) * most,
            endpoint_e2e_s=read_only(self._e2e_s),
            endpoint_met_share=read_only(self._met),
            function_latency_s=read_only(self._function_s),
        )

    # -- what is heard ------------------------------------------------------------

    def _hear_endpoints(self, rows: Columns) -> None:
        met = np.asarray(rows["slo_share"], dtype=np.float64)
        # Where nothing was answered although somebody waits, nothing was answered in time.
        met = np.where(np.isnan(met) & (rows["queue"] > 0.0), 0.0, met)
        self._met[rows["endpoint_id"]] = met
        self._note("endpoint_objective", len(self._met), rows["endpoint_id"], met)

    def _hear_functions(self, rows: Columns) -> None:
        of, nines = rows["function_id"], np.asarray(rows["latency_p99_s"], dtype=np.float64)
        self._function_s[of] = np.where(np.isnan(rows["latency_mean_s"]), self._function_s[of], rows["latency_mean_s"])
        enough = rows["completed"] >= _CALLS
        self._note("function_latency", len(self._usual_s), of[enough], nines[enough])

    def _hear_memory(self, rows: Columns) -> None:
        spilled = np.asarray(rows["spilled_bytes"], dtype=np.float64)
        self._note("memory_overflow", len(self._scenario.fleet.host_ids), rows["host_id"], spilled)

    def _hear_notices(self, rows: Columns) -> None:
        late = ~np.asarray(rows["honoured"], dtype=np.bool_)
        self._count("notice_late", rows["workload_id"], late.astype(np.float64))

    def _hear_conflicts(self, rows: Columns) -> None:
        self._count("hints_refused", rows["workload_id"], np.asarray(rows["hints"], dtype=np.float64))

    def _hear_incidents(self, rows: Columns) -> None:
        self._opened += zip(rows["onset_s"].tolist(), rows["entity_id"].tolist(), strict=True)

    def _note(self, rule: str, size: int, of: NDArray[Any], values: Floats) -> None:
        self._heard.setdefault(rule, np.full(size, np.nan))[of] = values

    def _count(self, rule: str, of: NDArray[Any], values: Floats) -> None:
        np.add.at(self._heard.setdefault(rule, np.zeros(len(self._tenants))), of, values)

    # -- what is watched ------------------------------------------------------------

    @property
    def _tenants(self) -> tuple[str, ...]:
        negotiation = self._negotiating.model
        return () if negotiation is None else negotiation.tenants.workload_ids

    def _watch(self) -> Watching:
        fleet = self._scenario.fleet
        services, functions = self.services.service_ids, self._working.functions.function_ids
        # Of hosts without a pod, too: another policy that goes on from here may build one.
        hosts = fleet.host_ids
        units = {
            "ups": fleet.ups_ids, "pdu": fleet.pdu_ids, "aisle": fleet.aisle_ids, "site": _SITE, "instance": self._serving.instance_ids,
        }  # fmt: skip
        ids = {
            "service_latency": services, "service_errors": services, "endpoint_objective": self._serving.endpoint_ids,
            "function_latency": functions, "gpu_over_limit": fleet.server_ids, "row_over_budget": fleet.row_ids,
            "row_throttled": fleet.row_ids, "memory_overflow": hosts, "unit_lost": [name for names in units.values() for name in names],
            **{rule: self._tenants for rule in ("requirement_broken", "notice_late", "hints_refused")},
        }  # fmt: skip
        kinds = {"unit_lost": [kind for kind, names in units.items() for _ in names]}
        objectives = self._scenario.spec.incidents.services
        plant = self._plant.observe()
        self._bounds = {
            "service_latency": np.array([each.latency_p99_objective_s for each in objectives]),
            "service_errors": np.array([each.error_objective_share for each in objectives]),
            "gpu_over_limit": plant.gpu_limit_c.reshape(-1, GPUS_PER_SERVER).min(axis=1),
        }
        return Watching({rule: names for rule, names in ids.items() if len(names)}, self._topology, self._entities, kinds)

    def _watched(self, t_s: float, until_s: float) -> Watched:
        """Return what monitoring reads at the end of a tick, by rule; what is written by the window is there at its end alone."""
        plant, arrays, told = self._plant.observe(), self._plant.arrays, self.services.measured
        fresh = self.services.holds and told.t_s > t_s
        lost = [
            arrays.feeds["lost_share"], 1.0 - arrays.aisles["air_target_share"], 1.0 - arrays.site["chiller_left_share"],
            self._serving.lost.astype(np.float64),
        ]  # fmt: skip
        values = {
            **({"service_latency": told.latency_p99_s, "service_errors": told.error_share} if fresh else {}),
            "gpu_over_limit": plant.gpu_temp_c.reshape(-1, GPUS_PER_SERVER).max(axis=1),
            "row_over_budget": plant.row_power_w,
            "row_throttled": arrays.rows["throttled_share"],
            "unit_lost": np.concatenate(lost),
        }
        values |= {rule: heard for rule, heard in self._heard.items() if len(heard)}
        if (negotiation := self._negotiating.model) is not None:
            values["requirement_broken"] = negotiation.broken_vms().astype(np.float64)
            if (until_s + 1e-6) % _COUNTED_S < until_s - t_s:
                # Where none was written in the time in which they are counted, there was none.
                for rule in ("notice_late", "hints_refused"):
                    values.setdefault(rule, np.zeros(len(self._tenants)))
        bounds = {**self._bounds, "row_over_budget": plant.row_budget_w, "function_latency": self._unusual_s()}
        known = {rule for rule in bounds if len(bounds[rule])}
        return Watched(values, {rule: bounds[rule] for rule in known})

    def _unusual_s(self) -> Floats:
        """Return from when on the p99 of functions (F) is unusual; what is usual follows them slowly, and not what is unusual."""
        bound_s = _UNUSUAL * self._usual_s
        if (now_s := self._heard.get("function_latency")) is not None:
            first = np.isnan(self._usual_s) & ~np.isnan(now_s)
            usual = now_s <= bound_s
            self._usual_s = np.where(first, now_s, self._usual_s)
            self._usual_s = np.where(usual, self._usual_s + _LATEST_SHARE * (now_s - self._usual_s), self._usual_s)
        return bound_s

    # -- what is kept -----------------------------------------------------------

    def close(self, sink: Sink) -> None:
        """Write what is held back, and what really was done."""
        self.services.close(sink)
        faults = sorted(self._scenario.spec.faults, key=lambda each: (each.from_s, each.kind, each.target))
        self.fall_silent()
        truth.record(sink, faults, [drills.strong(fault) for fault in faults], [self._way(fault) for fault in faults])

    def _way(self, fault: Fault) -> tuple[str, ...]:
        """Return the way from a fault to the first symptom that hangs on it and began while it was on; empty where none did."""
        who, until_s = truth.entity_of(fault), np.inf if fault.until_s is None else fault.until_s
        for onset_s, entity in sorted(self._opened):
            if fault.from_s <= onset_s <= until_s:
                way = truth.path(self._topology, who, entity)
                if len(way) != 2 or way in set(self._edges()) or who == entity:
                    return way if who != entity else (who,)
        return ()

    def _edges(self) -> Iterator[tuple[str, str]]:
        return ((target, source) for source, target in self._topology.select("source", "target").iter_rows())

    def snapshot(self) -> State:
        """Return everything that the next tick depends on."""
        kept: State = {
            "services": self.services.snapshot(),
            "opened": [[onset_s, entity] for onset_s, entity in self._opened],
            **{name: getattr(self, f"_{name}").copy() for name in ("e2e_s", "met", "function_s", "usual_s")},
        }
        return kept if self._watching is None else {**kept, "watching": self._watching.snapshot()}

    def restore(self, state: State) -> None:
        """Take back a snapshot."""
        self.services.restore(state["services"])
        self._opened = [(float(onset_s), str(entity)) for onset_s, entity in state["opened"]]
        for name in ("e2e_s", "met", "function_s", "usual_s"):
            setattr(self, f"_{name}", np.array(state[name], dtype=np.float64))
        if self._watching is not None:
            self._watching.restore(state["watching"])


def _parts(scenario: Scenario, serving: serving_model.Model, pooling: Pooling, functions: tuple[str, ...]) -> graph.Parts:
    """Return what there is and where it stands when a run begins; who comes and goes may stand anywhere."""
    spec, fleet, tiling = scenario.spec, scenario.fleet, pooling.memory.tiling
    rented = [(group.workload, where) for group in spec.workloads.vms if group.kind == "iaas" for where in expand(group.servers)]
    own = {spec.functions.workload, spec.workflows.workload}
    on = [pair for pair in rented if pair[0] not in own]
    on += [(stream.workload, host) for stream in spec.workloads.host_streams for host in fleet.host_ids]
    on += [(function, host) for function in functions for host in expand(spec.functions.hosts)]
    switches = tuple(f"switch-{number}" for number in range(1, tiling.switches + 1))
    stores = [(host, tiling.device_ids[d]) for host, row in zip(fleet.host_ids, tiling.reach, strict=True) for d in row if d != NONE]
    behind = zip(tiling.device_ids, tiling.device_switches, strict=True)
    stores += [(device, switches[switch]) for device, switch in behind if switch != NONE]
    return graph.Parts(
        aisles=fleet.aisle_ids,
        air_handlers=fleet.aisle_air_handlers.tolist(),
        rows=fleet.row_ids,
        row_aisles=fleet.row_aisles,
        racks=fleet.rack_ids,
        rack_rows=fleet.rack_rows,
        servers=fleet.server_ids,
        server_racks=fleet.server_racks,
        hosts=fleet.host_ids,
        host_racks=fleet.host_racks,
        pdus=fleet.pdu_ids,
        row_pdus=fleet.row_pdus,
        ups=fleet.ups_ids,
        pdu_ups=fleet.pdu_ups_share,
        endpoints=serving.endpoint_ids,
        instances=serving.instance_ids,
        instance_endpoints=serving.instance_endpoint,
        instance_servers=serving.instance_server,
        functions=functions,
        workloads=scenario.entities()["workload"],
        devices=tiling.device_ids,
        switches=switches,
        on=on,
        stores=stores,
        services=spec.incidents.services,
    )
