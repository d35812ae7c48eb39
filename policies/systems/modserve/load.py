"""What endpoints are asked: rates of the last windows, mix of requests."""

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from policies.systems.modserve.profile import Mix
from twin.serving.levers import Finished, ServingObservation
from twin.stack import State

Floats = NDArray[np.float64]
# Columns of the rates.
TILES: Final = 0
PROMPT: Final = 1
OUTPUT: Final = 2
# What is remembered of finished requests fades with this time constant.
_MEMORY_S: Final = 1800.0
# Sums over finished requests: how many, prompt and output tokens, squared prompts; of those with images again how many, prompt
# and output tokens; their tiles, squared tiles.
_SUMS: Final = 9
# Sizes of requests are told apart in so many steps per power of two; a 99th percentile takes some hundreds of them.
_PER_OCTAVE: Final = 8
_SIZES: Final = 160
_ENOUGH: Final = 200.0
# What a request is taken for before any was seen: every other one has images, and sizes vary much (proposed).
USUAL: Final = Mix(image_share=0.5, tiles=8.0, prompt_scv=4.0, tile_scv=4.0)


class Load:
    """Token rates of each endpoint over the last windows, shape windows x E x 3, and fading sums over finished requests.

    Prompt tokens are those of the language model: of decoder-only models images are inside, of cross-attention models they
    are not. Images are counted in tiles, of which each gives the same number of image tokens. Tokens count as asked, from
    arrivals and the mean of what their kind has used so far, where that is more than what was served: a full stage hides
    from the next one what is to come.
    """

    def __init__(self, endpoints: int, lookback_s: float) -> None:
        self._lookback_s = lookback_s
        self._rates = np.zeros((0, endpoints, 3))
        self._sums = np.zeros((endpoints, _SUMS))
        # Requests that came, those of them with images, and their tiles: known at once, before any of them has finished.
        self._came = np.zeros((endpoints, 3))
        # How many finished requests had prompts, and tiles, of each size.
        self._sizes = np.zeros((2, endpoints, _SIZES))

    def see(self, seen: ServingObservation) -> None:
        """Take the window that has ended."""
        prompt, output = self._asked_per_s(seen)
        served = (seen.endpoint_prompt_tokens_per_s, seen.endpoint_output_tokens_per_s)
        now = np.stack([seen.endpoint_tiles_per_s, np.maximum(prompt, served[0]), np.maximum(output, served[1])], axis=1)
        windows = max(1, round(self._lookback_s / seen.window_s))
        self._rates = np.concatenate([self._rates, now[None]])[-windows:]
        fade = np.exp(-seen.window_s / _MEMORY_S)
        came = np.stack([seen.endpoint_arrivals_per_s, seen.endpoint_image_arrivals_per_s, seen.endpoint_tiles_per_s], axis=1)
        self._came = self._came * fade + came * seen.window_s
        self._sums *= fade
        done = seen.finished()
        self._sums += _summed(done, len(self._sums))
        self._sizes *= fade
        for sizes, each in zip(self._sizes, (done.prompt_tokens, done.tiles), strict=True):
            some = each > 0
            place = np.minimum(_PER_OCTAVE * np.log2(np.maximum(each[some], 1)), _SIZES - 1).astype(np.int64)
            np.add.at(sizes, (done.endpoint[some], place), 1.0)

    def _asked_per_s(self, seen: ServingObservation) -> tuple[Floats, Floats]:
        """Return the prompt and output tokens per second that came in, shape E, by the means of requests with and without images."""
        all_of, images = self._sums[:, :3], self._sums[:, 4:7]
        text = all_of - images
        image_rate = seen.endpoint_image_arrivals_per_s
        rates = ((images, image_rate), (text, seen.endpoint_arrivals_per_s - image_rate))
        asked = [rate[:, None] * each[:, 1:] / np.maximum(each[:, :1], 1e-9) for each, rate in rates]
        usual = seen.endpoint_arrivals_per_s[:, None] * np.array([USUAL.prompt_tokens, USUAL.output_tokens])
        total = np.where(all_of[:, :1] > 0.0, asked[0] + asked[1], usual)
        return total[:, 0], total[:, 1]

    def known(self, endpoint: int) -> bool:
        """Return whether anything was asked of an endpoint so far."""
        return bool(self._rates[:, endpoint].any())

    def high_per_s(self, endpoint: int) -> Floats:
        """Return the 95th percentile of tiles, prompt and output tokens per second over the last windows, shape 3."""
        return np.asarray(np.quantile(self._rates[:, endpoint], 0.95, axis=0))

    def latest_per_s(self, endpoint: int) -> Floats:
        """Return tiles, prompt and output tokens per second of the last window, shape 3."""
        return np.asarray(self._rates[-1, endpoint])

    def mix(self, endpoint: int) -> Mix:
        """Return what an average request of an endpoint asks; before any has come or finished, what is usual.

        How many have images, and how many tiles, is counted as they come: long requests finish late.
        """
        count, prompt, output, prompt_squares, images, image_prompt, _, tiles, tile_squares = self._sums[endpoint]
        came, came_images, came_tiles = self._came[endpoint]
        share = came_images / came if came > 0.0 else images / count if count > 0.0 else USUAL.image_share
        each = came_tiles / came_images if came_images > 0.0 else tiles / images if images > 0.0 else USUAL.tiles
        tile_scv = max(tile_squares * images / tiles**2 - 1.0, 0.0) if tiles > 0.0 else USUAL.tile_scv
        if count <= 0.0 or prompt <= 0.0:
            return replace(USUAL, image_share=share, tiles=each, tile_scv=tile_scv)
        mean = prompt / count
        if 0.0 < images < count:
            mean = share * image_prompt / images + (1.0 - share) * (prompt - image_prompt) / (count - images)
        return Mix(
            prompt_tokens=mean,
            output_tokens=max(output / count, 1.0),
            tiles=each,
            image_share=share,
            prompt_scv=max(prompt_squares * count / prompt**2 - 1.0, 0.0),
            tile_scv=tile_scv,
            long_prompt_tokens=self._long(0, endpoint),
            long_tiles=self._long(1, endpoint),
        )

    def _long(self, of: int, endpoint: int) -> float | None:
        """Return the 99th percentile of a size, None before enough have finished to have one."""
        counted = np.cumsum(self._sizes[of, endpoint])
        if counted[-1] < _ENOUGH:
            return None
        return float(2.0 ** ((np.searchsorted(counted, 0.99 * counted[-1]) + 0.5) / _PER_OCTAVE))

    def snapshot(self) -> State:
        """Return rates and sums."""
        return {"rates": self._rates.copy(), "sums": self._sums.copy(), "came": self._came.copy(), "sizes": self._sizes.copy()}

    def restore(self, state: State) -> None:
        """Take back rates and sums."""
        self._rates = np.array(state["rates"], dtype=np.float64)
        self._sums = np.array(state["sums"], dtype=np.float64)
        self._came = np.array(state["came"], dtype=np.float64)
        self._sizes = np.array(state["sizes"], dtype=np.float64)


def _summed(done: Finished, endpoints: int) -> Floats:
    prompt, output, tiles = (np.asarray(each, dtype=np.float64) for each in (done.prompt_tokens, done.output_tokens, done.tiles))
    one, seeing = np.ones_like(prompt), (tiles > 0.0).astype(np.float64)
    columns = (one, prompt, output, prompt**2, seeing, seeing * prompt, seeing * output, tiles, tiles**2)
    return np.stack([np.bincount(done.endpoint, weights=column, minlength=endpoints) for column in columns], axis=1)
