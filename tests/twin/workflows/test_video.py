"""The paper's video job: its table by configuration, and what of it is fitted.

Murakkab (arXiv:2501.16634), table by configuration, from memory: as written 283 s and 155 Wh; with speech-to-text on 64 cores 83 s and
34 Wh; on GPUs 77 s and 43 Wh. The three times and the first two energies are what stage times and watts were fitted to. The energy on
GPUs, and what one or two GPUs would give, come out.
"""

from typing import Any

import pytest

from twin.workflows.levers import Plan
from twin.workflows.library import fitted, library
from twin.workflows.settings import Workflow


def row(lab: Any, video: Workflow, plan: Plan) -> tuple[float, float]:
    (job,) = lab.done(lab.built(video), 400.0, {"video": plan})["jobs"].to_dicts()
    assert job["outcome"] == "done"
    return job["makespan_s"], job["energy_j"] / 3600.0


def test_as_written_it_takes_283_s_and_155_wh(lab: Any, video: Workflow) -> None:
    makespan_s, energy_wh = row(lab, video, lab.as_written)
    assert makespan_s == pytest.approx(283.0, rel=0.01)
    assert energy_wh == pytest.approx(155.0, rel=0.02)


def test_with_speech_to_text_on_cores_it_takes_83_s_and_34_wh(lab: Any, video: Workflow) -> None:
    makespan_s, energy_wh = row(lab, video, lab.video_plan(lab.on_cpu))
    assert makespan_s == pytest.approx(83.0, rel=0.01)
    assert energy_wh == pytest.approx(34.0, rel=0.03)


def test_with_speech_to_text_on_gpus_it_is_as_fast_as_printed_and_its_energy_is_predicted(lab: Any, video: Workflow) -> None:
    makespan_s, energy_wh = row(lab, video, lab.video_plan(lab.on_gpus))
    assert makespan_s == pytest.approx(77.0, rel=0.02)
    # Nothing was fitted to this one.
    assert energy_wh == pytest.approx(43.0, rel=0.05)


def test_the_abstract_s_ratios_follow(lab: Any, video: Workflow) -> None:
    before, after = row(lab, video, lab.as_written), row(lab, video, lab.video_plan(lab.on_cpu))
    assert 3.2 <= before[0] / after[0] <= 3.6
    assert 4.2 <= before[1] / after[1] <= 4.8


def test_more_gpus_for_speech_are_faster_and_draw_more(lab: Any, video: Workflow) -> None:
    rows = [row(lab, video, lab.video_plan(lab.choose("whisper", 0, gpus))) for gpus in (1, 2, 4)]
    assert rows == sorted(rows, key=lambda each: -each[0])
    assert rows == sorted(rows, key=lambda each: each[1])


def test_the_library_says_what_is_fitted() -> None:
    strengths = {each.id: {profile.strength for profile in each.profiles} for each in library("packaged")}
    assert strengths["nvlm-72b-summary"] == {"fitted"}
    assert strengths["test-runner"] == {"proposed"}
    assert fitted(library("packaged")) == 17
