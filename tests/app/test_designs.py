"""A request for a pod is answered on the command line, in exports, in reports and on the Intents page."""

import csv
import io
import json
import shutil
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from app import designs, jobs
from app.cli import main
from app.export import files
from app.report.render import report
from policies.intent import lifecycle
from policies.policy import TODAY, Held, PolicySet
from twin.scenario import Scenario

QUESTION = "pool memory across 24 hosts for at most 10 % more per host"
EIGHT = PolicySet(name="eight", levers={"pod_topology": (Held(system="fully_connected", knobs={"hosts": 8}),)})
PAGE = """
from app import state
from app.views import intents
state.publish()
intents.show()
"""


@pytest.fixture(scope="module")
def tried(rented_toml: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one intent for a pod that was tried, and its design worked out."""
    home, actor, at = tmp_path_factory.mktemp("home"), lifecycle.Actor("ana", "operator"), datetime(2026, 7, 14, 12, tzinfo=UTC)
    record = lifecycle.capture(home, QUESTION, scenario=rented_toml, actor=actor, at=at)
    lifecycle.try_on_twin(home, record.intent_id, actor=actor, at=at)
    return home


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def _json(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    code = main(["intent", *words, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_the_command_line_answers_with_a_pod(rented_toml: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = _json(capsys, QUESTION, "--scenario", str(rented_toml))
    assert code == 0
    assert set(found) == {"intent", "findings", "policy_set", "design"}
    assert found["intent"]["kind"] == "functional"
    assert found["design"]["chosen"]["metrics"]["memory.pod_hosts"] >= 24
    assert not here.exists()
    assert main(["intent", QUESTION, "--scenario", str(rented_toml)]) == 0
    said = capsys.readouterr().out
    assert f"design: {found['design']['chosen']['name']}: " in said
    assert "higher than the fully connected pod of 8 hosts, 2882" in said
    assert "basis: " in said


def test_the_command_line_says_why_no_pod_exists(rented_toml: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "pool memory across 24 hosts for at most 300 dollars per host"
    code, found = _json(capsys, text, "--scenario", str(rented_toml))
    assert (code, found["design"]["chosen"], found["design"]["front"]) == (0, None, [])
    assert main(["intent", text, "--scenario", str(rented_toml)]) == 0
    said = capsys.readouterr().out
    assert "design: No pod keeps every bound" in said
    assert "why: none of " in said
    assert "nearest" in said


def test_what_the_command_line_writes_builds_the_pod_that_it_tells(
    rented_toml: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, found = _json(capsys, QUESTION, "--scenario", str(rented_toml), "--save")
    chosen, knobs = found["design"]["chosen"], found["policy_set"]["levers"]["pod_topology"][0]["knobs"]
    assert {name: knobs[name] for name in chosen["knobs"]} == chosen["knobs"]
    assert any(chosen["name"] in finding["text"] for finding in found["findings"])
    kept = lifecycle.record(here, found["intent_id"])
    assert kept.policy == found["policy_set"]
    code, none = _json(capsys, "pool memory across 24 hosts for at most 300 dollars per host", "--scenario", str(rented_toml), "--save")
    assert (code, none["state"]) == (0, "questioned")
    assert [item["severity"] for item in none["findings"]] == ["question"]


def test_requests_that_build_nothing_and_lines_of_many_have_no_design(
    rented_toml: Path, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "design" not in _json(capsys, "keep GPUs under 80 C", "--scenario", str(rented_toml))[1]
    assert "design" not in _json(capsys, "use a fully connected pod of 6 hosts", "--scenario", str(rented_toml))[1]
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{QUESTION}\n"))
    assert main(["intent", "-", "--scenario", str(rented_toml), "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == {"intent", "findings", "policy_set"}


def test_an_export_holds_every_cable_of_every_pod(rented: Scenario) -> None:
    found = files(EIGHT, rented)
    cables = list(csv.DictReader(io.StringIO(found["wiring.csv"].decode())))
    # 96 hosts are 12 pods of 8 hosts, each with 8 ports: one cable a port.
    assert len(cables) == 96 * 8
    assert {row["pod"] for row in cables} == {f"pod-{number}" for number in range(1, 13)}
    assert len({(row["from"], row["from_port"]) for row in cables}) == len({(row["to"], row["to_port"]) for row in cables}) == 96 * 8
    assert {row["from"] for row in cables} == set(rented.fleet.host_ids)
    assert {row["to"] for row in cables} == {f"device-{number}" for number in range(1, 97)}
    pods = list(csv.DictReader(io.StringIO(found["pods.csv"].decode())))
    assert [pods[1][name] for name in ("pod", "first_host", "last_host", "devices")] == ["pod-2", "host-9", "host-16", "8"]
    assert "`wiring.csv`" in found["README.md"].decode()


def test_an_export_speaks_of_one_pod_in_its_knobs_and_its_cables(rented: Scenario) -> None:
    octopus = PolicySet(levers={"pod_topology": (Held(system="octopus", knobs={"hosts_at_least": 24}),)})
    found = files(octopus, rented)
    knobs = json.loads(found["policy.json"])["levers"]["pod_topology"][0]["knobs"]
    pods = list(csv.DictReader(io.StringIO(found["pods.csv"].decode())))
    assert {row["design"] for row in pods} == {knobs["design"]}
    assert [float(row["device_gib"]) for row in pods] == [size / 2**30 for size in knobs["device_bytes"]]
    assert files(PolicySet.model_validate(json.loads(found["policy.json"])), rented)["pods.csv"] == found["pods.csv"]


def test_an_export_without_a_pod_has_no_cables(rented: Scenario) -> None:
    assert not {"wiring.csv", "pods.csv"} & set(files(TODAY, rented))
    octopus = PolicySet(levers={"pod_topology": (Held(system="octopus", knobs={"hosts_at_least": 97}),)})
    found = files(octopus, rented)
    assert "wiring.csv" not in found
    assert "No pod is built: " in found["README.md"].decode()


def test_a_report_tells_the_pod_what_it_was_chosen_from_and_its_bound(tried: Path) -> None:
    written = report(tried, "I-01", "md").decode()
    design = lifecycle.design(tried, "I-01")
    assert design is not None
    assert "## The pod: " in written
    assert f"| chosen | {design['chosen']['name']} | " in written
    assert "Longest cable: " in written
    assert "fully connected pod of 8 hosts, 2882" in written
    # The bound is the plain pod's price and a tenth; there is no pod today, so nothing stands in that column.
    assert "≤ 3170" in written
    assert "| hosts in the pod | – | " in written
    assert "The pod: " in report(tried, "I-01", "html").decode()
    assert report(tried, "I-01", "md").decode() == written


def test_the_intents_page_shows_the_pod_and_its_front(tried: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTENTWIN_HOME", str(tried))
    design = lifecycle.design(tried, "I-01")
    assert design is not None
    at = AppTest.from_string(PAGE, default_timeout=60)
    at.query_params["intent"] = "I-01"
    at.run()
    assert not at.exception
    assert "which one is not worked out yet" in " ".join(str(item.proto) for item in at.main)
    _job_done(tried, {"design": design})
    at.run()
    assert not at.exception
    rows = [json.loads(item.proto.json)[0]["rows"] for item in at.get("bidi_component") if item.proto.component_name == "intentwin.rows"]
    assert [row["id"] for row in rows[0]] == [option["name"] for option in design["front"]]
    assert designs.statement(design) in " ".join(str(item.proto) for item in at.main)


def test_another_pod_is_taken_on_the_intents_page_and_is_a_new_version(
    tried: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "copy"
    shutil.copytree(tried, home, ignore=shutil.ignore_patterns("jobs"))
    monkeypatch.setenv("INTENTWIN_HOME", str(home))
    design = lifecycle.design(home, "I-01")
    assert design is not None
    _job_done(home, {"design": design})
    at = AppTest.from_string(PAGE, default_timeout=60)
    at.query_params["intent"] = "I-01"
    at.run()
    other = at.selectbox("build-I-01-1").options[0]
    assert other != design["chosen"]["name"]
    at.button("build-I-01-1-go").click().run()
    assert not at.exception
    kept = lifecycle.record(home, "I-01")
    assert kept.version == 2
    assert dict(kept.policy or {})["levers"]["pod_topology"][0]["knobs"]["design"] == other
    # The pod of the new version is told beside the server; it ends before its store does.
    while (job := jobs.latest(home, "design", intent_id="I-01", version=2)) is None or not job.over:
        time.sleep(0.1)
    assert (job.result or {})["design"]["chosen"]["name"] == other


def _job_done(home: Path, result: dict[str, Any]) -> None:
    """Leave in a store what a job that worked out the design of I-01 leaves there."""
    place = jobs.folder(home) / "20260714-120000-abcdef"
    place.mkdir(parents=True)
    jobs.write(place / "spec.json", {"kind": "design", "spec": {"intent_id": "I-01", "version": 1}, "home": str(home), "created_s": 0.0})
    jobs.write(place / "progress.json", {"state": "done", "done_share": 1.0, "text": "", "result": result})
