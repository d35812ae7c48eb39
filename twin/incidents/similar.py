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
        self._forget()

    def similarities(self, query: str, texts: Sequence[str]) -> Floats:
        """Return the cosine of the query and each text (N,), 0 to 1."""
        if not len(texts):
            return np.zeros(0)
        if len(self._at) > _MOST_TEXTS:
            self._forget()
        slots, counts, row = self._of(texts)
        rarity = 1.0 + np.log((1.0 + len(texts)) / (1.0 + np.bincount(slots, minlength=_SLOTS)))
        weights = counts * rarity[slots]
        asked_slots, asked_counts, _ = _pieces([query])
        asked = np.zeros(_SLOTS)
        asked[asked_slots] = asked_counts * rarity[asked_slots]
        sizes = np.sqrt(np.bincount(row, weights * weights, minlength=len(texts))) * np.sqrt(asked @ asked)
        dots = np.bincount(row, weights * asked[slots], minlength=len(texts))
        return np.asarray(np.clip(np.round(np.where(sizes > 0.0, dots / np.where(sizes > 0.0, sizes, 1.0), 0.0), 6), 0.0, 1.0))

    def _forget(self) -> None:
        self._at: dict[str, int] = {}
        self._slots, self._counts, self._edges = np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(1, dtype=np.int64)

    def _of(self, texts: Sequence[str]) -> tuple[Ints, Floats, Ints]:
        """Return slots and counts of the texts' pieces and to which text each belongs; what is new is taken apart and kept."""
        new = [text for text in dict.fromkeys(texts) if text not in self._at]
        if new:
            slots, counts, row = _pieces(new)
            self._at.update({text: len(self._at) + i for i, text in enumerate(new)})
            self._slots, self._counts = np.concatenate([self._slots, slots]), np.concatenate([self._counts, counts])
            edges = self._edges[-1] + np.cumsum(np.bincount(row, minlength=len(new)))
            self._edges = np.concatenate([self._edges, edges])
        at = np.array([self._at[text] for text in texts], dtype=np.int64)
        begin, length = self._edges[at], np.diff(self._edges)[at]
        row = np.repeat(np.arange(len(at)), length)
        places = np.arange(len(row)) + np.repeat(begin - np.concatenate([[0], np.cumsum(length)[:-1]]), length)
        return self._slots[places], self._counts[places], row


def order(similarity: Floats, ids: Sequence[str]) -> Ints:
    """Return places from the most alike to the least; equals by id."""
    return np.asarray(np.lexsort((np.array(ids, dtype=np.str_), -similarity)), dtype=np.int64)


def _pieces(texts: Sequence[str]) -> tuple[Ints, Floats, Ints]:
    """Return the slots of the texts' words and pieces, each once a text, how often they occur, dampened, and in which text; by text."""
    vocabulary: dict[str, int] = {}
    words = [[vocabulary.setdefault(word, len(vocabulary)) for word in _WORD.findall(text[:_MOST_CHARACTERS].lower())] for text in texts]
    known = [_of_word(word) for word in vocabulary]
    if not known:
        return np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0, dtype=np.int64)
    word = np.array([place for told in words for place in told], dtype=np.int64)
    text = np.repeat(np.arange(len(texts)), [len(told) for told in words])
    width = np.array([len(slots) for slots, _ in known])
    begin = np.concatenate([[0], np.cumsum(width)[:-1]])
    each = width[word]
    places = np.arange(int(each.sum())) + np.repeat(begin[word] - np.concatenate([[0], np.cumsum(each)[:-1]]), each)
    slots, weights = np.concatenate([slots for slots, _ in known])[places], np.concatenate([weights for _, weights in known])[places]
    keys, at = np.unique(np.repeat(text, each) * _SLOTS + slots, return_inverse=True)
    return keys % _SLOTS, np.log1p(np.bincount(at, weights)), keys // _SLOTS


@lru_cache(maxsize=100_000)
def _of_word(word: str) -> tuple[Ints, Floats]:
    marked = f"<{word}>"
    grams = [marked[i : i + _GRAM] for i in range(max(1, len(marked) - _GRAM + 1))]
    # crc32, because Python's own hash differs from process to process.
    slots = np.array([crc32(piece.encode()) % _SLOTS for piece in (word, *grams)], dtype=np.int64)
    return slots, np.array([1.0, *[_PIECE] * len(grams)])
