"""Misspelt words of the vocabulary, put right."""

import re
from functools import cache
from typing import Final

from policies.intent.interpret.canon import Canon
from policies.intent.interpret.words import lexicon

_WORD: Final = re.compile(r"(?<![\w\-])[a-z]{4,16}(?![\w'])|(?<=-)[a-z]{4,16}(?![\w'])|(?<![\w\-])[a-z]{4,16}(?=-)")

_ENDINGS: Final = ("s", "es", "ed", "ing", "ly", "er", "est", "ers", "ings", "r", "d")


def distance(one: str, other: str, most: int) -> int:
    """Return the edit distance with transpositions, or ``most + 1`` where it is larger.

    >>> distance("tiem", "time", 2), distance("pwoer", "power", 2)
    (1, 1)
    """
    if abs(len(one) - len(other)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, left in enumerate(one, 1):
        before, last = row, before
        row = [i]
        for j, right in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (left != right))
            if i > 1 and j > 1 and left == other[j - 2] and one[i - 2] == right:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return most + 1
    return row[-1]


@cache
def correct(word: str, names: frozenset[str]) -> str | None:
    """Return the word of the vocabulary that was meant, None where it is a word of its own or none is near.

    ``names`` are words of the site (ids of endpoints and workloads) that count as vocabulary.
    """
    words = lexicon()
    own = words.vocabulary | words.common | names
    if word in own or any(word.endswith(ending) and _root(word, ending) & own for ending in _ENDINGS):
        return None
    most = 1 if len(word) <= 7 else 2
    best: tuple[int, bool, str] | None = None
    for known in words.vocabulary | names:
        if abs(len(known) - len(word)) > most or len(known) < 4 or not _alike(word, known):
            continue
        gap = distance(word, known, most)
        # Four letters with one exchanged are as likely another word.
        if gap <= most and not (len(word) == len(known) == 4 and sorted(word) != sorted(known)):
            key = (gap, sorted(word) != sorted(known), known)
            if best is None or key < best:
                best = key
    return None if best is None else best[2]


def _root(word: str, ending: str) -> set[str]:
    stem = word[: -len(ending)]
    if len(stem) < 3 or (ending in {"r", "d"} and not stem.endswith("e")):
        return set()
    roots = {stem}
    if ending in {"ed", "ing", "er", "est", "ers", "ings"}:
        roots |= {stem + "e"} | ({stem[:-1]} if stem[-1] == stem[-2] else set())
    return roots


def _alike(word: str, known: str) -> bool:
    """Typos rarely change the first letter; they may swap the first two."""
    return word[0] == known[0] or word[:2] == known[1::-1]


def rewrite(canon: Canon, names: frozenset[str]) -> Canon:
    """Return the text with misspelt words of the vocabulary put right."""
    return canon.sub(_WORD, lambda match: correct(match[0], names))
