"""A site's inventory as CSV."""

import json
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twin.clock import Clock
from twin.fleet_file import build, named
from twin.plant.hardware import server_models
from twin.plant.model import GpuLoad, Model, Settings
from twin.sources import data_dir
from twin.store.fleet_csv import read
from twin.store.importers import import_file

HEAD = "server_id,rack_id,row_id,position,slot,model,kind,aisle_id,row_power_budget_w,air_handlers,cooling,pdu_ids,ups_ids"
# Racks of uneven size, two models and a host in one row, an empty place between racks.
LINES = (
    "s-1,k-1,row-1,1,1,h100,gpu,a-1,60000,3,air,p-1;p-2,u-1;u-2",
    "s-2,k-1,row-1,1,2,a100,gpu,a-1,60000,3,air,p-1;p-2,u-1;u-2",
    "s-3,k-2,row-1,4,1,h100,gpu,a-1,60000,3,air,p-1;p-2,u-1;u-2",
    "h-1,k-2,row-1,4,7,,host,a-1,60000,3,air,p-1;p-2,u-1;u-2",
    "s-10,k-3,row-10,1,1,a100,gpu,a-1,50000,3,liquid,,",
    "s-4,k-4,row-2,1,1,a100,gpu,a-1,40000,3,,p-2,u-1;u-2",
)


def written(path: Path, *lines: str, head: str = HEAD) -> Path:
    path.write_text("\n".join([head, *lines]) + "\n")
    return path


def test_an_inventory_becomes_a_fleet(tmp_path: Path) -> None:
    spec, notes = read(written(tmp_path / "a.csv", *LINES))
    fleet = build(spec)
    assert fleet.row_ids == ("row-1", "row-2", "row-10")
    assert fleet.row_power_budgets_w.tolist() == [60_000, 40_000, 50_000]
    assert fleet.row_liquid.tolist() == [False, False, True]
    assert fleet.rack_ids == ("k-1", "k-2", "k-4", "k-3")
    assert fleet.rack_positions.tolist() == [0, 3, 0, 0]
    assert fleet.server_ids == ("s-1", "s-2", "s-3", "s-4", "s-10")
    assert [fleet.model_names[model] for model in fleet.server_models] == ["h100", "a100", "h100", "a100", "a100"]
    assert fleet.server_slots.tolist() == [0, 1, 0, 0, 0]
    assert fleet.host_ids == ("h-1",)
    assert fleet.rack_ids[fleet.host_racks[0]] == "k-2"
    assert fleet.aisle_air_handlers.tolist() == [3]
    assert [fleet.pdu_ids[index] for index in fleet.row_pdus[0]] == ["p-1", "p-2"]
    assert dict(zip(fleet.pdu_ids, fleet.pdu_rated_w.tolist(), strict=True))["p-2"] == 100_000
    assert fleet.ups_rated_w.tolist() == [75_000, 75_000]
    assert fleet.site_power_budget_w == 150_000
    assert any("sum of the rows' (150 kW)" in note for note in notes)
    assert any("positions count from 1" in note for note in notes)


def test_the_order_of_the_lines_does_not_matter(tmp_path: Path) -> None:
    assert read(written(tmp_path / "a.csv", *LINES))[0] == read(written(tmp_path / "b.csv", *LINES[::-1]))[0]


def test_an_inventory_is_kept_and_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path / "home"))
    report = import_file("fleet", written(tmp_path / "a.csv", *LINES), "ours", tmp_path / "home")
    assert report.rows == 6
    assert "1 aisles, 3 rows, 4 racks, 5 servers (40 GPUs), 1 CPU hosts" in report.notes[0]
    assert import_file("fleet", written(tmp_path / "b.csv", *LINES[::-1]), "ours", tmp_path / "home").rows == 6
    fleet = named("import:ours")
    assert (fleet.name, len(fleet.gpu_ids)) == ("import:ours", 40)
    with pytest.raises(ValueError, match="there already with other contents"):
        import_file("fleet", written(tmp_path / "a.csv", *LINES[:3]), "ours", tmp_path / "home")
    with pytest.raises(ValueError, match=r"no imported fleet is called 'theirs' \(there are: ours\); run `intentwin import fleet FILE"):
        named("import:theirs")


def test_a_packaged_fleet_imports_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import fields

    from twin.sources import data_dir

    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path))
    import_file("fleet", data_dir() / "fleets" / "example.toml", "copy", tmp_path)
    packaged, copy = named("example"), named("import:copy")
    for field in fields(packaged):
        if field.name != "name":
            np.testing.assert_array_equal(getattr(copy, field.name), getattr(packaged, field.name))


def test_racks_may_be_listed_in_toml_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path))
    path = tmp_path / "site.toml"
    path.write_text("""
name = "site"
site_power_budget_w = 90_000
aisle = [{ id = "a-1" }]
[[row]]
id = "row-1"
aisle = "a-1"
power_budget_w = 60_000
rack = [
  { id = "k-1", position = 0, machine = [{ id = "s-1", slot = 0, model = "h100" }, { id = "s-2", slot = 1, model = "a100" }] },
  { id = "k-2", position = 2, machine = [{ id = "s-3", slot = 0, model = "a100" }] },
]
""")
    import_file("fleet", path, "site", tmp_path)
    fleet = named("import:site")
    assert (fleet.rack_positions.tolist(), fleet.server_ids) == ([0, 2], ("s-1", "s-2", "s-3"))
    assert json.loads((tmp_path / "imports/fleet/site.json").read_text())["row"][0]["rack"][1]["position"] == 2
    for change, says in (
        (("position = 2", "position = 0"), "site.toml: row row-1: position 0 is taken twice; give each its own"),
        (("slot = 1", "slot = 0"), "site.toml: row row-1: slot of k-1 0 is taken twice"),
        (('"s-3"', '"s-1"'), "site.toml: 's-1' is there twice"),
        (('model = "a100" }] },\n]', 'model = "b900" }] },\n]'), "site.toml: row row-1: model 'b900' is unknown; it is one of h100, a100"),
        (('aisle = "a-1"', 'aisle = "a-2"'), "site.toml: row row-1: aisle 'a-2' is unknown"),
        (("position = 2", "place = 2"), r"site.toml: row.0.rack.1.position: is missing; add it"),
        (("power_budget_w = 60_000\n", ""), "site.toml: row.0.power_budget_w: is missing; add it"),
        (("[[row]]", "[[row"), "site.toml: not valid TOML"),
    ):
        other = tmp_path / "bad" / "site.toml"
        other.parent.mkdir(exist_ok=True)
        other.write_text(path.read_text().replace(*change))
        with pytest.raises(ValueError, match=says) as caught:
            import_file("fleet", other, "bad", tmp_path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("s-1,k-9,row-9,1,1,h100,gpu,a-1,60000,3,,,", "row 8, column server_id: s-1 is taken by row 2; give each machine its own"),
        ("s-9,k-1,row-1,1,2,h100,gpu,a-1,60000,3,,p-1;p-2,u-1;u-2", "row 8, column slot: slot 2 of k-1 is taken by row 3"),
        ("s-9,k-9,row-1,4,1,h100,gpu,a-1,60000,3,,p-1;p-2,u-1;u-2", "row 8, column position: 4 in row-1 is k-2's by row 4"),
        ("s-9,k-1,row-1,2,9,h100,gpu,a-1,60000,3,,p-1;p-2,u-1;u-2", "row 8, column position: 2 for rack k-1, which has 1 in row 2"),
        ("s-9,k-1,row-2,1,9,a100,gpu,a-1,40000,3,,p-2,u-1;u-2", "row 8, column row_id: row-2 for rack k-1, which has row-1 in row 2"),
        ("s-9,k-9,row-1,9,1,h100,gpu,a-2,60000,3,,p-1;p-2,u-1;u-2", "row 8, column aisle_id: a-2 for row row-1, which has a-1 in row 2"),
        ("s-9,k-9,row-1,9,1,h100,gpu,a-1,61000,3,,p-1;p-2,u-1;u-2", "column row_power_budget_w: 61000 for row row-1, which has 60000"),
        ("s-9,k-9,row-9,1,1,h100,gpu,a-1,60000,4,,,", "column air_handlers: 4 for aisle a-1, which has 3 in row 2; write the same"),
        ("s-9,k-9,row-1,9,1,h100,gpu,a-1,60000,3,liquid,p-1;p-2,u-1;u-2", "column cooling: liquid for row row-1, which has air"),
        ("s-9,k-9,row-1,9,1,h100,gpu,a-1,60000,3,,p-1,u-1;u-2", "column pdu_ids: p-1 for row row-1, which has p-1;p-2"),
        ("s-9,k-9,row-9,1,1,h100,gpu,a-1,60000,3,,p-1,u-3", "row 8, column ups_ids: p-1 is fed by others in row 2"),
        ("s-9,k-9,row-9,1,1,h900,gpu,a-1,60000,3,,,", "row 8, column model: 'h900' is unknown; it is one of h100, a100"),
        ("s-9,k-9,row-9,1,1,h100,tpu,a-1,60000,3,,,", "row 8, column kind: 'tpu' is unknown; it is one of gpu, host"),
        ("s-9,k-9,row-9,1,1,h100,gpu,a-1,0,3,,,", "row 8, column row_power_budget_w: '0' is not a number from 1"),
        ("s-9,k-9,row-9,1,1.5,h100,gpu,a-1,60000,3,,,", "row 8, column slot: '1.5' is not a whole number from 0 to 1,000"),
        ("s 9,k-9,row-9,1,1,h100,gpu,a-1,60000,3,,,", "row 8, column server_id: 's 9' is not an id"),
        ("s-9,k-9,row-9,1,1,h100,gpu,a-1,60000,3,,p-1;p-3;p-4,", "row 8, column pdu_ids: 'p-1;p-3;p-4' is not up to 2 different ids"),
    ],
)
def test_every_problem_is_one_line_with_its_place(tmp_path: Path, line: str, says: str) -> None:
    with pytest.raises(ValueError, match=f"a.csv: .*{says}") as caught:
        import_file("fleet", written(tmp_path / "a.csv", *LINES, line), "a", tmp_path)
    assert "\n" not in str(caught.value)


def test_columns_are_held_against_the_form(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a.csv: row 1: no column row_id; write it as CSV with server_id,rack_id,row_id"):
        read(written(tmp_path / "a.csv", "1,2", head="server_id,rack_id"))
    with pytest.raises(ValueError, match=r"a.csv: row 1: the column 'colour' is unknown"):
        read(written(tmp_path / "a.csv", LINES[0] + ",red", head=HEAD + ",colour"))
    with pytest.raises(ValueError, match="no line is a GPU server"):
        read(written(tmp_path / "a.csv", LINES[3]))


OWN = """
[model.our-box]
like = "h100"
tdp_w = 600
limit_c = 80
nameplate_w = 9000
"""


def test_server_models_of_ones_own_are_like_a_known_one_but_for_what_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path))
    (tmp_path / "models.toml").write_text(OWN)
    lines = [LINES[5].replace("a100", "our-box"), "s-5,k-4,row-2,1,2,h100,gpu,a-1,40000,3,,p-2,u-1;u-2"]
    options = {"models": str(tmp_path / "models.toml")}
    import_file("fleet", written(tmp_path / "a.csv", *lines), "ours", tmp_path, options)
    fleet = named("import:ours")
    ours, h100 = (server_models(fleet)[model] for model in fleet.server_models)
    assert (ours.tdp_w, ours.limit_c, ours.nameplate_w) == (600, 80, 9000)
    same = set(h100.dtype.names) - {"tdp_w", "limit_c", "nameplate_w"}
    assert all(ours[name] == h100[name] for name in same)
    assert [fleet.model_names[model] for model in fleet.server_models] == ["h100", "h100"]  # a GPU of that kind, to what serves on it
    with pytest.raises(ValueError, match="row 2, column model: 'our-box' is unknown; it is one of h100"):
        import_file("fleet", tmp_path / "a.csv", "bare", tmp_path)


def test_a_model_of_ones_own_is_what_the_plant_runs_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path))
    (tmp_path / "models.toml").write_text(OWN)
    lines = [f"s-{n},k-{n},row-1,{n},1,{model},gpu,a-1,40000,3,,," for n, model in ((1, "our-box"), (2, "h100"))]
    import_file("fleet", written(tmp_path / "a.csv", *lines), "ours", tmp_path, {"models": str(tmp_path / "models.toml")})
    clock = Clock.of(datetime(2026, 7, 14, 12), "America/Phoenix")  # noqa: DTZ001  (the zone is attached by Clock.of)
    plant = Model(Settings(), named("import:ours"), clock, 7200.0, (), 7)
    every = np.ones(16)
    plant.advance(600.0, GpuLoad(every, every * 0, every, every * 0, every > 0, every, np.zeros(0)), every)
    assert plant.observe().gpu_limit_c.tolist() == [80.0] * 8 + [87.0] * 8
    power_w = plant.observe().gpu_power_w
    assert power_w[:8].max() <= 600.0 < power_w[8:].min()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("tdp_w = 600", "tdp_w = 60"), "model our-box: tdp_w = 60 is not a number from 140 to 3500; correct it"),
        (("tdp_w = 600", "tdp = 600"), "model our-box: tdp is unknown; did you mean tdp_w?"),
        (("limit_c = 80", "limit_c = 90"), "model our-box: limit_c is 90, above slowdown_c of 89; correct one"),
        (("like = ", "as = "), "model our-box: like = None is unknown; it is one of h100, a100"),
        (("our-box", "h100"), "model h100 is a calibrated one; give yours another name"),
        (("tdp_w = 600", 'tdp_w = "600"'), "model our-box: tdp_w = '600' is not a number"),
        (("[model.our-box]", "[boxes]"), r"no table \[model.NAME\]"),
    ],
)
def test_a_model_that_cannot_be_is_one_line(tmp_path: Path, change: tuple[str, str], says: str) -> None:
    (tmp_path / "models.toml").write_text(OWN.replace(*change))
    with pytest.raises(ValueError, match=f"models.toml: {says}") as caught:
        import_file("fleet", written(tmp_path / "a.csv", *LINES), "a", tmp_path, {"models": str(tmp_path / "models.toml")})
    assert "\n" not in str(caught.value)


def refusal(path: Path, home: Path) -> str | None:
    """Return what an import is refused with, None where it is not; anything but a ValueError comes through."""
    try:
        import_file("fleet", path, "a", home)
    except ValueError as error:
        return str(error)
    return None


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(min_size=1, max_size=200), st.integers(0, 5), st.sampled_from(["a.csv", "a.toml"]))
def test_whatever_the_file_holds_the_answer_is_one_line(tmp_path: Path, noise: bytes, where: int, name: str) -> None:
    path = written(tmp_path / name, *LINES)
    content = path.read_bytes()
    cut = len(content) * where // 5
    path.write_bytes(content[:cut] + noise + content[cut:])
    said = refusal(path, tmp_path / "home" / str(where) / noise.hex()[:40])
    assert said is None or said.startswith((name, f"fleet {name}"))
    assert said is None or "\n" not in said


@pytest.mark.parametrize(
    ("was", "becomes", "says"),
    [
        (",60000,", ",60,", r"a.csv: row row-1 may draw 60 W, and its machines draw [\d,]+ W while they idle; write the budget in watts"),
        (",50000,", ",50,", r"a.csv: row row-10 may draw 50 W"),
    ],
)
def test_a_budget_in_kilowatts_is_refused(tmp_path: Path, was: str, becomes: str, says: str) -> None:
    path = written(tmp_path / "a.csv", *(line.replace(was, becomes) for line in LINES))
    with pytest.raises(ValueError, match=says) as caught:
        import_file("fleet", path, "a", tmp_path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "imports" / "fleet" / "a.json").exists()


def test_a_budget_far_beyond_what_stands_there_is_told(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", *(line.replace(",60000,", ",60000000,") for line in LINES))
    report = import_file("fleet", path, "a", tmp_path)
    assert any(note.startswith("row row-1 may draw 60,000 kW, and what stands there at most") for note in report.notes)
    assert not any("budgets are in watts" in note for note in import_file("fleet", written(path, *LINES), "b", tmp_path).notes)


def test_a_budget_without_end_and_a_site_that_cannot_idle_are_refused(tmp_path: Path) -> None:
    tiny = (data_dir() / "fleets" / "tiny.toml").read_text()
    for figure, says in (("inf", "t.toml: site_power_budget_w: .*finite"), ("80", "t.toml: the site may draw 80 W")):
        path = tmp_path / "t.toml"
        path.write_text(tiny.replace("80_000", figure))
        with pytest.raises(ValueError, match=says):
            import_file("fleet", path, "t", tmp_path)


def test_files_of_other_programs_are_met_with_what_is_wrong_about_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path))
    plain = written(tmp_path / "a.csv", *LINES)
    for change, says in (
        (plain.read_bytes().replace(b",", b"\t"), "row 1: the values are apart by tabs, not by commas; write it as CSV"),
        (plain.read_bytes().replace(b";", b"/").replace(b",", b";"), "row 1: the values are apart by semicolons, not by commas"),
        (plain.read_text().encode("utf-16"), "this is UTF-16; write it as CSV"),
    ):
        (tmp_path / "b.csv").write_bytes(change)
        with pytest.raises(ValueError, match=f"b.csv: {says}"):
            read(tmp_path / "b.csv")
    # As a Windows editor writes them.
    (tmp_path / "c.csv").write_bytes(b"\xef\xbb\xbf" + plain.read_bytes().replace(b"\n", b"\r\n"))
    assert read(tmp_path / "c.csv") == read(plain)
    (tmp_path / "d.toml").write_bytes(b"\xef\xbb\xbf" + (data_dir() / "fleets" / "tiny.toml").read_bytes().replace(b"\n", b"\r\n"))
    import_file("fleet", tmp_path / "d.toml", "d", tmp_path)
    assert named("import:d").server_ids == named("tiny").server_ids
