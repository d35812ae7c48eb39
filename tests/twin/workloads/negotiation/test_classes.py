"""Classes of workloads: the survey's shares, and tables of one's own."""

import json
from pathlib import Path

import polars as pl
import pytest

from twin.store.classes_file import read
from twin.store.importers import import_file
from twin.workloads.negotiation.classes import HIGHEST, Levels, WorkloadClass, marginals, named

# Workload Intelligence (arXiv 2404.19143), survey of 188 workloads; delay tolerance is "around a quarter".
PUBLISHED = {"stateless": 0.629, "availability": 0.628, "preemption": 0.606, "delay": 0.25, "region": 0.614}
GOOD = """id,title,share,stateless,deploy,availability,preemption,delay,region,agent
web,Front ends,0.75,full,relaxed,1,partial,no,2,microservices
batch,,0.25,1,1,2,full,yes,none,
"""


def _written(folder: Path, text: str, name: str = "own.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_the_twelve_have_the_five_published_shares() -> None:
    found = marginals(named("survey").values())
    assert {name: found[name] for name in PUBLISHED} == pytest.approx(PUBLISHED, abs=1e-12)
    assert len(named("survey")) == 12
    assert sum(each.share for each in named("survey").values()) == pytest.approx(1.0, abs=1e-12)


def test_shares_of_classes_need_not_add_up_to_one() -> None:
    half = [WorkloadClass(id="a", title="a", share=0.1, levels=Levels(delay=1)), WorkloadClass(id="b", title="b", share=0.3)]
    assert marginals(half)["delay"] == pytest.approx(0.25)
    with pytest.raises(ValueError, match="no workload has a share"):
        marginals([WorkloadClass(id="a", title="a", share=0.0)])


def test_a_table_of_ones_own_is_kept_and_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path))
    report = import_file("workload-classes", _written(tmp_path, GOOD), "ours", tmp_path)
    assert report.rows == 2
    assert report.notes[0].startswith("share of workloads (survey): stateless 100.0% (62.9%), deploy 100.0%")
    ours = named("import:ours")
    assert ours["web"] == WorkloadClass(
        id="web", title="Front ends", share=0.75, agent="microservices",
        levels=Levels(stateless=2, deploy=1, availability=1, preemption=1, region=2),
    )  # fmt: skip
    assert (ours["batch"].title, ours["batch"].agent) == ("batch", "silent")
    with pytest.raises(ValueError, match=r"no imported workload-classes is called 'theirs' \(there are: ours\)"):
        named("import:theirs")


def test_csv_json_and_parquet_of_one_table_are_one(tmp_path: Path) -> None:
    first, _ = read(_written(tmp_path, GOOD))
    nested = [
        {
            "id": row["id"],
            "title": row["title"],
            "share": row["share"],
            "levels": {name: row[name] for name in HIGHEST},
            "agent": row["agent"],
        }
        for row in first.iter_rows(named=True)
    ]
    assert read(_written(tmp_path, json.dumps({"classes": nested}), "own.json"))[0].equals(first)
    pl.DataFrame(first).with_columns(pl.col("stateless").cast(pl.Float64), pl.col("delay").cast(pl.Boolean)).write_parquet(
        tmp_path / "own.parquet"
    )
    assert read(tmp_path / "own.parquet")[0].equals(first)


def test_what_is_exported_of_the_survey_comes_back_as_the_survey(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path))
    text = json.dumps([each.model_dump() for each in named("survey").values()])
    import_file("workload-classes", _written(tmp_path, text, "survey.json"), "again", tmp_path)
    assert dict(named("import:again")) == dict(named("survey"))


def test_rounded_shares_are_scaled_and_it_is_said(tmp_path: Path) -> None:
    frame, notes = read(_written(tmp_path, GOOD.replace("0.75", "0.745")))
    assert frame["share"].sum() == pytest.approx(1.0)
    assert notes[1] == "the shares add up to 0.9950 and were scaled to 1"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("web,", "Web!,", "own.csv: row 2, column id: the value is 'Web!'; write 1 to 60 of a-z, 0-9 and '-'"),
        ("batch,", "web,", "row 3, column id: the value is 'web'; it is there already; keep one of them"),
        ("0.25", "", "row 3, column share: the value is missing; write its part of all workloads, 0 to 1"),
        ("0.25", "nan", "row 3, column share: the value is 'nan'"),
        ("0.25", "0.5", "column share: the shares add up to 1.25; make it 1"),
        ("full,relaxed", "fully,relaxed", "row 2, column stateless: the value is 'fully'; write 0 none, 1 partial or 2 full"),
        ("relaxed,1", "2,1", "row 2, column deploy: the value is '2'; write 1 if a new VM may take over five minutes, else 0"),
        ("relaxed,1", "relaxed,full", "column availability: the value is 'full'; write 0 for four nines or more, 1 for three"),
        ("microservices", "kubernetes", "column agent: the value is 'kubernetes'; write one of batch, microservices, functions"),
        ("region", "regions", "own.csv: no column region; write it as CSV, Parquet or JSON with id, title, share"),
        (GOOD[GOOD.index("web") :], "", "0 classes; write 1 to 200"),
        (GOOD, "[{]", "own.csv: not valid JSON"),
        (GOOD, '{"classes": 3}', "own.csv: no list of classes"),
        (GOOD, '[{"id": "web"}]', "own.csv: no column share"),
        (GOOD, "PAR1 and no more", "write it as CSV, Parquet or JSON"),
    ],
)
def test_a_bad_table_is_one_clear_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as refused:
        read(_written(tmp_path, GOOD.replace(old, new)))
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
