"""Targets as ModServe reads them: objectives get shorter, GPUs fewer."""

import numpy as np
import pytest

from policies.system import Target
from policies.systems.modserve.bounds import Bounds


@pytest.mark.parametrize("metric", ["serving.ttft_p99_s", "serving.image_ttft_p99_s"])
def test_a_tighter_target_is_a_shorter_objective_and_a_looser_one_is_none(metric, around):
    def objective_s(bound):
        bounds = Bounds((Target(metric=metric, op="<=", bound=bound),), around, 300.0)
        return bounds.tightened_s(metric, np.array([2.0]), 0.0).tolist()

    assert [objective_s(bound) for bound in (3.0, 1.0, 0.5)] == [[2.0], [1.0], [0.5]]


def test_a_floor_bounds_nothing(around):
    bounds = Bounds((Target(metric="serving.gpus_mean", op=">=", bound=4.0),), around, 300.0)
    assert np.isinf(bounds.most_gpus(0.0, np.array([16.0]), np.array([2.0]))).all()
