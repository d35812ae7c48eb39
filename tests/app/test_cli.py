"""Every command has a happy path and a refusal of one line."""

import json
import os
import socket
import subprocess
import sys
import zipfile
from importlib import import_module
from pathlib import Path

import pytest

from app.cli import main, parser
from twin.sources import data_dir

TAPAS = {"name": "cooler", "levers": {"request_routing": [{"system": "tapas"}], "instance_config": [{"system": "tapas"}]}}
ROOT = Path(__file__).resolve().parents[2]


def _command(*words: str, home: Path, **options: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "INTENTWIN_HOME": str(home), "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", "app.cli", *words], env=environment, capture_output=True, text=True, check=False, **options
    )  # type: ignore[call-overload,no-any-return]


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def policy(home: Path) -> Path:
    path = home / "cooler.json"
    path.write_text(json.dumps(TAPAS))
    return path


@pytest.fixture(scope="session")
def compared(home: Path, policy: Path) -> dict[str, object]:
    done = _command("compare", "tiny", "--policy", "today", "--policy", str(policy), "--seeds", "2", "--workers", "1", "--json", home=home)
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


@pytest.fixture
def here(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("INTENTWIN_HOME", str(home))
    return home


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path / "nowhere"))
    return tmp_path / "nowhere"


def _refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Return the one line of a refusal; nothing may be on standard output."""
    try:
        code = main(words)
    except SystemExit as stop:
        code = stop.code  # type: ignore[assignment]
    out, err = capsys.readouterr()
    assert code == 2
    assert out == ""
    assert err.count("\n") == 1
    assert "Traceback" not in err
    return err


# -- running -------------------------------------------------------------------


def test_compare_pairs_both_policies_over_seeds(compared: dict[str, object]) -> None:
    assert list(compared["runs"]) == ["today", "cooler"]  # type: ignore[call-overload]
    metric = compared["metrics"]["plant.gpu_temp_max_c"]  # type: ignore[index]
    assert metric["difference"] == pytest.approx(metric["b"] - metric["a"])
    assert metric["low"] <= metric["difference"] <= metric["high"]
    assert metric["n"] == 2


def test_a_run_that_is_stored_is_not_made_again(here: Path, compared: dict[str, object], capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted((here / "runs").iterdir())
    assert main(["run", "tiny", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["run_id"] in compared["runs"]["today"]  # type: ignore[index]
    assert answer["metrics"]["plant.pue"] > 1.0
    assert sorted((here / "runs").iterdir()) == before


def test_a_sweep_runs_its_grid(here: Path, compared: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "sweep.toml"
    path.write_text('scenarios = ["tiny"]\nseeds = [7]\n[[policy]]\nname = "today"\n')
    assert main(["sweep", str(path), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["run_id"] for row in rows] == [compared["runs"]["today"][0]]  # type: ignore[index]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "exampel"], "did you mean example?"),
        (["run", "nowhere/at-all.toml"], "no such file"),
        (["run", "tiny", "--seed", "-1"], "whole number"),
        (["run", "tiny", "--policy", "I-99"], "neither a file nor known"),
        (["compare", "tiny", "--policy", "today"], "give it twice"),
        (["sweep", "nowhere.toml"], "no such file"),
        (["sweep", "nowhere.toml", "--backend", "moon"], "invalid choice"),
    ],
)
def test_running_refuses_in_one_line_and_writes_nothing(
    words: list[str], said: str, empty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in _refused(words, capsys)
    assert not empty.exists()


def test_a_policy_file_is_refused_by_place_and_remedy(here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "policy.json"
    for content, said in (
        ("{", "line 1, column 2"),
        ('{"levers": {"emergency": [{"sistem": "tapas"}]}}', "levers.emergency.0"),
        ('{"levers": {"emergency": [{"system": "tapaz"}]}}', "did you mean tapas?"),
        ('{"levers": {"emergency": [{"system": "tapas", "knobs": {"hysteresis_c": 99}}]}}', "hysteresis_c"),
    ):
        path.write_text(content)
        assert said in _refused(["run", "tiny", "--policy", str(path)], capsys)


# -- lists -----------------------------------------------------------------------


def test_runs_are_listed_with_their_policy(here: Path, compared: dict[str, object], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {run["policy"] for run in listed} == {"today", "cooler"}
    assert {run["run_id"] for run in listed} >= set(compared["runs"]["cooler"])  # type: ignore[index]
    assert main(["runs"]) == 0
    assert "hottest GPU" in capsys.readouterr().out.splitlines()[0]


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("metrics", "name", "plant.gpu_temp_max_c"),
        ("scenarios", "name", "example"),
        ("systems", "id", "tapas"),
        ("policies", "policy_id", None),
        ("classes", "id", "big-data"),
        ("executors", "id", "whisper"),
    ],
)
def test_lists_are_json_and_text(name: str, key: str, value: str | None, empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert value is None or value in [item[key] for item in listed]
    assert main([name]) == 0
    assert len(capsys.readouterr().out.splitlines()) > len(listed)
    assert not empty.exists()


def test_an_empty_store_says_how_to_fill_it(empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("runs", "intents"):
        assert main([name]) == 0
        assert "make one with `intentwin" in capsys.readouterr().out


def test_the_doctor_finds_a_damaged_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path))
    assert main(["doctor"]) == 0
    folder = tmp_path / "runs" / "0123456789ab"
    folder.mkdir(parents=True)
    (folder / "files.json").write_text('{"manifest.json": {"bytes": 1, "sha256": "0"}}')
    assert main(["doctor", "--json"]) == 2
    findings = json.loads(capsys.readouterr().out.splitlines()[-1])["findings"]
    assert any(item["severity"] == "error" and "manifest.json is missing" in item["text"] for item in findings)


# -- files -----------------------------------------------------------------------


def test_a_report_is_written_whole_or_not_at_all(
    here: Path, compared: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_id = compared["runs"]["cooler"][0]  # type: ignore[index]
    target = tmp_path / "board.html"
    assert main(["report", run_id[:6], "-o", str(target)]) == 0
    assert target.read_text().startswith("<!doctype html>")
    capsys.readouterr()
    for words, said in (
        (["report", run_id, "-o", str(tmp_path / "board.pdf")], ".pdf is not written yet; end it in .html, .md or .zip"),
        (["report", "zz", "-o", str(target)], "not a run id"),
        (["report", "I-77", "-o", str(target)], "I-77 is unknown"),
        (["report", run_id, "-o", str(tmp_path / "no" / "where.html")], "make it first"),
    ):
        assert said in _refused(words, capsys)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["board.html"]


def test_export_writes_a_folder_or_a_zip_and_never_over_one(
    here: Path, policy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, bundle = tmp_path / "out", tmp_path / "out.zip"
    for target in (folder, bundle):
        assert main(["export", str(policy), "-o", str(target), "--scenario", "tiny"]) == 0
    names = sorted(path.name for path in folder.iterdir())
    assert names == sorted(zipfile.ZipFile(bundle).namelist())
    assert {"README.md", "clocks-apply.sh", "clocks-undo.sh", "engines.json", "router.json"} <= set(names)
    capsys.readouterr()
    assert "is there already" in _refused(["export", str(policy), "-o", str(folder), "--scenario", "tiny"], capsys)


def test_import_reads_a_trace_and_names_the_bad_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path / "home"))
    good, bad = tmp_path / "Azure 2023.csv", tmp_path / "bad.csv"
    head = "TIMESTAMP,ContextTokens,GeneratedTokens\n"
    good.write_text(head + "2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:15:50.9951690,396,109\n")
    bad.write_text(head + "2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:15:50.9951690,many,109\n")
    assert main(["import", "llm-trace", str(good), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "azure-2023"
    assert "ContextTokens" in _refused(["import", "llm-trace", str(bad)], capsys)
    assert "row 1: no column incident_id" in _refused(["import", "incidents", str(good)], capsys)
    assert [path.name for path in (tmp_path / "home" / "imports" / "llm-trace").iterdir()] == ["azure-2023.parquet"]


def test_import_fits_measured_latencies_and_shows_them_beside_the_built_in_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path / "home"))
    path = tmp_path / "mine.csv"
    rows = [f"prefill,1,{tokens},{5 + 0.03 * tokens}" for tokens in (256, 512, 1024, 2048, 4096, 8192)]
    rows += [f"decode,{batch},{tokens},{6 + 0.02 * batch + 1e-4 * batch * tokens}" for batch in (1, 16) for tokens in (256, 512, 4096)]
    path.write_text("\n".join(("Phase,Batch,Tokens,ms", *rows)) + "\n")
    assert "give --gpu, or add the column" in _refused(["import", "latency-profile", str(path)], capsys)
    assert main(["import", "latency-profile", str(path), "--gpu", "h100", "--model", "8b", "--tp", "1"]) == 0
    first, fitted, built_in, use = capsys.readouterr().out.splitlines()
    assert first == "latency-profile mine: 12 rows"
    assert "fitted    prefill max(6.00, 5.00 + 30.00 kT + 0.000 kT2) ms" in fitted
    assert "decode 6.00 + 0.0200 B + 0.1000 kS ms" in fitted
    assert use == 'in a scenario: latency = "imported:mine"  (of an endpoint)'
    assert "built-in  prefill max(8.67, 2.85 + 19.33 kT" in built_in
    assert (tmp_path / "home" / "imports" / "latency-profile" / "mine.parquet").is_file()


def test_import_of_a_site_says_how_a_scenario_takes_it_and_the_scenario_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path / "home"))
    inventory, scenario = tmp_path / "Our Site.csv", tmp_path / "ours.toml"
    head = "server_id,rack_id,row_id,position,slot,model,aisle_id,row_power_budget_w,air_handlers\n"
    inventory.write_text(head + "s-1,k-1,row-1,1,1,h100,a-1,20000,3\ns-2,k-2,row-1,2,1,a100,a-1,20000,3\n")
    assert main(["import", "fleet", str(inventory)]) == 0
    first, *notes, use = capsys.readouterr().out.splitlines()
    assert first == "fleet our-site: 2 machines"
    assert "1 aisles, 1 rows, 2 racks, 2 servers (16 GPUs), 0 CPU hosts; rows may draw 20 kW" in notes
    assert use == 'in a scenario: fleet = "import:our-site"'
    scenario.write_text(f'name = "ours"\n{use.removeprefix("in a scenario: ")}\nstart = 2026-07-14T12:00:00\nhorizon_s = "5 min"\n')
    assert main(["run", str(scenario), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)
    assert main(["intent", "keep GPUs in row 1 under 80 C", "--scenario", str(scenario)]) == 0
    assert "row-1" in capsys.readouterr().out
    inventory.write_text(head + "s-1,k-1,row-1,1,1,h100,a-1,20000,3\ns-1,k-2,row-1,2,1,a100,a-1,20000,3\n")
    assert "Our Site.csv: row 3, column server_id: s-1 is taken by row 2" in _refused(["import", "fleet", str(inventory)], capsys)


def test_executors_come_with_their_profiles_and_where_they_are_from(empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["executors", "--json"]) == 0
    listed = {item["id"]: item for item in json.loads(capsys.readouterr().out)}
    assert {"cpu", "a100"} <= {each["hardware"] for each in listed["whisper"]["profiles"]}
    assert all(each["source"] and each["strength"] for item in listed.values() for each in item["profiles"])
    assert main(["executors"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2 + sum(len(item["profiles"]) for item in listed.values())
    assert "there are: packaged" in _refused(["executors", "packagd"], capsys)


def test_classes_come_with_their_levels_and_where_they_are_from(empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["classes", "--json"]) == 0
    listed = {item["id"]: item for item in json.loads(capsys.readouterr().out)}
    assert len(listed) == 12
    assert sum(item["share"] for item in listed.values()) == pytest.approx(1.0)
    assert listed["databases"]["levels"] == dict.fromkeys(("stateless", "deploy", "availability", "preemption", "delay", "region"), 0)
    assert (listed["databases"]["quoted_price_cut_share"], listed["databases"]["strength"]) == (0.0, "fitted")
    assert listed["big-data"]["quoted_price_cut_share"] == pytest.approx(0.91)
    assert "write survey or import:NAME" in _refused(["classes", "servey"], capsys)
    assert "intentwin import workload-classes FILE --name ours" in _refused(["classes", "import:ours"], capsys)


@pytest.mark.parametrize(
    ("tenant", "said"),
    [
        ('id = "web-frontent"\nclass = "microservices"', "did you mean web-frontend?"),
        ('id = "web-frontend"\nclass = "microservice"', "did you mean microservices?"),
        ('id = "web-frontend"\nclass = "microservices"\nhints = { stateles = "full" }', "did you mean stateless?"),
        ('id = "web-frontend"\nclass = "microservices"\ndeployments = 0', "deployments"),
        ('id = "search"\nclass = "microservices"\n[[workloads.negotiation.tenants]]\nid = "search"\nclass = "search"', "is written twice"),
    ],
)
def test_tenants_that_make_no_sense_are_refused_in_a_line(
    tenant: str, said: str, tmp_path: Path, empty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = (data_dir() / "scenarios" / "example.toml").read_text(encoding="utf-8")
    head, _, _ = raw.partition("[[workloads.negotiation.tenants]]")
    scenario = tmp_path / "ours.toml"
    scenario.write_text(f"{head}[[workloads.negotiation.tenants]]\n{tenant}\n", encoding="utf-8")
    assert said in _refused(["run", str(scenario)], capsys)


# -- the program itself ------------------------------------------------------------


def test_every_command_explains_itself() -> None:
    done = _command("--help", home=ROOT)
    assert done.returncode == 0
    for name in ("serve", "intent", "explore", "run", "compare", "approve", "rollback", "export", "sweep", "reproduce", "report", "doctor"):
        assert name in done.stdout


def test_help_names_the_kinds_that_can_be_imported() -> None:
    from app.cli import IMPORTS, READABLE
    from twin.store.importers import MERGED, READERS

    assert set(READABLE) == {*READERS, *MERGED}
    assert set(READABLE) <= set(IMPORTS)


def test_help_imports_nothing_heavy() -> None:
    heavy = "[name for name in ('polars', 'numba', 'pydantic', 'streamlit') if name in sys.modules]"
    code = f"import sys; from app.cli import parser; parser().format_help(); print({heavy})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_command_leads_somewhere() -> None:
    action = next(action for action in parser()._actions if action.dest == "command")
    for command in action.choices.values():  # type: ignore[union-attr]
        module, function = command.get_default("door")
        assert callable(getattr(import_module(module), function))


def test_a_reader_that_goes_away_is_no_error(empty: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "INTENTWIN_HOME": str(empty)}
    command = f"{sys.executable} -m app.cli metrics --json | true"
    done = subprocess.run(["/bin/sh", "-c", command], env=environment, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


def test_serve_refuses_a_port_that_is_taken(empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"try --port {port + 1}" in _refused(["serve", "--port", str(port)], capsys)
    assert "is not a port" in _refused(["serve", "--port", "0"], capsys)
    assert not empty.exists()


# -- intents -----------------------------------------------------------------------

SENTENCE = "keep every GPU under 80 C this afternoon and cut serving cost 10 %, p99 time to first token no worse"


def test_a_request_is_read_checked_and_compiled_without_a_trace(empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["intent", SENTENCE, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [wish["metric"] for wish in answer["intent"]["expectations"]] == [
        "plant.gpu_temp_max_c",
        "serving.cost_usd_per_h",
        "serving.ttft_p99_s",
    ]
    assert set(answer) == {"intent", "findings", "policy_set"}
    assert "tapas" in json.dumps(answer["policy_set"])
    assert not empty.exists()


def test_a_question_is_no_failure_and_a_refusal_is(empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["intent", "cut latency 30 %", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["intent"]["questions"]
    assert main(["intent", "open the door of row 3", "--json"]) == 2
    out, err = capsys.readouterr()
    assert json.loads(out)["policy_set"] is None
    assert err.count("\n") == 1
    assert "refused" in err


def test_an_empty_or_endless_request_is_one_line(empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "the request is empty" in _refused(["intent", "  "], capsys)
    assert main(["intent", "keep it cool " * 8000, "--json"]) == 2
    out, err = capsys.readouterr()
    assert len(out) < 5000
    assert err.count("\n") == 1
    assert not empty.exists()


def test_lines_are_answered_one_by_one(tmp_path: Path) -> None:
    lines = f"{SENTENCE}\n\nopen the door of row 3\n{'x' * 200_000}\ncut latency 30 %\n"
    done = _command("intent", "-", home=tmp_path / "none", input=lines)
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == 5
    assert [bool(answer["policy_set"]) for answer in answers] == [True, False, False, False, False]
    assert not (tmp_path / "none").exists()


def test_reading_loads_neither_the_world_nor_the_store(tmp_path: Path) -> None:
    code = (
        "import sys; from app.cli import main; main(['intent', 'keep GPUs under 80 C', '--json']);"
        "print([m for m in ('twin.world', 'duckdb', 'streamlit', 'litellm') if m in sys.modules], file=sys.stderr)"
    )
    empty = {**os.environ, "INTENTWIN_HOME": str(tmp_path / "none")}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=empty, capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_the_light_site_is_the_scenarios_own() -> None:
    from app.commands.site import Place
    from policies.intent.lifecycle import site_of
    from twin.scenario import load

    for name in ("example", "tiny"):
        assert Place(name).site == site_of(load(name))


def test_an_intent_is_kept_tried_approved_and_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from datetime import UTC, datetime

    from policies.intent import lifecycle

    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path))
    assert main(["intent", "keep every GPU under 100 C", "--scenario", "tiny", "--save", "--as", "mara", "--json"]) == 0
    kept = json.loads(capsys.readouterr().out)
    assert (kept["intent_id"], kept["version"]) == ("I-01", 1)
    assert "try it on the twin" in _refused(["approve", "I-01"], capsys)
    lifecycle.try_on_twin(tmp_path, "I-01", actor=lifecycle.Actor("mara", "operator"), at=datetime(2026, 7, 14, 12, tzinfo=UTC))
    assert main(["approve", "I-01", "--as", "jo", "--role", "plant approver", "--note", "row 1 first", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["state"] == "active"
    assert main(["report", "I-01", "-o", str(tmp_path / "board.md")]) == 0
    text = (tmp_path / "board.md").read_text()
    # The id under which the board finds it in the ledger and in an export.
    assert f"- policy: {lifecycle.record(tmp_path, 'I-01').policy_id}\n" in text
    assert main(["export", "I-01", "-o", str(tmp_path / "out")]) == 0
    assert "for the site of scenario tiny" in (tmp_path / "out" / "README.md").read_text()
    assert "approved by jo \\(plant approver\\)" in text or "approved by jo (plant approver)" in text
    capsys.readouterr()
    assert main(["intents"]) == 0
    assert "active" in capsys.readouterr().out
    assert main(["policies", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[1]["intents"][0]["intent_id"] == "I-01"
    assert main(["rollback", "I-01", "--as", "jo"]) == 0
    assert "retired" in capsys.readouterr().out
    assert "nothing to roll back" in _refused(["rollback", "I-01"], capsys)


def test_exploring_refuses_what_cannot_be_tried(empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "nothing in it can be tried yet" in _refused(["explore", "cut latency 30 %", "--scenario", "tiny"], capsys)
    assert "refused" in _refused(["explore", "open the door of row 3", "--scenario", "tiny"], capsys)
    for words in (["approve", "I-01"], ["rollback", "I-01"]):
        assert "there is no intent yet" in _refused(words, capsys)
    assert not empty.exists()


@pytest.mark.parametrize(("text", "code"), [("keep every GPU under 100 C", 0), ("keep every GPU under 21 C", 3)])
def test_exploring_says_whether_anything_meets_the_request(here: Path, text: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explore", text, "--scenario", "tiny", "--candidates", "1", "--json"]) == code
    found = json.loads(capsys.readouterr().out)
    assert len(found["candidates"]) == 1
    assert bool(found["front"]) == (code == 0)
    assert (found["nearest_miss"] is None) == (code == 0)


def test_reproduce_exits_4_where_a_claim_fails(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import policies.reproduce as claims

    said = {"system": "tapas", "claim": "max-temperature", "metric": "plant.gpu_temp_max_c", "source": "abstract", "why": "it does"}
    row = {**said, "paper": -0.17, "ours": 0.02, "unit": "share of the baseline's", "tolerance": 0.35, "fitted_parameters": 0}
    for verdict, code in (("not reproduced", 4), ("direction only", 0)):
        monkeypatch.setattr(claims, "reproduce", lambda home, system, verdict=verdict, **how: [{**row, "verdict": verdict}])
        assert main(["reproduce"]) == code
        assert verdict in capsys.readouterr().out
    monkeypatch.undo()
    monkeypatch.setenv("INTENTWIN_HOME", str(here))
    assert "unknown" in _refused(["reproduce", "tapaz"], capsys)


def test_bench_runs_what_a_checkout_measures(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no benchmark measures 'nothing'" in _refused(["bench", "nothing"], capsys)


def test_the_model_of_the_environment_is_asked_as_the_readme_says(
    empty: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("INTENTWIN_MODEL", "no-such-provider/model")
    assert main(["intent", "keep every GPU under 80 C", "--scenario", "tiny", "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert len(value["intent"]["expectations"]) == 1
    assert any("second reader did not help: no-such-provider/model" in finding["text"] for finding in value["findings"])


def test_nobody_is_not_the_login_name(empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "a name and a role" in _refused(["intent", "keep GPUs under 80 C", "--scenario", "tiny", "--save", "--as", ""], capsys)


def test_a_policy_file_without_end_is_refused_in_one_line(here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    deep = tmp_path / "deep.json"
    deep.write_text("[" * 100_000)
    assert "nested too deeply" in _refused(["run", "tiny", "--policy", str(deep)], capsys)


def test_bytes_that_are_no_text_do_not_stop_the_lines_after_them(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "app.cli", "intent", "-"],
        env={**os.environ, "INTENTWIN_HOME": str(tmp_path / "none"), "PYTHONPATH": str(ROOT)},
        input=b"\xff\xfe\nkeep GPUs under 80 C\n", capture_output=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [len(answer["intent"]["expectations"]) for answer in answers] == [0, 1]


def test_what_is_refused_is_not_saved(empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["intent", "delete all logs", "--scenario", "tiny", "--save"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not empty.exists()


def test_a_figure_without_a_target_is_only_watched() -> None:
    from app.commands.evidence import _bound

    row = {"unit": "s", "better": "lower", "target": None}
    assert _bound(row) == "–"
    assert _bound({**row, "target": 2.0}) == "<= 2 s"


def test_reproduce_tells_a_searched_claims_sweep(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import policies.reproduce as claims

    point = {"ours": -0.15, "low": -0.2, "high": -0.1, "labels": {"vllm": 40.0, "aladdin": 34.0}, "failed": [], "exact": True}
    points = [{"sweep": "", "x": None, **point}, {"sweep": "requests per second", "x": 10.0, **point, "ours": -0.25}]
    row = {"system": "aladdin", "claim": "gpus-against-vllm", "ours": -0.15, "verdict": "direction only", "why": "less"}
    row |= {"points": points, "probes": 7, "probes_limit": 80}
    monkeypatch.setattr(claims, "reproduce", lambda home, system, **how: [row])
    assert main(["reproduce", "aladdin"]) == 0
    said = capsys.readouterr().out
    assert "aladdin gpus-against-vllm: 7 runs, of 80 at most" in said
    assert "tapas" not in said, "what was not checked is not listed"
    assert "80 (the claim)" in said
    assert "34 GPUs" in said


def test_a_candidate_that_meets_what_was_asked_still_tells_whom_it_lets_down() -> None:
    from app.commands.words import _stands
    from policies.intent.explore import Candidate
    from policies.policy import TODAY

    assert _stands(Candidate(TODAY, "0", "whole day", (), None)) == "nothing was bounded"
    assert _stands(Candidate(TODAY, "0", "whole day", (), None, ("chat", "code"))) == "nothing was bounded, lets down chat, code"
