import numpy as np

from twin.chance import stream


def test_streams_are_named_and_independent_of_each_other() -> None:
    one, other = stream(7, "serving", "arrivals").random(1000), stream(7, "plant", "weather").random(1000)
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.1
    assert not np.array_equal(one, stream(8, "serving", "arrivals").random(1000))
    assert np.array_equal(one, stream(7, "serving", "arrivals").random(1000))
