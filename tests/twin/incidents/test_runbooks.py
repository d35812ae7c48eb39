"""Each family of symptoms has a plan of checks by tools that exist, and a site may bring its own."""

from pathlib import Path

import pytest

from twin.incidents import runbooks
from twin.incidents.alerts import RULES
from twin.incidents.causes import CAUSES
from twin.incidents.phrases import SAID
from twin.incidents.similar import Lexical
from twin.incidents.toolset import TOOLS
from twin.run import TABLES

PACKAGED = (
    "certificate",
    "functions",
    "heat",
    "hints",
    "memory-pool",
    "power",
    "retry-storm",
    "sensors",
    "service-errors",
    "serving-latency",
)


@pytest.fixture(autouse=True)
def _no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path / "home"))


def test_every_family_of_symptoms_has_a_plan_by_tools_that_exist() -> None:
    found = runbooks.read()
    assert tuple(found) == PACKAGED
    tools = {tool.name for tool in TOOLS}
    for runbook in found.values():
        assert runbook.title
        assert runbook.about
        assert 5 <= len(runbook.checks) <= 10
        assert all(check.tool in tools and len(check.words) > 20 for check in runbook.checks), runbook.name
        assert runbook.causes
        assert set(runbook.causes) <= set(CAUSES)
    assert runbooks.texts() == {name: runbook.text for name, runbook in found.items()}


def test_every_class_of_cause_and_every_alert_has_a_runbook() -> None:
    found = runbooks.read().values()
    assert {cause for runbook in found for cause in runbook.causes} == set(CAUSES) - {"none"}
    metrics = {metric for runbook in found for metric in runbook.metrics}
    assert not {rule.metric for rule in RULES} - metrics


def test_runbooks_name_metrics_that_are_recorded() -> None:
    recorded = {f"{table.name}.{column.name}" for table in TABLES.values() for column in table.columns}
    known = recorded | {metric for metric, _ in SAID} | {rule.metric for rule in RULES}
    families = {"services", "service_hosts", "notices", "requirements", "messages", "hint_conflicts"}
    named = {metric for runbook in runbooks.read().values() for metric in runbook.metrics}
    assert not {metric for metric in named - known if metric.partition(".")[0] not in families}


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("GPUs too warm in the aisle, inlets", "heat"),
        ("row over its power budget, brakes", "power"),
        ("endpoint misses objectives, time to first token", "serving-latency"),
        ("memory spills to hosts, pool devices", "memory-pool"),
        ("cold starts of a function", "functions"),
        ("tls handshake refused", "certificate"),
        ("retries keep the service overloaded", "retry-storm"),
        ("hints refused", "hints"),
        ("sensor reading that neighbours do not confirm", "sensors"),
        ("service answers with errors after a deployment", "service-errors"),
    ],
)
def test_a_symptom_finds_its_runbook(query: str, name: str) -> None:
    texts = runbooks.texts()
    likeness = Lexical().similarities(query, list(texts.values()))
    assert list(texts)[int(likeness.argmax())] == name


def test_a_site_brings_its_own_and_replaces_ours(tmp_path: Path) -> None:
    (tmp_path / "heat.md").write_text("# Ours\n\nAsk facilities.\n\n1. Call 1234.\n2. `grafana` Look at board 7.\n", encoding="utf-8")
    (tmp_path / "printer.md").write_text("1. `change_log` Was it moved?", encoding="utf-8")
    found = runbooks.read(tmp_path)
    assert len(found) == len(PACKAGED) + 1
    assert found["heat"].checks == (runbooks.Check("", "Call 1234."), runbooks.Check("", "`grafana` Look at board 7."))
    assert (found["heat"].title, found["heat"].about) == ("Ours", "Ask facilities.")
    assert (found["printer"].title, found["printer"].checks[0].tool) == ("printer", "change_log")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty.md", b"# Nothing to do", r"empty\.md: no steps"),
        ("Bad Name.md", b"1. go", r"Bad Name\.md: a runbook's name"),
        ("long.md", b"1. " + b"x" * 50_000, r"long\.md: 50003 characters"),
        ("latin.md", b"1. caf\xe9", r"latin\.md: cannot be read as UTF-8"),
    ],
)
def test_what_is_no_runbook_is_one_clear_line(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=said):
        runbooks.read(tmp_path)


def test_a_folder_that_is_named_and_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no such folder of runbooks"):
        runbooks.read(tmp_path / "none")
