"""Numbers of a searched run are kept by its id, added to, and never half there."""

import pytest

from twin.store import probes

RUN = "0123456789ab"


def test_what_is_saved_is_read_and_added_to(tmp_path):
    assert probes.load(RUN, tmp_path) == {}
    probes.save(RUN, {"a": 1.5, "none": None}, tmp_path)
    probes.save(RUN, {"b": "world"}, tmp_path)
    assert probes.load(RUN, tmp_path) == {"a": 1.5, "none": None, "b": "world"}
    assert [path.name for path in (tmp_path / "probes").iterdir()] == [f"{RUN}.json"]


def test_a_torn_file_is_as_good_as_none(tmp_path):
    probes.save(RUN, {"a": 1.0}, tmp_path)
    (tmp_path / "probes" / f"{RUN}.json").write_text('{"a": 1')
    assert probes.load(RUN, tmp_path) == {}


def test_an_id_leads_nowhere_else(tmp_path):
    with pytest.raises(ValueError, match="is not a run id"):
        probes.load("../../etc/passwd", tmp_path)
