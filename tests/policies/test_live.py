"""Sessions are composed of a scenario and a policy set, and replayed by name."""

from pathlib import Path

import pytest

from policies import live, study
from policies.policy import TODAY, Held, PolicySet
from twin.scenario import Scenario, read
from twin.sources import toml
from twin.store import runs
from twin.store.importers import import_file

WI = PolicySet(name="hints heard", levers={"offers": (Held(system="workload_intelligence"),)})


@pytest.fixture(scope="module")
def small(rented_toml: Path) -> Scenario:
    """Ten minutes of one workload on the example's hosts that hints nothing by itself."""
    raw = toml(rented_toml)
    raw["horizon_s"] = "10 min"
    raw["workloads"]["negotiation"] = {"tenants": [{"id": "rented", "class": "databases"}]}
    return read(raw)


def test_a_stored_run_of_a_sessions_log_has_its_grants(small: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path))
    session = live.begin(small, WI, 3)
    session.advance(60.0)
    for key, value in (("delay_tolerance_s", 3600), ("region_independence", "full"), ("availability_nines", 2)):
        session.say([live.Said("workload", "rented", key, value)])
    session.advance(600.0)
    session.write_log(tmp_path / "log.parquet")
    import_file("hints-log", tmp_path / "log.parquet", "one-hour", tmp_path)
    replayed = live.replaying(small, "one-hour")
    assert replayed.name == "rented-one-hour"
    run = runs.load(study.run(replayed, WI, 3, tmp_path), tmp_path)
    granted = run.tables["grants"].collect()
    last = granted.unique("vm_id", keep="last", maintain_order=True)
    now = {grant.vm_id: "+".join(grant.granted) for grant in session.grants() if grant.granted}
    assert now
    assert now.items() <= dict(last.select("vm_id", "granted").iter_rows()).items()
    assert run.manifest["scenario"]["inputs"].keys() >= {"hints-log/one-hour"}


def test_the_name_of_a_replay_says_its_log_and_stays_a_name(small: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path))
    session = live.begin(small, TODAY)
    session.say([live.Said("workload", "rented", "stateless", "full")])
    session.write_log(tmp_path / "log.parquet")
    long = "x" * 40
    import_file("hints-log", tmp_path / "log.parquet", long, tmp_path)
    assert live.replaying(small, long).name == f"r-{long[:38]}"
    with pytest.raises(ValueError, match="no imported hints-log is called 'nothing'"):
        live.replaying(small, "nothing")


def test_a_session_where_nobody_negotiates_is_refused(rented: Scenario) -> None:
    with pytest.raises(ValueError, match="scenario rented: nobody negotiates; name tenants"):
        live.begin(rented, TODAY)
