"""An exported policy holds what engines, drivers and routers take."""

import csv
import io
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from app.export import files
from policies.policy import Held, PolicySet, ScopeSpec
from twin.scenario import Scenario, read
from twin.sources import data_dir, toml

COOLER = PolicySet(
    name="cooler",
    levers={
        "request_routing": (Held(system="tapas"),),
        "instance_config": (
            Held(
                system="tapas",
                scope=(ScopeSpec(kind="endpoint", id="chat-70b"),),
                knobs={"lowest_clock_share": 0.5, "targets": ({"metric": "plant.gpu_temp_max_c", "op": "<=", "bound": 80.0},)},
            ),
        ),
    },
)


@pytest.fixture(scope="module")
def exported(tiny_scenario: Scenario) -> dict[str, bytes]:
    return files(COOLER, tiny_scenario)


def test_clocks_are_ranges_on_the_drivers_grid_and_only_where_the_scope_says(exported: dict[str, bytes]) -> None:
    rows = {row["server"]: row for row in csv.DictReader(io.StringIO(exported["clocks.csv"].decode()))}
    assert set(rows) == {"server-1", "server-3", "server-4"}
    assert (rows["server-1"]["low_mhz"], rows["server-1"]["high_mhz"]) == ("990", "1980")
    assert rows["server-4"]["low_mhz"] == rows["server-4"]["high_mhz"]
    assert all(int(row["low_mhz"]) % 15 == 0 for row in rows.values())


def test_engines_take_flags_and_counts(exported: dict[str, bytes]) -> None:
    engines = {engine["endpoint"]: engine for engine in json.loads(exported["engines.json"])}
    assert engines["chat-8b"]["instances_at_most"] == 4
    assert engines["chat-70b"]["flags"].startswith("--tensor-parallel-size 8 --max-num-seqs ")


def test_limits_and_router_say_who_guards_what(exported: dict[str, bytes]) -> None:
    assert json.loads(exported["limits.json"])[0]["says"] == "keeps hottest GPU at most 80.0\u00a0°C"
    router = json.loads(exported["router.json"])[0]
    assert router["rule"] == "least_outstanding"
    assert [guard["system"] for guard in router["strike_out_first"]] == ["tapas"]


@pytest.mark.parametrize("name", ["clocks-apply.sh", "clocks-undo.sh"])
def test_scripts_do_what_belongs_to_their_server_only(exported: dict[str, bytes], name: str, tmp_path: Path) -> None:
    script, tool = tmp_path / name, tmp_path / "nvidia-smi"
    script.write_bytes(exported[name])
    tool.write_text('#!/bin/sh\necho "$@"\n')
    tool.chmod(0o755)
    shell = shutil.which("sh") or "/bin/sh"
    done = subprocess.run(
        [shell, str(script), "server-1"], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ("-lgc 990,1980" if "apply" in name else "-rgc")
    other = subprocess.run(
        [shell, str(script), "server-2"], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, capture_output=True, text=True, check=False
    )
    assert other.returncode == 1
    assert other.stdout == ""


def test_the_same_policy_gives_the_same_files(exported: dict[str, bytes], tiny_scenario: Scenario) -> None:
    assert files(COOLER, tiny_scenario) == exported


def test_what_finds_its_server_in_a_run_only_is_said_and_not_left_out() -> None:
    raw = toml(data_dir() / "scenarios" / "tiny.toml")
    groups = [
        {"workload": "chat-70b", "kind": "saas", "servers": ["server-1"]},
        {"workload": "chat-70b", "kind": "saas", "count": 1},
        {"workload": "chat-8b", "kind": "saas", "count": 1},
    ]
    scenario = read({**raw, "workloads": {"vms": groups, "arrivals": [{"workload": "rented", "gpus_share": 0.2}]}})
    larger = {"capacity": (Held(system="tapas", knobs={"oversubscription_share": 0.5}),)}
    found = files(COOLER.model_copy(update={"levers": {**COOLER.levers, **larger}}), scenario)
    engines = {engine["endpoint"]: engine for engine in json.loads(found["engines.json"])}
    told = [(each["servers"], each["servers_known_in_a_run_only"], each["instances_at_most"]) for each in engines.values()]
    assert told == [(["server-1"], 1, 2), ([], 1, 8 // scenario.spec.serving.endpoints[1].tp)]
    assert len(found["clocks.csv"].splitlines()) == 2
    readme = found["README.md"].decode()
    for line in (
        "- endpoint chat-70b: 1 of its 2 servers; give them its range of clocks once they are known",
        "- endpoint chat-8b: 1 of its 1 servers;",
        "- workload rented: its VMs are opaque",
        "- row-1: 1 more servers than it was built for",
    ):
        assert line in readme


def test_a_site_whose_places_are_all_known_has_nothing_left_to_say(exported: dict[str, bytes]) -> None:
    assert b"known in a run only" not in exported["README.md"]
    assert [engine["servers_known_in_a_run_only"] for engine in json.loads(exported["engines.json"])] == [0, 0]
