"""``intentwin import telemetry`` and ``intentwin calibrate``, as an operator types them."""

import json
from pathlib import Path

import numpy as np
import pytest

from app.cli import main
from twin.sources import data_dir


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path / "home"))
    return tmp_path


def _telemetry(path: Path, noise_c: float) -> Path:
    """Two servers of the fleet ``tiny`` for a day: inlet 20 C, GPUs 0.1 C per W above it."""
    random, rows = np.random.default_rng(1), ["time,sensor,value"]
    for t_s in range(0, 86_400, 600):
        rows.append(f"{t_s},site.outside_c,{20 + 5 * np.sin(t_s / 14_000):.3f}")
        for server in ("server-1", "server-2"):
            rows.append(f"{t_s},{server}.inlet_c,{20 + random.normal(0, noise_c):.3f}")
            for gpu in range(8):
                power_w = random.uniform(100, 600)
                rows += [f"{t_s},{server}/gpu-{gpu}.power_w,{power_w:.2f}"]
                rows += [f"{t_s},{server}/gpu-{gpu}.temp_c,{20 + 0.1 * power_w + random.normal(0, noise_c):.3f}"]
    path.write_text("\n".join(rows))
    return path


def test_a_site_is_imported_and_calibrated(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "telemetry", str(_telemetry(home / "site.csv", 0.3)), "--name", "site"]) == 0
    assert 'in a scenario: plant.telemetry = "site"' in capsys.readouterr().out
    assert main(["calibrate", "site", "--fleet", "tiny", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["servers_fitted"], found["gpus_fitted"]) == (2, 16)
    # Mean of |N(0, 0.3)|, and of the difference of two such readings.
    assert found["inlet_mean_error_c"] == pytest.approx(0.3 * np.sqrt(2 / np.pi), rel=0.25)
    assert found["gpu_mean_error_c"] == pytest.approx(0.3 * np.sqrt(4 / np.pi), rel=0.25)
    assert {each["server_id"] for each in found["by_server"]} == {"server-1", "server-2"}
    assert main(["calibrate", "site", "--fleet", "tiny", "--servers", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].endswith(f"16 of {found['gpus']} GPUs have enough data")
    assert lines[3] == "coefficients of their own: 16 GPUs; what has too little data keeps the defaults"
    assert lines[-1] == 'to use it, write in a scenario: [plant] telemetry = "site"'
    assert len([line for line in lines if line.startswith("server-")]) == 1


def test_the_error_reported_grows_with_the_noise(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    errors = []
    for name, noise_c in (("quiet", 0.2), ("loud", 1.5)):
        main(["import", "telemetry", str(_telemetry(home / f"{name}.csv", noise_c))])
        capsys.readouterr()
        main(["calibrate", name, "--fleet", "tiny", "--json"])
        errors.append(json.loads(capsys.readouterr().out)["gpu_mean_error_c"])
    assert errors[0] < 1.0 < errors[1]


def test_an_increment_that_contradicts_is_one_line_until_it_may_replace(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = home / "t.csv"
    for value, more, code in ((20, [], 0), (21, [], 2), (21, ["--replace"], 0)):
        file.write_text(f"time,sensor,value\n2024-04-07T06:00,server-1.inlet_c,{value}\n")
        assert main(["import", "telemetry", str(file), "--name", "site", "--timezone", "America/New_York", *more]) == code
    said = capsys.readouterr()
    assert said.err == (
        "intentwin import: t.csv: row 2: server-1.inlet_c says 21, an earlier import says 20 for the same time; "
        "remove one, or add --replace to let the later file win\n"
    )
    assert main(["import", "llm-trace", str(file), "--replace"]) == 2
    assert main(["calibrate", "nothing", "--fleet", "tiny"]) == 2
    assert "run `intentwin import telemetry FILE --name nothing`" in capsys.readouterr().err
    assert main(["calibrate", "site", "--fleet", "tinny"]) == 2


def test_gpus_on_cold_plates_are_not_said_to_be_fitted(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny = (data_dir() / "fleets" / "tiny.toml").read_text()
    (home / "wet.toml").write_text(tiny.replace('id = "row-1"', 'id = "row-1"\ncooling = "liquid"'))
    assert main(["import", "fleet", str(home / "wet.toml"), "--name", "wet"]) == 0
    assert main(["import", "telemetry", str(_telemetry(home / "site.csv", 0.3)), "--name", "site"]) == 0
    capsys.readouterr()
    assert main(["calibrate", "site", "--fleet", "import:wet", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["gpus_fitted"], found["gpus_own_coefficients"]) == (16, 0)
    assert main(["calibrate", "site", "--fleet", "import:wet"]) == 0
    assert (
        "coefficients of their own: 0 GPUs; what has too little data, and what is on cold plates, keeps the defaults"
        in capsys.readouterr().out
    )


def test_readings_later_than_now_are_told(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for year, ahead in ((2099, True), (2020, False)):
        (home / "later.csv").write_text(f"time,sensor,value\n{year}-01-01 00:00,site.outside_c,20\n")
        assert main(["import", "telemetry", str(home / "later.csv"), "--name", f"later-{year}"]) == 0
        assert ("the last reading is later than now" in capsys.readouterr().out) == ahead
