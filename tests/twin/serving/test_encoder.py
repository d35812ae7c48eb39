"""What an encoder remembers of its jobs, gives back and refuses."""

from collections.abc import Callable

import numpy as np
import pytest

from twin.serving import encoding as e
from twin.serving.batching import FOREVER, TICKS_PER_S
from twin.serving.encoder import Encoder

MS = TICKS_PER_S // 1000
Llama = Callable[..., Encoder]


def test_what_was_done_comes_in_order_and_what_is_forgotten_is_not_asked_for(llama: Llama) -> None:
    encoder = llama(2)
    encoder.inject(np.array([0, 0, 30 * MS, 900 * MS]), np.array([9, 1, 1, 1]))
    encoder.advance(0, 40 * MS)
    assert encoder.done_between(0, 40 * MS).tolist() == [1, 2]
    assert encoder.under_way().tolist() == [0]
    encoder.forget(40 * MS)
    encoder.advance(40 * MS, TICKS_PER_S)
    assert encoder.done_between(40 * MS, TICKS_PER_S).tolist() == [0, 3]
    assert len(encoder.under_way()) == 0
    encoder.forget(TICKS_PER_S)
    assert len(encoder.snapshot()["jobs"]) == 0


def test_a_lost_instance_gives_back_all_it_had(llama: Llama) -> None:
    encoder = llama(2, split=2)
    encoder.inject(np.zeros(3, dtype=np.int64), np.full(3, 8))
    encoder.advance(0, MS)
    assert encoder.outstanding.tolist() == [3, 3]
    assert encoder.lose(0) == 3
    encoder.set_live(np.array([False, True]), MS)
    encoder.allowed[:] = [0, 1]
    assert encoder.outstanding.tolist() == [0, 3]
    encoder.advance(MS, TICKS_PER_S)
    assert (encoder.finish < FOREVER).all()
    assert encoder.done[:, e.TILES_DONE].tolist() == [0, 24]
    assert encoder.done[0, e.ENCODE_TIME] == MS


def test_what_cannot_be_encoded_is_refused_in_one_line(llama: Llama) -> None:
    with pytest.raises(ValueError, match="give it one of each at least"):
        Encoder(0)
    encoder = llama(1)
    with pytest.raises(ValueError, match="no tiles; requests without images pass the stage by"):
        encoder.inject(np.array([5]), np.array([0]))
    encoder.advance(0, 100)
    with pytest.raises(ValueError, match="out of order, the first at tick 99 after 100"):
        encoder.inject(np.array([99]), np.array([1]))
