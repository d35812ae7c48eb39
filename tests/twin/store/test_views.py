import time
from collections.abc import Callable
from pathlib import Path

import pytest

from twin.run import Run
from twin.store import runs, views

IDS = ["aaaa00000001", "aaaa00000002"]


@pytest.fixture
def home(make_run: Callable[..., Run], tmp_path: Path) -> Path:
    for seed, run_id in enumerate(IDS, 1):
        runs.save(make_run(run_id, seed), tmp_path)
    return tmp_path


def test_views_join_runs_by_their_id(home: Path) -> None:
    found = views.query("SELECT run_id, max(power_w) AS peak_w FROM rows GROUP BY run_id ORDER BY run_id", IDS, home)
    assert found.rows() == [(IDS[0], 19_001.0), (IDS[1], 19_002.0)]
    only = views.query("SELECT DISTINCT run_id FROM rows", IDS[:1], home)
    assert only["run_id"].to_list() == IDS[:1]


def test_the_sandbox_answers_ordinary_questions(home: Path) -> None:
    sql = "WITH hot AS (SELECT * FROM rows WHERE power_w > 10000) SELECT row_id, count(*) AS n FROM hot GROUP BY 1 ORDER BY 1 -- hot;"
    assert views.select(sql, IDS, home).rows() == [("row-1", 10), ("row-2", 10)]
    assert views.select("SELECT max(value) FROM telemetry WHERE metric = 'rows.power_w';", IDS[:1], home).item() == 19_001.0
    assert views.select("SELECT * FROM rows ORDER BY power_w DESC", IDS, home, limit=3)["power_w"].to_list() == [
        19_002.0,
        19_001.0,
        18_002.0,
    ]
    assert views.select("SELECT sum(i) FROM range(10) r(i)", IDS, home).item() == 45
    assert "power_w" in views.select("DESCRIBE rows", IDS, home)["column_name"].to_list()


def refused(sql: str, home: Path, timeout_s: float = 5.0) -> str:
    with pytest.raises(ValueError, match=r".") as caught:
        views.select(sql, IDS, home, timeout_s=timeout_s)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("COPY (SELECT 1) TO '{home}/runs/aaaa00000001/evil.csv'", "only SELECT is allowed here; this is COPY"),
        ("ATTACH '{home}/ledger.duckdb'", "only SELECT is allowed here; this is ATTACH"),
        ("SET enable_external_access = true", "only SELECT is allowed here; this is"),
        ("PRAGMA database_list", "there is no table"),
        ("PRAGMA threads = 4", "only SELECT is allowed here; this is"),
        ("CALL pragma_version()", "only SELECT is allowed here; this is CALL"),
        ("INSTALL httpfs", "only SELECT is allowed here; this is"),
        ("CREATE TABLE mine AS SELECT 1", "only SELECT is allowed here; this is CREATE"),
        ("SELECT 1; SELECT 2", "this is 2 statements"),
        ("SELECT 1; COPY rows TO 'x.csv'", "this is 2 statements"),
        ("", "this is 0 statements"),
        ("SELECT 1) UNION ALL (SELECT 2", "syntax error"),
        ("SELECT * FROM read_text('/etc/passwd')", "function read_text is not allowed here"),
        ("SELECT (SELECT content FROM read_text('/etc/passwd'))", "function read_text is not allowed here"),
        ("WITH a AS (SELECT * FROM glob('/*')) SELECT * FROM a", "function glob is not allowed here"),
        ("SELECT * FROM query('SELECT 1')", "function query is not allowed here"),
        ("SELECT * FROM '/etc/passwd'", "there is no table '/etc/passwd' here"),
        ("SELECT * FROM '{home}/runs/aaaa00000001/faults_truth.parquet'", "there is no table"),
        ("SELECT * FROM faults_truth", "there is no table 'faults_truth' here"),
        ("SELECT * FROM read_parquet('{home}/runs/aaaa00000001/faults_truth.parquet')", "function read_parquet is not allowed here"),
        ("SELECT * FROM information_schema.tables", "there is no table"),
        ("SELECT * FROM duckdb_settings()", "function duckdb_settings is not allowed here"),
        ("SELECT current_setting('allowed_paths')", "function current_setting is not allowed here"),
        (
            "SELECT v.sql FROM duckdb_views v, (WITH duckdb_views AS (SELECT 1) FROM duckdb_views) q",
            "a part of a query cannot be called 'duckdb_views'",
        ),
        (
            "SELECT v.* FROM '{home}/runs/aaaa00000001/rows.parquet' v, "
            '(WITH "{home}/runs/aaaa00000001/rows.parquet" AS (SELECT 1) FROM "{home}/runs/aaaa00000001/rows.parquet") q',
            "a part of a query cannot be called",
        ),
        ("SELECT nothing FROM rows", "nothing"),
    ],
)
def test_the_sandbox_refuses_every_way_out(home: Path, sql: str, said: str) -> None:
    before = sorted(home.rglob("*"))
    assert said in refused(sql.format(home=home), home)
    assert sorted(home.rglob("*")) == before


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT list(i) FROM range(100000000) r(i)",
        "SELECT repeat('x', 1000000) FROM range(2000)",
        "WITH RECURSIVE r(s) AS (SELECT 'x' UNION ALL SELECT s || s FROM r) SELECT s FROM r",
        "SELECT repeat('x', 100000000), i FROM range(100) r(i)",
    ],
)
def test_a_memory_bomb_is_refused_and_the_process_lives_on(home: Path, sql: str) -> None:
    said = refused(sql, home, timeout_s=20.0)
    assert "memory" in said or "answer is larger" in said
    assert views.select("SELECT 1 AS one", IDS, home).item() == 1


@pytest.mark.parametrize("value", ["INTERVAL 1 DAY", "[INTERVAL 1 DAY]", "union_value(k := 1)", "'infinity'::DATE"])
def test_values_that_no_frame_can_hold_are_refused_in_words(home: Path, value: str) -> None:
    assert "cast them to text or numbers" in refused(f"SELECT {value} AS x", home)


def test_an_endless_query_is_stopped(home: Path) -> None:
    begun = time.monotonic()
    assert "took longer than 0.5 s" in refused("SELECT count(*) FROM range(1000000000000) a(i) WHERE sin(i) > 2", home, timeout_s=0.5)
    assert time.monotonic() - begun < 60.0


def test_no_run_and_a_huge_query_are_refused(home: Path) -> None:
    with pytest.raises(ValueError, match="no run is chosen"):
        views.select("SELECT 1", [], home)
    assert "longer than 20,000 characters" in refused("SELECT 1 --" + "x" * 30_000, home)


def test_a_door_that_the_gate_would_miss_is_shut_by_the_settings(home: Path) -> None:
    from twin.store import sandbox

    path = runs.table_paths(IDS[0], home)["rows"]
    truth = runs.table_paths(IDS[0], home)["faults_truth"]
    with sandbox.connect({"paths": [str(path)], "views": []}) as connection:
        assert connection.execute(f"SELECT count(*) FROM read_parquet('{path}')").fetchall() == [(20,)]
        for sql in (
            f"FROM read_parquet('{truth}')",
            "FROM read_text('/etc/passwd')",
            f"COPY (SELECT 1) TO '{path.parent}/evil.csv'",
            "SET threads = 2",
        ):
            with pytest.raises(Exception, match=r"disabled by configuration|has been locked"):
                connection.execute(sql)
