"""A scenario that names a tenant or class that there is not is refused."""

from pathlib import Path
from typing import Any

import pytest

from twin.scenario import load, names, read
from twin.sources import data_dir, toml
from twin.store.importers import import_file


def _raw(**negotiation: Any) -> dict[str, Any]:
    raw = toml(data_dir() / "scenarios" / "octopus.toml")
    raw["workloads"]["negotiation"] = negotiation
    return raw


@pytest.mark.parametrize(
    ("negotiation", "said"),
    [
        (
            {"tenants": [{"id": "rentd", "class": "search"}]},
            r"tenants\.0: no workload or endpoint is called 'rentd'; did you mean rented\?",
        ),
        ({"tenants": [{"id": "xyz", "class": "search"}]}, r"called 'xyz'; there are: rented$"),
        ({"tenants": [{"id": "rented", "class": "serach"}]}, r"tenants\.0: class 'serach' is unknown; did you mean search\?"),
        ({"tenants": [{"id": "rented", "class": "search"}] * 2}, "'rented' is written twice"),
        ({"classes": "import:mine"}, "no imported workload-classes is called 'mine'"),
        ({"tenants": [{"id": "rented", "class": "search", "hints": {"preemptable": True}}]}, "did you mean preemptible"),
        ({"messages": "import:log"}, "no imported hints-log is called 'log'"),
    ],
)
def test_what_there_is_not_is_refused_with_the_nearest_name(negotiation: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said) as refused:
        read(_raw(**negotiation), "own.toml")
    assert str(refused.value).startswith("own.toml: ")
    assert "\n" not in str(refused.value)


def test_an_endpoint_negotiates_under_its_own_name() -> None:
    raw = toml(data_dir() / "scenarios" / "tapas.toml")
    raw["workloads"]["negotiation"] = {
        "tenants": [{"id": "chat-70b", "class": "serverless"}, {"id": "training", "class": "batch-training"}]
    }
    assert [tenant.id for tenant in read(raw).spec.workloads.negotiation.tenants] == ["chat-70b", "training"]


def test_a_table_of_classes_is_part_of_the_question(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path))
    table = tmp_path / "mine.csv"
    table.write_text("id,share,stateless,deploy,availability,preemption,delay,region\nonly,1,2,1,2,2,1,2\n")
    import_file("workload-classes", table, "mine", tmp_path)
    scenario = read(_raw(classes="import:mine", tenants=[{"id": "rented", "class": "only"}]))
    assert "workload-classes/mine" in scenario.canonical()["inputs"]


def test_the_claims_scenario_has_one_workload_of_each_class_and_equal_parts() -> None:
    assert "workload-intelligence" in names()
    asked = load("workload-intelligence").spec.workloads
    tenants = asked.negotiation.tenants
    assert [tenant.id for tenant in tenants] == [tenant.workload_class for tenant in tenants]
    assert {stream.workload for stream in asked.host_streams} == {tenant.id for tenant in tenants}
    assert len({(stream.vcpus_share, stream.load) for stream in asked.host_streams}) == 1
