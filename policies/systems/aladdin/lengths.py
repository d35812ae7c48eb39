"""What finished requests teach: output length by prompt length, and sizes."""

from typing import Final

import numpy as np

from twin.serving.levers import Finished, Floats, Ints
from twin.stack import State

# Prompts of 2^k to 2^(k + 1) - 1 tokens are bucket k.
BUCKETS: Final = 21
# A bucket's own mean counts as much as the endpoint's once this many of its requests have finished.
_BORROWED: Final = 4.0
# What was learned fades with these half-lives: lengths by bucket slowly, the demand's sizes as demand changes.
_LENGTHS_HALF_LIFE_S: Final = 7200.0
_SIZES_HALF_LIFE_S: Final = 900.0
_PRIOR_PROMPT_TOKENS: Final = 1024.0
# Sums of each endpoint's requests.
_COUNT, _PROMPT, _SQUARE, _OUTPUT, _HELD, _IMAGES, _TILES, _SQUARED_TILES = range(8)


def bucket(prompt_tokens: Ints) -> Ints:
    """Return the bucket of each prompt, same shape.

    >>> bucket(np.array([1, 2, 3, 4, 1023, 1024])).tolist()
    [0, 1, 1, 2, 9, 10]
    """
    exponent = np.frexp(np.maximum(np.asarray(prompt_tokens), 1).astype(np.float64))[1] - 1
    return np.asarray(np.minimum(exponent, BUCKETS - 1), dtype=np.int64)


class Lengths:
    """Predicts the output of a request as the mean of finished ones with about as long a prompt, per endpoint.

    Deliberately plain and unbiased, so that errors cancel within a batch. ``prior_tokens`` stands in before any has finished.
    """

    def __init__(self, endpoints: int, prior_tokens: float) -> None:
        self._prior = prior_tokens
        self._count = np.zeros((endpoints, BUCKETS))
        self._sum = np.zeros((endpoints, BUCKETS))

    def table(self) -> Floats:
        """Return the prediction of each bucket in tokens, shape E x BUCKETS."""
        count = self._count.sum(axis=1, keepdims=True)
        whole = np.where(count > 0.0, self._sum.sum(axis=1, keepdims=True) / np.maximum(count, 1e-12), self._prior)
        return np.asarray((self._sum + _BORROWED * whole) / (self._count + _BORROWED))

    def learn(self, done: Finished, passed_s: float) -> Floats:
        """Take in what finished in ``passed_s``; return by how many tokens each was longer than predicted before."""
        which = bucket(done.prompt_tokens)
        error = done.output_tokens - self.table()[done.endpoint, which]
        fade = 0.5 ** (passed_s / _LENGTHS_HALF_LIFE_S)
        self._count *= fade
        self._sum *= fade
        np.add.at(self._count, (done.endpoint, which), 1.0)
        np.add.at(self._sum, (done.endpoint, which), done.output_tokens.astype(np.float64))
        return np.asarray(error)

    def snapshot(self) -> State:
        """Return what was learned."""
        return {"count": self._count.copy(), "sum": self._sum.copy()}

    def restore(self, state: State) -> None:
        """Take back what was learned."""
        self._count, self._sum = np.array(state["count"], dtype=np.float64), np.array(state["sum"], dtype=np.float64)


class Sizes:
    """Mean sizes of each endpoint's requests, as a planner needs them."""

    def __init__(self, endpoints: int, prior_output_tokens: float) -> None:
        prompt, output = _PRIOR_PROMPT_TOKENS, prior_output_tokens
        prior = [1.0, prompt, 2.0 * prompt**2, output, output * (prompt + output), 0.0, 0.0, 0.0]
        # So little that the first finished requests outweigh it.
        self._sums = np.tile(1e-6 * np.array(prior), (endpoints, 1))
        self.seen = np.zeros(endpoints)

    def learn(self, done: Finished, passed_s: float) -> None:
        """Take in what finished in ``passed_s``."""
        prompt, output = done.prompt_tokens.astype(np.float64), done.output_tokens.astype(np.float64)
        self._sums *= 0.5 ** (passed_s / _SIZES_HALF_LIFE_S)
        tiles = done.tiles.astype(np.float64)
        held = output * (prompt + 0.5 * output)
        terms = (np.ones_like(prompt), prompt, prompt**2, output, held, (tiles > 0.0).astype(np.float64), tiles, tiles**2)
        for column, term in enumerate(terms):
            self._sums[:, column] += np.bincount(done.endpoint, weights=term, minlength=len(self._sums))
        self.seen += np.bincount(done.endpoint, minlength=len(self.seen))

    @property
    def prompt_tokens(self) -> Floats:
        """Return the mean prompt, shape E."""
        return self._mean(_PROMPT)

    @property
    def squared_prompt_tokens(self) -> Floats:
        """Return the mean of squared prompts, shape E."""
        return self._mean(_SQUARE)

    @property
    def output_tokens(self) -> Floats:
        """Return the mean output, shape E."""
        return self._mean(_OUTPUT)

    @property
    def context_tokens(self) -> Floats:
        """Return the mean context of a request in a batch, shape E.

        Long outputs stay longer, so each request counts as long as it stays: mean of output x (prompt + output / 2) over
        mean output.
        """
        return np.asarray(self._mean(_HELD) / np.maximum(self._mean(_OUTPUT), 1.0))

    def encode_s(self, encoder_s: Floats, endpoint: Ints) -> tuple[Floats, Floats]:
        """Return mean and mean square of what encoding a request's images takes, shape I.

        ``encoder_s`` is base and per-tile time of each instance, shape I x 2, ``endpoint`` whose it is.
        """
        base, each = encoder_s[:, 0], encoder_s[:, 1]
        images, tiles, squared = (self._mean(column)[endpoint] for column in (_IMAGES, _TILES, _SQUARED_TILES))
        return base * images + each * tiles, base**2 * images + 2.0 * base * each * tiles + each**2 * squared

    def _mean(self, column: int) -> Floats:
        return np.asarray(self._sums[:, column] / np.maximum(self._sums[:, _COUNT], 1e-300))

    def snapshot(self) -> State:
        """Return what was learned."""
        return {"sums": self._sums.copy(), "seen": self.seen.copy()}

    def restore(self, state: State) -> None:
        """Take back what was learned."""
        self._sums, self.seen = np.array(state["sums"], dtype=np.float64), np.array(state["seen"], dtype=np.float64)


class Drift:
    """By how many tokens each worker's requests lately ran over what was predicted (below zero: ended early), shape I.

    Fades with one heartbeat as its time constant: what a request took that has long left tells nothing of its worker now.
    """

    def __init__(self, instances: int, fade_s: float) -> None:
        self.tokens = np.zeros(instances)
        self._fade_s = fade_s

    def learn(self, instance: Ints, error_tokens: Floats, passed_s: float) -> None:
        """Take in the errors of the requests that finished in ``passed_s``."""
        self.tokens *= np.exp(-passed_s / self._fade_s)
        self.tokens += np.bincount(instance, weights=error_tokens, minlength=len(self.tokens))
