"""An investigation written as lines comes back as it was, byte for byte."""

import math
from dataclasses import replace

import numpy as np
import pytest

from twin.incidents import trajectory_json
from twin.incidents.trajectory import Hypothesis, Investigation, Statement, Step

STEPS = (
    Step(1, "what is known?", "incident_details", {}, "chat-70b is late", "E1", True),
    Step(2, "größer\nals sonst?", "anomaly_scan", {"from_s": 0.0, "entities": ["a", "b"]}, "nothing", "", False, "no data", 5, 7, 0.01),
)
FOUND = Investigation(
    incident_id="i-1",
    as_of_s=1e4 / 3,
    holder="react_rca",
    driver="embedded",
    steps=STEPS,
    hypotheses=(
        Hypothesis(
            "aisle", "aisle-1", "air_handler_lost", "heat", ("aisle-1", "row-1"), 12.5, 0.8, (Statement("rose", "aisle-1", ("E1",)),)
        ),
    ),
    status="likely",
    ruled_out=("rack-1: no",),
    stop_reason="submitted",
    claims=3,
    unsupported=1,
    similar=("old-1",),
    details={"margin": 0.25, "blame": [["aisle-1", 0.5]]},
)


def test_an_investigation_comes_back_as_it_was():
    assert trajectory_json.loads(trajectory_json.dumps(FOUND)) == FOUND


def test_writing_what_was_read_gives_the_same_bytes():
    text = trajectory_json.dumps(FOUND)
    assert trajectory_json.dumps(trajectory_json.loads(text)) == text
    assert text.count("\n") == 3


def test_numbers_of_numpy_and_unknown_times_are_written_as_json():
    odd = replace(
        FOUND, details={"margin": np.float64(0.5), "n": np.int64(3)}, hypotheses=(replace(FOUND.hypotheses[0], onset_s=math.nan),)
    )
    back = trajectory_json.loads(trajectory_json.dumps(odd))
    assert back.details == {"margin": 0.5, "n": 3}
    assert math.isnan(back.hypotheses[0].onset_s)


def test_a_stream_holds_several_investigations():
    text = trajectory_json.dumps(FOUND) + trajectory_json.dumps(replace(FOUND, incident_id="i-2", steps=()))
    assert [item.incident_id for item in trajectory_json.read_all(text.splitlines())] == ["i-1", "i-2"]


@pytest.mark.parametrize("line", ['{"record":"step"}', "no json", '{"record":"other"}', "[1]"])
def test_a_line_that_is_none_of_it_is_named(line):
    with pytest.raises(ValueError, match="line 1 is no step"):
        trajectory_json.loads(line)


def test_a_file_that_was_cut_off_is_noticed():
    with pytest.raises(ValueError, match="cut off"):
        trajectory_json.loads(trajectory_json.dumps(FOUND).splitlines()[0])
