"""What a stored run stood on, where imports are not what they were."""

from datetime import datetime
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app import site
from policies import study
from policies.policy import TODAY
from twin.scenario import read
from twin.store import runs
from twin.store.importers import import_file

PAGE = Path(__file__).resolve().parents[2] / "app" / "page.py"
INVENTORY = """server_id,rack_id,row_id,position,slot,model,aisle_id,row_power_budget_w,air_handlers
s-1,k-1,row-1,1,1,h100,a-1,40000,3
s-2,k-2,row-1,3,1,a100,a-1,40000,3
"""


def test_a_run_is_never_drawn_on_another_fleet_than_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path))
    path, kept = tmp_path / "ours.csv", tmp_path / "imports" / "fleet" / "ours.json"
    path.write_text(INVENTORY)
    import_file("fleet", path, "ours", tmp_path)
    scenario = read(
        {
            "name": "ours",
            "fleet": "import:ours",
            "start": datetime(2026, 7, 14, 13, 30),  # noqa: DTZ001  (local to the site)
            "horizon_s": "10 min",
            "workloads": {"vms": [{"workload": "batch", "servers": ["s-1..s-2"], "load": {"mean_share": 0.5}}]},
        }
    )
    run_id = study.run(scenario, TODAY, 1, tmp_path)
    manifest = runs.load(run_id, tmp_path).manifest
    assert site.limits(manifest).row_w == {"row-1": 40_000.0}

    kept.unlink()
    with pytest.raises(site.OtherFleet, match="no imported fleet is called 'ours'"):
        site.limits(manifest)
    path.write_text(INVENTORY.replace("40000", "90000"))
    import_file("fleet", path, "ours", tmp_path)
    for draws in (site.limits, site.fleet_of):
        with pytest.raises(site.OtherFleet, match="import:ours is not the one that this run stood on: it was imported anew since"):
            draws(manifest)
    page = AppTest.from_file(str(PAGE), default_timeout=60)
    page.query_params["scenario"], page.query_params["today"] = "ours", run_id
    page.run()
    assert not page.exception
    assert any("is not the one that this run stood on" in error.value for error in page.error)

    kept.unlink()
    path.write_text(INVENTORY)
    import_file("fleet", path, "ours", tmp_path)
    assert site.limits(manifest).row_w == {"row-1": 40_000.0}
