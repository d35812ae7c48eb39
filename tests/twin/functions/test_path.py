"""The path of a call: the published cuts, closed forms, and the same draws under every runtime."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.functions import path
from twin.functions.levers import Hop, Runtime
from twin.functions.readings import SEGMENTS
from twin.functions.runtimes import named
from twin.functions.settings import Function

AES = Function(id="aes")


def test_at_low_load_median_and_tail_fall_by_what_was_published(containerd: Runtime, junctiond: Runtime) -> None:
    """Median -37.33 %, P99 -63.42 % (arXiv:2403.03377); hop costs are fitted to both."""
    before, after = (path.sample(runtime, AES, 200_000, 1).sum(axis=1) for runtime in (containerd, junctiond))
    cuts = np.percentile(after, [50, 99]) / np.percentile(before, [50, 99]) - 1.0
    assert cuts[0] == pytest.approx(-0.3733, abs=0.005)
    assert cuts[1] == pytest.approx(-0.6342, abs=0.02)


def test_five_times_the_calls_fit_on_the_same_cores(containerd: Runtime, junctiond: Runtime) -> None:
    assert path.saturation_per_s(containerd, AES, 4) == pytest.approx(4 / 510e-6)
    assert path.saturation_per_s(junctiond, AES, 4) / path.saturation_per_s(containerd, AES, 4) == pytest.approx(5.0)


@pytest.mark.parametrize("name", ["containerd", "junctiond"])
def test_means_of_drawn_paths_are_those_of_the_closed_form(name: str) -> None:
    runtime = named(name, cached=False)
    drawn, means = path.sample(runtime, AES, 400_000, 3), path.mean_s(runtime, AES)
    assert drawn.mean(axis=0) == pytest.approx(means, rel=0.02)
    assert means[SEGMENTS.index("lookup")] == pytest.approx(7 * 60e-6)
    assert drawn.mean(axis=0)[SEGMENTS.index("gateway")] == pytest.approx(means[SEGMENTS.index("gateway")], rel=0.002)


def test_a_lognormal_run_has_its_median_and_its_spread(containerd: Runtime) -> None:
    runs = path.sample(containerd, AES.model_copy(update={"run_cv": 1.0}), 400_000, 5)[:, SEGMENTS.index("run")]
    logs = np.log(runs / 600e-6)
    assert logs.mean() == pytest.approx(0.0, abs=0.005)
    assert logs.std() == pytest.approx(np.sqrt(np.log(2.0)), rel=0.005)
    assert ((logs / logs.std()) ** 4).mean() == pytest.approx(3.0, abs=0.05)
    assert (np.abs(logs / logs.std()) > 3.0).mean() == pytest.approx(0.0027, rel=0.1)


def test_what_does_not_depend_on_the_runtime_is_the_same_under_both(containerd: Runtime, junctiond: Runtime) -> None:
    before, after = (path.sample(runtime, AES, 10_000, 2) for runtime in (containerd, junctiond))
    run, gateway = SEGMENTS.index("run"), SEGMENTS.index("gateway")
    assert (before[:, run] == after[:, run]).all()
    # Hops are the same draws, scaled.
    assert after[:, gateway] / before[:, gateway] == pytest.approx(24.75 / 95.0)


@given(
    hop=st.builds(Hop, st.floats(1e-6, 1e-3), st.floats(0, 2), st.floats(0, 0.5), st.floats(0, 1e-2), st.floats(0, 1e-3)),
    seed=st.integers(0, 100),
)
@settings(max_examples=10, deadline=None)
def test_equal_hops_give_exactly_equal_paths(hop: Hop, seed: int) -> None:
    before, after = (path.sample(replace(named(name), hop=hop), AES, 500, seed) for name in ("containerd", "junctiond"))
    assert (before == after).all()


def test_a_slower_hop_makes_no_call_faster(containerd: Runtime) -> None:
    slower = replace(containerd, hop=replace(containerd.hop, stack_median_s=120e-6, spike_share=0.02))
    before, after = (path.sample(runtime, AES, 5_000, 4).sum(axis=1) for runtime in (containerd, slower))
    assert (after >= before).all()


def test_an_unknown_runtime_is_named() -> None:
    with pytest.raises(ValueError, match="no runtime is called 'docker'; there are: containerd, junctiond"):
        named("docker")
