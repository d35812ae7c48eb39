"""What run, compare and sweep say of pods: which one, on which seed, why none, and by what the saving counts."""

import json
from pathlib import Path

import pytest

from app.cli import main

LOOSE = {"name": "loose", "levers": {"pod_topology": [{"system": "octopus", "knobs": {"hosts_at_least": 24}}]}}
NONE = {"name": "none", "levers": {"pod_topology": [{"system": "octopus", "knobs": {"hosts_at_least": 97}}]}}
ONE = {
    "name": "one",
    "levers": {"pod_topology": [{"system": "octopus", "knobs": {"design": "block-design-25x8n4", "device_bytes": [1 << 35]}}]},
}


@pytest.fixture
def place(rented_toml: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path / "home"))
    (tmp_path / "rented.toml").write_text(rented_toml.read_text().replace("30 min", "10 min"))
    for policy in (LOOSE, NONE, ONE):
        (tmp_path / f"{policy['name']}.json").write_text(json.dumps(policy))
    return tmp_path


def said(place: Path, capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    assert main([word.replace("@", f"{place}/") for word in words]) == 0
    return capsys.readouterr().out.splitlines()


def test_a_run_names_its_pod_and_by_what_its_saving_counts(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(place, capsys, "run", "@rented.toml", "--policy", "@one.json")
    assert "pod: 3 x block-design-25x8n4, each 25 hosts and 50 devices of 34.4\u00a0GB; 21 hosts in none" in lines
    assert lines[-1] == "DRAM saved is of the hosts in pods, against every host with the DRAM of its own peak; prices v3-recalled"
    assert not [line for line in said(place, capsys, "run", "@rented.toml") if line.startswith("pod")]


def test_a_run_that_builds_no_pod_says_why(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = [line for line in said(place, capsys, "run", "@rented.toml", "--policy", "@none.json") if line.startswith("pod: ")]
    assert line.startswith("pod: none is built: none of ")
    assert "at least 97 that binds" in line


def test_a_comparison_says_where_seeds_do_not_build_the_same_pod(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(place, capsys, "compare", "@rented.toml", "--policy", "@one.json", "--policy", "@loose.json", "--seeds", "2")
    assert any(line.startswith("pod under one: 3 x block-design-25x8n4") for line in lines)
    (other,) = [line for line in lines if line.startswith("pod under loose is another one on each past: seed 7 ")]
    assert "; seed 8 " in other
    assert "device_bytes as knobs" in other


def test_a_sweep_of_pods_shows_what_pods_are_compared_by(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "sweep.toml").write_text(
        f'scenarios = ["{place}/rented.toml"]\nseeds = [7]\n[[policy]]\nname = "pods"\n[policy.levers]\n'
        'pod_topology = [{ system = "octopus", knobs = { design = "block-design-25x8n4" } }]\n'
        '[grid]\n"octopus.headroom_share" = [0.0, 0.1]\n'
    )
    lines = said(place, capsys, "sweep", "@sweep.toml")
    assert "DRAM saved" in lines[0]
    assert len(lines) == 3
    assert all("1277" in line for line in lines[1:])


def test_a_request_whose_only_wish_is_in_question_is_not_explored(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explore", "use islands-64x8n5", "--scenario", f"{place}/rented.toml"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "nearest: islands-64x8n4" in error


def test_a_fault_of_what_the_pod_does_not_have_is_told(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fault = '\n[[faults]]\nkind = "cxl_device_loss"\ntarget = "device-{}"\nfrom_s = "2 min"\n'
    (place / "faults.toml").write_text((place / "rented.toml").read_text() + fault.format(7) + fault.format(999))
    line = "fault without effect: this run's pods have no device-999"
    assert line in said(place, capsys, "run", "@faults.toml", "--policy", "@one.json")
    assert {line, line.replace("999", "7")} <= set(said(place, capsys, "run", "@faults.toml"))
