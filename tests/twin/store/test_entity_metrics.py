"""Telemetry of entities and metrics: from plain long tables and from PetShop's layout to a case."""

import json

import polars as pl
import pytest

from twin.store import case_files, entity_metrics
from twin.store.importers import import_file

HEAD = "time,entity,metric,value\n"
PETSHOP = (
    "microservice,Pet Site,Pet Site,AWS::Lambda\nmetric,latency,requests,latency\nstatistic,p90,Sum,p90\n,,,\n"
    "1681866600,0.5,12,\n1681866900,0.9,11,0.2\n"
)


def brought(text, home, name="site", suffix="csv"):
    path = home / f"file.{suffix}"
    path.write_text(text, encoding="utf-8")
    return import_file("telemetry", path, name, home)


def rows(home, name="site"):
    return pl.read_parquet(home / "imports" / "telemetry" / f"{name}.parquet").rows()


def test_a_long_table_of_entities_keeps_its_units(tmp_path):
    report = brought(HEAD + "0,db.prod,cpu.used,3\n60,db.prod,cpu.used,4.5\n60,front end,latency,\n", tmp_path)
    assert rows(tmp_path) == [(0.0, "db.prod.cpu_used", 3.0), (60.0, "db.prod.cpu_used", 4.5)]
    assert (report.rows, report.dropped) == (2, 1)
    assert any("dots" in note for note in report.notes)


def test_petshops_layout_is_stamped_with_the_end_of_each_sample(tmp_path):
    brought(PETSHOP, tmp_path)
    assert (1681866900.0, "Pet Site.latency/p90", 0.5) in rows(tmp_path)
    assert (1681867200.0, "AWS::Lambda.latency/p90", 0.2) in rows(tmp_path)
    assert len(rows(tmp_path)) == 5


def test_the_public_files_come_in(test_data, tmp_path):
    folder = test_data / "incidents" / "petshop" / "low_traffic"
    if not folder.is_dir():
        pytest.skip("PetShop is not here")
    issue = folder / "train" / "issue_0"
    told = json.loads((issue / "target.json").read_bytes())["target"]
    import_file("telemetry", issue / "metrics.csv", "shop", tmp_path)
    symptom = (told["node"], f"{told['metric']}/{told['agg']}")
    case, end_s = case_files.of_import("shop", tmp_path, symptom, str(told["timestamp"]), folder / "graph.csv")
    assert case.incident.began == float(told["timestamp"])
    assert 0.0 < case.incident.onset_s < end_s
    assert told["node"] in case.frames["topology"].collect()["source"].to_list()


def test_a_row_without_a_name_or_a_number_is_refused_with_its_place(tmp_path):
    for text, words in (
        (HEAD + "0,,cpu,1\n", "row 2, column entity"),
        (HEAD + "0,db,cpu,1\n0,db,,1\n", "row 3, column metric"),
        (HEAD + "0,db,cpu,much\n", "row 2, column value"),
    ):
        with pytest.raises(ValueError, match=words):
            brought(text, tmp_path)


def test_names_are_parted_where_they_were_joined():
    for entity, metric in (("db", "cpu"), ("a.b.c", "x.y"), ("169.254.170.2_remote", "latency/p90")):
        assert entity_metrics.sensor(entity, metric).rpartition(".")[::2] == (entity, metric.replace(".", "_"))


def test_a_case_over_an_import_counts_from_its_first_reading(tmp_path):
    lines = "".join(f"2026-07-01T10:{minute:02d}:00Z,db,cpu,{minute}\n" for minute in range(30))
    brought(HEAD + lines, tmp_path)
    (tmp_path / "graph.csv").write_text("source,target\nfront,db\n", encoding="utf-8")
    case, end_s = case_files.of_import("site", tmp_path, ("db", "cpu"), "2026-07-01T10:20:00", tmp_path / "graph.csv")
    assert (case.incident.onset_s, end_s, case.incident.began) == (1200.0, 1740.0, 1_782_901_200.0)
    assert case.frames["telemetry"].collect().row(5) == (300.0, "db", "cpu", 5.0, "")
    assert case.frames["topology"].collect().row(0)[:2] == ("front", "db")


def test_what_the_import_does_not_have_is_refused_in_one_line(tmp_path):
    brought(HEAD + "0,db,cpu,1\n60,db,cpu,2\n", tmp_path)
    for symptom, onset, name, words in (
        (("db", "disk"), "30", "site", "db has cpu"),
        (("cart", "cpu"), "30", "site", "entities are db"),
        (("db", "cpu"), "600", "site", "outside the telemetry"),
        (("db", "cpu"), "noon", "site", "is no time"),
        (("db", "cpu"), "30", "other", "there is: site"),
    ):
        with pytest.raises(ValueError, match=words) as refused:
            case_files.of_import(name, tmp_path, symptom, onset)
        assert "\n" not in str(refused.value)
