"""A scenario on a site, a weather and a grid of one's own."""

from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from policies import study
from policies.policy import TODAY, Schedule
from twin.run import simulate
from twin.scenario import read
from twin.store.importers import import_file

INVENTORY = """server_id,rack_id,row_id,position,slot,model,aisle_id,row_power_budget_w,air_handlers
s-1,k-1,row-1,1,1,h100,a-1,40000,3
s-2,k-1,row-1,1,2,a100,a-1,40000,3
s-3,k-2,row-1,3,1,h100,a-1,40000,3
s-4,k-3,row-2,1,1,a100,a-1,20000,3
"""
SCENARIO: dict[str, Any] = {
    "name": "ours",
    "fleet": "import:ours",
    "start": datetime(2026, 7, 14, 13, 30),  # noqa: DTZ001  (the zone is given beside it)
    "timezone": "America/Phoenix",
    "horizon_s": "3 h",
    "plant": {"weather": {"climate": "import:roof"}, "cooling": {"carbon_kg_per_kwh": "import:grid"}},
    "workloads": {"vms": [{"workload": "batch", "servers": ["s-1..s-3"], "load": {"mean_share": 0.5}}]},
}


@pytest.fixture
def ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path / "home"))
    path = tmp_path / "ours.csv"
    path.write_text(INVENTORY)
    import_file("fleet", path, "ours", tmp_path / "home")
    return tmp_path / "home"


def test_a_run_meets_the_real_hours_of_phoenix_and_of_arizonas_grid(ours: Path, test_data: Path) -> None:
    import_file("weather", test_data / "weather" / "phoenix.csv", "roof", ours)
    import_file("grid-carbon", test_data / "carbon" / "AZ_avgCI.csv", "grid", ours)
    scenario = read({**SCENARIO, "start": datetime(2022, 7, 14, 13, 30)})  # noqa: DTZ001
    assert {"fleet", "weather/roof", "grid-carbon/grid"} == set(scenario.inputs)
    site = simulate(scenario, study.phases(Schedule.of(TODAY), scenario)).tables["site"].collect()
    file = pl.read_csv(test_data / "weather" / "phoenix.csv").filter((pl.col("month") == 7) & (pl.col("day") == 14))
    for hour in (14, 15, 16):
        t_s = (hour - 13.5) * 3600.0
        outside = site.filter(pl.col("t_s") == t_s)["outside_c"].item()
        assert outside == pytest.approx(file.filter(pl.col("hour") == hour)["drybulb_c"].item(), abs=1e-6)
    grid = pl.read_csv(test_data / "carbon" / "AZ_avgCI.csv")
    kg_per_kwh = site["carbon_kg_per_s"] / (site["site_power_w"] / 3.6e6)
    for utc, t_s in ((20, 600.0), (21, 3600.0), (23, 10_000.0)):
        at = int((site["t_s"] - t_s).abs().arg_min() or 0)
        stated = grid.filter(pl.col("timestamp") == f"2022-07-14 {utc}:00:00+00:00")["avg_CI"].item()
        assert kg_per_kwh[at] == pytest.approx(stated / 1000.0, rel=1e-6)


def test_what_is_not_imported_is_one_line_with_the_command(ours: Path) -> None:
    for change, says in (
        ({}, "no imported weather is called 'roof' (there are: none yet); run `intentwin import weather FILE --name roof`"),
        (
            {"plant": {}, "fleet": "import:theirs"},
            "no imported fleet is called 'theirs' (there are: ours); run `intentwin import fleet",
        ),
        ({"plant": {"cooling": {"carbon_kg_per_kwh": "import:x"}}}, "no imported grid-carbon is called 'x'"),
        ({"plant": {"cooling": {"carbon_kg_per_kwh": "grid"}}}, "plant.cooling.carbon_kg_per_kwh: 'grid' is no series; write one value"),
        (
            {"plant": {"weather": {"climate": "mars"}}},
            "'mars' is unknown; it is one of phoenix, seattle, virginia, new_york, or import",
        ),
        ({"plant": {}, "fleet": "nowhere"}, "fleet 'nowhere' is unknown; there are: a100, drill-a, drill-b, example"),
    ):
        with pytest.raises(ValueError, match=r".") as caught:
            read({**SCENARIO, **change}, "mine.toml")
        assert says in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_grid_that_knows_nothing_of_the_month_is_refused_before_the_run(ours: Path, tmp_path: Path) -> None:
    path = tmp_path / "grid.csv"
    path.write_text("\n".join(["time,g_per_kwh", *(f"2024-03-0{day} {hour:02}:00,400" for day in (1, 2) for hour in range(24))]) + "\n")
    import_file("grid-carbon", path, "grid", ours)
    with pytest.raises(ValueError, match=r"mine: plant.cooling.carbon_kg_per_kwh: import:grid covers 2024-03-01 to 2024-03-02, "):
        read({**SCENARIO, "plant": {"cooling": {"carbon_kg_per_kwh": "import:grid"}}}, "mine")


def test_two_weathers_are_two_questions_and_the_same_bytes_are_one(ours: Path, tmp_path: Path) -> None:
    scenario = {**SCENARIO, "plant": {"weather": {"climate": "import:roof"}}}
    lines = [
        f"{month},{day},{hour},{20 + hour / 10:.1f},5"
        for month, days in enumerate((31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31), 1)
        for day in range(1, days + 1)
        for hour in range(1, 25)
    ]
    found = []
    for name, more in (("one", ""), ("two", ""), ("three", ".6")):
        path = tmp_path / f"{name}.csv"
        path.write_text("\n".join(["month,day,hour,drybulb_c,dewpoint_c", *(line + more for line in lines)]) + "\n")
        import_file("weather", path, name, ours)
        scenario["plant"] = {"weather": {"climate": f"import:{name}"}}
        found.append(read(scenario).inputs[f"weather/{name}"])
    assert found[0] == found[1] != found[2]


def test_the_same_scenario_has_the_same_weather_twice_and_an_offset_shifts_it(ours: Path, test_data: Path) -> None:
    import_file("weather", test_data / "weather" / "phoenix.csv", "roof", ours)
    plain = {**SCENARIO, "horizon_s": "10 min", "plant": {"weather": {"climate": "import:roof"}}}
    warm = {**plain, "plant": {"weather": {"climate": "import:roof", "outside_offset_c": 5}}}
    runs = []
    for raw in (plain, plain, warm):
        scenario = read(raw)
        runs.append(simulate(scenario, study.phases(Schedule.of(TODAY), scenario)).tables["site"].collect())
    assert runs[0].equals(runs[1])
    np.testing.assert_allclose(runs[2]["outside_c"] - runs[0]["outside_c"], 5.0)


def test_an_import_that_changes_while_a_run_waits_stops_it(ours: Path, tmp_path: Path) -> None:
    path = tmp_path / "readings.csv"
    path.write_text("time,sensor,value\n0,row-1.power_w,20000\n3600,row-1.power_w,20000\n")
    import_file("telemetry", path, "seen", ours)
    scenario = read({**SCENARIO, "horizon_s": "10 min", "plant": {"replay": "seen"}})
    path.write_text("time,sensor,value\n1800,row-1.power_w,25000\n")
    import_file("telemetry", path, "seen", ours)
    with pytest.raises(ValueError, match="import telemetry/seen has changed since scenario ours was read; run it again"):
        simulate(scenario, study.phases(Schedule.of(TODAY), scenario))
