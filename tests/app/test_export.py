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


@pytest.fixture(scope="module")
def negotiating() -> Scenario:
    raw = toml(data_dir() / "scenarios" / "example.toml")
    # An endpoint negotiates like any other workload.
    tenants: list[dict[str, object]] = [
        {"id": "chat-8b", "class": "media", "deployments": 1},
        {"id": "web-frontend", "class": "microservices"},
        {"id": "telemetry-batch", "class": "big-data", "deployments": 1, "hints": {"data_residency": True}},
        {"id": "databases", "class": "databases", "deployments": 1},
    ]
    return read({**raw, "workloads": {**raw["workloads"], "negotiation": {"tenants": tenants}}})


def rows_of(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode())))


def test_hints_are_listed_by_deployment_with_the_vms_that_say_them_and_in_words(negotiating: Scenario) -> None:
    found = files(COOLER, negotiating)
    rows = rows_of(found["hints.csv"])
    alone = {f"{name}/deployment-1" for name in ("web-frontend", "telemetry-batch", "databases", "chat-8b")}
    assert {row["deployment"] for row in rows} == {*alone, "web-frontend/deployment-2"}
    web = [(row["key"], row["value"], row["vms_share"]) for row in rows if row["deployment"] == "web-frontend/deployment-2"]
    assert ("stateless", "2", "1") in web
    assert ("preemptible", "1", "0.4075") in web
    batch = {row["key"]: row for row in rows if row["workload"] == "telemetry-batch"}
    assert batch["data_residency"]["says"] == "its data must stay in the region: yes"
    assert batch["region_independence"]["vms_share"] == "0.4075"
    assert b"5. `hints.csv`, `offers.csv`" in found["README.md"]


def test_offers_carry_shares_discounts_and_prices_that_add_up(negotiating: Scenario) -> None:
    scope = (ScopeSpec(kind="workload", id="web-frontend"), ScopeSpec(kind="workload", id="telemetry-batch"))
    policy = PolicySet(name="offered", levers={"offers": (Held(system="workload_intelligence", scope=scope),)})
    rows = rows_of(files(policy, negotiating)["offers.csv"])
    by = {(row["workload"], row["optimisation"]): row for row in rows}
    assert by["telemetry-batch", "harvest"]["price_share"] == "0.09"
    assert (by["databases", "none"]["held_by"], by["databases", "none"]["price_share"]) == ("opaque", "1")
    web = [row for row in rows if row["workload"] == "web-frontend"]
    assert float(by["web-frontend", "spot"]["vm_hours_share"]) == pytest.approx(0.4075, abs=1e-4)
    assert sum(float(row["saved_share"]) for row in web) + float(web[0]["price_share"]) == pytest.approx(1.0, abs=1e-5)


def test_under_todays_policy_everybody_pays_the_regular_price(negotiating: Scenario) -> None:
    rows = rows_of(files(COOLER, negotiating)["offers.csv"])
    assert {(row["optimisation"], row["price_share"]) for row in rows} == {("none", "1")}


def test_where_nobody_negotiates_there_are_no_such_files(exported: dict[str, bytes]) -> None:
    assert not {"hints.csv", "offers.csv"} & set(exported)
    assert b"hints.csv" not in exported["README.md"]
