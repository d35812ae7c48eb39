"""Models of endpoints, chosen by how good answers must be."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from policies.baselines.models import ModelChoice, ModelChoiceKnobs
from policies.policy import ScopeSpec
from policies.system import Surroundings, Target
from twin.serving.latency import profile

Seen = Callable[..., Any]


def choice(around: Surroundings, seen: Any, **knobs: Any) -> list[int]:
    return ModelChoice(ModelChoiceKnobs(**knobs), around).configure(seen).variant.tolist()  # type: ignore[union-attr]


@pytest.fixture
def two_models(serving_seen: Seen) -> Any:
    """One endpoint that may hold a large model, a smaller and faster one, or one that does not fit."""
    count = len(serving_seen().state)
    rows = [np.tile(np.array(profile("h100", "vllm", model, 8).coefficients), (count, 1)) for model in ("70b", "8b")]
    table = np.stack([*rows, np.full_like(rows[0], np.nan)])
    return serving_seen(variant_latency=table, variant_quality_share=np.array([[1.0, 0.83, 0.9]]))


@pytest.mark.parametrize(("least", "held"), [(1.0, 0), (0.9, 0), (0.83, 1), (0.0, 1)])
def test_the_fastest_model_that_is_good_enough_is_held(around: Surroundings, two_models: Any, least: float, held: int) -> None:
    assert set(choice(around, two_models, least_quality_share=least)) == {held}


def test_a_target_on_quality_goes_before_the_knob_and_holds_where_it_is_meant(around: Surroundings, two_models: Any) -> None:
    def target(**more: Any) -> Target:
        return Target(metric="serving.quality_mean_share", op=">=", bound=0.8, **more)

    assert set(choice(around, two_models, targets=(target(),))) == {1}
    elsewhere = (ScopeSpec(kind="endpoint", id="another"),)
    assert set(choice(around, two_models, targets=(target(scope=elsewhere),))) == {0}
    hour = around.start_hour
    assert set(choice(around, two_models, targets=(target(from_hour=hour + 1.0, to_hour=hour + 2.0),))) == {0}


def test_the_best_is_held_where_none_is_good_enough(around: Surroundings, two_models: Any, serving_seen: Seen) -> None:
    worse = serving_seen(variant_latency=two_models.variant_latency, variant_quality_share=np.array([[0.7, 0.83, 0.9]]))
    assert set(choice(around, worse)) == {1}
