"""A small toolbox over frames written by hand, and incidents to try it on."""

import re
from dataclasses import dataclass, field

import numpy as np
import polars as pl
import pytest

from twin.incidents.case import Incident
from twin.incidents.tools import MOST_ROWS, Reply
from twin.incidents.toolset import COLUMNS, TOOLS

ONSET_S, AS_OF_S = 18_000.0, 21_600.0
TEXTS = {"entity", "metric", "unit", "kind", "source", "level", "words", "actor"}


def empty(tool):
    return pl.DataFrame(schema={name: pl.String if name in TEXTS else pl.Float64 for name in COLUMNS[tool]})


@dataclass
class Hand:
    """The tools over: ``edges`` (source, target, kind), ``kinds`` by entity, ``telemetry`` {(entity, metric): (times, values)}."""

    incident: Incident
    edges: list
    kinds: dict
    telemetry: dict
    events: list = field(default_factory=list)
    changes: list = field(default_factory=list)
    history: list = field(default_factory=list)
    runbooks: dict = field(default_factory=dict)
    as_of_s: float = AS_OF_S
    tools: tuple = TOOLS
    said: dict = field(default_factory=dict)
    calls: list = field(default_factory=list)

    def call(self, name, arguments):
        self.calls.append((name, dict(arguments)))
        key = (name, repr(sorted(arguments.items())))
        if key not in self.said:
            self.said[key] = self._answer(f"E{len(self.said) + 1}", name, arguments)
        return self.said[key]

    def evidence(self, evidence_id):
        return next((reply for reply in self.said.values() if reply.evidence_id == evidence_id), None)

    def _answer(self, evidence_id, name, arguments):
        if name not in {tool.name for tool in self.tools} or not hasattr(self, f"_{name}"):
            nothing = pl.DataFrame()
            return Reply(evidence_id, name, arguments, False, nothing, "", error_kind="unknown tool", error=f"there is no tool {name!r}")
        try:
            rows = getattr(self, f"_{name}")(**arguments)
        except TypeError as error:
            return Reply(evidence_id, name, arguments, False, pl.DataFrame(), "", error_kind="bad arguments", error=str(error))
        shown = rows.head(MOST_ROWS)
        return Reply(evidence_id, name, arguments, True, shown, f"{rows.height} rows", truncated=rows.height > MOST_ROWS)

    def _incident_details(self, question=""):
        fields = {name: str(getattr(self.incident, name)) for name in ("title", "text", "severity", "metric", "onset_s")}
        fields |= {"entity": self.incident.entity_id, "affected": ", ".join(self.incident.affected)}
        return pl.DataFrame({"field": list(fields), "value": list(fields.values())})

    def _topology(self, entity, direction="depends_on", hops=12, to=None):
        known, rows = {entity: 0}, []
        near, far = (0, 1) if direction == "depends_on" else (1, 0)
        for hop in range(1, hops + 1):
            front = {name for name, at in known.items() if at == hop - 1}
            for edge in self.edges:
                if edge[near] in front:
                    known.setdefault(edge[far], hop)
                    rows.append((edge[0], self.kinds.get(edge[0]), edge[1], self.kinds.get(edge[1]), edge[2], float(hop)))
        return pl.DataFrame(rows, schema=empty("topology").schema | {n: pl.String for n in COLUMNS["topology"][:5]}, orient="row")

    def _cone(self, entity):
        rows = self._topology(entity)
        return {entity, *rows["source"], *rows["target"]}

    def _anomaly_scan(self, from_s, to_s, normal_from_s=0.0, cone_of=None, entities=None, each=30):
        rows = []
        for (entity, metric), (times, values) in sorted(self.telemetry.items()):
            if cone_of and entity not in self._cone(cone_of):
                continue
            normal = values[(times >= normal_from_s) & (times < from_s)]
            now, when = values[(times >= from_s) & (times <= to_s)], times[(times >= from_s) & (times <= to_s)]
            if len(normal) < 3 or not len(now):
                continue
            middle, after = float(np.median(normal)), float(np.median(now[-max(len(now) // 2, 1) :]))
            mad = 1.4826 * float(np.median(np.abs(normal - middle))) + 1e-9
            off = np.abs(now - middle) > 6 * mad + 0.01 * abs(middle)
            onset = float(when[np.argmax(off)]) if off.any() else float("nan")
            z, sd = (after - middle) / mad, (after - middle) / (float(normal.std()) + 1e-9)
            kind = self.kinds.get(entity, "")
            rows.append((entity, kind, metric, "", middle, after, z, sd, z, onset, float(len(now))))
        frame = pl.DataFrame(rows, schema=empty("anomaly_scan").schema, orient="row")
        return frame.sort(pl.col("robust_z").abs(), descending=True).group_by("kind", maintain_order=True).head(int(each))

    def _query_metric(self, entity, metric, from_s=0.0, to_s=AS_OF_S, every_s=60.0, by="mean"):
        times, values = self.telemetry.get((entity, metric), (np.array([]), np.array([])))
        keep = (times >= from_s) & (times <= to_s)
        frame = pl.DataFrame({"time": times[keep], "value": values[keep]}, schema={"time": pl.Float64, "value": pl.Float64})
        return frame.select("time", pl.lit(entity).alias("entity"), pl.lit(metric).alias("metric"), "value")

    def _list_metrics(self, entity):
        rows = [(name, metric, "", float(len(at[0]))) for (name, metric), at in sorted(self.telemetry.items()) if name == entity]
        return pl.DataFrame(rows, schema=empty("list_metrics").schema, orient="row")

    def _events(self, from_s, to_s, cone_of=None, entities=None, least="info"):
        rows = [row for row in self.events if from_s <= row[0] <= to_s and (not cone_of or row[1] in self._cone(cone_of))]
        return pl.DataFrame(rows, schema=empty("events").schema, orient="row")

    def _change_log(self, from_s, to_s, entities=None):
        rows = [row for row in self.changes if from_s <= row[0] <= to_s]
        return pl.DataFrame(rows, schema=empty("change_log").schema, orient="row")

    def _blast_radius(self, entity):
        rows = self._topology(entity, "depended_on_by")
        names = sorted(set(rows["source"]) - {entity})
        return pl.DataFrame({"entity": names, "kind": [self.kinds.get(name, "") for name in names], "hops": [1.0] * len(names)})

    def _history_search(self, query, k=10):
        words = set(re.findall(r"\w+", query.lower()))
        rows = [{**dict.fromkeys(COLUMNS["history_search"], ""), **row} for row in self.history]
        rows = [{**row, "similarity": len(words & set(re.findall(r"\w+", row["title"].lower()))) / 10} for row in rows]
        found = pl.DataFrame(rows) if rows else pl.DataFrame(schema=dict.fromkeys(COLUMNS["history_search"], pl.String))
        return found.sort("similarity", descending=True).head(k).select(COLUMNS["history_search"]) if rows else found

    def _runbook_search(self, query, k=2):
        found = [(name, 1.0, words) for name, words in self.runbooks.items()][:k]
        return pl.DataFrame(found, schema={"name": pl.String, "similarity": pl.Float64, "words": pl.String}, orient="row")


class Plot:
    """Writes series: quiet noise, and steps from a time on."""

    def __init__(self, seed=1):
        self.random, self.times = np.random.default_rng(seed), np.arange(60.0, AS_OF_S + 1, 60.0)

    def __call__(self, level, step=0.0, at_s=None, noise=0.01):
        values = level * (1.0 + noise * self.random.standard_normal(len(self.times)))
        return self.times, values + (step * (self.times >= at_s) if at_s is not None else 0.0)


@pytest.fixture
def plot():
    return Plot()


@pytest.fixture
def hand():
    return Hand


@pytest.fixture
def heat(plot):
    """A fan of aisle-2 is lost at 16,500 s: inlets warm, clocks fall, chat-70b misses its objective from 18,000 s on."""
    incident = Incident(
        "i-1", "chat-70b misses its objectives", "attainment below 95 %", "major", "endpoint", "chat-70b", "endpoints.slo_share",
        ONSET_S, ONSET_S + 300, 1.7e9, ("chat-70b",),
    )  # fmt: skip
    kinds = {"chat-70b": "endpoint", "chat-70b/1": "instance", "chat-70b/2": "instance", "aisle-1": "aisle", "aisle-2": "aisle"}
    kinds |= {"row-1": "row", "row-2": "row", "host-9": "host", "billing": "service"}
    edges = [("chat-70b", "chat-70b/1", "made of"), ("chat-70b", "chat-70b/2", "made of"), ("billing", "host-9", "runs on")]
    telemetry = {}
    for n in (1, 2):
        hot = n == 2
        kinds |= {f"server-{n}": "server", f"rack-{n}": "rack"}
        edges += [(f"chat-70b/{n}", f"server-{n}", "runs on"), (f"server-{n}", f"rack-{n}", "in"), (f"rack-{n}", f"row-{n}", "in")]
        edges += [(f"row-{n}", f"aisle-{n}", "in")]
        telemetry |= {
            (f"aisle-{n}", "aisles.supply_m3_per_s"): plot(20.0, -8.0 * hot, 16_500.0),
            (f"aisle-{n}", "aisles.inlet_max_c"): plot(24.0, 9.0 * hot, 16_800.0),
            (f"rack-{n}", "racks.inlet_c"): plot(23.0, 8.0 * hot, 16_800.0),
            (f"server-{n}", "servers.inlet_c"): plot(23.0, 8.0 * hot, 16_800.0),
            (f"server-{n}", "servers.clock_min_share"): plot(1.0, -0.4 * hot, 17_400.0),
            (f"chat-70b/{n}", "instances.queue_mean"): plot(2.0, 6.0 * hot, 17_700.0),
        }
    telemetry |= {
        ("chat-70b", "endpoints.slo_share"): plot(0.98, -0.3, ONSET_S),
        ("host-9", "service_hosts.steal_share"): plot(0.02, 0.6, 17_900.0),
    }
    return Hand(incident, edges, kinds, telemetry)


@pytest.fixture
def shop(plot):
    """Services: front asks cart and pay; front errs from 18,000 s on."""
    incident = Incident(
        "i-2", "front errs", "errors above 1 %", "critical", "service", "front", "services.error_share", ONSET_S, ONSET_S + 60, 1.7e9,
        ("front",),
    )  # fmt: skip
    kinds = {"front": "service", "cart": "service", "pay": "service", "search": "service", "host-1": "host"}
    edges = [("front", "cart", "calls"), ("front", "pay", "calls"), ("cart", "host-1", "runs on")]
    telemetry = {(name, "services.latency_p99_s"): plot(0.2) for name in ("front", "cart", "pay", "search")}
    telemetry |= {(name, "services.cpu_share"): plot(0.4) for name in ("front", "cart", "pay", "search")}
    telemetry |= {("front", "services.error_share"): plot(0.001, 0.2, ONSET_S)}
    return Hand(incident, edges, kinds, telemetry)
