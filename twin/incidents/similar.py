"""How alike texts are: words and their beginnings, ends and middles."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, Protocol
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_WORD: Final = re.compile(r"[^\W_]+")
_SLOTS: Final = 1 << 18
_GRAM: Final = 4
# What a piece of a word weighs beside the whole word. Proposed.
_PIECE: Final = 0.35
_MOST_TEXTS: Final = 60_000
_MOST_CHARACTERS: Final = 8_000


class Similar(Protocol):
    """Says how alike a query and texts are."""

    @property
    def name(self) -> str:
        """What does it, for people."""

    def similarities(self, query: str, texts: Sequence[str]) -> Floats:
        """Return 0 (nothing in common) to 1 (the same) for each text (N,); it depends on the query and these texts alone."""


class Lexical:
    """TF-IDF of words and of pieces of words, by cosine.

    What a text consists of is kept from call to call, how rare a word is counted anew among the texts of each call: of texts that
    are not among them nothing is learnt.
    """

    name = "words and pieces of words (TF-IDF)"

    def __init__(self) -> None:
        self._at: dict[str, int] = {}
        self._slots: list[Ints] = []
        self._counts: list[Floats] = []

    def similarities(self, query: str, texts: Sequence[str]) -> Floats:
        """Return the cosine of the query and each text (N,), 0 to 1."""
        if not len(texts):
            return np.zeros(0)
        if len(self._slots) > _MOST_TEXTS:
            self._at, self._slots, self._counts = {}, [], []
        own = [self._known(text) for text in texts]
        parts = [self._slots[at] for at in own]
        slots, counts = np.concatenate(parts), np.concatenate([self._counts[at] for at in own])
        row = np.repeat(np.arange(len(own)), [len(part) for part in parts])
        rarity = 1.0 + np.log((1.0 + len(own)) / (1.0 + np.bincount(slots, minlength=_SLOTS)))
        weights = counts * rarity[slots]
        asked_slots, asked_counts = _pieces(query)
        asked = np.zeros(_SLOTS)
        asked[asked_slots] = asked_counts * rarity[asked_slots]
        sizes = np.sqrt(np.bincount(row, weights * weights, minlength=len(own))) * np.sqrt(asked @ asked)
        dots = np.bincount(row, weights * asked[slots], minlength=len(own))
        return np.asarray(np.clip(np.round(np.where(sizes > 0.0, dots / np.where(sizes > 0.0, sizes, 1.0), 0.0), 6), 0.0, 1.0))

    def _known(self, text: str) -> int:
        at = self._at.get(text)
        if at is None:
            at = self._at[text] = len(self._slots)
            slots, counts = _pieces(text)
            self._slots.append(slots)
            self._counts.append(counts)
        return at


def order(similarity: Floats, ids: Sequence[str]) -> Ints:
    """Return places from the most alike to the least; equals by id."""
    return np.asarray(np.lexsort((np.array(ids, dtype=np.str_), -similarity)), dtype=np.int64)


def _pieces(text: str) -> tuple[Ints, Floats]:
    """Return the slots of a text's words and pieces, each once, and how often they occur, dampened."""
    words = _WORD.findall(text[:_MOST_CHARACTERS].lower())
    if not words:
        return np.zeros(0, dtype=np.int64), np.zeros(0)
    of = [_of_word(word) for word in words]
    slots, place = np.unique(np.concatenate([slots for slots, _ in of]), return_inverse=True)
    counts = np.bincount(place, np.concatenate([weights for _, weights in of]))
    return slots, np.log1p(counts)


@lru_cache(maxsize=100_000)
def _of_word(word: str) -> tuple[Ints, Floats]:
    marked = f"<{word}>"
    grams = [marked[i : i + _GRAM] for i in range(max(1, len(marked) - _GRAM + 1))]
    # crc32, because Python's own hash differs from process to process.
    slots = np.array([crc32(piece.encode()) % _SLOTS for piece in (word, *grams)], dtype=np.int64)
    return slots, np.array([1.0, *[_PIECE] * len(grams)])
