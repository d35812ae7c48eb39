"""Libraries of executors from outside."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from twin.store.executors_file import as_json, read
from twin.store.importers import import_file
from twin.workflows.library import library, names

CSV = """id,kind,reads,gives,quality_share,hardware,gpus,cores,item_s,batch_at_most,batch_slowdown,active_w
captioner,model,scenes,summary,0.9,a100,1,0,3.5,8,0.1,140
captioner,model,scenes,summary,0.9,cpu,0,8,40,1,0,0
merger,tool,summary;transcript,answer,1,cpu,0,1,0.2,1,0,0
"""


def written(folder: Path, text: str, name: str = "own.json") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_the_packaged_library_goes_out_and_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path))
    packaged = library("packaged")
    report = import_file("executors", written(tmp_path, as_json(packaged)), "edited", tmp_path)
    assert report.rows == len(packaged)
    back = {each.id: each for each in library("import:edited")}
    assert {each.id: asdict(each) for each in packaged} == {name: asdict(each) for name, each in back.items()}
    assert names() == ("packaged", "import:edited")


def test_csv_has_a_row_a_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path))
    report = import_file("executors", written(tmp_path, CSV, "own.csv"), "own", tmp_path)
    assert report.notes == ("3 profiles; they give answer, summary",)
    captioner, merger = library("import:own")
    assert [(each.hardware, each.gpus, each.cores, each.item_s) for each in captioner.profiles] == [
        ("a100", 1, 0, 3.5),
        ("cpu", 0, 8, 40.0),
    ]
    assert merger.reads == ("summary", "transcript")
    assert merger.profiles[0].strength == "measured"


GOOD = {
    "id": "x",
    "kind": "tool",
    "reads": ["a"],
    "gives": ["b"],
    "quality_share": 1,
    "profiles": [{"hardware": "cpu", "cores": 1, "item_s": 1}],
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"quality_share": 1.2}, "executor 1, quality_share: input should be less than or equal to 1"),
        ({"colour": "red"}, "executor 1, colour: extra inputs are not permitted"),
        ({"profiles": []}, "executor 1, profiles: list should have at least 1 item"),
        ({"profiles": [{"hardware": "cpu", "cores": 1, "item_s": 0}]}, "executor 1, profiles.1.item_s: input should be greater than 0"),
        ({"profiles": [{"hardware": "a100", "item_s": 1}]}, "profile 1: a100 with 0 gpus and 0 cores"),
        ({"kind": "endpoint"}, "an executor of kind endpoint needs a target"),
        ({"kind": "function", "target": "f"}, "profile 1: a function on cpu; make both agree"),
    ],
)
def test_a_mistake_is_named_in_one_line(tmp_path: Path, change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        read(written(tmp_path, json.dumps([{**GOOD, **change}])))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[{", "line 1: not valid JSON"),
        ('{"tools": []}', "no list of executors"),
        ("[]", "0 executors; write 1 to"),
        (json.dumps([GOOD, GOOD]), "executor x is there twice"),
        ("kind,reads\ntool,a\n", "no column id below a header"),
        ("id,kind\nx,tool,a,b\n", "row 2: more values than columns"),
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read(written(tmp_path, text))
