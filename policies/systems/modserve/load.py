"""What endpoints are asked: rates of the last windows, mix of requests."""

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

    def see(self, seen: ServingObservation) -> None:
        """Take the window that has ended."""
        prompt, output = self._asked_per_s(seen)
        served = (seen.endpoint_prompt_tokens_per_s, seen.endpoint_output_tokens_per_s)
        now = np.stack([seen.endpoint_tiles_per_s, np.maximum(prompt, served[0]), np.maximum(output, served[1])], axis=1)
        windows = max(1, round(self._lookback_s / seen.window_s))
        self._rates = np.concatenate([self._rates, now[None]])[-windows:]
        self._sums *= np.exp(-seen.window_s / _MEMORY_S)
        self._sums += _summed(seen.finished(), len(self._sums))

    def _asked_per_s(self, seen: ServingObservation) -> tuple[Floats, Floats]:
        """Return the prompt and output tokens per second that came in, shape E, by the means of requests with and without images."""
        all_of, images = self._sums[:, :3], self._sums[:, 4:7]
        text = all_of - images
        image_rate = seen.endpoint_image_arrivals_per_s
        rates = ((images, image_rate), (text, seen.endpoint_arrivals_per_s - image_rate))
        asked = [rate[:, None] * each[:, 1:] / np.maximum(each[:, :1], 1e-9) for each, rate in rates]
        total = np.where(np.minimum(all_of[:, :1], 1.0) > 0.0, asked[0] + asked[1], 0.0)
        return total[:, 0], total[:, 1]

    def known(self, endpoint: int) -> bool:
        """Return whether anything was asked of an endpoint so far."""
        return bool(self._rates[:, endpoint].any())

    def finished(self, endpoint: int) -> float:
        """Return how many finished requests are remembered of an endpoint."""
        return float(self._sums[endpoint, 0])

    def high_per_s(self, endpoint: int) -> Floats:
        """Return the 95th percentile of tiles, prompt and output tokens per second over the last windows, shape 3."""
        return np.asarray(np.quantile(self._rates[:, endpoint], 0.95, axis=0))

    def latest_per_s(self, endpoint: int) -> Floats:
        """Return tiles, prompt and output tokens per second of the last window, shape 3."""
        return np.asarray(self._rates[-1, endpoint])

    def mix(self, endpoint: int) -> Mix:
        """Return what an average request of an endpoint asks; before any has finished, what is usual."""
        count, prompt, output, prompt_squares, images, _, _, tiles, tile_squares = self._sums[endpoint]
        usual = Mix()
        if count <= 0.0 or prompt <= 0.0:
            return usual
        mean, mean_tiles = prompt / count, (tiles / images if images > 0.0 else usual.tiles)
        return Mix(
            prompt_tokens=mean,
            output_tokens=max(output / count, 1.0),
            tiles=mean_tiles,
            image_share=images / count,
            prompt_scv=max(prompt_squares / count / mean**2 - 1.0, 0.0),
            tile_scv=max(tile_squares / images / mean_tiles**2 - 1.0, 0.0) if images > 0.0 else 0.0,
        )

    def snapshot(self) -> State:
        """Return rates and sums."""
        return {"rates": self._rates.copy(), "sums": self._sums.copy()}

    def restore(self, state: State) -> None:
        """Take back rates and sums."""
        self._rates = np.array(state["rates"], dtype=np.float64)
        self._sums = np.array(state["sums"], dtype=np.float64)


def _summed(done: Finished, endpoints: int) -> Floats:
    prompt, output, tiles = (np.asarray(each, dtype=np.float64) for each in (done.prompt_tokens, done.output_tokens, done.tiles))
    one, seeing = np.ones_like(prompt), (tiles > 0.0).astype(np.float64)
    columns = (one, prompt, output, prompt**2, seeing, seeing * prompt, seeing * output, tiles, tiles**2)
    return np.stack([np.bincount(done.endpoint, weights=column, minlength=endpoints) for column in columns], axis=1)
