"""containerd: the kernel's cost in either version of the paper, and who keeps metadata."""

import pytest

from policies.baselines.functions import BASELINES, Containerd, ContainerdKnobs
from twin.functions.levers import RuntimeObservation
from twin.functions.runtimes import named
from twin.functions.settings import Settings


def chosen(*, cached: bool = True, **knobs: object):
    seen = RuntimeObservation(Settings(cached=cached), 1)
    return Containerd(ContainerdKnobs.model_validate(knobs), None).choose(seen).runtime


def test_as_packaged_it_is_the_calibrated_runtime():
    assert chosen() == named("containerd")
    assert chosen(cached=False) == named("containerd", cached=False)


def test_the_second_version_costs_more_core_time_and_nothing_else():
    second = chosen(kernel="version-2")
    assert second.hop.cpu_s == pytest.approx(160e-6)
    assert chosen().hop.cpu_s == pytest.approx(75e-6)
    assert second.hop.stack_median_s == chosen().hop.stack_median_s
    assert second.cold_median_s == chosen().cold_median_s


@pytest.mark.parametrize(("knob", "scenario", "kept"), [("on", False, True), ("off", True, False), ("scenario", False, False)])
def test_its_own_knob_goes_before_the_scenario(knob, scenario, kept):
    assert chosen(cached=scenario, metadata_cache=knob).cached is kept


def test_it_is_the_only_plain_holder():
    assert [card.id for card in BASELINES] == ["containerd"]
