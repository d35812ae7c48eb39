"""What the slots of an endpoint are given: the times of their encoders."""

import numpy as np
import pytest

from twin.fleet import Fleet
from twin.serving import images
from twin.serving.layout import Endpoint, Layout, layout


def laid(fleet: Fleet, spec: Endpoint) -> Layout:
    return layout((spec,), fleet, {"see": (0, 4)}, 0.003, {})


def test_encoders_take_their_built_in_time_as_often_as_the_endpoint_says(small_fleet: Fleet) -> None:
    spec = Endpoint(id="see", model="llama-3.2-11b", tp=2)
    built_in, slower = laid(small_fleet, spec), laid(small_fleet, spec.model_copy(update={"encode_factor": 3.0}))
    vision = images.vision("llama-3.2-11b")
    assert vision is not None
    # One H100 and one A100 server of four slots each.
    each = [images.encode_s(vision, gpu, 2) for gpu in ("h100", "a100") for _ in range(4)]
    np.testing.assert_array_equal(built_in.encode_s[0], each)
    np.testing.assert_allclose(slower.encode_s, 3.0 * built_in.encode_s)
    np.testing.assert_array_equal(slower.profiles, built_in.profiles)


@pytest.mark.parametrize("factor", [0.0, -1.0, 1e9])
def test_a_time_that_no_encoder_takes_is_refused(factor: float) -> None:
    with pytest.raises(ValueError, match="encode_factor"):
        Endpoint(id="see", model="llama-3.2-11b", encode_factor=factor)
