"""A guard of scaling may swap slots on the same GPUs, and nothing else."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies import study
from policies.policy import TODAY, Schedule
from twin.deciding import Deciding
from twin.scenario import Scenario, read
from twin.serving.levers import ScalingAction, ServingObservation
from twin.sources import data_dir, toml
from twin.stack import Clips, Holding
from twin.world import World


class Rogue:
    """Wants whatever it was told to, whoever gave it up."""

    def __init__(self, wanted: np.ndarray) -> None:
        self.wanted = wanted

    def narrow_scaling(self, seen: ServingObservation, action: ScalingAction) -> ScalingAction:
        return ScalingAction(self.wanted.copy())


@pytest.fixture(scope="module")
def world() -> World:
    raw = toml(data_dir() / "scenarios" / "tiny.toml")
    choices: dict[str, Any] = {"chat-70b": [4], "chat-8b": [1, 4]}
    endpoints = [{**each, "tp_choices": choices[each["id"]]} for each in raw["serving"]["endpoints"]]
    scenario: Scenario = read({**raw, "serving": {**raw["serving"], "endpoints": endpoints}})
    return World(scenario, study.phases(Schedule.of(TODAY), scenario), 1)


def told(world: World, wanted: np.ndarray) -> tuple[np.ndarray, dict[str, int]]:
    """Return the slots that are scaled to where a rogue guard stands above today's holder, and what was clipped."""
    handed: list[np.ndarray] = []

    class Kept(Deciding):
        def _swapped(self, system: str, below: np.ndarray, narrowed: np.ndarray) -> np.ndarray:
            handed.append(super()._swapped(system, below, narrowed))
            return handed[-1]

    deciding = Kept(world.serving, Clips())
    phase = world.phases[0]
    guard = Holding("instance_scaling", "rogue", Rogue(wanted), guard=True)
    deciding.decide(replace(phase, holdings=(guard, *phase.holdings)), world._seen)
    return handed[0], deciding.clips.counts


def gpus_of(world: World, which: np.ndarray) -> list[int]:
    first, width = world.serving.instance_first_gpu, world.serving.instance_gpus
    return [gpu for slot in np.flatnonzero(which) for gpu in range(first[slot], first[slot] + width[slot])]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_guard_adds_only_on_gpus_that_it_has_given_up_and_no_gpu_twice(world: World, seed: int) -> None:
    below = world.serving.layout.configured
    rogue = np.random.default_rng(seed).random(len(below)) < 0.5
    kept, clips = told(world, rogue)
    assert not (kept & ~rogue).any(), "nothing that it did not want"
    np.testing.assert_array_equal(kept & below, rogue & below)
    assert set(gpus_of(world, kept & ~below)) <= set(gpus_of(world, below & ~kept))
    held = gpus_of(world, kept)
    assert len(held) == len(set(held))
    dropped = int((rogue & ~kept).sum())
    assert clips == ({"instance_scaling/rogue": dropped} if dropped else {})


def test_a_guard_may_swap_a_slot_for_a_narrower_one_on_its_gpus(world: World) -> None:
    below = world.serving.layout.configured
    wide = int(np.flatnonzero(below)[0])
    inside = np.flatnonzero(~below & np.isin(world.serving.instance_first_gpu, gpus_of(world, np.arange(len(below)) == wide)))
    swapped = below.copy()
    swapped[wide], swapped[inside[0]] = False, True
    kept, clips = told(world, swapped)
    np.testing.assert_array_equal(kept, swapped)
    assert clips == {}


def test_a_guard_that_adds_without_giving_up_is_refused_and_counted(world: World) -> None:
    below = world.serving.layout.configured
    kept, clips = told(world, np.ones(len(below), dtype=np.bool_))
    np.testing.assert_array_equal(kept, below)
    assert clips == {"instance_scaling/rogue": int((~below).sum())}
