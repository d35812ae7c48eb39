"""What was asked of one endpoint, request by request; it can grow."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twin.serving import images
from twin.serving.demand import Requests
from twin.stack import State

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
# Room grows to so many times what is used, so that requests that come one by one are seldom copied with all the others; rows
# that nobody has written yet take no memory.
_GROWTH: Final = 2
_LEAST: Final = 1024


class Book:
    """The requests of an endpoint, shape N, in the order of arrival; those injected later follow in the order of injection.

    ``prompt_tokens`` are what the language model reads: where its vision model adds the tokens of tiles, with them.
    ``tiles`` are what its encoder reads, zeros for text. ``drawn`` is how many there were at the start.
    """

    def __init__(self, asked: Requests, vision: images.Vision | None) -> None:
        self.vision, self.drawn, self.first = vision, len(asked), asked.first
        self._length = len(asked)
        prompt, tiles = asked.prompt_tokens, np.zeros(0, dtype=np.int32)
        if vision is not None:
            tiles = np.asarray(images.tiles(vision, asked.images), dtype=np.int32)
            prompt = np.asarray(images.prompt_tokens(vision, asked.text_tokens, tiles.astype(np.int64)), dtype=np.int64)
        self._arrays: dict[str, NDArray[Any]] = {
            "arrive_s": asked.arrive_s,
            "prompt_tokens": prompt,
            "output_tokens": asked.output_tokens,
            "images": asked.images,
            "tiles": tiles,
        }

    def __len__(self) -> int:
        """Return the number of requests."""
        return self._length

    @property
    def arrive_s(self) -> Floats:
        """Return when they were made."""
        return self._arrays["arrive_s"][: self._length]

    @property
    def prompt_tokens(self) -> Ints:
        """Return what the language model reads of each."""
        return self._arrays["prompt_tokens"][: self._length]

    @property
    def output_tokens(self) -> Ints:
        """Return what it is to write."""
        return self._arrays["output_tokens"][: self._length]

    @property
    def images(self) -> Ints:
        """Return how many images each carries."""
        return self._arrays["images"][: self._length]

    @property
    def tiles(self) -> NDArray[np.int32]:
        """Return what the encoder reads of each; empty where the model reads no images."""
        return self._arrays["tiles"][: self._length]

    def extend(self, arrive_s: Floats, text_tokens: Ints, output_tokens: Ints, images_each: Ints) -> Ints:
        """Append requests and return their ids; ``text_tokens`` are those of the prompt without its images."""
        count = len(arrive_s)
        tiles, prompt = np.zeros(count, dtype=np.int64), np.asarray(text_tokens, dtype=np.int64)
        if self.vision is not None:
            tiles = np.asarray(images.tiles(self.vision, np.asarray(images_each, dtype=np.int64)), dtype=np.int64)
            prompt = np.asarray(images.prompt_tokens(self.vision, prompt, tiles), dtype=np.int64)
        new = {"arrive_s": arrive_s, "prompt_tokens": prompt, "output_tokens": output_tokens, "images": images_each, "tiles": tiles}
        low, high = self._length, self._length + count
        for name, values in new.items():
            if name == "tiles" and self.vision is None:
                continue
            self._arrays[name] = grown(self._arrays[name], low, high)
            self._arrays[name][low:high] = values
        self._length = high
        return np.arange(low, high)

    def snapshot(self) -> State:
        """Return what was appended; the rest is drawn again."""
        return {name: array[self.drawn : self._length].copy() for name, array in self._arrays.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take back what ``snapshot`` gave."""
        added = len(state["arrive_s"])
        for name, array in self._arrays.items():
            if name != "tiles" or self.vision is not None:
                self._arrays[name] = np.concatenate([array[: self.drawn], np.asarray(state[name], dtype=array.dtype)])
        self._length = self.drawn + added


class Ids:
    """A list of ids that grows; ``of[rows]`` gives those at some places."""

    def __init__(self, ids: Ints | None = None) -> None:
        self._ids = np.zeros(0, dtype=np.int64) if ids is None else np.array(ids, dtype=np.int64)
        self._length = len(self._ids)

    def append(self, ids: Ints) -> None:
        """Add ids at the end."""
        high = self._length + len(ids)
        self._ids = grown(self._ids, self._length, high)
        self._ids[self._length : high] = ids
        self._length = high

    def __getitem__(self, rows: Ints) -> Ints:
        """Return the ids at some places."""
        return np.asarray(self._ids[: self._length][rows])

    def array(self) -> Ints:
        """Return all of them."""
        return self._ids[: self._length].copy()


def grown(array: NDArray[Any], used: int, wanted: int) -> NDArray[Any]:
    """Return an array with room for ``wanted`` rows that begins with the ``used`` ones of another; the same if it has room."""
    if len(array) >= wanted and array.flags.writeable:
        return array
    larger = np.zeros((max(wanted, used * _GROWTH, _LEAST), *array.shape[1:]), dtype=array.dtype)
    larger[:used] = array[:used]
    return larger
