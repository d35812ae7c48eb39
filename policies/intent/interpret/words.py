"""How operators speak of the vocabulary: the lexicon, compiled once."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from twin.sources import data_dir

_STOP: Final = r"(?!(?:and|but|without|while|or|with|whilst)\b)"
_GAP: Final = rf"(?:[ \-]+{_STOP}[^\s,;.:!?()]+){{0,3}}?[ \-]+"


def phrase(text: str) -> str:
    """Return the regular expression of a lexicon phrase."""
    return text.replace(" ?", "\x01").replace(" .. ", "\x00").replace(" ", r"[ \-]+").replace("\x00", _GAP).replace("\x01", r"[ \-]?")


def any_of(phrases: "list[str] | tuple[str, ...]") -> re.Pattern[str]:
    """Return one pattern for several phrases, whole words only."""
    return re.compile(r"(?<![\w])(?:" + "|".join(phrase(item) for item in phrases) + r")(?![\w])")


@dataclass(frozen=True, slots=True)
class Concept:
    """Something that operators speak of, and the metrics that it may mean."""

    name: str
    metrics: tuple[str, ...]
    patterns: tuple[re.Pattern[str], ...]
    family: str = ""
    percentile: str = ""
    absolute: bool = False


@dataclass(frozen=True, slots=True)
class Lexicon:
    """The lexicon, compiled."""

    concepts: tuple[Concept, ...]
    systems: Mapping[str, tuple[re.Pattern[str], tuple[str, ...]]]
    strong_levers: Mapping[str, re.Pattern[str]]
    weak_levers: Mapping[str, re.Pattern[str]]
    vocabulary: frozenset[str]
    common: frozenset[str]

    def concept(self, name: str) -> Concept:
        """Return a concept by its name."""
        return next(item for item in self.concepts if item.name == name)


@cache
def published_levers() -> Mapping[str, tuple[str, ...]]:
    """Return each lever of the vocabulary with the systems and baselines that can hold it."""
    systems: dict[str, Any] = _raw()["systems"]
    return {lever: tuple(name for name, entry in systems.items() if lever in entry["levers"]) for lever in _raw()["levers"]}


@cache
def published_systems() -> tuple[str, ...]:
    """Return every system and baseline that the vocabulary names."""
    return tuple(_raw()["systems"])


@cache
def lexicon() -> Lexicon:
    """Return the lexicon; compiled on first use."""
    raw = _raw()
    concepts = tuple(
        Concept(
            item["name"],
            tuple(item["metrics"]),
            tuple(any_of([one]) for one in item["phrases"]),
            item.get("family", ""),
            item.get("percentile", ""),
            item.get("absolute", False),
        )
        for item in raw["concept"]
    )
    systems = {name: (any_of(entry["phrases"]), tuple(entry["levers"])) for name, entry in raw["systems"].items()}
    strong = {name: any_of(entry["strong"]) for name, entry in raw["levers"].items() if entry["strong"]}
    weak = {name: any_of(entry["weak"]) for name, entry in raw["levers"].items() if entry["weak"]}
    vocabulary = _spelled(" ".join(_phrases(raw))) | word_list("grammar")
    common = (data_dir() / "intents" / "common_words.txt").read_text(encoding="utf-8").split()
    return Lexicon(concepts, systems, strong, weak, vocabulary, frozenset(common))


def _spelled(phrases: str) -> frozenset[str]:
    """Return the whole words that the phrases can match: endings in brackets and optional letters are written out."""
    words = set(re.findall(r"(?<![a-z?])[a-z]{4,}(?![a-z(?\[])", phrases))
    for stem, endings in re.findall(r"([a-z]{3,})\(([a-z|]+)\)", phrases):
        words |= {stem + ending for ending in endings.split("|")} | {stem}
    for stem, last, rest in re.findall(r"([a-z]{2,})([a-z])\?([a-z]*)", phrases):
        words |= {stem + rest, stem + last + rest}
    return frozenset(word for word in words if len(word) >= 4) - word_list("stems")


@cache
def word_list(name: str) -> frozenset[str]:
    """Return one of the lexicon's plain lists of words."""
    return frozenset(str(_raw()["words"][name]).split())


@cache
def units() -> Mapping[str, tuple[str, float]]:
    """Return each unit spelling with its kind and its factor into the unit used inside."""
    return {
        spelled: (kind, float(factor))
        for kind, table in _raw()["units"].items()
        for factor, spellings in table.items()
        for spelled in spellings
    }


@cache
def rule(name: str) -> re.Pattern[str]:
    """Return one of the grammar's expressions, such as ``windows.unknown``; its line breaks count for nothing."""
    room, _, key = name.partition(".")
    text = "".join(_grammar()[room][key].splitlines())
    return re.compile(text.replace("~~", _GAP).replace("~", r"[ \-]+"))


@cache
def _grammar() -> dict[str, Any]:
    return tomllib.loads((data_dir() / "intents" / "grammar.toml").read_text(encoding="utf-8"))


@cache
def _raw() -> dict[str, Any]:
    return tomllib.loads((data_dir() / "intents" / "lexicon.toml").read_text(encoding="utf-8"))


def _phrases(raw: Mapping[str, Any]) -> list[str]:
    out: list[str] = []
    for item in raw["concept"]:
        out += item["phrases"]
    for entry in raw["systems"].values():
        out += entry["phrases"]
    for entry in raw["levers"].values():
        out += entry["strong"] + entry["weak"]
    return out
