"""Of a run in which everything breaks at once no tool tells what was injected."""

import polars as pl
import pytest

from policies import composing
from policies.policy import TODAY, Schedule
from twin import sources
from twin.fleet_file import named
from twin.incidents.causes import CAUSES
from twin.incidents.drills import targets
from twin.run import simulate
from twin.scenario import FAULT_OWNERS, read
from twin.store import case_of_run, runs
from twin.store.toolbox import CaseToolbox

FROM_S, END_S = 300.0, 1_500.0
# Kinds that drills do not draw, and what stands in for them in the drills' site. It has no pod: that, too, only the twin knows.
OTHERS = {
    "chiller_loss": "site",
    "sensor_drift": "server-2",
    "traffic_burst": "ml-training",
    "cxl_link_loss": "host-1/port-1",
    "cxl_device_loss": "device-1",
    "cxl_switch_loss": "switch-1",
}


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    raw = sources.toml(sources.data_dir() / "scenarios" / "drill-a.toml")
    struck = {kind: ids[0] for kind, ids in targets(raw, named("drill-a")).items() if kind != "none"} | OTHERS
    assert set(struck) == set(FAULT_OWNERS)
    faults = [{"kind": kind, "target": target, "from_s": FROM_S, "until_s": 1_200.0} for kind, target in sorted(struck.items())]
    scenario = read(dict(raw) | {"name": "all-at-once", "horizon_s": END_S, "faults": faults})
    home = tmp_path_factory.mktemp("home")
    done = simulate(scenario, composing.phases(Schedule.of(TODAY), scenario))
    runs.save(done, home)
    truth = pl.read_parquet(runs.table_paths(done.run_id, home)["faults_truth"])
    assert set(truth["kind"].to_list()) == set(FAULT_OWNERS)
    (first, *_) = case_of_run.incidents_of(done.run_id, home)
    return case_of_run.read(done.run_id, home, first)


def texts(frame: pl.DataFrame) -> set[str]:
    return {str(cell) for name, kind in frame.schema.items() if kind == pl.String for cell in frame[name].drop_nulls().unique().to_list()}


@pytest.fixture(scope="module")
def told(case):
    """Every text that any tool over the case can show."""
    window = {"from_s": 0.0, "to_s": END_S}
    calls = [
        ("incident_details", {}),
        ("events", window),
        ("change_log", window),
        ("anomaly_scan", {"from_s": FROM_S, "to_s": END_S, "normal_from_s": 0.0, "each": 200}),
        *[("sql", {"query": f"SELECT DISTINCT kind FROM {name}"}) for name in ("events", "changes", "topology", "entities")],
        *[("sql", {"query": f"SELECT DISTINCT words FROM {name}"}) for name in ("events", "changes", "logs", "alerts")],
        ("sql", {"query": "SELECT DISTINCT template FROM logs"}),
        ("sql", {"query": "SELECT DISTINCT metric FROM telemetry"}),
        ("sql", {"query": "SELECT DISTINCT unit FROM telemetry"}),
    ]
    found: set[str] = set()
    with CaseToolbox(case, END_S) as tools:
        for name, arguments in calls:
            reply = tools.call(name, arguments)
            assert reply.ok, (name, arguments, reply.error)
            assert not reply.truncated or name != "sql", arguments
            found |= {reply.words} | texts(reply.rows)
        for entity in case.incident.affected:
            found |= texts(tools.call("topology", {"entity": entity}).rows) | texts(tools.call("list_metrics", {"entity": entity}).rows)
    return found


def test_something_is_told_at_all(told):
    assert any("off the bus" in text for text in told)
    assert any("reports that" in text and "of its capacity is gone" in text for text in told)
    assert any(text.startswith("power cap of row-1 set to") for text in told)


@pytest.mark.parametrize("kind", sorted(FAULT_OWNERS))
def test_no_tool_names_an_injected_fault(kind, told):
    assert not [text for text in told if kind in text.lower()]


# Serving itself says "instance_lost" of an instance that is gone, whatever took it.
@pytest.mark.parametrize("cause", sorted(set(CAUSES) - {"none", "instance_lost"}))
def test_no_tool_names_a_class_of_cause(cause, told):
    assert not [text for text in told if cause in text.lower()]


def test_no_tool_reaches_the_truth(case):
    assert not [name for name in case.frames if "truth" in name]
    with CaseToolbox(case, END_S) as tools:
        for query in ("SELECT * FROM faults_truth", "SELECT * FROM incidents_truth", "SELECT * FROM read_parquet('**/faults_truth*')"):
            reply = tools.call("sql", {"query": query})
            assert (reply.ok, reply.error_kind) == (False, "refused")
